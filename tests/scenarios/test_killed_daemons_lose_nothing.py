"""The daemon is SIGKILLed under load; what fsync acknowledged is there after the next mount."""

import os
import random
from contextlib import suppress

import pytest

from tests.campaigns.kills import Promised, broken, killed_under_load
from tests.mounting import MountedStore, run

pytestmark = [pytest.mark.mount, pytest.mark.slow, pytest.mark.timeout(240)]

KILLS = 5
SEED = int(os.environ.get("S3FS_LOCAL_TEST_SEED", "20"))


def test_nothing_fsynced_is_lost_and_mounting_again_is_all_it_takes(mount: MountedStore) -> None:
    """After a crash a person mounts again; there is no repair command to know about."""
    chance = random.Random(SEED)
    promised: Promised = {}
    for kill in range(KILLS):
        promised |= killed_under_load(mount, f"work{kill}", chance)
        mount.mount()

        assert not broken(promised), f"seed {SEED}, kill {kill}"


def test_a_dead_mount_answers_with_an_error(mount: MountedStore) -> None:
    """A mirror job must not take a dead mount for an empty folder and delete its copy."""
    (mount.path / "f").write_text("1")
    mount.kill()

    result = run("ls", mount.path, check=False)

    assert result.returncode != 0
    assert "not connected" in result.stderr


def test_drafts_of_files_open_at_the_kill_come_back_as_versions(mount: MountedStore) -> None:
    """What was fsynced of a file that was never closed is recovered, as a version of its own."""
    path = mount.path / "f"
    path.write_text("one\n")
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
    os.write(descriptor, b"two\n")
    os.fsync(descriptor)
    mount.kill()
    with suppress(OSError):
        os.close(descriptor)
    mount.mount()

    assert mount.contents("f") == ["one\n", "one\ntwo\n"]
