"""Damage, full disks and failed syncs cost what they must and nothing else."""

import os
from typing import Final

import pytest
import trio
from msgspec import structs
from trio.testing import MockClock

from s3fs_local.errors import DataDamaged, StoreReadOnly, ZoneUnavailable
from s3fs_local.metadata.changes import PutKey
from s3fs_local.objects.failing import FailingObjects
from s3fs_local.objects.memory import MemoryObjects
from s3fs_local.workers.upkeep import Upkeep
from tests.engine.invariants import check_invariants
from tests.engine.memory_store import MemoryStore
from tests.simulation.driven_store import NothingToCheckpoint

CELL: Final = 1 << 20


def damage(store: MemoryStore) -> None:
    """Every byte in the packs is another one, and no plain block is remembered."""
    for name in list(store.zone.list("packs/")):
        content = store.zone.read(name, 0, store.zone.length(name))
        store.zone.put(name, content[:48] + bytes(byte ^ 1 for byte in content[48:]))


@pytest.fixture
def damaged() -> MemoryStore:
    """A store with one file, `/f`, of 3000 bytes, whose block no zone has whole."""
    store = MemoryStore()
    store.write("/f", b"a" * 3000)
    store.settle()
    damage(store)
    store.crash()
    with pytest.raises(DataDamaged):
        store.read("/f")
    return store


def test_a_damaged_file_can_be_overwritten(damaged: MemoryStore) -> None:
    """Whoever has a copy must be able to write it where the damage is."""
    damaged.patch("/f", 0, b"b" * 3000)

    assert damaged.read("/f") == b"b" * 3000


def test_damage_beside_what_was_written_does_not_take_it_along(damaged: MemoryStore) -> None:
    """The old bytes would have been sealed anew together with the new ones."""
    handle = damaged.open("/f", os.O_WRONLY)
    damaged.fs.write(handle, 3000, b"b" * 10)
    damaged.flush(durable=True)
    damaged.crash()

    inode = damaged.stat("/f")
    assert inode.size == 3010
    reader = damaged.open("/f", os.O_RDONLY)
    assert damaged.fs.read_nowait(reader, 3000, 10) == b"b" * 10


def test_a_file_that_is_written_over_and_over_holds_no_blocks_it_left() -> None:
    """A program may keep its scratch file open for months."""
    store = MemoryStore(checkpoint_interval="0")
    volume = store.fs.volume
    volume.settings = structs.replace(volume.settings, draft_memory_bytes=4 * 1000)
    handle = store.open("/f", os.O_CREAT | os.O_RDWR)
    for turn in range(50):
        store.fs.write(handle, 0, bytes([turn]) * 3000)
    draft = volume.drafts[store.stat("/f").ino]

    assert len(draft.blocks) <= 1
    assert store.stat("/f").allocated <= 6000
    store.flush()
    store.crash()
    assert store.read("/f") == bytes([49]) * 3000
    check_invariants(store)


def test_after_a_failed_sync_not_one_more_byte_is_taken() -> None:
    """Also before the background task has noticed."""
    zone = FailingObjects(MemoryObjects())
    store = MemoryStore(zone=zone)
    handle = store.open("/f", os.O_CREAT | os.O_RDWR)
    store.fs.write(handle, 0, b"one")
    zone.fail("sync", ZoneUnavailable("gone"), for_ever=True)
    with pytest.raises(ZoneUnavailable):
        store.flush(durable=True)

    with pytest.raises(StoreReadOnly):
        store.fs.write(handle, 3, b"two")


def test_a_file_that_cannot_have_its_checkpoint_keeps_no_other_from_being_safe() -> None:
    """Its data key is damaged, say. The store stays writable, and the rest is journaled."""
    store = MemoryStore()
    store.write("/f", b"a" * 3000)
    store.settle()
    store.crash()
    version = store.stat("/f")
    handle = store.open("/f", os.O_WRONLY)
    store.fs.write(handle, 0, b"b" * 10)
    key = store.metadata.key(version.key_id)
    assert key is not None
    store.metadata.apply([PutKey(version.key_id, key[:-1] + bytes([key[-1] ^ 1]))])
    store.tick(301)
    store.mkdir("/safe")

    async def live() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(Upkeep(store.fs, NothingToCheckpoint()).run)
            await trio.sleep(3)
            nursery.cancel_scope.cancel()

    trio.run(live, clock=MockClock(autojump_threshold=0))
    assert not store.fs.volume.read_only_reason
    store.write("/more", b"one")
    store.flush()
    store.crash()
    assert store.exists("/safe")
    assert store.read("/more") == b"one"
