"""What a quorum had together with a zone that is removed, the zones that are left have alone."""

import shutil
from pathlib import Path

import pytest

from s3fs_local.control.requests import AddZone, ChangeSetting, RemoveZone, Verify
from s3fs_local.errors import InvalidArgument, StoreFull
from s3fs_local.objects.failing import FailingObjects
from tests.store_on_disk import StoreOnDisk, make_store_of_zones, opened, wait_until_well

CONTENT = bytes(range(256)) * 1024


async def is_as_the_ledger_says(disk: StoreOnDisk) -> bool:
    """In every zone."""
    return bool((await disk.ask(Verify(reads_all=True)))["Intact"])


@pytest.mark.parametrize("count", [1, 2])
async def test_a_zone_comes_and_goes_and_nothing_is_missing(tmp_path: Path, count: int) -> None:
    """In one sitting: the ledger, the journal and the packs of the others are whole.

    With one zone left the set of zones is none any more; what grew in both must have ended there.
    """
    make_store_of_zones(tmp_path, count)
    added = tmp_path / "added"
    async with opened(tmp_path / "store") as disk:
        disk.write("before", CONTENT)
        await disk.ask(AddZone(str(added)))
        disk.write("between", CONTENT)
        await disk.sync()
        disk.write("late", CONTENT[1:])  # neither synced nor settled
        await disk.ask(RemoveZone(str(added)))
        shutil.rmtree(added)
        assert await is_as_the_ledger_says(disk)
        disk.write("after", CONTENT)
    async with opened(tmp_path / "store") as disk:
        assert await is_as_the_ledger_says(disk)
        for name in ("before", "between", "after"):
            assert await disk.read(name) == CONTENT
        assert await disk.read("late") == CONTENT[1:]


async def test_a_class_that_comes_to_need_the_zone_keeps_it(tmp_path: Path) -> None:
    """The copies that stay are read before, which takes hours of a large store."""
    make_store_of_zones(tmp_path, 3)
    async with opened(tmp_path / "store") as disk:
        await disk.wait_for_zones()
        zoning = disk.store.zoning

        async def read_copies() -> None:
            value = "GLACIER_IR:shares=2+1,zones=hot,zstd=0"
            await disk.ask(ChangeSetting("storage-classes", value))

        with pytest.raises(InvalidArgument, match="needs 3 zones"):
            await zoning.changes.remove(
                str(tmp_path / "zone-2"),
                zoning.care,
                read_copies=read_copies,
                report=lambda _: None,
            )
        assert len(disk.zones.zones) == 3


async def test_it_may_come_and_go_again(tmp_path: Path) -> None:
    """Each time it is told what it needs, and nothing grows in it alone."""
    make_store_of_zones(tmp_path, 1)
    async with opened(tmp_path / "store") as disk:
        for number in range(3):
            added = tmp_path / f"added-{number}"
            await disk.ask(AddZone(str(added)))
            disk.write("file", CONTENT[number:])
            await disk.ask(RemoveZone(str(added)))
            shutil.rmtree(added)
            assert await is_as_the_ledger_says(disk)
            assert await disk.read("file") == CONTENT[number:]


async def test_a_process_that_ends_then_has_lost_nothing(tmp_path: Path) -> None:
    """The answer comes when those that are left have everything, durably."""
    make_store_of_zones(tmp_path, 1)
    added = tmp_path / "added"
    async with opened(tmp_path / "store") as disk:
        await disk.ask(AddZone(str(added)))
        disk.write("file", CONTENT)
        await disk.ask(RemoveZone(str(added)))
        shutil.copytree(
            tmp_path / "store", tmp_path / "as-it-was", ignore=shutil.ignore_patterns("owner.lock")
        )
        shutil.copytree(tmp_path / "zone-0", tmp_path / "zone-as-it-was")
    shutil.rmtree(tmp_path / "store")
    shutil.rmtree(tmp_path / "zone-0")
    (tmp_path / "as-it-was").rename(tmp_path / "store")
    (tmp_path / "zone-as-it-was").rename(tmp_path / "zone-0")
    async with opened(tmp_path / "store") as disk:
        assert await is_as_the_ledger_says(disk)
        assert await disk.read("file") == CONTENT


async def test_a_removal_that_fails_half_way_leaves_the_zones_there_were(tmp_path: Path) -> None:
    """The disk that stays is full: the other may lack what was begun without it, and is told it."""
    make_store_of_zones(tmp_path, 1)
    added = tmp_path / "added"
    async with opened(tmp_path / "store") as disk:
        await disk.ask(AddZone(str(added)))
        disk.write("file", CONTENT)
        kept = disk.zones.zones[0]
        assert kept.store is not None
        kept.store = failing = FailingObjects(kept.store)
        await disk.fs.volume.durability.begin_anew()
        failing.fail("create", StoreFull("no room for a new segment"))
        with pytest.raises(StoreFull):
            await disk.ask(RemoveZone(str(added)))
        assert disk.states == ["well", "behind"]
        await wait_until_well(disk)
        disk.write("after", CONTENT)
        await disk.sync_everywhere()
        assert await is_as_the_ledger_says(disk)
        await disk.ask(RemoveZone(str(added)))
        shutil.rmtree(added)
    async with opened(tmp_path / "store") as disk:
        assert await is_as_the_ledger_says(disk)
        assert [await disk.read(name) for name in ("file", "after")] == [CONTENT] * 2
