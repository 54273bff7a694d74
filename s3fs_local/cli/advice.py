"""What a person can do about each error: the second line under it."""

from typing import Final

from s3fs_local import errors

ADVICE: Final[dict[type[errors.S3fsLocalError], str]] = {
    errors.NoSuchName: "Check the spelling; `s3fs-local versions DIR` lists deleted names too.",
    errors.NameTaken: "Choose another name with --to, or move what is there out of the way.",
    errors.NotADirectory: "Name a directory.",
    errors.IsADirectory: "Name a file, not a directory.",
    errors.DirectoryNotEmpty: "Name an empty directory, or empty this one first.",
    errors.NameTooLong: "Names have at most 255 bytes.",
    errors.NameReserved: "Choose another name: this one belongs to the filesystem.",
    errors.MoveIntoSelf: "Choose a place outside of the directory itself.",
    errors.TooManyLinks: "Copy the file instead of linking it.",
    errors.StaleInode: "It was removed meanwhile; look it up again.",
    errors.NoSuchAttribute: "`getfattr -d FILE` lists the attributes there are.",
    errors.AttributeTooLarge: "Store less in attributes, or use a file.",
    errors.InvalidArgument: "`s3fs-local COMMAND --help` says what is accepted.",
    errors.InvalidTime: "Try 2026-11-22T15:04:05Z, 2026-11-22, or a time ago such as 2d.",
    errors.InvalidSetting: "`s3fs-local config show STORE` lists the settings.",
    errors.NoSuchConfiguration: "`s3fs-local bucket … put STORE FILE` gives the store one.",
    errors.FileTooLarge: "Choose a smaller size.",
    errors.Protected: "`s3fs-local why OPERATION PATH` names the lock, its end and who may.",
    errors.BypassNotPermitted: "Ask root or a member of the store's bypass group.",
    errors.WriterActive: "Close the file there first, or lock it anyway with --cut-writers.",
    errors.ObjectLockDisabled: "Locks need a store that was made with `init --object-lock`.",
    errors.InvalidRetention: "Give a mode and a period or date: `governance 30d`.",
    errors.VersioningRequired: "A store with Object Lock keeps versioning Enabled.",
    errors.ReadOnlyView: "Copy the old version to a place outside, or use `s3fs-local restore`.",
    errors.StoreReadOnly: "See `s3fs-local status`, mend the cause, then unmount and mount again.",
    errors.NotPermitted: "Run the command as the owner or as root.",
    errors.BadHandle: "Open the file again.",
    errors.Unsupported: "See docs/semantics.md for what is done instead.",
    errors.NoSuchVersion: "`s3fs-local versions PATH` lists the versions there are.",
    errors.AmbiguousVersion: "Give more letters of the version's id.",
    errors.NothingToRestore: "`s3fs-local log PATH` tells when the path held something.",
    errors.ConditionFailed: "Look at what is there now, then decide again.",
    errors.Archived: "`s3fs-local retrieve PATH` brings a readable copy for some days.",
    errors.NotArchived: "Read it: only GLACIER and DEEP_ARCHIVE are retrieved.",
    errors.RetrievalRunning: "Wait, or ask for a faster --tier; `getfattr -n s3.restore` tells.",
    errors.WouldWait: "Try again later; `getfattr -n s3.restore FILE` tells when.",
    errors.StoreFull: "Free space where the store lives, or purge versions nobody needs.",
    errors.DataDamaged: "Restore the zone that held the bytes, or an earlier version of the file.",
    errors.ZoneUnavailable: "Bring the zone's disk or server back; `s3fs-local status` names it.",
    errors.TooFewZones: "Bring zones back (`s3fs-local zone list` names them), or repair one.",
    errors.JournalDamaged: "Do not write to the store; restore its journal from a copy.",
    errors.MetadataDamaged: "`s3fs-local fsck STORE --rebuild` makes it anew from the zones.",
    errors.KeyMissing: "Without its key the content is lost, unless a copy of the keys exists.",
    errors.KeyDisabled: "Enable it: `s3fs-local key enable STORE NAME`, or in the KMS.",
    errors.KeyNotPermitted: "Give this store's user kms:Decrypt and kms:GenerateDataKey on it.",
    errors.KeyServiceUnavailable: "See `s3fs-local status` and bring the key service back.",
    errors.WrongKey: "Give the right --passphrase-file or --key-file (also as mount options).",
    errors.NotAStore: "Name a directory made by `s3fs-local init`.",
    errors.StoreExists: "Give `init` a new or an empty directory.",
    errors.StoreInUse: "Use the store through its mount, or unmount it there first.",
    errors.StoreDamaged: "Restore the file that is named from a copy of the store.",
    errors.FormatTooNew: "Install the release that wrote the store, or a newer one.",
    errors.MountPointUnusable: "Give an existing, empty directory that nothing uses.",
    errors.MountFailed: "STORE/daemon.log says more.",
    errors.NotMounted: "Mount the store, or write the path as STORE:/path/inside.",
    errors.DaemonUnreachable: "See STORE/daemon.log, then unmount and mount again.",
}


def advice_on(error: errors.S3fsLocalError) -> str:
    """One sentence."""
    return ADVICE.get(type(error), "Please report this; STORE/daemon.log may say more.")
