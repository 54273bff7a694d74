"""Gives memory that was freed back to the machine, which the process would keep for later.

Keeping it makes large blocks quick (`system/heap.py`); but what a verification or a scrub needed
once would stay with the process for good, beside whatever the next one needs elsewhere.
"""

from typing import Final

from s3fs_local.engine.durability import run_in_thread
from s3fs_local.engine.use import Sleeper, Use
from s3fs_local.system.heap import give_back_freed_memory, resident_bytes

LOOK_S: Final = 10.0
GROWTH_BYTES: Final = 8 << 20
"""By so much more than after the last time before it is tried again: it takes a millisecond."""


class Thrift:
    """The background task of one process. It sleeps while nobody uses the store."""

    def __init__(self, use: Use) -> None:
        self._sleeper = Sleeper(use)
        self._least_bytes = resident_bytes()

    async def run(self) -> None:
        """Never returns; cancel it."""
        while True:
            await self._sleeper.sleep(LOOK_S)
            await self.look()

    async def look(self) -> None:
        """If the process has grown by much, it keeps no more than it uses."""
        if resident_bytes() - self._least_bytes >= GROWTH_BYTES:
            await run_in_thread(give_back_freed_memory)
            self._least_bytes = resident_bytes()
