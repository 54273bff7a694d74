"""What `status` would say reaches who never asks: by the log, and by `systemctl status`."""

import errno
import logging

import pytest
import trio
from trio.testing import MockClock

from s3fs_local.daemon.verdict_watch import LOOK_SECONDS, VerdictWatch
from s3fs_local.engine.inspections import Inspections
from s3fs_local.engine.use import BEAT_S
from s3fs_local.rules.findings import Finding, Severity

ZONE = Finding(Severity.WARNING, "zone b", "it is missing", "Bring it back.")
NOTICE = Finding(Severity.NOTICE, "recovery", "a file was recovered", "")


def room(free_mib: int) -> Finding:
    """Of which only the number changes."""
    return Finding(Severity.CRITICAL, "room", f"{free_mib} MiB are free", "Make room.")


class Watched:
    """A store of which a test says what an inspector finds."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self.found: list[Finding] = []
        self.verdicts: list[str] = []
        self._caplog = caplog
        self.inspections = Inspections()
        self.inspections.add("all", lambda: self.found)
        self.watch = VerdictWatch(self.inspections, self.verdicts.append)

    def logged(self, *found: Finding) -> list[tuple[int, str]]:
        """What a look logs while that is found."""
        self.found = list(found)
        self._caplog.clear()
        with self._caplog.at_level(logging.INFO):
            self.watch.look()
        return [(record.levelno, record.getMessage()) for record in self._caplog.records]


@pytest.fixture
def watched(caplog: pytest.LogCaptureFixture) -> Watched:
    """Nothing was found yet."""
    return Watched(caplog)


def test_a_finding_is_logged_when_it_comes_and_when_it_goes(watched: Watched) -> None:
    """Once each: a disk that is full for a week must not fill the log, too."""
    assert watched.logged() == []
    assert watched.logged(ZONE) == [(logging.WARNING, "zone b: it is missing. Bring it back.")]
    assert watched.logged(ZONE, NOTICE) == []
    assert watched.logged(room(12), ZONE) == [
        (logging.CRITICAL, "room: 12 MiB are free. Make room.")
    ]
    assert watched.logged(room(11), ZONE) == []
    assert watched.logged(room(11)) == [(logging.INFO, "zone b: no more is said of it")]
    assert watched.logged(NOTICE) == [(logging.INFO, "room: no more is said of it")]
    assert watched.logged(ZONE) == [(logging.WARNING, "zone b: it is missing. Bring it back.")]


def test_systemd_hears_the_verdict_and_the_worst_of_its_reasons(watched: Watched) -> None:
    """`systemctl status` has one line; the words are those of `status`."""
    for found in ([], [NOTICE], [ZONE], [room(11), ZONE], []):
        watched.logged(*found)

    assert watched.verdicts == [
        "is healthy",
        "works, but needs attention: zone b: it is missing",
        "is failing: room: 11 MiB are free",
        "is healthy",
    ]


def test_a_look_that_fails_ends_nothing(watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
    """It runs in the daemon, all the time; a mount must not end for the sake of its verdict."""

    def fails() -> list[Finding]:
        raise OSError(errno.EIO, "the disk of the program fails")

    def is_wrong() -> list[Finding]:
        raise AssertionError

    async def test() -> None:
        with trio.move_on_after(2 * LOOK_SECONDS):
            await watched.watch.run()

    watched.inspections.add("release", fails)
    trio.run(test, clock=MockClock(autojump_threshold=0))
    assert watched.verdicts == [
        "is failing: release: [Errno 5] the disk of the program fails",
    ]
    watched.inspections.add("release", is_wrong)
    caplog.clear()
    trio.run(test, clock=MockClock(autojump_threshold=0))
    assert "nobody knows how the store is" in caplog.text


def test_it_looks_by_itself(watched: Watched) -> None:
    """Nobody asks for anything meanwhile."""

    async def test() -> None:
        with trio.move_on_after(LOOK_SECONDS + 2 * BEAT_S):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(watched.watch.run)
                await trio.sleep(1)
                watched.found = [ZONE]

    trio.run(test, clock=MockClock(autojump_threshold=0))
    assert watched.verdicts == ["is healthy", "works, but needs attention: zone b: it is missing"]
