"""The daemon's log: one line an event, of bounded size."""

import logging
import logging.handlers
import shutil
import sys
import time
from pathlib import Path
from typing import Final

LOG_NAME: Final = "daemon.log"
LOG_BYTES_MAX: Final = 4 << 20
OLD_LOGS: Final = 2


def log_to_stderr() -> None:
    """Everything logged goes to stderr, as lines."""
    _install(logging.StreamHandler(sys.stderr))


def log_to_file(path: Path) -> None:
    """Everything logged goes to the file; at `LOG_BYTES_MAX` it moves to `.1`, and `.1` to `.2`.

    The file may be this process's stderr too (opened for appending): rotation empties it in place,
    so what crashes write lands in the present log, not in a rotated one.
    """
    handler = logging.handlers.RotatingFileHandler(
        path, maxBytes=LOG_BYTES_MAX, backupCount=OLD_LOGS, encoding="utf-8"
    )
    handler.rotator = _copy_and_empty
    _install(handler)


def last_words(path: Path, *, since_bytes: int = 0, lines: int = 5) -> str:
    """The last lines written to the log after its first `since_bytes`; "" where there are none."""
    try:
        with path.open("rb") as file:
            file.seek(since_bytes)
            text = file.read(LOG_BYTES_MAX).decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


def _install(handler: logging.Handler) -> None:
    handler.setFormatter(_OneLine())
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)


def _copy_and_empty(source: str, destination: str) -> None:
    shutil.copyfile(source, destination)
    with Path(source).open("r+b") as file:
        file.truncate(0)


class _OneLine(logging.Formatter):
    """`2026-11-22T15:04:05.123Z WARNING daemon.lifetime: text`; a traceback's lines are joined."""

    def __init__(self) -> None:
        super().__init__(
            "%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S"
        )
        self.converter = time.gmtime

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line, whatever its message and traceback hold."""
        return super().format(record).replace("\\", "\\\\").replace("\n", "\\n")
