"""The slowest hundredth of calls while the daemon has other work, beside one that has none."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from s3fs_local.control.requests import ChangeClass, CollectGarbage, Request, Scrub
from tests.bench.groups.replicating import Regions, makes
from tests.bench.groups.sequential import write_whole
from tests.bench.groups.small_files import PAGE, create_each, stat_each
from tests.bench.groups.syncing import LINE
from tests.bench.place import Measured, PeerFailed, Place
from tests.bench.row import Goal, Group, Row, Unit
from tests.bench.sizes import Sizes

FILES_MOVED: Final = 50
WARMING: Final = 100
_GOAL: Final = (Goal(2.0),)
STAT: Final = Row("p99-stat", "p99 beside background work / idle: stat", Unit.TIMES, _GOAL)
CREATE: Final = Row("p99-create", "p99 beside background work / idle: create", Unit.TIMES, _GOAL)
APPEND: Final = Row(
    "p99-append", "p99 beside background work / idle: append + fsync", Unit.TIMES, _GOAL
)


CONTROLS: Final = tuple(
    Row(f"p99-{what}-control", f"p99 beside one program that computes / idle: {words}", Unit.TIMES)
    for what, words in (("stat", "stat"), ("create", "create"), ("append", "append + fsync"))
)
"""What two cores do to a daemon without other work, when a third process wants one of them."""
COMPUTING: Final = (sys.executable, "-c", "while True: sum(range(10_000))")


def percentile(call: Callable[[int], None], calls: int) -> float:
    """Nanoseconds that 99 of 100 calls did not exceed."""
    took = []
    for number in range(calls):
        start_ns = time.perf_counter_ns()
        call(number)
        took.append(time.perf_counter_ns() - start_ns)
    return sorted(took)[calls * 99 // 100]


def move(turn: int) -> Request:
    """One file after the other goes to another class, and in the next turn back."""
    number, back = divmod(turn, 2)
    path = f"old/file{number % FILES_MOVED:05}".encode()
    return ChangeClass(path, "STANDARD" if back else "STANDARD_IA")


@contextmanager
def working(place: Regions) -> Iterator[None]:
    """Scrub, gc and moves go on without end, as fast as settings let them; and replication.

    The process of the other region has begun before: the half second in which Python starts there
    is no background work, and what is measured may take less.
    """
    stop = threading.Event()
    failed: list[PeerFailed] = []
    work: list[Callable[[int], Request]] = [lambda _: Scrub(), lambda _: CollectGarbage(), move]

    def repeat(one: Callable[[int], Request]) -> None:
        turn = 0
        while not stop.is_set():
            try:
                place.ask(one(turn))
            except PeerFailed as failure:
                failed.append(failure)
                return
            turn += 1

    place.replicate()
    place.wait_until_copied()
    threads = [threading.Thread(target=repeat, args=(one,)) for one in work]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        place.stop_replicating()
    if failed:
        raise failed[0]


@contextmanager
def computing() -> Iterator[None]:
    """A program that has nothing to do with the mount computes without end."""
    process = subprocess.Popen(COMPUTING)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def names_of(place: Place, sizes: Sizes) -> list[str]:
    """Files that are looked at once each, and some more."""
    return [f"{place.path}/old/file{number:05}" for number in range(sizes.calls + WARMING)]


def ask_anew(place: Place, sizes: Sizes) -> None:
    """The kernel remembers none of the files, so that the daemon is asked; it has begun before."""
    place.unmount()
    place.begin()
    stat_each(names_of(place, sizes)[-WARMING:])


def all_three(place: Place, sizes: Sizes, folder: Path) -> list[float]:
    """The percentiles of stat, create and append with fsync."""
    names = names_of(place, sizes)
    descriptor = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def create(number: int) -> None:
        file = os.open(folder / f"new{number}", os.O_WRONLY | os.O_CREAT)
        os.write(file, PAGE)
        os.close(file)

    def append(_: int) -> None:
        os.write(descriptor, LINE)
        os.fsync(descriptor)

    found = [
        percentile(lambda number: stat_each(names[number : number + 1]), sizes.calls),
        percentile(create, sizes.calls),
        percentile(append, sizes.calls // 3),
    ]
    os.close(descriptor)
    return found


def steps(place: Place, sizes: Sizes) -> Iterator[Measured]:
    """Idle first, then with everything going on, then beside a stranger."""
    assert isinstance(place, Regions)
    old = place.path / "old"
    if not old.exists():
        old.mkdir()
        create_each(names_of(place, sizes))
        write_whole(place.path / "large", sizes.large_mib)
    folder = place.path / f"background{time.monotonic_ns()}"
    folder.mkdir()
    quiet, busy, control = folder / "quiet", folder / "busy", folder / "control"
    for each in (quiet, busy, control):
        each.mkdir()
    ask_anew(place, sizes)
    idle = all_three(place, sizes, quiet)
    ask_anew(place, sizes)
    with working(place):
        loaded = all_three(place, sizes, busy)
    for row, one, other in zip((STAT, CREATE, APPEND), idle, loaded, strict=True):
        yield row.told(other / one)
    ask_anew(place, sizes)
    with computing():
        beside = all_three(place, sizes, control)
    for row, one, other in zip(CONTROLS, idle, beside, strict=True):
        yield row.told(other / one)


GROUP: Final = Group(
    "background",
    (STAT, CREATE, APPEND, *CONTROLS),
    steps,
    makes,
    note="scrub, gc and moves run without end, and all that is written is replicated",
)
