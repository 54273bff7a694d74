"""Our own mounts as places, with the counters of their daemons."""

import sys
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import ClassVar, Final

import msgspec

from s3fs_local.control.client import connect
from s3fs_local.control.requests import DescribeActivity, Request
from s3fs_local.control.results.activity import ActivitySample
from s3fs_local.errors import S3fsLocalError
from tests.bench.place import OURS, PeerFailed, Place, run, wait_until
from tests.mounting import is_mounted, processes_marked

COMMAND: Final = (sys.executable, "-m", "s3fs_local")
ASYNCHRONOUS: Final = {"release", "releasedir", "forget"}  # nobody waits for their answer


class Ours(Place):
    """A store with default settings: versions and encryption on, one zone."""

    name: ClassVar[str] = OURS
    program: ClassVar[str] = sys.executable

    def __init__(self, base: Path) -> None:
        super().__init__(base)
        self.store = self.base / "store"

    @classmethod
    def version(cls) -> str:
        """See `Place.version`."""
        return version("s3fs-local")

    def make(self) -> None:
        """See `Place.make`."""
        super().make()
        run(*COMMAND, "init", self.store, *self.zones())

    def zones(self) -> tuple[str, ...]:
        """Where it keeps its bytes, in words of `init`."""
        return ()

    def mount(self) -> None:
        """See `Place.mount`."""
        run(*COMMAND, "mount", self.store, self.path, environment=self.environment)

    def unmount(self) -> None:
        """See `Place.unmount`."""
        if is_mounted(self.path):
            run(*COMMAND, "umount", self.path)
            wait_until(lambda: not any(processes_marked(self.base)), "end of our daemon")

    def ask(self, request: Request) -> object:
        """What came of a request to the daemon, without a process of the command line."""
        client = connect(self.store)
        if client is None:
            raise PeerFailed(f"no daemon has {self.store}")
        try:
            with client:
                return client.ask(request, on_progress=lambda _: None, on_data=lambda _: None)
        except S3fsLocalError as error:
            raise PeerFailed(f"{request}: {error}") from error

    def activity(self) -> ActivitySample:
        """What the daemon has done so far."""
        return msgspec.convert(self.ask(DescribeActivity()), ActivitySample)

    def kinds(self) -> Counter[str]:
        """How many requests of each kind the daemon has answered."""
        return Counter({row.kind: row.count for row in self.activity().kinds})

    def requests(self) -> int | None:
        """See `Place.requests`: those that somebody waits for."""
        return sum(count for kind, count in self.kinds().items() if kind not in ASYNCHRONOUS)


class ThreeZones(Ours):
    """Everything in three zones."""

    name: ClassVar[str] = "s3fs-local, 3 zones"

    def zones(self) -> tuple[str, ...]:
        """See `Ours.zones`."""
        return tuple(f"--zone={self.base / f'zone-{number}'}" for number in (1, 2, 3))
