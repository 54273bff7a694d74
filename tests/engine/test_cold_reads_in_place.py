"""Cold reads without a thread: on a quick disk the loop waits itself, if nobody else would."""

import os

import pytest
import trio

from s3fs_local.engine.device_pace import DevicePace
from s3fs_local.objects.memory import MemoryObjects
from s3fs_local.objects.zone import Zone
from tests.engine.memory_store import MemoryStore, QuickDisk

CONTENT = b"cold" * 1000


class ColdObjects(MemoryObjects):
    """A disk of which nothing is in the page cache."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0

    def read_nowait(self, name: str, offset: int, length: int) -> bytes | None:
        """See `ObjectStore`; a device would have to be waited for."""
        del name, offset, length
        return None

    def read(self, name: str, offset: int, length: int) -> bytes:
        """See `ObjectStore`."""
        self.reads += 1
        return super().read(name, offset, length)


@pytest.fixture
def zone() -> ColdObjects:
    """Where the store lives."""
    return ColdObjects()


@pytest.fixture
def handle_and_store(zone: ColdObjects) -> tuple[int, MemoryStore]:
    """A file that is open for reading, on a quick disk."""
    store = MemoryStore(zone=zone)
    store.write("/f", CONTENT)
    store.fs.volume.blocks.pace = QuickDisk()
    return store.open("/f", os.O_RDONLY), store


def test_a_cold_read_costs_one_read_and_no_thread(
    handle_and_store: tuple[int, MemoryStore], zone: ColdObjects
) -> None:
    """A search through a tree that was just mounted reads each file cold."""
    handle, store = handle_and_store
    before = zone.reads
    assert store.fs.read_nowait(handle, 0, 4000) is None
    assert store.fs.read_in_place(handle, 0, 4000) == CONTENT
    assert zone.reads == before + 1


def test_a_disk_that_was_never_tried_is_left_to_a_thread(
    handle_and_store: tuple[int, MemoryStore],
) -> None:
    """Nobody knows how long it takes; the thread's read tells."""
    handle, store = handle_and_store
    store.fs.volume.blocks.pace = DevicePace()
    assert store.fs.read_nowait(handle, 0, 4000) is None
    assert store.fs.read_in_place(handle, 0, 4000) is None
    assert trio.run(store.fs.read, handle, 0, 4000) == CONTENT


def test_several_zones_are_left_to_a_thread(handle_and_store: tuple[int, MemoryStore]) -> None:
    """One of them may hang until another is asked, and the loop must stay free that long."""
    handle, store = handle_and_store
    members = store.fs.volume.zones.members
    members.zones = (*members.zones, Zone(MemoryObjects(), zone_id=f"{1:032x}"))
    assert store.fs.read_nowait(handle, 0, 4000) is None
    assert store.fs.read_in_place(handle, 0, 4000) is None
