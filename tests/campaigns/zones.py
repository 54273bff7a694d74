"""Attacks on a store of three zones, with a seed and a size: bits flipped, zones taken away.

`scripts/campaign zone-flips` and `zone-loss` run them at length, `test_campaigns.py` in short.
"""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import trio
from msgspec import Struct

from s3fs_local.objects.reading import lengths_in
from tests.store_on_disk import StoreOnDisk, make_store, opened, wait_until_well

Say = Callable[[str], None]
ZONES = ("zone-0", "zone-1", "zone-2")
FOLDERS = ("packs", "journal", "ledger", "checkpoint")


class Flipped(Struct, frozen=True):
    """What a campaign of flips did and found."""

    flips: int
    pieces: int  # damaged objects and blocks that the scrub named
    files_read: int


class Returned(Struct, frozen=True):
    """What a campaign of zones that go and come back did."""

    times: int
    acknowledged: int  # files written and synced meanwhile


def flip_bits(place: Path, *, seed: int, flips: int, megabytes: int, say: Say) -> Flipped:
    """Bits of all zones but one are flipped; a scrub finds and mends every one of them.

    Afterwards each zone holds what the one that was spared holds, byte for byte.
    """
    return trio.run(_flip_bits, place, random.Random(seed), flips, megabytes, say)


async def _flip_bits(
    place: Path, choice: random.Random, flips: int, megabytes: int, say: Say
) -> Flipped:
    zones = [place / name for name in ZONES]
    make_store(place / "store", zones)
    contents: dict[str, bytes] = {}
    async with opened(place / "store") as disk:
        for number in range(20 * megabytes):
            name = f"file {number % (15 * megabytes)}"
            contents[name] = choice.randbytes(choice.randrange(1, 100_000))
            disk.write(name, contents[name])
        await disk.sync_everywhere()
    spared = choice.randrange(len(zones))
    expected = _objects_in(zones[spared])
    places = [file for index in range(3) if index != spared for file in _files_in(zones[index])]
    weights = [file.stat().st_size for file in places]
    for file in choice.choices(places, weights, k=flips):
        _flip(file, choice)
    say(f"flipped {flips} bits in {len(places)} files; zone {spared} was spared")
    async with opened(place / "store") as disk:
        read = 0
        for name in choice.sample(sorted(contents), len(contents) // 2):
            assert await disk.read(name) == contents[name], f"{name} was read wrong"
            read += 1
        damaged = (await disk.ask_scrub())["Damaged"]
        assert all(piece["Repaired"] for piece in damaged), damaged
        say(f"read {read} files right; the scrub named {len(damaged)} pieces and mended them")
        assert (await disk.ask_scrub())["Damaged"] == []
        for name, content in contents.items():
            assert await disk.read(name) == content
        for zone in zones:
            found = _objects_in(zone)
            wrong = [name for name, data in expected.items() if found.get(name, data) != data]
            assert wrong == [], f"{zone} differs in {wrong}"
    return Flipped(flips, len(damaged), read)


def take_zones_away(place: Path, *, seed: int, times: int, say: Say) -> Returned:
    """Again and again a zone is emptied or removed and put back, while files are written.

    Every file that was written and synced is there at the end, in each zone alone.
    """
    return trio.run(_take_zones_away, place, random.Random(seed), times, say)


async def _take_zones_away(place: Path, choice: random.Random, times: int, say: Say) -> Returned:
    zones = [place / name for name in ZONES]
    make_store(place / "store", zones)
    contents: dict[str, bytes] = {}
    async with opened(place / "store") as disk:
        for turn in range(times):
            async with trio.open_nursery() as nursery:
                writing = trio.CancelScope()
                nursery.start_soon(_keep_writing, disk, contents, choice, turn, writing)
                victim = choice.choice(zones)
                kind = choice.choice(["emptied", "unplugged"])
                await _harm(disk, victim, kind)
                await wait_until_well(disk)
                writing.cancel()
            if turn % 10 == 9:
                say(f"{turn + 1} times, {len(contents)} files are acknowledged")
        for name, content in contents.items():
            assert await disk.read(name) == content, f"{name} was lost"
        await disk.wait_for_zones()
        assert (await disk.ask_scrub())["Damaged"] == []
        for zone in disk.zones.zones:
            lengths = lengths_in([zone], "packs/")[zone]
            assert len(lengths) == len(disk.fs.volume.metadata.packs())
    return Returned(times, len(contents))


async def _keep_writing(
    disk: StoreOnDisk,
    contents: dict[str, bytes],
    choice: random.Random,
    turn: int,
    scope: trio.CancelScope,
) -> None:
    number = 0
    with scope:
        while True:
            content = choice.randbytes(choice.randrange(1, 100_000))
            name = f"{turn} {number}"
            disk.write(name, content)
            await disk.sync()
            contents[name] = content
            number += 1
            await trio.sleep(0.005)


def _take(victim: Path, kind: str) -> None:
    if kind == "emptied":
        for entry in victim.iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    else:
        victim.rename(victim.with_name("unplugged"))


async def _harm(disk: StoreOnDisk, victim: Path, kind: str) -> None:
    """The zone is gone until the store has noticed."""
    _take(victim, kind)
    with trio.fail_after(60):
        while "behind" not in disk.states:
            await disk.store.zoning.care.notice()
            await trio.sleep(0.01)
    if kind == "unplugged":
        await trio.sleep(0.05)
        _put_back(victim)


def _put_back(victim: Path) -> None:
    victim.with_name("unplugged").rename(victim)


def _files_in(zone: Path) -> list[Path]:
    return [
        file
        for folder in FOLDERS
        for file in sorted((zone / folder).rglob("*"))
        if file.is_file() and file.stat().st_size
    ]


def _objects_in(zone: Path) -> dict[str, bytes]:
    return {str(file.relative_to(zone)): file.read_bytes() for file in _files_in(zone)}


def _flip(file: Path, choice: random.Random) -> None:
    with file.open("r+b") as opened_file:
        where = choice.randrange(file.stat().st_size)
        opened_file.seek(where)
        byte = opened_file.read(1)[0]
        opened_file.seek(where)
        opened_file.write(bytes([byte ^ 1 << choice.randrange(8)]))
