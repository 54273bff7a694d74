"""Small files, warm: each system call of a program that makes, reads, moves and removes them."""

import os
import shutil
import time
from collections.abc import Iterator
from typing import Final

from tests.bench.place import Measured, Place
from tests.bench.row import Goal, Group, Row, Unit
from tests.bench.sizes import Sizes

PAGE: Final = os.urandom(4096)
TIMEOUT_S: Final = 1.1  # attributes are believed for a second where a mount does not say longer

CREATE: Final = Row(
    "create",
    "create + write 4 KiB",
    Unit.MICROSECONDS,
    (Goal(0.7, "gocryptfs"), Goal(0.8, "bindfs"), Goal(0.15, "juicefs")),
)
OVERWRITE: Final = Row(
    "overwrite",
    "overwrite 4 KiB",
    Unit.MICROSECONDS,
    (Goal(0.5, "gocryptfs"), Goal(0.8, "bindfs"), Goal(0.15, "juicefs")),
)
STAT: Final = Row(
    "stat", "stat, warm, the first after a write", Unit.MICROSECONDS, (Goal(0.5, "gocryptfs"),)
)
STAT_AGAIN: Final = Row(
    "stat-again", "stat, warm, again a second later", Unit.MICROSECONDS, (Goal(0.5, "gocryptfs"),)
)
READ: Final = Row("read", "open + read 4 KiB, warm", Unit.MICROSECONDS, (Goal(0.5, "gocryptfs"),))
RENAME: Final = Row("rename", "rename", Unit.MICROSECONDS, (Goal(0.8, "gocryptfs"),))
UNLINK: Final = Row("unlink", "unlink", Unit.MICROSECONDS, (Goal(0.8, "gocryptfs"),))


def write_each(names: list[str], flags: int) -> None:
    """Each file holds 4 KiB, written by one call."""
    for name in names:
        descriptor = os.open(name, os.O_WRONLY | flags)
        os.write(descriptor, PAGE)
        os.close(descriptor)


def create_each(names: list[str]) -> None:
    """Each file is new and holds 4 KiB."""
    write_each(names, os.O_CREAT | os.O_EXCL)


def read_each(names: list[str]) -> None:
    """The 4 KiB of each were read."""
    for name in names:
        descriptor = os.open(name, os.O_RDONLY)
        os.read(descriptor, len(PAGE))
        os.close(descriptor)


def stat_each(names: list[str]) -> None:
    """The attributes of each were read."""
    for name in names:
        os.stat(name)


def steps(place: Place, sizes: Sizes) -> Iterator[Measured]:
    """All of it on the files of one directory.

    After a write the kernel forgets a file's attributes, wherever it is mounted. What it was told
    then, it believes for as long as the file system allows: a second for most.
    """
    folder = place.path / "small"
    folder.mkdir()
    names = [f"{folder}/file{number:05}" for number in range(sizes.files)]
    moved = [f"{name}.moved" for name in names]

    def rename_each() -> None:
        for name, new in zip(names, moved, strict=True):
            os.rename(name, new)

    def unlink_each() -> None:
        for name in moved:
            os.unlink(name)

    yield CREATE.timed(place, lambda: create_each(names), len(names))
    yield OVERWRITE.timed(place, lambda: write_each(names, os.O_TRUNC), len(names))
    yield STAT.timed(place, lambda: stat_each(names), len(names))
    time.sleep(TIMEOUT_S)
    yield STAT_AGAIN.timed(place, lambda: stat_each(names), len(names))
    yield READ.timed(place, lambda: read_each(names), len(names))
    yield RENAME.timed(place, rename_each, len(names))
    yield UNLINK.timed(place, unlink_each, len(names))
    shutil.rmtree(folder)


GROUP: Final = Group(
    "small-files", (CREATE, OVERWRITE, STAT, STAT_AGAIN, READ, RENAME, UNLINK), steps
)
