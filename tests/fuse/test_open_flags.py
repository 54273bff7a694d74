"""The flags of open(2): O_APPEND, O_DIRECT, O_SYNC, O_TMPFILE, O_EXCL, O_TRUNC."""

import ctypes
import errno
import mmap
import os
import threading
from pathlib import Path
from typing import Final

import pytest

from tests.fuse.calls import fails_with, together
from tests.mounting import MountedStore
from tests.scenarios import io_uring

pytestmark = [pytest.mark.mount, pytest.mark.slow]

DIRECT_BYTES: Final = 640 << 10

APPEND = """
import os, sys
number, path = sys.argv[1:]
file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
for line in range(200):
    os.write(file, f"{number} {line} {'x' * (line % 50)}\\n".encode())
"""

CREATE = """
import os, sys
try:
    os.close(os.open(sys.argv[2], os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    print("mine")
except FileExistsError:
    pass
"""


def test_lines_of_many_appenders_are_all_there(folder: Path) -> None:
    """Several daemons share a log: no line may be lost, torn or out of its writer's order."""
    log = folder / "log"
    together(APPEND, 6, log)
    lines = [line.split(" ") for line in log.read_text().splitlines()]

    for number in range(6):
        mine = [(int(line[1]), line[2]) for line in lines if line[0] == str(number)]
        assert mine == [(count, "x" * (count % 50)) for count in range(200)]
    assert len(lines) == 6 * 200


def test_append_means_the_end_whatever_the_position(folder: Path) -> None:
    """Even after a seek, and after another made the file longer or shorter."""
    file = folder / "file"
    file.write_bytes(b"0123456789")
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND)
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.write(descriptor, b"a")
    os.truncate(file, 3)
    os.write(descriptor, b"b")
    with file.open("ab") as other:
        other.write(b"c")
    os.write(descriptor, b"d")
    os.close(descriptor)

    assert file.read_bytes() == b"012bcd"


def test_direct_io_reads_and_writes_past_the_page_cache(folder: Path) -> None:
    """Databases with a cache of their own; buffered readers see the same bytes."""
    file = folder / "file"
    page = mmap.mmap(-1, 8192)
    page[:] = b"d" * 8192
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_DIRECT)
    assert os.pwritev(descriptor, [page], 4096) == 8192
    buffered = file.read_bytes()
    os.truncate(file, 5000)
    assert os.preadv(descriptor, [page], 4096) == 904
    with file.open("r+b") as other:
        other.write(b"b" * 100)
    assert os.preadv(descriptor, [page], 0) == 5000
    direct = page[:100]
    os.close(descriptor)

    assert buffered == bytes(4096) + b"d" * 8192
    assert direct == b"b" * 100


@pytest.mark.parametrize("flag", [os.O_SYNC, os.O_DSYNC], ids=["O_SYNC", "O_DSYNC"])
def test_synchronous_writes_survive_a_kill_without_a_close(mount: MountedStore, flag: int) -> None:
    """What write(2) returned from is on the disk."""
    file = mount.path / "file"
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | flag)
    os.write(descriptor, b"kept at once")
    mount.kill()
    with pytest.raises(OSError, match=r"not connected|abort"):
        os.close(descriptor)
    mount.remount()

    assert file.read_bytes() == b"kept at once"


def test_files_without_a_name_are_refused_cleanly(folder: Path) -> None:
    """Programs then take a named file; that is what this errno tells them."""
    with fails_with(errno.EOPNOTSUPP):
        os.open(folder, os.O_TMPFILE | os.O_RDWR)

    assert os.listdir(folder) == []


def test_exclusive_creation_has_one_winner(folder: Path) -> None:
    """Lock files rest on it."""
    for attempt in range(3):
        winners = together(CREATE, 4, folder / f"lock{attempt}")
        assert winners.count("mine\n") == 1


def test_an_open_that_truncates_is_seen_by_who_reads(folder: Path) -> None:
    """The kernel must not serve the old pages."""
    file = folder / "file"
    file.write_bytes(b"x" * 10_000)
    with file.open("rb", buffering=0) as reader:
        assert reader.read(10) == b"x" * 10
        with file.open("wb") as writer:
            assert reader.read(10) == b""
            writer.write(b"y" * 20)
            writer.flush()
            assert reader.read(20) == b"y" * 10
    assert file.read_bytes() == b"y" * 20


def test_a_file_opened_to_be_read_is_not_written(folder: Path) -> None:
    """And one opened to be written is not read."""
    file = folder / "file"
    file.write_bytes(b"x")
    with file.open("rb") as reader, fails_with(errno.EBADF):
        os.write(reader.fileno(), b"y")
    with file.open("ab") as writer, fails_with(errno.EBADF):
        os.read(writer.fileno(), 1)


def test_no_follow_and_directory_flags_are_kept(folder: Path) -> None:
    """Programs that run as root lean on them."""
    (folder / "file").touch()
    (folder / "link").symlink_to("file")
    with fails_with(errno.ELOOP):
        os.open(folder / "link", os.O_RDONLY | os.O_NOFOLLOW)
    with fails_with(errno.ENOTDIR):
        os.open(folder / "file", os.O_RDONLY | os.O_DIRECTORY)


def test_what_was_written_past_the_cache_is_read_through_it(folder: Path) -> None:
    """Databases write so, by threads of the kernel's own, and a backup reads as everybody does.

    The kernel forgets pages before such a write, and has to once more after it: who reads meanwhile
    brings the old ones back.
    """
    file = folder / "file"
    file.write_bytes(bytes(DIRECT_BYTES))
    is_over = threading.Event()

    def read_all_the_time() -> None:
        while not is_over.is_set():
            file.read_bytes()

    readers = [threading.Thread(target=read_all_the_time) for _ in range(2)]
    for reader in readers:
        reader.start()
    descriptor = os.open(file, os.O_WRONLY | os.O_DIRECT)
    try:
        with io_uring.ring() as ring, mmap.mmap(-1, DIRECT_BYTES) as aligned:
            for number in range(200):
                aligned[:] = bytes([number]) * DIRECT_BYTES
                address = ctypes.addressof(ctypes.c_char.from_buffer(aligned))
                ring.call(io_uring.WRITE, fd=descriptor, address=address, size=DIRECT_BYTES)
                assert set(file.read_bytes()) == {number}
    finally:
        is_over.set()
        for reader in readers:
            reader.join()
        os.close(descriptor)
