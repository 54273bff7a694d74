"""A block's bytes in another form: plain or compressed, and proven to hold the same content.

Nothing here touches the store's facts, so all of it may run in a worker thread.
"""

from typing import Final

from msgspec import Struct

from s3fs_local.crypto.compressed import (
    FAR_CODEC,
    NEAR_CODEC,
    PLAIN,
    open_compressed,
    seal_compressed,
)
from s3fs_local.crypto.frames import SALT_BYTES
from s3fs_local.crypto.sealing import Bytes, digest, open_block, seal_block
from s3fs_local.errors import DataDamaged
from s3fs_local.rules.extents import Block
from s3fs_local.rules.storage_classes import Placement, needs_restore


class Form(Struct, frozen=True):
    """How a placement keeps its blocks."""

    codec: int
    level: int = 0


PLAIN_FORM: Final = Form(PLAIN)


def form_of(name: str, placement: Placement) -> Form:
    """The form of blocks in the placement; what is never read in parts is compressed as a whole."""
    if not placement.zstd_level:
        return PLAIN_FORM
    return Form(FAR_CODEC if needs_restore(name) else NEAR_CODEC, placement.zstd_level)


class Recoded(Struct, frozen=True):
    """Sealed bytes, and what the block's row says of them."""

    sealed: Bytes
    codec: int
    digest: bytes
    plain_digest: bytes


def as_it_lies(block: Block, sealed: bytes) -> Recoded:
    """The block's present bytes, unchanged."""
    return Recoded(sealed, block.codec, block.digest, block.plain_digest)


def recode(block: Block, sealed: bytes, *, data_key: bytes, form: Form, salt: bytes) -> Recoded:
    """The block in the form, or in the plain one where compressing gains nothing.

    Args:
        block: its row.
        sealed: its present bytes; their digest was checked.
        data_key: of the block.
        form: wanted.
        salt: SALT_BYTES fresh random bytes, for a compressed form.

    Raises:
        DataDamaged: the present bytes do not open, or not to what was sealed first; or the new
            ones would not give it back.
    """
    if form.codec == block.codec == PLAIN:
        return as_it_lies(block, sealed)
    plain = _open(block, sealed, data_key, codec=block.codec)
    if block.codec == PLAIN:
        first, first_salt = sealed, sealed[:SALT_BYTES]
    else:
        first_salt = sealed[SALT_BYTES : 2 * SALT_BYTES]
        first = _seal_again(block, plain, data_key, first_salt)
    if form.codec == PLAIN:
        return Recoded(first, PLAIN, block.identity, b"")
    packed = seal_compressed(
        plain,
        data_key=data_key,
        key_id=block.key_id,
        offset=block.offset,
        block_id=block.block_id,
        salt=salt,
        first_salt=first_salt,
        codec=form.codec,
        level=form.level,
    )
    if packed is None:
        return Recoded(first, PLAIN, block.identity, b"")
    if _open(block, packed, data_key, codec=form.codec) != plain:
        raise DataDamaged(f"block {block.block_id} cannot be read back in its new form")
    return Recoded(packed, form.codec, digest(packed), block.identity)


def _open(block: Block, sealed: Bytes, data_key: bytes, *, codec: int) -> bytes:
    if codec == PLAIN:
        return open_block(
            sealed,
            data_key=data_key,
            key_id=block.key_id,
            offset=block.offset,
            length=block.length,
            block_id=block.block_id,
        )
    return open_compressed(
        sealed,
        data_key=data_key,
        key_id=block.key_id,
        offset=block.offset,
        length=block.length,
        block_id=block.block_id,
        codec=codec,
    )


def _seal_again(block: Block, plain: bytes, data_key: bytes, first_salt: bytes) -> bytes:
    """The block as it was first sealed: same key, salt and content give the same bytes."""
    first = seal_block(
        plain,
        data_key=data_key,
        key_id=block.key_id,
        offset=block.offset,
        block_id=block.block_id,
        salt=first_salt,
    )
    if digest(first) != block.identity:
        raise DataDamaged(f"block {block.block_id} does not hold what was sealed first")
    return bytes(first)
