"""Moves of blocks beside readers, full disks and failing zones: nothing is lost, all goes on."""

import os
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from msgspec import structs

from s3fs_local.engine.compaction import collect_garbage
from s3fs_local.engine.pace import AT_ONCE
from s3fs_local.engine.purging import purge
from s3fs_local.errors import DataDamaged, StorageError, StoreFull
from s3fs_local.objects.failing import FailingObjects
from s3fs_local.objects.memory import MemoryObjects
from s3fs_local.packs.pack_store import pack_name
from s3fs_local.rules.storage_classes import StorageClass
from tests.engine.memory_store import ALICE, MemoryStore
from tests.engine.test_classes_move_bytes import (
    TEXT,
    blocks,
    change,
    current,
    pack_bytes,
    placements,
    settle,
)


class ColdObjects(MemoryObjects):
    """A zone that never answers at once, as a disk whose pages nobody has read yet."""

    def read_nowait(self, name: str, offset: int, length: int) -> bytes | None:
        """Always None."""
        del name, offset, length
        return None


def set_class(store: MemoryStore, path: str, wanted: str) -> None:
    """Only the fact; the bytes follow."""
    inode = store.stat(path)
    store.fs.classes.set_by(inode.ino, inode.version_ns, StorageClass(wanted), ALICE)


def test_a_reader_that_holds_an_old_place_asks_again() -> None:
    """Between its question and its wait for the disk, the bytes moved and the pack went."""
    store = MemoryStore(zone=ColdObjects())
    store.write("log", TEXT)
    handle = store.open("log", 0)
    assert store.fs.read_nowait(handle, 0, 4096) is None

    change(store, "log", "STANDARD_IA")
    trio.run(lambda: collect_garbage(store.fs, dry_run=False))
    store.fs.volume.blocks.fetch()  # looks where the bytes were

    assert trio.run(store.fs.read, handle, 0, 4096) == TEXT[:4096]
    assert trio.run(store.fs.read, handle, 1_000_000, 200_000) == TEXT[1_000_000:1_200_000]


def test_bytes_that_are_nowhere_are_told_as_damage() -> None:
    """Asking again must not become asking for ever."""
    zone = ColdObjects()
    store = MemoryStore(zone=zone)
    store.write("log", TEXT)
    for block in blocks(store, "log"):
        zone.delete(pack_name(block.pack_id))
    store.fs.volume.blocks.forget_all()

    with pytest.raises(DataDamaged):
        store.read("log")


def test_an_open_handle_reads_on_when_its_file_is_archived() -> None:
    """EREMOTE is told when a file is opened, never in the middle."""
    store = MemoryStore()
    store.write("log", TEXT)
    handle = store.open("log", 0)

    change(store, "log", "GLACIER")

    assert trio.run(store.fs.read, handle, 5000, 4096) == TEXT[5000:9096]


@pytest.mark.parametrize("method", ["append", "create", "read"])
@pytest.mark.parametrize("nth", [1, 2, 3])
def test_a_fault_in_the_middle_loses_nothing(method: str, nth: int) -> None:
    """Whatever fails once: the file reads, and the next pass finishes."""
    zone = FailingObjects(MemoryObjects())
    store = MemoryStore(zone=zone)
    store.write("log", TEXT)
    set_class(store, "log", "STANDARD_IA")
    zone.fail(method, StoreFull("as scripted"), nth=nth)

    try:
        settle(store)
    except StorageError:
        assert store.metadata.unsettled(1)

    assert store.read("log") == TEXT
    zone.faults = []
    settle(store)
    assert placements(store, "log") == {"STANDARD_IA"}
    assert store.read("log") == TEXT
    trio.run(lambda: collect_garbage(store.fs, dry_run=False))
    assert pack_bytes(store) < 1.1 * store.metadata.usage().sealed_bytes + 100


def test_a_damaged_block_stays_where_it_is_and_keeps_no_other() -> None:
    """A move never copies what fails its check, and never gives up for one block."""
    zone = MemoryObjects()
    store = MemoryStore(zone=zone)
    store.write("log", TEXT)
    first, *others = blocks(store, "log")
    zone._contents[pack_name(first.pack_id)][first.pack_offset + 5000] ^= 1  # noqa: SLF001

    set_class(store, "log", "STANDARD_IA")
    settle(store)

    moved = {block.block_id: block for block in blocks(store, "log")}
    assert moved[first.block_id] == first
    assert all(moved[block.block_id].pack_id != block.pack_id for block in others)
    with pytest.raises(DataDamaged):
        store.read("log")


def test_gc_leaves_a_pack_whose_block_is_damaged() -> None:
    """The rest of the garbage goes; the damage is for a scrub to mend."""
    zone = MemoryObjects()
    store = MemoryStore(zone=zone)
    store.write("gone", TEXT)
    store.write("log", store.randomness.bytes(100_000))
    (block,) = blocks(store, "log")
    zone._contents[pack_name(block.pack_id)][block.pack_offset + 50] ^= 1  # noqa: SLF001
    store.write("other", b"x")
    store.remove("gone")
    for item in list(store.fs.histories.of_name(*store.place("gone")).items):
        if item.version is not None:
            purge(store.fs, item, caller=ALICE, bypass=None)

    trio.run(lambda: collect_garbage(store.fs, dry_run=False))

    assert pack_name(block.pack_id) in set(zone.list("packs/"))


def test_a_change_of_class_while_the_bytes_move_is_not_lost() -> None:
    """A pass that was overtaken is made again before the mark goes."""
    store = MemoryStore()
    store.write("log", TEXT)
    set_class(store, "log", "STANDARD_IA")

    async def scenario() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(store.fs.settling.settle_all, AT_ONCE)
            for wanted in ("GLACIER_IR", "ONEZONE_IA"):
                await trio.lowlevel.checkpoint()
                set_class(store, "log", wanted)
        await store.fs.settling.settle_all(AT_ONCE)

    trio.run(scenario)

    assert current(store, "log").storage_class == "ONEZONE_IA"
    assert placements(store, "log") == {"ONEZONE_IA"}
    assert not store.metadata.unsettled(1)


async def alone(store: MemoryStore) -> None:
    """As a command that waits for one file."""
    await store.fs.settling.settle(store.stat("log").ino, AT_ONCE)


async def with_others(store: MemoryStore) -> None:
    """As the worker, which comes by again."""
    await store.fs.settling.settle_all(AT_ONCE)
    await store.fs.settling.settle_all(AT_ONCE)


@pytest.mark.parametrize("settles", [alone, with_others])
def test_a_class_that_changes_again_while_the_last_block_moves_is_followed(
    monkeypatch: pytest.MonkeyPatch, settles: Callable[[MemoryStore], Awaitable[None]]
) -> None:
    """The mark of an unsettled file goes only after a pass that nothing overtook."""
    store = MemoryStore()
    store.write("log", TEXT)
    set_class(store, "log", "STANDARD_IA")
    calls = 0

    async def overtaken(function: Callable[[], Any]) -> Any:  # noqa: ANN401 - passes through
        nonlocal calls
        calls += 1
        if calls == len(blocks(store, "log")):
            set_class(store, "log", "GLACIER_IR")
        return function()

    monkeypatch.setattr(store.fs.volume.durability, "run_blocking", overtaken)

    trio.run(settles, store)

    assert placements(store, "log") == {"GLACIER_IR"}
    assert not store.metadata.unsettled(1)


def test_blocks_grow_cold_when_the_last_warm_version_is_purged() -> None:
    """A removal is a reason to move, like a change of class."""
    store = MemoryStore()
    store.write("log", TEXT)
    old_ns = store.stat("log").version_ns
    store.fs.classes.set_by(store.stat("log").ino, old_ns, StorageClass.STANDARD_IA, ALICE)
    store.append("log", b"more")
    settle(store)
    assert placements(store, "log") == {"STANDARD"}
    newest = store.fs.histories.of_name(*store.place("log")).items[0]

    purge(store.fs, newest, caller=ALICE, bypass=None)
    settle(store)

    assert store.stat("log").version_ns == old_ns
    assert placements(store, "log") == {"STANDARD_IA"}
    assert store.fs.getxattr(store.stat("log").ino, b"s3.storage-class") == b"STANDARD_IA"


def test_new_bytes_are_durable_before_a_row_names_them() -> None:
    """A power cut that keeps the journal and loses what packs had not synced loses nothing."""
    zone = FailingObjects(MemoryObjects())
    store = MemoryStore(zone=zone)
    store.write("log", TEXT)
    store.write("other", b"x")
    store.flush(durable=True)

    change(store, "log", "STANDARD_IA")
    store.remove("other")  # hands the journal all that was changed, unsynced
    zone.power_cut(lambda name, unsynced: unsynced if name.startswith("journal") else b"")
    store.crash()

    assert placements(store, "log") == {"STANDARD_IA"}
    assert store.read("log") == TEXT


def test_a_mount_never_looks_for_blocks_whose_pack_was_removed() -> None:
    """A block that was synced before the journal named it is not sought after it was collected."""
    zone = FailingObjects(MemoryObjects())
    store = MemoryStore(zone=zone)
    volume = store.fs.volume
    volume.settings = structs.replace(volume.settings, draft_memory_bytes=9000)
    handle = store.open("log", os.O_CREAT | os.O_RDWR)
    for number in range(10):
        store.fs.write(handle, number * 5000, bytes([number + 1]) * 5000)  # sealed early
    trio.run(volume.durability.sync_packs)
    store.close(handle)
    first = store.stat("log").version_ns
    (pack_id,) = {block.pack_id for block in blocks(store, "log")}
    volume.blocks.leave_pack(pack_id)
    store.write("log", b"kept")
    items = store.fs.histories.of_name(*store.place("log")).items
    (old,) = [i for i in items if i.version is not None and i.version.stamp_ns == first]
    purge(store.fs, old, caller=ALICE, bypass=None)

    assert trio.run(lambda: collect_garbage(store.fs, dry_run=False)).packs == 1
    zone.power_cut()
    store.crash()

    assert store.read("log") == b"kept"


def test_a_block_that_goes_while_it_moves_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """A purge does not wait for a mover, and a mover brings nothing back."""
    store = MemoryStore()
    store.write("log", TEXT)
    store.write("log", b"new")
    old = store.fs.histories.of_name(*store.place("log")).items[1]
    assert old.version is not None
    store.fs.classes.transition(
        old.version.ino, old.version.stamp_ns, "STANDARD_IA", present="STANDARD"
    )
    calls = 0

    async def purging(function: Callable[[], Any]) -> Any:  # noqa: ANN401 - passes through
        nonlocal calls
        calls += 1
        if calls == 3:
            purge(store.fs, old, caller=ALICE, bypass=None)
        return function()

    monkeypatch.setattr(store.fs.volume.durability, "run_blocking", purging)

    settle(store)

    assert store.read("log") == b"new"
    assert store.metadata.usage().blocks == 1
    monkeypatch.undo()
    trio.run(lambda: collect_garbage(store.fs, dry_run=False))
    assert pack_bytes(store) < 200


def test_many_small_files_move_with_few_syncs() -> None:
    """A rule that moves a million small files must not cost a million syncs."""
    store = MemoryStore()
    for number in range(100):
        store.write(f"{number}", TEXT[: 5000 + number])
        set_class(store, f"{number}", "GLACIER_IR")
    before = store.fs.volume.durability.fsyncs

    settle(store)

    assert not store.metadata.unsettled(1)
    assert store.fs.volume.durability.fsyncs - before < 5
    assert all(placements(store, f"{number}") == {"GLACIER_IR"} for number in range(100))
    assert store.read("77") == TEXT[:5077]
