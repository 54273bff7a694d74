"""WORM locks in force: the one policy gate, and every way to set or lift a lock.

Every operation that could alter, hide or free protected bytes comes through `check` (or
`check_version`), whichever door it came in by (`engine/doors.py`). The rules are in
`rules/retention.py`; what directories ask in `engine/policies.py`; locks that fall by themselves in
`engine/pending_locks.py`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import msgspec

from s3fs_local.engine.lock_facts import changes_of_lock
from s3fs_local.engine.open_files import OpenFiles
from s3fs_local.engine.pending_locks import PendingLocks
from s3fs_local.engine.policies import Policies
from s3fs_local.engine.protection_marks import ProtectionMarks
from s3fs_local.engine.volume import Volume
from s3fs_local.errors import (
    Attempt,
    InvalidArgument,
    IsADirectory,
    LockError,
    NotADirectory,
    NotPermitted,
    ObjectLockDisabled,
)
from s3fs_local.metadata.changes import Change, PutInode
from s3fs_local.rules.inode import APPENDABLE, Caller, Inode
from s3fs_local.rules.lawfulness import is_weaker
from s3fs_local.rules.ledger_notes import Bypassed, LockLifted
from s3fs_local.rules.retention import (
    MINDED_BELOW,
    Bypass,
    DirectoryPolicy,
    Guarded,
    LegalHold,
    Lock,
    Operation,
    Retention,
    Semantics,
    add_hold,
    check,
    describe_protection,
    is_protected,
    plan_retention,
    remove_hold,
)
from s3fs_local.rules.settings import GovernanceBypass
from s3fs_local.rules.versioning import Version

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


class Locks:
    """Judges operations and changes locks, for one volume."""

    def __init__(self, volume: Volume, open_files: OpenFiles) -> None:
        self._volume = volume
        self.policies: Final = Policies(volume)
        self.marks: Final = ProtectionMarks(volume, self.policies)
        self.pending: Final = PendingLocks(
            volume, open_files=open_files, policies=self.policies, marks=self.marks
        )

    def check(self, operation: Operation, inode: Inode, *, bypass: Bypass | None = None) -> None:
        """No lock forbids the operation on the file or directory now.

        Raises:
            Protected: a lock forbids it.
            BypassNotPermitted: GOVERNANCE forbids it, and this bypass does not lift it.
        """
        if inode.lock is None and not inode.append_only and not inode.protected_until_ns:
            return
        now_ns = self._volume.expiry_ns()
        if operation in _WHILE_BEING_MADE and self._is_being_made(inode, now_ns):
            return
        below_ns = 0
        if inode.is_directory and operation in MINDED_BELOW:
            below_ns = self.marks.until_ns(inode, now_ns)
        guarded = Guarded(inode.lock, inode.append_only, below_ns)
        # To look the semantics up takes a walk up the tree: not for every line of a log.
        matters = not inode.append_only and is_protected(inode.lock, now_ns)
        semantics = self.policies.semantics(inode) if matters else Semantics.FILE
        with self._noting(operation, inode.ino):
            check(
                operation,
                guarded,
                semantics=semantics,
                now_ns=now_ns,
                bypass=self._as_the_store_allows(bypass),
            )

    def _is_being_made(self, inode: Inode, now_ns: int) -> bool:
        if not inode.is_file or is_protected(inode.lock, now_ns):
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
        with self._noting(operation, version.ino, version.stamp_ns):
            check(
                operation,
                guarded,
                semantics=Semantics.FILE,  # a version stands in either
                now_ns=self._volume.expiry_ns(),
                bypass=self._as_the_store_allows(bypass),
            )

    @contextmanager
    def _noting(self, operation: Operation, ino: int, version_ns: int = 0) -> Iterator[None]:
        """A refusal tells what was attempted."""
        try:
            yield
        except LockError as refusal:
            refusal.attempt = Attempt(operation.value, ino, version_ns)
            raise

    def _as_the_store_allows(self, bypass: Bypass | None) -> Bypass | None:
        allowed = self._volume.settings.governance_bypass is GovernanceBypass.ENABLED
        if bypass is None or allowed:
            return bypass
        return msgspec.structs.replace(bypass, forbidden=True)

    def describe(self, inode: Inode) -> str:
        """Every rule in force on the file, for people; "" for none."""
        guarded = Guarded(inode.lock, inode.append_only)
        return describe_protection(guarded, self._volume.expiry_ns(), with_reasons=True)

    def note_commit(self, committed: Inode) -> list[Change]:
        """The changes that go with a commit: marks above, and a lock that has still to fall."""
        return [*self.marks.note(committed), *self.pending.note_commit(committed)]

    def note_protection(self, inode: Inode) -> list[Change]:
        """The changes that let every directory above know of the inode's protection."""
        return self.marks.note(inode)

    def set_retention(
        self, ino: int, wanted: Retention | None, *, caller: Caller, bypass: Bypass | None = None
    ) -> None:
        """The current version is retained as wanted (None: no longer).

        Raises:
            InvalidRetention, Protected, BypassNotPermitted: see `rules.retention.plan_retention`.
            ObjectLockDisabled, NotPermitted, IsADirectory.
        """
        inode, lock = self._planned(ino, wanted, caller=caller, bypass=bypass)
        if bypass is not None and is_weaker(inode.lock, lock, self._volume.expiry_ns()):
            operation = Operation.SET_RETENTION if wanted else Operation.CLEAR_RETENTION
            self._note_bypass(operation, inode.ino, inode.version_ns, bypass)
        self._put_lock(inode, lock)

    def check_retention(
        self, ino: int, wanted: Retention, *, caller: Caller, bypass: Bypass | None
    ) -> bool:
        """Whether the file is protected already; raises what `set_retention` would."""
        inode, _ = self._planned(ino, wanted, caller=caller, bypass=bypass)
        return is_protected(inode.lock, self._volume.expiry_ns())

    def _planned(
        self, ino: int, wanted: Retention | None, *, caller: Caller, bypass: Bypass | None
    ) -> tuple[Inode, Lock]:
        inode = self._lockable(ino, caller)
        operation = Operation.SET_RETENTION if wanted else Operation.CLEAR_RETENTION
        self.check(operation, inode, bypass=bypass)
        bypass = self._as_the_store_allows(bypass)
        with self._noting(operation, ino):
            return inode, plan_retention(
                inode.lock,
                wanted,
                now_ns=self._volume.expiry_ns(),
                dated_ns=self._volume.now_ns(),
                bypass=bypass,
            )

    def set_legal_hold(self, ino: int, hold: LegalHold, *, caller: Caller) -> None:
        """The hold is on. Raises as `set_retention`."""
        inode = self._lockable(ino, caller)
        self.check(Operation.SET_LEGAL_HOLD, inode)
        self._put_lock(inode, add_hold(inode.lock, hold))

    def is_held(self, ino: int) -> bool:
        """Whether a legal hold of any case is on."""
        lock = self._volume.inode(ino).lock
        return lock is not None and bool(lock.holds)

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

    def set_policy(self, ino: int, policy: DirectoryPolicy, *, caller: Caller) -> None:
        """New files below the directory inherit the policy.

        It is never weakened, nor is what holds from a directory above.

        Raises:
            NotADirectory, ObjectLockDisabled, NotPermitted, InvalidRetention.
            InvalidArgument: it is weaker than the policy that holds there.
            Protected: it says `s3`, and files below are locked in place.
        """
        directory = self._volume.inode(ino)
        if not directory.is_directory:
            raise NotADirectory("a directory is protected; `retention set` locks a file")
        self.check_may_lock(directory, caller)
        wanted = self.policies.complete(directory, policy)
        meant = self.policies.semantics(directory)
        if meant is Semantics.FILE and wanted.semantics == Semantics.S3:
            # What is locked in place below could then be overwritten and removed.
            self.check(Operation.WEAKEN_SEMANTICS, directory)
        self.policies.put_policy(directory, wanted)
        self.marks.forget_unminded()

    def _lockable(self, ino: int, caller: Caller) -> Inode:
        inode = self._volume.inode(ino)
        self.check_may_lock(inode, caller)
        if not inode.is_file:
            raise IsADirectory("only regular files are locked; see `protect` for directories")
        return inode

    def check_may_lock(self, inode: Inode, caller: Caller) -> None:
        """Raises ObjectLockDisabled, NotPermitted: nobody locks here, or not this caller."""
        if not self._volume.settings.object_lock:
            raise ObjectLockDisabled(
                "the store was made without Object Lock: `config set STORE object-lock on`"
            )
        if caller.uid not in (0, inode.uid):
            raise NotPermitted("only the owner and root may change locks")

    def note_purge(self, version: Version, bypass: Bypass | None) -> None:
        """The version is being purged; if that takes the bypass, the ledger says so."""
        if bypass is not None and is_protected(version.lock, self._volume.expiry_ns()):
            self._note_bypass(Operation.PURGE_VERSION, version.ino, version.stamp_ns, bypass)

    def _note_bypass(self, operation: Operation, ino: int, version_ns: int, bypass: Bypass) -> None:
        at_ns = self._volume.now_ns()
        reason = bypass.reason
        self._volume.note(Bypassed(at_ns, bypass.who, operation.value, ino, version_ns, reason))

    def _put_lock(self, inode: Inode, lock: Lock | None) -> None:
        if not inode.version_ns:  # the next version would come without it
            raise InvalidArgument("only files with a committed version are locked: close it first")
        if is_weaker(inode.lock, lock, self._volume.expiry_ns()):
            # Without the word a verification takes it for the work of somebody who edits rows.
            self._volume.note(LockLifted(self._volume.now_ns(), inode.ino, inode.version_ns))
        self._volume.note_if_over(inode.lock)
        changes = changes_of_lock(self._volume.metadata, self.marks, inode, lock)
        self._volume.apply(changes)
