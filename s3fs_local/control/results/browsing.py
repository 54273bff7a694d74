"""What lies in a directory, what changed below it, and when."""

from msgspec import Struct

from s3fs_local.control.results.versions import Owner


class EventBelowRow(Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """One thing that happened to a name below a directory."""

    time: str
    event: str
    key: str
    encoded_key: str
    kind: str
    version_id: str | None = None
    size: int | None = None
    owner: Owner


class EventsBelow(Struct, frozen=True, rename="pascal", omit_defaults=True):
    """What happened below a directory, newest first."""

    key: str
    until: str
    events: list[EventBelowRow]
    next: str | None = None  # the page before goes until then


class NameRow(Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """A name in a directory, and what it meant; its locks are those of today."""

    name: str
    encoded_name: str  # every byte of it, as in S3's `EncodingType: url`
    kind: str  # "directory", "file", "symlink" or "other"
    size: int | None = None
    last_modified: str | None = None  # when the content was committed
    version_id: str | None = None
    storage_class: str | None = None
    archived: bool = False
    object_lock_mode: str | None = None
    object_lock_retain_until_date: str | None = None
    object_lock_legal_hold_status: str | None = None
    append_only: bool = False
    target: str | None = None  # of a symlink


class DirectoryListing(Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """A page of the names that a directory had at an instant."""

    key: str
    at: str
    names: list[NameRow]
    next: str | None = None  # the encoded name to go on after; none: these were the last
    neighbours_known: bool = False  # not of a directory with very many names
    earlier: str | None = None  # just before the last change in the directory until then
    later: str | None = None  # its next change


class ChangeRow(Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """How one path differs between two instants."""

    key: str
    encoded_key: str
    kind: str  # as in `NameRow`; of what was removed, what it was
    change: str  # of rules.tree_changes.Change
    size_before: int | None = None
    size_after: int | None = None


class ChangeListing(Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """A page of what differs below a path between two instants."""

    key: str
    since: str
    until: str
    changes: list[ChangeRow]
    names_looked_at: int
    next: str | None = None  # the encoded path to go on after; none: all was looked at


class TimelineStep(Struct, frozen=True, kw_only=True, rename="pascal"):
    """What happened in one step of time."""

    start: str
    end: str
    saved: int  # versions committed
    saved_bytes: int
    removed: int  # names deleted


class Timeline(Struct, frozen=True, kw_only=True, rename="pascal"):
    """How much was saved and removed, step by step."""

    created: str
    now: str
    step_seconds: float
    steps: list[TimelineStep]
