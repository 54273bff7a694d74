"""How many zones must have a byte before anybody may rely on it.

Two numbers for an object with copies in n zones. The *quorum* is the least with which the store
goes on: half of n, rounded up, unless a person asks for more or fewer. And as long as two zones are
well, an acknowledgement waits for two, so that the loss of any one zone never takes what was
acknowledged: a store of two zones goes on with one, but does not rely on one while it has two.

    zones           1  2  3  4  5
    quorum          1  1  2  2  3
    waits for       1  2  2  2  3    (while all are well)
"""

from typing import Final

CAREFUL_COPIES: Final = 2
ZONES_MAX: Final = 16
MAJORITY: Final = 0
"""As the wanted quorum: half of the zones, rounded up."""


def quorum_of(copies: int, *, wanted: int = MAJORITY) -> int:
    """The least number of zones with which an object of so many copies may be written."""
    least = (copies + 1) // 2
    return least if wanted == MAJORITY else min(max(wanted, 1), copies)


def waits_for(quorum: int, alive: int) -> int:
    """How many zones an acknowledgement waits for, of `alive` that may still answer."""
    return max(quorum, min(CAREFUL_COPIES, alive))


def enough_to_know(in_sync: int, quorum: int) -> int:
    """How many of the zones that were in sync must be there to be sure of what was acknowledged.

    Each acknowledgement reached `waits_for(quorum, in_sync)` of them: so many that any set of this
    size has one of those.
    """
    return max(1, in_sync - waits_for(quorum, in_sync) + 1)
