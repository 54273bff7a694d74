"""The unit that ships: well-formed, hardened, and without what would hide the mount.

That it works under a real systemd is tried by `scripts/package-test`, on a machine of its own.
"""

import shutil
import sys
from pathlib import Path

import pytest

from tests.mounting import run

UNIT = Path(__file__).parent.parent.parent / "packaging" / "s3fs-local@.service"
PROGRAM = Path(sys.executable).parent / "s3fs-local"
EXPOSURE_MAX = 50
"""systemd's own word for it is "OK"; what is left is that it mounts, and may use the network."""

NEEDS_A_MOUNT_NAMESPACE = {
    *("ProtectSystem", "ProtectHome", "ProtectKernelTunables", "ProtectKernelModules"),
    *("ProtectKernelLogs", "ProtectControlGroups", "ProtectProc", "ProcSubset", "MountFlags"),
    *("PrivateTmp", "PrivateDevices", "PrivateMounts", "ReadOnlyPaths", "ReadWritePaths"),
    *("InaccessiblePaths", "BindPaths", "BindReadOnlyPaths", "TemporaryFileSystem"),
    *("RootDirectory", "RootImage", "DynamicUser", "NoExecPaths", "ExecPaths", "PrivateIPC"),
}
"""systemd.exec(5): a mount that is made in such a service is seen by nobody else."""

with_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="needs systemd: scripts/setup --tests"
)


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit as it stands where the program is not installed in /usr/bin."""
    path = tmp_path / "s3fs-local@data.service"
    path.write_text(UNIT.read_text().replace("/usr/bin/s3fs-local", str(PROGRAM)))
    return path


@with_systemd
def test_systemd_has_nothing_to_complain_about(unit: Path) -> None:
    """A misspelt directive would be ignored, with a line in a log that nobody reads."""
    verified = run("systemd-analyze", "verify", "--man=no", unit, check=False)

    assert (verified.returncode, verified.stderr) == (0, "")


@with_systemd
def test_the_service_is_hardened(unit: Path) -> None:
    """Whatever reaches the daemon may do no more than it must."""
    command = ("systemd-analyze", "security", "--offline=true", "--no-pager")
    run(*command, f"--threshold={EXPOSURE_MAX}", unit)


def test_nothing_hides_the_mount_in_a_namespace() -> None:
    """The usual hardening does: the service would run, and its directory stay empty."""
    lines = UNIT.read_text().splitlines()
    directives = {line.partition("=")[0] for line in lines if "=" in line and line[0] != "#"}

    assert directives & NEEDS_A_MOUNT_NAMESPACE == set()
    assert {"ExecStart", "ExecStop", "NoNewPrivileges"} <= directives
