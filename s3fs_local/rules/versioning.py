"""Versions, and the states of versioning that S3 knows."""

from enum import IntEnum, StrEnum
from typing import Annotated, Final, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from s3fs_local import errors
from s3fs_local.rules.retention import Lock
from s3fs_local.rules.retrieval import Retrieval
from s3fs_local.rules.s3_documents import in_xml, read_document
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


class Version(Struct, frozen=True, gc=False, array_like=True):
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
    """S3's VersioningConfiguration."""

    status: Literal["Enabled", "Suspended"] | UnsetType = msgspec.field(
        name="Status", default=UNSET
    )
    mfa_delete: Annotated[Literal["Enabled", "Disabled"] | UnsetType, in_xml("MfaDelete")] = (
        msgspec.field(name="MFADelete", default=UNSET)
    )


def parse_versioning(document: bytes) -> VersioningState:
    """The state that S3's document asks for, JSON or XML: Enabled or Suspended.

    Raises:
        InvalidDocument: it is not such a document; the message begins with S3's error code.
    """
    wanted = read_document(document, _Document, roots=["VersioningConfiguration"])
    if wanted.mfa_delete == "Enabled":
        raise errors.InvalidDocument("NotImplemented: MFADelete cannot be Enabled here")
    if wanted.status is UNSET:
        raise errors.InvalidDocument(
            "IllegalVersioningConfigurationException: The Versioning element must be specified;"
            ' write {"Status": "Enabled"} or {"Status": "Suspended"}'
        )
    return VersioningState(wanted.status)
