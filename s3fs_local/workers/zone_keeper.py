"""Looks after the zones of an open store: suspends, brings back, mends, reads through."""

import logging
from math import inf
from typing import Final

import trio

from s3fs_local.engine.pack_keeping import PackKeeping
from s3fs_local.engine.scrubbing import Findings, Scrubbing
from s3fs_local.engine.use import Sleeper, beat_after
from s3fs_local.engine.volume import Volume
from s3fs_local.engine.zone_care import ZoneCare
from s3fs_local.errors import S3fsLocalError
from s3fs_local.packs.pack_store import PackStore

logger = logging.getLogger(__name__)

LOOK_SECONDS: Final = 1.0
SCRUB_LOOK_SECONDS: Final = 60.0
"""How often it is asked whether copies are due to be read."""
KEEP_INTERVAL_SECONDS: Final = 900.0
"""How often zones are told how to keep packs that grow no more."""


class ZoneKeeper:
    """The background task of one open store with zones. Nothing that a zone does ends it."""

    def __init__(
        self,
        volume: Volume,
        packs: PackStore,
        care: ZoneCare,
        scrubbing: Scrubbing,
        keeping: PackKeeping,
    ) -> None:
        self._volume = volume
        self._keeping = keeping
        self._packs = packs
        self._care = care
        self._scrubbing = scrubbing
        self.last_scrub: Findings | None = None

    async def run(self) -> None:
        """Never returns; cancel it."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._look_after_zones)
            nursery.start_soon(self._scrub)
            nursery.start_soon(self._keep_packs)
            nursery.start_soon(self._sweep)

    async def _sweep(self) -> None:
        """Once: what a kill cut off in a zone was left by the process before this one."""
        try:
            left = await self._volume.durability.wait_blocking(self._volume.zones.sweep)
        except S3fsLocalError as error:
            logger.warning("what killed writes left in zones is not removed: %s", error)
        else:
            if left:
                logger.info("removed what %d killed writes had left in zones", left)

    async def _look_after_zones(self) -> None:
        sleeper = Sleeper(self._volume.use)
        while True:
            zones = self._volume.zones
            try:
                if len(zones.zones) > 1:
                    await self._care.look()
                while self._packs.suspects:
                    await self._scrubbing.mend(self._packs.suspects.pop())
            except S3fsLocalError as error:
                logger.warning("looking after the zones: %s", error)
            has_work = zones.members.is_busy or zones.not_well or self._packs.suspects
            at_most = LOOK_SECONDS if has_work else inf
            await sleeper.sleep(LOOK_SECONDS, at_most=at_most)

    async def _keep_packs(self) -> None:
        """By itself, for a zone may take long to say that it keeps a pack."""
        while True:
            await trio.sleep_until(beat_after(KEEP_INTERVAL_SECONDS))
            try:
                await self._keeping.keep()
            except S3fsLocalError as error:
                logger.warning("packs are not kept as they should be: %s", error)

    async def _scrub(self) -> None:
        while True:
            await trio.sleep_until(beat_after(SCRUB_LOOK_SECONDS))
            settings = self._volume.settings
            if not settings.scrub_interval_ns or self._volume.read_only_reason:
                continue
            before_ns = self._volume.now_ns() - settings.scrub_interval_ns
            try:
                findings = await self._scrubbing.run(
                    before_ns=before_ns, rate_bytes=settings.scrub_rate_bytes
                )
            except S3fsLocalError as error:
                logger.warning("the scrub was broken off: %s", error)
                continue
            if findings.copies:
                self.last_scrub = findings
