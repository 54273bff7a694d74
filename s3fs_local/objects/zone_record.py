"""`zones.json`: which zones lack something, as every zone that does not knows it.

Written before anything is acknowledged without a zone, to the store's directory and to those zones
that go on. So a zone that comes back alone cannot pass for the newest: whoever has a later record
knows better. The record with the highest epoch counts. The store's directory has it first, so that
no later process gives the same epoch to something else, and one that finds it in some places only
completes it before it does anything else.
"""

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec
from msgspec import Struct

from s3fs_local.crypto.sealing import digest
from s3fs_local.errors import FormatTooNew
from s3fs_local.rules.quorum import MAJORITY

RECORD_NAME: Final = "zones.json"
FORMAT: Final = 1


class BehindZone(Struct, frozen=True, omit_defaults=True):
    """A zone that missed something."""

    zone_id: str
    reason: str
    doubtful: tuple[str, ...] = ()  # objects that grew when it failed: its copies may be torn
    joins: bool = False  # it was never well: no quorum counts on it


class ZonesRecord(Struct, frozen=True):
    """All zones but those behind have everything that was acknowledged up to this epoch."""

    epoch: int = 0
    behind: tuple[BehindZone, ...] = ()
    wanted_quorum: int = MAJORITY  # by which it was acknowledged
    counted: int = 0  # of how many zones that is a quorum; 0 = of all: none was being removed
    format: int = FORMAT


class _File(Struct, frozen=True):
    """A record as it is stored."""

    record: msgspec.Raw
    digest: str  # of the record's bytes: a digit that rotted must not make an old one the newest


def encode_record(record: ZonesRecord) -> bytes:
    """As it is stored."""
    data = msgspec.json.encode(record)
    return msgspec.json.encode(_File(msgspec.Raw(data), digest(data).hex())) + b"\n"


def is_everywhere(record: ZonesRecord, copies: Mapping[str, bytes], own: bytes) -> bool:
    """Whether the store's directory has it, and each zone that lacks nothing by it.

    Args:
        record: the newest of them.
        copies: of every zone that answers, by its id; empty where there is none.
        own: that of the store's directory.
    """
    if record == ZonesRecord():
        return True
    behind = {zone.zone_id for zone in record.behind}
    wanted = encode_record(record)
    counted = [copy for zone_id, copy in copies.items() if zone_id not in behind]
    return all(copy == wanted for copy in (own, *counted))


def newest_record(copies: Iterable[bytes]) -> ZonesRecord:
    """The record that counts; damaged copies are passed over, for each has its seconds.

    Raises:
        FormatTooNew: a newer release wrote one.
    """
    newest = ZonesRecord()
    for copy in copies:
        try:
            file = msgspec.json.decode(copy, type=_File)
            data = bytes(file.record)
            if digest(data).hex() != file.digest:
                continue
            record = msgspec.json.decode(data, type=ZonesRecord)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            continue
        if record.format > FORMAT:
            raise FormatTooNew(f"{RECORD_NAME} has format {record.format}; this release: {FORMAT}")
        if record.epoch > newest.epoch:
            newest = record
    return newest
