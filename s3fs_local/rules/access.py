"""Whom an inode lets do what, and what is left where two inodes must allow it.

The kernel checks access to an entry of a view by one owner, group, mode and ACL. Where something
else must allow it too (the directory that led there once), each class of the one keeps what the
other allows to *everybody* of that class: it never grants more than both do, and grants less where
the owners differ and one class of the one has members in several of the other. Root passes always.
"""

from collections.abc import Callable
from functools import reduce
from operator import and_, or_
from typing import Final

from msgspec import Struct, structs

from s3fs_local.rules.inode import Inode, KeptAttributes
from s3fs_local.rules.posix_acl import (
    ACCESS_XATTR,
    Acl,
    AclEntry,
    Tag,
    mode_from_acl,
    parse,
    serialize,
)

SEARCH: Final = 0o1
LIST_AND_SEARCH: Final = 0o5
_ALL: Final = 0o7
_ROOT: Final = 0
_READ: Final = 0o4
_PERMISSION_BITS: Final = 0o777
_GROUP_BITS: Final = 0o070


class Access(Struct, frozen=True):
    """What the kernel asks of an inode to know who may."""

    mode: int
    uid: int
    gid: int
    acl: Acl = ()


def access_of(inode: Inode | KeptAttributes) -> Access:
    """Who may, by these attributes."""
    return Access(inode.mode, inode.uid, inode.gid, parse(inode.xattrs.get(ACCESS_XATTR, b"")))


def with_access(inode: Inode, access: Access) -> Inode:
    """The inode, for those who have the access. Its type and other attributes stay."""
    mode = inode.mode & ~_PERMISSION_BITS | access.mode & _PERMISSION_BITS
    xattrs = {name: value for name, value in inode.xattrs.items() if name != ACCESS_XATTR}
    if access.acl:
        xattrs[ACCESS_XATTR] = serialize(access.acl)
    return structs.replace(inode, mode=mode, uid=access.uid, gid=access.gid, xattrs=xattrs)


def each(access: Access, keep: Callable[[int], int]) -> Access:
    """Each class has what `keep` makes of the permissions that it had."""
    return _each_entry(access, lambda entry: keep(entry.permissions))


def is_as_open(gate: Access, present: Access, wanted: int) -> bool:
    """Whether the gate lets everybody do what `present` lets them do of `wanted`."""
    return all(
        not entry.permissions & wanted & ~_to_all_of(entry, present, gate)
        for entry in _effective(present)
    )


def through(gate: Access, access: Access) -> Access:
    """The access of those only who may search the gate."""
    return _each_entry(
        access,
        lambda entry: entry.permissions if _to_all_of(entry, access, gate) & SEARCH else 0,
    )


def both(one: Access, other: Access) -> Access:
    """What both allow of listing and searching; the one that is narrower where it is so for all."""
    if is_as_open(other, one, LIST_AND_SEARCH):
        return one
    if is_as_open(one, other, LIST_AND_SEARCH):
        return other
    return _each_entry(one, lambda entry: entry.permissions & _to_all_of(entry, one, other))


def _each_entry(access: Access, permissions_of: Callable[[AclEntry], int]) -> Access:
    """Each class has these permissions; a mask is what the classes it limits have together."""
    *entries, others = (
        structs.replace(entry, permissions=permissions_of(entry)) for entry in _effective(access)
    )
    if not _heeds_acl(access):
        owner, group = (entry.permissions for entry in entries)
        mode = access.mode & ~_PERMISSION_BITS | owner << 6 | group << 3 | others.permissions
        return structs.replace(access, mode=mode, acl=())
    # An empty mask would put all whom it limits among the others.
    mask = reduce(or_, (entry.permissions for entry in entries[1:])) or _READ
    mode, acl = mode_from_acl((*entries, AclEntry(Tag.MASK, mask), others), access.mode)
    return structs.replace(access, mode=mode, acl=acl)


def _heeds_acl(access: Access) -> bool:
    """Whether the kernel asks the ACL; it does not where the mask allows nothing."""
    return bool(access.acl and access.mode & _GROUP_BITS)


def _effective(access: Access) -> list[AclEntry]:
    """What each class may do, the mask applied; without entries that the kernel never reaches."""
    if not _heeds_acl(access):
        bits = [access.mode >> shift & _ALL for shift in (6, 3, 0)]
        tags = (Tag.OWNER, Tag.OWNING_GROUP, Tag.OTHER)
        return [AclEntry(tag, permissions) for tag, permissions in zip(tags, bits, strict=True)]
    mask = access.mode >> 3 & _ALL
    entries = []
    users = {access.uid}
    for entry in access.acl:
        if entry.tag is Tag.MASK or (entry.tag is Tag.USER and entry.id in users):
            continue
        if entry.tag is Tag.USER:
            users.add(entry.id)
        limit = _ALL if entry.tag in (Tag.OWNER, Tag.OTHER) else mask
        entries.append(structs.replace(entry, permissions=entry.permissions & limit))
    return entries


def _to_all_of(entry: AclEntry, whose: Access, gate: Access) -> int:
    """What the gate allows to everybody of whom that entry of `whose` speaks."""
    entries = _effective(gate)
    users = _users(gate, entries)
    groups = [(_group(gate, one), one.permissions) for one in entries if _is_group(one)]
    others = entries[-1].permissions
    if not _is_group(entry) and entry.tag is not Tag.OTHER:
        user = whose.uid if entry.tag is Tag.OWNER else entry.id
        if user == _ROOT:
            return _ALL
        if user in users:
            return users[user]
        return reduce(and_, (permissions for _, permissions in groups), others)
    own = _effective(whose)
    spoken_for = {*_users(whose, own), _ROOT}
    named = [permissions for user, permissions in users.items() if user not in spoken_for]
    allowed = reduce(and_, named, _ALL)
    if _is_group(entry):
        members_of = _group(whose, entry)
        same = [permissions for group, permissions in groups if group == members_of]
        if same:
            return allowed & reduce(or_, same)
        return reduce(and_, (permissions for _, permissions in groups), allowed & others)
    in_no = {_group(whose, one) for one in own if _is_group(one)}
    foreign = [permissions for group, permissions in groups if group not in in_no]
    return reduce(and_, foreign, allowed & others)


def _is_group(entry: AclEntry) -> bool:
    return entry.tag in (Tag.OWNING_GROUP, Tag.GROUP)


def _group(access: Access, entry: AclEntry) -> int:
    return access.gid if entry.tag is Tag.OWNING_GROUP else entry.id


def _users(access: Access, entries: list[AclEntry]) -> dict[int, int]:
    """What the owner and each named user may do."""
    named = {entry.id: entry.permissions for entry in entries if entry.tag is Tag.USER}
    owner = next(entry.permissions for entry in entries if entry.tag is Tag.OWNER)
    return {**named, access.uid: owner}
