"""Packs of stores with locks are out of everybody's reach but the daemon's."""

import errno
from pathlib import Path

import pytest
import trio

from s3fs_local.engine.compaction import collect_garbage
from s3fs_local.engine.pack_keeping import GROWS_NS_MAX
from s3fs_local.engine.purging import purge
from s3fs_local.objects.local_directory import LocalDirectory
from s3fs_local.rules.instants import SECOND_NS
from s3fs_local.system.immutable_files import is_immutable, set_immutable
from tests.engine.memory_store import ALICE, MemoryStore
from tests.engine.verified import check_verified

DAY_S = GROWS_NS_MAX // SECOND_NS


def has_the_flag(folder: Path) -> bool:
    """Whether files in the folder can be made immutable by this user."""
    probe = folder / "probe"
    probe.touch()
    can = set_immutable(probe, wanted=True)
    set_immutable(probe, wanted=False)
    return can


def zone_in(folder: Path) -> LocalDirectory:
    """A zone in a directory."""
    (folder / "zone").mkdir()
    return LocalDirectory(folder / "zone")


@pytest.fixture
def zone(tmp_path: Path) -> LocalDirectory:
    """A zone in a directory whose filesystem has the flag."""
    if not has_the_flag(tmp_path):
        pytest.skip("this user, or this filesystem, cannot make files immutable")
    return zone_in(tmp_path)


@pytest.fixture
def store(zone: LocalDirectory) -> MemoryStore:
    """A store with locks; `f` is in its first pack."""
    made = MemoryStore(zone=zone, object_lock="true")
    made.write("f", b"one")
    made.flush(durable=True)
    return made


def seal(store: MemoryStore) -> int:
    """What the daemon does now and then."""
    return trio.run(store.fs.pack_keeping.keep)


def _pack(tmp_path: Path) -> Path:
    (found,) = (tmp_path / "zone" / "packs").glob("*/*.pack")
    return found


def leave_pack(store: MemoryStore) -> None:
    """A day passes, so its pack may grow no more."""
    assert seal(store) == 0
    store.tick(DAY_S + 1)


def test_a_pack_is_immutable_a_day_after_it_began(store: MemoryStore, tmp_path: Path) -> None:
    """The story: root itself cannot alter, cut or remove it by mistake."""
    assert not is_immutable(_pack(tmp_path)), "it grows"
    leave_pack(store)
    assert seal(store) == 1
    pack = _pack(tmp_path)
    assert not store.fs.pack_keeping.shortcomings
    for attempt in (pack.unlink, lambda: pack.write_bytes(b""), lambda: pack.rename("/tmp/x")):  # noqa: S108
        with pytest.raises(PermissionError) as refusal:
            attempt()
        assert refusal.value.errno == errno.EPERM
    assert store.read("f") == b"one"
    check_verified(store)
    assert seal(store) == 0

    set_immutable(pack, wanted=False)


def test_the_daemon_removes_it_all_the_same(store: MemoryStore, tmp_path: Path) -> None:
    """Space must come back when nothing is locked in it any more."""
    leave_pack(store)
    assert seal(store) == 1
    pack = _pack(tmp_path)
    store.remove("f")
    version = store.fs.histories.of_name(*store.place("f")).items[1]
    purge(store.fs, version, caller=ALICE, bypass=None)
    trio.run(lambda: collect_garbage(store.fs, dry_run=False))

    assert not pack.exists()
    check_verified(store)


def test_a_store_without_locks_is_left_alone(zone: LocalDirectory, tmp_path: Path) -> None:
    """Whoever wants to copy or delete its directory may."""
    store = MemoryStore(zone=zone)
    store.write("f", b"one")
    store.flush(durable=True)
    leave_pack(store)

    assert seal(store) == 0
    assert not is_immutable(_pack(tmp_path))


def test_the_setting_switches_it_off(zone: LocalDirectory, tmp_path: Path) -> None:
    """For filesystems whose backups cannot cope."""
    store = MemoryStore(zone=zone, object_lock="true", immutable_packs="false")
    store.write("f", b"one")
    store.flush(durable=True)
    leave_pack(store)

    assert seal(store) == 0
    assert not is_immutable(_pack(tmp_path))


def test_a_zone_that_cannot_is_no_trouble() -> None:
    """Memory, S3, vfat, an ordinary user: the locks hold, and a verification finds the rest."""
    store = MemoryStore(object_lock="true")
    store.write("f", b"one")
    store.flush(durable=True)
    leave_pack(store)
    seal(store)

    assert store.fs.pack_keeping.shortcomings
    check_verified(store)
