"""Files, commands and options that pages name are there."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from s3fs_local.cli.main import program

PROJECT = Path(__file__).parent.parent.parent
PAGES = sorted([*PROJECT.glob("*.md"), *PROJECT.glob("docs/*.md")])

FILE = re.compile(r"`((?:[\w-]+/)+[\w.-]+\.(?:py|sql|md))`")
COMMAND = re.compile(r"(?<![\w/.-])s3fs-local ([^`\n]*)")
END_OF_COMMAND = re.compile(r"\s#|\s-->|[|<>;…]|`|$")


def missing_files(page: Path) -> list[str]:
    """Paths in the page that lead nowhere, from the project's root, the package or the page."""
    roots = (PROJECT, PROJECT / "s3fs_local", page.parent)
    named = FILE.findall(page.read_text())
    return [name for name in named if not any((root / name).exists() for root in roots)]


def unknown_words(page: Path) -> Iterator[str]:
    """Commands and options in the page that the program does not have."""
    for line in COMMAND.findall(page.read_text()):
        words = END_OF_COMMAND.split(line, maxsplit=1)[0].replace("|", " ").split()
        command: click.Command = program
        while words and isinstance(command, click.Group) and not words[0].startswith("-"):
            known = command.commands.get(words.pop(0))
            if known is None:
                yield line
                break
            command = known
        options = {name for one in (program, command) for p in one.params for name in p.opts}
        options |= {"--help", "--version"}
        yield from (
            f"{word} in {line}"
            for word in words
            if word.startswith("--") and word.partition("=")[0] not in options
        )


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_files_named_in_pages_are_there(page: Path) -> None:
    """A reader who is sent to a file finds it."""
    assert missing_files(page) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_commands_in_pages_are_commands(page: Path) -> None:
    """Nobody types a line of a page and is told that it does not exist."""
    assert [words for words in unknown_words(page) if not words.startswith("COMMAND")] == []


def test_the_check_sees_what_is_not_there(tmp_path: Path) -> None:
    """A check that finds nothing must be able to find something."""
    page = tmp_path / "page.md"
    page.write_text(
        "See `engine/nowhere.py`.\n\n    $ s3fs-local fly x\n    s3fs-local gc --fast\n"
    )

    assert missing_files(page) == ["engine/nowhere.py"]
    assert len(list(unknown_words(page))) == 2
