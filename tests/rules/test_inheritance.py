"""What a new inode has from its directory, as on every Linux filesystem."""

import stat

import pytest

from s3fs_local.rules.inheritance import first_attributes
from s3fs_local.rules.inode import Caller, Inode
from s3fs_local.rules.posix_acl import (
    ACCESS_XATTR,
    DEFAULT_XATTR,
    AclEntry,
    Tag,
    serialize,
)

OWN_GROUP = 7
CALLER = Caller(uid=1000, gid=100, umask=0o022)
PRIVATE = serialize(
    (
        AclEntry(Tag.OWNER, 7),
        AclEntry(Tag.USER, 6, 1000),
        AclEntry(Tag.OWNING_GROUP, 5),
        AclEntry(Tag.MASK, 7),
        AclEntry(Tag.OTHER, 0),
    )
)


def directory(mode: int = 0o755, *, acl: bytes = b"") -> Inode:
    """The directory that something is made in."""
    xattrs = {DEFAULT_XATTR: acl} if acl else {}
    return Inode(1, stat.S_IFDIR | mode, uid=1, gid=OWN_GROUP, xattrs=xattrs)


def test_an_ordinary_directory_gives_nothing() -> None:
    """Whoever makes a file there has it as they asked."""
    first = first_attributes(directory(), stat.S_IFREG | 0o666, CALLER)

    assert (first.mode, first.gid, first.xattrs) == (stat.S_IFREG | 0o644, CALLER.gid, {})


@pytest.mark.parametrize(
    ("kind", "gets_bit"), [(stat.S_IFREG, False), (stat.S_IFDIR, True), (stat.S_IFLNK, False)]
)
def test_a_directory_with_set_group_id_gives_its_group(kind: int, *, gets_bit: bool) -> None:
    """A team shares a tree so: directories below hand it on, files must not run as the group."""
    first = first_attributes(directory(0o2775), kind | 0o640, CALLER)

    assert first.gid == OWN_GROUP
    assert bool(first.mode & stat.S_ISGID) == gets_bit


def test_a_default_acl_is_had_by_files_and_handed_on_by_directories() -> None:
    """It says who may use what is made there, whatever the umask of who makes it."""
    file = first_attributes(directory(acl=PRIVATE), stat.S_IFREG | 0o666, CALLER)
    below = first_attributes(directory(acl=PRIVATE), stat.S_IFDIR | 0o777, CALLER)

    assert file.mode & 0o007 == 0
    assert file.xattrs.keys() == {ACCESS_XATTR}
    assert below.xattrs.keys() == {ACCESS_XATTR, DEFAULT_XATTR}
    assert below.xattrs[DEFAULT_XATTR] == PRIVATE


def test_a_symbolic_link_has_no_acl() -> None:
    """The kernel asks for no permission of a link; chmod(2) cannot change its mode."""
    first = first_attributes(directory(acl=PRIVATE), stat.S_IFLNK | 0o777, CALLER)

    assert (first.mode, first.xattrs) == (stat.S_IFLNK | 0o777, {})


def test_an_acl_of_the_three_classes_is_the_mode() -> None:
    """Nothing is stored twice."""
    minimal = serialize(
        (AclEntry(Tag.OWNER, 6), AclEntry(Tag.OWNING_GROUP, 4), AclEntry(Tag.OTHER, 0))
    )
    first = first_attributes(directory(acl=minimal), stat.S_IFREG | 0o666, CALLER)

    assert (first.mode, first.xattrs) == (stat.S_IFREG | 0o640, {})
