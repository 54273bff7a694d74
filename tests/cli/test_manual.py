"""The manual pages: complete, and good roff."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from s3fs_local.cli.exit_codes import ExitCode
from s3fs_local.cli.main import program
from s3fs_local.cli.manual import pages
from tests.mounting import run

PAGES = dict(pages("2026-11-28"))


def commands(group: click.Group, *names: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command that can be typed, with its words."""
    for name, command in group.commands.items():
        if command.hidden:  # that programs type
            continue
        if isinstance(command, click.Group):
            yield from commands(command, *names, name)
        else:
            yield (*names, name), command


def plain(text: str) -> str:
    """The page without the escapes of roff."""
    return re.sub(r"\\\[u[0-9A-F]+\]|\\&", "", text).replace("\\-", "-").replace("\\e", "\\")


@pytest.mark.parametrize("words", [words for words, _ in commands(program)], ids=" ".join)
def test_every_command_and_option_is_in_its_page(words: tuple[str, ...]) -> None:
    """What `--help` knows, `man` knows."""
    [command] = [known for names, known in commands(program) if names == words]
    page = plain(PAGES[f"s3fs-local-{words[0]}.1"])

    assert f"s3fs-local {' '.join(words)}" in page
    for option in command.params:
        if isinstance(option, click.Option) and not option.hidden:
            assert option.opts[0] in page


def test_the_first_page_leads_to_all_others_and_tells_the_exit_codes() -> None:
    """`man s3fs-local` is where people begin."""
    page = plain(PAGES["s3fs-local.1"])

    assert all(f"s3fs-local-{words[0]}(1)" in page for words, _ in commands(program))
    assert all(f"\n.B {code.value}\n" in page for code in ExitCode)


@pytest.mark.skipif(
    shutil.which("mandoc") is None or shutil.which("man") is None,
    reason="needs mandoc and man-db: scripts/setup --tests",
)
def test_the_pages_are_good_roff(tmp_path: Path) -> None:
    """Both readers of such pages have nothing to complain about."""
    for name, text in PAGES.items():
        (tmp_path / name).write_text(text)
    paths = sorted(tmp_path.iterdir())
    linted = run("mandoc", "-T", "lint", "-W", "warning", *paths, check=False)
    rendered = [run("man", "--warnings", "-l", "-Tutf8", path) for path in paths]

    assert (linted.stdout, linted.stderr) == ("", "")
    assert [page.stderr for page in rendered] == [""] * len(paths)
    assert all(page.stdout.strip() for page in rendered)
