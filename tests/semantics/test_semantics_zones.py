"""Promises of section 11: zones. The long form of each is in tests/zones and tests/objects."""

import os
import shutil
from collections.abc import Awaitable, Callable
from errno import EIO
from pathlib import Path

import pytest
import trio

from s3fs_local.control.requests import AddZone, ChangeSetting, RemoveZone, SetRetention, Verify
from s3fs_local.daemon.rebuilding import rebuild
from s3fs_local.daemon.unlocking import Unlocking
from s3fs_local.errors import StorageError, StoreFull, TooFewZones, ZoneInUse, ZoneUnavailable
from s3fs_local.fuse.errno_table import errno_of
from s3fs_local.objects.failing import FailingObjects
from s3fs_local.objects.memory import MemoryObjects
from s3fs_local.objects.zone import ZoneState
from s3fs_local.objects.zone_record import RECORD_NAME
from s3fs_local.objects.zone_set import ZoneSet
from s3fs_local.rules.findings import Severity
from tests.aws_server import AwsServer
from tests.engine.memory_store import MemoryStore
from tests.semantics.promises import promise
from tests.store_on_disk import StoreOnDisk, make_store, opened, wait_until_well
from tests.zones.bucket import Bucket, keep
from tests.zones.shares import archive, check_contents, copies_in, keep_in_shares, noise


def _zones(number: int) -> tuple[list[FailingObjects], ZoneSet]:
    objects = [FailingObjects(MemoryObjects()) for _ in range(number)]
    return objects, ZoneSet.of(objects)


def _in_a_store(place: Path, work: Callable[[StoreOnDisk], Awaitable[None]]) -> None:
    """Work on a new store of three zones."""

    async def run() -> None:
        make_store(place / "store", [place / name for name in ("a", "b", "c")])
        async with opened(place / "store") as disk:
            disk.write("file", b"content" * 10_000)
            await disk.sync_everywhere()
            await work(disk)

    trio.run(run)


def _damage(zone: Path) -> None:
    for pack in zone.glob("packs/*/*.pack"):
        data = bytearray(pack.read_bytes())
        data[len(data) // 2] ^= 1
        pack.write_bytes(data)


@promise(
    "fsync is answered when everything is durable in two zones at least, as long as two are well."
)
def test_fsync_is_answered_when_everything_is_durable_in_two_zones() -> None:
    """A power cut in all of them, and then any one is lost."""
    objects, zones = _zones(2)
    appender = zones.create("a")
    appender.append(b"one")
    appender.sync()
    for each in objects:
        each.power_cut()
    assert [each.read("a", 0, 9) for each in objects] == [b"one", b"one"]


@promise("A zone that fails, hangs or is full stops nobody.")
@pytest.mark.parametrize("error", [ZoneUnavailable("gone"), StoreFull("full")])
def test_a_zone_that_fails_stops_nobody(error: ZoneUnavailable | StoreFull) -> None:
    """One that hangs: tests/objects/test_zone_set.py."""
    objects, zones = _zones(3)
    objects[0].fail("append", error, for_ever=True)
    objects[0].fail("read", error, for_ever=True)
    appender = zones.create("a")
    appender.append(b"one")
    appender.sync()
    assert zones.read("a", 0, 3) == b"one"


@promise(
    "With fewer zones than the write quorum a write fails with EIO, and is never acknowledged with "
    "less."
)
def test_with_fewer_zones_than_the_quorum_a_write_fails() -> None:
    """EIO is what the error means; tests/fuse/test_errno_table.py."""
    objects, zones = _zones(3)
    appender = zones.create("a")
    for each in objects[:2]:
        each.fail("sync", ZoneUnavailable("gone"), for_ever=True)
    appender.append(b"one")
    with pytest.raises(TooFewZones):
        appender.sync()


@promise(
    "A zone that comes back is given what it missed by itself, and counts when it has everything."
)
def test_a_zone_that_comes_back_is_given_what_it_missed(tmp_path: Path) -> None:
    """Emptied while the store is open."""

    async def work(disk: StoreOnDisk) -> None:
        for entry in (tmp_path / "b").iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        disk.write("more", b"more")
        await disk.sync()
        await disk.wait_for_zones()  # two of them were enough
        assert disk.states == ["well", "behind", "well"]
        await wait_until_well(disk)
        assert (await disk.ask(Verify(reads_all=True)))["Intact"]

    _in_a_store(tmp_path, work)
    packs = [
        {pack.relative_to(tmp_path / name): pack.read_bytes() for pack in _packs(tmp_path / name)}
        for name in ("a", "b")
    ]
    assert packs[0] == packs[1] != {}


def _packs(zone: Path) -> list[Path]:
    return sorted(zone.glob("packs/*/*.pack"))


@promise(
    "A zone that a killed process did not tell of the last bytes is given them when the store is "
    "opened again, before anything relies on them."
)
def test_a_zone_that_a_killed_process_did_not_tell_is_given_the_last_bytes() -> None:
    """It flickered, nothing was synced, the process was killed; long form: tests/simulation."""
    objects = [FailingObjects(MemoryObjects()) for _ in range(2)]

    def both() -> ZoneSet:
        return ZoneSet.of(objects)

    store = MemoryStore(make_zones=both)
    store.write("/first", b"first")
    store.settle()
    objects[1].fail("append", ZoneUnavailable("it flickers"))
    store.mkdir("/last")
    store.flush()
    assert _contents(objects[0]) != _contents(objects[1])
    assert RECORD_NAME not in _contents(objects[0]), "nobody wrote down that a zone lacks something"
    store.crash()
    store.settle()

    assert store.exists("/last")
    assert _contents(objects[0]) == _contents(objects[1])


def _contents(zone: FailingObjects) -> dict[str, bytes]:
    return {name: zone.read(name, 0, zone.length(name)) for name in zone.list("")}


@promise("A zone that missed something never passes for the newest.")
def test_a_zone_that_missed_something_never_passes_for_the_newest(tmp_path: Path) -> None:
    """It is there alone, and lacks what was acknowledged while it was away."""

    async def run() -> None:
        zones = [tmp_path / "a", tmp_path / "b"]
        make_store(tmp_path / "store", zones)
        zones[1].rename(tmp_path / "away")
        async with opened(tmp_path / "store") as disk:
            disk.write("file", b"content")
            await disk.sync()
        shutil.rmtree(zones[0])
        (tmp_path / "away").rename(zones[1])
        with pytest.raises(TooFewZones):
            async with opened(tmp_path / "store"):
                pass

    trio.run(run)


@promise("Bytes that a read finds damaged in one zone come from another, and are mended there.")
def test_bytes_that_a_read_finds_damaged_are_mended(tmp_path: Path) -> None:
    """The reader sees nothing of it."""

    async def work(disk: StoreOnDisk) -> None:
        good = [pack.read_bytes() for pack in _packs(tmp_path / "a")]
        _damage(tmp_path / "a")
        assert await disk.read("file") == b"content" * 10_000
        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(disk.keeper().run)
                while [each.read_bytes() for each in _packs(tmp_path / "a")] != good:  # noqa: ASYNC110
                    await trio.sleep(0.01)
                nursery.cancel_scope.cancel()

    _in_a_store(tmp_path, work)


@promise("`scrub` reads every copy, mends what it can, and names what it found.")
def test_scrub_mends_and_names(tmp_path: Path) -> None:
    """Damage in one zone; a second scrub finds nothing."""

    async def work(disk: StoreOnDisk) -> None:
        _damage(tmp_path / "b")
        found = await disk.ask_scrub()
        assert [(row["Zone"], row["Repaired"]) for row in found["Damaged"]] == [
            (str(tmp_path / "b"), True)
        ]
        assert "packs/" in found["Damaged"][0]["Name"]
        assert (await disk.ask_scrub())["Damaged"] == []

    _in_a_store(tmp_path, work)


@promise("What is written after a class wants more copies has them.")
def test_more_copies_are_made_from_then_on(tmp_path: Path) -> None:
    """More in tests/zones/test_settings_change_while_programs_write.py."""

    async def want(disk: StoreOnDisk, copies: int) -> None:
        value = f"STANDARD:copies={copies},zones=hot,zstd=0"
        await disk.ask(ChangeSetting("storage-classes", value))

    async def work(disk: StoreOnDisk) -> None:
        await want(disk, 1)
        disk.write("before", b"before")
        await disk.sync_everywhere()
        packs = [{pack.name for pack in _packs(tmp_path / name)} for name in ("a", "b", "c")]
        await want(disk, 3)
        disk.write("after", b"after")
        await disk.sync_everywhere()
        now = [{pack.name for pack in _packs(tmp_path / name)} for name in ("a", "b", "c")]
        assert [len(after - before) for before, after in zip(packs, now, strict=True)] == [1, 1, 1]
        assert (await disk.ask(Verify(reads_all=True)))["Intact"]
        assert not (await disk.ask_scrub())["Damaged"]
        now = [{pack.name for pack in _packs(tmp_path / name)} for name in ("a", "b", "c")]
        assert now[0] == now[1] == now[2]

    _in_a_store(tmp_path, work)


@promise("`verify` and `scrub` read what lies in a zone now.")
def test_what_is_open_deceives_nobody(tmp_path: Path) -> None:
    """The copies of one zone are removed beneath the daemon that has them open."""

    async def work(disk: StoreOnDisk) -> None:
        assert (await disk.ask(Verify(reads_all=True)))["Intact"]
        for pack in _packs(tmp_path / "b"):
            pack.unlink()
        assert not (await disk.ask(Verify(reads_all=True)))["Intact"]
        assert (await disk.ask_scrub())["Damaged"]
        assert (await disk.ask(Verify(reads_all=True)))["Intact"]

    _in_a_store(tmp_path, work)


@promise("What could not be mended, `status` tells of until it is.")
def test_status_tells_of_damage_until_it_is_mended(tmp_path: Path) -> None:
    """Also where the store was closed in between."""
    zone = tmp_path / "a"
    make_store(tmp_path / "store", [zone])

    def told(disk: StoreOnDisk) -> list[str]:
        found = disk.status().findings
        return [row.subject for row in found if row.severity == Severity.CRITICAL]

    async def damaged() -> None:
        async with opened(tmp_path / "store") as disk:
            disk.write("file", b"content" * 10_000)
            await disk.sync()
            _damage(zone)
            await disk.ask_scrub()
            assert told(disk) == [f"zone {zone}"]

    async def mended() -> None:
        async with opened(tmp_path / "store") as disk:
            assert told(disk) == [f"zone {zone}"]
            _damage(zone)  # the same bit again, so it is whole
            await disk.ask_scrub()
            assert told(disk) == []

    trio.run(damaged)
    trio.run(mended)


@promise("Any zone alone, with a key, is the store: files, versions, history and locks.")
def test_any_zone_alone_is_the_store(tmp_path: Path) -> None:
    """The others and the store's directory are gone; locks: tests/zones."""

    async def work(disk: StoreOnDisk) -> None:
        del disk

    _in_a_store(tmp_path, work)
    for name in ("store", "a", "b"):
        shutil.rmtree(tmp_path / name)
    key = Unlocking(key_file=tmp_path / "recovery.key")
    found = rebuild(tmp_path / "new", key, zones=(str(tmp_path / "c"),))
    assert (found.files, found.versions) == (1, 1)


@promise(
    "Of a class in k+m shares any m zones may be lost, and every file is read. With fewer than k "
    "zones reading such a file fails with EIO, until enough of them are back."
)
def test_any_zones_that_may_be_lost_may_be(tmp_path: Path) -> None:
    """One of three for 2+1: the long form, with two of five, is in tests/zones."""
    contents = noise(1)

    async def work(disk: StoreOnDisk) -> None:
        await keep_in_shares(disk, "2+1")
        await archive(disk, contents)
        stores = [zone.store for zone in disk.zones.zones]
        for zone in disk.zones.zones[:2]:
            zone.state, zone.store = ZoneState.BEHIND, None
        with pytest.raises(StorageError) as failed:  # before anything is in memory
            await check_contents(disk, contents)
        assert errno_of(failed.value) == EIO
        for zone, store in zip(disk.zones.zones[:2], stores, strict=False):
            zone.state, zone.store = ZoneState.WELL, store
        for zone, store in zip(disk.zones.zones, stores, strict=True):
            zone.state, zone.store = ZoneState.BEHIND, None
            await check_contents(disk, contents)
            zone.state, zone.store = ZoneState.WELL, store

    _in_a_store(tmp_path, work)


@promise("Shares replace copies only after all of them were written and read back.")
def test_shares_replace_copies_after_all_were_read_back(tmp_path: Path) -> None:
    """A zone that takes a share and gives something else back: the copies stay."""
    contents = noise(2)

    async def work(disk: StoreOnDisk) -> None:
        liar = disk.zones.zones[2]
        assert liar.store is not None
        liar.store = Forgetful(liar.store)
        await keep_in_shares(disk, "2+1")
        said = await archive(disk, contents)
        assert "does not read back" in str(said["Waiting"])
        copies = [copies_in(tmp_path / name) for name in ("a", "b", "c")]
        second = [
            [name for name in map(_name, held) if name.startswith("00000002")] for held in copies
        ]
        assert sum(map(len, second)) == 2
        await check_contents(disk, contents)

    _in_a_store(tmp_path, work)


class Forgetful(FailingObjects):
    """Keeps zeros instead of the end of each share."""

    def put(self, name: str, data: bytes) -> None:
        """See `ObjectStore`."""
        is_share = name.startswith("shares/")
        super().put(name, data[:-9] + bytes(9) if is_share else data)


def _name(path: Path) -> str:
    return path.name


@promise(
    "A zone that is removed takes nothing along: when `zone remove` is done, those that are left "
    "have everything, durably."
)
def test_a_zone_that_is_removed_takes_nothing_along(tmp_path: Path) -> None:
    """Not the last records of the ledger either, which it had got together with the other."""

    async def work() -> None:
        make_store(tmp_path / "store", [tmp_path / "a", tmp_path / "b"])
        async with opened(tmp_path / "store") as disk:
            disk.write("file", b"content")
            await disk.ask(RemoveZone(str(tmp_path / "b")))
            shutil.rmtree(tmp_path / "b")
            assert (await disk.ask(Verify(reads_all=True)))["Intact"]
            assert await disk.read("file") == b"content"

    trio.run(work)


@promise(
    "Before a zone that is well goes, copies that were not read within the last day are read, and "
    "mended from it."
)
def test_the_last_good_copy_does_not_go_with_its_zone(tmp_path: Path) -> None:
    """A disk that rots says nothing: the one that is taken away may be the only good one."""

    async def work() -> None:
        make_store(tmp_path / "store", [tmp_path / "a", tmp_path / "b"])
        async with opened(tmp_path / "store") as disk:
            disk.write("file", bytes(5000))
            await disk.sync()
        for pack in (tmp_path / "a" / "packs").rglob("*.pack"):
            with pack.open("r+b") as file:
                file.seek(-100, os.SEEK_END)
                file.write(b"rotten" * 10)
        async with opened(tmp_path / "store") as disk:
            await disk.ask(RemoveZone(str(tmp_path / "b")))
            shutil.rmtree(tmp_path / "b")
            assert await disk.read("file") == bytes(5000)

    trio.run(work)


@promise("A zone belongs to one open store: no other is made from it, or opened, meanwhile.")
def test_a_zone_belongs_to_one_open_store(tmp_path: Path) -> None:
    """Two would write to it, and neither know what the other acknowledged."""

    async def work(disk: StoreOnDisk) -> None:
        place = Path(disk.zones.zones[1].url)
        key = Unlocking(key_file=tmp_path / "recovery.key")
        with pytest.raises(ZoneInUse):
            rebuild(tmp_path / "other", key, zones=(str(place),))
        assert disk.states == ["well"] * 3

    _in_a_store(tmp_path, work)


@promise("`zone add` and `zone remove` may be killed or fail at any moment, while programs write.")
def test_a_change_of_zones_that_fails_leaves_those_of_before(tmp_path: Path) -> None:
    """In memory and for the next mount; tests/zones stops it at each instant."""

    async def work(disk: StoreOnDisk) -> None:
        in_the_way = tmp_path / "store" / ".store.json.tmp"
        in_the_way.mkdir()
        for request in (AddZone(str(tmp_path / "d")), RemoveZone(str(tmp_path / "c"))):
            with pytest.raises(ZoneUnavailable):
                await disk.ask(request)
            disk.write("file", b"while it fails")
            assert len(disk.zones.zones) == 3
        in_the_way.rmdir()
        await wait_until_well(disk)
        assert (await disk.ask(Verify(reads_all=True)))["Intact"]

    _in_a_store(tmp_path, work)


@pytest.mark.s3
@promise(
    "A bucket with Object Lock locks the packs that hold bytes of locked versions until the same "
    "date, or longer."
)
def test_a_bucket_locks_packs_of_locked_versions(tmp_path: Path, aws: AwsServer) -> None:
    """Whoever has root here, and the bucket's keys, cannot remove them either."""
    bucket = Bucket(aws, object_lock=True)
    make_store(tmp_path / "store", [str(tmp_path / "a"), bucket.url], object_lock=True)

    async def lock() -> None:
        async with opened(tmp_path / "store") as disk:
            disk.write("file", b"content" * 1000)
            await disk.ask(SetRetention((b"file",), "COMPLIANCE", "2099-01-01T00:00:00Z"))
            await keep(disk)

    trio.run(lock)
    (key,) = bucket.keys("packs")

    assert bucket.head(key)["ObjectLockMode"] == "COMPLIANCE"
    assert bucket.head(key)["ObjectLockRetainUntilDate"].year == 2099
    assert bucket.destroy_all() >= 1
