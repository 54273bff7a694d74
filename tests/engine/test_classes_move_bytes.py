"""Storage classes in the engine: bytes really move, in place, and come back the same."""

import trio

from s3fs_local.engine.compaction import collect_garbage
from s3fs_local.engine.pace import AT_ONCE
from s3fs_local.metadata.changes import PutSetting
from s3fs_local.rules.extents import CELL_BYTES, Block, blocks_of, decode_layout
from s3fs_local.rules.retention import Retention
from s3fs_local.rules.storage_classes import StorageClass, Tier
from s3fs_local.rules.versioning import Version
from tests.engine.memory_store import ALICE, ROOT, MemoryStore

DAY_S = 86400
TEXT = b"".join(b"line %d of a log that compresses well\n" % number for number in range(60_000))


def change(store: MemoryStore, path: str, wanted: str, *, stamp_ns: int = 0) -> None:
    """The version (the current one) has the class, and its blocks lie where they belong."""
    inode = store.stat(path)
    wanted_class = StorageClass(wanted)
    store.fs.classes.set_by(inode.ino, stamp_ns or inode.version_ns, wanted_class, ALICE)
    settle(store)


def settle(store: MemoryStore) -> None:
    """Everything lies where it belongs."""
    trio.run(store.fs.settling.settle_all, AT_ONCE)


def current(store: MemoryStore, path: str) -> Version:
    """The current version."""
    inode = store.stat(path)
    version = store.metadata.version(inode.ino, inode.version_ns)
    assert version is not None
    return version


def blocks(store: MemoryStore, path: str, at_ns: int = (1 << 63) - 2) -> list[Block]:
    """The blocks of the file at an instant, by cell."""
    cells = store.metadata.cells(store.stat(path).ino, 0, at_ns)
    numbers = [block_id for _, _, layout in cells for block_id in blocks_of(decode_layout(layout))]
    found = [store.metadata.block(block_id) for block_id in numbers]
    return [block for block in found if block is not None]


def placements(store: MemoryStore, path: str, at_ns: int = (1 << 63) - 2) -> set[str]:
    """Where the blocks of the file lie."""
    return {store.fs.volume.blocks.placement(b.pack_id) for b in blocks(store, path, at_ns)}


def pack_bytes(store: MemoryStore) -> int:
    """Bytes of all packs in the zone."""
    return sum(store.fs.volume.blocks.pack_lengths().values())


def test_a_transition_moves_the_bytes_and_changes_nothing_that_anyone_sees() -> None:
    """The story: cold text in STANDARD_IA takes a fraction, and is the same file."""
    store = MemoryStore()
    store.write("log", TEXT)
    before, first = current(store, "log"), store.stat("log")
    size = pack_bytes(store)

    change(store, "log", "STANDARD_IA")
    trio.run(lambda: collect_garbage(store.fs, dry_run=False))

    after = current(store, "log")
    assert (after.stamp_ns, after.etag, after.salt) == (before.stamp_ns, before.etag, before.salt)
    assert after.storage_class == "STANDARD_IA"
    assert store.stat("log").mtime_ns == first.mtime_ns
    assert placements(store, "log") == {"STANDARD_IA"}
    assert pack_bytes(store) < size / 4
    assert store.read("log") == TEXT
    assert not store.metadata.unsettled(1)


def test_bytes_that_come_back_are_sealed_as_they_first_were() -> None:
    """Identity: whatever a class did to a block, its first seal can be proven, and returns."""
    store = MemoryStore()
    store.write("log", TEXT)
    before = blocks(store, "log")

    change(store, "log", "GLACIER_IR")
    away = blocks(store, "log")
    change(store, "log", "STANDARD")
    back = blocks(store, "log")

    assert [b.identity for b in away] == [b.digest for b in before]
    assert all(b.codec and b.sealed_length < b.length / 4 for b in away)
    assert [(b.digest, b.codec, b.plain_digest) for b in back] == [
        (b.digest, 0, b"") for b in before
    ]
    assert store.read("log") == TEXT


def test_what_does_not_compress_moves_as_it_is() -> None:
    """Pictures and archives: no work for nothing, and reads as cheap as before."""
    store = MemoryStore()
    noise = store.randomness.bytes(300_000)
    store.write("photo", noise)

    change(store, "photo", "ONEZONE_IA")

    assert placements(store, "photo") == {"ONEZONE_IA"}
    assert [block.codec for block in blocks(store, "photo")] == [0]
    assert store.read("photo") == noise


def test_any_part_of_a_compressed_file_can_be_read() -> None:
    """Random access stays: frames, not files, are compressed."""
    store = MemoryStore()
    store.write("log", TEXT)
    change(store, "log", "STANDARD_IA")

    handle = store.open("log", 0)
    for offset in (0, 1, 131_071, 131_072, CELL_BYTES - 5, CELL_BYTES + 131_000, len(TEXT) - 3):
        assert trio.run(store.fs.read, handle, offset, 4096) == TEXT[offset : offset + 4096]
    assert trio.run(store.fs.read, handle, 100_000, 900_000) == TEXT[100_000:1_000_000]


def test_a_shared_block_lies_where_the_hottest_version_needs_it() -> None:
    """An old version in the archive costs the new one nothing."""
    store = MemoryStore()
    store.write("log", TEXT)
    old_ns = store.stat("log").version_ns
    store.patch("log", 0, bytes(CELL_BYTES))

    change(store, "log", "DEEP_ARCHIVE", stamp_ns=old_ns)

    assert placements(store, "log") == {"STANDARD"}
    assert placements(store, "log", old_ns) == {"STANDARD", "DEEP_ARCHIVE"}
    assert store.read("log") == bytes(CELL_BYTES) + TEXT[CELL_BYTES:]


def test_blocks_grow_cold_when_the_last_warm_version_goes() -> None:
    """Removal is a reason to move, too."""
    store = MemoryStore()
    store.write("log", TEXT)
    old_ns = store.stat("log").version_ns
    change(store, "log", "STANDARD_IA", stamp_ns=old_ns)
    store.append("log", b"more")
    settle(store)
    assert placements(store, "log", old_ns) == {"STANDARD"}

    change(store, "log", "STANDARD_IA")

    assert placements(store, "log", old_ns) == {"STANDARD_IA"}


def test_blocks_shared_with_another_file_stay_as_warm_as_it_is() -> None:
    """`restore --to` shares blocks between files; none is made colder by the other's rules."""
    store = MemoryStore()
    store.write("log", TEXT)
    stamp_ns = store.stat("log").version_ns
    store.write("copy", b"x")
    store.fs.restore_content(store.stat("copy").ino, store.stat("log").ino, stamp_ns, caller=ALICE)

    change(store, "log", "GLACIER")
    assert placements(store, "copy") == {"STANDARD"}
    change(store, "copy", "GLACIER_IR")

    assert placements(store, "copy") == {"GLACIER_IR"}
    assert placements(store, "log") == {"GLACIER_IR"}
    assert store.read("copy") == TEXT


def test_a_lock_does_not_hold_a_transition_up() -> None:
    """S3: locked versions are transitioned; not a byte of them changes."""
    store = MemoryStore(object_lock="true")
    store.write("log", TEXT)
    until_ns = store.clock.now_ns() + DAY_S * 10**9
    ino = store.stat("log").ino
    store.fs.locks.set_retention(ino, Retention("COMPLIANCE", until_ns), caller=ROOT)

    change(store, "log", "STANDARD_IA")

    assert current(store, "log").lock is not None
    assert placements(store, "log") == {"STANDARD_IA"}
    assert store.read("log") == TEXT


def test_a_rule_acts_only_on_what_it_looked_at() -> None:
    """The seam of lifecycle: between its look and its act, the version may have changed."""
    store = MemoryStore()
    store.write("log", TEXT)
    inode = store.stat("log")
    stamp_ns = inode.version_ns

    assert store.fs.classes.transition(inode.ino, stamp_ns, "GLACIER_IR", present="STANDARD")
    assert not store.fs.classes.transition(inode.ino, stamp_ns, "GLACIER", present="STANDARD")
    assert not store.fs.classes.transition(inode.ino, 12345, "GLACIER", present="STANDARD")
    assert current(store, "log").storage_class == "GLACIER_IR"


def test_new_files_get_the_class_of_the_nearest_directory_above() -> None:
    """`class set DIR CLASS`, and the store's default where no directory has one."""
    store = MemoryStore(default_class='"STANDARD_IA"')
    store.mkdir("cold")
    store.mkdir("cold/deep")
    store.write("cold/deep/before", TEXT)
    store.fs.classes.set_of_new_files(store.stat("cold").ino, StorageClass.GLACIER_IR, ALICE)
    store.write("cold/deep/new", TEXT)
    store.write("plain", TEXT)
    settle(store)

    assert current(store, "cold/deep/new").storage_class == "GLACIER_IR"
    assert placements(store, "cold/deep/new") == {"GLACIER_IR"}
    assert current(store, "cold/deep/before").storage_class == "STANDARD_IA"
    assert current(store, "plain").storage_class == "STANDARD_IA"
    assert placements(store, "plain") == {"STANDARD_IA"}


def test_intelligent_tiering_follows_reads_both_ways() -> None:
    """Unread for 30 and 90 days it grows colder, really; one read and it is FREQUENT again."""
    store = MemoryStore()
    store.write("log", TEXT)
    change(store, "log", "INTELLIGENT_TIERING")
    assert placements(store, "log") == {"STANDARD"}

    seen = []
    for days in (29, 2, 58, 2):
        store.tick(days * DAY_S)
        store.stat("log")  # a look is no read
        while store.fs.classes.move_tiers():
            pass
        settle(store)
        seen.append((current(store, "log").tier, placements(store, "log")))
    assert seen == [
        (Tier.FREQUENT, {"STANDARD"}),
        (Tier.INFREQUENT, {"STANDARD_IA"}),
        (Tier.INFREQUENT, {"STANDARD_IA"}),
        (Tier.ARCHIVE_INSTANT, {"GLACIER_IR"}),
    ]

    assert store.read("log") == TEXT
    store.fs.classes.apply_reads()
    settle(store)

    assert current(store, "log").tier is Tier.FREQUENT
    assert placements(store, "log") == {"STANDARD"}
    assert current(store, "log").storage_class == "INTELLIGENT_TIERING"


def test_small_files_are_not_watched() -> None:
    """S3: below 128 KB a version stays FREQUENT, and costs no monitoring."""
    store = MemoryStore()
    store.write("note", b"x" * 131_071)
    change(store, "note", "INTELLIGENT_TIERING")
    store.tick(400 * DAY_S)

    assert store.fs.classes.move_tiers() == 0
    assert current(store, "note").tier is Tier.FREQUENT


def test_a_read_costs_at_most_one_change_a_day() -> None:
    """Watching is cheap: a hot file is not written to because it is read."""
    store = MemoryStore()
    store.write("log", TEXT)
    change(store, "log", "INTELLIGENT_TIERING")
    store.tick(2 * DAY_S)
    for _ in range(3):
        store.read("log")
        store.fs.classes.apply_reads()
        seen = current(store, "log").accessed_ns
        store.tick(3600)

    assert current(store, "log").accessed_ns == seen
    assert seen == store.clock.now_ns() - 3 * 3600 * 10**9


def test_where_a_class_lies_can_be_set() -> None:
    """`config set storage-classes`: here GLACIER_IR is not compressed."""
    store = MemoryStore()
    value = '{"GLACIER_IR": {"copies": 1, "kinds": ["hot"], "zstd_level": 0}}'
    store.metadata.apply([PutSetting("storage-classes", value)])
    store.metadata.commit(store.metadata.position())
    store.crash()
    store.write("log", TEXT)

    change(store, "log", "GLACIER_IR")

    assert placements(store, "log") == {"GLACIER_IR"}
    assert {block.codec for block in blocks(store, "log")} == {0}
