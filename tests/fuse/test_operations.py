"""What the handlers answer, seen from the other side of the kernel."""

import errno
import os
import signal
from pathlib import Path

import pytest

from s3fs_local.fuse.replies import BLOCK_SIZE_BYTES
from tests.fuse.memory_mount import memory_mount

pytestmark = [pytest.mark.mount, pytest.mark.timeout(300)]


def fails_with(number: int) -> "pytest.RaisesExc[OSError]":
    """An OSError of this number."""
    return pytest.RaisesExc(OSError, check=lambda error: error.errno == number)


def versions_in(view: Path) -> int:
    """How many versions a folder of `.versions` lists."""
    return sum("~" in entry.name for entry in view.iterdir())


def test_a_day_in_the_life_of_a_tree(tmp_path: Path) -> None:
    """Most requests once, and what a program sees of them."""
    with memory_mount(tmp_path) as mount:
        folder = tmp_path / "folder"
        folder.mkdir(0o750)
        file = folder / "file"
        file.write_bytes(b"x" * 10_000)
        os.truncate(file, 5_000)
        os.utime(file, ns=(-1, 1_000_000_000_000_000_001))
        file.chmod(0o600)
        (tmp_path / "link").symlink_to("folder/file")
        os.link(file, tmp_path / "second")
        os.mkfifo(tmp_path / "fifo")
        os.setxattr(file, "user.colour", b"green")
        with file.open("rb") as opened:
            os.fsync(opened.fileno())
            content = opened.read()
        status = file.stat()
        names = sorted(entry.name for entry in tmp_path.iterdir())
        xattrs = os.listxattr(file), os.getxattr(file, "user.colour")
        os.removexattr(file, "user.colour")
        folder.rename(tmp_path / "moved")
        target = (tmp_path / "link").readlink()
        (tmp_path / "moved/file").unlink()
        (tmp_path / "moved").rmdir()
        room = os.statvfs(tmp_path)
        counts = mount.end()

    assert content == b"x" * 5_000
    assert (status.st_size, status.st_blocks, status.st_nlink) == (5_000, 10, 2)
    assert status.st_mode == 0o100600
    assert (status.st_atime_ns, status.st_mtime_ns) == (-1, 1_000_000_000_000_000_001)
    assert status.st_blksize == BLOCK_SIZE_BYTES
    assert names == ["fifo", "folder", "link", "second"]
    assert xattrs == (["user.colour"], b"green")
    assert target == Path("folder/file")
    assert room.f_namemax == 255
    assert {kind for kind, count in counts.items() if not count} <= {"forget", "fsyncdir"}


def test_the_kernel_remembers_what_is_and_what_is_not(tmp_path: Path) -> None:
    """Nobody else changes the store, so asking once is enough."""
    with memory_mount(tmp_path) as mount:
        (tmp_path / "file").touch()
        for _ in range(100):
            assert not (tmp_path / "missing").exists()
            assert (tmp_path / "file").exists()
        counts = mount.end()

    assert counts["lookup"] <= 3
    assert counts["getattr"] <= 4


def test_views_are_asked_for_each_time(tmp_path: Path) -> None:
    """They change by themselves: a name that is not there may be the next version."""
    with memory_mount(tmp_path) as mount:
        view = tmp_path / ".versions" / "file"
        before = view.exists()
        (tmp_path / "file").write_text("1")
        after_one = versions_in(view)
        (tmp_path / "file").write_text("2")
        after_two = versions_in(view)
        mount.end()

    assert (before, after_one, after_two) == (False, 1, 2)


def test_truncation_comes_with_the_open(tmp_path: Path) -> None:
    """One request, so one version; a separate SETATTR would be another."""
    with memory_mount(tmp_path) as mount:
        (tmp_path / "file").write_text("long content")
        (tmp_path / "file").write_text("short")
        content = (tmp_path / "file").read_text()
        counts = mount.end()

    assert content == "short"
    assert counts["setattr"] == 0


def test_a_large_directory_is_listed_whole_in_pieces(tmp_path: Path) -> None:
    """Each READDIRPLUS has room for a few dozen entries, and the next goes on behind the last."""
    with memory_mount(tmp_path) as mount:
        for number in range(500):
            (tmp_path / f"{number}").touch()
        names = [entry.name for entry in tmp_path.iterdir()]
        counts = mount.end()

    assert sorted(names, key=int) == [str(number) for number in range(500)]
    assert counts["readdir"] > 1


def test_failures_have_their_errno(tmp_path: Path) -> None:
    """From the engine through the kernel to the program."""
    with memory_mount(tmp_path):
        (tmp_path / "file").touch()
        (tmp_path / "folder").mkdir()
        (tmp_path / "folder" / "file").touch()
        with fails_with(errno.ENOENT):
            (tmp_path / "missing").unlink()
        with fails_with(errno.ENOTEMPTY):
            (tmp_path / "folder").rmdir()
        with fails_with(errno.ENODATA):
            os.getxattr(tmp_path / "file", "user.missing")
        with fails_with(errno.EROFS):
            (tmp_path / ".versions" / "new").touch()
        with fails_with(errno.EINVAL):
            os.setxattr(tmp_path / "file", "s3.tags", b"a=1&a=2")
        with fails_with(errno.EOPNOTSUPP):
            os.setxattr(tmp_path / "file", "s3.object-lock", b"nonsense")


def test_xattr_flags_are_obeyed(tmp_path: Path) -> None:
    """`setfattr` and tar use them; the flags of setxattr(2)."""
    with memory_mount(tmp_path):
        file = tmp_path / "file"
        file.touch()
        with fails_with(errno.ENODATA):
            os.setxattr(file, "user.a", b"1", os.XATTR_REPLACE)
        os.setxattr(file, "user.a", b"1", os.XATTR_CREATE)
        with fails_with(errno.EEXIST):
            os.setxattr(file, "user.a", b"2", os.XATTR_CREATE)
        os.setxattr(file, "user.a", b"2", os.XATTR_REPLACE)

        assert os.getxattr(file, "user.a") == b"2"


def test_a_bug_in_the_engine_is_an_io_error_and_the_mount_lives(tmp_path: Path) -> None:
    """One broken operation must not take away everybody's files."""
    with memory_mount(tmp_path, faulty=True) as mount:
        (tmp_path / "link").symlink_to("target")
        with fails_with(errno.EIO):
            (tmp_path / "link").readlink()
        mount.wait_for("bug ZeroDivisionError(2)")
        assert (tmp_path / "link").is_symlink()
        mount.end(signal.SIGINT)


def test_names_removed_elsewhere_disappear(tmp_path: Path) -> None:
    """A command unlinked it; the kernel would believe in it for a day."""
    with memory_mount(tmp_path) as mount:
        (tmp_path / "file").touch()
        before = (tmp_path / "file").exists()
        mount.order("remove")

        assert before
        assert not (tmp_path / "file").exists()


def test_names_made_elsewhere_appear(tmp_path: Path) -> None:
    """A restore made it; the kernel would believe in its absence for a day."""
    with memory_mount(tmp_path) as mount:
        before = (tmp_path / "folder").exists()
        mount.order("make")

        assert not before
        assert (tmp_path / "folder").is_dir()


def test_content_restored_elsewhere_is_read(tmp_path: Path) -> None:
    """Size, times and pages, also through a descriptor that was open before."""
    with memory_mount(tmp_path) as mount:
        (tmp_path / "file").write_text("long ago")
        with (tmp_path / "file").open() as opened:
            before = os.pread(opened.fileno(), 100, 0)
            mount.order("rewrite")
            after = os.pread(opened.fileno(), 100, 0)

        assert (before, after) == (b"long ago", b"new")
        assert (tmp_path / "file").stat().st_size == 3
