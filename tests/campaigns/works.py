"""Work of each kind that a store does by itself or is asked to do, small enough to be killed often.

Each kind makes something to do, says what asks for it, and knows how it looks when it is done.
"""

import hashlib
import json
import os
import random
import shutil
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from pathlib import Path
from time import sleep
from typing import Final, NamedTuple

from s3fs_local.control.requests import (
    AwaitReplication,
    ChangeClass,
    ChangeLifecycle,
    ChangeReplication,
    ChangeSetting,
    CollectGarbage,
    DescribeClass,
    ListVersions,
    Purge,
    RepairZone,
    Request,
    Retrieve,
    RewrapKeys,
    RotateKey,
    RunLifecycle,
    Scrub,
)
from s3fs_local.daemon.assembly import TEST_CLOCK_VARIABLE
from s3fs_local.errors import RetrievalRunning
from tests.campaigns.conversation import answer
from tests.campaigns.kills import Promised
from tests.mounting import MountedStore
from tests.replication_rules import document, rule

BLOCK_BYTES: Final = 1 << 20
RULES: Final = {
    "Rules": [
        {
            "ID": "age",
            "Status": "Enabled",
            "Filter": {"Prefix": "aged/"},
            "Transitions": [{"Date": "2020-01-01T00:00:00Z", "StorageClass": "GLACIER_IR"}],
        },
        {
            "ID": "end",
            "Status": "Enabled",
            "Filter": {"Prefix": "ended/"},
            "Expiration": {"Date": "2020-01-01T00:00:00Z"},
        },
    ]
}


class Place:
    """A store of several zones on a mount, that another region follows, and what was promised."""

    def __init__(
        self, mount: MountedStore, zones: Sequence[Path], west: Path, chance: random.Random
    ) -> None:
        """Nothing is mounted yet; both stores were made with `--test-clock`."""
        self.mount = mount
        self.zones = zones
        self.west = west
        self.chance = chance
        self.promised: Promised = {}
        self._today = date(2027, 1, 1)
        self._tell_date()

    def _tell_date(self) -> None:
        self.mount.environment[TEST_CLOCK_VARIABLE] = f"{self._today.isoformat()}T12:00:00Z"

    def pass_days(self) -> None:
        """It is the day after tomorrow, and the store is mounted again."""
        self.mount.umount()
        self._today += timedelta(days=2)
        self._tell_date()
        self.mount.mount()

    def ask(self, request: Request) -> dict[str, object]:
        """What comes of it."""
        return answer(self.mount.store, request)

    def write(self, name: str, size: int) -> bytes:
        """The file is new, and durable."""
        path = self.mount.path / name
        path.parent.mkdir(exist_ok=True)
        data = self.chance.randbytes(size)
        with path.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        return data

    def promise(self, name: str, size: int) -> None:
        """The same, and whoever compares expects it from now on."""
        digest = hashlib.sha256(self.write(name, size)).hexdigest()
        self.promised[str(self.mount.path / name)] = (size, digest)

    def make_rules(self) -> None:
        """There are rules of every kind, and a class whose packs become shares."""
        self.ask(ChangeSetting("storage-classes", "GLACIER_IR:shares=2+1,zones=hot,zstd=0"))
        self.ask(ChangeSetting("remotes", f"west={self.west}"))
        self.ask(ChangeReplication(document(rule(Filter={"Prefix": "told/"}))))
        self.ask(ChangeLifecycle(json.dumps(RULES).encode()))


def nothing() -> None:
    """There is nothing more to look at."""


class Plan(NamedTuple):
    """What asks for work that is there now."""

    requests: Sequence[Request]
    check: Callable[[], None] = nothing  # that it is done; raises AssertionError
    again: Callable[[], None] | None = None  # how it is taken up after a kill; None: asked again
    is_damaged: bool = False  # until it is done, a zone is not as it should be


Kind = Callable[[Place, str], Plan]
"""Makes work of that kind, with names of its own."""


def scrub(place: Place, name: str) -> Plan:
    """A byte is wrong in one zone; everything is read, and that is mended."""
    place.promise(f"scrubbed/{name}", 2 * BLOCK_BYTES)
    pack = place.chance.choice(sorted(place.chance.choice(place.zones).glob("packs/*/*.pack")))
    at = place.chance.randrange(pack.stat().st_size)
    with pack.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1]))
    return Plan([Scrub()], is_damaged=True)


def collect(place: Place, name: str) -> Plan:
    """Live blocks lie between dead ones; packs are emptied and removed, others become shares."""
    wasted = [f"wasted/{name}-{number}" for number in range(3)]
    for number, waste in enumerate(wasted):
        place.write(waste, BLOCK_BYTES)
        place.promise(f"kept/{name}-{number}", BLOCK_BYTES // 2)
    place.ask(ChangeClass(f"kept/{name}-0".encode(), "GLACIER_IR"))
    for waste in wasted:
        (place.mount.path / waste).unlink()
        for row in place.ask(ListVersions(waste.encode()))["Versions"]:  # type: ignore[attr-defined]
            place.ask(Purge(waste.encode(), row["VersionId"]))

    def check() -> None:
        left = place.ask(CollectGarbage(dry_run=True))
        assert left["Packs"] == 0, left

    return Plan([CollectGarbage()], check)


def rewrap(place: Place, name: str) -> Plan:
    """The key has a new version, every data key is wrapped by it, older ones are destroyed."""
    place.promise(f"rewrapped/{name}", 1000)

    def check() -> None:
        done = place.ask(RewrapKeys(forget_old=True))
        assert not done["Rewrapped"], done

    return Plan([RotateKey("store"), RewrapKeys(forget_old=True)], check)


def repair(place: Place, name: str) -> Plan:
    """A zone's disk is new and empty; it gets everything."""
    place.promise(f"copied/{name}", 2 * BLOCK_BYTES)
    zone = place.chance.choice(place.zones)
    for entry in zone.iterdir():
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    return Plan([RepairZone(str(zone))])


def move(place: Place, name: str) -> Plan:
    """Bytes move to where another class has them, compressed or in other packs."""
    path = f"moved/{name}"
    place.promise(path, 3 * BLOCK_BYTES)
    wanted = place.chance.choice(("STANDARD_IA", "GLACIER_IR"))

    def check() -> None:
        assert place.ask(DescribeClass(path.encode()))["StorageClass"] == wanted

    return Plan([ChangeClass(path.encode(), wanted)], check)


def lifecycle(place: Place, name: str) -> Plan:
    """Files are due to move, others to go."""
    aged = [f"aged/{name}-{number}" for number in range(4)]
    ended = [f"ended/{name}-{number}" for number in range(20)]
    for path in aged:
        place.promise(path, BLOCK_BYTES // 2)
    for path in ended:
        place.write(path, 100)
    place.pass_days()

    def check() -> None:
        for path in aged:
            row = place.ask(DescribeClass(path.encode()))
            assert row["StorageClass"] == "GLACIER_IR", row
        assert not any((place.mount.path / path).exists() for path in ended)

    return Plan([RunLifecycle()], check)


def retrieve(place: Place, name: str) -> Plan:
    """An archived file is made readable for a day."""
    path = f"archived/{name}"
    data = place.write(path, 3 * BLOCK_BYTES)
    place.ask(ChangeClass(path.encode(), "GLACIER"))
    request = Retrieve(path.encode())

    def again() -> None:
        try:
            place.ask(request)
        except RetrievalRunning:  # it was asked for, and goes on by itself
            while "true" in str(place.ask(DescribeClass(path.encode()))["Restore"]):
                sleep(0.05)

    def check() -> None:
        assert (place.mount.path / path).read_bytes() == data, f"{path} was lost"

    return Plan([request], check, again)


def replicate(place: Place, name: str) -> Plan:
    """Another region is told of new files; whichever of the two processes meets it dies."""
    for number in range(12):
        place.promise(f"told/{name}-{number}", 100_000)
    return Plan([AwaitReplication()])


KINDS: Final = (scrub, collect, rewrap, repair, move, lifecycle, retrieve, replicate)
