"""Which keys lifecycle must look at, because something about them has changed.

While rules are in force every transaction carries rows for the agenda along: the names whose
meaning changes, and the inodes whose versions, class, tags, lock or names change, or of which
another region was told. A row for an inode (with an empty name) is cheaper to write than one for
the key that it counts under: that has to be searched for.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from s3fs_local.metadata.changes import (
    Change,
    CloseEntry,
    OpenEntry,
    PutInode,
    PutTask,
    PutVersion,
    RemoveEntry,
    RemoveTask,
    RemoveVersion,
    ScheduleKey,
)
from s3fs_local.rules.replication import ATTRIBUTES


class Agenda:
    """Adds rows to transactions, while there are rules."""

    def __init__(self) -> None:
        self.is_kept = False
        self._rests = False

    @contextmanager
    def resting(self) -> Iterator[None]:
        """What a pass does itself, within the block, is not a change to look at."""
        self._rests = True
        try:
            yield
        finally:
            self._rests = False

    def with_rows(self, changes: Sequence[Change], now_ns: int) -> Sequence[Change]:
        """The changes, and the rows that go with them."""
        if not self.is_kept or self._rests:
            return changes
        places = dict.fromkeys(place for change in changes for place in _places(change))
        if not places:
            return changes
        return [*changes, *[ScheduleKey(*place, now_ns, 0) for place in places]]


def _places(change: Change) -> Iterator[tuple[int, bytes]]:
    match change:
        case PutVersion(version):
            yield version.ino, b""
        case RemoveVersion(ino):
            yield ino, b""
        case PutInode(inode) if inode.is_file:  # one name less: it may count under another
            yield inode.ino, b""
        case CloseEntry(parent, name) | RemoveEntry(parent, name):
            yield parent, name
        case OpenEntry(entry):
            yield (entry.parent, entry.name) if entry.is_marker else (entry.ino, b"")
        case RemoveTask(_, ino, stamp_ns) if stamp_ns == ATTRIBUTES:
            yield ino, b""
        case PutTask(task) if task.stamp_ns == ATTRIBUTES and task.reason:
            yield task.ino, b""
        case _:
            pass
