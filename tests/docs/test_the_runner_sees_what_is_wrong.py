"""A page that is wrong is found wrong: the runner of pages, tried on small pages."""

import pytest

from tests.docs.comparing import Comparison
from tests.docs.pages import (
    Block,
    Command,
    File,
    MisreadPage,
    blocks_of,
    not_run,
    overlooked,
    steps_of,
)

STORY = """# A page

<!-- run: cd ~/disk -->

Write it:

<!-- file: rules.json -->
```json
{"Rules": []}
```

```console
$ s3fs-local ls \\
    --all
one
two
$ true      # says nothing
```

    $ mount /srv/disk

<!-- not run: nobody has such
     a tape -->
```sh
tape rewind
```
"""


def test_a_page_is_read_into_what_its_reader_does() -> None:
    """Files, sessions with their output, hidden lines; and what is left out, with its cause."""
    assert list(steps_of(STORY)) == [
        Command(3, "cd ~/disk"),
        File(8, "rules.json", '{"Rules": []}\n'),
        Command(13, "s3fs-local ls \\\n    --all", shown="one\ntwo"),
        Command(17, "true      # says nothing"),
        Command(20, "mount /srv/disk"),
    ]
    assert [cause for _, cause in not_run(STORY)] == ["nobody has such a tape"]


@pytest.mark.parametrize(
    "text",
    [
        "<!-- not-run: misspelt -->\n```sh\ntrue\n```",
        "<!-- not run: a cause without a block -->\n\nText.",
        "```console\n$ true",
        "```console\noutput\n$ true\n```",
    ],
)
def test_what_cannot_be_understood_is_refused(text: str) -> None:
    """A misspelt word would silently leave out a test."""
    with pytest.raises(MisreadPage):
        list(steps_of(text))


def test_commands_in_a_block_of_no_kind_are_noticed() -> None:
    """Such a block is never run, so it must say that it is not meant to be."""
    text = "```text\n$ s3fs-local gc\n```\n\n    s3fs-local scrub\n\n```ini\n[disk]\n```\n"

    assert [block.text for block in overlooked(text)] == ["$ s3fs-local gc", "s3fs-local scrub"]
    assert list(steps_of(text)) == []
    assert all(isinstance(block, Block) for block in blocks_of(text))


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("made the store /srv/store", "made the store /srv/store\n"),
        ("until 2026-11-23T18:17:22.5Z", "until 2027-01-01T00:00:00.123456789Z"),
        ("a    b", "a         b"),
        ("…\nlast", "first\nsecond\nlast"),
        ("first\n…\nlast", "first\nlast"),
        ("first\n…", "first"),
        ("id  0123456789abcdef0123456789abcdef", "id 6447551ade74442ffde207fa25a6a809"),
        ("bash: f: Operation not permitted", "/dev/fd/9: line 7: f: Operation not permitted"),
        ("mounted (process 12)", "mounted (process 345)"),
    ],
)
def test_what_differs_each_time_is_no_difference(shown: str, printed: str) -> None:
    """Pages show real sessions, and nobody has that session again."""
    assert not Comparison().differs(shown=shown, printed=printed)


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("healthy", "failing"),
        ("healthy", "healthy\nnotice: something"),
        ("3 versions", "4 versions"),
        ("until 2026-11-23", "until tomorrow"),
        ("one\ntwo", "one two"),
        ("a.b", "axb"),
        ("first\n…\nlast", "first\nsecond"),
    ],
)
def test_everything_else_is(shown: str, printed: str) -> None:
    """A comparison that forgives too much keeps every page green."""
    assert Comparison().differs(shown=shown, printed=printed)


def test_numbers_may_vary_where_the_page_says_so() -> None:
    """Rates and sizes of a disk are nobody's promise; words around them are."""
    comparison = Comparison()

    assert not comparison.differs(shown="12 of 252.0", printed="3 of 1,024", numbers_vary=True)
    assert comparison.differs(shown="12 of 252.0", printed="3 from 1,024", numbers_vary=True)


def test_an_id_of_the_page_stands_for_the_one_of_this_run() -> None:
    """A version is shown once and named by its beginning later."""
    comparison = Comparison()
    comparison.differs(shown="x~d52yxyj.txt", printed="x~0kj4kps.txt")
    comparison.differs(shown="1hv2zt17cnq0m3wpm2jh", printed="1hv2zt1bkg5r1j9avq3m")

    assert comparison.translated("cat f --version d52y") == "cat f --version 0kj4"
    assert comparison.translated("cat f --version 1hv2zt17") == "cat f --version 1hv2zt1b"
    assert comparison.translated("cat f --version 3wpm") == "cat f --version j9av"
    assert comparison.translated("cat file") == "cat file"
