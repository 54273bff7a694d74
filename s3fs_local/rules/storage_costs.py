"""What storage costs a month: S3's way of billing, over the versions of each class; and on disks.

S3 bills small versions in the infrequently read classes as 128 KiB, and adds 8 KiB of STANDARD and
32 KiB of the class itself to each archived one. Requests, retrievals and early removals cost extra
and are not counted. GB are powers of 1024, as on S3's bills.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Final

from msgspec import Meta, Struct, field

from s3fs_local.errors import InvalidArgument
from s3fs_local.rules.lifecycle import SMALL_BYTES
from s3fs_local.rules.storage_classes import (
    ARCHIVE_CLASSES,
    Placements,
    StorageClass,
    initial_tier,
    placement_of,
)

GB_BYTES: Final = 1 << 30
ARCHIVE_EXTRA_BYTES: Final = 32 << 10
ARCHIVE_INDEX_BYTES: Final = 8 << 10  # billed as STANDARD
_BILLED_AS_LARGER: Final = (
    *(StorageClass.STANDARD_IA, StorageClass.ONEZONE_IA),
    StorageClass.GLACIER_IR,
)
_PRICE: Final = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,9})?")
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}(?:-[0-9]{2})?")

Price = Annotated[float, Meta(ge=0, le=1_000_000)]  # of a GB for a month


class Prices(Struct, frozen=True, kw_only=True, rename="kebab"):
    """What a GB costs a month in each class, in which currency, as of when.

    The defaults are S3's list prices of us-east-1 for the first 50 TB, without tax.
    """

    currency: str = "USD"
    as_of: str = "2025-06"
    per_gb_month: dict[str, Price] = field(
        default_factory=lambda: {
            "STANDARD": 0.023,
            "INTELLIGENT_TIERING": 0.023,
            "STANDARD_IA": 0.0125,
            "ONEZONE_IA": 0.01,
            "GLACIER_IR": 0.004,
            "GLACIER": 0.0036,
            "DEEP_ARCHIVE": 0.00099,
        }
    )


def parse_prices(text: str) -> Prices:
    """What a person typed to change the prices: `currency=EUR as-of=2026-11 STANDARD=0.021`.

    What is not named keeps its default; an empty text is all defaults.

    Raises:
        InvalidArgument: malformed, or a class that does not exist.
    """
    given = dict(part.partition("=")[::2] for part in text.replace(",", " ").split())
    currency = given.pop("currency", Prices().currency)
    as_of = given.pop("as-of", Prices().as_of)
    prices = dict(Prices().per_gb_month)
    for name, price in given.items():
        if name not in prices or not _PRICE.fullmatch(price):
            raise InvalidArgument(
                f"{name[:40]}={price[:20]} is no price; write currency=EUR as-of=2026-11"
                f" STANDARD=0.021, for any of {', '.join(prices)}: a GB for a month"
            )
        prices[name] = float(price)
    if not _CURRENCY.fullmatch(currency) or not _DATE.fullmatch(as_of):
        raise InvalidArgument("currency is three capital letters, as-of a month or a day")
    return Prices(currency=currency, as_of=as_of, per_gb_month=prices)


def format_prices(prices: Prices) -> str:
    """As `parse_prices` takes it."""
    listed = [f"{name}={price:.9f}".rstrip("0").rstrip(".") for name, price in _sorted(prices)]
    return " ".join([f"currency={prices.currency}", f"as-of={prices.as_of}", *listed])


def _sorted(prices: Prices) -> list[tuple[str, float]]:
    order = list(StorageClass)
    return sorted(prices.per_gb_month.items(), key=lambda pair: order.index(StorageClass(pair[0])))


class ClassUsage(Struct, frozen=True):
    """What the versions of one storage class hold together."""

    storage_class: str
    versions: int = 0
    bytes: int = 0
    small_versions: int = 0  # of less than 128 KiB
    small_bytes: int = 0

    def plus(self, size: int, *, count: int = 1) -> "ClassUsage":
        """With one version of this size more (or, with -1, less)."""
        is_small = size < SMALL_BYTES
        return ClassUsage(
            self.storage_class,
            self.versions + count,
            self.bytes + count * size,
            self.small_versions + count * is_small,
            self.small_bytes + count * size * is_small,
        )

    def merged(self, other: "ClassUsage") -> "ClassUsage":
        """Both together."""
        return ClassUsage(
            self.storage_class,
            self.versions + other.versions,
            self.bytes + other.bytes,
            self.small_versions + other.small_versions,
            self.small_bytes + other.small_bytes,
        )


def monthly_cost(usages: Iterable[ClassUsage], prices: Prices) -> float:
    """What these versions cost a month, in the currency of the prices."""
    per_gb = prices.per_gb_month
    total = 0.0
    for usage in usages:
        price = _price(usage.storage_class, per_gb)
        if usage.storage_class in ARCHIVE_CLASSES:
            total += usage.versions * ARCHIVE_INDEX_BYTES * _price(StorageClass.STANDARD, per_gb)
        total += billed_bytes(usage) * price
    return total / GB_BYTES


def billed_bytes(usage: ClassUsage) -> int:
    """As many bytes as S3 would bill in the class itself."""
    if usage.storage_class in _BILLED_AS_LARGER:
        return usage.bytes - usage.small_bytes + usage.small_versions * SMALL_BYTES
    if usage.storage_class in ARCHIVE_CLASSES:
        return usage.bytes + usage.versions * ARCHIVE_EXTRA_BYTES
    return usage.bytes


def disk_bytes(usages: Iterable[ClassUsage], placements: Placements, zones: Sequence[str]) -> int:
    """What these versions take in zones of these kinds, all copies and shares together.

    At most: before compressing, and as if no two versions shared a byte.
    """
    return sum(
        round(usage.bytes * placements[placement].disk_factor(zones))
        for usage in usages
        for placement in [placement_of(usage.storage_class, tier=initial_tier(usage.storage_class))]
    )


def _price(storage_class: str, per_gb: Mapping[str, float]) -> float:
    return per_gb.get(storage_class, Prices().per_gb_month[storage_class])
