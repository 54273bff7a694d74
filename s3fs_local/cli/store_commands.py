"""Commands about a store as a whole: init, status, stats, gc, config, bucket."""

import os
from pathlib import Path
from typing import IO, Final

import click

from s3fs_local import errors
from s3fs_local.charts.drawing import Look, check_can_draw, save
from s3fs_local.charts.figures import class_history_chart
from s3fs_local.cli.command_group import CommandGroup
from s3fs_local.cli.exit_codes import ExitCode
from s3fs_local.cli.options import (
    ANY_PATH,
    ANY_PLACE,
    chart_option,
    dry_run_option,
    existing_file,
    json_option,
    store_argument,
)
from s3fs_local.cli.output import human_size, print_json, print_line, print_table
from s3fs_local.cli.store_access import ask, only_store, store_of
from s3fs_local.control.requests import (
    ChangeEncryption,
    ChangeSetting,
    ChangeVersioning,
    CollectGarbage,
    DescribeClassHistory,
    DescribeEncryption,
    DescribeSettings,
    DescribeStatistics,
    DescribeStatus,
    DescribeVersioning,
)
from s3fs_local.control.results.classes import ClassHistory
from s3fs_local.control.results.documents import Versioning
from s3fs_local.control.results.lifecycle import LifecycleStatus
from s3fs_local.control.results.replication import ReplicationLag, ReplicationStatus
from s3fs_local.control.results.store import (
    Collection,
    Created,
    Done,
    SettingListing,
    Statistics,
    Status,
)
from s3fs_local.control.results.zones import ZoneRow
from s3fs_local.daemon.unlocking import read_passphrase
from s3fs_local.rules.encryption import PrintedEncryption
from s3fs_local.rules.findings import VERDICTS, Health
from s3fs_local.rules.inode import Caller

DOCUMENT_BYTES_MAX: Final = 1 << 20


@click.command()
@click.argument("store", type=ANY_PLACE)
@click.option(
    "--zone",
    "zones",
    multiple=True,
    metavar="URL",
    help="Directory or bucket that keeps the bytes; several keep copies.",
)
@click.option(
    "--versioning",
    type=click.Choice(["Enabled", "Suspended"]),
    default="Enabled",
    show_default=True,
    help="Whether overwriting keeps the old version, as for S3 buckets.",
)
@click.option("--object-lock/--no-object-lock", help="Whether versions can be locked.")
@click.option("--passphrase-file", type=existing_file, help="Its first line opens the keys.")
@click.option("--keyring", is_flag=True, help="Let the keyring of this desktop have the key.")
@click.option(
    "--recovery-key", type=existing_file, help="Make a second key, too, on a sheet to print."
)
@click.option("--test-clock", is_flag=True, hidden=True)
@json_option
def init(  # noqa: PLR0913  an argument each
    store: Path,
    zones: tuple[str, ...],
    versioning: str,
    passphrase_file: Path | None,
    recovery_key: Path | None,
    *,
    object_lock: bool,
    keyring: bool,
    test_clock: bool,
    as_json: bool,
) -> None:
    """Make a new store in an empty or new directory."""
    # The engine is imported only by commands that need it.
    from s3fs_local.daemon.creation import StorePlan, create_store  # noqa: PLC0415

    if keyring and passphrase_file:
        raise errors.InvalidArgument("give --keyring or --passphrase-file, not both")
    plan = StorePlan(
        owner=Caller(uid=os.getuid(), gid=os.getgid()),
        zones=zones,
        versioning=versioning,
        object_lock=object_lock,
        passphrase=read_passphrase(passphrase_file) if passphrase_file else None,
        keyring=keyring,
        recovery_key=recovery_key,
        test_clock=test_clock,
    )
    record = create_store(store, plan)
    created = Created(
        store=str(store.resolve()),
        store_id=record.store_id,
        zones=[zone.url for zone in record.zones],
        key_file=str(store.resolve() / record.key_file) if record.key_file else None,
    )
    if as_json:
        print_json(created)
        return
    print_line(f"made the store {created.store}")
    if created.key_file:
        print_line(f"its key is {created.key_file}: keep a copy, nobody can open the store without")
    if recovery_key is not None:
        print_line(f"print {recovery_key}, put it away, and delete it")


@click.command()
@click.argument("store", type=ANY_PATH, required=False)
@json_option
@click.pass_context
def status(context: click.Context, store: str | None, *, as_json: bool) -> None:
    """Show how a store is; exit code 9 where something needs attention.

    Without STORE it is the one of the directory you are in, or else the one that is mounted.
    """
    path = store_of(store) if store else only_store()
    found = ask(path, DescribeStatus(), Status, quiet=as_json)
    if as_json:
        print_json(found)
    else:
        _print_status(found)
    if found.health != Health.HEALTHY:
        context.exit(ExitCode.DEGRADED)


def _print_status(found: Status) -> None:
    print_line(f"{found.store} {VERDICTS[Health(found.health)]}")
    for finding in found.findings:
        print_line(f"  {finding.severity:8}  {finding.subject}: {finding.sentence}")
        if finding.advice:
            print_line(f"{'':12}{finding.advice}")
    mounted = f"{found.mount_point} (process {found.daemon_pid})" if found.mount_point else "no"
    rows = [
        ["id", found.store_id],
        ["mounted", mounted],
        ["versioning", found.versioning or "never enabled"],
        ["object lock", "on" if found.object_lock else "off"],
        *(["zone", f"{zone.url}: {zone.state}{_room(zone)}"] for zone in found.zones),
        *([["lifecycle", _lifecycle(found.lifecycle)]] if found.lifecycle else []),
        *_replication(found.replication),
    ]
    print_table(["", ""], rows)


def _behind(lag: ReplicationLag) -> str:
    return (
        f"{lag.rule} to {lag.destination}: {lag.latency_seconds:.1f} s behind,"
        f" {lag.operations_pending} operations, {human_size(lag.bytes_pending)}"
    )


def _replication(found: ReplicationStatus | None) -> list[list[str]]:
    if found is None:
        return []
    rows = []
    replica = found.replica
    if replica is not None:
        was = "replica of" if replica.promoted is None else "promoted; was a replica of"
        rows.append(["replication", f"{was} {replica.host}:{replica.path}"])
    rows += [
        [
            "replication",
            _behind(lag),
        ]
        for lag in found.rules
    ]
    return rows


def _lifecycle(found: LifecycleStatus) -> str:
    rules = f"{found.rules} rules"
    if found.started is None:
        return f"{rules}, which begin on the next day"
    if found.running:
        return f"{rules}; a run since {found.started} has looked at {found.keys_looked_at} keys"
    return (
        f"{rules}; last run {found.started}: moved {human_size(found.moved_bytes)},"
        f" removed {human_size(found.expired_bytes)}, held {human_size(found.held_bytes)}"
    )


def _room(zone: ZoneRow) -> str:
    if zone.free_bytes is None or zone.total_bytes is None:
        return ""
    return f", {human_size(zone.free_bytes)} of {human_size(zone.total_bytes)} free"


@click.command()
@store_argument
@click.option("--history", is_flag=True, help="What each storage class held over time.")
@click.option(
    "--purged-too",
    is_flag=True,
    help="With --history or --chart: also of what was purged or changed its class since; reads "
    "the whole ledger.",
)
@chart_option("what each storage class held over time")
@json_option
def stats(
    store: str, chart: Path | None, *, history: bool, purged_too: bool, as_json: bool
) -> None:
    """Count what a store holds, or held over time.

    The history counts the versions that are there now, since they were saved, in their class of
    now. With --purged-too it is what was held then.
    """
    if chart is not None or history or purged_too:
        _show_history(store, chart, purged_too=purged_too, as_json=as_json)
        return
    found = ask(store_of(store), DescribeStatistics(), Statistics, quiet=as_json)
    if as_json:
        print_json(found)
        return
    rows = [
        ["names", str(found.names)],
        ["files", str(found.files)],
        ["versions", str(found.versions)],
        ["blocks", str(found.blocks)],
        ["content", human_size(found.plain_bytes)],
        ["sealed", human_size(found.sealed_bytes)],
    ]
    print_table(["", ""], rows)


def _show_history(store: str, chart: Path | None, *, purged_too: bool, as_json: bool) -> None:
    if chart is not None:
        check_can_draw(chart)
    request = DescribeClassHistory(purged_too=purged_too)
    found = ask(store_of(store), request, ClassHistory, quiet=as_json)
    if chart is not None:
        save(class_history_chart(found, Look()), chart)
    elif not as_json:
        names = sorted({one.storage_class for point in found.points for one in point.classes})
        held = [
            (point.time, {one.storage_class: one.bytes for one in point.classes})
            for point in found.points
        ]
        rows = [[time, *(human_size(at.get(name, 0)) for name in names)] for time, at in held]
        print_table(["until", *names], rows)
        if not purged_too:
            words = "These are the versions of now; --purged-too also counts what was purged since."
            click.echo(words, err=True)
    if as_json:
        print_json(found)


@click.command()
@store_argument
@dry_run_option
@json_option
def gc(store: str, *, dry_run: bool, as_json: bool) -> None:
    """Free the space of what no version uses any more."""
    found = ask(store_of(store), CollectGarbage(dry_run=dry_run), Collection, quiet=as_json)
    if as_json:
        print_json(found)
        return
    verb = "would be freed" if found.dry_run else "freed"
    moved = f", {human_size(found.moved_bytes)} moved for it" if found.moved_bytes else ""
    print_line(f"{human_size(found.freed_bytes)} in {found.packs} packs {verb}{moved}")
    if found.coded_packs:
        print_line(f"{found.coded_packs} packs lie as shares now")
    if found.restored_packs:
        print_line(f"{found.restored_packs} packs lie as copies again")
    if found.waiting:
        print_line(found.waiting)


@click.group(cls=CommandGroup)
def config() -> None:
    """Show and change the settings of a store."""


@config.command("show")
@store_argument
@json_option
def show_config(store: str, *, as_json: bool) -> None:
    """List every setting."""
    listing = ask(store_of(store), DescribeSettings(), SettingListing, quiet=as_json)
    if as_json:
        print_json(listing)
        return
    print_table(
        ["setting", "value", "meaning", "accepts"],
        [[row.name, row.value, row.meaning, row.accepts] for row in listing.settings],
    )


@config.command("set")
@store_argument
@click.argument("key")
@click.argument("value")
@json_option
def set_config(store: str, key: str, value: str, *, as_json: bool) -> None:
    """Change one setting."""
    done = ask(store_of(store), ChangeSetting(key, value), Done, quiet=as_json)
    if as_json:
        print_json(done)


@click.group(cls=CommandGroup)
def bucket() -> None:
    """Show and change S3's documents about a store, as `aws s3api` takes and prints them."""


@bucket.group()
def versioning() -> None:
    """Say whether a store keeps versions."""


@versioning.command("get")
@store_argument
@json_option
def get_versioning(store: str, *, as_json: bool) -> None:
    """Print what `aws s3api get-bucket-versioning` prints."""
    del as_json  # it prints JSON in any case
    print_json(ask(store_of(store), DescribeVersioning(), Versioning, quiet=True))


@versioning.command("put")
@store_argument
@click.argument("file", type=click.File("rb"))
@json_option
def put_versioning(store: str, file: IO[bytes], *, as_json: bool) -> None:
    """Take what `aws s3api put-bucket-versioning` takes; FILE may be -."""
    document = file.read(DOCUMENT_BYTES_MAX)
    done = ask(store_of(store), ChangeVersioning(document), Done, quiet=as_json, about=file.name)
    if as_json:
        print_json(done)


@bucket.group()
def encryption() -> None:
    """Say how what is written from now on is encrypted."""


@encryption.command("get")
@store_argument
@json_option
def get_encryption(store: str, *, as_json: bool) -> None:
    """Print what `aws s3api get-bucket-encryption` prints."""
    del as_json  # it prints JSON in any case
    print_json(ask(store_of(store), DescribeEncryption(), PrintedEncryption, quiet=True))


@encryption.command("put")
@store_argument
@click.argument("file", type=click.File("rb"))
@json_option
def put_encryption(store: str, file: IO[bytes], *, as_json: bool) -> None:
    """Take what `aws s3api put-bucket-encryption` takes; FILE may be -."""
    request = ChangeEncryption(file.read(DOCUMENT_BYTES_MAX))
    done = ask(store_of(store), request, Done, quiet=as_json, about=file.name)
    if as_json:
        print_json(done)


@encryption.command("delete")
@store_argument
@json_option
def delete_encryption(store: str, *, as_json: bool) -> None:
    """Go back to the default: by the store's own key."""
    done = ask(store_of(store), ChangeEncryption(None), Done, quiet=as_json)
    if as_json:
        print_json(done)
