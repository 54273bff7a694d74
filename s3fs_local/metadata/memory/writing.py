"""Changes as rows: one function a change, and the counters that follow them."""

from collections.abc import Callable
from typing import Any, Final

from msgspec.structs import replace

from s3fs_local.errors import MetadataDamaged
from s3fs_local.metadata.changes import (
    AddBlock,
    Change,
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
from s3fs_local.metadata.memory.tables import Tables, existing
from s3fs_local.rules.namespace import OPEN_NS
from s3fs_local.rules.replication import ReplicaKind


class Writing:
    """Writes changes into tables; see `metadata/changes.py` for what each means."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._functions: Final[dict[type, Callable[[Any], None]]] = {
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

    def write(self, change: Change) -> None:
        """The rows are as the change says. Raises MetadataDamaged if it does not fit them."""
        self._functions[type(change)](change)

    def _put_inode(self, change: PutInode) -> None:
        self._tables.set(self._tables.inodes, change.inode.ino, change.inode)
        self._tables.raise_to("ino", change.inode.ino)

    def _remove_inode(self, change: RemoveInode) -> None:
        self._tables.remove(self._tables.inodes, change.ino)
        if change.ino in self._tables.kept:
            self._tables.remove(self._tables.kept, change.ino)
        self._forget_replica(ReplicaKind.INODE, change.ino)

    def _keep_attributes(self, change: KeepAttributes) -> None:
        kept = change.kept
        if kept.ino not in self._tables.kept:
            self._tables.set(self._tables.kept, kept.ino, {})
        self._tables.add(self._tables.kept[kept.ino], kept.to_ns, kept)
        self._tables.raise_to("stamp_ns", kept.to_ns)

    def _open_entry(self, change: OpenEntry) -> None:
        entry = change.entry
        intervals = self._tables.entries.setdefault(entry.parent, {}).setdefault(entry.name, {})
        self._tables.add(intervals, entry.from_ns, entry)
        self._tables.raise_to("stamp_ns", entry.from_ns if entry.to_ns == OPEN_NS else entry.to_ns)

    def _close_entry(self, change: CloseEntry) -> None:
        intervals = self._tables.intervals(change.parent, change.name)
        entry = existing(intervals, change.from_ns)
        if entry.to_ns != OPEN_NS:
            raise MetadataDamaged(f"a change closes an interval that has ended: {entry}")
        closed = replace(entry, to_ns=change.to_ns, ending=change.ending, ended_by=change.ended_by)
        self._tables.set(intervals, change.from_ns, closed)
        self._tables.raise_to("stamp_ns", change.to_ns)

    def _remove_entry(self, change: RemoveEntry) -> None:
        self._tables.remove(self._tables.intervals(change.parent, change.name), change.from_ns)

    def _put_version(self, change: PutVersion) -> None:
        version = change.version
        self._tables.set(
            self._tables.versions.setdefault(version.ino, {}), version.stamp_ns, version
        )
        self._tables.raise_to("stamp_ns", version.stamp_ns)

    def _remove_version(self, change: RemoveVersion) -> None:
        self._tables.remove(self._tables.versions.get(change.ino, {}), change.stamp_ns)

    def _open_cell(self, change: OpenCell) -> None:
        layouts = self._tables.cells.setdefault(change.ino, {}).setdefault(change.cell, {})
        self._tables.add(layouts, change.from_ns, (OPEN_NS, change.extents))
        self._tables.raise_to("stamp_ns", change.from_ns)

    def _close_cell(self, change: CloseCell) -> None:
        layouts = self._tables.layouts(change.ino, change.cell)
        for from_ns, (to_ns, extents) in layouts.items():
            if to_ns == OPEN_NS:
                self._tables.set(layouts, from_ns, (change.to_ns, extents))
                break
        self._tables.raise_to("stamp_ns", change.to_ns)

    def _remove_cell(self, change: RemoveCell) -> None:
        self._tables.remove(self._tables.layouts(change.ino, change.cell), change.from_ns)

    def _reopen_cell(self, change: ReopenCell) -> None:
        layouts = self._tables.layouts(change.ino, change.cell)
        _, extents = existing(layouts, change.from_ns)
        self._tables.set(layouts, change.from_ns, (OPEN_NS, extents))

    def _add_block(self, change: AddBlock) -> None:
        self._tables.add(self._tables.blocks, change.block.block_id, change.block)
        self._tables.raise_to("block_id", change.block.block_id)

    def _count_block(self, change: CountBlock) -> None:
        block = existing(self._tables.blocks, change.block_id)
        if block.refs + change.by < 0:
            raise MetadataDamaged(f"fewer than no layouts use the block: {block}")
        self._tables.set(
            self._tables.blocks, block.block_id, replace(block, refs=block.refs + change.by)
        )

    def _remove_block(self, change: RemoveBlock) -> None:
        self._tables.remove(self._tables.blocks, change.block_id)
        self._forget_replica(ReplicaKind.BLOCK, change.block_id)

    def _move_block(self, change: MoveBlock) -> None:
        block = existing(self._tables.blocks, change.block_id)
        moved = replace(block, pack_id=change.pack_id, pack_offset=change.pack_offset)
        self._tables.set(self._tables.blocks, block.block_id, moved)

    def _put_key(self, change: PutKey) -> None:
        self._tables.set(self._tables.keys, change.key_id, change.wrapped)
        self._tables.raise_to("key_id", change.key_id)

    def _remove_key(self, change: RemoveKey) -> None:
        self._tables.remove(self._tables.keys, change.key_id)

    def _put_pack(self, change: PutPack) -> None:
        self._tables.set(self._tables.packs, change.pack_id, change.placement)
        self._tables.raise_to("pack_id", change.pack_id)

    def _remove_pack(self, change: RemovePack) -> None:
        self._tables.remove(self._tables.packs, change.pack_id)

    def _put_setting(self, change: PutSetting) -> None:
        self._tables.set(self._tables.settings, change.name, change.value)

    def _remove_setting(self, change: RemoveSetting) -> None:
        if change.name in self._tables.settings:
            self._tables.remove(self._tables.settings, change.name)

    def _schedule_key(self, change: ScheduleKey) -> None:
        place = (change.place, change.name)
        acted_ns = max(self._tables.agenda.get(place, (0, 0))[1], change.acted_ns)
        self._tables.set(self._tables.agenda, place, (change.at_ns, acted_ns))

    def _unschedule_key(self, change: UnscheduleKey) -> None:
        if (change.place, change.name) in self._tables.agenda:
            self._tables.remove(self._tables.agenda, (change.place, change.name))

    def _put_cell(self, change: PutCell) -> None:
        layouts = self._tables.cells.setdefault(change.ino, {}).setdefault(change.cell, {})
        self._tables.set(layouts, change.from_ns, (change.to_ns, change.extents))
        ended_ns = change.from_ns if change.to_ns == OPEN_NS else change.to_ns
        self._tables.raise_to("stamp_ns", ended_ns)

    def _put_pending_lock(self, change: PutPendingLock) -> None:
        self._tables.set(self._tables.pending_locks, change.ino, change.due_ns)

    def _remove_pending_lock(self, change: RemovePendingLock) -> None:
        if change.ino in self._tables.pending_locks:
            self._tables.remove(self._tables.pending_locks, change.ino)

    def _place_block(self, change: PlaceBlock) -> None:
        block = existing(self._tables.blocks, change.block.block_id)
        self._tables.set(
            self._tables.blocks, block.block_id, replace(change.block, refs=block.refs)
        )

    def _mark_unsettled(self, change: MarkUnsettled) -> None:
        self._tables.set(self._tables.unsettled, change.ino, value=True)

    def _mark_settled(self, change: MarkSettled) -> None:
        if change.ino in self._tables.unsettled:
            self._tables.remove(self._tables.unsettled, change.ino)

    def _share_blocks(self, change: ShareBlocks) -> None:
        self._tables.set(self._tables.sharing, (change.ino, change.source), value=True)

    def _put_task(self, change: PutTask) -> None:
        task = change.task
        self._tables.set(self._tables.tasks, (task.destination, task.ino, task.stamp_ns), task)

    def _remove_task(self, change: RemoveTask) -> None:
        key = (change.destination, change.ino, change.stamp_ns)
        if key in self._tables.tasks:
            self._tables.remove(self._tables.tasks, key)

    def _put_replica(self, change: PutReplica) -> None:
        replica = change.replica
        self._tables.set(
            self._tables.replicas, (replica.source, replica.kind, replica.there), replica
        )

    def _forget_replica(self, kind: ReplicaKind, here: int) -> None:
        for key, replica in list(self._tables.replicas.items()):
            if (replica.kind, replica.here) == (kind, here):
                self._tables.remove(self._tables.replicas, key)
