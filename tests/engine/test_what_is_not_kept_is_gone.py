"""Where versions are not kept, a removed file leaves nothing behind, whatever happens meanwhile."""

import os

import pytest
from msgspec import structs

from s3fs_local.engine.purging import purge
from s3fs_local.engine.releasing import WAITING_SETTING
from s3fs_local.engine.restoring import Restoring
from s3fs_local.rules.versioning import VersioningState
from tests.engine.invariants import check_invariants
from tests.engine.memory_store import ALICE, MemoryStore
from tests.engine.verified import check_verified

NOT_KEPT = ["", "Suspended"]


def store_of(versioning: str) -> MemoryStore:
    """With one file, `f`."""
    store = MemoryStore(versioning=f'"{versioning}"')
    store.write("f", b"content" * 1000)
    store.settle()
    return store


def check_nothing_is_left(store: MemoryStore, ino: int) -> None:
    """No content, no key that could open a copy of it, no row; but a marker where S3 has one."""
    metadata = store.fs.volume.metadata
    assert metadata.inode(ino) is None
    assert metadata.versions(ino) == []
    assert metadata.keys(0, 9) == []
    assert metadata.usage().blocks == 0
    assert metadata.setting(WAITING_SETTING) is None
    assert [entry for entry in metadata.name_history(1, b"f") if not entry.is_marker] == []
    check_invariants(store)
    check_verified(store)


@pytest.mark.parametrize("versioning", NOT_KEPT)
@pytest.mark.parametrize("is_open", [False, True])
def test_a_removed_file_leaves_nothing_behind(versioning: str, *, is_open: bool) -> None:
    """Or the database would grow with every file that ever was."""
    store = store_of(versioning)
    ino = store.stat("f").ino
    handle = store.open("f", os.O_RDONLY)
    if not is_open:
        store.close(handle)
    store.remove("f")
    if is_open:
        assert store.fs.read_nowait(handle, 0, 7) == b"content"
        store.close(handle)
    store.settle()
    check_nothing_is_left(store, ino)


@pytest.mark.parametrize("versioning", NOT_KEPT)
@pytest.mark.parametrize("by", ["remove", "rename"])
def test_a_crash_keeps_nothing_of_a_file_that_was_removed_while_it_was_open(
    versioning: str, by: str
) -> None:
    """Who read it died with the daemon. Nobody could remove it later: it has no name."""
    store = store_of(versioning)
    ino = store.stat("f").ino
    store.open("f", os.O_RDONLY)
    if by == "remove":
        store.remove("f")
    else:
        store.write("g", b"")
        store.rename("g", "f")
    store.settle()
    assert store.fs.volume.metadata.versions(ino) != []

    store.crash()
    if by == "rename":
        ino_of_g = store.stat("f").ino
        assert store.read("f") == b""
        store.remove("f")
        assert store.fs.volume.metadata.inode(ino_of_g) is None
    store.settle()

    check_nothing_is_left(store, ino)


def test_a_version_null_is_purged_while_another_takes_its_place() -> None:
    """Beside older versions, of which there is one more than the purge thinks."""
    store = MemoryStore()
    store.write("f", b"kept")
    volume = store.fs.volume
    volume.settings = structs.replace(volume.settings, versioning=VersioningState.SUSPENDED)
    store.write("f", b"null")
    handle = store.open("f")
    store.fs.write(handle, 0, b"next")
    null = store.fs.histories.of_name(1, b"f").items[0]

    purge(store.fs, null, caller=ALICE, bypass=None)

    store.close(handle)
    assert store.read("f") == b"next"
    left = volume.metadata.versions(store.stat("f").ino)
    assert [version.is_null for version in left] == [True, False]
    check_invariants(store)


def test_what_versioning_keeps_a_crash_keeps() -> None:
    """The same, in a store as they are by default."""
    store = store_of("Enabled")
    ino = store.stat("f").ino
    store.open("f", os.O_RDONLY)
    store.remove("f")
    store.settle()
    store.crash()
    assert len(store.fs.volume.metadata.versions(ino)) == 1


def test_a_file_that_was_brought_back_meanwhile_stays() -> None:
    """An undelete finds it as long as a program has it open."""
    store = store_of("Suspended")
    before_ns = store.fs.volume.now_ns()
    ino = store.stat("f").ino
    store.open("f", os.O_RDONLY)
    store.tick()
    store.remove("f")
    was = store.fs.histories.child_at(1, b"f", before_ns)
    walk = Restoring(store.fs, ALICE, at_ns=before_ns, dry_run=False)
    assert list(walk.restore(1, b"f", was, b"f"))
    assert store.stat("f").ino != ino
    store.settle()
    store.crash()
    assert store.read("f") == b"content" * 1000
    assert store.fs.volume.metadata.inode(ino) is None
    check_invariants(store)
