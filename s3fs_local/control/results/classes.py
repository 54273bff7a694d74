"""In which storage classes bytes lie, lay, and what that costs."""

from msgspec import Struct


class ClassRow(Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """The storage class of a version, or (without an id) of files made in a directory."""

    key: str
    version_id: str | None = None
    storage_class: str
    access_tier: str | None = None  # of INTELLIGENT_TIERING
    restore: str | None = None  # S3's header x-amz-restore
    is_inherited: bool = False  # directories: from the one above


class ClassBytes(Struct, frozen=True, rename="pascal"):
    """What the versions of one class hold."""

    storage_class: str
    bytes: int


class ClassHistoryPoint(Struct, frozen=True, rename="pascal"):
    """What the versions of each class held at an instant."""

    time: str
    classes: list[ClassBytes]


class ClassHistory(Struct, frozen=True, rename="pascal"):
    """What the versions of each class held, at equal steps of time up to now."""

    points: list[ClassHistoryPoint]
    purged_too: bool = False  # else only the versions that are there now, in their class of now


class StorageCosts(Struct, frozen=True, kw_only=True, rename="pascal"):
    """What all versions hold and cost a month, at the prices of the settings."""

    versions: int
    classes: list[ClassBytes]
    disk_bytes: int  # of our zones together, at most: before compressing, nothing shared
    monthly_cost: float
    currency: str
    prices_as_of: str
