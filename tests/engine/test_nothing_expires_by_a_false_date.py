"""Locks and lifecycle judge by the compliance clock: a date that nobody measured ends nothing."""

import pytest
import trio

from s3fs_local.engine.pace import AT_ONCE
from s3fs_local.errors import Protected
from s3fs_local.rules.instants import SECOND_NS
from s3fs_local.rules.retention import Retention
from s3fs_local.rules.retrieval import RetrievalTier
from s3fs_local.rules.storage_classes import StorageClass
from s3fs_local.system.clock import SettableClock
from tests.engine.lifecycle_store import DAY, LifecycleStore
from tests.engine.memory_store import ALICE, START_NS
from tests.engine.verified import check_verified

YEAR_NS = 365 * DAY * SECOND_NS


class _BehindClock(SettableClock):
    """The date went on, after a boot say; nobody measured the time between."""

    def expiry_ns(self) -> int:
        """Still that of before."""
        return START_NS + 10 * SECOND_NS


@pytest.fixture
def store() -> LifecycleStore:
    """`f` expires after three days, `g` is locked for one; then the date is fifty years later."""
    made = LifecycleStore(object_lock="true")
    made.write("/f", b"precious")
    made.write("/g", b"locked")
    until_ns = made.clock.now_ns() + DAY * SECOND_NS
    made.fs.locks.set_retention(
        made.stat("/g").ino, Retention("COMPLIANCE", until_ns), caller=ALICE
    )
    made.put_rules({"Expiration": {"Days": 3}})
    made.settle()
    made.clock = _BehindClock(START_NS + 50 * YEAR_NS)
    made.crash()
    return made


def test_a_lock_does_not_end(store: LifecycleStore) -> None:
    """By the date it ended 49 years ago."""
    with pytest.raises(Protected):
        store.remove("/g")
    with pytest.raises(Protected):
        store.write("/g", b"else")
    check_verified(store)


def test_lifecycle_removes_nothing(store: LifecycleStore) -> None:
    """What is not locked is lost by a false date as easily."""
    assert not store.fs.lifecycle.is_due()
    assert store.run_told()[1] == []
    assert store.exists("/f")


def test_work_goes_on(store: LifecycleStore) -> None:
    """Stamps follow the date, which may be right after all."""
    store.write("/h", b"new")
    assert store.stat("/h").mtime_ns > START_NS + 49 * YEAR_NS
    check_verified(store)


def test_the_longest_lock_is_counted_from_the_date(store: LifecycleStore) -> None:
    """As every period is: S3's hundred years are not too long by the time that nobody measured."""
    store.write("/h", b"new")
    ino = store.stat("/h").ino
    trio.run(store.fs.set_lock_attribute, ino, b"s3.object-lock", b"COMPLIANCE 100y", ALICE)

    with pytest.raises(Protected):
        store.remove("/h")


def test_a_retrieved_copy_is_not_over() -> None:
    """Whoever asked for a month has it by the time that passed."""
    made = LifecycleStore(retrieval_delay_standard="0")
    made.write("/f", b"from the archive")
    ino, stamp_ns = made.stat("/f").ino, made.stat("/f").version_ns
    made.fs.classes.set_by(ino, stamp_ns, StorageClass.GLACIER, ALICE)
    made.fs.retrieving.request(ino, stamp_ns, days=30, tier=RetrievalTier.STANDARD, caller=ALICE)
    trio.run(made.fs.retrieving.advance_all, AT_ONCE)
    made.settle()
    made.clock = _BehindClock(START_NS + 50 * YEAR_NS)
    made.crash()

    trio.run(made.fs.retrieving.advance_all, AT_ONCE)

    assert made.read("/f") == b"from the archive"
    due_in_ns = made.fs.retrieving.due_in_ns()
    assert due_in_ns is not None
    assert 30 * DAY * SECOND_NS <= due_in_ns <= 32 * DAY * SECOND_NS
