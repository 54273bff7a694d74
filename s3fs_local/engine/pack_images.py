"""What a pack should look like, put together from whichever zones have its blocks.

For worker threads: nothing here touches the facts.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from msgspec import Struct

from s3fs_local.crypto.sealing import digest
from s3fs_local.errors import StorageError
from s3fs_local.objects.interface import ObjectStore
from s3fs_local.objects.reading import answers
from s3fs_local.objects.zone import Zone
from s3fs_local.packs.pack_store import HEADER_BYTES, PackStore, pack_name
from s3fs_local.rules.extents import Block

PACK_SECONDS_MAX: Final = 120.0
"""A pack from a slow zone may take this long: nobody waits for it."""


class Image(Struct, frozen=True):
    """The bytes of a pack, and the blocks that no zone has whole."""

    data: bytes
    lost: list[Block]


def damaged_blocks(copy: bytes, blocks: list[Block]) -> list[Block]:
    """Those that the copy of their pack does not have as they were sealed."""
    view = memoryview(copy)
    return [
        block
        for block in blocks
        if digest(view[block.pack_offset : block.pack_offset + block.sealed_length]) != block.digest
    ]


def damaged_in(
    packs: PackStore, zone: Zone, pack_id: int, blocks: Sequence[Block]
) -> list[Block] | None:
    """Those of the blocks that the zone's copy of their pack does not have as they were sealed.

    None where it cannot be read. Reads from the first to the last of them, which lie in this order.
    """
    start = blocks[0].pack_offset
    length = blocks[-1].pack_offset + blocks[-1].sealed_length - start
    piece = _read_in(packs, zone, partial(_piece, pack_name(pack_id), start, length))
    if piece is None:
        return None
    view = memoryview(piece)
    return [
        block
        for block in blocks
        if digest(view[block.pack_offset - start :][: block.sealed_length]) != block.digest
    ]


def header_in(packs: PackStore, zone: Zone, pack_id: int) -> bytes | None:
    """The first bytes of the zone's copy; None where it has none, or cannot read it in time."""
    return _read_in(packs, zone, partial(_header, pack_name(pack_id)))


def _read_in(packs: PackStore, zone: Zone, reading: Callable[[ObjectStore], bytes]) -> bytes | None:
    seconds = max(packs.zones.timeout_seconds, PACK_SECONDS_MAX)
    answer = answers([zone], reading, seconds, as_errand=True).get(zone)
    return answer if isinstance(answer, bytes) else None


def _header(name: str, store: ObjectStore) -> bytes:
    store.length(name)  # a file that somebody removed can be read as long as it is open
    return store.read(name, 0, HEADER_BYTES)


def _piece(name: str, offset: int, length: int, store: ObjectStore) -> bytes:
    return store.read(name, offset, length)


def copy_in(packs: PackStore, zone: Zone, pack_id: int) -> bytes | None:
    """The pack as the zone has it; None where it has none, or cannot read it in time."""
    return _read_in(packs, zone, partial(_whole, pack_name(pack_id)))


def _whole(name: str, store: ObjectStore) -> bytes:
    return store.read(name, 0, store.length(name))


def good_image(packs: PackStore, pack_id: int, blocks: list[Block], zone: Zone) -> Image | None:
    """The pack for a zone, every block as it was sealed if any zone has it; None: nobody has any.

    A block that nobody has whole stays as the zone has it: a part of it may still be good. Bytes
    that no block owns are those of the copy with the fewest damaged blocks.
    """
    best: bytes | None = None
    fewest = 0
    for source in packs.zones.readable:
        copy = copy_in(packs, source, pack_id)
        if not copy:
            continue
        damaged = len(damaged_blocks(copy, blocks))
        if best is None or (damaged, -len(copy)) < (fewest, -len(best)):
            best, fewest = copy, damaged
        if not fewest and source.is_well:
            break
    if best is None:
        return None
    end = max([HEADER_BYTES, *[block.pack_offset + block.sealed_length for block in blocks]])
    image = bytearray(best) + bytes(max(0, end - len(best)))
    image[:HEADER_BYTES] = packs.header(pack_id)
    lost = []
    for block in damaged_blocks(bytes(image), blocks):
        whole = _whole_block(packs, block)
        if whole is None:
            lost.append(block)
        else:
            image[block.pack_offset : block.pack_offset + block.sealed_length] = whole
    own = (copy_in(packs, zone, pack_id) or b"") if lost else b""
    for block in lost:
        block_end = block.pack_offset + block.sealed_length
        if block_end <= len(own):
            image[block.pack_offset : block_end] = own[block.pack_offset : block_end]
    return Image(bytes(image), lost)


def good_bytes(
    packs: PackStore, pack_id: int, blocks: Sequence[Block], start: int, end: int
) -> bytes:
    """The bytes [start, end) of the pack, every block as it was sealed if any zone has it.

    What no block owns, and what nobody has whole, is as the first zone says that has so many.
    """
    if start >= end:
        return b""
    found = bytearray(packs.zones.read_good(pack_name(pack_id), start, end - start))
    for block in blocks:
        first = max(block.pack_offset, start)
        last = min(block.pack_offset + block.sealed_length, end)
        whole = _whole_block(packs, block) if first < last else None
        if whole is not None:
            piece = whole[first - block.pack_offset : last - block.pack_offset]
            found[first - start : last - start] = piece
    return bytes(found)


def _whole_block(packs: PackStore, block: Block) -> bytes | None:
    try:
        return packs.read(
            block.pack_id,
            block.pack_offset,
            block.sealed_length,
            verify=lambda sealed: digest(sealed) == block.digest,
        )
    except StorageError:
        return None
