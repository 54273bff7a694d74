"""`umount` of a store whose disk was unplugged: the FUSE layer below it is killed."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from s3fs_local.cli.exit_codes import ExitCode
from tests.conftest import MakeMount, MakeStore
from tests.mounting import MountedStore, answer_of, s3fs_local, unmount_by_force, wait_until

pytestmark = pytest.mark.mount


class _Disk:
    """A directory behind bindfs; what is open there fails for ever once it is unplugged."""

    def __init__(self, place: Path) -> None:
        self._behind, self.path = place / "behind", place / "disk"
        self._behind.mkdir()
        self.path.mkdir()
        self._bindfs: subprocess.Popen[bytes]
        self.plug_in()

    def plug_in(self) -> None:
        """What it has can be used."""
        self._bindfs = subprocess.Popen(
            ["bindfs", "-f", "--no-allow-other", self._behind, self.path]
        )
        wait_until(self.path.is_mount)

    def unplug(self) -> None:
        """Nothing is there any more."""
        self._bindfs.kill()
        self._bindfs.wait()
        unmount_by_force(self.path)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[_Disk]:
    """A disk for a store or a zone."""
    disk = _Disk(tmp_path)
    yield disk
    disk.unplug()


def _check_it_is_ended_by_name_only(mount: MountedStore, disk: _Disk) -> ExitCode:
    mount.sh("echo x >f; sync .")
    disk.unplug()
    mount.sh("echo y >g")
    refused = s3fs_local("umount", mount.path, check=False)
    assert "stays mounted: changes to 2 files and directories" in refused.stderr
    assert "--discard-unsaved" in refused.stderr
    assert mount.sh("cat g") == "y\n"

    assert answer_of("umount", "--discard-unsaved", mount.path)["Discarded"]["Inodes"] == 2
    disk.plug_in()
    mount.mount()
    assert mount.sh("cat f; ls") == "x\nf\n"
    return ExitCode(refused.returncode)


def test_the_disk_of_the_only_zone(
    make_store: MakeStore, make_mount: MakeMount, disk: _Disk
) -> None:
    """No sync of this process counts any more, and the message says so."""
    mount = make_mount(make_store(f"--zone={disk.path / 'zone'}"))

    assert _check_it_is_ended_by_name_only(mount, disk) == ExitCode.MOUNT_FAILED


def test_the_disk_of_the_whole_store(make_mount: MakeMount, disk: _Disk) -> None:
    """Its socket is gone, too: what the daemon has in memory is asked through the mount."""
    store = disk.path / "store"
    s3fs_local("init", store)
    mount = make_mount(store)

    assert _check_it_is_ended_by_name_only(mount, disk) == ExitCode.MOUNT_FAILED
