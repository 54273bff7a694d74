"""Where the calls to one zone run: one after the other, in a thread of their own or at once.

A lane keeps the order of what is handed to it, so a zone that was late is never wrong. Its thread
is a daemon: a call that hangs for ever keeps nobody from exiting.
"""

from collections.abc import Callable
from queue import SimpleQueue
from threading import Lock, Thread
from time import monotonic
from typing import Final, Protocol

Work = Callable[[], None]
"""Does one thing and tells whoever waits; raises nothing."""

READERS: Final = 4
"""Threads that read from one zone: enough for readahead, few enough for one disk."""


class Lane(Protocol):
    """Runs calls to one zone."""

    def submit(self, work: Work, size_bytes: int = 0) -> None:
        """The work is done after all that was submitted before it, unless the lane is left."""
        ...

    def leave(self) -> None:
        """What was not begun yet never will be."""
        ...

    @property
    def waiting_bytes(self) -> int:
        """Bytes that were submitted and not done yet."""
        ...

    @property
    def busy_seconds(self) -> float:
        """How long the call that runs now has been running; 0 while none does."""
        ...


class DirectLane:
    """Does everything at once, in the caller's thread: memory, and tests that replay a seed."""

    waiting_bytes = 0
    busy_seconds = 0.0

    def submit(self, work: Work, size_bytes: int = 0) -> None:
        """See `Lane`."""
        del size_bytes
        work()

    def leave(self) -> None:
        """Nothing ever waits here."""


class ThreadLane:
    """One thread, or for reads a few, which take work from one queue."""

    def __init__(self, name: str, *, threads: int = 1) -> None:
        self._name = name
        self._queue: SimpleQueue[tuple[Work, int] | None] = SimpleQueue()
        self._threads_max = threads
        self._threads: list[Thread] = []
        self._begun: dict[int, float] = {}  # when the call began, by number of the thread
        self._is_left = False
        self._waiting_bytes = 0
        self._waiting = 0
        self._mutex = Lock()  # around the numbers

    @property
    def waiting_bytes(self) -> int:
        """See `Lane`."""
        return self._waiting_bytes

    @property
    def busy_seconds(self) -> float:
        """See `Lane`; of the call that has been running longest."""
        with self._mutex:
            begun = min(self._begun.values(), default=None)
        return 0.0 if begun is None else monotonic() - begun

    def submit(self, work: Work, size_bytes: int = 0) -> None:
        """See `Lane`."""
        with self._mutex:
            self._waiting += 1
            self._waiting_bytes += size_bytes
            begins = (
                not self._is_left
                and len(self._threads) < self._threads_max
                and self._waiting + len(self._begun) > len(self._threads)
            )
            if begins:
                number = len(self._threads)
                thread = Thread(
                    target=self._run, args=(number,), name=f"{self._name}-{number}", daemon=True
                )
                self._threads.append(thread)
        self._queue.put((work, size_bytes))
        if begins:
            thread.start()

    def leave(self) -> None:
        """See `Lane`; its threads end with the calls that they are in."""
        with self._mutex:
            self._is_left = True
            threads = len(self._threads)
        for _ in range(threads):
            self._queue.put(None)

    @property
    def is_busy(self) -> bool:
        """Whether a call runs, or will."""
        with self._mutex:
            return bool(self._begun) or (self._waiting > 0 and not self._is_left)

    def _run(self, number: int) -> None:
        while (item := self._queue.get()) is not None:
            work, size_bytes = item
            with self._mutex:
                self._waiting -= 1
                skips = self._is_left
                if not skips:
                    self._begun[number] = monotonic()
            try:
                if not skips:
                    work()
            finally:
                del work, item  # a thread that waits holds no bytes
                with self._mutex:
                    self._begun.pop(number, None)
                    self._waiting_bytes -= size_bytes
