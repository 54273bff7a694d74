"""A random attacker: any operation, by anybody, in any order, against a whole store in memory.

The judge knows nothing of the gate. It looks at what is there after each step, writes down what was
locked, and holds the store to it: a locked version stands bit for bit until its date or until its
hold was lifted by who may; a file that is locked in place keeps its names, folders and attributes;
what was written to an append-only file stays at its beginning; and no lock becomes less of one.

What may weaken a lock is told by the attacker: an entitled bypass of GOVERNANCE, and a hold lifted
by its holder or root. So a gate that lets anything else through is caught.
"""

import os
import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import trio
from msgspec import Struct, structs
from trio.testing import MockClock

from s3fs_local.engine.attributes import AttributeChange
from s3fs_local.engine.compaction import collect_garbage
from s3fs_local.engine.lifecycle_runs import Turns
from s3fs_local.engine.purging import purge
from s3fs_local.engine.restoring import Restoring, state_at
from s3fs_local.errors import LockError, S3fsLocalError
from s3fs_local.rules.inode import ROOT_INO, Caller, Inode
from s3fs_local.rules.instants import SECOND_NS
from s3fs_local.rules.lifecycle_validation import read_lifecycle
from s3fs_local.rules.namespace import OPEN_NS
from s3fs_local.rules.retention import (
    COMPLIANCE,
    GOVERNANCE,
    Bypass,
    DirectoryPolicy,
    LegalHold,
    Lock,
    Retention,
)
from s3fs_local.rules.versioning import Version
from tests.engine.invariants import check_invariants
from tests.engine.memory_store import ALICE, ROOT, MemoryStore

EPISODE_STEPS: Final = 1000
"""Then a new store: an old one is full of what is locked."""
CONTENT_INTERVAL: Final = 100
DAY_NS: Final = 86_400 * SECOND_NS
MALLORY: Final = Caller(uid=1001, gid=1001, pid=666)
CALLERS: Final = (ROOT, ROOT, ALICE, ALICE, MALLORY)
FOLDERS: Final = ("/file", "/s3", "/quiet", "/habit", "/logs", "/free", "/free/deep", "/file/deep")
NAMES: Final = ("a", "b", "c", "d")
EXPIRE_ALL: Final = b"""{"Rules": [{"ID": "all", "Status": "Enabled", "Filter": {},
    "Expiration": {"Days": 1}, "NoncurrentVersionExpiration": {"NoncurrentDays": 1}}]}"""
LOCK_VALUES: Final = (
    *(b"GOVERNANCE 1d", b"COMPLIANCE 1d", b"COMPLIANCE 3d", b"GOVERNANCE 9d", b"NONE", b""),
    *(b"COMPLIANCE 0d", b"COMPLIANCE -1d", b"COMPLIANCE 1990-01-01", b"1", b"ON", b"OFF", b"0"),
)
LOCK_NAMES: Final = (
    *(b"s3.object-lock", b"s3.object-lock-mode", b"s3.object-lock-retain-until-date"),
    *(b"s3.object-lock-legal-hold", b"s3.append-only", b"s3.tags", b"s3.version-id"),
)


class Broken(Exception):
    """A lock did not hold."""


class Kept(Struct):
    """What the judge has seen of a locked version."""

    content: bytes
    lock: Lock


class Attacker:
    """One episode."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.store = MemoryStore(object_lock="true")
        self.counts: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.handles: list[int] = []
        self.kept: dict[tuple[int, int], Kept] = {}  # by inode and stamp
        self.frozen: dict[int, tuple[Lock, tuple[object, ...]]] = {}  # by inode: stays in place
        self.beginnings: dict[int, bytes] = {}  # of append-only files
        self.forgiven: set[int] = set()  # inodes whose lock this step may weaken
        self._acts: list[Callable[[], object]] = [
            *[self.write, self.write, self.open, self.close, self.create],
            *[self.rename, self.rename, self.unlink, self.link, self.mkdir, self.rmdir],
            *[self.chmod, self.resize, self.set_times, self.set_xattr, self.remove_xattr],
            *[self.set_lock, self.set_lock, self.set_retention, self.clear_retention],
            *[self.hold, self.lift_hold, self.set_append_only, self.protect],
            *[self.restore_content, self.restore_tree, self.purge, self.purge],
            *[self.tick, self.lock_due, self.gc, self.flush, self.crash, self.add_marker],
            self.run_lifecycle,
        ]

    def _lay_ground(self) -> None:
        """The folders are there, protected as their names say; an attacker may have removed one."""
        policies = {
            "/file": DirectoryPolicy(COMPLIANCE, 2 * DAY_NS),
            "/s3": DirectoryPolicy(COMPLIANCE, 2 * DAY_NS, semantics="s3"),
            "/quiet": DirectoryPolicy(
                GOVERNANCE, 2 * DAY_NS, commit="quiet", quiet_ns=600 * SECOND_NS
            ),
            "/habit": DirectoryPolicy(COMPLIANCE, 2 * DAY_NS, commit="chmod"),
            "/logs": DirectoryPolicy(COMPLIANCE, 2 * DAY_NS, append_only=True),
        }
        for folder in FOLDERS:
            with suppress(S3fsLocalError):  # a locked file has its name now, or that of one above
                self._lay(folder, policies.get(folder))

    def _lay(self, folder: str, policy: DirectoryPolicy | None) -> None:
        if self.store.exists(folder):
            if self.store.stat(folder).is_directory:
                return
            odd = b"odd %d" % self.random.randrange(1 << 30)
            self.store.fs.rename(*self.store.place(folder), ROOT_INO, odd, 0, ROOT)
        self.store.mkdir(folder)
        if policy is not None:
            self.store.fs.locks.set_policy(self.store.stat(folder).ino, policy, caller=ALICE)

    # One step

    def step(self) -> None:
        """Something is tried, by somebody. Raises Broken if a lock did not hold."""
        act = self.random.choice(self._acts)
        name = act.__name__
        self.counts[name] += 1
        self.forgiven = set()
        self._lay_ground()
        try:
            act()
        except LockError:
            self.refused[name] += 1
        except S3fsLocalError:
            pass  # there is no such name, and the like
        try:
            self.judge()
        except Broken as broken:
            raise Broken(f"after {name}: {broken}") from None

    def end(self) -> None:
        """The last look, at everything."""
        self.judge(contents=True)
        for handle in self.handles:
            self.store.fs.release(handle)
        self.judge(contents=True)
        check_invariants(self.store)

    # What is tried. Each draws what it needs, and may fail with any expected error.

    def caller(self) -> Caller:
        """Who does it."""
        return self.random.choice(CALLERS)

    def path(self) -> str:
        """A name that may or may not be there."""
        return f"{self.random.choice(FOLDERS)}/{self.random.choice(NAMES)}"

    def ino(self) -> int:
        """A file or folder that may have no name any more."""
        if self.random.random() < 0.7:
            return self.store.stat(self.path()).ino
        return self.random.randint(1, self.store.fs.volume.last_ino)

    def bypass(self, caller: Caller) -> Bypass | None:
        """Entitled as the way in says: root is, others are not."""
        kind = self.random.randrange(3)
        if kind == 0:
            return None
        return Bypass(entitled=caller.uid == 0, reason="attack" if kind == 1 else "")

    def wanted(self) -> Retention:
        """A retention of any length, also past."""
        mode = self.random.choice((GOVERNANCE, COMPLIANCE))
        ahead = self.random.choice((-DAY_NS, SECOND_NS, DAY_NS, 3 * DAY_NS, 10 * DAY_NS))
        return Retention(mode, self.store.fs.volume.now_ns() + ahead)

    def write(self) -> None:
        """Through any handle that is open, from before a lock or after."""
        if self.handles:
            handle = self.random.choice(self.handles)
            of_locked = [h for h in self.handles if self._is_of_locked(h)]
            if of_locked and self.random.random() < 0.5:
                handle = self.random.choice(of_locked)
            offset = self.random.choice((0, 1, 5, 20, 1 << 20))
            self.store.fs.write(handle, offset, self.random.randbytes(self.random.randint(1, 9)))

    def _is_of_locked(self, handle: int) -> bool:
        opened = self.store.fs.open_files.get(handle)
        return opened.writable and opened.ino in self.frozen

    def open(self) -> None:
        """With any flags."""
        flags = self.random.choice((os.O_RDONLY, os.O_WRONLY, os.O_RDWR))
        flags |= self.random.choice((0, 0, os.O_TRUNC))
        self.handles.append(self.store.fs.open(self.ino(), flags, self.caller()).handle)

    def create(self) -> None:
        """A file is made, written to, and perhaps closed."""
        place = self.store.place(self.path())
        caller = self.random.choice((ROOT, ALICE))
        handle = self.store.fs.create(*place, 0o100644, os.O_RDWR, caller)[0].handle
        self.handles.append(handle)
        self.store.fs.write(handle, 0, self.random.randbytes(8))
        if self.random.random() < 0.7:
            self._close(handle)

    def close(self) -> None:
        """Of a duplicate, or for good."""
        if not self.handles:
            return
        handle = self.random.choice(self.handles)
        if self.random.random() < 0.3:
            self.store.fs.flush(handle)
        else:
            self._close(handle)

    def _close(self, handle: int) -> None:
        self.handles.remove(handle)
        self.store.close(handle)

    def rename(self) -> None:
        """Files, folders, over each other and into each other."""
        old = self.random.choice((self.path(), self.path(), self.random.choice(FOLDERS)))
        new = self.random.choice((self.path(), self.path(), self.random.choice(FOLDERS)))
        self.store.rename(old, new, self.random.choice((0, 0, 1, 2)), self.caller())

    def unlink(self) -> None:
        """A name."""
        self.store.fs.unlink(*self.store.place(self.path()), self.caller())

    def link(self) -> None:
        """One more name."""
        self.store.fs.link(self.ino(), *self.store.place(self.path()), self.caller())

    def mkdir(self) -> None:
        """A folder that went, or one more."""
        path = self.random.choice((self.path(), self.random.choice(FOLDERS)))
        self.store.fs.mkdir(*self.store.place(path), 0o040755, self.caller())

    def rmdir(self) -> None:
        """A folder."""
        path = self.random.choice((self.path(), self.random.choice(FOLDERS)))
        self.store.fs.rmdir(*self.store.place(path), self.caller())

    def _setattr(self, wanted: AttributeChange) -> None:
        fs, ino, caller = self.store.fs, self.ino(), self.caller()
        if fs.locks_by_habit(ino, wanted):
            trio.run(fs.lock_by_habit, ino, wanted, caller, clock=_impatient())
        else:
            fs.setattr(ino, wanted, None, caller)

    def chmod(self) -> None:
        """Also as the habit has it."""
        self._setattr(AttributeChange(mode=self.random.choice((0o444, 0o644, 0o777, 0o4755))))

    def resize(self) -> None:
        """By path."""
        self._setattr(AttributeChange(size=self.random.choice((0, 3, 8, 100))))

    def set_times(self) -> None:
        """Access time too, which says until when."""
        now_ns = self.store.fs.volume.now_ns()
        time_ns = now_ns + self.random.choice((-DAY_NS, DAY_NS, 5 * DAY_NS))
        self._setattr(
            self.random.choice(
                (AttributeChange(atime_ns=time_ns), AttributeChange(mtime_ns=time_ns))
            )
        )

    def set_xattr(self) -> None:
        """Stored ones."""
        self.store.fs.setxattr(self.ino(), b"user.a", self.random.randbytes(2), self.caller())

    def remove_xattr(self) -> None:
        """Stored ones, and locks."""
        name = self.random.choice((b"user.a", *LOCK_NAMES))
        self.store.fs.removexattr(self.ino(), name, self.caller())

    def set_lock(self) -> None:
        """By attribute."""
        caller, ino = self.caller(), self.ino()
        name, value = self.random.choice(LOCK_NAMES), self.random.choice(LOCK_VALUES)
        if self.random.random() < 0.5:
            name = b"s3.object-lock"
            value = self.random.choice((b"GOVERNANCE 1d", b"COMPLIANCE 2d", b"COMPLIANCE 4d"))
        if name == b"s3.object-lock-legal-hold" and value == b"OFF":
            self._forgive_hold(ino, "xattr", caller)
        trio.run(self.store.fs.set_lock_attribute, ino, name, value, caller, clock=_impatient())

    def set_retention(self) -> None:
        """By command, perhaps cutting writers."""
        caller, ino, wanted = self.caller(), self.ino(), self.wanted()
        bypass = self.bypass(caller)
        self._forgive_bypass(ino, bypass)

        async def lock() -> None:
            await self.store.fs.lock_attributes.set_retention(
                ino, wanted, caller, bypass=bypass, cut_writers=self.random.random() < 0.5
            )

        trio.run(lock, clock=_impatient())

    def clear_retention(self) -> None:
        """By command."""
        caller, ino = self.caller(), self.ino()
        bypass = self.bypass(caller)
        self._forgive_bypass(ino, bypass)
        self.store.fs.locks.set_retention(ino, None, caller=caller, bypass=bypass)

    def hold(self) -> None:
        """For a case."""
        caller = self.caller()
        now_ns = self.store.fs.volume.now_ns()
        hold = LegalHold(self.random.choice(("A", "B")), "attack", caller.uid, now_ns)
        ino = self.ino()

        async def hold_it() -> None:
            await self.store.fs.lock_attributes.set_legal_hold(
                ino, hold, caller, cut_writers=self.random.random() < 0.5
            )

        trio.run(hold_it, clock=_impatient())

    def lift_hold(self) -> None:
        """Of a case, by whoever."""
        caller, ino, case = self.caller(), self.ino(), self.random.choice(("A", "B"))
        self._forgive_hold(ino, case, caller)
        self.store.fs.locks.clear_legal_hold(ino, case, caller=caller)

    def set_append_only(self) -> None:
        """Of files; a folder would freeze all that comes."""
        ino = self.ino()
        if not self.store.fs.volume.inode(ino).is_directory and self.random.random() < 0.2:
            self.store.fs.lock_attributes.settle_draft(ino)
            self.store.fs.locks.set_append_only(ino, caller=self.caller())

    def protect(self) -> None:
        """A policy that is weaker, or stricter, or other."""
        policy = DirectoryPolicy(
            self.random.choice((GOVERNANCE, COMPLIANCE)),
            self.random.choice((1, 2, 3)) * DAY_NS,
            semantics=self.random.choice(("", "file", "s3")),
            commit=self.random.choice(("", "close", "quiet", "chmod")),
            quiet_ns=600 * SECOND_NS,
        )
        ino = self.store.stat(self.random.choice(FOLDERS)).ino
        self.store.fs.locks.set_policy(ino, policy, caller=self.caller())

    def _some_version(self) -> Version | None:
        versions = self.store.metadata.versions(
            self.random.randint(1, self.store.fs.volume.last_ino)
        )
        return self.random.choice(versions) if versions else None

    def restore_content(self) -> None:
        """Any old version over any file."""
        version = self._some_version()
        if version is not None:
            self.store.fs.restore_content(
                self.ino(), version.ino, version.stamp_ns, caller=self.caller()
            )

    def restore_tree(self) -> None:
        """A folder as it was."""
        parent, name = self.store.place(self.random.choice(FOLDERS))
        at_ns = self.store.fs.volume.now_ns() - self.random.choice((1, 60, 3600)) * SECOND_NS
        was = state_at(self.store.fs, parent, name, at_ns)
        list(Restoring(self.store.fs, self.caller(), at_ns=at_ns).restore(parent, name, was, name))

    def purge(self) -> None:
        """Any version in the history of a name, with or without a bypass."""
        caller = self.caller()
        bypass = self.bypass(caller)
        items = self.store.fs.histories.of_name(*self.store.place(self.path())).items
        if items:
            item = self.random.choice(items)
            if item.version is not None:
                self._forgive_bypass(item.version.ino, bypass)
            purge(self.store.fs, item, caller=caller, bypass=bypass)

    def tick(self) -> None:
        """Time passes: seconds mostly, days seldom."""
        self.store.tick(self.random.choice((1, 1, 60, 700, 3600, 40_000, 90_000)))

    def lock_due(self) -> None:
        """The background task looks."""
        self.store.fs.locks.pending.lock_due()

    def run_lifecycle(self) -> None:
        """Rules that let everything go that may go."""
        lifecycle = self.store.fs.lifecycle
        if lifecycle.rules.in_force is None:
            document, _ = read_lifecycle(EXPIRE_ALL, minimum=None, new_id=lambda: 1)
            lifecycle.rules.put(document)
        trio.run(lambda: lifecycle.run(Turns(self.store.fs.volume)))

    def gc(self) -> None:
        """Packs that nobody needs go."""
        trio.run(lambda: collect_garbage(self.store.fs, dry_run=False))

    def flush(self) -> None:
        """To the journal, or to the facts too."""
        self.store.flush(durable=True)
        if self.random.random() < 0.3:
            self.store.settle()

    def crash(self) -> None:
        """The daemon is killed after what it had was durable, and all handles with it."""
        if self.random.random() < 0.2:
            self.store.flush(durable=True)
            self.store.crash()
            self.handles.clear()

    def add_marker(self) -> None:
        """S3's DELETE of a name that is not there."""
        self.store.fs.namespace.add_delete_marker(*self.store.place(self.path()), self.caller())

    # The judge

    def _forgive_bypass(self, ino: int, bypass: Bypass | None) -> None:
        if bypass is not None and bypass.entitled and bypass.reason.strip():
            self.forgiven.add(ino)

    def _forgive_hold(self, ino: int, case: str, caller: Caller) -> None:
        inode = self.store.metadata.inode(ino)
        holds = () if inode is None or inode.lock is None else inode.lock.holds
        if all(caller.uid in (0, hold.holder) for hold in holds if hold.case == case):
            self.forgiven.add(-ino)

    def judge(self, *, contents: bool = False) -> None:
        """Everything that was locked stands; what is newly locked is written down."""
        now_ns = self.store.fs.volume.now_ns()
        contents = contents or not sum(self.counts.values()) % CONTENT_INTERVAL
        for (ino, stamp_ns), kept in list(self.kept.items()):
            if not _protects(kept.lock, now_ns):
                del self.kept[ino, stamp_ns]
                continue
            version = self.store.metadata.version(ino, stamp_ns)
            self._judge_lock(ino, kept, version, now_ns)
            if version is None:
                del self.kept[ino, stamp_ns]
                continue
            if contents and self._content(version) != kept.content:
                raise Broken(f"version {stamp_ns} of inode {ino} has another content")
            kept.lock = version.lock or Lock()
        self._judge_places(now_ns)
        self._judge_beginnings(contents=contents)
        self._write_down(now_ns)

    def _judge_lock(self, ino: int, kept: Kept, version: Version | None, now_ns: int) -> None:
        """No lock becomes less, but by who may."""
        lock = (version.lock if version is not None else None) or Lock()
        lost = [hold.case for hold in kept.lock.holds if hold not in lock.holds]
        if lost and -ino not in self.forgiven:
            raise Broken(f"inode {ino} has lost its hold for {lost}")
        had, has = kept.lock.retention, lock.retention
        if had is None or had.until_ns <= now_ns:
            if version is None and not (lost and -ino in self.forgiven):
                raise Broken(f"a held version of inode {ino} is gone")
            return
        weaker = has is None or has.until_ns < had.until_ns
        weaker = weaker or (had.mode == COMPLIANCE and has is not None and has.mode != COMPLIANCE)
        is_forgiven = ino in self.forgiven and had.mode == GOVERNANCE
        if version is None and kept.lock.holds:
            raise Broken(f"a held version of inode {ino} is gone")
        if weaker and not is_forgiven:
            raise Broken(f"inode {ino} had {had}, and has {has}")

    def _judge_places(self, now_ns: int) -> None:
        """What is locked in place is where it was, as it was."""
        for ino, (lock, before) in list(self.frozen.items()):
            is_forgiven = ino in self.forgiven or -ino in self.forgiven
            if is_forgiven or not _protects(lock, now_ns):
                del self.frozen[ino]
                continue
            inode = self.store.metadata.inode(ino)
            if inode is None or self._place(inode) != before:
                raise Broken(f"inode {ino} was {before}, and is {inode and self._place(inode)}")
            self.frozen[ino] = (inode.lock or lock, before)

    def _judge_beginnings(self, *, contents: bool) -> None:
        for ino, beginning in list(self.beginnings.items()):
            inode = self.store.metadata.inode(ino)
            if inode is None:
                raise Broken(f"the append-only inode {ino} is gone")
            if not inode.append_only:
                if not inode.lock:
                    raise Broken(f"inode {ino} is append-only no more")
                del self.beginnings[ino]  # sealed: a lock has taken its place
            elif contents and not self.store.read_ino(ino).startswith(beginning):
                raise Broken(f"the append-only inode {ino} begins otherwise")

    def _write_down(self, now_ns: int) -> None:
        for ino in range(2, self.store.fs.volume.last_ino + 1):
            inode = self.store.metadata.inode(ino)
            if inode is None or not inode.is_file:
                continue
            if inode.append_only and inode.version_ns and ino not in self.beginnings:
                self.beginnings[ino] = self.store.read_ino(ino)
            if not inode.lock and not self.store.metadata.versions(ino):
                continue
            for version in self.store.metadata.versions(ino):
                if version.lock is not None and _protects(version.lock, now_ns):
                    key = (ino, version.stamp_ns)
                    kept = self.kept.get(key)
                    content = self._content(version) if kept is None else kept.content
                    self.kept[key] = Kept(content, version.lock)
            if inode.lock is None or not inode.nlink or inode.append_only or ino in self.frozen:
                continue
            if ino in self.store.fs.volume.drafts:
                continue  # let in under s3 semantics, before its folder came to be under file
            if _protects(inode.lock, now_ns) and self._means_file(inode):
                self.frozen[ino] = (inode.lock, self._place(inode))

    def _content(self, version: Version) -> bytes:
        if not version.size:
            return b""
        layouts = self.store.fs.reading.layouts(version.ino, version.stamp_ns)
        return self.store.fs.reading.read_blocking(layouts, 0, version.size)

    def _names(self, ino: int) -> list[tuple[int, bytes]]:
        """Where it is now."""
        return sorted(
            (entry.parent, entry.name)
            for entry in self.store.metadata.entries_of(ino)
            if entry.to_ns == OPEN_NS
        )

    def _above(self, directory: int) -> list[Inode]:
        above = []
        while directory:
            inode = self.store.fs.volume.inode(directory)
            above.append(inode)
            directory = inode.parent
        return above

    def _means_file(self, inode: Inode) -> bool:
        """Whether some name of it lies where no directory above says s3, or one says file."""
        for parent, _ in self._names(inode.ino):
            said = {above.policy.semantics for above in self._above(parent) if above.policy}
            if "s3" not in said or "file" in said:
                return True
        return False

    def _place(self, inode: Inode) -> tuple[object, ...]:
        """All that a lock in place freezes: the folders above by name, too."""
        names = self._names(inode.ino)
        paths = [
            (name, [(above.ino, self._names(above.ino)) for above in self._above(parent)])
            for parent, name in names
        ]
        # Locks and their access time grow; the change time says when.
        plain = structs.replace(inode, lock=None, atime_ns=0, ctime_ns=0)
        return (plain, names, paths)


def _protects(lock: Lock | None, now_ns: int) -> bool:
    """The judge's own idea of it."""
    if lock is None:
        return False
    return bool(lock.holds) or (lock.retention is not None and lock.retention.until_ns > now_ns)


def _impatient() -> MockClock:
    """A second of grace for writers takes no time."""
    return MockClock(autojump_threshold=0)


def attack(steps: int, seed: int) -> tuple[Counter[str], Counter[str]]:
    """What was tried, and how often it was refused.

    Raises:
        Broken: a lock did not hold; names the seed of its episode and the step.
    """
    tried: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    for episode in range(-(-steps // EPISODE_STEPS)):
        attacker = Attacker(seed * 1_000_003 + episode)
        here = min(EPISODE_STEPS, steps - episode * EPISODE_STEPS)
        for number in range(here):
            try:
                attacker.step()
            except Broken as broken:
                raise Broken(f"seed {seed}, episode {episode}, step {number}: {broken}") from None
        attacker.end()
        tried += attacker.counts
        refused += attacker.refused
    return tried, refused
