"""Reading every copy of everything, and mending what is found wrong.

A pass goes through the copies in the order in which they were verified last, so one that was broken
off goes on where it was. Copies that grow now are read in the next pass.
"""

import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import Final, NamedTuple

import trio
from msgspec import Struct

from s3fs_local.engine.healing import Healing, Piece, Streams, block_name
from s3fs_local.engine.share_care import ShareCare
from s3fs_local.engine.yielding import Turn
from s3fs_local.errors import S3fsLocalError, StorageError, ZoneUnavailable
from s3fs_local.objects.object_copy import ObjectCopy
from s3fs_local.objects.reading import lengths_in
from s3fs_local.objects.zone import Zone
from s3fs_local.objects.zone_set import ZoneSet
from s3fs_local.packs.coded_packs import CodedPack
from s3fs_local.packs.pack_store import PackStore, pack_name
from s3fs_local.packs.segment_copies import that_count
from s3fs_local.packs.shares import share_name

logger = logging.getLogger(__name__)

STREAM_PREFIXES: Final = ("journal/", "ledger/", "checkpoint/")
STREAMS: Final = "streams"
"""What stands for all of them among the copies that were verified."""


class Findings(Struct):
    """What a pass has done so far."""

    copies: int = 0
    bytes: int = 0
    total_copies: int = 0
    pieces: list[Piece] = []


class _Due(Struct, frozen=True):
    """A copy to be read."""

    verified_ns: int
    pack_id: int
    zone: Zone
    length: int
    share: int | None = None  # None: a copy
    is_new: bool = False  # a copy that nobody made yet, and nobody missed


class _Compared(NamedTuple):
    """What zones have of an object that all should have."""

    best: ObjectCopy | None  # as it should be; None: no copy makes sense
    others: Sequence[Zone]  # those that are well and have something else, or nothing


async def _tell_nobody(_: Findings) -> None:
    """Progress that nobody follows."""


class Scrubbing:
    """Reads and mends the copies of one open store."""

    def __init__(
        self,
        zones: ZoneSet,
        packs: PackStore,
        healing: Healing,
        shares: ShareCare,
        *,
        streams: Streams,
    ) -> None:
        """Over the copies that `zones` have of `packs`, and of what `streams` knows."""
        self._zones = zones
        self._packs = packs
        self._healing = healing
        self._shares = shares
        self._of_streams = streams

    async def run(
        self,
        *,
        before_ns: int,
        rate_bytes: int,
        only: Zone | None = None,
        with_growing: bool = False,
        mends: bool = True,
        report: Callable[[Findings], Awaitable[None]] = _tell_nobody,
    ) -> Findings:
        """Every copy that was not verified since `before_ns` was read, and mended where possible.

        Args:
            before_ns: an instant of the store's clock.
            rate_bytes: a second at most, of packs.
            only: the one zone to read; others are read only to mend it.
            mends: whether anything is changed.
            with_growing: packs that grow are finished first, and read too.
            report: told after each copy.
        """
        former = self._healing.former_placements
        changes_seen = former.changes
        if with_growing or not former.are_made:
            await self._healing.finish_all()
        due = [each for each in await self._due(before_ns) if only in {None, each.zone}]
        if due:
            self._zones.read_anew()
        findings = Findings(total_copies=len(due), pieces=[])
        turn = self._healing.turn()
        for each in due:
            if not each.zone.is_well or each.pack_id in self._packs.removed:
                continue
            findings.pieces += await self._checked(each, turn, mends=mends)
            findings.copies += 1
            findings.bytes += each.length
            await report(findings)
            with turn.waiting():
                await trio.sleep(each.length / rate_bytes)
            await turn.over()
        if (self._healing.verified.at_ns(STREAMS, 0) or 0) < before_ns:
            streams = await self._streams(turn, mends=mends)
            findings.pieces += streams
            self._note_streams(sum(not piece.repaired for piece in streams))
        self._healing.verified.keep_only(set(self._healing.all_packs()))
        if mends and only is None and not former.are_made:
            await self._note_copies(changes_seen)
        return findings

    async def _note_copies(self, changes_seen: int) -> None:
        """If no pack lacks a copy that its class wants, and none was changed since, it is noted."""
        lacking = await self._due(0)
        if not lacking and self._healing.former_placements.changes == changes_seen:
            self._healing.note_copies_made()

    def _note_streams(self, damaged: int) -> None:
        if damaged:
            self._healing.verified.doubt(STREAMS, 0, damaged)
        else:
            self._healing.verified.note(STREAMS, 0, self._healing.now_ns())

    async def mend(self, pack_id: int) -> list[Piece]:
        """Every copy, or share, of the pack was read, and mended where possible."""
        pieces = []
        turn = self._healing.turn()
        holders = await self._holders(pack_id)
        for zone, length in holders.items():
            pieces += await self._checked(_Due(0, pack_id, zone, length), turn)
        coded = None if holders else await self._shares.find(pack_id)
        if coded is not None:
            for due in self._due_shares(pack_id, coded, before_ns=self._healing.now_ns()):
                pieces += await self._checked(due, turn)
        return pieces

    async def _checked(self, due: _Due, turn: Turn, *, mends: bool = True) -> list[Piece]:
        pack_id, zone, share = due.pack_id, due.zone, due.share
        name = pack_name(pack_id) if share is None else share_name(pack_id, share)
        try:
            if due.is_new:
                return await self._made(due, mends=mends)
            if share is None:
                return await self._healing.check(pack_id, zone, mends=mends, turn=turn)
            return await self._shares.check(pack_id, share, zone, mends=mends)
        except StorageError as error:
            logger.warning("zone %s: %s: %s", zone.url, name, error)
            return [Piece(zone=zone.url, name=name, repaired=False)]

    async def _made(self, due: _Due, *, mends: bool) -> list[Piece]:
        """The zone has a copy that nobody missed; what of it no zone has is told."""
        lost = await self._healing.give(due.pack_id, due.zone) if mends else []
        names = [pack_name(due.pack_id)] if lost is None else list(map(block_name, lost))
        return [Piece(zone=due.zone.url, name=name, repaired=False) for name in names]

    async def _due(self, before_ns: int) -> list[_Due]:
        """What is to be read, the longest unread first; missing copies before all others."""
        asked = [zone for zone in self._zones.zones if zone.is_well]
        lengths = await self._healing.run_blocking(partial(lengths_in, asked, "packs/"))
        as_shares = await self._shares.survey(asked)
        due: list[_Due] = []
        for pack_id, placement in self._healing.all_packs().items():
            name = pack_name(pack_id)
            if self._packs.is_growing(pack_id):
                continue
            holders = {zone for zone in asked if lengths[zone].get(name)}
            coded = as_shares.get(pack_id)
            if coded is not None and (coded.is_complete or not holders):
                due += self._due_shares(pack_id, coded, before_ns=before_ns)
                continue  # copies that a crash has left beside the shares are removed, not mended
            if not holders and not self._healing.blocks_in(pack_id):
                continue  # a crash came between its row and its header: there is nothing to read
            wanted = holders | set(self._healing.homes(pack_id, placement, holders))
            copies = self._healing.former_placements.copies_due(pack_id, placement)
            for zone in wanted:
                verified_ns = self._healing.verified.at_ns(zone.zone_id, pack_id) or 0
                length = lengths.get(zone, {}).get(name, 0)
                if not length:
                    verified_ns = -1
                if verified_ns < before_ns:
                    is_new = not length and len(holders) >= copies
                    due.append(_Due(verified_ns, pack_id, zone, length, is_new=is_new))
        return sorted(due, key=lambda each: (each.verified_ns, each.pack_id, each.zone.zone_id))

    def _due_shares(self, pack_id: int, coded: CodedPack, *, before_ns: int) -> Iterator[_Due]:
        """The shares of a pack that are to be read, and those that no zone which is well has."""
        length = coded.kind.run
        for number, zones in coded.holders.items():
            for zone in zones:
                verified_ns = self._healing.verified.at_ns(zone.zone_id, pack_id) or 0
                if zone.is_well and verified_ns < before_ns:
                    yield _Due(verified_ns, pack_id, zone, length, number)
        for number, zone in self._shares.homes(pack_id, coded).items():
            yield _Due(-1, pack_id, zone, length, number)

    async def _holders(self, pack_id: int) -> dict[Zone, int]:
        name = pack_name(pack_id)
        holders: dict[Zone, int] = await self._healing.run_blocking(
            partial(self._zones.lengths_of, name)
        )
        return holders

    async def _streams(self, turn: Turn, *, mends: bool) -> list[Piece]:
        """Segments and checkpoints are whole and the same in every zone."""
        pieces: list[Piece] = []
        growing = {each.name for each in self._zones.growing}
        for prefix in STREAM_PREFIXES:
            for name in await self._listed(prefix):
                if name not in growing:
                    pieces += await self._stream(name, mends=mends)
                    await turn.over()
        small: dict[str, bytes] = await self._healing.run_blocking(self._of_streams.small_files)
        for name, data in small.items():
            pieces += await self._stream(name, wanted=ObjectCopy.of(data), mends=mends)
        return pieces

    async def _listed(self, prefix: str) -> list[str]:
        listing = partial(self._zones.list, prefix)  # what only others have was never promised
        return list(await self._healing.run_blocking(listing))

    async def _stream(
        self, name: str, *, mends: bool, wanted: ObjectCopy | None = None
    ) -> list[Piece]:
        comparing = partial(self._compared, name, wanted)
        compared: _Compared = await self._healing.run_blocking(comparing)
        if compared.others and wanted is None and not await self._listed(name):
            return []  # a newer one took its place meanwhile
        pieces = []
        for zone in compared.others:
            repaired = mends and await self._put(zone, name, compared.best)
            pieces.append(Piece(zone=zone.url, name=name, repaired=repaired))
            logger.warning("zone %s: %s was damaged", zone.url, name)
        return pieces

    def _compared(self, name: str, wanted: ObjectCopy | None) -> _Compared:
        """The copy that counts, and who has another. Blocks."""
        copies = self._zones.object_copies(name)
        there = that_count(copies)
        best = wanted or self._of_streams.best_copy(name, there)
        if best is None and self._has_nothing(name, there):
            return _Compared(None, [])
        if best is None:
            return _Compared(None, [zone for zone in self._zones.well if zone in copies])
        same = {zone for zone, copy in copies.items() if copy.is_same(best)}
        return _Compared(best, [zone for zone in self._zones.well if zone not in same])

    def _has_nothing(self, name: str, copies: Sequence[ObjectCopy]) -> bool:
        try:
            return self._of_streams.is_blank(name, copies)
        except S3fsLocalError as error:
            logger.warning("%s: %s", name, error)
            return False

    async def _put(self, zone: Zone, name: str, best: ObjectCopy | None) -> bool:
        if best is None or name in {each.name for each in self._zones.growing}:
            return False
        try:
            data = await self._healing.run_blocking(best.whole)
            await self._healing.in_zone(zone, lambda store: store.put(name, data))
        except (StorageError, ZoneUnavailable):
            return False
        return True
