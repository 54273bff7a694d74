"""Zones in memory, each of which can go and come back, be emptied, rot, and lose power.

What is never done to them: all good copies of something are not destroyed. Of the zones that are
well, a quorum stays, and one at least whose bytes nobody touched.
"""

from collections.abc import Iterator
from random import Random  # noqa: TID251 - with a seed, repeatable on purpose
from typing import Final

from s3fs_local.daemon.zones import check_they_know
from s3fs_local.errors import ZoneUnavailable
from s3fs_local.objects.failing import FailingObjects
from s3fs_local.objects.interface import Appender, ObjectStore
from s3fs_local.objects.memory import MemoryObjects
from s3fs_local.objects.zone import Zone
from s3fs_local.objects.zone_mark import ZoneMark, check_zone, mark_zone
from s3fs_local.objects.zone_record import RECORD_NAME, is_everywhere, newest_record
from s3fs_local.objects.zone_set import ZoneSet
from tests.engine.memory_store import STORE_ID
from tests.simulation.background import Process

METHODS: Final = (
    *("put", "create", "append_to", "append", "sync", "delete"),
    *("read", "read_nowait", "length", "list", "free_bytes"),
)
RECORD_BYTES_MAX: Final = 1 << 20


class MortalAppender:
    """Grows an object for a process."""

    def __init__(self, inner: Appender, process: Process) -> None:
        self._inner = inner
        self._process = process

    @property
    def length(self) -> int:
        """See `Appender`."""
        return self._inner.length

    @property
    def can_grow(self) -> bool:
        """See `Appender`."""
        return self._inner.can_grow

    def append(self, data: bytes | bytearray | memoryview) -> int:
        """See `Appender`."""
        self._process.count()
        return self._inner.append(data)

    def sync(self) -> None:
        """See `Appender`."""
        self._process.count()
        self._inner.sync()

    def close(self) -> None:
        """See `Appender`."""
        self._inner.close()


class MortalObjects:
    """The objects of a zone as one process sees them: it may die at any call."""

    def __init__(self, inner: ObjectStore, process: Process) -> None:
        self._inner = inner
        self._process = process

    def put(self, name: str, data: bytes) -> None:
        """See `ObjectStore`."""
        self._process.count()
        self._inner.put(name, data)

    def create(self, name: str) -> MortalAppender:
        """See `ObjectStore`."""
        self._process.count()
        return MortalAppender(self._inner.create(name), self._process)

    def append_to(self, name: str) -> MortalAppender:
        """See `ObjectStore`."""
        self._process.count()
        return MortalAppender(self._inner.append_to(name), self._process)

    def read(self, name: str, offset: int, length: int) -> bytes:
        """See `ObjectStore`."""
        self._process.check()
        return self._inner.read(name, offset, length)

    def read_nowait(self, name: str, offset: int, length: int) -> bytes | None:
        """See `ObjectStore`."""
        self._process.check()
        return self._inner.read_nowait(name, offset, length)

    def length(self, name: str) -> int:
        """See `ObjectStore`."""
        self._process.check()
        return self._inner.length(name)

    def list(self, prefix: str) -> Iterator[str]:
        """See `ObjectStore`."""
        self._process.check()
        return self._inner.list(prefix)

    def delete(self, name: str) -> None:
        """See `ObjectStore`."""
        self._process.count()
        self._inner.delete(name)

    def sweep(self) -> int:
        """See `ObjectStore`."""
        self._process.check()
        return self._inner.sweep()

    def read_anew(self) -> None:
        """See `ObjectStore`."""
        self._process.check()
        self._inner.read_anew()

    def free_bytes(self) -> tuple[int, int]:
        """See `ObjectStore`."""
        self._process.check()
        return self._inner.free_bytes()


class SimulatedZones:
    """The zones of one store, whoever has them open."""

    def __init__(self, count: int) -> None:
        self.disks = [MemoryObjects() for _ in range(count)]
        self.failing = [FailingObjects(disk) for disk in self.disks]
        self.ids = [f"{number:032x}" for number in range(count)]
        self.gone: set[int] = set()
        self.emptied: set[int] = set()  # and not yet told what it lost
        self.rotten: set[int] = set()
        self.flickers: set[int] = set()  # those that fail once, or have, and were not told yet
        self.process = Process()
        self.set: ZoneSet
        self._record = b""
        for number in range(count):
            self._mark(number)

    def _mark(self, number: int) -> None:
        mark_zone(self.failing[number], ZoneMark(STORE_ID.hex(), self.ids[number]))

    def open_set(self) -> ZoneSet:
        """As a daemon finds them that begins now."""
        self.process = Process()
        for number in list(self.flickers):
            self.come(number)
        zones = [self._open(number) for number in range(len(self.failing))]
        if len(zones) == 1:
            self.set = ZoneSet(zones)
            return self.set
        copies: dict[str, bytes] = {}
        for number, zone in enumerate(zones):
            if zone.store is not None:
                has_one = RECORD_NAME in set(self.failing[number].list(""))
                copy = zone.store.read(RECORD_NAME, 0, RECORD_BYTES_MAX) if has_one else b""
                copies[zone.zone_id] = copy
        newest = newest_record([self._record, *copies.values()])
        check_they_know(zones, newest)
        self.set = ZoneSet(
            zones,
            record=newest,
            is_record_partial=not is_everywhere(newest, copies, self._record),
            keep_record=self._keep,
        )
        return self.set

    def _keep(self, record: bytes) -> None:
        self._record = record

    def _open(self, number: int) -> Zone:
        store = MortalObjects(self.failing[number], self.process)
        try:
            check_zone(self.failing[number], store_id=STORE_ID.hex())
        except ZoneUnavailable as error:
            return Zone(None, zone_id=self.ids[number], url=str(number), reason=str(error))
        return Zone(store, zone_id=self.ids[number], url=str(number))

    def reopen(self, zone: Zone) -> ObjectStore:
        """The objects of a zone that is there again; an emptied one is marked anew."""
        number = self.ids.index(zone.zone_id)
        try:
            check_zone(self.failing[number], store_id=STORE_ID.hex())
        except ZoneUnavailable:
            if number in self.gone:
                raise
            self._mark(number)
        return MortalObjects(self.failing[number], self.process)

    # What happens to them.

    def may_go(self, number: int) -> bool:
        """Whether a quorum is left without the zone, and somebody with good bytes."""
        left = self._there() - {number}
        return len(left) >= self.set.members.quorum and bool(left - self.rotten)

    def may_rot(self, number: int) -> bool:
        """Whether somebody else is well, and good."""
        return bool(self._there() - self.rotten - {number})

    def _there(self) -> set[int]:
        """Those that are well, and not only thought to be."""
        well = {self.ids.index(zone.zone_id) for zone in self.set.well}
        return well - self.gone - self.emptied - self.flickers

    def whole(self) -> set[int]:
        """The zones that should have everything as it was sealed."""
        return self._there() - self.rotten

    def go(self, number: int) -> None:
        """The zone answers no more."""
        self.flickers.discard(number)
        self.gone.add(number)
        for method in METHODS:
            self.failing[number].fail(method, ZoneUnavailable("gone"), for_ever=True)

    def come(self, number: int) -> None:
        """It answers again, with what it has."""
        self.gone.discard(number)
        self.flickers.discard(number)
        self.failing[number].faults.clear()

    def flicker(self, number: int) -> None:
        """It does not take what is appended next, and that only."""
        self.flickers.add(number)
        self.failing[number].fail("append", ZoneUnavailable("it flickers"))

    def empty(self, number: int) -> None:
        """It is gone, and nothing is left of what it had."""
        self.come(number)
        for name in list(self.failing[number].list("")):
            self.failing[number].delete(name)
        self.rotten.discard(number)
        self.emptied.add(number)
        self.go(number)

    def rot(self, number: int, seed: int) -> None:
        """A bit changes in every pack of the zone."""
        self.rotten.add(number)
        chosen = Random(seed)  # noqa: S311 - repeatable on purpose
        disk = self.disks[number]
        for name in disk.list("packs/"):
            if disk.length(name):
                disk.rot(name, chosen.randrange(disk.length(name)), 1 << chosen.randrange(8))

    def power_cut(self) -> None:
        """All zones are in one machine."""
        for failing in self.failing:
            failing.power_cut()
