"""Between pyfuse3's values and ours, both ways; nothing is decided here.

`EntryAttributes.st_birthtime_ns` is left alone: libfuse has no statx, so on Linux it goes nowhere.
"""

from typing import Final

import pyfuse3

from s3fs_local.engine.attributes import AttributeChange
from s3fs_local.engine.filesystem import Space
from s3fs_local.engine.open_files import OpenedFile
from s3fs_local.rules.inode import FIRST_VIRTUAL_INO, Caller, Inode

ENTRY_TIMEOUT_S: Final = 86_400.0
ATTRIBUTE_TIMEOUT_S: Final = 86_400.0
"""How long the kernel may believe what it was told. Nothing else changes a mounted store without
invalidating, so it could be for ever; a day bounds what a forgotten invalidation can do. Virtual
inodes change by themselves (a new version, the passing of time): never cached."""

BLOCK_SIZE_BYTES: Final = 128 << 10
"""`st_blksize`, the buffer programs choose. C's stdio and Python's `open` follow it, so their small
writes arrive in pieces of this size. `cp` and `cat` take at least 128 KiB by themselves; more would
cost each open stdio stream that much memory."""


def caller_of(context: pyfuse3.RequestContext) -> Caller:
    """The process behind the request."""
    return Caller(uid=context.uid, gid=context.gid, pid=context.pid, umask=context.umask)


def entry_of(inode: Inode) -> pyfuse3.EntryAttributes:
    """The inode as stat(2) shows it, with how long the kernel may remember it."""
    entry = pyfuse3.EntryAttributes()
    entry.st_ino = inode.ino
    entry.st_mode = inode.mode
    entry.st_nlink = inode.nlink
    entry.st_uid = inode.uid
    entry.st_gid = inode.gid
    entry.st_rdev = inode.rdev
    entry.st_size = inode.size
    entry.st_blocks = (inode.allocated + 511) >> 9  # always in units of 512 bytes
    entry.st_blksize = BLOCK_SIZE_BYTES
    entry.st_atime_ns = inode.atime_ns
    entry.st_mtime_ns = inode.mtime_ns
    entry.st_ctime_ns = inode.ctime_ns
    if inode.ino < FIRST_VIRTUAL_INO:
        entry.entry_timeout = ENTRY_TIMEOUT_S
        entry.attr_timeout = ATTRIBUTE_TIMEOUT_S
    else:
        entry.entry_timeout = entry.attr_timeout = 0
    return entry


def _absent() -> pyfuse3.EntryAttributes:
    entry = pyfuse3.EntryAttributes()
    entry.st_ino = 0
    entry.entry_timeout = ENTRY_TIMEOUT_S
    return entry


ABSENT: Final = _absent()
"""The reply "no such name" that the kernel remembers, unlike ENOENT. Never mutated."""


def file_info_of(opened: OpenedFile) -> pyfuse3.FileInfo:
    """The reply to an open."""
    return pyfuse3.FileInfo(
        fh=opened.handle, direct_io=opened.direct_io, keep_cache=opened.keep_cache
    )


def change_of(
    attributes: pyfuse3.EntryAttributes, fields: pyfuse3.SetattrFields
) -> AttributeChange:
    """What a SETATTR asks for; not its ctime, since the engine has its own idea of now."""
    return AttributeChange(
        mode=attributes.st_mode if fields.update_mode else None,
        uid=attributes.st_uid if fields.update_uid else None,
        gid=attributes.st_gid if fields.update_gid else None,
        size=attributes.st_size if fields.update_size else None,
        atime_ns=attributes.st_atime_ns if fields.update_atime else None,
        mtime_ns=attributes.st_mtime_ns if fields.update_mtime else None,
    )


def statvfs_of(space: Space) -> pyfuse3.StatvfsData:
    """The reply to statfs(2)."""
    data = pyfuse3.StatvfsData()
    data.f_bsize = data.f_frsize = space.block_bytes
    data.f_blocks = space.blocks
    data.f_bfree = space.free
    data.f_bavail = space.available
    data.f_files = space.files
    data.f_ffree = data.f_favail = space.files_free
    data.f_namemax = space.name_bytes_max
    return data
