"""A log under COMPLIANCE works on for its writers and stands every attempt on it, root's too."""

import ctypes
import logging
import mmap
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from errno import EEXIST, EINVAL, ENOTDIR, EOPNOTSUPP, EPERM, errorcode
from logging.handlers import WatchedFileHandler
from pathlib import Path
from time import monotonic

import pytest

from tests.conftest import MakeMount, MakeStore
from tests.mounting import MountedStore, run, s3fs_local

pytestmark = [pytest.mark.mount, pytest.mark.slow]

RENAME_NOREPLACE, RENAME_EXCHANGE = 1, 2
FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE = 1, 2
LINES = b"first line\nsecond line\n"
LIBC = ctypes.CDLL(None, use_errno=True)


def checked(result: int) -> None:
    """Raises what a C function left in errno."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def rename2(source: Path, target: Path, flags: int) -> None:
    """Renames with flags, which Python does not offer."""
    here = -100
    checked(LIBC.renameat2(here, bytes(source), here, bytes(target), flags))


def fallocate(descriptor: int, mode: int) -> None:
    """Allocates or punches the first ten bytes."""
    checked(LIBC.fallocate(descriptor, mode, ctypes.c_long(0), ctypes.c_long(10)))


class Target:
    """One file to attack, its surroundings, and what was opened before it was locked."""

    def __init__(self, root: Path, scratch: Path) -> None:
        self.grandparent = root / "records"
        self.parent = self.grandparent / "logs"
        self.parent.mkdir(parents=True)
        self.file = self.parent / "audit.log"
        self.file.write_bytes(LINES)
        os.setxattr(self.file, "user.kept", b"yes")
        self.free = self.parent / "free-name"
        self.outside = root / "outside"
        self.outside.write_bytes(b"forged\n")
        self.other_folder = root / "other"
        self.other_folder.mkdir()
        self.scratch = scratch / "forged"
        self.scratch.write_bytes(b"forged by copy\n")

    def open_handles(self, stack: ExitStack) -> None:
        """Opens what an attacker may hold from before the lock."""
        self.writing = os.open(self.file, os.O_RDWR)
        stack.callback(os.close, self.writing)
        self.appending = os.open(self.file, os.O_WRONLY | os.O_APPEND)
        stack.callback(os.close, self.appending)
        self.reading = os.open(self.file, os.O_RDONLY)
        stack.callback(os.close, self.reading)
        self.map = mmap.mmap(self.writing, len(LINES))

    def source(self) -> int:
        """A descriptor of a file on the same mount to copy from; it is closed with the process."""
        return os.open(self.outside, os.O_RDONLY)

    def fresh(self, name: str) -> Path:
        """A new file of the mount to put in the target's place."""
        path = self.other_folder / name
        path.write_bytes(b"forged\n")
        return path


def with_open(target: Target, flags: int) -> None:
    """Opens the target and closes it."""
    os.close(os.open(target.file, flags))


def splice_into(target: Target) -> None:
    """Moves bytes into an old handle without a write(2)."""
    reader, writer = os.pipe()
    try:
        os.write(writer, b"forged")
        os.splice(reader, target.writing, 6, offset_dst=0)
    finally:
        os.close(reader)
        os.close(writer)


def write_through_old_map(target: Target) -> None:
    """Changes mapped memory; msync may report it, and must when the pages cannot be kept."""
    target.map[0:6] = b"FORGED"
    target.map.flush()
    raise PermissionError(EPERM, "msync said nothing; the content decides")


def reopen_for_writing(target: Target) -> None:
    """Upgrades a read-only descriptor by /proc."""
    os.close(os.open(f"/proc/self/fd/{target.reading}", os.O_WRONLY | os.O_TRUNC))


Attempt = tuple[str, Callable[[Target], object], int]

# By a path, on a file that is locked in whatever way.
BY_PATH: tuple[Attempt, ...] = (
    ("open O_WRONLY|O_TRUNC", lambda t: with_open(t, os.O_WRONLY | os.O_TRUNC), EPERM),
    ("open O_RDONLY|O_TRUNC", lambda t: with_open(t, os.O_RDONLY | os.O_TRUNC), EPERM),
    ("open O_CREAT|O_TRUNC", lambda t: with_open(t, os.O_RDWR | os.O_CREAT | os.O_TRUNC), EPERM),
    ("truncate to 0", lambda t: os.truncate(t.file, 0), EPERM),
    ("truncate shorter", lambda t: os.truncate(t.file, 5), EPERM),
    ("truncate longer", lambda t: os.truncate(t.file, 500), EPERM),
    ("unlink", lambda t: os.unlink(t.file), EPERM),
    ("rmdir", lambda t: os.rmdir(t.file), ENOTDIR),
    ("rename out of the folder", lambda t: os.rename(t.file, t.other_folder / "a"), EPERM),
    ("rename over another file", lambda t: os.rename(t.file, t.fresh("over")), EPERM),
    ("another file renamed over it", lambda t: os.rename(t.fresh("new"), t.file), EPERM),
    ("EXCHANGE", lambda t: rename2(t.file, t.outside, RENAME_EXCHANGE), EPERM),
    ("EXCHANGE, the other way", lambda t: rename2(t.outside, t.file, RENAME_EXCHANGE), EPERM),
    ("NOREPLACE onto it", lambda t: rename2(t.outside, t.file, RENAME_NOREPLACE), EEXIST),
    ("rename of the parent", lambda t: os.rename(t.parent, t.grandparent / "moved"), EPERM),
    ("parent moved out", lambda t: os.rename(t.parent, t.other_folder / "moved"), EPERM),
    ("grandparent", lambda t: os.rename(t.grandparent, t.other_folder / "moved"), EPERM),
    (
        "EXCHANGE of the parent",
        lambda t: rename2(t.parent, t.other_folder, RENAME_EXCHANGE),
        EPERM,
    ),
    (
        "EXCHANGE of the grandparent",
        lambda t: rename2(t.other_folder, t.grandparent, RENAME_EXCHANGE),
        EPERM,
    ),
    ("hard link", lambda t: os.link(t.file, t.other_folder / "link"), EPERM),
    ("link onto it", lambda t: os.link(t.outside, t.file), EEXIST),
    ("symlink onto it", lambda t: os.symlink("x", t.file), EEXIST),
    ("mkdir onto it", lambda t: os.mkdir(t.file), EEXIST),
    ("mknod onto it", lambda t: os.mknod(t.file), EEXIST),
    ("chmod", lambda t: os.chmod(t.file, 0o600), EPERM),
    ("chown", lambda t: os.chown(t.file, 12, 34), EPERM),
    ("utime now", lambda t: os.utime(t.file), EPERM),
    ("utime then", lambda t: os.utime(t.file, ns=(1, 1)), EPERM),
    ("setxattr", lambda t: os.setxattr(t.file, "user.new", b"1"), EPERM),
    ("setxattr over", lambda t: os.setxattr(t.file, "user.kept", b"no"), EPERM),
    ("removexattr", lambda t: os.removexattr(t.file, "user.kept"), EPERM),
    ("mode off", lambda t: os.removexattr(t.file, "s3.object-lock-mode"), EPERM),
    ("date off", lambda t: os.removexattr(t.file, "s3.object-lock-retain-until-date"), EPERM),
    ("lock emptied", lambda t: os.setxattr(t.file, "s3.object-lock", b""), EINVAL),
    ("lock garbled", lambda t: os.setxattr(t.file, "s3.object-lock", b"\xff\xfe"), EINVAL),
    (
        "lock shortened",
        lambda t: os.setxattr(t.file, "s3.object-lock", b"COMPLIANCE 1h"),
        EPERM,
    ),
    (
        "lock weakened",
        lambda t: os.setxattr(t.file, "s3.object-lock", b"GOVERNANCE 99y"),
        EPERM,
    ),
    (
        "date in the past",
        lambda t: os.setxattr(t.file, "s3.object-lock-retain-until-date", b"2001-01-01T00:00:00Z"),
        EINVAL,
    ),
    (
        "date overflowing",
        lambda t: os.setxattr(t.file, "s3.object-lock-retain-until-date", b"9" * 300 + b"y"),
        EINVAL,
    ),
)

# Through what was opened before the lock.
BY_OLD_HANDLE: tuple[Attempt, ...] = (
    ("old descriptor reopened by /proc", reopen_for_writing, EPERM),
    ("old pwrite at 0", lambda t: os.pwrite(t.writing, b"FORGED", 0), EPERM),
    ("old pwrite inside", lambda t: os.pwrite(t.writing, b"FORGED", 7), EPERM),
    ("old pwritev", lambda t: os.pwritev(t.writing, [b"FOR", b"GED"], 0), EPERM),
    ("old write over the end", lambda t: os.pwrite(t.writing, b"FORGED", len(LINES) - 2), EPERM),
    ("old ftruncate", lambda t: os.ftruncate(t.writing, 0), EPERM),
    ("old ftruncate of an appender", lambda t: os.ftruncate(t.appending, 3), EPERM),
    ("old ftruncate longer", lambda t: os.ftruncate(t.writing, 500), EPERM),
    ("old fchmod", lambda t: os.fchmod(t.writing, 0o777), EPERM),
    ("old fchown", lambda t: os.fchown(t.writing, 12, 34), EPERM),
    ("old futimens", lambda t: os.utime(t.writing, ns=(1, 1)), EPERM),
    ("old fsetxattr", lambda t: os.setxattr(t.writing, "user.new", b"1"), EPERM),
    ("old fremovexattr", lambda t: os.removexattr(t.reading, "user.kept"), EPERM),
    (
        "old copy_file_range",
        lambda t: os.copy_file_range(t.source(), t.writing, 6, offset_dst=0),
        EPERM,
    ),
    ("old sendfile", lambda t: os.sendfile(t.writing, t.source(), 0, 6), EPERM),
    ("old splice", splice_into, EPERM),
    (
        "old punch",
        lambda t: fallocate(t.writing, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE),
        EOPNOTSUPP,
    ),
    ("old mapping", write_through_old_map, EPERM),
)

# Appending is the attack on a file that is locked as it stands.
BY_APPENDING: tuple[Attempt, ...] = (
    ("open O_WRONLY", lambda t: with_open(t, os.O_WRONLY), EPERM),
    ("open O_RDWR", lambda t: with_open(t, os.O_RDWR), EPERM),
    ("open O_APPEND", lambda t: with_open(t, os.O_WRONLY | os.O_APPEND), EPERM),
    ("old append", lambda t: os.write(t.appending, b"forged\n"), EPERM),
    ("rename inside the folder", lambda t: os.rename(t.file, t.free), EPERM),
)

# Programs, run in the folder of the file `audit.log`, with `forged` to put in its place.
BY_TOOL = (
    "sed -i s/first/forged/ audit.log",
    "cp $forged audit.log",
    "cp --force $forged audit.log",
    "cp --remove-destination $forged audit.log",
    "mv --force $forged audit.log",
    "mv audit.log ../../other/",
    "rm --force audit.log",
    "rm -r --force ../logs",
    "shred -u audit.log",
    "truncate --size 0 audit.log",
    "tee audit.log <$forged",
    "dd if=$forged of=audit.log conv=notrunc",
    "install $forged audit.log",
    "ln --force $forged audit.log",
    "ln --symbolic --force $forged audit.log",
    "rsync --inplace --ignore-times $forged audit.log",
    "rsync --ignore-times $forged audit.log",
    "vim -es -u NONE -c '%d' -c 'w!' -c 'q!' audit.log",
    "tar -xf $archive --overwrite",
    "tar -xf $archive --unlink-first",
    "chmod a+w audit.log",
    "touch audit.log",
    "setfattr -x user.kept audit.log",
    "setfacl -m u:12:rwx audit.log",
    ": >audit.log",
)


def state_of(path: Path) -> tuple[object, ...]:
    """All that an attempt might have changed."""
    status = path.stat()
    return (
        path.read_bytes(),
        status.st_mode,
        status.st_uid,
        status.st_gid,
        status.st_mtime_ns,
        status.st_nlink,
        os.getxattr(path, "user.kept"),
        os.getxattr(path, "s3.object-lock-mode"),
        os.getxattr(path, "s3.object-lock-retain-until-date"),
    )


def is_soon(expected: object, found: Callable[[], object]) -> bool:
    """Pages of a mapping that were refused are dropped right after the refusal, from a thread."""
    give_up = monotonic() + 5
    while found() != expected:
        if monotonic() > give_up:
            return False
    return True


def successes(target: Target, attempts: tuple[Attempt, ...]) -> list[str]:
    """Tries all; one line for each that did not fail as it must, or that left a trace."""
    before = state_of(target.file)
    wrong = []
    for name, attempt, expected in attempts:
        outcome = "no error"
        try:
            attempt(target)
        except OSError as error:
            outcome = errorcode.get(error.errno or 0, "?")
        if outcome != errorcode[expected]:
            wrong.append(f"{name}: {outcome} instead of {errorcode[expected]}")
        try:
            changed = not is_soon(before, lambda: state_of(target.file))
        except OSError as error:
            wrong.append(f"{name}: the file is gone ({error})")
            break
        if changed:
            wrong.append(f"{name}: left {state_of(target.file)} instead of {before}")
            before = state_of(target.file)
    return wrong


def tool_successes(target: Target) -> list[str]:
    """Runs all tools; one line for each that claims success or that left a trace."""
    run("tar", "-cf", target.scratch.parent / "archive.tar", "-C", target.parent, "audit.log")
    before = state_of(target.file)
    wrong = []
    for command in BY_TOOL:
        forged = target.fresh("forged")
        script = f"forged={forged} archive={target.scratch.parent}/archive.tar; {command}"
        result = run("bash", "-c", script, cwd=target.parent, check=False)
        if result.returncode == 0:
            wrong.append(f"{command}: exit 0")
        try:
            changed = not is_soon(before, lambda: state_of(target.file))
        except OSError as error:
            wrong.append(f"{command}: the file is gone ({error})")
            break
        if changed:
            wrong.append(f"{command}: left {state_of(target.file)} instead of {before}")
            before = state_of(target.file)
    return wrong


@pytest.fixture
def locking(make_store: MakeStore, make_mount: MakeMount) -> MountedStore:
    """A mounted store that was made with Object Lock."""
    return make_mount(make_store("--object-lock"))


@pytest.fixture
def target(locking: MountedStore, tmp_path: Path) -> Iterator[Target]:
    """A file with its old handles, not locked yet."""
    made = Target(locking.path, tmp_path)
    with ExitStack() as stack:
        made.open_handles(stack)
        yield made
        with suppress(OSError, ValueError):
            made.map.close()


def test_a_compliance_locked_file_stands_every_system_call(target: Target) -> None:
    """Also as root, and also through handles and mappings from before the lock."""
    s3fs_local("retention", "set", "compliance", "30d", target.file, "--cut-writers")

    assert successes(target, BY_PATH + BY_APPENDING + BY_OLD_HANDLE) == []


def test_a_compliance_locked_file_stands_every_tool(target: Target) -> None:
    """What people would really type to change a record."""
    s3fs_local("retention", "set", "compliance", "30d", target.file, "--cut-writers")

    assert tool_successes(target) == []


def test_the_lock_outlives_a_remount_and_a_killed_daemon(
    locking: MountedStore, tmp_path: Path
) -> None:
    """A lock that is granted is durable, else a kill at the right moment would undo it."""
    made = Target(locking.path, tmp_path)
    s3fs_local("retention", "set", "compliance", "30d", made.file)
    locking.kill()
    locking.mount()
    assert successes(made, BY_PATH) == []
    locking.remount()

    assert successes(made, BY_PATH) == []


def test_an_append_only_log_takes_lines_and_nothing_else(target: Target) -> None:
    """Handles from before stay good for appending, which is all that a logger does."""
    s3fs_local("append-only", "set", target.file)
    s3fs_local("retention", "set", "compliance", "30d", target.file)
    assert successes(target, BY_PATH) == []

    os.write(target.appending, b"third line\n")
    with target.file.open("a") as again:
        again.write("fourth line\n")

    assert target.file.read_bytes() == LINES + b"third line\nfourth line\n"


def test_an_append_only_file_refuses_change_through_old_handles(target: Target) -> None:
    """Set on an open file, it cuts nobody off, yet no byte once written can change."""
    s3fs_local("append-only", "set", target.file)
    before = target.file.read_bytes()
    longer = ("old ftruncate longer", "old fsetxattr", "old fremovexattr")
    wrong = []
    for name, attempt, _ in BY_OLD_HANDLE:
        if name in longer:
            continue
        with suppress(OSError):
            attempt(target)
            wrong.append(name)
        if not is_soon(before, lambda: target.file.read_bytes()[: len(before)]):
            wrong.append(f"{name}: content changed")

    assert wrong == []


def test_a_lock_on_a_file_with_a_writer_is_refused(target: Target) -> None:
    """No program may believe in a write that will be refused, unless somebody says so."""
    result = s3fs_local("retention", "set", "compliance", "30d", target.file, check=False)

    assert result.returncode != 0
    assert str(os.getpid()) in result.stderr
    os.pwrite(target.writing, b"FIRST", 0)


def test_python_logging_and_logrotate_work_in_a_protected_folder(
    locking: MountedStore, tmp_path: Path
) -> None:
    """The programs that people already run need no change: rotation seals what was rotated."""
    folder = locking.path / "logs"
    folder.mkdir()
    s3fs_local(*("protect", folder, "--mode", "compliance", "--for", "7y", "--append-only"))
    log = folder / "audit.log"
    logger = logging.getLogger("audit")
    handler = WatchedFileHandler(log)
    logger.addHandler(handler)
    settings = tmp_path / "logrotate.conf"
    settings.write_text(
        f"{log} {{\n  su {os.getuid()} {os.getgid()}\n  rotate 9999\n  dateext\n"
        "  dateformat -%Y%m%d-%s\n  create\n  nocompress\n}\n"
    )

    logger.warning("before")
    run("logrotate", "--force", "--state", tmp_path / "state", settings)
    logger.warning("after")
    handler.close()

    rotated = [path for path in folder.iterdir() if path != log]
    assert len(rotated) == 1
    assert rotated[0].read_text() == "before\n"
    assert log.read_text() == "after\n"
    for attempt in (
        lambda: os.unlink(rotated[0]),
        lambda: rotated[0].write_text("forged"),
        lambda: rotated[0].open("a").close(),
        lambda: os.rename(rotated[0], folder / "again"),
        lambda: os.unlink(log),
        lambda: log.write_text("forged"),
        lambda: os.rename(folder, locking.path / "moved"),
        lambda: os.chmod(rotated[0], 0),
    ):
        with pytest.raises(PermissionError) as refused:
            attempt()
        assert refused.value.errno == EPERM


def test_a_logger_in_another_process_keeps_its_handle_through_rotation(
    locking: MountedStore,
) -> None:
    """A daemon that was not told to reopen goes on writing to the file it has; that is sealed."""
    folder = locking.path / "logs"
    folder.mkdir()
    s3fs_local(*("protect", folder, "--mode", "compliance", "--for", "7y", "--append-only"))
    script = (
        "import sys\n"
        "with open('logs/a.log', 'a', buffering=1) as log:\n"
        "    for line in sys.stdin:\n"
        "        log.write(line); print('ok', flush=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=locking.path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as writer:
        assert writer.stdin
        assert writer.stdout
        for line in ("one\n", "two\n"):
            writer.stdin.write(line)
            writer.stdin.flush()
            assert writer.stdout.readline() == "ok\n"
        writer.communicate()

    assert (folder / "a.log").read_text() == "one\ntwo\n"
    assert writer.returncode == 0


def test_the_parent_of_a_locked_file_can_neither_vanish_nor_be_emptied_of_it(
    target: Target,
) -> None:
    """`rm -r` removes what it may and stops at the record."""
    s3fs_local("retention", "set", "compliance", "30d", target.file, "--cut-writers")
    (target.parent / "loose").write_text("x")

    result = run("rm", "-r", target.grandparent, check=False)

    assert result.returncode != 0
    assert "Operation not permitted" in result.stderr
    assert target.file.read_bytes() == LINES
    assert not (target.parent / "loose").exists()
