"""The daemon's log stays small and has one line an event."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from s3fs_local.daemon.log_setup import (
    JOURNAL_SOCKET,
    LOG_BYTES_MAX,
    OLD_LOGS,
    check_log_format,
    last_words,
    log_to_file,
)
from s3fs_local.errors import InvalidMountOption, MountFailed


@pytest.fixture(autouse=True)
def _root_logger_as_before() -> Iterator[None]:
    """Handlers of a test end with it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in set(root.handlers) - set(handlers):
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)


def test_an_event_is_one_line_even_with_a_traceback_and_names_with_newlines(
    tmp_path: Path,
) -> None:
    """A file's name must not be able to forge a line of the log."""
    log_to_file(tmp_path / "daemon.log")
    log = logging.getLogger("s3fs_local.test")
    log.info("removed %s", "a\n2026-01-01T00:00:00.000Z INFO forged")
    try:
        dict[str, str]()["inside"]
    except KeyError:
        log.exception("failed")

    lines = (tmp_path / "daemon.log").read_text().splitlines()
    assert len(lines) == 2
    assert "INFO s3fs_local.test: removed a\\n2026" in lines[0]
    assert "KeyError: 'inside'" in lines[1]


def test_a_log_for_machines_is_a_json_object_a_line(tmp_path: Path) -> None:
    """Whoever collects logs parses no sentences."""
    log_to_file(tmp_path / "daemon.log", "json")
    log = logging.getLogger("s3fs_local.test")
    log.warning("removed %s", 'a\n"}')
    try:
        dict[str, str]()["inside"]
    except KeyError:
        log.exception("failed")

    first, second = map(json.loads, (tmp_path / "daemon.log").read_text().splitlines())
    assert first.pop("Time").endswith("Z")
    assert first == {"Level": "WARNING", "Logger": "s3fs_local.test", "Message": 'removed a\n"}'}
    assert "KeyError: 'inside'" in second["Traceback"]


@pytest.mark.skipif(JOURNAL_SOCKET.exists(), reason="this system has a journal of its own")
def test_a_log_that_nobody_would_get_is_refused() -> None:
    """Where no journald listens, every line would be lost without a word."""
    with pytest.raises(InvalidMountOption, match="no journald listens"):
        check_log_format("journal")


def test_the_log_is_bounded_and_stderr_stays_with_it(tmp_path: Path) -> None:
    """The daemon's stderr is the same file; after a rotation it must not write into the old one."""
    path = tmp_path / "daemon.log"
    with path.open("a") as stderr:
        log_to_file(path)
        log = logging.getLogger("s3fs_local.test")
        for _ in range(LOG_BYTES_MAX * (OLD_LOGS + 2) // (1 << 20)):
            log.info("x" * (1 << 20))
        stderr.write("last words\n")
        stderr.flush()

    logs = sorted(file.name for file in tmp_path.iterdir())
    assert logs == ["daemon.log", "daemon.log.1", "daemon.log.2"]
    assert all(file.stat().st_size < LOG_BYTES_MAX + 100 for file in tmp_path.iterdir())
    assert last_words(path, lines=1) == "last words"


def test_last_words_are_only_those_of_the_present_daemon(tmp_path: Path) -> None:
    """What an earlier daemon said would mislead."""
    path = tmp_path / "daemon.log"
    path.write_text("old trouble\n")
    before = path.stat().st_size
    with path.open("a") as log:
        log.write("one\ntwo\nthree\n")

    assert last_words(path, since_bytes=before, lines=2) == "two\nthree"
    assert last_words(tmp_path / "missing") == ""


def test_a_log_that_cannot_be_opened_is_told_in_words(tmp_path: Path) -> None:
    """The first file that a mount touches on a failing disk is its log: no traceback then."""
    (tmp_path / "daemon.log").mkdir()

    with pytest.raises(MountFailed, match=r"daemon\.log cannot be opened: Is a directory; see"):
        log_to_file(tmp_path / "daemon.log")
