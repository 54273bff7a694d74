"""What the store promised since its last metadata commit: sealed records, in order, in every zone.

Segments are append-only objects. An opened journal never appends to an old one: it is replayed to
its end, and the next record begins a new segment, whose head says where the one before ended. So
what follows cuts off for good a tail that a crash tore, or an append that reached only some zones.

A segment's head is made durable before its first record, and a segment is made durable before the
next is begun. So what is missing before the newest segment's tail is damage, never a power cut.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from threading import Lock
from typing import Final

from s3fs_local.crypto.frames import SALT_BYTES
from s3fs_local.errors import (
    TRANSIENT,
    JournalDamaged,
    StorageError,
    ZoneInUse,
    ZoneUnavailable,
)
from s3fs_local.objects.interface import Appender, ObjectStore
from s3fs_local.objects.object_copy import ObjectCopy
from s3fs_local.objects.zone_set import ZoneSet
from s3fs_local.packs.segment import HEAD_BYTES, OVERHEAD_BYTES, Segment
from s3fs_local.packs.segment_copies import JOURNAL, Head, SegmentCopies, numbers_of, segment_name
from s3fs_local.system.randomness import Randomness, SystemRandomness

logger = logging.getLogger(__name__)

SEGMENT_BYTES_MAX: Final = 256 << 20  # replay holds one segment in memory

_SEGMENT_SHIFT: Final = 32


class _OpenSegment:
    """The segment that grows. `end` covers only what has reached enough zones."""

    def __init__(self, segment: Segment, appender: Appender) -> None:
        self.segment = segment
        self.appender = appender
        self.end = HEAD_BYTES
        self.durable = HEAD_BYTES
        self.is_broken = False  # an append failed; zones may differ after `end`

    def append(self, data: bytes) -> None:
        try:
            self.appender.append(data)
        except StorageError:
            self.is_broken = True
            raise
        self.end += len(data)

    def sync(self) -> None:
        end = self.end
        self.appender.sync()
        self.durable = end

    def close(self) -> None:
        self.appender.close()


class Journal:
    """The journal of one store.

    A position is `(segment << 32) | offset after the record`; positions only grow.

    Threads: `sync` may run beside everything else. The other methods may run in any thread, one at
    a time. `rotate` (and an append that rotates) waits for a running sync. Properties may be read
    anywhere; beside a running append they show the state before or after it.

    The caller syncs packs before it appends records that mention their blocks.
    """

    def __init__(
        self,
        zones: ZoneSet | Sequence[ObjectStore],
        key: bytes,
        store_id: bytes,
        *,
        randomness: Randomness | None = None,
        segment_bytes_max: int = SEGMENT_BYTES_MAX,
        stream: str = JOURNAL,
    ) -> None:
        """Over `zones`, one at least. `replay` must run to its end before anything is appended.

        Args:
            zones: every one holds every segment.
            key: the store's key for this stream, 32 bytes.
            store_id: 16 bytes, written into each segment.
            randomness: where salts come from.
            segment_bytes_max: a record that would make a segment longer begins a new one.
            stream: what its objects are called: the journal, or another stream kept the same way.
        """
        self._stream = stream
        self._zones = ZoneSet.of(zones)
        self._key = key
        self._store_id = store_id
        self._copies = SegmentCopies(self._zones, key, store_id=store_id, stream=stream)
        self._randomness = randomness or SystemRandomness()
        self._segment_bytes_max = segment_bytes_max
        self._current: _OpenSegment | None = None
        self._next = 0  # number of the next segment; 0: not replayed yet
        self._before = (0, 0)  # (segment, end) of what replay found last
        self._before_is_durable = False
        self._position = 0
        self._failure: str | None = None
        self._sync_mutex = Lock()  # around syncs and the closing of what they sync

    @property
    def segment(self) -> int:
        """Number of the segment that the next record goes to."""
        current = self._current
        return self._next if current is None or current.is_broken else current.segment.number

    @property
    def segment_bytes(self) -> int:
        """Length of that segment; 0 where it is not begun."""
        current = self._current
        return 0 if current is None or current.is_broken else current.end

    @property
    def position(self) -> int:
        """The position after the last record."""
        return self._position

    @property
    def durable_position(self) -> int:
        """Records up to here survive a power cut; 0 after replay until the first sync."""
        current = self._current
        if current is None:
            return self._position if self._before_is_durable else 0
        return _position(current.segment.number, current.durable)

    def append(self, payloads: Sequence[bytes]) -> int:
        """The records follow those before them, in enough zones; durable after `sync`.

        Each record is replayed whole or not at all; a crash may cut the sequence between two.

        Returns:
            The position after the last record.

        Raises:
            StoreFull: no space. None of the records will be replayed once a later append succeeded;
                until then a crash may bring the first few back.
            TooFewZones: not enough zones took them; as above, and it may be tried again.
            ZoneUnavailable: the only zone failed, now or at an earlier sync; replay as above.
        """
        assert self._next > 0, "a journal is replayed before it is appended to"
        self._check_no_failure()
        if not payloads:
            return self._position
        size = sum(len(payload) + OVERHEAD_BYTES for payload in payloads)
        current = self._current
        is_full = current is not None and current.end + size > self._segment_bytes_max
        if current is None or current.is_broken or (is_full and current.end > HEAD_BYTES):
            current = self._begin()
        current.append(_records(current, payloads))
        self._position = _position(current.segment.number, current.end)
        return self._position

    def sync(self) -> None:
        """Everything appended or replayed before the call survives a power cut. Blocks.

        After a failure of the only zone it fails for ever, and so do appends.

        Raises:
            TooFewZones: not enough zones could promise it; with more of them it may be tried again.
            StoreFull: the same, for want of room.
            ZoneUnavailable: the only zone could not promise it, now or earlier.
        """
        with self._sync_mutex:
            self._sync_current()

    def replay(self, after: int) -> Iterator[tuple[int, bytes]]:
        """Every record after the position, with its own, in order; then appends are possible.

        What follows the last whole record of the newest segment is left out silently if a power cut
        can explain it. Of several zones the one with the longest run of records counts, segment by
        segment.

        Raises:
            JournalDamaged: records after the position are missing or damaged.
            ZoneUnavailable: no zone answers.
            FormatTooNew: a newer release wrote a segment.
        """
        after_segment, after_offset = divmod(after, 1 << _SEGMENT_SHIFT)
        numbers = self._copies.numbers()
        if after and (not numbers or numbers[-1] < after_segment):
            raise JournalDamaged(f"{self._stream} segment {after_segment} is missing")
        heads: dict[int, Head] = {}
        for number in numbers:
            if number >= after_segment:
                known = max(HEAD_BYTES, after_offset if number == after_segment else 0)
                head = self._copies.head(number, known=known)
                if head is not None:
                    heads[number] = head
        before = (after_segment, after_offset)
        for head, end in _chain(heads, after):
            number = head.segment.number
            start = after_offset if number == after_segment else HEAD_BYTES
            records, reached = self._copies.run(head.segment, start, end)
            for record in records:
                yield _position(number, record.end), record.payload
            # A segment without records may be missing in a zone that was not reached in time.
            is_empty = reached == HEAD_BYTES
            before = (head.before, head.before_end) if is_empty else (number, reached)
        self._before = before
        self._next = max([after_segment, *numbers]) + 1
        self._position = max(after, _position(*before))

    def lacks(self, position: int) -> bool:
        """Whether a record ended at the position that the replay did not find."""
        offset = position & ((1 << _SEGMENT_SHIFT) - 1)  # behind the head alone there is no record
        return offset > HEAD_BYTES and position > self._position

    def cut(self, position: int) -> None:
        """Records after `position`, which replay gave, are left out for good. Before any append."""
        assert self._current is None, "what was appended since is not cut off"
        self._before = divmod(position, 1 << _SEGMENT_SHIFT)
        self._position = position

    def skip(self) -> None:
        """Appends are possible without a replay, in a segment behind all others.

        For a stream that goes on after damage; the new segment names none before it.
        """
        numbers = self._copies.numbers()
        self._before = (0, 0)
        self._next = max(numbers, default=0) + 1
        self._position = _position(self._next - 1, 0)

    def begin_behind(self, position: int) -> None:
        """Appends are possible without a replay, in a segment that is there durably. Blocks.

        For a journal that is given up: the segment lies behind the position and all others, and
        names none before it, so nothing that came earlier is ever replayed.

        Raises:
            StoreFull, TooFewZones, ZoneUnavailable: as `rotate`.
        """
        numbers = self._copies.numbers()
        self._before = (0, 0)
        self._next = max([position >> _SEGMENT_SHIFT, *numbers]) + 1
        self.rotate()

    def rotate(self) -> None:
        """The next record goes to a new segment, which is there durably. Blocks.

        What was appended before is durable then.

        Raises:
            StoreFull: no space; the journal goes on in the old segment.
            ZoneUnavailable: a zone failed.
        """
        assert self._next > 0, "a journal is replayed before it is rotated"
        self._check_no_failure()
        current = self._begin()
        self._position = _position(current.segment.number, current.end)

    def is_blank(self, name: str, copies: Sequence[ObjectCopy]) -> bool:
        """Whether the segment has no record to lose: a process died while it began it. Blocks.

        Of damage it is told by its length, and by the next segment, which names an earlier one.

        Raises:
            ZoneUnavailable: no zone answers.
        """
        (number,) = numbers_of([name], self._stream)
        if any(copy.length > HEAD_BYTES for copy in copies):
            return False
        for later in self._copies.numbers():
            if later > number:
                head = self._copies.head(later, known=HEAD_BYTES)
                if head is not None:
                    return head.before != number
        return self._before[0] != number

    def best_copy(self, name: str, copies: Sequence[ObjectCopy]) -> ObjectCopy | None:
        """See `SegmentCopies`."""
        return self._copies.best_copy(name, copies)

    def extent(self) -> tuple[int, int]:
        """How many segments there are, and their bytes in all. Blocks."""
        numbers = self._copies.numbers()
        lengths = [self._zones.length(segment_name(n, self._stream)) for n in numbers]
        return len(numbers), sum(lengths)

    def trim(self, before_segment: int) -> None:
        """Segments below the number are gone; the one with the last position always stays."""
        current = self._current
        newest = self._before[0] if current is None else current.segment.number
        for number in self._copies.numbers():
            if number < min(before_segment, newest):
                self._zones.delete(segment_name(number, self._stream))

    def close(self) -> None:
        """No segment is open any more; not a sync."""
        with self._sync_mutex:
            if self._current is not None:
                self._current.close()
                self._current = None
            self._next = 0

    def _begin(self) -> _OpenSegment:
        """A new current segment; the one before it is durable and closed."""
        with self._sync_mutex:
            self._sync_current()
            former = self._current
            before = self._before if former is None else (former.segment.number, former.end)
            created = None
            while created is None:
                created = self._create(before)
            self._current = created
            if former is not None:
                former.close()
            return created

    def _create(self, before: tuple[int, int]) -> _OpenSegment | None:
        """A new segment; None where a zone that replay did not reach has one of its number.

        Raises:
            ZoneInUse: the only zone has one: somebody began it since.
        """
        number, self._next = self._next, self._next + 1  # never reused, whatever happens here
        salt = self._randomness.bytes(SALT_BYTES)
        segment = Segment.new(self._key, store_id=self._store_id, number=number, salt=salt)
        head = segment.head(before=before[0], before_end=before[1])
        name = segment_name(number, self._stream)
        try:
            appender = self._zones.create(name)
        except FileExistsError as error:
            if len(self._zones.zones) == 1:
                raise ZoneInUse(f"another process has begun {name}") from error
            return None
        try:
            appender.append(head)
            appender.sync()
        except StorageError:
            appender.close()
            with suppress(StorageError):  # a segment without records harms nobody
                self._zones.delete(name)
            raise
        return _OpenSegment(segment, appender)

    def _sync_current(self) -> None:
        self._check_no_failure()
        current = self._current
        try:
            if current is None:
                self._sync_replayed()
            elif current.durable != current.end:
                current.sync()
        except TRANSIENT:
            raise
        except StorageError as error:
            self._failure = f"an earlier sync of the journal failed: {error}"
            raise

    def _sync_replayed(self) -> None:
        """What replay read is durable; a killed process may have left it in the page cache."""
        if self._before_is_durable:
            return
        self._zones.check_writable()
        self._copies.make_even(self._next - 1)  # one that was begun, too
        with suppress(KeyError):
            number = self._before[0]
            missing = partial(self._copies.bytes_of, number)
            name = segment_name(number, self._stream)
            appender = self._zones.append_to(name, missing=missing)
            try:
                appender.sync()
            finally:
                appender.close()
        self._before_is_durable = True

    def _check_no_failure(self) -> None:
        if self._failure is not None:
            raise ZoneUnavailable(self._failure)


def _position(number: int, offset: int) -> int:
    return number << _SEGMENT_SHIFT | offset


def _records(current: _OpenSegment, payloads: Sequence[bytes]) -> bytes:
    pieces = []
    offset = current.end
    for payload in payloads:
        piece = current.segment.record(payload, offset=offset, durable=current.durable)
        pieces.append(piece)
        offset += len(piece)
    return b"".join(pieces)


def _chain(heads: dict[int, Head], after: int) -> list[tuple[Head, int | None]]:
    """The segments with records after the position, oldest first, each with where it ends.

    None for the end of the newest. Segments that the next one does not name were never written to.

    Raises:
        JournalDamaged: one of them is missing.
    """
    if not heads:
        return []
    head = heads[max(heads)]
    chain: list[tuple[Head, int | None]] = [(head, None)]
    while _position(head.before, head.before_end) > after:
        if head.before not in heads:
            raise JournalDamaged(f"{JOURNAL} segment {head.before} is missing")
        chain.append((heads[head.before], head.before_end))
        head = heads[head.before]
    return chain[::-1]
