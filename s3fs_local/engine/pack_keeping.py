"""Packs that grow no more, kept by their zones as what lies in them wants.

In stores with locks they are made immutable where a disk can do that. Where a zone has storage
classes they get the class of their blocks. Where it enforces locks itself, those that hold bytes of
locked versions are locked there until the same date, and so are copies of the metadata, without
which they could not be read.

A pack that grows cannot be kept so; so every pack of such a store is left for good a day after it
was begun, or an hour where a zone enforces locks, if it is not full before.
"""

import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import trio
from msgspec import Struct, structs

from s3fs_local.engine.volume import Volume
from s3fs_local.objects.interface import Keeper
from s3fs_local.objects.keeping import keep_in_zones, keeper_of
from s3fs_local.objects.zone import Zone
from s3fs_local.rules.extents import blocks_of, decode_layout
from s3fs_local.rules.instants import SECOND_NS
from s3fs_local.rules.keeping import Keeping, protected_too, stricter
from s3fs_local.rules.retention import is_protected
from s3fs_local.rules.versioning import Version

logger = logging.getLogger(__name__)

GROWS_NS_MAX: Final = 86_400 * SECOND_NS
"""How long the pack of a locked version may still be one that grows."""
GROWS_NS_MAX_WHERE_LOCKED: Final = 3600 * SECOND_NS
"""The same, where a zone enforces locks."""
METADATA_INTERVAL_NS: Final = 86_400 * SECOND_NS
"""A copy of the metadata is locked at most so often: it stays as long as the last lock."""
VERSIONS_A_STEP: Final = 64
OBJECTS_A_STEP: Final = 64
_NOTHING: Final = Keeping()

CopyMetadata = Callable[[], Awaitable[list[str]]]
"""Makes a copy of the metadata of now in the zones; returns the objects that it takes to open."""


async def _no_copy() -> list[str]:
    """A store in memory has none."""
    return []


class _Protections(Struct):
    """What locks ask of the zones."""

    packs: dict[int, Keeping] = {}  # those with bytes of a locked version
    versions: int = 0  # that are locked

    def all_of_them(self) -> Keeping:
        """As long as the last of them."""
        retention, is_held = None, False
        for kept in self.packs.values():
            retention = kept.retention if retention is None else stricter(retention, kept.retention)
            is_held = is_held or kept.is_held
        return Keeping(retention=retention, is_held=is_held)


class PackKeeping:
    """Tells the zones of one volume how to keep its packs."""

    def __init__(self, volume: Volume) -> None:
        self._volume = volume
        self._packs = volume.durability.packs
        self._told: dict[tuple[Zone, int], Keeping] = {}
        self._growing_since: dict[int, int] = {}
        self._metadata_ns = 0  # when a copy of the metadata was last locked
        self._metadata_locks = _Protections()
        self.copy_metadata: CopyMetadata = _no_copy
        self.shortcomings: dict[str, str] = {}  # what a zone could not do, by its URL
        self._noted: dict[str, str] = {}  # of it, what the log tells

    @property
    def _makes_immutable(self) -> bool:
        settings = self._volume.settings
        return settings.object_lock and settings.immutable_packs

    @property
    def _keepers(self) -> dict[Zone, Keeper]:
        found = {zone: keeper_of(zone) for zone in self._volume.zones.well}
        return {zone: keeper for zone, keeper in found.items() if keeper is not None}

    async def keep(self) -> int:
        """Every pack that grows no more is kept as it should be; returns how many copies were told.

        A zone that fails, or does not answer, is told the next time.
        """
        keepers = self._keepers
        locks_objects = any(keeper.locks_objects for keeper in keepers.values())
        has_classes = any(keeper.has_classes for keeper in keepers.values())
        if not (self._makes_immutable or locks_objects or has_classes):
            return 0
        if self._makes_immutable or locks_objects:
            await self._leave_old(GROWS_NS_MAX_WHERE_LOCKED if locks_objects else GROWS_NS_MAX)
        protections = await self._protections() if locks_objects else _Protections()
        self._forget_replaced()
        self.shortcomings = {}
        told = await self._tell(self._due(protections.packs))
        if protections.versions:
            await self._lock_metadata(protections)
        return told

    def _due(self, protections: dict[int, Keeping]) -> list[tuple[Zone, int, Keeping]]:
        """What the zones were not told yet."""
        packs = self._volume.metadata.packs()
        ids = {pack_id for pack_id, _, _ in packs}
        self._told = {key: each for key, each in self._told.items() if key[1] in ids}
        due: list[tuple[Zone, int, Keeping]] = []
        for pack_id, placement, _ in packs:
            if self._packs.is_growing(pack_id):
                continue
            wanted = structs.replace(
                protections.get(pack_id, _NOTHING),
                storage_class=placement,
                is_immutable=self._makes_immutable,
            )
            due += [
                (zone, pack_id, wanted)
                for zone in self._volume.zones.well
                if self._told.get((zone, pack_id)) != wanted
            ]
        return due

    async def _tell(self, due: list[tuple[Zone, int, Keeping]]) -> int:
        count = 0
        for start in range(0, len(due), OBJECTS_A_STEP):
            step = due[start : start + OBJECTS_A_STEP]
            names: dict[Zone, dict[str, Keeping]] = {}
            for zone, pack_id, wanted in step:
                names.setdefault(zone, {})[self._packs.object_in(zone, pack_id)] = wanted
            said = await self._volume.durability.wait_blocking(partial(keep_in_zones, names))
            for zone, pack_id, wanted in step:
                reason = said.get(zone, {}).get(self._packs.object_in(zone, pack_id))
                if reason:
                    self._note(zone, reason)
                elif reason is not None:
                    self._told[zone, pack_id] = wanted
                    count += 1
        return count

    def _note(self, zone: Zone, reason: str) -> None:
        if self._noted.get(zone.url) != reason:
            logger.warning("zone %s does not keep packs as it might: %s", zone.url, reason)
        self.shortcomings[zone.url] = self._noted[zone.url] = reason

    def _forget_replaced(self) -> None:
        """Copies that were put anew lost whatever the former ones had."""
        while self._packs.replaced:
            self._told.pop(self._packs.replaced.pop(), None)

    async def _protections(self) -> _Protections:
        """How each pack with bytes of a locked version must be kept. Takes time for every one."""
        now_ns = self._volume.now_ns()
        found = _Protections(packs={})
        turn = self._volume.yielding.turn()
        after = (0, 0)
        while versions := self._volume.metadata.locked_versions(after, VERSIONS_A_STEP):
            after = (versions[-1].ino, versions[-1].stamp_ns)
            for version in versions:
                if version.lock is not None and is_protected(version.lock, now_ns):
                    found.versions += 1
                    for pack_id in self._packs_of(version):
                        kept = found.packs.get(pack_id, _NOTHING)
                        found.packs[pack_id] = protected_too(kept, version.lock, now_ns)
            await turn.over()
        return found

    def _packs_of(self, version: Version) -> set[int]:
        metadata = self._volume.metadata
        packs = set()
        for _, _, layout in metadata.cells(version.ino, 0, version.stamp_ns):
            for block_id in blocks_of(decode_layout(layout)):
                block = metadata.block(block_id)
                if block is not None:
                    packs.add(block.pack_id)
        return packs

    async def _lock_metadata(self, protections: _Protections) -> None:
        """What opens the locked packs is locked as long as the last of them, in such zones."""
        now_ns = self._volume.now_ns()
        is_due = now_ns - self._metadata_ns >= METADATA_INTERVAL_NS
        if not is_due or protections == self._metadata_locks:
            return
        names = await self.copy_metadata()
        wanted = protections.all_of_them()
        zones = [zone for zone, keeper in self._keepers.items() if keeper.locks_objects]
        asked = {zone: dict.fromkeys(names, wanted) for zone in zones}
        said = await self._volume.durability.wait_blocking(partial(keep_in_zones, asked))
        if all(said.get(zone) == dict.fromkeys(names, "") for zone in zones):
            self._metadata_ns, self._metadata_locks = now_ns, protections

    async def _leave_old(self, grows_ns_max: int) -> None:
        """Packs that have grown for so long grow no more."""
        now_ns = self._volume.now_ns()
        growing = self._volume.blocks.growing_packs()
        since = {pack_id: self._growing_since.get(pack_id, now_ns) for pack_id in growing}
        self._growing_since = since
        if any(now_ns - since_ns >= grows_ns_max for since_ns in since.values()):
            self._volume.blocks.leave_open_packs()
            with trio.CancelScope(shield=True):  # until then they count as growing
                await self._volume.durability.run_blocking(self._packs.sync)
