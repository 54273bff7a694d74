"""When locks end, as a calendar: by day, month or year, whichever is few enough to look at."""

from enum import StrEnum
from typing import Final

from s3fs_local.rules.instants import SECOND_NS, format_rfc3339, parse_instant

_DAY_NS: Final = 86_400 * SECOND_NS
_DAYS_MAX: Final = 62
_MONTHS_MAX: Final = 60 * 30


class Unit(StrEnum):
    """What a calendar counts by."""

    DAY = "day"
    MONTH = "month"
    YEAR = "year"


_LETTERS: Final = {Unit.DAY: 10, Unit.MONTH: 7, Unit.YEAR: 4}


def unit_for(first_ns: int, last_ns: int) -> Unit:
    """The finest unit in which a calendar of this length can be looked at."""
    days = (last_ns - first_ns) // _DAY_NS
    if days <= _DAYS_MAX:
        return Unit.DAY
    return Unit.MONTH if days <= _MONTHS_MAX else Unit.YEAR


def date_of(at_ns: int, unit: Unit) -> str:
    """The date in the calendar: `2027-01-31`, `2027-01` or `2027`."""
    return format_rfc3339(at_ns)[: _LETTERS[unit]]


def dates_between(first_ns: int, last_ns: int, unit: Unit) -> list[str]:
    """Every date from one to the other, both included."""
    dates: list[str] = []
    last = date_of(last_ns, unit)
    at_ns = parse_instant(format_rfc3339(first_ns)[:10], now_ns=0)
    while not dates or dates[-1] != last:
        date = date_of(at_ns, unit)
        if not dates or dates[-1] != date:
            dates.append(date)
        at_ns += _DAY_NS
    return dates
