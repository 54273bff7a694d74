"""Answers a monitoring system over HTTP, on a loopback port or a unix socket.

prometheus-client makes the answer, the standard library's server gives it, in a thread of its own:
a slow scraper delays nobody but itself.
"""

import logging
import socket
import socketserver
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, ClassVar, Final, TypeVar
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import trio
from prometheus_client import CollectorRegistry, ProcessCollector, make_wsgi_app

from s3fs_local.daemon.metrics import Measured, StoreCollector
from s3fs_local.daemon.metrics_address import MetricsAddress
from s3fs_local.errors import InvalidMountOption

log = logging.getLogger(__name__)

REQUEST_SECONDS_MAX: Final = 10
_POLL_SECONDS: Final = 0.1
T = TypeVar("T")


class _Handler(WSGIRequestHandler):
    timeout: ClassVar[float | None] = REQUEST_SECONDS_MAX

    def setup(self) -> None:
        """Gives a client of a unix socket, which has no address, one that WSGI can tell."""
        super().setup()
        if self.request.family == socket.AF_UNIX:
            self.client_address = ("local", 0)

    def address_string(self) -> str:
        """As it is: nobody asks the DNS."""
        return str(self.client_address[0])

    def log_message(self, *_: object) -> None:
        """Scrapes are no events."""


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A scraper that went away, or a bug of ours, is a matter for the log."""
        log.warning("a request for metrics failed", exc_info=sys.exception())

    def server_bind(self) -> None:
        """As the base class, which would ask the DNS for our name."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "localhost", 0
        self.setup_environ()


class _UnixServer(_Server):
    address_family: int = socket.AF_UNIX
    allow_reuse_address = False


async def serve_metrics(
    address: MetricsAddress,
    measure: Callable[[], Measured],
    *,
    task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Answers `GET /metrics` until cancelled; has started with where it listens.

    Raises:
        InvalidMountOption: nothing can listen at the address.
    """
    registry = CollectorRegistry()
    registry.register(StoreCollector(_in_loop(measure)))
    ProcessCollector(registry=registry)
    server = _listening(address)
    server.set_app(make_wsgi_app(registry))
    task_status.started(_name_of(server))
    try:
        async with trio.open_nursery() as nursery:
            # Waited for to its end, so no thread of ours outlives the store.
            nursery.start_soon(trio.to_thread.run_sync, server.serve_forever, _POLL_SECONDS)
            try:
                await trio.sleep_forever()
            finally:
                with trio.CancelScope(shield=True):
                    await trio.to_thread.run_sync(server.shutdown)
    finally:
        server.server_close()
        if address.path is not None:
            address.path.unlink(missing_ok=True)


def _listening(address: MetricsAddress) -> _Server:
    try:
        if address.path is None:
            family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
            kind = type("_PortServer", (_Server,), {"address_family": family})
            server: _Server = kind((address.host, address.port), _Handler)
            return server
        with suppress(FileNotFoundError):
            if address.path.is_socket():
                address.path.unlink()  # of a daemon that was killed
        path: Any = str(address.path)  # which typeshed does not know servers to take
        return _UnixServer(path, _Handler)
    except OSError as error:
        where = address.path or f"{address.host}:{address.port}"
        raise InvalidMountOption(
            f"metrics cannot be told at {where}: {error.strerror or error}"
        ) from error


def _name_of(server: _Server) -> str:
    bound = server.socket.getsockname()
    return bound if isinstance(bound, str) else f"http://{bound[0]}:{bound[1]}/metrics"


def _in_loop(measure: Callable[[], T]) -> Callable[[], T | None]:
    """The function, for other threads: it runs in this event loop; None when that has ended."""
    token = trio.lowlevel.current_trio_token()

    def measured() -> T | None:
        with suppress(trio.RunFinishedError, trio.Cancelled):
            return trio.from_thread.run_sync(measure, trio_token=token)
        return None

    return measured
