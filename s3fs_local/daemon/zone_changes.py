"""Adding, removing and repairing zones of an open store: their places, and `store.json`.

In what order, says `engine/zone_turnover.py`.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from msgspec import structs

from s3fs_local import errors
from s3fs_local.daemon.key_ring_files import KeyRingFiles
from s3fs_local.daemon.layout import KEY_RING_NAME
from s3fs_local.daemon.store_description import StoreDescription
from s3fs_local.daemon.store_file import (
    STORE_FILE_NAME,
    StoreRecord,
    ZoneRecord,
    encode_store_file,
)
from s3fs_local.daemon.zones import (
    check_vacant,
    is_same_place,
    make_zone,
    open_zone,
    parse_zone,
    zone_for,
)
from s3fs_local.engine.durability import run_in_thread
from s3fs_local.engine.filesystem import FileSystem
from s3fs_local.engine.zone_care import ZoneCare
from s3fs_local.engine.zone_turnover import ZoneTurnover
from s3fs_local.objects.interface import ObjectStore
from s3fs_local.objects.zone import Zone
from s3fs_local.rules.quorum import ZONES_MAX
from s3fs_local.rules.storage_classes import ZoneKind, check_zones_suffice
from s3fs_local.system.randomness import SystemRandomness

_ID_BYTES: Final = 16


class ZoneChanges:
    """The zones of one open store, as `store.json` names them."""

    def __init__(
        self,
        path: Path,
        description: StoreDescription,
        ring_files: KeyRingFiles,
        filesystem: FileSystem,
    ) -> None:
        self._path = path
        self._ring_files = ring_files
        self._description = description
        self._volume = filesystem.volume
        self._zones = filesystem.volume.zones
        self._turnover = ZoneTurnover(filesystem.volume, self)

    @property
    def _record(self) -> StoreRecord:
        return self._description.record

    def small_files(self) -> dict[str, bytes]:
        """What every zone should have beside packs and streams, by name."""
        return {
            STORE_FILE_NAME: encode_store_file(self._record),
            KEY_RING_NAME: self._ring_files.present,
        }

    def reopen(self, zone: Zone) -> ObjectStore:
        """The objects of a zone that is there again; an emptied one is marked anew.

        Only where it is the very directory that it was: another one is for `zone repair`.

        Raises:
            ZoneUnavailable: it is not there, or not the one it should be.
            ZoneInUse: another process has it.
        """
        record = self._record_of(zone)
        try:
            return self._open(record)
        except errors.ZoneUnavailable:
            if not is_same_place(self._path, record, zone.store):
                raise
        return self._made_anew(zone)

    async def add(self, text: str, care: ZoneCare) -> Zone:
        """The zone is one of the store's; it is given everything, and then counts.

        Raises:
            InvalidArgument: it is one already, or no zone.
            StoreExists: the place is not empty.
            ZoneUnavailable, StoreFull: of the place.
        """
        async with self._turnover.mutex:
            zone = await self._added(*parse_zone(text))
            await care.bring_back(zone)
        return zone

    async def _added(self, url: str, kind: ZoneKind) -> Zone:
        if url in {zone.url for zone in self._record.zones}:
            raise errors.InvalidArgument(f"{url} is a zone of the store already")
        if len(self._record.zones) >= ZONES_MAX:
            raise errors.InvalidArgument(f"a store has at most {ZONES_MAX} zones")
        zone_id = SystemRandomness().bytes(_ID_BYTES).hex()
        new = ZoneRecord(zone_id=zone_id, url=url, kind=kind)
        zone = zone_for(new, reason="it is new", has_threads=True)
        check_vacant(self._path, self._record, new)
        record = structs.replace(self._record, zones=(*self._record.zones, new))
        await run_in_thread(
            partial(make_zone, self._path, record, new, key_ring=self._ring_files.present)
        )
        await self._turnover.take_in(zone)
        return zone

    async def remove(
        self,
        text: str,
        care: ZoneCare,
        *,
        read_copies: Callable[[], Awaitable[object]],
        report: Callable[[int], object],
    ) -> Zone:
        """The zone is none of the store's any more; what it alone should keep, others have.

        `read_copies` mends what is wrong in others, as long as the zone, which is well, is there.

        Raises:
            InvalidArgument: it is no zone of the store, or its last one, or a class wants more
                zones than would be left.
            TooFewZones: too few would be left, or copies could not be moved.
        """
        async with self._turnover.mutex:
            zone = self.zone_of(text)
            left = [each for each in self._zones.zones if each is not zone]
            if not left:
                raise errors.InvalidArgument("it is the only zone of the store")
            self._check_suffice(left)
            if zone.is_well:
                await read_copies()
                self._check_suffice(left)  # which took long, and classes may want more by now
            await self._turnover.remove(zone, care, report=report)
        self._zones.members.held.let_go(zone.zone_id)
        return zone

    def _check_suffice(self, left: Sequence[Zone]) -> None:
        """Raises InvalidArgument, TooFewZones: a class, or the quorum, needs more zones."""
        self._zones.members.check_left(left)
        check_zones_suffice(self._volume.settings.storage_classes, len(left))

    async def repair(self, text: str, care: ZoneCare) -> Zone:
        """The zone, which may be a new and empty disk, has everything again and counts.

        Raises:
            InvalidArgument: it is no zone of the store.
            StoreExists: something else is there.
            ZoneUnavailable: it cannot be reached, or failed again.
        """
        async with self._turnover.mutex:
            zone = self.zone_of(text)
            record = self._record_of(zone)
            try:
                await run_in_thread(partial(self._open, record))
            except errors.ZoneUnavailable:
                check_vacant(self._path, self._record, record)
                suspending = partial(self._zones.members.suspend, zone, "it is being repaired")
                if not await run_in_thread(suspending):
                    raise  # the only one that is well
                await run_in_thread(partial(self._made_anew, zone))
            if not zone.is_well and not await care.bring_back(zone):
                raise errors.ZoneUnavailable(f"{zone.url}: {zone.reason}")
        return zone

    def _open(self, record: ZoneRecord) -> ObjectStore:
        held = self._zones.members.held
        return open_zone(self._path, self._record.store_id, record, held)

    def zone_of(self, text: str, seen_from: str = "") -> Zone:
        """The zone of that URL, or of that beginning of its id.

        A path may be written as `zone list` shows it, or as it is from the directory `seen_from`.

        Raises:
            InvalidArgument: there is none; names those there are.
        """
        places = {text, str(self._path / text)}
        if "://" not in text:
            places.add(str(Path(seen_from, text).resolve()))
        for zone in self._zones.zones:
            is_named = len(text) >= 8 and zone.zone_id.startswith(text)
            if is_named or zone.url in places or str(self._path / zone.url) in places:
                return zone
        known = ", ".join(zone.url for zone in self._zones.zones)
        raise errors.InvalidArgument(f"{text} is no zone of the store; there are: {known}")

    def _made_anew(self, zone: Zone) -> ObjectStore:
        """The place, which has nothing, is that zone; it was known as behind before. Blocks."""
        self._zones.members.record_behind(zone)
        record = self._record_of(zone)
        return make_zone(self._path, self._record, record, key_ring=self._ring_files.present)

    def _record_of(self, zone: Zone) -> ZoneRecord:
        """Raises ZoneUnavailable: the store does not know it yet, or any more."""
        for each in self._record.zones:
            if each.zone_id == zone.zone_id:
                return each
        raise errors.ZoneUnavailable(f"{zone.url} is being added or removed")

    async def write(self, zones: Sequence[Zone]) -> None:
        """See `Roster`."""
        records = tuple(map(_record_for, zones))
        await self._description.change(lambda record: structs.replace(record, zones=records))

    async def tell(self) -> None:
        """See `Roster`."""
        await self._description.tell()


def _record_for(zone: Zone) -> ZoneRecord:
    return ZoneRecord(zone_id=zone.zone_id, url=zone.url, kind=ZoneKind(zone.kind))
