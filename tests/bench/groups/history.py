"""A file with very many versions beside one with ten."""

import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Final

from tests.bench.groups.requests import makes
from tests.bench.groups.small_files import write_each
from tests.bench.place import Measured, Place
from tests.bench.row import Goal, Group, Row, Unit
from tests.bench.sizes import Sizes

FEW: Final = 10
CALLS: Final = 50
_GOAL: Final = (Goal(1.3),)
WRITE: Final = Row("history-write", "many versions / ten: a new version", Unit.TIMES, _GOAL)
LIST: Final = Row("history-list", "many versions / ten: listing, a version", Unit.TIMES, _GOAL)
AT_TIME: Final = Row("history-at", "many versions / ten: lookup in @TIME", Unit.TIMES, _GOAL)


def middle_ns(call: Callable[[], object]) -> float:
    """The median time of some calls."""
    took = []
    for _ in range(CALLS):
        start_ns = time.perf_counter_ns()
        call()
        took.append(time.perf_counter_ns() - start_ns)
    return median(took)


def steps(place: Place, sizes: Sizes) -> Iterator[Measured]:
    """In each round both files are new; the time asked for is when half of the versions were."""
    few, many = f"{place.path}/few", f"{place.path}/many"
    past = {}
    for name, versions in ((few, FEW), (many, sizes.versions)):
        for number in range(versions):
            if number == versions // 2:
                past[name] = f"{datetime.now(UTC):%Y-%m-%dT%H-%M-%S.%f}"[:-3] + "Z"
            write_each([name], os.O_CREAT | os.O_TRUNC)

    def ratio(call: Callable[[str], object]) -> float:
        return middle_ns(lambda: call(many)) / middle_ns(lambda: call(few))

    def list_versions(name: str) -> None:
        os.listdir(place.path / ".versions" / Path(name).name)

    def look_back(name: str) -> None:
        os.stat(place.path / ".versions" / f"@{past[name]}" / Path(name).name)

    yield LIST.told(ratio(list_versions) * FEW / sizes.versions)
    yield AT_TIME.told(ratio(look_back))
    yield WRITE.told(ratio(lambda name: write_each([name], os.O_TRUNC)))
    os.unlink(few)
    os.unlink(many)


GROUP: Final = Group("history", (WRITE, LIST, AT_TIME), steps, makes)
