"""The metadata engine in memory: for tests, simulations, and as a second reading of the contract.

Plain dictionaries (`tables.py`), searched as a person would.
"""

# The contract of the methods is in interface.py.
# ruff: noqa: D102

import stat
from collections.abc import Iterator, Sequence
from typing import Final

from s3fs_local.errors import MetadataDamaged
from s3fs_local.metadata.changes import (
    AddBlock,
    Change,
    Fact,
    KeepAttributes,
    MarkUnsettled,
    OpenEntry,
    PutCell,
    PutInode,
    PutKey,
    PutPack,
    PutPendingLock,
    PutReplica,
    PutSetting,
    PutTask,
    PutVersion,
    ScheduleKey,
    ShareBlocks,
    fact_key,
)
from s3fs_local.metadata.interface import CELLS_MAX, Counters, Usage
from s3fs_local.metadata.memory.tables import Tables
from s3fs_local.metadata.memory.writing import Writing
from s3fs_local.rules.extents import Block
from s3fs_local.rules.inode import Inode, KeptAttributes
from s3fs_local.rules.lifecycle import SMALL_BYTES
from s3fs_local.rules.namespace import LEAVING, OPEN_NS, Entry
from s3fs_local.rules.replication import Backlog, ReplicaKind, Task
from s3fs_local.rules.storage_costs import ClassUsage
from s3fs_local.rules.versioning import Version


class MemoryMetadata:
    """A `Metadata` that lasts as long as the object.

    `close` is a crash and a restart in one: the object goes on from its last commit.
    """

    def __init__(self) -> None:
        self._tables: Final = Tables()
        self._writing: Final = Writing(self._tables)
        self._position = 0

    def apply(self, changes: Sequence[Change]) -> None:
        mark = self._tables.mark()
        try:
            for change in changes:
                self._writing.write(change)
        except BaseException:
            self._tables.undo_to(mark)
            raise

    def commit(self, position: int) -> None:
        self._position = position
        self._tables.keep(self._tables.mark())

    def position(self) -> int:
        return self._position

    def close(self) -> None:
        self._tables.undo_to(0)

    def counters(self) -> Counters:
        return Counters(**self._tables.highest)

    def usage(self) -> Usage:
        named = [inode for inode in self._tables.inodes.values() if inode.nlink > 0]
        blocks = self._tables.blocks.values()
        return Usage(
            inodes=len(named),
            files=sum(stat.S_ISREG(inode.mode) for inode in named),
            versions=sum(map(len, self._tables.versions.values())),
            blocks=len(blocks),
            plain_bytes=sum(block.length for block in blocks),
            sealed_bytes=sum(block.sealed_length for block in blocks),
        )

    def inode(self, ino: int) -> Inode | None:
        return self._tables.inodes.get(ino)

    def lookup(self, parent: int, name: bytes) -> Inode | None:
        entry = self.entry(parent, name)
        return None if entry is None or entry.is_marker else self._named_inode(entry)

    def entry(self, parent: int, name: bytes) -> Entry | None:
        for entry in self._tables.entries.get(parent, {}).get(name, {}).values():
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
        intervals = self._tables.entries.get(parent, {}).get(name, {})
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
        return (entry for parent in self._tables.entries for entry in self._directory(parent))

    def directory_history(self, parent: int) -> list[Entry]:
        return sorted(self._directory(parent), key=lambda entry: (entry.name, entry.from_ns))

    def entries_after(self, parent: int, name: bytes, from_ns: int, limit: int) -> list[Entry]:
        entries = self.directory_history(parent)
        return [entry for entry in entries if (entry.name, entry.from_ns) > (name, from_ns)][:limit]

    def entries_of(self, ino: int) -> list[Entry]:
        found = [
            entry
            for parent in self._tables.entries
            for entry in self._directory(parent)
            if entry.ino == ino and not entry.is_marker
        ]
        return sorted(found, key=lambda entry: (entry.from_ns, entry.parent, entry.name))

    def names_before(self, ino: int, at_ns: int, limit: int) -> list[Entry]:
        found = [entry for entry in self.entries_of(ino) if entry.from_ns <= at_ns]
        return found[::-1][:limit]

    def versions(self, ino: int) -> list[Version]:
        versions = self._tables.versions.get(ino, {})
        return [versions[stamp_ns] for stamp_ns in sorted(versions, reverse=True)]

    def versions_after(self, ino: int, stamp_ns: int, limit: int) -> list[Version]:
        found = [version for ino in self._tables.versions for version in self.versions(ino)]
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
        found = [one for versions in self._tables.versions.values() for one in versions.values()]
        found.sort(key=lambda one: (one.stamp_ns, one.ino))
        return [one for one in found if from_ns <= one.stamp_ns < to_ns]

    def version(self, ino: int, stamp_ns: int) -> Version | None:
        return self._tables.versions.get(ino, {}).get(stamp_ns)

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
        kept = self._tables.kept.get(ino, {})
        ends = [to_ns for to_ns in kept if to_ns > at_ns]
        return kept[min(ends)] if ends else None

    def attributes_since(self, ino: int) -> int:
        return max(self._tables.kept.get(ino, {}), default=0)

    def cell(self, ino: int, cell: int, at_ns: int) -> bytes:
        for from_ns, (to_ns, extents) in self._tables.cells.get(ino, {}).get(cell, {}).items():
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
            for cell, layouts in self._tables.cells.get(ino, {}).items()
            for from_ns, (to_ns, extents) in layouts.items()
            if first <= cell < limit
        )

    def next_cell(self, ino: int, first: int) -> int | None:
        return min((cell for cell, _, _, _ in self.cell_rows(ino, first)), default=None)

    def block(self, block_id: int) -> Block | None:
        return self._tables.blocks.get(block_id)

    def blocks_in_pack(self, pack_id: int, *, behind: int = -1, limit: int = -1) -> list[Block]:
        own = [block for block in self._tables.blocks.values() if block.pack_id == pack_id]
        found = [block for block in own if block.pack_offset > behind]
        found.sort(key=lambda block: (block.pack_offset, block.block_id))
        return found if limit < 0 else found[:limit]

    def packs(self) -> list[tuple[int, str, int]]:
        return [
            (pack_id, placement, sum(b.sealed_length for b in self.blocks_in_pack(pack_id)))
            for pack_id, placement in sorted(self._tables.packs.items())
        ]

    def pack_placements(self) -> dict[int, str]:
        return dict(sorted(self._tables.packs.items()))

    def live_bytes(self, pack_id: int) -> int:
        return sum(block.sealed_length for block in self.blocks_in_pack(pack_id))

    def placement(self, pack_id: int) -> str | None:
        return self._tables.packs.get(pack_id)

    def newest_packs(self) -> dict[str, int]:
        return {placement: pack_id for pack_id, placement in sorted(self._tables.packs.items())}

    def unsettled(self, limit: int, after: int = 0) -> list[int]:
        return sorted(ino for ino in self._tables.unsettled if ino > after)[:limit]

    def sharing(self, ino: int) -> list[int]:
        pairs = [pair for pair in self._tables.sharing if ino in pair]
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
            self._tables.versions[ino][stamp]
            for ino in sorted(self._tables.versions)
            for stamp in sorted(self._tables.versions[ino])
        ]

    def key(self, key_id: int) -> bytes | None:
        return self._tables.keys.get(key_id)

    def keys(self, after: int, limit: int) -> list[tuple[int, bytes]]:
        later = sorted(key_id for key_id in self._tables.keys if key_id > after)
        return [(key_id, self._tables.keys[key_id]) for key_id in later[:limit]]

    def key_in_use(self, key_id: int) -> bool:
        return any(block.key_id == key_id for block in self._tables.blocks.values())

    def pending_lock(self, ino: int) -> int | None:
        return self._tables.pending_locks.get(ino)

    def pending_locks(self, from_ns: int, to_ns: int, limit: int) -> list[tuple[int, int]]:
        waiting = [(due_ns, ino) for ino, due_ns in self._tables.pending_locks.items()]
        return [found for found in sorted(waiting) if from_ns <= found[0] <= to_ns][:limit]

    def setting(self, name: str) -> str | None:
        return self._tables.settings.get(name)

    def settings(self) -> dict[str, str]:
        return dict(self._tables.settings)

    def agenda(self, until_ns: int, limit: int) -> list[tuple[int, bytes]]:
        due = sorted((at_ns, *place) for place, (at_ns, _) in self._tables.agenda.items())
        return [(place, name) for at_ns, place, name in due if at_ns <= until_ns][:limit]

    def agenda_row(self, place: int, name: bytes) -> tuple[int, int] | None:
        return self._tables.agenda.get((place, name))

    def names_after(self, parent: int, name: bytes, limit: int) -> list[tuple[int, bytes]]:
        found = [
            (directory, present)
            for directory, names in self._tables.entries.items()
            for present, intervals in names.items()
            if intervals and (directory, present) > (parent, name)
        ]
        return sorted(found)[:limit]

    def interval(self, parent: int, name: bytes, from_ns: int) -> Entry | None:
        return self._tables.intervals(parent, name).get(from_ns)

    def cells_changed(self, ino: int, after_ns: int, until_ns: int) -> list[int]:
        return sorted(
            cell
            for cell, layouts in self._tables.cells.get(ino, {}).items()
            if any(
                after_ns < from_ns <= until_ns or after_ns < to_ns <= min(until_ns, OPEN_NS - 1)
                for from_ns, (to_ns, _) in layouts.items()
            )
        )

    def inodes_after(self, ino: int, limit: int) -> list[Inode]:
        return [self._tables.inodes[other] for other in sorted(self._tables.inodes) if other > ino][
            :limit
        ]

    def tasks(self, destination: str, limit: int) -> list[Task]:
        pending = [
            task
            for task in self._tables.tasks.values()
            if task.destination == destination and not task.reason
        ]
        return sorted(pending, key=lambda task: (task.changed_ns, task.ino, task.stamp_ns))[:limit]

    def failed_tasks(self, limit: int) -> list[Task]:
        return [task for _, task in sorted(self._tables.tasks.items()) if task.reason][:limit]

    def task(self, destination: str, ino: int, stamp_ns: int) -> Task | None:
        return self._tables.tasks.get((destination, ino, stamp_ns))

    def tasks_of(self, ino: int) -> list[Task]:
        return [task for _, task in sorted(self._tables.tasks.items()) if task.ino == ino]

    def backlog(self) -> list[Backlog]:
        found: dict[tuple[str, str, bool], list[Task]] = {}
        for task in self._tables.tasks.values():
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
        found = self._tables.replicas.get((source, kind, there))
        return None if found is None else found.here

    def origin(self, kind: ReplicaKind, here: int) -> tuple[bytes, int] | None:
        for replica in self._tables.replicas.values():
            if (replica.kind, replica.here) == (kind, here):
                return replica.source, replica.there
        return None

    def class_usage(self) -> list[ClassUsage]:
        sizes: dict[str, list[int]] = {}
        for versions in self._tables.versions.values():
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
        facts: list[Fact] = [PutInode(inode) for inode in self._tables.inodes.values()]
        facts += [KeepAttributes(kept) for of in self._tables.kept.values() for kept in of.values()]
        facts += [
            OpenEntry(entry) for parent in self._tables.entries for entry in self._directory(parent)
        ]
        facts += [PutVersion(v) for of in self._tables.versions.values() for v in of.values()]
        facts += [
            PutCell(ino, cell, from_ns, to_ns, extents)
            for ino in self._tables.cells
            for cell, from_ns, to_ns, extents in self.cell_rows(ino)
        ]
        facts += map(AddBlock, self._tables.blocks.values())
        facts += [PutKey(*pair) for pair in self._tables.keys.items()]
        facts += [PutPack(*pair) for pair in self._tables.packs.items()]
        facts += [PutSetting(*pair) for pair in self._tables.settings.items()]
        facts += [ScheduleKey(*place, *times) for place, times in self._tables.agenda.items()]
        facts += [PutPendingLock(*pair) for pair in self._tables.pending_locks.items()]
        facts += map(PutTask, self._tables.tasks.values())
        facts += map(PutReplica, self._tables.replicas.values())
        facts += map(MarkUnsettled, self._tables.unsettled)
        facts += [ShareBlocks(*pair) for pair in self._tables.sharing]
        return iter(sorted(facts, key=fact_key))

    def _directory(self, parent: int) -> list[Entry]:
        names = self._tables.entries.get(parent, {})
        return [entry for intervals in names.values() for entry in intervals.values()]

    def _named_inode(self, entry: Entry) -> Inode:
        inode = self._tables.inodes.get(entry.ino)
        if inode is None:
            raise MetadataDamaged(f"a live name means inode {entry.ino}, which does not exist")
        return inode
