"""The other end of the control socket, for commands: blocking, plain sockets, no trio to import."""

import os
import socket
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from s3fs_local import errors
from s3fs_local.control.protocol import (
    HEADER_BYTES,
    REPLY_BYTES_MAX,
    SOCKET_NAME,
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
from s3fs_local.control.sockets import address_aside, peer_of
from s3fs_local.system.processes import has_ended


class LastAnswer(NamedTuple):
    """What a process said that was asked to end."""

    value: object
    has_ended: bool  # within the time


OnProgress = Callable[[Progress], None]
OnData = Callable[[bytes], None]


def _ignore(_: object) -> None:
    pass


class Client:
    """A connection to the daemon of a store; good for one request. Use as a context manager."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._connection.close()

    def detach(self) -> socket.socket:
        """The connection itself, for who speaks the protocol without blocking; theirs to close."""
        return self._connection

    def daemon_pid(self) -> int:
        """The process at the other end."""
        return peer_of(self._connection).pid

    def ask(
        self,
        request: Request,
        *,
        on_progress: OnProgress = _ignore,
        on_data: OnData = _ignore,
        seconds_max: float | None = None,
    ) -> object:
        """What came of the request. Waits as long as it takes, unless `seconds_max` is given.

        Raises:
            S3fsLocalError: whatever the command met in the daemon.
            DaemonUnreachable: the daemon ended before it answered, or was silent for so long.
        """
        self._connection.settimeout(seconds_max)
        try:
            self._connection.sendall(frame(request))
            while True:
                match decode_reply(self._body()):
                    case Progress() as progress:
                        on_progress(progress)
                    case Data(chunk=chunk):
                        on_data(chunk)
                    case Result(value=value):
                        return value
                    case Failure() as failure:
                        raise error_of(failure)
        except TimeoutError as error:
            raise errors.DaemonUnreachable(
                f"the daemon (process {self.daemon_pid()}) has been silent for {seconds_max:g} s"
            ) from error
        except ConnectionError as error:
            raise errors.DaemonUnreachable(f"the daemon went away: {error}") from error

    def ask_to_end(
        self, request: Request, *, seconds_max: float, on_progress: OnProgress | None = None
    ) -> LastAnswer:
        """What came of the request, which ends the process at the other end. Blocks.

        Raises:
            S3fsLocalError: what it says instead; it goes on.
        """
        try:
            process = os.pidfd_open(self.daemon_pid())
        except ProcessLookupError:
            return LastAnswer(None, has_ended=True)
        try:
            value = self.ask(request, on_progress=on_progress or _ignore)
            return LastAnswer(value, has_ended(process, seconds_max=seconds_max))
        finally:
            os.close(process)

    def _body(self) -> bytes:
        header = self._exactly(HEADER_BYTES)
        return self._exactly(body_length(header, limit_bytes=REPLY_BYTES_MAX))

    def _exactly(self, length: int) -> bytes:
        received = bytearray()
        while len(received) < length:
            piece = self._connection.recv(min(length - len(received), 1 << 20))
            if not piece:
                raise ConnectionResetError("connection closed before the answer")
            received += piece
        return bytes(received)


def connect(store: Path) -> Client | None:
    """A connection to the daemon that has the store open; None where no daemon listens.

    Raises as `connected`.
    """
    connection = connected(store)
    return None if connection is None else Client(connection)


def connected(store: Path) -> socket.socket | None:
    """A socket that is connected to the daemon of the store; None where no daemon listens.

    Raises:
        NotAStore: there is no such directory.
        NotPermitted: the directory is someone else's.
    """
    try:
        # The path of a store may be longer than an address may be; see `server.listening_socket`.
        directory = os.open(store, os.O_PATH | os.O_DIRECTORY)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise errors.NotAStore(f"{store} is not a directory") from error
    except PermissionError as error:
        raise errors.NotPermitted(f"the store {store} may not be entered by you") from error
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(f"/proc/self/fd/{directory}/{SOCKET_NAME}")
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        return _connected_aside(store)
    except PermissionError as error:
        connection.close()
        raise errors.NotPermitted(f"the store {store} belongs to another user") from error
    except BaseException:
        connection.close()
        raise
    finally:
        os.close(directory)
    return connection


def _connected_aside(store: Path) -> socket.socket | None:
    """The same, of one that could put no socket into the store's directory.

    Anybody can listen there, so only root, the caller's own user and the store's are believed.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(address_aside(store))
        if peer_of(connection).uid in {0, os.geteuid(), store.stat().st_uid}:
            return connection
    except OSError:
        pass
    connection.close()
    return None
