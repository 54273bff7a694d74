"""The report as a picture: how far each goal was reached."""

from pathlib import Path
from typing import Final

from tests.bench.report import Report, Verdict

REACHED, SHORT = "#2a7f62", "#c8553d"
MOST: Final = 10.0  # times the goal; beyond it only the number tells


def reached(verdict: Verdict) -> float | None:
    """1 where the goal is just met, 2 where it is met twice over; None where unknown."""
    if not verdict.ratio:
        return None
    part = verdict.ratio / verdict.bound
    return part if verdict.at_least else 1 / part


def draw(report: Report, path: Path) -> None:
    """The file shows a bar for each goal, to the right of 1 where it is met."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - the extra `charts`

    bars = [
        (f"{row.work}  / {verdict.peer or 'goal'}", part)
        for row in reversed(report.rows)
        for verdict in reversed(row.verdicts)
        if (part := reached(verdict)) is not None
    ]
    figure = Figure(figsize=(10, 1.5 + 0.24 * len(bars)), layout="constrained")
    axes = figure.subplots()
    names = [name for name, _ in bars]
    values = [min(max(part, 1 / MOST), MOST) for _, part in bars]
    colours = [REACHED if part >= 1 else SHORT for _, part in bars]
    axes.barh(range(len(bars)), [v - 1 for v in values], left=1, color=colours)
    for place, (_, part) in enumerate(bars):
        axes.text(values[place], place, f" {part:.2g} ", va="center", fontsize=7, ha="left")
    axes.set_yticks(range(len(bars)), names, fontsize=7)
    axes.set_xscale("log")
    axes.set_xlim(1 / MOST, MOST * 1.3)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_title(f"How far each goal is reached (1 = just met): {report.started[:10]}")
    axes.margins(y=0.01)
    figure.savefig(path, metadata={"Date": None})
