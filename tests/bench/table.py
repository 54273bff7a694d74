"""The report as a table, for a terminal and for a page."""

from collections.abc import Iterator
from statistics import median

from tests.bench.report import Report, RowReport, Verdict
from tests.bench.row import Unit

UNKNOWN = "unknown"


def number(value: float | None) -> str:
    """With about three digits."""
    if value is None:
        return "-"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if abs(value) >= 1 or not value else f"{value:.2g}"


def goal_words(row: RowReport, verdict: Verdict) -> str:
    """What was to be reached, and whether it was."""
    sign = "≥" if verdict.at_least else "≤"
    of_what = f" x {verdict.peer}" if verdict.peer else f" {row.unit}"
    wanted = f"{sign} {verdict.bound:g}{of_what}"
    if verdict.ratio is None:
        return f"{wanted}: {UNKNOWN}"
    return f"{wanted}: {number(verdict.ratio)} {'met' if verdict.met else 'MISSED'}"


def places_of(rows: list[RowReport]) -> list[str]:
    """All places of the rows, in the order in which they appear."""
    return list(dict.fromkeys(place for row in rows for place in row.figures))


def tables(rows: list[RowReport]) -> Iterator[list[RowReport]]:
    """Rows that have the same places, together."""
    batch: list[RowReport] = []
    for row in rows:
        if batch and (row.group != batch[0].group and places_of([row]) != places_of(batch)):
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def markdown(rows: list[RowReport]) -> str:
    """For a page: one table for rows with the same places."""
    return "\n".join(line for batch in tables(rows) for line in _markdown_of(batch))


def _markdown_of(rows: list[RowReport]) -> Iterator[str]:
    places = places_of(rows)
    yield "| " + " | ".join(["work", *places, "goal"]) + " |"
    yield "|---" + "|---:" * len(places) + "|---|"
    for row in rows:
        cells = [f"{row.work}, {row.unit}"]
        cells += [number(row.middle(place)) for place in places]
        goals = [goal_words(row, verdict) for verdict in row.verdicts]
        if row.lacks:
            goals.append(f"not measured: lacks {row.lacks}")
        yield "| " + " | ".join([*cells, "; ".join(goals) or "-"]) + " |"
    yield ""


def costs(rows: list[RowReport]) -> str:
    """For a page: what an operation of ours costs, where the daemon was watched meanwhile."""
    lines = ["| work | µs | requests | CPU of the daemon, µs | CPU a request, µs |"]
    lines.append("|---|---:|---:|---:|---:|")
    for row in rows:
        figures = [f for f in row.figures.get(row.subject, []) if f.cpu_us and f.requests]
        if row.unit != Unit.MICROSECONDS or not figures:
            continue
        requests = median(f.requests or 0 for f in figures)
        cpu_us = median(f.cpu_us or 0 for f in figures)
        cells = (row.middle(row.subject), requests, cpu_us, cpu_us / requests)
        lines.append("| " + " | ".join([row.work, *map(number, cells)]) + " |")
    return "\n".join(lines) + "\n"


def plain(rows: list[RowReport]) -> str:
    """For a terminal."""
    lines = []
    for batch in tables(rows):
        places = places_of(batch)
        width = max(len(f"{row.work}, {row.unit}") for row in batch) + 2
        columns = [max(len(place), 9) + 2 for place in places]
        head = "".join(f"{p:>{w}}" for p, w in zip(places, columns, strict=True))
        lines.append(f"{'':{width}}{head}")
        for row in batch:
            values = (number(row.middle(place)) for place in places)
            cells = "".join(f"{v:>{w}}" for v, w in zip(values, columns, strict=True))
            goals = "; ".join(goal_words(row, verdict) for verdict in row.verdicts)
            lacks = f"not measured: lacks {row.lacks}" if row.lacks else ""
            lines.append(f"{row.work + ', ' + row.unit:{width}}{cells}   {goals}{lacks}")
        lines.append("")
    return "\n".join(lines)


def summary(report: Report) -> str:
    """How many goals were met, missed and unknown."""
    met = [verdict.met for row in report.rows for verdict in row.verdicts]
    return f"{met.count(True)} met, {met.count(False)} missed, {met.count(None)} {UNKNOWN}"
