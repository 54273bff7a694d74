"""`config set` on a store in use: what is acknowledged from then on is as the setting says."""

from pathlib import Path

import pytest
import trio

from s3fs_local.control.requests import AddZone, ChangeSetting, Verify
from s3fs_local.errors import TooFewZones, ZoneUnavailable
from tests.store_on_disk import StoreOnDisk, make_store_of_zones, opened, wait_until_well

CONTENT = bytes(range(256)) * 1024


async def put_quorum(disk: StoreOnDisk, value: str) -> None:
    """`config set STORE write-quorum VALUE`."""
    await disk.ask(ChangeSetting("write-quorum", value))


async def want_copies(disk: StoreOnDisk, copies: int) -> None:
    """`config set STORE storage-classes …`."""
    value = f"STANDARD:copies={copies},zones=hot,zstd=0"
    await disk.ask(ChangeSetting("storage-classes", value))


async def is_intact(disk: StoreOnDisk) -> bool:
    """By `verify --all`."""
    return bool((await disk.ask(Verify(reads_all=True)))["Intact"])


async def write_durably(disk: StoreOnDisk, name: str) -> None:
    """As a program that calls fsync(2)."""
    disk.write(name, CONTENT)
    await disk.sync()


def packs_in(zone: Path) -> dict[str, Path]:
    """The copies of packs that the zone has."""
    return {path.name: path for path in zone.glob("packs/*/*.pack")}


async def test_nothing_is_acknowledged_by_fewer_zones_than_a_new_quorum(tmp_path: Path) -> None:
    """Nor by what was begun before. Else one zone alone, which lacks it, would open the store."""
    make_store_of_zones(tmp_path)
    async with opened(tmp_path / "store") as disk:
        await write_durably(disk, "before")
        grow = disk.zones.growing
        assert {each.needed for each in grow} == {2}
        await put_quorum(disk, "3")
        assert {each.needed for each in grow} == {3}
        await write_durably(disk, "after")
        assert {*grow} == {*disk.zones.growing}
        await put_quorum(disk, "majority")
        assert {each.needed for each in grow} == {2}


async def test_a_quorum_that_too_few_zones_are_left_for_can_be_lowered(tmp_path: Path) -> None:
    """By the owner of a store that takes nothing any more, for that very reason."""
    make_store_of_zones(tmp_path)
    async with opened(tmp_path / "store") as disk:
        await put_quorum(disk, "3")
        disk.zones.members.suspend(disk.zones.zones[2], "its disk is broken")
        with pytest.raises(TooFewZones):
            disk.write("file", CONTENT)
        await put_quorum(disk, "majority")
        disk.write("file", CONTENT)
        await disk.sync()
        with pytest.raises(TooFewZones):
            await put_quorum(disk, "3")
        disk.write("file", CONTENT[1:])
        await disk.sync()
    async with opened(tmp_path / "store") as disk:
        assert disk.fs.volume.settings.write_quorum == 0
        assert await disk.read("file") == CONTENT[1:]


@pytest.mark.parametrize("zones", [1, 2])
async def test_a_zone_can_be_added_where_the_quorum_is_all_zones(
    tmp_path: Path, zones: int
) -> None:
    """Nobody waits for it before it has everything; from then on everybody does."""
    make_store_of_zones(tmp_path, zones)
    failures: list[TooFewZones] = []

    async def write(disk: StoreOnDisk, until: trio.Event) -> None:
        number = 0
        while not until.is_set():
            number += 1
            try:
                await write_durably(disk, f"meanwhile {number}")
            except TooFewZones as error:
                failures.append(error)
            await trio.lowlevel.checkpoint()

    async with opened(tmp_path / "store") as disk:
        await put_quorum(disk, str(zones + 1))
        await write_durably(disk, "before")
        is_added = trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(write, disk, is_added)
            await disk.ask(AddZone(str(tmp_path / "added")))
            is_added.set()
        assert failures == []
        assert disk.zones.members.quorum == zones + 1
        assert {each.needed for each in disk.zones.growing} == {zones + 1}
        disk.zones.members.suspend(disk.zones.zones[0], "its disk is broken")
        with pytest.raises(TooFewZones):
            await write_durably(disk, "after")
        await wait_until_well(disk)
        assert await is_intact(disk)


async def test_a_zone_that_cannot_be_added_costs_no_write(tmp_path: Path) -> None:
    """The set is as it was, and so is the number of zones that each write waits for."""
    make_store_of_zones(tmp_path, 1)
    in_the_way = tmp_path / "store" / ".store.json.tmp"
    async with opened(tmp_path / "store") as disk:
        await put_quorum(disk, "2")
        in_the_way.mkdir()
        with pytest.raises(ZoneUnavailable):
            await disk.ask(AddZone(str(tmp_path / "added")))
        await write_durably(disk, "file")
        in_the_way.rmdir()
        await disk.ask(AddZone(str(tmp_path / "added")))
        await write_durably(disk, "file")
        assert await is_intact(disk)


async def test_what_is_written_after_a_class_wants_more_copies_has_them(tmp_path: Path) -> None:
    """From the first byte on, although a pack with fewer was being filled."""
    zones = make_store_of_zones(tmp_path)
    async with opened(tmp_path / "store") as disk:
        await want_copies(disk, 1)
        disk.write("before", CONTENT)
        await disk.sync_everywhere()
        before = {name for zone in zones for name in packs_in(zone)}
        assert sum(len(packs_in(zone)) for zone in zones) == 1
        await want_copies(disk, 3)
        disk.write("after", CONTENT)
        await disk.sync_everywhere()
        for zone in zones:
            assert len(packs_in(zone).keys() - before) == 1


@pytest.mark.parametrize("reopens", [True, False])
async def test_copies_that_nobody_made_yet_are_not_missing(
    tmp_path: Path, *, reopens: bool
) -> None:
    """`verify` names what is gone: a copy that there was, and every one that a scrub has made."""
    zones = make_store_of_zones(tmp_path)
    async with opened(tmp_path / "store") as disk:
        await want_copies(disk, 2)
        disk.write("file", CONTENT)
        await disk.sync_everywhere()
        (name,) = {name for zone in zones for name in packs_in(zone)}
        await want_copies(disk, 3)
        disk.write("in a newer pack", CONTENT[1:])
        await disk.sync_everywhere()
        if not reopens:
            await verified_as_copies_are_made(disk, zones, name)
    if reopens:
        async with opened(tmp_path / "store") as disk:
            await verified_as_copies_are_made(disk, zones, name)


async def verified_as_copies_are_made(disk: StoreOnDisk, zones: list[Path], name: str) -> None:
    """Two of three copies are there, and the third is made in the end."""
    assert await is_intact(disk)
    copies = [packs_in(zone)[name] for zone in zones if name in packs_in(zone)]
    assert len(copies) == 2
    moved = copies[0].with_name("away")
    copies[0].rename(moved)
    assert not await is_intact(disk)
    moved.rename(copies[0])
    assert not (await disk.ask_scrub())["Damaged"]
    assert await is_intact(disk)
    third = next(packs_in(zone)[name] for zone in zones if packs_in(zone)[name] not in copies)
    third.unlink()
    assert not await is_intact(disk)
    assert (await disk.ask_scrub())["Damaged"]
    assert await is_intact(disk)
