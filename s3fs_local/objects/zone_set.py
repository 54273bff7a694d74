"""All zones of a store as one `ObjectStore`: the same objects in each, as long as a quorum is well.

What is written goes to every zone that is well, and is there when enough of them have it; who is
well, and what happens to one that fails, is `membership.py`. What is read comes from the first zone
that has it whole.

A set of one zone hands everything to it, at once and without a thread, unless a network lies in
between: then it is waited for no longer than any other.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Final, TypeVar

from s3fs_local.errors import DataDamaged, StorageError, ZoneUnavailable
from s3fs_local.objects.interface import Appender, ObjectStore
from s3fs_local.objects.membership import TIMEOUT_SECONDS, Membership
from s3fs_local.objects.mirrored import Copy, MirroredAppender
from s3fs_local.objects.object_copy import ObjectCopy
from s3fs_local.objects.reading import LISTING_SECONDS_MAX, Verify, answers, first_good
from s3fs_local.objects.zone import Zone
from s3fs_local.objects.zone_mark import MARK_NAME
from s3fs_local.objects.zone_record import ZonesRecord
from s3fs_local.rules.placement import EVERYWHERE, Home, Homes, choose, lacking
from s3fs_local.rules.quorum import MAJORITY

_SPACE_SECONDS_MAX: Final = 0.5
_Answer = TypeVar("_Answer")


class ZoneSet:
    """The zones of one store. Any thread may call; objects that grow have their own rules."""

    def __init__(
        self,
        zones: Sequence[Zone],
        *,
        wanted_quorum: int = MAJORITY,
        timeout_seconds: float = TIMEOUT_SECONDS,
        record: ZonesRecord | None = None,
        is_record_partial: bool = False,
        keep_record: Callable[[bytes], None] = lambda _: None,
    ) -> None:
        """See `Membership`."""
        self.members: Final = Membership(
            zones,
            wanted_quorum=wanted_quorum,
            timeout_seconds=timeout_seconds,
            record=record,
            is_record_partial=is_record_partial,
            keep_record=keep_record,
        )
        self.check_writable: Final = self.members.check_writable
        """Enough zones are well. Raises TooFewZones."""

    @classmethod
    def of(cls, zones: "ZoneSet | Sequence[ObjectStore]") -> "ZoneSet":
        """The set as it is, or one over bare stores, without threads."""
        if isinstance(zones, ZoneSet):
            return zones
        return cls([Zone(store, zone_id=f"{number:032x}") for number, store in enumerate(zones)])

    @property
    def only(self) -> ObjectStore | None:
        """The zone of a store that has but one, where no network keeps anybody waiting for it."""
        return self.zones[0].store if len(self.zones) == 1 and not self.zones[0].is_far else None

    @property
    def zones(self) -> Sequence[Zone]:
        """All of them, in the order in which reads prefer them."""
        return self.members.zones

    @property
    def well(self) -> Sequence[Zone]:
        """The zones that count."""
        return self.members.well

    @property
    def not_well(self) -> Sequence[Zone]:
        """The others."""
        return self.members.not_well

    @property
    def readable(self) -> Sequence[Zone]:
        """See `Membership`."""
        return self.members.readable

    @property
    def growing(self) -> Sequence[MirroredAppender]:
        """The objects that grow in several zones now."""
        return self.members.growing

    @property
    def timeout_seconds(self) -> float:
        """How long a zone may take, while others do not."""
        return self.members.timeout_seconds

    # Writing.

    def put(self, name: str, data: bytes) -> None:
        """See `ObjectStore`."""
        if self.only is not None:
            self.only.put(name, data)
            return
        self.members.do_everywhere(lambda store: store.put(name, data), waits=True)
        self.members.record_changes()

    def create(
        self, name: str, homes: Homes = EVERYWHERE, *, spread: int = 0, patient: bool = False
    ) -> Appender:
        """See `ObjectStore`; in the zones where `homes` wants copies.

        With `patient` each append waits for all of them: for long objects that nobody waits for.
        """
        if self.only is not None:
            return self.only.create(name)
        zones = self.homes_of(homes, spread=spread)
        appender = self._appender(name, zones)
        appender.waits = patient
        try:
            appender.open()
        except (FileExistsError, StorageError):
            appender.close()
            for copy in appender.copies:
                if copy.appender is not None and copy.is_live:
                    store = copy.zone.store
                    assert store is not None
                    self.members.do([(copy.zone, partial(store.delete, name))], needed=0)
            raise
        self.members.remember(appender)
        return appender

    def append_to(
        self,
        name: str,
        homes: Homes | None = None,
        *,
        spread: int = 0,
        missing: Callable[[int, int], bytes] | None = None,
    ) -> Appender:
        """See `ObjectStore`; zones that have less of it, or should have it, are given the rest.

        One that cannot be given that is suspended. `missing` gives bytes [start, end) of the object
        as they should be; without it they are what the first zone says that has so many.

        Raises:
            TooFewZones: not enough of those that have most of it answer.
        """
        if self.only is not None:
            return self.only.append_to(name)
        lengths = self.lengths_of(name)
        if not lengths:
            raise KeyError(name)
        length = max(lengths.values())
        whole = [zone for zone in lengths if lengths[zone] == length]
        appender = self._appender(name, whole)
        appender.open(length=length)
        self.members.remember(appender)
        wanted = () if homes is None else self.lacking(homes, set(lengths), spread=spread)
        short = [*[zone for zone in lengths if lengths[zone] < length], *wanted]
        if short:
            appender.homes = [*whole, *short]
            appender.needed = self.members.needed_in(appender.homes)
            giving = missing or partial(self._missing, name)
            for zone in short:
                appender.join(zone, giving, present=lengths.get(zone, 0))
        return appender

    def _missing(self, name: str, start: int, end: int) -> bytes:
        return self.read_good(name, start, end - start) if end > start else b""

    def give(self, zones: Sequence[Zone], name: str, data: bytes) -> None:
        """Each of these zones has the object so, durably; one that cannot is suspended. Blocks."""
        for zone in zones:
            store = zone.store
            assert store is not None
            self.members.do([(zone, partial(store.put, name, data))], needed=0)
        self.members.wait_for_lanes()

    def delete(self, name: str) -> None:
        """See `ObjectStore`; zones that are behind are told when they come back."""
        if self.only is not None:
            self.only.delete(name)
            return
        self.members.forget_named(name)
        self.members.do_everywhere(lambda store: store.delete(name), waits=True)

    def sweep(self) -> int:
        """See `ObjectStore`; of the zones that are well. Nobody waits for it."""
        if self.only is not None:
            return self.only.sweep()
        found = answers(self.well, lambda store: store.sweep(), LISTING_SECONDS_MAX, as_errand=True)
        return sum(self._good(found).values())

    # Reading.

    def read_anew(self) -> None:
        """See `ObjectStore`; of every zone that has any."""
        for zone in self.zones:
            if zone.store is not None:
                zone.store.read_anew()

    def read(self, name: str, offset: int, length: int) -> bytes:
        """See `ObjectStore`; from the first zone that has all of them, else what there is."""
        if self.only is not None:
            return self.only.read(name, offset, length)
        with suppress(DataDamaged):
            return self.read_good(name, offset, length)
        longest = max(self.copies(name, offset, length).values(), key=len, default=None)
        if longest is None:
            raise KeyError(name)
        return longest

    def read_good(self, name: str, offset: int, length: int, verify: Verify | None = None) -> bytes:
        """The bytes, from a zone that has all of them, and they pass.

        Zones that are behind are asked last. One that is slow is not waited for alone.

        Raises:
            DataDamaged: the zones that answer do not have the bytes, or have bad ones.
            ZoneUnavailable: no zone answers.
        """

        def check(data: bytes) -> bool:
            return len(data) == length and (verify is None or verify(data))

        def question(store: ObjectStore) -> bytes:
            return store.read(name, offset, length)

        return first_good(self.readable, question, check, self.timeout_seconds)

    def read_nowait(self, name: str, offset: int, length: int) -> bytes | None:
        """See `ObjectStore`; None also where no zone that is well has all of them."""
        if self.only is not None:
            return self.only.read_nowait(name, offset, length)
        is_missing = True
        for zone in self.zones:
            if not zone.is_well or zone.store is None:
                continue
            with suppress(KeyError, StorageError):
                data = zone.store.read_nowait(name, offset, length)
                if data is None or len(data) == length:
                    return data
                is_missing = False
        if is_missing:
            raise KeyError(name)
        return None

    def copies(
        self, name: str, offset: int, length: int | None, *, among: Collection[Zone] | None = None
    ) -> dict[Zone, bytes]:
        """The bytes as each zone that answers has them, all to the end where `length` is None.

        With `among` no other zones are asked.
        """

        def reading(store: ObjectStore) -> bytes:
            return store.read(name, offset, store.length(name) if length is None else length)

        asked = [zone for zone in self.readable if among is None or zone in among]
        found = self._ask(asked, reading)
        return {zone: each for zone, each in found.items() if not isinstance(each, Exception)}

    def object_copies(self, name: str) -> dict[Zone, ObjectCopy]:
        """The object as each zone that answers has it, to be read a piece at a time."""
        found = self._ask(self.readable, lambda store: store.length(name))
        return {
            zone: ObjectCopy(partial(self._bytes_in, zone, name), length)
            for zone, length in found.items()
            if not isinstance(length, Exception)
        }

    def _bytes_in(self, zone: Zone, name: str, offset: int, length: int) -> bytes:
        """Up to so many bytes; none where the zone does not answer."""
        with suppress(ZoneUnavailable):
            return self.copies(name, offset, length, among=[zone]).get(zone, b"")
        return b""

    def lengths_of(self, name: str) -> dict[Zone, int]:
        """How long the object is in each zone that is well and has it.

        Raises:
            ZoneUnavailable: none answers.
        """
        return self._good(self._ask(self.well, lambda store: store.length(name)))

    def length(self, name: str) -> int:
        """See `ObjectStore`; the greatest."""
        if self.only is not None:
            return self.only.length(name)
        lengths = self.lengths_of(name)
        if not lengths:
            raise KeyError(name)
        return max(lengths.values())

    def list(self, prefix: str) -> Iterator[str]:
        """See `ObjectStore`; what any zone that is well has."""
        if self.only is not None:
            return self.only.list(prefix)
        return iter(self._names(self.well, prefix))

    def list_anywhere(self, prefix: str) -> Sequence[str]:
        """The names that any zone has that answers, those behind included; ascending."""
        return self._names(self.readable, prefix)

    def free_bytes(self) -> tuple[int, int]:
        """See `ObjectStore`; of the zone that decides whether a quorum has room."""
        if self.only is not None:
            return self.only.free_bytes()
        self.look_at_space()
        known = [zone.space for zone in self.well if zone.space[1]]  # one that joined may be slow
        ordered = sorted(known, reverse=True)
        return ordered[min(self.members.quorum, len(ordered)) - 1] if ordered else (0, 0)

    def look_at_space(self) -> dict[Zone, str]:
        """What is known of the room in each zone is of now, unless it takes long to say.

        Returns:
            Those that count and fail, and what they said. One that has not answered others for
            long is among them, and is not asked as well.
        """
        asked, failing = [], {}
        for zone in self.well:
            silent_seconds = max(zone.lane.busy_seconds, zone.readers.busy_seconds)
            if silent_seconds > self.timeout_seconds:
                failing[zone] = f"no answer for {silent_seconds:.0f} s"
            else:
                asked.append(zone)
        found = self._ask(asked, lambda store: store.free_bytes(), seconds=_SPACE_SECONDS_MAX)
        for zone, answer in found.items():
            if isinstance(answer, Exception):
                failing[zone] = str(answer)
            else:
                zone.space = answer
        return failing

    def look_at_marks(self) -> dict[Zone, str]:
        """Those that count and that somebody emptied, or that fail, and why."""
        found = self._ask(self.well, lambda store: store.length(MARK_NAME))
        failing = {}
        for zone, answer in found.items():
            if isinstance(answer, KeyError):
                failing[zone] = f"{MARK_NAME} is gone: somebody emptied the zone"
            elif isinstance(answer, Exception):
                failing[zone] = str(answer)
        return failing

    # Where an object belongs.

    def homes_of(self, homes: Homes, *, spread: int = 0) -> Sequence[Zone]:
        """The zones that an object begun now belongs to, the suspended among them included.

        One that returns is relied on by nothing yet. One that leaves neither, but it may stay in
        the end, and then lacks nothing.
        """
        chosen = self._chosen(self.zones, homes, spread)
        leaving = [zone for zone in chosen if zone.leaves]
        if not leaving or homes == EVERYWHERE:
            return chosen
        stay = [zone for zone in self.zones if not zone.leaves]
        return [*self._chosen(stay, homes, spread), *leaving]

    @staticmethod
    def _chosen(zones: Sequence[Zone], homes: Homes, spread: int) -> Sequence[Zone]:
        described = [Home(zone.kind, zone.is_well) for zone in zones]
        return [zones[index] for index in choose(described, homes, spread=spread)]

    def lacking(
        self,
        homes: Homes,
        holders: set[Zone],
        *,
        spread: int,
        without: Zone | None = None,
        rather: Zone | None = None,
    ) -> Sequence[Zone]:
        """The zones that should get a copy and can, where only `holders` have one.

        None of them is `without`; where several could get a copy, `rather` is among them.
        """
        zones = [zone for zone in self.zones if zone is not without]
        described = [Home(zone.kind, zone.takes_new) for zone in zones]
        held = {index for index, zone in enumerate(zones) if zone in holders}
        first = zones.index(rather) if rather in zones else None
        wanted = lacking(described, held, homes, spread=spread, rather=first)
        return [zones[index] for index in wanted if zones[index].takes_new]

    def _appender(self, name: str, zones: Sequence[Zone]) -> MirroredAppender:
        copies = [Copy(zone) for zone in zones if zone.takes_new]
        appender = MirroredAppender(
            self.members, name, copies, needed=self.members.needed_in(zones)
        )
        appender.homes = list(zones)
        return appender

    def _ask(
        self,
        zones: Sequence[Zone],
        question: Callable[[ObjectStore], _Answer],
        *,
        seconds: float | None = None,
    ) -> dict[Zone, _Answer | Exception]:
        """The answers of those that answer in time; nothing where the object is missing.

        Raises:
            ZoneUnavailable: none answers.
        """
        return answers(zones, question, self.timeout_seconds if seconds is None else seconds)

    def _names(self, zones: Sequence[Zone], prefix: str) -> Sequence[str]:
        found = self._good(self._ask(zones, lambda store: sorted(store.list(prefix))))
        return sorted({name for names in found.values() for name in names})

    def _good(self, found: dict[Zone, _Answer | Exception]) -> dict[Zone, _Answer]:
        good = {zone: each for zone, each in found.items() if not isinstance(each, Exception)}
        failed = [each for each in found.values() if isinstance(each, StorageError)]
        if len(failed) == len(found):
            raise failed[0] if failed else ZoneUnavailable("no zone answers in time")
        return good
