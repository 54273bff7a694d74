"""Moves of blocks beside readers, full disks and failing zones: nothing is lost, all goes on."""

import os
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from msgspec import structs

from s3fs_local.engine.attributes import AttributeChange
from s3fs_local.engine.compaction import collect_garbage
from s3fs_local.engine.pace import AT_ONCE
from s3fs_local.engine.purging import purge
from s3fs_local.errors import Archived, DataDamaged, StorageError, StoreFull, ZoneUnavailable
from s3fs_local.objects.failing import FailingObjects
from s3fs_local.objects.memory import MemoryObjects
from s3fs_local.objects.zone import Zone
from s3fs_local.objects.zone_set import ZoneSet
from s3fs_local.packs.pack_store import pack_name
from s3fs_local.rules.retrieval import RetrievalTier
from s3fs_local.rules.settings import parse_setting
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


def test_an_open_handle_changes_its_file_when_it_is_archived() -> None:
    """By a write as by ftruncate(2); truncate(2) needs bytes that are not here."""
    store = MemoryStore()
    store.write("log", TEXT)
    ino = store.stat("log").ino
    handle = store.open("log", os.O_RDWR)
    change(store, "log", "GLACIER")
    with pytest.raises(Archived):
        store.fs.setattr(ino, AttributeChange(size=100), None, ALICE)

    store.fs.setattr(ino, AttributeChange(size=100), handle, ALICE)
    store.fs.write(handle, 10, b"hello")
    store.close(handle)

    assert store.read("log") == TEXT[:10] + b"hello" + TEXT[15:100]


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


def test_a_block_that_files_share_moves_once() -> None:
    """A version that was restored to fifty names lies in a class once, as it did before."""
    store = MemoryStore()
    store.write("photo", store.randomness.bytes(100_000))
    version = current(store, "photo")
    names = ["photo", *map(str, range(50))]
    for name in names[1:]:
        store.write(name, b"")
        ino = store.stat(name).ino
        store.fs.restore_content(ino, version.ino, version.stamp_ns, caller=ALICE)
    before = pack_bytes(store)
    for name in names:
        set_class(store, name, "STANDARD_IA")

    settle(store)

    assert all(placements(store, name) == {"STANDARD_IA"} for name in names)
    assert pack_bytes(store) < 2.1 * before


def test_a_pass_that_was_overtaken_and_a_pass_that_was_cut_off_settle_nothing() -> None:
    """The worker moves a file when somebody changes its class again, and ends that with Ctrl-C."""
    store = MemoryStore()
    store.write("log", TEXT * 40)
    ino = store.stat("log").ino
    set_class(store, "log", "STANDARD_IA")
    command = trio.CancelScope()

    async def changing() -> None:
        with command:
            await store.fs.settling.settle(ino, AT_ONCE)

    async def scenario() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(store.fs.settling.settle, ino, AT_ONCE)
            for _ in range(5):
                await trio.lowlevel.checkpoint()
            set_class(store, "log", "GLACIER_IR")
            nursery.start_soon(changing)
            for _ in range(5):
                await trio.lowlevel.checkpoint()
            command.cancel()

    trio.run(scenario)
    settle(store)

    assert placements(store, "log") == {"GLACIER_IR"}
    assert not store.metadata.unsettled(1)


ONE_COPY = "GLACIER:copies=1,zones=hot,zstd=1"


class ThreeZones:
    """A store in three zones, with a file in the archive of which one zone has the only copy."""

    def __init__(self) -> None:
        self.objects = [MemoryObjects() for _ in range(3)]
        self.store = MemoryStore(
            make_zones=lambda: ZoneSet(
                [Zone(each, zone_id=f"{n:032x}") for n, each in enumerate(self.objects)]
            ),
            retrieval_delay_standard="0",
            storage_classes=parse_setting("storage-classes", ONE_COPY),
        )
        self.store.write("one", TEXT)
        change(self.store, "one", "GLACIER")
        trio.run(lambda: collect_garbage(self.store.fs, dry_run=False))
        (self.pack_id,) = {block.pack_id for block in blocks(self.store, "one")}

    def take_away(self) -> Callable[[], None]:
        """The zone that has the file's bytes does not answer any more; call it to bring it back."""
        (number,) = [n for n, each in enumerate(self.objects) if self._holds(each)]
        zone = self.store.fs.volume.zones.zones[number]
        answers = zone.store
        self.store.fs.volume.zones.members.suspend(zone, "as scripted")
        zone.store = None
        self.store.fs.volume.blocks.forget_all()

        def bring_back() -> None:
            zone.store = answers

        return bring_back

    def _holds(self, objects: MemoryObjects) -> bool:
        return pack_name(self.pack_id) in set(objects.list("packs/"))


def test_bytes_in_a_zone_that_is_away_move_when_it_is_back() -> None:
    """Others do not wait for them; and no file passes for settled whose only copy is there."""
    zones = ThreeZones()
    store = zones.store
    store.write("other", TEXT)
    bring_back = zones.take_away()
    old = current(store, "one")
    store.fs.classes.transition(old.ino, old.stamp_ns, "STANDARD", present="GLACIER")
    set_class(store, "other", "STANDARD_IA")

    with pytest.raises(ZoneUnavailable, match="1 files"):
        settle(store)

    assert placements(store, "other") == {"STANDARD_IA"}
    assert placements(store, "one") == {"GLACIER"}
    bring_back()
    settle(store)
    assert placements(store, "one") == {"STANDARD"}
    assert not store.metadata.unsettled(1)
    assert store.read("one") == TEXT


def test_a_copy_is_not_there_before_its_bytes_are() -> None:
    """Nor does the retrieval of another file wait for a zone that it does not need."""
    zones = ThreeZones()
    store = zones.store
    bring_back = zones.take_away()
    store.write("two", TEXT)
    change(store, "two", "GLACIER")
    for name in ("one", "two"):
        inode = store.stat(name)
        store.fs.retrieving.request(
            inode.ino, inode.version_ns, days=1, tier=RetrievalTier.STANDARD, caller=ALICE
        )

    with pytest.raises(ZoneUnavailable):
        trio.run(store.fs.retrieving.advance_all, AT_ONCE)

    assert current(store, "one").is_archived
    assert store.read("two") == TEXT
    bring_back()
    trio.run(store.fs.retrieving.advance_all, AT_ONCE)
    assert store.read("one") == TEXT


class SmallZone(MemoryObjects):
    """A zone of so many bytes."""

    total = 1 << 40

    @property
    def used(self) -> int:
        """Bytes that its objects take."""
        return sum(self.length(name) for name in self.list(""))

    def free_bytes(self) -> tuple[int, int]:
        """What is left of it."""
        return max(self.total - self.used, 0), self.total


def half_dead(zone: SmallZone, packs: int) -> MemoryStore:
    """So many packs of 4 MiB that live and 4 MiB that do not."""
    store = MemoryStore(zone=zone)
    for number in range(packs):
        for half in ("kept", "gone"):
            handle = store.open(f"{half}{number}", os.O_CREAT | os.O_WRONLY)
            for offset in range(0, 4 << 20, 1 << 20):
                store.fs.write(handle, offset, store.randomness.bytes(1 << 20))
            store.close(handle)
        store.fs.volume.blocks.leave_open_packs()
    for number in range(packs):
        place = store.place(f"gone{number}")
        store.remove(f"gone{number}")
        for item in store.fs.histories.of_name(*place).items:
            if item.version is not None:
                purge(store.fs, item, caller=ALICE, bypass=None)
    return store


def test_gc_gets_by_with_room_for_one_pack() -> None:
    """Each pack that goes makes room for the blocks of the next."""
    zone = SmallZone()
    store = half_dead(zone, 6)
    zone.total = zone.used + (4 << 20) + (5 << 20)  # held back: a twentieth
    before = pack_bytes(store)

    expected = trio.run(lambda: collect_garbage(store.fs, dry_run=True))
    garbage = trio.run(lambda: collect_garbage(store.fs, dry_run=False))

    assert garbage == expected
    assert pack_bytes(store) < before / 2 + 1000


def test_a_pack_that_could_not_be_removed_is_found_by_the_next_collection() -> None:
    """Also by the worker's, which takes nothing that no fact knows."""
    zone = FailingObjects(MemoryObjects())
    store = MemoryStore(zone=zone)
    store.write("log", TEXT)
    store.write("log", b"new")
    old = store.fs.histories.of_name(*store.place("log")).items[1]
    purge(store.fs, old, caller=ALICE, bypass=None)
    zone.fail("delete", ZoneUnavailable("it is busy"))

    with pytest.raises(ZoneUnavailable):
        trio.run(lambda: collect_garbage(store.fs, dry_run=False))
    store.flush(durable=True)
    store.crash()
    assert pack_bytes(store) > 1_000_000
    trio.run(lambda: collect_garbage(store.fs, dry_run=False, removes_orphans=False))

    assert pack_bytes(store) < 200
    assert store.read("log") == b"new"


def test_a_pack_that_is_not_removed_keeps_no_other() -> None:
    """Neither those that are empty, nor those that must be emptied first."""
    zone = FailingObjects(MemoryObjects())
    store = MemoryStore(zone=zone)
    for number in range(2):
        store.write(f"gone{number}", TEXT)
        store.fs.volume.blocks.leave_open_packs()
    store.write("kept", TEXT[:100_000])
    store.write("gone2", TEXT)
    for number in range(3):
        place = store.place(f"gone{number}")
        store.remove(f"gone{number}")
        for item in store.fs.histories.of_name(*place).items:
            if item.version is not None:
                purge(store.fs, item, caller=ALICE, bypass=None)
    zone.fail("delete", ZoneUnavailable("it is busy"))

    with pytest.raises(ZoneUnavailable, match="busy"):
        trio.run(lambda: collect_garbage(store.fs, dry_run=False))

    assert len(store.fs.volume.blocks.pack_lengths()) == 2
    assert len(TEXT) < pack_bytes(store) < 1.1 * len(TEXT)
    assert store.read("kept") == TEXT[:100_000]


def test_what_a_full_disk_let_move_is_not_written_again() -> None:
    """A file of which a part fits is further after each attempt."""
    zone = SmallZone()
    store = half_dead(zone, 2)
    for number in range(2):
        set_class(store, f"kept{number}", "ONEZONE_IA")
    zone.total = zone.used + (4 << 20) + (2 << 20)

    with pytest.raises(StoreFull):
        settle(store)
    first = zone.used
    with pytest.raises(StoreFull):
        settle(store)

    placed = placements(store, "kept0") | placements(store, "kept1")
    assert placed == {"STANDARD", "ONEZONE_IA"}
    assert zone.used < first + (1 << 20)
