"""Blocks: sealing runs of bytes into packs, and opening just the frames a read needs."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from s3fs_local.crypto.frames import SALT_BYTES, frame_span
from s3fs_local.crypto.sealing import block_key, digest, open_frames, seal_block
from s3fs_local.engine.data_keys import DataKeys
from s3fs_local.errors import DataDamaged, MetadataDamaged
from s3fs_local.metadata.interface import Metadata
from s3fs_local.packs.pack_store import PackStore
from s3fs_local.rules.extents import Block
from s3fs_local.system.randomness import Randomness

CACHED_BLOCKS_MAX: Final = 16_384


class _Opened(Struct, frozen=True):
    """A block whose key was derived."""

    block: Block
    key: bytes


class BlockStorage:
    """Seals new blocks and opens old ones; the same bytes from whichever zone still has them."""

    def __init__(
        self,
        *,
        metadata: Metadata,
        packs: PackStore,
        keys: DataKeys,
        randomness: Randomness,
        last_block_id: int,
    ) -> None:
        self._metadata = metadata
        self._packs = packs
        self._keys = keys
        self._randomness = randomness
        self._last_block_id = last_block_id
        self._opened: OrderedDict[int, _Opened] = OrderedDict()
        self._missing: tuple[int, int, int] | None = None
        self._fetched: dict[tuple[int, int, int], bytes] = {}
        self.uncommitted: Callable[[int], Block | None] = lambda _: None

    def store(self, plain: bytes | bytearray, *, key_id: int, offset: int, placement: str) -> Block:
        """A new block, appended to a pack; durable after the packs' next sync.

        Args:
            plain: 1 byte to 1 MiB.
            key_id: the file's data key.
            offset: where the bytes stand in the file.
            placement: the storage class whose pack takes it.

        Raises:
            StoreFull: nothing was stored.
        """
        data_key = self._keys.open(key_id)
        salt = self._randomness.bytes(SALT_BYTES)
        sealed = seal_block(plain, data_key=data_key, key_id=key_id, offset=offset, salt=salt)
        pack_id, pack_offset = self._packs.append(sealed, placement)
        self._last_block_id += 1
        block = Block(
            block_id=self._last_block_id,
            key_id=key_id,
            offset=offset,
            length=len(plain),
            pack_id=pack_id,
            pack_offset=pack_offset,
            sealed_length=len(sealed),
            digest=digest(sealed),
        )
        self._remember(_Opened(block, block_key(data_key, salt)))
        return block

    def read_nowait(self, block_id: int, *, skip: int, size: int) -> bytes | None:
        """Bytes [skip, skip + size) of the block; None where a device would have to be waited for.

        After None, `fetch` waits for what is missing, and the next call gets further.

        Raises:
            DataDamaged: no zone has the bytes as they were sealed.
            EncryptionError: the file's key is gone, or cannot be used now.
        """
        opened = self._opened.get(block_id)
        if opened is None or self._keys.opened(opened.block.key_id) is None:
            block = self.block(block_id)
            data_key = self._keys.open_nowait(block.key_id)
            if data_key is None:
                return None
            salt = self._sealed(block, 0, SALT_BYTES)
            if salt is None:
                return None
            opened = _Opened(block, block_key(data_key.key, salt))
            self._remember(opened)
        block = opened.block
        start, length, first, drop = frame_span(skip, size, block.length)
        sealed = self._sealed(block, start, length)
        if sealed is None:
            return None
        try:
            plain = _open(opened, sealed, first=first)
        except DataDamaged:
            plain = self._read_elsewhere(block, start=start, length=length, first=first)
        return plain[drop : drop + size]

    def fetch(self) -> None:
        """What the last `read_nowait` lacked is in memory. Blocks; runs in a thread."""
        if self._keys.questions.is_open:
            self._keys.questions.put()
        missing = self._missing
        if missing is not None:
            self._fetched[missing] = self._packs.read(*missing)
            # The loop goes on meanwhile: another read may lack something else by now.
            if self._missing == missing:
                self._missing = None

    def _sealed(self, block: Block, start: int, length: int) -> bytes | None:
        place = (block.pack_id, block.pack_offset + start, length)
        sealed = self._packs.read_nowait(*place)
        if sealed is None:
            sealed = self._fetched.pop(place, None)
            if sealed is None:
                self._missing = place
                self._fetched.clear()
        return sealed

    def _read_elsewhere(self, block: Block, *, start: int, length: int, first: int) -> bytes:
        """The frames as another zone has them, salt included: it may be what was damaged."""
        self.forget(block.block_id)
        data_key = self._keys.open(block.key_id)
        whole = self._packs.read(
            block.pack_id,
            block.pack_offset,
            block.sealed_length,
            verify=lambda sealed: digest(sealed) == block.digest,
        )
        opened = _Opened(block, block_key(data_key, whole[:SALT_BYTES]))
        return _open(opened, whole[start : start + length], first=first)

    def block(self, block_id: int) -> Block:
        """The block's row, committed or of a draft."""
        opened = self._opened.get(block_id)
        if opened is not None:
            return opened.block
        block = self._metadata.block(block_id) or self.uncommitted(block_id)
        if block is None:
            raise MetadataDamaged(f"block {block_id} is used but not known")
        return block

    def pack_lengths(self) -> dict[int, int]:
        """Bytes of every pack in the zones."""
        return self._packs.lengths()

    def remove_pack(self, pack_id: int) -> None:
        """The pack's bytes are gone from every zone."""
        self._packs.remove(pack_id)

    def forget(self, block_id: int) -> None:
        """The block was removed or moved."""
        self._opened.pop(block_id, None)

    def forget_all(self) -> None:
        """The keys of all blocks are derived anew, if they still can be."""
        self._opened.clear()

    def _remember(self, opened: _Opened) -> None:
        self._opened[opened.block.block_id] = opened
        if len(self._opened) > CACHED_BLOCKS_MAX:
            self._opened.popitem(last=False)


def _open(opened: _Opened, sealed: bytes, *, first: int) -> bytes:
    block = opened.block
    return open_frames(
        sealed,
        key=opened.key,
        key_id=block.key_id,
        offset=block.offset,
        length=block.length,
        first_frame=first,
    )
