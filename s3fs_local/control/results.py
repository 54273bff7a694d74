r"""What comes of commands, as `--json` prints it.

Where S3 has the thing, members have S3's names (`aws s3api` prints the same); the others follow
their manner. `Key` is a path below the store's root; bytes of it that are no UTF-8 stand as `\xNN`.
Members that do not apply are left out. Instants are RFC 3339 in UTC.
"""

from msgspec import Struct, field

from s3fs_local.rules.object_lock import ObjectLockDocument


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


class Content(Struct, frozen=True, rename="pascal"):
    """Which version the data were."""

    key: str
    version_id: str
    size: int
    etag: str = field(name="ETag")


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


class ZoneRow(Struct, frozen=True, rename="pascal", omit_defaults=True):
    """One failure domain."""

    url: str
    state: str
    free_bytes: int | None = None
    total_bytes: int | None = None


class FindingRow(Struct, frozen=True, kw_only=True, rename="pascal"):
    """One thing that was found out about the store; see rules.findings."""

    severity: str
    subject: str
    sentence: str
    advice: str


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


class Status(Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """How the store is: `Health` in a word, `Findings` say why, the worst first."""

    store: str
    store_id: str
    health: str  # of rules.findings.Health
    findings: list[FindingRow]
    mount_point: str | None = None
    daemon_pid: int | None = None
    versioning: str
    object_lock: bool
    read_only: bool
    zones: list[ZoneRow]
    lifecycle: LifecycleStatus | None = None
    replication: "ReplicationStatus | None" = None


class ZoneDescription(Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """One zone, in full."""

    url: str
    zone_id: str
    kind: str
    state: str
    reason: str = ""
    missing_bytes: int = 0  # what it has yet to be given, as far as that is known
    free_bytes: int = 0
    total_bytes: int = 0
    bytes: int = 0  # of the objects in it
    share_bytes: int = 0  # of these, in shares of packs


class ZoneListing(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The zones of a store, in the order in which reads prefer them."""

    zones: list[ZoneDescription]
    write_quorum: int  # the least number that must be well


class PieceRow(Struct, frozen=True, kw_only=True, rename="pascal"):
    """Something that was damaged in a zone."""

    zone: str
    name: str
    repaired: bool


class ScrubResult(Struct, frozen=True, kw_only=True, rename="pascal"):
    """What a scrub read, and found."""

    copies: int
    bytes: int
    damaged: list[PieceRow]
    metadata: list[str] = []  # what is wrong in the database, in its own words


class Statistics(Struct, frozen=True, kw_only=True, rename="pascal"):
    """How much the store holds."""

    names: int
    files: int
    versions: int
    blocks: int
    plain_bytes: int
    sealed_bytes: int
    requests: dict[str, int]  # FUSE requests served since the mount, by kind
    fsyncs: int  # since the store was opened


class KindRow(Struct, frozen=True, rename="pascal"):
    """All requests of one kind since the mount."""

    kind: str
    count: int
    took_ns: int
    bytes: int


class RunningRow(Struct, frozen=True, kw_only=True, rename="pascal"):
    """A request that was not answered yet."""

    kind: str
    path: str
    for_ns: int
    uid: int
    pid: int


class ActivitySample(Struct, frozen=True, kw_only=True, rename="pascal"):
    """What a mount has done since it began, and what it is doing at `UptimeNs`."""

    uptime_ns: int  # of the machine
    kinds: list[KindRow]
    failures: dict[str, int]  # by the name of the error
    running: list[RunningRow]
    open_files: int
    dirty_bytes: int  # accepted, and not in a version yet
    journal_bytes: int  # of the present segment
    fsyncs: int


class ClassRow(Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """The storage class of a version, or (without an id) of files made in a directory."""

    key: str
    version_id: str | None = None
    storage_class: str
    access_tier: str | None = None  # of INTELLIGENT_TIERING
    restore: str | None = None  # S3's header x-amz-restore
    is_inherited: bool = False  # directories: from the one above


class Collection(Struct, frozen=True, kw_only=True, rename="pascal"):
    """What gc freed, or (dry run) would free."""

    packs: int
    freed_bytes: int
    moved_bytes: int  # of live blocks, out of packs that were mostly dead
    dry_run: bool
    coded_packs: int = 0  # that became shares
    restored_packs: int = 0  # that became copies again
    waiting: str = ""  # why packs wait to become what their class wants


class KeyVersionRow(Struct, frozen=True, kw_only=True, rename="pascal"):
    """One version of a key."""

    version: int
    state: str
    data_keys: int  # that it wraps


class KeyRow(Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """One key that wraps data keys."""

    name: str
    source: str  # "ring" or "kms"
    wraps_new: bool  # whether it wraps the keys of what is written now
    data_keys: int
    versions: list[KeyVersionRow] = []  # of the ring; a KMS has its own


class KeyListing(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The keys of a store."""

    opened_by: list[str]  # kinds of secrets that open the ring
    generation: int  # of the ring: counted up with each change
    keys: list[KeyRow]


class KeyChange(Struct, frozen=True, kw_only=True, rename="pascal"):
    """A version of a key, as it is now."""

    name: str
    version: int
    state: str


class Rewrapping(Struct, frozen=True, kw_only=True, rename="pascal"):
    """What a rewrap did, or (dry run) would do."""

    rewrapped: int
    already_new: int
    left: int  # because what wraps them is disabled
    destroyed: list[KeyChange]
    dry_run: bool


class SettingRow(Struct, frozen=True, kw_only=True, rename="pascal"):
    """One setting."""

    name: str
    value: str
    default: str
    accepts: str
    meaning: str


class SettingListing(Struct, frozen=True, rename="pascal"):
    """All settings, by name."""

    settings: list[SettingRow]


class DiscrepancyRow(Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """One thing that is not as the ledger says."""

    kind: str  # of engine.discrepancies.Kind
    sentence: str
    key: str | None = None
    version_id: str | None = None
    time: str | None = None
    zone: str | None = None


class LedgerHeadRow(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The end of the ledger, signed: whoever keeps it can prove later what was before it."""

    store_id: str
    record: int
    time: str
    digest: str
    signature: str
    public_key: str


class Verification(Struct, frozen=True, kw_only=True, rename="pascal"):
    """What `verify` looked at and found."""

    intact: bool
    records: int  # of the ledger
    facts: int  # rows of the database
    versions: int  # whose bytes were read
    bytes: int  # of these, in all zones
    zones_left_out: list[str]  # known to lack something, so not read
    discrepancy_count: int
    discrepancies: list[DiscrepancyRow]  # the first thousand
    head: LedgerHeadRow


class Created(Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """A new store."""

    store: str
    store_id: str
    zones: list[str]
    key_file: str | None = None


class Done(Struct, frozen=True, rename="pascal"):
    """It is done, and there is nothing more to say."""


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


class StorageCosts(Struct, frozen=True, kw_only=True, rename="pascal"):
    """What all versions hold and cost a month, at the prices of the settings."""

    versions: int
    classes: list[ClassBytes]
    disk_bytes: int  # of our zones together, at most: before compressing, nothing shared
    monthly_cost: float
    currency: str
    prices_as_of: str


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


class TagRow(Struct, frozen=True, rename="pascal"):
    """One tag."""

    key: str
    value: str


class Tagging(Struct, frozen=True, rename="pascal", omit_defaults=True):
    """As get-object-tagging prints it."""

    version_id: str
    tag_set: list[TagRow]


class Versioning(Struct, frozen=True, rename="pascal", omit_defaults=True):
    """As get-bucket-versioning prints it; `{}` for a store that never had versions."""

    status: str | None = None


class ObjectLock(Struct, frozen=True, rename="pascal"):
    """As get-object-lock-configuration prints it."""

    object_lock_configuration: ObjectLockDocument


def printed_key(path: bytes) -> str:
    """The path as text; what is no UTF-8 is escaped."""
    return path.decode("utf-8", errors="backslashreplace")


class ReplicationLag(Struct, frozen=True, rename="pascal"):
    """How far one rule is behind at one destination, in S3's three metrics."""

    rule: str
    destination: str
    bytes_pending: int
    operations_pending: int
    latency_seconds: float  # age of the oldest change that was not told
    operations_failed: int
    threshold_missed: bool  # S3: OperationMissedThreshold


class ReplicationDestination(Struct, frozen=True, rename="pascal"):
    """How one destination is doing."""

    name: str
    path: str
    state: str  # idle, telling, unreachable, refused
    message: str
    operations: int  # told since the store was opened
    bytes: int
    replicated_after_threshold: int
    last: str | None


class ReplicationFailure(Struct, frozen=True, rename="pascal"):
    """A version, or the names and attributes of a file, that could not be replicated."""

    key: str
    version_id: str | None
    destination: str
    rule: str
    reason: str


class ReplicaStatus(Struct, frozen=True, rename="pascal"):
    """Whose replica the store is, or was until it was promoted."""

    source: str
    path: str
    host: str
    since: str
    promoted: str | None
    connected: bool


class ReplicationStatus(Struct, frozen=True, rename="pascal"):
    """How replication is, as a source and as a destination."""

    rules: list[ReplicationLag]
    destinations: list[ReplicationDestination]
    failures: list[ReplicationFailure]
    undecided: int  # changes that no rule was asked about yet
    replica: ReplicaStatus | None = None


class ReplicationSync(Struct, frozen=True, rename="pascal"):
    """What `replication sync` asked for, and what is left."""

    versions: int
    failed: int


class Promotion(Struct, frozen=True, rename="pascal"):
    """The store is its own now."""

    source: str
    promoted: str
    checked: str  # what was seen of the source, and what cannot be seen from here


class ResyncRow(Struct, frozen=True, rename="pascal"):
    """A version that only one side has."""

    side: str  # "here" or "there"
    key: str
    version_id: str
    size: int


class ResyncDestination(Struct, frozen=True, rename="pascal"):
    """How this store and another differ."""

    path: str
    both: int  # versions that both have
    only_here: int
    only_there: int
    rows: list[ResyncRow]  # the first of them


class ResyncListing(Struct, frozen=True, rename="pascal"):
    """How this store differs from each of the others."""

    regions: list[ResyncDestination]
