"""A class of k + m shares: any m zones may be lost, at k + m times a k-th of the disk."""

from pathlib import Path

import pytest
import trio
import trio.testing

from s3fs_local.control.requests import (
    ChangeClass,
    ChangeSetting,
    CollectGarbage,
    ListVersions,
    ListZones,
    Purge,
)
from s3fs_local.engine.pace import Pace
from s3fs_local.engine.pack_coding import QUIET_SECONDS
from s3fs_local.engine.version_removal import remove_version
from s3fs_local.packs.pack_store import pack_name
from tests.store_on_disk import OWNER, StoreOnDisk, make_store_of_zones, opened
from tests.zones.faults import Victim, after_a_crash
from tests.zones.shares import (
    archive,
    check_contents,
    copies_in,
    keep_in_shares,
    noise,
    pack_bytes,
    shares_in,
)


@pytest.mark.parametrize(
    ("coding", "number", "factor"), [("2+1", 3, 1.5), ("3+2", 5, 5 / 3), ("4+1", 6, 1.25)]
)
async def test_shares_take_as_much_disk_as_the_sum_says(
    tmp_path: Path, coding: str, number: int, factor: float
) -> None:
    """Three copies took three times as much. Measured on the disk, STANDARD gone."""
    zones = make_store_of_zones(tmp_path, number)
    contents = noise(1, files=4, size=700_000)
    async with opened(tmp_path / "store") as disk:
        await keep_in_shares(disk, coding)
        await archive(disk, contents)
        size = sum(map(len, contents.values()))

        assert pack_bytes(zones) / size == pytest.approx(factor, rel=0.01)
        assert not any(map(copies_in, zones))
        assert max(len(shares_in(zone)) for zone in zones) == 1
        await check_contents(disk, contents)
        listed = (await disk.ask(ListZones()))["Zones"]
        held = sum(zone.get("ShareBytes", 0) for zone in listed)
        assert held == pack_bytes(zones)


async def test_a_range_is_read_from_the_zone_that_has_it(tmp_path: Path) -> None:
    """The others are not asked for content: cold bytes cost one request, as copies do."""
    zones = make_store_of_zones(tmp_path, 3)
    contents = noise(9, files=1, size=900_000)
    async with opened(tmp_path / "store") as disk:
        await keep_in_shares(disk, "2+1")
        await archive(disk, contents)
        await check_contents(disk, contents)  # who has what is known from now on
        victims = [Victim(disk, index, zones[index]) for index in range(3)]
        for victim in victims:
            victim.wrap()
            victim.failing.calls.clear()
        handle = disk.fs.open(disk.stat("file 0").ino, 0, OWNER).handle
        assert await disk.fs.read(handle, 1000, 5000) == contents["file 0"][1000:6000]
        reads = [
            victim.failing.calls["read"] + victim.failing.calls["read_nowait"] for victim in victims
        ]
        disk.fs.release(handle)

        assert sum(1 for count in reads if count) == 1


async def test_a_class_may_be_kept_as_copies_again_or_in_other_shares(tmp_path: Path) -> None:
    """The bytes follow the setting; `gc` does it at once."""
    zones = make_store_of_zones(tmp_path, 5)
    contents = noise(11)
    async with opened(tmp_path / "store") as disk:
        await keep_in_shares(disk, "2+1")
        await archive(disk, contents)
        assert sum(len(shares_in(zone)) for zone in zones) == 3
        await keep_in_shares(disk, "3+2")
        collected = await disk.ask(CollectGarbage())
        assert (collected["RestoredPacks"], collected["CodedPacks"]) == (1, 1)
        assert sum(len(shares_in(zone)) for zone in zones) == 5
        assert not any(map(copies_in, zones))
        await check_contents(disk, contents)

        await disk.ask(ChangeSetting("storage-classes", "GLACIER_IR:copies=2,zones=hot,zstd=0"))
        collected = await disk.ask(CollectGarbage())
        assert (collected["RestoredPacks"], collected["CodedPacks"]) == (1, 0)
        assert not any(map(shares_in, zones))
        assert sum(len(copies_in(zone)) for zone in zones) == 2
        await check_contents(disk, contents)
        assert (await disk.ask_scrub())["Damaged"] == []


async def test_moved_and_purged_files_free_their_shares(tmp_path: Path) -> None:
    """Garbage in shares is garbage as in copies."""
    zones = make_store_of_zones(tmp_path, 3)
    contents = noise(12)
    async with opened(tmp_path / "store") as disk:
        await keep_in_shares(disk, "2+1")
        await archive(disk, contents)
        for name in ("file 0", "file 1"):
            disk.fs.unlink(*disk.place(name), OWNER)
            versions = (await disk.ask(ListVersions(name.encode())))["Versions"]
            await disk.ask(Purge(name.encode(), versions[-1]["VersionId"]))
        await disk.ask(CollectGarbage())
        assert await disk.read("file 2") == contents["file 2"]
        assert pack_bytes(zones) < 2 * len(contents["file 2"])
        assert [len(shares_in(zone)) for zone in zones] == [1, 1, 1]

        await disk.ask(ChangeClass(b"file 2", "STANDARD"))
        await disk.ask(CollectGarbage())
        assert await disk.read("file 2") == contents["file 2"]
        assert not any(map(shares_in, zones))


async def test_replicas_say_that_a_zone_has_a_share(tmp_path: Path) -> None:
    """Nobody takes a part for the whole."""
    zones = make_store_of_zones(tmp_path, 3)
    async with opened(tmp_path / "store") as disk:
        await keep_in_shares(disk, "2+1")
        await archive(disk, noise(19))
        value = disk.fs.getxattr(disk.stat("file 0").ino, b"s3.replicas")
        lines = value.decode().splitlines()
        assert len(lines) == len(zones)
        for zone, line in zip(zones, lines, strict=True):
            assert line.startswith(f"{zone} well, 1 of 1 packs (1 in shares of 2+1), verified 20")


def test_a_mounted_store_codes_by_itself_what_did_not_grow_for_an_hour(tmp_path: Path) -> None:
    """Nobody needs to run `gc`; and a pack that still grows is not broken off."""
    make_store_of_zones(tmp_path, 3)
    clock = trio.testing.MockClock()

    async def run() -> None:
        async with opened(tmp_path / "store") as disk:
            await keep_in_shares(disk, "2+1")
            coding = disk.fs.pack_coding
            for name, content in noise(20).items():
                disk.write(name, content)
                await disk.ask(ChangeClass(name.encode(), "GLACIER_IR"))
                clock.jump(QUIET_SECONDS * 0.9)
                assert (await coding.run()).coded == 0
            clock.jump(QUIET_SECONDS)
            assert (await coding.run()).coded == 1
            await check_contents(disk, noise(20))

    trio.run(run, clock=clock)


async def test_no_share_is_made_of_rot_that_a_crash_may_find_again(tmp_path: Path) -> None:
    """The version was purged, nothing made that durable yet, and the copies are removed for good.

    All shares would have the block as one zone had it, and the good ones would be gone.
    """
    zones = make_store_of_zones(tmp_path, 3)
    contents = noise(14, files=3)
    async with opened(tmp_path / "store") as disk:
        for together in (("file 0",), ("file 1", "file 2")):
            disk.fs.volume.durability.packs.leave_open_packs()
            await archive(disk, {path: contents[path] for path in together})
        file = disk.stat("file 1")
        disk.fs.unlink(*disk.place("file 1"), OWNER)
        await disk.sync_everywhere()
        (version,) = disk.fs.volume.metadata.versions(file.ino)
        _rot_first_in_newest(disk, zones[0])
        await keep_in_shares(disk, "2+1")

        async def purge(_: int) -> None:
            """Between two packs."""
            if disk.fs.volume.metadata.versions(file.ino):
                remove_version(disk.fs.volume, version)

        await disk.fs.pack_coding.run(Pace(report=purge), at_once=True)
        assert not any(map(copies_in, zones))
        crashed = after_a_crash(tmp_path / "store", zones, tmp_path / "crash", lost=3)

    async with opened(crashed) as again:
        for left in again.fs.volume.metadata.versions(file.ino):
            layouts = again.fs.reading.layouts(file.ino, left.stamp_ns)
            found = again.fs.reading.read_blocking(layouts, 0, left.size)
            assert found == contents["file 1"]


def _rot_first_in_newest(disk: StoreOnDisk, zone: Path) -> None:
    """A byte of the first block in the newest pack is another one in this zone."""
    metadata = disk.fs.volume.metadata
    pack_id = max(metadata.pack_placements())
    block, _ = metadata.blocks_in_pack(pack_id)
    pack = zone / pack_name(pack_id)
    data = bytearray(pack.read_bytes())
    data[block.pack_offset + 100] ^= 1
    pack.write_bytes(data)
