"""docs/semantics.md, 4: locks."""

import errno
import os
from collections.abc import Callable
from functools import partial

import pytest
import trio
from msgspec import structs
from trio.testing import MockClock

from s3fs_local.engine.attributes import AttributeChange
from s3fs_local.engine.purging import purge
from s3fs_local.engine.refusals import Refusal
from s3fs_local.errors import (
    BypassNotPermitted,
    DirectoryNotEmpty,
    InvalidArgument,
    NotPermitted,
    ObjectLockDisabled,
    Protected,
    WriterActive,
)
from s3fs_local.fuse.errno_table import errno_of
from s3fs_local.rules.inode import ROOT_INO, Caller
from s3fs_local.rules.instants import SECOND_NS
from s3fs_local.rules.object_lock import DefaultRetention
from s3fs_local.rules.retention import (
    COMPLIANCE,
    GOVERNANCE,
    Bypass,
    DirectoryPolicy,
    LegalHold,
    Operation,
    Retention,
    Semantics,
)
from s3fs_local.rules.settings import GovernanceBypass
from tests.engine.memory_store import ALICE, ROOT, START_NS, MemoryStore
from tests.mounting import MountedStore, s3fs_local
from tests.pretended_machine import PretendedMachine
from tests.semantics.promises import promise

DAY_S = 86_400
BOB = Caller(uid=1001, gid=1001)
ENTITLED = Bypass(entitled=True, reason="typing error")


def retain(store: MemoryStore, path: str, mode: str = COMPLIANCE, *, days: int = 1) -> None:
    """The file is locked for so many days from now."""
    wanted = Retention(mode, store.clock.now_ns() + days * DAY_S * SECOND_NS)
    store.fs.locks.set_retention(store.stat(path).ino, wanted, caller=ALICE)


def hold(store: MemoryStore, path: str, case: str) -> None:
    """The file is held for the case."""
    wanted = LegalHold(case, "a reason", ALICE.uid, store.clock.now_ns())
    store.fs.locks.set_legal_hold(store.stat(path).ino, wanted, caller=ALICE)


def protect(store: MemoryStore, path: str, *, append_only: bool = False, days: int = 7) -> None:
    """New files below the directory are locked."""
    policy = DirectoryPolicy(COMPLIANCE, days * DAY_S * SECOND_NS, append_only)
    store.fs.locks.set_policy(store.stat(path).ino, policy, caller=ALICE)


def is_refused(attempt: Callable[[], object]) -> bool:
    """Whether the attempt fails as a lock makes it fail."""
    try:
        attempt()
    except Protected as refusal:
        return errno_of(refusal) == errno.EPERM
    return False


@promise(
    "A locked file cannot be written, truncated, renamed, replaced, linked, removed or given "
    "other attributes, "
    "by root neither."
)
def test_a_lock_stops_every_change(store: MemoryStore) -> None:
    """Whatever the door: each has been forgotten in some other filesystem."""
    store.write("/f", b"one")
    store.write("/g", b"two")
    reader = store.open("/f", os.O_RDONLY)
    retain(store, "/f")
    fs, ino = store.fs, store.stat("/f").ino
    older = fs.volume.metadata.versions(store.stat("/g").ino)[0]
    attempts: list[Callable[[], object]] = [
        lambda: store.open("/f", os.O_WRONLY, ROOT),
        lambda: store.open("/f", os.O_RDWR, ROOT),
        lambda: store.open("/f", os.O_RDONLY | os.O_TRUNC, ROOT),
        lambda: store.truncate("/f", 0),
        lambda: store.rename("/f", "/h", caller=ROOT),
        lambda: store.rename("/g", "/f", caller=ROOT),
        lambda: store.rename("/f", "/g", 2, ROOT),
        lambda: store.rename("/g", "/f", 2, ROOT),
        lambda: store.link("/f", "/h"),
        lambda: store.remove("/f", ROOT),
        lambda: fs.setattr(ino, AttributeChange(mode=0), None, ROOT),
        lambda: fs.setattr(ino, AttributeChange(uid=7), None, ROOT),
        lambda: fs.setattr(ino, AttributeChange(mtime_ns=7), reader, ROOT),
        lambda: fs.setxattr(ino, b"user.a", b"1", ROOT),
        lambda: fs.restore_content(ino, older.ino, older.stamp_ns, caller=ROOT),
    ]

    assert [is_refused(attempt) for attempt in attempts] == [True] * len(attempts)
    assert store.history("/f") == [b"one"]


@promise("The versions that are locked cannot be purged.")
def test_a_locked_version_is_not_purged(store: MemoryStore) -> None:
    """Also one that is not the current one any more."""
    store.write("/f", b"one")
    retain(store, "/f")
    item = store.fs.histories.of_name(ROOT_INO, b"f").items[0]

    assert is_refused(lambda: purge(store.fs, item, caller=ROOT, bypass=ENTITLED))


@promise("COMPLIANCE yields to nobody before its date.")
def test_compliance_knows_no_bypass(store: MemoryStore) -> None:
    """Root with every reason is nobody too."""
    store.write("/f", b"one")
    retain(store, "/f")
    locks, ino = store.fs.locks, store.stat("/f").ino

    assert is_refused(lambda: locks.set_retention(ino, None, caller=ROOT, bypass=ENTITLED))


@promise("GOVERNANCE yields to root and the bypass group, if they ask for it and give a reason.")
def test_governance_yields_to_who_may(store: MemoryStore) -> None:
    """A lock against mistakes, and against everybody else."""
    store.write("/f", b"one")
    retain(store, "/f", GOVERNANCE)
    locks, ino = store.fs.locks, store.stat("/f").ino

    assert is_refused(lambda: locks.set_retention(ino, None, caller=ROOT))
    for bypass in (Bypass(entitled=False, reason="please"), Bypass(entitled=True, reason=" ")):
        with pytest.raises(BypassNotPermitted):
            locks.set_retention(ino, None, caller=ALICE, bypass=bypass)
    locks.set_retention(ino, None, caller=ROOT, bypass=ENTITLED)
    store.remove("/f")


@promise("Retention only grows: a later date and a stricter mode are accepted, nothing else.")
def test_retention_only_grows(store: MemoryStore) -> None:
    """Or a lock would be worth as much as the last command."""
    store.write("/f", b"one")
    retain(store, "/f", GOVERNANCE, days=1)
    retain(store, "/f", GOVERNANCE, days=2)
    retain(store, "/f", COMPLIANCE, days=2)

    assert is_refused(lambda: retain(store, "/f", COMPLIANCE, days=1))
    assert is_refused(lambda: retain(store, "/f", GOVERNANCE, days=3))


@promise("Legal holds of different cases are independent of each other, and of any retention.")
def test_the_last_hold_lifted_frees_the_file(store: MemoryStore) -> None:
    """A case that is closed must not free what another needs."""
    store.write("/f", b"one")
    hold(store, "/f", "A")
    hold(store, "/f", "B")
    locks, ino = store.fs.locks, store.stat("/f").ino
    locks.clear_legal_hold(ino, "A", caller=ALICE)

    assert is_refused(lambda: store.remove("/f"))
    retain(store, "/f")
    locks.clear_legal_hold(ino, "B", caller=ALICE)
    assert is_refused(lambda: store.remove("/f"))
    store.tick(DAY_S)
    store.remove("/f")


@promise("After its date a locked file is a file like any other.")
def test_a_lock_ends_at_its_date(store: MemoryStore) -> None:
    """To the second, and without a command."""
    store.write("/f", b"one")
    retain(store, "/f")
    store.tick(DAY_S - 2)
    assert is_refused(lambda: store.write("/f", b"two"))
    store.tick(1)
    store.write("/f", b"three")

    assert store.read("/f") == b"three"


@promise("A directory with a protected file in it, at any depth, cannot be renamed or moved.")
def test_protected_files_keep_their_place(store: MemoryStore) -> None:
    """Moving the directory is the oldest way around a lock."""
    store.mkdir("/a")
    store.mkdir("/a/b")
    store.mkdir("/other")
    store.write("/a/b/f", b"one")
    retain(store, "/a/b/f")

    assert is_refused(lambda: store.rename("/a", "/c", caller=ROOT))
    assert is_refused(lambda: store.rename("/a/b", "/other/b", caller=ROOT))
    assert is_refused(lambda: store.rename("/a", "/other", 2, caller=ROOT))
    store.tick(DAY_S)
    store.rename("/a", "/c")


@promise(
    "A file that somebody has open for writing is not locked: after a second of grace the "
    "answer is EBUSY."
)
def test_a_writer_is_not_cut_off_by_surprise(store: MemoryStore) -> None:
    """Or a program would believe in a write that will be refused."""
    store.write("/f", b"one")
    store.open("/f", os.O_WRONLY)
    wanted = Retention(COMPLIANCE, store.clock.now_ns() + DAY_S * SECOND_NS)

    async def lock() -> None:
        await store.fs.lock_attributes.set_retention(store.stat("/f").ino, wanted, ALICE)

    with pytest.raises(WriterActive, match=str(ALICE.pid)) as refusal:
        trio.run(lock, clock=MockClock(autojump_threshold=0))
    assert errno_of(refusal.value) == errno.EBUSY


@promise(
    "With `--cut-writers` it is locked anyway; what was written is kept, and later writes fail."
)
def test_a_writer_can_be_cut_off(store: MemoryStore) -> None:
    """When it matters more that the lock falls now."""
    writer = store.open("/f", os.O_WRONLY | os.O_CREAT)
    store.fs.write(writer, 0, b"before")
    wanted = Retention(COMPLIANCE, store.clock.now_ns() + DAY_S * SECOND_NS)

    async def lock() -> None:
        ino = store.stat("/f").ino
        await store.fs.lock_attributes.set_retention(ino, wanted, ALICE, cut_writers=True)

    trio.run(lock)

    assert is_refused(lambda: store.fs.write(writer, 6, b"after"))
    store.close(writer)
    assert store.read("/f") == b"before"


@promise(
    "An append-only file takes bytes at its end and nothing else, also from programs that had "
    "it open before."
)
def test_what_was_appended_stays(store: MemoryStore) -> None:
    """A log that its own writer cannot change any more."""
    store.write("/log", b"one\n")
    writer = store.open("/log", os.O_WRONLY)
    store.fs.locks.set_append_only(store.stat("/log").ino, caller=ALICE)
    store.fs.write(writer, 4, b"two\n")

    for attempt in (
        lambda: store.fs.write(writer, 0, b"X"),
        lambda: store.truncate("/log", 0),
        lambda: store.write("/log", b"forged"),
        lambda: store.remove("/log", ROOT),
        lambda: store.chmod("/log", 0),
    ):
        assert is_refused(attempt)
    store.close(writer)
    assert store.read("/log") == b"one\ntwo\n"


@promise("Renaming an append-only file within its directory to a free name seals it.")
def test_rotation_seals(store: MemoryStore) -> None:
    """Programs like logrotate need no change."""
    store.mkdir("/d")
    protect(store, "/d", append_only=True)
    writer = store.open("/d/log", os.O_WRONLY | os.O_CREAT)
    store.fs.write(writer, 0, b"one\n")
    store.rename("/d/log", "/d/log.1")
    store.fs.write(writer, 4, b"two\n")
    store.close(writer)

    assert store.read("/d/log.1") == b"one\ntwo\n"
    assert is_refused(lambda: store.append("/d/log.1", b"three\n"))
    assert is_refused(lambda: store.rename("/d/log.1", "/d/log.2"))
    store.append("/d/log", b"a new one\n")


@promise(
    "`protect` locks the files that are made below a directory from then on; those that are "
    "there stay as they are."
)
def test_protection_begins_with_the_next_file(store: MemoryStore) -> None:
    """Nobody's old files freeze because of one command."""
    store.mkdir("/d")
    store.mkdir("/d/deep")
    store.write("/d/old", b"one")
    protect(store, "/d")
    store.write("/d/new", b"one")
    store.write("/d/deep/new", b"one")
    store.chmod("/d/old", 0o600)

    assert is_refused(lambda: store.chmod("/d/new", 0o600))
    assert is_refused(lambda: store.chmod("/d/deep/new", 0o600))


@promise(
    "A file that is moved or linked into a protected directory is locked by its next save there, "
    "not by the move."
)
def test_a_move_locks_nothing(store: MemoryStore) -> None:
    """A move can be taken back as long as nobody saved anything there."""
    store.mkdir("/d")
    protect(store, "/d")
    for name in ("moved", "linked"):
        store.write(f"/{name}", b"one")
    store.rename("/moved", "/d/moved")
    store.link("/linked", "/d/linked")
    for name in ("moved", "linked"):
        store.chmod(f"/d/{name}", 0o600)
        store.append(f"/d/{name}", b"two")
        assert is_refused(partial(store.chmod, f"/d/{name}", 0o644))

    store.write("/d/copied", b"one")
    assert is_refused(lambda: store.remove("/d/copied"))


@promise("The protection of a directory can only be made stricter.")
def test_a_policy_is_never_weakened(store: MemoryStore) -> None:
    """Else the next file would be unprotected."""
    store.mkdir("/d")
    protect(store, "/d", days=7)
    protect(store, "/d", days=8, append_only=True)

    with pytest.raises(InvalidArgument):
        protect(store, "/d", days=7, append_only=True)
    with pytest.raises(InvalidArgument):
        protect(store, "/d", days=9)


@promise(
    "A file made in a protected directory is locked when its last writer has closed it, so its "
    "maker can still set mode and owner."
)
def test_a_new_file_can_be_finished(store: MemoryStore) -> None:
    """In logrotate, `create 0640 root adm` makes a file, then sets its mode, then closes it."""
    store.mkdir("/d")
    protect(store, "/d", append_only=True)
    writer = store.open("/d/log", os.O_WRONLY | os.O_CREAT)
    store.chmod("/d/log", 0o640)
    store.fs.write(writer, 0, b"one")
    store.close(writer)

    assert store.stat("/d/log").mode & 0o777 == 0o640
    assert is_refused(lambda: store.chmod("/d/log", 0o600))


@promise("An empty file is not locked by its directory.")
def test_an_empty_file_waits_for_its_content(store: MemoryStore) -> None:
    """GlusterFS locked a file of zero bytes before its writer had come (gluster#1020)."""
    store.mkdir("/d")
    protect(store, "/d")
    store.write("/d/file", b"")
    store.write("/d/file", b"content")

    assert store.read("/d/file") == b"content"
    assert is_refused(lambda: store.write("/d/file", b"other"))


@promise("An append-only file that is still empty can be given mode, owner and times.")
def test_an_empty_log_can_be_finished(store: MemoryStore) -> None:
    """The daemon auditd makes its log, closes it, opens it again and sets its mode."""
    store.mkdir("/d")
    protect(store, "/d", append_only=True)
    store.write("/d/log", b"")
    store.chmod("/d/log", 0o600)
    writer = store.open("/d/log", os.O_WRONLY)
    store.fs.write(writer, 0, b"one\n")

    assert is_refused(lambda: store.chmod("/d/log", 0o666))


@promise("Attributes that are set to what they are already are no change, so no lock refuses them.")
def test_setting_what_is_so_already_is_accepted(store: MemoryStore) -> None:
    """The daemon auditd sets the mode of its log at each start, and rsync -X what it finds."""
    store.write("/f", b"one")
    store.fs.setxattr(store.stat("/f").ino, b"user.a", b"1", ALICE)
    retain(store, "/f")
    before = store.stat("/f")
    store.chmod("/f", before.mode & 0o7777)
    store.fs.setxattr(before.ino, b"user.a", b"1", ALICE)

    assert store.stat("/f") == before


@promise("Only the owner of a file and root may lock it.")
def test_others_may_not_lock(store: MemoryStore) -> None:
    """A lock on somebody else's file would be a weapon."""
    store.write("/f", b"one")
    wanted = Retention(COMPLIANCE, store.clock.now_ns() + DAY_S * SECOND_NS)

    with pytest.raises(NotPermitted):
        store.fs.locks.set_retention(store.stat("/f").ino, wanted, caller=BOB)


@pytest.mark.mount
@pytest.mark.slow
@promise(
    "Locks need Object Lock, which is never switched off again, and which keeps versioning Enabled."
)
def test_object_lock_stays_on(shared_mount: MountedStore) -> None:
    """As in S3."""
    without = MemoryStore()
    without.write("/f", b"one")

    with pytest.raises(ObjectLockDisabled):
        retain(without, "/f")
    for setting, value in (("object-lock", "off"), ("versioning", "Suspended")):
        refused = s3fs_local("config", "set", shared_mount.store, setting, value, check=False)
        assert refused.returncode
        assert "Object Lock" in refused.stderr


@promise("The attributes `s3.*` are not listed, so no program ever copies a lock.")
def test_lock_attributes_are_not_listed(store: MemoryStore) -> None:
    """`cp -a` and `rsync -X` copy what is listed."""
    store.write("/f", b"one")
    ino = store.stat("/f").ino
    store.fs.setxattr(ino, b"user.a", b"1", ALICE)
    retain(store, "/f")

    assert store.fs.listxattr(ino) == [b"user.a"]
    assert store.fs.getxattr(ino, b"s3.object-lock").startswith(b"COMPLIANCE ")


@promise("Dates are judged by the store's own clock, which never runs backwards.")
def test_setting_the_machines_clock_ends_no_lock() -> None:
    """`date -s` is the second oldest way around a lock."""
    machine = PretendedMachine()
    clock = machine.clock(floor_ns=START_NS)
    machine.wall += 365 * DAY_S * SECOND_NS
    machine.pass_time(SECOND_NS)

    assert clock.now_ns() == START_NS + SECOND_NS
    assert clock.expiry_ns() == START_NS
    machine.wall = START_NS - DAY_S * SECOND_NS
    assert clock.now_ns() == START_NS + SECOND_NS


@promise(
    "With the setting `lock-semantics` at `s3`, changing a locked file succeeds, and the "
    "locked version stays."
)
def test_s3_semantics_lock_versions_not_files(store: MemoryStore) -> None:
    """What backup programs expect that were written for S3."""
    volume = store.fs.volume
    volume.settings = structs.replace(volume.settings, lock_semantics=Semantics.S3)
    store.write("/f", b"one")
    retain(store, "/f")
    store.write("/f", b"two")
    store.remove("/f")
    item = store.fs.histories.of_name(ROOT_INO, b"f").items[-1]

    assert store.history("/f") == [b"two", b"one"]
    assert is_refused(lambda: purge(store.fs, item, caller=ROOT, bypass=ENTITLED))


@promise("What directories above each other ask for adds up:")
def test_defaults_add_up(store: MemoryStore) -> None:
    """A weaker default further down is no way around the one above."""
    store.mkdir("/d")
    store.mkdir("/d/e")
    protect(store, "/d/e", days=1)
    protect(store, "/d", days=30, append_only=True)
    store.write("/d/e/f", b"one")

    found = store.stat("/d/e/f")
    assert found.append_only
    assert found.lock is not None
    assert found.lock.retention is not None
    assert found.lock.retention.until_ns > store.clock.now_ns() + 29 * DAY_S * SECOND_NS


@promise("A rotated log stays frozen if no directory says for how long.")
def test_a_rotated_log_without_a_date_stays(store: MemoryStore) -> None:
    """Else `mv log log.1; rm log.1` would undo append-only."""
    store.write("/log", b"one")
    store.fs.locks.set_append_only(store.stat("/log").ino, caller=ALICE)
    store.rename("/log", "/log.1")

    assert is_refused(lambda: store.remove("/log.1"))


@promise("Only who placed a legal hold, and root, may lift it.")
def test_a_hold_is_lifted_by_who_placed_it(store: MemoryStore) -> None:
    """A hold is often a hold against the owner."""
    store.write("/f", b"one")
    ino = store.stat("/f").ino
    hold = LegalHold(case="7", reason="court", holder=0, placed_ns=1)
    store.fs.locks.set_legal_hold(ino, hold, caller=ROOT)

    with pytest.raises(NotPermitted):
        store.fs.locks.clear_legal_hold(ino, "7", caller=ALICE)


@promise(
    "A directory may have semantics of its own, by `protect --semantics file|s3`, and so has all "
    "that is below it."
)
def test_semantics_are_said_by_directory(store: MemoryStore) -> None:
    """Backups beside records, in one store."""
    store.mkdir("/backups")
    store.mkdir("/backups/deep")
    store.mkdir("/records")
    policy = DirectoryPolicy(COMPLIANCE, DAY_S * SECOND_NS, semantics="s3")
    store.fs.locks.set_policy(store.stat("/backups").ino, policy, caller=ALICE)
    protect(store, "/records")
    for path in ("/backups/deep/f", "/records/f"):
        store.write(path, b"one")

    store.write("/backups/deep/f", b"two")
    store.remove("/backups/deep/f")
    store.rename("/backups/deep", "/backups/moved")
    item = store.fs.histories.of_name(*store.place("/backups/moved/f")).items[-1]
    assert is_refused(lambda: purge(store.fs, item, caller=ROOT, bypass=ENTITLED))
    assert is_refused(lambda: store.write("/records/f", b"two"))


@promise(
    "Semantics only go from `s3` to `file`. A store or directory in which files are locked in "
    "place does not go to `s3`."
)
def test_semantics_are_never_weakened(store: MemoryStore) -> None:
    """Else what is locked could be removed after one command."""
    store.mkdir("/d")
    store.mkdir("/e")
    store.write("/d/f", b"one")
    retain(store, "/d/f")
    protect(store, "/e")
    weaker = DirectoryPolicy(COMPLIANCE, 8 * DAY_S * SECOND_NS, semantics="s3")
    locks = store.fs.locks

    assert is_refused(lambda: locks.set_policy(store.stat("/d").ino, weaker, caller=ROOT))
    assert is_refused(lambda: locks.check(Operation.WEAKEN_SEMANTICS, store.stat("/")))
    with pytest.raises(InvalidArgument):
        locks.set_policy(store.stat("/e").ino, weaker, caller=ROOT)
    store.tick(DAY_S + 1)
    locks.set_policy(store.stat("/d").ino, weaker, caller=ALICE)
    stricter = structs.replace(weaker, semantics="file")
    locks.set_policy(store.stat("/d").ino, stricter, caller=ALICE)


@promise(
    "What a second `protect` of a directory does not say of semantics and commit stays as it was."
)
def test_a_second_protect_drops_nothing(store: MemoryStore) -> None:
    """A longer time is all that was meant."""
    store.mkdir("/d")
    ino = store.stat("/d").ino
    first = DirectoryPolicy(
        COMPLIANCE, DAY_S * SECOND_NS, semantics="s3", commit="quiet", quiet_ns=600 * SECOND_NS
    )
    store.fs.locks.set_policy(ino, first, caller=ALICE)
    protect(store, "/d", days=9)

    policy = store.stat("/d").policy
    assert policy == structs.replace(first, period_ns=9 * DAY_S * SECOND_NS)


@promise(
    "The semantics that hold when a directory is protected stay, whatever the store's setting is "
    "later."
)
def test_protection_pins_its_semantics(store: MemoryStore) -> None:
    """Whoever administers the store later does not change what was promised."""
    store.mkdir("/d")
    protect(store, "/d")
    volume = store.fs.volume
    volume.settings = structs.replace(volume.settings, lock_semantics=Semantics.S3)
    store.write("/d/f", b"one")

    assert is_refused(lambda: store.write("/d/f", b"two"))


@promise(
    "With `protect --commit quiet=10m` a file is locked when nobody has written to it for ten "
    "minutes."
)
def test_quiet_files_are_locked(store: MemoryStore) -> None:
    """Programs that save several times have their time."""
    quietly(store)
    store.write("/d/f", b"one")
    store.tick(599)
    store.append("/d/f", b"two")
    lock_due(store, 600 - 2)
    assert not is_refused(lambda: store.append("/d/f", b"three"))

    lock_due(store, 602)
    assert is_refused(lambda: store.append("/d/f", b"four"))


@promise("A file that is empty, or open for writing, is never locked by the passing of time.")
def test_time_locks_no_empty_and_no_open_file(store: MemoryStore) -> None:
    """Its content is still to come."""
    quietly(store)
    store.write("/d/empty", b"")
    handle = store.open("/d/open", os.O_RDWR | os.O_CREAT)
    store.fs.write(handle, 0, b"one")
    store.fs.flush(handle)
    lock_due(store, 100 * DAY_S)

    store.fs.write(handle, 3, b"two")
    store.close(handle)
    store.write("/d/empty", b"content")


@promise(
    "With `protect --commit chmod`, `touch -a -d DATE f; chmod a-w f` locks a file until DATE, or "
    "for the directory's time if DATE is not ahead."
)
def test_files_are_locked_by_habit(store: MemoryStore) -> None:
    """As on the appliances, with the commands that people know by heart."""
    store.mkdir("/d")
    policy = DirectoryPolicy(COMPLIANCE, DAY_S * SECOND_NS, commit="chmod")
    store.fs.locks.set_policy(store.stat("/d").ino, policy, caller=ALICE)
    store.write("/d/f", b"one")
    fs, ino = store.fs, store.stat("/d/f").ino
    until_ns = store.clock.now_ns() + 5 * DAY_S * SECOND_NS
    fs.setattr(ino, AttributeChange(atime_ns=until_ns), None, ALICE)
    readonly = AttributeChange(mode=0o444)
    assert fs.locks_by_habit(ino, readonly)
    trio.run(fs.lock_by_habit, ino, readonly, ALICE)

    assert fs.getxattr(ino, b"s3.object-lock").startswith(b"COMPLIANCE ")
    assert store.stat("/d/f").atime_ns == until_ns
    later_ns = until_ns + DAY_S * SECOND_NS
    fs.setattr(ino, AttributeChange(atime_ns=later_ns), None, ALICE)
    assert is_refused(lambda: fs.setattr(ino, AttributeChange(atime_ns=until_ns), None, ALICE))
    store.tick(5 * DAY_S)
    assert is_refused(lambda: store.remove("/d/f"))
    store.tick(2 * DAY_S)
    store.remove("/d/f")


@promise("Locks that fall by themselves survive a crash, and wait on a full disk.")
def test_waiting_locks_are_not_forgotten(store: MemoryStore) -> None:
    """What was promised when the file was closed is kept after the next mount."""
    quietly(store)
    store.write("/d/f", b"one")
    store.flush(durable=True)
    store.crash()
    lock_due(store, 601)

    assert is_refused(lambda: store.write("/d/f", b"two"))


@promise(
    "`bucket object-lock put` gives each new version of the store a retention from its commit on."
)
def test_the_store_has_a_default_retention(store: MemoryStore) -> None:
    """Put-object-lock-configuration."""
    with_default(store, days=2)
    store.write("/f", b"one")
    store.tick(2 * DAY_S - 2)
    assert is_refused(lambda: store.remove("/f"))
    store.tick(3)
    store.remove("/f")


@promise("A retention that a file was given by itself wins over the store's default.")
def test_what_a_file_is_given_wins_over_a_default(store: MemoryStore) -> None:
    """Also if it is shorter (S3); a directory's demand is kept all the same."""
    with_default(store, days=30)
    handle = store.open("/f", os.O_RDWR | os.O_CREAT)
    store.fs.write(handle, 0, b"one")
    wanted = Retention(GOVERNANCE, store.clock.now_ns() + DAY_S * SECOND_NS)

    async def lock() -> None:
        ino = store.stat("/f").ino
        await store.fs.lock_attributes.set_retention(ino, wanted, ALICE, cut_writers=True)

    trio.run(lock)
    store.close(handle)
    lock_now = store.stat("/f").lock

    assert lock_now is not None
    assert lock_now.retention == wanted


@promise(
    "With the setting `governance-bypass` at `permanently-disabled` GOVERNANCE yields to nobody."
)
def test_the_bypass_can_be_given_up(store: MemoryStore) -> None:
    """Then GOVERNANCE is as good as COMPLIANCE against everybody."""
    volume = store.fs.volume
    final = GovernanceBypass.PERMANENTLY_DISABLED
    volume.settings = structs.replace(volume.settings, governance_bypass=final)
    store.write("/f", b"one")
    retain(store, "/f", GOVERNANCE)
    locks, ino = store.fs.locks, store.stat("/f").ino

    with pytest.raises(BypassNotPermitted, match="nobody may override GOVERNANCE"):
        locks.set_retention(ino, None, caller=ROOT, bypass=ENTITLED)


@pytest.mark.mount
@pytest.mark.slow
@promise("`why` answers from the rule that refuses, and says until when it does and who may.")
def test_a_refusal_is_explained(shared_mount: MountedStore) -> None:
    """Whoever meets EPERM learns what to do, from the command and from the attribute."""
    file = shared_mount.path / "explained"
    file.write_bytes(b"one")
    s3fs_local("legal-hold", "set", file, "--case", "17", "--reason", "court")
    said = s3fs_local("why", "unlink", file).stdout
    reason = os.getxattr(file, "s3.lock-reason").decode()
    s3fs_local("legal-hold", "clear", file, "--case", "17", "--reason", "over")

    assert "unlink refused: legal hold for case '17'" in said
    assert "until: no date is set" in said
    assert "nobody until the legal hold is cleared by its holder or root (case 17)" in said
    assert reason == "legal hold for case '17': court"


@promise(
    "Each refusal by a lock is in `STORE/daemon.log`, with the user, the process and its program."
)
def test_refusals_are_recorded(store: MemoryStore, caplog: pytest.LogCaptureFixture) -> None:
    """The first question after an incident is who."""
    store.write("/f", b"one")
    retain(store, "/f")
    heard: list[Refusal] = []
    store.fs.refusals.listeners.append(heard.append)
    with pytest.raises(Protected) as refused:
        store.remove("/f")
    with caplog.at_level("WARNING"):
        store.fs.refusals.note(refused.value, Caller(uid=7, gid=7, pid=os.getpid()))

    assert "tried by user 7, process" in caplog.text
    assert "python" in caplog.text
    assert [(refusal.operation, refusal.path, refusal.uid) for refusal in heard] == [
        ("unlink", b"f", 7)
    ]


@promise(
    "`rm -r` of a tree removes what is free and leaves what is locked. Moving the tree is refused "
    "as a whole."
)
def test_a_tree_with_a_locked_file_is_removed_in_part_and_moved_not_at_all(
    store: MemoryStore,
) -> None:
    """Unlink is asked of each file, a move of all that is below."""
    store.mkdir("/d")
    store.write("/d/free", b"one")
    store.write("/d/locked", b"one")
    retain(store, "/d/locked")

    assert is_refused(lambda: store.rename("/d", "/e"))
    assert store.listing("/d") == [b"free", b"locked"]
    store.remove("/d/free")
    assert is_refused(lambda: store.remove("/d/locked"))
    with pytest.raises(DirectoryNotEmpty):
        store.remove("/d")


def quietly(store: MemoryStore) -> None:
    """/d locks its files ten minutes after the last write."""
    store.mkdir("/d")
    policy = DirectoryPolicy(
        COMPLIANCE, 900 * DAY_S * SECOND_NS, commit="quiet", quiet_ns=600 * SECOND_NS
    )
    store.fs.locks.set_policy(store.stat("/d").ino, policy, caller=ALICE)


def lock_due(store: MemoryStore, seconds: int) -> None:
    """Time passes, and the background task looks."""
    store.tick(seconds)
    store.fs.locks.pending.lock_due()


def with_default(store: MemoryStore, *, days: int) -> None:
    """New versions have a default retention."""
    volume = store.fs.volume
    default = DefaultRetention(GOVERNANCE, days=days)
    volume.settings = structs.replace(volume.settings, default_retention=default)
