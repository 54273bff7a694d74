"""Random histories by a seed, and the shortest part of one that still fails."""

import traceback
from collections.abc import Callable, Collection, Sequence
from random import Random  # noqa: TID251 - with a seed, repeatable on purpose
from typing import Final

from tests.simulation.operations import (
    BACKGROUND,
    BY_ITSELF,
    OF_REGIONS,
    OF_TURNOVER,
    Kind,
    Operation,
)

UNLIKE_THERE: Final = frozenset(
    (
        *(Kind.PROTECT, Kind.APPEND_ONLY),
        *(Kind.SET_CLASS, Kind.RETRIEVE, Kind.ADVANCE_RETRIEVALS, Kind.SET_VERSIONING),
    )
)
"""What is not told to another region, or means something else there."""
HISTORY_OPERATIONS: Final = 150
NUMBERS_MAX: Final = 11
RARELY: Final = frozenset(
    (Kind.POWER_CUT, Kind.RESTORE_ROOT, Kind.DAYS_GO_BY, Kind.APPEND_ONLY, Kind.SET_DATE)
)
"""They end much of what was being built up."""
OFTEN: Final = frozenset(
    (
        *(Kind.CREATE, Kind.WRITE, Kind.APPEND, Kind.CLOSE, Kind.PURGE, Kind.SET_CLASS),
        *(Kind.SETTLE_CLASSES, Kind.COLLECT_GARBAGE, Kind.BRING_BACK, Kind.GO_ON),
        *OF_TURNOVER,
        *(Kind.TELL, Kind.GO_ON_AND_DIE, Kind.RETAIN, Kind.PUT_LIFECYCLE, Kind.MIDNIGHT),
    )
)

LOCKING: Final = (
    *(Kind.CREATE, Kind.MKDIR, Kind.MKNOD, Kind.RENAME, Kind.RENAME_OVER, Kind.UNLINK, Kind.LINK),
    *(Kind.OPEN, Kind.WRITE, Kind.APPEND, Kind.TRUNCATE, Kind.CLOSE, Kind.CLOSE_DUPLICATE),
    *(Kind.RETAIN, Kind.CLEAR_RETENTION, Kind.HOLD, Kind.LIFT_HOLD, Kind.APPEND_ONLY, Kind.PURGE),
    *(Kind.RESTORE, Kind.UPKEEP, Kind.FSYNC, Kind.CRASH, Kind.POWER_CUT, Kind.SET_DATE),
    *(Kind.DAYS_GO_BY, Kind.PROTECT, *(Kind.CHMOD, Kind.TOUCH, Kind.LOCK_QUIET) * 3),
)
"""What becomes of files that directories lock."""
NAMING: Final = (
    *(Kind.CREATE, Kind.MKDIR, Kind.SYMLINK, Kind.LINK, Kind.UNLINK, Kind.RMDIR, Kind.EXCHANGE),
    *(Kind.RENAME, Kind.RENAME_OVER, Kind.WRITE, Kind.CLOSE, Kind.CHMOD, Kind.RESTORE, Kind.PURGE),
    *(Kind.UTIMES, Kind.CRASH, Kind.UPKEEP, Kind.TELL, Kind.WAY_BREAKS, Kind.OTHER_SIDE_DIES),
    *(Kind.GO_ON,) * 4,
)
"""What becomes of names, told again and again."""
TURNING_OVER: Final = (
    *(Kind.CREATE, Kind.WRITE, Kind.APPEND, Kind.CLOSE, Kind.UNLINK, Kind.PURGE, Kind.RENAME_OVER),
    *(Kind.SET_CLASS, Kind.SETTLE_CLASSES, Kind.COLLECT_GARBAGE, Kind.ROTATE_KEYS, Kind.SCRUB),
    *(Kind.FSYNC, Kind.UPKEEP, Kind.LEAVE_SEGMENT, Kind.CRASH, Kind.POWER_CUT),
    *(Kind.ZONE_GOES, Kind.ZONE_COMES, Kind.ZONE_EMPTIED, Kind.ZONE_ROTS, Kind.ZONE_FLICKERS),
    *(Kind.ADD_ZONE, Kind.REMOVE_ZONE, Kind.BRING_BACK, Kind.GO_ON_AND_DIE),
    *(Kind.ADD_ZONE, Kind.REMOVE_ZONE, *(Kind.GO_ON,) * 6),
)
"""What becomes of bytes while zones come and go."""
ONE_OF_EACH_KIND: Final = tuple(
    step
    for change in (Operation(Kind.ADD_ZONE, 1), *(Operation(Kind.REMOVE_ZONE),) * 2)
    for step in (change, *(Operation(Kind.GO_ON, 0, NUMBERS_MAX),) * 6)
)
"""A hot zone is left, and a cold one: what is written lies in one zone."""
LOCKS_AND_AGE: Final = frozenset(
    (
        *(Kind.RETAIN, Kind.CLEAR_RETENTION, Kind.HOLD, Kind.LIFT_HOLD, Kind.APPEND_ONLY),
        *(Kind.PROTECT, Kind.LOCK_QUIET, Kind.TOUCH, Kind.SET_DATE),
        *(Kind.RETRIEVE, Kind.ADVANCE_RETRIEVALS),
        *(Kind.PUT_LIFECYCLE, Kind.RUN_LIFECYCLE, Kind.MIDNIGHT),
    )
)
"""What zones do is found sooner without them."""

Check = Callable[[Sequence[Operation]], None]


def history(seed: int, *, without: Collection[Kind] = ()) -> list[Operation]:
    """The operations that the seed means, of all kinds or of all but some."""
    chosen = Random(seed)  # noqa: S311 - repeatable on purpose
    left_out = {*without, *OF_REGIONS, *OF_TURNOVER, Kind.SET_VERSIONING}
    kinds = [kind for kind in Kind if kind not in left_out]
    return _drawn(chosen, kinds)


def history_of_regions(seed: int) -> list[Operation]:
    """Likewise, with another region that is told what happens."""
    chosen = Random(seed)  # noqa: S311 - repeatable on purpose
    kinds = [kind for kind in Kind if kind not in UNLIKE_THERE | OF_TURNOVER]
    return [Operation(Kind.TELL), *_drawn(chosen, kinds)]


def history_of_turnover(seed: int) -> list[Operation]:
    """Likewise, of a store that is given zones, and has zones taken away."""
    chosen = Random(seed)  # noqa: S311 - repeatable on purpose
    return [*(ONE_OF_EACH_KIND if chosen.randint(0, 1) else ()), *_drawn(chosen, TURNING_OVER)]


def history_of_a_removal(steps: int) -> list[Operation]:
    """The only hot zone goes, and after so many steps of it a file is written and saved."""
    writing = (Operation(Kind.APPEND, 0, 0, 2), Operation(Kind.CLOSE))
    removing = (Operation(Kind.REMOVE_ZONE), *(Operation(Kind.GO_ON),) * steps)
    meanwhile = (Operation(Kind.CREATE, 1), *writing)
    return [*ONE_OF_EACH_KIND, Operation(Kind.CREATE), *writing, *removing, *meanwhile]


def history_of_locks(seed: int) -> list[Operation]:
    """Likewise, of locks that fall by themselves, in directories that ask for them."""
    chosen = Random(seed)  # noqa: S311 - repeatable on purpose
    first, second = (chosen.randint(0, NUMBERS_MAX) for _ in range(2))
    asking = [Operation(Kind.MKDIR), Operation(Kind.PROTECT, 0, first, second)]
    return [*asking, *_drawn(chosen, LOCKING)]


def history_of_names(seed: int) -> list[Operation]:
    """Likewise, of names and little else: most tellings come to their end."""
    chosen = Random(seed)  # noqa: S311 - repeatable on purpose
    return [Operation(Kind.TELL), *_drawn(chosen, NAMING)]


def history_without_versioning(seed: int) -> list[Operation]:
    """Likewise, of a store without locks, where versioning is suspended now and then."""
    chosen = Random(seed)  # noqa: S311 - repeatable on purpose
    left_out = {*OF_REGIONS, *OF_TURNOVER, *LOCKS_AND_AGE}
    kinds = [kind for kind in Kind if kind not in left_out]
    return [Operation(Kind.SET_VERSIONING, 1), *_drawn(chosen, kinds)]


def _drawn(chosen: Random, kinds: Sequence[Kind]) -> list[Operation]:
    weights = [_weight(kind) for kind in kinds]
    return [
        Operation(kind, *(chosen.randint(0, NUMBERS_MAX) for _ in range(3)))
        for kind in chosen.choices(kinds, weights, k=HISTORY_OPERATIONS)
    ]


def _weight(kind: Kind) -> int:
    if kind in RARELY:
        return 1
    if kind in OFTEN:
        return 12
    return 5 if kind in BY_ITSELF | BACKGROUND else 4


def shortest(failing: Sequence[Operation], check: Check) -> list[Operation]:
    """A part of the history that still fails at the same place, and every piece of it matters."""
    kept = list(failing)
    place = _failure(kept, check)
    length = len(kept) // 2
    while length:
        start = 0
        while start < len(kept):
            fewer = kept[:start] + kept[start + length :]
            if _failure(fewer, check) == place:
                kept = fewer
            else:
                start += length
        length //= 2
    return kept


def _failure(operations: Sequence[Operation], check: Check) -> object:
    """What fails, and where; None where nothing does."""
    try:
        check(operations)
    except Exception as error:  # noqa: BLE001 - whatever it is, it fails
        frame = traceback.extract_tb(error.__traceback__)[-1]
        return type(error), frame.filename, frame.lineno
    return None


def as_code(operations: Sequence[Operation]) -> str:
    """The history as a test writes it down."""
    lines = [
        f"        Operation(Kind.{op.kind.name}, {op.first}, {op.second}, {op.third}),"
        for op in operations
    ]
    return "\n".join(["    [", *lines, "    ]"])
