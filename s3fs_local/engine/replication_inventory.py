"""What two regions have: the list of one, and how it differs from the other's."""

from collections.abc import AsyncIterator, Iterator

from msgspec import Struct

from s3fs_local.engine.filesystem import FileSystem
from s3fs_local.engine.replica_origins import Origins
from s3fs_local.engine.replication_messages import List, Listed, Listing
from s3fs_local.metadata.interface import Metadata
from s3fs_local.rules.inode import Inode


class OneVersion(Struct, frozen=True):
    """A version that one side has."""

    key: bytes
    stamp_ns: int
    salt: int
    size: int


class Differences(Struct):
    """What each side has that the other lacks; the lists hold the first ones only."""

    both: int = 0
    here_count: int = 0
    there_count: int = 0
    only_here: list[OneVersion] = []
    only_there: list[OneVersion] = []


def list_files(filesystem: FileSystem, origins: Origins, message: List) -> Listing:
    """The next files of this store, with their versions; none: there are no more."""
    metadata = filesystem.volume.metadata
    files: list[Listed] = []
    after = message.after
    while len(files) < message.limit:
        inodes = metadata.inodes_after(after, message.limit)
        if not inodes:
            break
        after = inodes[-1].ino
        files += _listed(filesystem, origins, inodes)
    return Listing(tuple(files))


def _listed(filesystem: FileSystem, origins: Origins, inodes: list[Inode]) -> Iterator[Listed]:
    for inode in inodes:
        if not inode.is_file:
            continue
        versions = tuple(
            (version.stamp_ns, version.salt, version.size)
            for version in filesystem.volume.metadata.versions(inode.ino)
        )
        if versions:
            keys = filesystem.replication.keys_of(inode, with_past=False)
            key = keys[0] if keys else b""
            yield Listed(inode.ino, origins.of_inode(inode.ino), key, versions)


async def compare(
    filesystem: FileSystem, origins: Origins, others: AsyncIterator[Listed], rows_max: int
) -> Differences:
    """How the other store, whose files these are, differs from this one."""
    metadata = filesystem.volume.metadata
    found = Differences()
    seen: set[tuple[int, int]] = set()
    async for other in others:
        ino = origins.inode(other.origin)
        for stamp_ns, salt, size in other.versions:
            held = None if ino is None else metadata.version(ino, stamp_ns)
            if ino is not None and held is not None and held.salt == salt:
                found.both += 1
                seen.add((ino, stamp_ns))
                continue
            found.there_count += 1
            if len(found.only_there) < rows_max:
                found.only_there.append(OneVersion(other.path, stamp_ns, salt, size))
    for inode in _files(metadata):
        for version in metadata.versions(inode.ino):
            if (inode.ino, version.stamp_ns) in seen:
                continue
            found.here_count += 1
            if len(found.only_here) < rows_max:
                keys = filesystem.replication.keys_of(inode, with_past=False)
                one = OneVersion(
                    keys[0] if keys else b"", version.stamp_ns, version.salt, version.size
                )
                found.only_here.append(one)
    return found


def _files(metadata: Metadata) -> Iterator[Inode]:
    after = 0
    while inodes := metadata.inodes_after(after, 1024):
        after = inodes[-1].ino
        yield from (inode for inode in inodes if inode.is_file)
