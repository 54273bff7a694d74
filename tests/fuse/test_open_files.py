"""Files that are open while their names go, change hands, or move."""

import errno
import os
from pathlib import Path

import pytest

from tests.fuse.calls import RENAME_EXCHANGE, RENAME_NOREPLACE, fails_with, renameat2

pytestmark = [pytest.mark.mount, pytest.mark.slow]


def test_an_unlinked_file_lives_until_it_is_closed(folder: Path) -> None:
    """Every program that hides its temporary file."""
    file = folder / "file"
    with file.open("w+b", buffering=0) as opened:
        opened.write(b"before")
        file.unlink()
        opened.write(b" after")
        status = os.fstat(opened.fileno())
        os.fchmod(opened.fileno(), 0o600)
        os.ftruncate(opened.fileno(), 100)
        os.fsync(opened.fileno())
        content = os.pread(opened.fileno(), 200, 0)
        with pytest.raises(FileNotFoundError):
            file.stat()

    assert status.st_nlink == 0
    assert content == b"before after" + bytes(88)
    assert os.listdir(folder) == []


def test_an_unlinked_file_is_none_of_its_successors_business(folder: Path) -> None:
    """The name is free for another at once."""
    file = folder / "file"
    with file.open("w+b", buffering=0) as old:
        old.write(b"old")
        file.unlink()
        file.write_bytes(b"new")
        old.write(b" bytes")
        assert os.pread(old.fileno(), 100, 0) == b"old bytes"
    assert file.read_bytes() == b"new"


def test_a_file_moves_while_it_is_written(folder: Path) -> None:
    """Log rotation: the writer goes on in the moved file."""
    (folder / "old").mkdir()
    log = folder / "log"
    with log.open("ab", buffering=0) as opened:
        opened.write(b"1")
        log.rename(folder / "old" / "log.1")
        opened.write(b"2")
        log.write_bytes(b"new")
        opened.write(b"3")

    assert (folder / "old" / "log.1").read_bytes() == b"123"
    assert log.read_bytes() == b"new"


def test_a_file_replaced_while_read_is_read_to_its_end(folder: Path) -> None:
    """Saving by rename must not disturb readers."""
    file, new = folder / "file", folder / "new"
    file.write_bytes(b"o" * 100_000)
    new.write_bytes(b"n" * 100_000)
    with file.open("rb", buffering=0) as reader:
        assert reader.read(10) == b"o" * 10
        new.replace(file)
        assert reader.read(200_000) == b"o" * 99_990
    assert file.read_bytes() == b"n" * 100_000


def test_directories_move_while_files_below_are_open(folder: Path) -> None:
    """Paths are only names; descriptors stay."""
    (folder / "a" / "b").mkdir(parents=True)
    with (folder / "a" / "b" / "file").open("w+b", buffering=0) as opened:
        (folder / "a").rename(folder / "c")
        opened.write(b"x")
    assert (folder / "c" / "b" / "file").read_bytes() == b"x"


def test_a_removed_directory_takes_nothing_new(folder: Path) -> None:
    """Whoever still stands in it gets ENOENT."""
    (folder / "gone").mkdir()
    descriptor = os.open(folder / "gone", os.O_RDONLY)
    (folder / "gone").rmdir()
    with fails_with(errno.ENOENT):
        os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=descriptor)
    with fails_with(errno.ENOENT):
        os.mkdir("folder", dir_fd=descriptor)
    assert os.fstat(descriptor).st_nlink == 0
    assert os.listdir(descriptor) == []
    os.close(descriptor)


def test_names_are_exchanged_at_once(folder: Path) -> None:
    """Of files, of a file and a directory, and across directories."""
    (folder / "file").write_bytes(b"file")
    (folder / "sub" / "dir").mkdir(parents=True)
    (folder / "sub" / "dir" / "inner").write_bytes(b"inner")
    renameat2(folder / "file", folder / "sub" / "dir", RENAME_EXCHANGE)

    assert (folder / "sub" / "dir").read_bytes() == b"file"
    assert (folder / "file" / "inner").read_bytes() == b"inner"
    assert (folder.stat().st_nlink, (folder / "sub").stat().st_nlink) == (4, 2)
    with fails_with(errno.ENOENT):
        renameat2(folder / "file", folder / "missing", RENAME_EXCHANGE)
    with fails_with(errno.EINVAL):
        renameat2(folder / "file", folder / "file" / "inner", RENAME_EXCHANGE)


def test_a_rename_that_must_not_replace_does_not(folder: Path) -> None:
    """The lock-free way to claim a name."""
    (folder / "a").write_bytes(b"a")
    (folder / "b").write_bytes(b"b")
    with fails_with(errno.EEXIST):
        renameat2(folder / "a", folder / "b", RENAME_NOREPLACE)
    renameat2(folder / "a", folder / "c", RENAME_NOREPLACE)

    assert sorted(os.listdir(folder)) == ["b", "c"]
    assert (folder / "b").read_bytes() == b"b"


def test_a_duplicate_descriptor_keeps_the_file_open(folder: Path) -> None:
    """dup(2) shares position and file; closing one leaves the other."""
    file = folder / "file"
    first = os.open(file, os.O_CREAT | os.O_RDWR)
    second = os.dup(first)
    os.write(first, b"one ")
    os.close(first)
    os.write(second, b"two")
    os.close(second)

    assert file.read_bytes() == b"one two"
