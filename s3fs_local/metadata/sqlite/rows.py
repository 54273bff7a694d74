"""Values to rows and back.

Rows have the order of the fields, so most values are made in one call; only nested values, which
are rare, pass through MessagePack.
"""

from typing import Any, Final, TypeVar

from msgspec import MsgspecError, Struct
from msgspec.msgpack import Decoder, Encoder
from msgspec.structs import astuple

from s3fs_local.errors import MetadataDamaged
from s3fs_local.rules.inode import Inode, KeptAttributes
from s3fs_local.rules.namespace import Ending, Entry
from s3fs_local.rules.replication import Replica, ReplicaKind, Task
from s3fs_local.rules.retention import DirectoryPolicy, Lock
from s3fs_local.rules.retrieval import Retrieval
from s3fs_local.rules.storage_classes import Tier
from s3fs_local.rules.versioning import Origin, Version

Row = tuple[Any, ...]
_Value = TypeVar("_Value")

_NO_XATTRS: Final[dict[bytes, bytes]] = {}  # one for all, since nobody changes it
_encode: Final = Encoder().encode
_lock: Final = Decoder(Lock)
_policy: Final = Decoder(DirectoryPolicy)
_xattrs: Final = Decoder(dict[bytes, bytes])
_retrieval: Final = Decoder(Retrieval)
_tags: Final = Decoder(dict[str, str])
_key_ids: Final = Decoder(tuple[int, ...])


def columns(kind: type[Struct]) -> str:
    """The columns of the value, in the order of its fields, for a SELECT."""
    return ", ".join(kind.__struct_fields__)


def places(kind: type[Struct]) -> str:
    """As many parameters as the value has fields, for VALUES."""
    return ", ".join("?" for _ in kind.__struct_fields__)


def inode_row(inode: Inode) -> Row:
    """The row of an inode."""
    row = astuple(inode)
    if inode.lock is None and inode.policy is None and not inode.xattrs:
        return (*row[:20], None, row[21])
    return (
        *row[:16],
        None if inode.lock is None else _encode(inode.lock),
        None if inode.policy is None else _encode(inode.policy),
        *row[18:20],
        _encode(inode.xattrs) if inode.xattrs else None,
        row[21],
    )


def to_inode(row: Row) -> Inode:
    """The inode of a row."""
    if row[16] is None and row[17] is None and row[20] is None:
        plain: Row = (*row[:20], _NO_XATTRS, row[21])
        return Inode(*plain)
    values = (
        *row[:16],
        None if row[16] is None else _decoded(_lock, row[16]),
        None if row[17] is None else _decoded(_policy, row[17]),
        *row[18:20],
        {} if row[20] is None else _decoded(_xattrs, row[20]),
        row[21],
    )
    return Inode(*values)


def kept_row(kept: KeptAttributes) -> Row:
    """The row of kept attributes."""
    return (*astuple(kept)[:6], _encode(kept.xattrs) if kept.xattrs else None)


def to_kept(row: Row) -> KeptAttributes:
    """The kept attributes of a row."""
    values = (*row[:6], {} if row[6] is None else _decoded(_xattrs, row[6]))
    return KeptAttributes(*values)


def to_entry(row: Row) -> Entry:
    """The entry of a row."""
    parent, name, from_ns, ino, to_ns, ending, salt, is_null, uid, ended_by = row
    try:
        why = _ENDINGS[ending]
    except KeyError as error:
        raise MetadataDamaged(f"unknown ending {ending} of a name") from error
    return Entry(parent, name, from_ns, ino, to_ns, why, salt, is_null != 0, uid, ended_by)


def version_row(version: Version) -> Row:
    """The row of a version."""
    row = astuple(version)
    return (
        *row[:8],
        None if version.lock is None else _encode(version.lock),
        _encode(version.tags) if version.tags else None,
        *row[10:13],
        _encode(version.key_ids) if version.key_ids else None,
        *row[14:16],
        None if version.retrieval is None else _encode(version.retrieval),
    )


def to_version(row: Row) -> Version:
    """The version of a row."""
    try:
        origin, tier = _ORIGINS[row[10]], _TIERS[row[14]]
    except KeyError as error:
        raise MetadataDamaged(f"unknown origin or tier of a version: {error}") from error
    values = (
        *row[:4],
        row[4] != 0,
        *row[5:8],
        None if row[8] is None else _decoded(_lock, row[8]),
        {} if row[9] is None else _decoded(_tags, row[9]),
        origin,
        *row[11:13],
        () if row[13] is None else _decoded(_key_ids, row[13]),
        tier,
        row[15],
        None if row[16] is None else _decoded(_retrieval, row[16]),
    )
    return Version(*values)


def to_task(row: Row) -> Task:
    """The task of a row."""
    values = (*row[:8], row[8] != 0, row[9] != 0)
    return Task(*values)


def to_replica(row: Row) -> Replica:
    """The replica of a row."""
    source, kind, there, here = row
    return Replica(source, ReplicaKind(kind), there, here)


def _decoded(decoder: Decoder[_Value], encoded: bytes) -> _Value:
    try:
        return decoder.decode(encoded)
    except MsgspecError as error:
        raise MetadataDamaged(f"a nested value cannot be read: {error}") from error


# Calling an enum costs more than reading the row.
_ENDINGS: Final[dict[int, Ending]] = {ending.value: ending for ending in Ending}
_TIERS: Final[dict[str, Tier]] = {tier.value: tier for tier in Tier}
_ORIGINS: Final[dict[int, Origin]] = {origin.value: origin for origin in Origin}
