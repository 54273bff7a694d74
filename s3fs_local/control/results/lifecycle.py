"""What the rules of lifecycle did, and will do."""

from msgspec import Struct

from s3fs_local.control.results.classes import ClassBytes, StorageCosts


class LifecycleStatus(Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """How lifecycle is: the run that goes on, or the last whole one."""

    rules: int
    running: bool
    due_keys: int  # that a run would look at now; many are told as a bound
    looks_at_all: bool = False  # rules are new
    started: str | None = None
    ended: str | None = None
    keys_looked_at: int = 0
    moved_bytes: int = 0
    expired_bytes: int = 0
    held_bytes: int = 0
    errors: list[str] = []


class LifecycleActionRow(Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """One action of a lifecycle rule on one version or delete marker."""

    rule: str
    path: str
    version_id: str | None = None  # none: a delete marker that is not there yet
    action: str  # of rules.lifecycle.Action
    storage_class: str  # that a transition leads to; else that the version has
    bytes: int


class HeldRow(Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """What a rule would do to a version, if no lock held it."""

    rule: str
    path: str
    version_id: str | None = None
    action: str
    storage_class: str
    bytes: int
    until: str | None = None  # none: until somebody lifts it


class LifecycleDay(Struct, frozen=True, rename="pascal"):
    """What lifecycle does on one day, by path."""

    date: str
    actions: list[LifecycleActionRow]
    held: list[HeldRow]


class LifecycleCurvePoint(Struct, frozen=True, rename="pascal"):
    """What the classes hold at the end of one day."""

    date: str
    classes: list[ClassBytes]


class LifecyclePlan(Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """What lifecycle will do; days without anything are left out."""

    days: list[LifecycleDay]
    before: StorageCosts
    after: StorageCosts
    curve: list[LifecycleCurvePoint] = []


class LifecycleRun(Struct, frozen=True, kw_only=True, rename="pascal"):
    """What a run did, or (dry run) would do; no day where there was nothing."""

    days: list[LifecycleDay]
    keys_looked_at: int
    postponed: int
    errors: list[str]
    error_count: int
    freed_bytes: int
    dry_run: bool
