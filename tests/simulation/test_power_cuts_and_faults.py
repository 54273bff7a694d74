"""Whatever breaks, and wherever: what was acknowledged is there, and the store opens whole.

A history runs over a zone that loses power or fails at one call, once or for ever. Then the store
is opened again.
"""

from collections import defaultdict
from collections.abc import Callable
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3fs_local.errors import S3fsLocalError, StoreFull, ZoneUnavailable
from s3fs_local.objects.failing import FailingObjects
from tests.engine.invariants import check_invariants
from tests.engine.memory_store import MemoryStore
from tests.simulation.driven_store import DrivenStore


class Run:
    """A store that goes through the history below, and what it was told is durable.

    After an acknowledgement a file has one content (None: it is not there). What is done to it
    until the next may have happened or not, so each of that is `possible` as well.
    """

    def __init__(self) -> None:
        self.driven = DrivenStore()
        self.zone: FailingObjects = self.driven.failing
        self.possible: defaultdict[str, list[bytes | None]] = defaultdict(lambda: [None])
        self.saved: list[tuple[str, bytes]] = []
        self.handles: dict[str, int] = {}

    @property
    def store(self) -> MemoryStore:
        """The store."""
        return self.driven.store

    def content(self, path: str) -> bytes | None:
        """What the path holds now; None: it is not there."""
        return self.store.read(path) if self.store.exists(path) else None

    def write_unsynced(self, path: str, offset: int, data: bytes) -> int:
        """Through a handle that stays open."""
        self.store.tick()
        if path not in self.handles:
            self.possible[path].append(b"")
            self.handles[path] = self.driven.create(path, 0o644)
        content = (self.content(path) or b"").ljust(offset, b"\0")
        self.possible[path].append(content[:offset] + data + content[offset + len(data) :])
        self.driven.write(self.handles[path], offset, data)
        return self.handles[path]

    def write_and_fsync(self, path: str, offset: int, data: bytes) -> None:
        """What fsync returned for is durable."""
        self.driven.fsync(self.write_unsynced(path, offset, data))
        self.possible[path] = [self.content(path)]

    def save(self, path: str, content: bytes) -> None:
        """Written, closed, and everything flushed durably."""
        self.possible[path] += [b"", content]
        self.store.write(path, content)
        self.store.flush(durable=True)
        self.possible[path] = [content]
        self.saved.append((path, content))

    def remove(self, path: str) -> None:
        """The file is gone; not acknowledged."""
        self.possible[path].append(None)
        self.store.remove(path)

    def rename(self, old: str, new: str) -> None:
        """Likewise."""
        self.possible[new].append(self.content(old))
        self.possible[old].append(None)
        self.store.rename(old, new)

    def check(self) -> None:
        """All that was acknowledged is there, now or in the history, and the store is whole."""
        for path, contents in self.possible.items():
            assert self.content(path) in contents, path
        for path, content in self.saved:
            assert content in self.store.history(path), path
        check_invariants(self.store)

    def reopen(self) -> None:
        """The daemon ends and starts again; the zone works."""
        self.zone.faults.clear()
        self.handles.clear()
        self.driven.crash(power=False)

    def go_on(self) -> None:
        """The store takes new writes, which last."""
        self.save("/afterwards", b"works" * 1000)
        self.reopen()
        self.check()


Step = Callable[[Run], object]
HISTORY: Final[list[Step]] = [
    lambda run: run.save("/saved", b"first" * 900),
    lambda run: run.write_and_fsync("/open", 0, b"a" * 3000),
    lambda run: run.save("/saved", b"second" * 4000),
    lambda run: run.write_and_fsync("/open", 3000, b"b" * 12_000),
    lambda run: run.driven.leave_segment(),
    lambda run: run.rename("/saved", "/moved"),
    lambda run: run.save("/saved", b"third"),
    lambda run: run.write_and_fsync("/open", 100, b"c" * 50),
    lambda run: run.write_and_fsync("/large", 1 << 20, b"d" * 20_000),
    lambda run: run.driven.close(run.handles["/open"]),
    lambda run: run.remove("/saved"),
    lambda run: run.driven.settle(),
    lambda run: run.write_and_fsync("/large", 0, b"e" * 9000),
    lambda run: run.driven.leave_segment(),
    lambda run: run.save("/last", b"f" * 100),
]


def _run(steps: list[Step]) -> Run:
    run = Run()
    for step in steps:
        step(run)
    return run


def test_without_faults_the_history_is_what_it_says() -> None:
    """The control: everything below compares with this."""
    run = _run(HISTORY)
    run.reopen()
    run.check()

    assert run.content("/moved") == b"second" * 4000
    assert run.content("/open") == b"a" * 100 + b"c" * 50 + b"a" * 2850 + b"b" * 12_000
    assert run.content("/saved") is None


@pytest.mark.parametrize("length", range(1, len(HISTORY) + 1))
def test_after_a_power_cut_all_that_was_acknowledged_is_there(length: int) -> None:
    """The disk shows nothing that was not synced, or any part of it."""
    for kept_bytes in (0, 1, 60, 500, 3000, 9000, 1 << 30):
        run = _run(HISTORY[:length])
        run.write_unsynced("/large", 7, b"never acknowledged" * 100)
        run.possible["/unsynced"] += [b"", b"u" * 5000]
        run.store.write("/unsynced", b"u" * 5000)
        run.store.flush()
        run.write_unsynced("/large", 0, b"not even flushed" * 1000)
        run.zone.power_cut(lambda _, unsynced, kept=kept_bytes: unsynced[:kept])  # type: ignore[misc]
        run.reopen()
        run.check()
        run.go_on()


@settings(max_examples=60, deadline=None)
@given(st.integers(1, len(HISTORY) - 1), st.integers(0, 12_000))
def test_a_segment_that_is_torn_while_drafts_are_repeated_loses_none(cut: int, kept: int) -> None:
    """The draft was fsynced in the segment before; half a repetition must not replace it."""
    run = _run(HISTORY[:cut])
    run.write_and_fsync("/again", 0, b"g" * 6000)
    run.write_and_fsync("/again", 2000, b"h" * 100)
    nth_sync = 2  # the head of the new segment is synced, what follows is not
    run.zone.fail("sync", ZoneUnavailable("the power is about to go"), nth=nth_sync, for_ever=True)
    with pytest.raises(S3fsLocalError):
        run.driven.leave_segment()
    run.zone.power_cut(lambda _, unsynced: unsynced[:kept])
    run.reopen()
    run.check()


def _calls_of_history() -> dict[str, int]:
    run = Run()
    before = dict(run.zone.calls)
    for step in HISTORY:
        step(run)
    return {
        method: count - before.get(method, 0)
        for method, count in run.zone.calls.items()
        if count > before.get(method, 0)
    }


CALLS: Final = _calls_of_history()
ANSWERED_ELSEWHERE: Final = ("read_nowait",)  # then `read` is asked
ERRORS: Final = {"full": StoreFull("no space"), "gone": ZoneUnavailable("the zone failed")}


def test_the_history_makes_every_kind_of_call() -> None:
    """A fault that is never met proves nothing."""
    assert {"create", "append", "sync", "delete", "free_bytes", "read_nowait"} <= CALLS.keys()
    assert CALLS["append"] > 20
    assert CALLS["sync"] > 20


@pytest.mark.parametrize("for_ever", [False, True], ids=["once", "for ever"])
@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("method", sorted(CALLS))
def test_a_fault_at_any_call_reaches_the_caller_and_loses_nothing(
    method: str, error: str, *, for_ever: bool
) -> None:
    """Nothing is acknowledged falsely, nothing acknowledged is lost, and the store opens whole."""
    told = 0
    for nth in range(1, CALLS[method] + 1):
        run = Run()
        run.zone.fail(method, ERRORS[error], nth=nth, for_ever=for_ever)
        told += _go_through_in_spite_of_faults(run, type(ERRORS[error]))
        run.reopen()
        run.check()
        run.go_on()
    assert told or method in ANSWERED_ELSEWHERE, "the error reached nobody"


def _go_through_in_spite_of_faults(run: Run, error: type[S3fsLocalError]) -> int:
    """How many steps were refused with that error. Later ones may be impossible because of it."""
    told = 0
    for step in HISTORY:
        try:
            step(run)
        except error:
            told += 1
        except (S3fsLocalError, KeyError):
            assert told, "a step failed, but not with the error that was injected"
    return told
