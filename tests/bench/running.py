"""Runs groups of rows: in each round the places take turns after every step."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from tests.bench.place import Measured, PeerFailed, Place, opened
from tests.bench.report import Found, RowReport
from tests.bench.row import FASTEST, Group
from tests.bench.sizes import Sizes

PART_WITHOUT_GOAL: Final = 2
"""Peers that no goal of a group names are there for orientation: half of the rounds will do."""

WORDS_MAX: Final = 300

Say = Callable[[str], None]


class Plan:
    """What is to be run, and with what."""

    def __init__(
        self, *, peers: Sequence[type[Place]], sizes: Sizes, rounds: int, folder: Path | None
    ) -> None:
        self.peers = peers
        self.sizes = sizes
        self.rounds = rounds
        self.folder = folder


def run_group(group: Group, plan: Plan, say: Say) -> list[RowReport]:
    """The rows of the group, measured; every place is taken away again, whatever happens."""
    found = Found(group)
    lacks = group.lacks()
    if lacks:
        say(f"{group.name}: not measured, this machine lacks {lacks}")
        return found.rows(lacks)
    with (
        tempfile.TemporaryDirectory(
            prefix="s3fs-local-bench-", dir=plan.folder, ignore_cleanup_errors=True
        ) as base,
        ExitStack() as stack,
    ):
        places = list(_opened(group, plan, Path(base), found, stack))
        named = {place.name for place in places} if FASTEST in group.beside() else group.beside()
        few = max(plan.rounds // PART_WITHOUT_GOAL, 1)
        for number in range(plan.rounds):
            turn = number % max(len(places), 1)
            in_order = places[turn:] + places[:turn]
            those = [p for p in in_order if p.name in named or number < few]
            _run_round(group, those, plan, found)
    for place, words in found.failures.items():
        say(f"{group.name}: {place} failed: {words[:WORDS_MAX]}")
    return found.rows()


def _opened(
    group: Group, plan: Plan, base: Path, found: Found, stack: ExitStack
) -> Iterator[Place]:
    if group.makes is None:
        made: Sequence[Place] = [peer(base) for peer in plan.peers]
    else:
        made = group.makes(base, plan.sizes)
    for place in made:
        try:
            yield stack.enter_context(opened(place))
        except Exception as failure:  # noqa: BLE001 - as below
            found.failures[place.name] = _words(failure, base)


def _run_round(group: Group, places: list[Place], plan: Plan, found: Found) -> None:
    turns = {
        place: group.steps(place, plan.sizes)
        for place in places
        if place.name not in found.failures
    }
    while turns:
        for place, steps in list(turns.items()):
            measured = _next(place, steps, found)
            if measured is None:
                del turns[place]
            else:
                found.add(place.name, measured)


def _next(place: Place, steps: Iterator[Measured], found: Found) -> Measured | None:
    """The next figure; None after the last, or where the place failed, which is noted."""
    try:
        return next(steps, None)
    except Exception as failure:  # noqa: BLE001 - one that breaks must not hide the others
        found.failures[place.name] = _words(failure, place.base.parent)
        return None


def _words(failure: Exception, base: Path) -> str:
    """What happened, without the folder that is made anew for each run."""
    told = isinstance(failure, PeerFailed | OSError)
    words = str(failure) if told else f"{type(failure).__name__}: {failure}"
    return words.replace(f"{base}/", "")
