"""Written time: every accepted form, and nothing else."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3fs_local.errors import InvalidTime
from s3fs_local.rules.instants import (
    INSTANT_NS_MAX,
    SECOND_NS,
    format_duration,
    format_file_time,
    format_http_date,
    format_rfc3339,
    parse_duration,
    parse_instant,
    parse_past,
    parse_view_instant,
)
from s3fs_local.rules.namespace import OPEN_NS

AT_NS = 1_795_359_845 * SECOND_NS  # 2026-11-22T15:04:05Z
NOW_NS = AT_NS + 3600 * SECOND_NS
DAY_NS = 86400 * SECOND_NS

instants = st.integers(0, INSTANT_NS_MAX)


@pytest.mark.parametrize(
    ("text", "instant_ns"),
    [
        ("2026-11-22T15:04:05Z", AT_NS),
        ("2026-11-22t15:04:05z", AT_NS),
        ("2026-11-22 15:04:05Z", AT_NS),
        ("2026-11-22T15:04:05.5Z", AT_NS + SECOND_NS // 2),
        ("2026-11-22T15:04:05.123456789Z", AT_NS + 123_456_789),
        ("2026-11-22T17:04:05+02:00", AT_NS),
        ("2026-11-22T09:34:05-05:30", AT_NS),
        ("2026-11-22T15:04:05-00:00", AT_NS),
        ("2026-11-22T15-04-05Z", AT_NS),
        ("GMT-2026.11.22-15.04.05", AT_NS),
        ("1795359845", AT_NS),
        ("1795359845.25", AT_NS + SECOND_NS // 4),
        ("1h", NOW_NS - 3600 * SECOND_NS),
        ("2d", NOW_NS - 2 * DAY_NS),
        ("1d12h", NOW_NS - 36 * 3600 * SECOND_NS),
        ("1970-01-01", 0),
        ("0", 0),
        ("2024-02-29", 19782 * DAY_NS),
        ("2262-04-11T23:47:16.854775806Z", INSTANT_NS_MAX),
        ("9223372036.854775806", INSTANT_NS_MAX),
    ],
)
def test_every_form_names_its_exact_instant(text: str, instant_ns: int) -> None:
    """What people type after `@` and `--at`; no form means "some time in that second"."""
    assert parse_instant(text, now_ns=NOW_NS) == instant_ns


def test_a_day_means_its_beginning() -> None:
    """As in rclone: `@2026-11-22` is the state before anything of that day."""
    assert (
        parse_instant("2026-11-22", now_ns=NOW_NS) == AT_NS - (15 * 3600 + 4 * 60 + 5) * SECOND_NS
    )


@settings(max_examples=100)
@given(st.integers(0, INSTANT_NS_MAX - 1_000_000))
def test_a_time_copied_from_a_version_file_shows_that_version(stamp_ns: int) -> None:
    """The name is cut to milliseconds; read back exactly it would show the version before."""
    read_ns = parse_instant(format_file_time(stamp_ns), now_ns=NOW_NS)

    assert stamp_ns <= read_ns < stamp_ns + 1_000_000


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "now",
        "latest",
        "-1h",
        "-1",
        "1.",
        ".5",
        "1e9",
        "0x10",
        "2026-11",
        "2026-1-1",
        "2026-11-31",
        "2025-02-29",
        "2026-13-01",
        "0000-01-01",
        "9999-12-31",
        "1969-12-31",
        "2026-11-22T15:04:05",  # whose time zone?
        "2026-11-22T15:04Z",
        "2026-11-22T24:00:00Z",
        "2026-11-22T15:60:00Z",
        "2016-12-31T23:59:60Z",  # a leap second
        "2026-11-22T15:04:05.Z",
        "2026-11-22T15:04:05.1234567890Z",
        "2026-11-22T15:04:05+24:00",
        "2026-11-22T15:04:05+00:60",
        "2026-11-22T15-04:05Z",
        "2026-11-22T15-04-05",
        "2026-11-22T15-04-05.5Z",
        "2026-11-22T15:04:05Z\n",
        "\u0662\u0660\u0662\u0666-11-22",
        "@2026-11-22",
        "GMT-2026.11.22",
        "GMT-2026.11.22-15.04.60",
        "1970-01-01T00:00:00+00:01",  # before there was time
        "9999-12-31T23:59:59-23:59",
        "0001-01-01T00:00:00+23:59",
        "2262-04-11T23:47:16.854775807Z",  # OPEN_NS means "no end"
        "9999999999",
        "1795359845123",  # milliseconds
        "9" * 5000,
        "60y",  # before 1970
        "999999999999y",
        "9" * 5000 + "d",
        "1h1d",
        "1h2h",
        "1H",
        "h",
        "1 h",
        "1h ",
    ],
)
def test_anything_else_is_refused_with_the_forms_listed(text: str) -> None:
    """Hostile text neither overflows nor is quietly taken for some instant."""
    with pytest.raises(InvalidTime, match=r"accepted: 2026-11-22T15:04:05Z, .* seconds since 1970"):
        parse_instant(text, now_ns=NOW_NS)


def test_an_instant_ahead_is_an_instant() -> None:
    """A view of tomorrow is the present; retention dates lie ahead as a rule."""
    assert parse_instant("2033-01-01", now_ns=NOW_NS) > NOW_NS


@pytest.mark.parametrize(
    ("text", "instant_ns"),
    [
        ("2026-11-22T15:04:04Z", AT_NS - SECOND_NS),
        ("9999-12-31", NOW_NS),
        ("2262-04-11T23:47:16.854775807Z", NOW_NS),
        ("9999999999", NOW_NS),
        ("0001-01-01", 0),
        ("1969-12-31T23:59:59Z", 0),
        ("60y", 0),
        ("999999999999y", 0),
    ],
)
def test_a_view_far_away_is_the_present_or_before_everything(text: str, instant_ns: int) -> None:
    """A time that is written well shows something; only what makes no sense is refused."""
    assert parse_view_instant(text, now_ns=NOW_NS) == instant_ns


@pytest.mark.parametrize("text", ["", "yesterday", "2026-02-30", "9" * 5000, "1h1d"])
def test_a_view_of_what_is_no_time_is_refused(text: str) -> None:
    """A typing error must not look like an empty past."""
    with pytest.raises(InvalidTime):
        parse_view_instant(text, now_ns=NOW_NS)


def test_who_goes_back_to_an_instant_may_have_a_clock_a_little_ahead() -> None:
    """But a mistyped year is no way back to the present, which would be said to be done."""
    hour_ago, a_little_ahead, ahead = (
        format_rfc3339(NOW_NS + seconds * SECOND_NS) for seconds in (-3600, 60, 61)
    )

    assert parse_past(hour_ago, now_ns=NOW_NS) == NOW_NS - 3600 * SECOND_NS
    assert parse_past(a_little_ahead, now_ns=NOW_NS) == NOW_NS
    with pytest.raises(InvalidTime, match=f"{ahead} lies ahead: it is {format_rfc3339(NOW_NS)}"):
        parse_past(ahead, now_ns=NOW_NS)


@settings(max_examples=200)
@given(st.one_of(st.text(max_size=40), st.from_regex(r"[0-9TZ:.+@yhd-]{0,40}")))
def test_no_text_makes_anything_but_an_instant_or_a_refusal(text: str) -> None:
    """Names below `.versions` come from any program."""
    try:
        instant_ns = parse_instant(text, now_ns=NOW_NS)
    except InvalidTime:
        return

    assert 0 <= instant_ns <= INSTANT_NS_MAX


@pytest.mark.parametrize(
    ("text", "duration_ns"),
    [
        ("0s", 0),
        ("500ms", SECOND_NS // 2),
        ("0.5s", SECOND_NS // 2),
        ("0.000000001s", 1),
        ("90s", 90 * SECOND_NS),
        ("15m", 900 * SECOND_NS),
        ("1m500ms", 60 * SECOND_NS + SECOND_NS // 2),
        ("1.5h", 5400 * SECOND_NS),
        ("1h", 3600 * SECOND_NS),
        ("2d", 2 * DAY_NS),
        ("3w", 21 * DAY_NS),
        ("7y", 7 * 365 * DAY_NS),
        ("1y2w3d4h5m6s7ms", (365 + 17) * DAY_NS + 14_706_007_000_000),
    ],
)
def test_durations_are_sums_of_fixed_units(text: str, duration_ns: int) -> None:
    """A day is 24 hours and a year 365 days, so a duration is a number."""
    assert parse_duration(text) == duration_ns


@pytest.mark.parametrize("text", ["", "5", "5M", "1s1m", "-1s", "1..5s", "300y", "9" * 13 + "s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    """300 years are longer than all of time (292)."""
    with pytest.raises(InvalidTime, match=r"is no duration; accepted: 500ms, .* 1d12h$"):
        parse_duration(text)


@settings(max_examples=100)
@given(st.one_of(instants, st.integers(0, 10**6).map(lambda ms: ms * 1_000_000)))
def test_a_printed_duration_reads_back_exactly(duration_ns: int) -> None:
    """What `config show` prints can be given to `config set`."""
    assert parse_duration(format_duration(duration_ns)) == duration_ns


@pytest.mark.parametrize(
    "text", ["0s", "0.5s", "30s", "5m", "1h", "1m30s", "1d12h", "2555d", "0.000000001s"]
)
def test_durations_print_as_people_write_them(text: str) -> None:
    """Units that are zero are left out."""
    assert format_duration(parse_duration(text)) == text


def test_file_times_are_cut_to_milliseconds() -> None:
    """Rounded up, a name could lie in the future."""
    assert format_file_time(AT_NS + 123_999_999) == "2026-11-22T15-04-05.123Z"
    assert format_file_time(0) == "1970-01-01T00-00-00.000Z"


@pytest.mark.parametrize(
    ("fraction_ns", "text"),
    [
        (0, "2026-11-22T15:04:05Z"),
        (100_000_000, "2026-11-22T15:04:05.100Z"),
        (123_456_000, "2026-11-22T15:04:05.123456Z"),
        (1, "2026-11-22T15:04:05.000000001Z"),
        (1_000_000, "2026-11-22T15:04:05.001Z"),
    ],
)
def test_rfc_3339_times_are_exact_and_no_longer_than_needed(fraction_ns: int, text: str) -> None:
    """A time from `log` or `versions` can be given to `--at`."""
    assert format_rfc3339(AT_NS + fraction_ns) == text


@settings(max_examples=100)
@given(instants)
def test_a_printed_rfc_3339_time_reads_back_exactly(instant_ns: int) -> None:
    """Over the whole range."""
    assert parse_instant(format_rfc3339(instant_ns), now_ns=NOW_NS) == instant_ns


def test_http_dates_are_in_english_and_gmt() -> None:
    """Whatever the locale; S3's `x-amz-restore` has such a date."""
    assert format_http_date(AT_NS) == "Sun, 22 Nov 2026 15:04:05 GMT"
    assert format_http_date(0) == "Thu, 01 Jan 1970 00:00:00 GMT"


def test_the_open_end_can_be_printed_and_no_later_instant() -> None:
    """A message may show an open interval; anything beyond is a bug."""
    assert re.match(r"2262-04-11T23:47:16\.854775807Z", format_rfc3339(OPEN_NS))
    with pytest.raises(AssertionError):
        format_rfc3339(-1)
    with pytest.raises(AssertionError):
        format_rfc3339(OPEN_NS + 1)
