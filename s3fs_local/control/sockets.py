"""Where a daemon listens that cannot in its store's directory, and who is at the other end."""

import socket
import struct
from pathlib import Path

from s3fs_local.rules.inode import Caller

_CREDENTIALS = struct.Struct("3i")


def address_aside(store: Path) -> str:
    """An address that lies in no directory (unix(7), abstract), for the store's directory.

    Raises:
        OSError: the directory is not there.
    """
    status = store.stat()
    return f"\0s3fs-local/{status.st_dev:x}-{status.st_ino:x}"


def peer_of(connection: socket.socket) -> Caller:
    """The process at the other end, as the kernel knows it."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, gid = _CREDENTIALS.unpack(raw)
    return Caller(uid=uid, gid=gid, pid=pid)
