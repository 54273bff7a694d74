"""File handles as NFS gives them out: by number, without a path, and after a restart."""

import errno
import os

import pytest

from tests.fuse.calls import fails_with, handle_of, open_by_handle
from tests.mounting import MountedStore

pytestmark = [
    pytest.mark.mount,
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="open_by_handle_at(2) is for root"),
]


def test_handles_mean_the_same_after_a_remount(mount: MountedStore) -> None:
    """An NFS client keeps them while the server restarts."""
    deep = mount.path / "a" / "b"
    deep.mkdir(parents=True)
    (deep / "file").write_text("content")
    handles = {name: handle_of(deep / name) for name in ("file", "")}
    (deep / "file").rename(mount.path / "moved")
    mount.remount()

    file = open_by_handle(mount.path, handles["file"], os.O_RDONLY)
    assert os.read(file, 100) == b"content"
    os.close(file)
    directory = open_by_handle(mount.path, handles[""], os.O_RDONLY | os.O_DIRECTORY)
    above = os.open("..", os.O_RDONLY, dir_fd=directory)
    assert os.fstat(directory).st_ino == deep.stat().st_ino
    assert os.fstat(above).st_ino == deep.parent.stat().st_ino
    os.close(directory)
    os.close(above)


def test_a_handle_of_what_is_gone_is_stale(mount: MountedStore) -> None:
    """ESTALE, and never another file: numbers are not used twice."""
    file = mount.path / "file"
    file.write_text("old")
    handle = handle_of(file)
    file.unlink()
    file.write_text("new")
    mount.remount()
    (mount.path / "another").write_text("x")

    with fails_with(errno.ESTALE):
        open_by_handle(mount.path, handle, os.O_RDONLY)


def test_files_of_the_past_have_no_handles_after_a_remount(mount: MountedStore) -> None:
    """They are made up as they are looked at; a client must look again."""
    file = mount.path / "file"
    file.write_text("old")
    handle = handle_of(mount.versions("file")[0])
    mount.remount()

    with fails_with(errno.ESTALE):
        open_by_handle(mount.path, handle, os.O_RDONLY)
    assert mount.contents("file") == ["old"]
