"""Memory of the daemon while many large files are written at once."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from tests.bench.groups.requests import makes
from tests.bench.groups.scale import memory_mib
from tests.bench.groups.sequential import BLOCK
from tests.bench.place import Measured, Place
from tests.bench.row import Goal, Group, Row, Unit
from tests.bench.sizes import Sizes

THREADS: Final = 8
PART: Final = 4  # the size of the lesser load
MOST: Final = Row("memory-writers", "most memory while many files are written", Unit.MEBIBYTES)
GROWTH: Final = Row(
    "memory-bounded",
    "most memory, files four times as long / as they are",
    Unit.TIMES,
    (Goal(1.25),),
)


def most_mib(place: Place, sizes: Sizes, mebibytes: int) -> float:
    """The most memory that the daemon, mounted anew, needs while all files are written at once."""
    place.forget()
    [daemon] = place.daemons
    names = [place.path / f"written{number}" for number in range(sizes.writers)]
    files = [os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) for name in names]

    def write(own: list[int]) -> None:
        for _ in range(mebibytes):
            for file in own:
                os.write(file, BLOCK)

    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(write, [files[first::THREADS] for first in range(THREADS)]))
    for file in files:
        os.close(file)
    for name in names:
        name.unlink()
    return memory_mib(daemon, "VmHWM")


def steps(place: Place, sizes: Sizes) -> Iterator[Measured]:
    """A lesser and a greater load, each in a daemon of its own."""
    lesser = most_mib(place, sizes, max(sizes.writer_mib // PART, 1))
    greater = most_mib(place, sizes, sizes.writer_mib)
    yield MOST.told(greater)
    yield GROWTH.told(greater / lesser)


GROUP: Final = Group("memory", (MOST, GROWTH), steps, makes)
