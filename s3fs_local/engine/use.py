"""Whether a store is in use, and how its background tasks sleep.

A task that looks every second whether something is due keeps an idle machine awake. So it looks as
often as it must while the store is used; while nobody uses it, the task sleeps until somebody does,
or to the next *beat*. Beats are the same instants for all tasks, so that they wake the process
once. What is due by a date that is known says so, and is not late by a beat.
"""

from collections.abc import Awaitable, Callable
from math import ceil, inf
from typing import Final

import trio

NEVER_NS: Final = -(1 << 62)
BEAT_S: Final = 10.0
"""So often an idle store looks whether something came from outside, such as a changed date."""


class Use:
    """Tells that somebody uses the store: the kernel, a command, or a change of any origin."""

    __slots__ = ("_again", "_is_waited_for", "count", "requested_ns")

    def __init__(self) -> None:
        self.count = 0
        self.requested_ns = NEVER_NS  # by programs, when last; by the clock of the uptime
        self._again = trio.Event()
        self._is_waited_for = False

    def note(self) -> None:
        """It is used now. Runs at every request and every change, so it costs next to nothing."""
        self.count += 1
        if self._is_waited_for:
            self._is_waited_for = False
            self._again.set()

    async def again(self) -> None:
        """It was used after the call."""
        if not self._is_waited_for:
            self._again = trio.Event()
            self._is_waited_for = True
        await self._again.wait()


class Sleeper:
    """How one background task sleeps."""

    def __init__(self, use: Use) -> None:
        self._use = use
        self._seen = -1  # uses, when it woke last

    async def sleep(
        self,
        seconds: float,
        *,
        at_most: float = inf,
        unless: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        """It is time to look again.

        In use, and within `seconds` after it is used again, that is after `seconds`. Else it is at
        a beat, or after `at_most` seconds, whichever is first. Once `unless` returns it is now.
        """
        if unless is None:
            await self._sleep(seconds, at_most)
            return

        async def sleep() -> None:
            await self._sleep(seconds, at_most)
            nursery.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(sleep)
            await unless()
            nursery.cancel_scope.cancel()

    async def _sleep(self, seconds: float, at_most: float) -> None:
        try:
            if self._use.count == self._seen and at_most > seconds:
                until = min(beat_after(seconds), trio.current_time() + at_most)
                with trio.move_on_at(until):
                    await self._use.again()
                if self._use.count == self._seen:
                    return
            await trio.sleep(seconds)
        finally:
            self._seen = self._use.count


def beat_after(seconds: float) -> float:
    """The first beat that is no sooner, by the event loop's clock."""
    return ceil((trio.current_time() + seconds) / BEAT_S) * BEAT_S
