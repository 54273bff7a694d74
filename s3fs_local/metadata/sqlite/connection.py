"""Making and opening the database file, and what SQLite's errors mean to us."""

import os
from pathlib import Path
from typing import Final, NoReturn

import apsw

from s3fs_local.errors import MetadataDamaged, StoreDamaged, StoreExists
from s3fs_local.metadata.sqlite.migrations import create_tables, migrate
from s3fs_local.system.durable_files import NO_SPACE, no_space_is_store_full, store_full

APPLICATION_ID: Final = int.from_bytes(b"s3fl")
"""In the header of the file, so that `file` and we can tell it from anybody else's database."""

_CACHED_STATEMENTS: Final = 256  # more than we have, so each is compiled once
_PATIENCE_MS: Final = 5000  # for another connection that recovers the log after a crash
_OF_THE_DISK: Final = (
    *(apsw.CorruptError, apsw.NotADBError, apsw.IOError),
    *(apsw.CantOpenError, apsw.ReadOnlyError),
)

_TUNING: Final = (
    "PRAGMA locking_mode = NORMAL",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",  # no fsync at commit: after a power cut our journal is replayed
    "PRAGMA wal_autocheckpoint = 0",  # `checkpoint` does it, off the event loop
    "PRAGMA journal_size_limit = 67108864",  # a log that once grew large is cut when it is reused
    # Uncommitted pages stay in memory, so a full disk shows at commit and never inside a batch.
    # What half a second of changes can dirty is small.
    "PRAGMA cache_spill = OFF",
    "PRAGMA temp_store = MEMORY",
)


_VFS: Final = "unix-excl"
"""One process has a store open, with several connections, so the index of the log is kept in its
memory. In a file that is mapped (`-shm`), a write for which the disk has no room is no error but
SIGBUS: on btrfs, which writes nothing in place, a full disk or quota killed the daemon."""


def create_database(path: Path) -> None:
    """A new database with empty tables lies at `path`, durably, readable by its owner only.

    Raises:
        StoreExists: something is there already.
        StoreFull: no room for it; an unusable file may be left behind.
    """
    try:
        with no_space_is_store_full(path):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError as error:
        raise StoreExists(f"{path} exists") from error
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        # Not yet WAL: a rollback journal makes this one transaction durable at once.
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        create_tables(connection)
    except apsw.Error as error:
        raise_translated(error, connection.system_errno)
    finally:
        connection.close()


def open_database(path: Path, *, cache_kib: int) -> apsw.Connection:
    """A connection to a database of ours, migrated and tuned, which keeps so many KiB of its pages.

    Raises:
        StoreDamaged: no such file, or not one of ours; it was not touched.
        FormatTooNew: a newer release wrote it; it was not touched.
        MetadataDamaged: it is ours and it is corrupt.
    """
    connection = connect(path)
    try:
        _check_ours(connection, path)
        migrate(connection)
        # Without it SQLite compiles a statement anew whenever the value of a range condition
        # changes, which costs several times the query.
        connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
        for pragma in (*_TUNING, f"PRAGMA cache_size = -{cache_kib}"):
            connection.execute(pragma)
    except apsw.Error as error:
        system_errno = connection.system_errno
        connection.close()
        raise_translated(error, system_errno)
    except BaseException:
        connection.close()
        raise
    return connection


def connect(path: Path) -> apsw.Connection:
    """A bare connection to an existing file.

    Raises:
        StoreDamaged: there is no file that can be opened.
    """
    try:
        connection = apsw.Connection(
            str(path),
            flags=apsw.SQLITE_OPEN_READWRITE,
            vfs=_VFS,
            statementcachesize=_CACHED_STATEMENTS,
        )
    except apsw.CantOpenError as error:
        raise StoreDamaged(
            f"{path} cannot be opened: `s3fs-local fsck STORE --rebuild` makes it anew from a zone"
        ) from error
    connection.set_busy_timeout(_PATIENCE_MS)
    return connection


def raise_translated(error: apsw.Error, system_errno: int) -> NoReturn:
    """Raise what an SQLite error means: the one place that decides.

    Whatever is not about the disk or the data (misuse, wrong SQL) is a bug and stays as it is.
    """
    if means_no_space(error, system_errno):
        raise store_full(system_errno, "the metadata") from error
    if isinstance(error, apsw.ConstraintError):
        raise MetadataDamaged(f"a change contradicts the metadata: {error}") from error
    if is_of_the_disk(error, system_errno):
        raise MetadataDamaged(f"the metadata database cannot be trusted: {error}") from error
    raise error


def means_no_space(error: apsw.Error, system_errno: int) -> bool:
    """Whether the disk is only full."""
    is_io = isinstance(error, apsw.IOError) and system_errno in NO_SPACE
    return is_io or isinstance(error, apsw.FullError)


def is_of_the_disk(error: apsw.Error, system_errno: int) -> bool:
    """Whether the file, or the disk below it, fails; not that it is only full."""
    return isinstance(error, _OF_THE_DISK) and not means_no_space(error, system_errno)


def file_identity(path: Path) -> tuple[int, int] | None:
    """Which file lies there now; None for none that can be reached."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _check_ours(connection: apsw.Connection, path: Path) -> None:
    try:
        application_id = connection.pragma("application_id")
    except apsw.NotADBError as error:
        raise StoreDamaged(
            f"{path} is not a database: `s3fs-local fsck STORE --rebuild` makes it anew from a zone"
        ) from error
    if application_id != APPLICATION_ID:
        raise StoreDamaged(f"{path} is not the metadata of a store: another program wrote it")
