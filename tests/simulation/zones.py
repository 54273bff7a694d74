"""Zones in memory, each of which can go and come back, be emptied, rot, and lose power.

The store may be given more of them, and have some taken away.

What is never done to them: all good copies of something are not destroyed. Of the zones that are
well, a quorum stays, and one at least whose bytes nobody touched; of each pack, too.
"""

import json
from collections.abc import Callable, Sequence
from random import Random  # noqa: TID251 - with a seed, repeatable on purpose
from typing import Final

from s3fs_local.daemon.zones import RecordCopies, known_set
from s3fs_local.errors import ZoneUnavailable
from s3fs_local.objects.attended import AttendedObjects
from s3fs_local.objects.failing import FailingObjects
from s3fs_local.objects.interface import ObjectStore
from s3fs_local.objects.memory import MemoryObjects
from s3fs_local.objects.zone import Zone, ZoneState
from s3fs_local.objects.zone_mark import ZoneMark, check_zone, mark_zone
from s3fs_local.objects.zone_record import RECORD_NAME
from s3fs_local.objects.zone_set import ZoneSet
from s3fs_local.rules.quorum import quorum_of
from tests.engine.memory_store import STORE_ID
from tests.simulation.background import Process

WRITING: Final = ("put", "create", "append_to", "append", "sync", "delete")
METHODS: Final = (*WRITING, "read", "read_nowait", "length", "list", "free_bytes")
RECORD_BYTES_MAX: Final = 1 << 20
ROSTER_NAME: Final = "store.json"
HOT: Final = "hot"


def as_seen_by(process: Process, zone: ObjectStore) -> AttendedObjects:
    """The zone as one process sees it, which may die at any call that writes."""

    def before(method: str) -> None:
        if method in WRITING:
            process.count()
        else:
            process.check()

    return AttendedObjects(zone, before)


class SimulatedZones:
    """The zones of one store, whoever has them open, by number."""

    def __init__(self, count: int) -> None:
        self.disks: list[MemoryObjects] = []
        self.failing: list[FailingObjects] = []
        self.ids: list[str] = []
        self.kinds: list[str] = []
        self.gone: set[int] = set()
        self.emptied: set[int] = set()  # and not yet told what it lost
        self.rotten: set[int] = set()
        self.flickers: set[int] = set()  # those that fail once, or have, and were not told yet
        self.answered: dict[int, int] = {}  # failures of each when it was opened last
        self.process = Process()
        self.set: ZoneSet
        self.packs: Callable[[], set[str]] = set  # those that the store has, by name
        self.is_growing = False  # one is about to be added, which counts for nothing at first
        self._record = b""
        for _ in range(count):
            self._mark(self._place())
        self.known = list(range(count))  # what the next process finds the store to have
        for failing in self.failing:
            failing.put(ROSTER_NAME, self.roster)

    def _place(self, kind: str = HOT) -> int:
        number = len(self.disks)
        self.kinds.append(kind)
        self.disks.append(MemoryObjects())
        self.failing.append(FailingObjects(self.disks[number]))
        self.ids.append(f"{number:032x}")
        return number

    def _mark(self, number: int) -> None:
        mark_zone(self.failing[number], ZoneMark(STORE_ID.hex(), self.ids[number]))

    def open_set(self) -> ZoneSet:
        """As a daemon finds them that begins now."""
        self.process = Process()
        self.is_growing = False
        for number in list(self.flickers):
            self.come(number)
        self._forget_strangers()
        zones = [self._open(number) for number in self.known]
        copies: dict[str, bytes] = {}
        for number, zone in zip(self.known, zones, strict=True):
            if zone.store is not None:
                has_one = RECORD_NAME in set(self.failing[number].list(""))
                copy = zone.store.read(RECORD_NAME, 0, RECORD_BYTES_MAX) if has_one else b""
                copies[zone.zone_id] = copy
        self.set = known_set(zones, RecordCopies(self._record, copies), keep_record=self._keep)
        return self.set

    def _keep(self, record: bytes) -> None:
        self._record = record

    def _open(self, number: int) -> Zone:
        zone = self._zone(number, reason="it is not there")
        try:
            check_zone(self.failing[number], store_id=STORE_ID.hex())
        except ZoneUnavailable as error:
            zone.reason = str(error)
        else:
            self._note_answered(number)
            zone.store = as_seen_by(self.process, self.failing[number])
            zone.state, zone.reason = ZoneState.WELL, ""
        return zone

    def _zone(self, number: int, *, reason: str) -> Zone:
        return Zone(
            None,
            zone_id=self.ids[number],
            url=str(number),
            kind=self.kinds[number],
            reason=reason,
        )

    def reopen(self, zone: Zone) -> ObjectStore:
        """The objects of a zone that is there again; an emptied one is marked anew."""
        number = self._number(zone)
        if number not in self.known:
            raise ZoneUnavailable("it is being added or removed")
        try:
            check_zone(self.failing[number], store_id=STORE_ID.hex())
        except ZoneUnavailable:
            if number in self.gone:
                raise
            self._mark(number)
        self._note_answered(number)
        return as_seen_by(self.process, self.failing[number])

    def _note_answered(self, number: int) -> None:
        self.answered[number] = self.failing[number].failures

    def _number(self, zone: Zone) -> int:
        return self.ids.index(zone.zone_id)

    # Which there are.

    @property
    def numbers(self) -> list[int]:
        """Of the zones that the open store has."""
        return [self._number(zone) for zone in self.set.zones]

    def make(self, kind: str) -> Zone:
        """A new place, marked as a zone of the store, which does not know it yet."""
        number = self._place(kind)
        store = as_seen_by(self.process, self.failing[number])
        store.put(ROSTER_NAME, self.roster)
        mark_zone(store, ZoneMark(STORE_ID.hex(), self.ids[number]))
        return self._zone(number, reason="it is new")

    @property
    def roster(self) -> bytes:
        """Which zones there are, as each of them should know."""
        return json.dumps(self.known).encode()

    def write(self, zones: Sequence[Zone]) -> None:
        """The next process finds the store to have these."""
        self.process.count()
        self.known = [self._number(zone) for zone in zones]

    def tell(self) -> None:
        """Each zone knows which there are."""
        self.set.put(ROSTER_NAME, self.roster)

    def throw_away(self, zone: Zone) -> None:
        """It was removed, and nobody will have it again."""
        self.go(self._number(zone))
        self._forget_strangers()

    def _forget_strangers(self) -> None:
        for numbers in (self.gone, self.emptied, self.rotten, self.flickers):
            numbers &= set(self.known)

    # What happens to them.

    def may_go(self, number: int) -> bool:
        """Whether a quorum is left without the zone, and somebody with good bytes."""
        left = self._staying() - {number}
        return self._is_quorum(left, more=self.is_growing) and self.may_rot(number)

    def may_be_emptied(self, number: int) -> bool:
        """Whether it may go, and nothing lies there alone that is written before it is noticed."""
        others = {self.kinds[each] for each in self._staying() - {number}}
        return self.may_go(number) and (self.kinds[number] != HOT or HOT in others)

    def may_leave(self, number: int) -> bool:
        """Whether a quorum is left without the zone, and what it alone has can be copied.

        What others have is taken for whole: only a scrub would tell.
        """
        good = self._staying() - self.rotten
        has_all = all(
            bool(has_it & (good - {number} if has_it - {number} else good))
            for has_it in map(self._holders, self.packs())
            if has_it
        )
        return self._is_quorum(self._staying() - {number}, more=0) and has_all

    def may_grow(self) -> bool:
        """Whether a quorum is left beside a zone that lacks everything."""
        return self._is_quorum(self._staying(), more=1)

    def _is_quorum(self, left: set[int], *, more: int) -> bool:
        """Of all zones, with some more, and of the hot ones, where files are written if any is."""
        hot = {number for number in self.numbers if self.kinds[number] == HOT}
        has_hot = not hot & left or len(hot & left) >= quorum_of(len(hot) + more)
        return has_hot and len(left) >= quorum_of(len(self.numbers) + more)

    def may_rot(self, number: int) -> bool:
        """Whether others are well that have everything, and good."""
        good = self._staying() - self.rotten - {number}
        held = map(self._holders, self.packs())
        return bool(good) and all(has_it & good for has_it in held if has_it)

    def _holders(self, name: str) -> set[int]:
        return {number for number in self.known if name in set(self.disks[number].list(name))}

    def there(self) -> set[int]:
        """Those that are well, and not only thought to be."""
        well = {self._number(zone) for zone in self.set.well}
        return well - self.gone - self.emptied - self.flickers

    def _staying(self) -> set[int]:
        """Those of them that are not being removed, and of which no task knows that they failed.

        It says so when it goes on.
        """
        there = self.there() - {self._number(zone) for zone in self.set.zones if zone.leaves}
        return {n for n in there if self.failing[n].failures == self.answered.get(n, 0)}

    def whole(self) -> set[int]:
        """The zones that should have everything as it was sealed."""
        return self.there() - self.rotten

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
