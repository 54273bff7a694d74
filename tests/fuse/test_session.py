"""Mounting and unmounting: what a person who types the commands, or systemd, depends on."""

import json
import mmap
import os
import pwd
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from s3fs_local.fuse.mount_point import mount_at
from s3fs_local.fuse.session import READ_AHEAD_KIB
from tests.fuse.memory_mount import UNFIT, memory_mount, start
from tests.mounting import is_mounted

pytestmark = [pytest.mark.mount, pytest.mark.timeout(300)]

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")
FOR_EVERYBODY = pytest.mark.skipif(
    not Path("/dev/fuse").exists() or not stat.S_IWOTH & Path("/dev/fuse").stat().st_mode,
    reason="/dev/fuse is not for everybody here",
)


def source_of(mount_point: Path) -> tuple[str, str]:
    """The device and the type that a person sees."""
    command = ("findmnt", "--json", "-o", "SOURCE,FSTYPE", mount_point)
    answer = subprocess.run(command, check=True, capture_output=True).stdout
    (entry,) = json.loads(answer)["filesystems"]
    return entry["source"], entry["fstype"]


def refusal(path: Path, **options: object) -> str:
    """What is said when the mount is refused."""
    with start(path, **options) as mount:
        output, _ = mount.process.communicate(timeout=20)
        assert mount.process.returncode == UNFIT, output
    return output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_mount_can_be_used_and_a_signal_ends_it(tmp_path: Path, number: int) -> None:
    """`systemctl stop` and Ctrl-C: nothing stays mounted, and the process ends without an error."""
    with memory_mount(tmp_path) as mount:
        (tmp_path / "file").write_text("hello")
        content = (tmp_path / "file").read_text()
        counts = mount.end(number)

    assert content == "hello"
    assert counts["create"] == 1
    assert not is_mounted(tmp_path)
    assert not list(tmp_path.iterdir())


def test_an_unmount_ends_the_process(tmp_path: Path) -> None:
    """People type `umount`; the daemon has to notice."""
    with memory_mount(tmp_path) as mount:
        subprocess.run(["umount", tmp_path], check=True)
        counts = mount.counts()

    assert counts["lookup"] == 0


@contextmanager
def opened(path: Path) -> Iterator[int]:
    """A descriptor; the mount may be gone when it is closed."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        yield descriptor
    finally:
        with suppress(OSError):
            os.close(descriptor)


def test_a_mount_in_use_is_unmounted_all_the_same(tmp_path: Path) -> None:
    """A program that keeps a file open must not keep the machine from shutting down."""
    with memory_mount(tmp_path) as mount:
        (tmp_path / "file").write_text("hello")
        with opened(tmp_path / "file") as descriptor:
            counts = mount.end()
            with pytest.raises(OSError, match=r"not connected|abort"):
                os.fsync(descriptor)

    assert counts["write"] == 1
    assert not is_mounted(tmp_path)


def test_bytes_in_a_mapping_arrive_before_a_mount_in_use_goes(tmp_path: Path) -> None:
    """The kernel holds them until it is told to write; a lazy unmount does not tell it."""
    with memory_mount(tmp_path) as mount:
        file = tmp_path / "file"
        file.write_bytes(b"-" * 4096)
        with opened(file) as descriptor, mmap.mmap(descriptor, 4096) as mapped:
            mapped[:3] = b"new"
            counts = mount.end()

    assert counts["write"] == 2


def test_a_crash_frees_whoever_waits_for_the_mount(tmp_path: Path) -> None:
    """Else three wait for each other, deaf to SIGKILL.

    A program holds the directory's mutex until it is answered; the kernel, told to forget a name,
    waits for that mutex; and the connection ends only when the telling has ended.
    """
    set_attribute = "import os, sys; os.setxattr(sys.argv[1], 's3.object-lock', b'')"
    with memory_mount(tmp_path, faulty=True) as mount:
        command = (sys.executable, "-c", set_attribute, tmp_path)
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as program:
            mount.wait_for("stuck")
            mount.give("crash")
            output, _ = mount.process.communicate(timeout=20)
            _, complaint = program.communicate(timeout=20)

    assert "ZeroDivisionError" in output
    assert "connection abort" in complaint
    assert not is_mounted(tmp_path)


def test_the_mount_table_names_store_and_type(tmp_path: Path) -> None:
    """Commands find the store of a path there; paths may hold what separates mount options."""
    store = "/srv/a, b\\c/größe"
    with memory_mount(tmp_path, store=store):
        assert source_of(tmp_path) == (store, "fuse.s3fs_local")


def test_reads_ahead_a_whole_block_where_permitted(tmp_path: Path) -> None:
    """Else every block would be opened eight times by a reader from start to end."""
    with memory_mount(tmp_path):
        mount = mount_at(tmp_path)
        assert mount is not None
        kib = int(Path(f"/sys/class/bdi/{mount.device}/read_ahead_kb").read_text())

    if os.geteuid() == 0:
        assert kib == READ_AHEAD_KIB


def test_a_mount_point_that_is_missing_is_named(tmp_path: Path) -> None:
    """And how to make it."""
    assert f"mkdir {tmp_path / 'no'}" in refusal(tmp_path / "no")


def test_a_mount_point_that_is_a_file_is_refused(tmp_path: Path) -> None:
    """FUSE could mount there, but a store is a directory."""
    (tmp_path / "file").touch()
    assert "not a directory" in refusal(tmp_path / "file")


def test_a_mount_does_not_hide_files_unless_told(tmp_path: Path) -> None:
    """They would seem lost."""
    (tmp_path / "precious").touch()
    assert "not empty" in refusal(tmp_path)

    with memory_mount(tmp_path, nonempty=True):
        assert not list(tmp_path.iterdir())
    assert (tmp_path / "precious").exists()


def test_a_second_mount_at_the_same_place_is_refused(tmp_path: Path) -> None:
    """Two daemons on one mount point end in confusion; and the first one goes on."""
    with memory_mount(tmp_path):
        (tmp_path / "file").touch()
        with start(tmp_path) as second:
            output, _ = second.process.communicate(timeout=20)
            assert "mount point already" in output
            assert (tmp_path / "file").exists()


def test_what_a_killed_daemon_left_is_mounted_over(tmp_path: Path) -> None:
    """After a crash the next mount works, without anybody cleaning up by hand."""
    with start(tmp_path) as first:
        first.wait_for("ready")
        first.process.kill()
        first.process.wait()
        with pytest.raises(OSError, match="not connected"):
            list(tmp_path.iterdir())
        with memory_mount(tmp_path) as second:
            (tmp_path / "file").touch()
            second.end()

    assert not is_mounted(tmp_path)


def test_an_impossible_option_is_told(tmp_path: Path) -> None:
    """Nothing is mounted with less than what was asked for."""
    said = refusal(tmp_path, kernel_flags=["nonsense"])

    assert said.startswith("MountFailed")
    assert "nonsense" in said


def test_a_read_only_mount_refuses_writes(tmp_path: Path) -> None:
    """By the kernel, before we are asked."""
    with (
        memory_mount(tmp_path, read_only=True),
        pytest.raises(OSError, match="Read-only file system"),
    ):
        (tmp_path / "file").touch()


@AS_ROOT
@FOR_EVERYBODY
def test_an_ordinary_user_mounts_and_unmounts() -> None:
    """No root is needed, only fusermount3; a mount in use too is unmounted on a signal."""
    nobody = pwd.getpwnam("nobody")
    become = f"setpriv --reuid={nobody.pw_uid} --regid={nobody.pw_gid} --clear-groups".split()
    folder = Path("/tmp") / f"s3fs_local-{os.getpid()}"  # noqa: S108  where nobody may go
    folder.mkdir()
    try:
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        with memory_mount(folder, *become) as mount:
            kind = source_of(folder)[1]
            mount.end()
        mounted_after_signal = is_mounted(folder)
        with memory_mount(folder, *become) as mount:
            script = f"cd {folder} && echo inside && exec sleep 60"
            command = [*become, "sh", "-c", script]
            with subprocess.Popen(command, stdout=subprocess.PIPE) as sitting:
                assert sitting.stdout is not None
                assert sitting.stdout.readline() == b"inside\n"
                mount.end()
                sitting.kill()
        mounted_after_signal |= is_mounted(folder)
    finally:
        folder.rmdir()

    assert kind == "fuse.s3fs_local"
    assert not mounted_after_signal
