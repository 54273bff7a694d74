"""The file of the key ring: one beside `store.json`, and a copy in every zone.

The highest generation counts. A copy that missed a change (its zone was away, or the power went) or
is lost, damaged or of another store is replaced, once the store was opened by the one that counts.
"""

import logging
from pathlib import Path

from msgspec import Struct

from s3fs_local import errors
from s3fs_local.crypto.key_ring import generation_of, store_of
from s3fs_local.daemon.layout import KEY_RING_NAME
from s3fs_local.daemon.zone_copies import put_copy, read_copy
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

    def __init__(self, path: Path, zones: ZoneSet, store_id: str) -> None:
        self._file = path / KEY_RING_NAME
        self._zones = zones
        self._store_id = store_id
        self.present = b""
        """The ring that opened the store, or was saved since: what every copy should be."""
        self._here: bytes | None = None  # as `newest` found it
        self._in_zones: dict[ObjectStore, bytes | None] = {}  # the same

    @property
    def _stores(self) -> list[ObjectStore]:
        return [zone.store for zone in self._zones.well if zone.store is not None]

    def newest(self) -> bytes:
        """The newest ring of the store, here or in a zone; nothing is changed.

        Raises:
            StoreDamaged: no copy can be read.
            FormatTooNew: a newer release wrote it.
        """
        self._here = self._read_here()
        self._in_zones = {zone: read_copy(zone, KEY_RING_NAME) for zone in self._stores}
        copies = [
            self._found(self._here, "the store's own copy"),
            *(self._found(copy, "a zone's copy") for copy in self._in_zones.values()),
        ]
        readable = [copy for copy in copies if copy is not None]
        if not readable:
            raise errors.StoreDamaged(
                f"{self._file} cannot be read, and no zone has a copy that can"
            )
        return max(readable, key=lambda copy: copy.generation).data

    def spread(self) -> None:
        """Every copy that is reached is the present ring: the store was opened by it.

        Not before: one that turns out to be of no use would have taken the place of the good ones.
        """
        if self._here != self.present:
            log.warning("%s was not the latest key ring, and is replaced", self._file)
            try:
                self._put_here(self.present)
            except errors.StorageError as error:  # then at the next opening
                log.warning("the key ring cannot be replaced: %s", error)
        for zone, copy in self._in_zones.items():
            if copy != self.present:
                put_copy(zone, KEY_RING_NAME, self.present)

    def save(self, data: bytes) -> None:
        """The ring is this, durably. A zone that cannot take it is suspended, and told later.

        Where none can take it, the store does not have it either: what is written from then on
        could not be opened from a zone.

        Raises:
            StoreFull, ZoneUnavailable: nothing was changed.
        """
        former = self.present
        self._put_here(data)
        self.present = data  # what a zone is told by others from now on
        for zone in self._zones.well:
            why = None if zone.store is None else put_copy(zone.store, KEY_RING_NAME, data)
            if why is not None and not self._zones.members.suspend(zone, why):
                self.present = former
                self._put_here(former)
                raise why

    def _put_here(self, data: bytes) -> None:
        try:
            durable_files.replace(self._file, data)
        except OSError as error:
            raise errors.ZoneUnavailable(f"{self._file}: {error.strerror}") from error

    def _read_here(self) -> bytes | None:
        try:
            return durable_files.read_small(self._file)
        except OSError as error:
            log.warning("%s cannot be read: %s", self._file, error)
            return None

    def _found(self, data: bytes | None, what: str) -> _Found | None:
        """None where it is damaged, or of another store: whoever put it there meant well."""
        if data is None:
            return None
        try:
            if store_of(data) == self._store_id:
                return _Found(generation_of(data), data)
            log.warning("%s of the key ring is that of another store", what)
        except errors.StoreDamaged as error:
            log.warning("%s of the key ring cannot be read: %s", what, error)
        return None
