"""Files that nobody may write, rename, link or remove, root included, until the flag is taken off.

`chattr +i`, on filesystems that have it (ext4, xfs, btrfs, f2fs and more). It takes the capability
CAP_LINUX_IMMUTABLE, so a daemon that is not root cannot; and root can take it off again. It stops
mistakes, and programs that do not know; what it does not stop a verification finds.
"""

import errno
import fcntl
import os
from pathlib import Path
from struct import Struct as Layout
from typing import Final

_GET_FLAGS: Final = 0x80086601  # FS_IOC_GETFLAGS and FS_IOC_SETFLAGS of 64-bit machines
_SET_FLAGS: Final = 0x40086602
_IMMUTABLE: Final = 0x10
_FLAGS: Final = Layout("i")
_NOT_HERE: Final = frozenset(
    {errno.ENOTTY, errno.EOPNOTSUPP, errno.EPERM, errno.EACCES, errno.EINVAL, errno.ENOSYS}
)


def is_immutable(path: Path) -> bool:
    """Whether the flag is on; False where there is none."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return bool(_flags(descriptor) & _IMMUTABLE)
    except OSError:
        return False
    finally:
        os.close(descriptor)


def set_immutable(path: Path, *, wanted: bool) -> bool:
    """Whether the flag is as wanted; False where the filesystem or the user cannot.

    Raises:
        OSError: there is no such file, or the disk failed.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        flags = _flags(descriptor)
        changed = flags | _IMMUTABLE if wanted else flags & ~_IMMUTABLE
        if changed != flags:
            fcntl.ioctl(descriptor, _SET_FLAGS, _FLAGS.pack(changed))
    except OSError as error:
        if error.errno in _NOT_HERE:
            return False
        raise
    finally:
        os.close(descriptor)
    return True


def _flags(descriptor: int) -> int:
    answer = fcntl.ioctl(descriptor, _GET_FLAGS, _FLAGS.pack(0))
    flags: int = _FLAGS.unpack(answer)[0]
    return flags
