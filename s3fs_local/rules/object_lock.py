"""S3's ObjectLockConfiguration: the store's default retention, as `aws s3api` reads and writes it.

The default is for versions committed from then on, counted from the instant of their commit; a
retention given to a file by itself wins over it, longer or shorter (S3). What directories demand
(`rules/policies.py`) is more than a default: the stricter of both counts.
"""

from typing import Final, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType, field

from s3fs_local.rules.retention import Retention
from s3fs_local.rules.s3_documents import malformed, read_document, refusal

_DAY_NS: Final = 86_400 * 1_000_000_000
_DAYS_MAX: Final = 36_500
_YEARS_MAX: Final = 100
_YEAR_DAYS: Final = 365
_ROOT: Final = "ObjectLockConfiguration"


class DefaultRetention(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Mode, and Days or Years; S3's names."""

    mode: Literal["GOVERNANCE", "COMPLIANCE"] = field(name="Mode")
    days: int | UnsetType = field(name="Days", default=UNSET)
    years: int | UnsetType = field(name="Years", default=UNSET)

    @property
    def period_ns(self) -> int:
        """The length; a year has 365 days."""
        if self.days is not UNSET:
            return self.days * _DAY_NS
        return (0 if self.years is UNSET else self.years) * _YEAR_DAYS * _DAY_NS


class Rule(Struct, frozen=True, forbid_unknown_fields=True):
    """S3's ObjectLockRule."""

    default_retention: DefaultRetention = field(name="DefaultRetention")


class ObjectLockDocument(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """S3's ObjectLockConfiguration."""

    enabled: Literal["Enabled"] = field(name="ObjectLockEnabled")
    rule: Rule | UnsetType = field(name="Rule", default=UNSET)


class _Answer(Struct, frozen=True, forbid_unknown_fields=True):
    """What `aws s3api get-object-lock-configuration` prints around the document."""

    document: ObjectLockDocument = field(name=_ROOT)


def read_object_lock(document: bytes) -> DefaultRetention | None:
    """The default retention that the document asks for (JSON, or XML); None for none.

    What the `get` prints around the document may be there, so that its answer can be put.

    Raises:
        InvalidDocument: S3 would refuse it; the message begins with S3's error code.
    """
    wanted = _unwrapped(document) or read_document(document, ObjectLockDocument, roots=[_ROOT])
    if wanted.rule is UNSET:
        return None
    default = wanted.rule.default_retention
    check_default(default)
    return default


def _unwrapped(document: bytes) -> ObjectLockDocument | None:
    try:
        return msgspec.json.decode(document, type=_Answer).document
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def check_default(default: DefaultRetention) -> None:
    """Days or Years, in S3's range. Raises InvalidDocument with S3's code."""
    if (default.days is UNSET) == (default.years is UNSET):
        raise malformed("DefaultRetention takes exactly one of Days and Years")
    given = default.days if default.years is UNSET else default.years
    limit = _DAYS_MAX if default.years is UNSET else _YEARS_MAX
    assert given is not UNSET
    if given <= 0:
        raise refusal(
            "InvalidArgument", "Default retention period must be a positive integer value."
        )
    if given > limit:
        raise refusal("InvalidArgument", "Default retention period too large.")


def object_lock_document(default: DefaultRetention | None) -> ObjectLockDocument:
    """The document of a store with Object Lock; `read_object_lock` gives the default back."""
    return ObjectLockDocument("Enabled", UNSET if default is None else Rule(default))


def default_retention(default: DefaultRetention | None, *, stamp_ns: int) -> Retention | None:
    """The retention of a version committed at `stamp_ns`, exactly one period long (S3)."""
    if default is None:
        return None
    return Retention(default.mode, stamp_ns + default.period_ns)
