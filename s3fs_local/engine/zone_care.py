"""What zones need: to be told what they missed, and to be read through now and then.

A zone that was suspended returns in steps. First it gets whatever is begun from then on. Then it is
compared, object by object, with those that are well, and given what differs; objects that grow are
joined while they grow. When nothing is left, and all of it is durable, it counts again. What it
lacks is found by comparing, so the queue of what it missed is the difference itself: it survives
every crash, and is never longer than the store.
"""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Final, NamedTuple

import trio

from s3fs_local.engine.healing import Healing, Streams
from s3fs_local.engine.pack_images import good_bytes
from s3fs_local.engine.share_care import ShareCare
from s3fs_local.engine.space import SpaceGuard
from s3fs_local.engine.verified_copies import VerifiedCopies
from s3fs_local.engine.volume import Volume
from s3fs_local.engine.yielding import Turn
from s3fs_local.errors import (
    S3fsLocalError,
    StorageError,
    StoreFull,
    TooFewZones,
    ZoneUnavailable,
)
from s3fs_local.objects.interface import ObjectStore
from s3fs_local.objects.lanes import DirectLane, Lane, ThreadLane
from s3fs_local.objects.reading import gather, heads_in, lengths_in
from s3fs_local.objects.zone import Zone, ZoneState
from s3fs_local.objects.zone_mark import read_mark
from s3fs_local.packs.coded_packs import CodedPack
from s3fs_local.packs.pack_store import PackStore, pack_id_of, pack_name
from s3fs_local.packs.segment import HEADER_BYTES, is_same_object
from s3fs_local.packs.shares import FOLDER as SHARES
from s3fs_local.packs.shares import share_of

logger = logging.getLogger(__name__)

STREAMS: Final = ("journal/", "ledger/", "checkpoint/")
LOOKS_TO_NOTICE: Final = 10
"""Zones are asked how they are at one look in so many, so less often while nobody uses the store: a
bucket charges for each question."""
AT_REST_LOOK_SECONDS: Final = 0.01
ROUNDS_MAX: Final = 5
"""Comparisons in a row; a zone that still lacks something then is tried again later."""

PATIENCE_SECONDS_MIN: Final = 2.0
PATIENCE_SECONDS_MAX: Final = 60.0
"""A zone that fails again and again while it catches up is tried no more seldom than this."""

Reopen = Callable[[Zone], ObjectStore]


class _Seen(NamedTuple):
    """An object of a stream, as a zone has it."""

    length: int
    head: bytes


class _Patience(NamedTuple):
    """How long a zone is left alone, and until when."""

    seconds: float
    until: float


_NONE: Final = _Patience(0.0, 0.0)


class ZoneCare:
    """Looks after the zones of one open store. Its methods run in the loop, one at a time."""

    _turn: Turn  # of the zone that is brought back

    def __init__(
        self,
        volume: Volume,
        packs: PackStore,
        healing: Healing,
        shares: ShareCare,
        *,
        reopen: Reopen,
        streams: Streams,
    ) -> None:
        """`reopen` gives the objects of a zone that is there again, or raises StorageError."""
        self._volume = volume
        self._packs = packs
        self._zones = packs.zones
        self._healing = healing
        self._shares = shares
        self._reopen = reopen
        self._streams = streams
        self._probes: dict[Zone, Lane] = {}
        self._mutex = trio.Lock()
        self._looks = 0
        self._patience: dict[Zone, _Patience] = {}

    @property
    def verified(self) -> VerifiedCopies:
        """When each copy was last found whole."""
        return self._healing.verified

    async def look(self) -> None:
        """Zones that hang are suspended; those that are there again are told what they missed."""
        settings = self._volume.settings
        self._zones.members.timeout_seconds = settings.zone_timeout_ns / 1_000_000_000
        self._zones.members.check_lanes()
        self._looks += 1
        if self._looks % LOOKS_TO_NOTICE == 1:
            await self.notice()
        for zone in self._zones.not_well:
            is_due = trio.current_time() >= self._patience.get(zone, _NONE).until
            if zone.state is ZoneState.BEHIND and is_due and not zone.hangs and self._zones.well:
                await self.bring_back(zone)

    async def notice(self) -> None:
        """Zones that do not answer, or are not what they were, are suspended."""
        self._zones.members.check_lanes()
        for look in (self._zones.look_at_space, self._zones.look_at_marks):
            asked = {zone: zone.store for zone in self._zones.well}
            for zone, why in (await self._healing.run_blocking(look)).items():
                # One that was brought back meanwhile has objects that nobody asked.
                if zone.is_well and zone.store is asked.get(zone) and len(self._zones.well) > 1:
                    await self._healing.run_blocking(
                        partial(self._zones.members.suspend, zone, why)
                    )

    async def bring_back(self, zone: Zone) -> bool:
        """The zone is well, if it can be reached and given all it missed."""
        async with self._mutex:
            if zone.is_well or zone not in self._zones.zones:
                return zone.is_well  # somebody else was at it, or removed it, meanwhile
            if not await self._is_at_rest(zone):
                return False
            try:
                store = await self._probe(zone)
            except S3fsLocalError as error:
                zone.reason, zone.is_full = str(error), isinstance(error, StoreFull)
                return False
            self._zones.members.welcome(zone, store)
            self._turn = self._volume.yielding.turn()
            try:
                await self._catch_up(zone)
            except S3fsLocalError as error:
                self._zones.members.suspend(zone, error)  # unless a write to it already has
                self._leave_alone(zone)
                return False
            self._patience.pop(zone, None)
            self._packs.coded.doubt_all()
            return zone.is_well

    async def _is_at_rest(self, zone: Zone) -> bool:
        """Whether no call of ours is in it any more, which could write into what is mended.

        One that has only just been suspended may be in its last call: it is given time to answer.
        """
        with trio.move_on_after(self._zones.timeout_seconds):
            while zone.hangs:  # noqa: ASYNC110  a thread of its lane knows no trio
                await trio.sleep(AT_REST_LOOK_SECONDS)
        return not zone.hangs

    def _leave_alone(self, zone: Zone) -> None:
        """It failed again while it caught up: the next attempt comes later than the last."""
        before = self._patience.get(zone, _NONE).seconds
        seconds = min(max(2 * before, PATIENCE_SECONDS_MIN), PATIENCE_SECONDS_MAX)
        self._patience[zone] = _Patience(seconds, trio.current_time() + seconds)

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """No zone comes back meanwhile, and nothing moves: no pack gets a copy or share anywhere.

        In this order: who brings a zone back moves packs.
        """
        async with self._mutex, self._volume.moving:
            yield

    async def move_away(self, zone: Zone, *, report: Callable[[int], object]) -> None:
        """Other zones have as many copies of everything as its class wants, without this one.

        Whoever calls it is `alone`, and is so until the zone is gone. The zone `leaves`: what is
        begun meanwhile is begun in the others, too.

        Raises:
            TooFewZones: a pack would have none, or fewer than now for want of zones that are well.
        """
        assert zone.leaves
        await self._healing.finish_all()  # what grows in it alone grows no more
        asked = [each for each in self._zones.well if each is not zone]
        lengths: dict[Zone, dict[str, int]] = await self._healing.run_blocking(
            partial(lengths_in, asked, "packs/")
        )
        as_shares = await self._shares.survey(self._zones.well)
        turn = self._volume.yielding.turn()
        for pack_id, placement in self._healing.all_packs().items():
            name = pack_name(pack_id)
            holders = {each for each in asked if name in lengths[each]}
            await turn.over()
            if not holders and not self._healing.blocks_in(pack_id):
                continue  # a crash came between its row and its header: nobody has, or needs it
            if not holders and pack_id in as_shares:
                await self._move_shares(pack_id, as_shares[pack_id], without=zone)
                report(pack_id)
                continue
            for home in self._healing.homes(pack_id, placement, holders, without=zone):
                await self._give_away(pack_id, home)
                holders.add(home)
                report(pack_id)
            if not holders:
                raise TooFewZones(f"pack {pack_id:016x} would have no copy")

    async def _move_shares(self, pack_id: int, coded: CodedPack, *, without: Zone) -> None:
        """Others have every share of the pack that the zone has."""
        left = {
            number: tuple(zone for zone in zones if zone is not without)
            for number, zones in coded.holders.items()
        }
        rest = CodedPack(coded.kind, {number: held for number, held in left.items() if held})
        homes = self._shares.homes(pack_id, rest, without=without)
        for number in rest.lacking:
            home = homes.get(number)
            if home is None:
                raise TooFewZones(
                    f"pack {pack_id:016x} lies in {coded.kind.coding} shares, one a zone, and"
                    " too few zones would be left: have its class keep copies, or fewer shares"
                    " (`config set STORE storage-classes`), then run `gc`"
                )
            if not await self._shares.give(pack_id, coded, number, home):
                raise TooFewZones(f"too few shares of pack {pack_id:016x} are whole")

    async def _give_away(self, pack_id: int, home: Zone) -> None:
        lost = await self._healing.give_while_nothing_moves(pack_id, home)
        if lost is None or lost:
            raise TooFewZones(f"pack {pack_id:016x} cannot be copied whole to {home.url}")

    async def _probe(self, zone: Zone) -> ObjectStore:
        """Its objects, if it answers in time; a probe that hangs is not followed by another."""
        if zone not in self._probes:
            self._probes[zone] = ThreadLane("probe") if zone.has_threads else DirectLane()
        lane = self._probes[zone]
        if lane.busy_seconds:
            raise ZoneUnavailable(zone.reason)
        probe = Zone(None, has_threads=zone.has_threads)
        probe.leave_lanes()
        probe.readers = lane
        call = partial(gather, {probe: partial(self._opened, zone)}, self._zones.timeout_seconds)
        found = (await self._healing.run_blocking(call)).get(probe)
        if found is None:
            raise ZoneUnavailable(f"no answer for {self._zones.timeout_seconds:g} s")
        if isinstance(found, StorageError):
            raise found
        if isinstance(found, Exception):
            raise ZoneUnavailable(str(found))
        store: ObjectStore = found
        return store

    def _opened(self, zone: Zone) -> ObjectStore:
        """Its objects; one that was full is left alone until there is room. Blocks."""
        store = self._reopen(zone)
        if zone.is_full:
            space = store.free_bytes()
            if SpaceGuard.is_full(space):
                raise StoreFull(f"its disk is full: {space[0] >> 20} MiB are left")
        return store

    async def _catch_up(self, zone: Zone) -> None:
        """All that the zone lacks is there; then it counts."""
        logger.info("zone %s is there again, and catches up", zone.url)
        with suppress(StorageError):  # packs are given when they are read and compared
            await self._healing.finish_all()
        for _ in range(ROUNDS_MAX):
            given = await self._give_packs(zone) + await self._give_shares(zone)
            given += await self._give_objects(zone)
            joined = await self._join_growing(zone)
            if not given and not joined:
                break
        else:
            raise ZoneUnavailable("it does not catch up with what is written")
        await self._healing.in_zone(zone, read_mark)  # emptied meanwhile it lacks what was given
        await self._healing.run_blocking(partial(self._settle, zone))
        for _ in range(ROUNDS_MAX):
            if not await self._give_small_files(zone):
                break  # none was changed meanwhile, and who changes one now tells the zone, too
        zone.missing_bytes = 0

    async def _give_packs(self, zone: Zone) -> int:
        """Every pack that belongs there is there; returns how many were not."""
        lengths = await self._lengths(zone, "packs/")
        due = self._missing_packs(zone, lengths)
        zone.missing_bytes = sum(length for _, length in due)
        for pack_id, length in due:
            lost = await self._healing.give(pack_id, zone)
            zone.doubtful = tuple(name for name in zone.doubtful if name != pack_name(pack_id))
            zone.missing_bytes -= length
            if lost is None:
                logger.error("no zone has anything of pack %016x", pack_id)
            await self._pace(length)
        return len(due)

    def _missing_packs(
        self, zone: Zone, lengths: dict[Zone, dict[str, int]]
    ) -> list[tuple[int, int]]:
        """The packs, with their lengths, that the zone lacks or has in part."""
        there = lengths[zone]
        others = {each: names for each, names in lengths.items() if each is not zone}
        growing = {each.name for each in self._zones.growing}
        due = []
        for pack_id, placement in self._healing.all_packs().items():
            name = pack_name(pack_id)
            longest = max((names.get(name, 0) for names in others.values()), default=0)
            if name in growing or not longest:
                continue
            holders = {each for each, names in others.items() if name in names}
            if name in there:
                end = self._healing.end_of(pack_id)
                is_short = there[name] < longest and there[name] < end
                lacks = is_short or name in zone.doubtful
            else:
                lacks = zone in self._healing.homes(pack_id, placement, holders, rather=zone)
            if lacks:
                due.append((pack_id, longest))
        return due

    async def _give_shares(self, zone: Zone) -> int:
        """The zone has the shares that are its own, and no copies that became shares meanwhile."""
        asked = [each for each in self._zones.zones if each.takes_new]
        lengths = await self._lengths(zone, "packs/")
        elsewhere = {name for each, names in lengths.items() if each is not zone for name in names}
        as_shares = await self._shares.survey(asked)
        known = self._healing.all_packs()
        given = 0
        for pack_id, coded in as_shares.items():
            if pack_id in known and pack_name(pack_id) not in elsewhere:
                given += await self._give_share(zone, pack_id, coded)
        for name in set(lengths[zone]) - elsewhere:
            copy = pack_id_of(name)
            if copy is not None and (copy not in known or _is_coded(as_shares.get(copy))):
                await self._healing.in_zone(zone, partial(_delete, name))
        for name in (await self._lengths(zone, SHARES))[zone]:
            share = share_of(name)
            if share is not None and share[0] not in known:
                await self._healing.in_zone(zone, partial(_delete, name))
        return given

    async def _give_share(self, zone: Zone, pack_id: int, coded: CodedPack) -> int:
        """The zone has the share of the pack that only it could have; 1 if it was given it."""
        elsewhere = {
            number: tuple(each for each in zones if each.is_well or each is zone)
            for number, zones in coded.holders.items()
        }
        there = CodedPack(coded.kind, {number: held for number, held in elsewhere.items() if held})
        for number, home in self._shares.homes(pack_id, there).items():
            if home is zone:
                given = await self._shares.give(pack_id, coded, number, zone)
                await self._pace(coded.kind.run)
                return given
        return 0

    async def _give_objects(self, zone: Zone) -> int:
        """Segments, checkpoints and small files are as the others have them; returns how many."""
        given = 0
        growing = {each.name for each in self._zones.growing}
        for prefix in STREAMS:
            seen = await self._seen(zone, prefix)
            there = seen.pop(zone)
            wanted: dict[str, set[_Seen]] = {}
            for names in seen.values():
                for name, each in names.items():
                    wanted.setdefault(name, set()).add(each)
            for name, found in wanted.items():
                length = max(each.length for each in found)
                is_same = there.get(name) in {each for each in found if each.length == length}
                if name in growing or (is_same and name not in zone.doubtful):
                    continue
                given += await self._copy(zone, name, length)
                zone.doubtful = tuple(each for each in zone.doubtful if each != name)
            for name in set(there) - set(wanted) - growing:
                await self._healing.in_zone(zone, partial(_delete, name))
        await self._give_small_files(zone)
        return given

    async def _join_growing(self, zone: Zone) -> int:
        """What grows, grows there as well from now on; returns how many objects did not."""
        lacking = [each for each in self._zones.growing if each.lacks(zone)]
        for each in lacking:
            present = each.length
            await self._copy(zone, each.name, present)
            missing = partial(self._bytes_of, each.name)  # what was written this moment
            await self._healing.run_blocking(partial(each.join, zone, missing, present=present))
        return len(lacking)

    def _bytes_of(self, name: str, start: int, end: int) -> bytes:
        return self._zones.read_good(name, start, end - start) if end > start else b""

    def _settle(self, zone: Zone) -> None:
        """What it was given through its lane is durable, and it counts. Blocks."""
        for each in self._zones.growing:
            each.sync_in(zone)
        self._zones.members.drain(zone)
        self._zones.members.settle_in(zone)

    async def _copy(self, zone: Zone, name: str, length: int) -> bool:
        """The zone has the first bytes of the object as they should be; whether it had others."""
        pack_id = pack_id_of(name)
        if pack_id is None:
            choosing = partial(self._best, name, length, zone)
        else:  # one that cannot be finished for want of zones
            blocks = self._healing.blocks_in(pack_id)
            choosing = partial(good_bytes, self._packs, pack_id, blocks, 0, length)
        data: bytes = await self._healing.run_blocking(choosing)
        had = await self._has(zone, name, data)
        await self._healing.in_zone(zone, partial(_put, name, data))
        await self._pace(length)
        return not had

    def _best(self, name: str, length: int, zone: Zone) -> bytes:
        """The first bytes of the object, of the zone that has most of them whole. Blocks.

        What the zone itself has counts where it is the same object: others may have rotted.
        """
        copies = self._zones.object_copies(name)
        whole = {each: copy.up_to(length) for each, copy in copies.items() if copy.length >= length}
        best = self._streams.best_copy(name, [copy for each, copy in whole.items() if each.is_well])
        own = whole.get(zone)
        if own is not None and (best is None or is_same_object(own, best)):
            best = self._streams.best_copy(name, [own] if best is None else [best, own])
        return self._zones.read_good(name, 0, length) if best is None else best.whole()

    async def _give_small_files(self, zone: Zone) -> int:
        """They are there as they were when this began; returns how many were not."""
        given = 0
        wanted: dict[str, bytes] = await self._healing.run_blocking(self._streams.small_files)
        for name, data in wanted.items():
            if not await self._has(zone, name, data):
                await self._healing.in_zone(zone, partial(_put, name, data))
                given += 1
        return given

    async def _has(self, zone: Zone, name: str, data: bytes) -> bool:
        asking = partial(self._zones.copies, name, 0, None, among=[zone])
        found: dict[Zone, bytes] = await self._healing.run_blocking(asking)
        return found.get(zone) == data

    async def _lengths(self, zone: Zone, prefix: str) -> dict[Zone, dict[str, int]]:
        """The objects of the zone that catches up and of those that are well, with their lengths.

        Raises:
            ZoneUnavailable: one of them does not answer, or the zone failed again meanwhile.
        """
        lengths: dict[Zone, dict[str, int]] = await self._healing.run_blocking(
            partial(lengths_in, self._beside(zone), prefix)
        )
        return lengths

    async def _seen(self, zone: Zone, prefix: str) -> dict[Zone, dict[str, _Seen]]:
        """The same, and how each begins: two objects of one name are told apart by that."""
        seen: dict[Zone, dict[str, tuple[int, bytes]]] = await self._healing.run_blocking(
            partial(heads_in, self._beside(zone), prefix, head_bytes=HEADER_BYTES)
        )
        return {
            each: {name: _Seen(*found) for name, found in names.items()}
            for each, names in seen.items()
        }

    def _beside(self, zone: Zone) -> list[Zone]:
        """The zone that catches up and those that are well. Raises ZoneUnavailable: it failed."""
        if not zone.takes_new:
            raise ZoneUnavailable(zone.reason)
        return [each for each in self._zones.zones if each.takes_new]

    async def _pace(self, length: int) -> None:
        with self._turn.waiting():
            await trio.sleep(length / self._volume.settings.repair_rate_bytes)
        await self._turn.over()


def _is_coded(coded: CodedPack | None) -> bool:
    """Whether copies of the pack are not needed; some of its shares may be left of an attempt."""
    return coded is not None and len(coded.holders) == coded.kind.coding.shares


def _delete(name: str, store: ObjectStore) -> None:
    store.delete(name)


def _put(name: str, data: bytes, store: ObjectStore) -> None:
    store.put(name, data)
