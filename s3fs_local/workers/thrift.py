"""Gives memory that was freed back to the machine, which the process would keep for later.

Keeping it makes large blocks quick (`system/heap.py`); but what a verification or a scrub needed
once would stay with the process for good, beside whatever the next one needs elsewhere.
"""

from collections.abc import Callable
from typing import Final

from s3fs_local.engine.durability import run_in_thread
from s3fs_local.engine.use import Sleeper, Use
from s3fs_local.system.heap import give_back_freed_memory

LOOK_S: Final = 10.0
"""It takes a millisecond or two, and what is needed again half of that."""


class Thrift:
    """The background task of one process. It sleeps while nobody uses the store."""

    def __init__(self, use: Use, give_back: Callable[[], None] = give_back_freed_memory) -> None:
        self._sleeper = Sleeper(use)
        self._give_back = give_back

    async def run(self) -> None:
        """Never returns; cancel it.

        Whether much can be given back is not asked: libc does not say, and a process that grew in
        the middle of a scrub looks as if it needed all of that from then on.
        """
        while True:
            await self._sleeper.sleep(LOOK_S)
            await run_in_thread(self._give_back)
