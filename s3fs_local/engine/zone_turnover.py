"""Which zones a store in use has: one comes, one goes, and each instant is whole.

The order keeps a crash harmless: a zone that has nothing yet is known as behind before it is known
at all, and so is one that goes, before anything is acknowledged without it.
"""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, Protocol

import trio

from s3fs_local.engine.volume import Volume
from s3fs_local.engine.zone_care import ZoneCare
from s3fs_local.errors import StorageError, TooFewZones
from s3fs_local.objects.zone import Zone

logger = logging.getLogger(__name__)


class Roster(Protocol):
    """Which zones the next process finds the store to have (`store.json`)."""

    async def write(self, zones: Sequence[Zone]) -> None:
        """These, durably, and no others. Raises StorageError: those there were."""
        ...

    async def tell(self) -> None:
        """Every zone that can be told has the roster."""
        ...


class ZoneTurnover:
    """Takes zones into the store that is open, and leaves them out.

    Whoever calls it has its `mutex`: one change at a time, for each begins with the zones that
    there are.
    """

    def __init__(self, volume: Volume, roster: Roster) -> None:
        self.mutex: Final = trio.Lock()
        self._volume = volume
        self._members: Final = volume.zones.members
        self._roster = roster
        self._run_blocking: Final = volume.durability.run_blocking

    async def take_in(self, zone: Zone) -> None:
        """The store has one zone more, durably, known as behind; what grows may grow there, too.

        Raises:
            StorageError: one of the others does not do what it is told; the store has the zones it
                had.
        """
        former = list(self._members.zones)
        self._members.check_may_grow()
        zone.joins = True
        await self._volume.durability.settle()
        await self._drain(former)
        if zone.has_threads:
            for each in former:
                each.use_threads()
        self._members.reopen([*former, zone])
        try:
            await self._volume.durability.begin_anew()
            await self._run_blocking(partial(self._members.record_behind, zone))
            await self._roster.write([*former, zone])
        except BaseException:
            self._members.reopen(former)
            raise
        await self._tell()

    async def remove(self, zone: Zone, care: ZoneCare, *, report: Callable[[int], object]) -> None:
        """The zone is none of the store's any more; what it alone should keep, others have.

        Raises:
            TooFewZones: too few would be left, or copies could not be moved.
            StorageError: one of them does not do what it is told. The store has the zones it had.
        """
        left = [each for each in self._members.zones if each is not zone]
        self._members.check_left(left)
        zone.leaves = True
        try:
            async with care.alone():
                await care.move_away(zone, report=report)
                await self._leave_out(zone, left)
        finally:
            zone.leaves = False
            self._members.recount()
        zone.leave_lanes()

    async def _leave_out(self, zone: Zone, left: list[Zone]) -> None:
        """The store has only the zones `left`, durably, and each of them has everything.

        Not a quorum together with the one that goes: that is suspended first, and until the store
        does not know it any more it is known as behind. So whatever ends this half way, the store
        has the zone, and brings it back.
        """
        members = self._members
        durability = self._volume.durability

        def leave_out() -> None:
            members.check_left(left)  # again: zones may have failed since
            if not members.leave_out(zone):
                raise TooFewZones("no other zone is well any more")

        await durability.settle()
        await self._drain(left)
        await durability.begin_anew(leave_out)
        await self._drain(left)  # what was acknowledged before
        await self._run_blocking(partial(members.record_behind, zone))
        await self._roster.write(left)
        members.reopen(left)
        await self._tell()
        if len(left) == 1:
            await durability.begin_anew()  # without the lanes that several zones need

    async def _drain(self, zones: list[Zone]) -> None:
        for zone in zones:
            if zone.is_well:
                await self._run_blocking(partial(self._members.drain, zone))

    async def _tell(self) -> None:
        """Every zone has the roster, and knows which of them are behind.

        One that cannot be told now is told when it comes back, or by a scrub: the change is made.
        """
        try:
            await self._run_blocking(self._members.record_changes)
        except StorageError as error:
            logger.warning("not all zones were told which are behind: %s", error)
        await self._roster.tell()
