"""The part of docs/performance.md that the last full run writes."""

from typing import Final

from tests.bench.report import Report
from tests.bench.table import costs, markdown, summary

BEGIN: Final = "<!-- written by scripts/bench --page: begin -->"
END: Final = "<!-- written by scripts/bench --page: end -->"
WORDS_MAX: Final = 200


def section(report: Report) -> str:
    """The figures, and how they came about."""
    machine = report.machine
    versions = ", ".join(f"{name}: {version}" for name, version in report.versions.items())
    lines = [
        (
            f"Run of {report.started[:16].replace('T', ' ')} UTC, commit `{report.commit}`,"
            f" {report.rounds} rounds, {report.seconds / 60:.0f} minutes. {summary(report)}."
        ),
        "",
        f"- Machine: {machine.processor}, {machine.processors} cores, {machine.memory_mib:,} MiB.",
        f"- System: {machine.system}, Linux {machine.kernel}, {machine.filesystem} below all.",
        f"- Python {machine.python}; load {machine.load:.1f} before the run.",
        f"- Versions: {versions}.",
        f"- Sizes: {', '.join(f'{name} {value:,}' for name, value in report.sizes.items())}.",
    ]
    if report.first:
        lines.append("- Other work ran at the time; all places alike had nice -20 before it.")
    for name, command in report.missing.items():
        lines.append(f"- {name} was not installed (`{command}`): what stands beside it is unknown.")
    notes = dict.fromkeys(f"- {row.group}: {row.note}." for row in report.rows if row.note)
    failures = dict.fromkeys(
        f"- {row.group}: failure of {place}: {words.splitlines()[0][:WORDS_MAX]}"
        for row in report.rows
        for place, words in row.failures.items()
    )
    lines += [*notes, *failures, "", markdown(report.rows).rstrip(), ""]
    lines += ["What an operation costs, where requests and CPU time were counted around it:", ""]
    lines += [costs(report.rows).rstrip(), ""]
    lines.append("![How far each goal is reached](images/performance.svg)")
    return "\n".join(lines)


def with_section(page: str, report: Report) -> str:
    """The page with the figures of the report in place of those it had.

    Raises:
        ValueError: the page has no place for them.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page lacks {BEGIN} or {END}")
    return f"{before}{BEGIN}\n{section(report)}\n{END}{after}"
