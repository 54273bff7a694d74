"""A copy is made only of bytes that verify, of the object that it should be; never of the first."""

import shutil
from pathlib import Path

import pytest
import trio

from s3fs_local.control.requests import ChangeSetting, RemoveZone, RepairZone
from s3fs_local.crypto.frames import SALT_BYTES
from s3fs_local.daemon.layout import KEY_RING_NAME
from s3fs_local.objects.object_copy import ObjectCopy
from s3fs_local.packs.ledger import STREAM
from s3fs_local.packs.pack_store import pack_name
from s3fs_local.packs.segment import HEAD_BYTES, HEADER_BYTES, Segment
from s3fs_local.packs.segment_copies import numbers_of, that_count
from tests.engine.memory_store import STORE_ID
from tests.simulation.driven_store import DrivenStore
from tests.store_on_disk import make_store_of_zones, opened
from tests.zones.shares import archive, check_contents, copies_in, noise


def flip(path: Path) -> None:
    """A bit in the middle of the file changes."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


async def test_a_rotten_key_ring_is_never_spread(tmp_path: Path) -> None:
    """A scrub, a repair: with the last good ring goes everything that the store holds."""
    zones = make_store_of_zones(tmp_path, 3)
    rings = [zone / KEY_RING_NAME for zone in zones]
    good = rings[0].read_bytes()
    async with opened(tmp_path / "store") as disk:
        disk.write("f", b"content")
        flip(tmp_path / "store" / KEY_RING_NAME)
        flip(rings[0])
        (found,) = (await disk.ask_scrub())["Damaged"]
        assert found["Name"] == KEY_RING_NAME
        assert [ring.read_bytes() for ring in rings] == [good] * 3
        flip(rings[0])
        await disk.wait_for_zones()
        shutil.rmtree(zones[2])
        zones[2].mkdir()
        await disk.ask(RepairZone(str(zones[2])))
        assert rings[2].read_bytes() == good
    async with opened(tmp_path / "store") as disk:
        assert await disk.read("f") == b"content"
    assert (tmp_path / "store" / KEY_RING_NAME).read_bytes() == good


async def test_a_zone_is_removed_where_its_copies_have_to_move(tmp_path: Path) -> None:
    """Of a class with fewer copies than zones, others must take what it had, before it goes."""
    zones = make_store_of_zones(tmp_path, 3)
    contents = noise(19)
    async with opened(tmp_path / "store") as disk:
        await disk.ask(ChangeSetting("storage-classes", "GLACIER_IR:copies=2,zones=hot,zstd=0"))
        await archive(disk, contents)
        gone = next(zone for zone in zones if copies_in(zone))
        await disk.ask(RemoveZone(str(gone)))
        assert [len(copies_in(zone)) for zone in zones if zone != gone] == [1, 1]
        await check_contents(disk, contents)
        assert (await disk.ask_scrub())["Damaged"] == []


async def test_a_zone_is_brought_back_once_by_whoever_comes_first(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A command and the daemon itself: the second would take a zone that is well for one behind."""
    zones = make_store_of_zones(tmp_path, 3)
    caplog.set_level("INFO")
    async with opened(tmp_path / "store") as disk:
        zones[2].rename(tmp_path / "away")
        await disk.store.zoning.care.notice()
        assert disk.states == ["well", "well", "behind"]
        (tmp_path / "away").rename(zones[2])
        care, zone = disk.store.zoning.care, disk.zones.zones[2]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(care.bring_back, zone)
            nursery.start_soon(care.bring_back, zone)
        assert disk.states == ["well"] * 3
        assert await care.bring_back(zone)
    assert caplog.text.count("is there again, and catches up") == 1


@pytest.fixture
def driven() -> DrivenStore:
    """Three zones in memory."""
    return DrivenStore(zones=3)


def bring_back_first(driven: DrivenStore) -> None:
    """The first zone is there again, and was told what it missed."""
    driven.zones.come(0)
    trio.run(driven.bring_back, 0)
    assert driven.zones.set.zones[0].is_well


def test_what_a_crash_left_in_a_zone_that_was_away_is_no_pack_of_those_begun_since(
    driven: DrivenStore,
) -> None:
    """It is as long, to the byte: the zone would count as whole, with nothing of the file."""
    driven.store.write("/f", b"of before" * 300)
    (orphan,) = driven.zones.disks[0].list("packs/")
    for disk in driven.zones.disks[1:]:
        disk.delete(orphan)  # the process was killed before they had it, or anybody knew of it
    length = driven.zones.disks[0].length(orphan)
    driven.zones.go(0)
    driven.crash(power=False)
    driven.store.write("/f", b"of after!" * 300)
    driven.store.flush(durable=True)
    (pack,) = driven.zones.disks[1].list("packs/")
    assert driven.zones.disks[1].length(pack) == length

    bring_back_first(driven)

    assert list(driven.zones.disks[0].list("packs/")) == [pack]
    driven.check_copies()


def _left_ledger(driven: DrivenStore) -> str:
    """The name of a segment of the ledger that began and ended while the first zone is away."""
    driven.zones.go(0)
    for content in (b"one", b"two"):
        driven.store.write("/f", content)
        driven.store.settle()
        trio.run(driven.store.fs.volume.durability.begin_anew)
    *_, left, _ = driven.zones.disks[1].list(f"{STREAM}/")
    return left


def test_a_segment_of_another_life_is_none_because_it_is_as_long(driven: DrivenStore) -> None:
    """A crash may leave one in a zone that is away, and its number is taken by another."""
    name = _left_ledger(driven)
    disks = driven.zones.disks
    whole = disks[1].read(name, 0, disks[1].length(name))
    salt = bytes(HEADER_BYTES - 40)
    disks[0].put(name, whole[:40] + salt + whole[HEADER_BYTES:])

    bring_back_first(driven)

    assert disks[0].read(name, 0, len(whole)) == whole


def another_of(driven: DrivenStore, name: str, length: int) -> bytes:
    """A segment of the ledger with that name and another salt, whole, and longer than that."""
    ledger = driven.store.fs.volume.durability.ledger.ledger
    (number,) = numbers_of([name], STREAM)
    other = Segment.new(ledger.key, store_id=STORE_ID, number=number, salt=bytes(SALT_BYTES))
    head = other.head(before=number - 1, before_end=HEAD_BYTES)
    return head + other.record(bytes(length), offset=len(head), durable=0)


def test_an_opening_hears_nothing_of_a_zone_that_is_behind_but_what_is_the_same(
    driven: DrivenStore,
) -> None:
    """Which zone answers first must not matter to what the ledger says."""
    name = _left_ledger(driven)
    disks = driven.zones.disks
    whole = disks[1].read(name, 0, disks[1].length(name))
    other = another_of(driven, name, 2 * len(whole))
    zones = driven.zones.set.zones

    def counting(of_first: bytes) -> list[bytes]:
        copies = {zones[0]: ObjectCopy.of(of_first), zones[1]: ObjectCopy.of(whole)}
        return [copy.whole() for copy in that_count(copies)]

    assert counting(other) == [whole]
    assert counting(whole + b"more") == [whole, whole + b"more"]

    last = list(disks[1].list(f"{STREAM}/"))[-1]
    driven.store.write("/f", b"three")
    driven.store.settle()
    whole = disks[1].read(last, 0, disks[1].length(last))
    disks[0].put(last, another_of(driven, last, 2 * len(whole)))
    disks[2].put(last, whole[:-9])
    driven.zones.come(0)
    driven.crash(power=False)
    driven.store.write("/f", b"four")
    driven.store.settle()

    assert [disk.read(last, 0, 2 * len(whole)) for disk in disks[1:]] == [whole] * 2


def test_a_scrub_takes_nothing_from_a_zone_that_is_behind_but_what_is_the_same(
    driven: DrivenStore,
) -> None:
    """What a crash left there may be longer than what took its number, and was never promised."""
    name = _left_ledger(driven)
    disks = driven.zones.disks
    whole = disks[1].read(name, 0, disks[1].length(name))
    longer = another_of(driven, name, 2 * len(whole))
    (number,) = numbers_of([name], STREAM)
    disks[0].put(name, longer)
    disks[0].put(f"{STREAM}/00000000000000ff.{STREAM}", longer)
    driven.zones.come(0)
    assert not driven.zones.set.zones[0].is_well

    trio.run(driven.scrub)

    assert [disk.read(name, 0, len(longer)) for disk in disks[1:]] == [whole] * 2
    assert len(list(disks[1].list(f"{STREAM}/"))) == number + 1
    rotten = bytearray(whole)
    rotten[-1] ^= 1
    for disk in disks[1:]:
        disk.put(name, bytes(rotten))
    disks[0].put(name, whole)

    trio.run(driven.scrub)

    assert [disk.read(name, 0, len(whole)) for disk in disks] == [whole] * 3


def test_a_zone_that_comes_back_keeps_what_rotted_in_all_others(driven: DrivenStore) -> None:
    """It is given what it lacks, not what they have lost."""
    name = _left_ledger(driven)
    disks = driven.zones.disks
    length = disks[1].length(name)
    whole = disks[1].read(name, 0, length)
    disks[0].put(name, whole)
    for number in (1, 2):
        disks[number].rot(name, length - 20 * number, 1)
        disks[number].rot(name, 50, number)

    bring_back_first(driven)

    assert disks[0].read(name, 0, length) == whole


def test_an_opening_completes_a_pack_with_blocks_as_they_were_sealed(driven: DrivenStore) -> None:
    """Also where the first zone that could give them has rotted: the third may rot next."""
    driven.store.write("/f", b"content" * 300)
    driven.store.flush(durable=True)
    (name,) = driven.zones.disks[1].list("packs/")
    (pack_id,) = driven.store.fs.volume.metadata.pack_placements()
    assert name == pack_name(pack_id)
    driven.zones.disks[0].delete(name)
    driven.zones.disks[1].rot(name, 99, 1)
    driven.zones.rotten.add(1)

    driven.crash(power=False)

    assert driven.zones.disks[0].length(name) == driven.zones.disks[2].length(name)
    driven.check_copies()
