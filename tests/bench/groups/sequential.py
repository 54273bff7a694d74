"""One large file from its beginning to its end, a MiB a call."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.bench.place import Measured, Place
from tests.bench.row import FASTEST, Goal, Group, Row, Unit
from tests.bench.sizes import Sizes

MIB: Final = 1 << 20
BLOCK: Final = os.urandom(MIB)
WRITE: Final = Row(
    "write", "sequential write, 1 MiB, + fsync", Unit.MEGABYTES, (Goal(1.0, FASTEST),)
)
READ_COLD: Final = Row(
    "read-cold", "sequential read, 1 MiB, cold", Unit.MEGABYTES, (Goal(1.0, FASTEST),)
)
READ_WARM: Final = Row(
    "read-warm", "sequential read, 1 MiB, warm", Unit.MEGABYTES, (Goal(0.95, FASTEST),)
)


def write_whole(name: Path, mebibytes: int) -> None:
    """A file of so many MiB, no two of which are the same, is durable."""
    descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for number in range(mebibytes):
        os.write(descriptor, number.to_bytes(8, "big") + BLOCK[8:])
    os.fsync(descriptor)
    os.close(descriptor)


def read_whole(name: Path) -> None:
    """It was read to its end."""
    descriptor = os.open(name, os.O_RDONLY)
    buffer = bytearray(MIB)
    while os.readv(descriptor, [buffer]):
        pass
    os.close(descriptor)


def steps(place: Place, sizes: Sizes) -> Iterator[Measured]:
    """Written anew, read after a remount, and read again."""
    name = place.path / "large"
    name.unlink(missing_ok=True)
    size_bytes = sizes.large_mib * MIB
    yield WRITE.timed(place, lambda: write_whole(name, sizes.large_mib), size_bytes)
    place.forget()
    yield READ_COLD.timed(place, lambda: read_whole(name), size_bytes)
    yield READ_WARM.timed(place, lambda: read_whole(name), size_bytes)
    name.unlink()


GROUP: Final = Group("sequential", (WRITE, READ_COLD, READ_WARM), steps)
