"""Work of each kind that a store does by itself or is asked to do, small enough to be killed often.

Each kind makes something to do, says what asks for it, and knows how it looks when it is done.
"""

import hashlib
import json
import os
import random
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path
from time import sleep
from typing import Final, NamedTuple

from s3fs_local.control.requests import (
    AddZone,
    AwaitReplication,
    ChangeClass,
    ChangeLifecycle,
    ChangeReplication,
    ChangeSetting,
    CollectGarbage,
    DescribeClass,
    ListVersions,
    ListZones,
    Promote,
    Purge,
    RemoveZone,
    RepairZone,
    Request,
    Retrieve,
    RewrapKeys,
    RotateKey,
    RunLifecycle,
    Scrub,
    Verify,
)
from s3fs_local.daemon.assembly import TEST_CLOCK_VARIABLE
from s3fs_local.daemon.receiving import make_room
from s3fs_local.errors import NotAReplica, RetrievalRunning
from tests.campaigns.conversation import answer
from tests.campaigns.interposed import Interposed
from tests.campaigns.kills import Promised, state_of
from tests.mounting import MountedStore, s3fs_local
from tests.replication_rules import document, rule

BLOCK_BYTES: Final = 1 << 20
END_SECONDS_MAX: Final = 60.0
RULE_FOR_WEST: Final = rule(Filter={"Prefix": "told/"})
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


class Side(NamedTuple):
    """A store on a mount whose daemon's calls are counted, and at one of which it may be killed."""

    mount: MountedStore
    interposed: Interposed


class Place:
    """A store of several zones on a mount, that another region follows, and what was promised."""

    def __init__(
        self, mount: MountedStore, zones: Sequence[Path], west: Path, chance: random.Random
    ) -> None:
        """Nothing is mounted yet; both stores were made with `--test-clock`."""
        self.mount = mount
        self.zones = list(zones)
        self.beside = zones[0].parents[1]  # calls on files there are not counted
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
        self.ask(ChangeReplication(document(RULE_FOR_WEST)))
        self.ask(ChangeLifecycle(json.dumps(RULES).encode()))

    def states(self) -> dict[str, str]:
        """How each zone is doing, by its place."""
        rows = self.ask(ListZones())["Zones"]
        assert isinstance(rows, list)
        return {row["Url"]: row["State"] for row in rows}

    def wait_until_well(self) -> None:
        """Every zone has everything; the daemon sees to it."""
        deadline = time.monotonic() + END_SECONDS_MAX
        while set(self.states().values()) != {"well"}:
            assert time.monotonic() < deadline, self.states()
            sleep(0.1)


def nothing() -> None:
    """There is nothing more to look at."""


class Plan(NamedTuple):
    """What asks for work that is there now."""

    requests: Sequence[Request]
    check: Callable[[], None] = nothing  # that it is done; raises AssertionError
    again: Callable[[], None] | None = None  # how it is taken up after a kill; None: asked again
    is_damaged: bool = False  # until it is done, a zone is not as it should be
    side: Side | None = None  # who is asked; None: the store of the place


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


def add_zone(place: Place, name: str) -> Plan:
    """The store gets a fourth zone, with a copy of everything; then it goes again."""
    place.promise(f"copied/{name}", 2 * BLOCK_BYTES)
    added = place.zones[0].with_name(f"added-{name}")
    request = AddZone(str(added))

    def again() -> None:
        if str(added) not in place.states():  # it was begun, and the store does not know of it
            place.ask(request)

    def check() -> None:
        place.wait_until_well()
        assert len(place.states()) == len(place.zones) + 1
        assert any(added.glob("packs/*/*.pack"))
        place.ask(RemoveZone(str(added)))
        shutil.rmtree(added)

    return Plan([request], check, again)


def remove_zone(place: Place, name: str) -> Plan:
    """One of four zones goes; what only it had, others get."""
    added = place.zones[0].with_name(f"kept-{name}")
    place.ask(AddZone(str(added)))
    place.wait_until_well()
    place.promise(f"copied/{name}", 2 * BLOCK_BYTES)
    place.zones.append(added)
    gone = place.chance.choice(place.zones)
    place.zones.remove(gone)
    request = RemoveZone(str(gone))

    def again() -> None:
        if str(gone) in place.states():
            place.wait_until_well()
            place.ask(request)

    def check() -> None:
        place.wait_until_well()
        assert set(place.states()) == set(map(str, place.zones))
        shutil.rmtree(gone)

    return Plan([request], check, again)


def promote(place: Place, name: str) -> Plan:
    """A third region was told of files, and a large one is on its way: it becomes a store."""
    top = place.beside / f"north-{name}"
    (top / "mount").mkdir(parents=True)
    s3fs_local("init", top / "store", "--test-clock")
    side = Side(MountedStore(top / "store", top / "mount"), Interposed(top, top / "store"))
    side.mount.environment |= place.mount.environment | side.interposed.environment
    north = rule(
        ID="north",
        Priority=2,
        Filter={"Prefix": f"north-{name}/"},
        Destination={"Bucket": "arn:aws:s3:::north"},
    )
    place.ask(ChangeSetting("remotes", f"west={place.west}; north={side.mount.store}"))
    place.ask(ChangeReplication(document(RULE_FOR_WEST, north)))
    names = [f"north-{name}/{number}" for number in range(4)]
    for path in names:
        place.promise(path, 100_000)
    place.ask(AwaitReplication())
    place.promise(f"north-{name}/large", 8 * BLOCK_BYTES)
    make_room(side.mount.store)
    side.mount.mount()
    request = Promote(force=True)

    def again() -> None:
        with suppress(NotAReplica):  # any more
            answer(side.mount.store, request)

    def check() -> None:
        for path in names:
            found = state_of(side.mount.path / path)
            assert found == place.promised[str(place.mount.path / path)], f"{path} is {found}"
        (side.mount.path / "its own").write_bytes(b"from now on")
        verified = answer(side.mount.store, Verify(reads_all=True))
        assert verified["Intact"], verified["Discrepancies"]
        side.mount.umount()
        place.ask(ChangeReplication(document(RULE_FOR_WEST)))
        place.ask(ChangeSetting("remotes", f"west={place.west}"))
        shutil.rmtree(top)

    return Plan([request], check, again, side=side)


KINDS: Final = (
    *(scrub, collect, rewrap, repair, move, lifecycle, retrieve, replicate),
    *(add_zone, remove_zone, promote),
)
