"""One command changes the zones of a store in use: nothing is lost, whatever happens meanwhile."""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from threading import Event
from typing import cast

import pytest
import trio
import trio.testing

from s3fs_local.control.requests import (
    AddZone,
    ChangeSetting,
    RemoveZone,
    RotateKey,
    Verify,
)
from s3fs_local.daemon.layout import KEY_RING_NAME
from s3fs_local.daemon.rebuilding import rebuild
from s3fs_local.daemon.store_file import STORE_FILE_NAME, read_store_file
from s3fs_local.daemon.unlocking import Unlocking
from s3fs_local.daemon.zones import check_they_know
from s3fs_local.engine.zone_care import ZoneCare
from s3fs_local.errors import InvalidArgument, StorageError, StoreFull, TooFewZones, ZoneUnavailable
from s3fs_local.objects.failing import FailingObjects
from s3fs_local.objects.interface import ObjectStore
from s3fs_local.objects.zone import Zone
from s3fs_local.objects.zone_record import RECORD_NAME, newest_record
from tests.store_on_disk import (
    StoreOnDisk,
    make_store,
    make_store_of_zones,
    opened,
    wait_until_well,
)
from tests.zones.shares import keep_in_shares

CONTENT = bytes(range(256)) * 1024


async def is_as_the_ledger_says(disk: StoreOnDisk) -> bool:
    """In every zone."""
    return bool((await disk.ask(Verify(reads_all=True)))["Intact"])


async def remove(disk: StoreOnDisk, place: Path, report: Callable[[int], object]) -> Zone:
    """As `zone remove`; `report` is told of each pack that was moved."""
    zoning = disk.store.zoning
    return await zoning.changes.remove(
        str(place), zoning.care, read_copies=trio.lowlevel.checkpoint, report=report
    )


def wait_for(event: Event) -> None:
    """As a slow zone."""
    event.wait()


def urls(disk: StoreOnDisk) -> list[str]:
    """Of the zones of the open store."""
    return [zone.url for zone in disk.zones.zones]


def recorded(store: Path) -> list[str]:
    """Of the zones that the next mount will have."""
    return [zone.url for zone in read_store_file(store).zones]


def only_a_hot_and_a_cold_zone(place: Path) -> tuple[Path, Path]:
    """A store whose files are in the hot zone alone; the cold one has ledger and journal."""
    hot, cold = place / "hot", place / "cold"
    make_store(place / "store", [hot, f"file://{cold}?kind=cold"])
    return hot, cold


async def test_zones_that_are_added_at_once_are_all_zones_of_the_store(tmp_path: Path) -> None:
    """The set in memory and the one in `store.json` are the same: no zone is left an orphan."""
    make_store_of_zones(tmp_path, 1)
    async with opened(tmp_path / "store") as disk:
        async with trio.open_nursery() as nursery:
            for name in ("a", "b"):
                nursery.start_soon(disk.ask, AddZone(str(tmp_path / name)))
        assert len(urls(disk)) == 3
        assert recorded(tmp_path / "store") == urls(disk)
        disk.write("file", CONTENT)
        await disk.sync_everywhere()
    async with opened(tmp_path / "store") as disk:
        await wait_until_well(disk)
        assert await is_as_the_ledger_says(disk)


async def test_a_zone_that_is_added_while_another_goes_stays(tmp_path: Path) -> None:
    """It is told everything: a zone that the next mount counts was never out of the set."""
    make_store_of_zones(tmp_path)
    async with opened(tmp_path / "store") as disk:
        disk.write("file", CONTENT)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(disk.ask, RemoveZone(str(tmp_path / "zone-2")))
            nursery.start_soon(disk.ask, AddZone(str(tmp_path / "added")))
        expected = [str(tmp_path / name) for name in ("zone-0", "zone-1", "added")]
        assert urls(disk) == recorded(tmp_path / "store") == expected
        disk.write("after", CONTENT[1:])
        await disk.sync_everywhere()
    async with opened(tmp_path / "store") as disk:
        await wait_until_well(disk)
        assert await is_as_the_ledger_says(disk)


async def test_a_zone_goes_while_another_comes_back(tmp_path: Path) -> None:
    """Each waits for the other's end at most: one holds what the other needs, in one order."""
    make_store_of_zones(tmp_path)
    async with opened(tmp_path / "store") as disk:
        first, second, last = disk.zones.zones
        disk.zones.members.suspend(second, "it was away")
        disk.write("file", CONTENT)
        await disk.sync()
        await disk.fs.volume.durability.begin_anew()
        with trio.fail_after(60):
            async with trio.open_nursery() as nursery, disk.fs.volume.moving:
                nursery.start_soon(remove, disk, Path(last.url), lambda _: None)
                await trio.testing.wait_all_tasks_blocked()
                nursery.start_soon(disk.store.zoning.care.bring_back, second)
                await trio.testing.wait_all_tasks_blocked()
        await wait_until_well(disk)
        assert urls(disk) == [first.url, second.url]
        assert await is_as_the_ledger_says(disk)


async def test_no_class_wants_the_zone_that_goes(tmp_path: Path) -> None:
    """It was counted still while its copies moved, and the class could not be kept afterwards."""
    zones = make_store_of_zones(tmp_path)
    async with opened(tmp_path / "store") as disk:
        async with trio.open_nursery() as nursery, disk.fs.volume.moving:
            nursery.start_soon(remove, disk, zones[-1], lambda _: None)
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(InvalidArgument, match="add zones"):
                await keep_in_shares(disk, "2+1")
        assert len(urls(disk)) == 2


async def test_a_zone_more_needs_those_there_are(tmp_path: Path) -> None:
    """Until it has everything it counts for nothing; the error says what to do, and that helps."""
    zones = make_store_of_zones(tmp_path, 2)
    async with opened(tmp_path / "store") as disk:
        disk.write("file", CONTENT)
        await disk.sync_everywhere()
        disk.zones.members.suspend(disk.zones.zones[1], "it is broken")
        shutil.rmtree(zones[1])
        with pytest.raises(TooFewZones, match="repair or remove first"):
            await disk.ask(AddZone(str(tmp_path / "added")))
        await disk.ask(RemoveZone(str(zones[1])))
        await disk.ask(AddZone(str(tmp_path / "added")))
        assert disk.states == ["well", "well"]
        assert await is_as_the_ledger_says(disk)


async def test_what_is_written_while_copies_move_is_not_written_where_they_leave(
    tmp_path: Path,
) -> None:
    """The only zone of a kind goes: a pack begun in it alone would go with it, acknowledged."""
    hot, _ = only_a_hot_and_a_cold_zone(tmp_path)
    written = 0
    async with opened(tmp_path / "store") as disk:
        disk.write("before", CONTENT)
        await disk.sync()

        def write(_: int) -> None:
            nonlocal written
            written += 1
            disk.write(f"meanwhile-{written}", CONTENT[written:])

        await remove(disk, hot, write)
        await disk.sync()
        shutil.rmtree(hot)
        assert written > 0
        assert await is_as_the_ledger_says(disk)
    async with opened(tmp_path / "store") as disk:
        assert await disk.read("before") == CONTENT
        for number in range(1, written + 1):
            assert await disk.read(f"meanwhile-{number}") == CONTENT[number:]


async def test_a_zone_stays_if_the_last_other_one_fails_meanwhile(tmp_path: Path) -> None:
    """What the removal was asked for at the beginning is not true at its end."""
    hot, _ = only_a_hot_and_a_cold_zone(tmp_path)
    async with opened(tmp_path / "store") as disk:
        disk.write("before", CONTENT)
        await disk.sync()
        last = disk.zones.zones[1]

        def fail(_: int) -> None:
            disk.zones.members.suspend(last, "it failed")

        with pytest.raises(StorageError):
            await remove(disk, hot, fail)
        disk.write("after", CONTENT)
        await disk.sync()
        assert len(urls(disk)) == len(recorded(tmp_path / "store")) == 2
        await wait_until_well(disk)
        assert await is_as_the_ledger_says(disk)
        await remove(disk, hot, lambda _: None)
        shutil.rmtree(hot)
    async with opened(tmp_path / "store") as disk:
        assert await is_as_the_ledger_says(disk)
        assert [await disk.read(name) for name in ("before", "after")] == [CONTENT] * 2


@pytest.mark.parametrize("adds", [True, False])
async def test_where_the_record_cannot_be_written_the_zones_are_as_before(
    tmp_path: Path, *, adds: bool
) -> None:
    """In memory as on the disk, and each has everything; with room for it, it works."""
    make_store_of_zones(tmp_path)
    place = tmp_path / ("added" if adds else "zone-1")
    request = AddZone(str(place)) if adds else RemoveZone(str(place))
    in_the_way = tmp_path / "store" / f".{STORE_FILE_NAME}.tmp"
    async with opened(tmp_path / "store") as disk:
        before = urls(disk)
        in_the_way.mkdir()
        with pytest.raises(ZoneUnavailable):
            await disk.ask(request)
        assert urls(disk) == recorded(tmp_path / "store") == before
        disk.write("file", CONTENT)
        await wait_until_well(disk)
        await disk.sync_everywhere()
        assert await is_as_the_ledger_says(disk)
        in_the_way.rmdir()
        await disk.ask(request)
        assert len(urls(disk)) == len(before) + (1 if adds else -1)
        assert recorded(tmp_path / "store") == urls(disk)
        assert await is_as_the_ledger_says(disk)


class _Watched(FailingObjects):
    """A zone that calls somebody before an object of that name is put there."""

    def __init__(self, inner: ObjectStore, name: str, call: Callable[[], object]) -> None:
        super().__init__(inner)
        self._name = name
        self._call = call

    def put(self, name: str, data: bytes) -> None:
        if name == self._name:
            self._call()
        super().put(name, data)


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("instant", [RECORD_NAME, STORE_FILE_NAME])
async def test_a_removal_that_a_crash_ends_takes_nothing_along(
    tmp_path: Path, count: int, instant: str
) -> None:
    """Before the store forgets the zone it is known as behind, and is given what it missed."""
    zones = make_store_of_zones(tmp_path, count)
    kept = [tmp_path / "store", *zones]
    taken = tmp_path / "as-a-crash-leaves-them"

    def take() -> None:
        if not taken.exists():
            for each in kept:
                ignored = shutil.ignore_patterns("owner.lock", ".*.tmp")
                shutil.copytree(each, taken / each.name, ignore=ignored)

    async with opened(tmp_path / "store") as disk:
        disk.write("file", CONTENT)
        await disk.sync_everywhere()
        first = disk.zones.zones[0]
        assert first.store is not None
        first.store = _Watched(first.store, instant, take)
        await disk.ask(RemoveZone(str(zones[-1])))
    for each in kept:
        shutil.rmtree(each)
        (taken / each.name).rename(each)
    async with opened(tmp_path / "store") as disk:
        assert len(urls(disk)) == (count if instant == RECORD_NAME else count - 1)
        assert await disk.read("file") == CONTENT
        await wait_until_well(disk)
        assert await is_as_the_ledger_says(disk)
        told_late = {piece["Name"] for piece in (await disk.ask_scrub())["Damaged"]}
        assert told_late <= {STORE_FILE_NAME}
        assert not (await disk.ask_scrub())["Damaged"]


async def test_two_zones_that_lack_something_do_not_open_a_store_that_a_zone_was_leaving(
    tmp_path: Path,
) -> None:
    """Of five zones three must acknowledge, of the four that stay two; the record says which."""
    make_store_of_zones(tmp_path, 5)
    goes_on = Event()
    async with opened(tmp_path / "store") as disk:
        disk.write("before", CONTENT)
        await disk.sync_everywhere()
        zones = disk.zones.zones
        zones[4].leaves = True
        assert disk.zones.members.leave_out(zones[4])
        for slow in zones[2:4]:
            slow.lane.submit(partial(wait_for, goes_on))
        try:
            disk.write("file", CONTENT)
            await disk.sync()
            record = newest_record([(tmp_path / "store" / RECORD_NAME).read_bytes()])
        finally:
            goes_on.set()
        zones[4].leaves = False
        disk.zones.members.recount()
        await wait_until_well(disk)

    def known_by(there: set[int]) -> None:
        as_opened = [
            Zone(zone.store if number in there else None, zone_id=zone.zone_id, url=zone.url)
            for number, zone in enumerate(zones)
        ]
        check_they_know(as_opened, record)

    with pytest.raises(TooFewZones):
        known_by({2, 3})
    known_by({1, 2, 3})


async def test_a_zone_that_does_not_take_a_new_key_ring_does_not_count(tmp_path: Path) -> None:
    """Alone it would open nothing that is written from now on."""
    zones = make_store_of_zones(tmp_path, 2)
    async with opened(tmp_path / "store") as disk:
        second = disk.zones.zones[1]
        assert second.store is not None
        second.store = failing = FailingObjects(second.store)
        failing.fail("put", StoreFull("no room for the ring"))
        await disk.ask(RotateKey("store"))
        assert disk.states == ["well", "behind"]
        await wait_until_well(disk)
        assert len({(each / KEY_RING_NAME).read_bytes() for each in zones}) == 1


async def test_a_key_ring_that_no_zone_takes_is_not_the_stores_either(tmp_path: Path) -> None:
    """The zone has room again before the next mount; then the store's own disk is lost."""
    (only,) = make_store_of_zones(tmp_path, 1)
    async with opened(tmp_path / "store") as disk:
        zone = disk.zones.zones[0]
        well = zone.store
        assert well is not None
        zone.store = failing = FailingObjects(well)
        failing.fail("put", StoreFull("no room for the ring"))
        with pytest.raises(StoreFull):
            await disk.ask(RotateKey("store"))
        zone.store = well
        disk.write("file", CONTENT)
        await disk.sync_everywhere()
        kept = tmp_path / "as-the-zone-is"
        shutil.copytree(only, kept)
    shutil.rmtree(tmp_path / "store")
    shutil.rmtree(only)
    kept.rename(only)
    unlocking = Unlocking(key_file=tmp_path / "recovery.key")
    await trio.to_thread.run_sync(
        partial(rebuild, tmp_path / "store", unlocking, zones=(str(only),))
    )
    async with opened(tmp_path / "store", unlocking) as disk:
        assert await disk.read("file") == CONTENT


async def test_a_key_that_changes_while_a_zone_comes_back_is_known_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the moment the zone was given the ring and the one from which it counts."""
    zones = make_store_of_zones(tmp_path, 2)
    async with opened(tmp_path / "store") as disk:
        members = disk.zones.members
        settle_in = members.settle_in

        def settle_in_late(zone: Zone) -> None:
            trio.from_thread.run(disk.ask, RotateKey("store"))
            settle_in(zone)

        monkeypatch.setattr(members, "settle_in", settle_in_late)
        members.suspend(disk.zones.zones[1], "it was away")
        await wait_until_well(disk)
        assert len({(each / KEY_RING_NAME).read_bytes() for each in zones}) == 1


class DiesFirst:
    """Instead of whoever brings zones back: its process ended before it could."""

    async def bring_back(self, zone: Zone) -> bool:
        """Nothing happens."""
        await trio.lowlevel.checkpoint()
        return zone.is_well


@pytest.mark.parametrize("wanted", ["16", "2", "majority"])
async def test_nobody_waits_for_a_zone_whose_adding_was_broken_off(
    tmp_path: Path, wanted: str
) -> None:
    """With a quorum of all zones every write was refused until it had caught up, for hours."""
    make_store_of_zones(tmp_path, 2)
    async with opened(tmp_path / "store") as disk:
        await disk.ask(ChangeSetting("write-quorum", wanted))
        disk.write("before", CONTENT)
        care = cast("ZoneCare", DiesFirst())
        await disk.store.zoning.changes.add(str(tmp_path / "new"), care)
        disk.write("meanwhile", CONTENT)
        await disk.sync()
    for _ in range(2):  # the second knows it from what the first wrote
        async with opened(tmp_path / "store") as disk:
            assert sorted(disk.states) == ["behind", "well", "well"]
            disk.write("after", CONTENT)
            await disk.sync()
    async with opened(tmp_path / "store") as disk:
        await wait_until_well(disk)
        disk.write("last", CONTENT)
        await disk.sync_everywhere()
        assert await is_as_the_ledger_says(disk)


async def test_a_zone_that_was_whole_once_is_waited_for_as_its_quorum_says(
    tmp_path: Path,
) -> None:
    """With `write-quorum` at the number of zones none may be away: that is what was asked for."""
    make_store_of_zones(tmp_path, 2)
    async with opened(tmp_path / "store") as disk:
        await disk.ask(ChangeSetting("write-quorum", "16"))
        await disk.store.zoning.changes.add(str(tmp_path / "new"), disk.store.zoning.care)
        assert set(disk.states) == {"well"}
    (tmp_path / "new").rename(tmp_path / "unplugged")
    async with opened(tmp_path / "store") as disk:
        with pytest.raises(TooFewZones):
            disk.write("no", CONTENT)
        (tmp_path / "unplugged").rename(tmp_path / "new")
        await wait_until_well(disk)
        disk.write("yes", CONTENT)
        await disk.sync()
