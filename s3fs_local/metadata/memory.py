"""The metadata engine in memory: for tests, simulations, and as a second reading of the contract.

Plain dictionaries, searched as a person would. Every step is written down with what was there
before, so a failed batch and whatever was not committed can be undone.
"""

# The contract of the methods is in interface.py.
# ruff: noqa: D102

import stat
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from msgspec.structs import replace

from s3fs_local.errors import MetadataDamaged
from s3fs_local.metadata.changes import (
    AddBlock,
    Change,
    CloseCell,
    CloseEntry,
    CountBlock,
    Fact,
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
    fact_key,
)
from s3fs_local.metadata.interface import CELLS_MAX, Counters, Usage
from s3fs_local.rules.extents import Block
from s3fs_local.rules.inode import Inode, KeptAttributes
from s3fs_local.rules.lifecycle import SMALL_BYTES
from s3fs_local.rules.namespace import LEAVING, OPEN_NS, Entry
from s3fs_local.rules.replication import Backlog, Replica, ReplicaKind, Task
from s3fs_local.rules.storage_costs import ClassUsage
from s3fs_local.rules.versioning import Version

_ABSENT: Final = object()

_Intervals = dict[int, Entry]  # of one name, by from_ns
_Layouts = dict[int, tuple[int, bytes]]  # of one cell: from_ns to (to_ns, extents)


class MemoryMetadata:
    """A `Metadata` that lasts as long as the object.

    `close` is a crash and a restart in one: the object goes on from its last commit.
    """

    def __init__(self) -> None:
        self._undo: Final[list[tuple[dict[Any, Any], object, object]]] = []
        self._position = 0
        self._highest: Final = dict.fromkeys(Counters.__struct_fields__, 0)
        self._inodes: Final[dict[int, Inode]] = {}
        self._kept: Final[dict[int, dict[int, KeptAttributes]]] = {}  # by ino, to_ns
        self._entries: Final[dict[int, dict[bytes, _Intervals]]] = {}  # by parent, name
        self._versions: Final[dict[int, dict[int, Version]]] = {}  # by ino, stamp_ns
        self._cells: Final[dict[int, dict[int, _Layouts]]] = {}  # by ino, cell
        self._blocks: Final[dict[int, Block]] = {}
        self._keys: Final[dict[int, bytes]] = {}
        self._packs: Final[dict[int, str]] = {}
        self._settings: Final[dict[str, str]] = {}
        self._agenda: Final[dict[tuple[int, bytes], tuple[int, int]]] = {}  # at_ns, acted_ns
        self._pending_locks: Final[dict[int, int]] = {}  # inode to due
        self._unsettled: Final[dict[int, bool]] = {}  # by ino
        self._sharing: Final[dict[tuple[int, int], bool]] = {}  # by ino, source
        self._tasks: Final[dict[tuple[str, int, int], Task]] = {}
        self._replicas: Final[dict[tuple[bytes, int, int], Replica]] = {}
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

    def apply(self, changes: Sequence[Change]) -> None:
        mark = len(self._undo)
        try:
            for change in changes:
                self._functions[type(change)](change)
        except BaseException:
            self._undo_to(mark)
            raise

    def commit(self, position: int) -> None:
        self._position = position
        self._undo.clear()

    def position(self) -> int:
        return self._position

    def close(self) -> None:
        self._undo_to(0)

    def counters(self) -> Counters:
        return Counters(**self._highest)

    def usage(self) -> Usage:
        named = [inode for inode in self._inodes.values() if inode.nlink > 0]
        blocks = self._blocks.values()
        return Usage(
            inodes=len(named),
            files=sum(stat.S_ISREG(inode.mode) for inode in named),
            versions=sum(map(len, self._versions.values())),
            blocks=len(blocks),
            plain_bytes=sum(block.length for block in blocks),
            sealed_bytes=sum(block.sealed_length for block in blocks),
        )

    def inode(self, ino: int) -> Inode | None:
        return self._inodes.get(ino)

    def lookup(self, parent: int, name: bytes) -> Inode | None:
        entry = self.entry(parent, name)
        return None if entry is None or entry.is_marker else self._named_inode(entry)

    def entry(self, parent: int, name: bytes) -> Entry | None:
        for entry in self._entries.get(parent, {}).get(name, {}).values():
            if entry.to_ns == OPEN_NS:
                return entry
        return None

    def children(self, parent: int, after_ns: int, limit: int) -> list[tuple[Entry, Inode]]:
        live = [
            entry
            for entry in self._directory(parent)
            if entry.to_ns == OPEN_NS and not entry.is_marker and entry.from_ns > after_ns
        ]
        live.sort(key=lambda entry: entry.from_ns)
        return [(entry, self._named_inode(entry)) for entry in live[:limit]]

    def has_children(self, parent: int) -> bool:
        return bool(self.children(parent, after_ns=-1, limit=1))

    def entry_at(self, parent: int, name: bytes, at_ns: int) -> Entry | None:
        for entry in self.name_history(parent, name):
            if entry.from_ns <= at_ns < entry.to_ns and not entry.is_marker:
                return entry
        return None

    def children_at(self, parent: int, at_ns: int) -> list[Entry]:
        return [
            entry
            for entry in self.directory_history(parent)
            if entry.from_ns <= at_ns < entry.to_ns and not entry.is_marker
        ]

    def name_history(self, parent: int, name: bytes) -> list[Entry]:
        intervals = self._entries.get(parent, {}).get(name, {})
        return [entry for _, entry in sorted(intervals.items())]

    def name_before(self, parent: int, name: bytes, before_ns: int, limit: int) -> list[Entry]:
        found = [one for one in self.name_history(parent, name) if one.from_ns < before_ns]
        return found[::-1][:limit]

    def begun_before(self, until_ns: int, limit: int) -> list[Entry]:
        found = [one for one in self._every_entry() if one.from_ns <= until_ns]
        found.sort(key=lambda one: (one.from_ns, one.ino, one.parent, one.name), reverse=True)
        return found[:limit]

    def left_before(self, until_ns: int, limit: int) -> list[Entry]:
        found = [
            one for one in self._every_entry() if one.ending in LEAVING and one.to_ns <= until_ns
        ]
        found.sort(key=lambda one: (one.to_ns, one.parent, one.name, one.from_ns), reverse=True)
        return found[:limit]

    def _every_entry(self) -> Iterator[Entry]:
        return (entry for parent in self._entries for entry in self._directory(parent))

    def directory_history(self, parent: int) -> list[Entry]:
        return sorted(self._directory(parent), key=lambda entry: (entry.name, entry.from_ns))

    def entries_after(self, parent: int, name: bytes, from_ns: int, limit: int) -> list[Entry]:
        entries = self.directory_history(parent)
        return [entry for entry in entries if (entry.name, entry.from_ns) > (name, from_ns)][:limit]

    def markers_after(
        self, parent: int, name: bytes, from_ns: int, limit: int
    ) -> list[tuple[int, bytes, int, bool]]:
        found = [
            (entry.parent, entry.name, entry.from_ns, entry.is_marker)
            for directory in self._entries
            for entry in self._directory(directory)
        ]
        return sorted(row for row in found if row > (parent, name, from_ns, True))[:limit]

    def entries_of(self, ino: int) -> list[Entry]:
        found = [
            entry
            for parent in self._entries
            for entry in self._directory(parent)
            if entry.ino == ino and not entry.is_marker
        ]
        return sorted(found, key=lambda entry: (entry.from_ns, entry.parent, entry.name))

    def names_before(self, ino: int, at_ns: int, limit: int) -> list[Entry]:
        found = [entry for entry in self.entries_of(ino) if entry.from_ns <= at_ns]
        return found[::-1][:limit]

    def versions(self, ino: int) -> list[Version]:
        versions = self._versions.get(ino, {})
        return [versions[stamp_ns] for stamp_ns in sorted(versions, reverse=True)]

    def versions_after(self, ino: int, stamp_ns: int, limit: int) -> list[Version]:
        found = [version for ino in self._versions for version in self.versions(ino)]
        found.sort(key=lambda version: (version.ino, version.stamp_ns))
        behind = [one for one in found if (one.ino, one.stamp_ns) > (ino, stamp_ns)]
        return behind[:limit]

    def commits_after(self, ino: int, stamp_ns: int, limit: int) -> list[tuple[int, int, int]]:
        found = self.versions_after(ino, stamp_ns, limit)
        return [(version.ino, version.stamp_ns, version.size) for version in found]

    def versions_before(self, ino: int, before_ns: int, limit: int) -> list[Version]:
        return [one for one in self.versions(ino) if one.stamp_ns < before_ns][:limit]

    def versions_by_id(self, from_ns: int, to_ns: int, salt: int) -> list[Version]:
        return [one for one in self._committed(from_ns, to_ns) if one.salt == salt]

    def commits_before(self, until_ns: int, limit: int) -> list[tuple[int, int]]:
        found = [(one.stamp_ns, one.ino) for one in self._committed(0, until_ns + 1)]
        return found[::-1][:limit]

    def count_commits(self, from_ns: int, to_ns: int) -> list[tuple[str, int, int]]:
        counted: dict[str, tuple[int, int]] = {}
        for one in self._committed(from_ns, to_ns):
            versions, size = counted.get(one.storage_class, (0, 0))
            counted[one.storage_class] = versions + 1, size + one.size
        return [(name, *sums) for name, sums in sorted(counted.items())]

    def count_removals(self, from_ns: int, to_ns: int) -> int:
        begun = [one.from_ns for one in self._every_entry() if one.is_marker]
        return sum(from_ns <= at_ns < to_ns for at_ns in begun)

    def _committed(self, from_ns: int, to_ns: int) -> list[Version]:
        found = [one for versions in self._versions.values() for one in versions.values()]
        found.sort(key=lambda one: (one.stamp_ns, one.ino))
        return [one for one in found if from_ns <= one.stamp_ns < to_ns]

    def version(self, ino: int, stamp_ns: int) -> Version | None:
        return self._versions.get(ino, {}).get(stamp_ns)

    def version_at(self, ino: int, at_ns: int) -> Version | None:
        return next((found for found in self.versions(ino) if found.stamp_ns <= at_ns), None)

    def next_version_ns(self, ino: int, after_ns: int) -> int | None:
        stamps = [found.stamp_ns for found in self.versions(ino) if found.stamp_ns > after_ns]
        return min(stamps, default=None)

    def last_change_ns(self, parent: int, at_ns: int) -> int:
        entries = [entry for entry in self.directory_history(parent) if not entry.is_marker]
        changes_ns = {at for entry in entries for at in (entry.from_ns, entry.to_ns)}
        return max((at for at in changes_ns if at <= at_ns), default=0)

    def attributes_at(self, ino: int, at_ns: int) -> KeptAttributes | None:
        kept = self._kept.get(ino, {})
        ends = [to_ns for to_ns in kept if to_ns > at_ns]
        return kept[min(ends)] if ends else None

    def attributes_since(self, ino: int) -> int:
        return max(self._kept.get(ino, {}), default=0)

    def cell(self, ino: int, cell: int, at_ns: int) -> bytes:
        for from_ns, (to_ns, extents) in self._cells.get(ino, {}).get(cell, {}).items():
            if from_ns <= at_ns < to_ns:
                return extents
        return b""

    def cells(self, ino: int, first: int, at_ns: int) -> list[tuple[int, int, bytes]]:
        return [
            (cell, from_ns, extents)
            for cell, from_ns, to_ns, extents in self.cell_rows(ino)
            if cell >= first and from_ns <= at_ns < to_ns
        ]

    def cell_rows(
        self, ino: int, first: int = 0, limit: int = CELLS_MAX
    ) -> list[tuple[int, int, int, bytes]]:
        return sorted(
            (cell, from_ns, to_ns, extents)
            for cell, layouts in self._cells.get(ino, {}).items()
            for from_ns, (to_ns, extents) in layouts.items()
            if first <= cell < limit
        )

    def next_cell(self, ino: int, first: int) -> int | None:
        return min((cell for cell, _, _, _ in self.cell_rows(ino, first)), default=None)

    def block(self, block_id: int) -> Block | None:
        return self._blocks.get(block_id)

    def blocks_in_pack(self, pack_id: int, *, behind: int = -1, limit: int = -1) -> list[Block]:
        own = [block for block in self._blocks.values() if block.pack_id == pack_id]
        found = [block for block in own if block.pack_offset > behind]
        found.sort(key=lambda block: (block.pack_offset, block.block_id))
        return found if limit < 0 else found[:limit]

    def packs(self) -> list[tuple[int, str, int]]:
        return [
            (pack_id, placement, sum(b.sealed_length for b in self.blocks_in_pack(pack_id)))
            for pack_id, placement in sorted(self._packs.items())
        ]

    def pack_placements(self) -> dict[int, str]:
        return dict(sorted(self._packs.items()))

    def live_bytes(self, pack_id: int) -> int:
        return sum(block.sealed_length for block in self.blocks_in_pack(pack_id))

    def placement(self, pack_id: int) -> str | None:
        return self._packs.get(pack_id)

    def newest_packs(self) -> dict[str, int]:
        return {placement: pack_id for pack_id, placement in sorted(self._packs.items())}

    def unsettled(self, limit: int, after: int = 0) -> list[int]:
        return sorted(ino for ino in self._unsettled if ino > after)[:limit]

    def sharing(self, ino: int) -> list[int]:
        pairs = [pair for pair in self._sharing if ino in pair]
        return sorted({other for pair in pairs for other in pair} - {ino})

    def retrievals(self) -> list[Version]:
        return [version for version in self._all_versions() if version.retrieval is not None]

    def locked_versions(self, after: tuple[int, int], limit: int) -> list[Version]:
        found = [v for v in self._all_versions() if v.lock and (v.ino, v.stamp_ns) > after]
        return sorted(found, key=lambda version: (version.ino, version.stamp_ns))[:limit]

    def unread_since(self, tier: str, before_ns: int, limit: int) -> list[Version]:
        found = [v for v in self._all_versions() if v.tier == tier and v.accessed_ns < before_ns]
        return sorted(found, key=lambda version: version.accessed_ns)[:limit]

    def _all_versions(self) -> list[Version]:
        return [
            self._versions[ino][stamp]
            for ino in sorted(self._versions)
            for stamp in sorted(self._versions[ino])
        ]

    def key(self, key_id: int) -> bytes | None:
        return self._keys.get(key_id)

    def keys(self, after: int, limit: int) -> list[tuple[int, bytes]]:
        later = sorted(key_id for key_id in self._keys if key_id > after)
        return [(key_id, self._keys[key_id]) for key_id in later[:limit]]

    def key_in_use(self, key_id: int) -> bool:
        return any(block.key_id == key_id for block in self._blocks.values())

    def pending_lock(self, ino: int) -> int | None:
        return self._pending_locks.get(ino)

    def pending_locks(self, from_ns: int, to_ns: int, limit: int) -> list[tuple[int, int]]:
        waiting = [(due_ns, ino) for ino, due_ns in self._pending_locks.items()]
        return [found for found in sorted(waiting) if from_ns <= found[0] <= to_ns][:limit]

    def setting(self, name: str) -> str | None:
        return self._settings.get(name)

    def settings(self) -> dict[str, str]:
        return dict(self._settings)

    def agenda(self, until_ns: int, limit: int) -> list[tuple[int, bytes]]:
        due = sorted((at_ns, *place) for place, (at_ns, _) in self._agenda.items())
        return [(place, name) for at_ns, place, name in due if at_ns <= until_ns][:limit]

    def agenda_row(self, place: int, name: bytes) -> tuple[int, int] | None:
        return self._agenda.get((place, name))

    def names_after(self, parent: int, name: bytes, limit: int) -> list[tuple[int, bytes]]:
        found = [
            (directory, present)
            for directory, names in self._entries.items()
            for present, intervals in names.items()
            if intervals and (directory, present) > (parent, name)
        ]
        return sorted(found)[:limit]

    def interval(self, parent: int, name: bytes, from_ns: int) -> Entry | None:
        return self._intervals(parent, name).get(from_ns)

    def cells_changed(self, ino: int, after_ns: int, until_ns: int) -> list[int]:
        return sorted(
            cell
            for cell, layouts in self._cells.get(ino, {}).items()
            if any(
                after_ns < from_ns <= until_ns or after_ns < to_ns <= min(until_ns, OPEN_NS - 1)
                for from_ns, (to_ns, _) in layouts.items()
            )
        )

    def inodes_after(self, ino: int, limit: int) -> list[Inode]:
        return [self._inodes[other] for other in sorted(self._inodes) if other > ino][:limit]

    def tasks(self, destination: str, limit: int) -> list[Task]:
        pending = [
            task
            for task in self._tasks.values()
            if task.destination == destination and not task.reason
        ]
        return sorted(pending, key=lambda task: (task.changed_ns, task.ino, task.stamp_ns))[:limit]

    def failed_tasks(self, limit: int) -> list[Task]:
        return [task for _, task in sorted(self._tasks.items()) if task.reason][:limit]

    def task(self, destination: str, ino: int, stamp_ns: int) -> Task | None:
        return self._tasks.get((destination, ino, stamp_ns))

    def tasks_of(self, ino: int) -> list[Task]:
        return [task for _, task in sorted(self._tasks.items()) if task.ino == ino]

    def backlog(self) -> list[Backlog]:
        found: dict[tuple[str, str, bool], list[Task]] = {}
        for task in self._tasks.values():
            group = (task.destination, task.rule, bool(task.reason))
            found.setdefault(group, []).append(task)
        return [
            Backlog(
                *group,
                len(tasks),
                sum(task.size for task in tasks),
                0 if group[2] else min(task.since_ns for task in tasks),
            )
            for group, tasks in sorted(found.items())
        ]

    def replica(self, source: bytes, kind: ReplicaKind, there: int) -> int | None:
        found = self._replicas.get((source, kind, there))
        return None if found is None else found.here

    def origin(self, kind: ReplicaKind, here: int) -> tuple[bytes, int] | None:
        for replica in self._replicas.values():
            if (replica.kind, replica.here) == (kind, here):
                return replica.source, replica.there
        return None

    def class_usage(self) -> list[ClassUsage]:
        sizes: dict[str, list[int]] = {}
        for versions in self._versions.values():
            for version in versions.values():
                sizes.setdefault(version.storage_class, []).append(version.size)
        return [
            ClassUsage(
                name,
                len(found),
                sum(found),
                sum(size < SMALL_BYTES for size in found),
                sum(size for size in found if size < SMALL_BYTES),
            )
            for name, found in sorted(sizes.items())
        ]

    def facts(self) -> Iterator[Fact]:
        facts: list[Fact] = [PutInode(inode) for inode in self._inodes.values()]
        facts += [KeepAttributes(kept) for of in self._kept.values() for kept in of.values()]
        facts += [OpenEntry(entry) for parent in self._entries for entry in self._directory(parent)]
        facts += [PutVersion(v) for of in self._versions.values() for v in of.values()]
        facts += [
            PutCell(ino, cell, from_ns, to_ns, extents)
            for ino in self._cells
            for cell, from_ns, to_ns, extents in self.cell_rows(ino)
        ]
        facts += map(AddBlock, self._blocks.values())
        facts += [PutKey(*pair) for pair in self._keys.items()]
        facts += [PutPack(*pair) for pair in self._packs.items()]
        facts += [PutSetting(*pair) for pair in self._settings.items()]
        facts += [ScheduleKey(*place, *times) for place, times in self._agenda.items()]
        facts += [PutPendingLock(*pair) for pair in self._pending_locks.items()]
        facts += map(PutTask, self._tasks.values())
        facts += map(PutReplica, self._replicas.values())
        facts += map(MarkUnsettled, self._unsettled)
        facts += [ShareBlocks(*pair) for pair in self._sharing]
        return iter(sorted(facts, key=fact_key))

    def _directory(self, parent: int) -> list[Entry]:
        names = self._entries.get(parent, {})
        return [entry for intervals in names.values() for entry in intervals.values()]

    def _named_inode(self, entry: Entry) -> Inode:
        inode = self._inodes.get(entry.ino)
        if inode is None:
            raise MetadataDamaged(f"a live name means inode {entry.ino}, which does not exist")
        return inode

    def _set(self, table: dict[Any, Any], key: object, value: object) -> None:
        self._undo.append((table, key, table.get(key, _ABSENT)))
        table[key] = value

    def _add(self, table: dict[Any, Any], key: object, value: object) -> None:
        if key in table:
            raise MetadataDamaged(f"a change adds a row that is there: {value}")
        self._set(table, key, value)

    def _remove(self, table: dict[Any, Any], key: object) -> None:
        self._undo.append((table, key, _existing(table, key)))
        del table[key]

    def _undo_to(self, mark: int) -> None:
        while len(self._undo) > mark:
            table, key, before = self._undo.pop()
            if before is _ABSENT:
                del table[key]
            else:
                table[key] = before

    def _raise_to(self, counter: str, number: int) -> None:
        if number > self._highest[counter]:
            self._set(self._highest, counter, number)

    def _put_inode(self, change: PutInode) -> None:
        self._set(self._inodes, change.inode.ino, change.inode)
        self._raise_to("ino", change.inode.ino)

    def _remove_inode(self, change: RemoveInode) -> None:
        self._remove(self._inodes, change.ino)
        if change.ino in self._kept:
            self._remove(self._kept, change.ino)
        self._forget_replica(ReplicaKind.INODE, change.ino)

    def _keep_attributes(self, change: KeepAttributes) -> None:
        kept = change.kept
        if kept.ino not in self._kept:
            self._set(self._kept, kept.ino, {})
        self._add(self._kept[kept.ino], kept.to_ns, kept)
        self._raise_to("stamp_ns", kept.to_ns)

    def _intervals(self, parent: int, name: bytes) -> _Intervals:
        return self._entries.get(parent, {}).get(name, {})

    def _open_entry(self, change: OpenEntry) -> None:
        entry = change.entry
        intervals = self._entries.setdefault(entry.parent, {}).setdefault(entry.name, {})
        self._add(intervals, entry.from_ns, entry)
        self._raise_to("stamp_ns", entry.from_ns if entry.to_ns == OPEN_NS else entry.to_ns)

    def _close_entry(self, change: CloseEntry) -> None:
        intervals = self._intervals(change.parent, change.name)
        entry = _existing(intervals, change.from_ns)
        if entry.to_ns != OPEN_NS:
            raise MetadataDamaged(f"a change closes an interval that has ended: {entry}")
        closed = replace(entry, to_ns=change.to_ns, ending=change.ending, ended_by=change.ended_by)
        self._set(intervals, change.from_ns, closed)
        self._raise_to("stamp_ns", change.to_ns)

    def _remove_entry(self, change: RemoveEntry) -> None:
        self._remove(self._intervals(change.parent, change.name), change.from_ns)

    def _put_version(self, change: PutVersion) -> None:
        version = change.version
        self._set(self._versions.setdefault(version.ino, {}), version.stamp_ns, version)
        self._raise_to("stamp_ns", version.stamp_ns)

    def _remove_version(self, change: RemoveVersion) -> None:
        self._remove(self._versions.get(change.ino, {}), change.stamp_ns)

    def _layouts(self, ino: int, cell: int) -> _Layouts:
        return self._cells.get(ino, {}).get(cell, {})

    def _open_cell(self, change: OpenCell) -> None:
        layouts = self._cells.setdefault(change.ino, {}).setdefault(change.cell, {})
        self._add(layouts, change.from_ns, (OPEN_NS, change.extents))
        self._raise_to("stamp_ns", change.from_ns)

    def _close_cell(self, change: CloseCell) -> None:
        layouts = self._layouts(change.ino, change.cell)
        for from_ns, (to_ns, extents) in layouts.items():
            if to_ns == OPEN_NS:
                self._set(layouts, from_ns, (change.to_ns, extents))
                break
        self._raise_to("stamp_ns", change.to_ns)

    def _put_cell(self, change: PutCell) -> None:
        layouts = self._cells.setdefault(change.ino, {}).setdefault(change.cell, {})
        self._set(layouts, change.from_ns, (change.to_ns, change.extents))
        ended_ns = change.from_ns if change.to_ns == OPEN_NS else change.to_ns
        self._raise_to("stamp_ns", ended_ns)

    def _remove_cell(self, change: RemoveCell) -> None:
        self._remove(self._layouts(change.ino, change.cell), change.from_ns)

    def _reopen_cell(self, change: ReopenCell) -> None:
        layouts = self._layouts(change.ino, change.cell)
        _, extents = _existing(layouts, change.from_ns)
        self._set(layouts, change.from_ns, (OPEN_NS, extents))

    def _add_block(self, change: AddBlock) -> None:
        self._add(self._blocks, change.block.block_id, change.block)
        self._raise_to("block_id", change.block.block_id)

    def _count_block(self, change: CountBlock) -> None:
        block = _existing(self._blocks, change.block_id)
        if block.refs + change.by < 0:
            raise MetadataDamaged(f"fewer than no layouts use the block: {block}")
        self._set(self._blocks, block.block_id, replace(block, refs=block.refs + change.by))

    def _remove_block(self, change: RemoveBlock) -> None:
        self._remove(self._blocks, change.block_id)
        self._forget_replica(ReplicaKind.BLOCK, change.block_id)

    def _move_block(self, change: MoveBlock) -> None:
        block = _existing(self._blocks, change.block_id)
        moved = replace(block, pack_id=change.pack_id, pack_offset=change.pack_offset)
        self._set(self._blocks, block.block_id, moved)

    def _place_block(self, change: PlaceBlock) -> None:
        block = _existing(self._blocks, change.block.block_id)
        self._set(self._blocks, block.block_id, replace(change.block, refs=block.refs))

    def _mark_unsettled(self, change: MarkUnsettled) -> None:
        self._set(self._unsettled, change.ino, value=True)

    def _mark_settled(self, change: MarkSettled) -> None:
        if change.ino in self._unsettled:
            self._remove(self._unsettled, change.ino)

    def _share_blocks(self, change: ShareBlocks) -> None:
        self._set(self._sharing, (change.ino, change.source), value=True)

    def _put_key(self, change: PutKey) -> None:
        self._set(self._keys, change.key_id, change.wrapped)
        self._raise_to("key_id", change.key_id)

    def _remove_key(self, change: RemoveKey) -> None:
        self._remove(self._keys, change.key_id)

    def _put_pack(self, change: PutPack) -> None:
        self._set(self._packs, change.pack_id, change.placement)
        self._raise_to("pack_id", change.pack_id)

    def _remove_pack(self, change: RemovePack) -> None:
        self._remove(self._packs, change.pack_id)

    def _put_setting(self, change: PutSetting) -> None:
        self._set(self._settings, change.name, change.value)

    def _remove_setting(self, change: RemoveSetting) -> None:
        if change.name in self._settings:
            self._remove(self._settings, change.name)

    def _schedule_key(self, change: ScheduleKey) -> None:
        place = (change.place, change.name)
        acted_ns = max(self._agenda.get(place, (0, 0))[1], change.acted_ns)
        self._set(self._agenda, place, (change.at_ns, acted_ns))

    def _unschedule_key(self, change: UnscheduleKey) -> None:
        if (change.place, change.name) in self._agenda:
            self._remove(self._agenda, (change.place, change.name))

    def _put_task(self, change: PutTask) -> None:
        task = change.task
        self._set(self._tasks, (task.destination, task.ino, task.stamp_ns), task)

    def _remove_task(self, change: RemoveTask) -> None:
        key = (change.destination, change.ino, change.stamp_ns)
        if key in self._tasks:
            self._remove(self._tasks, key)

    def _put_replica(self, change: PutReplica) -> None:
        replica = change.replica
        self._set(self._replicas, (replica.source, replica.kind, replica.there), replica)

    def _forget_replica(self, kind: ReplicaKind, here: int) -> None:
        for key, replica in list(self._replicas.items()):
            if (replica.kind, replica.here) == (kind, here):
                self._remove(self._replicas, key)

    def _put_pending_lock(self, change: PutPendingLock) -> None:
        self._set(self._pending_locks, change.ino, change.due_ns)

    def _remove_pending_lock(self, change: RemovePendingLock) -> None:
        if change.ino in self._pending_locks:
            self._remove(self._pending_locks, change.ino)


def _existing(table: dict[Any, Any], key: object) -> Any:  # noqa: ANN401 - tables hold any value
    try:
        return table[key]
    except KeyError as error:
        raise MetadataDamaged(f"a change addresses a row that is not there: {key}") from error
