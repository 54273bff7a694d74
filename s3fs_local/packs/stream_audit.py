"""A stream of one zone, read past its damage: what is there, and where something is not.

`Journal.replay` stops at damage, for what it gives is acted upon. Here every authentic record is
wanted, and every place that holds none although it should. Of a segment a piece is held at a time.
"""

from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Final

from msgspec import Struct

from s3fs_local.errors import FormatTooNew
from s3fs_local.objects.interface import ObjectStore
from s3fs_local.objects.object_copy import ObjectCopy
from s3fs_local.packs.segment import HEAD_BYTES, Segment
from s3fs_local.packs.segment_copies import segment_name, segment_numbers

_NO_ORIGIN: Final = (0, 0)


class Found(Struct, frozen=True):
    """An authentic record."""

    segment: int
    offset: int
    payload: bytes


class Hole(Struct, frozen=True):
    """No authentic record begins here, although others follow or the segment went on."""

    segment: int
    offset: int  # 0: the segment is missing, or its head is damaged
    is_tail: bool = False  # nothing authentic follows in the stream: a power cut may explain it


def audit(zone: ObjectStore, *, key: bytes, store_id: bytes, stream: str) -> Iterator[Found | Hole]:
    """Every record and every hole of the stream in this zone, in order.

    Raises:
        ZoneUnavailable: the zone does not answer.
    """
    numbers = list(segment_numbers(zone, stream))
    segments: dict[int, Segment] = {}
    origins: dict[int, tuple[int, int]] = {}
    for number in numbers:
        head = ObjectCopy.of(zone.read(segment_name(number, stream), 0, HEAD_BYTES))
        with suppress(FormatTooNew):  # whoever opened the store would have met a real one
            segment = Segment.of(head, key, store_id=store_id, number=number)
            if segment is not None:
                segments[number] = segment
                origin = segment.origin(head)
                if origin is not None:
                    origins[number] = origin
    cut_short = _cut_short(zone, stream, numbers, origins)
    for number, end in _in_order(numbers, origins):
        if number not in origins:
            yield Hole(number, 0, is_tail=number in cut_short)
        segment = segments.get(number)
        if segment is not None:
            name = segment_name(number, stream)
            copy = ObjectCopy(partial(zone.read, name), zone.length(name))
            yield from _records(segment, copy, end)


def _cut_short(
    zone: ObjectStore, stream: str, numbers: list[int], origins: dict[int, tuple[int, int]]
) -> set[int]:
    """The newest segments of which nothing but a part of the head is there.

    A crash leaves one where it is begun; so does the next crash, if nothing was appended before.
    """
    found = set()
    for number in reversed(numbers):
        has_head = origins.get(number, _NO_ORIGIN) != _NO_ORIGIN
        if has_head or zone.length(segment_name(number, stream)) > HEAD_BYTES:
            break
        found.add(number)
    return found


def _in_order(
    numbers: list[int], origins: dict[int, tuple[int, int]]
) -> list[tuple[int, int | None]]:
    """The segments that count, oldest first, each with where its successor says it ended."""
    chain: list[tuple[int, int | None]] = []
    number = numbers[-1] if numbers else 0
    known_end: int | None = None
    while number:
        chain.append((number, known_end))
        before, before_end = origins.get(number, _NO_ORIGIN)
        if before:
            number, known_end = before, before_end
        else:  # the first one, or one that tells no more what came before it
            number = max((other for other in numbers if other < number), default=0)
            known_end = None
    return chain[::-1]


def _records(segment: Segment, copy: ObjectCopy, end: int | None) -> Iterator[Found | Hole]:
    offset = HEAD_BYTES
    limit = copy.length if end is None else end
    while offset < limit:
        record = segment.read(copy, offset)
        if record is not None:
            yield Found(segment.number, offset, record.payload)
            offset = record.end
            continue
        resumed = segment.next_record(copy, offset + 1)
        yield Hole(segment.number, offset, is_tail=end is None and resumed is None)
        if resumed is None:
            return
        offset, _ = resumed
