"""The daemon's log: one line an event, of bounded size; or entries of the system's journal."""

import json
import logging
import logging.handlers
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Final, Literal

from s3fs_local.errors import InvalidMountOption, MountFailed, NotPermitted

LOG_NAME: Final = "daemon.log"
LOG_BYTES_MAX: Final = 4 << 20
OLD_LOGS: Final = 2
JOURNAL_SOCKET: Final = Path("/run/systemd/journal/socket")
IDENTIFIER: Final = "s3fs-local"

_PRIORITIES: Final = {
    logging.CRITICAL: 2,
    logging.ERROR: 3,
    logging.WARNING: 4,
    logging.INFO: 6,
    logging.DEBUG: 7,
}
"""syslog(3)'s numbers."""

LogFormat = Literal["text", "json", "journal"]


def log_to_stderr(log_format: LogFormat = "text") -> None:
    """Everything logged goes to stderr as lines, or to the journal."""
    _install(logging.StreamHandler(sys.stderr), log_format)


def log_to_file(path: Path, log_format: LogFormat = "text") -> None:
    """Everything logged goes to the file; at `LOG_BYTES_MAX` it moves to `.1`, and `.1` to `.2`.

    The file may be this process's stderr too (opened for appending): rotation empties it in place,
    so what crashes write lands in the present log, not in a rotated one.

    Raises:
        MountFailed: it cannot be opened.
        NotPermitted: this user may not.
    """
    os.close(opened_log(path))
    handler = logging.handlers.RotatingFileHandler(
        path, maxBytes=LOG_BYTES_MAX, backupCount=OLD_LOGS, encoding="utf-8"
    )
    handler.rotator = _copy_and_empty
    _install(handler, log_format)


def opened_log(path: Path) -> int:
    """A descriptor that appends to the log, which is made where it is missing.

    Raises:
        MountFailed: its disk does not let us.
        NotPermitted: this user may not.
    """
    try:
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    except PermissionError as error:
        raise NotPermitted(f"{path} may not be written by you") from error
    except OSError as error:
        raise MountFailed(
            f"{path} cannot be opened: {error.strerror}; see whether its disk is well (dmesg), has "
            "room, and is mounted for writing"
        ) from error


def check_log_format(log_format: LogFormat) -> None:
    """Logs can be written so.

    Raises:
        InvalidMountOption: this system has no journal.
    """
    if log_format == "journal" and not JOURNAL_SOCKET.exists():
        raise InvalidMountOption(f"log=journal: no journald listens at {JOURNAL_SOCKET}")


def last_words(path: Path, *, since_bytes: int = 0, lines: int = 5) -> str:
    """The last lines written to the log after its first `since_bytes`; "" where there are none."""
    try:
        with path.open("rb") as file:
            file.seek(since_bytes)
            text = file.read(LOG_BYTES_MAX).decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


def _install(handler: logging.Handler, log_format: LogFormat) -> None:
    match log_format:
        case "text":
            handler.setFormatter(_OneLine())
        case "json":
            handler.setFormatter(_JsonLine())
        case "journal":
            handler.close()
            handler = _Journal()
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


class _JsonLine(logging.Formatter):
    """One JSON object a line: Time, Level, Logger, Message, and Traceback where there is one."""

    def __init__(self) -> None:
        super().__init__(datefmt="%Y-%m-%dT%H:%M:%S")
        self.converter = time.gmtime

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        fields = {
            "Time": f"{self.formatTime(record, self.datefmt)}.{record.msecs:03.0f}Z",
            "Level": record.levelname,
            "Logger": record.name,
            "Message": record.getMessage(),
        }
        if record.exc_info:
            fields["Traceback"] = self.formatException(record.exc_info)
        return json.dumps(fields)


class _Journal(logging.Handler):
    """Entries of journald, with the fields it knows (systemd.journal-fields(7))."""

    def emit(self, record: logging.LogRecord) -> None:
        """The journal has the record; what keeps it from that is told on stderr."""
        # Brings libsystemd along, which only daemons of a unit need.
        from cysystemd.journal import send  # noqa: PLC0415

        fields = {
            "message": self.format(record),
            "priority": _PRIORITIES.get(record.levelno, _PRIORITIES[logging.INFO]),
            "syslog_identifier": IDENTIFIER,
            "logger": record.name,
            "code_file": record.pathname,
            "code_line": record.lineno,
            "code_func": record.funcName,
        }
        try:
            send(**fields)
        except OSError:
            self.handleError(record)
