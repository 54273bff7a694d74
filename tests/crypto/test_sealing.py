"""Sealed blocks open as what they were sealed as, or not at all."""

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR
from hypothesis import given
from hypothesis import strategies as st

from s3fs_local.crypto.frames import FRAME_BYTES, SALT_BYTES, TAG_BYTES, frame_span, sealed_length
from s3fs_local.crypto.sealing import (
    RecordCipher,
    block_key,
    digest,
    open_block,
    open_frames,
    seal_block,
)
from s3fs_local.errors import DataDamaged
from s3fs_local.system.randomness import SeededRandomness

KEY = bytes(range(32))
TWO_KEYS = KEY + bytes(range(32, 64))
SALT = bytes(range(100, 100 + SALT_BYTES))
LONG = SeededRandomness(1).bytes(3 * FRAME_BYTES + 100)


def test_a_block_opens_as_what_was_sealed() -> None:
    """The story."""
    sealed = seal_block(LONG, data_key=KEY, key_id=7, offset=1 << 40, block_id=3, salt=SALT)

    assert len(sealed) == sealed_length(len(LONG))
    assert sealed[:SALT_BYTES] == SALT
    assert (
        open_block(sealed, data_key=KEY, key_id=7, offset=1 << 40, length=len(LONG), block_id=3)
        == LONG
    )


@pytest.mark.parametrize(
    "length", [1, 2, FRAME_BYTES - 1, FRAME_BYTES, FRAME_BYTES + 1, 2 * FRAME_BYTES]
)
def test_every_length_around_a_frame_opens(length: int) -> None:
    """Off-by-one errors live at frame ends."""
    sealed = seal_block(LONG[:length], data_key=KEY, key_id=1, offset=0, block_id=3, salt=SALT)

    assert (
        open_block(sealed, data_key=KEY, key_id=1, offset=0, length=length, block_id=3)
        == LONG[:length]
    )


@pytest.mark.parametrize("data_key", [KEY, TWO_KEYS], ids=["one layer", "two layers"])
@given(data=st.data())
def test_any_part_opens_from_its_frames_alone(data_key: bytes, data: st.DataObject) -> None:
    """A random read must not open the block, and a second layer takes no more room."""
    skip = data.draw(st.integers(0, len(LONG) - 1))
    size = data.draw(st.integers(1, len(LONG) - skip))
    sealed = bytes(seal_block(LONG, data_key=data_key, key_id=1, offset=0, block_id=3, salt=SALT))
    start, length, first, drop = frame_span(skip, size, len(LONG))
    plain = open_frames(
        sealed[start : start + length],
        key=block_key(data_key, sealed[:SALT_BYTES]),
        key_id=1,
        offset=0,
        length=len(LONG),
        block_id=3,
        first_frame=first,
    )

    assert plain[drop : drop + size] == LONG[skip : skip + size]
    assert len(sealed) == sealed_length(len(LONG))


@pytest.mark.parametrize(
    "change",
    [
        {"key_id": 2},
        {"block_id": 4},
        {"offset": 4096},
        {"length": 99},
        {"length": 101},
        {"data_key": bytes(32)},
    ],
)
def test_a_block_opens_only_as_what_it_is(change: dict[str, int | bytes]) -> None:
    """Or two blocks of one file, or two contents of one place, could be swapped unnoticed."""
    sealed = seal_block(LONG[:100], data_key=KEY, key_id=1, offset=0, block_id=3, salt=SALT)
    wanted: dict[str, int | bytes] = {"data_key": KEY, "key_id": 1, "offset": 0, "length": 100}
    wanted["block_id"] = 3
    arguments = wanted | change
    with pytest.raises(DataDamaged):
        open_block(sealed, **arguments)  # type: ignore[arg-type] # one value of each type


def test_every_flipped_bit_is_noticed() -> None:
    """Salt, ciphertext and tags alike; and the digest notices without a key."""
    sealed = bytes(seal_block(b"short", data_key=KEY, key_id=1, offset=0, block_id=3, salt=SALT))
    for bit in range(len(sealed) * 8):
        flipped = bytearray(sealed)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(DataDamaged):
            open_block(flipped, data_key=KEY, key_id=1, offset=0, length=5, block_id=3)
        assert digest(flipped) != digest(sealed)


def test_a_block_cut_or_grown_does_not_open() -> None:
    """Also where the cut falls on a frame's end."""
    length = 2 * FRAME_BYTES
    sealed = bytes(
        seal_block(LONG[:length], data_key=KEY, key_id=1, offset=0, block_id=3, salt=SALT)
    )
    one_frame = SALT_BYTES + FRAME_BYTES + TAG_BYTES
    for damaged in (sealed[:one_frame], sealed[:-1], sealed + b"\0", b"", sealed[:10]):
        with pytest.raises(DataDamaged):
            open_block(damaged, data_key=KEY, key_id=1, offset=0, length=length, block_id=3)
    with pytest.raises(DataDamaged):
        open_block(
            sealed[:one_frame], data_key=KEY, key_id=1, offset=0, length=FRAME_BYTES, block_id=3
        )


def test_frames_do_not_trade_places() -> None:
    """Each is bound to its number."""
    sealed = bytes(seal_block(LONG, data_key=KEY, key_id=1, offset=0, block_id=3, salt=SALT))
    start, length, _, _ = frame_span(0, 1, len(LONG))
    with pytest.raises(DataDamaged):
        open_frames(
            sealed[start : start + length],
            key=block_key(KEY, SALT),
            key_id=1,
            offset=0,
            length=len(LONG),
            block_id=3,
            first_frame=1,
        )


def test_frames_shorter_than_a_tag_are_damage_not_a_crash() -> None:
    """What a truncated pack gives."""
    for frames in (b"", b"short", bytes(FRAME_BYTES + TAG_BYTES + 3)):
        with pytest.raises(DataDamaged):
            open_frames(frames, key=KEY, key_id=1, offset=0, length=2 * FRAME_BYTES, block_id=3)


def test_the_salt_alone_changes_every_byte() -> None:
    """Ids may repeat after a crash; with a fresh salt, no key and nonce ever do."""
    first = seal_block(bytes(1000), data_key=KEY, key_id=1, offset=0, block_id=3, salt=SALT)
    second = seal_block(bytes(1000), data_key=KEY, key_id=1, offset=0, block_id=3, salt=SALT[::-1])

    assert sum(a == b for a, b in zip(first, second, strict=True)) < 50


def test_the_error_names_no_secret() -> None:
    """It goes into logs."""
    sealed = seal_block(b"secret words", data_key=KEY, key_id=1, offset=0, block_id=3, salt=SALT)
    sealed[-1] ^= 1
    with pytest.raises(DataDamaged) as caught:
        open_block(sealed, data_key=KEY, key_id=1, offset=0, length=12, block_id=3)

    assert KEY.hex() not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_record_opens_at_its_offset_in_its_segment_only() -> None:
    """So none is moved, repeated, or put into another store's journal."""
    cipher = RecordCipher(KEY, salt=SALT, header=b"header")
    sealed = cipher.seal(b"record", offset=100)

    assert cipher.open(sealed, offset=100) == b"record"
    others = [
        (cipher, 101),
        (RecordCipher(KEY, salt=SALT[::-1], header=b"header"), 100),
        (RecordCipher(KEY, salt=SALT, header=b"other"), 100),
        (RecordCipher(bytes(32), salt=SALT, header=b"header"), 100),
    ]
    for other, offset in others:
        with pytest.raises(DataDamaged):
            other.open(sealed, offset=offset)


def test_each_layer_needs_its_own_key() -> None:
    """Whoever has one of the two has nothing; and below the outer layer lies the inner one."""
    one = bytes(seal_block(LONG, data_key=KEY, key_id=1, offset=0, block_id=3, salt=SALT))
    two = bytes(seal_block(LONG, data_key=TWO_KEYS, key_id=1, offset=0, block_id=3, salt=SALT))
    for key in (KEY, KEY + bytes(32), bytes(32) + TWO_KEYS[32:]):
        with pytest.raises(DataDamaged):
            open_block(two, data_key=key, key_id=1, offset=0, length=len(LONG), block_id=3)
    outer = Cipher(AES256(block_key(TWO_KEYS, SALT)[32:]), CTR(bytes(16))).decryptor()

    assert outer.update(two[SALT_BYTES:]) == one[SALT_BYTES:]
    assert (
        open_block(two, data_key=TWO_KEYS, key_id=1, offset=0, length=len(LONG), block_id=3) == LONG
    )


def test_a_flipped_bit_of_two_layers_is_noticed() -> None:
    """The outer layer alone would pass it on: the inner one sees it."""
    sealed = bytes(
        seal_block(b"short", data_key=TWO_KEYS, key_id=1, offset=0, block_id=3, salt=SALT)
    )
    for bit in range(len(sealed) * 8):
        flipped = bytearray(sealed)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(DataDamaged):
            open_block(flipped, data_key=TWO_KEYS, key_id=1, offset=0, length=5, block_id=3)
