"""What the facts of a lock are: the file's row, its current version's, and marks above."""

import msgspec

from s3fs_local.engine.protection_marks import ProtectionMarks
from s3fs_local.metadata.changes import Change, PutInode, PutVersion
from s3fs_local.metadata.interface import Metadata
from s3fs_local.rules.inode import Inode
from s3fs_local.rules.retention import Lock


def changes_of_lock(
    metadata: Metadata, marks: ProtectionMarks, inode: Inode, lock: Lock | None
) -> list[Change]:
    """The current version of the file has exactly this lock. Asks nobody: the caller did."""
    if lock == Lock():
        lock = None
    locked = msgspec.structs.replace(inode, lock=lock)
    changes: list[Change] = [PutInode(locked)]
    version = metadata.version(inode.ino, inode.version_ns)
    if version is not None:
        changes.append(PutVersion(msgspec.structs.replace(version, lock=lock)))
    return [*changes, *marks.note(locked)]
