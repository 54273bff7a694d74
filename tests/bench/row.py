"""What a row of the table is: a piece of work, how it is measured, and what it has to reach."""

from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Final, NamedTuple

from tests.bench.place import OURS, Measured, Place
from tests.bench.sizes import Sizes


class Unit(StrEnum):
    """In what a row is shown."""

    MICROSECONDS = "µs"  # an operation
    MILLISECONDS = "ms"
    SECONDS = "s"  # all operations together
    MEGABYTES = "MB/s"  # operations are bytes
    RATE = "/s"
    REQUESTS = "requests"
    MEBIBYTES = "MiB"
    TIMES = "x"  # a ratio by itself

    @property
    def more_is_better(self) -> bool:
        """Whether a greater number is the better one."""
        return self in {Unit.MEGABYTES, Unit.RATE}


FASTEST: Final = "the fastest peer"
"""Of all that are mounted: a plain directory is the limit, not a peer."""


class Goal(NamedTuple):
    """To be `bound` times a peer at most, or at least where more is better.

    Without a peer the bound is a number by itself, in the unit of the row.
    """

    bound: float
    peer: str = ""
    at_least: bool = False  # for a ratio by itself that is to be high


class Row(NamedTuple):
    """One row."""

    name: str
    work: str
    unit: Unit
    goals: tuple[Goal, ...] = ()

    def of(self, took_ns: int, operations: float) -> float:
        """The figure of so many operations (or bytes) in that time."""
        match self.unit:
            case Unit.MICROSECONDS:
                return took_ns / 1e3 / operations
            case Unit.MILLISECONDS:
                return took_ns / 1e6 / operations
            case Unit.MEGABYTES:
                return operations * 1e3 / took_ns
            case Unit.RATE:
                return operations * 1e9 / took_ns
            case _:
                return took_ns / 1e9

    def timed(self, place: Place, action: Callable[[], object], operations: float) -> Measured:
        """The work was done in the place; what it took of time, of the daemon and of requests."""
        before = place.usage()
        took_ns = place.time(action)
        return Measured(self.name, self.of(took_ns, operations), *place.used(before, operations))

    def told(self, value: float) -> Measured:
        """A figure that was found in another way."""
        return Measured(self.name, value)


Steps = Callable[[Place, Sizes], Iterator[Measured]]
"""Does the work of a round in a place. The places take turns after each figure it yields."""


class Group(NamedTuple):
    """Rows that share their files: the later steps work on what the earlier ones made."""

    name: str
    rows: tuple[Row, ...]
    steps: Steps
    makes: Callable[[Path, Sizes], Sequence[Place]] | None = None  # None: all peers take part
    subject: str = OURS  # the place that has to reach the goals
    lacks: Callable[[], str] = lambda: ""  # what this machine has not, and how to get it
    note: str = ""  # how it was measured, where that is not plain

    def beside(self) -> set[str]:
        """The places that goals name."""
        return {goal.peer for row in self.rows for goal in row.goals} | {self.subject}
