"""Asking a daemon that may die before it answers, and knowing whether it had heard the question."""

import fcntl
import termios
from enum import Enum
from pathlib import Path
from time import sleep
from typing import Self

from s3fs_local.control.client import connect, connected
from s3fs_local.control.protocol import (
    HEADER_BYTES,
    REPLY_BYTES_MAX,
    Failure,
    Progress,
    body_length,
    decode_reply,
    error_of,
    frame,
)
from s3fs_local.control.requests import Request


class Outcome(Enum):
    """What became of a command."""

    DONE = "it was answered"
    BROKEN_OFF = "whoever carried it out died over it"
    UNHEARD = "nobody had read it"


class Begun:
    """A command that somebody was asked for. Use as a context manager."""

    def __init__(self, store: Path, request: Request) -> None:
        """Whoever has the store open may read it. Raises ConnectionError: nobody listens."""
        connection = connected(store)
        if connection is None:
            raise ConnectionResetError(f"nobody has {store} open")
        self._connection = connection
        self._replies = connection.makefile("rb")
        connection.sendall(frame(request))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._replies.close()
        self._connection.close()

    def wait_until_read(self) -> None:
        """It was read, so the work has begun."""
        while fcntl.ioctl(self._connection, termios.TIOCOUTQ, bytes(4)) != bytes(4):
            sleep(0.002)  # the kernel tells nobody when a peer reads

    def outcome(self) -> Outcome:
        """How it ended.

        The kernel tells whether it was heard: a process that dies with an unread request on its
        socket resets the connection, one that had read it closes it.

        Raises:
            S3fsLocalError: the command failed.
        """
        try:
            while True:
                header = self._replies.read(HEADER_BYTES)
                length = body_length(header, limit_bytes=REPLY_BYTES_MAX) if header else 0
                body = self._replies.read(length)
                if not header or len(body) < length:
                    return Outcome.BROKEN_OFF
                reply = decode_reply(body)
                if isinstance(reply, Failure):
                    raise error_of(reply)
                if not isinstance(reply, Progress):
                    return Outcome.DONE
        except ConnectionResetError:
            return Outcome.UNHEARD


def told(store: Path, request: Request) -> Outcome:
    """How the command ended. Raises S3fsLocalError: it failed."""
    try:
        with Begun(store, request) as begun:
            return begun.outcome()
    except (ConnectionResetError, BrokenPipeError):
        return Outcome.UNHEARD


def answer(store: Path, request: Request) -> dict[str, object]:
    """What came of a command that nothing disturbs. Raises S3fsLocalError."""
    client = connect(store)
    assert client is not None, f"nobody has {store} open"
    with client:
        value = client.ask(request, on_progress=_ignored, on_data=_ignored)
    assert isinstance(value, dict)
    return value


def process_of(store: Path) -> int:
    """The process that has the store open; 0 where none has."""
    client = connect(store)
    if client is None:
        return 0
    with client:
        return client.daemon_pid()


def _ignored(_: object) -> None:
    pass
