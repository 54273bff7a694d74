"""Options and arguments that several commands share."""

import getpass
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

from s3fs_local import errors

json_option: Final = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON, with S3's names."
)
yes_option: Final = click.option("--yes", is_flag=True, help="Do not ask.")
dry_run_option: Final = click.option(
    "--dry-run", is_flag=True, help="Say what would happen, and change nothing."
)
reason_option: Final = click.option("--reason", default="", help="Why; kept in the record.")
path_argument: Final = click.argument("path", type=click.Path())
paths_argument: Final = click.argument("paths", type=click.Path(), nargs=-1, required=True)
store_argument: Final = click.argument("store", type=click.Path())
existing_file: Final = click.Path(dir_okay=False, path_type=Path)

PASSPHRASE_BYTES_MAX: Final = 4096


def bypass_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--bypass-governance --reason TEXT`."""
    bypass = click.option(
        "--bypass-governance",
        is_flag=True,
        help="Override GOVERNANCE retention (root and the bypass group; needs --reason).",
    )
    return bypass(reason_option(command))


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


def read_passphrase(path: Path) -> str:
    """The first line of the file.

    Raises:
        InvalidArgument: it cannot be read, or the line is empty, over 4096 bytes or no UTF-8.
    """
    try:
        with path.open("rb") as file:
            line = file.readline(PASSPHRASE_BYTES_MAX + 1).rstrip(b"\r\n")
    except OSError as error:
        raise errors.InvalidArgument(
            f"the passphrase file {path} cannot be read: {error.strerror}"
        ) from error
    if not 0 < len(line) <= PASSPHRASE_BYTES_MAX:
        raise errors.InvalidArgument(
            f"the first line of {path} must hold 1 to {PASSPHRASE_BYTES_MAX} bytes"
        )
    try:
        return line.decode()
    except UnicodeDecodeError:
        raise errors.InvalidArgument(f"the first line of {path} is not UTF-8") from None


def ask_passphrase(store: Path) -> str | None:
    """What is typed at the terminal; None where there is none."""
    if not sys.stdin.isatty():
        return None
    return getpass.getpass(f"Passphrase of {store}: ")
