"""`fsck` says what is wrong, and changes nothing unless it is asked to."""

from pathlib import Path

import pytest
import trio

from s3fs_local.cli.exit_codes import ExitCode
from s3fs_local.cli.main import run
from s3fs_local.control.requests import CollectGarbage
from s3fs_local.metadata.changes import PutPack
from s3fs_local.packs.segment import HEAD_BYTES
from tests.store_on_disk import make_store, opened


def _damage(zone: Path, at: int = -5) -> None:
    (pack,) = zone.glob("packs/*/*.pack")
    data = bytearray(pack.read_bytes())
    data[at] ^= 1
    pack.write_bytes(data)


async def _fill(path: Path, zones: list[Path]) -> None:
    make_store(path, zones)
    async with opened(path) as disk:
        disk.write("file", b"content" * 1000)
        await disk.sync()


async def test_fsck_tells_repair_mends_and_the_only_copy_is_left_alone(tmp_path: Path) -> None:
    """One damaged copy of two; then, with two damaged, nothing is put over either."""
    zones = [tmp_path / "a", tmp_path / "b"]
    await _fill(tmp_path / "store", zones)
    _damage(zones[1])
    damaged = [pack.read_bytes() for zone in zones for pack in zone.glob("packs/*/*.pack")]
    assert await _run("fsck", tmp_path / "store") == ExitCode.DEGRADED
    assert [p.read_bytes() for z in zones for p in z.glob("packs/*/*.pack")] == damaged
    assert await _run("fsck", tmp_path / "store", "--repair") == ExitCode.OK
    assert await _run("fsck", tmp_path / "store") == ExitCode.OK
    for zone in zones:
        _damage(zone)
    damaged = [pack.read_bytes() for zone in zones for pack in zone.glob("packs/*/*.pack")]
    assert await _run("fsck", tmp_path / "store", "--repair") == ExitCode.DEGRADED
    assert [p.read_bytes() for z in zones for p in z.glob("packs/*/*.pack")] == damaged


async def test_a_rotten_header_is_told_and_not_called_repaired_by_a_fsck_that_repairs_nothing(
    tmp_path: Path,
) -> None:
    """No block of it is damaged, so it stood in no list: the exit code was that of health."""
    zones = [tmp_path / "a", tmp_path / "b"]
    await _fill(tmp_path / "store", zones)
    _damage(zones[1], at=0)
    assert await _run("fsck", tmp_path / "store") == ExitCode.DEGRADED
    assert await _run("fsck", tmp_path / "store", "--repair") == ExitCode.OK
    assert await _run("fsck", tmp_path / "store") == ExitCode.OK


@pytest.mark.parametrize("stream", ["journal", "ledger"])
async def test_a_segment_that_a_crash_kept_from_being_begun_is_no_damage(
    tmp_path: Path, stream: str
) -> None:
    """Killed while a zone was removed: each scrub said "damaged", and nothing could mend it."""
    zones = [tmp_path / name for name in "abc"]
    await _fill(tmp_path / "store", zones)
    segments = sorted(zones[0].glob(f"{stream}/*"))
    number = int(segments[-1].stem, 16)
    begun = f"{stream}/{number + 1:016x}.{stream}"
    for zone in zones[1:]:
        (zone / begun).touch()
    assert await _run("fsck", tmp_path / "store") == ExitCode.OK
    async with opened(tmp_path / "store") as disk:
        disk.write("later", b"and what follows it")
        await disk.fs.volume.durability.settle()
        disk.fs.volume.durability.ledger.ledger.rotate()
        disk.fs.volume.durability.journal.rotate()
        assert (await disk.ask_scrub())["Damaged"] == []
        growing = {each.name for each in disk.zones.growing}
        names = [f"{stream}/{each.name}" for each in sorted(zones[0].glob(f"{stream}/*"))]
        written = [
            name
            for name in names
            if name not in growing and (zones[0] / name).stat().st_size > HEAD_BYTES
        ]
        for zone in zones:  # one that had records is damaged if all of it is gone
            (zone / written[-1]).write_bytes(b"")
        damaged = (await disk.ask_scrub())["Damaged"]
        assert [piece["Name"] for piece in damaged] == [written[-1]] * 3


@pytest.mark.parametrize("has_files", [False, True])
async def test_a_pack_of_which_a_crash_left_only_the_row_is_no_damage_and_a_collection_forgets_it(
    tmp_path: Path, *, has_files: bool
) -> None:
    """A daemon killed while it collects: each scrub called it repaired, and found it again."""
    zones = [tmp_path / "a", tmp_path / "b"]
    await _fill(tmp_path / "store", zones)
    async with opened(tmp_path / "store") as disk:
        disk.fs.volume.apply([PutPack(77, "STANDARD")])
        for zone in zones if has_files else ():
            (zone / "packs/4d").mkdir()
            (zone / "packs/4d/000000000000004d.pack").touch()
        assert (await disk.ask_scrub())["Damaged"] == []
        await disk.ask(CollectGarbage())
        assert disk.fs.volume.metadata.placement(77) is None
        assert not disk.zones.list_anywhere("packs/4d/")
        assert await disk.read("file") == b"content" * 1000


async def _run(*arguments: str | Path) -> int:
    return await trio.to_thread.run_sync(lambda: run([str(each) for each in arguments]))
