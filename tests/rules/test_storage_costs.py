"""What storage costs, as S3 bills it."""

import pytest

from s3fs_local.errors import InvalidArgument
from s3fs_local.rules.storage_classes import parse_placements, with_defaults
from s3fs_local.rules.storage_costs import (
    ClassUsage,
    Prices,
    disk_bytes,
    format_prices,
    monthly_cost,
    parse_prices,
)

GB = 1 << 30


def test_each_class_has_its_price() -> None:
    """A terabyte a month, in dollars, at the defaults."""
    for name, cost in {"STANDARD": 23.552, "STANDARD_IA": 12.8, "GLACIER_IR": 4.096}.items():
        usage = ClassUsage(name, versions=1000, bytes=1024 * GB)
        assert monthly_cost([usage], Prices()) == pytest.approx(cost)


def test_small_versions_are_billed_as_s3_does() -> None:
    """A million small files cost more in a cold class than they save."""
    small = ClassUsage("STANDARD").plus(1000, count=1_000_000)
    standard = monthly_cost([small], Prices())
    cold = ClassUsage("STANDARD_IA").plus(1000, count=1_000_000)
    archived = ClassUsage("GLACIER").plus(1000, count=1_000_000)

    assert monthly_cost([cold], Prices()) == pytest.approx(1_000_000 * 131_072 / GB * 0.0125)
    extra = 1_000_000 * ((1000 + 32_768) / GB * 0.0036 + 8192 / GB * 0.023)
    assert monthly_cost([archived], Prices()) == pytest.approx(extra)
    assert standard < monthly_cost([archived], Prices()) < monthly_cost([cold], Prices())


def test_what_is_counted_can_be_taken_away_again() -> None:
    """A plan moves versions from class to class in mind."""
    usage = ClassUsage("STANDARD").plus(5).plus(200_000).plus(5, count=-1)

    assert usage == ClassUsage("STANDARD", 1, 200_000, 0, 0)
    assert usage.plus(200_000, count=-1) == ClassUsage("STANDARD")


def test_prices_can_be_those_of_another_place_and_day() -> None:
    """The rest stays as it was; what is shown can be typed."""
    prices = parse_prices("currency=EUR as-of=2026-11, STANDARD=0.02 DEEP_ARCHIVE=0")

    assert (prices.currency, prices.as_of) == ("EUR", "2026-11")
    assert prices.per_gb_month == {**Prices().per_gb_month, "STANDARD": 0.02, "DEEP_ARCHIVE": 0}
    assert parse_prices(format_prices(prices)) == prices
    assert parse_prices("") == Prices()


@pytest.mark.parametrize(
    "text",
    ["STANDARD", "STANDARD=", "STANDARD=-1", "standard=1", "currency=euro", "as-of=now", "="],
)
def test_what_is_no_price_is_refused(text: str) -> None:
    """A misspelt class would cost nothing, in the plan only."""
    with pytest.raises(InvalidArgument):
        parse_prices(text)


def test_disks_take_what_copies_and_shares_come_to() -> None:
    """So a plan shows what another placement would save; where shares find no zones: copies."""
    usages = [
        ClassUsage("STANDARD", versions=1, bytes=100),
        ClassUsage("ONEZONE_IA", versions=1, bytes=100),
        ClassUsage("GLACIER", versions=1, bytes=100),
        ClassUsage("INTELLIGENT_TIERING", versions=1, bytes=100),
    ]
    shares = with_defaults(parse_placements("GLACIER:shares=2+1,zones=hot,zstd=9"))

    assert disk_bytes(usages, with_defaults({}), ["hot"] * 3) == 300 + 100 + 300 + 300
    assert disk_bytes(usages, shares, ["hot"] * 3) == 300 + 100 + 150 + 300
    assert disk_bytes(usages, shares, ["hot"] * 2) == 200 + 100 + 200 + 200
    assert disk_bytes(usages, shares, ["hot", "cold", "archive"]) == 100 + 100 + 150 + 100
