"""Making the copies of packs whole: read, compare with what was sealed, take from another zone.

A copy is replaced as a whole, and only by one whose every block some zone has: so the only good
copy of anything is never touched. Each step is small and finds out anew what there is to do, so
whatever was interrupted is simply begun again.
"""

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from operator import attrgetter, itemgetter
from typing import Final

import trio
from msgspec import Struct

from s3fs_local.engine.durability import RunBlocking
from s3fs_local.engine.pack_images import Image, damaged_in, good_image, header_in
from s3fs_local.engine.verified_copies import VerifiedCopies
from s3fs_local.engine.volume import Volume
from s3fs_local.engine.yielding import Turn, pieces
from s3fs_local.errors import StorageError, ZoneUnavailable
from s3fs_local.objects.interface import ObjectStore
from s3fs_local.objects.object_copy import ObjectCopy
from s3fs_local.objects.reading import gather
from s3fs_local.objects.zone import Zone
from s3fs_local.packs.pack_store import HEADER_BYTES, PackStore, pack_count, pack_name
from s3fs_local.rules.extents import Block

logger = logging.getLogger(__name__)

PUT_SECONDS_MAX: Final = 120.0
PAGE: Final = 256
"""Rows of blocks a step: a pack of small files has thousands, for which all requests waited."""

BestCopy = Callable[[str, Sequence[ObjectCopy]], ObjectCopy | None]
"""The copy of a segment or checkpoint that counts, of those there are; None: none makes sense."""


class Streams(Struct, frozen=True):
    """What is known of what every zone has beside packs: segments, checkpoints and small files."""

    best_copy: BestCopy
    is_blank: Callable[[str, Sequence[ObjectCopy]], bool]  # no copy makes sense, and none ever did
    small_files: Callable[[], dict[str, bytes]] = dict  # by name, as they should be; blocks


class Piece(Struct, frozen=True):
    """Something that was found wrong in a zone, by name, and what was done about it."""

    zone: str
    name: str  # of the object, and of the block in it
    repaired: bool


class Healing:
    """Checks and repairs packs of an open store, in the loop; bytes are read in threads."""

    def __init__(self, volume: Volume, packs: PackStore, verified: VerifiedCopies) -> None:
        self._volume = volume
        self._packs = packs
        self._zones = packs.zones
        self.verified = verified
        self.former_placements: Final = volume.former_placements
        self.run_blocking: Final = volume.durability.wait_blocking

    def homes(
        self,
        pack_id: int,
        placement: str,
        holders: set[Zone],
        *,
        without: Zone | None = None,
        rather: Zone | None = None,
    ) -> Sequence[Zone]:
        """The zones that should get a copy, where only `holders` have one: `ZoneSet.lacking`."""
        homes = self._packs.homes_of(placement)
        spread = pack_count(pack_id)
        return self._zones.lacking(homes, holders, spread=spread, without=without, rather=rather)

    def turn(self) -> Turn:
        """For a task that goes through many copies: see `Yielding.turn`."""
        return self._volume.yielding.turn()

    def all_packs(self) -> dict[int, str]:
        """Every pack, and its placement."""
        return self._volume.metadata.pack_placements()

    def blocks_in(self, pack_id: int) -> list[Block]:
        """The blocks of the pack, those of drafts included."""
        return [*self._volume.metadata.blocks_in_pack(pack_id), *self._in_drafts(pack_id)]

    async def _listed(self, pack_id: int, turn: Turn) -> list[Block]:
        """The same, in pages, so that requests go on between them."""
        in_drafts = self._in_drafts(pack_id)  # first: one that is committed meanwhile has a row
        listed: dict[int, Block] = {}
        behind = -1
        while True:
            page = self._volume.metadata.blocks_in_pack(pack_id, behind=behind, limit=PAGE)
            listed.update((block.block_id, block) for block in page)
            if len(page) < PAGE:
                break
            behind = page[-1].pack_offset
            await turn.over()
        for block in in_drafts:
            listed.setdefault(block.block_id, block)
        return list(listed.values())

    def _in_drafts(self, pack_id: int) -> list[Block]:
        drafts = self._volume.drafts.values()
        blocks = [block for draft in drafts for block in draft.blocks.values()]
        return [block for block in blocks if block.pack_id == pack_id]

    def end_of(self, pack_id: int) -> int:
        """Where the last block of the pack ends: what lies behind it a crash has left."""
        ends = [block.pack_offset + block.sealed_length for block in self.blocks_in(pack_id)]
        return max([HEADER_BYTES, *ends])

    async def in_zone(self, zone: Zone, work: Callable[[ObjectStore], object]) -> None:
        """See `in_zone`."""
        await in_zone(self.run_blocking, zone, work)

    async def check(
        self, pack_id: int, zone: Zone, *, mends: bool = True, turn: Turn | None = None
    ) -> list[Piece]:
        """The zone's copy was read; what was wrong in it is repaired (if `mends`) where a zone can.

        A copy without fault, and one that was repaired, is noted as verified now.
        """
        turn = turn or self._volume.yielding.turn()
        blocks = await self._listed(pack_id, turn)
        reading = partial(header_in, self._packs, zone, pack_id)
        header = await self.run_blocking(reading)
        has_header = header == self._packs.header(pack_id)
        damaged = blocks if header is None else await self._damaged(pack_id, zone, blocks, turn)
        if self._packs.has_no_copies(pack_id):
            return []
        if has_header and not damaged:
            await self._note_found_whole(pack_id, zone)
            return []
        names = [block_name(block) for block in damaged] or [pack_name(pack_id)]
        self.verified.doubt(zone.zone_id, pack_id, len(names))
        lost = await self.give(pack_id, zone) if mends else None
        still = names if lost is None else [block_name(block) for block in lost]
        if lost:
            self.verified.doubt(zone.zone_id, pack_id, len(lost))
        pieces = [Piece(zone=zone.url, name=name, repaired=name not in still) for name in names]
        for piece in pieces:
            logger.warning(
                "zone %s: %s was damaged, %s",
                piece.zone,
                piece.name,
                "repaired" if piece.repaired else "and is not repaired",
            )
        return pieces

    async def _note_found_whole(self, pack_id: int, zone: Zone) -> None:
        """The copy was read, every block that a crash may bring back included.

        One that was removed meanwhile was not read: no crash brings it back any more.
        """
        with suppress(StorageError):  # else the next pass reads the copy again
            await self._volume.durability.flush(durable=True)
            self.note_verified(pack_id, zone)

    async def _damaged(
        self, pack_id: int, zone: Zone, blocks: Sequence[Block], turn: Turn
    ) -> Sequence[Block]:
        """Those of the blocks that the zone's copy lacks: all of them where it cannot be read."""
        found: list[Block] = []
        limit = self._volume.yielding.piece_bytes
        for piece in pieces(_with_spans(blocks), itemgetter(1), limit):
            there = [block for block, _ in piece]
            reading = partial(damaged_in, self._packs, zone, pack_id, there)
            damaged = await self.run_blocking(reading)
            if damaged is None:
                return blocks
            if self._packs.has_no_copies(pack_id):
                break
            found += damaged
            await turn.over()
        return found

    async def give(self, pack_id: int, zone: Zone) -> list[Block] | None:
        """The zone has a whole copy of the pack, as whole as any; None where there is none to give.

        Returns:
            The blocks that nobody has.
        """
        async with self._volume.moving:  # a mover's blocks are in no row yet
            return await self.give_while_nothing_moves(pack_id, zone)

    async def give_while_nothing_moves(self, pack_id: int, zone: Zone) -> list[Block] | None:
        """As `give`, for whoever holds `Volume.moving`."""
        await self.finish(pack_id)
        blocks = await self._settled_blocks(pack_id)
        image: Image | None = await self.run_blocking(
            partial(good_image, self._packs, pack_id, blocks, zone)
        )
        if image is None:
            return None
        if self._volume.drafts and self.blocks_in(pack_id) != blocks:
            return await self.give_while_nothing_moves(pack_id, zone)
        await self._replace(pack_id, zone, image)
        if self._packs.has_no_copies(pack_id):
            return []
        if not image.lost:
            self.note_verified(pack_id, zone)
        return image.lost

    async def _settled_blocks(self, pack_id: int) -> list[Block]:
        """The blocks of the pack, those included that a crash would bring back.

        Where that cannot be settled, for want of zones or room, as they are known now: a zone must
        be able to return to a store that has too few.
        """
        with suppress(StorageError):
            return await self._volume.durability.settled(lambda: self.blocks_in(pack_id))
        return self.blocks_in(pack_id)

    async def finish(self, pack_id: int) -> None:
        """Nothing is added to the pack any more, and what it has is durable where it counts."""
        if self._packs.is_growing(pack_id):
            self._packs.leave(pack_id)
            with trio.CancelScope(shield=True):
                await self.run_blocking(self._packs.sync)

    async def finish_all(self) -> None:
        """No pack grows that did before, and every zone that is well has come as far."""
        self._packs.leave_open_packs()
        with trio.CancelScope(shield=True):
            await self.run_blocking(self._packs.sync)
        await self.run_blocking(self._zones.members.wait_for_lanes)

    def now_ns(self) -> int:
        """The present instant of the store's clock."""
        return self._volume.now_ns()

    def note_copies_made(self) -> None:
        """Every pack has the copies that its class wants."""
        self._volume.apply([self.former_placements.made()])
        self.former_placements.note_made()

    def note_verified(self, pack_id: int, zone: Zone) -> None:
        """The zone's copy of the pack was read, or written anew, and is whole."""
        self.verified.note(zone.zone_id, pack_id, self._volume.now_ns())

    async def _replace(self, pack_id: int, zone: Zone, image: Image) -> None:
        name = pack_name(pack_id)

        def put(store: ObjectStore) -> None:
            store.put(name, image.data)

        await self.in_zone(zone, put)
        self._packs.replaced.add((zone, pack_id))
        if self._packs.has_no_copies(pack_id):
            await self.in_zone(zone, lambda store: store.delete(name))


def _with_spans(blocks: Sequence[Block]) -> list[tuple[Block, int]]:
    """The blocks as they lie in the pack, and for each how far behind the one before it ends."""
    found = []
    end = HEADER_BYTES
    for block in sorted(blocks, key=attrgetter("pack_offset")):
        before, end = end, block.pack_offset + block.sealed_length
        found.append((block, end - before))
    return found


def block_name(block: Block) -> str:
    """Of a block that is told of."""
    return f"{pack_name(block.pack_id)} block {block.block_id}"


async def in_zone(
    run_blocking: RunBlocking, zone: Zone, work: Callable[[ObjectStore], object]
) -> None:
    """The work was done in that zone, in a thread of the zone's.

    Raises:
        ZoneUnavailable: not in time, or it failed.
    """
    store = zone.store
    if store is None:
        raise ZoneUnavailable(zone.reason)
    jobs = {zone: partial(work, store)}
    done = await run_blocking(partial(gather, jobs, PUT_SECONDS_MAX, as_errand=True))
    if zone not in done:
        raise ZoneUnavailable(f"no answer for {PUT_SECONDS_MAX:g} s")
    answer = done[zone]
    if isinstance(answer, Exception):
        raise answer if isinstance(answer, StorageError) else ZoneUnavailable(str(answer))
