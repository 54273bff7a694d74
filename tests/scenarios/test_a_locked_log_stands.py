"""A log under COMPLIANCE works on for its writers and stands every attempt on it, root's too."""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from errno import EPERM, errorcode
from logging.handlers import WatchedFileHandler
from pathlib import Path

import pytest

from tests.conftest import MakeMount, MakeStore
from tests.mounting import MountedStore, run, s3fs_local
from tests.scenarios.worm_attempts import (
    BY_OLD_HANDLE,
    BY_PATH,
    LINES,
    Attempt,
    Target,
    is_soon,
    state_of,
)

pytestmark = [pytest.mark.mount, pytest.mark.slow]

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


def test_what_a_mapping_held_when_the_writers_were_cut_is_kept(target: Target) -> None:
    """The kernel sends its dirty pages before the lock falls, and forgets later ones."""
    target.map[0:5] = b"DIRTY"
    s3fs_local("retention", "set", "compliance", "30d", target.file, "--cut-writers")
    kept = target.file.read_bytes()
    target.map[0:5] = b"AFTER"
    with suppress(OSError):
        target.map.flush()

    assert kept == b"DIRTY" + LINES[5:]
    assert is_soon(kept, target.file.read_bytes)


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
