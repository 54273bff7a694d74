"""All zones of a store as one `ObjectStore`: the same objects in each, as long as a quorum is well.

What is written goes to every zone that is well, through its lane; the call returns when enough of
them have it (`rules/quorum.py`). A zone that fails, or does not answer in time while others do, is
*suspended*: nothing more is written to it, it is told of in `zones.json` before anything else is
acknowledged, and it must be told what it missed before it counts again (`engine/zone_care.py`).
The last zone that is well is never suspended: its errors are the caller's.

A set of one zone hands everything to it, at once and without a thread.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from threading import Lock
from typing import Final, TypeVar

from s3fs_local.errors import DataDamaged, StorageError, StoreFull, TooFewZones, ZoneUnavailable
from s3fs_local.objects.interface import Appender, Keeper, ObjectStore
from s3fs_local.objects.mirrored import Copy, Jobs, MirroredAppender
from s3fs_local.objects.reading import Verify, answers, first_good, gather
from s3fs_local.objects.rounds import Round
from s3fs_local.objects.zone import Zone, ZoneState
from s3fs_local.objects.zone_mark import MARK_NAME
from s3fs_local.objects.zone_record import RECORD_NAME, BehindZone, ZonesRecord, encode_record
from s3fs_local.rules.keeping import Keeping
from s3fs_local.rules.placement import EVERYWHERE, Home, Homes, choose, lacking
from s3fs_local.rules.quorum import MAJORITY, quorum_of

logger = logging.getLogger(__name__)

TIMEOUT_SECONDS: Final = 10.0
"""How long the others wait for a zone before they go on without it."""
LAG_BYTES_MAX: Final = 64 << 20
"""What may wait for one slow zone; beyond it is suspended, and caught up from its neighbours."""
LISTING_SECONDS_MAX: Final = 120.0
"""All objects of a large zone may take this long to list: nobody waits for it."""
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
        keep_record: Callable[[bytes], None] = lambda _: None,
    ) -> None:
        """Over `zones`, one at least, in the order in which reads prefer them.

        Args:
            zones: those that `record` tells of as behind are so, whatever they look like.
            wanted_quorum: see `rules/quorum.py`.
            timeout_seconds: nothing blocks longer, while one zone at least works.
            record: the newest there is.
            keep_record: told each new one, after the zones; may fail with an OSError.
        """
        assert zones
        self.zones = tuple(zones)
        self._record = record or ZonesRecord()
        self.wanted_quorum = wanted_quorum
        self.timeout_seconds = timeout_seconds
        self.on_suspend: Callable[[Zone], None] = lambda _: None
        self._keep_record = keep_record
        self._mutex = Lock()  # around states of zones, _rounds, _growing, _unrecorded
        self._record_mutex = Lock()  # one record is written at a time
        self._rounds: set[Round] = set()
        self._growing: list[MirroredAppender] = []
        behind = {zone.zone_id: zone for zone in self._record.behind}
        for zone in self.zones:
            known = behind.get(zone.zone_id)
            if known is not None:
                zone.state = ZoneState.BEHIND
                zone.reason = zone.reason or known.reason
                zone.doubtful = known.doubtful
        self._unrecorded = {zone.zone_id for zone in self.zones if not zone.is_well} != set(behind)

    @classmethod
    def of(cls, zones: "ZoneSet | Sequence[ObjectStore]") -> "ZoneSet":
        """The set as it is, or one over bare stores, without threads."""
        if isinstance(zones, ZoneSet):
            return zones
        return cls([Zone(store, zone_id=f"{number:032x}") for number, store in enumerate(zones)])

    @property
    def only(self) -> ObjectStore | None:
        """The zone of a store that has but one."""
        return self.zones[0].store if len(self.zones) == 1 else None

    @property
    def quorum(self) -> int:
        """The least number of zones with which the store goes on."""
        return quorum_of(len(self.zones), wanted=self.wanted_quorum)

    @property
    def well(self) -> list[Zone]:
        """The zones that count."""
        return [zone for zone in self.zones if zone.is_well]

    @property
    def not_well(self) -> list[Zone]:
        """The others."""
        return [zone for zone in self.zones if not zone.is_well]

    @property
    def is_busy(self) -> bool:
        """Whether a call to one of them has not returned yet."""
        return any(zone.lane.busy_seconds or zone.readers.busy_seconds for zone in self.zones)

    @property
    def growing(self) -> list[MirroredAppender]:
        """The objects that grow in several zones now."""
        with self._mutex:
            return list(self._growing)

    def check_writable(self) -> None:
        """Enough zones are well.

        Raises:
            TooFewZones: names those that are not.
        """
        for zone in self.zones:
            if not zone.is_well:
                break
        else:
            return  # asked by each request, some several times
        well = len(self.well)
        if well < self.quorum:
            behind = "; ".join(
                f"{zone.url}: {zone.reason}" for zone in self.zones if not zone.is_well
            )
            raise TooFewZones(
                f"{well} of {len(self.zones)} zones are well, {self.quorum} are needed ({behind})"
            )

    # Writing.

    def put(self, name: str, data: bytes) -> None:
        """See `ObjectStore`."""
        if self.only is not None:
            self.only.put(name, data)
            return
        self.do(self._each(lambda store: store.put(name, data)), needed=self.quorum, waits=True)
        self.record_changes()

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
                    self.do([(copy.zone, partial(store.delete, name))], needed=0)
            raise
        return self._remember(appender)

    def append_to(self, name: str, homes: Homes | None = None, *, spread: int = 0) -> Appender:
        """See `ObjectStore`; zones that have less of it, or should have it, are given the rest.

        One that cannot be given that is suspended.

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
        self._remember(appender)
        wanted = () if homes is None else self.lacking(homes, set(lengths), spread=spread)
        short = [*[zone for zone in lengths if lengths[zone] < length], *wanted]
        if short:
            appender.homes = [*whole, *short]
            appender.needed = self._needed(appender.homes)
            missing = partial(self._missing, name)
            for zone in short:
                appender.join(zone, missing, present=lengths.get(zone, 0))
        return appender

    def _missing(self, name: str, start: int, end: int) -> bytes:
        return self.read_good(name, start, end - start) if end > start else b""

    def give(self, zones: Sequence[Zone], name: str, data: bytes) -> None:
        """Each of these zones has the object so, durably; one that cannot is suspended. Blocks."""
        for zone in zones:
            store = zone.store
            assert store is not None
            self.do([(zone, partial(store.put, name, data))], needed=0)
        self.wait_for_lanes()

    def delete(self, name: str) -> None:
        """See `ObjectStore`; zones that are behind are told when they come back."""
        if self.only is not None:
            self.only.delete(name)
            return
        with self._mutex:  # what is gone does not grow, whoever has it open
            self._growing = [each for each in self._growing if each.name != name]
        self.do(self._each(lambda store: store.delete(name)), needed=self.quorum, waits=True)

    # Reading.

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

    def copies(self, name: str, offset: int, length: int | None) -> dict[Zone, bytes]:
        """The bytes as each zone that answers has them, all to the end where `length` is None."""

        def reading(store: ObjectStore) -> bytes:
            return store.read(name, offset, store.length(name) if length is None else length)

        found = self._ask(self.readable, reading)
        return {zone: each for zone, each in found.items() if not isinstance(each, Exception)}

    def lengths_of(self, name: str) -> dict[Zone, int]:
        """How long the object is in each zone that is well and has it.

        Raises:
            ZoneUnavailable: none answers.
        """
        return self._good(self._ask(self.well, lambda store: store.length(name)))

    def lengths_in(self, zones: Sequence[Zone], prefix: str) -> dict[Zone, dict[str, int]]:
        """Every object whose name begins with `prefix`, with its length, in each of the zones.

        Raises:
            ZoneUnavailable: one of them does not answer.
        """

        def lengths(store: ObjectStore) -> dict[str, int]:
            found = {}
            for name in store.list(prefix):
                with suppress(KeyError):  # removed while we look
                    found[name] = store.length(name)
            return found

        found = answers(zones, lengths, LISTING_SECONDS_MAX, as_errand=True)
        for zone in zones:
            answer = found.get(zone)
            if not isinstance(answer, dict):
                raise ZoneUnavailable(f"{zone.url}: {answer or 'no answer'}")
        return {zone: each for zone, each in found.items() if isinstance(each, dict)}

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
        ordered = sorted((zone.space for zone in self.well), reverse=True)
        return ordered[min(self.quorum, len(ordered)) - 1] if ordered else (0, 0)

    def look_at_space(self) -> None:
        """What is known of the room in each zone is of now, unless it takes long to say."""
        found = self._ask(self.well, lambda store: store.free_bytes(), seconds=_SPACE_SECONDS_MAX)
        for zone, answer in found.items():
            if isinstance(answer, Exception):
                zone.failing = str(answer)
            else:
                zone.space, zone.failing = answer, ""

    def keep(self, wanted: Mapping[Zone, Mapping[str, Keeping]]) -> dict[Zone, dict[str, str]]:
        """Each zone keeps its objects as told, as far as it can; says why where it cannot. Blocks.

        What is not there, and zones that take too long, are left out.
        """
        asked = {zone: partial(_keep_in, zone, names) for zone, names in wanted.items()}
        found = gather(asked, LISTING_SECONDS_MAX, as_errand=True)
        return {zone: said for zone, said in found.items() if not isinstance(said, Exception)}

    def look_at_marks(self) -> None:
        """Zones that are well, and that somebody emptied, are known as failing."""
        found = self._ask(self.well, lambda store: store.length(MARK_NAME))
        for zone, answer in found.items():
            if isinstance(answer, KeyError):
                zone.failing = f"{MARK_NAME} is gone: somebody emptied the zone"
            elif isinstance(answer, Exception):
                zone.failing = str(answer)

    # Who is well.

    def homes_of(self, homes: Homes, *, spread: int = 0) -> Sequence[Zone]:
        """The zones that an object begun now belongs to, the suspended among them included."""
        described = [Home(zone.kind, zone.takes_new) for zone in self.zones]
        return [self.zones[index] for index in choose(described, homes, spread=spread)]

    def lacking(
        self, homes: Homes, holders: set[Zone], *, spread: int, without: Zone | None = None
    ) -> Sequence[Zone]:
        """The zones that should get a copy and can, where only `holders` have one."""
        zones = [zone for zone in self.zones if zone is not without]
        described = [Home(zone.kind, zone.takes_new) for zone in zones]
        held = {index for index, zone in enumerate(zones) if zone in holders}
        wanted = lacking(described, held, homes, spread=spread)
        return [zones[index] for index in wanted if zones[index].takes_new]

    def suspend(self, zone: Zone, why: str | Exception) -> bool:
        """The zone does not count any more; False for the last one that does."""
        reason = str(why)
        with self._mutex:
            if zone.state is ZoneState.BEHIND:
                return True
            if zone.is_well and len(self.well) == 1:
                return False
            # What it was given in its lane, well or returning, may not be durable there.
            growing = (each.name for each in self._growing if zone in each.homes)
            doubtful = tuple(dict.fromkeys((*zone.doubtful, *growing)))
            self._unrecorded |= zone.is_well or doubtful != zone.doubtful
            zone.doubtful = doubtful
            zone.state, zone.reason = ZoneState.BEHIND, reason
            zone.is_full = isinstance(why, StoreFull)
            zone.stop_writing()
            waiting = list(self._rounds)
        for each in waiting:
            each.note(zone, ZoneUnavailable(reason))
        logger.error("zone %s is suspended: %s", zone.url or zone.zone_id, reason)
        self.on_suspend(zone)
        return True

    def welcome(self, zone: Zone, store: ObjectStore) -> None:
        """The suspended zone gets whatever is begun from now on; `settle_in` follows."""
        assert not zone.hangs, "a call that hangs could still write"
        with self._mutex:
            zone.store = store
            zone.renew_lanes()
            zone.state = ZoneState.RETURNING

    def settle_in(self, zone: Zone) -> None:
        """The returning zone has everything, durably, and counts again.

        Raises:
            TooFewZones: that could not be recorded.
        """
        with self._mutex:
            if zone.state is not ZoneState.RETURNING:
                return
            zone.state, zone.reason, zone.doubtful = ZoneState.WELL, "", ()
            zone.is_full = False
            self._unrecorded = True
        logger.info("zone %s is well again", zone.url or zone.zone_id)
        self.record_changes()

    def check_lanes(self) -> None:
        """Zones that are too far behind, or hang, are suspended. Called now and then."""
        for zone in self.zones:
            if not zone.takes_new:
                continue
            self._check_lane(zone)
            if zone.readers.busy_seconds > self.timeout_seconds:
                self.suspend(zone, f"a read has not returned for {self.timeout_seconds:g} s")

    def wait_for_lanes(self) -> None:
        """Every zone that is well has done what it was told; one that does not is suspended."""
        jobs: Jobs = [(zone, lambda: None) for zone in self.well]
        with suppress(TooFewZones):
            self.do(jobs, needed=1, waits=True)

    def drain(self, zone: Zone) -> None:
        """The zone, which may be returning, has done all that it was told until now.

        Raises:
            ZoneUnavailable: it failed, or does not answer in time.
        """
        with self._mutex:
            if not zone.takes_new:
                raise ZoneUnavailable(zone.reason)
            this = Round([zone], needed=1)
            self._rounds.add(this)

        def tell() -> None:
            this.note(zone, None)

        zone.lane.submit(tell)
        late = this.wait(self.timeout_seconds)
        with self._mutex:
            self._rounds.discard(this)
        if late:
            raise ZoneUnavailable(f"no answer for {self.timeout_seconds:g} s")
        if this.errors:
            raise ZoneUnavailable(str(this.errors[zone]))

    def record_changes(self) -> None:
        """It is durable in the zones that go on which ones do not. Before any acknowledgement.

        Raises:
            TooFewZones: not in enough of them.
            StoreFull: the same, for want of room.
        """
        if self._record.wanted_quorum != self.wanted_quorum:
            self._unrecorded = True
        if not self._unrecorded or len(self.well) < self.quorum:
            return  # without a quorum nothing is acknowledged, so nobody missed anything
        with self._record_mutex:
            while self._unrecorded:  # writing it may cost another zone
                self._write_record(needed=self.quorum)

    def record_before_marking(self, zone: Zone) -> None:
        """It is durable that the zone lacks things, as widely as can be, without a quorum too.

        For one that was emptied: once it has its mark again, the next process would take it for
        whole.

        Raises:
            StorageError: that could not be recorded.
        """
        assert not zone.is_well
        with self._record_mutex:
            while self._unrecorded:
                self._write_record(needed=min(self.quorum, len(self.well)))

    def _write_record(self, *, needed: int) -> None:
        with self._mutex:
            self._unrecorded = False
            behind = tuple(
                BehindZone(zone.zone_id, zone.reason, zone.doubtful)
                for zone in self.zones
                if not zone.is_well
            )
            # No epoch is used twice, whatever happens below.
            self._record = ZonesRecord(
                epoch=self._record.epoch + 1, behind=behind, wanted_quorum=self.wanted_quorum
            )
        data = encode_record(self._record)
        try:
            self.do(self._each(lambda store: store.put(RECORD_NAME, data)), needed=needed)
        except StorageError:
            self._unrecorded = True
            raise
        try:
            self._keep_record(data)
        except (OSError, StoreFull) as error:
            logger.warning("%s of the store cannot be written: %s", RECORD_NAME, error)

    def check_left(self, zones: Sequence[Zone]) -> None:
        """With only these zones the store would go on.

        Raises:
            TooFewZones: not enough of them are well.
        """
        well = [zone for zone in zones if zone.is_well]
        needed = quorum_of(len(zones), wanted=self.wanted_quorum)
        if len(well) < max(needed, 1):
            raise TooFewZones(f"only {len(well)} zones that are well would be left")

    def reopen(self, zones: Iterable[Zone]) -> None:
        """The set has these zones from now on; objects that grow keep theirs."""
        with self._mutex:
            self.zones = tuple(zones)
            self._unrecorded = True

    def forget(self, appender: MirroredAppender) -> None:
        """The object does not grow any more."""
        with self._mutex, suppress(ValueError):
            self._growing.remove(appender)

    def close(self) -> None:
        """No thread of ours takes work any more."""
        for zone in self.zones:
            zone.leave_lanes()

    def do(self, jobs: Jobs, *, needed: int, size_bytes: int = 0, waits: bool = False) -> None:
        """Each zone does its job, after those before; returns when enough zones have.

        With `waits`, when all have that work: no reader finds what was there before.

        Zones that fail, or take too long while enough others succeed, are suspended. Zones that are
        returning are not waited for.

        Raises:
            TooFewZones: not enough succeeded, or there were not enough to begin with.
            StoreFull: the same, and one of them is full; full zones are not suspended then.
            Exception: whatever else a job raised (FileExistsError, KeyError, a bug).
        """
        with self._mutex:  # a zone that is suspended from here on is told of to this round
            counted = [zone for zone, _ in jobs if zone.is_well] if needed else []
            this = Round(counted, needed=needed, waits_for_all=waits)
            self._rounds.add(this)
        if len(counted) < needed:
            with self._mutex:
                self._rounds.discard(this)
            raise TooFewZones(f"{len(counted)} zones are well, {needed} are needed")
        try:
            for zone, job in jobs:
                zone.lane.submit(partial(self._perform, this, zone, job), size_bytes)
            late = this.wait(self.timeout_seconds) if needed else []
        finally:
            with self._mutex:
                self._rounds.discard(this)
        if this.errors or late:
            self._conclude(this, late)
        for zone, _ in jobs:  # what waits for a returning zone is in memory, too
            if zone.takes_new and zone.lane.waiting_bytes > LAG_BYTES_MAX:
                self._check_lane(zone)

    def _perform(self, this: Round, zone: Zone, job: Callable[[], object]) -> None:
        try:
            job()
        except Exception as error:  # noqa: BLE001 - whoever waits decides what it means
            if not this.note(zone, error):
                self.suspend(zone, error)
        else:
            this.note(zone, None)

    def _conclude(self, this: Round, late: Sequence[Zone]) -> None:
        for error in this.errors.values():
            if not isinstance(error, StorageError):
                raise error
        failures: dict[Zone, Exception] = dict(this.errors)
        no_answer = ZoneUnavailable(f"no answer for {self.timeout_seconds:g} s")
        failures |= dict.fromkeys(late, no_answer)
        full = [error for error in failures.values() if isinstance(error, StoreFull)]
        for zone, error in failures.items():
            if this.is_enough or not isinstance(error, StoreFull):
                self.suspend(zone, error)
        if this.is_enough:
            return
        if full:
            raise full[0]
        told = "; ".join(f"{zone.url or zone.zone_id}: {why}" for zone, why in failures.items())
        raise TooFewZones(f"{len(this.done)} zones did it, {this.needed} are needed ({told})")

    def _check_lane(self, zone: Zone) -> None:
        if zone.lane.waiting_bytes > LAG_BYTES_MAX:
            self.suspend(zone, f"more than {LAG_BYTES_MAX >> 20} MiB wait for it")
        elif zone.lane.busy_seconds > self.timeout_seconds:
            self.suspend(zone, f"a call has not returned for {self.timeout_seconds:g} s")

    def _each(self, work: Callable[[ObjectStore], object]) -> Jobs:
        return [
            (zone, partial(work, zone.store))
            for zone in self.zones
            if zone.takes_new and zone.store is not None
        ]

    def _appender(self, name: str, zones: Sequence[Zone]) -> MirroredAppender:
        copies = [Copy(zone) for zone in zones if zone.takes_new]
        appender = MirroredAppender(self, name, copies, needed=self._needed(zones))
        appender.homes = list(zones)
        return appender

    def _needed(self, zones: Sequence[Zone]) -> int:
        """The quorum of an object that belongs in these zones."""
        return self.quorum if len(zones) == len(self.zones) else quorum_of(len(zones))

    def _remember(self, appender: MirroredAppender) -> MirroredAppender:
        with self._mutex:
            self._growing.append(appender)
        return appender

    @property
    def readable(self) -> Sequence[Zone]:
        """The zones that may be read, the best first; one that hangs is none."""
        return self.well + [zone for zone in self.not_well if zone.answers_reads]

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


def _keep_in(zone: Zone, names: Mapping[str, Keeping]) -> dict[str, str]:
    said = {}
    keeper = keeper_of(zone)
    for name, keeping in names.items():
        try:
            said[name] = "it cannot" if keeper is None else keeper.keep(name, keeping)
        except KeyError:
            continue
        except StorageError as error:
            said[name] = str(error)
    return said


def keeper_of(zone: Zone) -> Keeper | None:
    """The zone, if it can keep objects in special ways."""
    store: object = zone.store
    return store if isinstance(store, Keeper) else None
