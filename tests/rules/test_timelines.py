"""A timeline has few enough steps to look at, and no instant falls out of it."""

from hypothesis import given
from hypothesis import strategies as st

from s3fs_local.rules.instants import INSTANT_NS_MAX, SECOND_NS
from s3fs_local.rules.timelines import running, span_of

DAY_NS = 86_400 * SECOND_NS


def test_a_month_is_shown_by_days() -> None:
    """Steps begin where a person would cut: at midnight."""
    span = span_of(10 * DAY_NS + 5, 40 * DAY_NS + 7, steps_max=60)

    assert (span.from_ns, span.step_ns, span.count) == (10 * DAY_NS, DAY_NS, 31)
    assert span.steps()[0] == (10 * DAY_NS, 11 * DAY_NS)
    assert span.bounds()[-1] == span.to_ns == 41 * DAY_NS


@given(st.integers(0, INSTANT_NS_MAX), st.integers(0, INSTANT_NS_MAX), st.integers(2, 100))
def test_both_ends_are_in_a_step(first: int, second: int, steps_max: int) -> None:
    """What happened last is what somebody looks for."""
    from_ns, to_ns = sorted((first, second))
    span = span_of(from_ns, to_ns, steps_max=steps_max)

    assert 1 <= span.count <= steps_max
    steps = span.steps()
    assert steps[0][0] <= from_ns < steps[0][1]
    assert steps[-1][0] <= to_ns < steps[-1][1]
    assert [begin for begin, _ in steps[1:]] == [end for _, end in steps[:-1]]


def test_sums_run_on() -> None:
    """What is held at a time is all that came before."""
    assert running([3, -1, 0, 2]) == [3, 2, 2, 4]
