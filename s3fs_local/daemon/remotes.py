"""The way to a destination of replication: the process that has its store open, or a new one."""

import os
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

import trio

from s3fs_local import errors
from s3fs_local.control.client import connected
from s3fs_local.control.protocol import (
    HEADER_BYTES,
    Failure,
    body_length,
    decode_reply,
    error_of,
    frame,
)
from s3fs_local.control.requests import ReceiveReplicas
from s3fs_local.daemon.log_setup import LOG_NAME
from s3fs_local.daemon.store_file import read_store_file
from s3fs_local.engine import replication_messages as messages
from s3fs_local.engine.filesystem import FileSystem
from s3fs_local.engine.replica_origins import Origins
from s3fs_local.engine.replication_following import Connect, Following, Refused, unreachable
from s3fs_local.engine.replication_messages import (
    Hello,
    Message,
    Refusal,
    Reply,
    Welcome,
    encode,
)
from s3fs_local.engine.replication_sending import Link
from s3fs_local.rules.remotes import Remote
from s3fs_local.system.processes import interpreter

ANSWER_SECONDS_MAX: Final = 120.0
"""A destination that answers later hangs; it is left, and asked again."""


class SocketLink:
    """A connection to the process that has the destination open."""

    def __init__(self, stream: trio.SocketStream, path: str) -> None:
        self._stream = stream
        self._path = path
        self.store = ""

    async def tell(self, message: Message) -> None:
        """See `Link`."""
        body = encode(message)
        try:
            with trio.fail_after(ANSWER_SECONDS_MAX):
                await self._stream.send_all(len(body).to_bytes(HEADER_BYTES, "big") + body)
        except (trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError) as error:
            raise unreachable(self._path, "the connection broke") from error

    async def ask(self, message: Message) -> Reply:
        """See `Link`."""
        await self.tell(message)
        try:
            with trio.fail_after(ANSWER_SECONDS_MAX):
                header = await self._exactly(HEADER_BYTES)
                limit = messages.MESSAGE_BYTES_MAX
                body = await self._exactly(body_length(header, limit_bytes=limit))
        except (trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError) as error:
            raise unreachable(self._path, "the connection broke") from error
        return messages.decode_reply(body)

    async def _exactly(self, length: int) -> bytes:
        received = bytearray()
        while len(received) < length:
            piece = await self._stream.receive_some(min(length - len(received), 1 << 20))
            if not piece:
                raise trio.BrokenResourceError
            received += piece
        return bytes(received)


def following_of(filesystem: FileSystem, path: Path, store_id: bytes) -> Following:
    """Who tells the destinations of the open store."""
    return Following(filesystem, store_id, connector(filesystem, path, store_id))


def connector(filesystem: FileSystem, path: Path, store_id: bytes) -> Connect:
    """What opens the ways to the remotes of the store."""
    origins = Origins(filesystem.volume.metadata, store_id)

    @asynccontextmanager
    async def connect(
        remote: Remote, *, greets: bool = True, expects: str = ""
    ) -> AsyncIterator[Link]:
        connection = await _connection(remote)
        async with trio.SocketStream(trio.socket.from_stdlib_socket(connection)) as stream:
            link = SocketLink(stream, remote.path)
            try:
                await stream.send_all(frame(ReceiveReplicas()))
            except trio.BrokenResourceError as error:
                raise unreachable(remote.path, "the connection broke") from error
            if greets:
                await _greet(link, filesystem, origins, path, expects)
            yield link

    return connect


async def _greet(
    link: SocketLink, filesystem: FileSystem, origins: Origins, path: Path, expects: str
) -> None:
    role = filesystem.replica.role
    reply = await link.ask(
        Hello(
            protocol=messages.PROTOCOL,
            source=origins.store_id,
            path=str(path),
            host=socket.gethostname(),
            replica_of="" if role is None else role.source,
            expects=expects,
        )
    )
    if isinstance(reply, Refusal):
        raise Refused(reply.reason, reply.message)
    if isinstance(reply, Welcome):
        link.store = reply.store.hex()


async def _connection(remote: Remote) -> socket.socket:
    """A socket to whoever has the store open; somebody is started if nobody has."""
    path = Path(remote.path)
    try:
        found = await trio.to_thread.run_sync(connected, path)
        if found is not None:
            return found
        await trio.to_thread.run_sync(partial(_start, path, remote), abandon_on_cancel=True)
        found = await trio.to_thread.run_sync(connected, path)
    except (errors.S3fsLocalError, OSError) as error:
        raise unreachable(remote.path, error) from error
    if found is None:
        raise unreachable(remote.path, "the process that was started for it went away")
    return found


def _start(path: Path, remote: Remote) -> None:
    """A process has the store open and listens. Raises what keeps it from that."""
    read_store_file(path)  # nothing is left behind in what is no store
    log = os.open(path / LOG_NAME, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    ready_reader, ready_writer = os.pipe()
    command = [
        *(*interpreter(), "-m", "s3fs_local"),
        *((f"--key-file={remote.key_file}",) if remote.key_file else ()),
        *((f"--passphrase-file={remote.passphrase_file}",) if remote.passphrase_file else ()),
        *("receive", f"--ready-fd={ready_writer}", "--", str(path)),
    ]
    process = subprocess.Popen(  # noqa: S603  our own interpreter and package
        command,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
        pass_fds=(ready_writer,),
    )
    os.close(log)
    os.close(ready_writer)
    with open(ready_reader, "rb") as ready:  # noqa: PTH123  a descriptor
        answer = ready.read()
    # It ends by itself when no source speaks to it any more.
    process.returncode = 0
    if not answer:
        raise errors.DestinationUnreachable(f"its process ended; see {path / LOG_NAME}")
    outcome = decode_reply(answer[HEADER_BYTES:])
    if isinstance(outcome, Failure):
        raise error_of(outcome)
