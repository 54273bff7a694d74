"""The engine beside its executable reference, with crashes and power cuts, all of it in memory."""

from tests.campaigns.line import Figures, Piece
from tests.campaigns.searching import search
from tests.simulation.operations import Operation
from tests.simulation.test_engine_against_reference import HISTORIES, go_through


def run(piece: Piece) -> Figures:
    """As many histories; each must end as the reference says at every step."""
    operations = 0

    def check(history: list[Operation]) -> None:
        nonlocal operations
        operations += len(history)
        go_through(history)

    search(piece, HISTORIES, check)
    return {"operations": operations, "differences": 0}
