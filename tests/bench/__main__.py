"""Measures this filesystem beside others: see `scripts/bench`."""

import argparse
import importlib.util
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
from msgspec.structs import replace

from tests.bench.all_groups import GROUPS, chosen
from tests.bench.machine import PROJECT, commit, split_by_found, this_machine
from tests.bench.ours import Ours
from tests.bench.page import with_section
from tests.bench.peers import PEERS
from tests.bench.place import NATIVE, Place
from tests.bench.report import FORMAT, Report, RowReport
from tests.bench.row import Group
from tests.bench.running import Plan, run_group
from tests.bench.sizes import FULL, QUICK, Sizes, with_sizes
from tests.bench.table import plain, summary

FIRST: Final = -20
"""Not a real-time policy: under one, programs in Go spin for ever, and all else starves."""
ROUNDS, QUICK_ROUNDS = 5, 3
PAGE: Final = PROJECT / "docs/performance.md"
LAST_RUN: Final = PROJECT / "docs/performance.json"
CHART: Final = PROJECT / "docs/images/performance.svg"


def say(words: str) -> None:
    """To whoever watches."""
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


def parsed(words: Sequence[str]) -> argparse.Namespace:
    """What was asked for."""
    rows = "\n".join(
        f"  {group.name:15} {', '.join(row.name for row in group.rows)}"
        for group in GROUPS.values()
    )
    sizes = ", ".join(f"{name} {value}" for name, value in FULL._asdict().items())
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description=f"Measures this filesystem beside others, by groups of rows:\n\n{rows}\n\n"
        f"Sizes of a full run: {sizes}.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="smaller sizes, three rounds")
    parser.add_argument("--rows", default="", metavar="A,B", help="only these rows or groups")
    parser.add_argument("--peers", default="", metavar="A,B", help="only beside these")
    parser.add_argument("--rounds", type=int, metavar="N", help="of which medians are shown")
    parser.add_argument(
        "--size", action="append", default=[], metavar="NAME=N", help="another size"
    )
    parser.add_argument("--folder", type=Path, help="where to work; the system's temporary folder")
    parser.add_argument(
        "--first", action="store_true", help="nice -20, for a machine with other work; needs root"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="all figures of all rounds")
    parser.add_argument("--chart", type=Path, metavar="FILE", help="how far goals are reached")
    parser.add_argument("--page", type=Path, metavar="JSON", help="write docs/performance.md of it")
    return parser.parse_args(words)


def peers_called(names: str) -> list[type[Place]]:
    """Those kinds of peers, the plain directory always; all for an empty text.

    Raises:
        ValueError: there is no such peer.
    """
    wanted = {name.strip() for name in names.split(",") if name.strip()}
    unknown = wanted - {kind.name for kind in PEERS}
    if unknown:
        known = ", ".join(kind.name for kind in PEERS)
        raise ValueError(f"no peer is called {', '.join(sorted(unknown))}; known: {known}")
    return [kind for kind in PEERS if not wanted or kind.name in wanted | {NATIVE}]


def sizes_of(options: argparse.Namespace) -> Sizes:
    """Those of the run, with what was asked for otherwise."""
    return with_sizes(QUICK if options.quick else FULL, options.size)


def measured(options: argparse.Namespace) -> Report:
    """A run; its file has all that is known after each group, should the rest be ended.

    Raises:
        ValueError: what was asked for is not there.
    """
    groups, kinds, sizes = chosen(options.rows), peers_called(options.peers), sizes_of(options)
    found, missing = split_by_found([*kinds, Ours])
    for name, command in missing.items():
        say(f"{name} is not installed, so nothing is known beside it: {command}")
    if options.first:
        os.nice(FIRST)
    rounds = options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS)
    report = Report(
        format=FORMAT,
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=0.0,
        commit=commit(),
        rounds=rounds,
        first=options.first,
        sizes=sizes._asdict(),
        machine=this_machine(options.folder or Path(tempfile.gettempdir())),
        versions={kind.name: kind.version() for kind in found},
        missing=missing,
        rows=[],
    )
    began = time.monotonic()
    plan = Plan(peers=found, sizes=sizes, rounds=rounds, folder=options.folder)
    for rows in rows_by_group(groups, plan):
        seconds = time.monotonic() - began
        report = replace(report, rows=[*report.rows, *rows], seconds=seconds)
        if options.json:
            options.json.write_bytes(msgspec.json.format(msgspec.json.encode(report)) + b"\n")
    return report


def rows_by_group(groups: list[Group], plan: Plan) -> Iterator[list[RowReport]]:
    """The rows of one group after the other, each shown as soon as it is there."""
    for group in groups:
        before = time.monotonic()
        rows = run_group(group, plan, say)
        say(f"{group.name} ({time.monotonic() - before:.0f} s)\n\n{plain(rows)}")
        yield rows


def draw_chart(report: Report, path: Path) -> None:
    """See `chart.draw`; says so where nothing can be drawn."""
    if importlib.util.find_spec("matplotlib") is None:
        sys.exit("scripts/bench: a chart needs matplotlib: pip install 's3fs-local[charts]'")
    from tests.bench.chart import draw  # noqa: PLC0415 - the extra `charts`

    draw(report, path)


def write_page(result: Path) -> None:
    """docs/performance.md shows the run of that file, which is kept beside it, and its chart."""
    raw = result.read_bytes()
    report = msgspec.json.decode(raw, type=Report)
    PAGE.write_text(with_section(PAGE.read_text(), report))
    LAST_RUN.write_bytes(raw)
    draw_chart(report, CHART)


def main() -> None:
    """Runs, and tells; whether goals were met does not matter for the exit code."""
    options = parsed(sys.argv[1:])
    if options.page:
        write_page(options.page)
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that nothing stays mounted
    try:
        report = measured(options)
    except ValueError as error:
        sys.exit(f"scripts/bench: {error}")
    except KeyboardInterrupt:
        sys.exit("scripts/bench: ended; everything is unmounted, and the file has what was done")
    say(f"goals: {summary(report)}")
    if options.chart:
        draw_chart(report, options.chart)


if __name__ == "__main__":
    main()
