"""Blocks come back from whichever zone still has them, and no sync is promised falsely."""

from collections.abc import Callable
from itertools import count
from pathlib import Path
from threading import Event, Thread

import pytest

from s3fs_local.errors import (
    DataDamaged,
    StorageError,
    StoreFull,
    TooFewZones,
    ZoneUnavailable,
)
from s3fs_local.objects.failing import FailingObjects
from s3fs_local.objects.interface import ObjectStore
from s3fs_local.objects.local_directory import LocalDirectory
from s3fs_local.objects.memory import MemoryObjects
from s3fs_local.objects.zone_set import ZoneSet
from s3fs_local.packs.pack_store import (
    HEADER_BYTES,
    PackStore,
    pack_count,
    pack_id_after,
    pack_id_of,
    pack_name,
)
from s3fs_local.system.randomness import SeededRandomness
from tests.packs.several_zones import failing_zones, strict

STORE_ID = bytes(range(16))


def _packs(
    zones: list[FailingObjects] | ZoneSet, first_id: int = 1, limit: int = 1000
) -> PackStore:
    ids = count(first_id)
    return PackStore(
        zones, store_id=STORE_ID, allocate_pack=lambda _: next(ids), pack_bytes_max=limit
    )


def test_blocks_are_read_back_from_where_they_were_put() -> None:
    """The story, over two zones with the same bytes."""
    zones = failing_zones(2)
    packs = _packs(zones)
    first = packs.append(b"first", "STANDARD")
    second = packs.append(bytearray(b"second"), "STANDARD")
    packs.sync()

    assert first == (1, HEADER_BYTES)
    assert second == (1, HEADER_BYTES + 5)
    assert packs.read(*second, 6) == packs.read_nowait(*second, 6) == b"second"
    assert packs.lengths() == {1: HEADER_BYTES + 11}
    contents = [zone.read(pack_name(1), 0, 999) for zone in zones]
    assert contents[0] == contents[1]
    assert contents[0][:8] == b"S3FSPACK"


def test_a_pack_has_one_placement() -> None:
    """Archived blocks must not share a pack with hot ones."""
    packs = _packs(failing_zones(2))
    hot, cold = packs.append(b"1", "STANDARD"), packs.append(b"2", "GLACIER")

    assert hot[0] != cold[0]
    assert packs.append(b"3", "STANDARD") == (hot[0], hot[1] + 1)


def test_a_full_pack_is_followed_by_a_new_one() -> None:
    """A block larger than a pack gets one of its own."""
    packs = _packs(failing_zones(2), limit=HEADER_BYTES + 10)
    places = [packs.append(bytes(size), "STANDARD") for size in (6, 4, 1, 50, 1)]

    assert [pack_id for pack_id, _ in places] == [1, 1, 2, 3, 4]
    packs.sync()
    assert not packs.needs_sync


def test_a_sync_covers_packs_that_are_full_already() -> None:
    """A rotation between append and sync must not lose the first half."""
    zones = failing_zones(1)
    packs = _packs(zones, limit=HEADER_BYTES + 10)
    places = [packs.append(b"%08d" % number, "STANDARD") for number in range(5)]
    packs.sync()
    zones[0].power_cut()

    assert [packs.read(*place, 8) for place in places] == [b"%08d" % n for n in range(5)]


def test_a_failed_sync_is_never_followed_by_a_good_one() -> None:
    """The kernel may have dropped the pages; see the Appender contract."""
    zones = failing_zones(1)
    packs = _packs(zones)
    packs.append(b"1", "STANDARD")
    zones[0].fail("sync", ZoneUnavailable("scripted"))
    with pytest.raises(ZoneUnavailable):
        packs.sync()

    assert packs.needs_sync
    with pytest.raises(ZoneUnavailable, match="earlier"):
        packs.sync()
    with pytest.raises(ZoneUnavailable, match="earlier"):
        packs.append(b"2", "STANDARD")


@pytest.mark.parametrize("failing", [0, 1])
def test_a_sync_without_its_quorum_promises_nothing(failing: int) -> None:
    """The zone that failed counts no more; with the quorum of one that remains, all goes on."""
    for zones_of, refusals in ((strict, 2), (ZoneSet.of, 0)):
        zones = failing_zones(2)
        packs = _packs(zones_of(zones))
        packs.append(b"1", "STANDARD")
        zones[failing].fail("sync", ZoneUnavailable("scripted"))
        for _ in range(refusals):
            with pytest.raises(TooFewZones):
                packs.sync()

        assert packs.needs_sync
        if not refusals:
            packs.sync()
            assert not packs.needs_sync


def test_a_sync_that_finds_no_room_succeeds_once_there_is_room() -> None:
    """One zone is gone and the next has no room to note that: nobody is told a lie."""
    zones = failing_zones(3)
    packs = _packs(zones)
    zones[0].fail("append", ZoneUnavailable("scripted"))
    place = packs.append(b"1", "STANDARD")
    zones[1].fail("put", StoreFull("scripted"))
    with pytest.raises(StoreFull):
        packs.sync()
    assert packs.needs_sync

    packs.sync()
    packs.append(b"2", "STANDARD")
    assert packs.read(*place, 1) == b"1"


def test_a_sync_promises_nothing_about_what_is_appended_meanwhile() -> None:
    """The loop goes on appending while a thread waits for the disk."""
    zone = _SlowSync(MemoryObjects())
    packs = PackStore([zone], store_id=STORE_ID, allocate_pack=lambda _: 1)
    packs.append(b"before", "STANDARD")
    thread = Thread(target=packs.sync)
    thread.start()
    assert zone.started.wait(5)
    packs.append(b"during", "STANDARD")
    zone.proceed.set()
    thread.join(5)

    assert packs.needs_sync
    packs.sync()
    assert not packs.needs_sync


def test_reads_fail_over_to_the_next_zone() -> None:
    """One zone is gone, or answers with other bytes, or with too few."""
    good = b"good bytes"
    for harm in (_unavailable, _missing, _cut, _flipped):
        zones = failing_zones(2)
        packs = _packs(zones)
        place = packs.append(good, "STANDARD")
        harm(zones[0])

        assert packs.read(*place, len(good), verify=lambda data: data == good) == good


def test_a_read_that_must_not_wait_fails_over_too() -> None:
    """Except for wrong bytes, which it cannot know."""
    for harm in (_unavailable, _missing, _cut):
        zones = failing_zones(2)
        packs = _packs(zones)
        place = packs.append(b"good", "STANDARD")
        harm(zones[0])

        assert packs.read_nowait(*place, 4) == b"good"
        harm(zones[1])
        assert packs.read_nowait(*place, 4) is None


def test_bytes_that_no_zone_has_are_damage_and_no_answer_is_not() -> None:
    """The first is for fsck, the second for whoever pulled the cable."""
    zones = failing_zones(2)
    packs = _packs(zones)
    place = packs.append(b"good", "STANDARD")
    _unavailable(zones[0])
    with pytest.raises(DataDamaged, match="1 of 2 zones"):
        packs.read(*place, 4, verify=lambda _: False)
    with pytest.raises(DataDamaged):
        packs.read(99, 0, 4)
    _unavailable(zones[1])
    with pytest.raises(ZoneUnavailable, match="none of 2"):
        packs.read(*place, 4)


def test_an_append_that_reached_one_zone_only_leaves_the_pack() -> None:
    """Offsets are the same in all zones, or blocks could not fail over."""
    zones = failing_zones(2)
    packs = _packs(strict(zones))
    first = packs.append(b"first", "STANDARD")
    zones[1].fail("append", StoreFull("scripted"))
    with pytest.raises(StoreFull):
        packs.append(b"lost", "STANDARD")
    second = packs.append(b"second", "STANDARD")
    packs.sync()

    assert second[0] != first[0]
    for zone in zones:
        assert zone.read(pack_name(first[0]), first[1], 5) == b"first"
        assert zone.read(pack_name(second[0]), second[1], 6) == b"second"


def test_an_append_that_reached_no_zone_leaves_no_trace() -> None:
    """A full disk costs no pack."""
    zones = failing_zones(1)
    packs = _packs(zones)
    first = packs.append(b"first", "STANDARD")
    zones[0].fail("append", StoreFull("scripted"))
    with pytest.raises(StoreFull):
        packs.append(b"lost", "STANDARD")

    assert packs.append(b"2", "STANDARD") == (first[0], first[1] + 5)


@pytest.mark.parametrize("method", ["create", "append"])
def test_a_pack_that_could_not_be_begun_everywhere_is_nowhere(method: str) -> None:
    """Tried again, it works."""
    zones = failing_zones(2)
    packs = _packs(strict(zones))
    zones[1].fail(method, StoreFull("scripted"))
    with pytest.raises(StoreFull):
        packs.append(b"1", "STANDARD")
    assert packs.lengths() == {}

    assert packs.append(b"1", "STANDARD") == (2, HEADER_BYTES)


def test_no_pack_is_ever_overwritten() -> None:
    """Whatever gives out ids: one that is taken is a bug that must harm nobody."""
    zones = failing_zones(2)
    place = _packs(zones).append(b"old", "STANDARD")
    again = _packs(zones)

    with pytest.raises(FileExistsError):
        again.append(b"new", "STANDARD")
    assert again.read(*place, 3) == b"old"


def test_ids_of_packs_grow_and_are_never_guessed_twice() -> None:
    """Who begins a pack cannot know of one that a crash left in a zone that is away."""
    chance = SeededRandomness(1)
    ids = [pack_id_after(last, chance) for last in (0, 0, 7, 7 << 32, (7 << 32) + 9)]

    assert [pack_count(pack_id) for pack_id in ids] == [1, 1, 8, 8, 8]
    assert len(set(ids)) == len(ids)
    assert pack_id_of(pack_name(ids[-1])) == ids[-1]


def test_a_pack_is_resumed_after_a_restart() -> None:
    """Many short mounts do not make many small packs."""
    zones = failing_zones(2)
    before = _packs(zones)
    place = before.append(b"old", "STANDARD")
    before.close()
    packs = _packs(zones, first_id=2)

    assert packs.resume(place[0], "STANDARD")
    assert packs.append(b"new", "STANDARD") == (place[0], place[1] + 3)
    assert packs.needs_sync
    packs.sync()
    for zone in zones:
        zone.power_cut()
    assert packs.read(*place, 6) == b"oldnew"


def test_moved_bytes_are_synced_by_whoever_moves_them() -> None:
    """Whoever writes a line and waits for it does not wait for a gigabyte that changes class."""
    zones = failing_zones(2)
    packs = _packs(zones)
    written = packs.append(b"written", "STANDARD")
    moved = packs.append(b"moved", "STANDARD_IA", moves=True)
    packs.leave(moved[0])
    packs.sync(only_owed=True)
    assert (packs.owes_sync, packs.needs_sync) == (False, True)
    assert packs.is_growing(moved[0])  # so nobody takes it for finished

    packs.sync(strict=True)
    assert not packs.needs_sync
    assert not packs.is_growing(moved[0])
    for zone in zones:
        zone.power_cut()
    assert packs.read(*written, 7) == b"written"
    assert packs.read(*moved, 5) == b"moved"


def test_what_is_written_behind_moved_bytes_takes_them_along() -> None:
    """They are one file, and its sync is one."""
    zones = failing_zones(2)
    packs = _packs(zones)
    moved = packs.append(b"moved", "STANDARD", moves=True)
    written = packs.append(b"written", "STANDARD")
    packs.sync(only_owed=True)
    assert not packs.needs_sync
    for zone in zones:
        zone.power_cut()
    assert packs.read(*moved, 12) == b"movedwritten"
    assert written[0] == moved[0]


def test_a_pack_that_cannot_be_resumed_is_left_alone() -> None:
    """Missing, full, of another store, or different in two zones: a new pack is begun."""
    zones = failing_zones(2)
    packs = _packs(zones, limit=HEADER_BYTES + 10)
    packs.append(bytes(10), "STANDARD")
    packs.append(b"1", "STANDARD")
    again = _packs(zones, first_id=3, limit=HEADER_BYTES + 10)
    stranger = PackStore(zones, store_id=bytes(16), allocate_pack=lambda _: 9)
    assert not again.resume(7, "STANDARD")
    assert not again.resume(1, "STANDARD")
    assert not stranger.resume(2, "STANDARD")
    zones[1].append_to(pack_name(2)).append(b"torn")
    assert not again.resume(2, "STANDARD")

    assert again.append(b"2", "STANDARD") == (3, HEADER_BYTES)


def test_a_pack_that_a_zone_has_in_part_or_not_at_all_is_completed_and_doubted() -> None:
    """A zone flickers, the process is killed: the pack must not rest on the other zone alone."""
    for left in (HEADER_BYTES + 1, 0):
        zones = failing_zones(2)
        before = _packs(zones)
        place = before.append(b"block", "STANDARD")
        name = pack_name(place[0])
        whole = zones[0].read(name, 0, 99)
        zones[1].delete(name)
        if left:
            zones[1].put(name, whole[:left])
        packs = _packs(zones, first_id=2)

        def good(_: int, start: int, end: int, whole: bytes = whole) -> bytes:
            return whole[start:end]

        assert packs.even_out(place[0], "STANDARD", good)
        assert not packs.even_out(place[0], "STANDARD", good)
        assert packs.suspects == {place[0]}
        assert not packs.resume(place[0], "STANDARD")
        for zone in zones:
            zone.power_cut()
        assert zones[1].read(name, 0, 99) == whole


def test_a_pack_of_a_newer_release_is_left_alone() -> None:
    """Appending to it could harm it."""
    zones = failing_zones(1)
    place = _packs(zones).append(b"1", "STANDARD")
    header = bytearray(zones[0].read(pack_name(place[0]), 0, 99))
    header[11] = 2
    zones[0].put(pack_name(place[0]), bytes(header))

    packs = _packs(zones, first_id=2)
    assert not packs.resume(place[0], "STANDARD")
    assert not packs.suspects
    assert packs.append(b"2", "STANDARD") == (2, HEADER_BYTES)


def test_a_header_that_rotted_in_one_zone_is_no_newer_release() -> None:
    """One flipped bit in one of several zones kept a whole store from being mounted."""
    zones = failing_zones(2)
    place = _packs(zones).append(b"1", "STANDARD")
    header = bytearray(zones[0].read(pack_name(place[0]), 0, 99))
    header[11] ^= 2
    zones[0].put(pack_name(place[0]), bytes(header))
    packs = _packs(zones, first_id=2)

    assert not packs.resume(place[0], "STANDARD")
    assert packs.suspects == {place[0]}
    assert packs.append(b"2", "STANDARD") == (2, HEADER_BYTES)


def test_a_removed_pack_is_gone_everywhere() -> None:
    """Also the open one, between an append and its sync."""
    zones = failing_zones(2)
    packs = _packs(zones)
    place = packs.append(b"1", "STANDARD")
    packs.remove(place[0])
    packs.remove(place[0])

    assert packs.lengths() == {}
    assert packs.append(b"2", "STANDARD")[0] != place[0]
    packs.sync()
    with pytest.raises(DataDamaged):
        packs.read(*place, 1)


def test_lengths_name_packs_that_any_zone_has() -> None:
    """Orphans are found by what lies there, not by what is recorded."""
    zones = failing_zones(2)
    zones[1].put(pack_name(0xABCD), b"12345")
    zones[0].put("packs/cd/readme", b"")
    zones[0].put("packs/00/000000000000abcd.pack", b"")

    assert _packs(zones).lengths() == {0xABCD: 5}
    assert pack_name(0xABCD) == "packs/cd/000000000000abcd.pack"
    assert pack_id_of(pack_name(0xABCD)) == 0xABCD


def test_packs_live_in_real_directories_too(tmp_path: Path) -> None:
    """With real descriptors, renames and folders."""
    zones = []
    for number in range(2):
        folder = tmp_path / str(number)
        folder.mkdir()
        zones.append(LocalDirectory(folder))
    ids = count(1)
    packs = PackStore(
        zones, store_id=STORE_ID, allocate_pack=lambda _: next(ids), pack_bytes_max=100
    )
    places = [packs.append(b"%08d" % number, "STANDARD") for number in range(50)]
    packs.sync()

    assert [packs.read(*place, 8) for place in places] == [b"%08d" % n for n in range(50)]
    packs.remove(places[0][0])
    assert min(packs.lengths()) == 2
    packs.close()


def _unavailable(zone: FailingObjects) -> None:
    error = ZoneUnavailable("scripted")
    zone.fail("read", error, for_ever=True)
    zone.fail("read_nowait", error, for_ever=True)


def _missing(zone: FailingObjects) -> None:
    for name in list(zone.list("")):
        zone.delete(name)


def _cut(zone: FailingObjects) -> None:
    _change(zone, lambda content: content[:-1])


def _flipped(zone: FailingObjects) -> None:
    _change(zone, lambda content: content[:-1] + bytes((content[-1] ^ 1,)))


def _change(zone: FailingObjects, change: Callable[[bytes], bytes]) -> None:
    for name in list(zone.list("")):
        zone.put(name, change(zone.read(name, 0, 1 << 20)))


class _SlowSync(FailingObjects):
    """Its first sync waits until it may proceed."""

    def __init__(self, inner: ObjectStore) -> None:
        super().__init__(inner)
        self.started = Event()
        self.proceed = Event()

    def note_durable(self, name: str, length: int) -> None:
        self.started.set()
        if not self.proceed.wait(5):
            raise StorageError("the test never let the sync proceed")
        super().note_durable(name, length)
