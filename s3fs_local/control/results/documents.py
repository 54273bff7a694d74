"""S3's documents about a store or a file."""

from msgspec import Struct

from s3fs_local.rules.object_lock import ObjectLockDocument


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
