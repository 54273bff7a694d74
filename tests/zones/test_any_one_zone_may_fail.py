"""Every fault of a zone, during every operation: all goes on, nothing acknowledged is lost.

After each operation the store is opened a second time, as a crash would leave it, and without the
zone that failed.
"""

import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio

from s3fs_local.control.requests import (
    ChangeSetting,
    ListVersions,
    Purge,
    RepairZone,
    SetRetention,
)
from s3fs_local.daemon.layout import KEY_RING_NAME
from s3fs_local.daemon.rebuilding import rebuild
from s3fs_local.daemon.unlocking import Unlocking
from s3fs_local.engine import zone_care
from s3fs_local.errors import StoreFull, ZoneUnavailable
from s3fs_local.objects.failing import FailingObjects
from s3fs_local.objects.memory import MemoryObjects
from s3fs_local.objects.zone import Zone
from s3fs_local.objects.zone_mark import MARK_NAME
from s3fs_local.objects.zone_record import (
    RECORD_NAME,
    BehindZone,
    ZonesRecord,
    encode_record,
    newest_record,
)
from s3fs_local.rules.findings import Health
from s3fs_local.system.durable_files import temporary_name
from tests.store_on_disk import (
    OWNER,
    StoreOnDisk,
    make_store,
    make_store_of_zones,
    opened,
    wait_until_well,
)
from tests.zones.faults import FAULTS, WRAPPED, Victim, after_a_crash

BEFORE = {"old": b"old" * 30_000, "older": b"older" * 9, "empty": b""}
CLASSES = ["STANDARD", "STANDARD_IA", "GLACIER_IR"]
Operation = Callable[[StoreOnDisk, dict[str, bytes]], Awaitable[None]]


async def _create(disk: StoreOnDisk, expected: dict[str, bytes]) -> None:
    expected["new"] = b"new" * 50_000
    disk.write("new", expected["new"])


async def _overwrite(disk: StoreOnDisk, expected: dict[str, bytes]) -> None:
    expected["old"] = b"overwritten" * 20_000
    disk.write("old", expected["old"])


async def _remove(disk: StoreOnDisk, expected: dict[str, bytes]) -> None:
    disk.fs.unlink(*disk.place("older"), OWNER)
    del expected["older"]


async def _rename(disk: StoreOnDisk, expected: dict[str, bytes]) -> None:
    disk.fs.rename(*disk.place("old"), *disk.place("renamed"), 0, OWNER)
    expected["renamed"] = expected.pop("old")


async def _lock(disk: StoreOnDisk, expected: dict[str, bytes]) -> None:
    del expected
    await disk.ask(SetRetention((b"old",), "COMPLIANCE", "30d"))


async def _purge(disk: StoreOnDisk, expected: dict[str, bytes]) -> None:
    expected["older"] = b"newest"
    disk.write("older", b"newest")
    await disk.sync()
    versions = (await disk.ask(ListVersions(b"older")))["Versions"]
    await disk.ask(Purge(b"older", versions[-1]["VersionId"]))


async def _leave_segment(disk: StoreOnDisk, expected: dict[str, bytes]) -> None:
    await _create(disk, expected)
    await disk.fs.volume.durability.leave_segment_behind(disk.store.metadata)


async def _read(disk: StoreOnDisk, expected: dict[str, bytes]) -> None:
    for name, content in expected.items():
        assert await disk.read(name) == content


OPERATIONS: dict[str, Operation] = {
    "create": _create,
    "overwrite": _overwrite,
    "remove": _remove,
    "rename": _rename,
    "lock": _lock,
    "purge": _purge,
    "leave a segment": _leave_segment,
    "read": _read,
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_zone_fails_during_each_operation(tmp_path: Path, fault: str) -> None:
    """The matrix: zone and class change from cell to cell, so that all of them meet each fault."""
    for number, (name, operation) in enumerate(OPERATIONS.items()):
        place = tmp_path / str(number)
        place.mkdir()
        await _one_cell(place, fault, operation, lost=number % 3, placement=CLASSES[number % 3])
        assert (place / "crash" / "store").exists(), name


async def _one_cell(
    place: Path, fault: str, operation: Operation, *, lost: int, placement: str
) -> None:
    zones = make_store_of_zones(place, object_lock=True)
    async with opened(place / "store") as disk:
        if fault == "hanging":  # the others answer, and may be slow on a busy machine
            disk.zones.members.timeout_seconds = 1.0
        await disk.ask(ChangeSetting("default-class", placement))
        victim = Victim(disk, lost, zones[lost])
        if fault in WRAPPED:
            victim.wrap()
        expected = dict(BEFORE)
        for name, content in BEFORE.items():
            disk.write(name, content)
        await disk.sync()
        FAULTS[fault](victim)
        try:
            await operation(disk, expected)
            await disk.sync()
            for name, content in expected.items():
                assert await disk.read(name) == content
            await disk.sync()
            crash = after_a_crash(place / "store", zones, place / "crash", lost=lost)
        finally:
            victim.release()
    async with opened(crash) as again:
        assert again.states.count("well") == 2
        for name, content in expected.items():
            assert await again.read(name) == content
        assert ("older" in expected) == _exists(again, "older")


def _exists(disk: StoreOnDisk, path: str) -> bool:
    return disk.fs.volume.metadata.lookup(*disk.place(path)) is not None


@pytest.mark.parametrize("fault", [name for name in FAULTS if name != "removed"])
async def test_a_zone_that_failed_comes_back_by_itself(tmp_path: Path, fault: str) -> None:
    """With everything it missed and everything it lost: then any other may fail."""
    zones = make_store_of_zones(tmp_path, object_lock=True)
    async with opened(tmp_path / "store") as disk:
        if fault == "hanging":
            disk.zones.members.timeout_seconds = 2.0
            await disk.ask(ChangeSetting("zone-timeout", "2s"))
        victim = Victim(disk, 1, zones[1])
        if fault in WRAPPED:
            victim.wrap()
        disk.write("before", b"before" * 1000)
        await disk.sync_everywhere()  # or the victim has nothing yet that can be lost
        FAULTS[fault](victim)
        disk.write("meanwhile", b"meanwhile" * 1000)
        disk.fs.unlink(*disk.place("before"), OWNER)
        await disk.sync()
        if fault not in {"corrupt bytes", "hanging"}:  # one is found by reading, one not yet
            await disk.wait_for_zones()  # two zones were enough
            assert disk.states == ["well", "behind", "well"]
            assert disk.status().health is Health.DEGRADED
        victim.failing.faults.clear()
        victim.release()
        await wait_until_well(disk)
        pieces = (await disk.ask_scrub())["Damaged"]
        disk.write("after", b"after")
        await disk.sync_everywhere()  # two zones were enough
        assert all(piece["Repaired"] for piece in pieces)
        crash = after_a_crash(tmp_path / "store", zones, tmp_path / "crash", lost=0)
        (tmp_path / "crash" / "zone-2").rename(tmp_path / "gone")
    found = await _rebuilt_from(crash, tmp_path / "crash" / "zone-1", tmp_path / "recovery.key")
    assert found == {"meanwhile": b"meanwhile" * 1000, "after": b"after"}


async def test_a_zone_returns_beside_others_whose_torn_ends_differ(tmp_path: Path) -> None:
    """A crash left bytes in one of them that no block owns."""
    zones = make_store_of_zones(tmp_path)
    async with opened(tmp_path / "store") as disk:
        disk.write("file", b"content" * 1000)
        await disk.sync_everywhere()
    _tear(zones[2])
    shutil.rmtree(zones[0])
    async with opened(tmp_path / "store") as disk:
        await disk.ask(RepairZone(str(zones[0])))
        assert disk.states == ["well"] * 3


def _tear(zone: Path) -> None:
    for pack in zone.glob("packs/*/*.pack"):
        with pack.open("ab") as file:
            file.write(b"torn")


async def test_a_zone_that_fails_again_is_left_alone_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk is not tried every second; `zone repair` tries at once."""
    monkeypatch.setattr(zone_care, "PATIENCE_SECONDS_MIN", 1000.0)  # however slow the machine
    monkeypatch.setattr(zone_care, "PATIENCE_SECONDS_MAX", 1000.0)
    zones = make_store_of_zones(tmp_path)
    async with opened(tmp_path / "store") as disk:
        care = disk.store.zoning.care
        victim = disk.zones.zones[1]
        disk.write("file", b"content")
        await disk.sync()
        disk.zones.members.suspend(victim, "scripted")
        full = FailingObjects(MemoryObjects())
        full.fail("put", StoreFull("scripted"), for_ever=True)
        attempts: list[Zone] = []

        def reopen(zone: Zone) -> FailingObjects:
            attempts.append(zone)
            return full

        care._reopen, real = reopen, care._reopen  # noqa: SLF001  no other way in
        with trio.fail_after(60):
            while not attempts:  # its lane may still be at work
                await disk.look_after_zones()
        for _ in range(3):
            await disk.look_after_zones()
        assert attempts == [victim]
        care._reopen = real  # noqa: SLF001
        await disk.ask(RepairZone(str(zones[1])))
        assert disk.states == ["well"] * 3


async def test_a_full_zone_is_told_of_and_comes_back_once_there_is_room(tmp_path: Path) -> None:
    """Status says which disk needs room; nothing is tried before, no command is needed after."""
    zones = make_store_of_zones(tmp_path)
    async with opened(tmp_path / "store") as disk:
        care = disk.store.zoning.care
        victim = disk.zones.zones[1]
        space = [(0, 1 << 30)]

        class Small(FailingObjects):
            def free_bytes(self) -> tuple[int, int]:
                return space[0]

        real = care._reopen  # noqa: SLF001  no other way in
        care._reopen = lambda zone: Small(real(zone))  # noqa: SLF001
        victim.store = Small(real(victim))
        assert _advice_on(disk, zones[1]) == ["Make room on its disk"], "before it fails"

        victim.store.fail("create", StoreFull("scripted"))
        disk.write("file", b"content")
        await disk.sync_everywhere()
        for _ in range(3):
            await disk.look_after_zones()
        assert disk.states == ["well", "behind", "well"]
        assert _advice_on(disk, zones[1]) == ["Make room on its disk"]
        assert not list(zones[1].glob("packs/*/*.pack"))

        space[0] = (1 << 30, 1 << 30)
        await wait_until_well(disk)
        assert disk.status().health == Health.HEALTHY
        assert list(zones[1].glob("packs/*/*.pack"))


async def test_a_zone_in_which_a_call_hangs_is_not_repaired_before_it_returned(
    tmp_path: Path,
) -> None:
    """It could write into what was repaired; whoever asked is told why, in words."""
    zones = make_store_of_zones(tmp_path)
    async with opened(tmp_path / "store") as disk:
        await disk.ask(ChangeSetting("zone-timeout", "1s"))
        victim = Victim(disk, 1, zones[1])
        victim.wrap()
        FAULTS["hanging"](victim)
        try:
            disk.write("file", b"content")
            with trio.fail_after(60):
                while disk.states[1] == "well":
                    await disk.store.zoning.care.notice()
            with pytest.raises(ZoneUnavailable, match=r"zone-1: .*(answer|returned)"):
                await disk.ask(RepairZone(str(zones[1])))
        finally:
            victim.release()
        await wait_until_well(disk)


async def test_an_emptied_zone_is_noticed_although_somebody_asks_for_its_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any write may ask, at any time: an empty disk that has room answers, and counted again."""
    zones = make_store_of_zones(tmp_path)
    async with opened(tmp_path / "store") as disk:
        look_at_marks = disk.store.zones.look_at_marks

        def and_ask_for_room() -> dict[Zone, str]:
            found = look_at_marks()
            disk.store.zones.free_bytes()
            return found

        monkeypatch.setattr(disk.store.zones, "look_at_marks", and_ask_for_room)
        (zones[1] / MARK_NAME).unlink()
        await disk.store.zoning.care.notice()
        assert disk.states == ["well", "behind", "well"]


async def test_writes_go_on_in_cold_zones_while_the_only_hot_one_is_away(tmp_path: Path) -> None:
    """The quorum holds. Status says before that one zone alone holds STANDARD."""
    hot, cold, colder = (tmp_path / name for name in ("hot", "cold", "colder"))
    make_store(tmp_path / "store", [hot, f"{cold}?kind=cold", f"{colder}?kind=cold"])
    async with opened(tmp_path / "store") as disk:
        assert ["STANDARD" in each.sentence for each in disk.status().findings] == [True]
        disk.write("before", b"before")
        await disk.sync()
        hot.rename(tmp_path / "away")
        await disk.store.zoning.care.notice()
        assert disk.states == ["behind", "well", "well"]
        disk.write("meanwhile", b"meanwhile")
        await disk.sync()
        assert await disk.read("meanwhile") == b"meanwhile"

        (tmp_path / "away").rename(hot)
        await wait_until_well(disk)
        assert await disk.read("before") == b"before"
        assert (await disk.ask_scrub())["Damaged"] == []


def _advice_on(disk: StoreOnDisk, zone: Path) -> list[str]:
    told = [each for each in disk.status().findings if each.subject == f"zone {zone}"]
    return [each.advice.partition(":")[0] for each in told]


async def _rebuilt_from(crash: Path, zone: Path, key_file: Path) -> dict[str, bytes]:
    """What the zone alone still has."""
    key = Unlocking(key_file=key_file)
    new = crash.with_name("new")
    await trio.to_thread.run_sync(lambda: rebuild(new, key, zones=(str(zone),)))
    async with opened(new, key) as disk:
        names = [entry.name.decode() for entry, _ in disk.fs.volume.metadata.children(1, 0, 99)]
        return {name: await disk.read(name) for name in names}


@pytest.mark.parametrize("number", [1, 2])
async def test_a_record_that_one_zone_only_was_told_of_is_told_to_all_at_once(
    tmp_path: Path, number: int
) -> None:
    """If that zone is lost, the others would not know who lacks what, or who does no more."""
    zones = make_store_of_zones(tmp_path)
    async with opened(tmp_path / "store") as disk:
        first = disk.zones.zones[0].zone_id
    record = ZonesRecord(epoch=7, behind=(BehindZone(first, "it was away"),))
    (zones[number] / RECORD_NAME).write_bytes(encode_record(record))
    async with opened(tmp_path / "store") as disk:
        disk.zones.members.wait_for_lanes()
        copies = [(place / RECORD_NAME).read_bytes() for place in (*zones[1:], tmp_path / "store")]
        told = [newest_record([copy]) for copy in copies]

    assert [[each.zone_id for each in one.behind] for one in told] == [[first]] * 3
    assert {one.epoch for one in told} == {8}


@pytest.mark.parametrize("well", [2, 1])
async def test_an_emptied_zone_is_recorded_as_behind_before_it_is_marked_again(
    tmp_path: Path, well: int
) -> None:
    """Who is killed in between leaves a marked zone: the next process would take it for whole."""
    zones = make_store_of_zones(tmp_path)
    async with opened(tmp_path / "store") as disk:
        disk.write("kept", b"kept")
        await disk.fs.volume.durability.settle()
        await disk.wait_for_zones()
        shutil.rmtree(zones[2])
        zones[2].mkdir()
        in_the_way = zones[2] / temporary_name(KEY_RING_NAME)
        in_the_way.mkdir()  # of what a marked zone gets first; so the repair ends before the mark
        for zone in disk.zones.zones[well:2]:
            disk.zones.members.suspend(zone, "it is away, too")
        with pytest.raises(ZoneUnavailable, match=KEY_RING_NAME):
            await disk.ask(RepairZone(str(zones[2])))
        in_the_way.rmdir()
        record = newest_record([(zone / RECORD_NAME).read_bytes() for zone in zones[:well]])

        assert not (zones[2] / MARK_NAME).exists()
        assert disk.zones.zones[2].zone_id in {each.zone_id for each in record.behind}
        await disk.ask(RepairZone(str(zones[2])))
        await wait_until_well(disk)
