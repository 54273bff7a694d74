"""Which zones hold what."""

from hypothesis import given
from hypothesis import strategies as st

from s3fs_local.rules.placement import EVERYWHERE, Home, Homes, choose, lacking

HOT, COLD, ARCHIVE = Home("hot"), Home("cold"), Home("archive")
KINDS = st.sampled_from(["hot", "cold", "archive"])


def test_a_class_says_where_its_copies_are() -> None:
    """The defaults of the classes, over hot, hot, cold and archive zones."""
    zones = [HOT, HOT, COLD, ARCHIVE]

    assert choose(zones, EVERYWHERE) == [0, 1, 2, 3]
    assert choose(zones, Homes(0, ("hot",))) == [0, 1]
    assert choose(zones, Homes(3, ("cold", "hot"))) == [2, 0, 1]
    assert choose(zones, Homes(3, ("archive", "cold", "hot"))) == [3, 2, 0]
    assert choose(zones, Homes(1, ("cold", "hot"))) == [2]
    assert choose([HOT], Homes(3, ("archive",))) == [0]


def test_what_has_one_copy_is_spread_over_equal_zones() -> None:
    """No zone fills first."""
    spread = [choose([HOT, HOT, HOT], Homes(1, ("hot",)), spread=n)[0] for n in range(6)]

    assert spread == [0, 1, 2, 0, 1, 2]


def test_a_zone_that_is_not_well_gets_nothing_new_that_another_may_have() -> None:
    """A class of one copy is written while its favourite zone is away."""
    assert choose([Home("cold", is_well=False), HOT], Homes(1, ("cold", "hot"))) == [1]
    assert choose([HOT, Home("hot", is_well=False)], EVERYWHERE) == [0, 1]


def test_what_belongs_in_every_hot_zone_goes_elsewhere_while_no_hot_zone_is_well() -> None:
    """The quorum holds, so writes go on; one hot zone that is well is enough to take them."""
    gone = Home("hot", is_well=False)

    assert choose([gone, COLD, ARCHIVE, COLD], Homes(0, ("hot",))) == [1, 2, 3]
    assert choose([gone, ARCHIVE, COLD], Homes(0, ("hot", "cold"))) == [2]
    assert choose([gone, HOT, COLD], Homes(0, ("hot",))) == [0, 1]
    assert choose([gone, gone], Homes(0, ("hot",))) == [0, 1]
    assert lacking([HOT, COLD, COLD], {1, 2}, Homes(0, ("hot",)), spread=0) == [], "it stays there"


@given(st.lists(KINDS, min_size=1, max_size=6), st.integers(0, 6), st.lists(KINDS), st.integers(0))
def test_there_are_as_many_homes_as_wanted_and_no_zone_twice(
    kinds: list[str], copies: int, wanted: list[str], spread: int
) -> None:
    """Or as many as there are zones."""
    zones = [Home(kind) for kind in kinds]
    chosen = choose(zones, Homes(copies, tuple(wanted)), spread=spread)

    assert len(set(chosen)) == len(chosen) > 0
    assert not copies or len(chosen) == min(copies, len(zones))


def test_a_copy_anywhere_counts() -> None:
    """A zone that returns is not given what lies where it does on purpose."""
    zones = [HOT, HOT, HOT]

    assert lacking(zones, {1}, Homes(1), spread=0) == []
    assert lacking(zones, {1}, EVERYWHERE, spread=0) == [0, 2]
    assert lacking(zones, set(), Homes(1), spread=1) == [1]
    assert lacking([HOT, Home("hot", is_well=False)], {1}, Homes(1), spread=0) == [0]


def test_a_zone_that_is_being_given_things_is_given_what_is_lacking() -> None:
    """Whoever is chosen else is given nothing now, and one copy less would be there until then."""
    three = [HOT] * 3
    assert lacking(three, {0}, Homes(2), spread=1) == [1]
    assert lacking(three, {0}, Homes(2), spread=1, rather=2) == [2]
    assert lacking(three, {0, 1}, Homes(2), spread=1, rather=2) == [], "nothing is lacking"
    assert lacking([HOT, COLD], set(), Homes(1, ("hot",)), spread=0, rather=1) == [0]
