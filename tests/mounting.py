"""A store that a test drives from outside: by the command line and by a real mount.

Nothing here imports the package. What a test sees is what a person would see.
"""

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

COMMAND = (sys.executable, "-m", "s3fs_local")
COMMAND_SECONDS_MAX = 200

# Every daemon under test carries this variable, so that it can be found and ended whatever happens.
MARK = "S3FS_LOCAL_UNDER_TEST"

# A daemon that runs wild dies before the machine does: first by its own limit, then as the first
# choice of the kernel. 8 GiB of address space is far above any honest need.
CAUTIOUSLY = (
    "sh",
    "-c",
    'echo 800 >/proc/self/oom_score_adj; ulimit -v 8388608; exec "$@"',
    "cautiously",
)

# As of an installed program the modules are compiled once, also where Python may leave nothing
# beside them: that is half of what a command and a daemon take to start.
COMPILED_ONCE = {
    "PYTHONDONTWRITEBYTECODE": "",
    "PYTHONPYCACHEPREFIX": str(Path(__file__).parents[1] / ".venv" / "pycache"),
}

Completed = subprocess.CompletedProcess[str]


class CommandFailed(AssertionError):
    """A command that had to work ended with an error."""


def run(
    *command: str | Path,
    cwd: Path | None = None,
    check: bool = True,
    environment: dict[str, str] | None = None,
    input_text: str = "",
) -> Completed:
    """Runs a program to its end and returns what it printed.

    Raises:
        CommandFailed: it exited with an error and `check` is set.
        subprocess.TimeoutExpired: it took so long that the machine must be blamed, or a hang.
    """
    result = subprocess.run(
        command,
        cwd=cwd,
        env=os.environ | COMPILED_ONCE | (environment or {}),
        input=input_text,
        capture_output=True,
        text=True,
        errors="surrogateescape",
        timeout=COMMAND_SECONDS_MAX,
        check=False,
    )
    if check and result.returncode != 0:
        words = " ".join(str(word) for word in command)
        raise CommandFailed(f"{words}\nexit {result.returncode}\n{result.stdout}\n{result.stderr}")
    return result


def s3fs_local(*arguments: str | Path, check: bool = True) -> Completed:
    """Runs the command line of the package."""
    return run(*COMMAND, *arguments, check=check)


def answer_of(*arguments: str | Path) -> Any:  # noqa: ANN401 -- JSON has no narrower type
    """What the command says when asked for JSON."""
    return json.loads(s3fs_local(*arguments, "--json").stdout)


def instant_now() -> str:
    """This moment as RFC 3339, to the microsecond."""
    now = datetime.now(UTC)  # noqa: TID251 -- the clock of the world outside, which tests compare with
    return now.isoformat(timespec="microseconds").replace("+00:00", "Z")


def mounts_below(folder: Path) -> list[Path]:
    """Mount points at or below the folder, innermost first; never touches the mounts themselves."""
    points = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        point = Path(line.split(" ")[4].encode().decode("unicode_escape"))
        if point.is_relative_to(folder):
            points.append(point)
    return points[::-1]


def wait_until(is_so: Callable[[], object]) -> None:
    """Asked again and again, for a minute at most: nobody tells of what other processes do."""
    for _ in range(600):
        if is_so():
            return
        subprocess.run(["sleep", "0.1"], check=True)
    raise AssertionError("not within a minute")


def is_mounted(point: Path) -> bool:
    """Whether something is mounted exactly there."""
    return point in mounts_below(point)


def processes_marked(value: Path) -> Iterator[int]:
    """Process ids of all daemons under test whose mark is at or below the path."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            variables = (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        for variable in variables:
            name, _, content = variable.partition(b"=")
            if name == MARK.encode() and Path(os.fsdecode(content)).is_relative_to(value):
                yield int(entry.name)


def end_processes(process_ids: Iterable[int]) -> list[int]:
    """SIGKILLs them, waits until they have let go of all they held, and returns their ids."""
    ended = []
    for process_id in process_ids:
        with suppress(ProcessLookupError):
            handle = os.pidfd_open(process_id)
            signal.pidfd_send_signal(handle, signal.SIGKILL)
            select.select([handle], [], [])
            os.close(handle)
            ended.append(process_id)
    return ended


def let_go_of_mounts(own: Path | None = None) -> str:
    """A shell line for a new mount namespace, which has copies of all mounts there are.

    A daemon lives as long as any namespace has its mount. So those of other tests go, all but those
    below `own`.
    """
    others = f'$3 ~ /^fuse/ && index($2, "{own or "-"}") != 1'
    return f"awk '{others} {{print $2}}' /proc/mounts | xargs -r umount -il || true"


def unmount_by_force(point: Path) -> None:
    """Takes the mount out of the tree, whatever state it is in."""
    for command in (["fusermount3", "-uz"], ["umount", "-l"]):
        if is_mounted(point):
            subprocess.run([*command, point], capture_output=True, timeout=20, check=False)


class MountedStore:
    """A store and the directory on which it is mounted, each with a life of its own."""

    def __init__(self, store: Path, path: Path, options: Sequence[str] = ()) -> None:
        self.store = store
        self.path = path
        self.options = tuple(options)
        self.environment: dict[str, str] = {}  # of the daemon

    def mount(self, *, check: bool = True) -> Completed:
        """Mounts the store and returns when files can be used."""
        options = [word for option in self.options for word in ("-o", option)]
        return run(
            *CAUTIOUSLY,
            *COMMAND,
            "mount",
            self.store,
            self.path,
            *options,
            check=check,
            environment={**self.environment, MARK: str(self.path)},
        )

    def umount(self) -> None:
        """Unmounts as a person does, and waits until the daemon has ended."""
        s3fs_local("umount", self.path)
        assert not is_mounted(self.path)

    def remount(self) -> None:
        """Unmounts, where it is mounted, and mounts again."""
        if is_mounted(self.path) and list(processes_marked(self.path)):
            self.umount()
        self.mount()

    def kill(self) -> None:
        """SIGKILLs the daemon: what it did not make durable is gone."""
        ended = end_processes(processes_marked(self.path))
        assert ended, "no daemon was there to kill"

    def clean_up(self) -> None:
        """Leaves neither mount nor process, whatever the test did."""
        if is_mounted(self.path) and any(processes_marked(self.path)):
            with suppress(subprocess.TimeoutExpired):
                s3fs_local("umount", self.path, check=False)
        end_processes(processes_marked(self.path))
        unmount_by_force(self.path)

    def run(self, *command: str | Path, check: bool = True) -> Completed:
        """Runs a program inside the mounted directory."""
        return run(*command, cwd=self.path, check=check)

    def sh(self, script: str) -> str:
        """Runs shell lines inside the mounted directory; stops at the first that fails."""
        return self.run("sh", "-euc", script).stdout

    def versions(self, path: str | Path) -> list[Path]:
        """The version files of a path, oldest first, as `.versions` lists them."""
        file = self.path / path
        listing = file.parent / ".versions" / file.name
        # In the order of the listing: names tell the time to the millisecond, which may be shared.
        newest_first = os.listdir(listing)  # noqa: PTH208 -- Path.iterdir promises no order
        return [listing / name for name in reversed(newest_first) if "~" in name]

    def contents(self, path: str | Path) -> list[str]:
        """What each version of the file held, oldest first."""
        return [version.read_text() for version in self.versions(path)]

    def names_with_history(self, folder: str | Path = ".") -> set[str]:
        """All names that `.versions` of the folder lists."""
        return {entry.name for entry in (self.path / folder / ".versions").iterdir()}
