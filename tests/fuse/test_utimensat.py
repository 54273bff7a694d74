"""Times: set to anything, kept to the nanosecond, and moved by what POSIX says moves them."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.mounting import MountedStore

pytestmark = [pytest.mark.mount, pytest.mark.slow]

SECOND_NS = 1_000_000_000
NS_MIN, NS_MAX = -(1 << 63), (1 << 63) - 1


@pytest.fixture
def file(folder: Path) -> Path:
    """A file with content."""
    file = folder / "file"
    file.write_text("content")
    return file


def test_times_are_kept_to_the_nanosecond(mount: MountedStore) -> None:
    """Also before 1970, and after a remount."""
    times = [0, 1, -1, 10**18 + 123_456_789, -(10**18) - 1, NS_MIN, NS_MAX]
    for number, time_ns in enumerate(times):
        file = mount.path / f"{number}"
        file.touch()
        os.utime(file, ns=(time_ns, -time_ns - 1))
    mount.remount()
    kept = [(mount.path / f"{number}").stat() for number in range(len(times))]

    assert [status.st_atime_ns for status in kept] == times
    assert [status.st_mtime_ns for status in kept] == [-time_ns - 1 for time_ns in times]


@pytest.mark.parametrize("seconds", [9_223_372_037, 1 << 34, 1 << 55, -9_223_372_037, -(1 << 62)])
def test_times_no_disk_can_hold_are_taken_for_the_nearest(file: Path, seconds: int) -> None:
    """A mistyped year must not cost more than a wrong date: least of all the mount."""
    os.utime(file, (seconds, seconds))
    kept = NS_MAX if seconds > 0 else NS_MIN

    assert (file.stat().st_atime_ns, file.stat().st_mtime_ns) == (kept, kept)
    file.write_text("the mount goes on")


def test_what_changes_moves_the_times_that_posix_names(folder: Path, file: Path) -> None:
    """As the manual has it: bytes, the inode, the entries of a directory."""
    second = folder / "second"
    changes: dict[str, Callable[[], object]] = {
        "write": lambda: file.write_text("more"),
        "chmod": lambda: file.chmod(0o600),
        "link": lambda: os.link(file, second),
        "rename": lambda: file.rename(folder / "file"),
        "read": file.read_text,
        "unlink": second.unlink,
        "stat": file.stat,
    }
    moved = {}
    for name, change in changes.items():
        before, around = file.stat(), folder.stat()
        change()
        after, later = file.stat(), folder.stat()
        moved[name] = (
            after.st_mtime_ns > before.st_mtime_ns,
            after.st_ctime_ns > before.st_ctime_ns,
            later.st_mtime_ns > around.st_mtime_ns,
        )

    assert moved == {
        "write": (True, True, False),
        "chmod": (False, True, False),
        "link": (False, True, True),
        "rename": (False, False, False),
        "read": (False, False, False),
        "unlink": (False, True, True),
        "stat": (False, False, False),
    }


def test_a_time_set_on_an_open_file_survives_its_close(file: Path) -> None:
    """`cp -p` and `tar` set times before they close."""
    with file.open("r+b", buffering=0) as opened:
        opened.write(b"more")
        os.utime(opened.fileno(), ns=(5, 7))
        os.fsync(opened.fileno())
    assert (file.stat().st_atime_ns, file.stat().st_mtime_ns) == (5, 7)


def test_now_is_the_clocks_now(file: Path) -> None:
    """`touch` and `make` compare with files elsewhere."""
    os.utime(file, (0, 0))
    before = time.time_ns() - SECOND_NS
    os.utime(file)

    assert before < file.stat().st_mtime_ns < time.time_ns() + SECOND_NS
