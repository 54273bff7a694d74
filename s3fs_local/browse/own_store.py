"""A store that is not mounted, open in this process while somebody looks at it.

Opening takes a moment, so the store stays open for a while after each question. It does not stay
longer: who wants to mount it meanwhile shall be able to.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import trio

from s3fs_local.daemon.assembly import OpenStore, open_store
from s3fs_local.daemon.inspectors import register_inspectors
from s3fs_local.daemon.unlocking import Unlocking

IDLE_SECONDS: Final = 10.0


class OwnStore:
    """Opened when it is used, closed when it was not used for `idle_seconds`."""

    def __init__(
        self,
        path: Path,
        unlocking: Unlocking,
        nursery: trio.Nursery,
        *,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        """The task that has it open runs in the nursery."""
        self._path: Final = path
        self._unlocking: Final = unlocking
        self._nursery: Final = nursery
        self._idle_seconds: Final = idle_seconds
        self._changing: Final = trio.Lock()  # held while it is being opened or closed
        self._store: OpenStore | None = None
        self._users = 0
        self._uses = 0

    @asynccontextmanager
    async def in_use(self) -> AsyncIterator[OpenStore]:
        """The open store for the time of the block. Raises as `open_store`."""
        async with self._changing:
            if self._store is None:
                self._store = await self._nursery.start(self._keep_open)
            store = self._store
            self._users += 1
            self._uses += 1
        try:
            yield store
        finally:
            self._users -= 1

    async def _keep_open(self, task_status: trio.TaskStatus[OpenStore]) -> None:
        async with open_store(self._path, self._unlocking) as store:
            register_inspectors(store, mount_point=None)
            task_status.started(store)
            await self._until_idle()
            self._store = None
        self._changing.release()

    async def _until_idle(self) -> None:
        """Returns with the mutex in hand."""
        while True:
            uses = self._uses
            await trio.sleep(self._idle_seconds)
            await self._changing.acquire()
            if uses == self._uses and not self._users:
                return
            self._changing.release()
