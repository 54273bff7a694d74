"""What a line of the scorecard is: pieces of work that a seed decides, and what they come to."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

Figures = Mapping[str, float]
"""What was counted or measured. Those that begin with "most" are maxima, the others add up."""


class Failed(AssertionError):
    """A promise did not hold; the words show how, as short as it was got."""


class Piece(NamedTuple):
    """Work that stands alone: the same seed and size make it again."""

    seed: int
    size: int
    folder: Path  # empty, and removed afterwards


class Line(NamedTuple):
    """One line of the scorecard."""

    name: str
    promise: str  # what is attacked
    counts: str  # what a size counts, such as "kills"
    short: int
    long: int
    piece: int  # of so many at once; what is done survives the end of the run
    run: Callable[[Piece], Figures]  # raises Failed
    lacks: Callable[[], str] = lambda: ""  # what this machine has not; empty where it can be run


def added(one: Figures, other: Figures) -> Figures:
    """Both together."""
    both = dict(one)
    for name, value in other.items():
        if name.startswith("most"):
            both[name] = max(both.get(name, value), value)
        else:
            both[name] = both.get(name, 0) + value
    return both


def printed(figures: Figures) -> str:
    """In a row."""
    return ", ".join(f"{name} {_number(value)}" for name, value in figures.items())


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"
