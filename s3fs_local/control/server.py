"""The daemon's end of the control socket.

Only who can enter the store's directory (mode 0700) reaches the socket; the kernel then tells which
process it is. A client can delay nobody but itself: requests are small and must come at once, and
the connections have a bound.
"""

import logging
import os
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final, Protocol

import trio

from s3fs_local import errors
from s3fs_local.control.protocol import (
    HEADER_BYTES,
    INTERNAL_ERROR,
    REQUEST_BYTES_MAX,
    SOCKET_NAME,
    Data,
    Failure,
    Progress,
    Reply,
    Result,
    body_length,
    failure_of,
    frame,
)
from s3fs_local.control.requests import ReceiveReplicas, Request, decode_request
from s3fs_local.control.sockets import address_aside
from s3fs_local.rules.inode import Caller

log = logging.getLogger(__name__)

CONNECTIONS_MAX: Final = 64
"""More people than will ever type at once; beyond it clients wait in the kernel's queue."""
REQUEST_SECONDS_MAX: Final = 10.0
REPLY_SECONDS_MAX: Final = 600.0
"""A reader may pause (`cat … | less`), but not hold its connection for ever."""


class Outlet(Protocol):
    """Where a running command sends what comes before its result."""

    async def progress(self, what: str, *, done: int, total: int = 0) -> None:
        """Whoever waits sees how far the command is. A cancellation point."""
        ...

    async def data(self, chunk: bytes) -> None:
        """Whoever asked has the next bytes. A cancellation point."""
        ...


Answer = Callable[[Request, Caller, Outlet], Awaitable[object]]
"""Carries out a request and returns a result that msgpack can hold."""

Receive = Callable[[trio.SocketStream, Caller], Awaitable[None]]
"""Converses over a connection that a source of replication opened (`ReceiveReplicas`)."""


async def _receive_nothing(_: trio.SocketStream, __: Caller) -> None:
    pass


def listening_socket(store: Path) -> socket.socket:
    """A socket that listens at `store`/control.sock; one left by a dead daemon is replaced.

    The caller owns the store, so nobody else listens there.
    """
    # Linux limits a socket's address to 108 bytes, and a store's path may be longer; the way over
    # an open directory is always short.
    directory = os.open(store, os.O_PATH | os.O_DIRECTORY)
    try:
        address = f"/proc/self/fd/{directory}/{SOCKET_NAME}"
        Path(address).unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.bind(address)
            Path(address).chmod(0o600)
            listener.listen()
        except BaseException:
            listener.close()
            raise
    finally:
        os.close(directory)
    return listener


def listening_aside(store: Path) -> socket.socket:
    """A socket that listens for a store whose directory can take none.

    Who reaches it is not looked at: any user of the machine does. It goes with the process.

    Raises:
        StoreInUse: somebody else listens there.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(address_aside(store))
        listener.listen()
    except OSError as error:
        listener.close()
        raise errors.StoreInUse(f"another process answers for {store}") from error
    return listener


async def serve(
    listener: socket.socket,
    answer: Answer,
    *,
    accepting: trio.CancelScope,
    receive: Receive = _receive_nothing,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Answers requests; returns when `accepting` was cancelled and the last one is answered.

    Cancellation from outside also cancels the commands that still run.
    """
    limiter = trio.CapacityLimiter(CONNECTIONS_MAX)
    acceptor = trio.SocketListener(trio.socket.from_stdlib_socket(listener))
    async with trio.open_nursery() as nursery:
        with accepting:
            async with acceptor:
                task_status.started()
                while True:
                    # The task of the connection gives back what this one borrows.
                    token = object()
                    await limiter.acquire_on_behalf_of(token)
                    stream = await acceptor.accept()
                    serves = partial(_serve_connection, limiter=limiter, token=token)
                    nursery.start_soon(serves, stream, answer, receive)


async def _serve_connection(
    stream: trio.SocketStream,
    answer: Answer,
    receive: Receive,
    *,
    limiter: trio.CapacityLimiter,
    token: object,
) -> None:
    try:
        async with stream:
            await _converse(stream, answer, receive)
    except* (trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError):
        log.info("a client of the control socket went away")
    finally:
        limiter.release_on_behalf_of(token)


async def _converse(stream: trio.SocketStream, answer: Answer, receive: Receive) -> None:
    connection = _Connection(stream)
    try:
        with trio.fail_after(REQUEST_SECONDS_MAX):
            request = await connection.request()
    except errors.InvalidArgument as error:
        await connection.send(failure_of(error))
        return
    if request is None:
        return
    caller = _peer(stream.socket)
    if isinstance(request, ReceiveReplicas):
        await receive(stream, caller)
        return
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_cancel_when_client_leaves, stream, nursery.cancel_scope)
        await connection.send(await _outcome(answer, request, caller, connection))
        nursery.cancel_scope.cancel()


async def _outcome(answer: Answer, request: Request, caller: Caller, outlet: Outlet) -> Reply:
    try:
        return Result(value=await answer(request, caller, outlet))
    except errors.S3fsLocalError as error:
        return failure_of(error)
    except (trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError):
        raise
    except Exception:
        log.exception("%s failed by a bug", type(request).__name__)
        return Failure(code=INTERNAL_ERROR, message="a bug; the daemon's log says more")


async def _cancel_when_client_leaves(stream: trio.SocketStream, scope: trio.CancelScope) -> None:
    # Nothing may follow the request, so bytes end the command just as the end of them does.
    with suppress(trio.BrokenResourceError):
        await stream.receive_some(1)
    scope.cancel()


def _peer(connection: trio.socket.SocketType) -> Caller:
    """The process at the other end, as the kernel knows it."""
    fields = struct.Struct("3i")
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, fields.size)
    pid, uid, gid = fields.unpack(credentials)
    return Caller(uid=uid, gid=gid, pid=pid)


class _Connection:
    """One client: an `Outlet` that also reads the request."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream

    async def request(self) -> Request | None:
        """The request; None where the client left without one."""
        header = await self._exactly(HEADER_BYTES)
        if header is None:
            return None
        body = await self._exactly(body_length(header, limit_bytes=REQUEST_BYTES_MAX))
        return None if body is None else decode_request(body)

    async def send(self, reply: Reply) -> None:
        with trio.fail_after(REPLY_SECONDS_MAX):
            await self._stream.send_all(frame(reply))

    async def progress(self, what: str, *, done: int, total: int = 0) -> None:
        await self.send(Progress(what=what, done=done, total=total))

    async def data(self, chunk: bytes) -> None:
        await self.send(Data(chunk=chunk))

    async def _exactly(self, length: int) -> bytes | None:
        received = bytearray()
        while len(received) < length:
            piece = await self._stream.receive_some(length - len(received))
            if not piece:
                return None
            received += piece
        return bytes(received)
