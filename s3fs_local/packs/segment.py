"""The bytes of one journal segment: a header, then sealed records. No I/O.

    header      magic, format, store id, segment number, salt
    record 0    which segment came before, and where that one ended
    record n    what `Journal.append` was given

A record is bound by its seal to its segment and its offset there, so none can be moved, repeated or
exchanged. Each tells how much of the segment was known to be durable when it was written: an
authentic record after a hole tells a hole that a power cut may leave from one that it may not.
"""

from collections.abc import Iterator
from struct import Struct as Layout
from typing import Final, Self
from zlib import crc32

from msgspec import Struct

from s3fs_local.crypto.frames import SALT_BYTES, TAG_BYTES
from s3fs_local.crypto.sealing import RecordCipher
from s3fs_local.errors import DataDamaged, FormatTooNew
from s3fs_local.objects.object_copy import PIECE_BYTES, ObjectCopy

FORMAT: Final = 1

_MAGIC: Final = b"S3FSJRNL"
_HEADER: Final = Layout(f">8sII16sQ{SALT_BYTES}s")  # magic, format, zero, store id, segment, salt
_FRAME: Final = Layout(">II")  # length of the sealed bytes, CRC-32 of salt, offset and length
_DURABLE: Final = Layout(">I")  # offset up to which the segment is known to be durable
_ORIGIN: Final = Layout(">QQ")  # segment before this one (0: none), its length
HEADER_BYTES: Final = _HEADER.size
OVERHEAD_BYTES: Final = _FRAME.size + _DURABLE.size + TAG_BYTES
HEAD_BYTES: Final = _HEADER.size + OVERHEAD_BYTES + _ORIGIN.size


def is_same_object(one: ObjectCopy, other: ObjectCopy) -> bool:
    """Whether both are copies of one segment or checkpoint, damaged or not behind their headers.

    Two of one name are not where a crash left one in a zone that the next process did not reach:
    each has chance in its header.
    """
    return one.piece(0, HEADER_BYTES) == other.piece(0, HEADER_BYTES)


class Record(Struct, frozen=True):
    """One record as read."""

    end: int  # offset of the byte after it
    durable: int
    payload: bytes


class Segment:
    """Turns payloads into the bytes of one segment, and back."""

    def __init__(self, key: bytes, header: bytes) -> None:
        """For the segment that begins with `header`, sealed under the store's journal key."""
        _, _, _, _, self.number, salt = _HEADER.unpack(header)
        self._header = header
        self._cipher = RecordCipher(key, salt=salt, header=header)
        self._salt_crc = crc32(salt)

    @classmethod
    def new(cls, key: bytes, *, store_id: bytes, number: int, salt: bytes) -> Self:
        """A segment that never was before; `salt` is fresh."""
        return cls(key, _HEADER.pack(_MAGIC, FORMAT, 0, store_id, number, salt))

    @classmethod
    def of(cls, copy: ObjectCopy, key: bytes, *, store_id: bytes, number: int) -> Self | None:
        """The segment that this is a copy of; None where it does not begin with its header.

        Raises:
            FormatTooNew: a newer release wrote it.
        """
        header = bytes(copy.piece(0, _HEADER.size))
        if len(header) < _HEADER.size:
            return None
        magic, version, zero, owner, its_number, _ = _HEADER.unpack(header)
        if (magic, zero, owner, its_number) != (_MAGIC, 0, store_id, number):
            return None
        if version > FORMAT:
            raise FormatTooNew(f"the journal has format {version}, this release knows {FORMAT}")
        return cls(key, header)

    def head(self, *, before: int, before_end: int) -> bytes:
        """The first HEAD_BYTES: header and record 0."""
        origin = self.record(_ORIGIN.pack(before, before_end), offset=_HEADER.size, durable=0)
        return self._header + origin

    def origin(self, copy: ObjectCopy) -> tuple[int, int] | None:
        """(segment before this one, its length), from record 0; None where that is damaged."""
        record = self.read(copy, _HEADER.size)
        if record is None or record.end != HEAD_BYTES:
            return None
        before, before_end = _ORIGIN.unpack(record.payload)
        return before, before_end

    def record(self, payload: bytes, *, offset: int, durable: int) -> bytes:
        """The payload as it stands at `offset`; no offset may be used twice."""
        sealed = self._cipher.seal(_DURABLE.pack(durable) + payload, offset=offset)
        return _FRAME.pack(len(sealed), self._check(offset, len(sealed))) + sealed

    def read(self, copy: ObjectCopy, offset: int) -> Record | None:
        """The record at `offset`; None where there is no whole and authentic one."""
        end = self._end_of(copy.piece(offset, offset + _FRAME.size), offset)
        if end is None or end > copy.length:
            return None
        try:
            sealed = copy.piece(offset + _FRAME.size, end)
            plain = self._cipher.open(sealed, offset=offset)
        except DataDamaged:
            return None
        (durable,) = _DURABLE.unpack_from(plain)
        return Record(end=end, durable=durable, payload=plain[_DURABLE.size :])

    def run(self, copy: ObjectCopy, offset: int) -> Iterator[Record]:
        """The records from `offset` on, up to the first place where there is none."""
        while (record := self.read(copy, offset)) is not None:
            yield record
            offset = record.end

    def next_record(self, copy: ObjectCopy, offset: int) -> tuple[int, Record] | None:
        """The first record from `offset` on, and where it begins; None where there is no more.

        Looks at every byte, for damage may have taken a length with it.
        """
        while offset + OVERHEAD_BYTES <= copy.length:
            piece = copy.piece(offset, offset + PIECE_BYTES)
            begins = self._next_frame(piece, offset)
            if begins is None:
                if len(piece) < PIECE_BYTES:
                    break
                offset += PIECE_BYTES - _FRAME.size + 1
                continue
            record = self.read(copy, begins)
            if record is not None:
                return begins, record
            offset = begins + 1
        return None

    def durable_after(self, copy: ObjectCopy, offset: int) -> int:
        """How much of the segment was durable, as authentic records after a hole at `offset` tell.

        0 where there is none.
        """
        durable = 0
        while (found := self.next_record(copy, offset)) is not None:
            _, record = found
            durable, offset = max(durable, record.durable), record.end
        return durable

    def _end_of(self, frame: memoryview, offset: int) -> int | None:
        """Where the record at `offset` ends that begins with `frame`; None where none begins so."""
        if len(frame) < _FRAME.size:
            return None
        length, check = _FRAME.unpack(frame)
        return offset + _FRAME.size + length if check == self._check(offset, length) else None

    def _next_frame(self, piece: memoryview, offset: int) -> int | None:
        """Where the first frame begins in the piece, which begins at `offset`."""
        unpack, check_of = _FRAME.unpack_from, self._check
        for place in range(len(piece) - _FRAME.size + 1):
            length, check = unpack(piece, place)
            if check == check_of(offset + place, length):
                return offset + place
        return None

    def _check(self, offset: int, length: int) -> int:
        return crc32(_FRAME.pack(offset, length), self._salt_crc)
