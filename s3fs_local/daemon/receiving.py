"""A process that has a store open for its source only: not mounted, but it answers commands.

The source starts it where nobody has the store open, and it ends when no source has spoken to it
for a while, or when somebody would like to mount the store (`MakeRoom`).
"""

import logging
import os
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

import trio

from s3fs_local import errors
from s3fs_local.control.client import connect
from s3fs_local.control.commands import carry_out
from s3fs_local.control.context import Context
from s3fs_local.control.protocol import SOCKET_NAME
from s3fs_local.control.receiving import receive
from s3fs_local.control.requests import MakeRoom, Request, Unmount
from s3fs_local.control.server import Outlet, listening_socket, serve
from s3fs_local.daemon.assembly import OpenStore, open_store
from s3fs_local.daemon.background_work import start_background_work
from s3fs_local.daemon.description import describe
from s3fs_local.daemon.inspectors import register_inspectors
from s3fs_local.daemon.layout import OWNER_LOCK_NAME
from s3fs_local.daemon.log_setup import LOG_NAME, log_to_file, log_to_stderr
from s3fs_local.daemon.readiness import Readiness
from s3fs_local.daemon.unlocking import Unlocking
from s3fs_local.rules.inode import Caller
from s3fs_local.system.durable_files import OwnerLock
from s3fs_local.system.heap import prepare_heap
from s3fs_local.workers.tending import Tending

log = logging.getLogger(__name__)

IDLE_SECONDS: Final = 5.0
"""So long it waits for the next source, or the same one again."""
ROOM_SECONDS_MAX: Final = 60.0
"""So long whoever wants to mount waits for it to let go."""
LETTING_GO_SECONDS_MAX: Final = 5.0
"""So long for a process that has the store and does not listen."""


def receive_and_serve(path: Path, unlocking: Unlocking, *, ready_fd: int | None) -> None:
    """The store was open for its source until nobody needed that, and all is durable.

    Raises:
        S3fsLocalError: it could not be opened, or not everything could be made durable.
    """
    prepare_heap()
    readiness = Readiness(ready_fd)
    try:
        if ready_fd is None:
            log_to_stderr("text")
        else:
            log_to_file(path / LOG_NAME, "text")
        with errors.alone():
            trio.run(_live, path, unlocking, readiness)
    except errors.S3fsLocalError as error:
        if not readiness.is_ready:
            readiness.failed(error)
        raise


async def _live(path: Path, unlocking: Unlocking, readiness: Readiness) -> None:
    async with open_store(path, unlocking) as store:
        register_inspectors(store, mount_point=None)
        desk = _Desk(store)
        accepting = trio.CancelScope()
        async with trio.open_nursery() as nursery:
            start_background_work(nursery, store, Tending(store.filesystem))
            listener = listening_socket(path)
            served = partial(
                serve, listener, desk.answer, accepting=accepting, receive=desk.receive
            )
            await nursery.start(served)
            readiness.ready(f"{path} is open for its source")
            log.info("the store is open for its source, process %d", os.getpid())
            await desk.until_unneeded()
            (path / SOCKET_NAME).unlink(missing_ok=True)
            nursery.cancel_scope.cancel()
    log.info("the store is closed, everything is durable")


class _Desk:
    """Answers the control socket, and counts who needs the process."""

    def __init__(self, store: OpenStore) -> None:
        self._store = store
        self._users = 0
        self._changed = trio.Event()
        self._makes_room = False

    async def answer(self, request: Request, caller: Caller, outlet: Outlet) -> object:
        """What came of the request. Raises S3fsLocalError."""
        if isinstance(request, MakeRoom):
            self._makes_room = True
            self._changed.set()
            return {}
        if isinstance(request, Unmount):
            raise errors.NotMounted("the store is not mounted")
        store = self._store
        store.filesystem.volume.use.note()
        context = Context(
            filesystem=store.filesystem,
            caller=caller,
            outlet=outlet,
            describe=lambda: describe(store),
            zoning=store.zoning,
            following=store.following,
        )
        self._users += 1
        try:
            return await carry_out(request, context)
        finally:
            self._leave()

    async def receive(self, stream: trio.SocketStream, caller: Caller) -> None:
        """A source speaks."""
        self._users += 1
        try:
            store_id = bytes.fromhex(self._store.record.store_id)
            await receive(stream, caller, self._store.filesystem, store_id)
        finally:
            self._leave()

    def _leave(self) -> None:
        self._users -= 1
        self._changed.set()

    async def until_unneeded(self) -> None:
        """Nobody needs the process any more, or somebody else needs the store."""
        while not self._makes_room:
            self._changed = trio.Event()
            if self._users:
                await self._changed.wait()
                continue
            with trio.move_on_after(IDLE_SECONDS) as waiting:
                await self._changed.wait()
            if waiting.cancelled_caught and not self._users:
                return


def make_room(store: Path) -> None:
    """A process that has the store open for a source only has let go of it. Blocks.

    One that has just begun, or is about to end, does not listen: it is waited for a moment. One
    that has it mounted stays; whoever opens the store is told.
    """
    deadline = time.monotonic() + LETTING_GO_SECONDS_MAX
    while not _asked_for_room(store) and _is_owned(store) and time.monotonic() < deadline:
        time.sleep(0.05)  # noqa: TID251  in a thread


def _asked_for_room(store: Path) -> bool:
    """Whether somebody listened; by now it has ended, or it stays."""
    try:
        client = connect(store)
    except (errors.S3fsLocalError, OSError):
        return True
    if client is None:
        return False
    with client, suppress(errors.S3fsLocalError):
        client.ask_to_end(MakeRoom(), seconds_max=ROOM_SECONDS_MAX)
    return True


def _is_owned(store: Path) -> bool:
    lock = store / OWNER_LOCK_NAME
    with suppress(OSError, errors.S3fsLocalError):  # whoever opens the store is told
        # Nothing is left behind in what is no store.
        return lock.exists() and OwnerLock.refusal(lock) is not None
    return False
