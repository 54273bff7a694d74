"""Making a new store; `store.json` comes last, so an interrupted `init` leaves no store behind."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from msgspec import Struct

from s3fs_local import errors
from s3fs_local.crypto.key_ring import KeyRing
from s3fs_local.crypto.slot_secrets import KeyFile, Passphrase, RecoveryKey, Secret
from s3fs_local.daemon.assembly import checkpoints_of, make_metadata
from s3fs_local.daemon.begun_zones import PARTS, UNFINISHED
from s3fs_local.daemon.layout import DEFAULT_ZONE, KEY_FILE_NAME, KEY_RING_NAME, METADATA_NAME
from s3fs_local.daemon.recovery_sheet import recovery_sheet
from s3fs_local.daemon.store_file import (
    STORE_FILE_NAME,
    StoreRecord,
    ZoneRecord,
    directory_of,
    new_record,
    write_store_file,
)
from s3fs_local.daemon.unlocking import put_into_keyring
from s3fs_local.daemon.zones import check_vacant, make_zone, parse_zone
from s3fs_local.engine.ledger_setup import TEST_CLOCK_SETTING
from s3fs_local.objects.zone_set import ZoneSet
from s3fs_local.packs.checkpoints import PIECE_BYTES
from s3fs_local.packs.checkpoints import STREAM as CHECKPOINTS
from s3fs_local.rules.inode import Caller
from s3fs_local.rules.instants import format_rfc3339
from s3fs_local.rules.quorum import ZONES_MAX
from s3fs_local.rules.settings import parse_setting
from s3fs_local.rules.storage_classes import ZoneKind
from s3fs_local.system import durable_files
from s3fs_local.system.clock import wall_ns
from s3fs_local.system.randomness import SystemRandomness

_ID_BYTES: Final = 16
_PARTS: Final = (KEY_FILE_NAME, KEY_RING_NAME, METADATA_NAME)
_MADE_IN_A_STORE: Final = frozenset(
    {
        *_PARTS,
        *map(durable_files.temporary_name, (*_PARTS, STORE_FILE_NAME)),
        *(f"{METADATA_NAME}-{log}" for log in ("journal", "wal", "shm")),
        DEFAULT_ZONE.partition("/")[0],
    }
)
"""What lies in a store's directory before it is one: `store.json` comes last."""
_MADE_IN_A_ZONE: Final = frozenset({*PARTS, *UNFINISHED, CHECKPOINTS})
"""What lies in a zone before anybody opened its store."""


class StorePlan(Struct, frozen=True, kw_only=True):
    """What the new store shall be."""

    owner: Caller  # who has the root directory
    zones: tuple[str, ...] = ()  # directories, or file:// URLs; none = one inside the store
    versioning: str = "Enabled"
    object_lock: bool = False
    passphrase: str | None = None  # None = a key file inside the store
    keyring: bool = False  # the desktop's keyring has the key, instead
    recovery_key: Path | None = None  # where to write a second key, on a sheet to print
    test_clock: bool = False


def create_store(path: Path, plan: StorePlan) -> StoreRecord:
    """The directory is a store, durably; on an error it is what it was.

    Raises:
        StoreExists: it, or a zone, is not empty.
        InvalidArgument: a path makes no sense; the directory above is missing.
        StoreFull: no space.
    """
    path = path.resolve()
    record = _new_record(plan)
    zone_directories = [directory_of(path, zone) for zone in record.zones]
    directories = [path, *(directory for directory in zone_directories if directory is not None)]
    _check_empty(path, _MADE_IN_A_STORE)
    for directory in directories[1:]:
        _check_empty(directory, _MADE_IN_A_ZONE)
    for zone in record.zones:
        if directory_of(path, zone) is None:
            check_vacant(path, record, zone)
    for directory in directories:
        # What was mistyped, or is the folder of a disk that is not mounted, is not made.
        if not directory.parent.is_dir() and path not in directory.parents:
            raise errors.InvalidArgument(
                f"there is no directory {directory.parent}: make it before what lies in it"
            )
    existed = {directory for directory in directories if directory.exists()}
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        path.chmod(0o700)
        _fill(path, record, plan)
        write_store_file(path, record)
    except BaseException:
        for directory in reversed(directories):
            _clear(directory, keep=directory in existed)
        raise
    durable_files.fsync_directory(path.parent)
    return record


def _check_empty(directory: Path, made: frozenset[str]) -> None:
    if directory.is_dir():
        names = {entry.name for entry in directory.iterdir()}
        if names and names <= made:
            raise errors.StoreExists(
                f"{directory} is not empty: it has only what init makes, and was never used; if an"
                f" init that named it was ended, remove {directory}"
            )
        if names:
            raise errors.StoreExists(f"{directory} is not empty")
    elif directory.exists() or directory.is_symlink():
        raise errors.StoreExists(f"{directory} is a file")


def _new_record(plan: StorePlan) -> StoreRecord:
    randomness = SystemRandomness()
    wanted = [parse_zone(text) for text in plan.zones] or [(DEFAULT_ZONE, ZoneKind.HOT)]
    if len({url for url, _ in wanted}) < len(wanted):
        raise errors.InvalidArgument("one place is given for several zones")
    if len(wanted) > ZONES_MAX:
        raise errors.InvalidArgument(f"a store has at most {ZONES_MAX} zones")
    zones = [
        ZoneRecord(zone_id=randomness.bytes(_ID_BYTES).hex(), url=url, kind=kind)
        for url, kind in wanted
    ]
    return new_record(
        store_id=randomness.bytes(_ID_BYTES).hex(),
        zones=tuple(zones),
        key_file="" if plan.passphrase is not None or plan.keyring else KEY_FILE_NAME,
        keyring=plan.keyring,
        test_clock=plan.test_clock,
    )


def _fill(path: Path, record: StoreRecord, plan: StorePlan) -> None:
    ring, sealed = _make_keys(path, record, plan)
    zones = ZoneSet.of([make_zone(path, record, zone, key_ring=sealed) for zone in record.zones])
    settings = {"versioning": parse_setting("versioning", plan.versioning)}
    if plan.object_lock:
        settings["object-lock"] = parse_setting("object-lock", "on")
    if plan.test_clock:
        settings[TEST_CLOCK_SETTING] = "true"
    make_metadata(path, owner=plan.owner, settings=settings)
    image = (path / METADATA_NAME).read_bytes()
    pieces = (image[at : at + PIECE_BYTES] for at in range(0, len(image), PIECE_BYTES))
    checkpoints_of(zones, ring, record).write(0, pieces)


def _make_keys(path: Path, record: StoreRecord, plan: StorePlan) -> tuple[KeyRing, bytes]:
    """The key ring and the file that opens it are there; returns the ring, and it sealed."""
    randomness = SystemRandomness()
    secret: Secret
    if plan.passphrase is not None:
        secret = Passphrase(plan.passphrase)
    elif plan.keyring:
        secret = KeyFile.generate(randomness)
        put_into_keyring(record.store_id, secret.text())
    else:
        secret = KeyFile.generate(randomness)
        durable_files.replace(path / KEY_FILE_NAME, secret.text().encode())
    ring = KeyRing.create(secret, store=record.store_id, randomness=randomness)
    if plan.recovery_key is not None:
        recovery = RecoveryKey.generate(randomness)
        ring.add_slot(recovery)
        write_recovery_sheet(
            plan.recovery_key, recovery.text(), store=path, store_id=record.store_id
        )
    sealed = ring.serialize()
    durable_files.replace(path / KEY_RING_NAME, sealed)
    return ring, sealed


def new_key_text() -> str:
    """What a new key file holds."""
    return KeyFile.generate(SystemRandomness()).text()


def new_recovery_key() -> str:
    """A new recovery key, in groups."""
    return RecoveryKey.generate(SystemRandomness()).text()


@contextmanager
def begun_recovery_sheet(path: Path) -> Iterator[Path]:
    """Where to write a sheet; at the end of the block it is at `path`, durably.

    If the block fails nothing is there. What a killed process had begun is written anew.

    Raises:
        InvalidArgument: there is a file already.
    """
    _check_no_sheet(path)
    begun = path.with_name(f".{path.name}.begun")
    begun.unlink(missing_ok=True)
    try:
        yield begun
        _check_no_sheet(path)
        durable_files.move_durably(begun, path)
    finally:
        begun.unlink(missing_ok=True)


def _check_no_sheet(path: Path) -> None:
    if path.exists():
        raise errors.InvalidArgument(
            f"the recovery key is not written over {path}: name another sheet, or move it away;"
            " until one is made, an earlier one may open the store"
        )


def write_recovery_sheet(path: Path, key_text: str, *, store: Path, store_id: str) -> None:
    """The sheet is in a new file.

    Raises:
        InvalidArgument: there is a file, or none can be made.
    """
    date = format_rfc3339(wall_ns())[: len("2026-11-22")]
    text = recovery_sheet(key_text, store=str(store), store_id=store_id, date=date)
    _check_no_sheet(path)
    try:
        durable_files.replace(path, text.encode())
    except OSError as error:
        raise errors.InvalidArgument(
            f"the recovery key cannot be written to {path}: {error.strerror}"
        ) from error


def _clear(directory: Path, *, keep: bool) -> None:
    """What was made in the directory is gone, and (unless `keep`) the directory itself."""
    if not keep or not directory.exists():
        shutil.rmtree(directory, ignore_errors=True)
        return
    for entry in directory.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink()
