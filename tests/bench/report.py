"""What a run found, as it is written to a file: every figure of every round, and what follows."""

from collections.abc import Iterable
from statistics import median
from typing import Final

from msgspec import Struct

from tests.bench.place import NATIVE, Measured
from tests.bench.row import FASTEST, Goal, Group, Row

FORMAT: Final = 1


class Figure(Struct, frozen=True, rename="pascal", omit_defaults=True):
    """One place in one round."""

    value: float
    cpu_us: float | None = None  # of the daemon, an operation
    requests: float | None = None  # an operation


class Verdict(Struct, frozen=True, rename="pascal"):
    """How one goal went; None where nobody knows."""

    peer: str  # "" = the bound is a number by itself
    bound: float
    at_least: bool  # else at most
    ratio: float | None
    met: bool | None


class RowReport(Struct, frozen=True, kw_only=True, rename="pascal"):
    """One row."""

    group: str
    name: str
    work: str
    unit: str
    subject: str
    note: str
    lacks: str  # what the machine had not, so that it was not measured
    figures: dict[str, list[Figure]]  # by place, in the order of rounds
    failures: dict[str, str]  # by place, in its own words
    verdicts: list[Verdict]

    def middle(self, place: str) -> float | None:
        """The median of the place; None where there is no figure."""
        figures = self.figures.get(place)
        return median(figure.value for figure in figures) if figures else None


class Machine(Struct, frozen=True, kw_only=True, rename="pascal"):
    """Where it was measured."""

    processor: str
    processors: int
    memory_mib: int
    kernel: str
    system: str
    filesystem: str  # below all places
    python: str
    load: float  # before the run, over a minute


class Report(Struct, frozen=True, kw_only=True, rename="pascal"):
    """One run."""

    format: int
    started: str
    seconds: float
    commit: str
    rounds: int
    first: bool  # before all else on the machine, peers alike
    sizes: dict[str, int]
    machine: Machine
    versions: dict[str, str]
    missing: dict[str, str]  # peers that are not installed, and the command that does it
    rows: list[RowReport]


class Found:
    """Figures of one group while it runs."""

    def __init__(self, group: Group) -> None:
        self.group = group
        self.figures: dict[str, dict[str, list[Figure]]] = {row.name: {} for row in group.rows}
        self.failures: dict[str, str] = {}

    def add(self, place: str, measured: Measured) -> None:
        """A figure more."""
        figure = Figure(measured.value, measured.cpu_us, measured.requests)
        self.figures[measured.row].setdefault(place, []).append(figure)

    def rows(self, lacks: str = "") -> list[RowReport]:
        """What there is so far."""
        return [
            RowReport(
                group=self.group.name,
                name=row.name,
                work=row.work,
                unit=row.unit.value,
                subject=self.group.subject,
                note=self.group.note,
                lacks=lacks,
                figures=self.figures[row.name],
                failures=self.failures,
                verdicts=list(verdicts(row, self.figures[row.name], self.group.subject)),
            )
            for row in self.group.rows
        ]


def verdicts(row: Row, figures: dict[str, list[Figure]], subject: str) -> Iterable[Verdict]:
    """How each goal of the row went."""
    middles = {
        place: median(figure.value for figure in of_place) for place, of_place in figures.items()
    }
    ours = middles.get(subject)
    for goal in row.goals:
        at_least = row.unit.more_is_better or goal.at_least
        theirs = _of_peer(row, goal, middles, subject)
        if ours is None or not theirs:
            yield Verdict(goal.peer, goal.bound, at_least, None, None)
            continue
        ratio = ours / theirs
        met = ratio >= goal.bound if at_least else ratio <= goal.bound
        yield Verdict(goal.peer, goal.bound, at_least, ratio, met)


def _of_peer(row: Row, goal: Goal, middles: dict[str, float], subject: str) -> float | None:
    if not goal.peer:
        return 1.0
    if goal.peer != FASTEST:
        return middles.get(goal.peer)
    peers = [value for place, value in middles.items() if place not in {NATIVE, subject}]
    best = max if row.unit.more_is_better else min
    return best(peers, default=None)
