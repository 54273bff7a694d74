"""WORM locks in force: the one policy gate, and every way to set or lift a lock.

Every operation that could alter, hide or free protected bytes comes through `check` (or
`check_version`), whichever door it came in by. The rules are in `rules/retention.py`.

A directory remembers until when anything below it is protected (`Inode.protected_until_ns`), so
moving it is judged in constant time. The mark only grows; when it says "protected" a look below
finds the truth, for a hold may have been lifted since.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from s3fs_local.engine.open_files import OpenFiles
from s3fs_local.engine.volume import Volume
from s3fs_local.errors import (
    InvalidArgument,
    IsADirectory,
    NotADirectory,
    NotPermitted,
    ObjectLockDisabled,
)
from s3fs_local.metadata.changes import Change, PutInode, PutSetting, PutVersion
from s3fs_local.rules.inode import APPENDABLE, SEALING, Caller, Inode
from s3fs_local.rules.namespace import Ending
from s3fs_local.rules.retention import (
    Bypass,
    DirectoryPolicy,
    Guarded,
    LegalHold,
    Lock,
    Operation,
    Retention,
    add_hold,
    check,
    check_policy,
    is_protected,
    plan_retention,
    protected_until_ns,
    remove_hold,
    retention_from_policy,
)
from s3fs_local.rules.versioning import Version

POLICIES_SETTING: Final = "fact.directory-policies"
"""Set once any directory ever had a policy; until then no commit looks for one."""
UNLOCKED_SETTING: Final = "fact.unlocked-while-written"
"""Inodes whose default retention waits for their last writer, also across a crash."""
_WHILE_BEING_MADE: Final = frozenset(
    {
        Operation.SET_MODE,
        Operation.SET_OWNER,
        Operation.SET_TIMES,
        Operation.SET_XATTR,
        Operation.RESTORE_OVER,
    }
)
"""What the maker of a file may do until its first close, and of an append-only file until its first
byte: logrotate and auditd make the new log, then give it mode, owner and ACL; a restore makes it,
then gives it its content."""
LISTING_LIMIT: Final = 1024


class Locks:
    """Judges operations and changes locks, for one volume."""

    def __init__(self, volume: Volume, open_files: OpenFiles) -> None:
        self._volume = volume
        self._open_files = open_files
        self._policies_exist = volume.metadata.setting(POLICIES_SETTING) is not None
        waiting = volume.metadata.setting(UNLOCKED_SETTING) or "[]"
        self._unlocked = set(msgspec.json.decode(waiting, type=list[int]))

    def check(self, operation: Operation, inode: Inode, *, bypass: Bypass | None = None) -> None:
        """No lock forbids the operation on the file or directory now.

        Raises:
            Protected: a lock forbids it.
            BypassNotPermitted: GOVERNANCE forbids it, and this bypass does not lift it.
        """
        if inode.lock is None and not inode.append_only and not inode.protected_until_ns:
            return
        if operation in _WHILE_BEING_MADE and self._is_being_made(inode):
            return
        volume = self._volume
        now_ns = volume.now_ns()
        if inode.protected_until_ns > now_ns:
            inode = self._refresh_mark(inode, now_ns)
        guarded = Guarded(
            lock=inode.lock,
            append_only=inode.append_only,
            descendants_protected_until_ns=inode.protected_until_ns,
        )
        semantics = volume.settings.lock_semantics
        check(operation, guarded, semantics=semantics, now_ns=now_ns, bypass=bypass)

    def _is_being_made(self, inode: Inode) -> bool:
        if not inode.is_file or (inode.lock is not None and inode.lock.holds):
            return False
        is_empty = not inode.size and inode.ino not in self._volume.drafts
        return not inode.version_ns or bool(inode.append_only and is_empty)

    def check_version(
        self, operation: Operation, version: Version, *, bypass: Bypass | None = None
    ) -> None:
        """No lock forbids the operation on that version now. Raises as `check`."""
        inode = self._volume.inode(version.ino)
        is_current = inode.version_ns == version.stamp_ns
        guarded = Guarded(lock=version.lock, append_only=inode.append_only if is_current else 0)
        now_ns = self._volume.now_ns()
        semantics = self._volume.settings.lock_semantics
        check(operation, guarded, semantics=semantics, now_ns=now_ns, bypass=bypass)

    def lock_of_new_version(self, inode: Inode, stamp_ns: int, *, size: int) -> Lock | None:
        """What a new version inherits: its directory's default, and the lock of append-only.

        The default waits until the last writer has closed the file (`lock_closed`), for a shell
        closes a file before its command writes to it; and an empty file has nothing to protect.
        """
        kept = inode.lock if inode.append_only else None
        if not size or self._open_files.writers(inode.ino):
            return kept
        return self._with_default(kept, inode, stamp_ns)

    def _with_default(self, kept: Lock | None, inode: Inode, stamp_ns: int) -> Lock | None:
        inherited = retention_from_policy(self.policy_of(inode), stamp_ns=stamp_ns)
        if inherited is None or inherited.retention is None:
            return kept
        present = kept or Lock()
        return Lock(_later(present.retention, inherited.retention), present.holds)

    def note_commit(self, committed: Inode) -> list[Change]:
        """The changes that go with a commit: marks above, and whether a lock still has to fall."""
        changes = self.note_protection(committed)
        policy = self.policy_of(committed)
        waits = policy is not None and policy.mode and self._open_files.writers(committed.ino)
        if waits and committed.ino not in self._unlocked:
            self._unlocked.add(committed.ino)
            changes.append(self._note_unlocked())
        return changes

    def lock_closed(self, ino: int) -> None:
        """Nobody writes to the file any more: its directory's default falls, if it waited."""
        if ino not in self._unlocked:
            return
        self._unlocked.discard(ino)
        self._volume.apply([self._note_unlocked()])
        inode = self._volume.metadata.inode(ino)
        if inode is None or not inode.nlink:
            return
        if inode.append_only == SEALING:
            self._finish_rotation(inode)
        elif inode.size:
            self._put_lock(inode, self._with_default(inode.lock, inode, inode.version_ns))

    def lock_all_closed(self) -> None:
        """After a crash nobody writes to anything: every lock that waited falls."""
        for ino in list(self._unlocked):
            self.lock_closed(ino)

    def _note_unlocked(self) -> Change:
        return PutSetting(UNLOCKED_SETTING, msgspec.json.encode(sorted(self._unlocked)).decode())

    def policy_of(self, inode: Inode) -> DirectoryPolicy | None:
        """What the policies of all directories above demand together, through every name."""
        if not self._policies_exist:
            return None
        demanded = None
        for parent in self._parents(inode):
            demanded = _stricter(demanded, self.policy_at(parent))
        return demanded

    def policy_at(self, directory: int) -> DirectoryPolicy | None:
        """What holds for new files in the directory: a weaker policy below lifts none above."""
        demanded = None
        while directory and self._policies_exist:
            inode = self._volume.inode(directory)
            demanded = _stricter(demanded, inode.policy)
            directory = inode.parent
        return demanded

    def _parents(self, inode: Inode) -> Iterable[int]:
        if inode.is_directory:
            return [inode.parent] if inode.parent else []
        entries = self._volume.metadata.entries_of(inode.ino)
        return [entry.parent for entry in entries if entry.ending is Ending.LIVE]

    def note_protection(self, inode: Inode) -> list[Change]:
        """The changes that let every directory above know of the inode's protection."""
        until_ns = protected_until_ns(inode.lock, append_only=inode.append_only)
        if not until_ns:
            return []
        marked: dict[int, Inode] = {}
        for parent in self._parents(inode):
            directory = parent
            while directory:
                above = marked.get(directory) or self._volume.inode(directory)
                if above.protected_until_ns < until_ns:  # those higher up may know less: look on
                    marked[directory] = msgspec.structs.replace(above, protected_until_ns=until_ns)
                directory = above.parent
        return [PutInode(above) for above in marked.values()]

    def _refresh_mark(self, directory: Inode, now_ns: int) -> Inode:
        """The directory with a true mark; costs a walk over marked directories below."""
        until_ns = self._protected_below(directory.ino, now_ns)
        if until_ns == directory.protected_until_ns:
            return directory
        refreshed = msgspec.structs.replace(directory, protected_until_ns=until_ns)
        if not self._volume.read_only_reason:
            self._volume.apply([PutInode(refreshed)])
        return refreshed

    def _protected_below(self, directory: int, now_ns: int) -> int:
        latest = 0
        after_ns = 0
        while children := self._volume.metadata.children(directory, after_ns, LISTING_LIMIT):
            for _, child in children:
                if child.is_directory:
                    if child.protected_until_ns > now_ns:
                        latest = max(latest, self._protected_below(child.ino, now_ns))
                else:
                    until_ns = protected_until_ns(child.lock, append_only=child.append_only)
                    latest = max(latest, until_ns if until_ns > now_ns else 0)
            after_ns = children[-1][0].from_ns
        return latest

    def set_retention(
        self, ino: int, wanted: Retention | None, *, caller: Caller, bypass: Bypass | None = None
    ) -> None:
        """The current version is retained as wanted (None: no longer).

        Raises:
            InvalidRetention, Protected, BypassNotPermitted: see `rules.retention.plan_retention`.
            ObjectLockDisabled, NotPermitted, IsADirectory.
        """
        inode, lock = self._planned(ino, wanted, caller=caller, bypass=bypass)
        self._put_lock(inode, lock)

    def check_retention(
        self, ino: int, wanted: Retention, *, caller: Caller, bypass: Bypass | None
    ) -> bool:
        """Whether the file is protected already; raises what `set_retention` would."""
        inode, _ = self._planned(ino, wanted, caller=caller, bypass=bypass)
        return is_protected(inode.lock, self._volume.now_ns())

    def _planned(
        self, ino: int, wanted: Retention | None, *, caller: Caller, bypass: Bypass | None
    ) -> tuple[Inode, Lock]:
        inode = self._lockable(ino, caller)
        operation = Operation.SET_RETENTION if wanted else Operation.CLEAR_RETENTION
        self.check(operation, inode, bypass=bypass)
        now_ns = self._volume.now_ns()
        return inode, plan_retention(inode.lock, wanted, now_ns=now_ns, bypass=bypass)

    def set_legal_hold(self, ino: int, hold: LegalHold, *, caller: Caller) -> None:
        """The hold is on. Raises as `set_retention`."""
        inode = self._lockable(ino, caller)
        self.check(Operation.SET_LEGAL_HOLD, inode)
        self._put_lock(inode, add_hold(inode.lock, hold))

    def clear_legal_hold(self, ino: int, case: str, *, caller: Caller) -> None:
        """The case's hold is off. Raises as `set_retention`; InvalidArgument: there is none.

        Only who placed a hold, and root, may lift it: an owner does not lift what root placed.
        """
        inode = self._lockable(ino, caller)
        holds = () if inode.lock is None else inode.lock.holds
        if any(hold.case == case and caller.uid not in (0, hold.holder) for hold in holds):
            raise NotPermitted(f"the hold for case {case!r} was placed by somebody else")
        self.check(Operation.CLEAR_LEGAL_HOLD, inode)
        self._put_lock(inode, remove_hold(inode.lock, case))

    def set_append_only(self, ino: int, *, caller: Caller) -> None:
        """The file accepts appends and nothing else, or new files in the directory will."""
        inode = self._volume.inode(ino)
        if inode.is_directory:
            policy = inode.policy or DirectoryPolicy()
            self.set_policy(ino, msgspec.structs.replace(policy, append_only=True), caller=caller)
            return
        inode = self._lockable(ino, caller)
        self.check(Operation.SET_APPEND_ONLY, inode)
        changed = msgspec.structs.replace(inode, append_only=APPENDABLE)
        self._volume.apply([PutInode(changed), *self.note_protection(changed)])

    def note_rotation(self, inode: Inode) -> None:
        """The file is sealed now, or when its last writer has closed it."""
        if inode.ino not in self._unlocked:
            self._unlocked.add(inode.ino)
            self._volume.apply([self._note_unlocked()])
        if not self._open_files.writers(inode.ino):
            self.lock_closed(inode.ino)

    def _finish_rotation(self, inode: Inode) -> None:
        """The retention of its directory takes the place of append-only; without one that stays."""
        stamp_ns = self._volume.now_ns()
        inherited = retention_from_policy(self.policy_of(inode), stamp_ns=stamp_ns)
        if inherited is None or inherited.retention is None:
            return
        present = inode.lock or Lock()
        retention = _later(present.retention, inherited.retention)
        sealed = msgspec.structs.replace(inode, append_only=0)
        self._put_lock(sealed, Lock(retention, present.holds))

    def set_policy(self, ino: int, policy: DirectoryPolicy, *, caller: Caller) -> None:
        """New files below the directory inherit the policy.

        It is never weakened, nor is what holds from a directory above.

        Raises:
            NotADirectory, ObjectLockDisabled, NotPermitted, InvalidRetention.
            InvalidArgument: it is weaker than the policy that holds there.
        """
        inode = self._volume.inode(ino)
        if not inode.is_directory:
            raise NotADirectory(f"inode {ino}")
        self._check_may_lock(inode, caller)
        check_policy(policy)
        present = self.policy_at(ino)
        if present is not None and (
            policy.period_ns < present.period_ns
            or (present.append_only and not policy.append_only)
            or (present.mode == "COMPLIANCE" and policy.mode != "COMPLIANCE")
        ):
            raise InvalidArgument(
                "a directory's policy can only be made stricter than the one that holds there"
            )
        changes: list[Change] = [PutInode(msgspec.structs.replace(inode, policy=policy))]
        if not self._policies_exist:
            changes.append(PutSetting(POLICIES_SETTING, "true"))
        self._volume.apply(changes)
        self._policies_exist = True

    def _lockable(self, ino: int, caller: Caller) -> Inode:
        inode = self._volume.inode(ino)
        self._check_may_lock(inode, caller)
        if not inode.is_file:
            raise IsADirectory("only regular files are locked; see `protect` for directories")
        return inode

    def _check_may_lock(self, inode: Inode, caller: Caller) -> None:
        if not self._volume.settings.object_lock:
            raise ObjectLockDisabled(
                "the store was made without Object Lock: `config set STORE object-lock true`"
            )
        if caller.uid not in (0, inode.uid):
            raise NotPermitted("only the owner and root may change locks")

    def _put_lock(self, inode: Inode, lock: Lock | None) -> None:
        if lock is not None and lock == Lock():
            lock = None
        changed = msgspec.structs.replace(inode, lock=lock)
        changes: list[Change] = [PutInode(changed)]
        version = self._volume.metadata.version(inode.ino, inode.version_ns)
        if version is not None:
            changes.append(PutVersion(msgspec.structs.replace(version, lock=lock)))
        self._volume.apply([*changes, *self.note_protection(changed)])


def _stricter(one: DirectoryPolicy | None, other: DirectoryPolicy | None) -> DirectoryPolicy | None:
    """What both demand together."""
    if one is None or other is None:
        return one or other
    return DirectoryPolicy(
        mode="COMPLIANCE" if "COMPLIANCE" in (one.mode, other.mode) else one.mode or other.mode,
        period_ns=max(one.period_ns, other.period_ns),
        append_only=one.append_only or other.append_only,
    )


def _later(one: Retention | None, other: Retention) -> Retention:
    """The stricter mode until the later date."""
    if one is None:
        return other
    mode = "COMPLIANCE" if "COMPLIANCE" in (one.mode, other.mode) else one.mode
    return Retention(mode, max(one.until_ns, other.until_ns))
