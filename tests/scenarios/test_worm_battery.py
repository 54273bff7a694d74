"""The battery: named attempts on locked files, on a real mount, as root and as the files' owner.

One test is one attempt in one state by one identity. All share a mount, for every one is refused:
with the right errno, and with content (by hash), metadata, lock and versions as they were.
"""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from errno import EROFS, errorcode
from functools import partial
from pathlib import Path
from time import monotonic, sleep

import pytest

from s3fs_local.cli.exit_codes import ExitCode
from s3fs_local.cli.main import run as run_command
from tests.mounting import MountedStore, answer_of, s3fs_local
from tests.scenarios.worm_attempts import (
    BY_APPENDING,
    BY_OLD_APPENDER,
    BY_OLD_HANDLE,
    BY_PATH,
    BY_VIEW,
    BY_WEAKER_LOCK,
    LINES,
    Attempt,
    Target,
    is_soon,
    state_of,
)

pytestmark = [pytest.mark.mount, pytest.mark.slow]

OWNER = 12021
OF_A_USER_WITHOUT_PROC = {
    *("old descriptor reopened by /proc", "reopened from O_PATH", "hard link of a descriptor"),
}
"""They go by /proc/self, which is root's in a process that changed its user."""

FROZEN = BY_PATH + BY_VIEW + BY_APPENDING
ATTEMPTS: dict[str, tuple[Attempt, ...]] = {
    "GOVERNANCE": FROZEN + BY_OLD_HANDLE + BY_OLD_APPENDER + BY_WEAKER_LOCK["GOVERNANCE"],
    "COMPLIANCE": FROZEN + BY_OLD_HANDLE + BY_OLD_APPENDER + BY_WEAKER_LOCK["COMPLIANCE"],
    "legal hold": FROZEN + BY_OLD_HANDLE + BY_OLD_APPENDER,
    "locked at close": FROZEN + BY_WEAKER_LOCK["COMPLIANCE"],
    "locked when quiet": FROZEN + BY_WEAKER_LOCK["COMPLIANCE"],
    "locked by chmod": FROZEN + BY_WEAKER_LOCK["COMPLIANCE"],
    "rotated": FROZEN + BY_WEAKER_LOCK["COMPLIANCE"],
    "append-only": BY_PATH + BY_VIEW,
}
STATES: dict[Attempt, list[str]] = {}
for of_state, tried in ATTEMPTS.items():
    for one in tried:
        STATES.setdefault(one, []).append(of_state)
CASES = [
    pytest.param(attempt, identity, id=f"{attempt[0]}, as {identity}")
    for attempt in STATES
    for identity in ("root", "owner")
    if identity == "root" or attempt[0] not in OF_A_USER_WITHOUT_PROC
]


def ended(*words: str | Path) -> int:
    """The exit code of a command, run in this process: a new one for each would take minutes."""
    mask = os.umask(0o022)
    try:
        return run_command([*map(str, words)])
    finally:
        os.umask(mask)


def command(*words: str | Path) -> None:
    """The command succeeds."""
    assert ended(*words) == ExitCode.OK, words


def protect(folder: Path, *options: str) -> None:
    """New files in the folder are locked."""
    command("protect", folder, "--mode", "compliance", "--for", "30d", *options)


def make(state: str, root: Path, scratch: Path, stack: ExitStack) -> Target:
    """A file of that state, with its surroundings."""
    root.mkdir()
    scratch.mkdir(parents=True)
    by_policy = {
        "locked at close": (),
        "locked when quiet": ("--commit", "quiet=1s"),
        "locked by chmod": ("--commit", "chmod"),
        "rotated": ("--append-only",),
    }
    target = Target(root, scratch)
    if state in by_policy:
        protect(target.parent, *by_policy[state])
        target.file.unlink()
        made = target.parent / ("current" if state == "rotated" else target.file.name)
        made.write_bytes(b"")
        os.chown(made, OWNER, OWNER)
        os.setxattr(made, "user.kept", b"yes")
        with made.open("ab") as written:
            written.write(LINES)
        if state == "locked by chmod":
            made.chmod(0o444)
        if state == "rotated":
            made.rename(target.file)
    target.reading = os.open(target.file, os.O_RDONLY)
    stack.callback(os.close, target.reading)
    for path in (root, *root.rglob("*")):
        with suppress(PermissionError):  # what its directory has locked is the owner's already
            os.chown(path, OWNER, OWNER, follow_symlinks=False)
    if state in ("GOVERNANCE", "COMPLIANCE", "legal hold"):
        target.open_handles(stack)
    match state:
        case "GOVERNANCE" | "COMPLIANCE":
            command("retention", "set", state.lower(), "30d", target.file, "--cut-writers")
        case "legal hold":
            words = ("--case", "17", "--reason", "court", "--cut-writers")
            command("legal-hold", "set", target.file, *words)
        case "append-only":
            command("append-only", "set", target.file)
            command("retention", "set", "compliance", "30d", target.file)
        case _:
            pass  # its folder has locked it
    return target


def wait_until_locked(path: Path) -> None:
    """The background task locks what is quiet."""
    give_up = monotonic() + 60
    while True:
        with suppress(OSError):
            os.getxattr(path, "s3.object-lock")
            return
        assert monotonic() < give_up
        sleep(0.2)


class Battery:
    """A mount with a file in every state."""

    def __init__(self, mounted: MountedStore, scratch: Path, stack: ExitStack) -> None:
        self.mounted = mounted
        self.targets = {
            state: make(state, mounted.path / f"state {number}", scratch / str(number), stack)
            for number, state in enumerate(ATTEMPTS)
        }
        wait_until_locked(self.targets["locked when quiet"].file)
        self.states = {state: state_of(target.file) for state, target in self.targets.items()}


@pytest.fixture(scope="module")
def battery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Battery]:
    """One for all attempts."""
    base = tmp_path_factory.mktemp("battery")
    for folder in (base, *list(base.parents)[:-2]):
        folder.chmod(folder.stat().st_mode | 0o011)  # the owner comes by here
    store, path = base / "store", base / "mount"
    path.mkdir()
    s3fs_local("init", store, "--object-lock")
    mounted = MountedStore(store, path, ("allow_other",) if os.geteuid() == 0 else ())
    with ExitStack() as stack:
        stack.callback(mounted.clean_up)
        mounted.mount()
        yield Battery(mounted, base / "scratch", stack.enter_context(ExitStack()))


@contextmanager
def acting_as(identity: str) -> Iterator[None]:
    """System calls are made as root, or with no more rights than the file's owner has."""
    if identity == "root":
        yield
        return
    if os.geteuid() != 0:
        pytest.skip("becomes another user, which only root can")
    groups = os.getgroups()
    os.setgroups([])
    os.setegid(OWNER)
    os.seteuid(OWNER)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


def outcome_of(act: Callable[[Target], object], target: Target) -> str:
    """The name of the error."""
    try:
        act(target)
    except OSError as error:
        return errorcode.get(error.errno or 0, "?")
    return "no error"


@pytest.mark.parametrize(("attempt", "identity"), CASES)
def test_an_attempt_on_a_locked_file_is_refused(
    battery: Battery, attempt: Attempt, identity: str
) -> None:
    """Errno, content, metadata, lock and versions, in every state in which it is an attempt.

    Where the owner has no write permission (after chmod, in views) the kernel says so before us.
    """
    _, act, expected = attempt
    wrong = []
    for state in STATES[attempt]:
        target = battery.targets[state]
        with acting_as(identity):
            outcome = outcome_of(act, target)
        is_without_rights = identity == "owner" and outcome == "EACCES"
        is_without_rights &= state == "locked by chmod" or expected == EROFS
        if outcome != errorcode[expected] and not is_without_rights:
            wrong.append(f"{state}: {outcome} instead of {errorcode[expected]}")
        if not is_soon(battery.states[state], partial(state_of, target.file)):
            wrong.append(f"{state}: {state_of(target.file)} instead of {battery.states[state]}")

    assert wrong == []


# Commands on each locked file, as root: the words, and how they must end.
COMMANDS: dict[str, tuple[tuple[str, ...], ExitCode]] = {
    "clear": (("retention", "clear", "FILE"), ExitCode.PROTECTED),
    "shorten": (("retention", "set", "compliance", "1h", "FILE"), ExitCode.PROTECTED),
    "past": (("retention", "set", "compliance", "2001-01-01", "FILE"), ExitCode.USAGE),
    "overflow": (("retention", "set", "compliance", "9" * 40 + "y", "FILE"), ExitCode.USAGE),
    "cut and shorten": (
        ("retention", "set", "compliance", "1h", "FILE", "--cut-writers"),
        ExitCode.PROTECTED,
    ),
    "hold of no case": (
        ("legal-hold", "clear", "FILE", "--case", "x", "--reason", "y"),
        ExitCode.USAGE,
    ),
    "purge": (("purge", "FILE", "--version", "ID", "--yes"), ExitCode.PROTECTED),
    "restore": (("restore", "FILE", "--at", "1990-01-01"), ExitCode.NOT_FOUND),
    "restore over": (
        ("restore", "OUTSIDE", "--version", "latest", "--to", "FILE"),
        ExitCode.PROTECTED,
    ),
    "undelete": (("undelete", "FILE"), ExitCode.ALREADY_EXISTS),
    "weaker protect": (
        (
            *("protect", "FOLDER", "--mode", "compliance", "--for", "90y", "--append-only"),
            *("--semantics", "s3"),
        ),
        ExitCode.PROTECTED,
    ),
}
ON_THE_STORE: dict[str, tuple[tuple[str, ...], ExitCode]] = {
    "object-lock off": (("config", "set", "STORE", "object-lock", "off"), ExitCode.USAGE),
    "suspend": (("config", "set", "STORE", "versioning", "Suspended"), ExitCode.NOT_SUPPORTED),
    "s3 semantics": (("config", "set", "STORE", "lock-semantics", "s3"), ExitCode.PROTECTED),
    "gc": (("gc", "STORE"), ExitCode.OK),
}
MAY_BE_SHORTENED = ("legal hold",)
"""A hold has no date; what is tried there would add one."""


def end_of(battery: Battery, words: tuple[str, ...], state: str) -> int:
    """The exit code of the command about the file of that state."""
    target = battery.targets[state]
    places = {
        "FILE": str(target.file),
        "OUTSIDE": str(target.outside),
        "FOLDER": str(target.parent),
        "STORE": str(battery.mounted.store),
        "ID": os.getxattr(target.file, "s3.version-id").decode(),
    }
    return ended(*[places.get(word, word) for word in words])


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_on_a_locked_file_is_refused(battery: Battery, name: str) -> None:
    """The other door: the daemon's socket."""
    words, ending = COMMANDS[name]
    wrong = []
    for state, target in battery.targets.items():
        if state in MAY_BE_SHORTENED and name in ("clear", "shorten", "cut and shorten"):
            continue
        found = end_of(battery, words, state)
        is_weaker = name == "weaker protect" and found == ExitCode.USAGE  # a policy says so
        if found != ending and not is_weaker:
            wrong.append(f"{state}: {ExitCode(found).name} instead of {ending.name}")
        if state_of(target.file) != battery.states[state]:
            wrong.append(f"{state}: {state_of(target.file)} instead of {battery.states[state]}")

    assert wrong == []


@pytest.mark.parametrize(
    ("words", "ending"), [pytest.param(*pair, id=name) for name, pair in ON_THE_STORE.items()]
)
def test_a_command_on_the_store_frees_nothing(
    battery: Battery, words: tuple[str, ...], ending: ExitCode
) -> None:
    """Settings that would take the ground from under all locks."""
    found = end_of(battery, words, "COMPLIANCE")

    assert {state: state_of(target.file) for state, target in battery.targets.items()} == (
        battery.states
    )
    assert found == ending


def test_who_was_refused_is_in_the_log(battery: Battery) -> None:
    """With user, process and program: the first question after an incident."""
    target = battery.targets["COMPLIANCE"]
    with acting_as("owner" if os.geteuid() == 0 else "root"), pytest.raises(PermissionError):
        os.unlink(target.file)
    uid = OWNER if os.geteuid() == 0 else os.geteuid()
    expected = f"tried by user {uid}, process {os.getpid()}"
    log = battery.mounted.store / "daemon.log"

    assert is_soon([expected], lambda: re.findall(expected, log.read_text())[:1])
    assert os.getxattr(target.file, "s3.lock-reason").startswith(b"COMPLIANCE retention until ")
    why = answer_of("why", "unlink", target.file)
    assert not why["Allowed"]
    assert why["Rule"].startswith("unlink refused: COMPLIANCE retention until ")
    assert why["WhoMay"] == "nobody before that date, root included"


def test_rm_r_leaves_exactly_what_is_locked(battery: Battery) -> None:
    """Free names go, locked ones stay with EPERM, and so do the folders above them."""
    target = battery.targets["COMPLIANCE"]
    loose = target.parent / "loose"
    loose.write_bytes(b"x")
    result = battery.mounted.run("rm", "-r", target.parent, check=False)

    assert "Operation not permitted" in result.stderr
    assert not loose.exists()
    assert state_of(target.file) == battery.states["COMPLIANCE"]
    with pytest.raises(PermissionError):
        os.rename(target.grandparent, battery.mounted.path / "moved")


def test_the_battery_is_not_small() -> None:
    """As many attempts as were promised, each once."""
    named = {case.id for case in CASES}

    assert len(named) == len(CASES) >= 150


def test_verify_finds_nothing_after_the_attempts(battery: Battery) -> None:
    """Ledger, database and every byte of what is locked agree, whatever was tried before."""
    assert ended("verify", battery.mounted.store) == ExitCode.OK
