"""A calendar of locks is short enough to look at, and leaves no date out."""

from s3fs_local.rules.instants import parse_instant
from s3fs_local.rules.lock_calendars import Unit, date_of, dates_between, unit_for


def at(text: str) -> int:
    """The instant."""
    return parse_instant(text, now_ns=0)


def test_the_unit_follows_the_length() -> None:
    """Weeks by day, years by month, decades by year."""
    first = at("2027-01-30")

    assert unit_for(first, first) is Unit.DAY
    assert unit_for(first, at("2027-03-01")) is Unit.DAY
    assert unit_for(first, at("2031-03-01")) is Unit.MONTH
    assert unit_for(first, at("2057-03-01")) is Unit.YEAR


def test_dates_without_ends_are_dates_too() -> None:
    """A gap is seen as a gap."""
    first, last = at("2027-01-30T23:00:00Z"), at("2027-03-01T01:00:00Z")

    assert dates_between(first, last, Unit.MONTH) == ["2027-01", "2027-02", "2027-03"]
    assert len(dates_between(first, last, Unit.DAY)) == 31
    assert dates_between(first, last, Unit.YEAR) == ["2027"]
    assert dates_between(first, first, Unit.DAY) == [date_of(first, Unit.DAY)]
