"""The page of promises, and the mark of a test that proves one of them."""

import re
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import ParamSpec

PAGE = Path(__file__).parent.parent.parent / "docs/semantics.md"

P = ParamSpec("P")


def promises() -> list[str]:
    """The list items of the page, each as one line; each begins with a promise."""
    lines = re.findall(r"^- (.*(?:\n  \S.*)*)", PAGE.read_text(), re.MULTILINE)
    return [" ".join(line.split()) for line in lines]


def promise(sentence: str) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """The test proves this sentence, which begins an item of the page."""

    def mark(test: Callable[P, None]) -> Callable[P, None]:
        @wraps(test)
        def quoting(*args: P.args, **kwargs: P.kwargs) -> None:
            assert any(item.startswith(sentence) for item in promises()), "the page has changed"
            test(*args, **kwargs)

        return quoting

    return mark
