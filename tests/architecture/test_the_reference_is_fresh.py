"""The pages below docs/reference/ are what the code of today writes."""

import inspect
import re
from pathlib import Path

import pytest

from s3fs_local.cli.reference import pages
from s3fs_local.engine import lock_attributes
from s3fs_local.engine.attribute_meanings import ATTRIBUTES

FOLDER = Path(__file__).parent.parent.parent / "docs/reference"
PAGES = pages()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_of_the_reference_says_what_the_code_does(name: str) -> None:
    """An option that nobody can look up might as well not be there."""
    told = (FOLDER / name).read_text() if (FOLDER / name).exists() else ""

    assert told == PAGES[name], (
        "make it anew: .venv/bin/python -m s3fs_local.cli.reference docs/reference"
    )


def test_there_is_no_page_that_nobody_writes() -> None:
    """It would stay as it is for ever."""
    assert {path.name for path in FOLDER.iterdir()} == set(PAGES)


def test_every_attribute_has_its_meaning() -> None:
    """Names are cases and comparisons in the code; each is in the table that users read."""
    source = inspect.getsource(lock_attributes)
    cases = re.findall(r'case b"([a-z-]+)"', source)
    readers = re.findall(r'^ +b"([a-z][a-z-]+)":', source, re.MULTILINE)

    assert {"version-id", "versions"} <= set(readers)
    assert set(cases) | set(readers) <= set(ATTRIBUTES)
    assert {name for name, row in ATTRIBUTES.items() if row.takes} == set(cases)
