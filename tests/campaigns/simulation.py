"""The engine beside its executable reference, with all that a store does by itself, in memory."""

from tests.campaigns.line import Failed, Figures, Piece
from tests.simulation.pair import go_through
from tests.simulation.walk import (
    HISTORY_OPERATIONS,
    as_code,
    history,
    history_of_regions,
    shortest,
)

SEEDS_A_PIECE = 1_000_000
"""So that no two pieces make the same history."""
REGIONS_EACH = 4
"""One history of so many has another region in it."""


def run(piece: Piece) -> Figures:
    """As many operations in histories; each must end as the reference says at every step."""
    histories = -(-piece.size // HISTORY_OPERATIONS)
    for number in range(histories):
        seed = piece.seed * SEEDS_A_PIECE + number
        drawn = history if number % REGIONS_EACH else history_of_regions
        operations = drawn(seed)
        try:
            go_through(operations)
        except Exception as error:
            least = as_code(shortest(operations, go_through))
            raise Failed(f"{error!r}\n{least}") from error
    return {"histories": histories, "differences": 0}
