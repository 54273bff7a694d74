"""A directory in which work is measured: plain, or mounted by a peer or by us."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, Final, NamedTuple

from tests.mounting import (
    MARK,
    end_processes,
    is_mounted,
    mounts_below,
    processes_marked,
    unmount_by_force,
)

OURS: Final = "s3fs-local"
NATIVE: Final = "native"
MOUNT_SECONDS_MAX: Final = 60.0
DROP_CACHES: Final = Path("/proc/sys/vm/drop_caches")


class Measured(NamedTuple):
    """A figure of one round, and what an operation cost the daemon."""

    row: str
    value: float
    cpu_us: float | None = None
    requests: float | None = None  # only ours are counted


class Usage(NamedTuple):
    """What the daemon of a place has used so far."""

    cpu_ns: int
    requests: int | None


class PeerFailed(Exception):
    """A program did not do what it had to; says which, and its own words."""


def run(*command: str | Path, environment: dict[str, str] | None = None) -> str:
    """What the program prints.

    Raises:
        PeerFailed: it ended with an error.
    """
    with tempfile.TemporaryFile("w+") as output:  # a daemon may keep it: a pipe would have no end
        result = subprocess.run(
            command,
            env=os.environ | (environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
        output.seek(0)
        printed = output.read()
    if result.returncode != 0:
        words = " ".join(str(word) for word in command)
        raise PeerFailed(f"{words}: exit {result.returncode}\n{printed}")
    return printed


def wait_until(is_so: Callable[[], bool], what: str) -> None:
    """It is so.

    Raises:
        PeerFailed: it is not, after a minute.
    """
    deadline = time.monotonic() + MOUNT_SECONDS_MAX
    while not is_so():
        if time.monotonic() > deadline:
            raise PeerFailed(f"{what}: not after {MOUNT_SECONDS_MAX:.0f} s")
        time.sleep(0.005)


class Place:
    """A plain directory; what is mounted says how in `make` and `mount`."""

    name: ClassVar[str] = NATIVE
    program: ClassVar[str] = ""  # without which it is missing
    install: ClassVar[str] = "scripts/setup --peers"

    def __init__(self, base: Path) -> None:
        self.base = base / self.name.replace(" ", "-")
        self.path = self.base / "mount"
        self._daemons: list[int] = []

    @classmethod
    def found(cls) -> str | None:
        """Where its program is; None where it is not installed."""
        return shutil.which(cls.program) if cls.program else ""

    @classmethod
    def version(cls) -> str:
        """In the words of its program."""
        return os.uname().release

    @property
    def environment(self) -> dict[str, str]:
        """With a mark, by which its processes are found whatever happens."""
        return {MARK: str(self.base)}

    def make(self) -> None:
        """An empty store is there, not mounted."""
        self.path.mkdir(parents=True)

    def mount(self) -> None:
        """Files can be used at `path`."""

    def unmount(self) -> None:
        """Everything written is in the store, and the daemon is gone."""
        if not is_mounted(self.path):
            return
        run("fusermount3", "-u", self.path)
        wait_until(lambda: not any(processes_marked(self.base)), f"{self.name}: end of its daemon")

    def forget(self) -> None:
        """Nothing is cached: mounted anew, and the kernel has no page of what lies below."""
        self.unmount()
        os.sync()
        if os.access(DROP_CACHES, os.W_OK):
            DROP_CACHES.write_text("3")
        self.begin()

    def begin(self) -> None:
        """Mounted, with the daemon known."""
        self.mount()
        if self.program:
            wait_until(lambda: is_mounted(self.path), f"{self.name}: mount")
        self._daemons = list(processes_marked(self.base)) if self.program else []

    @property
    def daemons(self) -> list[int]:
        """Ids of its processes."""
        return self._daemons

    def requests(self) -> int | None:
        """Requests that the daemon has answered so far, where it counts them."""
        return None

    def usage(self) -> Usage:
        """What the daemon has used so far."""
        return Usage(sum(map(cpu_ns_of, self._daemons)), self.requests())

    def used(self, before: Usage, operations: float) -> tuple[float | None, float | None]:
        """CPU time in µs and requests since then, for each operation."""
        after = self.usage()
        cpu_us = (after.cpu_ns - before.cpu_ns) / 1e3 / operations if self._daemons else None
        if after.requests is None or before.requests is None:
            return cpu_us, None
        return cpu_us, (after.requests - before.requests) / operations

    def time(self, action: Callable[[], object]) -> int:
        """Nanoseconds that the action took."""
        start_ns = time.perf_counter_ns()
        action()
        return time.perf_counter_ns() - start_ns

    def clean_up(self) -> None:
        """Neither mount nor process is left, whatever state they are in."""
        try:
            self.unmount()
        except (PeerFailed, OSError):
            pass
        finally:
            for point in mounts_below(self.base):
                unmount_by_force(point)
            end_processes(processes_marked(self.base))
            shutil.rmtree(self.base, ignore_errors=True)


def cpu_ns_of(process_id: int) -> int:
    """CPU time of all its threads, also of those that have ended; 0 for a process that is gone."""
    try:
        return time.clock_gettime_ns((~process_id << 3) | 2)  # clock_getcpuclockid(3)
    except OSError:
        return 0


@contextmanager
def opened(place: Place) -> Iterator[Place]:
    """The place, mounted for the time of the block; nothing of it is left afterwards."""
    try:
        place.make()
        place.begin()
        yield place
    finally:
        place.clean_up()
