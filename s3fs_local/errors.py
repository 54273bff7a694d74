"""Everything that can go wrong and that a caller may act on.

One class a fact, named for the fact. Errors carry values; the text for people is made from them
here, in one place each. No errno here (`fuse/errno_table.py` maps each leaf) and no exit codes
(`cli/exit_codes.py` does).

    S3fsLocalError
    ├── NamespaceError
    │   ├── NoSuchName            ├── NameTaken           ├── NotADirectory
    │   ├── IsADirectory          ├── DirectoryNotEmpty   ├── NameTooLong
    │   ├── NameReserved          ├── MoveIntoSelf        ├── TooManyLinks
    │   └── StaleInode
    ├── XattrError
    │   ├── NoSuchAttribute       └── AttributeTooLarge
    ├── ArgumentError
    │   ├── InvalidArgument       ├── InvalidTime         ├── InvalidSetting
    │   ├── InvalidMountOption    ├── NoSuchConfiguration ├── FileTooLarge
    │   └── InvalidDocument (an InvalidSetting)
    ├── LockError
    │   ├── Protected             ├── BypassNotPermitted  ├── WriterActive
    │   ├── ObjectLockDisabled    ├── InvalidRetention    └── VersioningRequired
    ├── AccessError
    │   ├── ReadOnlyView          ├── StoreReadOnly       ├── NotPermitted
    │   └── BadHandle             └── Unsupported
    ├── VersionError
    │   ├── NoSuchVersion         ├── AmbiguousVersion    ├── NothingToRestore
    │   └── NotDeleted
    ├── ArchiveError
    │   ├── Archived              ├── NotArchived         ├── RetrievalRunning
    │   ├── WouldWait             └── MountEnded
    ├── StorageError
    │   ├── StoreFull             ├── DataDamaged         ├── ZoneUnavailable
    │   ├── JournalDamaged        ├── MetadataDamaged     ├── TooFewZones
    │   ├── PathUnusable          ├── ZoneInUse           └── QuotaExceeded (a StoreFull)
    ├── EncryptionError
    │   ├── KeyMissing            ├── KeyDisabled         ├── KeyNotPermitted
    │   ├── KeyServiceUnavailable ├── NoSuchKey           └── WrongKey
    ├── StoreError
    │   ├── NotAStore             ├── StoreExists         ├── StoreInUse
    │   ├── StoreDamaged          └── FormatTooNew
    ├── MountError
    │   ├── MountPointUnusable    ├── MountFailed         ├── NotMounted
    │   ├── NothingMounted        ├── MountInUse          └── UnsavedChanges
    └── ControlError
        └── DaemonUnreachable
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple, TypeVar

E = TypeVar("E", bound=BaseException)


class Attempt(NamedTuple):
    """What was tried, on what."""

    operation: str  # of `rules.retention.Operation`
    ino: int
    version_ns: int = 0  # of the version in question; 0 = the file or directory as it is


class S3fsLocalError(Exception):
    """The root: catching it catches every expected failure and no bug."""


class NamespaceError(S3fsLocalError):
    """A name or a place in the tree is not what the operation needs."""


class NoSuchName(NamespaceError):
    """No live entry has this name."""


class NameTaken(NamespaceError):
    """The name is in use and the operation must not replace it."""


class NotADirectory(NamespaceError):
    """A directory was needed."""


class IsADirectory(NamespaceError):
    """Anything but a directory was needed."""


class DirectoryNotEmpty(NamespaceError):
    """The directory still has live entries."""


class NameTooLong(NamespaceError):
    """The name is over 255 bytes, or a link target over 4095 bytes."""


class NameReserved(NamespaceError):
    """The name belongs to the filesystem itself (`.versions`, `.s3fs` at the root)."""


class MoveIntoSelf(NamespaceError):
    """A directory cannot move below itself."""


class TooManyLinks(NamespaceError):
    """The inode cannot take another hard link."""


class StaleInode(NamespaceError):
    """The inode number names nothing any more."""


class XattrError(S3fsLocalError):
    """An extended attribute is not there, or does not fit."""


class NoSuchAttribute(XattrError):
    """The inode has no extended attribute of this name."""


class AttributeTooLarge(XattrError):
    """The name is over 255 bytes, the value over 64 KiB, or all together over 1 MiB."""


class ArgumentError(S3fsLocalError):
    """A value given by a person or a program makes no sense."""


class InvalidArgument(ArgumentError):
    """The value is out of range or malformed; the message says which and what is accepted."""


class InvalidTime(ArgumentError):
    """The text names no instant; the message lists the accepted forms."""


class InvalidSetting(ArgumentError):
    """A setting is unknown, or its value is not acceptable."""


class InvalidDocument(InvalidSetting):
    """S3 would refuse the document; the message begins with S3's code."""


class InvalidMountOption(ArgumentError):
    """A mount option is unknown, or its value is not acceptable."""


class NoSuchConfiguration(ArgumentError):
    """The store has no document of this kind; the message begins with S3's code."""


class FileTooLarge(ArgumentError):
    """The size is beyond 2**63 - 1 - 1 MiB bytes."""


class LockError(S3fsLocalError):
    """A WORM lock is in the way, or cannot be set as asked.

    `attempt` is what the gate was asked when it refused, for the record of refusals.
    """

    attempt: "Attempt | None" = None


class Protected(LockError):
    """A lock forbids this operation; the message says which rule and until when.

    `until_ns`: when that ends; 2⁶³ - 1 where no date is set. `who_may`: in words for people.
    """

    def __init__(self, message: str = "", *, until_ns: int = 0, who_may: str = "") -> None:
        super().__init__(message)
        self.until_ns = until_ns
        self.who_may = who_may


class BypassNotPermitted(LockError):
    """The caller may not bypass GOVERNANCE retention."""


class WriterActive(LockError):
    """The file is open for writing, so a lock would cut a program off; names the processes."""


class ObjectLockDisabled(LockError):
    """The store has no Object Lock, which it may be given."""


class InvalidRetention(LockError):
    """Mode or date malformed, in the past, or half missing."""


class VersioningRequired(LockError):
    """Object Lock is on, so versioning stays Enabled (S3: InvalidBucketState)."""


class AccessError(S3fsLocalError):
    """The caller may not do this here."""


class ReadOnlyView(AccessError):
    """Everything below `.versions` and `.s3fs` is read-only."""


class StoreReadOnly(AccessError):
    """The store is read-only, after a fault or because its disk is; the message says which."""


class ReplicaReadOnly(AccessError):
    """The store is a replica, which takes changes from its source only, until it is promoted."""


class NotPermitted(AccessError):
    """Only the owner or root may do this."""


class BadHandle(AccessError):
    """The handle is closed, or not open for this kind of access."""


class Unsupported(AccessError):
    """The operation is refused by design; documented in docs/semantics.md."""


class VersionError(S3fsLocalError):
    """A version cannot be named or used as asked."""


class NoSuchVersion(VersionError):
    """The history has no version of this id."""


class AmbiguousVersion(VersionError):
    """The shortened id fits several versions."""


class NothingToRestore(VersionError):
    """At that instant the path held nothing."""


class NotDeleted(VersionError):
    """What was to be brought back is there."""


class ArchiveError(S3fsLocalError):
    """A version is in an archive, or not."""


class Archived(ArchiveError):
    """The bytes are in an archive and must be retrieved before they can be read."""


class NotArchived(ArchiveError):
    """There is nothing to retrieve: the version can be read as it is."""


class RetrievalRunning(ArchiveError):
    """The version is being retrieved already, and the request asks for nothing faster."""


class WouldWait(ArchiveError):
    """The version is being retrieved for this reader, who did not want to wait (O_NONBLOCK)."""


class CallerInterrupted(ArchiveError):
    """A program that waited for a retrieval was sent a signal; the retrieval goes on."""


class MountEnded(ArchiveError):
    """The mount ends while a program waits for a retrieval, which goes on at the next mount."""


class StorageError(S3fsLocalError):
    """The bytes below cannot be written or read."""


class StoreFull(StorageError):
    """No space left where the store lives; nothing was changed."""


class QuotaExceeded(StoreFull):
    """Where the store lives there is a quota, and no more of it is left; nothing was changed."""


class PathUnusable(StorageError):
    """The system does not let a file or directory be used; the message says which, and why."""


class DataDamaged(StorageError):
    """Bytes failed their check in every zone that should have them."""


class ZoneUnavailable(StorageError):
    """A zone does not answer, or is not the zone it should be."""


class ZoneInUse(StorageError):
    """Another process has the zone's store open, from another directory."""


class TooFewZones(StorageError):
    """Fewer zones answer than the write quorum needs; nothing was called durable."""


TRANSIENT: Final = (StoreFull, TooFewZones)
"""Nothing was promised, nothing is in doubt: it may be tried again, with room or more zones."""


class JournalDamaged(StorageError):
    """The journal is damaged before its end, so replay would lose acknowledged writes."""


class MetadataDamaged(StorageError):
    """The metadata database is damaged or contradicts itself."""


class EncryptionError(S3fsLocalError):
    """A key is not there or not the right one."""


class KeyMissing(EncryptionError):
    """The data or ring key that seals these bytes is gone."""


class NoSuchKey(EncryptionError):
    """The key ring has no key of the name that was given, or no such version of it."""


class KeyDisabled(EncryptionError):
    """The key that wraps the data key is disabled, or about to be deleted."""


class KeyNotPermitted(EncryptionError):
    """The key service does not let this store use the key."""


class KeyServiceUnavailable(EncryptionError):
    """The key service does not answer, and what was known of it is too old to go on with."""


class WrongKey(EncryptionError):
    """The passphrase or key file does not open this store's key ring."""


class StoreError(S3fsLocalError):
    """The directory is not a store that can be opened here and now."""


class NotAStore(StoreError):
    """The directory holds no store."""


class StoreExists(StoreError):
    """The directory already holds a store or other files."""


class StoreInUse(StoreError):
    """Another process owns the store; names it."""


class StoreDamaged(StoreError):
    """A file of the store is missing or unreadable; the message says which and what to do."""


class FormatTooNew(StoreError):
    """The store was written by a newer release."""


class MountError(S3fsLocalError):
    """Mounting or unmounting failed."""


class MountInUse(MountError):
    """The mount is in use, so it is not ended; names who uses it, or where else it is."""


class UnsavedChanges(MountError):
    """What the mount has cannot be saved now, so it is not ended; says how much, and why."""


class MountPointUnusable(MountError):
    """The mount point is missing, not a directory, not empty, or in use."""


class MountFailed(MountError):
    """The daemon ended before the mount was ready; carries its last words."""


class NotMounted(MountError):
    """The path is not inside a mount of ours."""


class NothingMounted(MountError):
    """No store of ours is mounted at the place that was named."""


class ReplicationError(S3fsLocalError):
    """Something could not be told to another region, or taken from one."""


class ReplicaDiverged(ReplicationError):
    """What is here was changed by somebody else than the source; nothing was overwritten."""


class DestinationUnreachable(ReplicationError):
    """The destination does not answer; it is tried again."""


class DestinationRefused(ReplicationError):
    """The destination takes nothing from this source; the message says why."""


class SourceAlive(ReplicationError):
    """The source of the replica is in use, so promoting would make two stores out of one."""


class NotAReplica(ReplicationError):
    """The store is no replica, or not one any more."""


class ControlError(S3fsLocalError):
    """The daemon could not be asked."""


class DaemonUnreachable(ControlError):
    """The daemon's socket does not answer."""


def leaves(group: BaseExceptionGroup[E]) -> Iterator[E]:
    """The errors in the group, in however many groups in turn."""
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from leaves(error)
        else:
            yield error


@contextmanager
def alone() -> Iterator[None]:
    """An error of ours, or an interrupt, that is raised inside in groups is raised by itself.

    Of several, the interrupt, or else the first. A group with anything else in it passes: a bug.
    """
    found: S3fsLocalError | KeyboardInterrupt | None = None
    try:
        yield
    except* KeyboardInterrupt:
        found = KeyboardInterrupt()
    except* S3fsLocalError as group:
        found = found or next(leaves(group))
    if found is not None:  # what is raised in an `except*` is put into a group again
        raise found from None
