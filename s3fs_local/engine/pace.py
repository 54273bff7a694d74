"""How fast background work may go, so that it is not felt."""

from collections.abc import Awaitable, Callable
from typing import Final

import trio


class Pace:
    """Bytes a second, and turns for everybody else in between."""

    def __init__(
        self,
        bytes_per_second: int = 0,
        *,
        report: Callable[[int], Awaitable[None]] | None = None,
    ) -> None:
        """`bytes_per_second`: 0 means as fast as it goes; `report` hears of each piece of work."""
        self.bytes_per_second = bytes_per_second
        self._report = report

    async def spend(self, size_bytes: int) -> None:
        """So many bytes were moved; returns when more may be."""
        if self._report is not None:
            await self._report(size_bytes)
        if self.bytes_per_second:
            await trio.sleep(size_bytes / self.bytes_per_second)
        else:
            await trio.lowlevel.checkpoint()


AT_ONCE: Final = Pace()
"""For what somebody waits for."""
