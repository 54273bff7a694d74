"""Room on the disk: a write that could not be kept is refused when it is made, not at close.

Some space is held back, so that what was accepted can be committed and names can be removed even
when nothing more fits.
"""

from collections.abc import Callable
from typing import Final

from s3fs_local.errors import StoreFull

RESERVE_BYTES_MIN: Final = 1 << 20
RESERVE_BYTES_MAX: Final = 64 << 20
RESERVE_SHARE: Final = 20  # one part in so many
LOOK_AGAIN_BYTES: Final = 8 << 20
"""At most this much is written between two looks at the disk."""


class SpaceGuard:
    """Knows how much may be written. `free_bytes` gives (free, total) of the tightest zone."""

    def __init__(self, free_bytes: Callable[[], tuple[int, int]]) -> None:
        self._free_bytes = free_bytes
        self._allowance = 0  # bytes that may be written before looking at the disk again

    def claim(self, size_bytes: int, *, unsealed_bytes: int) -> None:
        """`size_bytes` more may be accepted, beside `unsealed_bytes` accepted but not yet on disk.

        Raises:
            StoreFull: they would not fit; nothing was accepted.
        """
        self._allowance -= size_bytes
        if self._allowance >= 0:
            return
        free, total = self._free_bytes()
        if not total:  # no zone has said it yet; one that is full says so when it is written to
            self._allowance = LOOK_AGAIN_BYTES
            return
        spare = free - self.reserve(total) - unsealed_bytes - size_bytes
        if spare < 0:
            raise StoreFull(
                f"{free} bytes are free where the store lives, {self.reserve(total)} of them are "
                "held back: make room there, or purge old versions and run gc"
            )
        self._allowance = min(spare // 4, LOOK_AGAIN_BYTES)

    def look(self) -> tuple[int, int]:
        """(bytes free, bytes in all) where the tightest zone lives."""
        return self._free_bytes()

    def has_room(self) -> bool:
        """Whether anything may be written."""
        return not self.is_full(self._free_bytes())

    @classmethod
    def is_full(cls, space: tuple[int, int]) -> bool:
        """Whether of (free, total) bytes no more are free than are held back; unknown is not."""
        free, total = space
        return total > 0 and free <= cls.reserve(total)

    @staticmethod
    def reserve(total_bytes: int) -> int:
        """Bytes held back on a disk of this size."""
        return min(max(total_bytes // RESERVE_SHARE, RESERVE_BYTES_MIN), RESERVE_BYTES_MAX)
