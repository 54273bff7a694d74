"""An object that grows in several zones at once, with the same bytes in each."""

from collections.abc import Callable
from functools import partial
from threading import Lock
from typing import Protocol

from s3fs_local.errors import StorageError, TooFewZones, ZoneUnavailable
from s3fs_local.objects.interface import Appender
from s3fs_local.objects.zone import Zone

Jobs = list[tuple[Zone, Callable[[], object]]]


class Doing(Protocol):
    """What an object asks of the membership of its zones."""

    def do(self, jobs: Jobs, *, needed: int, size_bytes: int = 0, waits: bool = False) -> None:
        """Enough zones have done their jobs. Raises StoreFull, TooFewZones."""
        ...

    def record_changes(self) -> None:
        """It is durable in the zones that go on which ones do not. Raises as `do`."""
        ...

    def forget(self, appender: "MirroredAppender") -> None:
        """The object does not grow any more."""
        ...


class Copy:
    """The object in one zone. Its appender is made, used and closed in the zone's lane."""

    def __init__(self, zone: Zone) -> None:
        self.zone = zone
        self.lane = zone.lane  # a zone that comes back has another
        self.appender: Appender | None = None

    @property
    def is_live(self) -> bool:
        """Whether the zone has taken part without a break."""
        return self.zone.takes_new and self.zone.lane is self.lane

    def begin(self, name: str) -> None:
        """The object is there, empty."""
        assert self.zone.store is not None
        self.appender = self.zone.store.create(name)

    def resume(self, name: str, length: int) -> None:
        """The object is there as it was, of this length; a new one where that is none."""
        assert self.zone.store is not None
        try:
            appender = self.zone.store.append_to(name)
        except KeyError:
            if length:
                raise
            appender = self.zone.store.create(name)
        if appender.length != length:
            appender.close()
            raise ZoneUnavailable(f"{name} has {appender.length} bytes there instead of {length}")
        self.appender = appender

    def append(self, data: bytes, offset: int) -> None:
        """The bytes are there, at this offset."""
        if self._opened().append(data) != offset:
            raise ZoneUnavailable("the object grew by somebody else's hand")

    def sync(self) -> None:
        """What was appended is durable there."""
        self._opened().sync()

    def close(self) -> None:
        """It is not open any more."""
        if self.appender is not None:
            self.appender.close()

    def release(self) -> None:
        """Nobody but a call that still runs has it open."""
        self.appender = None

    def _opened(self) -> Appender:
        if self.appender is None:
            raise ZoneUnavailable("the object could not be opened there")
        return self.appender


class MirroredAppender:
    """Grows one object in its zones; see `Appender`. Those that fail are left out from then on."""

    def __init__(self, members: Doing, name: str, copies: list[Copy], *, needed: int) -> None:
        """For `create` and `append_to` of a set, which have opened the copies."""
        self.name = name
        self.copies = copies
        self.needed = needed
        self.waits = False  # for every zone, at each append
        self.homes: list[Zone] = [copy.zone for copy in copies]  # where it should be
        self._members = members
        self._length = 0
        self._failure: str | None = None
        self._mutex = Lock()  # an append, or a zone that comes in: not both

    @property
    def length(self) -> int:
        """See `Appender`; what has reached enough zones."""
        return self._length

    @property
    def can_grow(self) -> bool:
        """See `Appender`; False where zones may differ after `length`."""
        return self._failure is None

    def open(self, *, length: int | None = None) -> None:
        """The object is open in its zones: new, or as it was with this length."""
        if length is None:
            self._members.do(self._jobs(partial(Copy.begin, name=self.name)), needed=self.needed)
        else:
            opening = partial(Copy.resume, name=self.name, length=length)
            self._members.do(self._jobs(opening), needed=self.needed)
            self._length = length

    def append(self, data: bytes | bytearray | memoryview) -> int:
        """See `Appender`. Raises TooFewZones before anything is written, or in the middle."""
        piece = data if isinstance(data, bytes) else bytes(data)  # lanes use it after we return
        with self._mutex:
            if self._failure is not None:
                raise ZoneUnavailable(self._failure)
            offset = self._length
            jobs = self._jobs(partial(Copy.append, data=piece, offset=offset))
            try:
                self._members.do(jobs, needed=self.needed, size_bytes=len(piece), waits=self.waits)
            except StorageError as error:
                self._failure = f"{self.name}: an earlier append failed: {error}"
                raise
            self._length += len(piece)
            return offset

    def sync(self) -> None:
        """See `Appender`; durable in as many zones as an acknowledgement needs.

        After TooFewZones it may succeed, once zones came back with all that they had missed; after
        StoreFull, once there is room.
        """
        self._members.do(self._jobs(Copy.sync), needed=self.needed)
        self._members.record_changes()

    def sync_in(self, zone: Zone) -> None:
        """What the zone has of it is durable there once its lane has come to this."""
        for copy in self.copies:
            if copy.zone is zone and copy.is_live:
                self._members.do([(zone, copy.sync)], needed=0)

    def close(self) -> None:
        """See `Appender`."""
        self._members.forget(self)
        for copy in self.copies:
            if copy.is_live:
                copy.lane.submit(copy.close)
            else:  # its lane is left, and may hang in it
                copy.zone.errands.submit(copy.release)

    def join(self, zone: Zone, missing: Callable[[int, int], bytes], *, present: int) -> None:
        """The zone, whose copy has `present` bytes, takes part from now on.

        Args:
            zone: one that is returning, or has less than the others.
            missing: gives bytes [start, end) of the object.
            present: what it has; the rest goes through its lane, before anything newer.
        """
        with self._mutex:
            former = [copy for copy in self.copies if copy.zone is zone]
            rest = missing(present, self._length)
            copy = Copy(zone)
            jobs: Jobs = [(zone, partial(copy.resume, self.name, present))]
            if rest:
                jobs.append((zone, partial(copy.append, rest, present)))
            jobs += [(zone, old.close) for old in former]
            for job in jobs:
                self._members.do([job], needed=0)
            self.copies = [old for old in self.copies if old.zone is not zone] + [copy]

    def lacks(self, zone: Zone) -> bool:
        """Whether the zone should have a copy that grows, and has none, and others could give it.

        What only zones had that are gone grows no more: nobody knows its bytes.
        """
        live = [copy.zone for copy in self.copies if copy.is_live]
        return bool(live) and zone in self.homes and zone not in live

    def _jobs(self, work: Callable[[Copy], object]) -> Jobs:
        jobs: Jobs = [(copy.zone, partial(work, copy)) for copy in self.copies if copy.is_live]
        well = sum(zone.is_well for zone, _ in jobs)
        if well < self.needed:
            raise TooFewZones(
                f"{well} of {len(self.copies)} zones answer, {self.needed} are needed"
            )
        return jobs
