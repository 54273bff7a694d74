"""What locks have refused: told to whoever listens, and logged, with who tried it.

The gate says what was asked (`LockError.attempt`), the way in says who asked; both meet here. A
question that only wants to know (`why`, a dry run) is no attempt and never comes here.
"""

import logging
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from s3fs_local.engine.volume import Volume
from s3fs_local.errors import LockError
from s3fs_local.rules.inode import ROOT_INO, Caller
from s3fs_local.rules.instants import SECOND_NS
from s3fs_local.rules.names import printed
from s3fs_local.system.processes import program_of

log = logging.getLogger(__name__)

LINES_PER_SECOND_MAX: Final = 20
"""Who tries a million times fills no disk with it; the rest is counted."""
_PATH_BYTES_MAX: Final = 4096


class Refusal(Struct, frozen=True):
    """One attempt that a lock has refused."""

    at_ns: int
    operation: str  # of `rules.retention.Operation`
    ino: int
    version_ns: int  # of the version in question; 0 = the file or directory as it was
    path: bytes  # one name of it, below the root
    uid: int
    pid: int
    program: str  # "" if the process has gone
    reason: str


class Refusals:
    """Hears of every refusal of one volume."""

    def __init__(self, volume: Volume) -> None:
        self._volume = volume
        self.listeners: list[Callable[[Refusal], None]] = []
        """Called in the event loop's thread, once for each; they neither wait nor raise."""
        self.count = 0
        self._second = 0
        self._lines = 0

    def note(self, error: LockError, caller: Caller) -> None:
        """The caller was refused by a lock; nothing happens for errors of other kinds."""
        attempt = error.attempt
        if attempt is None:
            return
        refusal = Refusal(
            at_ns=self._volume.now_ns(),
            operation=attempt.operation,
            ino=attempt.ino,
            version_ns=attempt.version_ns,
            path=path_of(self._volume, attempt.ino),
            uid=caller.uid,
            pid=caller.pid,
            program=program_of(caller.pid),
            reason=str(error),
        )
        self.count += 1
        self._log(refusal)
        for listener in self.listeners:
            listener(refusal)

    def _log(self, refusal: Refusal) -> None:
        second = refusal.at_ns // SECOND_NS
        if second != self._second:
            unlogged = self._lines - LINES_PER_SECOND_MAX
            if unlogged > 0:
                log.warning("and %d more refusals", unlogged)
            self._second, self._lines = second, 0
        self._lines += 1
        if self._lines <= LINES_PER_SECOND_MAX:
            log.warning(
                "%s: %s, tried by user %d, process %d (%s)",
                printed(refusal.path) or "/",
                refusal.reason,
                refusal.uid,
                refusal.pid,
                refusal.program or "gone",
            )


def path_of(volume: Volume, ino: int) -> bytes:
    """One path of the inode below the root, its last if it has none any more."""
    parts: list[bytes] = []
    length = 0
    while ino != ROOT_INO and length < _PATH_BYTES_MAX:
        entries = volume.metadata.entries_of(ino)
        if not entries:
            break
        entry = entries[-1]
        parts.append(entry.name)
        length += len(entry.name) + 1
        ino = entry.parent
    return b"/".join(reversed(parts))
