"""Classes and zones: a transition puts bytes into other zones, and out of those before."""

import os
from pathlib import Path

import pytest

from s3fs_local.daemon.creation import StorePlan, create_store
from s3fs_local.engine.compaction import collect_garbage
from s3fs_local.engine.filesystem import FileSystem
from s3fs_local.engine.pace import AT_ONCE
from s3fs_local.rules.inode import ROOT_INO
from s3fs_local.rules.settings import parse_setting
from s3fs_local.rules.storage_classes import StorageClass
from tests.mounting import answer_of, s3fs_local
from tests.scenarios.killed_moves import OWNER, in_store

NOISE = os.urandom(2_000_000)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store in three zones, with one file."""
    zones = tuple(str(tmp_path / name) for name in "abc")
    create_store(tmp_path / "store", StorePlan(owner=OWNER, zones=zones))

    async def fill(filesystem: FileSystem) -> None:
        opened, _ = filesystem.create(ROOT_INO, b"f", 0o100644, os.O_RDWR, OWNER)
        for offset in range(0, len(NOISE), 1 << 20):
            filesystem.write(opened.handle, offset, NOISE[offset : offset + (1 << 20)])
        filesystem.release(opened.handle)

    in_store(tmp_path / "store", fill)
    return tmp_path / "store"


def move(store: Path, wanted: str) -> None:
    """The file has the class, its bytes are there, and what was left behind is freed."""

    async def work(filesystem: FileSystem) -> None:
        inode = filesystem.lookup(ROOT_INO, b"f")
        filesystem.classes.set_by(inode.ino, inode.version_ns, StorageClass(wanted), OWNER)
        await filesystem.settling.settle_all(AT_ONCE)
        await collect_garbage(filesystem, dry_run=False)
        layouts = filesystem.reading.layouts(inode.ino)
        found = b"".join(
            filesystem.reading.read_blocking(layouts, offset, min(1 << 20, len(NOISE) - offset))
            for offset in range(0, len(NOISE), 1 << 20)
        )
        assert found == NOISE

    in_store(store, work)


def holders(store: Path) -> list[str]:
    """The zones that hold the file's bytes."""
    return [
        name
        for name in "abc"
        if sum(p.stat().st_size for p in (store.parent / name).rglob("*.pack")) > len(NOISE)
    ]


def test_one_zone_is_one_zone_and_standard_is_all(store: Path) -> None:
    """There and back again; noise, so that nothing is saved by compressing."""
    assert holders(store) == ["a", "b", "c"]

    move(store, "ONEZONE_IA")
    assert len(holders(store)) == 1
    move(store, "STANDARD")

    assert holders(store) == ["a", "b", "c"]


def test_what_a_class_is_can_be_set(store: Path) -> None:
    """`config set storage-classes` holds for what is moved from then on."""
    text = "GLACIER_IR:copies=2,zones=hot,zstd=0"
    assert parse_setting("storage-classes", text)
    s3fs_local("config", "set", store, "storage-classes", text)
    rows = {row["Name"]: row["Value"] for row in answer_of("config", "show", store)["Settings"]}
    assert rows["storage-classes"] == text

    move(store, "GLACIER_IR")

    assert len(holders(store)) == 2
