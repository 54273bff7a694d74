"""Compressed blocks: the second form in which a block can lie in a pack.

The plaintext is cut into frames, each compressed and sealed by itself, so a random read opens one
frame. How long frames are is the block's *codec*, a number in its row: 0 is the plain form of
`sealing.py`, any other the binary logarithm of the frame's length. A table of the frames' sealed
lengths stands in front; it is bound to every frame.

The salt with which the block was first sealed is kept: sealing its plaintext with it again gives
the very bytes of the plain form. So a block's *identity*, the digest of those, can be proven of
every form it ever takes, and a block that comes back to the plain form is the same, bit by bit.
"""

from struct import Struct as Layout
from typing import Final

import zstandard
from blake3 import blake3
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR
from msgspec import Struct

from s3fs_local.crypto.frames import SALT_BYTES, TAG_BYTES, sealed_length
from s3fs_local.crypto.sealing import KEY_BYTES, Bytes
from s3fs_local.errors import DataDamaged

PLAIN: Final = 0
"""The codec of blocks as they are first sealed."""
NEAR_CODEC: Final = 17
"""Frames of 128 KiB, what the kernel asks for when a file is read in order."""
FAR_CODEC: Final = 20
"""One frame a block, for what is only ever read as a whole: it compresses best."""

_CONTEXT: Final = b"s3fs_local compressed block 1"
_OUTER_CONTEXT: Final = b"s3fs_local compressed outer layer 1"
_BINDING: Final = Layout(">QQQQB")
_ENTRY: Final = Layout(">I")
_AS_IT_IS: Final = 1 << 31  # in the table: this frame did not shrink, and is not compressed
_LAST_FRAME: Final = 1 << 95
_WORTH_IT: Final = 0.97
"""A block that does not become this much shorter stays in the plain form."""


class Table(Struct, frozen=True):
    """What stands in front of the frames."""

    first_salt: bytes
    entries: tuple[int, ...]  # sealed length of each frame, with _AS_IT_IS where it applies
    binding: bytes

    def span(self, first: int, last: int) -> tuple[int, int]:
        """Where frames `first` to `last` lie: (offset in the block, bytes)."""
        lengths = [entry & ~_AS_IT_IS for entry in self.entries]
        start = SALT_BYTES + _table_bytes(len(lengths)) + sum(lengths[:first])
        return start, sum(lengths[first : last + 1])


def frame_bytes(codec: int) -> int:
    """Plaintext bytes of a frame; the last one may be shorter."""
    return 1 << codec


def head_bytes(length: int, codec: int) -> int:
    """Bytes before the first frame of a block of `length` plaintext bytes: salt and table."""
    return SALT_BYTES + _table_bytes(_frame_count(length, codec))


def _table_bytes(frames: int) -> int:
    return SALT_BYTES + frames * _ENTRY.size


def _frame_count(length: int, codec: int) -> int:
    return -(-length // frame_bytes(codec))


def block_key(data_key: bytes, salt: Bytes) -> bytes:
    """The key of the compressed block that begins with `salt`; as long as the data key is.

    No plain block has the same.
    """
    inner = blake3(salt, key=data_key[:KEY_BYTES]).update(_CONTEXT).digest()
    if len(data_key) == KEY_BYTES:
        return inner
    return inner + blake3(salt, key=data_key[KEY_BYTES:]).update(_OUTER_CONTEXT).digest()


def _outer_layer(key: bytes, frame: int, data: bytes) -> bytes:
    """The second layer put on, or taken off, a frame; none where the key is for one layer."""
    if len(key) == KEY_BYTES:
        return data
    counter = frame.to_bytes(8, "big") + bytes(8)
    return Cipher(AES256(key[KEY_BYTES:]), CTR(counter)).encryptor().update(data)


def seal_compressed(  # noqa: PLR0913 - as `seal_block`, and how to compress
    plain: Bytes,
    *,
    data_key: bytes,
    key_id: int,
    offset: int,
    block_id: int,
    salt: bytes,
    first_salt: bytes,
    codec: int,
    level: int,
) -> bytes | None:
    """The block in compressed form; None where that would hardly be shorter.

    Args:
        plain: 1 byte to 1 MiB.
        data_key: named by `key_id`.
        key_id: the number of the data key.
        offset: where the plaintext stands in its file.
        block_id: the number of the block, whatever its form.
        salt: SALT_BYTES fresh random bytes, never used before.
        first_salt: that of the block's plain form.
        codec: NEAR_CODEC or FAR_CODEC.
        level: of zstd.
    """
    source = memoryview(plain)
    size = frame_bytes(codec)
    compressor = zstandard.ZstdCompressor(level=level, write_checksum=False)
    packed: list[Bytes] = []
    entries: list[int] = []
    for start in range(0, len(source), size):
        frame = source[start : start + size]
        compressed = compressor.compress(frame)
        shrinks = len(compressed) < len(frame)
        packed.append(compressed if shrinks else frame)
        entries.append((len(packed[-1]) + TAG_BYTES) | (0 if shrinks else _AS_IT_IS))
    total = SALT_BYTES + _table_bytes(len(entries)) + sum(len(p) + TAG_BYTES for p in packed)
    if total > sealed_length(len(source)) * _WORTH_IT:
        return None
    table = first_salt + b"".join([_ENTRY.pack(entry) for entry in entries])
    binding = _BINDING.pack(key_id, offset, len(source), block_id, codec) + table
    key = block_key(data_key, salt)
    cipher = AESGCM(key[:KEY_BYTES])
    frames = [
        _outer_layer(key, number, cipher.encrypt(_nonce(number, len(packed)), piece, binding))
        for number, piece in enumerate(packed)
    ]
    return b"".join([salt, table, *frames])


def read_table(
    head: Bytes, *, key_id: int, offset: int, length: int, block_id: int, codec: int
) -> Table:
    """The table in the first `head_bytes` of a block; it is true if frames open with it.

    Raises:
        DataDamaged: it is no table of such a block.
    """
    if len(head) != head_bytes(length, codec):
        raise DataDamaged(f"the table of a block at file offset {offset} is cut off")
    table = bytes(head[SALT_BYTES:])
    entries = tuple([entry for (entry,) in _ENTRY.iter_unpack(table[SALT_BYTES:])])
    for number, entry in enumerate(entries):
        plain = min(frame_bytes(codec), length - number * frame_bytes(codec))
        if not TAG_BYTES < entry & ~_AS_IT_IS <= plain + TAG_BYTES:
            raise DataDamaged(f"the table of a block at file offset {offset} is damaged")
    binding = _BINDING.pack(key_id, offset, length, block_id, codec) + table
    return Table(table[:SALT_BYTES], entries, binding)


def open_compressed_frames(
    frames: Bytes, table: Table, *, key: bytes, length: int, codec: int, first_frame: int = 0
) -> bytes:
    """The plaintext of consecutive whole frames.

    Args:
        frames: the bytes that `Table.span` names, from `first_frame` on.
        table: of the block.
        key: of the block, from `block_key`.
        length: plaintext bytes of the whole block.
        codec: of the block.
        first_frame: number of the first frame given.

    Raises:
        DataDamaged: the bytes are not those frames of that block.
    """
    cipher = AESGCM(key[:KEY_BYTES])
    source = memoryview(frames)
    parts: list[bytes] = []
    position = 0
    number = first_frame
    try:
        while position < len(source):
            entry = table.entries[number]
            piece = bytes(source[position : position + (entry & ~_AS_IT_IS)])
            position += len(piece)
            sealed = _outer_layer(key, number, piece)
            opened = cipher.decrypt(_nonce(number, len(table.entries)), sealed, table.binding)
            expected = min(frame_bytes(codec), length - number * frame_bytes(codec))
            parts.append(opened if entry & _AS_IT_IS else _decompress(opened, expected))
            number += 1
    except (InvalidTag, ValueError, IndexError, zstandard.ZstdError) as error:
        raise DataDamaged(f"frame {number} of a compressed block does not open") from error
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _decompress(data: bytes, expected: int) -> bytes:
    """Exactly `expected` bytes; nothing is allocated for a frame that claims to be more."""
    if zstandard.frame_content_size(data) != expected:
        raise ValueError("a frame claims another length than its block has")
    return zstandard.ZstdDecompressor().decompress(data, max_output_size=expected)


def open_compressed(  # noqa: PLR0913 - as `open_block`, and the codec
    sealed: Bytes,
    *,
    data_key: bytes,
    key_id: int,
    offset: int,
    length: int,
    block_id: int,
    codec: int,
) -> bytes:
    """The plaintext of a whole compressed block. Raises DataDamaged."""
    view = memoryview(sealed)
    head = head_bytes(length, codec)
    table = read_table(
        view[:head], key_id=key_id, offset=offset, length=length, block_id=block_id, codec=codec
    )
    key = block_key(data_key, bytes(view[:SALT_BYTES]))
    plain = open_compressed_frames(view[head:], table, key=key, length=length, codec=codec)
    if len(plain) != length:
        raise DataDamaged(f"a block at file offset {offset} is {len(plain)} bytes, not {length}")
    return plain


def _nonce(frame: int, frames: int) -> bytes:
    return (frame | _LAST_FRAME if frame == frames - 1 else frame).to_bytes(12, "big")
