"""Whether a store can be written: not on a read-only disk, nor in a directory without write."""

import os
from contextlib import suppress
from pathlib import Path

from s3fs_local import errors
from s3fs_local.daemon.store_file import StoreRecord, directory_of


def why_unwritable(path: Path, record: StoreRecord) -> str:
    """Why nothing can be written to the store, in words; "" where it can.

    That is so of its directory, or of the directory of every zone. One of several zones that cannot
    be written is a zone that failed; whether a bucket can be written is seen when it is.
    """
    why = _why_closed(path)
    if why:
        return why
    zones = [directory_of(path, zone) for zone in record.zones]
    if not all(zone is not None and _why_closed(zone) for zone in zones):
        return ""
    return next(_why_closed(zone) for zone in zones if zone is not None)


def check_writable(path: Path, record: StoreRecord) -> None:
    """The store can be written.

    Raises:
        StoreReadOnly: it cannot; the message says why, and how to read it.
    """
    _refuse(path, why_unwritable(path, record))


def check_directory(path: Path) -> None:
    """The store's directory can be written. Raises as `check_writable`."""
    _refuse(path, _why_closed(path))


def _refuse(path: Path, why: str) -> None:
    if why:
        raise errors.StoreReadOnly(
            f"{path} cannot be written: {why}; mount it with -o ro to read it"
        )


def _why_closed(directory: Path) -> str:
    if not directory.is_dir() or os.access(directory, os.W_OK | os.X_OK):
        return ""  # what is not there is told by whoever needs it
    with suppress(OSError):
        if os.statvfs(directory).f_flag & os.ST_RDONLY:
            return f"the disk of {directory} is read-only"
    return f"you may not write to {directory}"
