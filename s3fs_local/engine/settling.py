"""Settling: blocks move to where the classes of the versions that use them want them.

The order makes it safe to be killed at any step: the new bytes are appended, synced, read back and
compared by digest; then the block's row changes in one transaction; the old bytes are dead from
then on, and `compaction.py` frees them. Before the transaction, the new ones are dead instead. A
reader never sees a gap: it asks the row again when a place does not answer.

A file is unsettled from the transaction that gives its blocks reason to move until a pass over all
of them finds nothing to do. Only then the mark goes, so a pass that was cut off is made again. So
is one that could not read a block while a zone was away: the zone may have it.
"""

import logging
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable
from functools import partial
from typing import Final

from msgspec import Struct

from s3fs_local.engine.pace import Pace
from s3fs_local.engine.recoding import form_of
from s3fs_local.engine.volume import Volume
from s3fs_local.engine.yielding import pieces
from s3fs_local.errors import DataDamaged, EncryptionError, StoreFull, ZoneUnavailable
from s3fs_local.metadata.changes import Change, PlaceBlock
from s3fs_local.rules.extents import CELL_BYTES, Block, blocks_of, decode_layout
from s3fs_local.rules.storage_classes import shared_placement, with_defaults

logger = logging.getLogger(__name__)

CELLS_A_STEP: Final = 64
INODES_A_STEP: Final = 256
BATCH_BYTES: Final = 8 << 20
"""This much is appended between two syncs of the packs."""


class Move(Struct, frozen=True):
    """A block, and the row that it gets."""

    block: Block
    moved: Block


def _bytes_of(move: Move) -> int:
    return move.moved.sealed_length


class Mover:
    """Moves blocks, one batch after the other: the safe order, for classes and for compaction."""

    def __init__(self, volume: Volume, pace: Pace) -> None:
        self._volume = volume
        self._pace = pace
        self._turn = volume.yielding.turn_of_mover(pace.late_s)
        self._pending: dict[int, Move] = {}  # by block: files that share it bring it here again
        self._pending_bytes = 0
        self.moved_bytes = 0  # of content where it is recoded, else of what lies in packs

    async def move(self, block: Block, placement: str, *, recodes: bool) -> None:
        """The block's bytes are appended to a pack of the placement; `finish` makes it a fact.

        Raises:
            DataDamaged, ZoneUnavailable: no zone has the bytes as they were sealed.
            StoreFull: it was not moved; those before it were, and are facts.
        """
        if block.block_id in self._pending:
            return
        blocks = self._volume.blocks
        form = None
        if recodes:
            policy = with_defaults(self._volume.settings.storage_classes)[placement]
            form = form_of(placement, policy)
        try:
            while form is not None and blocks.lacks_key(block):
                await self._volume.durability.run_blocking(blocks.fetch)
            read = blocks.recoded(block, form)
        except EncryptionError:  # its key is not at hand: it moves as it is
            read = blocks.recoded(block, None)
        recoded = await self._volume.durability.run_blocking(read)
        if not self._is_still_there(block):
            return
        try:
            self._check_space(len(recoded.sealed))
            moved = blocks.append(block, recoded, placement)
        except StoreFull:
            await self.finish()  # else they would be written again at the next attempt
            raise
        self._pending[block.block_id] = Move(block, moved)
        self._pending_bytes += block.length if recodes else len(recoded.sealed)
        if self._pending_bytes >= BATCH_BYTES:
            await self.finish()
        else:
            await self._turn.over()

    async def finish(self) -> None:
        """What was moved so far lies in its new place, durably, and is found there."""
        pending, self._pending = list(self._pending.values()), {}
        size, self._pending_bytes = self._pending_bytes, 0
        if not pending:
            return
        await self._volume.durability.sync_packs()
        await self._turn.over()
        for piece in pieces(pending, _bytes_of, self._volume.yielding.piece_bytes):
            await self._volume.durability.run_blocking(partial(self._read_back, piece))
            await self._turn.over()
        changes: list[Change] = []
        for move in pending:
            if self._is_still_there(move.block):
                changes.append(PlaceBlock(move.moved))
                self._volume.blocks.forget(move.block.block_id)
        if changes:
            self._volume.apply(changes)
        self.moved_bytes += size
        with self._turn.waiting():
            await self._pace.spend(size)
        await self._turn.over()

    def _read_back(self, moves: Iterable[Move]) -> None:
        for move in moves:
            self._volume.blocks.read_sealed(move.moved)

    def _is_still_there(self, block: Block) -> bool:
        present = self._volume.metadata.block(block.block_id)
        return present is not None and (present.pack_id, present.pack_offset) == (
            block.pack_id,
            block.pack_offset,
        )

    def _check_space(self, size: int) -> None:
        free, total = self._volume.space.look()
        if free - size < self._volume.space.reserve(total):
            raise StoreFull("too little space to move bytes to another class: make room, or run gc")


class Settling:
    """Settles the inodes of one volume."""

    def __init__(self, volume: Volume) -> None:
        self._volume = volume
        self.present_ino = 0  # that is being settled; 0 = none
        self.done_bytes = 0  # of it, counted as offsets in the file

    async def settle_all(self, pace: Pace) -> None:
        """Every inode that was unsettled when it was its turn is settled. Raises as `settle`.

        Small files go together, so that many of them cost one sync; one that is marked again while
        they move waits for the next call. One that waits for a zone keeps no other from its turn.
        """
        metadata = self._volume.metadata
        after = waiting = 0
        while todo := metadata.unsettled(INODES_A_STEP, after):
            after = todo[-1]
            large = [ino for ino in todo if metadata.next_cell(ino, CELLS_A_STEP) is not None]
            waiting += await self._settle_small([ino for ino in todo if ino not in large], pace)
            for ino in large:
                waiting += not await self._settle(ino, pace)
        if waiting:
            raise ZoneUnavailable(f"bytes of {waiting} files lie in zones that are away")

    async def settle(self, ino: int, pace: Pace) -> None:
        """Every block that the inode uses lies where the versions that use it want it.

        A block that no zone has whole stays where it is: a scrub may mend it, a move cannot.

        Raises:
            ZoneUnavailable: what is left lies in zones that are away; it moves when they are back.
            TooFewZones: the zones do not answer.
            StoreFull: the rest waits for room.
            StorageError: a sync failed.
        """
        if not await self._settle(ino, pace):
            raise ZoneUnavailable("bytes of the file lie in zones that are away")

    async def _settle(self, ino: int, pace: Pace) -> bool:
        """As `settle`; False where the rest waits for zones."""
        volume = self._volume
        self.present_ino, self.done_bytes = ino, 0
        try:
            while True:
                mark = volume.last_mark(ino)
                if not await self._pass(ino, pace):
                    return False
                if volume.last_mark(ino) == mark:
                    volume.note_settled([ino])
                    return True
        finally:
            self.present_ino = 0

    async def _settle_small(self, inos: list[int], pace: Pace) -> int:
        """Those of the inodes that nothing overtook are settled; none has more than a step.

        Returns how many wait for zones that are away.
        """
        volume = self._volume
        marks = {ino: volume.last_mark(ino) for ino in inos}
        async with volume.moving:
            mover = Mover(volume, pace)
            moved = [ino for ino in inos if await self._move_cells(mover, ino, 0)]
            await mover.finish()
        volume.note_settled([ino for ino in moved if volume.last_mark(ino) == marks[ino]])
        return len(inos) - len(moved)

    async def _pass(self, ino: int, pace: Pace) -> bool:
        """Whether all blocks had their turn; False at the first that waits for a zone."""
        first = self._volume.metadata.next_cell(ino, 0)
        while first is not None:
            async with self._volume.moving:  # two passes never move the same blocks
                mover = Mover(self._volume, pace)
                had_turn = await self._move_cells(mover, ino, first)
                await mover.finish()
            if not had_turn:
                return False
            self.done_bytes = (first + CELLS_A_STEP) * CELL_BYTES
            first = self._volume.metadata.next_cell(ino, first + CELLS_A_STEP)
        return True

    async def _move_cells(self, mover: Mover, ino: int, first: int) -> bool:
        """As `_pass`, for the cells of one step."""
        for block, placement in self._misplaced(ino, first, first + CELLS_A_STEP):
            try:
                await mover.move(block, placement, recodes=True)
            except ZoneUnavailable:
                return False
            except DataDamaged:
                if self._volume.zones.not_well:  # one of those may have it
                    return False
                logger.exception("block %d of inode %d is not moved", block.block_id, ino)
        return True

    def _misplaced(self, ino: int, first: int, limit: int) -> list[tuple[Block, str]]:
        """Blocks of these cells that lie elsewhere than they belong, with the placement."""
        volume = self._volume
        placements = with_defaults(volume.settings.storage_classes)
        found: list[tuple[Block, str]] = []
        for block_id, needs in self._needs(ino, first, limit).items():
            block = volume.metadata.block(block_id)
            if block is None or not needs:
                continue
            placement = shared_placement(needs, placements)
            if volume.blocks.placement(block.pack_id) != placement:
                found.append((block, placement))
        return found

    def _needs(self, ino: int, first: int, limit: int) -> dict[int, set[str]]:
        """The placements that versions want for each block of these cells, of all who share."""
        metadata = self._volume.metadata
        needs: dict[int, set[str]] = defaultdict(set)
        for member in self._group(ino):
            stamps: dict[str, list[int]] = defaultdict(list)
            for version in reversed(metadata.versions(member)):
                stamps[version.placement].append(version.stamp_ns)
            for _, from_ns, to_ns, layout in metadata.cell_rows(member, first, limit):
                names = [name for name, at in stamps.items() if _any_in(at, from_ns, to_ns)]
                for block_id in blocks_of(decode_layout(layout)):
                    needs[block_id].update(names)
        return needs

    def _group(self, ino: int) -> list[int]:
        """The inode and all that share blocks with it, through whichever others."""
        group = [ino]
        for member in group:
            group += [
                other for other in self._volume.metadata.sharing(member) if other not in group
            ]
        return group


def _any_in(ascending: list[int], start: int, end: int) -> bool:
    index = bisect_left(ascending, start)
    return index < len(ascending) and ascending[index] < end
