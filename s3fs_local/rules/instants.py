"""Written time: how people and programs name instants and durations, and how we print them.

Everything is UTC and exact: `…T15:04:05Z` means that very nanosecond, `2026-11-20` the instant the
day begins (as in rclone's --s3-version-at and httm). One form means a little more than it says: the
time in the file names below `.versions` is cut to milliseconds, so `@2026-11-22T15-04-05.123Z`
means the end of that millisecond. Copied from such a name, it shows the version of that name and
not the one before.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from s3fs_local.errors import InvalidTime
from s3fs_local.rules.namespace import OPEN_NS

INSTANT_NS_MAX: Final = OPEN_NS - 1
"""The last instant there is (in the year 2262); the first is 0, 1970-01-01T00:00:00Z."""

SECOND_NS: Final = 1_000_000_000
CLOCKS_DIFFER_NS_MAX: Final = 60 * SECOND_NS
"""By so much the clock of who names an instant may be ahead."""

ACCEPTED_INSTANTS: Final = (
    "2026-11-22T15:04:05Z, 2026-11-22T15:04:05.123+02:00, 2026-11-22T15-04-05Z, 2026-11-22, "
    "a time ago such as 90s, 15m, 1h, 2d, 3w, 1y or 1d12h, GMT-2026.11.22-15.04.05, "
    "or seconds since 1970"
)
ACCEPTED_DURATIONS: Final = "500ms, 90s, 15m, 1h, 2d, 3w, 1y (365 days) or a sum such as 1d12h"

_UNIX_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND_NS: Final = SECOND_NS // 1000
_UNITS_NS: Final = {
    "y": 365 * 86400 * SECOND_NS,
    "w": 7 * 86400 * SECOND_NS,
    "d": 86400 * SECOND_NS,
    "h": 3600 * SECOND_NS,
    "m": 60 * SECOND_NS,
    "s": SECOND_NS,
    "ms": MILLISECOND_NS,
}
# Every repetition is bounded, so no text makes a number that is slow to read. Digits are spelled
# out: \d and int() take any script's.
_DURATION: Final = re.compile(
    "".join(rf"(?:(?P<{unit}>[0-9]{{1,12}}(?:\.[0-9]{{1,9}})?){unit})?" for unit in _UNITS_NS)
)
_DATE: Final = r"(?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})"
_RFC_3339: Final = re.compile(
    _DATE + r"[Tt ](?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
    r"(?:\.(?P<fraction>[0-9]{1,9}))?"
    r"(?:[Zz]|(?P<sign>[+-])(?P<offset_hours>[01][0-9]|2[0-3]):(?P<offset_minutes>[0-5][0-9]))"
)
_FILE_TIME: Final = re.compile(
    _DATE + r"T(?P<hour>[0-9]{2})-(?P<minute>[0-9]{2})-(?P<second>[0-9]{2})"
    r"(?:\.(?P<fraction>[0-9]{3}))?Z"
)
_DAY: Final = re.compile(_DATE)
_SAMBA: Final = re.compile(
    r"GMT-(?P<year>[0-9]{4})\.(?P<month>[0-9]{2})\.(?P<day>[0-9]{2})"
    r"-(?P<hour>[0-9]{2})\.(?P<minute>[0-9]{2})\.(?P<second>[0-9]{2})"
)
_EPOCH_SECONDS: Final = re.compile(r"(?P<seconds>[0-9]{1,10})(?:\.(?P<fraction>[0-9]{1,9}))?")
_PARTS: Final = ("year", "month", "day", "hour", "minute", "second")
_DAY_NAMES: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTH_NAMES: Final = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)


def parse_instant(text: str, *, now_ns: int) -> int:
    """The instant that `text` names, in [0, INSTANT_NS_MAX].

    RFC 3339 (always with `Z` or an offset), the file-name form, a day (its beginning, UTC), a
    duration before `now_ns`, Samba's `GMT-YYYY.MM.DD-hh.mm.ss`, or seconds since 1970 with an
    optional fraction. Leap seconds (`:60`) name no instant on a POSIX clock.

    Raises:
        InvalidTime: it is none of these, no such day or hour exists, or it is out of range.
    """
    instant_ns = _written_ns(text, now_ns)
    if instant_ns is None or not 0 <= instant_ns <= INSTANT_NS_MAX:
        raise _no_instant(text)
    return instant_ns


def parse_view_instant(text: str, *, now_ns: int) -> int:
    """The instant that a view of `text` shows, in [0, now_ns].

    What lies ahead is now, and what lies before 1970 is 1970, when no store had anything: so a
    time that is written well is never refused for being far away.

    Raises:
        InvalidTime: it is none of the forms of `parse_instant`, or no such day or hour exists.
    """
    instant_ns = _written_ns(text, now_ns)
    if instant_ns is None:
        raise _no_instant(text)
    return max(0, min(instant_ns, now_ns))


def parse_past(text: str, *, now_ns: int) -> int:
    """The instant that `text` names, `now_ns` at the latest, for who would go back to it.

    A little ahead is now, for clocks differ. More is a mistake, such as a mistyped year.

    Raises:
        InvalidTime: it lies ahead, or as `parse_instant`.
    """
    instant_ns = parse_instant(text, now_ns=now_ns)
    if instant_ns > now_ns + CLOCKS_DIFFER_NS_MAX:
        raise InvalidTime(f"{text} lies ahead: it is {format_rfc3339(now_ns)} now")
    return min(instant_ns, now_ns)


def parse_duration(text: str) -> int:
    """The length in ns, in [0, INSTANT_NS_MAX]: `1h`, `0.5s`, `1d12h` (largest unit first).

    Days have 24 hours, weeks 7 days and years 365 days, whatever the calendar says.

    Raises:
        InvalidTime: it is no duration, or longer than time itself.
    """
    duration_ns = _duration_ns(text)
    if duration_ns is None or duration_ns > INSTANT_NS_MAX:
        raise InvalidTime(f"{text[:64]!r} is no duration; accepted: {ACCEPTED_DURATIONS}")
    return duration_ns


def format_duration(duration_ns: int) -> str:
    """The duration in days and smaller units, exactly: `parse_duration` gives it back."""
    parts = []
    rest_ns = duration_ns
    for unit in ("d", "h", "m"):
        count, rest_ns = divmod(rest_ns, _UNITS_NS[unit])
        if count:
            parts.append(f"{count}{unit}")
    if rest_ns or not parts:
        seconds, fraction_ns = divmod(rest_ns, SECOND_NS)
        fraction = f".{fraction_ns:09}".rstrip("0").rstrip(".")
        parts.append(f"{seconds}{fraction}s")
    return "".join(parts)


def format_file_time(instant_ns: int) -> str:
    """`2026-11-22T15-04-05.123Z`: no colons (Windows forbids them), cut to milliseconds."""
    moment, fraction_ns = _split(instant_ns)
    return f"{moment:%Y-%m-%dT%H-%M-%S}.{fraction_ns // MILLISECOND_NS:03}Z"


def format_rfc3339(instant_ns: int) -> str:
    """RFC 3339 in UTC, exact, with 0, 3, 6 or 9 digits of fraction, whichever is the least."""
    moment, fraction_ns = _split(instant_ns)
    fraction = f".{fraction_ns:09}"
    while fraction.endswith("000"):
        fraction = fraction[:-3]
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction.rstrip('.')}Z"


def format_samba(at_ns: int) -> str:
    """`GMT-2026.11.22-15.04.05`, cut to seconds: Samba's shadow copies and `parse_instant`."""
    moment, _ = _split(at_ns)
    return f"GMT-{moment:%Y.%m.%d-%H.%M.%S}"


def format_http_date(instant_ns: int) -> str:
    """`Sun, 22 Nov 2026 15:04:05 GMT` (RFC 9110, IMF-fixdate), cut to seconds, in no locale."""
    moment, _ = _split(instant_ns)
    day_name, month_name = _DAY_NAMES[moment.weekday()], _MONTH_NAMES[moment.month - 1]
    return f"{day_name}, {moment:%d} {month_name} {moment:%Y %H:%M:%S} GMT"


def _split(instant_ns: int) -> tuple[datetime, int]:
    """The second, and the nanoseconds since it began."""
    assert 0 <= instant_ns <= OPEN_NS, instant_ns
    seconds, fraction_ns = divmod(instant_ns, SECOND_NS)
    return _UNIX_EPOCH + timedelta(seconds=seconds), fraction_ns


def _no_instant(text: str) -> InvalidTime:
    return InvalidTime(
        f"{text[:64]!r} names no instant from 1970 to 2262; accepted: {ACCEPTED_INSTANTS}"
    )


def _written_ns(text: str, now_ns: int) -> int | None:
    """The instant, where `text` has one of the forms; unbounded."""
    instant_ns = _calendar_ns(text)
    if instant_ns is None:
        instant_ns = _epoch_ns(text)
    if instant_ns is None:
        duration_ns = _duration_ns(text)
        instant_ns = None if duration_ns is None else now_ns - duration_ns
    return instant_ns


def _calendar_ns(text: str) -> int | None:
    """The instant, where `text` has a calendar form and that day and time exist; unbounded."""
    for form in (_RFC_3339, _FILE_TIME, _DAY, _SAMBA):
        match = form.fullmatch(text)
        if match is not None:
            break
    else:
        return None
    written = match.groupdict(default="")
    year, month, day, hour, minute, second = (int(written.get(part, "0")) for part in _PARTS)
    try:
        moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    # The offset is taken off as a number: datetime would overflow at both ends of its calendar.
    seconds = (moment - _UNIX_EPOCH) // timedelta(seconds=1) - _offset_seconds(written)
    instant_ns = seconds * SECOND_NS + _fraction_ns(written.get("fraction", ""))
    if form is _FILE_TIME and written["fraction"]:
        instant_ns += MILLISECOND_NS - 1
    return instant_ns


def _offset_seconds(written: dict[str, str]) -> int:
    """How far the written time is ahead of UTC."""
    if not written.get("sign"):
        return 0
    seconds = int(written["offset_hours"]) * 3600 + int(written["offset_minutes"]) * 60
    return seconds if written["sign"] == "+" else -seconds


def _epoch_ns(text: str) -> int | None:
    """The instant, where `text` is a plain number of seconds."""
    match = _EPOCH_SECONDS.fullmatch(text)
    if match is None:
        return None
    return int(match["seconds"]) * SECOND_NS + _fraction_ns(match["fraction"] or "")


def _duration_ns(text: str) -> int | None:
    """The length, where `text` is a duration; unbounded."""
    match = _DURATION.fullmatch(text)
    if match is None or not text:
        return None
    total_ns = 0
    for unit, unit_ns in _UNITS_NS.items():
        whole, _, fraction = (match[unit] or "0").partition(".")
        total_ns += int(whole) * unit_ns + _fraction_ns(fraction) * unit_ns // SECOND_NS
    return total_ns


def _fraction_ns(digits: str) -> int:
    """The digits after the point of a number of seconds, as nanoseconds."""
    return int(digits.ljust(9, "0"))
