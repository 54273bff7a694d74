"""fsync(2) without a thread: on a quick disk the loop waits itself, if nobody else would."""

import os
from collections.abc import Callable
from typing import Any

import pytest
import trio

from s3fs_local.engine.device_pace import QUICK_NS_MAX, DevicePace
from s3fs_local.errors import StoreReadOnly, ZoneUnavailable
from s3fs_local.fuse.reader_gate import ReaderGate
from s3fs_local.objects.failing import FailingObjects
from s3fs_local.objects.memory import MemoryObjects
from s3fs_local.objects.zone import Zone
from s3fs_local.rules.inode import ROOT_INO
from tests.engine.memory_store import ALICE, MemoryStore

CREATE = os.O_CREAT | os.O_RDWR


@pytest.fixture
def zone() -> FailingObjects:
    """Where the store lives; counts what is asked of it, and loses power."""
    return FailingObjects(MemoryObjects())


@pytest.fixture
def store(zone: FailingObjects) -> MemoryStore:
    """A store on a quick disk."""
    return MemoryStore(zone=zone)


def test_a_line_costs_one_append_and_one_sync_and_no_thread(
    store: MemoryStore, zone: FailingObjects
) -> None:
    """An audit log appends and syncs all day; a thread would cost more than the disk."""
    handle = store.open("/log", CREATE)
    assert store.fs.fsync_nowait(handle)
    before = zone.calls.copy()

    for number in range(10):
        store.fs.write(handle, 200 * number, b"x" * 200)
        assert store.fs.fsync_nowait(handle)

    calls = zone.calls - before
    assert (calls["append"], calls["sync"]) == (10, 10)


def test_what_was_synced_in_place_survives_a_power_cut(
    store: MemoryStore, zone: FailingObjects
) -> None:
    """The promise of fsync(2) is the same on both ways."""
    handle = store.open("/log", CREATE)
    store.fs.write(handle, 0, b"kept")
    assert store.fs.fsync_nowait(handle)
    store.fs.write(handle, 4, b" and lost")

    zone.power_cut()
    store.crash()

    assert store.read("/log") == b"kept"


def test_names_are_synced_in_place_too(store: MemoryStore, zone: FailingObjects) -> None:
    """A database syncs the directory of its journal at each transaction, beside the file."""
    handle = store.open("/log", CREATE)
    assert store.fs.fsync_nowait(handle)
    store.fs.write(handle, 0, b"lost: nobody synced the file")
    store.open("/journal", CREATE)
    directory = store.fs.opendir(ROOT_INO, ALICE)
    before = zone.calls.copy()

    assert store.fs.fsyncdir_nowait(directory)
    calls = zone.calls - before
    assert (calls["append"], calls["sync"]) == (1, 1)

    zone.power_cut()
    store.crash()
    assert sorted(store.listing("/")) == [b"journal", b"log"]
    assert store.read("/log") == b""


def test_nothing_new_needs_no_sync(store: MemoryStore, zone: FailingObjects) -> None:
    """A second fsync(2) has nothing to wait for."""
    handle = store.open("/f", CREATE)
    assert store.fs.fsync_nowait(handle)
    syncs = zone.calls["sync"]
    assert store.fs.fsync_nowait(handle)
    assert zone.calls["sync"] == syncs


def test_a_failed_sync_in_place_leaves_the_store_read_only(
    store: MemoryStore, zone: FailingObjects
) -> None:
    """Its data may be lost from the page cache, so no later fsync may say that it is there."""
    handle = store.open("/f", CREATE)
    store.fs.write(handle, 0, b"data")
    zone.fail("sync", ZoneUnavailable("the disk is broken"))
    with pytest.raises(ZoneUnavailable):
        store.fs.fsync_nowait(handle)
    with pytest.raises(StoreReadOnly):
        store.fs.write(handle, 0, b"more")


def test_a_sync_that_runs_already_is_joined(store: MemoryStore) -> None:
    """All who wait at the time are served by one sync: so whoever comes meanwhile must queue."""
    handle = store.open("/f", CREATE)
    found = []

    async def looking(blocking: Callable[[], Any]) -> None:
        found.append(store.fs.fsync_nowait(handle))
        blocking()

    store.fs.volume.durability.run_blocking = looking  # type: ignore[misc]  # the test's own thread
    store.flush(durable=True)
    assert found == [False]


def test_a_line_is_durable_while_moved_bytes_go_to_the_disk(
    store: MemoryStore, zone: FailingObjects
) -> None:
    """A gigabyte changes class: nobody who syncs a line waits for that, nor syncs it himself."""
    durability = store.fs.volume.durability
    handle = store.open("/log", CREATE)
    assert store.fs.fsync_nowait(handle)
    durability.packs.append(b"moved", "STANDARD_IA", moves=True)
    found: list[tuple[bool, int]] = []

    async def looking(blocking: Callable[[], Any]) -> None:
        store.fs.write(handle, 0, b"line")
        before = zone.calls["sync"]
        found.append((store.fs.fsync_nowait(handle), zone.calls["sync"] - before))
        assert durability.packs.needs_sync
        blocking()

    durability.run_blocking = looking  # type: ignore[misc]  # the test's own thread
    trio.run(durability.sync_packs)
    assert found == [(True, 1)]
    assert not durability.packs.needs_sync
    zone.power_cut()
    store.crash()
    assert store.read("/log") == b"line"


def test_what_is_written_beside_moved_bytes_is_synced_without_them(
    store: MemoryStore, zone: FailingObjects
) -> None:
    """The pack with the file and the journal are synced; the pack with moved bytes is not."""
    packs = store.fs.volume.durability.packs
    handle = store.open("/log", CREATE)
    assert store.fs.fsync_nowait(handle)
    packs.append(b"moved", "STANDARD_IA", moves=True)
    store.write("/f", b"x" * 100_000)
    before = zone.calls["sync"]
    store.fs.write(handle, 0, b"line")
    assert store.fs.fsync_nowait(handle)
    assert zone.calls["sync"] - before == 2
    assert packs.needs_sync


def test_a_sync_of_packs_that_runs_is_waited_for_in_a_thread(store: MemoryStore) -> None:
    """It may be a long one, and the loop would wait for its end."""
    packs = store.fs.volume.durability.packs
    handle = store.open("/log", CREATE)
    store.fs.write(handle, 0, b"line")
    with packs._sync_mutex:  # noqa: SLF001
        assert not store.fs.fsync_nowait(handle)
    assert store.fs.fsync_nowait(handle)


def test_several_zones_are_left_to_a_thread(store: MemoryStore) -> None:
    """One of them may hang until it is given up, and the loop must stay free that long."""
    members = store.fs.volume.zones.members
    members.zones = (*members.zones, Zone(MemoryObjects(), zone_id=f"{1:032x}"))
    assert not store.fs.fsync_nowait(store.open("/f", CREATE))


def test_only_a_disk_that_is_known_to_be_quick_is_waited_for() -> None:
    """Not one that nobody has tried, nor one that lately was slow; one slow sync is forgiven."""
    pace = DevicePace()
    found = [pace.is_quick]
    for took_ns in (QUICK_NS_MAX // 10, *[QUICK_NS_MAX * 5] * 20):
        pace.note(took_ns)
        found.append(pace.is_quick)
    assert found[:3] == [False, True, True]
    assert not pace.is_quick


async def test_a_gate_is_idle_while_nobody_waits() -> None:
    """Whoever waits in place would hold up what the others wait for."""
    gate = ReaderGate()
    found = [gate.is_idle]

    async def look() -> None:
        found.append(gate.is_idle)

    await gate.waiting(look)
    assert [*found, gate.is_idle] == [True, False, True]
