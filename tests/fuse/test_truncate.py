"""Sizes: sparse files, growing and cutting while others read, and sizes that nobody means."""

import errno
import os
import shutil
from pathlib import Path

import pytest

from tests.fuse.calls import fails_with, starts
from tests.mounting import MountedStore, processes_marked, run

pytestmark = [pytest.mark.mount, pytest.mark.slow]

TIB = 1 << 40
GIB = 1 << 30
FILE_BYTES_MAX = (1 << 63) - 1 - (1 << 20)
GROWTH_KIB_MAX = 50 << 10


@pytest.fixture
def file(folder: Path) -> Path:
    """A name for a file."""
    return folder / "file"


def resident_kib(mount: MountedStore) -> int:
    """The memory of the daemon."""
    (process,) = processes_marked(mount.path)
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError


def test_a_hole_costs_nothing_and_reads_as_zeros(file: Path) -> None:
    """8 TiB of which 12 KiB exist: st_blocks tells the difference."""
    with file.open("wb") as opened:
        for offset in (0, 5 * GIB + 123, 8 * TIB - 4096):
            os.pwrite(opened.fileno(), b"x" * 4096, offset)
    status = file.stat()
    with file.open("rb") as opened:
        pieces = {
            offset: os.pread(opened.fileno(), 4096, offset)
            for offset in (0, 4096, 5 * GIB + 123, 6 * TIB, 8 * TIB - 4096)
        }
        behind = os.pread(opened.fileno(), 10, 8 * TIB)

    assert status.st_size == 8 * TIB
    assert status.st_blocks == 24
    assert pieces == {
        0: b"x" * 4096,
        4096: bytes(4096),
        5 * GIB + 123: b"x" * 4096,
        6 * TIB: bytes(4096),
        8 * TIB - 4096: b"x" * 4096,
    }
    assert behind == b""


def test_blocks_are_told_while_the_file_is_still_open(file: Path) -> None:
    """`du` on a growing file."""
    with file.open("wb", buffering=0) as opened:
        opened.truncate(TIB)
        assert file.stat().st_blocks == 0
        os.pwrite(opened.fileno(), b"x" * 65536, GIB)
        assert file.stat().st_blocks == 128
    assert file.stat().st_blocks == 128


def test_blocks_follow_truncation_and_overwriting(file: Path) -> None:
    """What is cut off or written twice is not counted."""
    file.write_bytes(b"x" * 1_000_000)
    blocks = [file.stat().st_blocks]
    with file.open("r+b") as opened:
        opened.write(b"y" * 500_000)
    blocks.append(file.stat().st_blocks)
    os.truncate(file, 512 * 10)
    blocks.append(file.stat().st_blocks)
    os.truncate(file, GIB)
    blocks.append(file.stat().st_blocks)
    os.truncate(file, 0)
    blocks.append(file.stat().st_blocks)

    assert blocks == [1954, 1954, 10, 10, 0]


def test_bytes_that_were_cut_off_never_come_back(file: Path) -> None:
    """A file cut and grown again reads as zeros there, wherever the cut is."""
    for cut in (1, 4095, 4096, 100_000, (1 << 20) - 1, 1 << 20, (1 << 20) + 1):
        file.write_bytes(b"x" * (3 << 20))
        os.truncate(file, cut)
        os.truncate(file, 3 << 20)
        assert file.read_bytes() == b"x" * cut + bytes((3 << 20) - cut)


def test_both_ways_while_open_elsewhere(file: Path) -> None:
    """Every descriptor sees every size at once."""
    file.write_bytes(b"x" * 10_000)
    with file.open("r+b", buffering=0) as writer, file.open("rb", buffering=0) as reader:
        os.truncate(file, 100)
        assert reader.read() == b"x" * 100
        assert os.fstat(writer.fileno()).st_size == 100
        writer.truncate(200)
        assert os.pread(reader.fileno(), 1000, 0) == b"x" * 100 + bytes(100)
        os.pwrite(writer.fileno(), b"y", 300)
        assert os.fstat(reader.fileno()).st_size == 301
        assert os.pread(reader.fileno(), 1000, 90) == b"x" * 10 + bytes(200) + b"y"
        os.truncate(file, 0)
        assert os.pread(reader.fileno(), 1000, 0) == b""
    assert file.stat().st_size == 0


def test_truncation_shows_in_times_only_where_it_must(file: Path) -> None:
    """POSIX: ftruncate marks mtime and ctime, and leaves atime."""
    file.write_bytes(b"x" * 10)
    os.utime(file, ns=(1, 1))
    os.truncate(file, 5)
    status = file.stat()

    assert status.st_mtime_ns > 1
    assert status.st_ctime_ns > 1
    assert status.st_atime_ns == 1


@pytest.mark.parametrize("size", [1 << 50, FILE_BYTES_MAX])
def test_hostile_sizes_cost_neither_time_nor_memory(
    shared_mount: MountedStore, file: Path, size: int
) -> None:
    """Anyone may truncate a file to anything; that must not bring the daemon down."""
    before = resident_kib(shared_mount)
    file.touch()
    os.truncate(file, size)
    with file.open("r+b", buffering=0) as opened:
        assert os.pread(opened.fileno(), 1 << 20, size - 100) == bytes(100)
        assert os.pread(opened.fileno(), 1 << 20, size // 2) == bytes(1 << 20)
        os.pwrite(opened.fileno(), b"end", size - 3)
        opened.truncate(size - 1)
    assert file.stat().st_size == size - 1
    assert file.stat().st_blocks == 1
    os.truncate(file, 10)
    os.truncate(file, size)
    file.unlink()

    assert resident_kib(shared_mount) - before < GROWTH_KIB_MAX


def test_what_no_file_can_hold_is_refused(file: Path) -> None:
    """EFBIG, as every disk says beyond its largest file."""
    file.write_bytes(b"x")
    for size in (FILE_BYTES_MAX + 1, (1 << 63) - 1):
        with fails_with(errno.EFBIG):
            os.truncate(file, size)
    with file.open("r+b", buffering=0) as opened, fails_with(errno.EFBIG):
        os.pwrite(opened.fileno(), b"xx", FILE_BYTES_MAX - 1)
    with fails_with(errno.EINVAL):
        os.truncate(file, -1)
    assert file.read_bytes() == b"x"


def test_a_limit_of_the_process_is_kept(file: Path) -> None:
    """RLIMIT_FSIZE: EFBIG, and nothing beyond the limit."""
    program = starts(
        """
import os, resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
file = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY)
print(os.write(file, b"x" * 2000))
try:
    os.write(file, b"x")
except OSError as error:
    print(error.errno)
""",
        file,
    )
    output, _ = program.communicate()

    assert output.split() == ["1000", str(errno.EFBIG)]
    assert file.stat().st_size == 1000


def test_space_can_be_reserved_as_posix_has_it(file: Path) -> None:
    """It is not answered, so the C library writes a zero into each block; old bytes stay."""
    file.write_bytes(b"x" * 5000)
    with file.open("r+b") as opened:
        os.posix_fallocate(opened.fileno(), 1000, 50_000)

    assert file.read_bytes() == b"x" * 5000 + bytes(46_000)


def test_a_hole_cannot_be_punched_and_nothing_is_lost_by_trying(file: Path) -> None:
    """EOPNOTSUPP is what programs expect where it is not possible."""
    file.write_bytes(b"x" * 5000)
    outcome = run("fallocate", "--punch-hole", "--length", "4096", file, check=False)

    assert outcome.returncode != 0
    assert "unsupported" in outcome.stderr
    assert file.read_bytes() == b"x" * 5000


def test_the_whole_of_a_file_is_data_to_those_who_seek_holes(file: Path) -> None:
    """An answer that any filesystem may give: copies are whole, if not sparse by themselves."""
    file.write_bytes(b"x" * 10)
    os.truncate(file, 1 << 20)
    with file.open("rb") as opened:
        assert os.lseek(opened.fileno(), 100, os.SEEK_DATA) == 100
        assert os.lseek(opened.fileno(), 100, os.SEEK_HOLE) == 1 << 20
        with fails_with(errno.ENXIO):
            os.lseek(opened.fileno(), 1 << 20, os.SEEK_DATA)


def test_statfs_tells_the_room_there_is(folder: Path, tmp_path: Path) -> None:
    """Of the disk below, less what is held back; `df` and installers believe it."""
    room, below = os.statvfs(folder), os.statvfs(tmp_path)
    free = room.f_bavail * room.f_frsize

    assert room.f_namemax == 255
    assert room.f_blocks * room.f_frsize == pytest.approx(below.f_blocks * below.f_frsize, rel=0.01)
    assert below.f_bavail * below.f_frsize - (1 << 30) < free <= shutil.disk_usage(tmp_path).free
    assert room.f_files >= room.f_ffree > 1 << 30
