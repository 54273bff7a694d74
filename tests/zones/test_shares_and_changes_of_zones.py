"""Zones that come, go and are replaced, where packs lie as shares."""

import shutil
from pathlib import Path

import pytest
import trio

from s3fs_local.control.requests import (
    AddZone,
    ChangeSetting,
    CollectGarbage,
    RemoveZone,
    RepairZone,
)
from s3fs_local.daemon.rebuilding import rebuild
from s3fs_local.daemon.unlocking import Unlocking
from s3fs_local.errors import (
    InvalidArgument,
    StorageError,
    TooFewZones,
)
from tests.store_on_disk import make_store_of_zones, opened, wait_until_well
from tests.zones.shares import (
    archive,
    check_contents,
    copies_in,
    keep_in_shares,
    noise,
    shares_in,
)


async def test_a_new_disk_gets_the_share_of_the_dead_one(tmp_path: Path) -> None:
    """`zone repair`, as with copies; then another zone may die."""
    zones = make_store_of_zones(tmp_path, 3)
    contents = noise(13)
    async with opened(tmp_path / "store") as disk:
        await keep_in_shares(disk, "2+1")
        await archive(disk, contents)
        before = shares_in(zones[2])[0].read_bytes()
        await disk.wait_for_zones()
        shutil.rmtree(zones[2])
        await disk.store.zoning.care.notice()
        assert disk.states == ["well", "well", "behind"]
        zones[2].mkdir()
        await disk.ask(RepairZone(str(zones[2])))
        assert shares_in(zones[2])[0].read_bytes() == before
    shutil.rmtree(zones[0])
    async with opened(tmp_path / "store") as disk:
        await check_contents(disk, contents)


async def test_a_lost_share_is_made_anew_in_a_zone_that_is_left(tmp_path: Path) -> None:
    """Where there are more zones than shares, nobody needs to bring a disk for it."""
    zones = make_store_of_zones(tmp_path, 4)
    contents = noise(14)
    async with opened(tmp_path / "store") as disk:
        await keep_in_shares(disk, "2+1")
        await archive(disk, contents)
        holder = next(zone for zone in zones if shares_in(zone))
        shutil.rmtree(holder)
        await disk.store.zoning.care.notice()
        (mended,) = (await disk.ask_scrub())["Damaged"]
        assert mended["Repaired"]
        assert [len(shares_in(zone)) for zone in zones if zone != holder] == [1, 1, 1]


async def test_a_zone_is_removed_only_where_its_shares_find_another(tmp_path: Path) -> None:
    """And a class never wants more zones than there are."""
    zones = make_store_of_zones(tmp_path, 3)
    contents = noise(15)
    async with opened(tmp_path / "store") as disk:
        with pytest.raises(InvalidArgument, match="needs 5 zones"):
            await keep_in_shares(disk, "3+2")
        await keep_in_shares(disk, "2+1")
        await archive(disk, contents)
        with pytest.raises(InvalidArgument, match="needs 3 zones"):
            await disk.ask(RemoveZone(str(zones[0])))
        await disk.ask(ChangeSetting("storage-classes", ""))
        with pytest.raises(TooFewZones, match="then run `gc`"):
            await disk.ask(RemoveZone(str(zones[0])))
        await keep_in_shares(disk, "2+1")

        await disk.ask(AddZone(str(tmp_path / "zone-3")))
        await disk.ask(RemoveZone(str(zones[0])))
        left = [*zones[1:], tmp_path / "zone-3"]
        assert [len(shares_in(zone)) for zone in left] == [1, 1, 1]
        await check_contents(disk, contents)
        assert (await disk.ask_scrub())["Damaged"] == []


async def test_packs_wait_as_copies_while_too_few_zones_are_well(tmp_path: Path) -> None:
    """Degraded is never made worse; `gc` and `status` say what is waited for."""
    zones = make_store_of_zones(tmp_path, 3)
    contents = noise(16)
    async with opened(tmp_path / "store") as disk:
        await keep_in_shares(disk, "2+1")
        zones[1].rename(tmp_path / "away")
        await disk.store.zoning.care.notice()
        await archive(disk, contents)
        assert not any(map(shares_in, (zones[0], zones[2])))
        sentences = [finding.sentence for finding in disk.status().findings]
        assert any("2+1 shares need 3 zones that are well, and 2 are" in s for s in sentences)
        await check_contents(disk, contents)
        (tmp_path / "away").rename(zones[1])
        await wait_until_well(disk)
        collected = await disk.ask(CollectGarbage())
        assert collected["CodedPacks"] == 1
        assert collected["Waiting"] == ""
        assert [len(shares_in(zone)) for zone in zones] == [1, 1, 1]


async def test_a_copy_of_a_zone_that_was_away_goes_when_it_returns(tmp_path: Path) -> None:
    """The pack became shares meanwhile."""
    zones = make_store_of_zones(tmp_path, 4)
    contents = noise(17)
    async with opened(tmp_path / "store") as disk:
        await disk.ask(ChangeSetting("storage-classes", "GLACIER_IR:copies=2,zones=hot,zstd=0"))
        await archive(disk, contents)
        holder = next(zone for zone in zones if copies_in(zone))
        holder.rename(tmp_path / "away")
        await disk.store.zoning.care.notice()
        await keep_in_shares(disk, "2+1")
        await disk.ask(CollectGarbage())
        (tmp_path / "away").rename(holder)
        await wait_until_well(disk)
        assert not any(map(copies_in, zones))
        await check_contents(disk, contents)


async def test_one_zone_alone_tells_what_there_is_and_reads_what_lies_in_copies(
    tmp_path: Path,
) -> None:
    """What docs/zones.md says of shares: k zones are the store, a zone alone is not."""
    zones = make_store_of_zones(tmp_path, 3)
    contents = noise(18)
    async with opened(tmp_path / "store") as disk:
        await keep_in_shares(disk, "2+1")
        await archive(disk, contents)
        disk.write("warm", b"warm" * 1000)
        await disk.sync_everywhere()
    key = tmp_path / "recovery.key"
    unlocking = Unlocking(key_file=key)
    await trio.to_thread.run_sync(
        lambda: rebuild(tmp_path / "one", unlocking, zones=(str(zones[2]),))
    )
    async with opened(tmp_path / "one", unlocking) as disk:
        assert await disk.read("warm") == b"warm" * 1000
        assert disk.stat("file 0").size == len(contents["file 0"])
        with pytest.raises(StorageError):
            await disk.read("file 1")
    await trio.to_thread.run_sync(
        lambda: rebuild(tmp_path / "two", unlocking, zones=(str(zones[1]), str(zones[2])))
    )
    async with opened(tmp_path / "two", unlocking) as disk:
        await check_contents(disk, contents)
