"""`store.json` of an open store: changed by one process, part by part, and told to its zones."""

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path

import trio
from msgspec import structs

from s3fs_local import errors
from s3fs_local.daemon.store_file import (
    STORE_FILE_NAME,
    StoreRecord,
    encode_store_file,
    write_store_file,
)
from s3fs_local.daemon.zone_copies import put_copy, read_copy
from s3fs_local.engine.durability import run_in_thread
from s3fs_local.engine.key_administration import Opener
from s3fs_local.objects.zone_set import ZoneSet
from s3fs_local.system import durable_files

logger = logging.getLogger(__name__)


class StoreDescription:
    """What is known of the store before it is opened: its zones, and what opens it.

    Whoever changes a part of it says how the whole follows from the one there is, so that no change
    takes another one back.
    """

    def __init__(self, path: Path, record: StoreRecord, zones: ZoneSet) -> None:
        """As this process, which has the store open, has read it."""
        self._path = path
        self._zones = zones
        self._mutex = trio.Lock()  # around writing it, and around telling it
        self.record = record

    async def change(self, change: Callable[[StoreRecord], StoreRecord]) -> None:
        """It is what `change` makes of it, durably.

        Raises:
            StoreFull, ZoneUnavailable: of the store's disk; it is what it was.
        """
        async with self._mutex:
            changed = change(self.record)
            await run_in_thread(partial(self._write, changed))
            self.record = changed

    def _write(self, record: StoreRecord) -> None:
        try:
            write_store_file(self._path, record)
        except OSError as error:
            raise durable_files.storage_error(error, self._path / STORE_FILE_NAME) from error

    async def tell(self) -> None:
        """Every zone has it.

        One that cannot be told now is told when it comes back, or by a scrub: the change is made.
        """
        async with self._mutex:
            put = partial(self._zones.put, STORE_FILE_NAME, encode_store_file(self.record))
            try:
                await run_in_thread(put)
            except errors.StorageError as error:
                logger.warning("%s was not told to all zones: %s", STORE_FILE_NAME, error)

    def spread(self) -> None:
        """Every zone that is well has it: who changed it may have died before zones were told."""
        text = encode_store_file(self.record)
        for zone in self._zones.well:
            if zone.store is not None and read_copy(zone.store, STORE_FILE_NAME) != text:
                put_copy(zone.store, STORE_FILE_NAME, text)

    async def name_opener(self, opener: Opener) -> None:
        """See `NameOpener`; raises as `change`."""
        is_keyring = opener == "keyring"
        await self.change(lambda record: structs.replace(record, key_file="", keyring=is_keyring))
        await self.tell()
