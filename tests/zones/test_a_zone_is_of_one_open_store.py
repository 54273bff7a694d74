"""Two processes never write to one zone: a store made from it while it is used elsewhere."""

import shutil
from functools import partial
from pathlib import Path

import pytest
import trio

from s3fs_local.control.requests import RemoveZone, Verify
from s3fs_local.daemon.rebuilding import rebuild
from s3fs_local.daemon.unlocking import Unlocking
from s3fs_local.errors import TooFewZones, ZoneInUse
from tests.store_on_disk import make_store_of_zones, opened

CONTENT = bytes(range(256)) * 400


async def rebuild_elsewhere(place: Path, *zones: Path) -> None:
    """A second store, from these zones of the first."""
    unlocking = Unlocking(key_file=place / "recovery.key")
    names = tuple(map(str, zones))
    await trio.to_thread.run_sync(partial(rebuild, place / "other", unlocking, zones=names))


async def test_no_store_is_made_from_a_zone_that_is_in_use(tmp_path: Path) -> None:
    """It would write to the zone, too: what the first acknowledged from then on was lost."""
    zones = make_store_of_zones(tmp_path, 2)
    async with opened(tmp_path / "store") as disk:
        disk.write("before", CONTENT)
        await disk.sync_everywhere()
        with pytest.raises(ZoneInUse, match="in use"):
            await rebuild_elsewhere(tmp_path, zones[1])
        with pytest.raises(TooFewZones, match="in use"):
            await rebuild_elsewhere(tmp_path, *zones)
        disk.write("after", CONTENT[1:])
        await disk.sync_everywhere()
        assert disk.states == ["well", "well"]
    async with opened(tmp_path / "store") as disk:
        assert (await disk.ask(Verify(reads_all=True)))["Intact"]
        assert await disk.read("after") == CONTENT[1:]
    await rebuild_elsewhere(tmp_path, *zones)  # nobody uses them any more


async def test_a_zone_that_was_removed_is_anybodys(tmp_path: Path) -> None:
    """Its disk can be unmounted, and a store made from it."""
    zones = make_store_of_zones(tmp_path, 2)
    async with opened(tmp_path / "store") as disk:
        disk.write("file", CONTENT)
        await disk.ask(RemoveZone(str(zones[1])))
        await rebuild_elsewhere(tmp_path, zones[1])
    unlocking = Unlocking(key_file=tmp_path / "recovery.key")
    async with opened(tmp_path / "other", unlocking) as other:
        assert await other.read("file") == CONTENT


async def test_a_copy_of_a_store_is_not_opened_beside_it(tmp_path: Path) -> None:
    """As a backup of its directory that was put back elsewhere: it names the same zones."""
    make_store_of_zones(tmp_path, 3)
    async with opened(tmp_path / "store") as disk:
        disk.write("file", CONTENT)
    shutil.copytree(tmp_path / "store", tmp_path / "copy")
    async with opened(tmp_path / "store") as disk:
        with pytest.raises(TooFewZones, match="in use"):
            async with opened(tmp_path / "copy"):
                pass
        assert await disk.read("file") == CONTENT
        assert disk.states == ["well"] * 3
