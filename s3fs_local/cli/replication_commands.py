"""Commands bucket replication, replication status and sync, promote, resync, and receive."""

from pathlib import Path
from typing import IO

import click

from s3fs_local.cli.command_group import CommandGroup
from s3fs_local.cli.options import (
    ANY_PLACE,
    dry_run_option,
    json_option,
    store_argument,
    yes_option,
)
from s3fs_local.cli.output import human_size, print_json, print_line, print_table
from s3fs_local.cli.store_access import KeySources, ask, confirm_what_would_be, store_of
from s3fs_local.cli.store_commands import bucket
from s3fs_local.control.requests import (
    ChangeReplication,
    DescribeReplication,
    DescribeReplicationStatus,
    Promote,
    RemoveReplication,
    Resync,
    SyncReplication,
)
from s3fs_local.control.results.replication import (
    Promotion,
    ReplicationLag,
    ReplicationStatus,
    ReplicationSync,
    ResyncListing,
)
from s3fs_local.control.results.store import Done
from s3fs_local.rules.replication_documents import ROOTS, ReplicationDocument
from s3fs_local.rules.s3_documents import DOCUMENT_BYTES_MAX, write_xml


@bucket.group("replication")
def bucket_replication() -> None:
    """Say what is copied to another region, as `aws s3api` says it."""


@bucket_replication.command("get")
@store_argument
@click.option("--xml", "as_xml", is_flag=True, help="As it goes over S3's wire.")
@json_option
def get_replication(store: str, *, as_xml: bool, as_json: bool) -> None:
    """Print the document that `aws s3api put-bucket-replication` takes."""
    del as_json  # it prints JSON in any case
    document = ask(store_of(store), DescribeReplication(), ReplicationDocument, quiet=True)
    if as_xml:
        click.echo(write_xml(document, root=ROOTS[0]).decode(), nl=False)
    else:
        print_json(document)


@bucket_replication.command("put")
@store_argument
@click.argument("file", type=click.File("rb"))
@json_option
def put_replication(store: str, file: IO[bytes], *, as_json: bool) -> None:
    """Take what `aws s3api put-bucket-replication` takes, or the XML; FILE may be -.

    A destination `arn:aws:s3:::NAME` is a store that `config set STORE remotes NAME=PATH` named.
    What is there already is copied by `replication sync`.
    """
    request = ChangeReplication(file.read(DOCUMENT_BYTES_MAX + 1))
    done = ask(store_of(store), request, Done, quiet=as_json, about=file.name)
    if as_json:
        print_json(done)


@bucket_replication.command("delete")
@store_argument
@json_option
def delete_replication(store: str, *, as_json: bool) -> None:
    """Drop all rules; what was copied stays where it is."""
    done = ask(store_of(store), RemoveReplication(), Done, quiet=as_json)
    if as_json:
        print_json(done)


@click.group(cls=CommandGroup)
def replication() -> None:
    """Show how far other regions are, or bring them up to date."""


@replication.command("status")
@store_argument
@json_option
def replication_status(store: str, *, as_json: bool) -> None:
    """Show what is pending, for how long, and what failed."""
    found = ask(store_of(store), DescribeReplicationStatus(), ReplicationStatus, quiet=as_json)
    if as_json:
        print_json(found)
        return
    for line in lines_of(found):
        print_line(line)
    if found.rules:
        print_table(
            ["RULE", "TO", "PENDING", "BYTES", "LAG", "FAILED"], [_row(lag) for lag in found.rules]
        )
    for failure in found.failures:
        version = failure.version_id or "names and attributes"
        print_line(f"FAILED {failure.key} {version} to {failure.destination}: {failure.reason}")


def lines_of(found: ReplicationStatus) -> list[str]:
    """A sentence about the store as a replica, and one about each destination."""
    lines = []
    replica = found.replica
    if replica is not None and replica.promoted is None:
        how = "connected" if replica.connected else "not connected now"
        lines.append(f"a replica of {replica.host}:{replica.path} ({how})")
    elif replica is not None:
        lines.append(f"was a replica of {replica.host}:{replica.path} until {replica.promoted}")
    for one in found.destinations:
        message = f": {one.message}" if one.message else ""
        lines.append(f"{one.name} ({one.path or 'no such remote'}): {one.state}{message}")
    return lines


def _row(lag: ReplicationLag) -> list[str]:
    late = " (late)" if lag.threshold_missed else ""
    return [
        lag.rule,
        lag.destination,
        str(lag.operations_pending),
        human_size(lag.bytes_pending),
        f"{lag.latency_seconds:.1f} s{late}",
        str(lag.operations_failed),
    ]


@replication.command("sync")
@store_argument
@json_option
def sync_replication(store: str, *, as_json: bool) -> None:
    """Copy what rules want and no destination has: what was there before them, and what failed."""
    found = ask(store_of(store), SyncReplication(), ReplicationSync, quiet=as_json)
    if as_json:
        print_json(found)
        return
    failed = f", {found.failed} failed: see `replication status`" if found.failed else ""
    print_line(f"looked at {found.versions} versions; every destination has them{failed}")


@click.command()
@store_argument
@click.option("--force", is_flag=True, help="Although the source may be alive.")
@dry_run_option
@yes_option
@json_option
def promote(store: str, *, force: bool, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Make a replica a store of its own, which anybody may write to, after its source was lost."""
    where, request = store_of(store), Promote(force, dry_run=dry_run)

    def warning(would: Promotion) -> str:
        return (
            f"{would.checked}. The store takes nothing from {would.source} any more, which is never"
            " taken back."
        )

    confirm_what_would_be(where, request, Promotion, warning, yes=yes or dry_run, quiet=as_json)
    found = ask(where, request, Promotion, quiet=as_json)
    if as_json:
        print_json(found)
        return
    becomes = "would become" if dry_run else "is"
    print_line(f"it was a replica of {found.source} and {becomes} a store of its own now")
    print_line(found.checked)


@click.command()
@store_argument
@json_option
def resync(store: str, *, as_json: bool) -> None:
    """Say which versions this store and its other regions have that the other lacks."""
    found = ask(store_of(store), Resync(), ResyncListing, quiet=as_json)
    if as_json:
        print_json(found)
        return
    for region in found.regions:
        print_line(
            f"{region.path}: {region.both} versions on both sides, {region.only_here} only here,"
            f" {region.only_there} only there"
        )
        rows = [[row.side, row.version_id, human_size(row.size), row.key] for row in region.rows]
        if rows:
            print_table(["ONLY", "VERSION", "SIZE", "KEY"], rows)


@click.command(hidden=True)
@click.argument("store", type=ANY_PLACE)
@click.option("--ready-fd", type=int, hidden=True)
def receive(store: Path, *, ready_fd: int | None) -> None:
    """Have a store open for its source, which starts this."""
    sources = click.get_current_context().find_object(KeySources) or KeySources()
    from s3fs_local.daemon.receiving import receive_and_serve  # noqa: PLC0415  as `mount`

    receive_and_serve(store, sources.unlocking(store), ready_fd=ready_fd)
