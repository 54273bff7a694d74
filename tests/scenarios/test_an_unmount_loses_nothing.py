"""`umount` while a bucket, the only zone, is away: it refuses, or is told what to give up."""

import os
import signal
import subprocess
from collections.abc import Iterator
from itertools import count
from typing import Final

import pytest

from s3fs_local.cli.exit_codes import ExitCode
from tests.aws_server import REGION, AwsServer
from tests.conftest import MakeMount, MakeStore
from tests.hostile_proxy import Asked, Behaviour, HostileProxy, refusal
from tests.mounting import (
    COMMAND,
    MountedStore,
    is_mounted,
    processes_marked,
    run,
    s3fs_local,
    wait_until,
)

pytestmark = [pytest.mark.mount, pytest.mark.s3]
_BUCKETS: Final = count()


def _refuse_writes(asked: Asked) -> Behaviour:
    """As a bucket out of reach, but at once: nothing of it is tried again."""
    return refusal(403, "AccessDenied") if asked.method == "PUT" else None


@pytest.fixture
def mounted(
    aws: AwsServer, proxy: HostileProxy, make_store: MakeStore, make_mount: MakeMount
) -> Iterator[MountedStore]:
    """A store whose only zone is a bucket; `saved` is durable in it."""
    bucket = aws.make_bucket(f"unmounted-{next(_BUCKETS)}")
    store = make_store(f"--zone=s3://{bucket}/zone?endpoint={proxy.url}&region={REGION}")
    mount = make_mount(store)
    mount.sh("echo one >saved; sync saved")
    yield mount
    proxy.go_on()


def _umount(mounted: MountedStore, *options: str) -> subprocess.CompletedProcess[str]:
    return s3fs_local("umount", *options, mounted.path, check=False)


def _log(mounted: MountedStore) -> str:
    return (mounted.store / "daemon.log").read_text()


def test_an_unmount_is_refused_until_the_bucket_is_back(
    mounted: MountedStore, proxy: HostileProxy
) -> None:
    """It says how much waits and for what; programs and their open files go on meanwhile."""
    proxy.behave = _refuse_writes
    mounted.sh("head -c 100000 /dev/urandom >closed")
    refused = _umount(mounted)

    assert refused.returncode == ExitCode.MOUNT_FAILED
    assert f"{mounted.path} stays mounted" in refused.stderr
    assert "2 files and directories (97.7 KiB)" in refused.stderr
    assert "AccessDenied" in refused.stderr
    assert "--discard-unsaved" in refused.stderr

    with (mounted.path / "open").open("w") as file:
        file.write("begun, ")
        file.flush()
        again = _umount(mounted)
        file.write("and gone on with")

    assert "3 files and directories" in again.stderr
    assert mounted.sh("cat saved open; wc -c <closed") == "one\nbegun, and gone on with100000\n"

    proxy.go_on()
    mounted.umount()
    mounted.mount()
    assert mounted.sh("cat saved open; wc -c <closed") == "one\nbegun, and gone on with100000\n"


def test_a_mount_that_has_nothing_unsaved_needs_no_bucket_to_end(
    mounted: MountedStore, proxy: HostileProxy
) -> None:
    """The next one has a journal to replay, and that is all."""
    mounted.sh("sync .")
    proxy.behave = _refuse_writes
    ended = _umount(mounted)

    assert (ended.returncode, ended.stderr) == (ExitCode.OK, "")
    assert "everything is durable" in _log(mounted)
    proxy.go_on()
    mounted.mount()
    assert mounted.sh("cat saved") == "one\n"


def test_what_is_unsaved_is_given_up_by_name(mounted: MountedStore, proxy: HostileProxy) -> None:
    """As for a bucket that will not come back; the command and the log say how much was lost."""
    mounted.sh("sync .")
    proxy.behave = _refuse_writes
    mounted.sh("head -c 100000 /dev/urandom >lost")
    ended = _umount(mounted, "--discard-unsaved")

    assert ended.returncode == ExitCode.OK
    assert "2 files and directories (97.7 KiB) were discarded" in ended.stderr
    assert "2 files and directories (97.7 KiB) were discarded" in _log(mounted)
    assert "everything else is durable" in _log(mounted)
    assert not is_mounted(mounted.path)
    assert not list(processes_marked(mounted.path))
    proxy.go_on()
    mounted.mount()
    assert mounted.sh("cat saved; ls") == "one\nsaved\n"


def test_a_mount_that_somebody_took_away_is_saved_when_the_bucket_is_back(
    mounted: MountedStore, proxy: HostileProxy
) -> None:
    """`fusermount3 -u` asks nobody, so the daemon goes on trying for a while."""
    proxy.behave = _refuse_writes
    mounted.sh("echo two >later")
    run("fusermount3", "-u", mounted.path)
    wait_until(lambda: "2 files and directories" in _log(mounted))
    assert "tried for 120 seconds in all" in _log(mounted)
    proxy.go_on()
    wait_until(lambda: not list(processes_marked(mounted.path)))

    assert "everything is durable" in _log(mounted)
    mounted.mount()
    assert mounted.sh("cat later") == "two\n"


def test_a_second_signal_ends_the_attempts_and_the_log_says_what_is_lost(
    mounted: MountedStore, proxy: HostileProxy
) -> None:
    """SIGTERM asks nobody either; whoever does not want to wait says so once more."""
    proxy.behave = _refuse_writes
    mounted.sh("echo two >lost")
    [daemon] = processes_marked(mounted.path)
    os.kill(daemon, signal.SIGTERM)
    wait_until(lambda: "tried for 120 seconds in all" in _log(mounted))
    os.kill(daemon, signal.SIGTERM)
    wait_until(lambda: not list(processes_marked(mounted.path)))

    last = _log(mounted).rpartition("CRITICAL")[2]
    assert "2 files and directories (4 B) could not be saved and are lost" in last
    assert "AccessDenied" in last


def test_two_who_unmount_at_once_both_find_it_done(mounted: MountedStore) -> None:
    """The later one does not find the mount in use."""
    commands = [
        subprocess.Popen((*COMMAND, "umount", mounted.path), stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    told = [command.communicate()[1] for command in commands]

    assert {command.returncode for command in commands} <= {ExitCode.OK, ExitCode.NOT_MOUNTED}, told
    assert not is_mounted(mounted.path)
