"""What the filesystem knows of one inode, as a value.

An inode survives its deletion: while any version of it exists, its row does (nlink 0). Values are
`msgspec.Struct`s: frozen, compared by value, an order of magnitude cheaper to make than frozen
dataclasses, and they encode straight into the journal. Those that there are thousands of say
`gc=False`: a value cannot be part of a cycle, so the collector need not look at it.
"""

import stat
from typing import Final

from msgspec import Struct, structs

from s3fs_local.rules.retention import APPENDABLE, SEALING, DirectoryPolicy, Lock

__all__ = [  # the two constants live with the rules that use them
    "APPENDABLE",
    "FIRST_VIRTUAL_INO",
    "ROOT_INO",
    "SEALING",
    "SYSTEM",
    "Caller",
    "Inode",
    "KeptAttributes",
]

ROOT_INO: Final = 1
FIRST_VIRTUAL_INO: Final = 1 << 62
"""Numbers from here on belong to views (`.versions`, `.s3fs`); real inodes stay below."""


SET_ID_BITS: Final = stat.S_ISUID | stat.S_ISGID


class Inode(Struct, frozen=True, gc=False, array_like=True):
    """One file, directory, symlink or special file, with the attributes of its current version."""

    ino: int
    mode: int  # type and permission bits, as st_mode
    uid: int
    gid: int
    rdev: int = 0
    nlink: int = 1  # directories: 2 + subdirectories; 0 = no live name
    size: int = 0  # bytes of the current version; symlinks: length of the target
    allocated: int = 0  # bytes that hold data, holes excluded
    atime_ns: int = 0
    mtime_ns: int = 0
    ctime_ns: int = 0
    btime_ns: int = 0
    parent: int = 0  # directories only: the directory that holds it
    version_ns: int = 0  # stamp of the current version; 0 = nothing committed yet
    key_id: int = 0  # data key for new blocks; 0 = none made yet
    append_only: int = 0  # 0, APPENDABLE or SEALING
    lock: Lock | None = None  # of the current version
    policy: DirectoryPolicy | None = None  # directories: what new files below inherit
    protected_until_ns: int = 0  # directories: nothing below is protected after this instant
    target: bytes = b""  # symlinks
    xattrs: dict[bytes, bytes] = {}  # user., trusted., security., system.posix_acl_*; never mutated
    storage_class: str = ""  # files: of the current version, "" = STANDARD; directories: of files
    # made below, "" = as in the directory above

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file."""
        return stat.S_ISREG(self.mode)

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory."""
        return stat.S_ISDIR(self.mode)

    @property
    def is_symlink(self) -> bool:
        """Whether it is a symbolic link."""
        return stat.S_ISLNK(self.mode)


class KeptAttributes(Struct, frozen=True, gc=False, array_like=True):
    """The attributes an inode had before they changed at `to_ns` (open end)."""

    ino: int
    to_ns: int
    mode: int
    uid: int
    gid: int
    mtime_ns: int
    xattrs: dict[bytes, bytes] = {}


def kept_attributes(inode: Inode, to_ns: int) -> KeptAttributes:
    """What the inode's attributes were until `to_ns`."""
    return KeptAttributes(
        ino=inode.ino,
        to_ns=to_ns,
        mode=inode.mode,
        uid=inode.uid,
        gid=inode.gid,
        mtime_ns=inode.mtime_ns,
        xattrs=inode.xattrs,
    )


def restored(inode: Inode, was: Inode, stamp_ns: int) -> Inode:
    """The inode with the attributes that `was` had."""
    return structs.replace(
        inode,
        mode=was.mode,
        uid=was.uid,
        gid=was.gid,
        mtime_ns=was.mtime_ns,
        xattrs=was.xattrs,
        ctime_ns=stamp_ns,
    )


def set_id_bits_lost(mode: int, *, is_in_group: bool) -> int:
    """Which bits of the mode go when an ordinary user changes a file, so that nobody is fooled.

    As `setattr_should_drop_suidgid()` in fs/attr.c of the kernel has it: S_ISGID of a file that its
    group may not execute stays for those in the group.
    """
    lost = mode & stat.S_ISUID
    if mode & stat.S_IXGRP or not is_in_group:
        lost |= mode & stat.S_ISGID
    return lost


class Caller(Struct, frozen=True, gc=False):
    """Who asks: the process behind a system call, or a person behind a command."""

    uid: int
    gid: int
    pid: int = 0
    umask: int = 0


SYSTEM: Final = Caller(uid=0, gid=0)
"""The filesystem itself: recovery, checkpoints."""
