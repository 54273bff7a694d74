"""Whether two regions have the same: names, versions with their ids and locks, and every byte."""

import hashlib
from pathlib import Path

from s3fs_local.engine.replica_origins import Origins
from s3fs_local.rules.inode import ROOT_INO, Inode
from tests.store_on_disk import StoreOnDisk, opened

LISTED = 1024
PIECE = 1 << 20
Names = dict[str, tuple[object, ...]]


async def differences(here: Path, there: Path) -> list[str]:
    """What the replica `there` has otherwise than its source; the stores must not be open."""
    async with opened(here) as source, opened(there) as replica:
        found = [
            f"{path}: {one} here, {other} there"
            for path, one, other in _unlike(names(source), names(replica))
        ]
        origins = Origins(replica.fs.volume.metadata, bytes.fromhex(replica.store.record.store_id))
        mine = Origins(source.fs.volume.metadata, bytes.fromhex(source.store.record.store_id))
        for inode in files(source):
            ino = origins.inode(mine.of_inode(inode.ino))
            if ino is None:
                found.append(f"inode {inode.ino} is not there")
                continue
            versions = await contents(source, inode.ino), await contents(replica, ino)
            if versions[0] != versions[1]:
                found.append(f"inode {inode.ino}: {versions[0]} here, {versions[1]} there")
        return found


def _unlike(one: Names, other: Names) -> list[tuple[str, object, object]]:
    return [
        (path, one.get(path), other.get(path))
        for path in sorted(one.keys() | other.keys())
        if one.get(path) != other.get(path)
    ]


def names(disk: StoreOnDisk) -> Names:
    """Every path with what people see of it."""
    found: Names = {}
    waiting = [("", ROOT_INO)]
    metadata = disk.fs.volume.metadata
    while waiting:
        above, directory = waiting.pop()
        after = 0
        while children := metadata.children(directory, after, LISTED):
            after = children[-1][0].from_ns
            for entry, inode in children:
                path = f"{above}/{entry.name.decode(errors='replace')}"
                found[path] = _seen(inode)
                if inode.is_directory:
                    waiting.append((path, inode.ino))
    return found


def _seen(inode: Inode) -> tuple[object, ...]:
    times = () if inode.is_directory else (inode.mtime_ns,)
    return (inode.mode, inode.uid, inode.gid, inode.nlink, inode.size, inode.xattrs, *times)


def files(disk: StoreOnDisk) -> list[Inode]:
    """Every file that has versions, with or without a name."""
    found: list[Inode] = []
    after = 0
    while inodes := disk.fs.volume.metadata.inodes_after(after, LISTED):
        after = inodes[-1].ino
        found += [inode for inode in inodes if inode.is_file and inode.version_ns]
    return found


async def contents(disk: StoreOnDisk, ino: int) -> list[tuple[object, ...]]:
    """Id, size, tags, lock and hash of each version."""
    found: list[tuple[object, ...]] = []
    for version in disk.fs.volume.metadata.versions(ino):
        digest = hashlib.sha256()
        layouts = disk.fs.reading.layouts(ino, version.stamp_ns)
        for offset in range(0, version.size, PIECE):
            size = min(PIECE, version.size - offset)
            digest.update(disk.fs.reading.read_blocking(layouts, offset, size))
        found.append(
            (
                *(version.stamp_ns, version.salt, version.size, version.tags, version.lock),
                digest.hexdigest(),
            )
        )
    return found
