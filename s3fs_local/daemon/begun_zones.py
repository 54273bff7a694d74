"""What is left of a zone whose making was broken off: it may be made anew over it.

A zone is made in the order of `PARTS`, each whole or not at all; a directory may have the file that
one of them was being written to. Nothing of a store lies there yet, so nothing is lost with it.
"""

from typing import Final

from s3fs_local.daemon.layout import KEY_RING_NAME
from s3fs_local.daemon.store_file import STORE_FILE_NAME, StoreRecord, decode_store_file
from s3fs_local.errors import FormatTooNew, StorageError, StoreDamaged
from s3fs_local.objects.interface import ObjectStore
from s3fs_local.objects.zone_mark import MARK_NAME, check_zone
from s3fs_local.system.durable_files import temporary_name

PARTS: Final = (STORE_FILE_NAME, KEY_RING_NAME, MARK_NAME)
UNFINISHED: Final = frozenset(map(temporary_name, PARTS))
BEGUN_NAMES_MAX: Final = len(PARTS) + len(UNFINISHED)


def is_begun(objects: ObjectStore, names: set[str], record: StoreRecord) -> bool:
    """Whether what lies there is all of a zone that this store began to make, and never used."""
    parts = names - UNFINISHED
    if parts != set(PARTS[: len(parts)]):
        return False
    if STORE_FILE_NAME in parts and not _is_of(objects, record):
        return False
    return MARK_NAME not in parts or _is_unknown(objects, record)


def _is_of(objects: ObjectStore, record: StoreRecord) -> bool:
    """Whether the zone's copy of `store.json` is this store's."""
    try:
        text = objects.read(STORE_FILE_NAME, 0, objects.length(STORE_FILE_NAME))
        return decode_store_file(text, path=STORE_FILE_NAME).store_id == record.store_id
    except (KeyError, StorageError, StoreDamaged, FormatTooNew):
        return False


def _is_unknown(objects: ObjectStore, record: StoreRecord) -> bool:
    """Whether it is marked as a zone of this store that the store did not come to know."""
    try:
        mark = check_zone(objects, store_id=record.store_id)
    except (StorageError, FormatTooNew):
        return False
    return mark.zone_id not in {zone.zone_id for zone in record.zones}
