"""Versions, and S3's rules for the stack of versions and delete markers that a key has.

A stack is newest first; its first item is the current one (S3's IsLatest). What commits and
removals do to it depends on the state of the store (S3, "How S3 Versioning works"):

                       unversioned            Enabled            Suspended
    put                null replaces null     push               null replaces null, on top
    delete             null is removed        push a marker      null marker replaces null, on top
    delete a version   only `null`            that item goes     that item goes

At most one item is `null`, and nothing but `delete a version` destroys one that is not.
"""

from collections.abc import Sequence
from enum import IntEnum, StrEnum
from typing import Final, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from s3fs_local import errors
from s3fs_local.rules.retention import Lock
from s3fs_local.rules.retrieval import Retrieval
from s3fs_local.rules.storage_classes import Tier, needs_restore, placement_of

NULL_ID: Final = "null"
"""The version id that S3 shows for what was stored while versioning was not Enabled."""


class VersioningState(StrEnum):
    """S3's bucket states; `UNVERSIONED` is the empty document and never comes back (S3)."""

    UNVERSIONED = ""
    ENABLED = "Enabled"
    SUSPENDED = "Suspended"


class Origin(IntEnum):
    """What made a version."""

    CLOSE = 0
    CHECKPOINT = 1  # file kept open and dirty
    RECOVERED = 2  # from the journal after a crash
    RESTORED = 3
    TRUNCATED = 4  # truncate(2) by path
    CREATED = 5  # mknod, mkdir and the like


class Version(Struct, frozen=True, array_like=True):
    """An immutable committed content of a file."""

    ino: int
    stamp_ns: int  # commit instant by the trusted clock; unique in the store
    salt: int  # 35 random bits: the second half of the version id
    size: int
    is_null: bool = False  # S3's `null` version
    etag: bytes = b""  # 16 bytes; changes with content
    stored_bytes: int = 0  # sealed bytes that this version added
    storage_class: str = "STANDARD"
    lock: Lock | None = None
    tags: dict[str, str] = {}
    origin: Origin = Origin.CLOSE
    uid: int = 0  # who committed it
    replication: str = ""
    key_ids: tuple[int, ...] = ()  # data keys that its content may need, the newest last
    tier: Tier = Tier.NONE  # of INTELLIGENT_TIERING
    accessed_ns: int = 0  # of INTELLIGENT_TIERING: last read, or when it got the class
    retrieval: Retrieval | None = None  # of an archived version: what was asked for, how it stands

    @property
    def is_archived(self) -> bool:
        """Whether its bytes cannot be read now: it must be retrieved first."""
        if not needs_restore(self.storage_class):
            return False
        return self.retrieval is None or not self.retrieval.expires_ns

    @property
    def placement(self) -> str:
        """The name of the placement where its blocks belong, those of its own at least."""
        is_restored = self.retrieval is not None
        return placement_of(self.storage_class, tier=self.tier, is_restored=is_restored)


class StackItem(Struct, frozen=True):
    """A version or a delete marker of one key."""

    version_id: str  # ours, unique; see `public_id`
    is_marker: bool = False
    is_null: bool = False
    etag: str = ""  # versions, where the caller has conditions to check

    @property
    def public_id(self) -> str:
        """The version id that S3 would show and accept."""
        return NULL_ID if self.is_null else self.version_id


Stack = Sequence[StackItem]
"""All items of one key, newest first."""


class StackPlan(Struct, frozen=True):
    """What an operation does to a stack: items to destroy, then one to put on top."""

    added: StackItem | None = None
    destroyed: tuple[StackItem, ...] = ()


def current(stack: Stack) -> StackItem | None:
    """The item a plain read meets: the newest, which may be a marker; None for an unknown key."""
    return stack[0] if stack else None


def plan_put(state: VersioningState, stack: Stack, new_id: str) -> StackPlan:
    """A version is committed: what it adds, and which earlier item it destroys.

    The gate must be asked about each destroyed version (`Operation.REPLACE_VERSION`).
    """
    if state is VersioningState.ENABLED:
        return StackPlan(added=StackItem(new_id))
    return StackPlan(added=StackItem(new_id, is_null=True), destroyed=_null_items(stack))


def plan_delete(state: VersioningState, stack: Stack, new_id: str) -> StackPlan:
    """The key is removed, no version named; markers stack, and missing keys get one too (S3).

    The gate must be asked about each destroyed version (`Operation.REPLACE_VERSION`).
    """
    if state is VersioningState.ENABLED:
        return StackPlan(added=StackItem(new_id, is_marker=True))
    if state is VersioningState.UNVERSIONED:
        return StackPlan(destroyed=_null_items(stack))
    marker = StackItem(new_id, is_marker=True, is_null=True)
    return StackPlan(added=marker, destroyed=_null_items(stack))


def plan_delete_version(state: VersioningState, stack: Stack, version_id: str) -> StackPlan:
    """One version or marker is destroyed for good; no marker is added (S3).

    `version_id` is a public one. The gate must be asked first (`Operation.PURGE_VERSION`).

    Raises:
        InvalidArgument: the store is unversioned and the id is not `null`.
        NoSuchVersion: the stack has no such item.
    """
    if state is VersioningState.UNVERSIONED and version_id != NULL_ID:
        raise errors.InvalidArgument(
            f"InvalidArgument: Invalid version id specified: {version_id!r};"
            f" without versioning the only version is {NULL_ID!r}"
        )
    destroyed = tuple(item for item in stack if item.public_id == version_id)
    if not destroyed:
        raise errors.NoSuchVersion(f"NoSuchVersion: no version has the id {version_id!r}")
    return StackPlan(destroyed=destroyed)


def apply_plan(stack: Stack, plan: StackPlan) -> tuple[StackItem, ...]:
    """The stack after the plan; the order of the items that stay is unchanged."""
    kept = tuple(item for item in stack if item not in plan.destroyed)
    return kept if plan.added is None else (plan.added, *kept)


def _null_items(stack: Stack) -> tuple[StackItem, ...]:
    return tuple(item for item in stack if item.is_null)


def check_condition(
    stack: Stack, *, if_none_match: str | None = None, if_match: str | None = None
) -> None:
    """The put may go ahead under its conditions; a current delete marker is no object (S3).

    Raises:
        ConditionFailed: `if_none_match` met an object, or `if_match` one with another etag.
        NoSuchName: `if_match` is given and there is no object.
        Unsupported: both are given, `if_none_match` is not `*`, or `if_match` is `*` (S3 refuses).
    """
    if if_none_match not in (None, "*") or if_match == "*" or None not in (if_none_match, if_match):
        raise errors.Unsupported("NotImplemented: a put takes If-None-Match: * or If-Match: ETAG")
    newest = current(stack)
    found = newest if newest is not None and not newest.is_marker else None
    if if_none_match is not None and found is not None:
        raise errors.ConditionFailed("PreconditionFailed: the key has a current version")
    if if_match is None:
        return
    if found is None:
        raise errors.NoSuchName("NoSuchKey: the key has no current version")
    if found.etag != if_match:
        raise errors.ConditionFailed(
            f"PreconditionFailed: the current ETag is {found.etag!r}, not {if_match!r}"
        )


def check_state_change(
    old: VersioningState,
    new: VersioningState,
    *,
    object_lock_enabled: bool,
    replicates: bool = False,
) -> None:
    """The store may go from `old` to `new`; no existing version changes by it (S3).

    Raises:
        VersioningRequired: Object Lock is on, or there are replication rules, and `new` is not
            Enabled.
        InvalidSetting: versioning was on once and `new` is unversioned.
    """
    if object_lock_enabled and new is not VersioningState.ENABLED:
        raise errors.VersioningRequired(
            "InvalidBucketState: Object Lock is enabled in this store,"
            " so versioning must stay Enabled"
        )
    if replicates and new is not VersioningState.ENABLED:
        raise errors.VersioningRequired(
            "InvalidBucketState: A replication configuration is present on this bucket, so the"
            " versioning state cannot be changed. Delete the replication configuration first."
        )
    if new is VersioningState.UNVERSIONED and old is not VersioningState.UNVERSIONED:
        raise errors.InvalidSetting(
            "IllegalVersioningConfigurationException: versioning can be Suspended,"
            " but a store that had versions never becomes unversioned again"
        )


class _Document(Struct, frozen=True, forbid_unknown_fields=True):
    """S3's VersioningConfiguration in the JSON of `aws s3api put-bucket-versioning`."""

    status: Literal["Enabled", "Suspended"] | UnsetType = msgspec.field(
        name="Status", default=UNSET
    )
    mfa_delete: Literal["Enabled", "Disabled"] | UnsetType = msgspec.field(
        name="MFADelete", default=UNSET
    )


def parse_versioning(document: bytes) -> VersioningState:
    """The state that S3's JSON document asks for: Enabled or Suspended.

    Raises:
        InvalidSetting: it is not such a document; the message begins with S3's error code.
    """
    try:
        wanted = msgspec.json.decode(document, type=_Document)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise errors.InvalidSetting(f"MalformedXML: {error}") from None
    if wanted.mfa_delete == "Enabled":
        raise errors.InvalidSetting("NotImplemented: MFADelete cannot be Enabled here")
    if wanted.status is UNSET:
        raise errors.InvalidSetting(
            "IllegalVersioningConfigurationException: The Versioning element must be specified;"
            ' write {"Status": "Enabled"} or {"Status": "Suspended"}'
        )
    return VersioningState(wanted.status)


def format_versioning(state: VersioningState) -> bytes:
    """S3's JSON document for the state; `{}` while unversioned, which S3 prints but refuses."""
    document = {} if state is VersioningState.UNVERSIONED else {"Status": state}
    return msgspec.json.encode(document)
