"""Drafts: the uncommitted content of files that are being written.

A draft overlays the current version of its inode: bytes beyond `base_limit` of that version are
void, cells in `sealed` have a newer layout, and `dirty` bytes lie on top of both. `records` is what
the journal still lacks, in order; dirty bytes that it lacks are found by `DirtyBytes.unjournaled`.
"""

from msgspec import structs

from s3fs_local.engine.dirty_bytes import DirtyBytes
from s3fs_local.engine.draft_records import (
    DraftBegun,
    DraftRecord,
    DraftResized,
    DraftSealed,
    DraftWritten,
)
from s3fs_local.rules.extents import (
    CELL_BYTES,
    Block,
    Layout,
    blocks_of,
    clip,
    encode_layout,
)


class Draft:
    """One inode's uncommitted content. `size` is in bytes, times in ns."""

    __slots__ = (
        "base_limit",
        "base_size",
        "blocks",
        "ctime_ns",
        "dirty",
        "draft_id",
        "ino",
        "is_altered",
        "journaled",
        "key_id",
        "last_cell",
        "mtime_ns",
        "records",
        "sealed",
        "since_ns",
        "size",
        "uid",
    )

    def __init__(self, ino: int, *, draft_id: int, size: int, uid: int, now_ns: int) -> None:
        self.ino = ino
        self.draft_id = draft_id
        self.size = size
        self.base_size = size
        self.base_limit = size  # bytes of the current version that still show through
        self.uid = uid  # who wrote first
        self.mtime_ns = now_ns
        self.ctime_ns = now_ns
        self.since_ns = now_ns  # when it became dirty; checkpoints count from here
        self.is_altered = False  # resized or written, so a close makes a version
        self.dirty: dict[int, DirtyBytes] = {}
        self.sealed: dict[int, Layout] = {}
        self.blocks: dict[int, Block] = {}  # sealed for this draft, not among the facts yet
        self.key_id = 0  # the data key of `blocks`; 0 = none was needed yet
        self.last_cell = -1  # where the last write ended
        self.journaled = False  # whether the journal knows of it
        self.records: list[DraftRecord] = [DraftBegun(ino, draft_id, uid, size)]

    @property
    def dirty_bytes(self) -> int:
        """Bytes held in memory."""
        return sum([cell.size_bytes for cell in self.dirty.values()])

    @property
    def data_bytes(self) -> int:
        """About how many bytes the draft adds to what it shows of its base (for st_blocks)."""
        return self.dirty_bytes + sum([block.length for block in self.blocks.values()])

    def write(self, offset: int, data: bytes, *, now_ns: int) -> None:
        """The file's bytes from `offset` are `data`; the file grows to hold them."""
        self.is_altered = True
        self.mtime_ns = self.ctime_ns = now_ns
        end = offset + len(data)
        cell, start = divmod(offset, CELL_BYTES)
        if start + len(data) <= CELL_BYTES:
            self._cell(cell).write(start, data)
        else:
            view = memoryview(data)
            while view:
                room = CELL_BYTES - start
                self._cell(cell).write(start, view[:room])
                view = view[room:]
                cell, start = cell + 1, 0
        self.size = max(self.size, end)

    def _cell(self, cell: int) -> DirtyBytes:
        dirty = self.dirty.get(cell)
        if dirty is None:
            dirty = self.dirty[cell] = DirtyBytes()
        return dirty

    def set_mtime(self, mtime_ns: int) -> None:
        """The mtime was set by hand, after whatever was written."""
        self.mtime_ns = mtime_ns
        self.records.append(self._resized(self.size))  # it carries the time

    def resize(self, size: int, *, now_ns: int) -> None:
        """The file has `size` bytes: the rest is gone, or zeros were added."""
        self.is_altered = True
        self.mtime_ns = self.ctime_ns = now_ns
        if size < self.size:
            self._cut(size)
        self.size = size
        self.records.append(self._resized(size))

    def _cut(self, size: int) -> None:
        self.base_limit = min(self.base_limit, size)
        edge, within = divmod(size, CELL_BYTES)
        for cell in [cell for cell in self.dirty if cell >= edge]:
            if cell > edge or not within:
                del self.dirty[cell]
            else:
                self.dirty[cell].clip(within)
                if not self.dirty[cell].size_bytes:
                    del self.dirty[cell]
        for cell in [cell for cell in self.sealed if cell >= edge]:
            self._lay_out(cell, clip(self.sealed[cell], within) if cell == edge else ())

    def _lay_out(self, cell: int, layout: Layout) -> None:
        """The sealed cell has this layout; blocks of the draft that it uses no more are garbage."""
        for number in blocks_of(self.sealed.get(cell, ())) - blocks_of(layout):
            self.blocks.pop(number, None)
        self.sealed[cell] = layout

    def base_layout(self, cell: int, layout: Layout) -> Layout:
        """What still shows of the current version's `layout` of the cell."""
        return clip(layout, max(self.base_limit - cell * CELL_BYTES, 0))

    def seal(self, cell: int, layout: Layout, blocks: list[Block]) -> None:
        """The cell's dirty bytes now lie in `blocks`, as `layout` says."""
        self._lay_out(cell, layout)
        self.dirty.pop(cell, None)
        for block in blocks:
            self.blocks[block.block_id] = block
        self.records.append(self._sealed(cell, layout))

    def take_records(self) -> list[DraftRecord]:
        """What the journal lacks, in order; afterwards it is taken to lack nothing."""
        records = self.records
        self.records = []
        for cell, dirty in self.dirty.items():
            if dirty.unjournaled:
                base = cell * CELL_BYTES
                records.extend(
                    DraftWritten(self.ino, self.draft_id, base + start, bytes(piece), self.mtime_ns)
                    for first, stop in dirty.unjournaled
                    for start, piece in dirty.pieces(first, stop)
                )
                dirty.unjournaled = []
        if not self.is_altered:
            self.records = records  # nothing worth a record yet
            return []
        if records:
            self.journaled = True
            first = records[0]
            if isinstance(first, DraftBegun):
                records[0] = structs.replace(first, follows=len(records) - 1)
        return records

    def rejournal(self) -> None:
        """The journal is taken to lack everything of it (it goes on in a new segment)."""
        self.records = [DraftBegun(self.ino, self.draft_id, self.uid, self.base_size)]
        if self.base_limit < self.base_size:
            self.records.append(self._resized(self.base_limit))
        self.records.append(self._resized(self.size))
        for cell, layout in self.sealed.items():
            self.records.append(self._sealed(cell, layout))
        for dirty in self.dirty.values():
            dirty.unjournaled = dirty.runs()

    def _resized(self, size: int) -> DraftResized:
        return DraftResized(self.ino, self.draft_id, size, self.mtime_ns)

    def _sealed(self, cell: int, layout: Layout) -> DraftSealed:
        mine = [self.blocks[number] for number in blocks_of(layout) if number in self.blocks]
        return DraftSealed(
            self.ino, self.draft_id, cell, encode_layout(layout), mine, self.mtime_ns
        )

    @property
    def needs_journal(self) -> bool:
        """Whether the journal lacks anything of it."""
        return self.is_altered and (
            bool(self.records) or any(cell.unjournaled for cell in self.dirty.values())
        )

    def replay(self, record: DraftRecord, decoded: Layout | None) -> None:
        """The draft is as it was when the record was made (`decoded`: a DraftSealed's layout)."""
        match record:
            case DraftWritten():
                self.write(record.offset, record.data, now_ns=record.mtime_ns)
            case DraftResized():
                self.resize(record.size, now_ns=record.mtime_ns)
            case DraftSealed():
                assert decoded is not None
                self.is_altered = True
                self.mtime_ns = self.ctime_ns = record.mtime_ns
                self.seal(record.cell, decoded, record.blocks)
                ends = [extent.end for extent in decoded]
                if ends:
                    self.size = max(self.size, record.cell * CELL_BYTES + ends[-1])
            case _:
                pass
