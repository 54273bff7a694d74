"""Options and arguments that several commands share."""

import getpass
import os
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from s3fs_local import errors
from s3fs_local.cli.completing import (
    offer_deleted_paths,
    offer_paths,
    offer_times,
    offer_versions,
)


class GivenPath(click.Path):
    """A path that is not empty: that would be the current directory."""

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> str | bytes | os.PathLike[str]:
        """The path. Raises BadParameter."""
        return super().convert(_given(value, param, ctx), param, ctx)


class GivenText(click.ParamType[str]):
    """A text that is not empty: that would mean what is meant where nothing is said."""

    name = "text"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text. Raises BadParameter."""
        return _given(value, param, ctx)


_Value = TypeVar("_Value")


def _given(value: _Value, param: click.Parameter | None, ctx: click.Context | None) -> _Value:
    """The value, which a variable of a script that was never set is not."""
    if value == "":
        raise click.BadParameter("it is empty", ctx, param)
    return value


ANY_PATH: Final = GivenPath(readable=False)
ANY_PLACE: Final = GivenPath(readable=False, path_type=Path)
"""Whether somebody may read what lies there is not asked here, but where it is used."""

json_option: Final = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON, with S3's names."
)
yes_option: Final = click.option("--yes", is_flag=True, help="Do not ask.")
dry_run_option: Final = click.option(
    "--dry-run", is_flag=True, help="Say what would happen, and change nothing."
)
reason_option: Final = click.option("--reason", default="", help="Why; kept in the record.")
path_argument: Final = click.argument("path", type=ANY_PATH, shell_complete=offer_paths)
deleted_path_argument: Final = click.argument(
    "path", type=ANY_PATH, shell_complete=offer_deleted_paths
)
VERSION: Final = GivenText()
version_option: Final = click.option(
    "--version",
    type=VERSION,
    metavar="ID",
    help="Version id, or its beginning.",
    shell_complete=offer_versions,
)
at_option: Final = click.option(
    "--at",
    metavar="TIME",
    help="As of then: a time, a day, or a duration ago (2d).",
    shell_complete=offer_times,
)
paths_argument: Final = click.argument(
    "paths", type=ANY_PATH, nargs=-1, required=True, shell_complete=offer_paths
)
store_argument: Final = click.argument("store", type=ANY_PATH)
existing_file: Final = click.Path(dir_okay=False, path_type=Path)


def chart_option(what: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """`--chart FILE`."""
    return click.option(
        "--chart",
        type=click.Path(dir_okay=False, path_type=Path),
        help=f"Draw {what}, as .png or .svg.",
    )


def bypass_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--bypass-governance --reason TEXT`: the first is not given without the second."""

    @wraps(command)
    def with_a_reason(
        *arguments: object, reason: str, bypass_governance: bool, **named: object
    ) -> None:
        if bypass_governance and not reason.strip():
            raise click.UsageError("--bypass-governance needs --reason, which the record keeps")
        command(*arguments, reason=reason, bypass_governance=bypass_governance, **named)

    bypass = click.option(
        "--bypass-governance",
        is_flag=True,
        help="Override GOVERNANCE retention (root and the bypass group; needs --reason).",
    )
    return bypass(reason_option(with_a_reason))


def unlock_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--passphrase-file F --key-file F`, also by environment."""
    passphrase = click.option(
        "--passphrase-file",
        type=existing_file,
        envvar="S3FS_LOCAL_PASSPHRASE_FILE",
        help="Its first line opens the store's keys.",
    )
    key_file = click.option(
        "--key-file",
        type=existing_file,
        envvar="S3FS_LOCAL_KEY_FILE",
        help="Opens the store's keys.",
    )
    return passphrase(key_file(command))


def ask_new_passphrase(store: Path) -> str | None:
    """What was typed twice at the terminal; None where there is none.

    Raises:
        InvalidArgument: the two differ, or nothing was typed.
    """
    if not sys.stdin.isatty():
        return None
    first = getpass.getpass(f"New passphrase of {store}: ")
    if not first or first != getpass.getpass("The same again: "):
        raise errors.InvalidArgument("the two passphrases differ, or are empty: nothing is changed")
    return first


def ask_passphrase(store: Path) -> str | None:
    """What is typed at the terminal; None where there is none."""
    if not sys.stdin.isatty():
        return None
    return getpass.getpass(f"Passphrase of {store}: ")
