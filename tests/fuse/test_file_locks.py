"""fcntl(2) and flock(2) locks between programs on one mount."""

import errno
import fcntl
import os
import struct
import subprocess
from pathlib import Path

import pytest

from tests.fuse.calls import fails_with, starts, together

pytestmark = [pytest.mark.mount, pytest.mark.slow]

HOLD = """
import fcntl, sys
file = open(sys.argv[1], "r+b")
if sys.argv[2] == "flock":
    fcntl.flock(file, fcntl.LOCK_EX)
else:
    fcntl.lockf(file, fcntl.LOCK_EX, 10, 100)
print("held", flush=True)
sys.stdin.readline()
"""

COUNT = """
import fcntl, os, sys
file = os.open(sys.argv[2], os.O_RDWR)
for _ in range(50):
    fcntl.lockf(file, fcntl.LOCK_EX)
    count = int(os.pread(file, 20, 0) or 0)
    os.pwrite(file, str(count + 1).encode(), 0)
    fcntl.lockf(file, fcntl.LOCK_UN)
"""


@pytest.fixture
def file(folder: Path) -> Path:
    """A file to lock."""
    file = folder / "file"
    file.write_bytes(b"x" * 200)
    return file


def holder(file: Path, kind: str) -> "subprocess.Popen[str]":
    """Another program that holds a lock until it is told to end."""
    program = starts(HOLD, file, kind)
    assert program.stdout is not None
    assert program.stdout.readline() == "held\n"
    return program


def test_flock_keeps_others_out_until_its_holder_ends(file: Path) -> None:
    """Even one that was killed."""
    program = holder(file, "flock")
    with file.open("rb") as opened:
        with fails_with(errno.EAGAIN):
            fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
        program.kill()
        program.communicate()
        fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)


def test_record_locks_cover_their_range_only(file: Path) -> None:
    """And F_GETLK tells who has it."""
    program = holder(file, "fcntl")
    with file.open("r+b") as opened:
        for start, length in ((105, 1), (90, 11), (0, 0)):
            with fails_with(errno.EAGAIN):
                fcntl.lockf(opened, fcntl.LOCK_EX | fcntl.LOCK_NB, length, start)
        fcntl.lockf(opened, fcntl.LOCK_EX | fcntl.LOCK_NB, 100, 0)
        fcntl.lockf(opened, fcntl.LOCK_EX | fcntl.LOCK_NB, 0, 110)
        asked = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind, _, start, length, process = struct.unpack(
            "hhqqi4x", fcntl.fcntl(opened, fcntl.F_GETLK, asked)
        )
        program.communicate("\n")
        fcntl.lockf(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)

    assert (kind, start, length, process) == (fcntl.F_WRLCK, 100, 10, program.pid)


def test_a_counter_under_a_lock_counts_everyone(folder: Path) -> None:
    """Read, add, write by four programs; a stale page would lose a count."""
    counter = folder / "counter"
    counter.touch()
    together(COUNT, 4, counter)

    assert counter.read_text() == "200"


def test_locks_of_open_file_descriptions_work(file: Path) -> None:
    """What threads and newer databases use."""
    set_lock = 37  # F_OFD_SETLK
    wanted = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    with file.open("r+b") as first, file.open("r+b") as second:
        fcntl.fcntl(first, set_lock, wanted)
        with fails_with(errno.EAGAIN):
            fcntl.fcntl(second, set_lock, wanted)
