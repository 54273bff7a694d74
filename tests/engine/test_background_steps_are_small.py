"""What runs beside requests takes small steps: however long a pack is, requests go on between."""

import os
import threading

import pytest
import trio

from s3fs_local.engine import healing
from s3fs_local.engine.compaction import Garbage, collect_garbage
from s3fs_local.engine.durability import run_in_thread
from s3fs_local.engine.healing import Healing
from s3fs_local.engine.purging import purge
from s3fs_local.engine.verified_copies import VerifiedCopies
from s3fs_local.metadata.memory import MemoryMetadata
from s3fs_local.objects.memory import MemoryObjects
from s3fs_local.rules.extents import CELL_BYTES, Block
from s3fs_local.rules.yielding import PIECE_BYTES
from tests.engine.memory_store import ALICE, MemoryStore

FILES = 25
PAGE = 4


def test_a_scrub_reads_rows_in_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pack of small files has tens of thousands of rows; each page is a step of its own."""
    monkeypatch.setattr(healing, "PAGE", PAGE)
    asked: list[int] = []

    class Noting(MemoryMetadata):
        def blocks_in_pack(self, pack_id: int, *, behind: int = -1, limit: int = -1) -> list[Block]:
            found = super().blocks_in_pack(pack_id, behind=behind, limit=limit)
            asked.append(len(found))
            return found

    store = MemoryStore(metadata=Noting())
    for number in range(FILES):
        store.write(f"/f{number}", b"x")
    handle = store.open("/open", os.O_CREAT | os.O_RDWR)
    store.fs.write(handle, 0, b"y" * CELL_BYTES)
    store.fs.write(handle, CELL_BYTES, b"z")  # so the first cell is in a block of a draft
    [(pack_id, _, _)] = store.metadata.packs()
    packs = store.fs.volume.durability.packs
    care = Healing(store.fs.volume, packs, VerifiedCopies())
    trio.run(care.finish_all)
    name = packs.zones.list_anywhere("packs/")[0]
    asked.clear()

    assert trio.run(care.check, pack_id, packs.zones.zones[0]) == []
    assert (sum(asked), max(asked)) == (FILES, PAGE)

    whole = store.zone.read(name, 0, store.zone.length(name))
    store.zone.put(name, whole[:-1] + bytes([whole[-1] ^ 1]))  # the draft's block is the last
    [piece] = trio.run(care.check, pack_id, packs.zones.zones[0])
    assert not piece.repaired


def test_a_scrub_reads_a_pack_in_pieces_and_leaves_out_what_is_dead() -> None:
    """A pack of 64 MiB at once took 6 ms only to be freed, for which every request waited."""
    read: list[int] = []

    class Noting(MemoryObjects):
        def read(self, name: str, offset: int, length: int) -> bytes:
            found = super().read(name, offset, length)
            read.append(len(found))
            return found

    store = MemoryStore(zone=Noting())
    for number in range(12):
        store.write(f"/f{number:02}", bytes([number]) * CELL_BYTES)
    for number in range(1, 11):  # what is left lies at the beginning and at the end
        store.remove(f"/f{number:02}")
        store.tick()
        item = store.fs.histories.of_name(*store.place(f"/f{number:02}")).items[1]
        purge(store.fs, item, caller=ALICE, bypass=None)
    packs = store.fs.volume.durability.packs
    care = Healing(store.fs.volume, packs, VerifiedCopies())
    trio.run(care.finish_all)
    [pack_id] = {pack_id for pack_id, _, _ in store.metadata.packs()}
    read.clear()

    assert trio.run(care.check, pack_id, packs.zones.zones[0]) == []
    assert 2 * CELL_BYTES < sum(read) < 3 * CELL_BYTES
    assert max(read) < PIECE_BYTES


def test_a_pack_is_removed_in_a_thread() -> None:
    """To remove a long file and sync its directory takes tens of ms on a busy disk."""
    threads: list[threading.Thread] = []

    class Noting(MemoryObjects):
        def delete(self, name: str) -> None:
            if name.startswith("packs/"):
                threads.append(threading.current_thread())
            super().delete(name)

    store = MemoryStore(zone=Noting(), run_blocking=run_in_thread)
    store.write("/f", b"x" * 100_000)
    store.remove("/f")
    store.tick()
    purge(
        store.fs, store.fs.histories.of_name(*store.place("/f")).items[1], caller=ALICE, bypass=None
    )

    async def collect() -> Garbage:
        return await collect_garbage(store.fs, dry_run=False)

    assert trio.run(collect).packs == 1
    assert threads
    assert threading.main_thread() not in threads
