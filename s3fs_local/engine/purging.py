"""Removing for good: versions and delete markers by request.

Purging is the one operation that loses history, so the policy gate is asked for each version.
"""

from s3fs_local.engine.delete_markers import reopen_marker
from s3fs_local.engine.filesystem import FileSystem
from s3fs_local.engine.version_removal import remove_version
from s3fs_local.errors import InvalidArgument, WriterActive
from s3fs_local.metadata.changes import RemoveEntry
from s3fs_local.rules.history import HistoryItem
from s3fs_local.rules.inode import Caller
from s3fs_local.rules.namespace import AWAY, OPEN_NS, Entry
from s3fs_local.rules.retention import Bypass, Operation
from s3fs_local.rules.versioning import Version


def purge(
    filesystem: FileSystem, item: HistoryItem, *, caller: Caller, bypass: Bypass | None
) -> None:
    """The version or delete marker is gone for good; of a version the next older is current then.

    Removing a marker that lies on top brings the name back, as in S3.

    Raises:
        Protected, BypassNotPermitted: a lock keeps the version.
        InvalidArgument: it is the only content of a file that is live; unlink it first.
        WriterActive: the file was removed, and is still written by a process that has it open.
    """
    if item.version is None:
        entry = item.entry
        filesystem.volume.apply([RemoveEntry(entry.parent, entry.name, entry.from_ns)])
        if item.is_latest:
            _uncover(filesystem, entry, caller)
        return
    filesystem.locks.check_version(Operation.PURGE_VERSION, item.version, bypass=bypass)
    _purge_version(filesystem, item.version, bypass)


def _uncover(filesystem: FileSystem, marker: Entry, caller: Caller) -> None:
    """S3: with the marker gone, what lies below it is the current item again."""
    below = _below(filesystem, marker)
    if below is None or below.to_ns == OPEN_NS:
        return
    if below.is_marker:
        # What lies between has no version any more, and the marker's new interval covers it.
        history = filesystem.histories.of_name(marker.parent, marker.name)
        between = [entry for entry in history.intervals if entry.from_ns > below.from_ns]
        forgotten = [RemoveEntry(entry.parent, entry.name, entry.from_ns) for entry in between]
        filesystem.volume.apply([*forgotten, *reopen_marker(below)])
        return
    inode = filesystem.volume.inode(below.ino)
    if inode.nlink == 0 and below.ending not in AWAY:
        filesystem.namespace.relink(inode, marker.parent, marker.name, caller)
        filesystem.volume.invalidation.entry(marker.parent, marker.name)


def _below(filesystem: FileSystem, marker: Entry) -> Entry | None:
    """The last interval of the name, files without a version left out."""
    history = filesystem.histories.of_name(marker.parent, marker.name)
    for interval in reversed(history.intervals):
        if interval.is_marker:
            return interval
        if not filesystem.volume.inode(interval.ino).is_file or history.versions[interval.ino]:
            return interval
    return None


def _purge_version(filesystem: FileSystem, version: Version, bypass: Bypass | None) -> None:
    volume = filesystem.volume
    inode = volume.inode(version.ino)
    if version.ino in volume.drafts:
        if not inode.nlink:
            raise WriterActive("the removed file is still open and being written: close it first")
        filesystem.lock_attributes.settle_draft(version.ino)
        if volume.metadata.version(version.ino, version.stamp_ns) is None:
            return  # what was being written took its place, as a version `null`
        inode = volume.inode(version.ino)
    if inode.nlink and len(volume.metadata.versions(version.ino)) == 1:
        raise InvalidArgument("this is the only content of a live file: remove the file first")
    filesystem.locks.note_purge(version, bypass)
    remove_version(volume, version)
    filesystem.releasing.note_purged(version.ino)
    volume.apply(filesystem.locks.note_protection(volume.inode(version.ino)))
    volume.invalidation.inode(version.ino)
