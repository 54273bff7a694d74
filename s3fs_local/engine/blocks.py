"""Blocks: sealing runs of bytes into packs, and opening just the frames a read needs."""

from collections import OrderedDict
from collections.abc import Callable
from time import perf_counter_ns
from typing import Final

from msgspec import Struct, structs

from s3fs_local.crypto import compressed
from s3fs_local.crypto.frames import SALT_BYTES, frame_span
from s3fs_local.crypto.sealing import block_key, digest, open_frames, seal_under
from s3fs_local.engine.data_keys import DataKeys
from s3fs_local.engine.device_pace import DevicePace
from s3fs_local.engine.recoding import Form, Recoded, as_it_lies, recode
from s3fs_local.errors import DataDamaged, MetadataDamaged, StorageError
from s3fs_local.metadata.interface import Metadata
from s3fs_local.packs.pack_store import PackStore
from s3fs_local.rules.extents import Block
from s3fs_local.system.randomness import Randomness

CACHED_BLOCKS_MAX: Final = 16_384
FETCHED_BYTES_MAX: Final = 16 << 20
"""Of bytes that were waited for: more than one read can need."""
STANDARD: Final = "STANDARD"


class _Opened(Struct, frozen=True, gc=False):
    """A block whose key was derived."""

    block: Block
    key: bytes
    table: compressed.Table | None = None

    def span(self, skip: int, size: int) -> tuple[int, int, int, int]:
        """Where plaintext [skip, skip + size) lies, as `frame_span` tells it."""
        if self.table is None:
            return frame_span(skip, size, self.block.length)
        first, drop = divmod(skip, compressed.frame_bytes(self.block.codec))
        last = (skip + size - 1) // compressed.frame_bytes(self.block.codec)
        return (*self.table.span(first, last), first, drop)

    def frames(self, sealed: bytes, *, first: int) -> bytes:
        """The plaintext of whole frames. Raises DataDamaged."""
        block = self.block
        if self.table is not None:
            return compressed.open_compressed_frames(
                sealed,
                self.table,
                key=self.key,
                length=block.length,
                codec=block.codec,
                first_frame=first,
            )
        return open_frames(
            sealed,
            key=self.key,
            key_id=block.key_id,
            offset=block.offset,
            length=block.length,
            block_id=block.block_id,
            first_frame=first,
        )


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
        self._fetched: dict[tuple[int, int, int], bytes | StorageError] = {}
        self._placements: dict[int, str] = {}  # by pack; a pack never gets another
        self.pace = DevicePace()  # of reads that were waited for
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
        self._last_block_id += 1
        block_id = self._last_block_id
        key = block_key(data_key, salt)
        sealed = seal_under(key, plain, key_id=key_id, offset=offset, block_id=block_id, salt=salt)
        pack_id, pack_offset = self._packs.append(sealed, placement)
        block = Block(
            block_id=block_id,
            key_id=key_id,
            offset=offset,
            length=len(plain),
            pack_id=pack_id,
            pack_offset=pack_offset,
            sealed_length=len(sealed),
            digest=digest(sealed),
        )
        self._remember(_Opened(block, key))
        return block

    def read_nowait(self, block_id: int, *, skip: int, size: int) -> bytes | None:
        """Bytes [skip, skip + size) of the block; None where a device would have to be waited for.

        After None, `fetch` waits for what is missing, and the next call gets further.

        Raises:
            DataDamaged: no zone has the bytes as they were sealed.
            EncryptionError: the file's key is gone, or cannot be used now.
            ZoneUnavailable: no zone that could have them answers.
        """
        opened = self._opened.get(block_id)
        if opened is None or self._keys.opened(opened.block.key_id) is None:
            opened = self._open(self.block(block_id))
        if opened is None:
            return None
        start, length, first, drop = opened.span(skip, size)
        sealed = self._sealed(opened.block, start, length)
        if sealed is None:
            return None
        try:
            plain = opened.frames(sealed, first=first)
        except DataDamaged:
            plain = self._read_elsewhere(opened.block, skip=skip, size=size)
        return plain[drop : drop + size]

    def _open(self, block: Block) -> _Opened | None:
        """The block with its key, ready to be read; None as in `read_nowait`."""
        if self._keys.open_nowait(block.key_id) is None:
            return None
        head = self._sealed(block, 0, _head_bytes(block))
        if head is None:
            return None
        try:
            opened = self._opened_with(block, head)
        except DataDamaged:
            self._packs.suspects.add(block.pack_id)
            opened = self._opened_with(block, self.read_sealed(block))
        self._remember(opened)
        return opened

    def _opened_with(self, block: Block, sealed: bytes) -> _Opened:
        data_key = self._keys.open(block.key_id)
        salt = sealed[:SALT_BYTES]
        if block.codec == compressed.PLAIN:
            return _Opened(block, block_key(data_key, salt))
        table = compressed.read_table(
            sealed[: _head_bytes(block)],
            key_id=block.key_id,
            offset=block.offset,
            length=block.length,
            block_id=block.block_id,
            codec=block.codec,
        )
        return _Opened(block, compressed.block_key(data_key, salt), table)

    async def obtain_key(self) -> None:
        """The key that the last `read_nowait` lacked, if it was one, is known; others go on."""
        await self._keys.questions.put_in_thread()

    def fetch(self) -> None:
        """What the last `read_nowait` lacked is in memory. Blocks; runs in a thread.

        A failure is told by the next `read_nowait`, if the bytes still belong where they were
        looked for: meanwhile they may have moved.
        """
        self._keys.questions.put()
        missing = self._missing
        if missing is not None:
            began_ns = perf_counter_ns()
            try:
                self._fetched[missing] = self._packs.read(*missing)
            except StorageError as error:
                self._fetched[missing] = error
            self.pace.note(perf_counter_ns() - began_ns)
            # The loop goes on meanwhile: another read may lack something else by now.
            if self._missing == missing:
                self._missing = None

    def fetch_in_place(self) -> bool:
        """As `fetch`, in the loop's thread; False where others could be held up by it for long.

        A zone that may be given up, or a key service, is left to a thread.
        """
        if self._packs.zones.only is None or not (self.pace.is_quick and self._keys.is_simple):
            return False
        self.fetch()
        return True

    def _sealed(self, block: Block, start: int, length: int) -> bytes | None:
        place = (block.pack_id, block.pack_offset + start, length)
        sealed = self._packs.read_nowait(*place)
        if sealed is not None:
            return sealed
        fetched = self._fetched.get(place)
        if isinstance(fetched, StorageError):
            del self._fetched[place]
            raise fetched
        if fetched is None:
            self._missing = place
            self._make_room()
        return fetched

    def _make_room(self) -> None:
        """What was fetched stays until a read has all that it needs: that may be many blocks."""
        held = sum(len(found) for found in list(self._fetched.values()) if isinstance(found, bytes))
        while held > FETCHED_BYTES_MAX:
            oldest = next(iter(self._fetched))
            found = self._fetched.pop(oldest)
            held -= len(found) if isinstance(found, bytes) else 0

    def _read_elsewhere(self, block: Block, *, skip: int, size: int) -> bytes:
        """The frames as another zone has them, salt included: it may be what was damaged."""
        self.forget(block.block_id)
        self._packs.suspects.add(block.pack_id)
        whole = self.read_sealed(block)
        opened = self._opened_with(block, whole)
        start, length, first, _ = opened.span(skip, size)
        return opened.frames(whole[start : start + length], first=first)

    def read_sealed(self, block: Block) -> bytes:
        """The block's bytes as they lie in some zone, whole and checked. Blocks; any thread.

        Raises:
            DataDamaged, ZoneUnavailable: no zone has them.
        """
        return self._packs.read(
            block.pack_id,
            block.pack_offset,
            block.sealed_length,
            verify=lambda sealed: digest(sealed) == block.digest,
        )

    def lacks_key(self, block: Block) -> bool:
        """Whether a key service must be asked before `recoded`: `fetch` does. Raises as `open`."""
        return self._keys.open_nowait(block.key_id) is None

    def recoded(self, block: Block, form: Form | None) -> Callable[[], Recoded]:
        """What reads the block and gives its bytes in the form (None: as they lie).

        To be called in a worker thread; raises as `recode` and `read_sealed`.
        """
        if form is None or form.codec == block.codec == compressed.PLAIN:
            return lambda: as_it_lies(block, self.read_sealed(block))
        data_key = self._keys.open(block.key_id)
        salt = self._randomness.bytes(SALT_BYTES)
        return lambda: recode(
            block, self.read_sealed(block), data_key=data_key, form=form, salt=salt
        )

    def append(self, block: Block, recoded: Recoded, placement: str) -> Block:
        """The block's future row: its bytes lie in a pack of the placement, durable after a sync.

        Raises:
            StoreFull: nothing was stored.
        """
        pack_id, pack_offset = self._packs.append(recoded.sealed, placement, moves=True)
        return structs.replace(
            block,
            pack_id=pack_id,
            pack_offset=pack_offset,
            sealed_length=len(recoded.sealed),
            digest=recoded.digest,
            codec=recoded.codec,
            plain_digest=recoded.plain_digest,
        )

    def placement(self, pack_id: int) -> str:
        """The placement that the pack was made for."""
        placement = self._placements.get(pack_id)
        if placement is None:
            placement = self._metadata.placement(pack_id) or STANDARD
            self._placements[pack_id] = placement
        return placement

    def block(self, block_id: int) -> Block:
        """The block's row, committed or of a draft."""
        opened = self._opened.get(block_id)
        if opened is not None:
            return opened.block
        block = self._metadata.block(block_id) or self.uncommitted(block_id)
        if block is None:
            raise MetadataDamaged(f"block {block_id} is used but not known")
        return block

    @property
    def store_id(self) -> bytes:
        """Whose packs these are."""
        return self._packs.coded.store_id

    def is_growing(self, pack_id: int) -> bool:
        """Whether bytes may still be added to the pack, or wait for their sync."""
        return self._packs.is_growing(pack_id)

    def growing_packs(self) -> list[int]:
        """The packs to which the next blocks go."""
        return self._packs.growing()

    def leave_open_packs(self) -> None:
        """The next blocks begin new packs."""
        self._packs.leave_open_packs()

    def pack_lengths(self) -> dict[int, int]:
        """Bytes of every pack in the zones."""
        return self._packs.lengths()

    def remove_pack(self, pack_id: int) -> None:
        """The pack's bytes are gone from every zone."""
        self._packs.remove(pack_id)

    def leave_pack(self, pack_id: int) -> None:
        """Nothing more is appended to the pack."""
        self._packs.leave(pack_id)

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


def _head_bytes(block: Block) -> int:
    if block.codec == compressed.PLAIN:
        return SALT_BYTES
    return compressed.head_bytes(block.length, block.codec)
