"""Puts a store together from its parts. Beside `zones` the only module that names concrete ones."""

import logging
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Final

import trio
from msgspec import Struct

from s3fs_local import errors
from s3fs_local.control.zone_access import Zoning
from s3fs_local.crypto.aws_kms import AwsKms
from s3fs_local.crypto.key_ring import KeyRing, slot_kinds_of
from s3fs_local.crypto.slot_secrets import Passphrase
from s3fs_local.daemon.aside import copied_aside
from s3fs_local.daemon.checkpointing import MetadataCopies, rebuild_metadata
from s3fs_local.daemon.closed_mark import closed_cleanly, opened_again
from s3fs_local.daemon.key_ring_files import KeyRingFiles
from s3fs_local.daemon.layout import (
    KEY_RING_NAME,
    METADATA_NAME,
    OWNER_LOCK_NAME,
    SCRATCH_NAME,
    VERIFIED_NAME,
)
from s3fs_local.daemon.metadata_rescue import MetadataRescue
from s3fs_local.daemon.remotes import following_of
from s3fs_local.daemon.ring_secrets import secret_of
from s3fs_local.daemon.saving import Parting, save_or_tell
from s3fs_local.daemon.store_description import StoreDescription
from s3fs_local.daemon.store_file import STORE_FILE_NAME, StoreRecord, read_store_file
from s3fs_local.daemon.unlocking import Unlocking
from s3fs_local.daemon.writability import why_unwritable
from s3fs_local.daemon.zone_changes import ZoneChanges
from s3fs_local.daemon.zones import open_zones
from s3fs_local.engine.durability import Durability
from s3fs_local.engine.filesystem import FileSystem
from s3fs_local.engine.healing import Healing, Streams
from s3fs_local.engine.key_administration import SaveRing
from s3fs_local.engine.ledger_setup import ClockStart
from s3fs_local.engine.opening import Opened, Parts, make_root, open_filesystem
from s3fs_local.engine.replication_following import Following
from s3fs_local.engine.scrubbing import Scrubbing
from s3fs_local.engine.share_care import ShareCare
from s3fs_local.engine.verified_copies import VerifiedCopies
from s3fs_local.engine.zone_care import ZoneCare
from s3fs_local.metadata.interface import Metadata
from s3fs_local.metadata.sqlite.engine import Caches, SqliteMetadata
from s3fs_local.objects.object_copy import ObjectCopy
from s3fs_local.objects.zone_mark import MARK_NAME
from s3fs_local.objects.zone_set import ZoneSet
from s3fs_local.packs.checkpoints import Checkpoints
from s3fs_local.packs.journal import Journal
from s3fs_local.packs.ledger import Ledger
from s3fs_local.rules.inode import Caller
from s3fs_local.rules.instants import parse_instant
from s3fs_local.rules.versioning import Origin
from s3fs_local.system import durable_files
from s3fs_local.system.clock import Clock, SettableClock, TrustedClock, wall_ns
from s3fs_local.system.durable_files import OwnerLock
from s3fs_local.system.randomness import SystemRandomness

log = logging.getLogger(__name__)

TEST_CLOCK_VARIABLE: Final = "S3FS_LOCAL_TEST_CLOCK"
_STAYS_IN_JOURNAL: Final = (
    *(errors.StoreFull, errors.DataDamaged, errors.StoreReadOnly),
    errors.EncryptionError,
)
CLOSE_SECONDS_MAX: Final = 120.0
"""A slow disk may take its time to close a store; a hung one may not stop us for ever."""


class OpenStore(Struct, frozen=True):
    """A store that this process owns and has open."""

    path: Path
    own: Path  # where its own files are: the same, or copies of them
    unwritable: str  # why nothing of it can be written, in words; "" where it can
    record: StoreRecord
    filesystem: FileSystem
    zones: ZoneSet
    metadata: SqliteMetadata
    rescue: MetadataRescue
    zoning: Zoning
    following: Following
    recovered_files: int  # whose unclosed content a crash had left behind
    parting: Parting


@asynccontextmanager
async def open_store(
    path: Path, unlocking: Unlocking, *, mount_point: str = ""
) -> AsyncIterator[OpenStore]:
    """The store for the time of the block; recovered before, and made durable after.

    One that cannot be written is recovered beside itself, and nothing of it changes: it refuses
    what would change it, and what recovering wrote goes at the end.

    Raises:
        NotAStore, StoreDamaged, FormatTooNew: of the directory or a part of it.
        StoreInUse: another process has it open; names it.
        WrongKey: what was given does not open its keys.
        ZoneUnavailable, JournalDamaged, MetadataDamaged: of its content.
    """
    unwritable = why_unwritable(path, read_store_file(path))  # no lock is made in what is no store
    with ExitStack() as closing:
        _own(path, mount_point, closing, unwritable=bool(unwritable))
        record = read_store_file(path)  # as whoever owned it until now has left it
        aside = closing.enter_context(copied_aside(path, record.store_id)) if unwritable else None
        own = path if aside is None else aside
        closing.callback((zones := open_zones(path, record, aside=aside)).members.close)
        ring_files = KeyRingFiles(own, zones, record.store_id)
        ring = key_ring_of(path, record, ring_files, unlocking)
        checkpoints = checkpoints_of(zones, ring, record)
        rescue = _rescue_of(record, zones, ring, checkpoints)
        closing.callback(rescue.forget)
        metadata = _newest_metadata(own, checkpoints, rescue, is_copy=bool(unwritable))
        closing.callback(metadata.close)
        opened = _open_filesystem(
            record, ring=ring, zones=zones, metadata=metadata, save_ring=ring_files.save
        )
        ring_files.spread()
        filesystem = opened.filesystem
        durability = filesystem.volume.durability
        rescue.unjournaled = lambda: durability.unjournaled
        rescue.has_room = filesystem.volume.space.has_room
        metadata.rescue = rescue
        _keep_copies(filesystem, MetadataCopies(metadata, checkpoints, durability.journal))
        changes = _zone_changes(path, record, ring_files, filesystem)
        zoning = zoning_of(own, changes, filesystem, checkpoints, metadata)
        closing.callback(zoning.care.verified.save)
        recovered = len(opened.recovered)
        following = following_of(filesystem, path, bytes.fromhex(record.store_id))
        store = OpenStore(
            path=path,
            own=own,
            unwritable=unwritable,
            record=record,
            filesystem=filesystem,
            zones=zones,
            metadata=metadata,
            rescue=rescue,
            zoning=zoning,
            following=following,
            recovered_files=recovered,
            parting=Parting(),
        )
        if unwritable:
            filesystem.volume.read_only_reason = filesystem.volume.keeps_nothing = unwritable
        else:
            opened_again(path)
        try:
            yield store
        finally:
            if not unwritable:
                await _close(store)


def _own(path: Path, mount_point: str, closing: ExitStack, *, unwritable: bool) -> None:
    """No other process has the store, until the end."""
    lock = path / OWNER_LOCK_NAME
    if not unwritable or lock.exists():  # else the zones tell whether somebody has it
        acquired = OwnerLock.acquire(lock, mountpoint=mount_point, writes=not unwritable)
        closing.enter_context(acquired)


def _newest_metadata(
    path: Path, checkpoints: Checkpoints, rescue: MetadataRescue, *, is_copy: bool
) -> SqliteMetadata:
    """The store's database; made anew, where there is room, if its disk was away meanwhile.

    One that is a copy is made anew also where it is damaged: that destroys nothing.
    """
    try:
        return _newest_metadata_there(path, checkpoints)
    except (errors.MetadataDamaged, errors.StoreDamaged) as error:
        if not is_copy or not checkpoints.positions():
            raise
        log.warning("%s: it is made anew from the zones", error)
        rebuild_metadata(path, checkpoints)
        return SqliteMetadata(path / METADATA_NAME)
    except errors.StoreFull:
        return SqliteMetadata(rescue.at_opening())


def _newest_metadata_there(path: Path, checkpoints: Checkpoints) -> SqliteMetadata:
    if not (path / METADATA_NAME).exists():
        rebuild_metadata(path, checkpoints)
    metadata = SqliteMetadata(path / METADATA_NAME)
    newest = max(checkpoints.positions(), default=0)
    if metadata.position() >= newest:
        return metadata
    metadata.close()
    log.warning("the metadata database is older than its copies in the zones: it is made anew")
    rebuild_metadata(path, checkpoints)
    return SqliteMetadata(path / METADATA_NAME)


def database_of(path: Path) -> SqliteMetadata:
    """The database of a store that is not open, as it lies there. Raises as `open_store`."""
    return SqliteMetadata(path / METADATA_NAME)


def new_database(path: Path) -> SqliteMetadata:
    """An empty one, at the path of a file that is not there. Raises StoreFull."""
    return SqliteMetadata.create(path)


def _rescue_of(
    record: StoreRecord, zones: ZoneSet, ring: KeyRing, checkpoints: Checkpoints
) -> MetadataRescue:
    """Who makes another database while the store is open."""
    store_id = bytes.fromhex(record.store_id)
    return MetadataRescue(
        record.store_id,
        checkpoints,
        open_metadata=SqliteMetadata,
        open_journal=lambda: Journal(zones, ring.subkey("journal"), store_id),
    )


def _keep_copies(filesystem: FileSystem, copies: MetadataCopies) -> None:
    """Zones have copies of the metadata before they lose the journal that makes up for one."""
    durability = filesystem.volume.durability
    durability.may_trim = copies.renew_if_due
    filesystem.pack_keeping.copy_metadata = partial(_copy_metadata, durability, copies)


async def _copy_metadata(durability: Durability, copies: MetadataCopies) -> list[str]:
    """What opens a store from a zone of which only packs are left, as of now."""
    await durability.settle()
    checkpoint: str = await durability.run_blocking(copies.renew)
    return [checkpoint, STORE_FILE_NAME, KEY_RING_NAME, MARK_NAME]


def _told_instant(told: str, floor_ns: int) -> int:
    try:
        return parse_instant(told, now_ns=floor_ns)
    except errors.InvalidTime as error:
        raise errors.InvalidTime(f"{TEST_CLOCK_VARIABLE}: {error}") from error


def _open_filesystem(
    record: StoreRecord,
    *,
    ring: KeyRing,
    zones: ZoneSet,
    metadata: SqliteMetadata,
    save_ring: SaveRing,
) -> Opened:
    def make_clock(start: ClockStart) -> Clock:
        told = os.environ.get(TEST_CLOCK_VARIABLE)
        if record.test_clock and start.is_rehearsal and told is not None:
            return SettableClock(max(start.floor_ns, _told_instant(told, start.floor_ns)))
        return TrustedClock(floor_ns=start.floor_ns, state=start.state)

    return open_filesystem(
        Parts(
            store_id=bytes.fromhex(record.store_id),
            metadata=metadata,
            zones=zones,
            ring=ring,
            randomness=SystemRandomness(),
            make_clock=make_clock,
            make_key_service=lambda endpoint, region: AwsKms(endpoint=endpoint, region=region),
            save_ring=save_ring,
            make_scratch=Scratches(metadata.home).make,
        )
    )


class Scratches:
    """Databases beside the store's, one for each that needs one at the time.

    What a killed process left is removed when the first is made.
    """

    def __init__(self, home: Path) -> None:
        """In the directory, which no other process uses."""
        self._home: Final = home
        self._in_use: set[int] = set()

    @contextmanager
    def make(self) -> Iterator[Metadata]:
        """An empty one, for the time of a block."""
        if not self._in_use:
            for left in self._home.glob(f"{SCRATCH_NAME}-*"):
                left.unlink(missing_ok=True)
        number = next(number for number in count(1) if number not in self._in_use)
        self._in_use.add(number)
        path = self._home / f"{SCRATCH_NAME}-{number}"
        try:
            metadata = _ScratchMetadata.create(path)
            try:
                yield metadata
            finally:
                metadata.close()
        finally:
            for suffix in ("", "-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            self._in_use.discard(number)


class _ScratchMetadata(SqliteMetadata):
    """Folds its log into the database at each commit, so that the log never grows large.

    Beside the store's own it remembers little: it is asked for what it was just told.
    """

    caches = Caches(inodes=1024, cells=1024, pages_kib=8 << 10)

    def commit(self, position: int) -> None:
        """See `Metadata`."""
        super().commit(position)
        self.checkpoint()


async def _close(store: OpenStore) -> None:
    """Everything is durable, or given up by name; where zones let us, the next opening is short.

    Raises:
        S3fsLocalError: something is lost; says how much, and why.
    """
    durability = store.filesystem.volume.durability
    ends_at = trio.current_time() + CLOSE_SECONDS_MAX
    with trio.CancelScope(shield=True):
        await save_or_tell(durability, store.parting, partial(_look_after_zones, store))
        if store.parting.discarded:
            return
        with trio.move_on_at(ends_at):
            try:
                await _tidy_up(store)
            except (*errors.TRANSIENT, errors.ZoneUnavailable) as error:
                log.warning("all is durable, but the next opening has more to do: %s", error)
            else:
                _note_closed(store)


async def _look_after_zones(store: OpenStore) -> None:
    """One that is back counts again; the only one always does."""
    if len(store.zones.zones) > 1:
        await store.zoning.care.look()


async def _tidy_up(store: OpenStore) -> None:
    """Drafts are versions, and the next opening has nothing to replay.

    What cannot be made a version now waits in the journal for the next mount, as after a crash.
    """
    filesystem = store.filesystem
    if not filesystem.volume.read_only_reason:
        with suppress(errors.StoreFull):  # then a few reads are not remembered
            filesystem.classes.apply_reads()
    for ino in list(filesystem.volume.drafts):
        if not filesystem.volume.inode(ino).nlink:
            filesystem.writing.discard(ino)
            continue
        try:
            filesystem.writing.commit(ino, origin=Origin.CHECKPOINT)
        except _STAYS_IN_JOURNAL as error:
            log.warning("inode %d stays in the journal: %s", ino, error)
    await filesystem.volume.durability.close(store.metadata)


def _note_closed(store: OpenStore) -> None:
    """It is known that the journal has nothing beyond the database, where that is so."""
    volume = store.filesystem.volume
    position = store.metadata.position()
    has_all = position == volume.durability.journal.position and not volume.drafts
    if has_all and store.metadata.home == store.own.absolute():
        closed_cleanly(store.path, position)


def key_ring_of(
    path: Path, record: StoreRecord, files: KeyRingFiles, unlocking: Unlocking
) -> KeyRing:
    """The store's keys; where its own copy is lost, from one that a zone has.

    Raises:
        WrongKey: what was given does not open them.
        StoreDamaged: nobody has them.
    """
    data = files.newest()
    secret = secret_of(path, record, unlocking, slot_kinds_of(data))
    try:
        ring = KeyRing.open(data, secret)
    except errors.WrongKey:
        given = "the passphrase" if isinstance(secret, Passphrase) else "the key file"
        raise errors.WrongKey(f"{given} does not open the keys of {path}") from None
    files.present = data
    return ring


def _zone_changes(
    path: Path, record: StoreRecord, ring_files: KeyRingFiles, filesystem: FileSystem
) -> ZoneChanges:
    """Who changes `store.json`, which its zones have: for them, and for what opens the store."""
    description = StoreDescription(path, record, filesystem.volume.zones)
    description.spread()
    filesystem.key_administration.name_opener = description.name_opener
    return ZoneChanges(path, description, ring_files, filesystem)


def zoning_of(
    path: Path,
    changes: ZoneChanges,
    filesystem: FileSystem,
    checkpoints: Checkpoints,
    metadata: SqliteMetadata,
) -> Zoning:
    """Who looks after the zones of the open store."""
    volume = filesystem.volume
    durability = volume.durability
    verified = VerifiedCopies(
        partial(durable_files.read_small, path / VERIFIED_NAME),
        partial(durable_files.replace, path / VERIFIED_NAME),
    )
    volume.verified = verified
    healing = Healing(volume, durability.packs, verified)
    shares = ShareCare(volume, durability.packs)
    keepers: dict[str, Journal | Ledger | Checkpoints] = {
        "journal": durability.journal,
        "ledger": durability.ledger.ledger,
        "checkpoint": checkpoints,
    }

    def best_copy(name: str, copies: Sequence[ObjectCopy]) -> ObjectCopy | None:
        return keepers[name.partition("/")[0]].best_copy(name, copies)

    def is_blank(name: str, copies: Sequence[ObjectCopy]) -> bool:
        return keepers[name.partition("/")[0]].is_blank(name, copies)

    streams = Streams(best_copy, is_blank, changes.small_files)
    return Zoning(
        ZoneCare(
            volume,
            durability.packs,
            healing,
            shares,
            reopen=changes.reopen,
            streams=streams,
        ),
        Scrubbing(
            volume.zones,
            durability.packs,
            healing,
            shares,
            streams=streams,
        ),
        changes,
        metadata.integrity_check,
    )


def checkpoints_of(zones: ZoneSet, ring: KeyRing, record: StoreRecord) -> Checkpoints:
    """The copies of the metadata in the zones."""
    return Checkpoints(
        zones,
        key=ring.subkey("checkpoint"),
        store_id=bytes.fromhex(record.store_id),
        randomness=SystemRandomness(),
    )


def make_metadata(path: Path, *, owner: Caller, settings: dict[str, str]) -> None:
    """The database of a new store is there: an empty root directory, settings (JSON by name)."""
    metadata = SqliteMetadata.create(path / METADATA_NAME)
    try:
        make_root(metadata, owner=owner, now_ns=wall_ns(), settings=settings)
        metadata.checkpoint()
    finally:
        metadata.close()
