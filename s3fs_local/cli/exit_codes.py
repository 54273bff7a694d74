"""Every exit code of `s3fs-local`. A number, once given, never means anything else.

Scripts may rely on them. 9 is not an error: the command did its work, and found something wrong.
"""

from enum import IntEnum
from typing import Final

from s3fs_local import errors


class ExitCode(IntEnum):
    """What a command's end says."""

    OK = 0
    FAILURE = 1  # a bug, or an answer that makes no sense
    USAGE = 2  # the command line, or a value in it
    NOT_A_STORE = 3
    STORE_IN_USE = 4
    WRONG_KEY = 5
    PROTECTED = 6  # a lock is in the way
    NOT_FOUND = 7  # no such name, version, attribute
    STORAGE_FAILED = 8  # bytes cannot be written or read
    DEGRADED = 9  # `status`, `scrub`, `fsck`, …: it works, but something needs attention
    MOUNT_FAILED = 10
    NOT_MOUNTED = 11
    STORE_DAMAGED = 12
    FORMAT_TOO_NEW = 13
    NOT_PERMITTED = 14
    ALREADY_EXISTS = 15
    WRITER_ACTIVE = 16  # somebody still writes
    DAEMON_UNREACHABLE = 17
    NOT_CONFIRMED = 18  # destructive, and neither --yes nor a yes at the terminal
    STORE_FULL = 19
    READ_ONLY = 20
    WRONG_KIND = 21  # the name is there, but not of the kind or in the place that is needed
    NOT_SUPPORTED = 22  # by design, or not by this store
    ARCHIVED = 23  # in an archive, or on its way out of it
    DIVERGED = 25  # two regions have different histories
    ALTERED = 26  # `verify`: something is not as the ledger says
    INTERRUPTED = 130  # Ctrl-C, as shells say it


MEANINGS: Final[dict[ExitCode, str]] = {
    ExitCode.OK: "it is done",
    ExitCode.FAILURE: "a bug, an answer that makes no sense, or nobody read the output to its end",
    ExitCode.USAGE: "the command line, or a value in it, makes no sense",
    ExitCode.NOT_A_STORE: "the directory is not a store",
    ExitCode.STORE_IN_USE: "another process has the store open",
    ExitCode.WRONG_KEY: "the passphrase or key file does not open the store, or a key is gone,"
    " disabled or not permitted",
    ExitCode.PROTECTED: "a lock is in the way",
    ExitCode.NOT_FOUND: "there is no such name, version or attribute",
    ExitCode.STORAGE_FAILED: "bytes cannot be written or read: a zone or a KMS failed, or data is"
    " damaged",
    ExitCode.DEGRADED: "something needs attention, as the command says: `status`, `scrub`, `fsck`,"
    " `zone repair`",
    ExitCode.MOUNT_FAILED: "it could not be mounted, or stays mounted: it is in use, or has what"
    " cannot be saved now",
    ExitCode.NOT_MOUNTED: "the path is not inside a mounted store",
    ExitCode.STORE_DAMAGED: "the store is damaged",
    ExitCode.FORMAT_TOO_NEW: "a newer release wrote the store",
    ExitCode.NOT_PERMITTED: "not permitted to this user",
    ExitCode.ALREADY_EXISTS: "something of that name exists already",
    ExitCode.WRITER_ACTIVE: "a program still has the file open for writing",
    ExitCode.DAEMON_UNREACHABLE: "the daemon does not answer",
    ExitCode.NOT_CONFIRMED: "destructive, and neither `--yes` nor a yes at the terminal was given",
    ExitCode.STORE_FULL: "no space left",
    ExitCode.READ_ONLY: "read-only",
    ExitCode.WRONG_KIND: "what has the name is not of the kind that is needed, or misplaced",
    ExitCode.NOT_SUPPORTED: "not supported: by design, or not by this store",
    ExitCode.ARCHIVED: "in an archive, or on its way out of it",
    ExitCode.DIVERGED: "two regions have different histories",
    ExitCode.ALTERED: "`verify` found something that is not as the ledger says",
    ExitCode.INTERRUPTED: "interrupted (Ctrl-C)",
}
"""As docs/reference/errors.md and the manual tell them."""

EXIT_CODES: Final[dict[type[errors.S3fsLocalError], ExitCode]] = {
    errors.NoSuchName: ExitCode.NOT_FOUND,
    errors.NameTaken: ExitCode.ALREADY_EXISTS,
    errors.NotADirectory: ExitCode.WRONG_KIND,
    errors.IsADirectory: ExitCode.WRONG_KIND,
    errors.DirectoryNotEmpty: ExitCode.ALREADY_EXISTS,
    errors.NameTooLong: ExitCode.USAGE,
    errors.NameReserved: ExitCode.USAGE,
    errors.MoveIntoSelf: ExitCode.WRONG_KIND,
    errors.TooManyLinks: ExitCode.WRONG_KIND,
    errors.StaleInode: ExitCode.NOT_FOUND,
    errors.NoSuchAttribute: ExitCode.NOT_FOUND,
    errors.AttributeTooLarge: ExitCode.USAGE,
    errors.InvalidArgument: ExitCode.USAGE,
    errors.InvalidTime: ExitCode.USAGE,
    errors.InvalidSetting: ExitCode.USAGE,
    errors.InvalidDocument: ExitCode.USAGE,
    errors.InvalidMountOption: ExitCode.USAGE,
    errors.NoSuchConfiguration: ExitCode.NOT_FOUND,
    errors.FileTooLarge: ExitCode.USAGE,
    errors.Protected: ExitCode.PROTECTED,
    errors.BypassNotPermitted: ExitCode.PROTECTED,
    errors.WriterActive: ExitCode.WRITER_ACTIVE,
    errors.ObjectLockDisabled: ExitCode.NOT_SUPPORTED,
    errors.InvalidRetention: ExitCode.USAGE,
    errors.VersioningRequired: ExitCode.NOT_SUPPORTED,
    errors.ReadOnlyView: ExitCode.READ_ONLY,
    errors.StoreReadOnly: ExitCode.READ_ONLY,
    errors.ReplicaReadOnly: ExitCode.READ_ONLY,
    errors.NotPermitted: ExitCode.NOT_PERMITTED,
    errors.BadHandle: ExitCode.FAILURE,
    errors.Unsupported: ExitCode.NOT_SUPPORTED,
    errors.NoSuchVersion: ExitCode.NOT_FOUND,
    errors.AmbiguousVersion: ExitCode.USAGE,
    errors.NothingToRestore: ExitCode.NOT_FOUND,
    errors.NotDeleted: ExitCode.ALREADY_EXISTS,
    errors.Archived: ExitCode.ARCHIVED,
    errors.NotArchived: ExitCode.WRONG_KIND,
    errors.RetrievalRunning: ExitCode.ARCHIVED,
    errors.WouldWait: ExitCode.ARCHIVED,
    errors.CallerInterrupted: ExitCode.ARCHIVED,
    errors.MountEnded: ExitCode.ARCHIVED,
    errors.StoreFull: ExitCode.STORE_FULL,
    errors.QuotaExceeded: ExitCode.STORE_FULL,
    errors.PathUnusable: ExitCode.STORAGE_FAILED,
    errors.DataDamaged: ExitCode.STORAGE_FAILED,
    errors.ZoneInUse: ExitCode.STORE_IN_USE,
    errors.ZoneUnavailable: ExitCode.STORAGE_FAILED,
    errors.TooFewZones: ExitCode.STORAGE_FAILED,
    errors.JournalDamaged: ExitCode.STORE_DAMAGED,
    errors.MetadataDamaged: ExitCode.STORE_DAMAGED,
    errors.KeyMissing: ExitCode.WRONG_KEY,
    errors.NoSuchKey: ExitCode.NOT_FOUND,
    errors.KeyDisabled: ExitCode.WRONG_KEY,
    errors.KeyNotPermitted: ExitCode.WRONG_KEY,
    errors.KeyServiceUnavailable: ExitCode.STORAGE_FAILED,
    errors.WrongKey: ExitCode.WRONG_KEY,
    errors.NotAStore: ExitCode.NOT_A_STORE,
    errors.StoreExists: ExitCode.ALREADY_EXISTS,
    errors.StoreInUse: ExitCode.STORE_IN_USE,
    errors.StoreDamaged: ExitCode.STORE_DAMAGED,
    errors.FormatTooNew: ExitCode.FORMAT_TOO_NEW,
    errors.MountPointUnusable: ExitCode.MOUNT_FAILED,
    errors.MountInUse: ExitCode.MOUNT_FAILED,
    errors.UnsavedChanges: ExitCode.MOUNT_FAILED,
    errors.MountFailed: ExitCode.MOUNT_FAILED,
    errors.NotMounted: ExitCode.NOT_MOUNTED,
    errors.NothingMounted: ExitCode.NOT_MOUNTED,
    errors.DaemonUnreachable: ExitCode.DAEMON_UNREACHABLE,
    errors.ReplicaDiverged: ExitCode.DIVERGED,
    errors.DestinationUnreachable: ExitCode.STORAGE_FAILED,
    errors.DestinationRefused: ExitCode.NOT_SUPPORTED,
    errors.SourceAlive: ExitCode.STORE_IN_USE,
    errors.NotAReplica: ExitCode.WRONG_KIND,
}


def exit_code_of(error: errors.S3fsLocalError) -> ExitCode:
    """The code with which a command that met this error ends."""
    return EXIT_CODES.get(type(error), ExitCode.FAILURE)
