"""Retrieving from archives: S3's rules, as values."""

import pytest
from msgspec import structs

from s3fs_local.errors import InvalidArgument, NotArchived, RetrievalRunning
from s3fs_local.rules.instants import SECOND_NS, parse_instant
from s3fs_local.rules.retrieval import (
    Retrieval,
    RetrievalTier,
    due_ns,
    format_retrieval,
    parse_request,
    parse_tier,
    plan_retrieval,
    retrieved,
)

EXPEDITED, STANDARD, BULK = RetrievalTier
HOUR_NS = 3600 * SECOND_NS
DELAYS = {EXPEDITED: HOUR_NS // 30, STANDARD: 4 * HOUR_NS, BULK: 9 * HOUR_NS}
NOW_NS = parse_instant("2012-10-15T10:30:00Z", now_ns=0)


def plan(
    present: Retrieval | None = None,
    *,
    storage_class: str = "GLACIER",
    days: int = 3,
    tier: RetrievalTier = STANDARD,
    now_ns: int = NOW_NS,
) -> Retrieval:
    """The state after a request."""
    return plan_retrieval(
        storage_class, present, days=days, tier=tier, now_ns=now_ns, delays_ns=DELAYS
    )


def test_a_copy_expires_at_the_midnight_after_its_days() -> None:
    """The User Guide's example: 2012-10-15T10:30 and 3 days make 2012-10-19T00:00."""
    done = retrieved(plan(), NOW_NS)

    assert done.expires_ns == parse_instant("2012-10-19", now_ns=0)
    assert due_ns(parse_instant("2012-10-15", now_ns=0), 3) == done.expires_ns
    assert format_retrieval(done) == (
        'ongoing-request="false", expiry-date="Fri, 19 Oct 2012 00:00:00 GMT"'
    )
    assert format_retrieval(plan()) == 'ongoing-request="true"'


def test_each_tier_has_its_delay() -> None:
    """From the request on."""
    assert [plan(tier=tier).ready_ns - NOW_NS for tier in RetrievalTier] == list(DELAYS.values())


def test_only_archives_are_retrieved() -> None:
    """GLACIER_IR among those that are not."""
    for name in ("STANDARD", "GLACIER_IR", "ONEZONE_IA", "INTELLIGENT_TIERING"):
        with pytest.raises(NotArchived, match="InvalidObjectState"):
            plan(storage_class=name)


def test_the_deepest_archive_is_never_fast() -> None:
    """S3 has no Expedited tier for DEEP_ARCHIVE."""
    with pytest.raises(InvalidArgument, match="Standard and Bulk"):
        plan(storage_class="DEEP_ARCHIVE", tier=EXPEDITED)
    assert plan(storage_class="DEEP_ARCHIVE", tier=BULK).tier is BULK


@pytest.mark.parametrize("days", [0, -1, 36501])
def test_days_have_bounds(days: int) -> None:
    """As lifecycle's."""
    with pytest.raises(InvalidArgument, match="days"):
        plan(days=days)


def test_an_ongoing_retrieval_is_only_made_faster() -> None:
    """S3: an upgrade keeps the other parameters; the earlier of both instants counts."""
    ongoing = plan(tier=BULK)

    faster = plan(ongoing, tier=STANDARD, now_ns=NOW_NS + HOUR_NS)
    assert (faster.tier, faster.ready_ns) == (STANDARD, NOW_NS + 5 * HOUR_NS)
    late = plan(ongoing, tier=STANDARD, now_ns=NOW_NS + 8 * HOUR_NS)
    assert late.ready_ns == NOW_NS + 9 * HOUR_NS

    for days, tier in ((3, BULK), (4, STANDARD), (3, STANDARD)):
        with pytest.raises(RetrievalRunning, match="RestoreAlreadyInProgress"):
            plan(faster if tier is STANDARD and days == 3 else ongoing, days=days, tier=tier)


def test_a_copy_that_is_there_moves_its_expiry_only() -> None:
    """Counted from now, whatever tier is named."""
    done = retrieved(plan(), NOW_NS)

    longer = plan(done, days=10, tier=BULK, now_ns=NOW_NS + HOUR_NS)

    assert longer == structs.replace(
        done, days=10, expires_ns=parse_instant("2012-10-26", now_ns=0)
    )


def test_an_expired_copy_is_asked_for_anew() -> None:
    """Even if nobody has taken it away yet."""
    done = retrieved(plan(), NOW_NS)

    again = plan(done, now_ns=done.expires_ns)

    assert again.expires_ns == 0
    assert again.requested_ns == done.expires_ns


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("3", (3, STANDARD)),
        ("3 Bulk", (3, BULK)),
        ("3 expedited", (3, EXPEDITED)),
        ('{"Days": 2}', (2, STANDARD)),
        ('{"Days": 2, "GlacierJobParameters": {"Tier": "Bulk"}}', (2, BULK)),
    ],
)
def test_requests_are_short_or_s3s_document(text: str, wanted: tuple[int, RetrievalTier]) -> None:
    """`setfattr -n s3.restore-request -v '3 Bulk'`."""
    assert parse_request(text) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "3 Fast",
        "3  Bulk",
        '{"Days": 0}',
        '{"Days": 1, "Type": "SELECT"}',
        "٣",
        "\udcff",
    ],
)
def test_other_requests_are_refused(text: str) -> None:
    """Nothing is guessed, no member ignored."""
    with pytest.raises(InvalidArgument):
        parse_request(text)
    with pytest.raises(InvalidArgument):
        parse_tier("fast")
