"""Which instants are offered to programs that want a list of them."""

from hypothesis import given
from hypothesis import strategies as st

from s3fs_local.rules.instants import SECOND_NS
from s3fs_local.rules.snapshots import CHANGES_MAX, offered_seconds

NOW = 1_800_000_000
YEAR = 365 * 86_400
instants = st.integers(0, NOW * SECOND_NS)


def test_each_change_is_offered_when_its_second_is_over() -> None:
    """Names of snapshots have whole seconds, and the tree must show the change."""
    changes_ns = [(NOW - 10) * SECOND_NS + 1, (NOW - 5) * SECOND_NS]
    offered = offered_seconds(changes_ns, now_ns=NOW * SECOND_NS, since_ns=(NOW - 20) * SECOND_NS)

    assert [NOW - at for at in offered if NOW - at] == [5, 9]


def test_a_change_of_this_second_is_not_offered_yet() -> None:
    """A snapshot that lies ahead would still change, and clients keep what they saw."""
    now_ns = NOW * SECOND_NS + 500
    assert NOW + 1 not in offered_seconds([now_ns - 1], now_ns=now_ns, since_ns=0)


def test_regular_times_are_offered_without_any_change_here() -> None:
    """What people miss may have changed further below; they remember `yesterday`."""
    offered = offered_seconds([], now_ns=NOW * SECOND_NS, since_ns=0)

    for ago in (3_600, 86_400, 7 * 86_400, 300 * 86_400, 5 * YEAR):
        assert any(ago / 2 <= NOW - at <= 2 * ago for at in offered), ago


@given(st.lists(instants, max_size=50), instants, instants)
def test_what_is_offered_is_in_order_within_the_life_of_the_store(
    changes_ns: list[int], now_ns: int, since_ns: int
) -> None:
    """Nothing before it was made, nothing ahead, nothing twice."""
    offered = offered_seconds(changes_ns, now_ns=now_ns, since_ns=since_ns)

    assert offered == sorted(set(offered), reverse=True)
    assert all(since_ns <= at * SECOND_NS <= now_ns for at in offered)


def test_the_list_is_bounded() -> None:
    """Windows asks about every entry, over the network."""
    changes_ns = [second * SECOND_NS for second in range(NOW - 5_000, NOW)]
    offered = offered_seconds(changes_ns, now_ns=NOW * SECOND_NS, since_ns=0)

    assert len(offered) <= CHANGES_MAX + 240
    assert set(range(NOW - CHANGES_MAX, NOW)) <= set(offered)
