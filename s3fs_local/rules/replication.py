"""Which versions are copied to another region: S3's rules for replication, as a pure function.

An object matches every enabled rule whose filter fits it. For each destination the matching rule of
the highest priority decides, and only that one. What happened then decides whether it is told:

    a new version, and changes of its metadata     yes, from the time on when the rule was put
    a delete marker of a user                      if the rule says so and has no tags (V1: always)
    removal of a version; all that lifecycle does  never
    what was there before, replicas, what failed   on demand only (`replication sync`)
    a replica whose metadata changed               if the rule says so
    a replica that is renamed, or linked           as any other file (S3: that makes a new object)
    archived classes                               no, but tags and locks of what is there already
    encryption with a KMS key                      if the rule names a key for the replica
"""

from collections.abc import Sequence
from enum import Enum, IntEnum, StrEnum
from typing import Final

from msgspec import Struct

from s3fs_local.rules.instants import SECOND_NS
from s3fs_local.rules.storage_classes import needs_restore

UNDECIDED: Final = ""
"""The destination of a task that no rule has been asked about yet."""
ATTRIBUTES: Final = 0
"""The stamp of a task that is about names and attributes, not about one version."""
_MINUTE_NS: Final = 60 * SECOND_NS


class Status(StrEnum):
    """S3's x-amz-replication-status."""

    NONE = ""
    PENDING = "PENDING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    REPLICA = "REPLICA"


class Reason(StrEnum):
    """Why a version could not be replicated and will not be by itself: S3's words, and ours."""

    DST_BUCKET_NOT_FOUND = "DstBucketNotFound"
    DST_BUCKET_UNVERSIONED = "DstBucketUnversioned"
    DST_OBJECT_LOCK_MISSING = "DstBucketObjectLockConfigMissing"
    DST_KMS_KEY_NOT_FOUND = "DstKmsKeyNotFound"
    DST_KMS_KEY_INVALID = "DstKmsKeyInvalidState"
    DST_NOT_PERMITTED = "DstPutObjectNotPermitted"
    DST_DIVERGED = "DstObjectDiverged"  # ours: somebody else wrote there
    SRC_NOT_PERMITTED = "SrcGetObjectNotPermitted"
    SRC_KMS_KEY_INVALID = "SrcKmsKeyInvalidState"
    SRC_NOT_ELIGIBLE = "SrcObjectNotEligible"
    SRC_DAMAGED = "SrcObjectDamaged"  # ours: no zone has its bytes


class Event(Enum):
    """What happened at the source."""

    NEW_VERSION = 1
    METADATA = 2  # attributes, tags or locks of a version changed
    DELETE_MARKER = 3  # a user removed the name
    REMOVAL = 4  # one version was removed for good
    LIFECYCLE = 5  # markers, expirations, transitions
    SUBRESOURCE = 6  # a setting of the bucket
    ON_DEMAND = 7  # somebody asks for what is there
    NAME = 8  # a file got a name or lost one (S3: a new key, or a delete marker)


class Rule(Struct, frozen=True):
    """One enabled rule."""

    rule_id: str
    destination: str  # name of a remote
    priority: int = 0
    prefix: bytes = b""
    tags: tuple[tuple[str, str], ...] = ()
    delete_markers: bool = False
    replica_modifications: bool = False
    kms_objects: bool = False
    replica_key: str = ""
    storage_class: str = ""  # "" = as at the source
    threshold_ns: int = 0  # of S3's Replication Time Control; 0 = not asked for
    since_ns: int = 0  # when it was put

    def fits(self, key: bytes, tags: dict[str, str]) -> bool:
        """Whether the filter fits an object of this key and with these tags."""
        return key.startswith(self.prefix) and all(
            tags.get(name) == value for name, value in self.tags
        )


class Subject(Struct, frozen=True, kw_only=True):
    """The object version that something happened to."""

    key: bytes
    tags: dict[str, str] = {}
    committed_ns: int = 0
    status: str = Status.NONE
    storage_class: str = "STANDARD"
    has_kms_key: bool = False


class Choice(Struct, frozen=True):
    """A destination that is told, and the rule that says so."""

    destination: str
    rule: Rule
    if_held: bool = False  # only if the replica is there: its bytes are not sent


def choose(rules: Sequence[Rule], subject: Subject, event: Event) -> tuple[Choice, ...]:
    """Which destinations are told of it; none where no rule wants it."""
    deciding: dict[str, Rule] = {}
    for rule in rules:
        if not rule.fits(subject.key, subject.tags):
            continue
        present = deciding.get(rule.destination)
        if present is None or rule.priority > present.priority:
            deciding[rule.destination] = rule
    return tuple(
        Choice(destination, rule, if_held=_is_for_replicas_only(rule, subject, event))
        for destination, rule in deciding.items()
        if _wants(rule, subject, event)
    )


def on_the_way(rules: Sequence[Rule], directory: bytes) -> tuple[Choice, ...]:
    """Which destinations may have something below the directory: they are told what it is called.

    A directory is no object, so it has no tags; what is below it may have those of a rule.
    """
    found: dict[str, Choice] = {}
    below = directory + b"/"
    for rule in rules:
        if below.startswith(rule.prefix) or rule.prefix.startswith(below):
            found.setdefault(rule.destination, Choice(rule.destination, rule, if_held=True))
    return tuple(found.values())


def _is_for_replicas_only(rule: Rule, subject: Subject, event: Event) -> bool:
    """The version is older than the rule, or its bytes are in an archive."""
    if event is Event.METADATA and needs_restore(subject.storage_class):
        return True
    is_about_what_was_there = event in (Event.METADATA, Event.NAME)
    return is_about_what_was_there and subject.committed_ns < rule.since_ns


def _wants(rule: Rule, subject: Subject, event: Event) -> bool:
    if event is Event.DELETE_MARKER:
        return rule.delete_markers and not rule.tags
    if event not in (Event.NEW_VERSION, Event.METADATA, Event.NAME, Event.ON_DEMAND):
        return False
    if event is Event.NAME and subject.status != Status.NONE:
        return True  # its bytes are there, or will be, whoever made them
    if subject.has_kms_key and not rule.kms_objects:
        return False
    if needs_restore(subject.storage_class) and not _has_replica(subject, event):
        return False
    return event is Event.ON_DEMAND or _wants_unasked(rule, subject, event)


def _has_replica(subject: Subject, event: Event) -> bool:
    """Whether what changed changes somewhere else, too, or will when it is there."""
    return event in (Event.METADATA, Event.NAME) and subject.status != Status.NONE


def _wants_unasked(rule: Rule, subject: Subject, event: Event) -> bool:
    if subject.status == Status.REPLICA:
        return event is Event.METADATA and rule.replica_modifications
    if _has_replica(subject, event):
        return True
    return subject.committed_ns >= rule.since_ns


class Task(Struct, frozen=True, array_like=True):
    """What has still to be told to one destination: one version, or names and attributes."""

    destination: str  # `UNDECIDED` until rules were asked
    ino: int
    stamp_ns: int  # of the version, or `ATTRIBUTES`
    since_ns: int  # the first change that was not told yet: lag counts from here
    changed_ns: int  # the last one: the order in which tasks are done
    size: int = 0  # sealed bytes that the version added
    rule: str = ""
    reason: str = ""  # why it failed; "" = it is pending
    if_held: bool = False  # see `Choice`
    has_names: bool = False  # names changed, too


class ReplicaKind(IntEnum):
    """What a replica is one of."""

    INODE = 1
    BLOCK = 2


class Replica(Struct, frozen=True, array_like=True):
    """An inode or block of this store that is a copy of another store's."""

    source: bytes  # id of the other store
    kind: ReplicaKind
    there: int
    here: int


class Backlog(Struct, frozen=True):
    """What one rule has still to tell one destination."""

    destination: str
    rule: str
    failed: bool
    operations: int
    size: int
    since_ns: int  # of the oldest that is pending; 0 = they failed

    def lag_ns(self, now_ns: int) -> int:
        """How far the destination is behind."""
        return max(now_ns - self.since_ns, 0)


def combined(statuses: Sequence[str]) -> Status:
    """The status of a version from those for its destinations (S3: FAILED if any, then PENDING)."""
    for status in (Status.FAILED, Status.PENDING, Status.COMPLETED):
        if status in statuses:
            return status
    return Status.NONE


def backoff_ns(failures: int) -> int:
    """How long an unreachable destination is left alone, after so many failures in a row."""
    return min(SECOND_NS // 4 << min(failures, 16), _MINUTE_NS)


def seconds_late(pending: Sequence[Task], now_ns: int) -> float:
    """For how long by now the first of the changes waits to be told; 0 where none does."""
    since_ns = min((task.since_ns for task in pending), default=now_ns)
    return (now_ns - since_ns) / SECOND_NS
