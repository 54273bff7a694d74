"""The object that says which store a zone belongs to."""

from typing import Final

import msgspec
from msgspec import Struct

from s3fs_local.errors import FormatTooNew, StoreExists, ZoneUnavailable
from s3fs_local.objects.interface import ObjectStore

MARK_NAME: Final = "zone.json"
FORMAT: Final = 1
_MARK_BYTES_MAX: Final = 4096


class ZoneMark(Struct, frozen=True):
    """Whose zone this is. Both ids in hexadecimal."""

    store_id: str
    zone_id: str
    format: int = FORMAT


def mark_zone(zone: ObjectStore, mark: ZoneMark) -> None:
    """The zone belongs to the store, durably.

    Raises:
        StoreExists: it belongs to a store already.
    """
    try:
        zone.length(MARK_NAME)
    except KeyError:
        zone.put(MARK_NAME, msgspec.json.encode(mark) + b"\n")
    else:
        raise StoreExists("the zone already belongs to a store")


def read_mark(zone: ObjectStore) -> ZoneMark:
    """Whose zone it is. An empty mount point does not pass for one.

    Raises:
        ZoneUnavailable: it is no zone.
        FormatTooNew: a newer release wrote it.
    """
    try:
        mark = msgspec.json.decode(zone.read(MARK_NAME, 0, _MARK_BYTES_MAX), type=ZoneMark)
    except KeyError as error:
        raise ZoneUnavailable(f"there is no {MARK_NAME}: not a zone, or not mounted") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ZoneUnavailable(f"{MARK_NAME} is damaged: {error}") from error
    if mark.format > FORMAT:
        raise FormatTooNew(f"the zone has format {mark.format}, this release knows {FORMAT}")
    return mark


def check_zone(zone: ObjectStore, *, store_id: str) -> ZoneMark:
    """The mark of a zone of this store.

    Raises:
        ZoneUnavailable: it is no zone, or another store's.
        FormatTooNew: a newer release wrote it.
    """
    mark = read_mark(zone)
    if mark.store_id != store_id:
        raise ZoneUnavailable(f"the zone belongs to store {mark.store_id}, not {store_id}")
    return mark
