"""Making the shares of packs whole: read, compare with what they say of themselves, compute anew.

The counterpart of `healing.py` for packs that lie as shares. A share is replaced as a whole, and
only by one that was computed from as many whole ones as give the pack back.
"""

import logging
from collections.abc import Sequence
from functools import partial

from s3fs_local.engine.healing import Piece, in_zone
from s3fs_local.engine.volume import Volume
from s3fs_local.errors import ZoneUnavailable
from s3fs_local.objects.interface import ObjectStore
from s3fs_local.objects.reading import lengths_in
from s3fs_local.objects.zone import Zone
from s3fs_local.packs.coded_packs import CodedPack
from s3fs_local.packs.pack_store import PackStore, pack_count
from s3fs_local.packs.shares import (
    FOLDER,
    Kind,
    encode_share,
    run_from,
    share_name,
    share_of,
)
from s3fs_local.rules.erasure import assign
from s3fs_local.rules.placement import Home

logger = logging.getLogger(__name__)


class ShareCare:
    """Checks and repairs shares of an open store, in the loop; bytes are read in threads."""

    def __init__(self, volume: Volume, packs: PackStore) -> None:
        self._volume = volume
        self._packs = packs
        self._zones = packs.zones
        self._run_blocking = volume.durability.run_blocking
        self._kinds: dict[int, Kind] = {}  # as last found, to spare questions

    async def find(self, pack_id: int) -> CodedPack | None:
        """The pack as shares, as the zones have them now; None where none has any."""
        found: CodedPack | None = await self._run_blocking(partial(self._packs.coded.find, pack_id))
        return found

    async def survey(self, zones: Sequence[Zone]) -> dict[int, CodedPack]:
        """Every pack of which one of the zones has a share, by what they list.

        Raises:
            ZoneUnavailable: one of them does not answer.
        """
        listed: dict[Zone, dict[str, int]] = await self._run_blocking(
            partial(lengths_in, zones, FOLDER)
        )
        held: dict[int, dict[int, dict[Zone, int]]] = {}
        for zone, names in listed.items():
            for name, length in names.items():
                share = share_of(name)
                if share is not None:
                    held.setdefault(share[0], {}).setdefault(share[1], {})[zone] = length
        found = {}
        for pack_id, shares in sorted(held.items()):
            coded = await self._listed(pack_id, shares)
            if coded is not None:
                found[pack_id] = coded
        return found

    async def _listed(self, pack_id: int, shares: dict[int, dict[Zone, int]]) -> CodedPack | None:
        """The pack by its listed shares, if all of them are; else by what each says of itself."""
        kind = self._kinds.get(pack_id)
        if kind is not None:
            fitting = {
                number: tuple(zone for zone, length in zones.items() if length == kind.share_bytes)
                for number, zones in shares.items()
            }
            listed = CodedPack(kind, {number: held for number, held in fitting.items() if held})
            if listed.is_complete:
                return listed
        coded = await self.find(pack_id)
        if coded is not None:
            self._kinds[pack_id] = coded.kind
        return coded

    def homes(
        self, pack_id: int, coded: CodedPack, *, without: Zone | None = None
    ) -> dict[int, Zone]:
        """Which zone should get which share that no zone which is well (but `without`) holds."""
        zones = [zone for zone in self._zones.zones if zone is not without]
        described = [Home(zone.kind, zone.takes_new) for zone in zones]
        holders = {
            number: {zones.index(zone) for zone in held if zone in zones and zone.takes_new}
            for number, held in coded.holders.items()
        }
        placement = self._volume.blocks.placement(pack_id)
        wanted = self._packs.homes_of(placement)
        turn = pack_count(pack_id)
        found = assign(described, holders, coded.kind.coding, wanted, spread=turn)
        return {number: zones[index] for number, index in found.items()}

    async def check(
        self, pack_id: int, number: int, zone: Zone, *, mends: bool = True
    ) -> list[Piece]:
        """The zone's share was read; one that is not as it was made is repaired (if `mends`).

        A share without fault, and one that was repaired, is noted as verified now.
        """
        coded = await self.find(pack_id)
        if coded is None or pack_id in self._packs.removed:
            return []
        reading = partial(self._packs.coded.run_in, zone, pack_id, coded.kind, number)
        if await self._run_blocking(reading) is not None:
            self._note_verified(pack_id, zone)
            return []
        self._volume.verified.doubt(zone.zone_id, pack_id, pieces=1)
        name = share_name(pack_id, number)
        repaired = mends and await self.give(pack_id, coded, number, zone)
        end = "repaired" if repaired else "and is not repaired"
        logger.warning("zone %s: %s was damaged, %s", zone.url, name, end)
        return [Piece(zone=zone.url, name=name, repaired=repaired)]

    async def give(self, pack_id: int, coded: CodedPack, number: int, zone: Zone) -> bool:
        """Whether the zone has this share, whole; False where too few others are whole.

        Raises:
            StorageError: the zone does not take it.
        """
        share = await self._run_blocking(partial(self._computed, pack_id, coded, number, zone))
        if share is None:
            return False
        await self.put(pack_id, coded, number, zone, share)
        if pack_id in self._packs.removed:
            await in_zone(self._run_blocking, zone, partial(_delete, share_name(pack_id, number)))
        return True

    async def put(
        self, pack_id: int, coded: CodedPack, number: int, zone: Zone, share: bytes
    ) -> None:
        """The share is in the zone, durably, and was read back."""
        name = share_name(pack_id, number)
        await in_zone(self._run_blocking, zone, lambda store: store.put(name, share))
        reading = partial(self._packs.coded.run_in, zone, pack_id, coded.kind, number)
        found = await self._run_blocking(reading)
        self._packs.coded.forget(pack_id)
        self._packs.replaced.add((zone, pack_id))
        if found is None:
            raise ZoneUnavailable(f"{zone.url}: {name} does not read back as it was put")
        self._note_verified(pack_id, zone)

    def _computed(self, pack_id: int, coded: CodedPack, number: int, zone: Zone) -> bytes | None:
        """The share as it should be, from others than the zone's."""
        kind = coded.kind
        data = self._packs.coded.first_runs(pack_id, coded, without=zone)
        if data is None:
            return None
        run = run_from(data, kind, number)
        store_id = self._packs.coded.store_id
        return encode_share(run, kind, number, store_id=store_id, pack_id=pack_id)

    def _note_verified(self, pack_id: int, zone: Zone) -> None:
        self._volume.verified.note(zone.zone_id, pack_id, self._volume.now_ns())


def _delete(name: str, store: ObjectStore) -> None:
    store.delete(name)
