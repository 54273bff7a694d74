"""How a store is as a whole, how it is set up, and what was done to it."""

from msgspec import Struct

from s3fs_local.control.results.lifecycle import LifecycleStatus
from s3fs_local.control.results.replication import ReplicationStatus
from s3fs_local.control.results.zones import ZoneRow


class UnsavedRow(Struct, frozen=True, rename="pascal"):
    """What was done to a store and is not durable; see engine.unsaved."""

    inodes: int  # files and directories
    size_bytes: int
    sentence: str


class FindingRow(Struct, frozen=True, kw_only=True, rename="pascal"):
    """One thing that was found out about the store; see rules.findings."""

    severity: str
    subject: str
    sentence: str
    advice: str


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
    unsaved: UnsavedRow | None = None  # of the present moment
    lifecycle: LifecycleStatus | None = None
    replication: ReplicationStatus | None = None


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


class Collection(Struct, frozen=True, kw_only=True, rename="pascal"):
    """What gc freed, or (dry run) would free."""

    packs: int
    freed_bytes: int
    moved_bytes: int  # of live blocks, out of packs that were mostly dead
    dry_run: bool
    coded_packs: int = 0  # that became shares
    restored_packs: int = 0  # that became copies again
    waiting: str = ""  # why packs wait to become what their class wants


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


class Created(Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """A new store."""

    store: str
    store_id: str
    zones: list[str]
    key_file: str | None = None


class Unmounted(Struct, frozen=True, rename="pascal", omit_defaults=True):
    """It is unmounted."""

    discarded: UnsavedRow | None = None


class Done(Struct, frozen=True, rename="pascal"):
    """It is done, and there is nothing more to say."""
