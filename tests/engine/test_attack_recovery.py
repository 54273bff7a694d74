"""Recoveries that are themselves cut short, again and again, lose nothing that was fsynced."""

import pytest

from s3fs_local.engine.draft_records import DraftBegun, DraftRecord, DraftWritten
from s3fs_local.engine.recovery import unended_drafts
from s3fs_local.errors import StoreFull
from s3fs_local.objects.failing import FailingObjects
from s3fs_local.objects.memory import MemoryObjects
from tests.engine.invariants import check_invariants
from tests.engine.memory_store import MemoryStore


@pytest.fixture
def zone() -> FailingObjects:
    """Where the store lives; fails on demand."""
    return FailingObjects(MemoryObjects())


@pytest.fixture
def store(zone: FailingObjects) -> MemoryStore:
    """A new store in that zone."""
    return MemoryStore(zone=zone)


def test_a_draft_whose_repetition_was_torn_twice_is_as_it_was_first() -> None:
    """Each new segment repeats it; a crash may tear the repetition, and the next one, too."""
    whole: list[DraftRecord] = [
        DraftBegun(2, 7, 1000, 0, 1),
        DraftWritten(2, 7, 0, b"fsynced", 1),
    ]
    torn = DraftBegun(2, 7, 1000, 0, 2)

    assert unended_drafts([*whole, torn]) == {7: whole}
    assert unended_drafts([*whole, torn, torn]) == {7: whole}
    assert unended_drafts([*whole, torn, *whole, torn]) == {7: whole}


def test_a_draft_that_waits_for_room_is_not_mixed_with_a_new_one(
    zone: FailingObjects, store: MemoryStore
) -> None:
    """The clock stands still, and drafts are not among the facts: their numbers could repeat."""
    store.write("/f", b"old")
    store.write("/g", b"old")
    store.settle()
    store.crash()
    first = store.open("/f")
    store.fs.write(first, 0, b"new f")
    store.flush(durable=True)
    zone.fail("append", StoreFull("no room"), nth=1)
    store.crash()
    assert len(store.fs.volume.drafts) == 1, "it could not be committed"
    second = store.open("/g")
    store.fs.write(second, 0, b"new g")
    store.flush(durable=True)
    store.crash()

    assert store.read("/f") == b"new f"
    assert store.read("/g") == b"new g"
    check_invariants(store)
