"""A new version of a large file of which little has changed."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.bench.groups.requests import makes
from tests.bench.groups.sequential import MIB, write_whole
from tests.bench.groups.small_files import PAGE
from tests.bench.ours import Ours
from tests.bench.place import Measured, Place
from tests.bench.row import Goal, Group, Row, Unit
from tests.bench.sizes import Sizes

STORED: Final = Row(
    "version-stored", "stored for 4 KiB changed in a large file", Unit.MEBIBYTES, (Goal(2),)
)
CLOSED: Final = Row(
    "version-close", "close after 4 KiB changed in a large file", Unit.MILLISECONDS, (Goal(30),)
)


def stored_bytes(folder: Path) -> int:
    """Length of all files of the store's zones, in which everything but the database lies."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def steps(place: Place, sizes: Sizes) -> Iterator[Measured]:
    """A page in another place each time; what was stored is looked at after a sync."""
    assert isinstance(place, Ours)
    name = place.path / "versioned"
    if not name.exists():
        write_whole(name, sizes.version_mib)
    zones = place.store / "zones"
    os.sync()
    before = stored_bytes(zones)
    descriptor = os.open(name, os.O_RDWR)
    os.pwrite(descriptor, PAGE, sizes.version_mib * MIB // 3 + time.monotonic_ns() % MIB)
    start_ns = time.perf_counter_ns()
    os.close(descriptor)
    took_ns = time.perf_counter_ns() - start_ns
    descriptor = os.open(place.path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
    yield STORED.told((stored_bytes(zones) - before) / MIB)
    yield CLOSED.told(took_ns / 1e6)


GROUP: Final = Group("large-versions", (STORED, CLOSED), steps, makes)
