"""Attacks on packs that lie as shares, with a seed and a size: as much is lost as may be, and more.

Each round takes as many zones as may be lost, or flips bits in them, or both in part; reads every
file; brings zones back and mends; and now and then the class changes to other shares or to copies.
`scripts/campaign share-loss` runs it at length, `tests/zones/test_campaigns.py` in short.
"""

import random
import shutil
from pathlib import Path
from typing import Final

import trio
from msgspec import Struct

from s3fs_local.control.requests import ChangeSetting, CollectGarbage
from s3fs_local.rules.erasure import Coding, parse_coding
from tests.campaigns.line import Figures, Piece
from tests.store_on_disk import StoreOnDisk, make_store_of_zones, opened, wait_until_well
from tests.zones.shares import (
    archive,
    check_contents,
    keep_in_shares,
    shares_in,
)

ZONES: Final = 5
CODINGS: Final = ("2+1", "3+2", "2+2", "4+1")
COPIES: Final = "GLACIER_IR:copies=3,zones=hot,zstd=0"


class _Attack(Struct):
    """One store under attack."""

    choice: random.Random
    zones: list[Path]
    coding: Coding
    contents: dict[str, bytes] = {}
    lost: int = 0
    flips: int = 0
    mended: int = 0


def run(piece: Piece) -> Figures:
    """So many rounds on one store."""
    return trio.run(_run, piece)


async def _run(piece: Piece) -> Figures:
    zones = make_store_of_zones(piece.folder, ZONES)
    choice = random.Random(piece.seed)
    attack = _Attack(choice, zones, parse_coding(choice.choice(CODINGS)), {})
    reads = 0
    for number in range(piece.size):
        async with opened(piece.folder / "store") as disk:
            await wait_until_well(disk)
            await _change(disk, attack, number)
            await disk.sync_everywhere()
        victims = choice.sample(zones, attack.coding.parity)
        for zone in victims:
            _harm(zone, attack)
        async with opened(piece.folder / "store") as disk:
            await check_contents(disk, attack.contents)
            reads += len(attack.contents)
            _put_back(victims)
            await wait_until_well(disk)
            damaged = (await disk.ask_scrub())["Damaged"]
            assert all(each["Repaired"] for each in damaged), damaged
            attack.mended += len(damaged)
            assert (await disk.ask_scrub())["Damaged"] == []
    return {
        "zones lost": attack.lost,
        "bits flipped": attack.flips,
        "pieces mended": attack.mended,
        "files read": reads,
        "wrong or lost": 0,
    }


async def _change(disk: StoreOnDisk, attack: _Attack, number: int) -> None:
    """More files, and perhaps another form of all packs."""
    choice = attack.choice
    if choice.random() < 0.3:
        attack.coding = parse_coding(choice.choice(CODINGS))
        if choice.random() < 0.3:
            await disk.ask(ChangeSetting("storage-classes", COPIES))
            await disk.ask(CollectGarbage())
    await keep_in_shares(disk, str(attack.coding))
    new = {
        f"file {number} {count}": choice.randbytes(choice.randrange(1, 200_000))
        for count in range(choice.randrange(1, 5))
    }
    await archive(disk, new)
    attack.contents |= new


def _harm(zone: Path, attack: _Attack) -> None:
    """The zone is emptied or unplugged, or bits of its shares are flipped."""
    kind = attack.choice.choice(["emptied", "unplugged", "flipped"])
    if kind == "unplugged":
        zone.rename(_away(zone))
    elif kind == "emptied":
        shutil.rmtree(zone / "shares", ignore_errors=True)
    else:
        for share in shares_in(zone):
            _flip(share, attack.choice)
            attack.flips += 1
    attack.lost += kind != "flipped"


def _put_back(zones: list[Path]) -> None:
    for zone in zones:
        if _away(zone).exists():
            _away(zone).rename(zone)


def _away(zone: Path) -> Path:
    return zone.with_name(f"away-{zone.name}")


def _flip(file: Path, choice: random.Random) -> None:
    data = bytearray(file.read_bytes())
    data[choice.randrange(len(data))] ^= 1 << choice.randrange(8)
    file.write_bytes(data)
