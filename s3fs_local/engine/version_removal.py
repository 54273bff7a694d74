"""Removing versions for good: which layouts, blocks and keys nothing needs any more.

A layout row [from, to) is needed while some remaining version's stamp lies in it. Rows are removed
with the last version that needs them, blocks with the last row, data keys with the last block.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Collection

from msgspec import Struct, structs

from s3fs_local.engine.classes import class_in_inode
from s3fs_local.engine.histories import Histories
from s3fs_local.engine.locks import Locks
from s3fs_local.engine.volume import Volume
from s3fs_local.metadata.changes import (
    Change,
    CountBlock,
    PutInode,
    RemoveBlock,
    RemoveCell,
    RemoveEntry,
    RemoveInode,
    RemoveKey,
    RemoveVersion,
    ReopenCell,
)
from s3fs_local.metadata.interface import Metadata
from s3fs_local.rules.extents import blocks_of, data_bytes, decode_layout
from s3fs_local.rules.inode import Inode
from s3fs_local.rules.namespace import OPEN_NS, Entry
from s3fs_local.rules.retention import Operation
from s3fs_local.rules.versioning import Version, VersioningState


class _Removal(Struct):
    """What the removal of versions changes, and the keys of the blocks it frees."""

    changes: list[Change]
    keys: set[int]


def remove_version(volume: Volume, version: Version) -> None:
    """The version and all that only it needed are gone; if it was current, the next older one is.

    Asks no policy gate: the caller did. No draft may lie over the version.
    """
    remove_versions(volume, version.ino, {version.stamp_ns})


def remove_versions(volume: Volume, ino: int, gone: Collection[int]) -> None:
    """As `remove_version`, for several versions of one file, by their stamps, in one go.

    Costs the history of the file once, not once a version.
    """
    inode = volume.inode(ino)
    versions = volume.metadata.versions(ino)
    remaining = [other for other in versions if other.stamp_ns not in gone]
    removal = _plan(volume.metadata, ino, gone, [other.stamp_ns for other in remaining])
    if inode.version_ns in gone:
        newest = remaining[0] if remaining else None
        removal.changes.append(PutInode(_with_content_of(volume.metadata, inode, newest)))
    if volume.uses_classes:  # what only the removed version kept warm may be colder now
        for member in (ino, *volume.metadata.sharing(ino)):
            removal.changes.append(volume.mark_unsettled(member))
    for old in versions:
        if old.stamp_ns in gone:
            volume.note_if_over(old.lock)
    volume.apply(removal.changes)
    own = {inode.key_id} if inode.key_id else set()
    destroy_keys(volume, removal.keys - own if remaining else removal.keys | own)


def forget_nameless(volume: Volume, ino: int) -> None:
    """A file without a name and without a version leaves nothing behind (no-op for any other).

    Its inode and the past intervals of its names are gone. Nobody may have it open.
    """
    inode = volume.metadata.inode(ino)
    if inode is None or inode.nlink or ino in volume.drafts or volume.metadata.versions(ino):
        return
    entries = volume.metadata.entries_of(ino)
    changes: list[Change] = [RemoveEntry(e.parent, e.name, e.from_ns) for e in entries]
    volume.apply([*changes, RemoveInode(ino)])


def _plan(metadata: Metadata, ino: int, gone: Collection[int], remaining: list[int]) -> _Removal:
    newest = max(remaining, default=0)
    ascending = sorted(remaining)
    changes: list[Change] = [RemoveVersion(ino, stamp_ns) for stamp_ns in sorted(gone)]
    unused: Counter[int] = Counter()
    for cell, from_ns, to_ns, layout in metadata.cell_rows(ino):
        next_stamp = bisect_left(ascending, from_ns)
        if next_stamp == len(ascending) or ascending[next_stamp] >= to_ns:
            changes.append(RemoveCell(ino, cell, from_ns))
            unused.update(blocks_of(decode_layout(layout)))
        elif from_ns <= newest < to_ns != OPEN_NS:
            changes.append(ReopenCell(ino, cell, from_ns))
    keys = set()
    for block_id, count in unused.items():
        block = metadata.block(block_id)
        if block is not None and block.refs > count:
            changes.append(CountBlock(block_id, -count))
        else:
            changes.append(RemoveBlock(block_id))
            if block is not None:
                keys.add(block.key_id)
    return _Removal(changes, keys)


def _with_content_of(metadata: Metadata, inode: Inode, version: Version | None) -> Inode:
    """The inode as it is when `version` (None: nothing) is its current one."""
    if version is None:
        return structs.replace(
            inode, size=0, allocated=0, version_ns=0, lock=None, storage_class=""
        )
    layouts = metadata.cells(inode.ino, 0, version.stamp_ns)
    was = metadata.attributes_at(inode.ino, inode.version_ns - 1)
    return structs.replace(
        inode,
        size=version.size,
        allocated=sum([data_bytes(decode_layout(layout)) for _, _, layout in layouts]),
        version_ns=version.stamp_ns,
        lock=version.lock,
        storage_class=class_in_inode(version),
        mtime_ns=inode.mtime_ns if was is None else was.mtime_ns,
    )


def destroy_keys(volume: Volume, keys: set[int]) -> None:
    """Copies of packs elsewhere stay unreadable: keys without a block, or a draft, are gone.

    Blocks that arrive from another region are none of facts yet, and count as well.
    """
    drafts = {draft.key_id for draft in volume.drafts.values()}
    arriving = {block.key_id for block in volume.arriving.values()}
    for key_id in keys - drafts - arriving:
        if volume.keys.exists(key_id) and not volume.metadata.key_in_use(key_id):
            volume.apply([RemoveKey(key_id)])
            volume.keys.forget(key_id)


def remove_older_nulls(volume: Volume, locks: Locks, parent: int, name: bytes) -> None:
    """The name has one null item, the newest (S3, Suspended: it takes the place of every other).

    A version that went on under another name belongs to that one; that of a removed file goes with
    its last close.
    """
    if volume.settings.versioning is not VersioningState.SUSPENDED:
        return
    items = [item for item in Histories(volume).of_name(parent, name).items if item.is_null]
    for item in items[1:]:
        if item.version is None:
            volume.apply([RemoveEntry(item.entry.parent, item.entry.name, item.entry.from_ns)])
        elif _ended_at(volume, item.entry):
            locks.check_version(Operation.REPLACE_VERSION, item.version)
            remove_version(volume, item.version)


def _ended_at(volume: Volume, entry: Entry) -> bool:
    """Whether nothing means the inode any more, and its last name was that of the entry."""
    last = volume.metadata.entries_of(entry.ino)[-1]
    is_in_use = volume.inode(entry.ino).nlink > 0 or volume.is_open(entry.ino)
    return not is_in_use and (last.parent, last.name) == (entry.parent, entry.name)
