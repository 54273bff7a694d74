"""Autocommit, WORM by habit, and locks that had to wait: when a file takes its directory's lock."""

import os
from collections.abc import Callable
from typing import Final

import pytest
import trio
from msgspec import structs
from trio.testing import MockClock

from s3fs_local.engine.attributes import AttributeChange
from s3fs_local.errors import InvalidRetention, NotPermitted, Protected, StoreFull, WriterActive
from s3fs_local.rules.inode import Caller, Inode
from s3fs_local.rules.instants import SECOND_NS
from s3fs_local.rules.namespace import OPEN_NS
from s3fs_local.rules.object_lock import DefaultRetention
from s3fs_local.rules.retention import COMPLIANCE, GOVERNANCE, DirectoryPolicy, Retention
from tests.engine.invariants import check_invariants
from tests.engine.memory_store import ALICE, ROOT, MemoryStore

DAY_NS: Final = 86_400 * SECOND_NS
TEN_MINUTES: Final = 600
QUIET: Final = DirectoryPolicy(
    COMPLIANCE, 30 * DAY_NS, commit="quiet", quiet_ns=TEN_MINUTES * SECOND_NS
)
HABIT: Final = DirectoryPolicy(COMPLIANCE, 30 * DAY_NS, commit="chmod")


def directory(store: MemoryStore, policy: DirectoryPolicy) -> MemoryStore:
    """The store with a protected directory /d."""
    store.mkdir("/d")
    store.fs.locks.set_policy(store.stat("/d").ino, policy, caller=ALICE)
    return store


@pytest.fixture
def quiet(store_with_locks: MemoryStore) -> MemoryStore:
    """Files in /d are locked ten minutes after the last write."""
    return directory(store_with_locks, QUIET)


@pytest.fixture
def habit(store_with_locks: MemoryStore) -> MemoryStore:
    """Files in /d are locked by chmod."""
    return directory(store_with_locks, HABIT)


def is_locked(store: MemoryStore, path: str) -> bool:
    """Whether the file can be neither written nor removed."""
    try:
        handle = store.open(path, os.O_WRONLY, ROOT)
    except Protected:
        return True
    store.fs.open_files.remove(handle)  # no release: looking changes nothing
    return False


def pass_time(store: MemoryStore, seconds: int) -> None:
    """Time passes, and the background task looks."""
    store.tick(seconds)
    while store.fs.locks.pending.lock_due():
        pass


def chmod(store: MemoryStore, path: str, mode: int, caller: Caller = ALICE) -> None:
    """The permission bits are set, as the front does it."""
    change(store, path, AttributeChange(mode=mode), caller)


def change(
    store: MemoryStore, path: str, wanted: AttributeChange, caller: Caller = ALICE
) -> Inode | None:
    """As the handler of SETATTR does."""
    ino = store.stat(path).ino
    if store.fs.locks_by_habit(ino, wanted):
        found = trio.run(
            store.fs.lock_by_habit, ino, wanted, caller, clock=MockClock(autojump_threshold=0)
        )
        assert isinstance(found, Inode)
        return found
    return store.fs.setattr(ino, wanted, None, caller)


def retention(store: MemoryStore, path: str) -> Retention:
    """The retention of the file."""
    lock = store.stat(path).lock
    assert lock is not None
    assert lock.retention is not None
    return lock.retention


def test_a_file_is_locked_when_nobody_has_written_to_it_for_a_while(quiet: MemoryStore) -> None:
    """Each write begins the wait anew; the period counts from the lock on."""
    quiet.write("/d/f", b"one")
    pass_time(quiet, TEN_MINUTES - 1)
    quiet.append("/d/f", b"two")
    pass_time(quiet, TEN_MINUTES - 1)
    assert not is_locked(quiet, "/d/f")

    pass_time(quiet, 2)
    assert is_locked(quiet, "/d/f")
    assert quiet.read("/d/f") == b"onetwo"
    assert retention(quiet, "/d/f").until_ns == quiet.fs.volume.now_ns() + 30 * DAY_NS
    assert quiet.metadata.pending_locks(0, OPEN_NS, 10) == []
    with pytest.raises(Protected):
        quiet.rename("/d", "/e")
    check_invariants(quiet)


def test_an_empty_file_is_never_locked_by_quiet(quiet: MemoryStore) -> None:
    """GlusterFS locked at zero bytes, and refused the content (gluster#1020, #1145)."""
    quiet.write("/d/f", b"")
    pass_time(quiet, 100 * TEN_MINUTES)
    quiet.write("/d/f", b"content")
    pass_time(quiet, TEN_MINUTES + 1)

    assert quiet.read("/d/f") == b"content"
    assert is_locked(quiet, "/d/f")


@pytest.mark.parametrize("flags", [os.O_WRONLY, os.O_RDWR, os.O_RDONLY | os.O_TRUNC])
def test_a_file_that_is_open_is_never_locked_by_quiet(quiet: MemoryStore, flags: int) -> None:
    """Its program believes in what it will write; and O_RDONLY|O_TRUNC changes it, too."""
    quiet.write("/d/f", b"one")
    handle = quiet.open("/d/f", flags)
    pass_time(quiet, 100 * TEN_MINUTES)
    if flags & os.O_ACCMODE:
        quiet.fs.write(handle, 0, b"two")
    quiet.close(handle)
    assert not is_locked(quiet, "/d/f")

    content = b"two" if flags & os.O_ACCMODE else b""
    assert quiet.read("/d/f") == content
    pass_time(quiet, TEN_MINUTES + 1)
    assert is_locked(quiet, "/d/f") == bool(content)
    check_invariants(quiet)


def test_a_reader_does_not_keep_a_file_from_being_locked(quiet: MemoryStore) -> None:
    """`tail -f` on a record is no writer; neither is who made it with O_CREAT|O_RDONLY."""
    quiet.write("/d/f", b"one")
    reader = quiet.open("/d/f", os.O_RDONLY)
    maker = quiet.open("/d/made", os.O_RDONLY | os.O_CREAT)
    assert quiet.fs.open_files.writers(quiet.stat("/d/made").ino) == []
    pass_time(quiet, TEN_MINUTES + 1)

    assert is_locked(quiet, "/d/f")
    quiet.close(reader)
    quiet.close(maker)


def test_what_is_due_survives_a_crash(quiet: MemoryStore) -> None:
    """A daemon that was killed locks after its next mount what was due meanwhile."""
    quiet.write("/d/closed", b"one")
    handle = quiet.open("/d/open", os.O_RDWR | os.O_CREAT)
    quiet.fs.write(handle, 0, b"one")
    quiet.fs.flush(handle)
    quiet.flush(durable=True)
    quiet.tick(TEN_MINUTES + 1)
    quiet.crash()
    assert not is_locked(quiet, "/d/closed")

    pass_time(quiet, 0)
    assert is_locked(quiet, "/d/closed")
    assert not is_locked(quiet, "/d/open")
    pass_time(quiet, TEN_MINUTES + 1)
    assert is_locked(quiet, "/d/open")
    check_invariants(quiet)


def test_a_file_that_was_removed_or_moved_out_meanwhile_is_not_locked(quiet: MemoryStore) -> None:
    """What counts is where it is when it is due; until then it is free."""
    quiet.write("/d/removed", b"one")
    quiet.write("/d/moved", b"one")
    quiet.remove("/d/removed")
    quiet.rename("/d/moved", "/moved")
    pass_time(quiet, TEN_MINUTES + 1)

    assert not is_locked(quiet, "/moved")
    assert quiet.metadata.pending_locks(0, OPEN_NS, 10) == []


def test_a_waiting_lock_falls_when_a_full_disk_has_room_again(
    store_with_locks: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is late, but it is not forgotten: neither by this mount nor by the next."""
    store = directory(store_with_locks, DirectoryPolicy(COMPLIANCE, 30 * DAY_NS))
    handle = store.open("/d/f", os.O_RDWR | os.O_CREAT)
    store.fs.write(handle, 0, b"one")
    store.fs.flush(handle)
    apply = store.fs.volume.durability.apply

    def full(*_: object, **__: object) -> None:
        raise StoreFull("no space")

    monkeypatch.setattr(store.fs.volume.durability, "apply", full)
    store.fs.release(handle)
    monkeypatch.setattr(store.fs.volume.durability, "apply", apply)
    assert not is_locked(store, "/d/f")

    pass_time(store, 1)
    assert is_locked(store, "/d/f")


def test_taking_write_permission_away_locks_until_the_access_time(habit: MemoryStore) -> None:
    """The story: touch -a -d DATE f; chmod a-w f; touch -a -d LATER f."""
    habit.write("/d/f", b"record")
    assert not is_locked(habit, "/d/f")
    until_ns = habit.clock.now_ns() + 7 * DAY_NS
    change(habit, "/d/f", AttributeChange(atime_ns=until_ns))
    chmod(habit, "/d/f", 0o444)

    assert is_locked(habit, "/d/f")
    assert retention(habit, "/d/f") == Retention(COMPLIANCE, until_ns)
    change(habit, "/d/f", AttributeChange(atime_ns=until_ns + DAY_NS))
    assert retention(habit, "/d/f").until_ns == until_ns + DAY_NS
    assert habit.stat("/d/f").atime_ns == until_ns + DAY_NS
    for refused in (
        AttributeChange(atime_ns=until_ns),
        AttributeChange(atime_ns=until_ns + 2 * DAY_NS, mtime_ns=5),
        AttributeChange(mtime_ns=until_ns + 2 * DAY_NS),
        AttributeChange(mode=0o644),
    ):
        with pytest.raises(Protected):
            change(habit, "/d/f", refused)
    assert retention(habit, "/d/f").until_ns == until_ns + DAY_NS
    check_invariants(habit)


def test_without_a_date_ahead_the_directory_says_until_when(habit: MemoryStore) -> None:
    """And the access time shows it, as on the appliances."""
    habit.write("/d/f", b"record")
    chmod(habit, "/d/f", 0o444)
    until_ns = retention(habit, "/d/f").until_ns

    now_ns = habit.fs.volume.now_ns()
    assert now_ns + 29 * DAY_NS < until_ns <= now_ns + 30 * DAY_NS
    assert habit.stat("/d/f").atime_ns == until_ns


def test_chmod_locks_nothing_that_is_empty_or_already_readonly(habit: MemoryStore) -> None:
    """The content is still to come; and only the step from writable to read-only commits."""
    habit.write("/d/empty", b"")
    chmod(habit, "/d/empty", 0o444)
    habit.write("/d/f", b"record")
    chmod(habit, "/d/f", 0o644)
    chmod(habit, "/d/f", 0o600)
    habit.write("/outside", b"record")
    chmod(habit, "/outside", 0o444)

    for path in ("/d/empty", "/d/f", "/outside"):
        assert not is_locked(habit, path), path


def test_chmod_of_a_file_that_is_written_is_refused(habit: MemoryStore) -> None:
    """EBUSY after a second of grace; the mode is as it was, so it can be tried again."""
    habit.write("/d/f", b"record")
    writer = habit.open("/d/f", os.O_WRONLY)
    with pytest.raises(WriterActive):
        chmod(habit, "/d/f", 0o444)
    assert habit.stat("/d/f").mode & 0o777 == 0o644

    habit.close(writer)
    chmod(habit, "/d/f", 0o444)
    assert is_locked(habit, "/d/f")


def test_a_date_beyond_a_century_is_refused_and_locks_nothing(habit: MemoryStore) -> None:
    """As with the other ways to lock; a typing error should not last for ever."""
    habit.write("/d/f", b"record")
    change(habit, "/d/f", AttributeChange(atime_ns=habit.clock.now_ns() + 40_000 * DAY_NS))
    with pytest.raises(InvalidRetention):
        chmod(habit, "/d/f", 0o444)

    assert habit.stat("/d/f").mode & 0o777 == 0o644
    assert not is_locked(habit, "/d/f")


def test_nobody_locks_a_file_of_others_by_habit(habit: MemoryStore) -> None:
    """The kernel refuses chmod to others already; the engine does not rely on it."""
    habit.write("/d/f", b"record")
    with pytest.raises(NotPermitted):
        chmod(habit, "/d/f", 0o444, Caller(uid=1001, gid=1001))
    assert not is_locked(habit, "/d/f")


def test_the_default_of_the_store_locks_what_is_closed(store_with_locks: MemoryStore) -> None:
    """Put-object-lock-configuration; a directory that demands more gets more."""
    store = store_with_locks
    volume = store.fs.volume
    default = DefaultRetention("GOVERNANCE", days=1)
    volume.settings = structs.replace(volume.settings, default_retention=default)
    directory(store, DirectoryPolicy(COMPLIANCE, 30 * DAY_NS))
    store.write("/f", b"one")
    store.write("/empty", b"")
    store.write("/d/f", b"one")

    assert retention(store, "/f").mode == GOVERNANCE
    assert retention(store, "/d/f").mode == COMPLIANCE
    assert not is_locked(store, "/empty")
    store.tick(2 * 86_400)
    assert not is_locked(store, "/f")
    assert is_locked(store, "/d/f")


def test_a_short_lock_of_its_own_does_not_evade_a_directory(store_with_locks: MemoryStore) -> None:
    """A default gives way to it, as in S3; what a directory demands is no default."""
    store = directory(store_with_locks, DirectoryPolicy(COMPLIANCE, 30 * DAY_NS))
    handle = store.open("/d/f", os.O_RDWR | os.O_CREAT)
    store.fs.write(handle, 0, b"one")
    ino = store.stat("/d/f").ino
    short = Retention(GOVERNANCE, store.clock.now_ns() + SECOND_NS)

    async def lock() -> None:
        await store.fs.lock_attributes.set_retention(ino, short, ALICE, cut_writers=True)

    trio.run(lock)
    store.close(handle)

    assert retention(store, "/d/f").mode == COMPLIANCE
    assert retention(store, "/d/f").until_ns > store.clock.now_ns() + 29 * DAY_NS


def test_an_empty_log_under_a_retention_is_finished(store_with_locks: MemoryStore) -> None:
    """Append-only files may be given attributes while they are empty; locked ones never."""
    store = store_with_locks
    store.write("/log", b"")
    ino = store.stat("/log").ino
    store.fs.locks.set_append_only(ino, caller=ALICE)
    store.chmod("/log", 0o640)
    until = Retention(COMPLIANCE, store.clock.now_ns() + DAY_NS)
    store.fs.locks.set_retention(ino, until, caller=ALICE)
    store.write("/other", b"other")
    other = store.stat("/other")
    attempts: list[Callable[[], object]] = [
        lambda: store.chmod("/log", 0o666),
        lambda: store.fs.setxattr(ino, b"user.a", b"1", ROOT),
        lambda: store.fs.restore_content(ino, other.ino, other.version_ns, caller=ROOT),
    ]

    for attempt in attempts:
        with pytest.raises(Protected):
            attempt()
