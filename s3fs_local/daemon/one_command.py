"""A command on a store that is not mounted: opened, asked, closed, in this process."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import trio
from msgspec import Struct

from s3fs_local.control.commands import carry_out
from s3fs_local.control.context import Context
from s3fs_local.control.protocol import Progress
from s3fs_local.control.requests import Request
from s3fs_local.control.server import Outlet
from s3fs_local.daemon.assembly import OpenStore, open_store
from s3fs_local.daemon.description import describe
from s3fs_local.daemon.inspectors import register_inspectors
from s3fs_local.daemon.unlocking import Unlocking
from s3fs_local.rules.inode import Caller


class _Callbacks(Struct, frozen=True):
    """An `Outlet` that calls functions."""

    on_progress: Callable[[Progress], None]
    on_data: Callable[[bytes], Any]

    async def progress(self, what: str, *, done: int, total: int = 0) -> None:
        self.on_progress(Progress(what=what, done=done, total=total))
        await trio.lowlevel.checkpoint()

    async def data(self, chunk: bytes) -> None:
        self.on_data(chunk)
        await trio.lowlevel.checkpoint()


def run_one_command(
    store: Path,
    request: Request,
    *,
    unlocking: Unlocking,
    on_progress: Callable[[Progress], None],
    on_data: Callable[[bytes], Any],
) -> object:
    """What came of the request, as it would come over the control socket.

    Raises:
        S3fsLocalError: whatever kept the store from opening, or the command met.
    """
    return trio.run(_run, store, request, unlocking, _Callbacks(on_progress, on_data))


async def _run(path: Path, request: Request, unlocking: Unlocking, callbacks: _Callbacks) -> object:
    async with open_store(path, unlocking) as store:
        register_inspectors(store, mount_point=None)
        return await carry_out(request, own_context(store, callbacks))


def own_context(store: OpenStore, outlet: Outlet) -> Context:
    """Who runs this process asks the store that it has open."""
    return Context(
        filesystem=store.filesystem,
        caller=Caller(uid=os.getuid(), gid=os.getgid(), pid=os.getpid()),
        outlet=outlet,
        describe=lambda: describe(store),
        zoning=store.zoning,
        following=store.following,
    )
