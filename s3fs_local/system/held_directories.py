"""Directories that one process has for itself: two stores never write to one zone."""

import fcntl
import logging
import os
from pathlib import Path
from threading import Lock

from s3fs_local.errors import ZoneInUse
from s3fs_local.system.durable_files import storage_error

logger = logging.getLogger(__name__)


class HeldDirectories:
    """Those that were held, until they are let go or the process dies. Any thread may call.

    The kernel keeps the lock (flock) with the descriptor of the directory itself, so nothing is
    written there and nothing stale remains.
    """

    def __init__(self) -> None:
        self._held: dict[tuple[int, int], int] = {}
        self._is_over = False
        self._mutex = Lock()

    def hold(self, path: Path) -> None:
        """Nobody else can hold the directory; where its filesystem locks none, anybody can.

        Raises:
            ZoneInUse: somebody else does.
            ZoneUnavailable: it cannot be opened.
        """
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise storage_error(error, path) from error
        key = _identity(descriptor)
        with self._mutex:
            if key in self._held or self._is_over:
                os.close(descriptor)
                return
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                os.close(descriptor)
                raise ZoneInUse(f"{path} is in use: its store is open elsewhere") from error
            except OSError as error:
                os.close(descriptor)
                logger.warning("%s cannot be locked: %s", path, error.strerror)
                return
            self._held[key] = descriptor

    def let_go(self, path: Path) -> None:
        """Anybody may hold the directory, which may be gone."""
        try:
            status = path.stat()
        except OSError:
            return
        with self._mutex:
            descriptor = self._held.pop((status.st_dev, status.st_ino), None)
        if descriptor is not None:
            os.close(descriptor)

    def release(self) -> None:
        """Anybody may hold any of them, and this holds no other."""
        with self._mutex:
            self._is_over = True
            descriptors = list(self._held.values())
            self._held.clear()
        for descriptor in descriptors:
            os.close(descriptor)


def _identity(descriptor: int) -> tuple[int, int]:
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino
