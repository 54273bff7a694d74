"""docs/semantics.md, 9: storage classes."""

import errno
import os
from pathlib import Path

import pytest
import trio

from s3fs_local.engine.compaction import collect_garbage
from s3fs_local.engine.pace import AT_ONCE
from s3fs_local.engine.purging import purge
from s3fs_local.errors import Archived
from s3fs_local.rules.inode import ROOT_INO
from s3fs_local.rules.retrieval import RetrievalTier
from s3fs_local.rules.storage_classes import StorageClass, Tier
from tests.engine.memory_store import ALICE, MemoryStore
from tests.engine.test_classes_move_bytes import (
    DAY_S,
    TEXT,
    change,
    current,
    pack_bytes,
    placements,
    settle,
)
from tests.mounting import MountedStore, s3fs_local
from tests.semantics.promises import promise


def retrieve(store: MemoryStore, path: str, days: int = 1) -> None:
    """The current version is retrieved."""
    ino, stamp_ns = store.stat(path).ino, store.stat(path).version_ns
    store.fs.retrieving.request(ino, stamp_ns, days=days, tier=RetrievalTier.STANDARD, caller=ALICE)
    trio.run(store.fs.retrieving.advance_all, AT_ONCE)


@promise("Changing the class of a version moves its bytes and changes nothing else.")
def test_a_change_of_class_is_not_seen(store: MemoryStore) -> None:
    """Id, ETag, times, tags and content stay; there is no new version."""
    store.write("/log", TEXT)
    before, first = current(store, "/log"), store.stat("/log")

    change(store, "/log", "STANDARD_IA")

    after, then = current(store, "/log"), store.stat("/log")
    assert (after.stamp_ns, after.etag, after.tags) == (before.stamp_ns, before.etag, before.tags)
    assert (then.mtime_ns, then.ctime_ns) == (first.mtime_ns, first.ctime_ns)
    assert len(store.metadata.versions(then.ino)) == 1
    assert store.read("/log") == TEXT


@promise("A locked version changes its class like any other.")
def test_locked_versions_move(store: MemoryStore) -> None:
    """A lock protects content, and that stays."""
    store.write("/log", TEXT)
    value = b"COMPLIANCE 1d"
    ino = store.stat("/log").ino
    trio.run(store.fs.lock_attributes.set, ino, b"s3.object-lock", value, ALICE)

    change(store, "/log", "GLACIER_IR")

    assert placements(store, "/log") == {"GLACIER_IR"}
    assert store.read("/log") == TEXT


@promise("Bytes that several versions share lie where the hottest of them wants them.")
def test_the_hottest_version_decides(store: MemoryStore) -> None:
    """A rule for old versions makes no current one slower."""
    store.write("/log", TEXT)
    old_ns = store.stat("/log").version_ns
    store.append("/log", b"more")

    change(store, "/log", "DEEP_ARCHIVE", stamp_ns=old_ns)

    assert placements(store, "/log") == {"STANDARD"}
    assert store.read("/log") == TEXT + b"more"


@promise(
    "New versions get the class of the nearest directory above that has one, else of the store."
)
def test_new_versions_inherit_a_class(store: MemoryStore) -> None:
    """`class set DIR CLASS`."""
    store.mkdir("/cold")
    store.fs.classes.set_of_new_files(store.stat("/cold").ino, StorageClass.STANDARD_IA, ALICE)
    store.write("/cold/log", TEXT)
    store.write("/log", TEXT)

    assert current(store, "/cold/log").storage_class == "STANDARD_IA"
    assert current(store, "/log").storage_class == "STANDARD"


@promise("Opening a file for reading is an access for INTELLIGENT_TIERING, looking at it is none.")
def test_only_reading_counts(store: MemoryStore) -> None:
    """A nightly `find` keeps nothing warm."""
    for path in ("/read", "/seen"):
        store.write(path, TEXT)
        change(store, path, "INTELLIGENT_TIERING")
    store.tick(20 * DAY_S)
    store.read("/read")
    store.stat("/seen")
    store.fs.classes.apply_reads()
    store.tick(20 * DAY_S)
    store.fs.classes.move_tiers()

    assert current(store, "/read").tier is Tier.FREQUENT
    assert current(store, "/seen").tier is Tier.INFREQUENT


@promise("A version of GLACIER or DEEP_ARCHIVE is not read before it is retrieved: EREMOTE.")
def test_archived_versions_are_not_read(store: MemoryStore) -> None:
    """As in S3, where it is InvalidObjectState."""
    for wanted in ("GLACIER", "DEEP_ARCHIVE"):
        store.write("/log", TEXT)
        change(store, "/log", wanted)
        with pytest.raises(Archived):
            store.open("/log", os.O_RDONLY)

        retrieve(store, "/log")

        assert store.read("/log") == TEXT


@promise("What needs none of its bytes works on an archived file.")
def test_archived_files_live_on(store: MemoryStore) -> None:
    """Names, attributes, removal, a whole new content."""
    store.write("/log", TEXT)
    change(store, "/log", "GLACIER")

    store.rename("/log", "/moved")
    store.chmod("/moved", 0o600)
    assert store.stat("/moved").size == len(TEXT)
    store.write("/moved", b"new")
    store.remove("/moved")

    assert not store.exists("/moved")


@promise("Changing a part of an archived file is refused when it is opened.")
def test_a_part_is_not_changed(store: MemoryStore) -> None:
    """The rest of the bytes would be needed at close, when few programs look."""
    store.write("/log", TEXT)
    change(store, "/log", "GLACIER")

    with pytest.raises(Archived):
        store.append("/log", b"more")


@promise("A retrieved copy expires at the midnight (UTC) after its days; the class stays.")
def test_copies_expire(store: MemoryStore) -> None:
    """S3's arithmetic."""
    store.write("/log", TEXT)
    change(store, "/log", "GLACIER")
    retrieve(store, "/log", days=2)
    assert current(store, "/log").storage_class == "GLACIER"
    start_s = store.clock.now_ns() // 10**9
    midnight_s = (start_s // DAY_S + 3) * DAY_S

    store.tick(midnight_s - start_s - 1)
    trio.run(store.fs.retrieving.advance_all, AT_ONCE)
    assert store.read("/log") == TEXT
    store.tick(1)
    trio.run(store.fs.retrieving.advance_all, AT_ONCE)

    with pytest.raises(Archived):
        store.open("/log", os.O_RDONLY)


@promise("Restoring an archived version makes an archived version, and moves no byte.")
def test_a_restore_does_not_retrieve(store: MemoryStore) -> None:
    """Retrieving is asked for, and paid, by itself."""
    store.write("/log", TEXT)
    old = current(store, "/log")
    change(store, "/log", "GLACIER")
    store.write("/log", b"new")

    store.fs.restore_content(old.ino, old.ino, old.stamp_ns, caller=ALICE)
    settle(store)

    assert current(store, "/log").storage_class == "GLACIER"
    assert placements(store, "/log") == {"GLACIER"}


@promise("After `gc` the packs are at most a tenth larger than what versions need.")
def test_gc_frees_what_is_dead(store: MemoryStore) -> None:
    """Half of a store expires at random."""
    for number in range(60):
        store.write(f"/{number}", store.randomness.bytes(50_000 + number))
    for number in range(60):
        if store.randomness.bits(1):
            store.remove(f"/{number}")
            for item in list(store.fs.histories.of_name(ROOT_INO, b"%d" % number).items):
                if item.version is not None:
                    purge(store.fs, item, caller=ALICE, bypass=None)
    before = pack_bytes(store)

    trio.run(lambda: collect_garbage(store.fs, dry_run=False))

    live = store.metadata.usage().sealed_bytes
    assert live < 0.8 * before
    assert pack_bytes(store) <= 1.1 * live


@pytest.mark.mount
@pytest.mark.slow
@promise("With `-o archived=wait` opening an archived file retrieves it for a day, and waits.")
def test_a_mount_can_wait_for_archives(tmp_path: Path) -> None:
    """Programs that know nothing of archives; with O_NONBLOCK the error is EAGAIN."""
    s3fs_local("init", tmp_path / "store")
    (tmp_path / "mount").mkdir()
    mounted = MountedStore(tmp_path / "store", tmp_path / "mount", ["archived=wait"])
    try:
        mounted.mount()
        for name in ("one", "two"):
            (mounted.path / name).write_bytes(TEXT)
            s3fs_local("class", "set", mounted.path / name, "GLACIER")

        assert (mounted.path / "one").read_bytes() == TEXT
        with pytest.raises(BlockingIOError) as refused:
            os.open(mounted.path / "two", os.O_RDONLY | os.O_NONBLOCK)
        assert refused.value.errno == errno.EAGAIN
        assert (mounted.path / "two").read_bytes() == TEXT
        header = os.getxattr(mounted.path / "one", "s3.restore").decode()
        assert header.startswith('ongoing-request="false", expiry-date="')
    finally:
        mounted.clean_up()
