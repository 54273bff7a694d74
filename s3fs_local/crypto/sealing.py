"""Bytes that only the holder of a key can read, and nobody can change unnoticed.

Blocks (file content) and records (journal) are both AES-256-GCM under a key used for that one block
or segment: BLAKE3 of a fresh random salt, keyed with the long-lived key. So nonces are plain
counters, and no pair of key and nonce ever repeats, even where a crash or a copied store makes ids
repeat.

A data key of twice the length seals in two layers: around the sealed frames of a block lies AES-256
in counter mode, under the second half. It takes no space and leaves frames where they are, so one
frame is still opened by itself; that nothing was changed is the inner layer's business.
"""

from struct import Struct as Layout
from typing import Final

from blake3 import blake3
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR

from s3fs_local.crypto.frames import (
    FRAME_BYTES,
    SALT_BYTES,
    SEALED_FRAME_BYTES,
    TAG_BYTES,
    frame_count,
    sealed_length,
)
from s3fs_local.errors import DataDamaged

KEY_BYTES: Final = 32
TWO_KEYS_BYTES: Final = 2 * KEY_BYTES
"""Length of a data key that seals in two layers."""

_BLOCK_CONTEXT: Final = b"s3fs_local block 1"
_OUTER_CONTEXT: Final = b"s3fs_local outer layer 1"
_SEGMENT_CONTEXT: Final = b"s3fs_local segment 1"
_BINDING: Final = Layout(">QQQQ")
_LAST_FRAME: Final = 1 << 95
_CIPHER_BLOCK_BYTES: Final = 16

Bytes = bytes | bytearray | memoryview


def digest(sealed: Bytes) -> bytes:
    """BLAKE3-256 of the sealed bytes; lets anyone check them without a key."""
    return blake3(sealed).digest()


def block_key(data_key: bytes, salt: Bytes) -> bytes:
    """The key of the block that begins with `salt`; as long as the data key is."""
    inner = blake3(salt, key=data_key[:KEY_BYTES]).update(_BLOCK_CONTEXT).digest()
    if len(data_key) == KEY_BYTES:
        return inner
    return inner + blake3(salt, key=data_key[KEY_BYTES:]).update(_OUTER_CONTEXT).digest()


def seal_block(
    plain: Bytes, *, data_key: bytes, key_id: int, offset: int, block_id: int, salt: bytes
) -> bytearray:
    """The block, readable again only as this block, of this length, at this place in its file.

    Its number matters, too: an earlier content of the same place was sealed under the same key, for
    the same offset, perhaps with the same length.

    Args:
        plain: at least one byte.
        data_key: KEY_BYTES or TWO_KEYS_BYTES long; named by `key_id`.
        key_id: the number of the data key.
        offset: where the plaintext stands in its file.
        block_id: a number that no other block has.
        salt: SALT_BYTES fresh random bytes, never used before.
    """
    key = block_key(data_key, salt)
    return seal_under(key, plain, key_id=key_id, offset=offset, block_id=block_id, salt=salt)


def seal_under(
    key: bytes, plain: Bytes, *, key_id: int, offset: int, block_id: int, salt: bytes
) -> bytearray:
    """As `seal_block`, with the `block_key` of the data key and this salt."""
    length = len(plain)
    frames = frame_count(length)
    sealed = bytearray(sealed_length(length))
    sealed[:SALT_BYTES] = salt
    source, target = memoryview(plain), memoryview(sealed)
    cipher = AESGCM(key[:KEY_BYTES])
    binding = _BINDING.pack(key_id, offset, length, block_id)
    for frame in range(frames):
        # One frame into its place in one buffer: joining pieces would cost ten times the cipher.
        start = SALT_BYTES + frame * SEALED_FRAME_BYTES
        piece = source[frame * FRAME_BYTES : (frame + 1) * FRAME_BYTES]
        place = target[start : start + len(piece) + TAG_BYTES]
        cipher.encrypt_into(_nonce(frame, frames), piece, binding, place)
    if len(key) == TWO_KEYS_BYTES:
        target[SALT_BYTES:] = _outer_layer(key[KEY_BYTES:], target[SALT_BYTES:], start=0)
    return sealed


def _outer_layer(key: bytes, data: Bytes, *, start: int) -> bytes:
    """The layer put on, or taken off, bytes from `start` behind the salt, where a frame begins."""
    counter = (start // _CIPHER_BLOCK_BYTES).to_bytes(_CIPHER_BLOCK_BYTES, "big")
    return Cipher(AES256(key), CTR(counter)).encryptor().update(data)


def open_block(
    sealed: Bytes, *, data_key: bytes, key_id: int, offset: int, length: int, block_id: int
) -> bytes:
    """The plaintext of a whole sealed block.

    Raises:
        DataDamaged: the bytes are not what was sealed as (key_id, offset, length, block_id).
    """
    view = memoryview(sealed)
    if len(view) != sealed_length(length):
        raise DataDamaged(f"a block of {length} bytes is {len(view)} bytes long when sealed")
    return open_frames(
        view[SALT_BYTES:],
        key=block_key(data_key, view[:SALT_BYTES]),
        key_id=key_id,
        offset=offset,
        length=length,
        block_id=block_id,
    )


def open_frames(  # noqa: PLR0913 - as above
    frames: Bytes,
    *,
    key: bytes,
    key_id: int,
    offset: int,
    length: int,
    block_id: int,
    first_frame: int = 0,
) -> bytes:
    """The plaintext of consecutive whole frames of a block.

    Args:
        frames: the sealed bytes that `frame_span` names.
        key: of the block, from `block_key`.
        key_id: as sealed.
        offset: as sealed.
        length: plaintext bytes of the whole block, as sealed.
        block_id: as sealed.
        first_frame: number of the first frame given.

    Raises:
        DataDamaged: the bytes are not those frames of that block.
    """
    binding = _BINDING.pack(key_id, offset, length, block_id)
    count = frame_count(length)
    if len(key) == TWO_KEYS_BYTES:
        start = first_frame * SEALED_FRAME_BYTES
        frames = _outer_layer(key[KEY_BYTES:], frames, start=start)
        key = key[:KEY_BYTES]
    cipher = AESGCM(key)
    try:
        if len(frames) <= SEALED_FRAME_BYTES:  # the hot path: one frame, no buffer of our own
            return cipher.decrypt(_nonce(first_frame, count), frames, binding)
        source = memoryview(frames)
        given = -(-len(source) // SEALED_FRAME_BYTES)
        plain = bytearray(len(source) - given * TAG_BYTES)
        target = memoryview(plain)
        for index in range(given):
            piece = source[index * SEALED_FRAME_BYTES : (index + 1) * SEALED_FRAME_BYTES]
            place = target[index * FRAME_BYTES : index * FRAME_BYTES + len(piece) - TAG_BYTES]
            cipher.decrypt_into(_nonce(first_frame + index, count), piece, binding, place)
    except (InvalidTag, ValueError) as error:
        raise DataDamaged(f"a block at file offset {offset} does not open") from error
    return bytes(plain)


def _nonce(frame: int, frames: int) -> bytes:
    # The last frame is marked, so a block cut at a frame's end does not open as a shorter one.
    return (frame | _LAST_FRAME if frame == frames - 1 else frame).to_bytes(12, "big")


class RecordCipher:
    """Seals the records of one journal segment, each bound to its place in it."""

    def __init__(self, key: bytes, *, salt: bytes, header: bytes) -> None:
        """For the segment with this fresh random `salt`; `header` is bound to every record."""
        self._cipher = AESGCM(blake3(salt, key=key).update(_SEGMENT_CONTEXT).digest())
        self._header = header

    def seal(self, plain: Bytes, *, offset: int) -> bytes:
        """The record, TAG_BYTES longer; each `offset` of a segment must be sealed at most once."""
        return self._cipher.encrypt(offset.to_bytes(12, "big"), plain, self._header)

    def open(self, sealed: Bytes, *, offset: int) -> bytes:
        """The record that was sealed for `offset`.

        Raises:
            DataDamaged: the bytes are not that record.
        """
        try:
            return self._cipher.decrypt(offset.to_bytes(12, "big"), sealed, self._header)
        except (InvalidTag, ValueError) as error:
            raise DataDamaged(f"the journal record at {offset} does not open") from error
