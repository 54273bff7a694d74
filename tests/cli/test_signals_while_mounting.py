"""Until a mount is ready, what ends the command ends its daemon; afterwards it does not."""

import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from s3fs_local.cli.exit_codes import ExitCode
from s3fs_local.system.processes import has_ended
from tests.mounting import COMMAND, MARK, MountedStore, is_mounted, processes_marked, s3fs_local

SECONDS_MAX = 120

pytestmark = [pytest.mark.mount, pytest.mark.slow]


@pytest.fixture
def mounted(store: Path, tmp_path: Path) -> MountedStore:
    """A store, and a directory on which it is not mounted yet."""
    point = tmp_path / "point"
    point.mkdir()
    return MountedStore(store, point)


def mounting(mounted: MountedStore) -> subprocess.Popen[str]:
    """The command, in a session of its own as that of a terminal.

    Ctrl-C counts there, also where the tests run in the background of a shell, which ignores it.
    """
    return subprocess.Popen(
        ["env", "--default-signal=INT", *COMMAND, "mount", mounted.store, mounted.path],
        env=os.environ | {MARK: str(mounted.path)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_a_terminal_that_is_closed_leaves_a_mount_alone(mounted: MountedStore) -> None:
    """SIGHUP goes to the session of the terminal, in which the daemon is no more."""
    try:
        with mounting(mounted) as command:
            command.communicate(timeout=SECONDS_MAX)
        with pytest.raises(ProcessLookupError):
            os.killpg(command.pid, signal.SIGHUP)  # nobody is there

        assert command.returncode == ExitCode.OK
        [daemon] = processes_marked(mounted.path)
        assert os.getsid(daemon) == daemon
        (mounted.path / "f").write_text("x")
        mounted.umount()
    finally:
        mounted.clean_up()


def test_ctrl_c_ends_a_mount_that_is_not_ready(mounted: MountedStore) -> None:
    """Whoever gives up waiting gets no mount an hour later, and nothing is in the way of the next.

    The daemon waits for one that will not let go of the store: us.
    """
    directory = os.open(mounted.store, os.O_PATH)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as owner:
            owner.settimeout(SECONDS_MAX)
            owner.bind(f"/proc/self/fd/{directory}/control.sock")
            owner.listen()
            with mounting(mounted) as command:
                asking, _ = owner.accept()
                [daemon] = set(processes_marked(mounted.path)) - {command.pid}
                end_of_daemon = os.pidfd_open(daemon)
                os.killpg(command.pid, signal.SIGINT)
                asking.close()
                command.communicate(timeout=SECONDS_MAX)
                assert has_ended(end_of_daemon, seconds_max=SECONDS_MAX)
                os.close(end_of_daemon)
        logged = (mounted.store / "daemon.log").read_text()

        assert command.returncode == ExitCode.INTERRUPTED
        assert not is_mounted(mounted.path)
        assert "interrupted before the mount was ready" in logged
        assert "Traceback" not in logged
        (mounted.store / "control.sock").unlink()
        s3fs_local("mount", mounted.store, mounted.path)
    finally:
        os.close(directory)
        mounted.clean_up()
