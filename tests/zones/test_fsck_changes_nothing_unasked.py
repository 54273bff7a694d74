"""`fsck` says what is wrong, and changes nothing unless it is asked to."""

from pathlib import Path

import trio

from s3fs_local.cli.exit_codes import ExitCode
from s3fs_local.cli.main import run
from tests.store_on_disk import make_store, opened


def _damage(zone: Path) -> None:
    (pack,) = zone.glob("packs/*/*.pack")
    data = bytearray(pack.read_bytes())
    data[-5] ^= 1
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


async def _run(*arguments: str | Path) -> int:
    return await trio.to_thread.run_sync(lambda: run([str(each) for each in arguments]))
