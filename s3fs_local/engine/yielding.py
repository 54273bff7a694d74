"""Background work yields to programs that use the mount.

Each background task has a `Turn`, and asks it between two of its steps: `await turn.over()`. While
programs use the mount, it returns after a rest that `rules/yielding.py` says; all tasks of a share
rest in one queue, so that it does not matter how many there are. While nobody uses it, nothing
rests, and what began to rest before goes on.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, TypeVar

import trio

from s3fs_local.engine.use import Use
from s3fs_local.rules.instants import SECOND_NS
from s3fs_local.rules.yielding import (
    QUIET_S,
    SHARE,
    SHARE_FOR_A_PERSON,
    WHOLE,
    is_in_use,
    piece_bytes,
    rest_s,
    share,
)
from s3fs_local.system.clock import boottime_ns

T = TypeVar("T")

STEP_ITEMS: Final = 64
"""What is gathered in one step: a millisecond or two."""


def never_late() -> float:
    """Nobody waits for the result."""
    return 0.0


def pieces(
    items: Sequence[T], bytes_of: Callable[[T], int], limit_bytes: Callable[[], int]
) -> Iterator[list[T]]:
    """The items in their order, in pieces of at most so many bytes, or of one item that has more.

    The limit is asked for each piece when it begins.
    """
    piece: list[T] = []
    left = 0
    for item in items:
        size = bytes_of(item)
        if piece and size > left:
            yield piece
            piece = []
        if not piece:
            left = limit_bytes()
        piece.append(item)
        left -= size
    if piece:
        yield piece


async def gathered(items: Iterable[T]) -> list[T]:
    """All of the items, which are looked up as they are asked for; others are served meanwhile."""
    found = []
    for item in items:
        found.append(item)
        if len(found) % STEP_ITEMS == 0:
            await trio.lowlevel.checkpoint()
    return found


class _Rests:
    """What all work of one share owes."""

    __slots__ = ("free_s", "owed_s")

    def __init__(self) -> None:
        self.owed_s = 0.0  # that was taken since the last rest
        self.free_s = 0.0  # when the rests so far end, by the event loop's clock


class Yielding:
    """What background work of one open store has taken, and when it may go on."""

    def __init__(self, use: Use, uptime_ns: Callable[[], int] = boottime_ns) -> None:
        """`uptime_ns` gives the clock by which requests are noted."""
        self._use = use
        self._uptime_ns = uptime_ns
        self._rests: dict[float, _Rests] = {}  # by share
        self._asked_s: list[float] = []  # since when persons wait for bytes that move

    @property
    def is_in_use(self) -> bool:
        """Whether programs use the mount now."""
        return is_in_use((self._uptime_ns() - self._use.requested_ns) / SECOND_NS)

    def piece_bytes(self) -> int:
        """How much one step should read now."""
        return piece_bytes(in_use=self.is_in_use)

    def turn(self, late_s: Callable[[], float] = never_late) -> "Turn":
        """For one task. `late_s`: how long somebody waits for its result by now."""
        return Turn(self, lambda: share(late_s(), WHOLE))

    def turn_of_mover(self, late_s: Callable[[], float] = never_late) -> "Turn":
        """For one task that moves bytes; `late_s` as for `turn`.

        All of them work alike for the person who waits for one: one has to wait for another.
        """
        return Turn(
            self, lambda: max(share(late_s(), WHOLE), share(self._waited_s(), SHARE_FOR_A_PERSON))
        )

    @contextmanager
    def waited_for(self) -> Iterator[None]:
        """In the block a person waits for bytes to move."""
        since = trio.current_time()
        self._asked_s.append(since)
        try:
            yield
        finally:
            self._asked_s.remove(since)

    def _waited_s(self) -> float:
        return trio.current_time() - min(self._asked_s) if self._asked_s else 0.0

    async def rest_after(self, took_s: float, of_share: float = SHARE) -> None:
        """A step of work of that share took so long, and the next one may begin."""
        rests = self._rests.setdefault(of_share, _Rests())
        rests.owed_s += took_s
        rest = rest_s(rests.owed_s, of_share) if self.is_in_use else 0.0
        if not rest:
            await trio.lowlevel.checkpoint()
            return
        rests.owed_s = 0.0
        until = rests.free_s = max(rests.free_s, trio.current_time()) + rest
        while (left := until - trio.current_time()) > 0:
            await trio.sleep(min(left, QUIET_S))
            if not self.is_in_use:
                rests.free_s = 0.0
                return


class Turn:
    """What one task takes. Turns do not nest: who calls another with a turn passes its own on."""

    __slots__ = ("_began_s", "_share", "_waited_s", "_yielding")

    def __init__(self, yielding: Yielding, share_now: Callable[[], float]) -> None:
        self._yielding = yielding
        self._share = share_now
        self.begin()

    def begin(self) -> None:
        """What passed so far was not taken: the task begins with something new."""
        self._began_s, self._waited_s = trio.current_time(), 0.0

    async def over(self) -> None:
        """A step is done, and the next may begin. A cancellation point."""
        took_s = trio.current_time() - self._began_s - self._waited_s
        of_share = self._share()
        if of_share < WHOLE:
            await self._yielding.rest_after(took_s, of_share)
        else:
            await trio.lowlevel.checkpoint()
        self.begin()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """What passes in the block is not taken by the task: it waits for somebody else."""
        since = trio.current_time()
        try:
            yield
        finally:
            self._waited_s += trio.current_time() - since
