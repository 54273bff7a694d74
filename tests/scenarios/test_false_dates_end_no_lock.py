"""Daemons and commands that are told a false date: nothing ends early, and they say so."""

import errno
import json
import os
import shutil
from pathlib import Path

import pytest

from tests.mounting import CAUTIOUSLY, COMMAND, MARK, MountedStore, run, s3fs_local

pytestmark = [
    pytest.mark.mount,
    pytest.mark.skipif(shutil.which("faketime") is None, reason="faketime(1) is not installed"),
]
YEARS_AHEAD = "+50y"
YEARS_BACK = "-20y"


@pytest.fixture
def locked(mount: MountedStore) -> MountedStore:
    """A store whose file `f` is locked for 30 days, and that was closed once."""
    s3fs_local("config", "set", mount.store, "object-lock", "on")
    mount.sh("echo locked >f")
    s3fs_local("retention", "set", "compliance", "30d", mount.path / "f")
    mount.umount()
    return mount


def told_a_date(date: str, *arguments: str | Path) -> dict[str, object]:
    """What a command says whose clocks are off by that much."""
    result = run("faketime", "-f", date, *COMMAND, *arguments, "--json", check=False)
    answer: dict[str, object] = json.loads(result.stdout)
    return answer


def clock_findings(status: dict[str, object]) -> list[str]:
    """What a status says of the clock."""
    findings = status["Findings"]
    assert isinstance(findings, list)
    return [found["Severity"] for found in findings if found["Subject"] == "clock"]


@pytest.mark.parametrize("date", [YEARS_AHEAD, YEARS_BACK])
def test_a_command_with_a_false_date_ends_no_lock(locked: MountedStore, date: str) -> None:
    """On a store that is not mounted, where the command itself judges."""
    answer = told_a_date(date, "why", "unlink", f"{locked.store}:/f")
    status = told_a_date(date, "status", locked.store)

    assert answer["Allowed"] is False
    assert clock_findings(status) == ["critical"]


@pytest.mark.parametrize("date", [YEARS_AHEAD, YEARS_BACK])
def test_a_daemon_with_a_false_date_ends_no_lock(locked: MountedStore, date: str) -> None:
    """It works on, refuses, says so; and mounted honestly again all is as before."""
    environment = {MARK: str(locked.path)}
    mounting = (*CAUTIOUSLY, "faketime", "-f", date, *COMMAND, "mount", locked.store, locked.path)
    run(*mounting, environment=environment)
    with pytest.raises(PermissionError) as refusal:
        (locked.path / "f").unlink()
    assert refusal.value.errno == errno.EPERM
    (locked.path / "g").write_text("work goes on")
    status = json.loads(s3fs_local("status", locked.store, "--json", check=False).stdout)
    assert clock_findings(status) == ["critical"]
    locked.umount()
    locked.mount()
    with pytest.raises(PermissionError):
        (locked.path / "f").unlink()
    assert (locked.path / "g").read_text() == "work goes on"
    status = json.loads(s3fs_local("status", locked.store, "--json", check=False).stdout)
    assert clock_findings(status) == []
    stamp = os.stat(locked.path / "g").st_mtime_ns

    assert abs(stamp - (locked.path / "f").stat().st_mtime_ns) < 3600 * 10**9
    assert s3fs_local("verify", locked.store).returncode == 0
