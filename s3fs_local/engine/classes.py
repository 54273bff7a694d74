"""The storage classes of versions: which one a new version gets, changes of class, and reads.

A version's class is a fact; where its blocks lie follows (`settling.py`). So a change of class is
one transaction, however large the file, and marks the file as unsettled in the same step.
"""

from typing import Final

from msgspec import structs

from s3fs_local.engine.locks import Locks
from s3fs_local.engine.volume import Volume
from s3fs_local.errors import Archived, InvalidArgument, NotADirectory, NotPermitted
from s3fs_local.metadata.changes import Change, PutInode, PutVersion
from s3fs_local.rules.inode import Caller, Inode
from s3fs_local.rules.namespace import OPEN_NS, Ending
from s3fs_local.rules.retention import Operation
from s3fs_local.rules.retrieval import DAY_NS
from s3fs_local.rules.storage_classes import (
    TIERED_BYTES_MIN,
    StorageClass,
    Tier,
    initial_tier,
    needs_restore,
)
from s3fs_local.rules.versioning import Version

STANDARD: Final = StorageClass.STANDARD
TIERS_DOWN: Final = (
    (Tier.FREQUENT, Tier.INFREQUENT),
    (Tier.INFREQUENT, Tier.ARCHIVE_INSTANT),
)
TIERING_BATCH: Final = 256


def in_class(version: Version, wanted: str, *, now_ns: int) -> Version:
    """The version as it is when it gets the class at `now_ns`."""
    tier = initial_tier(wanted)
    is_watched = tier is not Tier.NONE and version.size >= TIERED_BYTES_MIN
    return structs.replace(
        version,
        storage_class=str(wanted),
        tier=tier,
        accessed_ns=(now_ns if is_watched else OPEN_NS) if tier else 0,
        retrieval=None,
    )


def class_in_inode(version: Version) -> str:
    """What the inode says of the class of its current version."""
    return "" if version.storage_class == STANDARD else version.storage_class


class Classes:
    """Gives and changes classes, for one volume."""

    def __init__(self, volume: Volume, locks: Locks) -> None:
        self._volume = volume
        self._locks = locks
        self._reads: dict[tuple[int, int], int] = {}  # of watched versions: (ino, stamp) to instant

    # New versions

    def of_new_version(self, inode: Inode) -> StorageClass:
        """The class that the nearest directory above demands, else the store's default."""
        if self._volume.uses_classes:
            for entry in self._volume.metadata.entries_of(inode.ino):
                if entry.ending is Ending.LIVE:
                    return self.of_new_files(entry.parent)
        return self._volume.settings.default_class

    def of_new_files(self, directory: int) -> StorageClass:
        """The class of files that are made in the directory."""
        while directory and self._volume.uses_classes:
            inode = self._volume.inode(directory)
            if inode.storage_class:
                return StorageClass(inode.storage_class)
            directory = inode.parent
        return self._volume.settings.default_class

    def set_of_new_files(self, ino: int, wanted: StorageClass | None, caller: Caller) -> None:
        """Versions that are made below the directory get the class (None: as above it).

        Raises:
            NotADirectory, NotPermitted.
        """
        inode = self._volume.inode(ino)
        if not inode.is_directory:
            raise NotADirectory("only a directory has a class for new files")
        self._check_may_change(inode, caller)
        changed = structs.replace(inode, storage_class="" if wanted is None else str(wanted))
        self._volume.apply([*self._volume.note_classes(), PutInode(changed)])

    # Changes of class

    def set_by(self, ino: int, stamp_ns: int, wanted: StorageClass, caller: Caller) -> bool:
        """Whether the version changed its class, as a person asked for.

        Unlike a rule, a person may go up the waterfall.

        Raises:
            NotPermitted: they are neither the owner nor root.
            Archived: the bytes would have to be retrieved first.
            InvalidArgument: there is no such version.
        """
        self._check_may_change(self._volume.inode(ino), caller)
        version = self._volume.metadata.version(ino, stamp_ns)
        if version is None:
            raise InvalidArgument("only files with a committed version have a class")
        if not needs_restore(wanted):
            check_readable(version)
        return self.transition(ino, stamp_ns, wanted, present=version.storage_class)

    def transition(self, ino: int, stamp_ns: int, wanted: str, *, present: str) -> bool:
        """Whether the version, being of class `present`, is of class `wanted` now.

        One transaction: False, and nothing is changed, where the version is gone or has another
        class by now. Its blocks follow in the background, or with `Settling.settle`. Version id,
        ETag, times, tags and locks stay (S3); a lock does not forbid it, for no byte changes. From
        one archive to the other a retrieval stays too: whoever asked for it has its days.

        Raises:
            StoreFull, StoreReadOnly: nothing was changed.
        """
        volume = self._volume
        version = volume.metadata.version(ino, stamp_ns)
        if version is None or version.storage_class != present or present == wanted:
            return False
        self._locks.check_version(Operation.CHANGE_CLASS, version)
        retrieval = version.retrieval if needs_restore(wanted) else None
        changed = in_class(version, wanted, now_ns=volume.now_ns())
        self._put(structs.replace(changed, retrieval=retrieval))
        volume.invalidation.inode(ino)
        return True

    def _put(self, version: Version) -> None:
        volume = self._volume
        changes: list[Change] = [*volume.note_classes(), PutVersion(version)]
        inode = volume.inode(version.ino)
        if inode.version_ns == version.stamp_ns:
            changes.append(PutInode(structs.replace(inode, storage_class=class_in_inode(version))))
        volume.apply([*changes, volume.mark_unsettled(version.ino)])

    def put_version(self, version: Version) -> None:
        """The version has another tier or retrieval; its blocks follow."""
        self._put(version)

    def _check_may_change(self, inode: Inode, caller: Caller) -> None:
        if caller.uid not in (0, inode.uid):
            raise NotPermitted("only the owner and root may change a storage class")

    # Reads

    def opened(self, inode: Inode) -> None:
        """The current version is going to be read.

        Raises:
            Archived: it must be retrieved first.
        """
        if not inode.storage_class or not inode.version_ns:
            return
        version = self._volume.metadata.version(inode.ino, inode.version_ns)
        if version is not None:
            self.opened_version(version)

    def opened_version(self, version: Version) -> None:
        """The version is going to be read. Raises Archived."""
        check_readable(version)
        if version.tier and version.size >= TIERED_BYTES_MIN:
            self._reads[version.ino, version.stamp_ns] = self._volume.now_ns()

    def apply_reads(self) -> None:
        """What was read since the last call counts as accessed, and is FREQUENT again.

        At most one change a version a day, as long as it stays FREQUENT.
        """
        reads, self._reads = self._reads, {}
        changes: list[Change] = []
        for (ino, stamp_ns), now_ns in reads.items():
            version = self._volume.metadata.version(ino, stamp_ns)
            if version is None or not version.tier:
                continue
            if version.tier is Tier.FREQUENT and now_ns - version.accessed_ns < DAY_NS:
                continue
            if version.tier is not Tier.FREQUENT:
                changes.append(self._volume.mark_unsettled(ino))
            changes.append(
                PutVersion(structs.replace(version, tier=Tier.FREQUENT, accessed_ns=now_ns))
            )
        if changes:
            self._volume.apply(changes)

    def move_tiers(self) -> int:
        """How many versions of INTELLIGENT_TIERING went one tier down; call until it is 0."""
        settings = self._volume.settings
        now_ns = self._volume.now_ns()
        limits = (settings.infrequent_after_ns, settings.archive_instant_after_ns)
        moved = 0
        for (tier, colder), after_ns in zip(TIERS_DOWN, limits, strict=True):
            found = self._volume.metadata.unread_since(tier, now_ns - after_ns, TIERING_BATCH)
            for version in found:
                changes: list[Change] = [PutVersion(structs.replace(version, tier=colder))]
                self._volume.apply([*changes, self._volume.mark_unsettled(version.ino)])
                moved += 1
        return moved


def check_readable(version: Version) -> None:
    """The bytes of the version can be read now. Raises Archived."""
    if version.is_archived:
        state = "is being retrieved" if version.retrieval else "must be retrieved first"
        raise Archived(f"InvalidObjectState: the version is in {version.storage_class} and {state}")
