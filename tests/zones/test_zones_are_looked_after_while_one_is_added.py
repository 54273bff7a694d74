"""Whatever a command does to the set of zones, the task that looks after them goes on."""

from pathlib import Path

import trio

from s3fs_local.control.requests import AddZone, ListZones
from s3fs_local.objects.zone import Zone
from tests.store_on_disk import StoreOnDisk, make_store_of_zones, opened


async def urls(disk: StoreOnDisk) -> set[str]:
    """Of all zones that are well."""
    rows = (await disk.ask(ListZones()))["Zones"]
    return {row["Url"] for row in rows if row["State"] == "well"}


async def test_a_zone_that_the_store_does_not_know_yet_is_left_alone(tmp_path: Path) -> None:
    """A look in that moment met no record of it, and ended the daemon as a bug does."""
    make_store_of_zones(tmp_path)
    async with opened(tmp_path / "store") as disk:
        new = Zone(None, zone_id="0" * 32, url="new", reason="it is new", has_threads=True)
        disk.zones.members.reopen([*disk.zones.zones, new])
        await disk.look_after_zones()

        assert disk.states == ["well", "well", "well", "behind"]


async def test_a_zone_is_added_beside_looks_that_never_stop(tmp_path: Path) -> None:
    """The daemon looks each second, and on a busy machine adding takes longer."""
    zones = make_store_of_zones(tmp_path)
    async with opened(tmp_path / "store") as disk, trio.open_nursery() as nursery:

        async def look_for_ever() -> None:
            while True:
                await disk.look_after_zones()
                await trio.lowlevel.checkpoint()

        nursery.start_soon(look_for_ever)
        for name in ("b", "c"):
            added = tmp_path / name
            await disk.ask(AddZone(str(added)))
            zones.append(added)
        with trio.fail_after(60):
            while await urls(disk) != {str(zone) for zone in zones}:
                await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
