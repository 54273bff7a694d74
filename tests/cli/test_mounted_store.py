"""mount and umount, and commands that reach a store through its daemon."""

import json
import os
import select
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from s3fs_local.cli.exit_codes import ExitCode
from s3fs_local.control.requests import AddZone, ChangeSetting
from s3fs_local.errors import DaemonUnreachable
from s3fs_local.system.randomness import SystemRandomness
from tests.campaigns.conversation import Begun, answer
from tests.conftest import MakeMount, MakeStore
from tests.mounting import (
    COMMAND,
    MARK,
    MountedStore,
    answer_of,
    is_mounted,
    let_go_of_mounts,
    processes_marked,
    run,
    s3fs_local,
)

MOUNT_FAILURE = 32  # mount(8)

pytestmark = [pytest.mark.mount, pytest.mark.slow]


def test_commands_reach_a_mounted_store_by_path_by_directory_and_by_name(
    mount: MountedStore,
) -> None:
    """The same answer, whichever way the store is named."""
    (mount.path / "f").write_text("one")
    (mount.path / "f").write_text("two")
    by_path = answer_of("versions", mount.path / "f")

    assert len(by_path["Versions"]) == 2
    assert answer_of("versions", f"{mount.store}:/f") == by_path
    by_path, by_store = answer_of("stats", mount.path), answer_of("stats", mount.store)
    assert by_path["Versions"] == by_store["Versions"]
    assert answer_of("status", mount.path)["MountPoint"] == str(mount.path)
    assert run(*COMMAND, "log", "f", cwd=mount.path).stdout


def test_what_a_command_restores_is_seen_at_once(mount: MountedStore) -> None:
    """The kernel caches names and pages; a restore behind its back must reach it."""
    file = mount.path / "f"
    file.write_text("one")
    file.write_text("two, longer")
    assert file.read_text() == "two, longer"
    assert file.stat().st_size == 11
    s3fs_local("restore", file)
    assert file.read_text() == "one"
    assert file.stat().st_size == 3
    file.unlink()
    assert not file.exists()
    s3fs_local("undelete", file)

    assert file.read_text() == "one"


def test_the_control_socket_is_the_owners_alone(mount: MountedStore) -> None:
    """Whoever may enter the store is its owner already."""
    status = (mount.store / "control.sock").stat()

    assert stat.S_IMODE(status.st_mode) == 0o600
    assert stat.S_IMODE(mount.store.stat().st_mode) == 0o700


def test_umount_returns_when_the_daemon_is_gone(mount: MountedStore) -> None:
    """Whoever copies the store's directory next gets everything."""
    (mount.path / "f").write_text("x")
    s3fs_local("umount", mount.path)

    assert not any(processes_marked(mount.path))
    assert not is_mounted(mount.path)
    assert answer_of("versions", f"{mount.store}:/f")["Versions"][0]["Size"] == 1


def test_a_busy_mount_stays_and_names_who_uses_it(mount: MountedStore) -> None:
    """So that a person knows which window to close."""
    (mount.path / "f").write_text("x")
    with (mount.path / "f").open():
        refused = s3fs_local("umount", mount.path, check=False)
        assert (mount.path / "f").read_text() == "x"

    assert refused.returncode == ExitCode.MOUNT_FAILED
    assert f"(process {os.getpid()})" in refused.stderr
    inside = run(
        "sh", "-c", f'{" ".join(COMMAND)} umount "$PWD"; exit $?', cwd=mount.path, check=False
    )
    assert "in use by sh (process" in inside.stderr
    assert "python" not in inside.stderr  # the command itself is in nobody's way
    mount.umount()


def test_a_command_that_an_unmount_cuts_off_says_who_unmounted(mount: MountedStore) -> None:
    """At night somebody finds a script that failed; the log names the process, too."""
    answer(mount.store, ChangeSetting("repair-rate", "64KiB"))
    much = SystemRandomness().bytes(16 << 20)  # so a new zone takes minutes
    (mount.path / "f").write_bytes(much)
    with Begun(mount.store, AddZone(str(mount.store.parent / "added"))) as waits:
        waits.wait_until_read()
        umount = subprocess.Popen((*COMMAND, "umount", mount.path))
        by = f"process {umount.pid} of user {os.geteuid()}"
        with pytest.raises(DaemonUnreachable, match=f"before the command was done: {by}"):
            waits.outcome()
        assert umount.wait() == ExitCode.OK

    assert f"{by} unmounts it" in (mount.store / "daemon.log").read_text()


def test_sigterm_unmounts_and_keeps_everything(mount: MountedStore) -> None:
    """How systemd and a shutdown end a daemon; even with a file still open."""
    (mount.path / "f").write_text("x")
    descriptor = os.open(mount.path / "g", os.O_CREAT | os.O_WRONLY)
    os.write(descriptor, b"unclosed")
    [daemon] = processes_marked(mount.path)
    end_of_daemon = os.pidfd_open(daemon)
    os.kill(daemon, signal.SIGTERM)
    ended, _, _ = select.select([end_of_daemon], [], [], 10)
    os.close(end_of_daemon)

    assert ended
    assert not is_mounted(mount.path)
    assert s3fs_local("cat", f"{mount.store}:/g").stdout == "unclosed"
    with suppress(OSError):
        os.close(descriptor)


def test_a_killed_daemon_is_followed_by_a_mount_as_if_nothing_was(mount: MountedStore) -> None:
    """Neither its dead mount nor its socket is in the way, and `umount` clears it up, too."""
    (mount.path / "f").write_text("x")
    with (mount.path / "f").open() as file:
        os.fsync(file.fileno())
    mount.kill()
    mount.mount()
    assert (mount.path / "f").read_text() == "x"
    mount.kill()

    s3fs_local("umount", mount.path)

    assert not is_mounted(mount.path)


def test_the_foreground_daemon_logs_to_stderr_and_tells_systemd(
    store: Path, tmp_path: Path
) -> None:
    """What a unit of Type=notify waits for."""
    point, address = tmp_path / "point", tmp_path / "notify.sock"
    point.mkdir()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(address))
        systemd.settimeout(20)
        with subprocess.Popen(
            [*COMMAND, "mount", "--foreground", store, point],
            env=os.environ | {MARK: str(point), "NOTIFY_SOCKET": str(address)},
            stderr=subprocess.PIPE,
            text=True,
        ) as daemon:
            try:
                assert systemd.recv(100) == b"READY=1"
                assert is_mounted(point)
                mounted = f"STATUS={store} is mounted on {point}"
                assert systemd.recv(1000).decode() == mounted
                assert systemd.recv(1000).decode() == f"{mounted}, and is healthy"
            finally:
                daemon.send_signal(signal.SIGINT)
            _, said = daemon.communicate(timeout=20)

    assert daemon.returncode == ExitCode.OK
    assert "mounted" in said
    assert not is_mounted(point)


def test_a_read_only_mount_refuses_every_change(make_mount: MakeMount, store: Path) -> None:
    """By system call and by command."""
    with pytest.raises(OSError, match="Read-only"):
        (make_mount(store, "ro").path / "f").write_text("x")


def test_options_reach_the_mount(make_mount: MakeMount, store: Path) -> None:
    """Those for us, those for the kernel, and those that are mount(8)'s."""
    mounted = make_mount(store, "_netdev,nofail,noexec", "snapdirname=.history")
    (mounted.path / "f").write_text("x")
    table = Path("/proc/self/mountinfo").read_text()
    [line] = [line for line in table.splitlines() if f" {mounted.path} " in line]

    assert "noexec" in line
    assert f" - fuse.s3fs_local {store} " in line
    assert (mounted.path / ".history" / "f").is_dir()
    assert not (mounted.path / ".versions").exists()


def test_mount_helper_mounts_and_speaks_the_language_of_mount(store: Path, tmp_path: Path) -> None:
    """What /etc/fstab leads to; it returns when the mount is there."""
    mounted = MountedStore(store, tmp_path / "point")
    mounted.path.mkdir()
    script = "from s3fs_local.cli.mount_helper import main; main()"

    def helper(*arguments: str | Path) -> int:
        command = [sys.executable, "-c", script, *arguments]
        environment = {MARK: str(mounted.path)}
        return run(*command, check=False, environment=environment).returncode

    try:
        assert helper(tmp_path, mounted.path, "-o", "rw") == MOUNT_FAILURE
        assert helper(store, mounted.path, "-n", "-o", "rw,_netdev,allow_other") == ExitCode.OK
        assert is_mounted(mounted.path)
        mounted.umount()
    finally:
        mounted.clean_up()


def test_a_passphrase_is_handed_to_the_daemon_unseen(
    make_store: MakeStore, make_mount: MakeMount, tmp_path: Path
) -> None:
    """Neither its command line nor its environment shows it."""
    words = tmp_path / "words"
    words.write_text("correct horse battery staple\n")
    mounted = make_mount(make_store("--passphrase-file", words), f"passphrase_file={words}")
    [daemon] = processes_marked(mounted.path)

    for file in ("cmdline", "environ"):
        assert b"horse" not in Path(f"/proc/{daemon}/{file}").read_bytes()


def test_key_files_may_be_named_relative_to_where_one_is(
    make_store: MakeStore, tmp_path: Path
) -> None:
    """The daemon works in `/`, the person does not."""
    (tmp_path / "words").write_text("correct horse\n")
    mounted = MountedStore(make_store("--passphrase-file", tmp_path / "words"), tmp_path / "point")
    mounted.path.mkdir()
    mark = {MARK: str(mounted.path)}
    mount = ("mount", "store", "point", "-o", "passphrase_file=words,ro")
    try:
        run(*COMMAND, *mount, cwd=tmp_path, environment=mark)
        assert is_mounted(mounted.path)
    finally:
        mounted.clean_up()


def test_a_bind_mount_of_a_folder_is_a_way_in_but_not_the_mount(
    mount: MountedStore, tmp_path: Path
) -> None:
    """Commands follow it into the store; `umount` of it must not end the daemon."""
    (mount.path / "d").mkdir()
    (mount.path / "d" / "f").write_text("x")
    bound = tmp_path / "bound"
    bound.mkdir()
    if run("mount", "--bind", mount.path / "d", bound, check=False).returncode != 0:
        pytest.skip("needs the right to mount")
    try:
        assert answer_of("versions", bound / "f")["Versions"][0]["Key"] == "d/f"
        assert s3fs_local("umount", bound, check=False).returncode == ExitCode.NOT_MOUNTED
        assert (mount.path / "d" / "f").read_text() == "x"
    finally:
        run("umount", bound)


@pytest.fixture
def elsewhere(mount: MountedStore) -> Iterator[subprocess.Popen[bytes]]:
    """A program in a mount namespace of its own, as a container's, made while we were mounted."""
    script = f"{let_go_of_mounts(mount.path)}; echo there; exec sleep 600"
    command = ("unshare", "--mount", "sh", "-c", script)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:
        assert program.stdout is not None
        if program.stdout.readline() != b"there\n":
            pytest.skip("needs the right to make a mount namespace")
        yield program
        program.kill()


def test_umount_says_who_has_the_store_mounted_yet(
    mount: MountedStore, elsewhere: subprocess.Popen[bytes]
) -> None:
    """A container started meanwhile keeps a copy of the mount; waiting for it would take days."""
    (mount.path / "f").write_text("x")
    [daemon] = processes_marked(mount.path)
    handle = os.pidfd_open(daemon)
    try:
        refused = s3fs_local("umount", mount.path, check=False)

        assert refused.returncode == ExitCode.MOUNT_FAILED
        assert f"yet at {mount.path} (sleep, process {elsewhere.pid}):" in refused.stderr
        assert f"kill {daemon}" in refused.stderr
        assert not is_mounted(mount.path)
        assert Path(f"/proc/{elsewhere.pid}/root{mount.path}/f").read_text() == "x"
        elsewhere.kill()
        assert select.select([handle], [], [], 60)[0]
    finally:
        os.close(handle)


def test_umount_says_where_a_bind_mount_keeps_the_store(
    mount: MountedStore, tmp_path: Path
) -> None:
    """A bind mount is easily forgotten, and not seen below the mount point."""
    bound = tmp_path / "bound"
    bound.mkdir()
    if run("mount", "--bind", mount.path, bound, check=False).returncode != 0:
        pytest.skip("needs the right to mount")
    [daemon] = processes_marked(mount.path)
    handle = os.pidfd_open(daemon)
    try:
        refused = s3fs_local("umount", mount.path, check=False)

        assert f"yet at {bound}:" in refused.stderr
        run("umount", bound)
        assert select.select([handle], [], [], 60)[0]
    finally:
        os.close(handle)


@pytest.mark.usefixtures("elsewhere")
def test_a_signal_ends_the_daemon_though_the_store_is_mounted_elsewhere(
    mount: MountedStore,
) -> None:
    """Else a container would keep the machine from shutting down."""
    (mount.path / "f").write_text("x")
    [daemon] = processes_marked(mount.path)
    handle = os.pidfd_open(daemon)
    try:
        os.kill(daemon, signal.SIGTERM)
        assert select.select([handle], [], [], 60)[0]
    finally:
        os.close(handle)

    mount.mount()
    assert (mount.path / "f").read_text() == "x"


def test_status_is_a_file_too(mount: MountedStore) -> None:
    """For a monitoring agent that only reads files."""
    status = json.loads((mount.path / ".s3fs" / "status.json").read_text())

    assert status["Health"] == "healthy"
    assert status["StoreId"] == answer_of("status", mount.path)["StoreId"]


def test_status_of_a_killed_daemons_store_says_what_to_do(mount: MountedStore) -> None:
    """The commonest trouble of all: what to type is in the answer, and typing it helps."""
    mount.kill()
    found = s3fs_local("status", mount.store, check=False)
    assert found.returncode == ExitCode.DEGRADED
    [advice] = [line for line in found.stdout.splitlines() if "mounts it again" in line]
    assert f"`s3fs-local mount {mount.store} {mount.path}`" in advice
    mount.mount()

    assert s3fs_local("status", mount.store).stdout.startswith(f"{mount.store} is healthy\n")


def test_a_read_only_mount_is_no_illness(make_mount: MakeMount, store: Path) -> None:
    """Whoever asked for it needs no alarm, but is told."""
    status = answer_of("status", make_mount(store, "ro").path)

    assert status["Health"] == "healthy"
    assert [(row["Severity"], row["Sentence"]) for row in status["Findings"]] == [
        ("notice", "it is mounted read-only")
    ]


def test_the_daemon_survives_the_terminal_it_was_started_from(mount: MountedStore) -> None:
    """It is in a session of its own, in `/`, with none of our descriptors."""
    [daemon] = processes_marked(mount.path)
    folder = Path(f"/proc/{daemon}")

    assert os.getsid(daemon) == daemon
    assert (folder / "cwd").readlink() == Path("/")
    opened = {str(link.readlink()) for link in (folder / "fd").iterdir()}
    assert not any(target.startswith("pipe:") for target in opened)
