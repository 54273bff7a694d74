"""Segments and checkpoints are read a piece at a time: a checkpoint may be longer than memory."""

from functools import partial
from pathlib import Path

import pytest
import trio

from s3fs_local.control.requests import Verify
from s3fs_local.daemon.layout import METADATA_NAME
from s3fs_local.daemon.rebuilding import rebuild
from s3fs_local.daemon.unlocking import Unlocking
from s3fs_local.objects.local_directory import LocalDirectory
from s3fs_local.objects.object_copy import PIECE_BYTES
from s3fs_local.system.randomness import SeededRandomness
from tests.store_on_disk import OWNER, make_store_of_zones, opened
from tests.zones.test_copies_are_made_of_what_verifies import flip

VALUE_BYTES = 60_000
VALUES = 100
STREAMS = ("checkpoint/", "ledger/")


class _Reads:
    """What was read of each stream's longest object."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.most = dict.fromkeys(STREAMS, 0)
        self.ends = dict.fromkeys(STREAMS, 0)
        read = LocalDirectory.read

        def counted(zone: LocalDirectory, name: str, offset: int, length: int) -> bytes:
            data = read(zone, name, offset, length)
            prefix = name.partition("/")[0] + "/"
            if prefix in STREAMS:
                self.most[prefix] = max(self.most[prefix], len(data))
                self.ends[prefix] = max(self.ends[prefix], offset + len(data))
            return data

        monkeypatch.setattr(LocalDirectory, "read", counted)


def _longest(zone: Path, prefix: str) -> Path:
    return max((zone / prefix).iterdir(), key=lambda path: path.stat().st_size)


async def _make_store(path: Path) -> list[Path]:
    """Three zones with a checkpoint and a segment of the ledger that are pieces long."""
    zones = make_store_of_zones(path, 3)
    chance = SeededRandomness(1)
    async with opened(path / "store") as disk:
        for number in range(VALUES):
            disk.write(str(number), b"content")
            ino = disk.stat(str(number)).ino
            disk.fs.setxattr(ino, b"user.noise", chance.bytes(VALUE_BYTES), OWNER)
            if number % 10 == 0:  # a record of the ledger each time, which is held whole
                await disk.fs.volume.durability.settle()
    async with opened(path / "store") as disk:  # and others grow
        disk.write("last", b"content")
        await disk.sync_everywhere()
    for prefix in STREAMS:
        assert _longest(zones[0], prefix).stat().st_size > 5 * PIECE_BYTES
    return zones


async def test_whoever_checks_or_rebuilds_holds_a_piece_of_each_object(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A million files are 200 MiB of checkpoint, which was held whole, of all zones at once."""
    zones = await _make_store(tmp_path)
    longest = {prefix: _longest(zones[0], prefix).stat().st_size for prefix in STREAMS}
    reads = _Reads(monkeypatch)
    async with opened(tmp_path / "store") as disk:
        assert (await disk.ask_scrub())["Damaged"] == []
        assert reads.ends == longest
        assert (await disk.ask(Verify()))["Discrepancies"] == []
        await disk.wait_for_zones()
    for file in (tmp_path / "store").glob(f"{METADATA_NAME}*"):
        file.unlink()
    rebuilding = partial(rebuild, tmp_path / "store", Unlocking(), zones=())
    await trio.to_thread.run_sync(rebuilding)
    async with opened(tmp_path / "store") as disk:
        assert (await disk.ask(Verify()))["Discrepancies"] == []

    assert max(reads.most.values()) <= 2 * PIECE_BYTES


async def test_what_is_damaged_in_the_middle_of_one_zone_is_mended_from_another(
    tmp_path: Path,
) -> None:
    """Each zone has another damage; none of them is copied."""
    zones = await _make_store(tmp_path)
    damaged = [_longest(zones[index], prefix) for index, prefix in enumerate(STREAMS)]
    whole = [file.read_bytes() for file in damaged]
    for file in damaged:
        flip(file)
    _longest(zones[2], "ledger").unlink()
    async with opened(tmp_path / "store") as disk:
        pieces = (await disk.ask_scrub())["Damaged"]
        found = {(piece["Zone"], piece["Name"], piece["Repaired"]) for piece in pieces}
    names = [str(file.relative_to(file.parents[1])) for file in damaged]

    assert found == {
        (str(zones[0]), names[0], True),
        (str(zones[1]), names[1], True),
        (str(zones[2]), names[1], True),
    }
    assert [file.read_bytes() for file in damaged] == whole
    assert _longest(zones[2], "ledger").read_bytes() == whole[1]
