"""Zones fail, lie and lose bits, while packs lie as shares or become them."""

from itertools import combinations
from pathlib import Path

import pytest
import trio

from s3fs_local.control.requests import (
    ChangeSetting,
    CollectGarbage,
)
from s3fs_local.errors import (
    StorageError,
)
from s3fs_local.packs.shares import HEADER_BYTES
from s3fs_local.rules.findings import Health
from tests.store_on_disk import make_store_of_zones, opened, wait_until_well
from tests.zones.faults import FAULTS, WRAPPED, Victim, after_a_crash
from tests.zones.shares import (
    archive,
    check_contents,
    copies_in,
    keep_in_shares,
    noise,
    shares_in,
    until,
)


@pytest.mark.parametrize(("coding", "number", "lost"), [("2+1", 3, 1), ("3+2", 5, 2)])
async def test_any_zones_that_may_be_lost_may_be_lost(
    tmp_path: Path, coding: str, number: int, lost: int
) -> None:
    """Every choice of them, each from the same store: all reads, nothing else needed."""
    zones = make_store_of_zones(tmp_path, number)
    contents = noise(2)
    async with opened(tmp_path / "store") as disk:
        await disk.ask(ChangeSetting("zone-timeout", "60s"))  # the others may be slow, never gone
        await keep_in_shares(disk, coding)
        await archive(disk, contents)
        await disk.sync_everywhere()
    for chosen in combinations(range(number), lost):
        for index in chosen:
            zones[index].rename(zones[index].with_name(f"away-{index}"))
        async with opened(tmp_path / "store") as disk:
            await check_contents(disk, contents)
            assert disk.status().health is Health.DEGRADED, disk.status().findings
        for index in chosen:
            zones[index].with_name(f"away-{index}").rename(zones[index])
        async with opened(tmp_path / "store") as disk:
            await wait_until_well(disk)


async def test_with_one_zone_more_lost_reading_fails_until_it_returns(tmp_path: Path) -> None:
    """Clearly, at once, and without harm: what there is of metadata and STANDARD still reads."""
    zones = make_store_of_zones(tmp_path, 3)
    contents = noise(3)
    async with opened(tmp_path / "store") as disk:
        await keep_in_shares(disk, "2+1")
        await archive(disk, contents)
        disk.write("warm", b"warm" * 1000)
        await disk.sync_everywhere()
        victims = [Victim(disk, index, zones[index]) for index in (1, 2)]
        for victim in victims:
            victim.wrap()
            FAULTS["answering errors"](victim)
        await disk.store.zoning.care.notice()

        with pytest.raises(StorageError, match=r"1 zones with shares of it answer, of 2"):
            await disk.read("file 1")
        assert await disk.read("warm") == b"warm" * 1000
        assert disk.stat("file 0").size == len(contents["file 0"])

        for victim in victims:
            victim.failing.faults.clear()
        await wait_until_well(disk)
        await check_contents(disk, contents)


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_zone_fails_while_packs_are_made_shares(tmp_path: Path, fault: str) -> None:
    """What was coded reads, what was not stays copies, and all is coded once the zone is back."""
    zones = make_store_of_zones(tmp_path, 3, object_lock=True)
    first, second = noise(4), {f"more {n}": c for n, c in noise(5).items()}
    async with opened(tmp_path / "store") as disk:
        if fault == "hanging":
            disk.zones.members.timeout_seconds = 1.0
            await disk.ask(ChangeSetting("zone-timeout", "1s"))
        await keep_in_shares(disk, "2+1")
        await archive(disk, first)
        victim = Victim(disk, 1, zones[1])
        if fault in WRAPPED:
            victim.wrap()
        FAULTS[fault](victim)
        try:
            await archive(disk, second)
        except StorageError:
            assert fault not in {"corrupt bytes", "stale bytes"}
        await disk.sync()
        await check_contents(disk, first | second)
        crash = after_a_crash(tmp_path / "store", zones, tmp_path / "crash", lost=1)
        victim.failing.faults.clear()
        victim.release()
        if fault != "removed":
            await wait_until_well(disk)
            await disk.ask_scrub()
            await disk.ask(CollectGarbage())
            assert [len(copies_in(zone)) for zone in zones] == [0, 0, 0]
            assert len({len(shares_in(zone)) for zone in zones}) == 1
            assert (await disk.ask_scrub())["Damaged"] == []
    async with opened(crash) as again:
        await check_contents(again, first | second)


async def test_flipped_bits_in_as_many_zones_as_may_be_lost_are_found_and_mended(
    tmp_path: Path,
) -> None:
    """In data, in computed shares and in headers; reads meanwhile give the right bytes."""
    zones = make_store_of_zones(tmp_path, 5)
    contents = noise(6, size=60_000)
    async with opened(tmp_path / "store") as disk:
        await keep_in_shares(disk, "3+2")
        await archive(disk, contents)
    expected = [share.read_bytes() for zone in zones for share in shares_in(zone)]
    for zone, place in ((zones[1], HEADER_BYTES + 777), (zones[3], 50)):
        (share,) = shares_in(zone)
        data = bytearray(share.read_bytes())
        data[place] ^= 4
        share.write_bytes(data)
    async with opened(tmp_path / "store") as disk:
        await check_contents(disk, contents)
        damaged = (await disk.ask_scrub())["Damaged"]
        assert {Path(piece["Zone"]).name for piece in damaged} == {"zone-1", "zone-3"}
        assert all(piece["Repaired"] for piece in damaged)
        assert (await disk.ask_scrub())["Damaged"] == []
    assert [share.read_bytes() for zone in zones for share in shares_in(zone)] == expected


async def test_damage_in_more_zones_than_may_be_is_named_and_never_read(tmp_path: Path) -> None:
    """Nothing is made up, and what is left is not touched."""
    zones = make_store_of_zones(tmp_path, 3)
    contents = noise(7)
    async with opened(tmp_path / "store") as disk:
        await keep_in_shares(disk, "2+1")
        await archive(disk, contents)
    for zone in zones[:2]:
        (share,) = shares_in(zone)
        data = bytearray(share.read_bytes())
        data[HEADER_BYTES:] = bytes(len(data) - HEADER_BYTES)
        share.write_bytes(data)
    before = [share.read_bytes() for zone in zones for share in shares_in(zone)]
    async with opened(tmp_path / "store") as disk:
        with pytest.raises(StorageError):
            await check_contents(disk, contents)
        damaged = (await disk.ask_scrub())["Damaged"]
        assert len(damaged) == 2
        assert not any(piece["Repaired"] for piece in damaged)
    assert [share.read_bytes() for zone in zones for share in shares_in(zone)] == before


async def test_a_read_finds_damage_and_has_it_mended(tmp_path: Path) -> None:
    """As with copies: what a normal read finds damaged is mended on the way."""
    zones = make_store_of_zones(tmp_path, 3)
    contents = noise(8)
    async with opened(tmp_path / "store") as disk:
        await keep_in_shares(disk, "2+1")
        await archive(disk, contents)
    shares = [shares_in(zone)[0] for zone in zones]
    data_shares = [share for share in shares if share.name.split(".")[1] in {"00", "01"}]
    good = data_shares[0].read_bytes()
    data_shares[0].write_bytes(good[:HEADER_BYTES] + bytes(len(good) - HEADER_BYTES))
    async with opened(tmp_path / "store") as disk, trio.open_nursery() as nursery:
        await check_contents(disk, contents)
        nursery.start_soon(disk.keeper().run)
        await until(lambda: data_shares[0].read_bytes() == good)
        nursery.cancel_scope.cancel()
