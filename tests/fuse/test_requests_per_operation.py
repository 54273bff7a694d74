"""How often the kernel asks: each request costs more than what we do about it."""

import os
from pathlib import Path

import pytest

from tests.fuse.memory_mount import memory_mount

pytestmark = [pytest.mark.mount, pytest.mark.timeout(300)]

FILES = 50
SLACK = 3
"""Requests about the root when the mount is new, and its end."""


def each(counts: dict[str, int]) -> dict[str, int]:
    """Requests of each kind for one file; what was asked once for all is left out."""
    return {kind: (count + SLACK) // FILES for kind, count in counts.items() if count > SLACK}


def test_a_new_file_takes_six_requests_and_the_late_release(tmp_path: Path) -> None:
    """Its directory, its name, itself, an attribute before the write, the write, the close."""
    with memory_mount(tmp_path) as mount:
        for number in range(FILES):
            descriptor = os.open(tmp_path / str(number), os.O_WRONLY | os.O_CREAT | os.O_EXCL)
            os.write(descriptor, b"x" * 4096)
            os.close(descriptor)
        counts = mount.end()

    kinds = ("getattr", "lookup", "create", "getxattr", "write", "flush", "release")
    assert each(counts) == dict.fromkeys(kinds, 1)


def test_a_rename_takes_three_requests(tmp_path: Path) -> None:
    """The directory, the new name, and the change itself."""
    with memory_mount(tmp_path) as mount:
        for number in range(FILES):
            (tmp_path / str(number)).mkdir()
            (tmp_path / str(number)).rename(tmp_path / f"{number}.moved")
            (tmp_path / f"{number}.moved").stat()
        counts = mount.end()

    expected = {"getattr": 2, "lookup": 2, "mkdir": 1, "rename": 1}
    # The kernel forgets the attributes of what it moves: the stat(2) behind it asks once.
    assert each(counts) in (expected, {**expected, "getattr": 3})


def test_the_kernel_asks_for_capabilities_once_a_file(tmp_path: Path) -> None:
    """Without FUSE_HANDLE_KILLPRIV_V2 it does before every write(2): half of all requests."""
    with memory_mount(tmp_path) as mount:
        descriptor = os.open(tmp_path / "file", os.O_WRONLY | os.O_CREAT)
        for number in range(FILES):
            os.pwrite(descriptor, b"x" * 200, number * 4096)
            os.fsync(descriptor)
        os.close(descriptor)
        counts = mount.end()

    assert each(counts) == {"write": 1, "fsync": 1}


def test_an_overwrite_takes_three_requests(tmp_path: Path) -> None:
    """The opening, which truncates, the write, the close."""
    with memory_mount(tmp_path) as mount:
        (tmp_path / "file").write_bytes(b"x")
        for _ in range(FILES):
            descriptor = os.open(tmp_path / "file", os.O_WRONLY | os.O_TRUNC)
            os.write(descriptor, b"x" * 4096)
            os.close(descriptor)
        counts = mount.end()

    assert each(counts) == dict.fromkeys(("open", "write", "flush", "release"), 1)
