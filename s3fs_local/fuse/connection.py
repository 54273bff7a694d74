"""The descriptor of `/dev/fuse` behind one mount: requests come in, replies and news go out.

Reading never blocks: a request may be withdrawn between poll and read, if its caller is killed, and
a read that waits would hold the loop until somebody sends the next one.
"""

import errno
import logging
import os
from typing import Final

from s3fs_local.fuse.protocol import (
    INVALIDATE_ENTRY_OUT,
    INVALIDATE_INODE_OUT,
    OUT_HEADER,
    REQUEST_BYTES_MAX,
    Notification,
)

log = logging.getLogger(__name__)

_NOTHING_TO_READ: Final = frozenset({errno.EAGAIN, errno.EINTR, errno.ENOENT})
"""ENOENT: the request was withdrawn while it was copied."""

_CUT: Final = frozenset({errno.ENODEV, errno.ECONNABORTED})
"""Unmounted, or aborted through /sys/fs/fuse."""


class HungUp(Exception):
    """The kernel sends nothing any more: the mount is gone."""


class Connection:
    """One mount's way to the kernel.

    `receive` and what it leaves in `request` belong to the event loop; replies and news may be sent
    from any thread.
    """

    def __init__(self, descriptor: int) -> None:
        """Takes the descriptor over. `close` must be called."""
        self.descriptor: Final = descriptor
        self._buffer = bytearray(REQUEST_BYTES_MAX)
        self._buffers = (self._buffer,)
        self.request: Final = memoryview(self._buffer)
        """What was received last, up to the length that `receive` gave; true until the next."""
        os.set_blocking(descriptor, False)

    def receive(self) -> int:
        """The length of the next request, which is in `request`; 0: there is none now.

        Raises:
            HungUp: there will be none.
            OSError: the kernel refuses to be read from: a bug of ours.
        """
        try:
            return os.readv(self.descriptor, self._buffers)
        except OSError as error:
            if error.errno in _NOTHING_TO_READ:
                return 0
            if error.errno in _CUT:
                raise HungUp from None
            raise

    def reply(self, unique: int, body: bytes) -> None:
        """The request is answered. Does not raise: a caller that was killed hears nothing."""
        self._send(unique, OUT_HEADER.pack(OUT_HEADER.size + len(body), 0, unique), body)

    def refuse(self, unique: int, number: int) -> None:
        """The request is answered with that errno. Does not raise, as above."""
        self._send(unique, OUT_HEADER.pack(OUT_HEADER.size, -number, unique), b"")

    def invalidate_inode(self, ino: int) -> None:
        """The kernel has written the inode's dirty pages back and forgotten all it cached of it.

        Blocks; see `Invalidator`. Raises OSError; ENOENT: the kernel did not know the inode.
        """
        self._tell(Notification.INVALIDATE_INODE, INVALIDATE_INODE_OUT.pack(ino, 0, 0))

    def invalidate_entry(self, parent: int, name: bytes) -> None:
        """The kernel has forgotten what the name means. Blocks, and raises, as above."""
        head = INVALIDATE_ENTRY_OUT.pack(parent, len(name), 0)
        self._tell(Notification.INVALIDATE_ENTRY, head + name + b"\0")

    def close(self) -> None:
        """No system call on the mount is answered any more; those that wait fail."""
        self.request.release()
        os.close(self.descriptor)

    def _send(self, unique: int, header: bytes, body: bytes) -> None:
        try:
            os.writev(self.descriptor, (header, body))
        except OSError as error:
            if error.errno not in _CUT and error.errno != errno.ENOENT:  # ENOENT: caller is gone
                log.exception("request %d could not be answered", unique)

    def _tell(self, kind: Notification, body: bytes) -> None:
        os.writev(self.descriptor, (OUT_HEADER.pack(OUT_HEADER.size + len(body), kind, 0), body))
