"""What a file or block is known by wherever there is a copy: the number it was made with.

A store that gets back its own files, from a replica that took its place, finds them as its own.
"""

from typing import Final

from s3fs_local.engine.replication_messages import ROOT, Origin
from s3fs_local.metadata.changes import PutReplica
from s3fs_local.metadata.interface import Metadata
from s3fs_local.rules.inode import ROOT_INO
from s3fs_local.rules.replication import Replica, ReplicaKind


class Origins:
    """Translates numbers of one store."""

    def __init__(self, metadata: Metadata, store_id: bytes) -> None:
        self._metadata = metadata
        self.store_id: Final = store_id

    def of_inode(self, ino: int) -> Origin:
        """Where the inode comes from."""
        return ROOT if ino == ROOT_INO else self._of(ReplicaKind.INODE, ino)

    def of_block(self, block_id: int) -> Origin:
        """Where the block comes from."""
        return self._of(ReplicaKind.BLOCK, block_id)

    def is_own(self, ino: int) -> bool:
        """Whether the inode was made here."""
        return self._metadata.origin(ReplicaKind.INODE, ino) is None

    def inode(self, origin: Origin) -> int | None:
        """The inode of that origin, if there is one."""
        if origin == ROOT:
            return ROOT_INO
        if origin.store == self.store_id:
            return None if self._metadata.inode(origin.number) is None else origin.number
        return self._metadata.replica(origin.store, ReplicaKind.INODE, origin.number)

    def block(self, origin: Origin) -> int | None:
        """The block of that origin, if there is one."""
        if origin.store == self.store_id:
            return None if self._metadata.block(origin.number) is None else origin.number
        return self._metadata.replica(origin.store, ReplicaKind.BLOCK, origin.number)

    def _of(self, kind: ReplicaKind, here: int) -> Origin:
        found = self._metadata.origin(kind, here)
        return Origin(self.store_id, here) if found is None else Origin(*found)


def put_replica(origin: Origin, kind: ReplicaKind, here: int) -> PutReplica:
    """The change that says what the copy is one of."""
    return PutReplica(Replica(origin.store, kind, origin.number, here))
