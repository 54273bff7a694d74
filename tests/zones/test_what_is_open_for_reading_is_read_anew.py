"""A daemon has packs open; who takes one away, or exchanges it, does not deceive it."""

import shutil
from functools import partial
from pathlib import Path
from threading import Event

import pytest

from s3fs_local.control.requests import RotateKey, Verify
from tests.store_on_disk import StoreOnDisk, make_store, make_store_of_zones, opened

CONTENT = bytes(range(256)) * 1024


def wait_for(event: Event) -> None:
    """It has happened."""
    event.wait()


async def is_intact(disk: StoreOnDisk) -> bool:
    """By `verify --all`."""
    return bool((await disk.ask(Verify(reads_all=True)))["Intact"])


def exchange(pack: Path) -> None:
    """As rsync puts a file in the place of another, with one byte that is not as it was."""
    data = bytearray(pack.read_bytes())
    data[len(data) // 2] ^= 1
    other = pack.with_name("other")
    other.write_bytes(data)
    other.rename(pack)


@pytest.mark.parametrize("exchanges", [True, False])
async def test_a_copy_that_is_exchanged_beneath_a_mount_is_named(
    tmp_path: Path, *, exchanges: bool
) -> None:
    """The bytes that the daemon still has open are in no file any more."""
    _, second = make_store_of_zones(tmp_path, 2)
    async with opened(tmp_path / "store") as disk:
        disk.write("file", CONTENT)
        await disk.sync_everywhere()
        assert await is_intact(disk)
        (pack,) = second.glob("packs/*/*.pack")
        if exchanges:
            exchange(pack)
        else:
            pack.unlink()
        assert not await is_intact(disk)
        assert (await disk.ask_scrub())["Damaged"]
        assert await is_intact(disk)
    async with opened(tmp_path / "store") as disk:
        assert await is_intact(disk)
        assert await disk.read("file") == CONTENT


async def test_a_key_ring_that_is_exchanged_beneath_a_mount_is_spread_to_no_zone(
    tmp_path: Path,
) -> None:
    """What opened the store is known, so a newer one of elsewhere does not count."""
    zones = make_store_of_zones(tmp_path, 2)
    (tmp_path / "at").mkdir()
    make_store(tmp_path / "at" / "other", [tmp_path / "elsewhere"])
    async with opened(tmp_path / "at" / "other") as disk:
        await disk.ask(RotateKey("store"))
    async with opened(tmp_path / "store") as disk:
        own = (zones[0] / "key-ring.json").read_bytes()
        shutil.copy(tmp_path / "at" / "other" / "key-ring.json", zones[1])
        assert (await disk.ask_scrub())["Damaged"]
        assert not (await disk.ask_scrub())["Damaged"]
        assert [(zone / "key-ring.json").read_bytes() for zone in zones] == [own, own]


async def test_a_scrub_reads_the_copy_that_lies_there(tmp_path: Path) -> None:
    """Without a `verify` before it."""
    _, second = make_store_of_zones(tmp_path, 2)
    async with opened(tmp_path / "store") as disk:
        disk.write("file", CONTENT)
        await disk.sync_everywhere()
        assert not (await disk.ask_scrub())["Damaged"]
        (pack,) = second.glob("packs/*/*.pack")
        exchange(pack)
        assert (await disk.ask_scrub())["Damaged"]
        assert not (await disk.ask_scrub())["Damaged"]


async def test_a_zone_that_is_late_lacks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A quorum acknowledges, and the third zone gets its records a moment later: no alarm."""
    make_store_of_zones(tmp_path)
    async with opened(tmp_path / "store") as disk:
        disk.write("file", CONTENT)
        await disk.sync_everywhere()
        goes_on = Event()
        members = disk.zones.members
        wait_for_lanes = members.wait_for_lanes

        def wait_until_late_ones_have_come() -> None:
            goes_on.set()
            wait_for_lanes()

        monkeypatch.setattr(members, "wait_for_lanes", wait_until_late_ones_have_come)
        try:
            disk.zones.zones[2].lane.submit(partial(wait_for, goes_on))
            disk.write("another", CONTENT)
            verified = await disk.ask(Verify(reads_all=True))
        finally:
            goes_on.set()
        assert verified["Intact"], verified["Discrepancies"]
        assert not verified.get("LeftOut")
