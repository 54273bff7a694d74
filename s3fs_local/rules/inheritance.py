"""What a new inode has from the directory that it is made in."""

import stat

from msgspec import Struct

from s3fs_local.rules import posix_acl
from s3fs_local.rules.inode import Caller, Inode


class FirstAttributes(Struct, frozen=True):
    """How a new inode begins."""

    mode: int
    gid: int
    xattrs: dict[bytes, bytes]


def first_attributes(directory: Inode, mode: int, caller: Caller) -> FirstAttributes:
    """What becomes of the mode and the group that a caller wants, as on every Linux filesystem.

    In a directory with S_ISGID the group is the directory's; so is the bit, for directories. A
    default ACL takes the place of the umask, except for symbolic links.
    """
    gid = caller.gid
    is_directory = stat.S_ISDIR(mode)
    if directory.mode & stat.S_ISGID:
        gid = directory.gid
        if is_directory:
            mode |= stat.S_ISGID
    xattrs: dict[bytes, bytes] = {}
    default = directory.xattrs.get(posix_acl.DEFAULT_XATTR)
    if stat.S_ISLNK(mode):
        return FirstAttributes(mode, gid, xattrs)
    if not default:
        mode &= ~caller.umask
    else:
        inherited = posix_acl.inherit(posix_acl.parse(default), mode, is_directory=is_directory)
        mode = inherited.mode
        if inherited.access:
            xattrs[posix_acl.ACCESS_XATTR] = posix_acl.serialize(inherited.access)
        if inherited.default:
            xattrs[posix_acl.DEFAULT_XATTR] = default
    return FirstAttributes(mode, gid, xattrs)
