"""Which zones of a store count, and what those that do are told together.

What several zones are told goes through the lane of each; the call returns when enough of them
have done it (`rules/quorum.py`). A zone that fails, or does not answer in time while others do, is
*suspended*: nothing more is written to it, it is told of in `zones.json` before anything else is
acknowledged, and it must be told what it missed before it counts again (`engine/zone_care.py`).
The last zone that is well is never suspended: its errors are the caller's.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from threading import Lock
from typing import Final

from s3fs_local.errors import StorageError, StoreFull, TooFewZones, ZoneUnavailable
from s3fs_local.objects.interface import ObjectStore
from s3fs_local.objects.mirrored import Jobs, MirroredAppender
from s3fs_local.objects.rounds import Round
from s3fs_local.objects.zone import Zone, ZoneState
from s3fs_local.objects.zone_record import RECORD_NAME, BehindZone, ZonesRecord, encode_record
from s3fs_local.rules.quorum import MAJORITY, quorum_of
from s3fs_local.system.held_directories import HeldDirectories

logger = logging.getLogger(__name__)

TIMEOUT_SECONDS: Final = 10.0
"""How long the others wait for a zone before they go on without it."""
LAST_SECONDS: Final = 30.0
"""How long the last zone that is well may take where a network lies in between: nobody could go on
without it, and a piece takes its time over a slow line."""
LAG_BYTES_MAX: Final = 64 << 20
"""What may wait for one slow zone; beyond it is suspended, and caught up from its neighbours."""


class Membership:
    """The zones of one store as they count now. Any thread may call."""

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
        """Over `zones`, one at least, in the order in which reads prefer them.

        Args:
            zones: those that `record` tells of as behind are so, whatever they look like.
            wanted_quorum: see `rules/quorum.py`.
            timeout_seconds: nothing blocks longer, while one zone at least works.
            record: the newest there is.
            is_record_partial: some zone that it counts has another, see `complete_record`.
            keep_record: told each new one, before the zones; may fail with an OSError.
        """
        assert zones
        self.zones = tuple(zones)
        self._record = record or ZonesRecord()
        self.wanted_quorum = wanted_quorum
        self.timeout_seconds = timeout_seconds
        self.on_suspend: Callable[[Zone], None] = lambda _: None
        self._keep_record = keep_record
        self.held = HeldDirectories()  # of zones that lie in one
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
                zone.joins = known.joins
        not_well = {zone.zone_id for zone in self.zones if not zone.is_well}
        self._is_record_partial = is_record_partial
        self._unrecorded = is_record_partial or not_well != set(behind)

    @property
    def quorum(self) -> int:
        """The least number of zones with which the store goes on.

        While one joins, all others at most: they have what the next process takes them to have.
        """
        counted = self._counted
        joining = sum(zone.joins for zone in counted)
        wanted = quorum_of(len(counted), wanted=self.wanted_quorum)
        return max(1, min(wanted, len(counted) - joining))

    @property
    def _counted(self) -> list[Zone]:
        """All of them but one that was left out, on its way to be removed."""
        return [zone for zone in self.zones if zone.is_well or not zone.leaves]

    @property
    def _recorded_count(self) -> int:
        """See `ZonesRecord`."""
        counted = len(self._counted)
        return 0 if counted == len(self.zones) else counted

    @property
    def well(self) -> list[Zone]:
        """The zones that count."""
        return [zone for zone in self.zones if zone.is_well]

    @property
    def not_well(self) -> list[Zone]:
        """The others."""
        return [zone for zone in self.zones if not zone.is_well]

    @property
    def readable(self) -> Sequence[Zone]:
        """The zones that may be read, the best first; one that hangs is none."""
        return self.well + [zone for zone in self.not_well if zone.answers_reads]

    @property
    def is_busy(self) -> bool:
        """Whether a call to one of them has not returned yet."""
        return any(zone.lane.busy_seconds or zone.readers.busy_seconds for zone in self.zones)

    def want_quorum(self, wanted: int) -> None:
        """Whatever is acknowledged from now on, by what grows already too, is so by this quorum."""
        if wanted != self.wanted_quorum:
            self.wanted_quorum = wanted
            self.recount()

    def check_writable(self) -> None:
        """Enough zones are well.

        Raises:
            TooFewZones: names those that are not.
        """
        for zone in self.zones:
            if zone.state is not ZoneState.WELL:
                break
        else:
            return  # asked by each change
        well = len(self.well)
        if well < self.quorum:
            behind = "; ".join(
                f"{zone.url}: {zone.reason}" for zone in self.zones if not zone.is_well
            )
            raise TooFewZones(
                f"{well} of {len(self.zones)} zones are well, {self.quorum} are needed ({behind})"
            )

    def check_left(self, zones: Sequence[Zone]) -> None:
        """With only these zones the store would go on.

        Raises:
            TooFewZones: not enough of them are well.
        """
        well = [zone for zone in zones if zone.is_well]
        needed = quorum_of(len(zones), wanted=self.wanted_quorum)
        if len(well) < max(needed, 1):
            raise TooFewZones(f"only {len(well)} zones that are well would be left")

    def check_may_grow(self) -> None:
        """With one zone more, which lacks everything at first, the store would go on.

        Raises:
            TooFewZones: not enough of those there are, are well.
        """
        needed = quorum_of(len(self.zones) + 1, wanted=self.wanted_quorum)
        if len(self.well) < min(needed, len(self.zones)):
            there = "; ".join(f"{zone.url}: {zone.reason}" for zone in self.not_well)
            raise TooFewZones(
                f"{needed} zones must be well while one is added: repair or remove first ({there})"
            )

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

    def leave_out(self, zone: Zone) -> bool:
        """The zone, which leaves, is suspended; nothing needs it. False where no other is well."""
        assert zone.leaves
        is_left_out = self.suspend(zone, "it is being removed")
        self.recount()
        return is_left_out

    def recount(self) -> None:
        """What grows needs as many zones as what is begun now."""
        with self._mutex:
            for each in self._growing:
                each.needed = self.needed_in(each.homes)

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
            zone.is_full = zone.joins = False
            self._unrecorded = True
        self.recount()
        logger.info("zone %s is well again", zone.url or zone.zone_id)
        self.record_changes()

    def reopen(self, zones: Iterable[Zone]) -> None:
        """The set has these zones from now on; objects that grow keep theirs."""
        with self._mutex:
            self.zones = tuple(zones)
            self._unrecorded = True
        self.recount()

    def close(self) -> None:
        """No thread of ours takes work any more, and others may open the zones."""
        for zone in self.zones:
            zone.leave_lanes()
        self.held.release()

    def complete_record(self) -> None:
        """What a killed process told some of the zones, all have now; else nothing is written.

        Otherwise the record would be lost with those few, and others count for what they are not.

        Raises:
            TooFewZones, StoreFull: as `record_changes`, which then does it.
        """
        if self._is_record_partial:
            self.record_changes()

    def record_changes(self) -> None:
        """It is durable in the zones that go on which ones do not. Before any acknowledgement.

        Raises:
            TooFewZones: not in enough of them.
            StoreFull: the same, for want of room.
        """
        told = (self._record.wanted_quorum, self._record.counted)
        if told != (self.wanted_quorum, self._recorded_count) and len(self.well) >= self.quorum:
            # Who reads the record takes it that so many zones have what was acknowledged before.
            self.do_everywhere(lambda _: None)
            self._unrecorded = True
        if not self._unrecorded or len(self.well) < self.quorum:
            return  # without a quorum nothing is acknowledged, so nobody missed anything
        with self._record_mutex:
            while self._unrecorded:  # writing it may cost another zone
                self._write_record(needed=self.quorum)

    def record_behind(self, zone: Zone) -> None:
        """It is durable that the zone lacks things, as widely as can be, without a quorum too.

        For one that was emptied, is new, or is about to go: the next process would take it for
        whole, by its mark or by `store.json`.

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
                BehindZone(zone.zone_id, zone.reason, zone.doubtful, joins=zone.joins)
                for zone in self.zones
                if not zone.is_well
            )
            # No epoch is used twice, whatever happens below.
            self._record = ZonesRecord(
                epoch=self._record.epoch + 1,
                behind=behind,
                wanted_quorum=self.wanted_quorum,
                counted=self._recorded_count,
            )
        data = encode_record(self._record)
        try:
            self._keep_record(data)
        except (OSError, StoreFull) as error:
            logger.warning("%s of the store cannot be written: %s", RECORD_NAME, error)
        try:
            self.do_everywhere(lambda store: store.put(RECORD_NAME, data), needed=needed)
        except StorageError:
            self._unrecorded = True
            raise

    @property
    def growing(self) -> list[MirroredAppender]:
        """The objects that grow in several zones now."""
        with self._mutex:
            return list(self._growing)

    def remember(self, appender: MirroredAppender) -> None:
        """The object grows, until it is forgotten."""
        with self._mutex:
            self._growing.append(appender)

    def forget(self, appender: MirroredAppender) -> None:
        """The object does not grow any more."""
        with self._mutex, suppress(ValueError):
            self._growing.remove(appender)

    def forget_named(self, name: str) -> None:
        """No object of this name grows any more, whoever has it open."""
        with self._mutex:
            self._growing = [each for each in self._growing if each.name != name]

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
        patience = self._patience(counted)
        try:
            self._check_last(counted, patience)
            for zone, job in jobs:
                zone.lane.submit(partial(self._perform, this, zone, job), size_bytes)
            late = this.wait(patience) if needed else []
        finally:
            with self._mutex:
                self._rounds.discard(this)
        if this.errors or late:
            self._conclude(this, late, patience)
        for zone, _ in jobs:  # what waits for a returning zone is in memory, too
            if zone.takes_new and zone.lane.waiting_bytes > LAG_BYTES_MAX:
                self._check_lane(zone)

    def do_everywhere(
        self,
        work: Callable[[ObjectStore], object],
        *,
        needed: int | None = None,
        waits: bool = False,
    ) -> None:
        """As `do`, in each zone that takes what is new; a quorum is needed if nothing is said."""
        jobs: Jobs = [
            (zone, partial(work, zone.store))
            for zone in self.zones
            if zone.takes_new and zone.store is not None
        ]
        self.do(jobs, needed=self.quorum if needed is None else needed, waits=waits)

    def _perform(self, this: Round, zone: Zone, job: Callable[[], object]) -> None:
        try:
            job()
        except Exception as error:  # noqa: BLE001 - whoever waits decides what it means
            if not this.note(zone, error):
                self.suspend(zone, error)
        else:
            this.note(zone, None)

    def _patience(self, counted: Sequence[Zone]) -> float:
        """How long these are waited for."""
        is_last = len(counted) == 1 and counted[0].is_far
        return max(self.timeout_seconds, LAST_SECONDS) if is_last else self.timeout_seconds

    @staticmethod
    def _check_last(counted: Sequence[Zone], patience: float) -> None:
        """Where there is but one, it is not one that hangs: what waits for it would pile up.

        Raises:
            TooFewZones: it does.
        """
        if len(counted) == 1 and counted[0].lane.busy_seconds > patience:
            zone = counted[0]
            raise TooFewZones(f"{zone.url or zone.zone_id}: no answer for {patience:g} s")

    def _conclude(self, this: Round, late: Sequence[Zone], patience: float) -> None:
        for error in this.errors.values():
            if not isinstance(error, StorageError):
                raise error
        failures: dict[Zone, Exception] = dict(this.errors)
        no_answer = ZoneUnavailable(f"no answer for {patience:g} s")
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

    def wait_for_lanes(self) -> None:
        """Every zone that is well has done what it was told; one that does not is suspended."""
        jobs: Jobs = [(zone, lambda: None) for zone in self.well]
        with suppress(TooFewZones):
            self.do(jobs, needed=1, waits=True)

    def check_lanes(self) -> None:
        """Zones that are too far behind, or hang, are suspended. Called now and then."""
        for zone in self.zones:
            if not zone.takes_new:
                continue
            self._check_lane(zone)
            if zone.readers.busy_seconds > self.timeout_seconds:
                self.suspend(zone, f"a read has not returned for {self.timeout_seconds:g} s")

    def _check_lane(self, zone: Zone) -> None:
        if zone.lane.waiting_bytes > LAG_BYTES_MAX:
            self.suspend(zone, f"more than {LAG_BYTES_MAX >> 20} MiB wait for it")
        elif zone.lane.busy_seconds > self.timeout_seconds:
            self.suspend(zone, f"a call has not returned for {self.timeout_seconds:g} s")

    def needed_in(self, zones: Sequence[Zone]) -> int:
        """The quorum of an object that belongs in these zones."""
        counted = self._counted
        there = [zone for zone in zones if zone in counted]
        return self.quorum if len(there) == len(counted) else max(1, quorum_of(len(there)))
