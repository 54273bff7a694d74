"""Removing for good: versions and delete markers by request, and the bytes that nothing uses.

Purging is the one operation that loses history, so the policy gate is asked for each version.
"""

from collections import Counter

from msgspec import Struct

from s3fs_local.engine.filesystem import FileSystem
from s3fs_local.engine.version_removal import plan_version_removal
from s3fs_local.errors import InvalidArgument
from s3fs_local.metadata.changes import Change, PutInode, RemoveEntry, RemoveKey, RemovePack
from s3fs_local.rules.history import HistoryItem
from s3fs_local.rules.inode import Caller, Inode
from s3fs_local.rules.namespace import OPEN_NS
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
    """
    if item.version is None:
        entry = item.entry
        filesystem.volume.apply([RemoveEntry(entry.parent, entry.name, entry.from_ns)])
        if item.is_latest:
            _undelete_by_marker(filesystem, item, caller)
        return
    filesystem.locks.check_version(Operation.PURGE_VERSION, item.version, bypass=bypass)
    _purge_version(filesystem, item.version)


def _undelete_by_marker(filesystem: FileSystem, item: HistoryItem, caller: Caller) -> None:
    """S3: with the marker gone, the entry below it is the current one again."""
    history = filesystem.histories.of_name(item.entry.parent, item.entry.name)
    below = history.intervals[-1] if history.intervals else None
    if below is None or below.is_marker or below.to_ns == OPEN_NS:
        return
    inode = filesystem.volume.inode(below.ino)
    if inode.nlink == 0:
        filesystem.namespace.relink(inode, item.entry.parent, item.entry.name, caller)
        filesystem.volume.invalidation.entry(item.entry.parent, item.entry.name)


def _purge_version(filesystem: FileSystem, version: Version) -> None:
    volume = filesystem.volume
    inode = volume.inode(version.ino)
    others = [v for v in volume.metadata.versions(version.ino) if v.stamp_ns != version.stamp_ns]
    is_current = inode.version_ns == version.stamp_ns
    if is_current and not others and inode.nlink:
        raise InvalidArgument("this is the only content of a live file: remove the file first")
    changes = plan_version_removal(volume.metadata, version)
    if is_current and others:
        changes.append(PutInode(_with_content_of(filesystem, inode, others[0])))
    volume.apply(changes)
    if not others:
        _destroy_key(filesystem, inode)
    volume.invalidation.inode(version.ino)


def _with_content_of(filesystem: FileSystem, inode: Inode, version: Version) -> Inode:
    """The inode as it is when `version` is its current one."""
    shown = filesystem.histories.version_as_file(version)
    layouts = filesystem.volume.metadata.cells(inode.ino, 0, version.stamp_ns)
    return filesystem.reading.as_current(inode, shown, version, layouts)


def _destroy_key(filesystem: FileSystem, inode: Inode) -> None:
    """With its last version a file loses its key: copies of its packs elsewhere stay unreadable."""
    volume = filesystem.volume
    if inode.key_id and not volume.metadata.key_in_use(inode.key_id):
        volume.apply([RemoveKey(inode.key_id)])
        volume.keys.forget(inode.key_id)


def collect_garbage(filesystem: FileSystem, *, dry_run: bool) -> Garbage:
    """Packs without a block that anything uses are gone. The caller flushes durably first.

    A crash between the two steps leaves a pack that the next collection finds: first the fact that
    the pack is empty is durable, then its bytes go.
    """
    volume = filesystem.volume
    lengths = volume.blocks.pack_lengths()
    drafts = Counter(
        block.pack_id for draft in volume.drafts.values() for block in draft.blocks.values()
    )
    empty = [
        pack_id
        for pack_id, _, live_bytes in volume.metadata.packs()
        if not live_bytes and not drafts[pack_id]
    ]
    freed = sum(lengths.get(pack_id, 0) for pack_id in empty)
    if not dry_run:
        changes: list[Change] = [RemovePack(pack_id) for pack_id in empty]
        if changes:
            volume.apply(changes)
        for pack_id in empty:
            volume.blocks.remove_pack(pack_id)
    return Garbage(packs=len(empty), bytes=freed)
