"""What an operation costs us: requests that a program waits for, and CPU time of the daemon."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Final

from tests.bench.groups.small_files import create_each, read_each, stat_each, write_each
from tests.bench.ours import Ours
from tests.bench.place import Measured, Place
from tests.bench.row import Goal, Group, Row, Unit
from tests.bench.sizes import Sizes

REQUESTS: Final = Row(
    "requests", "requests waited for: create + write 4 KiB + close", Unit.REQUESTS, (Goal(6),)
)
CPU: Final = Row(
    "cpu", "CPU time of the daemon a request, median of kinds", Unit.MICROSECONDS, (Goal(40),)
)


def steps(place: Place, sizes: Sizes) -> Iterator[Measured]:
    """Each kind of work by itself: CPU time and requests of the daemon are counted around it."""
    folder = place.path / "requests"
    folder.mkdir()
    names = [f"{folder}/file{number:05}" for number in range(sizes.files)]
    count = len(names)
    created = REQUESTS.timed(place, lambda: create_each(names), count)
    assert created.requests is not None
    kinds = [
        created,
        CPU.timed(place, lambda: write_each(names, os.O_TRUNC), count),
        CPU.timed(place, lambda: read_each(names), count),
        CPU.timed(place, lambda: os.listdir(folder), 1),
    ]
    place.forget()
    kinds += [
        CPU.timed(place, lambda: stat_each(names), count),
        CPU.timed(place, lambda: read_each(names), count),
        CPU.timed(place, lambda: shutil.rmtree(folder), count),
    ]
    each = [one.cpu_us / one.requests for one in kinds if one.cpu_us and one.requests]
    yield REQUESTS.told(created.requests)
    yield CPU.told(median(each))


def makes(base: Path, _: Sizes) -> list[Place]:
    """See `Group.makes`."""
    return [Ours(base)]


GROUP: Final = Group("requests", (REQUESTS, CPU), steps, makes)
