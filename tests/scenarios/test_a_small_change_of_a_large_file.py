"""Versions share what did not change, so a small edit of a large file costs little space."""

import os
import random
from pathlib import Path

import pytest

from tests.mounting import MountedStore

pytestmark = [pytest.mark.mount, pytest.mark.slow, pytest.mark.timeout(600)]

MIB = 1024 * 1024
# 1024 shows it at the size that users asked about; the default keeps the suite quick.
LARGE_MIB = int(os.environ.get("S3FS_LOCAL_TEST_LARGE_MIB", "256"))


def bytes_below(folder: Path) -> int:
    """Bytes that all files below take on the disk."""
    return sum(
        os.lstat(os.path.join(place, name)).st_blocks * 512
        for place, _, names in os.walk(folder)
        for name in names
    )


def write_large(path: Path) -> bytes:
    """Writes incompressible bytes without holes, and returns what each MiB begins with."""
    chance = random.Random(7)
    block = chance.randbytes(MIB)
    with path.open("wb") as file:
        for number in range(LARGE_MIB):
            file.write(number.to_bytes(8, "big") + block[8:])
    return block


def test_four_kib_in_the_middle_store_two_mib_at_most(mount: MountedStore) -> None:
    """Disk images and mail boxes change a little every day; their history must be cheap."""
    path = mount.path / "image"
    block = write_large(path)
    os.sync()
    mount.remount()
    before = bytes_below(mount.store)
    middle = LARGE_MIB // 2 * MIB + MIB // 3
    with path.open("r+b") as file:
        file.seek(middle)
        file.write(b"\x55" * 4096)
    mount.remount()

    stored = bytes_below(mount.store) - before

    assert stored <= 2 * MIB, f"the new version took {stored} bytes"
    old, new = mount.versions("image")
    for version, expected in ((old, block[MIB // 3 :][:4096]), (new, b"\x55" * 4096)):
        assert version.stat().st_size == LARGE_MIB * MIB
        with version.open("rb") as file:
            file.seek(middle)
            assert file.read(4096) == expected
            for number in (0, LARGE_MIB // 2, LARGE_MIB - 1):
                file.seek(number * MIB)
                assert file.read(8) == number.to_bytes(8, "big")


def test_many_versions_of_a_growing_log_store_the_lines_once(mount: MountedStore) -> None:
    """`>>` makes a version a line; a thousand of them must not store the log a thousand times."""
    path = mount.path / "log"
    path.write_bytes(random.Random(8).randbytes(MIB))
    mount.remount()
    before = bytes_below(mount.store)
    for number in range(1000):
        with path.open("a") as file:
            file.write(f"{number:07}\n")
    mount.remount()

    assert bytes_below(mount.store) - before <= 16 * MIB
    assert len(mount.versions("log")) == 1001
    assert path.stat().st_size == MIB + 8000


def test_holes_take_no_space_whatever_their_size(mount: MountedStore) -> None:
    """Cost follows what exists, never the size: truncate to a petabyte must be harmless."""
    path = mount.path / "hole"
    path.touch()
    os.truncate(path, 2**50)
    with path.open("r+b") as file:
        file.seek(2**49)
        assert file.read(4096) == bytes(4096)
        file.seek(2**49)
        file.write(b"island")
    mount.remount()
    with path.open("rb") as file:
        file.seek(2**49)
        assert file.read(6) == b"island"
    assert path.stat().st_blocks * 512 <= 2 * MIB

    path.unlink()
    assert bytes_below(mount.store) <= 4 * MIB
