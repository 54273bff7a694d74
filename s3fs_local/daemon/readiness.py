"""Telling whoever started the daemon that the mount is ready, or why it is not."""

import os
from contextlib import suppress

from s3fs_local import errors
from s3fs_local.control.protocol import Reply, Result, failure_of, frame


class Readiness:
    """Speaks to the command that started us, once, by a pipe, and to systemd (sd_notify(3))."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor
        self.is_ready = False

    @property
    def is_awaited(self) -> bool:
        """Whether a command waits for the mount."""
        return self._descriptor is not None

    def ready(self, status: str) -> None:
        """System calls in the mount are answered; `systemctl status` shows the text.

        A process that a command started leaves its session: what ends that, such as a closed
        terminal, does not end a mount.
        """
        self.is_ready = True
        if self._descriptor is not None:
            with suppress(PermissionError):  # whoever started it gave it a session of its own
                os.setsid()
        self._say(Result(value=None))
        _tell_systemd("READY")
        _tell_systemd("STATUS", status)

    def works(self, status: str) -> None:
        """The mount goes on; `systemctl status` shows the text from now on."""
        _tell_systemd("STATUS", status)

    def failed(self, error: errors.S3fsLocalError) -> None:
        """The mount will not come."""
        self._say(failure_of(error))
        _tell_systemd("STATUS", f"{type(error).__name__}: {error}")

    def stopping(self) -> None:
        """The mount is gone, and the rest becomes durable."""
        _tell_systemd("STOPPING")
        _tell_systemd("STATUS", "making everything durable")

    def _say(self, reply: Reply) -> None:
        if self._descriptor is None:
            return
        with suppress(BrokenPipeError):  # the command was interrupted; the mount stays
            os.write(self._descriptor, frame(reply))
        os.close(self._descriptor)
        self._descriptor = None


def _tell_systemd(name: str, value: str = "") -> None:
    if not os.environ.get("NOTIFY_SOCKET"):
        return
    # Brings libsystemd along, which only daemons of a unit need.
    from cysystemd.daemon import Notification, notify  # noqa: PLC0415

    notify(Notification[name], value)
