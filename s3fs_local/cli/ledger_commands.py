"""Commands verify and ledger: what happened, and the proof that it was not altered since."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click
from msgspec import Struct

from s3fs_local import errors
from s3fs_local.cli.command_group import CommandGroup
from s3fs_local.cli.exit_codes import ExitCode
from s3fs_local.cli.options import existing_file, json_option, store_argument
from s3fs_local.cli.output import human_size, print_json, print_line
from s3fs_local.cli.store_access import ask, store_of
from s3fs_local.control.requests import ExportLedger, Verify
from s3fs_local.control.results.store import Done
from s3fs_local.control.results.verification import DiscrepancyRow, Verification

HEAD_BYTES_MAX: Final = 4096
"""The last line of an export is far shorter."""


@click.command()
@store_argument
@click.option("--head", type=existing_file, help="What `ledger export` wrote on an earlier day.")
@click.option("--all", "reads_all", is_flag=True, help="Read every version, not only locked ones.")
@json_option
@click.pass_context
def verify(
    context: click.Context, store: str, head: Path | None, *, reads_all: bool, as_json: bool
) -> None:
    """Compare a store with its ledger; exit code 26 where anything was altered."""
    request = Verify(head=b"" if head is None else _last_line(head), reads_all=reads_all)
    found = ask(store_of(store), request, Verification, quiet=as_json)
    if as_json:
        print_json(found)
    else:
        _print_verification(found)
    if not found.intact:
        context.exit(ExitCode.ALTERED)


def _print_verification(found: Verification) -> None:
    for row in found.discrepancies:
        print_line(_line(row))
    more = found.discrepancy_count - len(found.discrepancies)
    if more:
        print_line(f"and {more} more")
    for zone in found.zones_left_out:
        print_line(f"not looked at: {zone} is behind, see `status`")
    print_line(
        f"{found.records} records of the ledger, {found.facts} facts, "
        f"{found.versions} versions with {human_size(found.bytes)} in all zones: "
        + ("all as the ledger says" if found.intact else f"{found.discrepancy_count} discrepancies")
    )


def _line(row: DiscrepancyRow) -> str:
    about = ", ".join(part for part in (row.key, row.version_id, row.time) if part)
    return f"{row.kind}: {about}: {row.sentence}" if about else f"{row.kind}: {row.sentence}"


def _last_line(path: Path) -> bytes:
    """The last line of the file.

    Raises:
        InvalidArgument: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - HEAD_BYTES_MAX))
            lines = file.read().splitlines()
    except OSError as error:
        raise errors.InvalidArgument(f"{path} cannot be read: {error.strerror}") from error
    return lines[-1] if lines else b"-"


@click.group(cls=CommandGroup)
def ledger() -> None:
    """Read the record of everything that happened in a store."""


@ledger.command("export")
@store_argument
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), required=False)
@click.option("--head-only", is_flag=True, help="Only the signed head, for `verify --head`.")
@json_option
def export_ledger(store: str, file: Path | None, *, head_only: bool, as_json: bool) -> None:
    """Write the ledger as lines of JSON, its signed head last; keep it in another place."""
    request = ExportLedger(only_head=head_only)
    if file is None:
        ask(store_of(store), request, Done, quiet=True, on_data=sys.stdout.buffer.write)
        return
    try:
        with file.open("xb") as target, _removed_on_failure(file):
            ask(store_of(store), request, Done, quiet=as_json, on_data=target.write)
    except FileExistsError as error:
        raise errors.InvalidArgument(f"{file} exists, and is not written over") from error
    except OSError as error:
        raise errors.InvalidArgument(f"{file} cannot be written: {error.strerror}") from error
    if as_json:
        print_json(Exported(str(file)))
    else:
        print_line(f"the ledger is in {file}; keep it where nobody who can reach the store can")


class Exported(Struct, frozen=True, rename="pascal"):
    """Where the ledger is."""

    file: str


@contextmanager
def _removed_on_failure(file: Path) -> Iterator[None]:
    """Half a ledger is taken for none, and is not in the way of the next try."""
    try:
        yield
    except BaseException:
        file.unlink(missing_ok=True)
        raise
