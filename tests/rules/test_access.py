"""Two inodes must both allow it: what is left is never more than both give, whoever asks."""

import stat
from itertools import combinations, product
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from s3fs_local.rules.access import (
    LIST_AND_SEARCH,
    SEARCH,
    Access,
    access_of,
    both,
    each,
    is_as_open,
    through,
    with_access,
)
from s3fs_local.rules.inode import Inode
from s3fs_local.rules.posix_acl import NO_ID, Acl, AclEntry, Tag, mode_from_acl

USERS: Final = (1, 2, 3, 4)
GROUPS: Final = (7, 8, 9)
MEMBERSHIPS: Final = [set(some) for count in range(4) for some in combinations(GROUPS, count)]
PEOPLE: Final = list(product(USERS, MEMBERSHIPS))


def may(access: Access, uid: int, groups: set[int], wanted: int) -> bool:
    """As acl_permission_check() and posix_acl_permission() of the kernel decide."""
    owner, group, other = (access.mode >> shift & 7 for shift in (6, 3, 0))
    if uid == access.uid:
        return owner & wanted == wanted
    if not access.acl or not group:
        return (group if access.gid in groups else other) & wanted == wanted
    mask = next((entry.permissions for entry in access.acl if entry.tag is Tag.MASK), 7)
    for entry in access.acl:
        if entry.tag is Tag.USER and entry.id == uid:
            return entry.permissions & mask & wanted == wanted
    matching = [
        entry.permissions
        for entry in access.acl
        if (entry.tag is Tag.OWNING_GROUP and access.gid in groups)
        or (entry.tag is Tag.GROUP and entry.id in groups)
    ]
    if matching:
        return any(permissions & mask & wanted == wanted for permissions in matching)
    return other & wanted == wanted


BITS: Final = st.integers(0, 7)


@st.composite
def accesses(draw: st.DrawFn) -> Access:
    """Any owner, group and mode, with an ACL or without."""
    uid, gid = draw(st.sampled_from(USERS)), draw(st.sampled_from(GROUPS))
    owner, group, other = draw(BITS), draw(BITS), draw(BITS)
    mode = stat.S_IFDIR | owner << 6 | group << 3 | other
    named_users = draw(st.sets(st.sampled_from(USERS), max_size=2))
    named_groups = draw(st.sets(st.sampled_from(GROUPS), max_size=2))
    if not named_users and not named_groups:
        return Access(mode, uid, gid)
    acl: Acl = (
        AclEntry(Tag.OWNER, owner, NO_ID),
        *(AclEntry(Tag.USER, draw(BITS), one) for one in sorted(named_users)),
        AclEntry(Tag.OWNING_GROUP, group, NO_ID),
        *(AclEntry(Tag.GROUP, draw(BITS), one) for one in sorted(named_groups)),
        AclEntry(Tag.MASK, draw(BITS), NO_ID),
        AclEntry(Tag.OTHER, other, NO_ID),
    )
    mode, acl = mode_from_acl(acl, mode)
    return Access(mode, uid, gid, acl)


@given(accesses(), accesses())
def test_nobody_is_shown_more_than_both_allow(gate: Access, access: Access) -> None:
    """The rule that keeps what was private private, for every person in any set of groups."""
    behind, common = through(gate, access), both(access, gate)
    for uid, groups in PEOPLE:
        for wanted in (4, 1):
            if may(behind, uid, groups, wanted):
                assert may(gate, uid, groups, SEARCH), (uid, groups)
                assert may(access, uid, groups, wanted), (uid, groups)
            if may(common, uid, groups, wanted):
                assert may(gate, uid, groups, wanted), (uid, groups)
                assert may(access, uid, groups, wanted), (uid, groups)


@given(accesses(), accesses())
def test_as_open_means_for_everybody(gate: Access, present: Access) -> None:
    """Where it is said, nothing has to be taken away from anybody."""
    if is_as_open(gate, present, LIST_AND_SEARCH):
        for uid, groups in PEOPLE:
            for wanted in (4, 1):
                assert may(gate, uid, groups, wanted) or not may(present, uid, groups, wanted)


@given(accesses())
def test_the_same_rights_are_as_open_and_lose_nothing(access: Access) -> None:
    """What did not change stays as it was shown."""
    assert is_as_open(access, access, LIST_AND_SEARCH)
    assert both(access, access) == access


@given(accesses())
def test_each_class_gets_what_is_made_of_its_own(access: Access) -> None:
    """A mask limits it before, and does not limit what is made of it."""
    shown = each(access, lambda bits: LIST_AND_SEARCH if bits & SEARCH else 0)
    for uid, groups in PEOPLE:
        assert may(shown, uid, groups, 4) == may(access, uid, groups, SEARCH)


def test_a_directory_that_everybody_may_search_takes_nothing_away() -> None:
    """Root's directories with files of users: the most ordinary of all trees."""
    private = Access(0o100600, 1, 7)

    assert through(Access(0o040755, 0, 0), private) == private
    assert through(Access(0o040700, 1, 7), Access(0o100644, 1, 7)).mode & 0o777 == 0o600


def test_a_tree_given_to_a_group_keeps_its_past_for_that_group() -> None:
    """`chgrp -R team` and `chmod 770`: the narrower of the two is the one that counts."""
    before, now = Access(0o040755, 0, 0), Access(0o040770, 0, 8)

    assert both(before, now) == now


def test_an_inode_gets_its_access_and_keeps_the_rest() -> None:
    """Type, special bits and attributes of others are not touched."""
    inode = Inode(5, 0o102640, 1, 7, xattrs={b"user.a": b"1"})
    acl = (
        AclEntry(Tag.OWNER, 4),
        AclEntry(Tag.USER, 4, 3),
        AclEntry(Tag.OWNING_GROUP, 0),
        AclEntry(Tag.MASK, 4),
        AclEntry(Tag.OTHER, 0),
    )
    shown = with_access(inode, Access(0o440, 2, 8, acl))

    assert (shown.mode, shown.uid, shown.gid) == (0o102440, 2, 8)
    assert shown.xattrs[b"user.a"] == b"1"
    assert access_of(shown).acl == acl
    assert with_access(shown, Access(0o440, 2, 8)).xattrs == {b"user.a": b"1"}
