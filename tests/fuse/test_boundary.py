"""What leaves a handler: a value or an errno, and never anything else."""

import errno
import logging
from inspect import isawaitable

import pytest
import trio

from s3fs_local.engine.activity import Activity, Operation
from s3fs_local.engine.use import Use
from s3fs_local.errors import LockError, NoSuchName, Protected
from s3fs_local.fuse.boundary import Refused, answered, unanswered


class Handlers:
    """One of each kind, all of which do what they are told."""

    def __init__(self) -> None:
        self.activity = Activity(lambda: 0, Use())
        self.bugs: list[Exception] = []
        self.on_bug = self.bugs.append
        self.refusals: list[tuple[LockError, tuple[object, ...]]] = []

    def on_refusal(self, refusal: LockError, arguments: tuple[object, ...]) -> None:
        """Remembers it."""
        self.refusals.append((refusal, arguments))

    def operation_of(self, kind: str, _: object) -> Operation:
        """Says what it is about."""
        return Operation(kind, started_ns=0)

    @answered
    def now(self, outcome: object) -> object:
        """Answers at once."""
        return self.come_to(outcome)

    @answered
    async def later(self, outcome: object) -> object:
        """Answers after others had their turn."""
        await trio.lowlevel.checkpoint()
        return self.come_to(outcome)

    @unanswered
    def never(self, outcome: object) -> None:
        """Has nobody to answer to."""
        self.come_to(outcome)

    @staticmethod
    def come_to(outcome: object) -> object:
        """Raises errors, returns anything else."""
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome


async def answer(handlers: Handlers, kind: str, outcome: object) -> object:
    """What the handler of that kind answers, sooner or later."""
    answer = getattr(handlers, kind)(outcome)
    return await answer if isawaitable(answer) else answer


async def test_values_pass() -> None:
    """And requests are counted."""
    handlers = Handlers()

    assert handlers.now(1) == 1
    assert await handlers.later(2) == 2
    assert handlers.now(3) == 3
    assert handlers.activity.counts == {"now": 2, "later": 1}
    assert handlers.activity.running() == []


@pytest.mark.parametrize("kind", ["now", "later"])
async def test_an_expected_failure_becomes_its_errno_and_is_no_bug(kind: str) -> None:
    """Refusals are everyday business: nothing in the log, nothing to repair."""
    handlers = Handlers()
    with pytest.raises(Refused) as caught:
        await answer(handlers, kind, Protected("until Friday"))

    assert caught.value.number == errno.EPERM
    assert handlers.bugs == []
    assert handlers.activity.failures == {"Protected": 1}


@pytest.mark.parametrize("kind", ["now", "later"])
async def test_a_refusal_by_a_lock_is_told_with_what_was_asked(kind: str) -> None:
    """Who tries to change a record shall be found in the log; other failures are everyday."""
    handlers = Handlers()
    refusal = Protected("until Friday")
    for failure in (refusal, NoSuchName("x")):
        with pytest.raises(Refused):
            await answer(handlers, kind, failure)

    assert handlers.refusals == [(refusal, (refusal,))]


@pytest.mark.parametrize("kind", ["now", "later"])
async def test_a_bug_becomes_an_io_error_is_logged_and_reported(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The daemon makes the store read-only: what is half done must not get worse."""
    handlers = Handlers()
    bug = ZeroDivisionError("oops")
    with pytest.raises(Refused) as caught:
        await answer(handlers, kind, bug)

    assert caught.value.number == errno.EIO
    assert handlers.bugs == [bug]
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "ZeroDivisionError: oops" in caplog.text


def test_nothing_leaves_a_handler_without_a_reply() -> None:
    """An exception from there would end the main loop, and the mount with it."""
    handlers = Handlers()
    handlers.never(Protected())
    assert handlers.bugs == []

    bug = ZeroDivisionError()
    handlers.never(bug)
    assert handlers.bugs == [bug]


async def test_cancellation_is_no_bug() -> None:
    """It belongs to trio and must reach it."""
    handlers = Handlers()
    with trio.move_on_after(0) as scope:
        await handlers.later(1)

    assert scope.cancelled_caught
    assert handlers.bugs == []
