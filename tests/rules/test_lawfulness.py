"""What no lawful program would have written into the ledger, row by row."""

import pytest
from msgspec import structs

from s3fs_local.rules.extents import Block
from s3fs_local.rules.inode import APPENDABLE, Inode
from s3fs_local.rules.lawfulness import (
    is_kept,
    is_weaker,
    judge_block,
    judge_inode,
    judge_removal,
    judge_setting,
    judge_version,
)
from s3fs_local.rules.ledger_notes import Actor, Bypassed, LockLifted, Note
from s3fs_local.rules.retention import DirectoryPolicy, LegalHold, Lock, Retention
from s3fs_local.rules.versioning import Version

NOW = 1000
FOREVER = 10_000
COMPLIANCE = Lock(Retention("COMPLIANCE", FOREVER))
GOVERNANCE = Lock(Retention("GOVERNANCE", FOREVER))
PAST = Lock(Retention("COMPLIANCE", NOW))
HELD = Lock(holds=(LegalHold("C-7", "order", 0, 1),))
LIFTED: list[Note] = [LockLifted(NOW, 2, 5)]
FILE = Inode(ino=2, mode=0o100644, uid=0, gid=0, version_ns=5, lock=COMPLIANCE)
VERSION = Version(ino=2, stamp_ns=5, salt=1, size=3, lock=COMPLIANCE)


@pytest.mark.parametrize(
    ("before", "after", "weaker"),
    [
        (None, None, False),
        (None, COMPLIANCE, False),
        (COMPLIANCE, None, True),
        (COMPLIANCE, COMPLIANCE, False),
        (COMPLIANCE, GOVERNANCE, True),
        (GOVERNANCE, COMPLIANCE, False),
        (COMPLIANCE, Lock(Retention("COMPLIANCE", FOREVER - 1)), True),
        (COMPLIANCE, Lock(Retention("COMPLIANCE", FOREVER + 1)), False),
        (PAST, None, False),
        (HELD, None, True),
        (HELD, COMPLIANCE, True),
        (HELD, Lock(COMPLIANCE.retention, HELD.holds), False),
        (Lock(PAST.retention, HELD.holds), HELD, False),
    ],
)
def test_a_lock_is_weaker_if_any_of_it_ends_sooner(
    before: Lock | None,
    after: Lock | None,
    weaker: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """Mode, date and each case count for themselves; what has run out does not."""
    assert is_weaker(before, after, NOW) is weaker


def test_a_lock_ends_by_a_word_of_the_daemon_or_not_at_all() -> None:
    """Of this file, not of another."""
    bare = structs.replace(FILE, lock=None)
    other: list[Note] = [LockLifted(NOW, 3, 5)]

    assert judge_inode(FILE, bare, at_ns=NOW, notes=[])
    assert judge_inode(FILE, bare, at_ns=NOW, notes=other)
    assert not judge_inode(FILE, bare, at_ns=NOW, notes=LIFTED)
    assert not judge_inode(FILE, structs.replace(bare, version_ns=6), at_ns=NOW, notes=[])
    assert not judge_inode(None, bare, at_ns=NOW, notes=[])
    free = structs.replace(VERSION, lock=None)
    assert judge_version(VERSION, free, at_ns=NOW, notes=[])
    assert not judge_version(VERSION, free, at_ns=NOW, notes=LIFTED)
    assert not judge_version(None, free, at_ns=NOW, notes=[])


@pytest.mark.parametrize("member", ["salt", "size", "etag", "stored_bytes", "uid", "origin"])
def test_what_a_version_holds_never_changes(member: str) -> None:
    """Class, tags, locks and replication do."""
    altered = structs.replace(VERSION, **{member: b"x" if member == "etag" else 99})

    assert member in judge_version(VERSION, altered, at_ns=NOW, notes=LIFTED)
    moved = structs.replace(VERSION, storage_class="GLACIER", tags={"a": "b"})
    assert not judge_version(VERSION, moved, at_ns=NOW, notes=[])


def test_append_only_ends_in_a_retention() -> None:
    """That is what rotation does."""
    growing = structs.replace(FILE, lock=None, append_only=APPENDABLE)

    assert judge_inode(growing, structs.replace(growing, append_only=0), at_ns=NOW, notes=[])
    sealed = structs.replace(growing, append_only=0, lock=PAST)
    assert not judge_inode(growing, sealed, at_ns=NOW, notes=[])


@pytest.mark.parametrize(
    "laxer",
    [
        None,
        DirectoryPolicy("COMPLIANCE", 9, append_only=True),
        DirectoryPolicy("GOVERNANCE", 10, append_only=True),
        DirectoryPolicy("COMPLIANCE", 10),
    ],
)
def test_a_directorys_policy_is_never_weakened(laxer: DirectoryPolicy | None) -> None:
    """`protect` refuses it, so the ledger never tells of it."""
    policy = DirectoryPolicy("COMPLIANCE", 10, append_only=True)
    directory = Inode(ino=3, mode=0o040755, uid=0, gid=0, policy=policy)
    stricter = structs.replace(policy, period_ns=11)

    assert judge_inode(directory, structs.replace(directory, policy=laxer), at_ns=NOW, notes=[])
    changed = structs.replace(directory, policy=stricter)
    assert not judge_inode(directory, changed, at_ns=NOW, notes=[])


def test_a_protected_version_goes_by_a_bypass_or_not_at_all() -> None:
    """Of this very version."""
    note = Bypassed(NOW, Actor(0), "purge-version", 2, 5, "ticket")

    assert judge_removal(VERSION, at_ns=NOW, notes=[])
    assert judge_removal(VERSION, at_ns=NOW, notes=[structs.replace(note, version_ns=6)])
    assert not judge_removal(VERSION, at_ns=NOW, notes=[note])
    assert not judge_removal(structs.replace(VERSION, lock=PAST), at_ns=NOW, notes=[])
    assert not judge_removal(None, at_ns=NOW, notes=[])


def test_what_is_given_up_for_ever_stays_given_up() -> None:
    """Object Lock, and the end of the bypass."""
    never = '"permanently-disabled"'

    assert judge_setting("object-lock", "true", "false")
    assert judge_setting("governance-bypass", never, '"enabled"')
    assert not judge_setting("object-lock", None, "true")
    assert not judge_setting("governance-bypass", '"disabled"', '"enabled"')
    assert not judge_setting("flush-interval", "1", "2")


def test_a_block_that_moves_keeps_its_content() -> None:
    """Else an edited row would be made true by the next compaction."""
    block = Block(1, 2, 0, 10, 3, 40, 60, b"sealed")
    packed = structs.replace(block, pack_id=9, digest=b"other", codec=1, plain_digest=b"sealed")

    assert not judge_block(None, block)
    assert not judge_block(block, packed)
    for member, value in (("digest", b"else"), ("key_id", 9), ("offset", 9), ("length", 9)):
        assert judge_block(block, structs.replace(block, **{member: value}))


def test_what_is_under_a_lock_is_read_by_default() -> None:
    """Append-only counts for the current version."""
    free = structs.replace(VERSION, lock=None)

    assert is_kept(VERSION, now_ns=NOW, append_only=0)
    assert is_kept(free, now_ns=NOW, append_only=APPENDABLE)
    assert not is_kept(free, now_ns=NOW, append_only=0)
