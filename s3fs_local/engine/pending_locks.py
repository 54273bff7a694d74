"""Locks that fall by themselves: the default of a directory or of the store, when it is time.

`close`   with the commit, if nobody has the file open for writing; else when the last writer has
          closed it. A shell closes a file before its command writes to it.
`quiet`   when nobody has written to it for a while (autocommit).
`chmod`   by habit only, see `engine/habit.py`.

An empty file takes no lock, for its content is still to come. What waits is written down with the
commit (`PutPendingLock`), so a crash forgets nothing, and what is due is found by its date.
"""

import logging
from typing import Final

import msgspec

from s3fs_local.engine.lock_facts import changes_of_lock
from s3fs_local.engine.open_files import OpenFiles
from s3fs_local.engine.policies import Policies
from s3fs_local.engine.protection_marks import ProtectionMarks
from s3fs_local.engine.volume import Volume
from s3fs_local.errors import StoreFull, StoreReadOnly
from s3fs_local.metadata.changes import Change, PutPendingLock, RemovePendingLock
from s3fs_local.rules.inode import SEALING, Inode
from s3fs_local.rules.namespace import OPEN_NS
from s3fs_local.rules.object_lock import default_retention
from s3fs_local.rules.policies import Commit, commit_of, later, retention_from_policy
from s3fs_local.rules.retention import Lock, Retention

log = logging.getLogger(__name__)

_BATCH: Final = 256
"""Locks that fall in one step of the background task."""
_ALL: Final = 1 << 40


class PendingLocks:
    """The locks that wait, of one volume."""

    def __init__(
        self, volume: Volume, *, open_files: OpenFiles, policies: Policies, marks: ProtectionMarks
    ) -> None:
        self._volume = volume
        self._open_files = open_files
        self._policies = policies
        self._marks = marks
        waiting = volume.metadata.pending_locks(OPEN_NS, OPEN_NS, _ALL)
        self._until_closed = {ino for _, ino in waiting}
        self._is_behind = False  # a full disk kept a lock from falling

    def lock_of_new_version(self, inode: Inode, stamp_ns: int, *, size: int) -> Lock | None:
        """What a new version inherits at its commit: the default, and the lock of append-only."""
        kept = inode.lock if inode.append_only else None
        if not size or self._open_files.is_written(inode.ino):
            return kept
        if self._commits_by(inode) is not Commit.CLOSE:
            return kept
        return self._with_default(kept, inode, stamp_ns)

    def _commits_by(self, inode: Inode) -> Commit | None:
        """When the file takes a lock; None if it takes none."""
        policy = self._policies.of(inode)
        if policy is not None and policy.mode:
            return commit_of(policy)
        return Commit.CLOSE if self._volume.settings.default_retention is not None else None

    def _with_default(self, kept: Lock | None, inode: Inode, stamp_ns: int) -> Lock | None:
        present = kept or Lock()
        retention = self._inherited(present.retention, inode, stamp_ns)
        return kept if retention is None else Lock(retention, present.holds)

    def _inherited(
        self, present: Retention | None, inode: Inode, stamp_ns: int
    ) -> Retention | None:
        """What a commit at the stamp inherits, beside the retention that it has (None: nothing).

        Directories demand, so the stricter counts; the store's default gives way to a retention
        that the file was given by itself (S3).
        """
        demanded = retention_from_policy(self._policies.of(inode), stamp_ns=stamp_ns)
        if demanded is not None and demanded.retention is not None:
            return later(present, demanded.retention)
        default = default_retention(self._volume.settings.default_retention, stamp_ns=stamp_ns)
        if default is None or (present is not None and not inode.append_only):
            return None
        return later(present, default)

    def note_commit(self, committed: Inode) -> list[Change]:
        """The changes that go with a commit: whether a lock still has to fall, and when."""
        match self._commits_by(committed):
            case Commit.QUIET if committed.size:
                return [self._wait(committed)]
            case Commit.CLOSE if self._open_files.is_written(committed.ino):
                return [self._wait(committed)]
            case _:
                return []

    def _wait(self, inode: Inode) -> Change:
        """Until the last writer is gone; then, for autocommit, as long as it takes."""
        if self._open_files.is_written(inode.ino) or inode.append_only == SEALING:
            self._until_closed.add(inode.ino)
            return PutPendingLock(inode.ino, OPEN_NS)
        policy = self._policies.of(inode)
        quiet_ns = 0 if policy is None else policy.quiet_ns
        return PutPendingLock(inode.ino, self._volume.now_ns() + quiet_ns)

    def changes_of_rotation(self, sealing: Inode) -> list[Change]:
        """What goes with a rotation; call `lock_closed_unwritten` after."""
        return [self._wait(sealing)]

    def lock_closed_unwritten(self, ino: int) -> None:
        """As `lock_closed`, if nobody has the file open for writing."""
        if not self._open_files.is_written(ino):
            self.lock_closed(ino)

    def lock_closed(self, ino: int) -> None:
        """Nobody writes to the file any more: its lock falls, if it waited for that.

        Where the disk is full it goes on waiting, and `lock_due` tries again.
        """
        if ino not in self._until_closed:
            return
        try:
            self._volume.apply(self._changes_when_closed(ino))
        except (StoreFull, StoreReadOnly) as error:
            if not self._is_behind:
                log.warning("inode %d waits for its lock still: %s", ino, error)
            self._is_behind = True
            return
        self._until_closed.discard(ino)

    def _changes_when_closed(self, ino: int) -> list[Change]:
        done: list[Change] = [RemovePendingLock(ino)]
        inode = self._volume.metadata.inode(ino)
        if inode is None or not inode.nlink:
            return done
        if inode.append_only == SEALING:
            return [*self._finished_rotation(inode), *done]
        match self._commits_by(inode):
            case Commit.QUIET:
                return [self._wait(inode)]
            case Commit.CLOSE if inode.size:
                lock = self._with_default(inode.lock, inode, inode.version_ns)
                return [*self._changes_of_lock(inode, lock), *done]
            case _:
                return done

    def _finished_rotation(self, inode: Inode) -> list[Change]:
        """The retention of its directory takes the place of append-only; without one that stays."""
        present = inode.lock or Lock()
        retention = self._inherited(present.retention, inode, self._volume.now_ns())
        if retention is None:
            return []
        sealed = msgspec.structs.replace(inode, append_only=0)
        return self._changes_of_lock(sealed, Lock(retention, present.holds))

    def _changes_of_lock(self, inode: Inode, lock: Lock | None) -> list[Change]:
        return changes_of_lock(self._volume.metadata, self._marks, inode, lock)

    def lock_all_closed(self) -> None:
        """After a crash nobody writes to anything: every lock that waited for that falls."""
        for ino in list(self._until_closed):
            self.lock_closed_unwritten(ino)
            if self._is_behind:
                return

    @property
    def next_ns(self) -> int | None:
        """When the first of the locks that wait for quiet is due; None where none waits."""
        first = self._volume.metadata.pending_locks(0, OPEN_NS - 1, 1)
        return first[0][0] if first else None

    def lock_due(self) -> int:
        """Quiet files take their lock, some of those that are due; returns how many were.

        Raises:
            StoreFull, StoreReadOnly: the rest waits for the next call.
        """
        if self._is_behind:
            self._is_behind = False
            self.lock_all_closed()
        now_ns = self._volume.now_ns()
        due = self._volume.metadata.pending_locks(0, min(now_ns, OPEN_NS - 1), _BATCH)
        for _, ino in due:
            self._volume.apply(self._changes_when_due(ino, now_ns))
        return len(due)

    def _changes_when_due(self, ino: int, now_ns: int) -> list[Change]:
        """Never of an empty file, and of an open one only after it was closed and is quiet."""
        done: list[Change] = [RemovePendingLock(ino)]
        inode = self._volume.metadata.inode(ino)
        if inode is None or not inode.nlink:
            return done
        if self._open_files.is_written(ino) or ino in self._volume.drafts:
            self._until_closed.add(ino)
            return [PutPendingLock(ino, OPEN_NS)]
        if not inode.size or self._commits_by(inode) in (None, Commit.CHMOD):
            return done
        return [
            *self._changes_of_lock(inode, self._with_default(inode.lock, inode, now_ns)),
            *done,
        ]
