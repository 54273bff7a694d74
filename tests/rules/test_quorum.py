"""How many zones must have a byte."""

from hypothesis import given
from hypothesis import strategies as st

from s3fs_local.rules.quorum import enough_to_know, quorum_of, waits_for


def test_half_of_the_zones_rounded_up_unless_somebody_asks() -> None:
    """The table in the module."""
    assert [quorum_of(copies) for copies in range(1, 6)] == [1, 1, 2, 2, 3]
    assert [waits_for(quorum_of(n), n) for n in range(1, 6)] == [1, 2, 2, 2, 3]
    assert quorum_of(2, wanted=2) == 2
    assert quorum_of(2, wanted=5) == 2
    assert quorum_of(3, wanted=1) == 1


@given(st.integers(1, 16), st.integers(0, 16), st.data())
def test_any_zones_that_are_enough_know_whatever_was_acknowledged(
    copies: int, wanted: int, data: st.DataObject
) -> None:
    """The two sets meet; and any single zone may be missing, where two are in sync."""
    quorum = quorum_of(copies, wanted=wanted)
    in_sync = data.draw(st.integers(quorum, copies))
    acknowledged = waits_for(quorum, in_sync)
    there = enough_to_know(in_sync, quorum)

    assert acknowledged + there > in_sync
    assert there <= in_sync
    assert in_sync == 1 or there <= in_sync - 1 or acknowledged == 1
