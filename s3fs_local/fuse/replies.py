"""What the kernel is told of our values: the bodies of replies. Nothing is decided here."""

import os
import stat
from typing import Final

from s3fs_local.engine.filesystem import Space
from s3fs_local.engine.open_files import OpenedFile
from s3fs_local.fuse.protocol import (
    ATTR_OUT,
    DIRENT,
    ENTRY_OUT,
    FOPEN_DIRECT_IO,
    FOPEN_KEEP_CACHE,
    FOPEN_NOFLUSH,
    GETXATTR_OUT,
    OPEN_OUT,
    STATFS_OUT,
    STATX_OUT,
    WRITE_OUT,
)
from s3fs_local.rules.inode import FIRST_VIRTUAL_INO, Inode

TIMEOUT_S: Final = 86_400
"""How long the kernel may believe what it was told. Nothing else changes a mounted store without
invalidating, so it could be for ever; a day bounds what a forgotten invalidation can do. Virtual
inodes change by themselves (a new version, the passing of time): never cached."""

BLOCK_SIZE_BYTES: Final = 128 << 10
"""`st_blksize`, the buffer programs choose. C's stdio and Python's `open` follow it, so their small
writes arrive in pieces of this size. `cp` and `cat` take at least 128 KiB by themselves; more would
cost each open stdio stream that much memory."""

ABSENT: Final = ENTRY_OUT.pack(0, 0, TIMEOUT_S, *[0] * (3 + 16))
"""The reply "no such name" that the kernel remembers, unlike ENOENT."""

_NS: Final = 1_000_000_000
_SECTOR_BYTES_LESS_1: Final = 511  # st_blocks is always in units of 512 bytes
_NAME_ALIGNMENT: Final = 8
_BASIC_STATS: Final = 0x7FF  # STATX_BASIC_STATS of <linux/stat.h>
_BIRTH_TIME: Final = 0x800
_CHANGING: Final = os.O_ACCMODE | os.O_TRUNC


def attributes(inode: Inode) -> bytes:
    """The inode as stat(2) shows it, with how long the kernel may remember it."""
    timeout_s = TIMEOUT_S if inode.ino < FIRST_VIRTUAL_INO else 0
    return ATTR_OUT.pack(timeout_s, 0, 0, *_stat(inode))


def all_attributes(inode: Inode) -> bytes:
    """The inode as statx(2) shows it: as stat(2), and when it was made."""
    timeout_s = TIMEOUT_S if inode.ino < FIRST_VIRTUAL_INO else 0
    ino, size, blocks, *_ = _stat(inode)
    return STATX_OUT.pack(
        timeout_s,
        0,
        _BASIC_STATS | (_BIRTH_TIME if inode.btime_ns else 0),
        BLOCK_SIZE_BYTES,
        0,
        inode.nlink,
        inode.uid,
        inode.gid,
        inode.mode,
        ino,
        size,
        blocks,
        0,
        *divmod(inode.atime_ns, _NS),
        *divmod(inode.btime_ns, _NS),
        *divmod(inode.ctime_ns, _NS),
        *divmod(inode.mtime_ns, _NS),
        os.major(inode.rdev),
        os.minor(inode.rdev),
    )


def entry(inode: Inode) -> bytes:
    """What a name means, with how long the kernel may remember name and attributes."""
    ino = inode.ino
    timeout_s = TIMEOUT_S if ino < FIRST_VIRTUAL_INO else 0
    return ENTRY_OUT.pack(ino, 0, timeout_s, timeout_s, 0, 0, *_stat(inode))


def _stat(inode: Inode) -> tuple[int, ...]:
    atime_s, atime_ns = divmod(inode.atime_ns, _NS)
    mtime_s, mtime_ns = divmod(inode.mtime_ns, _NS)
    ctime_s, ctime_ns = divmod(inode.ctime_ns, _NS)
    return (
        inode.ino,
        inode.size,
        (inode.allocated + _SECTOR_BYTES_LESS_1) >> 9,
        atime_s,
        mtime_s,
        ctime_s,
        atime_ns,
        mtime_ns,
        ctime_ns,
        inode.mode,
        inode.nlink,
        inode.uid,
        inode.gid,
        inode.rdev,
        BLOCK_SIZE_BYTES,
        0,
    )


def opened(file: OpenedFile, flags: int, *, is_new: bool = False) -> bytes:
    """The handle of a file that was opened with these flags of open(2).

    Of one that was there and is only read there is nothing to say at close(2), so the kernel need
    not ask. A new one becomes a version then, empty or not.
    """
    how = FOPEN_KEEP_CACHE if file.keep_cache else 0
    if file.direct_io:
        how |= FOPEN_DIRECT_IO
    if not is_new and not flags & _CHANGING:
        how |= FOPEN_NOFLUSH
    return OPEN_OUT.pack(file.handle, how, 0)


def created(made: tuple[OpenedFile, Inode], flags: int) -> bytes:
    """What a new name means, and the handle."""
    file, inode = made
    return entry(inode) + opened(file, flags, is_new=True)


def opened_directory(handle: int) -> bytes:
    """The handle of a directory."""
    return OPEN_OUT.pack(handle, 0, 0)


def written(size: int) -> bytes:
    """How many bytes were taken."""
    return WRITE_OUT.pack(size, 0)


def space(room: Space) -> bytes:
    """The reply to statfs(2)."""
    return STATFS_OUT.pack(
        room.blocks,
        room.free,
        room.available,
        room.files,
        room.files_free,
        room.block_bytes,
        room.name_bytes_max,
        room.block_bytes,
    )


def attribute_size(size: int) -> bytes:
    """How long the value of an extended attribute is, or the list of their names."""
    return GETXATTR_OUT.pack(size, 0)


class Listing:
    """As many entries of a directory as the kernel asked for, with their attributes."""

    def __init__(self, bytes_max: int) -> None:
        self._room = bytes_max
        self._pieces: list[bytes] = []

    def add(self, name: bytes, inode: Inode, next_offset: int) -> bool:
        """Whether there was room. The kernel counts what is added as looked up, but for dots.

        `next_offset`: where a listing goes on that ends with this entry.
        """
        length = len(name)
        padding = -length % _NAME_ALIGNMENT
        size = ENTRY_OUT.size + DIRENT.size + length + padding
        if size > self._room:
            return False
        kind = stat.S_IFMT(inode.mode) >> 12
        head = DIRENT.pack(inode.ino, next_offset, length, kind)
        self._pieces += (entry(inode), head, name, bytes(padding))
        self._room -= size
        return True

    def body(self) -> bytes:
        """The reply."""
        return b"".join(self._pieces)
