"""Who reads the next request: one task does, and replies without a trip through the scheduler.

With a task for each request, or with a lock that tasks hand on, every request would take two trips
through trio's scheduler and epoll, which cost two to four times what the request itself does.

The theory, in five rules:

1. Workers are tasks: each waits until the descriptor is readable, receives one request, runs its
   handler to the reply, and starts again. At most one waits and receives: the *reader*. The others
   are *parked*, or inside a handler that waits. As long as nothing is to be waited for, a worker
   enters no coroutine, from one request to the next.
2. A reader that runs a handler wakes nobody: it will be back at once. So if its handler is going to
   wait, it must first hand over to a parked worker. `ReaderGate.waiting` does so and is the only
   way for a handler to wait; `tests/architecture` keeps it the only one.
3. The reader polls the descriptor itself, and keeps polling for `SPIN_NS` after the last request,
   before it sleeps in trio's epoll. With one CPU the client could not run meanwhile, so there is no
   spinning.
4. A busy reader still lets other tasks run every `FAIR_NS`; every `FAIR_WHILE_WAITED_FOR_NS` while
   a handler waits, because what it waits for may be done and it has a client behind it.
5. A worker that ends, for whatever reason, wakes a parked one. So none is left without a reader,
   and at the end (`stop`, or the kernel hung up) each sees that it is the end and wakes the next.
   Handlers that still wait finish and reply first.
6. Who waits for what may take hours (`waiting_unless_interrupted`) is no worker meanwhile. So any
   number may, and the others are served as if nobody did. Such a wait ends with the loop.
"""

import errno
import os
import select
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import ContextVar
from time import perf_counter_ns
from typing import Any, Final, TypeVar, TypeVarTuple

import trio
import trio.lowlevel

from s3fs_local.errors import CallerInterrupted, MountEnded
from s3fs_local.fuse.answers import Answer
from s3fs_local.fuse.boundary import Refused
from s3fs_local.fuse.connection import Connection, HungUp
from s3fs_local.fuse.protocol import IN_HEADER, UNANSWERED
from s3fs_local.rules.inode import Caller

SPIN_NS: Final = 50_000
FAIR_NS: Final = 2_000_000
FAIR_WHILE_WAITED_FOR_NS: Final = 200_000

IDLE_WORKERS_MAX: Final = 4
"""Workers that stay parked, so that a few parallel fsyncs need not start one each."""

WORKERS_MAX: Final = 400
"""So many requests may wait at once for what takes moments; the next waits unread."""

INTERRUPTS_REMEMBERED: Final = 1000
"""Of requests that did not wait for hours when their caller was sent a signal, but may yet."""

WORKER_NAME: Final = "answering requests"

_handled_request: ContextVar[int] = ContextVar("handled_request")

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class ReaderGate:
    """Who may read the next request. One gate serves one session; make a new one for the next."""

    def __init__(self, *, spin_ns: int | None = None) -> None:
        """`spin_ns`: how long to poll before sleeping; None chooses by the number of CPUs."""
        if spin_ns is None:
            spin_ns = SPIN_NS if len(os.sched_getaffinity(0)) > 1 else 0
        self.spin_ns: Final = spin_ns
        self._is_read = False  # somebody waits for the next request, or is about to
        self._is_over = False
        self._parked: list[trio.lowlevel.Task] = []
        self._workers = 0
        self._waited_for = 0  # handlers inside `waiting`
        self._interruptible: dict[int, trio.CancelScope] = {}  # by the number of the request
        self._interrupted: deque[int] = deque(maxlen=INTERRUPTS_REMEMBERED)
        self._last_yield_ns = 0
        self._descriptor = -1
        self._poll: Callable[[int], list[tuple[int, int]]] = select.poll().poll

    async def waiting(self, wait: Callable[[*Ts], Awaitable[T]], *args: *Ts) -> T:
        """`wait(*args)`, during which other requests are read and served."""
        self._wake_parked()
        self._waited_for += 1
        try:
            return await wait(*args)
        finally:
            self._waited_for -= 1

    async def waiting_unless_interrupted(
        self, wait: Callable[[*Ts], Awaitable[T]], *args: *Ts
    ) -> T:
        """As `waiting`, but for what may take hours: any number may wait so.

        `wait` is cancelled when the caller is sent a signal, and when the loop ends.

        Raises:
            CallerInterrupted: the caller was sent a signal.
            MountEnded: the loop ends.
        """
        request = _handled_request.get()
        self._wake_parked()
        self._workers -= 1
        try:
            with trio.CancelScope() as scope:
                self._interruptible[request] = scope
                if self._is_over or request in self._interrupted:
                    scope.cancel()
                return await wait(*args)
        finally:
            del self._interruptible[request]
            self._workers += 1
        if self._is_over:
            raise MountEnded
        raise CallerInterrupted

    def interrupt(self, request: int) -> None:
        """The caller of the request of that unique number was sent a signal."""
        scope = self._interruptible.get(request)
        if scope is None:
            self._interrupted.append(request)
        else:
            scope.cancel()

    @property
    def is_idle(self) -> bool:
        """Whether no handler waits, and no other request has come yet."""
        return not self._waited_for and not self._poll(0)

    async def serve(
        self,
        connection: Connection,
        answers: dict[int, Answer],
        *,
        workers_max: int = WORKERS_MAX,
        idle_max: int = IDLE_WORKERS_MAX,
    ) -> None:
        """Answers requests until the kernel hangs up, or until `stop`.

        Whatever a handler raises but `Refused` ends it, and is raised.
        """
        poller = select.poll()
        poller.register(connection.descriptor, select.POLLIN)
        self._poll = poller.poll
        self._descriptor = connection.descriptor
        async with trio.open_nursery() as nursery:
            self._start_worker(nursery, connection, answers, workers_max, idle_max)

    def stop(self) -> None:
        """No further request is read; those that are being handled are answered."""
        self._end()
        if self._descriptor >= 0:
            trio.lowlevel.notify_closing(self._descriptor)

    def _end(self) -> None:
        """Nobody reads any more, and nobody waits for hours."""
        self._is_over = True
        for scope in self._interruptible.values():
            scope.cancel()

    def _start_worker(
        self,
        nursery: trio.Nursery,
        connection: Connection,
        answers: dict[int, Answer],
        workers_max: int,
        idle_max: int,
    ) -> None:
        async def work() -> None:
            try:
                while not self._is_over and len(self._parked) <= idle_max:
                    length = self._spin(connection) or await self._next_request(connection)
                    if self._lacks_reader and self._workers < workers_max:
                        self._start_worker(nursery, connection, answers, workers_max, idle_max)
                    if length:
                        later = _answer(connection, answers, length)
                        if later is not None:
                            await later
            finally:
                self._workers -= 1
                self._wake_parked()

        self._workers += 1
        nursery.start_soon(work, name=WORKER_NAME)

    @property
    def _lacks_reader(self) -> bool:
        """Whether all other workers are in handlers that wait, and requests may still come.

        Workers that were started count, though they have not run: they will read, or park.
        """
        return self._workers - self._waited_for <= 1 and not self._is_over

    def _spin(self, connection: Connection) -> int:
        """The length of a request that comes at once; 0: it must be waited for, or others run."""
        now_ns = perf_counter_ns()
        if self._is_read or self._is_over or self._owes_turn(now_ns):
            return 0
        # Beside one busy program the next is mostly there already: a system call less to find out.
        length = self._receive(connection)
        if length:
            return length
        spin_until_ns = now_ns + self.spin_ns
        while not self._poll(0):
            if perf_counter_ns() >= spin_until_ns:
                return 0
        return self._receive(connection)

    async def _next_request(self, connection: Connection) -> int:
        """The length of a request, once it is this worker's turn to read; 0: there was none."""
        while self._is_read:
            await self._park()
        self._is_read = True
        try:
            if self._is_over:
                return 0
            if self._owes_turn(perf_counter_ns()):
                await trio.lowlevel.checkpoint()
                self._last_yield_ns = perf_counter_ns()
                return 0
            if not self._poll(0):
                await trio.lowlevel.wait_readable(self._descriptor)
                self._last_yield_ns = perf_counter_ns()
            return self._receive(connection)
        except trio.ClosedResourceError:  # `stop` was called meanwhile
            self._is_over = True
            return 0
        finally:
            self._is_read = False

    def _owes_turn(self, now_ns: int) -> bool:
        """Whether other tasks have waited for long enough."""
        fair_ns = FAIR_WHILE_WAITED_FOR_NS if self._waited_for else FAIR_NS
        return now_ns - self._last_yield_ns > fair_ns

    def _receive(self, connection: Connection) -> int:
        """The length of the request that is there; 0: it was withdrawn, or there will be none."""
        try:
            return connection.receive()
        except HungUp:
            self._end()
            return 0

    async def _park(self) -> None:
        task = trio.lowlevel.current_task()
        self._parked.append(task)

        def abort(_raise_cancel: object) -> trio.lowlevel.Abort:
            self._parked.remove(task)
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)

    def _wake_parked(self) -> None:
        if self._parked and not self._is_read:
            # The last to park is the one whose memory is still in the CPU's cache.
            trio.lowlevel.reschedule(self._parked.pop())


def _answer(
    connection: Connection, answers: dict[int, Answer], length: int
) -> Coroutine[Any, Any, None] | None:
    """The request in the connection's buffer has its reply; or will, when what is returned ends."""
    request = connection.request[:length]
    _, opcode, unique, node, uid, gid, pid, _, _ = IN_HEADER.unpack_from(request)
    answer = answers.get(opcode)
    if answer is None:
        if opcode not in UNANSWERED:
            connection.refuse(unique, errno.ENOSYS)
        return None
    try:
        body = answer(node, Caller(uid, gid, pid), request)
    except Refused as refusal:
        connection.refuse(unique, refusal.number)
        return None
    if isinstance(body, bytes):
        if opcode not in UNANSWERED:
            connection.reply(unique, body)
    elif isinstance(body, int):
        connection.refuse(unique, body)
    else:
        return _answer_later(connection, unique, body)
    return None


async def _answer_later(
    connection: Connection, unique: int, answering: Coroutine[Any, Any, bytes]
) -> None:
    """The request has its reply, when its handler has waited for whatever it needs."""
    _handled_request.set(unique)
    try:
        body = await answering
    except Refused as refusal:
        connection.refuse(unique, refusal.number)
    else:
        connection.reply(unique, body)
