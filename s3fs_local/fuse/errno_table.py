"""Which errno a program sees for each expected failure."""

import errno
from typing import Final

from s3fs_local import errors

ERRNO_BY_ERROR: Final[dict[type[errors.S3fsLocalError], int]] = {
    errors.NoSuchName: errno.ENOENT,
    errors.NameTaken: errno.EEXIST,
    errors.NotADirectory: errno.ENOTDIR,
    errors.IsADirectory: errno.EISDIR,
    errors.DirectoryNotEmpty: errno.ENOTEMPTY,
    errors.NameTooLong: errno.ENAMETOOLONG,
    # As on ZFS and WAFL: the name is not taken by a file one could remove, it is not for users.
    errors.NameReserved: errno.EPERM,
    errors.MoveIntoSelf: errno.EINVAL,
    errors.TooManyLinks: errno.EMLINK,
    errors.StaleInode: errno.ESTALE,
    errors.NoSuchAttribute: errno.ENODATA,
    # setxattr(2) says E2BIG for a value over the size limit and ENOSPC where the sum has no room;
    # one that says "too big" is more help than one that sends people to look at their disk.
    errors.AttributeTooLarge: errno.E2BIG,
    errors.InvalidArgument: errno.EINVAL,
    errors.InvalidTime: errno.EINVAL,
    errors.InvalidSetting: errno.EINVAL,
    errors.InvalidDocument: errno.EINVAL,
    errors.InvalidMountOption: errno.EINVAL,
    errors.NoSuchConfiguration: errno.ENOENT,
    errors.FileTooLarge: errno.EFBIG,
    # What chattr +i and SnapLock programs expect: "operation not permitted", root included.
    errors.Protected: errno.EPERM,
    # Unlike Protected, another caller might be allowed to: a matter of rights, hence EACCES.
    errors.BypassNotPermitted: errno.EACCES,
    errors.WriterActive: errno.EBUSY,
    errors.ObjectLockDisabled: errno.EOPNOTSUPP,
    errors.InvalidRetention: errno.EINVAL,
    # As for a lock that a writer holds up: the state of the store is in the way, not the request.
    errors.VersioningRequired: errno.EBUSY,
    errors.ReadOnlyView: errno.EROFS,
    # As ext4 with errors=remount-ro: what failed has its own errno, what follows sees a read-only
    # disk.
    errors.StoreReadOnly: errno.EROFS,
    errors.ReplicaReadOnly: errno.EROFS,
    errors.NotPermitted: errno.EPERM,
    errors.BadHandle: errno.EBADF,
    # Not ENOSYS: the kernel would then never ask again, for any file.
    errors.Unsupported: errno.EOPNOTSUPP,
    # A version is addressed by a name below `.versions`; one that names none does not exist.
    errors.NoSuchVersion: errno.ENOENT,
    errors.AmbiguousVersion: errno.EINVAL,
    errors.NothingToRestore: errno.ENOENT,
    errors.NotDeleted: errno.EEXIST,
    # Only commands set conditions; no system call does.
    # As s3fs-fuse answers S3's InvalidObjectState: the object is elsewhere.
    errors.Archived: errno.EREMOTE,
    errors.NotArchived: errno.EINVAL,
    errors.RetrievalRunning: errno.EALREADY,
    errors.WouldWait: errno.EAGAIN,
    errors.CallerInterrupted: errno.EINTR,
    # What all calls on this mount get from now on. Not EINTR: programs would try again.
    errors.MountEnded: errno.ENOTCONN,
    errors.StoreFull: errno.ENOSPC,
    errors.QuotaExceeded: errno.EDQUOT,
    errors.PathUnusable: errno.EIO,
    errors.DataDamaged: errno.EIO,
    # Never EAGAIN: programs would retry in a tight loop what will not come back in seconds.
    errors.ZoneInUse: errno.EIO,
    errors.ZoneUnavailable: errno.EIO,
    errors.TooFewZones: errno.EIO,
    errors.JournalDamaged: errno.EIO,
    errors.MetadataDamaged: errno.EIO,
    errors.KeyMissing: errno.ENOKEY,
    errors.NoSuchKey: errno.ENOKEY,
    errors.KeyDisabled: errno.EKEYREVOKED,
    errors.KeyNotPermitted: errno.EACCES,
    # As of a soft NFS mount whose server is away: the file is well, the way to it is not.
    errors.KeyServiceUnavailable: errno.ETIMEDOUT,
    errors.WrongKey: errno.EKEYREJECTED,
    # From here on: failures of opening, mounting and controlling a store. None should surface in a
    # system call; should one, it is a fault of the machinery and no fault of the caller.
    errors.NotAStore: errno.EIO,
    errors.StoreExists: errno.EIO,
    errors.StoreInUse: errno.EIO,
    errors.StoreDamaged: errno.EIO,
    errors.FormatTooNew: errno.EIO,
    errors.MountPointUnusable: errno.EIO,
    errors.MountInUse: errno.EIO,
    errors.UnsavedChanges: errno.EIO,
    errors.MountFailed: errno.EIO,
    errors.NotMounted: errno.EIO,
    errors.NothingMounted: errno.EIO,
    errors.DaemonUnreachable: errno.EIO,
    errors.ReplicaDiverged: errno.EIO,
    errors.DestinationUnreachable: errno.EIO,
    errors.DestinationRefused: errno.EIO,
    errors.SourceAlive: errno.EIO,
    errors.NotAReplica: errno.EIO,
}


def errno_of(error: errors.S3fsLocalError) -> int:
    """The errno of the nearest class in the table, up the error's ancestry; else EIO."""
    for ancestor in type(error).__mro__:
        if (number := ERRNO_BY_ERROR.get(ancestor)) is not None:
            return number
    return errno.EIO
