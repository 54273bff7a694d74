"""Where the bytes of a version that was received lie, between those that were there.

A layout holds during an interval that begins and ends with a version. To put one between two others
the intervals that are open at its instant are cut there, and go on behind it.
"""

from collections import Counter
from collections.abc import Mapping

from msgspec import Struct

from s3fs_local.metadata.changes import AddBlock, Change, CountBlock, PutCell
from s3fs_local.metadata.interface import Metadata
from s3fs_local.rules.extents import (
    HOLE,
    Block,
    Layout,
    blocks_of,
    data_bytes,
    decode_layout,
    encode_layout,
)
from s3fs_local.rules.namespace import OPEN_NS


class Place(Struct, frozen=True):
    """Where a version goes in the history of its file."""

    ino: int
    stamp_ns: int
    next_ns: int = OPEN_NS  # the version after it

    @property
    def is_newest(self) -> bool:
        """Whether no version comes after it."""
        return self.next_ns == OPEN_NS


class Laid(Struct):
    """What laying out a version changes."""

    changes: list[Change]
    data_bytes: int = 0  # more (or fewer) than before, in the file as it is now
    stored_bytes: int = 0  # sealed bytes of new blocks


def plan_layouts(
    metadata: Metadata,
    place: Place,
    wanted: Mapping[int, Layout],
    new_blocks: Mapping[int, Block],
    *,
    is_whole: bool,
    arrived: frozenset[int] = frozenset(),
) -> Laid:
    """The changes after which the version has these layouts.

    Cells that are not in `wanted` are as in the version before, or (`is_whole`) holes. `arrived`
    are blocks that came for it in earlier parts.
    """
    laid = Laid([])
    uses: Counter[int] = Counter()
    cells = set(wanted)
    if is_whole:
        cells.update(cell for cell, *_ in metadata.cells(place.ino, 0, place.stamp_ns))
    for cell in sorted(cells):
        _plan_cell(metadata, place, cell, wanted.get(cell, HOLE), uses, laid)
    counts: list[Change] = []
    for block_id, count in uses.items():
        block = new_blocks.get(block_id)
        if block is not None:
            laid.stored_bytes += block.sealed_length
            counts.append(AddBlock(block))  # which counts one
        elif block_id in arrived:
            laid.stored_bytes += _first_use_bytes(metadata, block_id)
        more = count if block is None else count - 1
        if more:
            counts.append(CountBlock(block_id, more))
    laid.changes = [*counts, *laid.changes]
    return laid


def _first_use_bytes(metadata: Metadata, block_id: int) -> int:
    block = metadata.block(block_id)
    return 0 if block is None or block.refs > 1 else block.sealed_length


def _plan_cell(
    metadata: Metadata,
    place: Place,
    cell: int,
    new: Layout,
    uses: Counter[int],
    laid: Laid,
) -> None:
    row, following_ns = _row_at(metadata, place, cell)
    old = HOLE if row is None else decode_layout(row[2])
    if old == new:
        return
    if row is not None:
        from_ns, to_ns, extents = row
        laid.changes.append(PutCell(place.ino, cell, from_ns, place.stamp_ns, extents))
        if place.next_ns < to_ns:
            laid.changes.append(PutCell(place.ino, cell, place.next_ns, to_ns, extents))
            uses.update(blocks_of(old))
    if new:
        # A row may begin before the next version: that which began it is gone.
        to_ns = min(place.next_ns, following_ns)
        put = PutCell(place.ino, cell, place.stamp_ns, to_ns, encode_layout(new))
        laid.changes.append(put)
        uses.update(blocks_of(new))
    if place.is_newest:
        laid.data_bytes += data_bytes(new) - data_bytes(old)


def _row_at(
    metadata: Metadata, place: Place, cell: int
) -> tuple[tuple[int, int, bytes] | None, int]:
    """The row that holds at the version's instant, and when the next one begins."""
    found, following_ns = None, OPEN_NS
    for _, from_ns, to_ns, extents in metadata.cell_rows(place.ino, cell, cell + 1):
        if from_ns <= place.stamp_ns < to_ns:
            found = (from_ns, to_ns, extents)
        elif from_ns > place.stamp_ns:
            following_ns = min(following_ns, from_ns)
    return found, following_ns
