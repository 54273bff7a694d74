"""How soon, and how fast, another region has what was written here."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Final

import msgspec

from s3fs_local.control.requests import (
    ChangeReplication,
    DescribeReplicationStatus,
    RemoveReplication,
)
from s3fs_local.control.results.replication import ReplicationStatus
from tests.bench.groups.sequential import MIB, write_whole
from tests.bench.groups.small_files import create_each
from tests.bench.ours import COMMAND, Ours
from tests.bench.place import OURS, Measured, PeerFailed, Place, run
from tests.bench.row import Group, Row, Unit
from tests.bench.sizes import Sizes
from tests.mounting import end_processes, processes_marked
from tests.replication_rules import document

FILES: Final = 20
LAG: Final = Row(
    "replication-lag", "4 KiB written until another region has them", Unit.MILLISECONDS
)
RATE: Final = Row("replication-rate", "1 MiB writes, until another region has them", Unit.MEGABYTES)


class Regions(Ours):
    """A store with another one, on the same disk, to which all can be copied."""

    name: ClassVar[str] = OURS

    def make(self) -> None:
        """See `Place.make`."""
        super().make()
        west = self.base / "west"
        run(*COMMAND, "init", west)
        run(*COMMAND, "config", "set", self.store, "remotes", f"west={west}")

    def unmount(self) -> None:
        """See `Place.unmount`: what has the other store open ends, too."""
        end = [process for process in processes_marked(self.base) if process not in self.daemons]
        end_processes(end)
        super().unmount()

    def replicate(self) -> None:
        """From now on everything is copied."""
        self.ask(ChangeReplication(document()))

    def stop_replicating(self) -> None:
        """Nothing is copied any more."""
        self.ask(RemoveReplication())

    def wait_until_copied(self) -> None:
        """The other region has everything, durably.

        Raises:
            PeerFailed: it cannot have it.
        """
        while True:
            status = msgspec.convert(self.ask(DescribeReplicationStatus()), ReplicationStatus)
            if status.failures:
                raise PeerFailed(f"replication failed: {status.failures[0].reason}")
            if not status.undecided and not any(rule.operations_pending for rule in status.rules):
                return
            time.sleep(0.001)


def steps(place: Place, sizes: Sizes) -> Iterator[Measured]:
    """Small files one by one, then a large one."""
    assert isinstance(place, Regions)
    folder = place.path / f"replicated{time.monotonic_ns()}"
    folder.mkdir()
    place.replicate()
    place.wait_until_copied()
    took_ns = 0
    for number in range(FILES):
        create_each([str(folder / f"file{number}")])
        took_ns += place.time(place.wait_until_copied)
    yield LAG.told(LAG.of(took_ns, FILES))

    def write() -> None:
        write_whole(folder / "large", sizes.large_mib)
        place.wait_until_copied()

    yield RATE.timed(place, write, sizes.large_mib * MIB)
    place.stop_replicating()
    os.unlink(folder / "large")


def makes(base: Path, _: Sizes) -> list[Place]:
    """See `Group.makes`."""
    return [Regions(base)]


GROUP: Final = Group(
    "replication", (LAG, RATE), steps, makes, note="the other region is a store on the same disk"
)
