"""`closed.json`: the store was closed cleanly, and up to where its journal went then.

It goes before anything is written to the journal again. So where it is, and the database is as far,
the journal has nothing that the database lacks, whatever became of the journal since.
"""

import logging
from pathlib import Path

import msgspec
from msgspec import Struct

from s3fs_local import errors
from s3fs_local.daemon.layout import CLOSED_NAME
from s3fs_local.system import durable_files

log = logging.getLogger(__name__)


class _Mark(Struct, frozen=True):
    """The whole file."""

    position: int  # of the journal, and of the database


def closed_cleanly(store: Path, position: int) -> None:
    """The mark is there, durably; where it cannot be made, nothing is known of the end."""
    try:
        durable_files.replace(store / CLOSED_NAME, msgspec.json.encode(_Mark(position)) + b"\n")
    except (OSError, errors.StorageError) as error:
        log.warning("it is not noted that the store was closed: %s", error)


def opened_again(store: Path) -> None:
    """The mark is gone, durably. Before anything is appended to the journal.

    Raises:
        StoreFull, ZoneUnavailable: of the store's disk.
    """
    path = store / CLOSED_NAME
    if not path.exists():
        return
    try:
        path.unlink()
        durable_files.fsync_directory(store)
    except OSError as error:
        raise durable_files.storage_error(error, path) from error


def closed_position(store: Path) -> int | None:
    """Up to where the journal went when the store was closed; None where it was not, or is open."""
    try:
        return msgspec.json.decode(
            durable_files.read_small(store / CLOSED_NAME), type=_Mark
        ).position
    except (OSError, msgspec.MsgspecError):
        return None
