"""Commands about storage classes: class, retrieve."""

import click

from s3fs_local.cli.command_group import CommandGroup
from s3fs_local.cli.options import VERSION, json_option, path_argument
from s3fs_local.cli.output import print_json, print_line
from s3fs_local.cli.store_access import ask, place
from s3fs_local.control.requests import ChangeClass, DescribeClass, Request, Retrieve
from s3fs_local.control.results.classes import ClassRow
from s3fs_local.rules.retrieval import RetrievalTier

version_option = click.option(
    "--version", type=VERSION, metavar="ID", help="Another version than the current one."
)


@click.group("class", cls=CommandGroup)
def storage_class() -> None:
    """Show and change where the bytes of a version lie, and how they are kept."""


@storage_class.command("get")
@path_argument
@version_option
@json_option
def get_class(path: str, version: str | None, *, as_json: bool) -> None:
    """Show the storage class of a file, or of new files in a directory."""
    where = place(path)
    request = DescribeClass(where.path, version=version)
    _print_class(path, request, as_json=as_json)


@storage_class.command("set")
@path_argument
@click.argument("storage_class", metavar="CLASS")
@version_option
@json_option
def set_class(path: str, storage_class: str, version: str | None, *, as_json: bool) -> None:
    """Move a file to another class, or choose that of new files in a directory.

    CLASS is STANDARD, INTELLIGENT_TIERING, STANDARD_IA, ONEZONE_IA, GLACIER_IR, GLACIER or
    DEEP_ARCHIVE; for a directory also inherit. The version stays the same; only its bytes move.
    """
    where = place(path)
    request = ChangeClass(where.path, storage_class=storage_class, version=version)
    _print_class(path, request, as_json=as_json)


@click.command()
@path_argument
@click.option("--days", type=int, default=1, show_default=True, help="How long the copy stays.")
@click.option(
    "--tier",
    type=click.Choice([tier.value for tier in RetrievalTier], case_sensitive=False),
    default=RetrievalTier.STANDARD.value,
    show_default=True,
    help="How fast; the settings retrieval-delay-… say what each means here.",
)
@version_option
@json_option
def retrieve(path: str, days: int, tier: str, version: str | None, *, as_json: bool) -> None:
    """Make an archived file readable for some days (S3's RestoreObject)."""
    where = place(path)
    request = Retrieve(where.path, days=days, tier=tier, version=version)
    _print_class(path, request, as_json=as_json)


def _print_class(path: str, request: Request, *, as_json: bool) -> None:
    row = ask(place(path).store, request, ClassRow, quiet=as_json, about=path)
    if as_json:
        print_json(row)
        return
    if row.version_id is None:
        source = "as in the directory above" if row.is_inherited else "set here"
        print_line(f"{path}: new files are {row.storage_class} ({source})")
        return
    tier = f", tier {row.access_tier}" if row.access_tier else ""
    restore = f", restore: {row.restore}" if row.restore else ""
    print_line(f"{path}: {row.storage_class}{tier}{restore}")
