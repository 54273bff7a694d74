"""Where the frames of a sealed block lie: arithmetic only.

A block of `length` plaintext bytes is cut into frames of FRAME_BYTES (the last one may be shorter).
Sealed, it is SALT_BYTES of salt, then every frame with TAG_BYTES more than its plaintext.
"""

from typing import Final

FRAME_BYTES: Final = 32_768  # a random 4 KiB read opens one frame; 1 MiB seals as fast as one piece
TAG_BYTES: Final = 16
SALT_BYTES: Final = 16
SEALED_FRAME_BYTES: Final = FRAME_BYTES + TAG_BYTES


def frame_count(length: int) -> int:
    """Frames in a block of `length` >= 1 plaintext bytes."""
    return -(-length // FRAME_BYTES)


def sealed_length(length: int) -> int:
    """Bytes of a sealed block of `length` >= 1 plaintext bytes."""
    return SALT_BYTES + length + TAG_BYTES * frame_count(length)


def frame_span(skip: int, size: int, length: int) -> tuple[int, int, int, int]:
    """Where plaintext [skip, skip + size) of a block of `length` bytes is, sealed.

    Needs 0 <= skip, 1 <= size, skip + size <= length.

    Returns:
        (offset in the sealed block, sealed bytes to read, number of the first frame,
        plaintext bytes to drop at the start of that frame).
    """
    first, drop = divmod(skip, FRAME_BYTES)
    last = (skip + size - 1) // FRAME_BYTES
    plain_end = min((last + 1) * FRAME_BYTES, length)
    sealed_size = plain_end - first * FRAME_BYTES + (last - first + 1) * TAG_BYTES
    return SALT_BYTES + first * SEALED_FRAME_BYTES, sealed_size, first, drop
