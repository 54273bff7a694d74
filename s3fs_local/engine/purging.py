"""Removing for good: versions and delete markers by request, and the bytes that nothing uses.

Purging is the one operation that loses history, so the policy gate is asked for each version.
"""

from msgspec import Struct

from s3fs_local.engine.filesystem import FileSystem
from s3fs_local.engine.namespace import reopen_marker
from s3fs_local.engine.version_removal import remove_version
from s3fs_local.errors import InvalidArgument, WriterActive
from s3fs_local.metadata.changes import RemoveEntry, RemovePack
from s3fs_local.rules.history import HistoryItem
from s3fs_local.rules.inode import Caller
from s3fs_local.rules.namespace import OPEN_NS, Ending, Entry
from s3fs_local.rules.retention import Bypass, Operation
from s3fs_local.rules.versioning import Version


class Garbage(Struct, frozen=True):
    """What a collection freed, or would free."""

    packs: int
    bytes: int


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
    _purge_version(filesystem, item.version)


def _uncover(filesystem: FileSystem, marker: Entry, caller: Caller) -> None:
    """S3: with the marker gone, what lies below it is the current item again."""
    below = _below(filesystem, marker)
    if below is None or below.to_ns == OPEN_NS:
        return
    if below.is_marker:
        filesystem.volume.apply(reopen_marker(below))
        return
    inode = filesystem.volume.inode(below.ino)
    if inode.nlink == 0 and below.ending is not Ending.MOVED:
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


def _purge_version(filesystem: FileSystem, version: Version) -> None:
    volume = filesystem.volume
    inode = volume.inode(version.ino)
    if version.ino in volume.drafts:
        if not inode.nlink:
            raise WriterActive("the removed file is still open and being written: close it first")
        filesystem.lock_attributes.settle_draft(version.ino)
        inode = volume.inode(version.ino)
    if inode.nlink and len(volume.metadata.versions(version.ino)) == 1:
        raise InvalidArgument("this is the only content of a live file: remove the file first")
    remove_version(volume, version)
    volume.apply(filesystem.locks.note_protection(volume.inode(version.ino)))
    volume.invalidation.inode(version.ino)


async def collect_garbage(filesystem: FileSystem, *, dry_run: bool) -> Garbage:
    """Packs without a block that anything uses are gone.

    What a crash may bring back needs its blocks. So only those packs go that were empty before
    everything became durable: also that the blocks which journal records name were durable once,
    for a mount looks for the others. A crash halfway leaves packs that the next collection finds.
    """
    volume = filesystem.volume
    empty = empty_packs(filesystem)
    if empty and not dry_run:
        await volume.durability.flush(durable=True)
        await volume.durability.flush(durable=True)  # the mark that the first one left
        empty &= empty_packs(filesystem)
    lengths = volume.blocks.pack_lengths()
    freed = sum(lengths.get(pack_id, 0) for pack_id in empty)
    if empty and not dry_run:
        volume.apply([RemovePack(pack_id) for pack_id in sorted(empty)])
        for pack_id in sorted(empty):
            volume.blocks.remove_pack(pack_id)
    return Garbage(packs=len(empty), bytes=freed)


def empty_packs(filesystem: FileSystem) -> set[int]:
    """Packs without a block that a version or a draft uses now."""
    volume = filesystem.volume
    drafts = {block.pack_id for draft in volume.drafts.values() for block in draft.blocks.values()}
    return {
        pack_id
        for pack_id, _, live_bytes in volume.metadata.packs()
        if not live_bytes and pack_id not in drafts
    }
