"""Which changes replication must tell: a row for each, in the transaction that makes the change.

While there are rules every transaction carries tasks along that no rule was asked about yet
(`rules.replication.UNDECIDED`): one for each version that is new, or whose tags or lock changed,
and one for each inode whose names or attributes changed. Whether they matter to anybody is decided
later (`engine/replication.py`); a commit does not wait for that. What changes nothing that is told,
such as a move to another class, writes no row.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from s3fs_local.metadata.changes import (
    Change,
    CloseEntry,
    KeepAttributes,
    OpenEntry,
    PutInode,
    PutTask,
    PutVersion,
    RemoveEntry,
)
from s3fs_local.metadata.interface import Metadata
from s3fs_local.rules.inode import Inode
from s3fs_local.rules.namespace import Ending, Entry
from s3fs_local.rules.replication import ATTRIBUTES, UNDECIDED, Task
from s3fs_local.rules.versioning import Version


class Outbox:
    """Adds tasks to transactions, while there are rules."""

    def __init__(self, metadata: Metadata) -> None:
        self._metadata = metadata
        self.is_kept = False
        self.on_task: Callable[[], None] = lambda: None
        self._rests = False

    @contextmanager
    def resting(self) -> Iterator[None]:
        """What is done within the block is told to nobody: lifecycle, and what was received."""
        rested, self._rests = self._rests, True
        try:
            yield
        finally:
            self._rests = rested

    def with_tasks(self, changes: Sequence[Change], now_ns: int) -> Sequence[Change]:
        """The changes, and the tasks that go with them."""
        if not self.is_kept or self._rests:
            return changes
        tasks: dict[tuple[int, int], PutTask] = {}
        for place, size, is_name in self._places(changes):
            before = tasks.get(place)
            has_names = is_name or (before is not None and before.task.has_names)
            tasks[place] = self._task(*place, size, now_ns, has_names=has_names)
        if not tasks:
            return changes
        self.on_task()
        return [*changes, *tasks.values()]

    def _task(self, ino: int, stamp_ns: int, size: int, now_ns: int, *, has_names: bool) -> PutTask:
        before = self._metadata.task(UNDECIDED, ino, stamp_ns)
        since_ns = now_ns if before is None else before.since_ns
        has_names |= before is not None and before.has_names
        task = Task(UNDECIDED, ino, stamp_ns, since_ns, now_ns, size, has_names=has_names)
        return PutTask(task)

    def _places(self, changes: Sequence[Change]) -> Iterator[tuple[tuple[int, int], int, bool]]:
        """The inode, and the version or `ATTRIBUTES`; the size of what is told; if of names."""
        committed = {
            change.version.ino: change.version.stamp_ns
            for change in changes
            if isinstance(change, PutVersion)
        }
        for change in changes:
            match change:
                case PutVersion(version):
                    if self._is_told_version(version):
                        yield (version.ino, version.stamp_ns), version.stored_bytes, False
                case PutInode(inode):  # attributes go with a version of the same instant
                    goes_along = committed.get(inode.ino) == inode.version_ns
                    if not goes_along and self._is_told_inode(inode):
                        yield (inode.ino, ATTRIBUTES), 0, self._has_other_names(inode)
                case KeepAttributes(kept):
                    if kept.ino not in committed:
                        yield (kept.ino, ATTRIBUTES), 0, False
                case _:
                    pass
        for ino in self._named(changes):
            yield (ino, ATTRIBUTES), 0, True

    def _named(self, changes: Sequence[Change]) -> Iterator[int]:
        """Inodes that have a name more, or perhaps one less in another region."""
        for change in changes:
            if isinstance(change, OpenEntry) and not change.entry.is_marker:
                yield change.entry.ino
        for entry in self._ended_untold(changes):
            yield from self._taken_from(entry)

    def _ended_untold(self, changes: Sequence[Change]) -> Iterator[Entry]:
        """Names that ended of files of which nothing is told: no version is left, or was made."""
        for change in changes:
            match change:
                case RemoveEntry(parent, name, from_ns):
                    entry = self._metadata.interval(parent, name, from_ns)
                    if entry is not None:
                        yield entry
                case CloseEntry(parent, name, from_ns):
                    entry = self._metadata.interval(parent, name, from_ns)
                    if entry is not None and is_untold(self._metadata, entry):
                        yield entry
                case PutInode(inode):
                    before = self._metadata.inode(inode.ino)
                    had_version = before is not None and before.version_ns
                    if had_version and not inode.version_ns and not inode.nlink:
                        yield from self._metadata.entries_of(inode.ino)
                case _:
                    pass

    def _taken_from(self, entry: Entry) -> Iterator[int]:
        """The inodes that lost their name to this one, and may have it still in another region.

        One without a version may have been told, too: the version was purged since.
        """
        while True:
            before = self._metadata.entry_at(entry.parent, entry.name, entry.from_ns - 1)
            if before is None or before.ending is not Ending.REPLACED:
                return
            yield before.ino
            if not is_untold(self._metadata, before):
                return
            entry = before

    def _has_other_names(self, inode: Inode) -> bool:
        before = self._metadata.inode(inode.ino)
        return before is None or before.nlink != inode.nlink

    def _is_told_version(self, version: Version) -> bool:
        before = self._metadata.version(version.ino, version.stamp_ns)
        return before is None or (before.tags, before.lock) != (version.tags, version.lock)

    def _is_told_inode(self, inode: Inode) -> bool:
        """Names that ended show in `nlink`; a directory's changes with what is in it, too."""
        before = self._metadata.inode(inode.ino)
        if before is None:
            return False  # its first name tells it
        if inode.is_directory:
            return not inode.nlink and before.nlink > 0
        return _told(before) != _told(inode)


def _told(inode: Inode) -> tuple[object, ...]:
    return (inode.mode, inode.uid, inode.gid, inode.nlink, inode.atime_ns, inode.append_only)


def is_untold(metadata: Metadata, entry: Entry) -> bool:
    """Whether the name meant a file that has no version, so nothing is told of it."""
    inode = metadata.inode(entry.ino)
    return inode is not None and inode.is_file and not inode.version_ns
