"""A program that waits hours for an archive, and a person who wants it to stop."""

import errno
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event
from time import monotonic

import pytest

from tests.mounting import MountedStore, is_mounted, processes_marked, s3fs_local
from tests.semantics.promises import promise

pytestmark = [pytest.mark.mount, pytest.mark.slow]


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[MountedStore]:
    """Opens of archived files wait there; its one file is archived for hours."""
    s3fs_local("init", tmp_path / "store")
    (tmp_path / "mount").mkdir()
    mounted = MountedStore(tmp_path / "store", tmp_path / "mount", ["archived=wait"])
    try:
        mounted.mount()
        path = mounted.path / "file"
        path.write_bytes(b"content")
        s3fs_local("class", "set", path, "GLACIER")
        s3fs_local("config", "set", mounted.path, "retrieval-delay-standard", "3h")
        yield mounted
    finally:
        mounted.clean_up()


def wait_until_retrieved(path: Path) -> None:
    """Somebody has asked for the file, and waits."""
    give_up = monotonic() + 60
    while True:
        with suppress(OSError):
            assert os.getxattr(path, "s3.restore") == b'ongoing-request="true"'
            return
        assert monotonic() < give_up
        Event().wait(0.05)  # another process writes it


@promise("A program that waits so can be stopped by a signal; the retrieval goes on.")
def test_a_program_that_waits_for_an_archive_can_be_killed(mounted: MountedStore) -> None:
    """Else it would be there for hours, and nobody could unmount."""
    path = mounted.path / "file"
    for number in (signal.SIGTERM, signal.SIGKILL):
        reader = subprocess.Popen(("cat", path), stdout=subprocess.DEVNULL)
        try:
            wait_until_retrieved(path)
            reader.send_signal(number)
            assert reader.wait(timeout=60) == -number
        finally:
            reader.kill()
    assert os.getxattr(path, "s3.restore") == b'ongoing-request="true"'


OPEN_OFTEN = """
import os, sys, threading

def wait() -> None:
    try:
        os.close(os.open(sys.argv[1], os.O_RDONLY))
        told.append("opened")
    except OSError as error:
        told.append(error.strerror)

told = []
threading.stack_size(1 << 16)
threads = [threading.Thread(target=wait) for _ in range(int(sys.argv[2]))]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(len(told), set(told))
"""
OPENS = 500


def wait_until_they_wait(mount: Path, count: int) -> None:
    """So many opens have no answer yet."""
    give_up = monotonic() + 60
    while True:
        lines = (mount / ".s3fs/oplog").read_text().splitlines()
        if sum("  open  " in line and "  running  " in line for line in lines) >= count:
            return
        assert monotonic() < give_up, lines[-20:]
        Event().wait(0.05)  # another process opens


def use_another_file(mount: Path) -> None:
    """It is written, synced, listed and read."""
    other = mount / "other"
    with other.open("wb") as file:
        file.write(b"written meanwhile")
        file.flush()
        os.fsync(file.fileno())
    assert {entry.name for entry in mount.iterdir()} == {"file", "other"}
    assert other.read_bytes() == b"written meanwhile"


@promise("However many programs wait so (10,000 opens at most), all else is served as ever.")
@promise("`umount` names who waits; a daemon that gets SIGTERM gives them ENOTCONN, and ends.")
def test_hundreds_of_opens_wait_and_hold_nobody_up(mounted: MountedStore) -> None:
    """At night somebody has to look, to read other files, and to end it; whatever waits."""
    path = mounted.path / "file"
    waits = killed = None
    try:
        command = (sys.executable, "-c", OPEN_OFTEN, path, str(OPENS))
        waits = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        wait_until_they_wait(mounted.path, OPENS)

        use_another_file(mounted.path)
        killed = subprocess.Popen(("cat", path), stdout=subprocess.DEVNULL)
        wait_until_they_wait(mounted.path, OPENS + 1)
        killed.kill()
        assert killed.wait(timeout=60) == -signal.SIGKILL
        refused = s3fs_local("umount", mounted.path, check=False)
        assert refused.returncode != 0
        assert f"(process {waits.pid})" in refused.stderr

        (daemon,) = processes_marked(mounted.path)
        ended = os.pidfd_open(daemon)
        os.kill(daemon, signal.SIGTERM)
        told, _ = waits.communicate(timeout=60)
        assert told == f"{OPENS} {{{os.strerror(errno.ENOTCONN)!r}}}\n"
        assert select.select([ended], [], [], 60)[0]
        os.close(ended)
        assert not is_mounted(mounted.path)
    finally:
        for process in (waits, killed):
            if process is not None:
                process.kill()
