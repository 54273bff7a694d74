"""The pages on a port of this machine, until somebody ends it."""

import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, cast

import trio
from hypercorn.config import Config
from hypercorn.trio import serve
from starlette.types import ASGIApp

from s3fs_local.browse.answers import Answers, answer_of
from s3fs_local.browse.application import make_pages
from s3fs_local.browse.entrance import Entrance, new_folder, new_secret
from s3fs_local.browse.own_store import OwnStore
from s3fs_local.daemon.unlocking import Unlocking
from s3fs_local.errors import InvalidArgument
from s3fs_local.system.randomness import SystemRandomness

LOOPBACK: Final = "127.0.0.1"
KEEP_ALIVE_SECONDS: Final = 360.0
"""Of an idle connection: longer than browsers use one again (Firefox 115 s, Chromium 300 s).

So that they end it, not we: a request that came in the moment of our end could be carried out and
not be answered, and a browser may send such a one again (RFC 9110, 9.2.2: for forms it should not).
"""


def run_pages(
    store: Path, unlocking: Unlocking | None, *, port: int, on_ready: Callable[[str], None]
) -> None:
    """Serves the store's pages until SIGINT or SIGTERM; `on_ready` gets the link that lets in.

    `unlocking` opens the store's keys where it is not mounted; None: it is.

    Raises:
        InvalidArgument: the port is taken.
        S3fsLocalError: the store could not be closed cleanly.
    """
    trio.run(_run, store, unlocking, port, on_ready)


async def _run(
    store: Path, unlocking: Unlocking | None, port: int, on_ready: Callable[[str], None]
) -> None:
    randomness = SystemRandomness()
    folder, token = new_folder(randomness), new_secret(randomness)
    with _listening(port) as listener:
        port = listener.getsockname()[1]
        async with trio.open_nursery() as nursery:
            own_store = None if unlocking is None else OwnStore(store, unlocking, nursery)
            entrance = Entrance(
                make_pages(Answers(store, answer_of(store, own_store)), folder),
                port=port,
                folder=folder,
                token=token,
                session=new_secret(randomness),
            )
            await nursery.start(serve_on, listener, entrance)
            with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
                on_ready(f"http://{LOOPBACK}:{port}{folder}/enter?token={token}")
                async for _ in signals:
                    break
            nursery.cancel_scope.cancel()


def _listening(port: int) -> socket.socket:
    try:
        return socket.create_server((LOOPBACK, port))
    except (OSError, OverflowError) as error:
        raise InvalidArgument(f"port {port} cannot be used: {error}") from error


async def serve_on(
    listener: socket.socket,
    application: ASGIApp,
    task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Answers who connects to the listener, which is ours from now on, until cancelled."""
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.accesslog = None
    config.errorlog = None
    config.include_server_header = False
    config.graceful_timeout = 1.0
    config.keep_alive_timeout = KEEP_ALIVE_SECONDS
    # What hypercorn takes is an ASGI application in types of its own.
    await serve(cast("Any", application), config, task_status=task_status, mode="asgi")
