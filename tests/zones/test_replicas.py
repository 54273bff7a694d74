"""`s3.replicas` tells where a file lives, and since when that is known."""

import shutil
from pathlib import Path

from tests.store_on_disk import StoreOnDisk, make_store, opened


def _replicas(disk: StoreOnDisk, path: str) -> list[str]:
    value = disk.fs.getxattr(disk.stat(path).ino, b"s3.replicas")
    return value.decode().splitlines()


async def test_replicas_name_each_zone_and_when_it_was_verified(tmp_path: Path) -> None:
    """From "not verified yet" by way of a scrub to a time; and a zone that has no copy says so."""
    zones = [tmp_path / name for name in ("a", "b")]
    make_store(tmp_path / "store", zones)
    async with opened(tmp_path / "store") as disk:
        disk.write("file", b"content" * 1000)
        disk.write("empty", b"")
        await disk.sync()
        assert _replicas(disk, "file") == [
            f"{zone} well, 1 of 1 packs, not verified yet" for zone in zones
        ]
        assert _replicas(disk, "empty") == []
        await disk.ask_scrub()
        assert all(" verified 20" in line for line in _replicas(disk, "file"))
        await disk.wait_for_zones()
        shutil.rmtree(zones[1] / "packs")
        assert _replicas(disk, "file")[1] == f"{zones[1]} well, 0 of 1 packs, not verified yet"
        await disk.ask_scrub()
        assert all("1 of 1 packs, verified" in line for line in _replicas(disk, "file"))
