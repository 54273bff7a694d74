"""Nothing that the filesystem can do alters, hides or frees a locked file."""

import inspect
import os
from collections.abc import Callable
from typing import Final

import msgspec
import pytest
import trio
import trio.testing

from s3fs_local.engine.attributes import AttributeChange
from s3fs_local.engine.filesystem import FileSystem
from s3fs_local.engine.purging import purge
from s3fs_local.errors import (
    BypassNotPermitted,
    InvalidArgument,
    InvalidRetention,
    NoSuchAttribute,
    NotPermitted,
    ObjectLockDisabled,
    Protected,
    WriterActive,
)
from s3fs_local.rules.inode import SEALING, Caller
from s3fs_local.rules.instants import SECOND_NS
from s3fs_local.rules.retention import Bypass, DirectoryPolicy, LegalHold, Retention
from tests.engine.invariants import check_invariants
from tests.engine.memory_store import ALICE, ROOT, START_NS, MemoryStore

DAY_S: Final = 86_400
MALLORY: Final = Caller(uid=1001, gid=1001, pid=666)
BYPASS: Final = Bypass(entitled=True, reason="test")


@pytest.fixture
def locked(store_with_locks: MemoryStore) -> MemoryStore:
    """/d/f is under COMPLIANCE for 30 days; /d/g and /other are not locked."""
    store = store_with_locks
    store.mkdir("/d")
    store.write("/d/f", b"evidence")
    store.write("/d/g", b"other")
    store.write("/other", b"other")
    store.fs.setxattr(store.stat("/d/f").ino, b"user.before", b"1", ALICE)
    lock(store, "/d/f", "COMPLIANCE 30d")
    return store


def set_attribute(
    store: MemoryStore, path: str, name: bytes, value: str, caller: Caller = ALICE
) -> None:
    """As setfattr does."""
    ino = store.stat(path).ino
    trio.run(store.fs.set_lock_attribute, ino, name, value.encode(), caller)


def lock(store: MemoryStore, path: str, value: str, caller: Caller = ALICE) -> None:
    """`s3.object-lock` is set."""
    set_attribute(store, path, b"s3.object-lock", value, caller)


def _ino(store: MemoryStore) -> int:
    return store.stat("/d/f").ino


def _directory(store: MemoryStore) -> int:
    return store.stat("/d").ino


Attempt = Callable[[MemoryStore], object]


def _setattr(**wanted: int) -> Attempt:
    change = msgspec.structs.replace(AttributeChange(), **wanted)
    return lambda store: store.fs.setattr(_ino(store), change, None, ROOT)


def _set_s3(name: bytes, value: str) -> Attempt:
    return lambda store: set_attribute(store, "/d/f", name, value, ROOT)


def _restore(store: MemoryStore) -> None:
    other = store.stat("/other")
    store.fs.restore_content(_ino(store), other.ino, other.version_ns, caller=ROOT)


ATTEMPTS: Final[dict[str, list[Attempt]]] = {
    "link": [lambda s: s.fs.link(_ino(s), 1, b"l", ROOT)],
    "unlink": [lambda s: s.fs.unlink(_directory(s), b"f", ROOT)],
    "rename": [
        lambda s: s.rename("/d/f", "/d/h", caller=ROOT),
        lambda s: s.rename("/d/f", "/f", caller=ROOT),
        lambda s: s.rename("/other", "/d/f", caller=ROOT),
        lambda s: s.rename("/d/f", "/d/g", flags=2, caller=ROOT),
        lambda s: s.rename("/other", "/d/f", flags=2, caller=ROOT),
        lambda s: s.rename("/d", "/e", caller=ROOT),
        lambda s: s.rename("/d", "/other", flags=2, caller=ROOT),
        lambda s: s.rename("/other", "/d", flags=2, caller=ROOT),
    ],
    "setattr": [
        _setattr(size=0),
        _setattr(size=8),
        _setattr(size=100),
        _setattr(mode=0o777),
        _setattr(uid=0),
        _setattr(gid=0),
        _setattr(mtime_ns=0),
        _setattr(atime_ns=0),
    ],
    "setxattr": [lambda s: s.fs.setxattr(_ino(s), b"user.x", b"1", ROOT)],
    "removexattr": [
        lambda s: s.fs.removexattr(_ino(s), b"user.before", ROOT),
        lambda s: s.fs.removexattr(_ino(s), b"s3.object-lock", ROOT),
        lambda s: s.fs.removexattr(_ino(s), b"s3.object-lock-legal-hold", ROOT),
    ],
    "set_lock_attribute": [
        _set_s3(b"s3.object-lock", "COMPLIANCE 1d"),
        _set_s3(b"s3.object-lock", "GOVERNANCE 60d"),
        _set_s3(b"s3.object-lock", ""),
        _set_s3(b"s3.object-lock", "none"),
        _set_s3(b"s3.object-lock", "COMPLIANCE " + "9" * 300 + "d"),
        _set_s3(b"s3.object-lock", "COMPLIANCE -1d"),
        _set_s3(b"s3.object-lock", "COMPLIANCE 1990-01-01"),
        _set_s3(b"s3.object-lock-mode", "GOVERNANCE"),
        _set_s3(b"s3.object-lock-mode", "governance"),
        _set_s3(b"s3.object-lock-retain-until-date", "292277026597-01-01T00:00:00Z"),
        _set_s3(b"s3.object-lock-retain-until-date", "1d"),
        _set_s3(b"s3.object-lock-legal-hold", "off"),
        _set_s3(b"s3.append-only", "0"),
        _set_s3(b"s3.tags", "a=b"),
        _set_s3(b"s3.version-id", "null"),
    ],
    "open": [
        lambda s: s.fs.open(_ino(s), os.O_WRONLY, ROOT),
        lambda s: s.fs.open(_ino(s), os.O_RDWR, ROOT),
        lambda s: s.fs.open(_ino(s), os.O_RDONLY | os.O_TRUNC, ROOT),
        lambda s: s.fs.open(_ino(s), os.O_WRONLY | os.O_APPEND, ROOT),
    ],
    "restore_content": [_restore],
}
"""Refused, whoever asks. `write` is tested below: it needs a handle from before the lock."""
TESTED_BELOW: Final = {"write"}
HARMLESS: Final = {
    *(
        "lookup",
        "find",
        "forget",
        "readlink",
        "getattr",
        "getxattr",
        "find_xattr",
        "listxattr",
        "read_nowait",
    ),
    *("read_current", "read", "flush", "release", "fsync", "opendir", "readdir", "releasedir"),
    *(
        "read_in_place",
        "fsync_nowait",
        "fsyncdir_nowait",
        "fsyncdir",
        "statfs",
        "itself_and_parent",
        "listed_directory",
    ),
    *("locks_by_habit", "lock_by_habit", "caller_of_handle"),  # they set locks, and ask
    *("lacks_keys", "lacks_key_for_new", "obtain_keys"),
    "take_back",  # of a file that was just made and holds nothing
    "open_archived",  # waits, then opens by `open`
    *("mknod", "mkdir", "symlink", "create", "rmdir"),  # they act on no file that is there
}


def test_every_method_of_the_filesystem_is_judged_here() -> None:
    """A new method must be named as harmless, or attempted."""
    methods = {
        name
        for name, _ in inspect.getmembers(FileSystem, inspect.isfunction)
        if not name.startswith("_")
    }

    assert methods == ATTEMPTS.keys() | TESTED_BELOW | HARMLESS


@pytest.mark.parametrize(
    "attempt",
    [
        pytest.param(attempt, id=f"{name} {number}")
        for name, attempts in ATTEMPTS.items()
        for number, attempt in enumerate(attempts)
    ],
)
def test_a_locked_file_stands_whatever_is_tried(locked: MemoryStore, attempt: Attempt) -> None:
    """Refused, and nothing about it changed: content, attributes, names, versions."""
    before = locked.stat("/d/f")
    versions = locked.metadata.versions(before.ino)
    with pytest.raises((Protected, InvalidRetention, InvalidArgument, NoSuchAttribute)):
        attempt(locked)

    assert locked.read("/d/f") == b"evidence"
    assert locked.stat("/d/f") == before
    assert locked.metadata.versions(before.ino) == versions
    assert not locked.fs.volume.drafts
    check_invariants(locked)


def test_a_handle_from_before_the_lock_writes_no_more(store_with_locks: MemoryStore) -> None:
    """With writers cut off; truncation through the handle too."""
    store = store_with_locks
    store.write("/f", b"evidence")
    handle = store.open("/f")
    store.fs.write(handle, 8, b" more")
    ino = store.stat("/f").ino
    retention = Retention("COMPLIANCE", START_NS + 30 * DAY_S * SECOND_NS)

    async def cut() -> None:
        await store.fs.lock_attributes.set_retention(ino, retention, ALICE, cut_writers=True)

    trio.run(cut)
    with pytest.raises(Protected):
        store.fs.write(handle, 0, b"X")
    with pytest.raises(Protected):
        store.fs.setattr(ino, AttributeChange(size=0), handle, ROOT)
    store.close(handle)

    assert store.read("/f") == b"evidence more"
    assert len(store.metadata.versions(ino)) == 2


def test_a_file_that_is_written_is_not_locked(store_with_locks: MemoryStore) -> None:
    """Nobody is cut off unawares; the message names the process."""
    store = store_with_locks
    store.write("/f", b"x")
    handle = store.open("/f")
    with pytest.raises(WriterActive, match="100"):
        lock(store, "/f", "COMPLIANCE 30d")
    store.close(handle)
    lock(store, "/f", "COMPLIANCE 30d")

    assert store.stat("/f").lock is not None


def test_a_lock_is_set_as_soon_as_the_last_writer_is_gone(store_with_locks: MemoryStore) -> None:
    """RELEASE of a closed file comes late."""
    store = store_with_locks
    handle = store.open("/f", os.O_CREAT | os.O_WRONLY)
    store.fs.write(handle, 0, b"all of it")
    ino = store.stat("/f").ino

    async def lock_while_closing() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(
                store.fs.set_lock_attribute, ino, b"s3.object-lock", b"COMPLIANCE 1d", ALICE
            )
            await trio.testing.wait_all_tasks_blocked()
            store.close(handle)

    trio.run(lock_while_closing)
    assert store.stat("/f").lock is not None
    assert store.read("/f") == b"all of it"


def test_versions_of_a_locked_file_are_not_purged(locked: MemoryStore) -> None:
    """Not even with a bypass; GOVERNANCE yields to an entitled one with a reason."""
    item = locked.fs.histories.of_name(*locked.place("/d/f")).items[0]
    with pytest.raises(Protected):
        purge(locked.fs, item, caller=ROOT, bypass=BYPASS)
    lock(locked, "/other", "GOVERNANCE 30d")
    locked.write("/d/g", b"two")
    lock(locked, "/d/g", "GOVERNANCE 30d")
    item = locked.fs.histories.of_name(*locked.place("/d/g")).items[0]
    with pytest.raises(Protected):
        purge(locked.fs, item, caller=ROOT, bypass=None)
    with pytest.raises(BypassNotPermitted):
        purge(locked.fs, item, caller=ALICE, bypass=Bypass(entitled=False, reason="please"))
    purge(locked.fs, item, caller=ROOT, bypass=BYPASS)

    assert locked.read("/d/g") == b"other"
    check_invariants(locked)


def test_a_lock_ends_at_its_instant_and_not_before(locked: MemoryStore) -> None:
    """Then the file is one as any other."""
    until_ns = locked.stat("/d/f").lock.retention.until_ns  # type: ignore[union-attr]
    locked.clock.set(until_ns - 1)
    with pytest.raises(Protected):
        locked.fs.unlink(_directory(locked), b"f", ROOT)
    with pytest.raises(Protected):
        locked.fs.rename(1, b"d", 1, b"e", 0, ROOT)
    locked.clock.set(until_ns)
    locked.fs.rename(1, b"d", 1, b"e", 0, ROOT)
    locked.write("/e/f", b"new")
    locked.remove("/e/f")

    assert locked.history("/e/f") == [b"new", b"evidence"]
    check_invariants(locked)


def test_locks_survive_crashes(locked: MemoryStore) -> None:
    """And so do the marks on the directories above."""
    locked.flush(durable=True)
    locked.crash()
    with pytest.raises(Protected):
        locked.remove("/d/f")
    with pytest.raises(Protected):
        locked.rename("/d", "/e")


def test_only_the_owner_and_root_change_locks(locked: MemoryStore) -> None:
    """Others may not even make them stricter."""
    for name, value in ((b"s3.object-lock", "COMPLIANCE 60d"), (b"s3.tags", "a=b")):
        with pytest.raises(NotPermitted):
            set_attribute(locked, "/other", name, value, MALLORY)
    with pytest.raises(NotPermitted):
        lock(locked, "/d/f", "COMPLIANCE 60d", MALLORY)
    lock(locked, "/d/f", "COMPLIANCE 60d", ROOT)


def test_a_store_without_object_lock_has_no_locks(store: MemoryStore) -> None:
    """Asked for at init, or later by config."""
    store.write("/f", b"x")
    with pytest.raises(ObjectLockDisabled):
        lock(store, "/f", "COMPLIANCE 30d")


@pytest.mark.parametrize(
    "name",
    ["object-lock", "object-lock-mode", "object-lock-retain-until-date", "object-lock-legal-hold"],
)
def test_without_object_lock_no_value_of_a_lock_is_looked_at(store: MemoryStore, name: str) -> None:
    """Nobody who tries whether a store has locks needs to know a right value."""
    store.write("/f", b"x")
    for value in ("nonsense", "GOVERNANCE", "30d", "OFF"):
        with pytest.raises(ObjectLockDisabled):
            set_attribute(store, "/f", f"s3.{name}".encode(), value)
    with pytest.raises(ObjectLockDisabled):
        set_attribute(store, "/f", b"s3.append-only", "2")


def test_a_hold_that_is_not_on_may_be_switched_off(store_with_locks: MemoryStore) -> None:
    """As in S3. What another case holds stays held, and that is said."""
    store = store_with_locks
    store.write("/f", b"x")
    set_attribute(store, "/f", b"s3.object-lock-legal-hold", "OFF")
    ino = store.stat("/f").ino
    store.fs.locks.set_legal_hold(ino, LegalHold("17", "court", 0, START_NS), caller=ROOT)

    with pytest.raises(InvalidArgument):
        set_attribute(store, "/f", b"s3.object-lock-legal-hold", "OFF")
    assert store.fs.getxattr(ino, b"s3.object-lock-legal-hold") == b"ON"


def test_marks_that_are_out_of_date_never_hide_a_later_lock(
    store_with_locks: MemoryStore,
) -> None:
    """A directory above may know of less than the one below, since it was looked at meanwhile."""
    store = store_with_locks
    store.mkdir("/g")
    store.mkdir("/g/p")
    for name in ("a", "b", "c"):
        store.write(f"/g/p/{name}", b"x")
    set_attribute(store, "/g/p/a", b"s3.object-lock-legal-hold", "ON")
    lock(store, "/g/p/c", "COMPLIANCE 1d")
    set_attribute(store, "/g/p/a", b"s3.object-lock-legal-hold", "OFF")
    with pytest.raises(Protected):
        store.rename("/g", "/h")
    lock(store, "/g/p/b", "COMPLIANCE 30d")
    store.tick(2 * DAY_S)

    for old, new in (("/g", "/i"), ("/g/p", "/g/q"), ("/g/p", "/q")):
        with pytest.raises(Protected):
            store.rename(old, new)


def test_a_lifted_hold_frees_the_way(store_with_locks: MemoryStore) -> None:
    """The mark on the directory is looked into, not just believed."""
    store = store_with_locks
    store.mkdir("/d")
    store.write("/d/f", b"x")
    set_attribute(store, "/d/f", b"s3.object-lock-legal-hold", "ON")
    with pytest.raises(Protected):
        store.rename("/d", "/e")
    set_attribute(store, "/d/f", b"s3.object-lock-legal-hold", "OFF")
    store.rename("/d", "/e")
    check_invariants(store)


def test_directories_with_locked_files_move_when_the_last_lock_ended(
    store_with_locks: MemoryStore,
) -> None:
    """The longest of several counts, and a file that comes later."""
    store = store_with_locks
    store.mkdir("/d")
    for days in (1, 3, 2):
        store.write(f"/d/{days}", b"x")
        lock(store, f"/d/{days}", f"GOVERNANCE {days}d")
    store.tick(2 * DAY_S + 5)
    with pytest.raises(Protected):
        store.rename("/d", "/e")
    store.tick(DAY_S)
    store.rename("/d", "/e")
    store.write("/e/4", b"x")
    lock(store, "/e/4", "GOVERNANCE 4d")
    with pytest.raises(Protected):
        store.rename("/e", "/f")


def test_new_files_inherit_the_policy_of_the_directory_above(store_with_locks: MemoryStore) -> None:
    """From their first close on; what lay there before stays as it is."""
    store = store_with_locks
    store.mkdir("/d")
    store.write("/d/before", b"x")
    policy = DirectoryPolicy(mode="COMPLIANCE", period_ns=DAY_S * SECOND_NS)
    store.fs.locks.set_policy(store.stat("/d").ino, policy, caller=ALICE)
    store.mkdir("/d/e")
    store.write("/d/e/f", b"x")

    version = store.metadata.versions(store.stat("/d/e/f").ino)[0]
    assert version.lock is not None
    assert version.lock.retention == Retention("COMPLIANCE", version.stamp_ns + DAY_S * SECOND_NS)
    store.remove("/d/before")
    with pytest.raises(Protected):
        store.remove("/d/e/f")
    with pytest.raises(Protected):
        store.rename("/d", "/x")
    check_invariants(store)


def test_an_append_only_file_grows_and_does_nothing_else(store_with_locks: MemoryStore) -> None:
    """What is there may be written again as it is: pages of a mapping come whole."""
    store = store_with_locks
    store.write("/log", b"one\n")
    set_attribute(store, "/log", b"s3.append-only", "1")
    store.append("/log", b"two\n")
    handle = store.open("/log")
    assert store.fs.write(handle, 0, b"one\ntwo\nthree\n") == 14
    for offset, data in ((0, b"X"), (3, b"!"), (13, b"!more"), (20, b"")):
        if data:
            with pytest.raises(Protected):
                store.fs.write(handle, offset, data)
    with pytest.raises(Protected):
        store.fs.setattr(store.stat("/log").ino, AttributeChange(size=3), handle, ROOT)
    store.close(handle)
    attempts: list[Callable[[], object]] = [
        lambda: store.truncate("/log", 100),
        lambda: store.open("/log", os.O_WRONLY | os.O_TRUNC),
        lambda: store.remove("/log", ROOT),
        lambda: store.write("/log", b"new"),
        lambda: store.link("/log", "/l"),
    ]
    for attempt in attempts:
        with pytest.raises(Protected):
            attempt()

    assert store.read("/log") == b"one\ntwo\nthree\n"
    check_invariants(store)


def test_a_rotated_log_takes_the_rest_of_its_writer_and_is_frozen(
    store_with_locks: MemoryStore,
) -> None:
    """Rotation renames it, the program goes on until it is told; then nobody writes any more."""
    store = store_with_locks
    store.mkdir("/logs")
    policy = DirectoryPolicy(mode="GOVERNANCE", period_ns=DAY_S * SECOND_NS, append_only=True)
    store.fs.locks.set_policy(store.stat("/logs").ino, policy, caller=ALICE)
    handle = store.open("/logs/log", os.O_CREAT | os.O_WRONLY)
    store.fs.write(handle, 0, b"one\n")
    store.rename("/logs/log", "/logs/log.1")
    assert store.stat("/logs/log.1").append_only == SEALING
    store.fs.write(handle, 4, b"two\n")
    with pytest.raises(Protected):
        store.open("/logs/log.1")
    store.rename("/logs/log.1", "/logs/log.2")
    store.close(handle)

    frozen = store.stat("/logs/log.2")
    assert frozen.append_only == 0
    assert frozen.lock is not None
    assert store.read("/logs/log.2") == b"one\ntwo\n"
    attempts: list[Callable[[], object]] = [
        lambda: store.append("/logs/log.2", b"x"),
        lambda: store.rename("/logs/log.2", "/logs/log.3"),
        lambda: store.remove("/logs/log.2"),
        lambda: store.rename("/logs", "/l"),
    ]
    for attempt in attempts:
        with pytest.raises(Protected):
            attempt()
    store.write("/logs/log", b"next\n")
    check_invariants(store)


def test_holds_of_two_cases_are_lifted_one_by_one(store_with_locks: MemoryStore) -> None:
    """And retention does not look at them."""
    store = store_with_locks
    store.write("/f", b"x")
    ino = store.stat("/f").ino
    for case in ("A", "B"):
        hold = LegalHold(case, "court", 0, START_NS)
        store.fs.locks.set_legal_hold(ino, hold, caller=ROOT)
    store.fs.locks.clear_legal_hold(ino, "A", caller=ROOT)
    with pytest.raises(Protected):
        store.remove("/f")
    store.fs.locks.clear_legal_hold(ino, "B", caller=ROOT)
    store.remove("/f")
    check_invariants(store)
