"""POSIX access control lists: their xattr form, and how they and the permission bits move together.

The kernel checks access by them (FUSE with `default_permissions`); we keep them, and do to a new or
changed inode what fs/posix_acl.c does for a local filesystem. An ACL is a tuple of entries in the
kernel's order; the empty tuple is no ACL. An ACL without named entries and mask (*minimal*) says
nothing that the nine permission bits do not, so it is not stored.
"""

import struct
from enum import IntEnum
from typing import Final

from msgspec import Struct, structs

from s3fs_local.errors import InvalidArgument

ACCESS_XATTR: Final = b"system.posix_acl_access"
DEFAULT_XATTR: Final = b"system.posix_acl_default"

NO_ID: Final = 0xFFFFFFFF
"""`AclEntry.id` where the tag names nobody in particular (ACL_UNDEFINED_ID)."""


class Tag(IntEnum):
    """Whom an entry is about; the values are those of <linux/posix_acl.h>."""

    OWNER = 0x01  # ACL_USER_OBJ
    USER = 0x02
    OWNING_GROUP = 0x04  # ACL_GROUP_OBJ
    GROUP = 0x08
    MASK = 0x10
    OTHER = 0x20


class AclEntry(Struct, frozen=True):
    """What one of them may do."""

    tag: Tag
    permissions: int  # r 4, w 2, x 1
    id: int = NO_ID  # uid or gid of USER and GROUP


Acl = tuple[AclEntry, ...]


class Inherited(Struct, frozen=True):
    """What a new inode gets from the directory it is made in."""

    access: Acl
    default: Acl
    mode: int


_XATTR_VERSION: Final = 2  # POSIX_ACL_XATTR_VERSION of <linux/posix_acl_xattr.h>
_HEADER: Final = struct.Struct("<I")
_ENTRY: Final = struct.Struct("<HHI")
_RWX: Final = 0o7
_PERMISSION_BITS: Final = 0o777
_NAMED: Final = (Tag.USER, Tag.GROUP)
_SINGLE: Final = (Tag.OWNER, Tag.OWNING_GROUP, Tag.MASK, Tag.OTHER)
_REQUIRED: Final = {Tag.OWNER, Tag.OWNING_GROUP, Tag.OTHER}


def parse(value: bytes) -> Acl:
    """The entries of an xattr value; empty for nothing or a header alone: "remove the ACL".

    As do_set_acl(), posix_acl_from_xattr() and posix_acl_valid(): ids of unnamed entries are
    ignored, and one user or group may be named twice.

    Raises:
        InvalidArgument: the value is malformed, its entries are out of order, or one is missing.
    """
    if not value:
        return ()
    body = value[_HEADER.size :]
    if len(value) < _HEADER.size or len(body) % _ENTRY.size:
        raise InvalidArgument(f"an ACL has 4 + 8 n bytes, not {len(value)}")
    (version,) = _HEADER.unpack_from(value)
    if version != _XATTR_VERSION:
        raise InvalidArgument(f"an ACL of version {version}; only {_XATTR_VERSION} is known")
    acl = tuple(_entry(*fields) for fields in _ENTRY.iter_unpack(body))
    if acl:
        _check_structure(acl)
    return acl


def serialize(acl: Acl) -> bytes:
    """The xattr value; `parse` gives the ACL back."""
    return _HEADER.pack(_XATTR_VERSION) + b"".join(
        _ENTRY.pack(entry.tag, entry.permissions, entry.id) for entry in acl
    )


def inherit(default_acl: Acl, mode: int, *, is_directory: bool) -> Inherited:
    """The ACLs and mode of an inode made with `mode` in a directory with this default ACL.

    As posix_acl_create(). Where the directory has a default ACL the umask has no say, and so must
    not have been applied to `mode`. Not for symlinks, which have no ACL.
    """
    if not default_acl:
        return Inherited((), (), mode)
    classes = {
        Tag.OWNER: mode >> 6 & _RWX,
        _group_class(default_acl): mode >> 3 & _RWX,
        Tag.OTHER: mode & _RWX,
    }
    access = tuple(
        structs.replace(entry, permissions=entry.permissions & classes.get(entry.tag, _RWX))
        for entry in default_acl
    )
    new_mode, access = mode_from_acl(access, mode)
    return Inherited(access, default_acl if is_directory else (), new_mode)


def chmod(acl: Acl, mode: int) -> Acl:
    """The access ACL once the permission bits were set as in `mode`.

    As posix_acl_chmod(): where there is a mask, the group bits are the mask's. Named entries stay;
    the mask limits them.
    """
    classes = {
        Tag.OWNER: mode >> 6 & _RWX,
        _group_class(acl): mode >> 3 & _RWX,
        Tag.OTHER: mode & _RWX,
    }
    return tuple(
        structs.replace(entry, permissions=classes.get(entry.tag, entry.permissions))
        for entry in acl
    )


def mode_from_acl(acl: Acl, mode: int) -> tuple[int, Acl]:
    """The mode after `acl` became the access ACL, and the ACL to store: none if it is minimal.

    As posix_acl_equiv_mode(). The group bits show the mask where there is one, so that programs
    which know only modes never see less access than is granted. Removing the ACL leaves the mode as
    it is. posix_acl_update_mode() also drops S_ISGID if the caller is not in the owning group and
    lacks CAP_FSETID; that needs the caller's groups, so the kernel says so with the request.
    """
    if not acl:
        return mode, ()
    permissions = {entry.tag: entry.permissions for entry in acl}
    bits = (
        permissions[Tag.OWNER] << 6 | permissions[_group_class(acl)] << 3 | permissions[Tag.OTHER]
    )
    is_minimal = all(entry.tag in _REQUIRED for entry in acl)
    return mode & ~_PERMISSION_BITS | bits, () if is_minimal else acl


def _group_class(acl: Acl) -> Tag:
    """The entry that the group bits of the mode stand for."""
    return Tag.MASK if any(entry.tag == Tag.MASK for entry in acl) else Tag.OWNING_GROUP


def _entry(tag: int, permissions: int, owner_id: int) -> AclEntry:
    try:
        known = Tag(tag)
    except ValueError:
        raise InvalidArgument(f"an ACL entry of unknown tag {tag:#x}") from None
    if permissions & ~_RWX:
        raise InvalidArgument(f"ACL permissions {permissions:#o} beyond rwx")
    if known not in _NAMED:
        return AclEntry(known, permissions)
    if owner_id == NO_ID:
        raise InvalidArgument("a named ACL entry without a user or group")
    return AclEntry(known, permissions, owner_id)


def _check_structure(acl: Acl) -> None:
    """Tags ascend (their values are in the kernel's order), single ones come once, none lacks."""
    tags = [entry.tag for entry in acl]
    if tags != sorted(tags) or any(tags.count(tag) > 1 for tag in _SINGLE):
        raise InvalidArgument("ACL entries out of order or doubled")
    if not _REQUIRED.issubset(tags):
        raise InvalidArgument("an ACL needs entries for owner, owning group and others")
    if Tag.MASK not in tags and any(tag in _NAMED for tag in tags):
        raise InvalidArgument("an ACL with named users or groups needs a mask")
