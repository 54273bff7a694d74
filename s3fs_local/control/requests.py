"""What can be asked of an open store: one value a command, its wire name as the tag.

Paths are bytes below the store's root, `/`-separated, without a leading slash; b"" is the root.
They may name what is deleted. Instants and periods are the texts that people typed: the store's own
clock gives them their meaning. `version` may be shortened, or `latest` or `previous`.
"""

from typing import Literal

import msgspec
from msgspec import Struct

from s3fs_local import errors


class Verify(Struct, frozen=True, tag="verify", tag_field="command"):
    """The ledger was compared with everything in the store.

    `head` is what `ledger export` printed last, an earlier day: the ledger must still contain it.
    """

    head: bytes = b""
    reads_all: bool = False


class ExportLedger(Struct, frozen=True, tag="ledger-export", tag_field="command"):
    """The ledger as lines of JSON in `Data` frames, the signed head last."""

    only_head: bool = False


class ListVersions(Struct, frozen=True, tag="versions", tag_field="command"):
    """Every version and delete marker of a path; for a directory, of each name in it."""

    path: bytes


class ListEvents(Struct, frozen=True, tag="log", tag_field="command"):
    """What happened to a path, oldest first."""

    path: bytes


class ReadVersion(Struct, frozen=True, tag="cat", tag_field="command"):
    """The content of a version (the latest if none is named), as `Data` frames."""

    path: bytes
    version: str | None = None
    at: str | None = None
    offset: int = 0
    length: int | None = None  # at most so many bytes; None: all


class ListDirectory(Struct, frozen=True, tag="directory", tag_field="command"):
    """The names that a directory had at an instant (none given: now), in order, a page of them."""

    path: bytes
    at: str | None = None
    after: bytes = b""  # names behind this one
    limit: int = 200
    with_neighbours: bool = False  # tell the instants before and after at which it changed


class ListChanges(Struct, frozen=True, tag="changes", tag_field="command"):
    """What differs below a path between two instants (none given: now), a page of it."""

    path: bytes
    since: str
    until: str | None = None
    after: bytes = b""  # paths behind this one, as `Next` of the page before
    limit: int = 200


class ListEventsBelow(Struct, frozen=True, tag="events-below", tag_field="command"):
    """What happened below a directory, newest first, a page of it."""

    path: bytes
    since: str | None = None  # none given: since the store was made
    until: str | None = None  # none given: now
    limit: int = 100  # instants of one page; at one several names may have changed


class DescribeTimeline(Struct, frozen=True, tag="timeline", tag_field="command"):
    """How much was saved and removed in the store, step by step."""

    since: str | None = None  # none given: since the store was made
    until: str | None = None
    steps: int = 60  # at most so many


class DescribeClassHistory(Struct, frozen=True, tag="class-history", tag_field="command"):
    """What the versions of each storage class held over time.

    Of those that are there now, each in its class of now. `purged_too`: of all there ever were, in
    their class of then, read from the whole ledger.
    """

    steps: int = 100  # at most so many
    purged_too: bool = False


class ListLockEnds(Struct, frozen=True, tag="lock-calendar", tag_field="command"):
    """When the retention of versions ends, counted by day, month or year."""


class Restore(Struct, frozen=True, tag="restore", tag_field="command"):
    """A file or tree is again what it was (as a new version, which another restore undoes).

    Neither `version` nor `at`: the version before the current one. `to`: another path gets it.
    """

    path: bytes
    version: str | None = None
    at: str | None = None
    to: bytes | None = None
    dry_run: bool = False


class Undelete(Struct, frozen=True, tag="undelete", tag_field="command"):
    """A deleted file or tree has its name back, as it was at its deletion."""

    path: bytes
    dry_run: bool = False


class Purge(Struct, frozen=True, tag="purge", tag_field="command"):
    """A version or delete marker is gone for good."""

    path: bytes
    version: str
    bypass_governance: bool = False
    reason: str = ""
    dry_run: bool = False


class SetRetention(Struct, frozen=True, tag="retention-set", tag_field="command"):
    """The current versions are kept in `mode` until an instant or for a period from now."""

    paths: tuple[bytes, ...]
    mode: str
    until: str
    cut_writers: bool = False
    bypass_governance: bool = False
    reason: str = ""


class DescribeRetention(Struct, frozen=True, tag="retention-info", tag_field="command"):
    """The lock of a path's current version."""

    path: bytes


class ClearRetention(Struct, frozen=True, tag="retention-clear", tag_field="command"):
    """The current version has no retention any more."""

    path: bytes
    bypass_governance: bool = False
    reason: str = ""


class SetLegalHold(Struct, frozen=True, tag="legal-hold-set", tag_field="command"):
    """The current versions are held for a case, without a date."""

    paths: tuple[bytes, ...]
    case: str
    reason: str
    cut_writers: bool = False


class ClearLegalHold(Struct, frozen=True, tag="legal-hold-clear", tag_field="command"):
    """The case holds these versions no more."""

    paths: tuple[bytes, ...]
    case: str
    reason: str


class ListLegalHolds(Struct, frozen=True, tag="legal-hold-list", tag_field="command"):
    """Every hold in the store, or those of one case."""

    case: str = ""


class SetAppendOnly(Struct, frozen=True, tag="append-only-set", tag_field="command"):
    """The files accept appends at their end and nothing else."""

    paths: tuple[bytes, ...]


class Protect(Struct, frozen=True, tag="protect", tag_field="command"):
    """What is made below the directory from now on is locked by itself."""

    path: bytes
    mode: str
    period: str
    append_only: bool = False
    commit: str = ""  # close, quiet=10m or chmod; "" as it was
    semantics: str = ""  # file or s3; "" as it was


class Explain(Struct, frozen=True, tag="why", tag_field="command"):
    """Whether an operation would be refused, by which rule, until when, and who may."""

    operation: str
    path: bytes


class DescribeClass(Struct, frozen=True, tag="class-get", tag_field="command"):
    """The storage class of a version (the current one), or of new files in a directory."""

    path: bytes
    version: str | None = None


class ChangeClass(Struct, frozen=True, tag="class-set", tag_field="command"):
    """The version, or what is made in the directory from now on, has this storage class."""

    path: bytes
    storage_class: str
    version: str | None = None


class Retrieve(Struct, frozen=True, tag="retrieve", tag_field="command"):
    """The archived version is readable for some days, after the delay of the tier."""

    path: bytes
    days: int = 1
    tier: str = "Standard"
    version: str | None = None


class DescribeStatus(Struct, frozen=True, tag="status", tag_field="command"):
    """How the store is."""


class DescribeStatistics(Struct, frozen=True, tag="stats", tag_field="command"):
    """How much the store holds; may take a while."""


class DescribeActivity(Struct, frozen=True, tag="activity", tag_field="command"):
    """What the mount was asked since it began, and what it is doing now."""


class CollectGarbage(Struct, frozen=True, tag="gc", tag_field="command"):
    """Space of blocks that no version uses is free again."""

    dry_run: bool = False


class DescribeSettings(Struct, frozen=True, tag="config-show", tag_field="command"):
    """Every setting and its value."""


class ChangeSetting(Struct, frozen=True, tag="config-set", tag_field="command"):
    """The setting has this value, given as text."""

    name: str
    value: str


class DescribeVersioning(Struct, frozen=True, tag="versioning-get", tag_field="command"):
    """The document that `aws s3api get-bucket-versioning` prints."""


class ChangeVersioning(Struct, frozen=True, tag="versioning-put", tag_field="command"):
    """The store follows this document, as given to `aws s3api put-bucket-versioning`."""

    document: bytes


class DescribeObjectLock(Struct, frozen=True, tag="object-lock-get", tag_field="command"):
    """The document that `aws s3api get-object-lock-configuration` prints."""


class ChangeObjectLock(Struct, frozen=True, tag="object-lock-put", tag_field="command"):
    """The store follows this document, as given to `aws s3api put-object-lock-configuration`."""

    document: bytes


class DescribeEncryption(Struct, frozen=True, tag="encryption-get", tag_field="command"):
    """The document that `aws s3api get-bucket-encryption` prints."""


class ChangeEncryption(Struct, frozen=True, tag="encryption-put", tag_field="command"):
    """What is written from now on is encrypted as this document says; None: as by default."""

    document: bytes | None


class ListKeys(Struct, frozen=True, tag="key-list", tag_field="command"):
    """Every key, its versions, and how many data keys each wraps."""


class AddKey(Struct, frozen=True, tag="key-add", tag_field="command"):
    """The store's ring has one more named key."""

    name: str


class RotateKey(Struct, frozen=True, tag="key-rotate", tag_field="command"):
    """A new version of the key wraps from now on; the earlier ones still unwrap."""

    name: str


class SetKeyState(Struct, frozen=True, tag="key-state", tag_field="command"):
    """The key (or one version of it) is enabled, or disabled."""

    name: str
    enabled: bool
    version: int | None = None
    dry_run: bool = False


class RewrapKeys(Struct, frozen=True, tag="key-rewrap", tag_field="command"):
    """Data keys are wrapped by the newest version of their key; data is not touched."""

    name: str | None = None
    forget_old: bool = False
    dry_run: bool = False


class ChangeSecret(Struct, frozen=True, tag="key-secret", tag_field="command"):
    """This secret opens the ring, and (unless it is `beside` them) no other of its kind does.

    With `opener` the store names that, and no key file, as what opens it. With `alone` no key file
    opens it either.
    """

    kind: str  # "passphrase", "recovery" or "key-file"
    secret: str
    beside: bool = False
    opener: Literal["passphrase", "keyring"] | None = None
    alone: bool = False

    def __repr__(self) -> str:
        return f"ChangeSecret({self.kind!r}, …)"


class DescribeLifecycle(Struct, frozen=True, tag="lifecycle-get", tag_field="command"):
    """The document that `aws s3api get-bucket-lifecycle-configuration` prints."""


class ChangeLifecycle(Struct, frozen=True, tag="lifecycle-put", tag_field="command"):
    """The store follows these rules, as given to `put-bucket-lifecycle-configuration`."""

    document: bytes
    minimum_size: str | None = None  # S3's header x-amz-transition-default-minimum-object-size


class RemoveLifecycle(Struct, frozen=True, tag="lifecycle-delete", tag_field="command"):
    """The store follows no rules."""


class PlanLifecycle(Struct, frozen=True, tag="lifecycle-plan", tag_field="command"):
    """What the rules will do on one day, or on each of the next days."""

    at: str | None = None
    days: int = 30
    with_curve: bool = False


class RunLifecycle(Struct, frozen=True, tag="lifecycle-run", tag_field="command"):
    """What is due by the rules is done now."""

    dry_run: bool = False


class DescribeTags(Struct, frozen=True, tag="tag-get", tag_field="command"):
    """The tags of the path's current version."""

    path: bytes


class ChangeTags(Struct, frozen=True, tag="tag-set", tag_field="command"):
    """The path's current version has exactly these tags."""

    path: bytes
    tags: dict[str, str]


class ListZones(Struct, frozen=True, tag="zone-list", tag_field="command"):
    """Every zone, how it is doing, and what it lacks."""


class AddZone(Struct, frozen=True, tag="zone-add", tag_field="command"):
    """The store has one more zone, which holds what it should."""

    url: str


class RemoveZone(Struct, frozen=True, tag="zone-remove", tag_field="command"):
    """The store has one zone less; what it alone held, others hold."""

    url: str
    dry_run: bool = False
    seen_from: str = ""  # the directory in which a relative path was typed


class RepairZone(Struct, frozen=True, tag="zone-repair", tag_field="command"):
    """The zone, which may be a new disk, holds what it should, and was read through."""

    url: str
    seen_from: str = ""  # the directory in which a relative path was typed


class Scrub(Struct, frozen=True, tag="scrub", tag_field="command"):
    """Every copy of everything was read, and mended from another zone where it was damaged."""

    mends: bool = True  # or only told of
    checks_metadata: bool = False


class DescribeReplication(Struct, frozen=True, tag="replication-get", tag_field="command"):
    """The replication document."""


class ChangeReplication(Struct, frozen=True, tag="replication-put", tag_field="command"):
    """The document is in force."""

    document: bytes


class RemoveReplication(Struct, frozen=True, tag="replication-delete", tag_field="command"):
    """No replication rule is in force."""


class DescribeReplicationStatus(Struct, frozen=True, tag="replication-status", tag_field="command"):
    """How far each destination is, and what failed."""

    failures_max: int = 100


class SyncReplication(Struct, frozen=True, tag="replication-sync", tag_field="command"):
    """What rules want is told, also what was there before them and what failed."""


class AwaitReplication(Struct, frozen=True, tag="replication-await", tag_field="command"):
    """Nothing is pending any more."""


class Promote(Struct, frozen=True, tag="promote", tag_field="command"):
    """The replica is a store of its own."""

    force: bool = False
    dry_run: bool = False


class Resync(Struct, frozen=True, tag="resync", tag_field="command"):
    """What this store and the other regions have that the other lacks."""

    rows_max: int = 1000


class ReceiveReplicas(Struct, frozen=True, tag="replicas", tag_field="command"):
    """The connection carries messages of replication from now on."""


class MakeRoom(Struct, frozen=True, tag="make-room", tag_field="command"):
    """Who has the store open for a source only lets go of it."""


class Unmount(Struct, frozen=True, tag="umount", tag_field="command"):
    """The daemon has unmounted, and everything is durable. Answered by a daemon only.

    With `by_caller` it is the caller who takes the mount away, when `Progress` comes. What cannot
    be saved keeps it mounted, unless it `discards_unsaved`.
    """

    mount_point: bytes
    by_caller: bool = False
    discards_unsaved: bool = False


class Remount(Struct, frozen=True, tag="remount", tag_field="command"):
    """The daemon has the options, and takes changes or not; all is durable. Of a daemon only.

    With `read_only` None it is only asked whether it has all other options.
    """

    options: tuple[str, ...]
    read_only: bool | None = None


Request = (
    Verify
    | ExportLedger
    | ListVersions
    | ListEvents
    | ReadVersion
    | ListDirectory
    | ListChanges
    | ListEventsBelow
    | DescribeTimeline
    | DescribeClassHistory
    | ListLockEnds
    | Restore
    | Undelete
    | Purge
    | SetRetention
    | DescribeRetention
    | ClearRetention
    | SetLegalHold
    | ClearLegalHold
    | ListLegalHolds
    | SetAppendOnly
    | Protect
    | Explain
    | DescribeClass
    | ChangeClass
    | Retrieve
    | DescribeStatus
    | DescribeStatistics
    | DescribeActivity
    | CollectGarbage
    | DescribeSettings
    | ChangeSetting
    | DescribeVersioning
    | ChangeVersioning
    | DescribeObjectLock
    | ChangeObjectLock
    | DescribeEncryption
    | ChangeEncryption
    | ListKeys
    | DescribeReplication
    | ChangeReplication
    | RemoveReplication
    | DescribeReplicationStatus
    | SyncReplication
    | AwaitReplication
    | Promote
    | Resync
    | ReceiveReplicas
    | MakeRoom
    | AddKey
    | RotateKey
    | SetKeyState
    | RewrapKeys
    | ChangeSecret
    | DescribeLifecycle
    | ChangeLifecycle
    | RemoveLifecycle
    | PlanLifecycle
    | RunLifecycle
    | DescribeTags
    | ChangeTags
    | ListZones
    | AddZone
    | RemoveZone
    | RepairZone
    | Scrub
    | Unmount
    | Remount
)

_decoder: msgspec.msgpack.Decoder[Request] = msgspec.msgpack.Decoder(Request)


def decode_request(body: bytes) -> Request:
    """The request in the body of a frame.

    Raises:
        InvalidArgument: the bytes are no request.
    """
    try:
        return _decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise errors.InvalidArgument(f"bad request: {error}") from error
