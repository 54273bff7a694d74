"""A disk that stops answering, for real: the FUSE layer below one of three zones is stopped."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import MakeMount, MakeStore
from tests.mounting import MountedStore, answer_of, is_mounted, run, s3fs_local, wait_until

pytestmark = pytest.mark.mount


@contextmanager
def _slow_disk(place: Path) -> Iterator[tuple[Path, subprocess.Popen[bytes]]]:
    """A directory behind bindfs, and bindfs itself, which can be stopped."""
    behind, shown = place / "behind", place / "shown"
    behind.mkdir()
    shown.mkdir()
    bindfs = subprocess.Popen(["bindfs", "-f", "--no-allow-other", behind, shown])
    try:
        wait_until(lambda: is_mounted(shown))
        yield shown, bindfs
    finally:
        bindfs.send_signal(signal.SIGCONT)
        run("fusermount3", "-u", "-z", shown, check=False)
        bindfs.wait(30)


def _states(mount: MountedStore) -> list[str]:
    zones = answer_of("zone", "list", mount.store)["Zones"]
    return [zone["State"] for zone in zones]


def test_a_disk_that_hangs_is_done_without_and_comes_back(
    tmp_path: Path, make_store: MakeStore, make_mount: MakeMount
) -> None:
    """Reads and fsyncs go on, the zone is suspended, and catches up when it answers again."""
    with _slow_disk(tmp_path) as (shown, bindfs):
        others = [f"--zone={tmp_path / name}" for name in ("a", "b")]
        store = make_store(f"--zone={shown / 'zone'}", *others)
        s3fs_local("config", "set", store, "zone-timeout", "1s")
        mount = make_mount(store)
        mount.sh("for i in 1 2 3 4 5; do head -c 100000 /dev/urandom > f$i; done; sync .")
        sums = mount.sh("md5sum f*")
        bindfs.send_signal(signal.SIGSTOP)
        mount.sh("echo more > more; sync more")
        assert mount.sh("md5sum f*") == sums
        wait_until(lambda: _states(mount) == ["behind", "well", "well"])
        mount.sh("echo again > again; sync again")
        bindfs.send_signal(signal.SIGCONT)
        wait_until(lambda: _states(mount) == ["well"] * 3)
        assert mount.sh("cat more again; md5sum f*") == f"more\nagain\n{sums}"
        assert answer_of("scrub", store)["Damaged"] == []
        mount.umount()
