"""What versions there are, what happened to them, and what a command did to them."""

from msgspec import Struct, field


class Owner(Struct, frozen=True):
    """Who made it."""

    uid: str = field(name="ID")


class VersionRow(Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """One version, as list-object-versions shows it, with its lock."""

    key: str
    version_id: str
    is_latest: bool
    last_modified: str
    etag: str = field(name="ETag")
    size: int
    storage_class: str
    owner: Owner
    object_lock_mode: str | None = None
    object_lock_retain_until_date: str | None = None
    object_lock_legal_hold_status: str | None = None
    replication_status: str | None = None


class MarkerRow(Struct, frozen=True, kw_only=True, rename="pascal"):
    """One delete marker, as list-object-versions shows it."""

    key: str
    version_id: str
    is_latest: bool
    last_modified: str
    owner: Owner


class VersionListing(Struct, frozen=True, rename="pascal"):
    """The shape of list-object-versions; by key, then newest first."""

    versions: list[VersionRow]
    delete_markers: list[MarkerRow]


class EventRow(Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """One thing that happened to a path."""

    time: str
    event: str
    version_id: str | None = None
    size: int | None = None
    owner: Owner


class EventListing(Struct, frozen=True, rename="pascal"):
    """What happened to a path, oldest first."""

    key: str
    events: list[EventRow]


class Content(Struct, frozen=True, rename="pascal"):
    """Which version the data were."""

    key: str
    version_id: str
    size: int
    etag: str = field(name="ETag")


class RestoredRow(Struct, frozen=True, rename="pascal", omit_defaults=True):
    """One thing that a restore did to a name, or would do."""

    key: str
    action: str  # of engine.restoring.Action
    size: int | None = None  # bytes of content that come back
    reason: str | None = None  # why a lock refused it


class Restoration(Struct, frozen=True, rename="pascal"):
    """What a restore did, or (dry run) would do."""

    changes: list[RestoredRow]
    dry_run: bool


class Removal(Struct, frozen=True, kw_only=True, rename="pascal"):
    """What a purge did, or (dry run) would do; S3's answer to a delete of one version."""

    key: str
    version_id: str
    delete_marker: bool
    size: int
    dry_run: bool


def printed_key(path: bytes) -> str:
    """The path as text; what is no UTF-8 is escaped."""
    return path.decode("utf-8", errors="backslashreplace")
