"""`fsck --rebuild`: a store from its zones, or from any one of them, whatever else was lost."""

import logging
from contextlib import ExitStack, suppress
from pathlib import Path

import trio
from msgspec import Struct, structs

from s3fs_local import errors
from s3fs_local.daemon.assembly import checkpoints_of, key_ring_of, open_store
from s3fs_local.daemon.checkpointing import rebuild_metadata
from s3fs_local.daemon.journal_loss import JournalLoss, go_on_if_none_is_left
from s3fs_local.daemon.key_ring_files import KeyRingFiles
from s3fs_local.daemon.layout import OWNER_LOCK_NAME
from s3fs_local.daemon.store_file import (
    STORE_FILE_NAME,
    StoreRecord,
    ZoneRecord,
    decode_store_file,
    encode_store_file,
    read_store_file,
    write_store_file,
)
from s3fs_local.daemon.unlocking import Unlocking
from s3fs_local.daemon.writability import check_directory
from s3fs_local.daemon.zones import connect, open_zones, parse_zone
from s3fs_local.objects.interface import Keeper, ObjectStore
from s3fs_local.objects.zone_mark import read_mark
from s3fs_local.system.durable_files import OwnerLock

log = logging.getLogger(__name__)

_SMALL_BYTES_MAX = 1 << 20


class Rebuilt(Struct, frozen=True):
    """What a rebuild found."""

    record: StoreRecord
    files: int
    versions: int
    recovered_files: int  # whose unclosed content was in the journal
    lost: JournalLoss | None = None  # where there was no journal any more


def rebuild(path: Path, unlocking: Unlocking, *, zones: tuple[str, ...]) -> Rebuilt:
    """The store has its metadata again, as of the last thing that its zones know.

    Args:
        path: the store's directory; made where it is gone.
        unlocking: what opens the keys; a key file inside the store is lost with it.
        zones: those that are left; none: all that `store.json` names. The others are forgotten.

    Raises:
        NotAStore: there is no `store.json`, and no zone was named.
        S3fsLocalError: whatever keeps a store from opening.
    """
    path = path.resolve()
    path.mkdir(mode=0o700, exist_ok=True)
    check_directory(path)
    with ExitStack() as closing:
        closing.enter_context(OwnerLock.acquire(path / OWNER_LOCK_NAME))
        record = _record(path, zones)
        opened = open_zones(path, record)
        closing.callback(opened.members.close)
        ring = key_ring_of(path, record, KeyRingFiles(path, opened, record.store_id), unlocking)
        rebuild_metadata(path, checkpoints_of(opened, ring, record))
        write_store_file(path, record)
        with suppress(errors.StorageError):  # a scrub makes up for it
            opened.put(STORE_FILE_NAME, encode_store_file(record))
    lost = go_on_if_none_is_left(path, unlocking)
    return structs.replace(trio.run(_describe, path, unlocking), lost=lost)


async def _describe(path: Path, unlocking: Unlocking) -> Rebuilt:
    async with open_store(path, unlocking) as store:
        usage = store.metadata.usage()
        return Rebuilt(store.record, usage.files, usage.versions, store.recovered_files)


def _record(path: Path, zones: tuple[str, ...]) -> StoreRecord:
    if not zones:
        record = read_store_file(path)
        for zone in record.zones:
            with suppress(errors.ZoneUnavailable):  # open_zones tells whether it is needed
                _connected(path, zone)
        return record
    found = [_record_in_zone(path, text) for text in zones]
    records = [record for record, _ in found]
    if len({record.store_id for record in records}) > 1:
        raise errors.InvalidArgument("the zones belong to different stores")
    key_file = records[0].key_file
    if key_file and not (path / key_file).exists():
        key_file = ""
    return structs.replace(records[0], zones=tuple(zone for _, zone in found), key_file=key_file)


def _connected(path: Path, zone: ZoneRecord) -> ObjectStore:
    """The objects of the zone; what it has locked is there again, whoever hid it."""
    objects: ObjectStore = connect(path, zone)
    keeper: object = objects
    count = keeper.bring_back() if isinstance(keeper, Keeper) else 0
    if count:
        log.warning("%s: %d locked objects that were hidden are back", zone.url, count)
    return objects


def _record_in_zone(path: Path, text: str) -> tuple[StoreRecord, ZoneRecord]:
    """The store's record as the zone has it, and the zone's own."""
    url, kind = parse_zone(text)
    objects = _connected(path, ZoneRecord(zone_id="0" * 32, url=url, kind=kind))
    mark = read_mark(objects)
    try:
        data = objects.read(STORE_FILE_NAME, 0, _SMALL_BYTES_MAX)
    except KeyError as error:
        raise errors.StoreDamaged(f"{url} has no copy of {STORE_FILE_NAME}") from error
    record = decode_store_file(data, path=f"{url}/{STORE_FILE_NAME}")
    return record, ZoneRecord(zone_id=mark.zone_id, url=url, kind=kind)
