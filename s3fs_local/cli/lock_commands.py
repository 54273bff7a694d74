"""Commands about WORM locks: retention, legal-hold, append-only, protect, why."""

from pathlib import Path

import click

from s3fs_local.charts.drawing import Look, check_can_draw, save
from s3fs_local.charts.figures import lock_chart
from s3fs_local.cli.command_group import CommandGroup
from s3fs_local.cli.options import (
    ANY_PATH,
    bypass_options,
    chart_option,
    json_option,
    path_argument,
    paths_argument,
    store_argument,
)
from s3fs_local.cli.output import human_size, print_json, print_line, print_table
from s3fs_local.cli.store_access import ask, place, places, store_of
from s3fs_local.control.requests import (
    ClearLegalHold,
    ClearRetention,
    DescribeRetention,
    Explain,
    ListLegalHolds,
    ListLockEnds,
    Protect,
    Request,
    SetAppendOnly,
    SetLegalHold,
    SetRetention,
)
from s3fs_local.control.results.locks import (
    Explanation,
    HoldListing,
    LockCalendar,
    LockListing,
    LockRow,
    Policy,
)

mode_choice = click.Choice(["governance", "compliance"], case_sensitive=False)
cut_writers_option = click.option(
    "--cut-writers",
    is_flag=True,
    help="Lock even while programs have the file open for writing; their later writes fail.",
)
case_option = click.option("--case", required=True, help="The case that the hold is for.")
hold_reason_option = click.option("--reason", required=True, help="Why; kept in the record.")


@click.group(cls=CommandGroup)
def retention() -> None:
    """Keep versions from change and removal until a date."""


@retention.command("set")
@click.argument("mode", type=mode_choice)
@click.argument("until")
@paths_argument
@cut_writers_option
@bypass_options
@json_option
def set_retention(  # noqa: PLR0913  an argument each
    mode: str,
    until: str,
    paths: tuple[str, ...],
    *,
    cut_writers: bool,
    bypass_governance: bool,
    reason: str,
    as_json: bool,
) -> None:
    """Lock files UNTIL a date (2033-01-31) or for a period from now (30d, 7y).

    GOVERNANCE yields to root and the bypass group; COMPLIANCE yields to nobody before its date.
    """
    store, inside = places(paths)
    request = SetRetention(
        inside,
        mode=mode,
        until=until,
        cut_writers=cut_writers,
        bypass_governance=bypass_governance,
        reason=reason,
    )
    _print_locks(store, request, about=_only(paths), as_json=as_json)


@retention.command("info")
@path_argument
@json_option
def describe_retention(path: str, *, as_json: bool) -> None:
    """Show the lock of a file."""
    where = place(path)
    request = DescribeRetention(where.path)
    _print_locks(where.store, request, about=path, as_json=as_json)


@retention.command("calendar")
@store_argument
@chart_option("when locks end")
@json_option
def lock_calendar(store: str, chart: Path | None, *, as_json: bool) -> None:
    """Show when the retention of versions ends, counted by day, month or year."""
    if chart is not None:
        check_can_draw(chart)
    found = ask(store_of(store), ListLockEnds(), LockCalendar, quiet=as_json)
    if chart is not None:
        save(lock_chart(found, Look()), chart)
    if as_json:
        print_json(found)
    elif chart is None:
        rows = [
            [row.date, row.mode, str(row.versions), human_size(row.bytes)] for row in found.ends
        ]
        print_table([found.unit, "mode", "versions", "bytes"], rows)
        if found.held_versions:
            size = human_size(found.held_bytes)
            print_line(f"under a legal hold, without a date: {found.held_versions} ({size})")


@retention.command("clear")
@path_argument
@bypass_options
@json_option
def clear_retention(path: str, *, bypass_governance: bool, reason: str, as_json: bool) -> None:
    """Lift the retention of a file; GOVERNANCE that has not ended needs a bypass."""
    where = place(path)
    request = ClearRetention(where.path, bypass_governance=bypass_governance, reason=reason)
    _print_locks(where.store, request, about=path, as_json=as_json)


@click.group("legal-hold", cls=CommandGroup)
def legal_hold() -> None:
    """Hold versions for a case, without a date."""


@legal_hold.command("set")
@paths_argument
@case_option
@hold_reason_option
@cut_writers_option
@json_option
def set_legal_hold(
    paths: tuple[str, ...], case: str, reason: str, *, cut_writers: bool, as_json: bool
) -> None:
    """Hold files for a case."""
    store, inside = places(paths)
    request = SetLegalHold(inside, case=case, reason=reason, cut_writers=cut_writers)
    _print_locks(store, request, about=_only(paths), as_json=as_json)


@legal_hold.command("clear")
@paths_argument
@case_option
@hold_reason_option
@json_option
def clear_legal_hold(paths: tuple[str, ...], case: str, reason: str, *, as_json: bool) -> None:
    """Lift the hold of a case; other cases' holds stay."""
    store, inside = places(paths)
    request = ClearLegalHold(inside, case=case, reason=reason)
    _print_locks(store, request, about=_only(paths), as_json=as_json)


@legal_hold.command("list")
@store_argument
@click.option("--case", default="", help="Only the holds of this case.")
@json_option
def list_legal_holds(store: str, case: str, *, as_json: bool) -> None:
    """List the holds in a store."""
    listing = ask(store_of(store), ListLegalHolds(case), HoldListing, quiet=as_json)
    if as_json:
        print_json(listing)
        return
    print_table(
        ["case", "name", "version", "placed", "by", "reason"],
        [
            [hold.case, hold.key, hold.version_id, hold.placed, hold.owner.uid, hold.reason]
            for hold in listing.legal_holds
        ],
    )


@click.group("append-only", cls=CommandGroup)
def append_only() -> None:
    """Let files only grow."""


@append_only.command("set")
@paths_argument
@json_option
def set_append_only(paths: tuple[str, ...], *, as_json: bool) -> None:
    """Keep what is written: the files only grow. Of a directory: so do new files in it."""
    store, inside = places(paths)
    _print_locks(store, SetAppendOnly(inside), about=_only(paths), as_json=as_json)


@click.command()
@click.argument("directory", type=ANY_PATH)
@click.option("--mode", type=mode_choice, required=True, help="How new files are locked.")
@click.option("--for", "period", metavar="PERIOD", required=True, help="For how long: 30d, 7y.")
@click.option("--append-only", is_flag=True, help="New files are append-only, too.")
@click.option(
    "--commit",
    default="",
    metavar="close|quiet=10m|chmod",
    help="When a file is locked: at its last close, after a time without writes, or by"
    " `touch -a -d DATE f; chmod a-w f`.",
)
@click.option(
    "--semantics",
    type=click.Choice(["file", "s3"]),
    default=None,
    help="file: a locked file cannot be changed. s3: changing it makes a new version.",
)
@json_option
def protect(  # noqa: PLR0913  an argument each
    directory: str,
    mode: str,
    period: str,
    *,
    append_only: bool,
    commit: str,
    semantics: str | None,
    as_json: bool,
) -> None:
    """Lock every file that is made below a directory from now on.

    A directory's protection can only be made stricter. What is not said of --commit and
    --semantics stays as it was.
    """
    where = place(directory)
    request = Protect(
        where.path,
        mode=mode,
        period=period,
        append_only=append_only,
        commit=commit,
        semantics=semantics or "",
    )
    policy = ask(where.store, request, Policy, quiet=as_json, about=directory)
    if as_json:
        print_json(policy)
        return
    also = ", append-only" if policy.append_only else ""
    also += f", by {policy.commit}" if policy.commit != "close" else ""
    also += ", s3 semantics" if policy.semantics == "s3" else ""
    print_line(f"new files below {policy.key or '/'}: {policy.mode} for {policy.period}{also}")


@click.command()
@click.argument("operation")
@path_argument
@json_option
def why(operation: str, path: str, *, as_json: bool) -> None:
    """Explain whether an operation (write, unlink, purge-version, …) would be refused, and why."""
    where = place(path)
    request = Explain(operation, where.path)
    explanation = ask(where.store, request, Explanation, quiet=as_json, about=path)
    if as_json:
        print_json(explanation)
        return
    name = explanation.key or "/"
    if explanation.allowed:
        print_line(f"no lock forbids {explanation.operation} of {name}")
        return
    print_line(f"{name}: {explanation.rule}")
    if explanation.until:
        print_line(f"until: {explanation.until}")
    if explanation.who_may:
        print_line(f"who may: {explanation.who_may}")


def _print_locks(store: Path, request: Request, *, about: str, as_json: bool) -> None:
    listing = ask(store, request, LockListing, quiet=as_json, about=about)
    if as_json:
        print_json(listing)
        return
    print_table(["name", "version", "lock"], [_lock_cells(lock) for lock in listing.locks])


def _only(paths: tuple[str, ...]) -> str:
    """What an error is about; of several paths the answer itself names the one."""
    return paths[0] if len(paths) == 1 else ""


def _lock_cells(lock: LockRow) -> list[str]:
    rules = []
    if lock.object_lock_mode:
        rules.append(f"{lock.object_lock_mode} until {lock.object_lock_retain_until_date}")
    rules += [f"legal hold for {hold.case}" for hold in lock.legal_holds]
    if lock.append_only:
        rules.append("append-only")
    if lock.default_mode:
        rules.append(f"new files: {lock.default_mode} for {lock.default_period}")
    return [lock.key, lock.version_id or "-", ", ".join(rules) or "none"]
