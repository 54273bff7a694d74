"""What a crash finds half done is brought to an end when the store is opened again."""

import os
from typing import Final

import pytest
import trio
from msgspec import structs

from s3fs_local.engine.attributes import AttributeChange
from s3fs_local.errors import JournalDamaged, StoreFull
from s3fs_local.objects.failing import FailingObjects
from s3fs_local.objects.memory import MemoryObjects
from s3fs_local.rules.instants import SECOND_NS
from s3fs_local.rules.versioning import Origin
from tests.engine.invariants import check_invariants
from tests.engine.memory_store import ALICE, MemoryStore
from tests.simulation.driven_store import NothingToCheckpoint

CREATE: Final = os.O_CREAT | os.O_RDWR


@pytest.fixture
def zone() -> FailingObjects:
    """Where the store lives; fails on demand."""
    return FailingObjects(MemoryObjects())


@pytest.fixture
def store(zone: FailingObjects) -> MemoryStore:
    """A new store in that zone."""
    return MemoryStore(zone=zone)


def _open_and_write(store: MemoryStore, path: str, content: bytes) -> int:
    store.tick()
    handle = store.open(path, CREATE)
    store.fs.write(handle, 0, content)
    return handle


def test_a_file_that_was_open_has_a_version_marked_recovered(store: MemoryStore) -> None:
    """And one that was unlinked while open has none."""
    _open_and_write(store, "/f", b"unclosed")
    _open_and_write(store, "/gone", b"nameless")
    store.remove("/gone")
    store.flush()
    store.crash()

    inode = store.stat("/f")
    version = store.metadata.version(inode.ino, inode.version_ns)
    assert version is not None
    assert version.origin is Origin.RECOVERED
    assert store.opened.recovered == [inode.ino]
    assert store.history("/gone") == [b"nameless"]
    assert not store.fs.volume.drafts
    check_invariants(store)


def test_a_journal_without_what_the_facts_had_of_it_is_damage(
    store: MemoryStore, zone: FailingObjects
) -> None:
    """It is the only place of what came after that, and a store that opens says that all is there.

    A store that was never closed has no floor, and so no segment that it expects.
    """
    store.write("/f", b"settled")
    trio.run(store.fs.volume.durability.settle)
    store.write("/g", b"promised")
    store.flush()
    for name in list(zone.list("journal/")):
        zone.delete(name)

    with pytest.raises(JournalDamaged, match="missing, or ends before"):
        store.crash()


def test_a_file_just_made_is_empty_and_can_be_looked_back_at(store: MemoryStore) -> None:
    """Its name was journaled, so its first version must be made up for."""
    store.open("/f", CREATE)
    store.flush()
    store.crash()

    assert store.history("/f") == [b""]
    at_s = store.tick() // SECOND_NS
    assert store.listing(f"/.versions/@{at_s}") == [b"f"]


def test_a_second_crash_before_any_flush_loses_nothing(store: MemoryStore) -> None:
    """What the first recovery committed was in memory only."""
    _open_and_write(store, "/f", b"unclosed")
    store.flush()
    store.crash()
    store.crash()
    store.crash()

    assert store.history("/f") == [b"unclosed"]
    check_invariants(store)


def test_times_set_by_hand_survive_with_the_content(store: MemoryStore) -> None:
    """Programs that copy set them before they close the file."""
    early = _open_and_write(store, "/f", b"copied")
    late = _open_and_write(store, "/g", b"copied")
    store.flush()
    for handle in (early, late):
        ino = store.fs.open_files.get(handle).ino
        store.fs.setattr(ino, AttributeChange(mtime_ns=7 * SECOND_NS), handle, ALICE)
    store.fs.write(late, 6, b" more")
    store.flush()
    store.crash()

    assert store.stat("/f").mtime_ns == 7 * SECOND_NS
    assert store.stat("/g").mtime_ns > 7 * SECOND_NS
    assert store.read("/g") == b"copied more"


def test_what_was_sealed_early_and_what_was_not_come_back_together(store: MemoryStore) -> None:
    """Blocks of a draft are among no facts; the journal tells of them."""
    volume = store.fs.volume
    volume.settings = structs.replace(volume.settings, draft_memory_bytes=30_000)
    content = bytearray()
    handle = store.open("/f", CREATE)
    for number in range(20):
        piece = bytes([65 + number]) * 4000
        store.fs.write(handle, len(content), piece)
        content += piece
        if number % 6 == 5:
            store.flush()
    store.fs.write(handle, 10, b"!")
    content[10:11] = b"!"
    assert volume.drafts[store.stat("/f").ino].blocks
    store.flush()
    written_ns = store.stat("/f").mtime_ns
    store.tick(100)
    store.crash()

    assert store.read("/f") == content
    assert store.stat("/f").mtime_ns == written_ns
    check_invariants(store)
    store.write("/next", b"blocks get new numbers" * 100)
    check_invariants(store)


@pytest.mark.parametrize("kept", range(0, 700, 20))
def test_a_flush_torn_anywhere_keeps_the_draft_that_was_fsynced(
    store: MemoryStore, zone: FailingObjects, kept: int
) -> None:
    """It was committed and another begun; a torn journal has one without the other."""
    handle = _open_and_write(store, "/f", b"acknowledged" * 10)
    store.settle()
    store.fs.write(handle, 0, b"ACKNOWLEDGED" * 10)
    store.flush(durable=True)
    store.close(handle)
    handle = store.open("/f")
    store.fs.write(handle, 5, b"second")
    store.flush()
    zone.power_cut(lambda _, unsynced: unsynced[:kept])
    store.crash()

    content = store.read("/f")
    assert content in (
        b"ACKNOWLEDGED" * 10,
        b"ACKNOsecondD" + b"ACKNOWLEDGED" * 9,
    )
    check_invariants(store)


@pytest.mark.parametrize("nth", [1, 2, 3, 4])
def test_a_commit_that_found_the_disk_full_can_be_made_again(
    store: MemoryStore, zone: FailingObjects, nth: int
) -> None:
    """Neither bytes nor the new file's key are lost, whichever of its blocks did not fit."""
    content = b"".join(bytes([65 + number]) * (1 << 20) for number in range(3))
    handle = store.open("/f", CREATE)
    for start in range(0, len(content), 3 << 18):  # no write ends with its cell
        store.fs.write(handle, start, content[start : start + (3 << 18)])
    zone.fail("append", StoreFull("no space"), nth=nth)
    told = 0
    for _ in range(2):
        try:
            store.fs.flush(handle)
        except StoreFull:
            told += 1
    assert store.fs.read_current(store.stat("/f").ino, 0, 1 << 23) == content
    store.fs.release(handle)
    store.flush()
    store.crash()

    assert told == 1
    assert store.read("/f") == content
    check_invariants(store)


def test_a_full_disk_at_the_start_keeps_what_was_not_closed(
    store: MemoryStore, zone: FailingObjects
) -> None:
    """The store opens, so that room can be made, and commits later."""
    _open_and_write(store, "/f", b"unclosed" * 100)
    store.flush()
    zone.fail("append", StoreFull("no space"), nth=1)
    store.crash()
    assert store.read("/f") == b"unclosed" * 100
    assert store.opened.recovered == []

    store.flush()
    store.crash()
    assert store.history("/f") == [b"unclosed" * 100]
    check_invariants(store)


@pytest.mark.parametrize("nth", [1, 2])
def test_facts_that_could_not_be_committed_at_the_start_are_not_replayed_onto_themselves(
    store: MemoryStore, zone: FailingObjects, nth: int
) -> None:
    """Else a later commit says that they end where the one before did, and they come twice."""
    store.write("/f", b"kept")
    store.flush()
    zone.fail("sync", StoreFull("no space"), nth=nth)
    store.crash()
    store.settle()
    store.crash()

    assert store.history("/f") == [b"kept"]
    check_invariants(store)


def test_a_journal_left_behind_holds_what_is_still_open(store: MemoryStore) -> None:
    """Cut, grown, sealed early and in memory: the draft is repeated as it is."""
    store.write("/f", b"b" * 20_000)
    store.settle()
    volume = store.fs.volume
    volume.settings = structs.replace(volume.settings, draft_memory_bytes=1)
    handle = store.open("/f")
    ino = store.stat("/f").ino
    store.fs.write(handle, 0, b"x" * 100)
    store.fs.setattr(ino, AttributeChange(size=9_000), handle, ALICE)
    store.fs.setattr(ino, AttributeChange(size=12_000), handle, ALICE)
    store.fs.write(handle, 11_000, b"y" * 100)
    expected = store.fs.read_current(ino, 0, 20_000)
    for _ in range(3):
        _leave_segment(store)
        store.fs.write(handle, 0, b"x")
    store.flush()
    store.crash()

    assert len(list(store.zone.list("journal/"))) <= 2
    assert expected == b"x" * 100 + b"b" * 8_900 + bytes(2_000) + b"y" * 100 + bytes(900)
    assert store.read("/f") == expected
    check_invariants(store)


def _leave_segment(store: MemoryStore) -> None:
    trio.run(store.fs.volume.durability.leave_segment_behind, NothingToCheckpoint())
