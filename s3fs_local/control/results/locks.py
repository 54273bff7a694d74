"""What protects versions, why, and until when."""

from msgspec import Struct

from s3fs_local.control.results.versions import Owner


class HoldRow(Struct, frozen=True, kw_only=True, rename="pascal"):
    """One legal hold on one version."""

    key: str
    version_id: str
    case: str
    reason: str
    placed: str
    owner: Owner


class HoldListing(Struct, frozen=True, rename="pascal"):
    """Legal holds, by key."""

    legal_holds: list[HoldRow]


class LockRow(Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """The protection of a path's current version."""

    key: str
    version_id: str | None = None
    object_lock_mode: str | None = None
    object_lock_retain_until_date: str | None = None
    object_lock_legal_hold_status: str | None = None
    append_only: bool = False
    default_mode: str | None = None  # directories: what files made below are locked with
    default_period: str | None = None
    default_semantics: str | None = None
    default_commit: str | None = None
    legal_holds: list[HoldRow] = []


class LockListing(Struct, frozen=True, rename="pascal"):
    """The protection of each path that was named, in the order of the command."""

    locks: list[LockRow]


class Policy(Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """What files made below a directory inherit."""

    key: str
    mode: str | None = None
    period: str | None = None
    append_only: bool = False
    semantics: str | None = None
    commit: str | None = None


class Explanation(Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """Whether an operation would be refused, and why."""

    key: str
    operation: str
    allowed: bool
    rule: str | None = None
    until: str | None = None
    who_may: str | None = None


class LockEndRow(Struct, frozen=True, rename="pascal"):
    """Versions of one mode whose retention ends at one date of the calendar."""

    date: str
    mode: str
    versions: int
    bytes: int


class LockCalendar(Struct, frozen=True, kw_only=True, rename="pascal"):
    """When retention ends that lies on versions now, current or not."""

    unit: str  # "day", "month" or "year"
    dates: list[str]  # every one from the first to the last at which something ends
    ends: list[LockEndRow]
    held_versions: int  # by legal holds, which have no date
    held_bytes: int
