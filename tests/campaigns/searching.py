"""Hypothesis as a campaign uses it: a seed decides, and what fails is shrunk to its least."""

import traceback
from collections.abc import Callable
from typing import TypeVar

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.campaigns.line import Failed, Piece

Example = TypeVar("Example")


def search(
    piece: Piece, examples: st.SearchStrategy[Example], check: Callable[[Example], None]
) -> None:
    """The check holds for as many examples as the piece is large. Raises Failed with the least."""

    @seed(piece.seed)
    @settings(
        max_examples=piece.size,
        derandomize=False,
        database=None,
        deadline=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )
    @given(examples)
    def holds(example: Example) -> None:
        check(example)

    try:
        holds()
    except Exception as failure:  # noqa: BLE001 - whatever it was, it is a failure
        words = "".join(traceback.format_exception(failure)[-6:])
        raise Failed(words) from None
