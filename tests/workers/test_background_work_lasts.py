"""Whatever fails below background work, the mount goes on, and so does the work."""

import logging

import pytest
import trio
from trio.testing import MockClock

from s3fs_local.errors import MetadataDamaged, ZoneUnavailable
from s3fs_local.workers.lasting import BEGIN_ANEW_SECONDS, lasting


def test_work_begins_anew_after_each_error_and_tells_it_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Metadata that cannot be read ended the daemon from within a task that looks every second."""
    begun = 0

    async def fail_alone() -> None:
        raise ZoneUnavailable("no answer")

    async def work() -> None:
        nonlocal begun
        begun += 1
        if begun <= 3:
            raise MetadataDamaged("disk I/O error")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fail_alone)
            await trio.sleep_forever()

    async def live() -> None:
        with trio.move_on_after(4.5 * BEGIN_ANEW_SECONDS):
            await lasting(work)

    trio.run(live, clock=MockClock(autojump_threshold=0))

    told = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert begun == 5
    assert [text.rpartition(": ")[2] for text in told] == ["disk I/O error", "no answer"]


def test_a_bug_is_not_hidden() -> None:
    """Whoever meets one wants to know of it."""

    async def work() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        trio.run(lasting, work)
