"""The programs that write logs, as Debian ships them, into protected directories."""

import logging
import mmap
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from errno import EPERM
from logging.handlers import TimedRotatingFileHandler
from pathlib import Path
from time import monotonic, sleep

import pytest

from tests.conftest import MakeMount, MakeStore
from tests.mounting import MountedStore, run, s3fs_local

pytestmark = [pytest.mark.mount, pytest.mark.slow]

PATIENCE_S = 40
HEADER_BYTES = 4096


@pytest.fixture
def locking(make_store: MakeStore, make_mount: MakeMount) -> MountedStore:
    """A mounted store that was made with Object Lock."""
    return make_mount(make_store("--object-lock"))


def protected(locking: MountedStore, *options: str) -> Path:
    """A directory for logs."""
    folder = locking.path / "logs"
    folder.mkdir()
    s3fs_local("protect", folder, "--mode", "compliance", "--for", "7y", *options)
    return folder


def wait_for(what: Callable[[], object]) -> None:
    """Until it is so. Other programs write when they like, and tell nobody."""
    give_up = monotonic() + PATIENCE_S
    while not what():
        assert monotonic() < give_up, "it never came"
        sleep(0.1)


def holds(path: Path, text: str) -> bool:
    """Whether the file is there and has the text in it."""
    return path.exists() and text in path.read_text()


@contextmanager
def running(*command: str | Path) -> Iterator[subprocess.Popen[bytes]]:
    """A daemon in the foreground, ended after."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as daemon:
        try:
            yield daemon
        finally:
            daemon.terminate()
            daemon.wait(PATIENCE_S)


def assert_sealed(path: Path) -> None:
    """Nothing can be done to a rotated log, by root neither."""
    before = path.read_bytes()
    for attempt in (
        lambda: path.open("ab"),
        lambda: path.write_bytes(b"forged"),
        lambda: os.truncate(path, 0),
        lambda: os.rename(path, path.with_suffix(".moved")),
        path.unlink,
        lambda: path.chmod(0o777),
    ):
        with pytest.raises(PermissionError) as refused:
            attempt()
        assert refused.value.errno == EPERM
    assert path.read_bytes() == before
    assert os.getxattr(path, "s3.object-lock-mode") == b"COMPLIANCE"


def why_no_audit() -> str:
    """Why the kernel's audit cannot be had here; "" if it can."""
    if os.geteuid() != 0:
        return "only root listens to the kernel's audit"
    if shutil.which("auditctl", path="/sbin:/usr/sbin") is None:
        return "auditd is not installed"
    status = run("/sbin/auditctl", "-s", check=False)
    if status.returncode:
        return f"the kernel's audit does not answer: {status.stderr.strip()}"
    if "pid 0\n" not in status.stdout:
        return "another auditd runs"
    return ""


def audit_configuration(folder: Path, log: Path) -> None:
    """auditd.conf as in docs/protect-audit-logs.md, and no plugins."""
    (folder / "plugins").mkdir(parents=True)
    configuration = folder / "auditd.conf"
    configuration.write_text(
        f"local_events = yes\nwrite_logs = yes\nlog_file = {log}\nlog_group = root\n"
        "log_format = ENRICHED\nflush = INCREMENTAL_ASYNC\nfreq = 1\nnum_logs = 5\n"
        "max_log_file = 8\nmax_log_file_action = IGNORE\nspace_left = 2\n"
        "space_left_action = SYSLOG\nadmin_space_left = 1\nadmin_space_left_action = SYSLOG\n"
        "disk_full_action = SUSPEND\ndisk_error_action = SUSPEND\n"
        f"plugin_dir = {folder / 'plugins'}\n"
    )
    configuration.chmod(0o640)


@pytest.mark.skipif(bool(why_no_audit()), reason=why_no_audit() or "-")
def test_auditd_writes_rotates_and_starts_again(locking: MountedStore, tmp_path: Path) -> None:
    """The kernel's own audit records; a second start finds the log and appends to it."""
    folder = protected(locking, "--append-only")
    log = folder / "audit.log"
    audit_configuration(tmp_path / "audit", log)
    start = ("/sbin/auditd", "-n", "-c", tmp_path / "audit")

    def say(text: str) -> bool:
        run("/sbin/auditctl", "-m", text, check=False)
        return holds(log, text)

    with running(*start) as auditd:
        wait_for(lambda: say("before-rotation"))
        log.rename(folder / "audit.log.2026-11-28")
        auditd.send_signal(signal.SIGUSR1)  # as `postrotate` does
        wait_for(lambda: say("after-rotation"))
        wait_for(lambda: os.getxattr(folder / "audit.log.2026-11-28", "s3.object-lock"))
        assert_sealed(folder / "audit.log.2026-11-28")
    with running(*start):
        wait_for(lambda: say("second-start"))

    assert "before-rotation" in (folder / "audit.log.2026-11-28").read_text()
    assert [word in log.read_text() for word in ("after-rotation", "second-start")] == [True, True]
    with pytest.raises(PermissionError):
        log.write_bytes(b"forged")


@pytest.mark.skipif(
    shutil.which("rsyslogd", path="/sbin:/usr/sbin") is None, reason="rsyslog is not installed"
)
def test_rsyslog_and_logrotate_work_unmodified(locking: MountedStore, tmp_path: Path) -> None:
    """A message over the socket, a rotation with SIGHUP, and a message more."""
    folder = protected(locking, "--append-only")
    log = folder / "messages"
    door = tmp_path / "log.sock"
    pid_file = tmp_path / "rsyslogd.pid"
    configuration = tmp_path / "rsyslog.conf"
    configuration.write_text(
        'module(load="imuxsock" SysSock.Use="off")\n'
        f'input(type="imuxsock" Socket="{door}")\n'
        f'action(type="omfile" file="{log}" sync="on")\n'
    )
    rotation = tmp_path / "logrotate.conf"
    rotation.write_text(
        f"{log} {{\n  su {os.getuid()} {os.getgid()}\n  rotate 9999\n  dateext\n"
        "  dateformat -%Y%m%d-%s\n  create\n  nocompress\n"
        f"  postrotate\n    kill -HUP $(cat {pid_file})\n  endscript\n}}\n"
    )

    def say(text: str) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.connect(str(door))
            sender.send(f"<13>test: {text}".encode())

    with running("/usr/sbin/rsyslogd", "-n", "-f", configuration, "-i", pid_file):
        wait_for(lambda: door.exists() and pid_file.exists())
        say("before-rotation")
        wait_for(lambda: holds(log, "before-rotation"))
        run("logrotate", "--force", "--state", tmp_path / "state", rotation)
        say("after-rotation")
        wait_for(lambda: holds(log, "after-rotation"))

    rotated = [path for path in folder.iterdir() if path != log]
    assert len(rotated) == 1
    assert "before-rotation" in rotated[0].read_text()
    assert_sealed(rotated[0])


def test_pythons_timed_rotation_seals_each_file(locking: MountedStore) -> None:
    """Its names have dates, so nothing that is sealed has to move again."""
    folder = protected(locking, "--append-only")
    logger = logging.getLogger("timed")
    handler = TimedRotatingFileHandler(folder / "app.log", when="S", backupCount=0, utc=True)
    logger.addHandler(handler)
    for number in range(3):
        logger.warning("line %d", number)
        handler.rolloverAt -= 3600 * (3 - number)  # each rotation has a name of its own
        handler.doRollover()
    logger.warning("the last")
    handler.close()

    rotated = sorted(folder.glob("app.log.*"))
    assert [path.read_text() for path in rotated] == [f"line {n}\n" for n in range(3)]
    for path in rotated:
        assert_sealed(path)
    assert (folder / "app.log").read_text() == "the last\n"


def test_a_file_written_as_journald_does_is_locked_when_it_is_archived(
    locking: MountedStore,
) -> None:
    """A header that is changed in place needs a directory that commits by close.

    Allocated ahead, written through a mapping, renamed while open, marked as archived, closed.
    """
    folder = protected(locking, "--commit", "close")
    live, archived = folder / "system.journal", folder / "system@0001.journal"
    with ExitStack() as stack:
        descriptor = os.open(live, os.O_RDWR | os.O_CREAT, 0o640)
        stack.callback(os.close, descriptor)
        os.posix_fallocate(descriptor, 0, 16 * HEADER_BYTES)
        pages = mmap.mmap(descriptor, 16 * HEADER_BYTES)
        stack.callback(pages.close)
        for number in range(8):
            pages[:8] = number.to_bytes(8, "little")  # the header counts
            start = HEADER_BYTES * (1 + number)
            pages[start : start + 8] = b"an entry"
            pages.flush()
        live.rename(archived)
        pages[8:16] = b"ARCHIVED"
        pages.flush()

    wait_for(lambda: s3fs_local("retention", "info", archived).stdout.count("COMPLIANCE"))
    assert archived.read_bytes()[:16] == (7).to_bytes(8, "little") + b"ARCHIVED"
    assert_sealed(archived)
