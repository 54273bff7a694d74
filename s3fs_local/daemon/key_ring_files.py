"""The file of the key ring: one beside `store.json`, and a copy in every zone.

The highest generation counts. A copy that missed a change (its zone was away, or the power went) is
replaced when the store is opened; a lost or damaged file is replaced from the copies.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from s3fs_local import errors
from s3fs_local.crypto.key_ring import generation_of
from s3fs_local.daemon.layout import KEY_RING_NAME
from s3fs_local.objects.interface import ObjectStore
from s3fs_local.objects.zone_set import ZoneSet
from s3fs_local.system import durable_files

log = logging.getLogger(__name__)


class _Found(Struct, frozen=True):
    """A readable copy."""

    generation: int
    data: bytes


class KeyRingFiles:
    """All copies of one store's ring."""

    def __init__(self, path: Path, zones: ZoneSet) -> None:
        self._file = path / KEY_RING_NAME
        self._zones = zones

    @property
    def _stores(self) -> list[ObjectStore]:
        return [zone.store for zone in self._zones.well if zone.store is not None]

    def newest(self) -> bytes:
        """The newest ring of those that can be read, here or in a zone; nothing is changed.

        Raises:
            StoreDamaged: no copy can be read.
        """
        in_zones = self._zones.copies(KEY_RING_NAME, 0, None).values()
        copies = [self._read_file(), *map(_readable, in_zones)]
        return self._newest_of(copies).data

    def read(self) -> bytes:
        """The newest ring; every copy that is reached has it from now on.

        Raises:
            StoreDamaged: no copy can be read.
            FormatTooNew: a newer release wrote it.
        """
        stores = self._stores
        copies = [self._read_file(), *map(_read_copy, stores)]
        newest = self._newest_of(copies)
        if copies[0] != newest:
            log.warning("%s was not the latest key ring, and is replaced", self._file)
            durable_files.replace(self._file, newest.data)
        for zone, copy in zip(stores, copies[1:], strict=True):
            if copy != newest:
                _put_copy(zone, newest.data)
        return newest.data

    def save(self, data: bytes) -> None:
        """The ring is this, durably. A zone that cannot take it is suspended, and told later.

        Where none can take it, the store does not have it either: what is written from then on
        could not be opened from a zone.

        Raises:
            StoreFull, ZoneUnavailable: nothing was changed.
        """
        former = self.newest()
        self._put_here(data)
        for zone in self._zones.well:
            why = None if zone.store is None else _put_copy(zone.store, data)
            if why is not None and not self._zones.members.suspend(zone, why):
                self._put_here(former)
                raise why

    def _put_here(self, data: bytes) -> None:
        try:
            durable_files.replace(self._file, data)
        except OSError as error:
            raise errors.ZoneUnavailable(f"{self._file}: {error.strerror}") from error

    def _newest_of(self, copies: Sequence[_Found | None]) -> _Found:
        readable = [copy for copy in copies if copy is not None]
        if not readable:
            raise errors.StoreDamaged(
                f"{self._file} cannot be read, and no zone has a copy that can"
            )
        return max(readable, key=lambda copy: copy.generation)

    def _read_file(self) -> _Found | None:
        try:
            return _found(durable_files.read_small(self._file))
        except (OSError, errors.StoreDamaged) as error:
            log.warning("%s cannot be read: %s", self._file, error)
            return None


def _readable(data: bytes) -> _Found | None:
    try:
        return _found(data)
    except errors.StoreDamaged as error:
        log.warning("a zone's copy of the key ring cannot be read: %s", error)
        return None


def _read_copy(zone: ObjectStore) -> _Found | None:
    try:
        return _found(zone.read(KEY_RING_NAME, 0, zone.length(KEY_RING_NAME)))
    except (KeyError, errors.StorageError, errors.StoreDamaged) as error:
        log.warning("a zone's copy of the key ring cannot be read: %s", error)
        return None


def _found(data: bytes) -> _Found:
    return _Found(generation_of(data), data)


def _put_copy(zone: ObjectStore, data: bytes) -> errors.StorageError | None:
    """The zone has the ring; or why not."""
    try:
        zone.put(KEY_RING_NAME, data)
    except errors.StorageError as error:
        log.warning("a zone did not take the key ring: %s", error)
        return error
    return None
