"""Asking the store, for pages: through its daemon while it is mounted, else by opening it here.

Each question is one of the control requests that commands ask too, with the rights of whoever
started `browse`.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, TypeVar

import msgspec
import trio
from msgspec import Struct

from s3fs_local import errors
from s3fs_local.browse.own_store import OwnStore
from s3fs_local.control.client import connect
from s3fs_local.control.commands import carry_out
from s3fs_local.control.protocol import (
    HEADER_BYTES,
    REPLY_BYTES_MAX,
    Data,
    Failure,
    Progress,
    Result,
    body_length,
    decode_reply,
    error_of,
    frame,
)
from s3fs_local.control.requests import Request
from s3fs_local.daemon.one_command import own_context

QUESTIONS_MAX: Final = 8
"""At once; a daemon has connections for commands too."""

Wanted = TypeVar("Wanted", bound=Struct)
OnData = Callable[[bytes], Awaitable[None]]
Answer = Callable[[Request, OnData], Awaitable[object]]
"""Carries out a request; its data go to the function."""


async def _nothing(_: bytes) -> None:
    await trio.lowlevel.checkpoint()


class Sink(Struct, frozen=True):
    """An `Outlet` that passes data on."""

    on_data: OnData

    async def progress(self, what: str, *, done: int, total: int = 0) -> None:
        """Nobody watches."""
        del what, done, total
        await trio.lowlevel.checkpoint()

    async def data(self, chunk: bytes) -> None:
        """The function has them."""
        await self.on_data(chunk)


class Answers:
    """What a store answers."""

    def __init__(self, store: Path, answer: Answer) -> None:
        """Of the store at that path."""
        self.store: Final = store
        self._answer: Final = answer
        self._limiter: Final = trio.CapacityLimiter(QUESTIONS_MAX)

    async def ask(
        self, request: Request, wanted: type[Wanted], *, on_data: OnData = _nothing
    ) -> Wanted:
        """What came of the request.

        Raises:
            S3fsLocalError: whatever the command met, wherever it ran.
        """
        async with self._limiter:
            return msgspec.convert(await self._answer(request, on_data), wanted)

    async def content(self, request: Request, wanted: type[Wanted]) -> tuple[Wanted, bytes]:
        """What came of the request, and its data, which must be few. Raises as `ask`."""
        chunks: list[bytes] = []

        async def keep(chunk: bytes) -> None:
            chunks.append(chunk)
            await trio.lowlevel.checkpoint()

        return await self.ask(request, wanted, on_data=keep), b"".join(chunks)


def answer_of(store: Path, own_store: OwnStore | None) -> Answer:
    """The daemon's answers; while there is none, those of the store opened here.

    `own_store` None: nothing that opens its keys is known here.
    """

    async def answer(request: Request, on_data: OnData) -> object:
        client = connect(store)
        if client is not None:
            stream = trio.SocketStream(trio.socket.from_stdlib_socket(client.detach()))
            async with stream:
                return await _converse(stream, request, on_data)
        if own_store is None:
            raise errors.DaemonUnreachable("the store is not mounted any more: begin browse again")
        async with own_store.in_use() as opened:
            return await carry_out(request, own_context(opened, Sink(on_data)))

    return answer


async def _converse(stream: trio.SocketStream, request: Request, on_data: OnData) -> object:
    try:
        await stream.send_all(frame(request))
        while True:
            header = await _exactly(stream, HEADER_BYTES)
            body = await _exactly(stream, body_length(header, limit_bytes=REPLY_BYTES_MAX))
            match decode_reply(body):
                case Progress():
                    pass
                case Data(chunk=chunk):
                    await on_data(chunk)
                case Result(value=value):
                    return value
                case Failure() as failure:
                    raise error_of(failure)
    except trio.BrokenResourceError as error:
        raise errors.DaemonUnreachable("the daemon went away before it answered") from error


async def _exactly(stream: trio.SocketStream, length: int) -> bytes:
    received = bytearray()
    while len(received) < length:
        piece = await stream.receive_some(length - len(received))
        if not piece:
            raise errors.DaemonUnreachable("the daemon went away before it answered")
        received += piece
    return bytes(received)
