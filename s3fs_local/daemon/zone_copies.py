"""Copies of the store's small files in its zones, each whole."""

import logging

from s3fs_local import errors
from s3fs_local.objects.interface import ObjectStore

log = logging.getLogger(__name__)


def read_copy(zone: ObjectStore, name: str) -> bytes | None:
    """The zone's copy; None where it cannot be read. Blocks."""
    try:
        return zone.read(name, 0, zone.length(name))
    except (KeyError, errors.StorageError) as error:
        log.warning("a zone's copy of %s cannot be read: %s", name, error)
        return None


def put_copy(zone: ObjectStore, name: str, data: bytes) -> errors.StorageError | None:
    """The zone has the copy; or why not. Blocks."""
    try:
        zone.put(name, data)
    except errors.StorageError as error:
        log.warning("a zone did not take %s: %s", name, error)
        return error
    return None
