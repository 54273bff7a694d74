"""Which changes in the ledger no lawful program would have made.

The daemon decides by the facts that its database shows. Somebody who edits a row and then lets the
daemon change the file has the edit written into the ledger as if it were lawful. So a verification
replays the ledger and judges each change against what the ledger itself told before: protection is
never weakened without a word about it, and what a version holds never changes.
"""

from collections.abc import Sequence
from typing import Final

from s3fs_local.rules.extents import Block
from s3fs_local.rules.inode import Inode
from s3fs_local.rules.ledger_notes import Bypassed, LockLifted, Note
from s3fs_local.rules.namespace import OPEN_NS
from s3fs_local.rules.retention import (
    APPENDABLE,
    COMPLIANCE,
    SEALING,
    DirectoryPolicy,
    Lock,
    is_protected,
)
from s3fs_local.rules.versioning import Version

_NEVER: Final = '"permanently-disabled"'


def judge_inode(before: Inode | None, after: Inode, *, at_ns: int, notes: Sequence[Note]) -> str:
    """What is unlawful about the inode's new row; "" where nothing is."""
    if before is None:
        return ""
    is_same_content = before.version_ns == after.version_ns
    if is_same_content and is_weaker(before.lock, after.lock, at_ns) and not _lifted(notes, after):
        return "its lock was weakened without anybody's lifting it"
    if frees_append_only(before, after):
        return "append-only was taken away"
    if _is_laxer(before.policy, after.policy):
        return "the directory's policy was weakened"
    return ""


def judge_version(
    before: Version | None, after: Version, *, at_ns: int, notes: Sequence[Note]
) -> str:
    """What is unlawful about the version's new row; "" where nothing is."""
    if before is None:
        return ""
    fixed = ("salt", "size", "etag", "stored_bytes", "uid", "origin")
    altered = [name for name in fixed if getattr(before, name) != getattr(after, name)]
    if altered:
        return f"what a version holds was altered: {', '.join(altered)}"
    if is_weaker(before.lock, after.lock, at_ns) and not _lifted(notes, after):
        return "its lock was weakened without anybody's lifting it"
    return ""


def judge_removal(before: Version | None, *, at_ns: int, notes: Sequence[Note]) -> str:
    """What is unlawful about the removal of the version; "" where nothing is."""
    if before is None or not is_protected(before.lock, at_ns):
        return ""
    for note in notes:
        if isinstance(note, Bypassed) and note.version_ns == before.stamp_ns:
            return ""
    return "a protected version was removed"


def judge_setting(name: str, before: str | None, after: str | None) -> str:
    """What is unlawful about the setting's new value (JSON); "" where nothing is."""
    if name == "object-lock" and before == "true" and after != "true":
        return "Object Lock was switched off"
    if name == "governance-bypass" and before == _NEVER and after != _NEVER:
        return "the bypass of GOVERNANCE, given up for ever, was taken back"
    return ""


def judge_block(before: Block | None, after: Block) -> str:
    """What is unlawful about the block's new place and form; "" where nothing is."""
    if before is None:
        return ""
    same = ("identity", "key_id", "offset", "length")
    if any(getattr(before, name) != getattr(after, name) for name in same):
        return "content was exchanged while it was moved"
    return ""


def is_weaker(before: Lock | None, after: Lock | None, at_ns: int) -> bool:
    """Whether a protection that was in force at that instant ends earlier, or for more people."""
    if before is None or not is_protected(before, at_ns):
        return False
    present = after or Lock()
    if not {hold.case for hold in before.holds} <= {hold.case for hold in present.holds}:
        return True
    was, now = before.retention, present.retention
    if was is None or was.until_ns <= at_ns:
        return False
    return (
        now is None
        or now.until_ns < was.until_ns
        or (was.mode == COMPLIANCE and now.mode != COMPLIANCE)
    )


def frees_append_only(before: Inode, after: Inode) -> bool:
    """Whether bytes that could only be added to may be changed again, or a sealed log appended to.

    Rotation ends append-only where a retention takes its place.
    """
    retained = after.lock is not None and after.lock.retention is not None
    if not before.append_only or retained:
        return False
    return not after.append_only or (before.append_only, after.append_only) == (
        SEALING,
        APPENDABLE,
    )


def _lifted(notes: Sequence[Note], target: Inode | Version) -> bool:
    """Whether the daemon itself said that it lifted a lock of this file."""
    return any(isinstance(note, LockLifted) and note.ino == target.ino for note in notes)


def _is_laxer(before: DirectoryPolicy | None, after: DirectoryPolicy | None) -> bool:
    if before is None:
        return False
    present = after or DirectoryPolicy()
    return (
        present.period_ns < before.period_ns
        or (before.append_only and not present.append_only)
        or (before.mode == COMPLIANCE and present.mode != COMPLIANCE)
    )


def is_kept(version: Version, *, now_ns: int, append_only: int) -> bool:
    """Whether the version's bytes are under a lock: what `verify` reads unless told to read all."""
    return bool(append_only) or is_protected(version.lock, min(now_ns, OPEN_NS))
