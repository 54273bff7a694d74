"""The store's facts in one SQLite database, behind the `Metadata` interface.

One connection does all the work and is always inside a transaction, so a read costs no file locks
and sees what was applied.

The batches since the last commit are kept, and that is the way back from every failure: the
transaction is dropped and they are applied once more. So a failed batch leaves no trace without a
savepoint around each good one; and after a commit that found the disk full, what was visible stays
visible and the commit can be tried again. No page is written before the commit
(`cache_spill = OFF`), so the way back needs no disk either.
"""

# The contract of the methods is in interface.py; docstrings here add what is special to SQLite.
# ruff: noqa: D102

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar, Final, NamedTuple, Protocol, Self

import apsw
from msgspec.structs import astuple

from s3fs_local.errors import MetadataDamaged, S3fsLocalError, StoreDamaged, StoreFull
from s3fs_local.metadata.changes import Change, Fact
from s3fs_local.metadata.interface import CELLS_MAX, Counters, Usage
from s3fs_local.metadata.sqlite import queries
from s3fs_local.metadata.sqlite.all_facts import read_facts
from s3fs_local.metadata.sqlite.connection import (
    connect,
    create_database,
    file_identity,
    is_of_the_disk,
    means_no_space,
    open_database,
    raise_translated,
)
from s3fs_local.metadata.sqlite.open_cells import OpenCells
from s3fs_local.metadata.sqlite.rows import Row, to_entry, to_inode, to_kept, to_task, to_version
from s3fs_local.metadata.sqlite.writing import Inodes, Writer
from s3fs_local.rules.extents import Block
from s3fs_local.rules.inode import Inode, KeptAttributes
from s3fs_local.rules.namespace import OPEN_NS, Entry
from s3fs_local.rules.replication import Backlog, ReplicaKind, Task
from s3fs_local.rules.storage_costs import ClassUsage
from s3fs_local.rules.versioning import Version

_FRAME_HEADER_BYTES: Final = 24  # of every page in the write-ahead log


class Rescue(Protocol):
    """Makes a database elsewhere, for one whose disk cannot be used any more."""

    def __call__(self, position: int, *, for_room: bool) -> Path:
        """It lies there, with the facts up to the journal position, which are durable. Blocks.

        Args:
            position: of the last commit.
            for_room: the disk is only full.

        Raises:
            StoreFull: `for_room`, and there is no better place.
            S3fsLocalError: it cannot be made.
        """
        ...


def _rescued(rescue: Rescue, position: int, *, for_room: bool) -> Path:
    try:
        return rescue(position, for_room=for_room)
    except StoreFull:
        raise
    except S3fsLocalError as error:
        raise MetadataDamaged(
            f"the metadata database cannot be used, nor another be made: {error}"
        ) from error


class Caches(NamedTuple):
    """How much a database's connection remembers."""

    inodes: int  # some 0.6 KiB each
    cells: int
    pages_kib: int


class SqliteMetadata:
    """The `Metadata` of a store whose database lies at `path`.

    Raises:
        StoreDamaged: there is no such file, or it is not ours; it was not touched.
        FormatTooNew: a newer release wrote it; it was not touched.
        MetadataDamaged: it is corrupt.
    """

    caches: ClassVar = Caches(inodes=16_384, cells=16_384, pages_kib=48 << 10)
    """With all of them full a daemon stays below 150 MiB."""

    @classmethod
    def create(cls, path: Path) -> Self:
        """A new, empty database at `path`, opened.

        Raises:
            StoreExists: something is there already.
            StoreFull: no room for it.
        """
        create_database(path)
        return cls(path)

    def __init__(self, path: Path) -> None:
        self.rescue: Rescue | None = None
        self._uncommitted: Final[list[tuple[Change, ...]]] = []
        self._is_lost = False  # found by a thread, which leaves the rest to the next commit
        self._attach(path.absolute())

    def _attach(self, path: Path) -> None:
        """The facts are those of the database at `path`, as of its last commit."""
        connection = open_database(path, cache_kib=self.caches.pages_kib)
        # One cursor for everything: making one costs as much as the statement that runs in it.
        cursor = connection.cursor()
        page_bytes: int = connection.pragma("page_size")
        state = cursor.execute(queries.STATE).fetchone()
        if state is None:
            connection.close()
            raise MetadataDamaged("the metadata has lost its journal position")
        connection.set_wal_hook(self._note_log_length)
        self._inodes = Inodes(cursor, self.caches.inodes)
        self._cells = OpenCells(self.caches.cells)
        self._path = path
        self._identity = file_identity(path)
        self._connection = connection
        self._execute = cursor.execute
        self._wal_bytes = 0
        self._log_may_restart = False
        self._frame_bytes = page_bytes + _FRAME_HEADER_BYTES
        self._position: int = state[0]
        self._committed = Counters(*state[1:])
        self._writer = Writer(cursor, self._committed, self._inodes, self._cells)
        self._functions = self._writer.functions
        self._is_adrift = False  # the batches since the last commit are not in the database
        self._execute("BEGIN")

    @property
    def home(self) -> Path:
        """The directory in which the database lies now."""
        return self._path.parent

    def _move(self, cause: Exception, *, for_room: bool = False) -> None:
        """The facts lie in another database, those not yet committed included.

        Raises:
            StoreFull: `for_room`, and there is no better place.
            MetadataDamaged: nobody can give one; everything is as it was.
        """
        rescue, self.rescue = self.rescue, None  # what goes wrong below is no case for another
        if rescue is None:
            raise MetadataDamaged(f"the metadata database cannot be used: {cause}") from cause
        try:
            path = _rescued(rescue, self._position, for_room=for_room)
            former = self._connection
            self._attach(path)
            for batch in self._uncommitted:
                self._write(batch)
        finally:
            self.rescue = rescue
        self._is_lost = False
        with suppress(apsw.Error):
            former.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
            former.close()

    def _write_inodes(self) -> None:
        """The tables have all that is only in memory."""
        if self._is_adrift:
            self._return_to_last_batch()
        try:
            self._inodes.write()
        except apsw.Error as error:
            self._recover(error)
            self._inodes.write()

    def _recover(self, error: apsw.Error) -> None:
        """What failed may be tried once more, elsewhere; else raises what the error means.

        A failed read makes SQLite roll back (https://sqlite.org/lang_transaction.html, "response to
        errors within a transaction"); what is written afterwards would be committed by itself.
        """
        system_errno = self._connection.system_errno
        if self.rescue is None or not is_of_the_disk(error, system_errno):
            self._is_adrift = not self._connection.in_transaction
            raise_translated(error, system_errno)
        self._move(error)

    def apply(self, changes: Sequence[Change]) -> None:
        """See `Metadata`; the changes stay in memory until they are committed."""
        batch = tuple(changes)
        if self._is_adrift:
            self._return_to_last_batch()
        try:
            self._write(batch)
        except apsw.Error as error:
            system_errno = self._connection.system_errno
            if self.rescue is None or not is_of_the_disk(error, system_errno):
                self._return_to_last_batch()
                raise_translated(error, system_errno)
            self._move(error)
            self.apply(batch)
            return
        except BaseException:
            self._return_to_last_batch()
            raise
        self._uncommitted.append(batch)

    def commit(self, position: int) -> None:
        if position == self._position and not self._uncommitted:
            return
        if self.rescue is not None and (self._is_lost or self._is_gone()):
            with suppress(MetadataDamaged):  # as long as what is open works
                self._move(FileNotFoundError(f"{self._path} is gone"))
        if self._is_adrift:
            self._return_to_last_batch()
        try:
            self._commit(position)
        except apsw.Error as error:
            system_errno = self._connection.system_errno
            is_lost = is_of_the_disk(error, system_errno)
            if self.rescue is None or not (is_lost or means_no_space(error, system_errno)):
                self._return_to_last_batch()
                raise_translated(error, system_errno)
            try:
                self._move(error, for_room=not is_lost)
            except StoreFull:
                self._return_to_last_batch()
                raise
            self._commit(position)

    def _commit(self, position: int) -> None:
        counters = self._writer.counters()
        self._inodes.write()
        self._execute(queries.PUT_STATE, (position, *astuple(counters)))
        self._execute("COMMIT")
        self._position = position
        self._committed = counters
        self._uncommitted.clear()
        if self._log_may_restart:
            self._log_may_restart = False
            with suppress(apsw.Error):  # the commit stands; the next checkpoint reports it
                self._checkpoint_on(self._connection)
        self._execute("BEGIN")

    def _is_gone(self) -> bool:
        """Whether somebody removed the database, or the disk that it lay on."""
        return file_identity(self._path) != self._identity

    def position(self) -> int:
        return self._position

    def close(self) -> None:
        # Closing rolls back, and the last connection copies the log into the database.
        self._connection.close()

    def checkpoint(self) -> None:
        """The pages in the write-ahead log are in the database file, as far as the last commit.

        For a worker thread, one call at a time: it has its own connection, waits for the disk, and
        disturbs nobody. The log can only be used from its start again when nothing is left to copy,
        and under load a commit always comes in between; so the next commit copies that small rest
        itself.

        Raises:
            StoreFull: the database file cannot grow; nothing is lost.
            MetadataDamaged: the files cannot be written, and there is no other place for them.
        """
        with self._disk_may_be_lost(), closing(connect(self._path)) as connection:
            try:
                connection.pragma("user_version")  # before it reads, it does not know of the log
                self._checkpoint_on(connection)
            except apsw.BusyError:
                return  # a commit is copying the rest of the last checkpoint
            except apsw.Error as error:
                raise_translated(error, connection.system_errno)
            self._log_may_restart = True

    @contextmanager
    def _disk_may_be_lost(self) -> Iterator[None]:
        """In a thread: a disk that fails is left to the next commit, if it can move."""
        try:
            yield
        except (MetadataDamaged, StoreDamaged):
            if self.rescue is None:
                raise
            self._is_lost = True

    def write_image(self, target: Path) -> int:
        """A database of its own at `target` holds what the last commit left; returns its position.

        What was removed has left no trace in it. For a worker thread: has its own connection.

        Raises:
            StoreFull: no room for it; something may be left at `target`.
        """
        try:
            target.unlink(missing_ok=True)
            target.touch(0o600, exist_ok=False)
        except OSError as error:
            self._is_lost = True
            raise MetadataDamaged(f"{target} cannot be made: {error.strerror}") from error
        with closing(connect(self._path)) as connection:
            try:
                connection.execute("VACUUM INTO ?", (str(target),))
            except apsw.Error as error:
                raise_translated(error, connection.system_errno)
        image = connect(target)
        try:
            row: Row = image.execute(queries.STATE).fetchall()[0]
        finally:
            image.close()
        position: int = row[0]
        return position

    @property
    def wal_bytes(self) -> int:
        """Length of the write-ahead log that a checkpoint has yet to copy completely."""
        return self._wal_bytes

    def integrity_check(self) -> list[str]:
        """What is wrong inside the database file, in SQLite's words; reads all of it."""
        try:
            rows = self._execute("PRAGMA integrity_check").fetchall()
        except apsw.CorruptError as error:
            return [str(error)]
        return [str(text) for (text,) in rows if text != "ok"]

    def counters(self) -> Counters:
        return self._writer.counters()

    def usage(self) -> Usage:
        self._write_inodes()
        inodes, files = self._only_row(queries.COUNT_INODES)
        (versions,) = self._only_row(queries.COUNT_VERSIONS)
        return Usage(inodes, files, versions, *self._only_row(queries.COUNT_BLOCKS))

    def inode(self, ino: int) -> Inode | None:
        inode = self._inodes.get(ino)
        if inode is None:
            row = self._row(queries.INODE, (ino,))
            if row is not None:
                inode = to_inode(row)
                self._inodes.remember(inode)
        return inode

    def lookup(self, parent: int, name: bytes) -> Inode | None:
        row = self._row(queries.NEWEST_INO, (parent, name))
        if row is None or row[0] == 0 or row[1] != OPEN_NS:
            return None
        return self._named_inode(row[0])

    def entry(self, parent: int, name: bytes) -> Entry | None:
        row = self._row(queries.NEWEST_ENTRY, (parent, name))
        return None if row is None or row[4] != OPEN_NS else to_entry(row)

    def children(self, parent: int, after_ns: int, limit: int) -> list[tuple[Entry, Inode]]:
        rows = self._rows(queries.CHILDREN, (parent, after_ns, limit))
        return [(to_entry(row), self._named_inode(row[3])) for row in rows]

    def has_children(self, parent: int) -> bool:
        return self._row(queries.HAS_CHILDREN, (parent,)) is not None

    def entry_at(self, parent: int, name: bytes, at_ns: int) -> Entry | None:
        row = self._row(queries.ENTRY_AT, (parent, name, at_ns))
        return None if row is None or row[3] == 0 or row[4] <= at_ns else to_entry(row)

    def children_at(self, parent: int, at_ns: int) -> list[Entry]:
        """See `Metadata`; costs what is live plus what ended after `at_ns`."""
        return [to_entry(row) for row in self._rows(queries.CHILDREN_AT, (parent, at_ns))]

    def name_history(self, parent: int, name: bytes) -> list[Entry]:
        return [to_entry(row) for row in self._rows(queries.NAME_HISTORY, (parent, name))]

    def name_before(self, parent: int, name: bytes, before_ns: int, limit: int) -> list[Entry]:
        rows = self._rows(queries.NAME_BEFORE, (parent, name, before_ns, limit))
        return [to_entry(row) for row in rows]

    def begun_before(self, until_ns: int, limit: int) -> list[Entry]:
        return [to_entry(row) for row in self._rows(queries.BEGUN_BEFORE, (until_ns, limit))]

    def left_before(self, until_ns: int, limit: int) -> list[Entry]:
        return [to_entry(row) for row in self._rows(queries.LEFT_BEFORE, (until_ns, limit))]

    def directory_history(self, parent: int) -> list[Entry]:
        return [to_entry(row) for row in self._rows(queries.DIRECTORY_HISTORY, (parent,))]

    def entries_after(self, parent: int, name: bytes, from_ns: int, limit: int) -> list[Entry]:
        rows = self._rows(queries.ENTRIES_AFTER, (parent, name, from_ns, limit))
        return [to_entry(row) for row in rows]

    def entries_of(self, ino: int) -> list[Entry]:
        return [to_entry(row) for row in self._rows(queries.ENTRIES_OF, (ino,))]

    def names_before(self, ino: int, at_ns: int, limit: int) -> list[Entry]:
        return [to_entry(row) for row in self._rows(queries.NAMES_BEFORE, (ino, at_ns, limit))]

    def versions(self, ino: int) -> list[Version]:
        return [to_version(row) for row in self._rows(queries.VERSIONS, (ino,))]

    def versions_after(self, ino: int, stamp_ns: int, limit: int) -> list[Version]:
        return [
            to_version(row) for row in self._rows(queries.VERSIONS_AFTER, (ino, stamp_ns, limit))
        ]

    def commits_after(self, ino: int, stamp_ns: int, limit: int) -> list[tuple[int, int, int]]:
        rows: list[Any] = self._rows(queries.COMMITS_AFTER, (ino, stamp_ns, limit))
        return rows

    def versions_before(self, ino: int, before_ns: int, limit: int) -> list[Version]:
        rows = self._rows(queries.VERSIONS_BEFORE, (ino, before_ns, limit))
        return [to_version(row) for row in rows]

    def versions_by_id(self, from_ns: int, to_ns: int, salt: int) -> list[Version]:
        rows = self._rows(queries.VERSIONS_BY_ID, (from_ns, to_ns, salt))
        return [to_version(row) for row in rows]

    def commits_before(self, until_ns: int, limit: int) -> list[tuple[int, int]]:
        rows: list[Any] = self._rows(queries.COMMITS_BEFORE, (until_ns, limit))
        return rows

    def count_commits(self, from_ns: int, to_ns: int) -> list[tuple[str, int, int]]:
        rows: list[Any] = self._rows(queries.COUNT_COMMITS, (from_ns, to_ns))
        return rows

    def count_removals(self, from_ns: int, to_ns: int) -> int:
        removals: int = self._only_row(queries.COUNT_REMOVALS, (from_ns, to_ns))[0]
        return removals

    def version(self, ino: int, stamp_ns: int) -> Version | None:
        row = self._row(queries.VERSION, (ino, stamp_ns))
        return None if row is None else to_version(row)

    def version_at(self, ino: int, at_ns: int) -> Version | None:
        row = self._row(queries.VERSION_AT, (ino, at_ns))
        return None if row is None else to_version(row)

    def next_version_ns(self, ino: int, after_ns: int) -> int | None:
        row = self._row(queries.NEXT_VERSION, (ino, after_ns))
        return None if row is None else row[0]

    def last_change_ns(self, parent: int, at_ns: int) -> int:
        """See `Metadata`; costs what ended after `at_ns`."""
        change_ns: int = self._only_row(queries.LAST_CHANGE, (parent, at_ns))[0]
        return change_ns

    def attributes_at(self, ino: int, at_ns: int) -> KeptAttributes | None:
        row = self._row(queries.ATTRIBUTES_AT, (ino, at_ns))
        return None if row is None else to_kept(row)

    def attributes_since(self, ino: int) -> int:
        since_ns: int = self._only_row(queries.ATTRIBUTES_SINCE, (ino,))[0]
        return since_ns

    def cell(self, ino: int, cell: int, at_ns: int) -> bytes:
        if at_ns != OPEN_NS - 1:
            return self._cell_at(ino, cell, at_ns)
        extents = self._cells.get((ino, cell))
        if extents is None:
            extents = self._cell_at(ino, cell, at_ns)
            self._cells.remember(ino, cell, extents)
        return extents

    def _cell_at(self, ino: int, cell: int, at_ns: int) -> bytes:
        row = self._row(queries.CELL, (ino, cell, at_ns))
        if row is None or row[0] <= at_ns:
            return b""
        extents: bytes = row[1]
        return extents

    def cells(self, ino: int, first: int, at_ns: int) -> list[tuple[int, int, bytes]]:
        """See `Metadata`; costs three seeks a cell, however many past layouts each has."""
        return self._rows(queries.CELLS, (ino, first, at_ns))

    def cell_rows(
        self, ino: int, first: int = 0, limit: int = CELLS_MAX
    ) -> list[tuple[int, int, int, bytes]]:
        return self._rows(queries.CELL_ROWS, (ino, first, limit))

    def next_cell(self, ino: int, first: int) -> int | None:
        row = self._row(queries.NEXT_CELL, (ino, first))
        return None if row is None else row[0]

    def block(self, block_id: int) -> Block | None:
        row = self._row(queries.BLOCK, (block_id,))
        return None if row is None else Block(*row)

    def blocks_in_pack(self, pack_id: int, *, behind: int = -1, limit: int = -1) -> list[Block]:
        rows = self._rows(queries.BLOCKS_IN_PACK, (pack_id, behind, limit))
        return [Block(*row) for row in rows]

    def packs(self) -> list[tuple[int, str, int]]:
        return self._rows(queries.PACKS, ())

    def pack_placements(self) -> dict[int, str]:
        return dict(self._rows(queries.PACK_PLACEMENTS, ()))

    def live_bytes(self, pack_id: int) -> int:
        row = self._row(queries.LIVE_BYTES, (pack_id,))
        return 0 if row is None else row[0]

    def placement(self, pack_id: int) -> str | None:
        row = self._row(queries.PLACEMENT, (pack_id,))
        return None if row is None else row[0]

    def newest_packs(self) -> dict[str, int]:
        return dict(self._rows(queries.NEWEST_PACKS, ()))

    def unsettled(self, limit: int, after: int = 0) -> list[int]:
        return [ino for (ino,) in self._rows(queries.UNSETTLED, (after, limit))]

    def sharing(self, ino: int) -> list[int]:
        return [other for (other,) in self._rows(queries.SHARING, (ino,))]

    def retrievals(self) -> list[Version]:
        return [to_version(row) for row in self._rows(queries.RETRIEVALS, ())]

    def locked_versions(self, after: tuple[int, int], limit: int) -> list[Version]:
        rows = self._rows(queries.LOCKED_VERSIONS, (*after, limit))
        return [to_version(row) for row in rows]

    def unread_since(self, tier: str, before_ns: int, limit: int) -> list[Version]:
        rows = self._rows(queries.UNREAD_SINCE, (tier, before_ns, limit))
        return [to_version(row) for row in rows]

    def key(self, key_id: int) -> bytes | None:
        row = self._row(queries.KEY, (key_id,))
        return None if row is None else row[0]

    def keys(self, after: int, limit: int) -> list[tuple[int, bytes]]:
        return self._rows(queries.KEYS, (after, limit))

    def key_in_use(self, key_id: int) -> bool:
        return self._row(queries.KEY_IN_USE, (key_id,)) is not None

    def pending_lock(self, ino: int) -> int | None:
        row = self._row(queries.PENDING_LOCK, (ino,))
        return None if row is None else row[0]

    def pending_locks(self, from_ns: int, to_ns: int, limit: int) -> list[tuple[int, int]]:
        return self._rows(queries.PENDING_LOCKS, (from_ns, to_ns, limit))

    def setting(self, name: str) -> str | None:
        row = self._row(queries.SETTING, (name,))
        return None if row is None else row[0]

    def settings(self) -> dict[str, str]:
        return dict(self._rows(queries.SETTINGS, ()))

    def agenda(self, until_ns: int, limit: int) -> list[tuple[int, bytes]]:
        return self._rows(queries.AGENDA, (until_ns, limit))

    def agenda_row(self, place: int, name: bytes) -> tuple[int, int] | None:
        return self._row(queries.AGENDA_ROW, (place, name))

    def names_after(self, parent: int, name: bytes, limit: int) -> list[tuple[int, bytes]]:
        """See `Metadata`; one seek a name, however often it was used."""
        found: list[tuple[int, bytes]] = []
        while len(found) < limit:
            row = self._row(queries.NAMES_AFTER, (parent, name))
            if row is None:
                break
            parent, name = row
            found.append((parent, name))
        return found

    def interval(self, parent: int, name: bytes, from_ns: int) -> Entry | None:
        row = self._row(queries.INTERVAL, (parent, name, from_ns))
        return None if row is None else to_entry(row)

    def cells_changed(self, ino: int, after_ns: int, until_ns: int) -> list[int]:
        rows = self._rows(queries.CELLS_CHANGED, (ino, after_ns, until_ns))
        return [cell for (cell,) in rows]

    def inodes_after(self, ino: int, limit: int) -> list[Inode]:
        self._write_inodes()
        return [to_inode(row) for row in self._rows(queries.INODES_AFTER, (ino, limit))]

    def tasks(self, destination: str, limit: int) -> list[Task]:
        return [to_task(row) for row in self._rows(queries.TASKS, (destination, limit))]

    def failed_tasks(self, limit: int) -> list[Task]:
        return [to_task(row) for row in self._rows(queries.FAILED_TASKS, (limit,))]

    def task(self, destination: str, ino: int, stamp_ns: int) -> Task | None:
        row = self._row(queries.TASK, (destination, ino, stamp_ns))
        return None if row is None else to_task(row)

    def tasks_of(self, ino: int) -> list[Task]:
        return [to_task(row) for row in self._rows(queries.TASKS_OF, (ino,))]

    def backlog(self) -> list[Backlog]:
        return [
            Backlog(destination, rule, failed != 0, *sums)
            for destination, rule, failed, *sums in self._rows(queries.BACKLOG, ())
        ]

    def replica(self, source: bytes, kind: ReplicaKind, there: int) -> int | None:
        row = self._row(queries.REPLICA, (source, kind, there))
        return None if row is None else row[0]

    def origin(self, kind: ReplicaKind, here: int) -> tuple[bytes, int] | None:
        return self._row(queries.ORIGIN, (kind, here))

    def class_usage(self) -> list[ClassUsage]:
        return [ClassUsage(*row) for row in self._rows(queries.CLASS_USAGE, ())]

    def facts(self) -> Iterator[Fact]:
        """See `Metadata`; a connection of its own keeps the facts of this moment."""
        try:
            return read_facts(self._snapshot())
        except (MetadataDamaged, StoreDamaged) as error:
            if self.rescue is None:
                raise
            self._move(error)
        return read_facts(self._snapshot())

    def _snapshot(self) -> apsw.Connection:
        connection = connect(self._path)
        try:
            connection.execute("BEGIN")
            connection.execute(queries.STATE).fetchall()  # a snapshot begins with the first read
        except apsw.Error as error:
            system_errno = connection.system_errno
            connection.close()
            raise_translated(error, system_errno)
        return connection

    def _row(self, sql: str, parameters: Row) -> Row | None:
        if self._is_adrift:
            self._return_to_last_batch()
        try:
            return self._execute(sql, parameters).fetchone()
        except apsw.Error as error:
            self._recover(error)
        return next(iter(self._rows(sql, parameters)), None)

    def _only_row(self, sql: str, parameters: Row = ()) -> Row:
        row = self._row(sql, parameters)
        assert row is not None  # an aggregate always has one
        return row

    def _rows(self, sql: str, parameters: Row) -> list[Row]:
        if self._is_adrift:
            self._return_to_last_batch()
        try:
            return self._execute(sql, parameters).fetchall()
        except apsw.Error as error:
            self._recover(error)
        try:
            return self._execute(sql, parameters).fetchall()
        except apsw.Error as error:
            raise_translated(error, self._connection.system_errno)

    def _named_inode(self, ino: int) -> Inode:
        inode = self.inode(ino)
        if inode is None:
            raise MetadataDamaged(f"a live name means inode {ino}, which does not exist")
        return inode

    def _write(self, batch: tuple[Change, ...]) -> None:
        functions = self._functions
        for change in batch:
            functions[type(change)](change)

    def _return_to_last_batch(self) -> None:
        """The facts are those after the last batch that was applied, although something failed.

        Raises:
            MetadataDamaged: not yet; the next call of anything tries again.
        """
        self._is_adrift = True
        self._inodes.clear()
        self._cells.clear()
        try:
            if self._connection.in_transaction:  # SQLite may have rolled back itself
                self._execute("ROLLBACK")
            self._execute("BEGIN")
            self._writer.set_counters(self._committed)
            for batch in self._uncommitted:
                self._write(batch)
        except (apsw.Error, MetadataDamaged) as error:
            raise MetadataDamaged(f"the metadata database stopped working: {error}") from error
        self._is_adrift = False

    def _checkpoint_on(self, connection: apsw.Connection) -> None:
        logged, copied = connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        if copied == logged:
            self._wal_bytes = 0

    def _note_log_length(self, _connection: apsw.Connection, _name: str, pages: int) -> int:
        self._wal_bytes = pages * self._frame_bytes
        return apsw.SQLITE_OK
