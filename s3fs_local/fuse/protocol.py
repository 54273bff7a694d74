"""The kernel's side of FUSE: numbers and layouts of `<linux/fuse.h>`, and what is agreed on first.

A request is a header (`IN_HEADER`) and a body; a reply is `OUT_HEADER` and a body, written in one
piece. All numbers are in the machine's byte order. Names end with a zero byte. No I/O.
"""

from enum import IntEnum, IntFlag
from struct import Struct as Layout
from typing import Final

from msgspec import Struct

MAJOR: Final = 7
MINOR: Final = 39
"""What this program speaks. An older kernel's minor number is taken over, a newer kernel's not."""

MINOR_MIN: Final = 31
"""Linux 5.4. Older kernels lay some bodies out differently."""

ROOT: Final = 1
"""The number of the root; the kernel takes that for granted."""

WRITE_BYTES_MAX: Final = 1 << 20
"""How long a write the kernel may send in one request. Linux takes 256 pages at most unasked."""

_PAGE_BYTES: Final = 4096
_HEAD_BYTES: Final = 4096
"""Room beside a write's data for its header; `fuse_dev_do_read()` wants less, and is exact."""

REQUEST_BYTES_MAX: Final = WRITE_BYTES_MAX + _HEAD_BYTES


class Opcode(IntEnum):
    """What is asked for (`enum fuse_opcode`)."""

    LOOKUP = 1
    FORGET = 2
    GETATTR = 3
    SETATTR = 4
    READLINK = 5
    SYMLINK = 6
    MKNOD = 8
    MKDIR = 9
    UNLINK = 10
    RMDIR = 11
    RENAME = 12
    LINK = 13
    OPEN = 14
    READ = 15
    WRITE = 16
    STATFS = 17
    RELEASE = 18
    FSYNC = 20
    SETXATTR = 21
    GETXATTR = 22
    LISTXATTR = 23
    REMOVEXATTR = 24
    FLUSH = 25
    INIT = 26
    OPENDIR = 27
    RELEASEDIR = 29
    FSYNCDIR = 30
    CREATE = 35
    INTERRUPT = 36
    BATCH_FORGET = 42
    READDIRPLUS = 44
    RENAME2 = 45
    STATX = 52


UNANSWERED: Final = frozenset({Opcode.FORGET, Opcode.BATCH_FORGET, Opcode.INTERRUPT})
"""The kernel waits for no reply to these, and takes none."""


class Feature(IntFlag):
    """What either side can do (`FUSE_INIT flags`); the kernel offers, the filesystem chooses."""

    ASYNC_READ = 1 << 0
    ATOMIC_O_TRUNC = 1 << 3  # O_TRUNC comes with OPEN
    EXPORT_SUPPORT = 1 << 4  # lookups of "." and "..", for NFS
    BIG_WRITES = 1 << 5
    DONT_MASK = 1 << 6  # the umask comes with the request, for default ACLs go before it
    DO_READDIRPLUS = 1 << 13
    ASYNC_DIO = 1 << 15
    WRITEBACK_CACHE = 1 << 16
    PARALLEL_DIROPS = 1 << 18
    POSIX_ACL = 1 << 20
    MAX_PAGES = 1 << 22
    EXPLICIT_INVAL_DATA = 1 << 25  # content changes where the kernel is told so, and only there
    HANDLE_KILLPRIV_V2 = 1 << 28  # set-id bits are taken away here, see `engine/privileges.py`
    SETXATTR_EXT = 1 << 29  # SETXATTR says who must lose S_ISGID; Linux 5.13


# Flags of single requests and replies are plain numbers: with enumerations their arithmetic would
# cost as much as the rest of a reply.

# How the kernel treats a file that was opened.
FOPEN_DIRECT_IO: Final = 1 << 0
FOPEN_KEEP_CACHE: Final = 1 << 1
FOPEN_NOFLUSH: Final = 1 << 5  # close(2) tells nobody, and waits for nobody

# Which fields of a SETATTR count.
FATTR_MODE: Final = 1 << 0
FATTR_UID: Final = 1 << 1
FATTR_GID: Final = 1 << 2
FATTR_SIZE: Final = 1 << 3
FATTR_ATIME: Final = 1 << 4
FATTR_MTIME: Final = 1 << 5
FATTR_FH: Final = 1 << 6
FATTR_KILL_SUIDGID: Final = 1 << 11

FSYNC_DATA_ONLY: Final = 1
WRITE_KILL_SUIDGID: Final = 1 << 2
OPEN_KILL_SUIDGID: Final = 1 << 0
SETXATTR_ACL_KILL_SGID: Final = 1 << 0


class Notification(IntEnum):
    """What the kernel may be told unasked (`enum fuse_notify_code`)."""

    INVALIDATE_INODE = 2
    INVALIDATE_ENTRY = 3


IN_HEADER: Final = Layout("=IIQQIIIHH")  # length, opcode, unique, node, uid, gid, pid, extensions
OUT_HEADER: Final = Layout("=IiQ")  # length, error (negative errno), unique

# Bodies of requests; a name follows where one is spoken of.
BATCH_FORGET_IN: Final = Layout("=II")  # count, -
FORGET_ONE: Final = Layout("=QQ")  # node, count of lookups
FORGET_IN: Final = Layout("=Q")  # count of lookups
INTERRUPT_IN: Final = Layout("=Q")  # unique of the request whose caller was sent a signal
SETATTR_IN: Final = Layout("=IIQQQqqqIIIIIIII")
"""valid, -, fh, size, lock owner, atime, mtime, ctime, their nanoseconds, mode, -, uid, gid, -"""
MKNOD_IN: Final = Layout("=IIII")  # mode, rdev, umask, -; name
MKDIR_IN: Final = Layout("=II")  # mode, umask; name
RENAME_IN: Final = Layout("=Q")  # new parent; both names
RENAME2_IN: Final = Layout("=QII")  # new parent, flags, -; both names
LINK_IN: Final = Layout("=Q")  # inode; name
OPEN_IN: Final = Layout("=II")  # flags of open(2), flags of FUSE
CREATE_IN: Final = Layout("=IIII")  # flags, mode, umask, -; name
READ_IN: Final = Layout("=QQI")  # fh, offset, size
WRITE_IN: Final = Layout("=QQIIQII")  # fh, offset, size, flags, lock owner, open flags, -; data
FH_IN: Final = Layout("=Q")  # what FLUSH, RELEASE and RELEASEDIR begin with
FSYNC_IN: Final = Layout("=QI")  # fh, flags
SETXATTR_IN: Final = Layout("=II")  # size, flags; name, value
SETXATTR_EXT_IN: Final = Layout("=IIII")  # size, flags, flags of FUSE, -; name, value
GETXATTR_IN: Final = Layout("=II")  # size of the caller's buffer, -; name
INIT_IN: Final = Layout("=IIII")  # major, minor, read-ahead, features

# Bodies of replies.
ATTRIBUTES: Final = "QQQqqqIIIIIIIIII"
"""ino, size, blocks, atime, mtime, ctime, their nanoseconds, mode, nlink, uid, gid, rdev, block
size, -"""
ATTR_OUT: Final = Layout(f"=QII{ATTRIBUTES}")  # seconds and nanoseconds valid, -
STATX_OUT: Final = Layout("=QI4x16xIIQIIIH2xQQQQqI4xqI4xqI4xqI4xII8x112x")
"""seconds and nanoseconds valid; which of these are told, block size, flags, nlink, uid, gid, mode,
ino, size, blocks, known flags, atime, btime, ctime, mtime, major and minor of the device"""
ENTRY_OUT: Final = Layout(f"=QQQQII{ATTRIBUTES}")
"""node, generation, seconds the name and the attributes are valid, nanoseconds of both"""
OPEN_OUT: Final = Layout("=QII")  # fh, flags, -
WRITE_OUT: Final = Layout("=II")  # size, -
STATFS_OUT: Final = Layout("=QQQQQIII28x")
"""blocks, free, available, files, files free, block size, longest name, fragment size"""
GETXATTR_OUT: Final = Layout("=II")  # size, -
DIRENT: Final = Layout("=QQII")  # ino, offset of the next, length of the name, type; name
INIT_OUT: Final = Layout("=IIIIHHIIHHI28x")
"""major, minor, read-ahead, features, most in the background, of them congested, longest write,
granularity of times in ns, most pages, -, more features"""
INVALIDATE_INODE_OUT: Final = Layout("=Qqq")  # ino, offset, length; up to the end where that is 0
INVALIDATE_ENTRY_OUT: Final = Layout("=QII")  # parent, length of the name, -; name


class Offer(Struct, frozen=True):
    """How the kernel introduces itself."""

    major: int
    minor: int
    read_ahead_bytes: int
    features: Feature


def offer_of(body: memoryview) -> Offer:
    """What the body of INIT says."""
    major, minor, read_ahead_bytes, features = INIT_IN.unpack_from(body)
    return Offer(major, minor, read_ahead_bytes, Feature(features))


def setxattr_of(body: memoryview) -> tuple[int, int, int, memoryview]:
    """Size, flags, flags of FUSE, and what follows, in either of the two layouts.

    A kernel without SETXATTR_EXT begins the name where others have flags, of which there is one.
    No name begins with such a byte: names have a namespace.
    """
    if body[SETXATTR_IN.size] > SETXATTR_ACL_KILL_SGID:
        size, flags = SETXATTR_IN.unpack_from(body)
        return size, flags, 0, body[SETXATTR_IN.size :]
    size, flags, more, _ = SETXATTR_EXT_IN.unpack_from(body)
    return size, flags, more, body[SETXATTR_EXT_IN.size :]


def is_understood(offer: Offer) -> bool:
    """Whether such a kernel can be served."""
    return offer.major >= MAJOR and (offer.major > MAJOR or offer.minor >= MINOR_MIN)


def agreement(offer: Offer, wanted: Feature) -> bytes:
    """The body of the reply to INIT: of the wanted features those that the kernel has.

    For a kernel with a newer major number it asks to be spoken to as this one; INIT then comes
    again. Limits in the background are left to the kernel.
    """
    minor = MINOR if offer.major > MAJOR else min(offer.minor, MINOR)
    pages = WRITE_BYTES_MAX // _PAGE_BYTES
    features = offer.features & (wanted | Feature.BIG_WRITES | Feature.MAX_PAGES)
    return INIT_OUT.pack(
        MAJOR, minor, offer.read_ahead_bytes, features, 0, 0, WRITE_BYTES_MAX, 1, pages, 0, 0
    )
