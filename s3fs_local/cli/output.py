"""How commands speak: tables, JSON, progress, questions and errors.

Results go to stdout, everything else to stderr, so that pipes carry results only.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import ClassVar, Final

import click
import msgspec
from msgspec import Struct

from s3fs_local import errors
from s3fs_local.cli.advice import advice_on
from s3fs_local.cli.exit_codes import ExitCode, exit_code_of
from s3fs_local.control.protocol import Progress
from s3fs_local.rules import printing

PROGRAM: Final = "s3fs-local"
human_size: Final = printing.human_size
printable: Final = printing.printable
ANY_WIDTH: Final = 1 << 20
PROGRESS_SECONDS: Final = 2.0
"""Between two lines about the progress of long work, where there is no terminal for a bar."""


class NotConfirmed(click.ClickException):
    """Nobody said yes to a destructive command."""

    exit_code: ClassVar[int] = ExitCode.NOT_CONFIRMED
    advice: ClassVar[str] = "Repeat the command with --yes; --dry-run shows what it would do."


def print_json(value: Struct) -> None:
    """The value as indented JSON, as `aws` prints it."""
    text = msgspec.json.format(msgspec.json.encode(value), indent=4)
    sys.stdout.buffer.write(text + b"\n")
    sys.stdout.flush()


def print_line(text: str) -> None:
    """One line of result."""
    click.echo(printable(text))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table for people on a terminal; the same cells separated by tabs in a pipe.

    Text is wrapped, but no word is cut: what a person copies, such as a time, must be whole. On a
    terminal too narrow for that the lines go on below.
    """
    if not sys.stdout.isatty():
        for row in rows:
            click.echo("\t".join(printable(cell) for cell in row))
        return
    if not rows:
        return
    from rich import box  # noqa: PLC0415  rich costs more than half of a start
    from rich.console import Console, ConsoleDimensions  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    shown = [[printable(cell) for cell in row] for row in rows]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_header=any(columns))
    for name, *cells in zip(columns, *shown, strict=True):
        table.add_column(name, no_wrap=not any(" " in cell for cell in cells))
    for row in shown:
        table.add_row(*row)
    console = Console(markup=False, highlight=False)
    anything = console.options.update(width=ANY_WIDTH)
    width = max(console.width, console.measure(table, options=anything).minimum)
    # Both, or a terminal that says nothing of itself counts as one of 80 columns.
    console.size = ConsoleDimensions(width, console.height)
    console.print(table)


def print_error(error: Exception, problem: str, advice: str, *, as_json: bool) -> None:
    """What was wrong with which input, and what to do: two lines on stderr, or one of JSON."""
    if as_json:
        told = {"Code": type(error).__name__, "Message": problem, "Advice": advice}
        click.echo(json.dumps({"Error": told}), err=True)
        return
    click.echo(f"{PROGRAM}: {printable(problem)}", err=True)
    click.echo(f"  {printable(advice)}", err=True)


def report(error: errors.S3fsLocalError, *, as_json: bool) -> ExitCode:
    """The error is told; returns the code to exit with."""
    print_error(error, str(error), advice_on(error), as_json=as_json)
    return exit_code_of(error)


def confirm(sentence: str, *, yes: bool) -> None:
    """Somebody agrees to what `sentence` says will happen.

    Raises:
        NotConfirmed: they do not, or there is nobody to ask.
    """
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise NotConfirmed(f"not done without --yes: {sentence}")
    click.echo(printable(sentence), err=True)
    if not click.confirm("Go on?", err=True):
        raise NotConfirmed("not done, as you wished")


@contextmanager
def shown_progress(*, quiet: bool) -> Iterator[Callable[[Progress], None]]:
    """Progress is a bar on a terminal, and a line every few seconds elsewhere."""
    if quiet:
        yield lambda _: None
    elif sys.stderr.isatty():
        with _progress_bar() as show:
            yield show
    else:
        yield _ProgressLines().show


@contextmanager
def _progress_bar() -> Iterator[Callable[[Progress], None]]:
    from rich.console import Console  # noqa: PLC0415  rich costs more than half of a start
    from rich.progress import Progress as Bar  # noqa: PLC0415

    with Bar(console=Console(stderr=True, markup=False), transient=True) as bar:
        task = bar.add_task("", total=None, visible=False)

        def show(progress: Progress) -> None:
            bar.update(
                task,
                visible=True,
                description=printable(progress.what),
                completed=progress.done,
                total=progress.total or None,
            )

        yield show


class _ProgressLines:
    """Says something every few seconds, so short work says nothing."""

    def __init__(self) -> None:
        self._said_s = time.monotonic()

    def show(self, progress: Progress) -> None:
        now_s = time.monotonic()
        if now_s - self._said_s >= PROGRESS_SECONDS:
            self._said_s = now_s
            of_total = f" of {progress.total}" if progress.total else ""
            click.echo(f"{printable(progress.what)}: {progress.done}{of_total}", err=True)
