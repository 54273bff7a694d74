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
        self._held: dict[str, int] = {}  # descriptors, by what the directory is held for
        self._is_over = False
        self._mutex = Lock()

    def hold(self, path: Path, *, of: str) -> None:
        """Nobody else can hold the directory; where its filesystem locks none, anybody can.

        If another was held for the same, that one is let go.

        Raises:
            ZoneInUse: somebody else does.
            ZoneUnavailable: it cannot be opened.
        """
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise storage_error(error, path) from error
        with self._mutex:
            former = self._held.get(of)
            if self._is_over or (former is not None and os.path.sameopenfile(former, descriptor)):
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
            self._held[of] = descriptor
        if former is not None:
            os.close(former)

    def let_go(self, of: str) -> None:
        """Anybody may hold what was held for that. Asks no disk, which may hang."""
        with self._mutex:
            descriptor = self._held.pop(of, None)
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
