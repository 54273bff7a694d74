"""The story: what a person does with a mounted store, step by step."""

import pytest

from s3fs_local.errors import InvalidArgument, Protected
from s3fs_local.rules.instants import SECOND_NS
from s3fs_local.rules.retention import DirectoryPolicy
from tests.engine.memory_store import ALICE, MemoryStore


def test_nothing_that_was_ever_closed_is_lost(store: MemoryStore) -> None:
    """Write, overwrite, rename, delete: every content can still be read."""
    store.write("/report", b"first")
    store.write("/report", b"second")
    store.rename("/report", "/final")
    store.append("/final", b", and more")
    store.remove("/final")

    assert not store.exists("/final")
    assert store.history("/final") == [b"second, and more", b"second", b"first"]
    assert store.listing("/.versions") == [b"final"]


def test_a_killed_daemon_loses_nothing_that_was_flushed(store: MemoryStore) -> None:
    """Replay brings back facts, and the content of a file that was still open."""
    store.mkdir("/d")
    store.write("/d/closed", b"closed")
    handle = store.open("/d/open", 0o100 | 2)
    store.fs.write(handle, 0, b"not closed")
    store.flush()
    store.write("/d/late", b"after the last flush")

    store.crash()

    assert store.read("/d/closed") == b"closed"
    assert store.read("/d/open") == b"not closed"
    assert not store.exists("/d/late")
    assert len(store.opened.recovered) == 1


def test_an_instant_shows_the_tree_as_it_was(store: MemoryStore) -> None:
    """`.versions/@T` of any directory: names, contents, modes."""
    store.mkdir("/d")
    store.write("/d/a", b"old")
    at_ns = store.tick()
    store.tick()
    store.write("/d/a", b"new")
    store.chmod("/d/a", 0o600)
    store.remove("/d/a")
    store.write("/d/b", b"b")
    at = f"/d/.versions/@{at_ns // 10**9}"

    assert store.listing(at) == [b"a"]
    assert store.read(f"{at}/a") == b"old"
    assert store.stat(f"{at}/a").mode == 0o100444
    assert store.listing("/d") == [b"b"]


def test_a_temporary_file_that_was_never_closed_leaves_nothing(store: MemoryStore) -> None:
    """Programs make, unlink and then use temporary files; they must not pile up as history."""
    writer = store.open("/scratch", 0o100 | 2)
    reader = store.open("/scratch", 0)
    store.fs.unlink(1, b"scratch", ALICE)
    store.fs.write(writer, 0, b"scratch")
    store.close(writer)

    assert store.fs.read_nowait(reader, 0, 100) == b"scratch"

    store.close(reader)

    assert store.metadata.directory_history(1) == []
    assert store.fs.volume.drafts == {}


def test_a_policy_below_is_never_weaker_than_the_one_above(store_with_locks: MemoryStore) -> None:
    """SeaweedFS: a more specific rule switched WORM off."""
    store = store_with_locks
    store.mkdir("/logs")
    store.mkdir("/logs/app")
    year = DirectoryPolicy("COMPLIANCE", 365 * 86_400 * SECOND_NS, append_only=True)
    store.fs.locks.set_policy(store.stat("/logs").ino, year, caller=ALICE)

    with pytest.raises(InvalidArgument):
        store.fs.locks.set_policy(
            store.stat("/logs/app").ino, DirectoryPolicy("GOVERNANCE", SECOND_NS), caller=ALICE
        )


def test_a_default_lock_falls_when_the_last_writer_is_gone(store_with_locks: MemoryStore) -> None:
    """`echo x > f`: the shell closes a duplicate before echo writes (see gluster#1020)."""
    store = store_with_locks
    store.mkdir("/vault")
    day = DirectoryPolicy("COMPLIANCE", 86_400 * SECOND_NS)
    store.fs.locks.set_policy(store.stat("/vault").ino, day, caller=ALICE)
    handle = store.open("/vault/f", 0o100 | 1)
    store.fs.flush(handle)
    store.fs.write(handle, 0, b"first")
    store.fs.flush(handle)
    store.fs.write(handle, 5, b", second")

    assert store.stat("/vault/f").lock is None

    store.close(handle)

    assert store.stat("/vault/f").lock is not None
    assert store.history("/vault/f") == [b"first, second"]
    with pytest.raises(Protected):
        store.append("/vault/f", b"third")


def test_a_default_lock_that_waited_falls_after_a_crash(store_with_locks: MemoryStore) -> None:
    """A killed daemon must not leave a closed record unprotected."""
    store = store_with_locks
    store.mkdir("/vault")
    day = DirectoryPolicy("COMPLIANCE", 86_400 * SECOND_NS)
    store.fs.locks.set_policy(store.stat("/vault").ino, day, caller=ALICE)
    handle = store.open("/vault/f", 0o100 | 1)
    store.fs.write(handle, 0, b"first")
    store.fs.flush(handle)
    store.flush()

    store.crash()

    with pytest.raises(Protected):
        store.remove("/vault/f")
