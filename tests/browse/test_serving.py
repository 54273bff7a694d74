"""The server of the pages, asked through real connections."""

import socket

import trio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from trio.testing import MockClock, wait_all_tasks_blocked

from s3fs_local.browse.serving import LOOPBACK, serve_on

BROWSER_KEEPS_SECONDS = 300


async def test_a_browser_ends_an_idle_connection_not_we(mock_clock: MockClock) -> None:
    """At the end of ours a form could be carried out unanswered, and be sent again."""
    application = Starlette(routes=[Route("/", _here)])
    async with trio.open_nursery() as nursery:
        listener = socket.create_server((LOOPBACK, 0))
        port = listener.getsockname()[1]
        await nursery.start(serve_on, listener, application)
        async with await trio.open_tcp_stream(LOOPBACK, port) as connection:
            assert await _asked(connection) == b"here"
            await wait_all_tasks_blocked()  # it is idle for the server too
            mock_clock.jump(BROWSER_KEEPS_SECONDS)
            await wait_all_tasks_blocked()
            assert await _asked(connection) == b"here"
        nursery.cancel_scope.cancel()


async def _here(_: Request) -> Response:
    return PlainTextResponse("here")


async def _asked(connection: trio.SocketStream) -> bytes:
    """The body of what is answered; empty where nothing is."""
    await connection.send_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
    received = b""
    while not received.endswith(b"here"):
        piece = await connection.receive_some()
        if not piece:
            break
        received += piece
    return received.partition(b"\r\n\r\n")[2]
