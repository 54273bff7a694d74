"""What commands about zones may use: what the daemon put together for them."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from msgspec import Struct

from s3fs_local.engine.scrubbing import Scrubbing
from s3fs_local.engine.zone_care import ZoneCare
from s3fs_local.objects.zone import Zone


class ChangesOfZones(Protocol):
    """Who changes which zones a store has; see `daemon/zone_changes.py`."""

    async def add(self, text: str, care: ZoneCare) -> Zone:
        """The zone is one of the store's."""
        ...

    async def remove(
        self,
        text: str,
        care: ZoneCare,
        *,
        read_copies: Callable[[], Awaitable[object]],
        report: Callable[[int], object],
    ) -> Zone:
        """The zone is none of the store's any more."""
        ...

    async def repair(self, text: str, care: ZoneCare) -> Zone:
        """The zone is whole."""
        ...

    def zone_of(self, text: str, seen_from: str = "") -> Zone:
        """The zone that is named."""
        ...


class Zoning(Struct, frozen=True):
    """Care, reading and changes of the zones of one open store."""

    care: ZoneCare
    scrubbing: Scrubbing
    changes: ChangesOfZones
    check_metadata: Callable[[], list[str]]
