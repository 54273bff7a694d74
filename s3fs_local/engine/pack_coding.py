"""Bringing packs into the form that their class wants: copies, or shares of which some suffice.

A pack is coded once it no longer grows. Its shares are put, durably, and read back, before the
first copy goes; on the way back copies come before the first share goes. Cut off anywhere, the next
pass finds what is there and goes on: which form a pack has is asked of the zones, not remembered.
"""

import logging
from functools import partial
from typing import Final

import trio
from msgspec import Struct

from s3fs_local.engine.durability import run_in_thread
from s3fs_local.engine.healing import Healing
from s3fs_local.engine.locks import Locks
from s3fs_local.engine.pace import AT_ONCE, Pace
from s3fs_local.engine.pack_images import copy_in, damaged_blocks, good_image
from s3fs_local.engine.share_care import ShareCare
from s3fs_local.engine.volume import Volume
from s3fs_local.errors import StoreFull, ZoneUnavailable
from s3fs_local.objects.interface import ObjectStore
from s3fs_local.objects.zone import Zone
from s3fs_local.packs.coded_packs import CodedPack
from s3fs_local.packs.pack_store import pack_name
from s3fs_local.packs.shares import Kind, encode_shares, kind_of, share_of
from s3fs_local.rules.erasure import Coding
from s3fs_local.rules.inode import ROOT_INO
from s3fs_local.rules.retention import Operation
from s3fs_local.rules.storage_classes import with_defaults

logger = logging.getLogger(__name__)

STANDARD: Final = "STANDARD"
QUIET_SECONDS: Final = 3600.0
"""A pack that did not grow for so long is closed, full or not, so that it can be coded."""
COPIES_AT_LEAST: Final = 2
"""Shares are given up only where so many zones take a copy, if the class wants so many."""


class Formed(Struct):
    """What a pass did."""

    coded: int = 0  # packs that lie as shares now
    restored: int = 0  # as copies


class PackCoding:
    """The forms of the packs of one volume."""

    def __init__(self, volume: Volume, locks: Locks) -> None:
        self._volume = volume
        self._locks = locks
        self._packs = volume.durability.packs
        self._zones = volume.zones
        self._shares = ShareCare(volume, self._packs)
        self._as_wanted: set[int] = set()  # packs there is nothing to do for, in the same
        self._circumstances: object = None  # placements, and zones that are well
        self._quiet: dict[int, tuple[int, float]] = {}  # growing packs: length, and since when
        self.waiting = ""  # why packs wait to be coded, for `status`

    async def run(self, pace: Pace = AT_ONCE, *, at_once: bool = False) -> Formed:
        """Every pack that no longer grows lies as its class wants it.

        With `at_once` packs of coded classes that do grow are closed first: somebody asks for the
        room. What has to wait for zones does so; `waiting` says why.

        Raises:
            StoreFull: too little room for shares beside the copies.
            StorageError: a zone failed meanwhile.
        """
        self._locks.check(Operation.COMPACT, self._volume.inode(ROOT_INO))
        formed = Formed()
        due = await self.due(at_once=at_once)
        self.waiting = ""
        if due:
            await self._volume.durability.flush(durable=True)  # that these packs exist, and why
        turn = self._volume.yielding.turn()
        for pack_id, wanted in due.items():
            async with self._volume.moving:
                await self._bring(pack_id, wanted, formed, pace)
            await turn.over()
        return formed

    async def due(self, *, at_once: bool = False) -> dict[int, Coding | None]:
        """The packs that may not lie as wanted, and how they should."""
        placements = with_defaults(self._volume.settings.storage_classes)
        circumstances = placements, {zone.zone_id for zone in self._zones.well}
        if circumstances != self._circumstances:
            self._as_wanted.clear()
            self._circumstances = circumstances
        codings = {name: placement.coding for name, placement in placements.items()}
        await self._close_quiet({name for name, coding in codings.items() if coding}, at_once)
        known = self._volume.metadata.pack_placements()
        self._as_wanted &= known.keys()
        due = {
            pack_id: codings.get(placement)
            for pack_id, placement in known.items()
            if placement != STANDARD
            and pack_id not in self._as_wanted
            and not self._packs.is_growing(pack_id)
        }
        if not due:
            return {}
        as_shares = await run_in_thread(self._packs.coded.ids)
        copies = {each for each, coding in due.items() if coding is None and each not in as_shares}
        self._as_wanted |= copies
        return {each: coding for each, coding in due.items() if each not in copies}

    async def _close_quiet(self, coded: set[str], at_once: bool) -> None:  # noqa: FBT001 - of due
        """Packs of these placements that did not grow for long grow no more."""
        now = trio.current_time()
        quiet: dict[int, tuple[int, float]] = {}
        closed = False
        for pack_id, (placement, length) in self._packs.growing_lengths().items():
            if placement not in coded:
                continue
            before, since = self._quiet.get(pack_id, (length, now))
            quiet[pack_id] = (length, since if before == length else now)
            if at_once or now - quiet[pack_id][1] >= QUIET_SECONDS:
                self._packs.leave(pack_id)
                closed = True
        self._quiet = quiet
        if closed:
            with trio.CancelScope(shield=True):
                await run_in_thread(self._packs.sync)

    async def _bring(self, pack_id: int, wanted: Coding | None, formed: Formed, pace: Pace) -> None:
        """The pack lies as wanted, if that can be now."""
        if not self._volume.metadata.live_bytes(pack_id):
            return  # `gc` removes it
        coded = await self._shares.find(pack_id)
        holders: dict[Zone, int] = await run_in_thread(
            partial(self._zones.lengths_of, pack_name(pack_id))
        )
        has_copies = bool(holders)
        if not has_copies and (coded is None or len(coded.holders) < coded.kind.coding.data):
            return  # what it lies in is away
        if coded is not None and coded.kind.coding != wanted:
            if not await self._restore(pack_id, coded, pace):
                return
            coded, has_copies = None, True
            formed.restored += 1
        if wanted is not None and has_copies:
            if not await self._code(pack_id, coded, wanted, pace):
                return
            formed.coded += 1
        elif coded is not None:
            self._packs.coded.note(pack_id, coded)
        self._as_wanted.add(pack_id)

    async def _code(
        self, pack_id: int, present: CodedPack | None, coding: Coding, pace: Pace
    ) -> bool:
        """The pack lies as shares only; False where it has to wait. Some may be `present`."""
        well = len(self._zones.well)
        if well < coding.shares:
            placement = self._volume.blocks.placement(pack_id)
            self.waiting = (
                f"packs of {placement} lie as copies: {coding} shares need {coding.shares} zones"
                f" that are well, and {well} are"
            )
            return False
        image = await self._image(pack_id, present)
        if image is None:
            return False
        kind: Kind = await run_in_thread(partial(kind_of, image, coding))
        self._check_room(kind.run)
        coded = await self._put_shares(pack_id, CodedPack(kind, {}), present, image)
        if not coded.is_complete:
            self.waiting = f"pack {pack_id:016x} lies as copies: its shares do not find zones"
            return False
        await self._remove_strays(pack_id, coded)
        await run_in_thread(lambda: self._packs.remove_copies(pack_id, coded))
        await pace.spend(len(image))
        return True

    async def _put_shares(
        self, pack_id: int, coded: CodedPack, present: CodedPack | None, image: bytes
    ) -> CodedPack:
        """With a whole share for each number, of which those that are there already stay."""
        holders: dict[int, tuple[Zone, ...]] = {}
        if present is not None and present.kind == coded.kind:
            for number, zones in present.holders.items():
                for zone in zones:
                    reading = partial(self._packs.coded.run_in, zone, pack_id, coded.kind, number)
                    if zone.is_well and await run_in_thread(reading) is not None:
                        holders[number] = (zone,)
        homes = self._shares.homes(pack_id, CodedPack(coded.kind, holders))
        store_id = self._packs.coded.store_id
        making = partial(encode_shares, image, coded.kind, store_id=store_id, pack_id=pack_id)
        shares: list[bytes] = await run_in_thread(making)
        for number, zone in homes.items():
            await self._shares.put(pack_id, coded, number, zone, shares[number])
            holders[number] = (zone,)
        return CodedPack(coded.kind, holders)

    async def _image(self, pack_id: int, coded: CodedPack | None) -> bytes | None:
        """The pack, every block as it was sealed, from copies or shares; None: nobody has that."""
        healing = self._healing
        blocks = healing.blocks_in(pack_id)
        await self._volume.durability.flush(durable=True)  # no crash brings others back
        zone = self._zones.well[0]
        found = await run_in_thread(partial(good_image, self._packs, pack_id, blocks, zone))
        if found is not None and not found.lost:
            return bytes(found.data)
        if coded is not None:
            image: bytes | None = await run_in_thread(
                partial(self._packs.coded.image, pack_id, coded)
            )
            if image is not None and not damaged_blocks(image, blocks):
                return image
        logger.error("pack %016x stays as it is: too little of it is whole", pack_id)
        self._as_wanted.add(pack_id)  # until something changes, or the next mount
        return None

    async def _remove_strays(self, pack_id: int, coded: CodedPack) -> None:
        """No zone has a share of the pack that does not belong there: left by another attempt."""
        for zone in self._zones.well:
            names = await run_in_thread(partial(self._packs.coded.names_in, [zone], pack_id))
            for name in names:
                share = share_of(name)
                if share is None or coded.holders.get(share[1]) != (zone,):
                    await self._healing.in_zone(zone, partial(_delete, name))

    async def _restore(self, pack_id: int, coded: CodedPack, pace: Pace) -> bool:
        """The pack lies as copies only, enough of them; False where it has to wait."""
        image = await self._image(pack_id, coded)
        if image is None:
            return False
        holders = set()
        for zone in self._zones.well:
            if await run_in_thread(partial(copy_in, self._packs, zone, pack_id)) == image:
                holders.add(zone)
        placement = self._volume.blocks.placement(pack_id)
        homes = self._healing.homes(pack_id, placement, holders)
        takers = [zone for zone in homes if zone.is_well]
        wanted = min(COPIES_AT_LEAST, self._packs.copies_wanted(pack_id, placement))
        if len(holders) + len(takers) < wanted:
            self.waiting = f"packs of {placement} lie as shares: too few zones take copies"
            return False
        if takers:
            self._check_room(len(image))
        for zone in takers:
            await self._put_copy(pack_id, zone, image)
        await run_in_thread(lambda: self._packs.remove_shares(pack_id))
        await pace.spend(len(image))
        return True

    async def _put_copy(self, pack_id: int, zone: Zone, image: bytes) -> None:
        name = pack_name(pack_id)
        await self._healing.in_zone(zone, lambda store: store.put(name, image))
        if await run_in_thread(partial(copy_in, self._packs, zone, pack_id)) != image:
            raise ZoneUnavailable(f"{zone.url}: {name} does not read back as it was put")
        self._packs.replaced.add((zone, pack_id))
        self._healing.note_verified(pack_id, zone)

    def _check_room(self, size: int) -> None:
        free, total = self._volume.space.look()
        if free - size < self._volume.space.reserve(total):
            raise StoreFull("too little space to bring packs into another form: make room")

    @property
    def _healing(self) -> Healing:
        return Healing(self._volume, self._packs, self._volume.verified)


def _delete(name: str, store: ObjectStore) -> None:
    store.delete(name)
