"""Tells the kernel what it must not believe any more.

The kernel takes a directory's or an inode's mutex to forget something, and a request in progress
may hold that mutex until the loop has answered it. So the telling runs in a thread, never on the
loop, and a handler does not wait for it.
"""

import errno
import logging
from typing import Final

import trio

from s3fs_local.fuse.connection import Connection

log = logging.getLogger(__name__)

_OF_NO_CONCERN: Final = frozenset(
    {
        errno.ENOENT,  # the kernel did not know it
        errno.ENOTCONN,  # from here on: unmounted meanwhile
        errno.ENODEV,
        errno.ECONNABORTED,
        errno.EBADF,
    }
)


class _Batch:
    """What is told together, each thing once: so it is bounded by what the kernel can cache."""

    def __init__(self) -> None:
        self.items: dict[tuple[int, bytes | None], None] = {}
        self.told = trio.Event()


class Invalidator:
    """Collects what has changed from elsewhere, and tells the kernel in the background.

    All methods are called from the event loop. While no session runs nothing is cached, and they do
    nothing.
    """

    def __init__(self) -> None:
        self._running = False
        self._telling: _Batch | None = None
        self._collecting = _Batch()
        self._work_to_do = trio.Event()

    def inode(self, ino: int) -> None:
        """The kernel will write back the inode's dirty pages, then forget all it cached of it."""
        self._add((ino, None))

    def entry(self, parent: int, name: bytes) -> None:
        """The kernel will forget what the name means, or that it means nothing."""
        self._add((parent, name))

    def _add(self, item: tuple[int, bytes | None]) -> None:
        if self._running:
            self._collecting.items[item] = None
            self._work_to_do.set()

    async def settled(self) -> None:
        """Everything added so far has been told.

        In a handler only through the gate; and not if it holds up a request for the same inode.
        """
        if self._running and self._collecting.items:
            await self._collecting.told.wait()
        elif self._telling is not None:
            await self._telling.told.wait()

    @property
    def is_telling(self) -> bool:
        """Whether the thread is in the kernel now, perhaps waiting for an answer of ours."""
        return self._telling is not None

    async def run(self, connection: Connection) -> None:
        """Tells, until `stop`; then what was collected before is told still."""
        self._running = True
        try:
            while self._running or self._collecting.items:
                await self._work_to_do.wait()
                await self._tell_batch(connection)
        finally:
            self._running = False
            self._collecting.told.set()

    def stop(self) -> None:
        """`run` ends when all is told; nothing more is taken."""
        self._running = False
        self._work_to_do.set()

    async def _tell_batch(self, connection: Connection) -> None:
        batch, self._collecting = self._collecting, _Batch()
        if self._running:
            self._work_to_do = trio.Event()
        self._telling = batch
        try:
            await trio.to_thread.run_sync(_tell, connection, list(batch.items))
        finally:
            self._telling = None
            batch.told.set()


def _tell(connection: Connection, items: list[tuple[int, bytes | None]]) -> None:
    for number, name in items:
        try:
            if name is None:
                connection.invalidate_inode(number)
            else:
                connection.invalidate_entry(number, name)
        except OSError as error:
            if error.errno not in _OF_NO_CONCERN:
                log.warning("the kernel could not be told of %d %r: %s", number, name, error)
