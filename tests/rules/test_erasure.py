"""Which share holds what, and which zone holds which share."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3fs_local.errors import InvalidArgument
from s3fs_local.rules.erasure import (
    SHARES_MAX,
    Coding,
    assign,
    parse_coding,
    run_bytes,
    spans,
)
from s3fs_local.rules.placement import Home, Homes

CODINGS = st.builds(
    lambda data, parity: Coding(data, min(parity, SHARES_MAX - data)),
    st.integers(2, SHARES_MAX - 1),
    st.integers(1, SHARES_MAX - 2),
)


def test_two_data_shares_and_a_computed_one_are_written_2_plus_1() -> None:
    """As many people write it; while a pack grows, copies survive the same loss."""
    coding = parse_coding("2+1")

    assert coding == Coding(2, 1)
    assert str(coding) == "2+1"
    assert coding.shares == 3
    assert coding.copies_before == 2


@given(CODINGS)
def test_what_is_written_is_read_back(coding: Coding) -> None:
    """In settings, for every number of shares that there may be."""
    assert parse_coding(str(coding)) == coding


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("1+2", "copies=3"),
        ("3+0", "3+1"),
        ("12+5", "at most 16"),
        ("2", "write 2+1"),
        ("2+1+1", "write 2+1"),
        ("", "write 2+1"),
    ],
)
def test_numbers_that_make_no_sense_are_refused_with_one_that_does(text: str, why: str) -> None:
    """Whoever typed it knows what to type."""
    with pytest.raises(InvalidArgument, match=why.replace("+", r"\+")):
        parse_coding(text)


@given(st.integers(1, 10_000), CODINGS, st.data())
def test_a_range_is_found_byte_by_byte_in_order(
    length: int, coding: Coding, data: st.DataObject
) -> None:
    """No byte of a pack is missed, asked for twice, or looked for behind the end of a share."""
    offset = data.draw(st.integers(0, length - 1))
    size = data.draw(st.integers(1, length - offset))
    run = run_bytes(length, coding)

    found = list(spans(offset, size, run=run))

    places = [
        span.share * run + span.offset + step for span in found for step in range(span.length)
    ]
    assert places == list(range(offset, offset + size))
    assert all(span.share < coding.data and span.offset + span.length <= run for span in found)
    assert run * coding.data >= length > (run - 1) * coding.data


def test_a_range_within_one_share_asks_one_zone() -> None:
    """A read of an archived block costs one request, as it did from a copy."""
    assert len(list(spans(10, 30, run=50))) == 1
    assert len(list(spans(40, 20, run=50))) == 2


@given(
    st.lists(
        st.tuples(st.sampled_from(["hot", "cold", "archive"]), st.booleans()),
        min_size=1,
        max_size=8,
    ),
    CODINGS,
    st.integers(0, 100),
    st.data(),
)
def test_no_zone_gets_two_shares_and_none_is_forgotten(
    described: list[tuple[str, bool]], coding: Coding, spread: int, data: st.DataObject
) -> None:
    """Else one zone that is lost would take two of them."""
    zones = [Home(kind, is_well=well) for kind, well in described]
    holding = data.draw(st.lists(st.integers(0, coding.shares - 1), max_size=len(zones)))
    holders: dict[int, set[int]] = {}
    for zone, share in enumerate(holding):
        holders.setdefault(share, set()).add(zone)
    homes = Homes(2, ("cold", "hot"))

    given_to = assign(zones, holders, coding, homes, spread=spread)

    taken = set(range(len(holding)))
    lacking = {
        share
        for share in range(coding.shares)
        if not any(zones[zone].is_well for zone in holders.get(share, ()))
    }
    free = [zone for zone in range(len(zones)) if zones[zone].is_well and zone not in taken]
    assert set(given_to) <= lacking
    assert len(given_to) == min(len(lacking), len(free))
    assert len(set(given_to.values())) == len(given_to)
    assert not taken & set(given_to.values())


def test_computed_shares_are_spread_over_the_zones() -> None:
    """Packs after each other: no zone has only what a read rarely asks for."""
    zones = [Home("hot")] * 3
    first = [assign(zones, {}, Coding(2, 1), Homes(), spread=n)[2] for n in range(3)]

    assert sorted(first) == [0, 1, 2]
