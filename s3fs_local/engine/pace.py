"""How fast background work may go, so that it is not felt."""

from collections.abc import Awaitable, Callable
from math import inf
from typing import Final

import trio

from s3fs_local.engine.yielding import never_late


class Pace:
    """Bytes a second, and turns for everybody else in between."""

    def __init__(
        self,
        bytes_per_second: int = 0,
        *,
        report: Callable[[int], Awaitable[None]] | None = None,
        late_s: Callable[[], float] = never_late,
    ) -> None:
        """`bytes_per_second`: 0 means as fast as it goes; `report` hears of each piece of work.

        `late_s` says how long somebody waits for the end of it by now: see `Yielding.turn`.
        """
        self.bytes_per_second = bytes_per_second
        self.late_s = late_s
        self._report = report

    def waited_for(self) -> "Pace":
        """The same, for work that a program waits for by now: it yields to nobody."""
        return Pace(self.bytes_per_second, report=self._report, late_s=lambda: inf)

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
