"""What was asked lately is known, at hardly any cost, and without end."""

from itertools import count

from s3fs_local.engine.activity import LAST_OPERATIONS_MAX, RUNNING, Activity, Operation
from s3fs_local.engine.use import Use


def test_each_operation_is_counted_timed_and_kept() -> None:
    """What a person needs to see why a mount is slow: what, how often, how long, what failed."""
    uptime = count(100, 10)
    activity = Activity(lambda: next(uptime), Use())
    write = Operation("write", started_ns=90, ino=5, size=4096)
    activity.begin(write)
    assert [operation.took_ns for operation in activity.running()] == [RUNNING]
    activity.end(write)
    unlink = Operation("unlink", started_ns=100, ino=1, name=b"f")
    activity.begin(unlink)
    activity.end(unlink, failure="Protected")

    assert activity.counts == {"write": 1, "unlink": 1}
    assert activity.took_ns == {"write": 10, "unlink": 10}
    assert activity.bytes_by_kind == {"write": 4096}
    assert activity.failures == {"Protected": 1}
    assert activity.last() == [write, unlink]
    assert activity.running() == []


def test_what_failed_moved_no_bytes() -> None:
    """A refused write must not look like traffic."""
    activity = Activity(lambda: 0, Use())
    write = Operation("write", started_ns=0, size=4096)
    activity.begin(write)
    activity.end(write, failure="StoreFull")

    assert not activity.bytes_by_kind


def test_the_record_is_bounded_and_never_forgets_what_still_runs() -> None:
    """A request that hangs is the one that is looked for, however much came after it."""
    activity = Activity(lambda: 0, Use())
    hanging = Operation("read", started_ns=0)
    activity.begin(hanging)
    for _ in range(3 * LAST_OPERATIONS_MAX):
        quick = Operation("getattr", started_ns=0)
        activity.begin(quick)
        activity.end(quick)

    assert len(activity.last()) == LAST_OPERATIONS_MAX + 1
    assert activity.last()[0] is hanging
    assert activity.running() == [hanging]
