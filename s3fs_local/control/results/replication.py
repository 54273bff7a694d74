"""How far other regions are."""

from msgspec import Struct


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
    """The store is its own now, or (dry run) would be."""

    source: str
    promoted: str | None  # None: it is not yet
    checked: str  # what was seen of the source, and what cannot be seen from here
    dry_run: bool


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
