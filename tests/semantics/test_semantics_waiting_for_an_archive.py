"""A program that waits hours for an archive, and a person who wants it to stop."""

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from threading import Event
from time import monotonic

import pytest

from tests.mounting import MountedStore, s3fs_local
from tests.semantics.promises import promise

pytestmark = [pytest.mark.mount, pytest.mark.slow]


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
def test_a_program_that_waits_for_an_archive_can_be_killed(tmp_path: Path) -> None:
    """Else it would be there for hours, and nobody could unmount."""
    s3fs_local("init", tmp_path / "store")
    (tmp_path / "mount").mkdir()
    mounted = MountedStore(tmp_path / "store", tmp_path / "mount", ["archived=wait"])
    try:
        mounted.mount()
        path = mounted.path / "file"
        path.write_bytes(b"content")
        s3fs_local("class", "set", path, "GLACIER")
        s3fs_local("config", "set", mounted.path, "retrieval-delay-standard", "3h")
        for number in (signal.SIGTERM, signal.SIGKILL):
            reader = subprocess.Popen(("cat", path), stdout=subprocess.DEVNULL)
            try:
                wait_until_retrieved(path)
                reader.send_signal(number)
                assert reader.wait(timeout=60) == -number
            finally:
                reader.kill()
        assert os.getxattr(path, "s3.restore") == b'ongoing-request="true"'
    finally:
        mounted.clean_up()
