"""WORM by habit: files are locked by what NAS appliances taught people to type.

In a directory that was protected with `--commit chmod`:

    touch -a -d DATE f    says until when, while the file is not locked
    chmod a-w f           locks it until then, or for the directory's period if no date lies ahead
    touch -a -d LATER f   extends the lock of a file; nothing shortens it

The access time of a locked file says until when it is locked.
"""

from typing import Final

import msgspec

from s3fs_local.engine.attributes import AttributeChange, Attributes
from s3fs_local.engine.lock_attributes import LockAttributes
from s3fs_local.engine.locks import Locks
from s3fs_local.engine.volume import Volume
from s3fs_local.metadata.changes import PutInode
from s3fs_local.rules.inode import Caller, Inode
from s3fs_local.rules.policies import Commit, commit_of
from s3fs_local.rules.retention import DirectoryPolicy, Retention, is_protected

_WRITE_BITS: Final = 0o222


class Habit:
    """Sees which changes of attributes mean a lock, for one volume."""

    def __init__(
        self,
        volume: Volume,
        *,
        locks: Locks,
        attributes: Attributes,
        lock_attributes: LockAttributes,
    ) -> None:
        self._volume = volume
        self._locks = locks
        self._attributes = attributes
        self._lock_attributes = lock_attributes

    def commits(self, ino: int, wanted: AttributeChange) -> bool:
        """Whether the change takes the last write permission of a file that this would lock."""
        if wanted.mode is None or wanted.mode & _WRITE_BITS:
            return False
        inode = self._attributes.get(ino)
        if not inode.is_file or not inode.size or not inode.mode & _WRITE_BITS:
            return False
        is_free = not inode.append_only and not is_protected(inode.lock, self._volume.expiry_ns())
        return is_free and self._policy(inode) is not None

    def _policy(self, inode: Inode) -> DirectoryPolicy | None:
        policy = self._locks.policies.of(inode)
        if policy is None or not policy.mode or commit_of(policy) is not Commit.CHMOD:
            return None
        return policy

    async def commit(self, ino: int, wanted: AttributeChange, caller: Caller) -> Inode:
        """The file has the attributes, and is locked. Waits up to a second for writers.

        Raises:
            WriterActive: somebody writes to it still.
            InvalidRetention: the date is over 100 years away.
            NotPermitted, ObjectLockDisabled.
        """
        await self._lock_attributes.until_unwritten(ino, cut_writers=False)
        inode = self._volume.inode(ino)
        policy = self._policy(inode)
        if policy is None or not self.commits(ino, wanted):
            return self._attributes.set(ino, wanted, caller)  # it changed while we waited
        now_ns = self._volume.now_ns()
        atime_ns = inode.atime_ns if wanted.atime_ns is None else wanted.atime_ns
        until_ns = atime_ns if atime_ns > now_ns else now_ns + policy.period_ns
        retention = Retention(policy.mode, until_ns)
        self._locks.check_retention(ino, retention, caller=caller, bypass=None)
        wanted = msgspec.structs.replace(wanted, atime_ns=until_ns)
        self._attributes.set(ino, wanted, caller)
        self._locks.set_retention(ino, retention, caller=caller)
        return self._attributes.get(ino)

    def extends(self, ino: int, wanted: AttributeChange) -> bool:
        """Whether the change is a later access time of a locked file, and nothing else."""
        if wanted.atime_ns is None or wanted != AttributeChange(atime_ns=wanted.atime_ns):
            return False
        inode = self._volume.inode(ino)
        retention = inode.lock.retention if inode.lock is not None else None
        if retention is None or retention.until_ns <= self._volume.expiry_ns():
            return False
        return wanted.atime_ns > retention.until_ns and self._policy(inode) is not None

    def extend(self, ino: int, wanted: AttributeChange, caller: Caller) -> Inode:
        """The file is locked until its new access time. Raises as `commit`."""
        inode = self._volume.inode(ino)
        assert inode.lock is not None
        assert inode.lock.retention is not None
        assert wanted.atime_ns is not None
        retention = Retention(inode.lock.retention.mode, wanted.atime_ns)
        self._locks.set_retention(ino, retention, caller=caller)
        locked = self._volume.inode(ino)
        changed = msgspec.structs.replace(
            locked, atime_ns=wanted.atime_ns, ctime_ns=self._volume.stamp()
        )
        self._volume.apply([PutInode(changed)])
        return self._attributes.get(ino)
