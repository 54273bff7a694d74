"""Commands about earlier contents: versions, log, diff, cat, restore, undelete, purge."""

import os
import sys
from contextlib import ExitStack, suppress
from itertools import zip_longest
from pathlib import Path
from typing import Final

import click
from msgspec import Struct
from msgspec.structs import replace

from s3fs_local.charts.drawing import Look, check_can_draw, save
from s3fs_local.charts.figures import versions_chart
from s3fs_local.cli.completing import (
    offer_paths,
    offer_times,
    offer_versions,
    offer_versions_and_words,
)
from s3fs_local.cli.differences import Chosen, fetched, show_difference
from s3fs_local.cli.options import (
    ANY_PATH,
    VERSION,
    at_option,
    bypass_options,
    chart_option,
    deleted_path_argument,
    dry_run_option,
    json_option,
    path_argument,
    paths_argument,
    version_option,
    yes_option,
)
from s3fs_local.cli.output import confirm, human_size, print_json, print_line, print_table
from s3fs_local.cli.store_access import ask, place, places
from s3fs_local.control.mount_table import Place
from s3fs_local.control.requests import (
    ListEvents,
    ListEventsBelow,
    ListVersions,
    Purge,
    ReadVersion,
    Restore,
    Undelete,
)
from s3fs_local.control.results.browsing import EventsBelow
from s3fs_local.control.results.versions import (
    Content,
    EventListing,
    MarkerRow,
    Removal,
    Restoration,
    RestoredRow,
    VersionListing,
    VersionRow,
    printed_key,
)
from s3fs_local.errors import InvalidArgument, IsADirectory, NoSuchVersion, Protected

LATEST: Final = "latest"
PREVIOUS: Final = "previous"


@click.command()
@paths_argument
@click.option("--deleted", is_flag=True, help="Only names that are no more.")
@click.option("--diff", "with_diff", is_flag=True, help="Show what each version changed.")
@chart_option("the size of each version over time")
@json_option
def versions(
    paths: tuple[str, ...],
    chart: Path | None,
    *,
    deleted: bool,
    with_diff: bool,
    as_json: bool,
) -> None:
    """List all versions of files, newest first; of a directory those of each name in it."""
    if chart is not None:
        check_can_draw(chart)
    store, inside = places(paths)
    listings = [
        ask(store, ListVersions(path), VersionListing, quiet=as_json, about=typed)
        for typed, path in zip(paths, inside, strict=True)
    ]
    listing = VersionListing(
        [row for one in listings for row in one.versions],
        [row for one in listings for row in one.delete_markers],
    )
    if deleted:
        listing = _only_deleted(listing)
    if chart is not None:
        if len({row.key for row in _in_order(listing)}) > 1:
            raise InvalidArgument("a chart shows one file: name one")
        save(versions_chart(listing, Look()), chart)
    if as_json:
        print_json(listing)
    elif with_diff:
        _print_with_differences(store, listing)
    else:
        _print_versions(listing)


def _only_deleted(listing: VersionListing) -> VersionListing:
    gone = {row.key for row in listing.delete_markers if row.is_latest}
    return VersionListing(
        [row for row in listing.versions if row.key in gone],
        [row for row in listing.delete_markers if row.key in gone],
    )


def _in_order(listing: VersionListing) -> list[VersionRow | MarkerRow]:
    """By name, then newest first; both kinds are in order already, and together must be so too."""
    rows: list[VersionRow | MarkerRow] = [*listing.versions, *listing.delete_markers]
    rows.sort(key=lambda row: row.last_modified, reverse=True)
    rows.sort(key=lambda row: row.key)
    return rows


def _print_versions(listing: VersionListing) -> None:
    print_table(
        ["version", "time", "size", "by", "name", ""],
        [
            [
                row.version_id,
                row.last_modified,
                human_size(row.size) if isinstance(row, VersionRow) else "-",
                row.owner.uid,
                row.key,
                _remarks(row),
            ]
            for row in _in_order(listing)
        ],
    )


def _print_with_differences(store: Path, listing: VersionListing) -> None:
    """Each version after a line about it, against the one before; of each name the newest first."""
    rows = _in_order(listing)
    for row, older in zip_longest(rows, rows[1:]):
        remarks = _remarks(row)
        print_line(f"{row.key}  {row.version_id}  {row.last_modified}  {remarks}".rstrip())
        if isinstance(row, MarkerRow):
            continue
        where = Place(store, os.fsencode(row.key))
        before = (
            Chosen(where, older.version_id)
            if isinstance(older, VersionRow) and older.key == row.key
            else None
        )
        _show(before, Chosen(where, row.version_id), about=row.key)


def _show(before: Chosen | None, after: Chosen | None, *, about: str) -> None:
    with ExitStack() as stack:
        show_difference(
            *(
                None if side is None else stack.enter_context(fetched(side, about=about))
                for side in (before, after)
            )
        )


def _remarks(row: VersionRow | MarkerRow) -> str:
    remarks = ["latest"] if row.is_latest else []
    if isinstance(row, MarkerRow):
        remarks.append("deleted")
    else:
        if row.object_lock_mode:
            remarks.append(f"{row.object_lock_mode} until {row.object_lock_retain_until_date}")
        if row.object_lock_legal_hold_status == "ON":
            remarks.append("legal hold")
    return ", ".join(remarks)


@click.command()
@path_argument
@json_option
def log(path: str, *, as_json: bool) -> None:
    """Tell what happened to a name, oldest first."""
    where = place(path)
    request = ListEvents(where.path)
    listing = ask(where.store, request, EventListing, quiet=as_json, about=path)
    if as_json:
        print_json(listing)
        return
    print_table(
        ["time", "event", "version", "size", "by"],
        [
            [
                event.time,
                event.event,
                event.version_id or "-",
                "-" if event.size is None else human_size(event.size),
                event.owner.uid,
            ]
            for event in listing.events
        ],
    )


@click.command()
@click.argument("directory", type=ANY_PATH, shell_complete=offer_paths)
@click.option("--since", metavar="TIME", help="Only what is not older.", shell_complete=offer_times)
@click.option("--until", metavar="TIME", help="Only what is not newer.", shell_complete=offer_times)
@click.option("--limit", default=50, show_default=True, help="So many instants, at most 1000.")
@json_option
def timeline(
    directory: str, since: str | None, until: str | None, limit: int, *, as_json: bool
) -> None:
    """Tell what happened below a directory, newest first.

    What somebody saved, moved or removed there, also in directories that are no more.
    """
    where = place(directory)
    request = ListEventsBelow(where.path, since=since, until=until, limit=limit)
    found = ask(where.store, request, EventsBelow, quiet=as_json, about=directory)
    if as_json:
        print_json(found)
        return
    print_table(
        ["time", "event", "version", "size", "by", "name"],
        [
            [
                event.time,
                event.event,
                event.version_id or "-",
                "-" if event.size is None else human_size(event.size),
                event.owner.uid,
                event.key + ("/" if event.kind == "directory" else ""),
            ]
            for event in found.events
        ],
    )
    if found.next is not None:
        print_line(f"for what was before: --until {found.next}")


@click.command()
@path_argument
@version_option
@at_option
def cat(path: str, version: str | None, at: str | None) -> None:
    """Write the content of a version to standard output."""
    where = place(path)
    sys.stdout.flush()
    request = ReadVersion(where.path, version=version, at=at)
    write = sys.stdout.buffer.write
    ask(where.store, request, Content, quiet=True, about=path, on_data=write)
    sys.stdout.buffer.flush()


class Difference(Struct, frozen=True, rename="pascal"):
    """How two versions of one file compare."""

    older: Content
    newer: Content
    identical: bool


@click.command()
@path_argument
@click.argument("older", type=VERSION, default=PREVIOUS, shell_complete=offer_versions_and_words)
@click.argument("newer", type=VERSION, default=LATEST, shell_complete=offer_versions_and_words)
@json_option
def diff(path: str, older: str, newer: str, *, as_json: bool) -> None:
    """Compare two versions of a file.

    Without version ids: the latest one with the one before. With one: the latest with that one.
    """
    where = place(path)
    with (
        fetched(Chosen(where, older), about=path) as before,
        fetched(Chosen(where, newer), about=path) as after,
    ):
        if as_json:
            identical = before.content.etag == after.content.etag
            print_json(Difference(before.content, after.content, identical=identical))
        else:
            show_difference(before, after)


@click.command()
@path_argument
@version_option
@at_option
@click.option(
    "--to", type=ANY_PATH, help="Make it under this name; what has its own name now stays."
)
@dry_run_option
@click.option("--diff", "with_diff", is_flag=True, help="As --dry-run, and show each difference.")
@json_option
def restore(  # noqa: PLR0913  an argument each
    path: str,
    version: str | None,
    at: str | None,
    to: str | None,
    *,
    dry_run: bool,
    with_diff: bool,
    as_json: bool,
) -> None:
    """Make a file or a whole tree what it was.

    Without --version and --at: the version before the latest. Nothing is lost by it: what is there
    now stays as a version, so every restore can be undone by another.
    """
    if version is not None and at is not None:
        raise InvalidArgument("give --version or --at, not both")
    where = place(path)
    target = None if to is None else _place_beside(to, where)
    request = Restore(where.path, version=version, at=at, to=target, dry_run=dry_run or with_diff)
    restoration = ask(where.store, request, Restoration, quiet=as_json, about=path)
    if with_diff and not as_json:
        _preview(restoration, where, request)
    _report(restoration, as_json=as_json)


def _preview(restoration: Restoration, where: Place, request: Restore) -> None:
    """Shows how the content of each file would change."""
    asked = printed_key(where.path)
    target = asked if request.to is None else printed_key(request.to)
    made = {change.key for change in restoration.changes if change.action == "make"}
    filled = {change.key for change in restoration.changes if change.action == "content"}
    for change in restoration.changes:
        # A name that is made again may get its content by a step of its own.
        is_shown = change.action == "make" and change.key not in filled
        if not is_shown and change.action not in {"content", "remove"}:
            continue
        is_new = change.key in made
        present = Chosen(Place(where.store, os.fsencode(change.key)))
        came_from = os.fsencode(asked + change.key.removeprefix(target))
        # Where nothing is named: see control.requests.Restore.
        default = None if request.at else LATEST if is_new else PREVIOUS
        was = Chosen(
            Place(where.store, came_from), version=request.version or default, at=request.at
        )
        with suppress(IsADirectory, NoSuchVersion):  # what has no content to show
            _show(
                None if is_new else present,
                None if change.action == "remove" else was,
                about=change.key,
            )


def _place_beside(to: str, where: Place) -> bytes:
    target = place(to)
    if target.store != where.store:
        raise InvalidArgument(f"{to} is in another store; copy the file there with `cat`")
    return target.path


@click.command()
@deleted_path_argument
@dry_run_option
@json_option
def undelete(path: str, *, dry_run: bool, as_json: bool) -> None:
    """Bring back a deleted file or tree, as it was at its deletion."""
    where = place(path)
    request = Undelete(where.path, dry_run=dry_run)
    restoration = ask(where.store, request, Restoration, quiet=as_json, about=path)
    _report(restoration, as_json=as_json)


def _report(restoration: Restoration, *, as_json: bool) -> None:
    """Prints what was done; exits with an error where a lock kept a part as it is."""
    done = [change for change in restoration.changes if change.reason is None]
    refused = [change for change in restoration.changes if change.reason is not None]
    if as_json:
        print_json(restoration)
    else:
        print_table(["action", "size", "name"], [_cells(change) for change in restoration.changes])
        verb = "to make" if restoration.dry_run else "made"
        print_line(f"changes {verb}: {len(done)}")
    if refused:
        raise Protected(f"{len(refused)} names stay as they are: {refused[0].reason}")


def _cells(change: RestoredRow) -> list[str]:
    size = "-" if change.size is None else human_size(change.size)
    return [change.action, size, change.key or "/"]


@click.command()
@path_argument
@click.option(
    "--version",
    type=VERSION,
    metavar="ID",
    required=True,
    help="Version id, or its beginning.",
    shell_complete=offer_versions,
)
@bypass_options
@dry_run_option
@yes_option
@json_option
def purge(  # noqa: PLR0913  an argument each
    path: str,
    version: str,
    *,
    bypass_governance: bool,
    reason: str,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Destroy one version for good; nothing brings it back."""
    where = place(path)
    preview = Purge(
        where.path,
        version=version,
        bypass_governance=bypass_governance,
        reason=reason,
        dry_run=True,
    )
    removal = ask(where.store, preview, Removal, quiet=as_json, about=path)
    if not dry_run:
        what = f"{_kind_of(removal).capitalize()} {removal.version_id} of {removal.key}"
        confirm(f"{what} will be destroyed for good.", yes=yes)
        # The whole id: what the confirmed beginning means may have changed meanwhile.
        request = replace(preview, version=removal.version_id, dry_run=False)
        removal = ask(where.store, request, Removal, quiet=as_json, about=path)
    if as_json:
        print_json(removal)
        return
    verb = "would be destroyed" if removal.dry_run else "is destroyed"
    print_line(f"{_kind_of(removal)} {removal.version_id} of {removal.key} {verb}")


def _kind_of(removal: Removal) -> str:
    return "delete marker" if removal.delete_marker else "version"
