"""Doors to locked files that nobody thought of first."""

import os
from collections.abc import Callable
from typing import Final

import pytest
import trio
from msgspec import structs

from s3fs_local.engine.purging import purge
from s3fs_local.engine.renaming import RENAME_EXCHANGE
from s3fs_local.engine.restoring import Action, Restoring, deleted_state
from s3fs_local.errors import NotPermitted, Protected
from s3fs_local.objects.failing import FailingObjects
from s3fs_local.objects.memory import MemoryObjects
from s3fs_local.rules.inode import ROOT_INO
from s3fs_local.rules.instants import SECOND_NS
from s3fs_local.rules.namespace import OPEN_NS
from s3fs_local.rules.retention import (
    COMPLIANCE,
    GOVERNANCE,
    DirectoryPolicy,
    LegalHold,
    Retention,
    Semantics,
)
from tests.engine.memory_store import ALICE, ROOT, MemoryStore

DAY_NS: Final = 86_400 * SECOND_NS


def is_refused(call: Callable[[], object]) -> bool:
    """Whether a lock is in the way."""
    try:
        call()
    except Protected:
        return True
    return False


def lock(store: MemoryStore, path: str, *, days: int = 7) -> None:
    """The file is retained for some days."""
    retention = Retention(COMPLIANCE, store.clock.now_ns() + days * DAY_NS)
    store.fs.locks.set_retention(store.stat(path).ino, retention, caller=ALICE)


def protect(
    store: MemoryStore, path: str, mode: str, *, days: int, append_only: bool = False
) -> None:
    """New files below the directory are retained for some days."""
    policy = DirectoryPolicy(mode, days * DAY_NS, append_only)
    store.fs.locks.set_policy(store.stat(path).ino, policy, caller=ALICE)


def use(store: MemoryStore, semantics: Semantics) -> None:
    """From now on locks mean this."""
    volume = store.fs.volume
    volume.settings = structs.replace(volume.settings, lock_semantics=semantics)


def test_rotation_never_takes_append_only_back(store_with_locks: MemoryStore) -> None:
    """Where no directory says for how long, `mv log log.1; rm log.1` would be the way around."""
    store = store_with_locks
    store.write("/log", b"one\n")
    store.fs.locks.set_append_only(store.stat("/log").ino, caller=ALICE)
    writer = store.open("/log", os.O_WRONLY)
    store.rename("/log", "/log.1")
    store.fs.write(writer, 4, b"two\n")
    store.close(writer)

    assert is_refused(lambda: store.remove("/log.1", ROOT))
    assert is_refused(lambda: store.open("/log.1", os.O_WRONLY))
    assert is_refused(lambda: store.fs.write(store.open("/log.1", os.O_RDWR), 0, b"three"))
    assert store.read("/log.1") == b"one\ntwo\n"


def test_a_rotation_that_a_crash_interrupts_is_finished(store_with_locks: MemoryStore) -> None:
    """Nobody will ever close the log again; it must not be append-only beyond its retention."""
    store = store_with_locks
    store.mkdir("/d")
    protect(store, "/d", COMPLIANCE, days=7, append_only=True)
    store.append("/d/log", b"one\n")
    store.open("/d/log", os.O_WRONLY)
    store.rename("/d/log", "/d/log.1")
    store.flush()
    store.crash()

    assert is_refused(lambda: store.remove("/d/log.1"))
    store.tick(8 * 86_400)
    store.remove("/d/log.1")


def test_a_log_that_was_never_saved_is_saved_by_its_rotation(store_with_locks: MemoryStore) -> None:
    """A lock lies on a version. After a crash a new file may have none, and nobody to close it."""
    store = store_with_locks
    store.mkdir("/d")
    protect(store, "/d", COMPLIANCE, days=7, append_only=True)
    store.open("/d/log", os.O_WRONLY | os.O_CREAT)
    store.write("/other", b"")
    store.rename("/other", "/f")  # names go to the journal at once, what is written in a while
    store.crash()
    made = store.stat("/d/log")
    store.tick(60)
    store.rename("/d/log", "/d/log.1")

    rotated = store.stat("/d/log.1")
    (version,) = store.fs.volume.metadata.versions(rotated.ino)
    assert made.version_ns == 0
    assert version.lock == rotated.lock is not None
    assert rotated.mtime_ns == made.mtime_ns
    assert is_refused(lambda: store.remove("/d/log.1"))
    store.tick(8 * 86_400)
    store.remove("/d/log.1")


@pytest.mark.parametrize("order", ["first", "moved in"])
def test_a_weaker_default_below_does_not_weaken_the_one_above(
    store_with_locks: MemoryStore, order: str
) -> None:
    """It may have been there before, or have been moved there."""
    store = store_with_locks
    store.mkdir("/d")
    store.mkdir("/weak")
    protect(store, "/weak", GOVERNANCE, days=1)
    if order == "first":
        store.rename("/weak", "/d/weak")
    protect(store, "/d", COMPLIANCE, days=365, append_only=True)
    if order == "moved in":
        store.rename("/weak", "/d/weak")
    store.write("/d/weak/f", b"one")
    store.tick(2 * 86_400)

    found = store.stat("/d/weak/f")
    assert found.lock is not None
    assert found.lock.retention is not None
    assert found.lock.retention.mode == COMPLIANCE
    assert found.append_only
    assert is_refused(lambda: store.remove("/d/weak/f"))


def test_the_directory_of_a_log_that_was_never_closed_does_not_move(
    store_with_locks: MemoryStore,
) -> None:
    """A logger keeps its file open for months."""
    store = store_with_locks
    store.mkdir("/logs")
    store.fs.locks.set_append_only(store.stat("/logs").ino, caller=ALICE)
    handle = store.open("/logs/log", os.O_CREAT | os.O_WRONLY)
    store.fs.write(handle, 0, b"one\n")

    assert is_refused(lambda: store.rename("/logs", "/hidden"))


def test_no_new_name_of_a_locked_file_can_be_hidden_by_its_directory(
    store_with_locks: MemoryStore,
) -> None:
    """With S3's semantics it may be linked, exchanged and undeleted; later they may be ours."""
    store = store_with_locks
    use(store, Semantics.S3)
    for folder in ("/linked", "/exchanged", "/uncovered", "/undeleted"):
        store.mkdir(folder)
    for path in ("/a", "/b", "/c", "/d", "/exchanged/x"):
        store.write(path, b"one")
        if path != "/exchanged/x":
            lock(store, path)
    store.link("/a", "/linked/a")
    store.rename("/b", "/exchanged/x", RENAME_EXCHANGE)
    store.write("/c", b"two")
    store.rename("/c", "/uncovered/c")
    newest = store.fs.histories.of_name(*store.place("/uncovered/c")).items[0]
    purge(store.fs, newest, caller=ALICE, bypass=None)
    store.remove("/d")
    inode = store.metadata.inode(store.fs.volume.last_ino - 1)
    assert inode is not None
    assert not inode.nlink
    store.fs.namespace.relink(inode, *store.place("/undeleted/d"), ALICE)

    use(store, Semantics.FILE)
    for folder in ("/linked", "/exchanged", "/uncovered", "/undeleted"):
        assert is_refused(lambda folder=folder: store.rename(folder, "/hidden")), folder  # type: ignore[misc]


def test_a_locked_file_without_a_name_is_undeleted(store_with_locks: MemoryStore) -> None:
    """It was removed with S3's semantics. A name more takes nothing from it."""
    store = store_with_locks
    use(store, Semantics.S3)
    store.write("/f", b"one")
    lock(store, "/f")
    store.remove("/f")
    use(store, Semantics.FILE)
    was, at_ns = deleted_state(store.fs, ROOT_INO, b"f")
    store.tick()
    list(Restoring(store.fs, ALICE, at_ns=at_ns).restore(ROOT_INO, b"f", was, b"f"))

    assert store.read("/f") == b"one"
    assert is_refused(lambda: store.remove("/f"))


def test_a_restore_into_an_append_only_directory_brings_the_content(
    store_with_locks: MemoryStore,
) -> None:
    """Else it would leave an empty file that nobody can remove any more."""
    store = store_with_locks
    store.mkdir("/d")
    store.fs.locks.set_append_only(store.stat("/d").ino, caller=ALICE)
    store.write("/f", b"one")
    was, at_ns = store.stat("/f"), store.tick()
    store.tick()
    restoring = Restoring(store.fs, ALICE, at_ns=at_ns)
    steps = list(restoring.restore(*store.place("/d/f"), was, b"d/f"))

    assert Action.REFUSED not in [step.action for step in steps]
    assert store.read("/d/f") == b"one"
    assert is_refused(lambda: store.patch("/d/f", 0, b"x"))


def test_what_was_appended_and_not_closed_is_not_restored_over(
    store_with_locks: MemoryStore,
) -> None:
    """The first close is not needed for a byte to be there for good."""
    store = store_with_locks
    store.mkdir("/d")
    store.fs.locks.set_append_only(store.stat("/d").ino, caller=ALICE)
    store.write("/f", b"other")
    source = store.stat("/f")
    handle = store.open("/d/log", os.O_CREAT | os.O_WRONLY)
    store.fs.write(handle, 0, b"one\n")
    ino = store.stat("/d/log").ino

    with pytest.raises(Protected):
        store.fs.restore_content(ino, source.ino, source.version_ns, caller=ROOT)
    assert store.read("/d/log") == b"one\n"


def test_a_lock_set_by_an_attribute_survives_a_power_cut() -> None:
    """Whoever was told that a file is locked relies on it."""
    zone = FailingObjects(MemoryObjects())
    store = MemoryStore(zone=zone, object_lock="true")
    store.write("/f", b"one")
    ino = store.stat("/f").ino
    trio.run(store.fs.set_lock_attribute, ino, b"s3.object-lock", b"COMPLIANCE 7d", ALICE)
    zone.power_cut()
    store.crash()

    assert is_refused(lambda: store.remove("/f"))


def test_files_removed_while_they_are_written_are_not_remembered(
    store_with_locks: MemoryStore,
) -> None:
    """The list of those that wait for their last writer is written at each commit."""
    store = store_with_locks
    store.mkdir("/d")
    protect(store, "/d", COMPLIANCE, days=7)
    for _ in range(3):
        handle = store.open("/d/f", os.O_CREAT | os.O_WRONLY)
        store.fs.write(handle, 0, b"one")
        store.fs.flush(handle)
        store.remove("/d/f")
        store.fs.release(handle)

    assert store.metadata.pending_locks(0, OPEN_NS, 10) == []


def test_an_owner_does_not_lift_the_hold_that_root_placed(store_with_locks: MemoryStore) -> None:
    """A hold for a case is often a hold against the owner."""
    store = store_with_locks
    store.write("/f", b"evidence")
    ino = store.stat("/f").ino
    hold = LegalHold(case="7", reason="asked by the court", holder=ROOT.uid, placed_ns=1)
    store.fs.locks.set_legal_hold(ino, hold, caller=ROOT)

    with pytest.raises(NotPermitted):
        store.fs.locks.clear_legal_hold(ino, "7", caller=ALICE)
    store.fs.locks.clear_legal_hold(ino, "7", caller=ROOT)


@pytest.mark.parametrize("flags", [0, RENAME_EXCHANGE], ids=["rename", "exchange"])
def test_a_directory_of_locked_versions_is_known_where_it_goes(
    store_with_locks: MemoryStore, flags: int
) -> None:
    """The random attacker found it: moved to a place with `file` semantics, it moved once more.

    With s3 semantics a directory moves with what is locked in it. Where it comes to be locked in
    place, the directories above must learn of it, also when the two changed places.
    """
    store = store_with_locks
    for folder in ("/s3", "/s3/a", "/file", "/file/b"):
        store.mkdir(folder)
    s3 = DirectoryPolicy(COMPLIANCE, 7 * DAY_NS, semantics="s3")
    store.fs.locks.set_policy(store.stat("/s3").ino, s3, caller=ALICE)
    protect(store, "/file", COMPLIANCE, days=7)
    store.write("/s3/a/f", b"one")
    target = "/file/b" if flags else "/file/c"
    store.rename("/s3/a", target, flags)

    assert is_refused(lambda: store.write(f"{target}/f", b"two"))
    assert is_refused(lambda: store.rename("/file", "/hidden"))
    assert is_refused(lambda: store.rename(target, "/hidden"))
