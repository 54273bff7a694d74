"""Stores whose archived files lie as shares, and what there is of them in the zones."""

from collections.abc import Callable
from pathlib import Path

import trio

from s3fs_local.control.requests import ChangeClass, ChangeSetting, CollectGarbage
from s3fs_local.system.randomness import SeededRandomness
from tests.store_on_disk import StoreOnDisk

SMALL = 20_000


async def keep_in_shares(disk: StoreOnDisk, coding: str, name: str = "GLACIER_IR") -> None:
    """The class lies as shares from now on, uncompressed, so that sizes can be told."""
    value = f"{name}:shares={coding},zones=hot,zstd=0"
    await disk.ask(ChangeSetting("storage-classes", value))


async def archive(
    disk: StoreOnDisk, contents: dict[str, bytes], name: str = "GLACIER_IR"
) -> dict[str, object]:
    """These files are there, in the class, and what can lie as shares does; what `gc` says."""
    for path, content in contents.items():
        disk.write(path, content)
    await disk.sync()
    for path in contents:
        await disk.ask(ChangeClass(path.encode(), name))
    collected: dict[str, object] = await disk.ask(CollectGarbage())
    return collected


def noise(seed: int, *, files: int = 3, size: int = SMALL) -> dict[str, bytes]:
    """Some files that do not compress."""
    randomness = SeededRandomness(seed)
    return {f"file {number}": randomness.bytes(size + number) for number in range(files)}


def shares_in(zone: Path) -> list[Path]:
    """The shares that lie in the zone."""
    return sorted((zone / "shares").rglob("*.share"))


def copies_in(zone: Path) -> list[Path]:
    """The packs that lie there as copies, those of STANDARD included."""
    return sorted((zone / "packs").rglob("*.pack"))


def pack_bytes(zones: list[Path]) -> int:
    """What packs and shares take in all zones together."""
    return sum(file.stat().st_size for zone in zones for file in copies_in(zone) + shares_in(zone))


async def check_contents(disk: StoreOnDisk, contents: dict[str, bytes]) -> None:
    """Every file reads as it was written."""
    for path, content in contents.items():
        assert await disk.read(path) == content, path


async def until(holds: Callable[[], bool]) -> None:
    """The loop's other tasks ran until it is so."""
    with trio.fail_after(60):
        while not holds():  # noqa: ASYNC110  what is waited for is on the disk
            await trio.sleep(0.01)
