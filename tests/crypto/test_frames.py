"""Where frames lie."""

from hypothesis import given
from hypothesis import strategies as st

from s3fs_local.crypto.frames import (
    FRAME_BYTES,
    SALT_BYTES,
    TAG_BYTES,
    frame_count,
    frame_span,
    sealed_length,
)


def test_the_worked_sizes_of_the_format_page_hold() -> None:
    """docs/format.md promises them."""
    assert sealed_length(1) == 33
    assert sealed_length(4096) == 4128
    assert sealed_length(FRAME_BYTES) == 32_800
    assert sealed_length(FRAME_BYTES + 1) == 32_817
    assert sealed_length(1 << 20) == 1_049_104
    assert frame_span(100_000, 4096, 1 << 20) == (98_368, 32_784, 3, 1_696)


@given(st.integers(1, 1 << 20), st.data())
def test_a_span_is_whole_frames_around_the_bytes_and_no_more(
    length: int, data: st.DataObject
) -> None:
    """A frame too few loses bytes, one too many costs time at every random read."""
    skip = data.draw(st.integers(0, length - 1))
    size = data.draw(st.integers(1, length - skip))
    start, sealed, first, drop = frame_span(skip, size, length)
    frames = -(-sealed // (FRAME_BYTES + TAG_BYTES))

    assert first * FRAME_BYTES + drop == skip
    assert start == SALT_BYTES + first * (FRAME_BYTES + TAG_BYTES)
    assert start + sealed <= sealed_length(length)
    assert drop < FRAME_BYTES
    plain = sealed - frames * TAG_BYTES
    assert drop + size <= plain
    assert (first + frames - 1) * FRAME_BYTES < skip + size
    assert first + frames <= frame_count(length)
