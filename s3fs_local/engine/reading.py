"""Reading file content: current, of an old version, or of a draft; holes are zeros."""

from collections.abc import Awaitable, Callable
from typing import Any

from s3fs_local.engine.blocks import BlockStorage
from s3fs_local.engine.drafts import Draft
from s3fs_local.metadata.interface import Metadata
from s3fs_local.rules.extents import (
    CELL_BYTES,
    HOLE,
    Layout,
    cell_range,
    decode_layout,
    within_cell,
)
from s3fs_local.rules.namespace import OPEN_NS

CURRENT_NS = OPEN_NS - 1
"""An instant at which the open layouts are the ones that hold."""

LayoutOf = Callable[[int], Layout]


class Reading:
    """Puts bytes together from the blocks that a layout names."""

    def __init__(self, metadata: Metadata, blocks: BlockStorage) -> None:
        self._metadata = metadata
        self._blocks = blocks

    def layouts(self, ino: int, at_ns: int = CURRENT_NS) -> LayoutOf:
        """The layouts of the inode's cells as they were committed at `at_ns`."""
        find = self._metadata.cell

        def layout_of(cell: int) -> Layout:
            found = find(ino, cell, at_ns)
            return decode_layout(found) if found else HOLE

        return layout_of

    def draft_layout(self, draft: Draft, cell: int) -> Layout:
        """What lies below the draft's dirty bytes in the cell."""
        sealed = draft.sealed.get(cell)
        if sealed is not None:
            return sealed
        if cell * CELL_BYTES >= draft.base_limit:
            return HOLE
        found = self._metadata.cell(draft.ino, cell, CURRENT_NS)
        return draft.base_layout(cell, decode_layout(found)) if found else HOLE

    def read_nowait(
        self, layout_of: LayoutOf, offset: int, size: int, draft: Draft | None = None
    ) -> bytes | None:
        """[offset, offset + size) of the content; None where a device would have to be waited for.

        The range must lie within the file. After None call `wait`, then this again.
        """
        cells = cell_range(offset, size)
        if len(cells) == 1:
            return self._read_cell(layout_of, cells[0], offset, size, draft)
        parts: list[bytes] = []
        for cell in cells:
            start, end = within_cell(cell, offset, size)
            part = self._read_cell(layout_of, cell, cell * CELL_BYTES + start, end - start, draft)
            if part is None:
                return None
            parts.append(part)
        return b"".join(parts)

    def _read_cell(
        self, layout_of: LayoutOf, cell: int, offset: int, size: int, draft: Draft | None
    ) -> bytes | None:
        start = offset - cell * CELL_BYTES
        end = start + size
        dirty = draft.dirty.get(cell) if draft is not None else None
        if dirty is not None and dirty.holds(start, end):
            return b"".join([bytes(piece) for _, piece in dirty.pieces(start, end)])
        layout = layout_of(cell)
        if dirty is None and len(layout) == 1:
            only = layout[0]
            if only.start <= start and end <= only.end:  # the common case needs no second buffer
                skip = only.skip + start - only.start
                return self._blocks.read_nowait(only.block, skip=skip, size=size)
        content = bytearray(size)
        for extent in layout:
            first, stop = max(extent.start, start), min(extent.end, end)
            if first >= stop:
                continue
            if dirty is not None and dirty.holds(first, stop):
                continue
            skip = extent.skip + first - extent.start
            part = self._blocks.read_nowait(extent.block, skip=skip, size=stop - first)
            if part is None:
                return None
            content[first - start : stop - start] = part
        if dirty is not None:
            for position, piece in dirty.pieces(start, end):
                content[position - start : position - start + len(piece)] = piece
        return bytes(content)

    def read_blocking(
        self, layout_of: LayoutOf, offset: int, size: int, draft: Draft | None = None
    ) -> bytes:
        """As `read_nowait`, but waits in this thread: for commits, which must not yield."""
        while True:
            content = self.read_nowait(layout_of, offset, size, draft)
            if content is not None:
                return content
            self._blocks.fetch()

    async def wait(self, run_blocking: Callable[[Callable[[], Any]], Awaitable[Any]]) -> None:
        """What the last `read_nowait` lacked is in memory; other requests are served meanwhile."""
        await self._blocks.obtain_key()
        await run_blocking(self._blocks.fetch)
