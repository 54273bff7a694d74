"""Telling whoever started the daemon that the mount is ready, or why it is not."""

import os
import socket
from contextlib import suppress

from s3fs_local import errors
from s3fs_local.control.protocol import Reply, Result, failure_of, frame


class Readiness:
    """Speaks once: to the command that started us, by a pipe, and to systemd (sd_notify(3))."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor
        self.is_ready = False

    def ready(self) -> None:
        """System calls in the mount are answered."""
        self.is_ready = True
        self._say(Result(value=None))
        _notify_systemd("READY=1")

    def failed(self, error: errors.S3fsLocalError) -> None:
        """The mount will not come."""
        self._say(failure_of(error))

    def _say(self, reply: Reply) -> None:
        if self._descriptor is None:
            return
        with suppress(BrokenPipeError):  # the command was interrupted; the mount stays
            os.write(self._descriptor, frame(reply))
        os.close(self._descriptor)
        self._descriptor = None


def _notify_systemd(state: str) -> None:
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]  # Linux's sockets without a file
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notifier, suppress(OSError):
        notifier.sendto(state.encode(), address)
