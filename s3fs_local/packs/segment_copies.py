"""Segments of a stream as the zones have them: which copy counts, and what others lack of it.

A crash may tear the end of a segment, in each zone at another place. A copy that says something
else than the others before its end was altered, which is for whoever looks for damage.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Final

from msgspec import Struct

from s3fs_local.errors import FormatTooNew, JournalDamaged
from s3fs_local.objects.interface import ObjectStore
from s3fs_local.objects.object_copy import ObjectCopy
from s3fs_local.objects.zone import Zone
from s3fs_local.objects.zone_set import ZoneSet
from s3fs_local.packs.segment import (
    HEAD_BYTES,
    HEADER_BYTES,
    Record,
    Segment,
    is_same_object,
)

logger = logging.getLogger(__name__)

UNEVEN_SEGMENTS_MAX: Final = 8
"""So many segments, more than ever wait for a slow zone, are compared between zones at opening."""
JOURNAL: Final = "journal"
_NOTHING: Final = ObjectCopy.of(b"")


class Head(Struct, frozen=True):
    """What the head of a segment says."""

    segment: Segment
    before: int  # number of the segment before it; 0: none
    before_end: int


class SegmentCopies:
    """The segments of one stream in all zones. Writes only to give a zone what it lacks."""

    def __init__(self, zones: ZoneSet, key: bytes, *, store_id: bytes, stream: str) -> None:
        self._zones = zones
        self._key = key
        self._store_id = store_id
        self._stream = stream
        self._uneven: set[int] = set()  # segments of which `run` found other copies elsewhere

    def numbers(self) -> list[int]:
        """The numbers of all segments in any zone, ascending."""
        names = self._zones.list_anywhere(f"{self._stream}/")
        return sorted(numbers_of(names, self._stream))

    def head(self, number: int, *, known: int) -> Head | None:
        """The head; None for a damaged one of a segment with nothing after its first `known` bytes.

        Such a one is left where the creation of a segment is cut short.

        Raises:
            JournalDamaged: the head is damaged and the segment is longer.
        """
        copies = self._copies(number, known + 1)
        too_new: FormatTooNew | None = None
        for copy in copies:
            try:
                segment = Segment.of(copy, self._key, store_id=self._store_id, number=number)
            except FormatTooNew as error:  # or one flipped bit: another zone may know better
                too_new = error
                continue
            origin = None if segment is None else segment.origin(copy)
            if segment is not None and origin is not None:
                return Head(segment=segment, before=origin[0], before_end=origin[1])
        if too_new is not None:
            raise too_new
        if any(copy.length > known for copy in copies):
            raise JournalDamaged(f"the head of {self._stream} segment {number} is damaged")
        return None

    def run(self, segment: Segment, start: int, end: int | None) -> tuple[list[Record], int]:
        """The records from `start` to `end` (None: as far as there are any), and where they end."""
        copies = self._copies(segment.number)
        if not all(copy.is_same(copies[0]) for copy in copies[1:]):  # hashes would take longer
            self._uneven.add(segment.number)
        best: list[Record] = []
        reached = HEAD_BYTES
        for copy in copies:
            run = list(segment.run(copy, HEAD_BYTES))
            if not run or run[-1].end < start:
                # Either damage in a part that metadata has committed, which harms nobody, or
                # metadata is ahead of a journal that lost its unsynced end.
                run = list(segment.run(copy, start)) or run
            if run and run[-1].end > reached:
                best, reached = run, run[-1].end
        if end is None:
            promised = max((segment.durable_after(copy, reached) for copy in copies), default=0)
        else:
            promised = end
        if promised > max(start, reached):
            raise JournalDamaged(
                f"{self._stream} segment {segment.number} is damaged at {reached}, before its end"
            )
        limit = reached if end is None else end
        return [record for record in best if start < record.end <= limit], limit

    def best_copy(self, name: str, copies: Sequence[ObjectCopy]) -> ObjectCopy | None:
        """The copy of a segment that nobody appends to with the most records; None: none has any.

        Of equals the one without a torn end. Reads only what it is given.
        """
        (number,) = numbers_of([name], self._stream)
        best: tuple[int, int] | None = None
        found: ObjectCopy | None = None
        for copy in copies:
            try:
                segment = Segment.of(copy, self._key, store_id=self._store_id, number=number)
            except FormatTooNew:  # one flipped bit; a real one is met before
                continue
            if segment is None:
                continue
            end = _end_of_records(segment, copy)
            rank = (end, -copy.length)
            if end > HEADER_BYTES and (best is None or rank > best):
                best, found = rank, copy
        return found

    def bytes_of(self, number: int, start: int, end: int) -> bytes:
        """Bytes [start, end) of the segment, of its best copy that has so many."""
        name = segment_name(number, self._stream)
        if start >= end:
            return b""
        found = that_count(self._zones.object_copies(name))
        copies = [copy.up_to(end) for copy in found if copy.length >= end]
        best = self.best_copy(name, copies)
        if best is None:
            return self._zones.read_good(name, start, end - start)
        return best.exactly(start, end)

    def make_even(self, last: int) -> None:
        """Zones that a crash kept from the last records have them, as the best copy has.

        `last` is the newest segment. Any zone may be the one that is left. Each was told of
        everything in order, so what one has begun it has before, whole. A copy that no crash
        explains is left to whoever looks for damage, and tells it.
        """
        if self._zones.only is not None:
            return
        for number in range(last, max(last - UNEVEN_SEGMENTS_MAX, 0), -1):
            name = segment_name(number, self._stream)
            lengths = self._zones.lengths_of(name)
            begun = [lengths.get(zone, 0) > HEAD_BYTES for zone in self._zones.well]
            if number in self._uneven or not all(begun) or len(set(lengths.values())) > 1:
                self._even_out(number, name)
            if all(begun):
                break

    def _even_out(self, number: int, name: str) -> None:
        copies = self._zones.object_copies(name)
        best = self.best_copy(name, that_count(copies))
        if best is None:
            return
        short = [
            zone
            for zone in self._zones.well
            if self._is_torn(number, copies.get(zone, _NOTHING), best)
        ]
        for zone in short:
            logger.warning("zone %s: %s ended early, and is completed", zone.url, name)
        self._zones.give(short, name, best.whole())

    def _is_torn(self, number: int, copy: ObjectCopy, best: ObjectCopy) -> bool:
        """Whether the copy is not the best one, and a crash explains that it ends where it does.

        One that says something else than the best one was altered: whoever compares zones tells it.
        """
        if copy.is_same(best):
            return False
        try:
            segment = Segment.of(copy, self._key, store_id=self._store_id, number=number)
        except FormatTooNew:
            return False
        if segment is None:
            return copy.length < HEADER_BYTES
        end = _end_of_records(segment, copy)
        return copy.up_to(end).is_same(best.up_to(end)) and segment.durable_after(copy, end) <= end

    def _copies(self, number: int, size: int | None = None) -> list[ObjectCopy]:
        """The segment, or its first bytes, as zones that count have it: read at once."""
        found = self._zones.copies(segment_name(number, self._stream), 0, size)
        return that_count({zone: ObjectCopy.of(data) for zone, data in found.items()})


def that_count(copies: Mapping[Zone, ObjectCopy]) -> list[ObjectCopy]:
    """The copies of zones that are well; then, of others, those of the same object.

    One of these may be better. But a zone that is behind may have another object of that name: left
    there by a crash, promised to nobody, and unknown to whoever went on without the zone.
    """
    well = [copy for zone, copy in copies.items() if zone.is_well]
    others = [copy for zone, copy in copies.items() if not zone.is_well]
    return well + [copy for copy in others if any(is_same_object(copy, each) for each in well)]


def _end_of_records(segment: Segment, copy: ObjectCopy) -> int:
    end = HEADER_BYTES
    for record in segment.run(copy, HEADER_BYTES):
        end = record.end
    return end


def segment_name(number: int, stream: str = JOURNAL) -> str:
    """The object that holds the segment."""
    return f"{stream}/{number:016x}.{stream}"


def segment_numbers(zone: ObjectStore, stream: str = JOURNAL) -> Iterator[int]:
    """The numbers of the segments in the zone, ascending."""
    return numbers_of(zone.list(f"{stream}/"), stream)


def numbers_of(names: Iterable[str], stream: str) -> Iterator[int]:
    """The numbers of those objects that are segments of the stream."""
    for name in names:
        with suppress(ValueError):
            number = int(name.removeprefix(f"{stream}/").removesuffix(f".{stream}"), 16)
            if segment_name(number, stream) == name:
                yield number
