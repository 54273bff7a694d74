"""Changes as SQL: one function a change, and the counters that follow them."""

# The texts are put together from field names and constants only.
# ruff: noqa: S608

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

import apsw
from msgspec.structs import astuple

from s3fs_local.errors import MetadataDamaged
from s3fs_local.metadata.changes import (
    AddBlock,
    CloseCell,
    CloseEntry,
    CountBlock,
    KeepAttributes,
    MarkSettled,
    MarkUnsettled,
    MoveBlock,
    OpenCell,
    OpenEntry,
    PlaceBlock,
    PutCell,
    PutInode,
    PutKey,
    PutPack,
    PutPendingLock,
    PutReplica,
    PutSetting,
    PutTask,
    PutVersion,
    RemoveBlock,
    RemoveCell,
    RemoveEntry,
    RemoveInode,
    RemoveKey,
    RemovePack,
    RemovePendingLock,
    RemoveSetting,
    RemoveTask,
    RemoveVersion,
    ReopenCell,
    ScheduleKey,
    ShareBlocks,
    UnscheduleKey,
)
from s3fs_local.metadata.interface import Counters
from s3fs_local.metadata.sqlite.open_cells import OpenCells
from s3fs_local.metadata.sqlite.rows import Row, inode_row, kept_row, places, version_row
from s3fs_local.rules.extents import Block
from s3fs_local.rules.inode import Inode, KeptAttributes
from s3fs_local.rules.namespace import OPEN_NS, Entry
from s3fs_local.rules.replication import Replica, ReplicaKind, Task
from s3fs_local.rules.versioning import Version

_LATE_INODES_MAX: Final = 256

_PUT_INODE: Final = f"REPLACE INTO inode VALUES ({places(Inode)})"
_REMOVE_INODE: Final = "DELETE FROM inode WHERE ino = ?"
_REMOVE_KEPT: Final = "DELETE FROM kept_attributes WHERE ino = ?"
_KEEP: Final = f"INSERT INTO kept_attributes VALUES ({places(KeptAttributes)})"
_OPEN_ENTRY: Final = f"INSERT INTO entry VALUES ({places(Entry)})"
_CLOSE_ENTRY: Final = f"""
    UPDATE entry SET to_ns = ?, ending = ?, ended_by = ?
    WHERE parent = ? AND name = ? AND from_ns = ? AND to_ns = {OPEN_NS}"""
_REMOVE_ENTRY: Final = "DELETE FROM entry WHERE parent = ? AND name = ? AND from_ns = ?"
_PUT_VERSION: Final = f"REPLACE INTO version VALUES ({places(Version)})"
_REMOVE_VERSION: Final = "DELETE FROM version WHERE ino = ? AND stamp_ns = ?"
_OPEN_CELL: Final = f"INSERT INTO cell VALUES (?, ?, ?, {OPEN_NS}, ?)"
_PUT_CELL: Final = "REPLACE INTO cell VALUES (?, ?, ?, ?, ?)"
# The open layout is the newest: one seek, however many past ones there are.
_CLOSE_CELL: Final = f"""
    UPDATE cell SET to_ns = ?3
    WHERE ino = ?1 AND cell = ?2 AND to_ns = {OPEN_NS}
        AND from_ns = (SELECT max(from_ns) FROM cell WHERE ino = ?1 AND cell = ?2)"""
_REMOVE_CELL: Final = "DELETE FROM cell WHERE ino = ? AND cell = ? AND from_ns = ?"
_REOPEN_CELL: Final = (
    f"UPDATE cell SET to_ns = {OPEN_NS} WHERE ino = ? AND cell = ? AND from_ns = ?"
)
_ADD_BLOCK: Final = f"INSERT INTO block VALUES ({places(Block)})"
_COUNT_BLOCK: Final = "UPDATE block SET refs = refs + ? WHERE block_id = ?"
_REMOVE_BLOCK: Final = "DELETE FROM block WHERE block_id = ?"
_MOVE_BLOCK: Final = "UPDATE block SET pack_id = ?, pack_offset = ? WHERE block_id = ?"
_PLACE_BLOCK: Final = """
    UPDATE block SET pack_id = ?, pack_offset = ?, sealed_length = ?, digest = ?, codec = ?,
        plain_digest = ? WHERE block_id = ?"""
_MARK_UNSETTLED: Final = "REPLACE INTO unsettled VALUES (?)"
_MARK_SETTLED: Final = "DELETE FROM unsettled WHERE ino = ?"
_SHARE_BLOCKS: Final = "REPLACE INTO sharing VALUES (?, ?)"
_PUT_KEY: Final = "REPLACE INTO data_key VALUES (?, ?)"
_REMOVE_KEY: Final = "DELETE FROM data_key WHERE key_id = ?"
_PUT_PACK: Final = "REPLACE INTO pack VALUES (?, ?)"
_REMOVE_PACK: Final = "DELETE FROM pack WHERE pack_id = ?"
_PUT_PENDING_LOCK: Final = "REPLACE INTO pending_lock VALUES (?, ?)"
_REMOVE_PENDING_LOCK: Final = "DELETE FROM pending_lock WHERE ino = ?"
_PUT_SETTING: Final = "REPLACE INTO setting VALUES (?, ?)"
_REMOVE_SETTING: Final = "DELETE FROM setting WHERE name = ?"
_SCHEDULE_KEY: Final = """
    INSERT INTO agenda VALUES (?, ?, ?, ?) ON CONFLICT (place, name) DO UPDATE
    SET at_ns = excluded.at_ns, acted_ns = max(acted_ns, excluded.acted_ns)"""
_PUT_TASK: Final = f"REPLACE INTO task VALUES ({places(Task)})"
_TASK_SUMS: Final = """
    SELECT destination, rule, reason <> '', size FROM task
    WHERE destination = ? AND ino = ? AND stamp_ns = ?"""
_COUNT_TASKS: Final = """
    INSERT INTO backlog VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (destination, rule, failed)
    DO UPDATE SET operations = operations + ?4, size = size + ?5"""
_REMOVE_TASK: Final = "DELETE FROM task WHERE destination = ? AND ino = ? AND stamp_ns = ?"
_PUT_REPLICA: Final = f"REPLACE INTO replica VALUES ({places(Replica)})"
_REMOVE_REPLICA: Final = (
    "DELETE FROM replica INDEXED BY replica_by_copy WHERE kind = ? AND here = ?"
)
_UNSCHEDULE_KEY: Final = "DELETE FROM agenda WHERE place = ? AND name = ?"


class Inodes:
    """Inodes as they are, applied changes included; the oldest of those that were read go first.

    Rows are written late, together, and each once: a file that is made and closed changes its row
    twice, and that of its directory for each of its neighbours. Whoever asks SQL about the table
    calls `write` before; a commit does.
    """

    def __init__(self, cursor: apsw.Cursor, at_most: int) -> None:
        self._at_most: Final = at_most
        self._execute_many: Final = cursor.executemany
        self._known: OrderedDict[int, Inode] = OrderedDict()
        self._late: dict[int, Inode] = {}  # of those: whose rows are older, or not there yet
        self.get: Final = self._known.get

    def remember(self, inode: Inode) -> None:
        """The inode is this; the table has it, or will."""
        known = self._known
        known[inode.ino] = inode
        if len(known) > self._at_most:
            ino, oldest = known.popitem(last=False)
            if ino in self._late:
                known[ino] = oldest  # nobody else knows what it is

    def put(self, inode: Inode) -> None:
        """From now on the inode is this."""
        self._late[inode.ino] = inode
        self.remember(inode)
        if len(self._late) > _LATE_INODES_MAX:
            self.write()

    def write(self) -> None:
        """The table has them all."""
        if self._late:
            self._execute_many(_PUT_INODE, map(inode_row, self._late.values()))
            self._late.clear()

    def forget(self, ino: int) -> None:
        """The row is gone."""
        self._known.pop(ino, None)

    def clear(self) -> None:
        """What was put since the last commit counts no more."""
        self._known.clear()
        self._late.clear()


class Writer:
    """Writes changes through one cursor, inside whatever transaction is open."""

    def __init__(
        self, cursor: apsw.Cursor, counters: Counters, inodes: Inodes, cells: OpenCells
    ) -> None:
        self._execute: Final = cursor.execute
        self._count_rows: Final = cursor.connection.changes
        self._inodes: Final = inodes
        self._cells: Final = cells
        self._ino = self._block_id = self._key_id = self._pack_id = self._stamp_ns = 0
        self.set_counters(counters)
        self.functions: Final[dict[type, Callable[[Any], None]]] = {
            PutInode: self._put_inode,
            RemoveInode: self._remove_inode,
            KeepAttributes: self._keep_attributes,
            OpenEntry: self._open_entry,
            CloseEntry: self._close_entry,
            RemoveEntry: self._remove_entry,
            PutVersion: self._put_version,
            RemoveVersion: self._remove_version,
            OpenCell: self._open_cell,
            CloseCell: self._close_cell,
            RemoveCell: self._remove_cell,
            ReopenCell: self._reopen_cell,
            AddBlock: self._add_block,
            CountBlock: self._count_block,
            RemoveBlock: self._remove_block,
            MoveBlock: self._move_block,
            PutKey: self._put_key,
            RemoveKey: self._remove_key,
            PutPack: self._put_pack,
            RemovePack: self._remove_pack,
            PutSetting: self._put_setting,
            RemoveSetting: self._remove_setting,
            ScheduleKey: self._schedule_key,
            UnscheduleKey: self._unschedule_key,
            PutCell: self._put_cell,
            PutPendingLock: self._put_pending_lock,
            RemovePendingLock: self._remove_pending_lock,
            PlaceBlock: self._place_block,
            MarkUnsettled: self._mark_unsettled,
            MarkSettled: self._mark_settled,
            ShareBlocks: self._share_blocks,
            PutTask: self._put_task,
            RemoveTask: self._remove_task,
            PutReplica: self._put_replica,
        }

    def counters(self) -> Counters:
        """The highest numbers written so far."""
        return Counters(self._ino, self._block_id, self._key_id, self._pack_id, self._stamp_ns)

    def set_counters(self, counters: Counters) -> None:
        """Counting goes on from these (after a rollback, lower than before)."""
        self._ino = counters.ino
        self._block_id = counters.block_id
        self._key_id = counters.key_id
        self._pack_id = counters.pack_id
        self._stamp_ns = counters.stamp_ns

    def _execute_on_one(self, sql: str, row: Row) -> None:
        """The statement changed exactly the row that it addresses."""
        self._execute(sql, row)
        if self._count_rows() != 1:
            raise MetadataDamaged(f"a change addresses a row that is not there: {sql} {row}")

    def _put_inode(self, change: PutInode) -> None:
        inode = change.inode
        self._inodes.put(inode)
        self._ino = max(self._ino, inode.ino)

    def _remove_inode(self, change: RemoveInode) -> None:
        self._inodes.write()
        self._execute_on_one(_REMOVE_INODE, (change.ino,))
        self._execute(_REMOVE_KEPT, (change.ino,))
        self._execute(_REMOVE_REPLICA, (ReplicaKind.INODE, change.ino))
        self._inodes.forget(change.ino)

    def _keep_attributes(self, change: KeepAttributes) -> None:
        self._execute(_KEEP, kept_row(change.kept))
        self._stamp_ns = max(self._stamp_ns, change.kept.to_ns)

    def _open_entry(self, change: OpenEntry) -> None:
        entry = change.entry
        self._execute(_OPEN_ENTRY, astuple(entry))
        last_ns = entry.from_ns if entry.to_ns == OPEN_NS else entry.to_ns
        self._stamp_ns = max(self._stamp_ns, last_ns)

    def _close_entry(self, change: CloseEntry) -> None:
        self._execute_on_one(
            _CLOSE_ENTRY,
            (
                change.to_ns,
                change.ending,
                change.ended_by,
                change.parent,
                change.name,
                change.from_ns,
            ),
        )
        self._stamp_ns = max(self._stamp_ns, change.to_ns)

    def _remove_entry(self, change: RemoveEntry) -> None:
        self._execute_on_one(_REMOVE_ENTRY, (change.parent, change.name, change.from_ns))

    def _put_version(self, change: PutVersion) -> None:
        self._execute(_PUT_VERSION, version_row(change.version))
        self._stamp_ns = max(self._stamp_ns, change.version.stamp_ns)

    def _remove_version(self, change: RemoveVersion) -> None:
        self._execute_on_one(_REMOVE_VERSION, (change.ino, change.stamp_ns))

    def _open_cell(self, change: OpenCell) -> None:
        self._cells.remember(change.ino, change.cell, change.extents)
        self._execute(_OPEN_CELL, (change.ino, change.cell, change.from_ns, change.extents))
        self._stamp_ns = max(self._stamp_ns, change.from_ns)

    def _close_cell(self, change: CloseCell) -> None:
        self._cells.forget(change.ino, change.cell)
        self._execute(_CLOSE_CELL, (change.ino, change.cell, change.to_ns))
        self._stamp_ns = max(self._stamp_ns, change.to_ns)

    def _put_cell(self, change: PutCell) -> None:
        self._cells.forget(change.ino, change.cell)
        self._execute(_PUT_CELL, astuple(change))
        ended_ns = change.from_ns if change.to_ns == OPEN_NS else change.to_ns
        self._stamp_ns = max(self._stamp_ns, ended_ns)

    def _remove_cell(self, change: RemoveCell) -> None:
        self._cells.forget(change.ino, change.cell)
        self._execute_on_one(_REMOVE_CELL, (change.ino, change.cell, change.from_ns))

    def _reopen_cell(self, change: ReopenCell) -> None:
        self._cells.forget(change.ino, change.cell)
        self._execute_on_one(_REOPEN_CELL, (change.ino, change.cell, change.from_ns))

    def _add_block(self, change: AddBlock) -> None:
        block = change.block
        self._execute(_ADD_BLOCK, astuple(block))
        self._block_id = max(self._block_id, block.block_id)

    def _count_block(self, change: CountBlock) -> None:
        self._execute_on_one(_COUNT_BLOCK, (change.by, change.block_id))

    def _remove_block(self, change: RemoveBlock) -> None:
        self._execute_on_one(_REMOVE_BLOCK, (change.block_id,))
        self._execute(_REMOVE_REPLICA, (ReplicaKind.BLOCK, change.block_id))

    def _move_block(self, change: MoveBlock) -> None:
        self._execute_on_one(_MOVE_BLOCK, (change.pack_id, change.pack_offset, change.block_id))

    def _place_block(self, change: PlaceBlock) -> None:
        block = change.block
        self._execute_on_one(
            _PLACE_BLOCK,
            (
                block.pack_id,
                block.pack_offset,
                block.sealed_length,
                block.digest,
                block.codec,
                block.plain_digest,
                block.block_id,
            ),
        )

    def _mark_unsettled(self, change: MarkUnsettled) -> None:
        self._execute(_MARK_UNSETTLED, (change.ino,))

    def _mark_settled(self, change: MarkSettled) -> None:
        self._execute(_MARK_SETTLED, (change.ino,))

    def _share_blocks(self, change: ShareBlocks) -> None:
        self._execute(_SHARE_BLOCKS, (change.ino, change.source))

    def _put_key(self, change: PutKey) -> None:
        self._execute(_PUT_KEY, (change.key_id, change.wrapped))
        self._key_id = max(self._key_id, change.key_id)

    def _remove_key(self, change: RemoveKey) -> None:
        self._execute_on_one(_REMOVE_KEY, (change.key_id,))

    def _put_pack(self, change: PutPack) -> None:
        self._execute(_PUT_PACK, (change.pack_id, change.placement))
        self._pack_id = max(self._pack_id, change.pack_id)

    def _remove_pack(self, change: RemovePack) -> None:
        self._execute_on_one(_REMOVE_PACK, (change.pack_id,))

    def _put_setting(self, change: PutSetting) -> None:
        self._execute(_PUT_SETTING, (change.name, change.value))

    def _remove_setting(self, change: RemoveSetting) -> None:
        self._execute(_REMOVE_SETTING, (change.name,))

    def _schedule_key(self, change: ScheduleKey) -> None:
        self._execute(_SCHEDULE_KEY, (change.place, change.name, change.at_ns, change.acted_ns))

    def _unschedule_key(self, change: UnscheduleKey) -> None:
        self._execute(_UNSCHEDULE_KEY, (change.place, change.name))

    def _put_pending_lock(self, change: PutPendingLock) -> None:
        self._execute(_PUT_PENDING_LOCK, (change.ino, change.due_ns))

    def _remove_pending_lock(self, change: RemovePendingLock) -> None:
        self._execute(_REMOVE_PENDING_LOCK, (change.ino,))

    def _put_task(self, change: PutTask) -> None:
        task = change.task
        self._uncount_task((task.destination, task.ino, task.stamp_ns))
        self._execute(_PUT_TASK, astuple(task))
        sums = (task.destination, task.rule, task.reason != "", 1, task.size)
        self._execute(_COUNT_TASKS, sums)

    def _uncount_task(self, key: tuple[str, int, int]) -> None:
        rows: list[Row] = self._execute(_TASK_SUMS, key).fetchall()
        for *group, size in rows:
            self._execute(_COUNT_TASKS, (*group, -1, -size))

    def _remove_task(self, change: RemoveTask) -> None:
        self._uncount_task((change.destination, change.ino, change.stamp_ns))
        self._execute(_REMOVE_TASK, (change.destination, change.ino, change.stamp_ns))

    def _put_replica(self, change: PutReplica) -> None:
        self._execute(_PUT_REPLICA, astuple(change.replica))
