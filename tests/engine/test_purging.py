"""What is purged is gone, and nothing else is."""

import pytest
import trio

from s3fs_local.crypto.sealing import KEY_BYTES
from s3fs_local.engine.compaction import Garbage, collect_garbage
from s3fs_local.engine.purging import purge
from s3fs_local.errors import BadHandle, InvalidArgument, KeyMissing, WriterActive
from s3fs_local.rules.inode import ROOT_INO
from tests.engine.invariants import check_invariants
from tests.engine.memory_store import ALICE, MemoryStore


def _purge(store: MemoryStore, path: str, position: int = 0) -> None:
    """The item at that place of the path's history, newest first."""
    store.tick()
    item = store.fs.histories.of_name(*store.place(path)).items[position]
    purge(store.fs, item, caller=ALICE, bypass=None)


def _collect(store: MemoryStore, *, dry_run: bool) -> Garbage:
    return trio.run(lambda: collect_garbage(store.fs, dry_run=dry_run))


def test_blocks_that_other_versions_use_stay(store: MemoryStore) -> None:
    """A change of a few bytes shares the rest with the version before."""
    store.write("/f", b"a" * 50_000)
    store.patch("/f", 30_000, b"b" * 100)
    store.patch("/f", 10, b"c" * 100)
    _purge(store, "/f", 1)
    check_invariants(store)
    _purge(store, "/f", 1)

    assert len(store.history("/f")) == 1
    assert store.read("/f") == b"a" * 10 + b"c" * 100 + b"a" * 29_890 + b"b" * 100 + b"a" * 19_900
    check_invariants(store)


def test_with_its_last_version_a_file_loses_blocks_and_key(store: MemoryStore) -> None:
    """Copies of packs that were made elsewhere cannot be read any more."""
    store.write("/f", b"secret" * 1000)
    key_id = store.stat("/f").key_id
    assert len(store.fs.volume.keys.open(key_id)) == KEY_BYTES
    store.remove("/f")
    _purge(store, "/f", 1)

    assert store.metadata.usage().blocks == 0
    assert store.metadata.key(key_id) is None
    with pytest.raises(KeyMissing):
        store.fs.volume.keys.open(key_id)


def test_a_shared_key_goes_with_the_last_block_that_it_sealed(store: MemoryStore) -> None:
    """A restore shares blocks with another file, and so its key, which may outlive that file."""
    store.write("/f", b"secret" * 1000)
    version = store.metadata.versions(store.stat("/f").ino)[0]
    key_id = store.stat("/f").key_id
    store.write("/g", b"")
    store.fs.restore_content(store.stat("/g").ino, version.ino, version.stamp_ns, caller=ALICE)
    store.remove("/f")
    _purge(store, "/f", 1)
    assert store.read("/g") == b"secret" * 1000
    assert store.metadata.key(key_id) is not None
    check_invariants(store)

    _purge(store, "/g", 0)
    assert store.metadata.key(key_id) is None


def test_a_file_whose_key_is_gone_gets_a_new_one(store: MemoryStore) -> None:
    """Its blocks were all purged, but it lives on, empty."""
    store.write("/f", b"one")
    store.write("/copy", b"")
    version = store.metadata.versions(store.stat("/f").ino)[0]
    store.fs.restore_content(store.stat("/copy").ino, version.ino, version.stamp_ns, caller=ALICE)
    store.truncate("/f", 0)
    _purge(store, "/f", 1)
    _purge(store, "/copy", 0)
    assert store.metadata.usage().blocks == 0

    store.write("/f", b"two")
    store.flush()
    store.crash()
    assert store.read("/f") == b"two"
    check_invariants(store)


def test_the_version_before_is_current_once_the_newest_is_purged(store: MemoryStore) -> None:
    """Size, content and mtime are what they were."""
    store.write("/f", b"one" * 5000)
    before = store.stat("/f")
    store.write("/f", b"2")
    _purge(store, "/f")

    after = store.stat("/f")
    assert store.read("/f") == b"one" * 5000
    assert (after.size, after.allocated, after.mtime_ns) == (
        before.size,
        before.allocated,
        before.mtime_ns,
    )
    check_invariants(store)


def test_what_is_being_written_is_kept_when_its_base_is_purged(store: MemoryStore) -> None:
    """A draft shows the bytes of the version below it, so it is committed first."""
    store.write("/f", b"a" * 10_000)
    store.patch("/f", 0, b"b")
    handle = store.open("/f")
    store.fs.write(handle, 9_999, b"c")
    _purge(store, "/f")
    store.close(handle)

    assert store.read("/f") == b"b" + b"a" * 9_998 + b"c"
    check_invariants(store)


def test_a_removed_file_that_is_written_is_not_purged(store: MemoryStore) -> None:
    """Its writer still reads what lies below."""
    store.write("/f", b"a" * 10_000)
    handle = store.open("/f")
    store.remove("/f")
    store.fs.write(handle, 0, b"b")
    with pytest.raises(WriterActive):
        _purge(store, "/f", 1)

    assert store.fs.read_nowait(handle, 0, 3) == b"baa"
    store.close(handle)
    _purge(store, "/f", 1)
    check_invariants(store)


def test_a_reader_of_a_purged_version_is_told_so(store: MemoryStore) -> None:
    """It must not go on with the bytes of an older version."""
    store.write("/f", b"one")
    store.write("/f", b"two")
    name = store.listing("/.versions/f")[0].decode()
    view = store.stat(f"/.versions/f/{name}")
    handle = store.fs.open(view.ino, 0, ALICE).handle
    assert store.fs.read_nowait(handle, 0, 3) == b"two"
    _purge(store, "/f")

    with pytest.raises(BadHandle):
        store.fs.read_nowait(handle, 0, 3)


def test_an_undelete_brings_nothing_back_that_was_purged(store: MemoryStore) -> None:
    """With no version left there is no file to name again."""
    store.write("/f", b"one")
    store.remove("/f")
    _purge(store, "/f", 1)
    _purge(store, "/f", 0)

    assert not store.exists("/f")
    assert store.history("/f") == []
    check_invariants(store)


def test_a_marker_uncovers_directories_and_symlinks_too(store: MemoryStore) -> None:
    """They have no versions, but they were there."""
    store.mkdir("/d")
    store.fs.symlink(1, b"l", b"target", ALICE)
    store.remove("/d")
    store.remove("/l")
    _purge(store, "/d")
    _purge(store, "/l")

    assert store.stat("/d").is_directory
    assert store.stat("/l").target == b"target"
    check_invariants(store)


def test_a_file_that_moved_away_is_not_uncovered(store: MemoryStore) -> None:
    """The name it left behind has nothing to bring back."""
    store.write("/f", b"one")
    store.rename("/f", "/g")
    store.tick()
    store.fs.namespace.add_delete_marker(1, b"f", ALICE)
    store.remove("/g")
    _purge(store, "/f", 0)

    assert not store.exists("/f")
    check_invariants(store)


def test_a_live_file_keeps_its_only_content(store: MemoryStore) -> None:
    """Unlink it first."""
    store.write("/f", b"one")
    with pytest.raises(InvalidArgument):
        _purge(store, "/f")
    assert store.read("/f") == b"one"


def test_a_pack_that_nothing_uses_is_collected(store: MemoryStore) -> None:
    """And only such a one; a dry run tells the same and changes nothing."""
    store.write("/f", b"a" * 100_000)
    assert _collect(store, dry_run=False).packs == 0
    store.remove("/f")
    _purge(store, "/f", 1)
    store.flush(durable=True)

    told = _collect(store, dry_run=True)
    done = _collect(store, dry_run=False)
    assert told == done
    assert done.packs == 1
    assert done.bytes > 100_000
    assert list(store.zone.list("packs/")) == []

    store.write("/g", b"next")
    store.flush()
    store.crash()
    assert store.read("/g") == b"next"
    check_invariants(store)


def test_blocks_of_an_open_draft_are_no_garbage(store: MemoryStore) -> None:
    """They are not among the facts yet."""
    handle = store.open("/f", 0o102)
    for megabyte in range(3):
        store.fs.write(handle, megabyte << 20, b"x" * (1 << 20))
    assert store.fs.volume.drafts[store.stat("/f").ino].blocks
    store.flush(durable=True)
    _collect(store, dry_run=False)
    store.close(handle)

    assert store.read("/f") == b"x" * (3 << 20)
    check_invariants(store)


def test_a_marker_that_is_uncovered_twice_is_the_only_one_of_its_time(store: MemoryStore) -> None:
    """The random attacker found it: below the marker lay a file whose last version was purged."""
    store.write("/f", b"first")
    store.remove("/f")
    older = store.fs.histories.of_name(ROOT_INO, b"f").items[0]
    assert older.version is None
    store.write("/f", b"second")
    store.remove("/f")
    newest, second, *_ = store.fs.histories.of_name(ROOT_INO, b"f").items
    purge(store.fs, second, caller=ALICE, bypass=None)
    purge(store.fs, newest, caller=ALICE, bypass=None)
    store.write("/f", b"third")

    assert store.history("/f") == [b"third", b"first"]
    check_invariants(store)
