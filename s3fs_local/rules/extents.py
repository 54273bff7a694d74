"""How a file's bytes lie in blocks: layouts of cells, and what a commit has to seal.

A file is a row of *cells* of 1 MiB. The layout of a cell is a sorted tuple of extents without
overlap; what no extent covers is a hole and reads as zeros. A block is an immutable run of bytes of
one cell. Positions here count from the start of the cell, ranges are half open.

A commit seals only what changed. Two forces shape the pieces: sealing a dirty run alone is cheapest
now, but a thousand appends of 200 bytes would leave a thousand blocks. So a piece absorbs each
neighbour that is no longer than itself (as a binary counter carries): n small appends leave O(log
n) blocks, and every byte is sealed O(log n) times over its life. Random overwrites fragment
differently; a cell with more than `EXTENTS_MAX` extents is sealed anew in as few blocks as its
holes allow.
"""

import struct
from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct

from s3fs_local.errors import MetadataDamaged

CELL_BYTES: Final = 1 << 20
SMALL_BYTES: Final = 4096
"""A neighbour this short is always absorbed: its row would cost as much as its bytes."""
EXTENTS_MAX: Final = 32
"""Beyond this a cell is sealed anew."""
REGIONS_MAX: Final = 128
"""Beyond this even the holes are filled with zeros, so that a layout stays small."""

_PACKED = struct.Struct("<IIIQ")

Runs = list[tuple[int, int]]


class Extent(Struct, frozen=True, gc=False):
    """Bytes [start, start + length) of a cell are bytes [skip, skip + length) of a block."""

    start: int
    length: int
    block: int
    skip: int = 0

    @property
    def end(self) -> int:
        """Where it ends (open)."""
        return self.start + self.length


class Block(Struct, frozen=True, gc=False, array_like=True):
    """One sealed run of at most CELL_BYTES plaintext bytes of one file."""

    block_id: int
    key_id: int
    offset: int  # position in the file where it was written; bound by the seal
    length: int  # plaintext bytes
    pack_id: int
    pack_offset: int
    sealed_length: int
    digest: bytes  # BLAKE3-256 of the sealed bytes
    refs: int = 1  # cell layouts that use it
    codec: int = 0  # form of the sealed bytes: 0 = plain, else see crypto/compressed.py
    plain_digest: bytes = b""  # of a compressed block: BLAKE3-256 of its plain form

    @property
    def identity(self) -> bytes:
        """BLAKE3-256 of the plain form: the same for ever, wherever and however the block lies."""
        return self.plain_digest or self.digest


Layout = tuple[Extent, ...]
HOLE: Final[Layout] = ()


def encode_layout(layout: Layout) -> bytes:
    """The layout as stored: 20 bytes an extent."""
    return b"".join([_PACKED.pack(e.start, e.length, e.skip, e.block) for e in layout])


def decode_layout(data: bytes) -> Layout:
    """The layout that `encode_layout` stored.

    Raises:
        MetadataDamaged: it stored no such bytes.
    """
    if len(data) % _PACKED.size:
        raise MetadataDamaged(f"a layout of {len(data)} bytes is cut short")
    return tuple(
        [
            Extent(start, length, block, skip)
            for start, length, skip, block in _PACKED.iter_unpack(data)
        ]
    )


def data_bytes(layout: Layout) -> int:
    """Bytes of the cell that are not holes."""
    return sum([extent.length for extent in layout])


def clip(layout: Layout, limit: int) -> Layout:
    """The layout with everything at or beyond `limit` turned into a hole."""
    if not layout or layout[-1].end <= limit:
        return layout
    return tuple(
        [
            e if e.end <= limit else Extent(e.start, limit - e.start, e.block, e.skip)
            for e in layout
            if e.start < limit
        ]
    )


def overlay(layout: Layout, piece: Extent) -> Layout:
    """The layout with `piece` in place of whatever it covers."""
    if not layout:
        return (piece,)
    before: list[Extent] = []
    after: list[Extent] = []
    for extent in layout:
        if extent.start < piece.start:
            length = min(extent.end, piece.start) - extent.start
            before.append(Extent(extent.start, length, extent.block, extent.skip))
        if extent.end > piece.end:
            cut = max(extent.start, piece.end) - extent.start
            after.append(
                Extent(extent.start + cut, extent.length - cut, extent.block, extent.skip + cut)
            )
    return (*before, piece, *after)


def blocks_of(layout: Layout) -> set[int]:
    """The blocks the layout uses."""
    return {extent.block for extent in layout}


def add_run(runs: Runs, start: int, end: int) -> None:
    """[start, end) belongs to `runs`, which stays sorted, without touching neighbours."""
    if runs:
        last_start, last_end = runs[-1]
        if start > last_end:
            runs.append((start, end))
            return
        if start >= last_start:
            if end > last_end:
                runs[-1] = (last_start, end)
            return
    else:
        runs.append((start, end))
        return
    kept = [run for run in runs if run[1] < start or run[0] > end]
    joined = [run for run in runs if not (run[1] < start or run[0] > end)]
    for run_start, run_end in joined:
        start, end = min(start, run_start), max(end, run_end)
    kept.append((start, end))
    kept.sort()
    runs[:] = kept


def clip_runs(runs: Runs, limit: int) -> None:
    """Nothing at or beyond `limit` belongs to `runs` any more."""
    runs[:] = [(start, min(end, limit)) for start, end in runs if start < limit]


def covers(runs: Sequence[tuple[int, int]], start: int, end: int) -> bool:
    """Whether one run contains all of [start, end)."""
    return any(first <= start and end <= last for first, last in runs)


class _Segment(Struct):
    """A stretch of the future layout: dirty ones are sealed, clean ones keep their extent."""

    start: int
    end: int
    dirty: bool


def plan_pieces(layout: Layout, runs: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """What to seal so that `runs` are stored: ranges, ascending, each becoming one block.

    Every run lies within one piece. Pieces cover nothing that is a hole, unless the cell has more
    than `REGIONS_MAX` separate regions.
    """
    runs = list(runs)
    if not layout and len(runs) == 1:  # a small file, written anew
        return runs
    segments = _absorb(_segments(layout, runs))
    if len(segments) > EXTENTS_MAX:
        segments = _regions(segments)
    if len(segments) > REGIONS_MAX:
        return [(segments[0].start, segments[-1].end)]
    return [(segment.start, segment.end) for segment in segments if segment.dirty]


def _segments(layout: Layout, runs: list[tuple[int, int]]) -> list[_Segment]:
    """The dirty runs and the fragments of extents that stay visible beside them, ascending."""
    segments = [_Segment(start, end, dirty=True) for start, end in runs]
    for extent in layout:
        position = extent.start
        for start, end in runs:
            if end <= position or start >= extent.end:
                continue
            if start > position:
                segments.append(_Segment(position, start, dirty=False))
            position = end
        if position < extent.end:
            segments.append(_Segment(position, extent.end, dirty=False))
    segments.sort(key=lambda segment: segment.start)
    return segments


def _absorb(segments: list[_Segment]) -> list[_Segment]:
    """Dirty segments grow over touching neighbours that are small or no longer than themselves."""
    merged: list[_Segment] = []
    for segment in segments:
        merged.append(segment)
        while len(merged) > 1 and _joins(merged[-2], merged[-1]):
            last = merged.pop()
            merged[-1] = _Segment(merged[-1].start, last.end, dirty=True)
    return merged


def _joins(left: _Segment, right: _Segment) -> bool:
    if left.end != right.start or not (left.dirty or right.dirty):
        return False
    if left.dirty and right.dirty:
        return True
    dirty, clean = (left, right) if left.dirty else (right, left)
    return clean.end - clean.start <= max(dirty.end - dirty.start, SMALL_BYTES)


def _regions(segments: list[_Segment]) -> list[_Segment]:
    """Every stretch without a hole as one segment; dirty where it was more than one."""
    regions: list[_Segment] = []
    for segment in segments:
        if regions and regions[-1].end == segment.start:
            regions[-1] = _Segment(regions[-1].start, segment.end, dirty=True)
        else:
            regions.append(segment)
    return regions


def cell_range(offset: int, length: int) -> range:
    """The cells that [offset, offset + length) touches."""
    return range(offset // CELL_BYTES, (offset + length + CELL_BYTES - 1) // CELL_BYTES)


def within_cell(cell: int, offset: int, length: int) -> tuple[int, int]:
    """The part of [offset, offset + length) in `cell`, as positions in the cell."""
    base = cell * CELL_BYTES
    return max(offset - base, 0), min(offset + length - base, CELL_BYTES)
