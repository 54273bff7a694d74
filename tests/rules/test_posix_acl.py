"""POSIX ACLs: the xattr form, and what create and chmod do to them, as in the kernel."""

import stat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3fs_local.errors import InvalidArgument
from s3fs_local.rules.posix_acl import (
    NO_ID,
    Acl,
    AclEntry,
    Inherited,
    Tag,
    chmod,
    inherit,
    mode_from_acl,
    parse,
    serialize,
)

MINIMAL: Acl = (
    AclEntry(Tag.OWNER, 6),
    AclEntry(Tag.OWNING_GROUP, 4),
    AclEntry(Tag.OTHER, 0),
)
NAMED: Acl = (
    AclEntry(Tag.OWNER, 7),
    AclEntry(Tag.USER, 6, 1000),
    AclEntry(Tag.OWNING_GROUP, 5),
    AclEntry(Tag.GROUP, 7, 100),
    AclEntry(Tag.MASK, 7),
    AclEntry(Tag.OTHER, 1),
)

permissions = st.integers(0, 7)
named_entries = st.lists(st.tuples(permissions, st.integers(0, NO_ID - 1)), max_size=3)


@st.composite
def acls(draw: st.DrawFn) -> Acl:
    """Any valid ACL."""
    users = [AclEntry(Tag.USER, *fields) for fields in draw(named_entries)]
    groups = [AclEntry(Tag.GROUP, *fields) for fields in draw(named_entries)]
    needs_mask = bool(users or groups) or draw(st.booleans())
    return (
        AclEntry(Tag.OWNER, draw(permissions)),
        *users,
        AclEntry(Tag.OWNING_GROUP, draw(permissions)),
        *groups,
        *([AclEntry(Tag.MASK, draw(permissions))] if needs_mask else []),
        AclEntry(Tag.OTHER, draw(permissions)),
    )


def test_the_xattr_is_the_one_that_setfacl_writes() -> None:
    """`setfacl -m u:1000:rw` on a file of mode 640, as getfattr shows it."""
    value = bytes.fromhex(
        "02000000 01000600ffffffff 02000600e8030000 04000400ffffffff"
        "10000600ffffffff 20000000ffffffff"
    )

    acl = parse(value)

    assert acl == (
        AclEntry(Tag.OWNER, 6),
        AclEntry(Tag.USER, 6, 1000),
        AclEntry(Tag.OWNING_GROUP, 4),
        AclEntry(Tag.MASK, 6),
        AclEntry(Tag.OTHER, 0),
    )
    assert serialize(acl) == value


@settings(max_examples=100)
@given(acls())
def test_every_acl_survives_its_xattr_form(acl: Acl) -> None:
    """`cp -a` and `getfacl | setfacl` change nothing."""
    assert parse(serialize(acl)) == acl


def test_an_empty_value_or_a_header_alone_is_no_acl() -> None:
    """As in the kernel, setting it removes the ACL."""
    assert parse(b"\x02\0\0\0") == ()
    assert parse(b"") == ()
    assert serialize(()) == b"\x02\0\0\0"


def test_ids_of_unnamed_entries_are_ignored() -> None:
    """Old tools write anything there."""
    entries = (AclEntry(entry.tag, entry.permissions, 77) for entry in MINIMAL)

    assert parse(serialize(tuple(entries))) == MINIMAL


@pytest.mark.parametrize(
    "value",
    [
        b"\x02\0\0",
        b"\x01\0\0\0",
        b"\x02\0\0\0\x01",
        serialize(MINIMAL)[:-1],
        serialize(MINIMAL) + b"\0",
        b"\x02\0\0\0" + b"\x40\0\x07\0\xff\xff\xff\xff",  # unknown tag
    ],
)
def test_malformed_xattrs_are_refused(value: bytes) -> None:
    """Programs may write any bytes."""
    with pytest.raises(InvalidArgument, match="ACL"):
        parse(value)


@pytest.mark.parametrize(
    "acl",
    [
        (AclEntry(Tag.OWNER, 8), *MINIMAL[1:]),
        MINIMAL[1:],
        MINIMAL[:2],
        (MINIMAL[0], MINIMAL[2]),
        (MINIMAL[1], MINIMAL[0], MINIMAL[2]),
        (MINIMAL[0], *MINIMAL),
        (*MINIMAL, MINIMAL[2]),
        (*NAMED[:4], NAMED[5]),  # no mask
        (*NAMED[:5], NAMED[4], NAMED[5]),  # two masks
        (NAMED[0], AclEntry(Tag.USER, 7), *NAMED[2:]),  # of no user
        (NAMED[0], NAMED[2], NAMED[1], *NAMED[3:]),
    ],
)
def test_acls_that_the_kernel_refuses_are_refused(acl: Acl) -> None:
    """posix_acl_valid(): order, completeness, a mask where somebody is named."""
    with pytest.raises(InvalidArgument, match="ACL"):
        parse(serialize(acl))


def test_one_user_may_be_named_twice() -> None:
    """The kernel does not look, and the first entry counts."""
    doubled = (NAMED[0], NAMED[1], *NAMED[1:])

    assert parse(serialize(doubled)) == doubled


def test_a_file_gets_the_directorys_default_limited_by_its_mode() -> None:
    """open(…, 0640): the mask becomes r, the owning group's own entry stays."""
    mode = stat.S_IFREG | 0o640

    assert inherit(NAMED, mode, is_directory=False) == Inherited(
        access=(
            AclEntry(Tag.OWNER, 6),
            AclEntry(Tag.USER, 6, 1000),
            AclEntry(Tag.OWNING_GROUP, 5),
            AclEntry(Tag.GROUP, 7, 100),
            AclEntry(Tag.MASK, 4),
            AclEntry(Tag.OTHER, 0),
        ),
        default=(),
        mode=mode,
    )


def test_a_directory_passes_the_default_on_whole() -> None:
    """So the whole tree below has it."""
    inherited = inherit(NAMED, stat.S_IFDIR | 0o1777, is_directory=True)

    assert inherited.default == NAMED
    assert inherited.access == NAMED
    assert inherited.mode == stat.S_IFDIR | 0o1771


def test_a_minimal_default_acl_only_limits_the_mode() -> None:
    """Like a umask; there is no ACL to store."""
    inherited = inherit(MINIMAL, stat.S_IFREG | 0o4666, is_directory=False)

    assert inherited == Inherited((), (), stat.S_IFREG | 0o4640)


def test_without_a_default_acl_the_mode_stands() -> None:
    """The caller has applied the umask."""
    assert inherit((), 0o755, is_directory=True) == Inherited((), (), 0o755)


def test_chmod_of_the_group_bits_sets_the_mask() -> None:
    """`chmod g=` takes access from all who are named, and `chmod g=rwx` gives it back."""
    changed = chmod(NAMED, stat.S_IFREG | 0o4604)

    assert changed == (
        AclEntry(Tag.OWNER, 6),
        *NAMED[1:4],
        AclEntry(Tag.MASK, 0),
        AclEntry(Tag.OTHER, 4),
    )
    assert chmod(changed, 0o771) == NAMED


def test_chmod_without_a_mask_sets_the_owning_group() -> None:
    """An ACL of three entries is the mode."""
    assert chmod(MINIMAL, 0o751) == (
        AclEntry(Tag.OWNER, 7),
        AclEntry(Tag.OWNING_GROUP, 5),
        AclEntry(Tag.OTHER, 1),
    )
    assert chmod((), 0o751) == ()


def test_an_access_acl_sets_the_mode_with_the_mask_as_group_bits() -> None:
    """`ls -l` shows the most that anybody but owner and others may do."""
    assert mode_from_acl(NAMED, stat.S_IFREG | 0o4000) == (stat.S_IFREG | 0o4771, NAMED)


def test_a_minimal_acl_becomes_the_mode_and_is_not_stored() -> None:
    """`setfacl -m u::rw f` leaves no xattr behind."""
    assert mode_from_acl(MINIMAL, stat.S_IFREG | 0o777) == (stat.S_IFREG | 0o640, ())


def test_a_mask_alone_makes_an_acl_worth_storing() -> None:
    """The owning group's entry and the mask may differ."""
    masked = (*MINIMAL[:2], AclEntry(Tag.MASK, 0), MINIMAL[2])

    assert mode_from_acl(masked, 0) == (0o600, masked)


def test_removing_the_acl_leaves_the_mode() -> None:
    """`setfacl -b` keeps the bits that were shown."""
    assert mode_from_acl((), 0o4755) == (0o4755, ())


@settings(max_examples=100)
@given(acls(), st.integers(0, 0o7777))
def test_mode_and_acl_agree_after_chmod(acl: Acl, mode: int) -> None:
    """What chmod set is what stat shows."""
    assert mode_from_acl(chmod(acl, mode), 0)[0] == mode & 0o777


@settings(max_examples=100)
@given(acls(), st.integers(0, 0o7777))
def test_a_new_inode_never_gets_more_than_its_maker_asked_for(acl: Acl, mode: int) -> None:
    """A default ACL can only take away."""
    inherited = inherit(acl, mode, is_directory=False)

    assert inherited.mode & ~mode == 0
    assert mode_from_acl(inherited.access, inherited.mode)[0] == inherited.mode
