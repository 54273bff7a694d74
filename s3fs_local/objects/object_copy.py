"""An object as one zone has it, read a piece at a time: a checkpoint may be longer than memory."""

from collections.abc import Callable
from typing import Final, Self

from s3fs_local.errors import ZoneUnavailable

PIECE_BYTES: Final = 1 << 20
"""What is read at once, at least."""


class ObjectCopy:
    """The bytes of one copy, of which a piece is held. For one thread at a time."""

    def __init__(self, read: Callable[[int, int], bytes], length: int) -> None:
        """A copy of `length` bytes.

        Args:
            read: up to so many bytes from an offset on; fewer only where the copy has ended
                meanwhile, or its zone answers no more.
            length: as it was found.
        """
        self._read = read
        self._start = 0
        self._held = b""
        self.length: Final = length

    @classmethod
    def of(cls, data: bytes) -> Self:
        """The copy whose bytes these are."""
        copy = cls(lambda offset, length: data[offset : offset + length], len(data))
        copy._held = data
        return copy

    def read(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset` on, read now."""
        return self._read(offset, length)

    def piece(self, start: int, end: int) -> memoryview:
        """Bytes [start, end); fewer where the copy ends before."""
        end = min(end, self.length)
        if start < self._start or end > self._start + len(self._held):
            wanted = min(max(PIECE_BYTES, end - start), self.length - start)
            self._held, self._start = self._read(start, max(wanted, 0)), start
        return memoryview(self._held)[start - self._start : max(start, end) - self._start]

    def exactly(self, start: int, end: int) -> bytes:
        """Bytes [start, end), all of them at once.

        Raises:
            ZoneUnavailable: it has not so many, or not any more.
        """
        data = self.read(start, end - start)
        if len(data) < end - start:
            raise ZoneUnavailable("a copy is shorter than it was, or its zone answers no more")
        return data

    def whole(self) -> bytes:
        """All of its bytes at once. Raises as `exactly`."""
        return self.exactly(0, self.length)

    def is_same(self, other: "ObjectCopy") -> bool:
        """Whether both have the same bytes, and have them still."""
        if self is other:
            return True
        if self.length != other.length:
            return False
        for offset in range(0, self.length, PIECE_BYTES):
            wanted = min(PIECE_BYTES, self.length - offset)
            mine = self.read(offset, wanted)
            if len(mine) < wanted or mine != other.read(offset, wanted):
                return False
        return True

    def up_to(self, length: int) -> "ObjectCopy":
        """The first `length` bytes of it, or all where there are fewer."""
        return ObjectCopy(self._read, min(length, self.length))
