"""Garbage: bytes in packs that no version uses, and how they become free.

A pack without a live block goes. A pack of which much is dead is emptied first: its live blocks
are moved, as they lie, to the pack that is being filled for the same placement (`settling.Mover`).
There is nothing to resume after a crash: what was moved is moved, and the next run looks anew.
"""

import logging
from typing import Final

import trio
from msgspec import Struct

from s3fs_local.engine.filesystem import FileSystem
from s3fs_local.engine.pace import AT_ONCE, Pace
from s3fs_local.engine.settling import Mover
from s3fs_local.engine.volume import Volume
from s3fs_local.errors import DataDamaged, StorageError, StoreFull, ZoneUnavailable
from s3fs_local.metadata.changes import RemovePack
from s3fs_local.packs.pack_store import HEADER_BYTES
from s3fs_local.rules.inode import ROOT_INO
from s3fs_local.rules.retention import Operation

logger = logging.getLogger(__name__)

DEAD_SHARE_OF_COMMAND: Final = 1 / 16
"""A person who asks for space gets it: at most this much of any pack stays dead."""
DEAD_SHARE_OF_WORKER: Final = 1 / 3
"""By itself the store rewrites only what frees a third: a byte is moved a few times at most."""
PACKS_A_STEP: Final = 4
"""So many packs are emptied before they are removed: bounds the room that it takes."""


class Garbage(Struct):
    """What a collection freed, or would free."""

    packs: int = 0  # removed
    bytes: int = 0  # freed in each zone that held them
    moved_bytes: int = 0  # of live blocks, to empty packs


class _Pack(Struct, frozen=True):
    pack_id: int
    length: int
    live_bytes: int
    is_orphan: bool  # no fact mentions it: a crash came between its making and the journal

    @property
    def dead_bytes(self) -> int:
        return self.length - HEADER_BYTES - self.live_bytes


async def collect_garbage(
    filesystem: FileSystem,
    *,
    dry_run: bool,
    dead_share: float = DEAD_SHARE_OF_COMMAND,
    removes_orphans: bool = True,
    pace: Pace = AT_ONCE,
) -> Garbage:
    """No pack has more than `dead_share` of its bytes dead; what a draft uses, or arrives, is left.

    Raises:
        StoreFull: too little room to empty any of the packs that are left; the others are gone.
        StorageError: a sync failed; or a zone did not remove a pack, and all others were seen to.
    """
    volume = filesystem.volume
    filesystem.locks.check(Operation.COMPACT, volume.inode(ROOT_INO))
    found = await _look(volume)
    empty = [p for p in found if not p.live_bytes and (removes_orphans or not p.is_orphan)]
    dead = [p for p in found if p.live_bytes and p.dead_bytes > dead_share * p.length]
    if dry_run:
        return Garbage(
            packs=len(empty) + len(dead),
            bytes=sum(p.length - p.live_bytes for p in [*empty, *dead]),
            moved_bytes=sum(p.live_bytes for p in dead),
        )
    for pack in dead:  # or the first would be emptied into the last, to be moved once more
        volume.blocks.leave_pack(pack.pack_id)
    collection = _Collection(volume, pace)
    await collection.remove_empty(empty)
    await collection.empty_all(dead)
    if collection.failure is not None:
        raise collection.failure
    return collection.garbage


async def _look(volume: Volume) -> list[_Pack]:
    """Every pack with known blocks only: in the zones, and those of which a crash left the row."""
    metadata = volume.metadata
    growing = volume.durability.packs.is_growing
    finished = [pack_id for pack_id in metadata.pack_placements() if not growing(pack_id)]
    lengths = await volume.durability.run_blocking(volume.blocks.pack_lengths)
    if not volume.zones.not_well:  # or it lies in a zone that is away
        lengths = dict.fromkeys(finished, 0) | lengths
    found: list[_Pack] = []
    turn = volume.yielding.turn()
    for pack_id, length in sorted(lengths.items()):
        if pack_id not in volume.unrecorded_packs():
            live_bytes = metadata.live_bytes(pack_id)
            is_orphan = metadata.placement(pack_id) is None
            found.append(_Pack(pack_id, length, live_bytes, is_orphan))
        await turn.over()
    return found


class _Collection:
    """One collection: what it has freed, and what kept it from more."""

    def __init__(self, volume: Volume, pace: Pace) -> None:
        self._volume = volume
        self._pace = pace
        self.garbage = Garbage()
        self.failure: StorageError | None = None  # of the first pack that a zone did not remove

    async def empty_all(self, dead: list[_Pack]) -> None:
        """The packs are gone, but for those with blocks that cannot be read.

        The ones that need least room come first: each makes room for the next.

        Raises:
            StoreFull: there is no room for the blocks of any that is left.
        """
        rest = sorted(dead, key=lambda pack: pack.live_bytes)
        while rest:
            step = rest[:PACKS_A_STEP]
            full: StoreFull | None = None
            try:
                for pack in step:
                    await self._empty(pack)
            except StoreFull as error:
                full = error
            removed = await self.remove_empty(step)
            if full is None:
                rest = rest[len(step) :]
            elif removed:
                rest = [pack for pack in rest if pack.pack_id not in removed]
            else:
                raise full

    async def _empty(self, pack: _Pack) -> None:
        """The pack's live blocks lie elsewhere, but for those that cannot be read."""
        async with self._volume.moving:
            placement = self._volume.blocks.placement(pack.pack_id)
            mover = Mover(self._volume, self._pace)
            try:
                for block in self._volume.metadata.blocks_in_pack(pack.pack_id):
                    try:
                        await mover.move(block, placement, recodes=False)
                    except (DataDamaged, ZoneUnavailable) as error:
                        logger.warning("pack %016x is not emptied: %s", pack.pack_id, error)
                await mover.finish()
            finally:
                self.garbage.moved_bytes += mover.moved_bytes
                self.garbage.bytes -= mover.moved_bytes

    async def remove_empty(self, packs: list[_Pack]) -> set[int]:
        """Those of the packs that are empty are gone; returns which.

        What a crash may bring back needs its blocks. So only those go that were empty before
        everything became durable: also that the blocks which journal records name were durable
        once, for a mount looks for the others. A crash halfway leaves packs that the next
        collection finds, and so does a zone that fails: their rows go last.
        """
        volume = self._volume
        turn = volume.yielding.turn_of_mover()
        removed: set[int] = set()
        async with volume.moving:  # a mover's blocks are in no row yet
            empty = [pack for pack in packs if _is_empty(volume, pack.pack_id)]
            if not empty:
                return removed
            await volume.durability.release_blocks()
            await turn.over()
            for pack in empty:
                if _is_empty(volume, pack.pack_id) and await self._remove(pack.pack_id):
                    removed.add(pack.pack_id)
                    self.garbage.packs += 1
                    self.garbage.bytes += pack.length
                await turn.over()
        return removed

    async def _remove(self, pack_id: int) -> bool:
        """Whether nothing is left of the pack."""
        volume = self._volume
        volume.blocks.leave_pack(pack_id)
        try:
            with trio.CancelScope(shield=True):  # it is told what goes
                await volume.durability.run_blocking(lambda: volume.blocks.remove_pack(pack_id))
        except StorageError as error:
            logger.warning("pack %016x is not removed: %s", pack_id, error)
            self.failure = self.failure or error
            return False
        if volume.metadata.placement(pack_id) is not None:
            volume.apply([RemovePack(pack_id)])
        return True


def _is_empty(volume: Volume, pack_id: int) -> bool:
    return not volume.metadata.live_bytes(pack_id) and pack_id not in volume.unrecorded_packs()
