"""Command top: a live view of what a mount is doing."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click
import msgspec
from msgspec import Struct

from s3fs_local.cli.options import json_option, store_argument
from s3fs_local.cli.output import human_size, print_json, print_line, printable
from s3fs_local.cli.store_access import store_of
from s3fs_local.control.client import connect
from s3fs_local.control.requests import DescribeActivity
from s3fs_local.control.results.activity import ActivitySample, KindRow, RunningRow
from s3fs_local.errors import NotMounted

_NS_PER_SECOND: Final = 1_000_000_000
_NS_PER_MS: Final = 1_000_000


class Rate(Struct, frozen=True, rename="pascal"):
    """How one kind of request went between two samples."""

    kind: str
    per_second: float
    mean_ms: float
    bytes_per_second: float


class Load(Struct, frozen=True, kw_only=True, rename="pascal"):
    """What a mount did between two samples, the most time-consuming kind first."""

    seconds: float
    rates: list[Rate]
    failures: dict[str, int]
    running: list[RunningRow]
    open_files: int
    dirty_bytes: int
    journal_bytes: int
    fsyncs_per_second: float


def load_between(before: ActivitySample, after: ActivitySample) -> Load:
    """What happened from one sample to the next."""
    seconds = max(after.uptime_ns - before.uptime_ns, 1) / _NS_PER_SECOND
    earlier = {row.kind: row for row in before.kinds}
    grown = [
        (row, row.took_ns - was.took_ns, row.count - was.count, row.bytes - was.bytes)
        for row in after.kinds
        for was in (earlier.get(row.kind, KindRow(row.kind, 0, 0, 0)),)
        if row.count > was.count
    ]
    grown.sort(key=lambda entry: entry[1], reverse=True)
    failures = {
        name: count - before.failures.get(name, 0)
        for name, count in sorted(after.failures.items())
        if count > before.failures.get(name, 0)
    }
    return Load(
        seconds=seconds,
        rates=[
            Rate(row.kind, count / seconds, took_ns / count / _NS_PER_MS, size / seconds)
            for row, took_ns, count, size in grown
        ],
        failures=failures,
        running=after.running,
        open_files=after.open_files,
        dirty_bytes=after.dirty_bytes,
        journal_bytes=after.journal_bytes,
        fsyncs_per_second=(after.fsyncs - before.fsyncs) / seconds,
    )


@click.command()
@store_argument
@click.option(
    "--interval",
    type=click.FloatRange(min=0.05, max=3600),
    default=1.0,
    show_default=True,
    help="Seconds from one view to the next.",
)
@click.option("--count", type=click.IntRange(min=1), help="End after so many views.")
@json_option
def top(store: str, interval: float, count: int | None, *, as_json: bool) -> None:
    """Watch what a mount is doing: requests, times, bytes, and what waits. Ctrl-C ends it."""
    directory = store_of(store)
    loads = _loads(lambda: _sample(directory), interval, count)
    if as_json:
        for load in loads:
            print_json(load)
        return
    with _screen() as show:
        for load in loads:
            show(lines_of(load))


def _sample(directory: Path) -> ActivitySample:
    client = connect(directory)
    if client is None:
        raise NotMounted(f"{directory} is not mounted, so it does nothing")
    with client:
        answer = client.ask(DescribeActivity())
    return msgspec.convert(answer, ActivitySample)


def _loads(
    sample: Callable[[], ActivitySample], interval: float, count: int | None
) -> Iterator[Load]:
    before = sample()
    shown = 0
    while count is None or shown < count:
        time.sleep(interval)  # noqa: TID251  a command of its own: there is no event loop to block
        after = sample()
        yield load_between(before, after)
        before = after
        shown += 1


def lines_of(load: Load) -> list[str]:
    """The load as a person reads it."""
    summary = (
        f"open files {load.open_files}   dirty {human_size(load.dirty_bytes)}   "
        f"journal {human_size(load.journal_bytes)}   fsyncs {load.fsyncs_per_second:.1f}/s   "
        f"waiting {len(load.running)}"
    )
    lines = [
        summary,
        f"{'request':<12}{'per second':>12}{'mean ms':>12}{'bytes/s':>14}",
    ]
    lines += [
        f"{rate.kind:<12}{rate.per_second:>12.1f}{rate.mean_ms:>12.3f}"
        f"{human_size(round(rate.bytes_per_second)) if rate.bytes_per_second else '-':>14}"
        for rate in load.rates
    ]
    if not load.rates:
        lines.append("nothing was asked")
    lines += [f"refused     {name}: {number}" for name, number in load.failures.items()]
    lines += [
        f"waits       {row.kind} {row.path} for {row.for_ns / _NS_PER_SECOND:.1f} s "
        f"(uid {row.uid}, process {row.pid})"
        for row in load.running
    ]
    return [printable(line) for line in lines]


@contextmanager
def _screen() -> Iterator[Callable[[list[str]], None]]:
    """On a terminal each view takes the place of the one before; elsewhere they follow."""
    if not sys.stdout.isatty():
        yield _print_lines
        return
    from rich.console import Console  # noqa: PLC0415  rich costs more than half of a start
    from rich.live import Live  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    with Live(console=Console(markup=False, highlight=False), auto_refresh=False) as live:
        yield lambda lines: live.update(Text("\n".join(lines)), refresh=True)


def _print_lines(lines: list[str]) -> None:
    for line in [*lines, ""]:
        print_line(line)
    sys.stdout.flush()
