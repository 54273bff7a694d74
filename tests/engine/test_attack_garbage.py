"""Garbage collection beside commits, crashes and power cuts frees nothing that may come back."""

import pytest
import trio

from s3fs_local.engine.compaction import collect_garbage
from s3fs_local.engine.purging import purge
from s3fs_local.objects.failing import FailingObjects
from s3fs_local.objects.memory import MemoryObjects
from tests.engine.invariants import check_invariants
from tests.engine.memory_store import ALICE, MemoryStore


@pytest.fixture
def zone() -> FailingObjects:
    """Where the store lives; loses power on demand."""
    return FailingObjects(MemoryObjects())


@pytest.fixture
def store(zone: FailingObjects) -> MemoryStore:
    """A new store in that zone."""
    return MemoryStore(zone=zone)


def _purge_newest(store: MemoryStore, path: str) -> None:
    item = next(i for i in store.fs.histories.of_name(*store.place(path)).items if i.version)
    purge(store.fs, item, caller=ALICE, bypass=None)


def _collect(store: MemoryStore) -> int:
    """As the command does it."""
    return trio.run(lambda: collect_garbage(store.fs, dry_run=False)).packs


def test_a_kill_right_after_a_collection_loses_nothing_that_was_fsynced(
    store: MemoryStore,
) -> None:
    """The journal still names blocks of the pack that is gone; that is no power cut."""
    store.write("/f", b"a" * 100_000)
    store.remove("/f")
    _purge_newest(store, "/f")
    store.mkdir("/kept")
    assert _collect(store) == 1
    store.crash()

    assert store.exists("/kept")
    check_invariants(store)


def test_a_power_cut_right_after_a_collection_loses_nothing_that_was_fsynced(
    zone: FailingObjects, store: MemoryStore
) -> None:
    """As after a kill, and unsynced bytes are lost besides."""
    store.write("/f", b"a" * 100_000)
    store.remove("/f")
    _purge_newest(store, "/f")
    store.mkdir("/kept")
    assert _collect(store) == 1
    zone.power_cut()
    store.crash()

    assert store.exists("/kept")
    check_invariants(store)


def test_a_purge_that_comes_while_the_collection_syncs_is_for_the_next_one(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The collection waits for a device, and other requests are served meanwhile."""
    store.write("/f", b"a" * 100_000)
    store.remove("/f")
    durability = store.fs.volume.durability
    flush = durability.flush
    purged: list[str] = []

    async def purging_flush(*, durable: bool) -> None:
        await flush(durable=durable)
        if not purged:
            _purge_newest(store, "/f")
            purged.append("/f")

    monkeypatch.setattr(durability, "flush", purging_flush)
    assert _collect(store) == 0
    store.crash()

    assert store.history("/f") == [b"a" * 100_000]
    check_invariants(store)
