"""Commands about where bytes are kept: zone, scrub, fsck."""

from pathlib import Path

import click
from msgspec import Struct

from s3fs_local import errors
from s3fs_local.cli.command_group import CommandGroup
from s3fs_local.cli.exit_codes import ExitCode
from s3fs_local.cli.options import (
    ANY_PLACE,
    dry_run_option,
    json_option,
    store_argument,
    yes_option,
)
from s3fs_local.cli.output import confirm, human_size, print_json, print_line, print_table
from s3fs_local.cli.store_access import KeySources, ask, confirm_what_would_be, store_of
from s3fs_local.control.requests import AddZone, ListZones, RemoveZone, RepairZone, Scrub
from s3fs_local.control.results.zones import ScrubResult, ZoneDescription, ZoneListing
from s3fs_local.daemon.unlocking import Unlocking
from s3fs_local.rules.instants import format_rfc3339


class RebuiltStore(Struct, frozen=True, rename="pascal"):
    """What `fsck --rebuild` prints."""

    store: str
    zones: list[str]
    files: int
    versions: int
    recovered_files: int
    known_until: str | None = None  # where the journal was lost, too


class LostJournal(Struct, frozen=True, rename="pascal"):
    """What `fsck --without-journal` prints."""

    store: str
    cause: str
    loses_nothing: bool
    known_until: str
    from_ledger: bool
    dry_run: bool


@click.command()
@click.argument("store", type=ANY_PLACE)
@click.option("--repair", is_flag=True, help="Mend damaged copies from other zones.")
@click.option("--rebuild", is_flag=True, help="Make the metadata anew from the zones.")
@click.option(
    "--zone", "zones", multiple=True, metavar="URL", help="With --rebuild: the zones that are left."
)
@click.option(
    "--without-journal",
    is_flag=True,
    help="Go on where the journal is lost; says first what that gives up.",
)
@click.option("--yes", is_flag=True, help="With --without-journal: do not ask.")
@click.option(
    "--dry-run",
    is_flag=True,
    help="With --without-journal: say what would happen, and change nothing.",
)
@json_option
@click.pass_context
def fsck(  # noqa: PLR0913  an argument each
    context: click.Context,
    store: Path,
    zones: tuple[str, ...],
    *,
    repair: bool,
    rebuild: bool,
    without_journal: bool,
    yes: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Read every copy and the database, and say what is wrong; exit code 9 where something is.

    Nothing is changed without --repair. What is broken off is simply begun again.
    """
    if (yes or dry_run) and not without_journal:
        raise click.UsageError("--yes and --dry-run go with --without-journal")
    if without_journal:
        if rebuild or repair:
            raise click.UsageError("--without-journal goes alone")
        _go_on_without_journal(context, store, yes=yes, dry_run=dry_run, as_json=as_json)
        return
    if not rebuild:
        if zones:
            raise click.UsageError("--zone goes with --rebuild")
        request = Scrub(mends=repair, checks_metadata=True)
        found = ask(store_of(str(store)), request, ScrubResult, quiet=as_json)
        _print_scrub(context, found, as_json=as_json)
        return
    # The engine is imported only by commands that need it.
    from s3fs_local.daemon.rebuilding import rebuild as rebuild_store  # noqa: PLC0415

    sources = context.find_object(KeySources) or KeySources()
    try:
        unlocking = sources.unlocking(store)
    except errors.NotAStore:
        unlocking = Unlocking()
    made = rebuild_store(store, unlocking, zones=zones)
    urls = [zone.url for zone in made.record.zones]
    until = None if made.lost is None else format_rfc3339(made.lost.known_until_ns)
    rebuilt = RebuiltStore(
        str(store), urls, made.files, made.versions, made.recovered_files, known_until=until
    )
    if as_json:
        print_json(rebuilt)
        return
    print_line(
        f"rebuilt {store} from {len(urls)} zones: {made.files} files, {made.versions} versions"
    )
    if made.recovered_files:
        print_line(f"recovered what was unclosed in {made.recovered_files} files")
    if until is not None:
        print_line(f"no zone has the journal: what came after {until} is lost, if anything did")


def _go_on_without_journal(
    context: click.Context, store: Path, *, yes: bool, dry_run: bool, as_json: bool
) -> None:
    # As above.
    from s3fs_local.daemon import journal_loss  # noqa: PLC0415

    sources = context.find_object(KeySources) or KeySources()
    unlocking = sources.unlocking(store)
    loss = journal_loss.look_at_loss(store, unlocking)
    until = format_rfc3339(loss.known_until_ns)
    if loss.loses_nothing:
        sentence = (
            f"The journal is lost ({loss.cause}). The store was closed cleanly, and its database"
            " has all that the journal had: nothing is lost."
        )
    else:
        source = "ledger" if loss.from_ledger else "database"
        sentence = (
            f"The journal is lost ({loss.cause}). The {source} has what was done until {until}."
            " What came later is lost for good, if anything did: also what programs fsynced, locks"
            " that were set, and content of files that were open."
        )
    if not dry_run:
        confirm(f"{sentence} The store goes on without its journal.", yes=yes)
        loss = journal_loss.go_on_without_journal(store, unlocking)
    if as_json:
        found = LostJournal(
            str(store), loss.cause, loss.loses_nothing, until, loss.from_ledger, dry_run
        )
        print_json(found)
        return
    print_line(sentence)
    if not dry_run:
        print_line(f"{store} can be mounted again")


@click.group(cls=CommandGroup)
def zone() -> None:
    """Say where a store keeps its bytes."""


@zone.command("list")
@store_argument
@json_option
def list_zones(store: str, *, as_json: bool) -> None:
    """List the zones, how they are doing, and what they lack."""
    found = ask(store_of(store), ListZones(), ZoneListing, quiet=as_json)
    if as_json:
        print_json(found)
        return
    print_table(
        ["zone", "kind", "state", "holds", "in shares", "lacks", "free"],
        [
            [
                row.url,
                row.kind,
                f"{row.state}: {row.reason}" if row.reason else row.state,
                human_size(row.bytes),
                human_size(row.share_bytes),
                human_size(row.missing_bytes),
                human_size(row.free_bytes),
            ]
            for row in found.zones
        ],
    )


@zone.command("add")
@store_argument
@click.argument("url")
@json_option
def add_zone(store: str, url: str, *, as_json: bool) -> None:
    """Give a store one more zone: an empty directory, or s3://bucket/prefix?endpoint=URL."""
    found = ask(store_of(store), AddZone(url=_absolute(url)), ZoneDescription, quiet=as_json)
    if as_json:
        print_json(found)
    else:
        print_line(f"{found.url} is a zone now, and {found.state}")


@zone.command("remove")
@store_argument
@click.argument("url")
@yes_option
@dry_run_option
@json_option
def remove_zone(store: str, url: str, *, yes: bool, dry_run: bool, as_json: bool) -> None:
    """Take a zone away; what it alone holds is copied to others first."""
    where = store_of(store)
    request = RemoveZone(url=url, dry_run=dry_run, seen_from=str(Path.cwd()))

    def warning(would: ZoneDescription) -> str:
        return f"{would.url} will be a zone of {store} no more."

    confirm_what_would_be(
        where, request, ZoneDescription, warning, yes=yes or dry_run, quiet=as_json
    )
    found = ask(where, request, ZoneDescription, quiet=as_json)
    if as_json:
        print_json(found)
    elif dry_run:
        print_line(f"{found.url} would be removed")
    else:
        print_line(f"{found.url} is a zone no more; what lies there may be deleted")


@zone.command("repair")
@store_argument
@click.argument("url")
@json_option
@click.pass_context
def repair_zone(context: click.Context, store: str, url: str, *, as_json: bool) -> None:
    """Make a zone whole: after a fault, or on a new and empty disk in the old one's place."""
    request = RepairZone(url=url, seen_from=str(Path.cwd()))
    found = ask(store_of(store), request, ScrubResult, quiet=as_json)
    _print_scrub(context, found, as_json=as_json)


@click.command()
@store_argument
@json_option
@click.pass_context
def scrub(context: click.Context, store: str, *, as_json: bool) -> None:
    """Read every copy in every zone, and mend what is damaged; exit code 9 where that fails."""
    found = ask(store_of(store), Scrub(), ScrubResult, quiet=as_json)
    _print_scrub(context, found, as_json=as_json)


def _print_scrub(context: click.Context, found: ScrubResult, *, as_json: bool) -> None:
    if as_json:
        print_json(found)
    else:
        print_line(f"read {found.copies} copies of packs, {human_size(found.bytes)}")
        for piece in found.damaged:
            end = "repaired" if piece.repaired else "not repaired"
            print_line(f"damaged in {piece.zone}: {piece.name}: {end}")
        for problem in found.metadata:
            print_line(f"the database is damaged: {problem}")
    if found.metadata or not all(piece.repaired for piece in found.damaged):
        context.exit(ExitCode.DEGRADED)


def _absolute(url: str) -> str:
    """A path as it is meant here: the daemon works elsewhere."""
    return url if "://" in url else str(Path(url).absolute())
