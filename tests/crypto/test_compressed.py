"""Compressed blocks: read in parts, bound to their place, bounded in what they can become."""

from collections.abc import Callable
from struct import pack

import pytest
import zstandard
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from s3fs_local.crypto.compressed import (
    FAR_CODEC,
    NEAR_CODEC,
    block_key,
    frame_bytes,
    head_bytes,
    open_compressed,
    open_compressed_frames,
    read_table,
    seal_compressed,
)
from s3fs_local.crypto.frames import SALT_BYTES, sealed_length
from s3fs_local.errors import DataDamaged

KEY, SALT, FIRST_SALT = bytes(range(32)), b"s" * 16, b"f" * 16
TEXT = b"".join(b"%d some words that come again and again\n" % n for n in range(26_000))[: 1 << 20]
NOISE = AESGCM(KEY).encrypt(bytes(12), bytes(300_000), b"")


def tried(plain: bytes, *, codec: int = NEAR_CODEC) -> bytes | None:
    """The block, if it is worth compressing."""
    return seal_compressed(
        plain,
        data_key=KEY,
        key_id=5,
        block_id=3,
        offset=7,
        salt=SALT,
        first_salt=FIRST_SALT,
        codec=codec,
        level=3,
    )


def seal(plain: bytes, *, codec: int = NEAR_CODEC) -> bytes:
    """The block; it is worth compressing."""
    sealed = tried(plain, codec=codec)
    assert sealed is not None
    return sealed


def opened(sealed: bytes, length: int, *, codec: int = NEAR_CODEC, offset: int = 7) -> bytes:
    """The plaintext."""
    return open_compressed(
        sealed, data_key=KEY, key_id=5, block_id=3, offset=offset, length=length, codec=codec
    )


@pytest.mark.parametrize("codec", [NEAR_CODEC, FAR_CODEC, 15])
def test_text_is_a_fraction_and_comes_back(codec: int) -> None:
    """The story."""
    sealed = seal(TEXT, codec=codec)

    assert len(sealed) < len(TEXT) / 3
    assert opened(sealed, len(TEXT), codec=codec) == TEXT


def test_one_frame_opens_without_the_others() -> None:
    """A random read of a compressed file costs one frame."""
    sealed = seal(TEXT)
    head = sealed[: head_bytes(len(TEXT), NEAR_CODEC)]
    table = read_table(head, key_id=5, block_id=3, offset=7, length=len(TEXT), codec=NEAR_CODEC)
    start, size = table.span(3, 4)
    frame = frame_bytes(NEAR_CODEC)

    plain = open_compressed_frames(
        sealed[start : start + size],
        table,
        key=block_key(KEY, SALT),
        length=len(TEXT),
        codec=NEAR_CODEC,
        first_frame=3,
    )

    assert plain == TEXT[3 * frame : 5 * frame]
    assert size < frame


def test_what_hardly_shrinks_is_left_plain() -> None:
    """Reading it would cost more, and nothing would be saved."""
    assert tried(NOISE) is None


def test_frames_that_do_not_shrink_are_kept_as_they_are() -> None:
    """Half text, half noise: the noise is not blown up."""
    mixed = TEXT[: 1 << 19] + NOISE

    sealed = seal(mixed)

    assert opened(sealed, len(mixed)) == mixed
    assert len(sealed) < len(mixed)


@settings(max_examples=60, deadline=None)
@given(position=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_no_bit_can_be_turned(position: int, bit: int) -> None:
    """Salts, table and frames are all bound."""
    plain = TEXT[:200_000]
    sealed = bytearray(seal(plain))
    sealed[position % len(sealed)] ^= 1 << bit

    with pytest.raises(DataDamaged):
        opened(bytes(sealed), len(plain))


def test_a_block_opens_at_its_place_only() -> None:
    """Neither elsewhere in the file, nor with another length or codec."""
    sealed = seal(TEXT[:200_000])
    attempts: list[Callable[[], bytes]] = [
        lambda: opened(sealed, 200_000, offset=8),
        lambda: opened(sealed, 199_999),
        lambda: opened(sealed, 200_000, codec=FAR_CODEC),
        lambda: opened(sealed[:-1], 200_000),
        lambda: opened(sealed + b"x", 200_000),
        lambda: opened(sealed[:20], 200_000),
    ]
    for attempt in attempts:
        with pytest.raises(DataDamaged):
            attempt()


def test_a_frame_that_would_burst_is_refused_before_it_does() -> None:
    """Whoever has the key could still not make a reader fill its memory."""
    length = 1000
    bomb = zstandard.ZstdCompressor().compress(bytes(1 << 26))
    table = FIRST_SALT + pack(">I", len(bomb) + 16)
    binding = pack(">QQQQB", 5, 7, length, 3, NEAR_CODEC) + table
    nonce = (1 << 95).to_bytes(12, "big")
    frame = AESGCM(block_key(KEY, SALT)).encrypt(nonce, bomb, binding)

    with pytest.raises(DataDamaged):
        opened(SALT + table + frame, length)


def test_a_table_cannot_name_more_than_there_can_be() -> None:
    """Lengths are bound before anything is opened."""
    with pytest.raises(DataDamaged, match="table"):
        read_table(
            SALT + FIRST_SALT + pack(">I", 5000),
            key_id=5,
            block_id=3,
            offset=7,
            length=1000,
            codec=NEAR_CODEC,
        )


def test_the_form_is_never_longer_than_the_plain_one() -> None:
    """The worked sizes of docs/format.md."""
    assert len(seal(TEXT)) < sealed_length(len(TEXT))
    assert head_bytes(1 << 20, NEAR_CODEC) == SALT_BYTES + 16 + 8 * 4
    assert head_bytes(1 << 20, FAR_CODEC) == SALT_BYTES + 16 + 4
