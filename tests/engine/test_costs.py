"""What operations cost in statements, appends and syncs: the same on every machine, unlike times.

Who makes one of these numbers larger makes every file dearer; who makes one smaller writes it here.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from s3fs_local.errors import NoSuchAttribute, NoSuchName
from s3fs_local.metadata.sqlite import SqliteMetadata
from s3fs_local.objects.failing import FailingObjects
from s3fs_local.objects.memory import MemoryObjects
from s3fs_local.rules.inode import ROOT_INO
from tests.engine.memory_store import ALICE, MemoryStore
from tests.metadata.statements import statements

PAGE: Final = b"x" * 4096
OTHER: Final = b"y" * 4096


class Counted:
    """A store with SQLite below it, whose statements, appends and syncs are counted."""

    def __init__(self, path: Path, told: list[str]) -> None:
        self.zone = FailingObjects(MemoryObjects())
        metadata = SqliteMetadata.create(path / "facts")
        self.store = MemoryStore(zone=self.zone, metadata=metadata)  # type: ignore[arg-type]  # one contract
        self.fs = self.store.fs
        self._told = told

    def cost(self, work: Callable[[], object]) -> tuple[int, int, int]:
        """Statements, appends and syncs of the work."""
        self._told.clear()
        before = self.zone.calls.copy()
        work()
        calls = self.zone.calls - before
        return len(self._told), calls["append"], calls["sync"]

    def create(self, name: bytes) -> None:
        """As the kernel has it done by open, write and close of a new file."""
        self.fs.getattr(ROOT_INO)
        with _expecting(NoSuchName):
            self.fs.lookup(ROOT_INO, name)
        opened, inode = self.fs.create(ROOT_INO, name, 0o100644, os.O_WRONLY, ALICE)
        self._write(opened.handle, inode.ino, PAGE)

    def overwrite(self, name: bytes, flags: int) -> None:
        """As the kernel has it done by open, write and close of an old file."""
        inode = self.fs.lookup(ROOT_INO, name)
        opened = self.fs.open(inode.ino, os.O_WRONLY | flags, ALICE)
        self._write(opened.handle, inode.ino, OTHER)

    def _write(self, handle: int, ino: int, data: bytes) -> None:
        with _expecting(NoSuchAttribute):
            self.fs.getxattr(ino, b"security.capability")
        self.fs.write(handle, 0, data)
        self.store.close(handle)

    def read(self, name: bytes) -> None:
        """As the kernel has it done by open, read and close."""
        handle = self.fs.open(self.fs.lookup(ROOT_INO, name).ino, os.O_RDONLY, ALICE).handle
        assert self.fs.read_nowait(handle, 0, 4096)
        self.store.close(handle)


@contextmanager
def _expecting(error: type[Exception]) -> Iterator[None]:
    with pytest.raises(error):
        yield


@pytest.fixture
def counted(tmp_path: Path) -> Iterator[Counted]:
    """A store that has been used: its first pack and key are there."""
    with statements() as told:
        made = Counted(tmp_path, told)
        made.create(b"first")
        made.store.flush(durable=True)
        yield made
        made.store.metadata.close()


def test_a_life_of_a_small_file(counted: Counted) -> None:
    """Names are handed to the journal when they change; contents with the next flush."""
    fs = counted.fs
    costs = {
        "create": counted.cost(lambda: counted.create(b"f")),
        "overwrite": counted.cost(lambda: counted.overwrite(b"f", 0)),
        "truncate and write": counted.cost(lambda: counted.overwrite(b"f", os.O_TRUNC)),
        "read": counted.cost(lambda: counted.read(b"f")),
        "stat": counted.cost(lambda: fs.getattr(fs.lookup(ROOT_INO, b"f").ino)),
        "mkdir": counted.cost(lambda: fs.mkdir(ROOT_INO, b"d", 0o040755, ALICE)),
        "rename": counted.cost(lambda: fs.rename(ROOT_INO, b"f", ROOT_INO, b"g", 0, ALICE)),
        "unlink": counted.cost(lambda: fs.unlink(ROOT_INO, b"g", ALICE)),
        "flush": counted.cost(lambda: counted.store.flush(durable=True)),
    }
    assert costs == {
        "create": (7, 1, 0),
        "overwrite": (8, 1, 0),
        "truncate and write": (6, 1, 0),
        "read": (1, 0, 0),
        "stat": (1, 0, 0),
        "mkdir": (2, 0, 0),
        "rename": (4, 1, 0),
        "unlink": (3, 1, 0),
        "flush": (0, 0, 2),
    }


def test_a_folder_of_versions_is_listed_in_proportion(counted: Counted) -> None:
    """A file of a thousand versions is looked at as quickly, for each, as one of ten."""
    costs = []
    for count in (10, 100):
        for _ in range(count - len(counted.store.history("/first"))):
            counted.store.append("/first", b"line")
        folder = counted.fs.lookup(counted.fs.lookup(ROOT_INO, b".versions").ino, b"first")

        def look(folder_ino: int = folder.ino) -> None:
            handle = counted.fs.opendir(folder_ino, ALICE)
            names = [name for name, _, _ in counted.fs.readdir(handle, 0)]
            for name in names:
                counted.fs.lookup(folder_ino, name)

        statements_, _, _ = counted.cost(look)
        costs.append(statements_ / count)
    assert costs[1] <= costs[0]


def test_a_name_with_a_long_past_is_listed_as_quickly_as_another(counted: Counted) -> None:
    """Of what it meant in turn `ls .versions` looks at the last only, as far as that tells enough.

    Else a directory of mail, or of a file that is saved every minute, holds up the whole mount for
    each who looks.
    """
    folder = counted.fs.lookup(ROOT_INO, b".versions")

    def look() -> None:
        handle = counted.fs.opendir(folder.ino, ALICE)
        assert [name for name, _, _ in counted.fs.readdir(handle, 0)] == [b"first", b"saved"]

    costs = []
    for count in (10, 190):
        for _ in range(count):
            counted.store.write("/temporary", b"content")
            counted.fs.rename(ROOT_INO, b"temporary", ROOT_INO, b"saved", 0, ALICE)
        costs.append(counted.cost(look)[0])
    assert costs[1] < 2 * costs[0]


def test_the_first_names_of_a_long_listing_are_there_at_once(counted: Counted) -> None:
    """Everybody waits for what the loop does, so nothing is settled before it is asked for."""
    for number in range(200):
        counted.store.write(f"/f{number:03}", b"content")
    folder = counted.fs.lookup(ROOT_INO, b".versions")

    def look() -> None:
        entries = counted.fs.readdir(counted.fs.opendir(folder.ino, ALICE), 0)
        assert next(iter(entries))[0] == b"f000"

    assert counted.cost(look)[0] < 20


def test_a_name_deep_in_the_tree_is_listed_as_quickly_as_one_at_the_root(counted: Counted) -> None:
    """Which directories were at a path is asked once for a listing, not for each of its names."""
    path, ino, costs = "", ROOT_INO, []
    for depth in range(9):
        if depth in (0, 8):
            for number in range(50):
                counted.store.write(f"{path}/f{number:02}", b"content")
            folder = counted.fs.lookup(ino, b".versions")

            def look(folder_ino: int = folder.ino) -> None:
                handle = counted.fs.opendir(folder_ino, ALICE)
                assert len(list(counted.fs.readdir(handle, 0))) >= 50

            costs.append(counted.cost(look)[0])
        path, ino = f"{path}/d", counted.fs.mkdir(ino, b"d", 0o040755, ALICE).ino
    assert costs[1] < costs[0] + 50
