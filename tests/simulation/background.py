"""Work that a store does by itself, stopped wherever it lets others go on.

A task stops before and after each call that would block. Whoever drives the simulation lets one of
them go on at a time, so an interleaving is data like any other operation, and shrinks. A process
that dies takes its tasks along: none of them does anything more.
"""

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any, Final

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

STEPS_MAX: Final = 20_000
"""Work that is not done after so many steps never will be."""
LONG_SECONDS: Final = 1e6
"""All who sleep wake up."""

Work = Callable[[], Awaitable[object]]


class Died(BaseException):
    """The process is gone, in the middle of whatever it did."""


class Process:
    """One life of the daemon, which may end at any call to a zone."""

    def __init__(self) -> None:
        self.is_over = False
        self.calls_left: int | None = None  # it dies at the call after so many

    def check(self) -> None:
        """It lives. Raises Died."""
        if self.is_over:
            raise Died

    def count(self) -> None:
        """A zone is called."""
        if self.calls_left is not None:
            self.is_over = self.is_over or self.calls_left <= 0
            self.calls_left -= 1
        self.check()


_process: ContextVar[Process | None] = ContextVar("process", default=None)


class Background:
    """The tasks that run beside the operations of a history."""

    def __init__(self, nursery: trio.Nursery, clock: MockClock) -> None:
        self._nursery = nursery
        self._clock = clock
        self._paused: list[trio.Event] = []
        self._scopes: list[trio.CancelScope] = []
        self.running: list[str] = []  # by name
        self.failures: list[tuple[str, Exception]] = []

    async def run_blocking(self, function: Callable[[], Any]) -> Any:  # noqa: ANN401 - passes on
        """What the function returns: at once, or for a task when it is let go on."""
        process = _process.get()
        if process is None:
            return function()
        await self._pause(process)
        result = function()
        await self._pause(process)
        return result

    async def _pause(self, process: Process) -> None:
        process.check()
        event = trio.Event()
        self._paused.append(event)
        await event.wait()
        process.check()

    async def start(self, name: str, work: Work, process: Process) -> None:
        """The work was begun, and goes on when it is let."""
        self.running.append(name)
        self._nursery.start_soon(self._run, name, work, process)
        await wait_all_tasks_blocked()

    async def _run(self, name: str, work: Work, process: Process) -> None:
        _process.set(process)
        try:
            with trio.CancelScope() as scope:
                self._scopes.append(scope)
                await self._pause(process)
                await work()
        except Died:
            pass
        except Exception as error:  # noqa: BLE001 - whoever drives the simulation judges it
            self.failures.append((name, error))
        finally:
            self.running.remove(name)
            self._scopes.remove(scope)

    async def go_on(self, choice: int) -> None:
        """One of the tasks went on until it stopped again, or those that sleep did."""
        sleeping = len(self.running) > len(self._paused)
        choices = len(self._paused) + sleeping
        if not choices:
            return
        index = choice % choices
        if index < len(self._paused):
            self._paused.pop(index).set()
        else:
            self._clock.jump(LONG_SECONDS)
        await wait_all_tasks_blocked()

    async def finish(self) -> None:
        """All that was begun is done."""
        for _ in range(STEPS_MAX):
            if not self.running:
                return
            await self.go_on(0)
        raise AssertionError(f"never done: {self.running}")

    async def _begun(self, work: Work) -> list[Exception | None]:
        """The work has begun, until it waits; how it ends is in the list once it has."""
        ended: list[Exception | None] = []

        async def run() -> None:
            try:
                await work()
            except Exception as error:  # noqa: BLE001 - raised by whoever waits for the end
                ended.append(error)
            else:
                ended.append(None)

        self._nursery.start_soon(run)
        await wait_all_tasks_blocked()
        return ended

    async def beside(self, work: Work) -> None:
        """The work is done at once; the tasks that it waits for go on as far as they must."""
        if not self.running:
            await work()
            return
        ended = await self._begun(work)
        for _ in range(STEPS_MAX):
            if ended:
                break
            await self.go_on(0)
        (error,) = ended
        if error is not None:
            raise error

    async def patiently(self, work: Work) -> None:
        """The work is done, or has waited in vain: nobody else does anything meanwhile."""
        ended = await self._begun(work)
        if not ended:
            self._clock.jump(LONG_SECONDS)
            await wait_all_tasks_blocked()
        (error,) = ended
        if error is not None:
            raise error

    async def die(self, process: Process) -> None:
        """The process is gone with all that it was at."""
        process.is_over = True
        for event in self._paused:
            event.set()
        self._paused.clear()
        for scope in list(self._scopes):
            scope.cancel()
        await wait_all_tasks_blocked()
        assert not self.running, f"outlived its process: {self.running}"
        self.failures.clear()
