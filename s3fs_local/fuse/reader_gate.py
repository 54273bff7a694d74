"""Who reads the next request: one task does, and replies without a trip through the scheduler.

pyfuse3 looks its event loop up through the module global `pyfuse3.trio`; its own
`pyfuse3.asyncio.enable()` replaces that global, and so does `ReaderGate.installed`. With plain trio
every request parks and unparks a second worker on a `trio.Lock` and takes two trips through the
scheduler and epoll, which costs two to four times what the request itself does.

The theory, in five rules:

1. Workers are tasks that run pyfuse3's session loop: take the read lock, wait until the descriptor
   is readable, release the lock, receive one request, run its handler to the reply, start again. At
   most one holds the lock: the *reader*. The others are *parked*, or inside a handler that waits.
2. Releasing the lock wakes nobody: the reader will be back at once. So if its handler is going to
   wait, it must first hand over to a parked worker. `ReaderGate.waiting` does so and is the only
   way for a handler to wait; `tests/architecture` keeps it the only one.
3. The reader polls the descriptor itself, and keeps polling for `SPIN_NS` after the last request,
   before it sleeps in trio's epoll. With one CPU the client could not run meanwhile, so there is no
   spinning.
4. A busy reader still lets other tasks run every `FAIR_NS`; every `FAIR_WHILE_WAITED_FOR_NS` while
   a handler waits, because what it waits for may be done and it has a client behind it.
5. A worker that ends, for whatever reason, wakes a parked one. So none is left without a reader,
   and at the end (`pyfuse3.terminate`, or the kernel hung up) each finds the session exited and
   wakes the next. Handlers that still wait finish and reply first.
"""

import os
import select
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from time import perf_counter_ns
from types import SimpleNamespace
from typing import Final, TypeVar, TypeVarTuple

import pyfuse3
import trio
import trio.lowlevel

SPIN_NS: Final = 50_000
FAIR_NS: Final = 2_000_000
FAIR_WHILE_WAITED_FOR_NS: Final = 200_000

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class ReaderGate:
    """Who may read the next request. One gate serves one session; make a new one for the next."""

    def __init__(self, *, spin_ns: int | None = None) -> None:
        """`spin_ns`: how long to poll before sleeping; None chooses by the number of CPUs."""
        if spin_ns is None:
            spin_ns = SPIN_NS if len(os.sched_getaffinity(0)) > 1 else 0
        self.spin_ns: Final = spin_ns
        self._held = False
        self._closing = False
        self._parked: list[trio.lowlevel.Task] = []
        self._waited_for = 0  # handlers inside `waiting`
        self._last_yield_ns = 0
        self._fd = -1
        self._poll: Callable[[int], list[tuple[int, int]]] = select.poll().poll

    async def waiting(self, wait: Callable[[*Ts], Awaitable[T]], *args: *Ts) -> T:
        """`wait(*args)`, during which other requests are read and served."""
        self._wake_parked()
        self._waited_for += 1
        try:
            return await wait(*args)
        finally:
            self._waited_for -= 1

    @property
    def is_idle(self) -> bool:
        """Whether no handler waits, and no other request has come yet."""
        return not self._waited_for and not self._poll(0)

    @contextmanager
    def installed(self) -> Iterator[None]:
        """pyfuse3's sessions that start inside run through this gate; afterwards through trio."""
        setattr(pyfuse3, "trio", self._namespace())  # noqa: B010  the stubs do not know the global
        try:
            yield
        finally:
            setattr(pyfuse3, "trio", trio)  # noqa: B010  as above

    async def __aenter__(self) -> None:
        while self._held:
            await self._park()
        self._held = True

    async def __aexit__(self, *_: object) -> None:
        self._held = False

    def _namespace(self) -> SimpleNamespace:
        """What pyfuse3 3.5 uses of trio, with the lock, the waiting and the workers exchanged."""
        return SimpleNamespace(
            Lock=lambda: self,
            open_nursery=self._open_nursery,
            ClosedResourceError=trio.ClosedResourceError,
            from_thread=trio.from_thread,
            lowlevel=SimpleNamespace(
                wait_readable=self._wait_readable,
                notify_closing=self._notify_closing,
                current_task=trio.lowlevel.current_task,
                current_trio_token=trio.lowlevel.current_trio_token,
            ),
        )

    async def _park(self) -> None:
        task = trio.lowlevel.current_task()
        self._parked.append(task)

        def abort(_raise_cancel: object) -> trio.lowlevel.Abort:
            self._parked.remove(task)
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)

    def _wake_parked(self) -> None:
        if self._parked and not self._held:
            # The last to park is the one whose buffer is still in the CPU's cache.
            trio.lowlevel.reschedule(self._parked.pop())

    def _notify_closing(self, fd: int) -> None:
        self._closing = True
        trio.lowlevel.notify_closing(fd)

    async def _wait_readable(self, fd: int) -> None:
        """The kernel has a request, or hung up, which receiving will tell.

        Raises:
            trio.ClosedResourceError: the session was terminated meanwhile.
        """
        if fd != self._fd:
            self._adopt(fd)
        now_ns = perf_counter_ns()
        fair_ns = FAIR_WHILE_WAITED_FOR_NS if self._waited_for else FAIR_NS
        if now_ns - self._last_yield_ns > fair_ns:
            await trio.lowlevel.checkpoint()
            self._last_yield_ns = now_ns = perf_counter_ns()
        spin_until_ns = now_ns + self.spin_ns
        while not self._poll(0):
            if self._closing:
                raise trio.ClosedResourceError
            if perf_counter_ns() >= spin_until_ns:
                await trio.lowlevel.wait_readable(fd)
                self._last_yield_ns = perf_counter_ns()

    def _adopt(self, fd: int) -> None:
        poller = select.poll()
        poller.register(fd, select.POLLIN)
        self._poll = poller.poll
        self._fd = fd
        # If its caller is killed, a request is withdrawn, perhaps between our poll and pyfuse3's
        # read. That read must not block: it would hold the GIL, and with it every thread, until
        # somebody sends the next request.
        os.set_blocking(fd, False)

    @asynccontextmanager
    async def _open_nursery(self) -> AsyncIterator["_Workers"]:
        async with trio.open_nursery() as nursery:
            yield _Workers(nursery, self._wake_parked)


class _Workers:
    """The nursery pyfuse3 starts its session loops in."""

    def __init__(self, nursery: trio.Nursery, wake_parked: Callable[[], None]) -> None:
        self._nursery = nursery
        self._wake_parked = wake_parked

    def start_soon(
        self, session_loop: Callable[..., Awaitable[None]], *args: object, name: str
    ) -> None:
        self._nursery.start_soon(self._work, session_loop, args, name=name)

    async def _work(
        self, session_loop: Callable[..., Awaitable[None]], args: tuple[object, ...]
    ) -> None:
        try:
            while await self._found_nothing(session_loop, args):
                pass
        finally:
            self._wake_parked()

    async def _found_nothing(
        self, session_loop: Callable[..., Awaitable[None]], args: tuple[object, ...]
    ) -> bool:
        try:
            await session_loop(*args)
        except BlockingIOError:
            return True  # the request was withdrawn; see `_adopt`
        return False
