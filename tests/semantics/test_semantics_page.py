"""docs/semantics.md and the tests beside this one cannot part: each item has its test."""

import ast
from pathlib import Path

from tests.semantics.promises import promises

TESTS = sorted(Path(__file__).parent.glob("test_*.py"))


def quotes() -> list[str]:
    """The sentences that tests say they prove."""
    return [
        ast.literal_eval(node.args[0])
        for path in TESTS
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "promise"
    ]


def test_every_promise_is_proved() -> None:
    """A promise that no test holds is a wish."""
    proved = tuple(quotes())

    assert [item for item in promises() if not item.startswith(proved)] == []


def test_a_quote_is_a_whole_sentence() -> None:
    """Half a sentence may promise the opposite of the whole."""
    assert [quote for quote in quotes() if not quote.endswith((".", ":"))] == []
    assert len(promises()) > 50
