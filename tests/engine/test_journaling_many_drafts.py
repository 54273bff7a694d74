"""Many files that are written to at once: what the journal gets of them goes in parts."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from s3fs_local.engine.durability import JOURNALED_AT_ONCE_BYTES
from s3fs_local.errors import StoreFull
from s3fs_local.objects.failing import FailingAppender, FailingObjects
from s3fs_local.objects.memory import MemoryObjects
from s3fs_local.rules.extents import CELL_BYTES
from tests.engine.memory_store import MemoryStore

FILES = 40
PART = b"x" * (CELL_BYTES - 4096)


@contextmanager
def _appends_noted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The lengths of all appends meanwhile."""
    lengths: list[int] = []
    append = FailingAppender.append

    def noting(self: FailingAppender, data: bytes | bytearray | memoryview) -> int:
        lengths.append(len(data))
        return append(self, data)

    with monkeypatch.context() as patched:
        patched.setattr(FailingAppender, "append", noting)
        yield lengths


def _written(store: MemoryStore) -> None:
    """Each file has a draft that holds nearly a cell in memory."""
    for number in range(FILES):
        handle = store.open(f"/f{number}", os.O_CREAT | os.O_RDWR)
        store.fs.write(handle, 0, PART)


def test_one_append_holds_a_bounded_part_of_all_drafts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Encoded and sealed in one piece, they took several times the memory that drafts may have."""
    store = MemoryStore(zone=FailingObjects(MemoryObjects()))
    _written(store)
    with _appends_noted(monkeypatch) as lengths:
        store.flush(durable=True)
    assert sum(lengths) > FILES * len(PART)
    assert max(lengths) < JOURNALED_AT_ONCE_BYTES + 2 * CELL_BYTES


@pytest.mark.parametrize("nth", [1, 2, 3, 8])
def test_a_full_disk_between_two_parts_loses_none(nth: int) -> None:
    """What the journal could not take is kept, in order, and follows once there is room."""
    zone = FailingObjects(MemoryObjects())
    store = MemoryStore(zone=zone)
    _written(store)
    zone.fail("append", StoreFull("no space"), nth=nth)
    with pytest.raises(StoreFull):
        store.flush(durable=True)

    store.flush(durable=True)
    zone.power_cut()
    store.crash()

    for number in range(FILES):
        assert store.read(f"/f{number}") == PART


@pytest.mark.parametrize("parts", [1, 3])
def test_a_crash_between_two_parts_loses_whole_files_only(parts: int) -> None:
    """Nobody was told that they are safe; a file that is there is there as it was written."""
    zone = FailingObjects(MemoryObjects())
    store = MemoryStore(zone=zone)
    store.open("/first", os.O_CREAT | os.O_RDWR)
    store.flush(durable=True)  # the segment is begun
    _written(store)
    zone.fail("append", StoreFull("no space"), nth=parts + 1, for_ever=True)
    with pytest.raises(StoreFull):
        store.flush()
    zone.faults.clear()
    store.crash()

    found = [store.read(f"/f{number}") for number in range(FILES) if store.exists(f"/f{number}")]
    assert PART in found
    assert set(found) <= {PART, b""}


def test_a_full_disk_within_one_draft_loses_none_of_it() -> None:
    """A draft of many cells goes in several parts, too, and its rest is kept with it."""
    zone = FailingObjects(MemoryObjects())
    store = MemoryStore(zone=zone)
    handle = store.open("/f", os.O_CREAT | os.O_RDWR)
    store.flush(durable=True)
    for cell in range(12):
        store.fs.write(handle, cell * CELL_BYTES, PART)
    zone.fail("append", StoreFull("no space"))
    with pytest.raises(StoreFull):
        store.flush(durable=True)

    store.flush(durable=True)
    zone.power_cut()
    store.crash()

    found = store.read("/f")
    assert all(found[cell * CELL_BYTES :].startswith(PART) for cell in range(12))
