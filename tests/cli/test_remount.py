"""`mount -o remount,ro` and `remount,rw`: what is mounted changes, while programs go on reading."""

import errno
import os
from pathlib import Path

import pytest

from tests.conftest import MakeMount, MakeStore
from tests.mounting import MountedStore, answer_of, s3fs_local

pytestmark = [
    pytest.mark.mount,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root changes what is mounted"),
]

READ_ONLY_CODE = 20


def remount(disk: MountedStore, options: str, *, check: bool = True) -> str:
    """What the command says."""
    words = ("mount", "-o", f"remount,{options}", disk.store, disk.path)
    return s3fs_local(*words, check=check).stderr


def options_of(point: Path) -> set[str]:
    """As the table of mounts has them."""
    rows = [line.split(" ") for line in Path("/proc/mounts").read_text().splitlines()]
    return next(set(row[3].split(",")) for row in rows if row[1] == str(point))


def test_a_mount_becomes_read_only_and_writable_again(mount: MountedStore) -> None:
    """The story: before a backup, say, while people go on reading."""
    mount.sh("echo one >f; echo two >f")
    before = options_of(mount.path)
    with (mount.path / "f").open() as reader:
        remount(mount, "ro")
        assert reader.read() == "two\n"
        with pytest.raises(OSError, match="Read-only file system") as refused:
            (mount.path / "g").write_text("no")
        assert refused.value.errno == errno.EROFS
    oldest = mount.versions("f")[0].name.partition("~")[2]
    words = ("restore", mount.path / "f", "--version", oldest)
    assert s3fs_local(*words, check=False).returncode == READ_ONLY_CODE
    assert answer_of("status", mount.store)["ReadOnly"]
    assert options_of(mount.path) == (before - {"rw"}) | {"ro"}

    remount(mount, "rw,noexec")
    mount.sh("echo three >f")
    assert mount.contents("f") == ["one\n", "two\n", "three\n"]
    assert not answer_of("status", mount.store)["ReadOnly"]
    assert options_of(mount.path) == before | {"noexec"}
    mount.umount()


def test_it_does_not_become_read_only_under_a_writer(mount: MountedStore) -> None:
    """As on any disk; nothing has changed then."""
    with (mount.path / "f").open("w") as writer:
        assert "open for writing" in remount(mount, "ro", check=False)
        writer.write("kept\n")
    assert (mount.path / "f").read_text() == "kept\n"
    assert not answer_of("status", mount.store)["ReadOnly"]


def test_what_only_the_daemon_heeds_is_not_changed(
    make_mount: MakeMount, make_store: MakeStore
) -> None:
    """And said to be; what it has already may be said again, as a line of fstab does."""
    disk = make_mount(make_store(), "snapdir=visible")
    remount(disk, "ro,snapdir=visible")
    assert "snapdirname" in remount(disk, "rw,snapdirname=.past", check=False)
    assert "ro" in options_of(disk.path)
    remount(disk, "rw,allow_other", check=False)
    assert "ro" in options_of(disk.path)
    remount(disk, "rw")
    disk.sh("echo one >f")


def test_a_mount_that_began_read_only_becomes_writable(make_mount: MakeMount, store: Path) -> None:
    """The store was writable all the time."""
    disk = make_mount(store, "ro")
    remount(disk, "rw")
    disk.sh("echo one >f")
    disk.umount()
    assert s3fs_local("cat", f"{store}:/f").stdout == "one\n"


def test_nothing_of_ours_is_told_apart(tmp_path: Path, store: Path) -> None:
    """A mistyped directory is no mount."""
    refused = s3fs_local("mount", "-o", "remount,ro", store, tmp_path, check=False)
    assert "no store is mounted at" in refused.stderr
