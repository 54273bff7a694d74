"""The engine beside its executable reference, with all that a store does by itself, in memory."""

from collections.abc import Callable

from tests.campaigns.line import Failed, Figures, Piece
from tests.simulation.operations import Operation
from tests.simulation.pair import go_through
from tests.simulation.walk import (
    HISTORY_OPERATIONS,
    as_code,
    history,
    history_of_locks,
    history_of_names,
    history_of_regions,
    history_of_turnover,
    history_without_versioning,
    shortest,
)

SEEDS_A_PIECE = 1_000_000
"""So that no two pieces make the same history."""
REGIONS_EACH = 4
"""One history of so many has another region in it."""
NAMES_EACH = 16
"""One of so many is of names in it, and little else."""
LOCKS_EACH = 16
"""Likewise, of locks that fall by themselves."""
TURNOVER_EACH = 8
"""In one of so many zones are added and removed."""
SUSPENDED_EACH = 8
"""In one of so many versioning is suspended now and then."""


def run(piece: Piece) -> Figures:
    """As many operations in histories; each must end as the reference says at every step."""
    histories = -(-piece.size // HISTORY_OPERATIONS)
    for number in range(histories):
        seed = piece.seed * SEEDS_A_PIECE + number
        operations = _drawn_as(number)(seed)
        try:
            go_through(operations)
        except Exception as error:
            least = as_code(shortest(operations, go_through))
            raise Failed(f"{error!r}\n{least}") from error
    return {"histories": histories, "differences": 0}


def _drawn_as(number: int) -> Callable[[int], list[Operation]]:
    if number % REGIONS_EACH == 0:
        return history_of_names if number % NAMES_EACH == 0 else history_of_regions
    if number % LOCKS_EACH == 2:
        return history_of_locks
    if number % TURNOVER_EACH == 3:
        return history_of_turnover
    return history_without_versioning if number % SUSPENDED_EACH == 1 else history
