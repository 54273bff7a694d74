"""`fsck --without-journal`: a store whose journal is lost goes on with what else has its facts.

The database has everything up to its last commit, and the ledger everything up to its last record,
which comes before that commit and is durable at once. What is lost is what came later: nothing,
where the store was closed cleanly; else what was done in the seconds before its end, fsynced or
not, and what files that were open had besides.
"""

import json
import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import trio
from msgspec import Struct

from s3fs_local import errors
from s3fs_local.daemon.assembly import database_of, key_ring_of, new_database, open_store
from s3fs_local.daemon.checkpointing import set_database_aside
from s3fs_local.daemon.closed_mark import closed_position
from s3fs_local.daemon.key_ring_files import KeyRingFiles
from s3fs_local.daemon.layout import IMAGE_NAME, METADATA_NAME, OWNER_LOCK_NAME
from s3fs_local.daemon.store_file import read_store_file
from s3fs_local.daemon.unlocking import Unlocking
from s3fs_local.daemon.writability import check_writable
from s3fs_local.daemon.zones import open_zones
from s3fs_local.engine.draft_records import FLOOR_SETTING
from s3fs_local.engine.ledger import (
    HEAD_SETTING,
    LedgerOpening,
    decode_body,
    known_head,
    open_ledger,
)
from s3fs_local.engine.ledger_setup import ledger_of
from s3fs_local.engine.recovery import read_journal
from s3fs_local.metadata.changes import PutSetting
from s3fs_local.metadata.interface import Metadata
from s3fs_local.packs.journal import Journal
from s3fs_local.packs.ledger import Ledger
from s3fs_local.rules.ledger_notes import Actor, Commanded
from s3fs_local.system import durable_files
from s3fs_local.system.durable_files import OwnerLock
from s3fs_local.system.processes import program_of
from s3fs_local.system.randomness import SystemRandomness

log = logging.getLogger(__name__)

COMMAND = "fsck --without-journal"


class JournalLoss(Struct, frozen=True):
    """What is given up by going on."""

    cause: str  # what is wrong with the journal
    loses_nothing: bool  # which is proved
    known_until_ns: int  # what was done until then is not lost
    from_ledger: bool  # which has more than the database


class _Parts(Struct, frozen=True):
    """Of a store that is not open."""

    path: Path
    metadata: Metadata
    journal: Journal
    ledger: Ledger
    opening: LedgerOpening


def look_at_loss(path: Path, unlocking: Unlocking) -> JournalLoss:
    """What would be given up; nothing is changed.

    Raises:
        InvalidArgument: the journal is whole.
        StoreReadOnly: the store cannot be written.
        S3fsLocalError: whatever keeps a store from opening.
    """
    with _opened(path, unlocking) as parts:
        return _loss(parts)


def go_on_without_journal(path: Path, unlocking: Unlocking) -> JournalLoss:
    """The store opens again, with all that is known; its ledger says that this was done.

    May be broken off, and begun again. Raises as `look_at_loss`.
    """
    with _opened(path, unlocking) as parts:
        loss = _loss(parts)
        if loss.from_ledger:
            _make_database(parts.path, parts.ledger)
        parts.metadata.close()
        metadata = database_of(parts.path)
        try:
            parts.journal.begin_behind(metadata.position())
            position = parts.journal.position
            metadata.apply([PutSetting(FLOOR_SETTING, str(position))])
            metadata.commit(position)
            metadata.checkpoint()
        finally:
            metadata.close()
    trio.run(_note, path.resolve(), unlocking)
    return loss


def go_on_if_none_is_left(path: Path, unlocking: Unlocking) -> JournalLoss | None:
    """The same for a store that is rebuilt, where no zone has any of a journal that there was.

    Whoever has locked all he could in a bucket has the journal not among it, for it grows.
    """
    with _opened(path, unlocking) as parts:
        segments, _ = parts.journal.extent()
        if segments or not parts.metadata.position():
            return None
    return go_on_without_journal(path, unlocking)


@contextmanager
def _opened(path: Path, unlocking: Unlocking) -> Iterator[_Parts]:
    path = path.resolve()
    check_writable(path, read_store_file(path))
    with ExitStack() as closing:
        closing.enter_context(OwnerLock.acquire(path / OWNER_LOCK_NAME))
        record = read_store_file(path)
        closing.callback((zones := open_zones(path, record)).members.close)
        ring = key_ring_of(path, record, KeyRingFiles(path, zones, record.store_id), unlocking)
        closing.callback((metadata := database_of(path)).close)
        store_id = bytes.fromhex(record.store_id)
        journal = Journal(zones, ring.subkey("journal"), store_id)
        closing.callback(journal.close)
        ledger = ledger_of(zones, ring, store_id=store_id, randomness=SystemRandomness())
        closing.callback(ledger.close)
        yield _Parts(path, metadata, journal, ledger, open_ledger(ledger, metadata))


def _loss(parts: _Parts) -> JournalLoss:
    metadata, opening = parts.metadata, parts.opening
    last = opening.last
    from_ledger = not opening.findings and parts.ledger.head.number > known_head(metadata).number
    closed = closed_position(parts.path)
    return JournalLoss(
        cause=_what_is_wrong(parts.journal, metadata),
        loses_nothing=closed == metadata.position() and not from_ledger and not opening.findings,
        known_until_ns=metadata.counters().stamp_ns if last is None else last.at_ns,
        from_ledger=from_ledger,
    )


def _what_is_wrong(journal: Journal, metadata: Metadata) -> str:
    try:
        read_journal(journal, metadata)
    except errors.JournalDamaged as error:
        return str(error)
    raise errors.InvalidArgument(
        "the journal is whole, so nothing need be given up: mount the store, or look for what else"
        " keeps it from opening"
    )


def _make_database(path: Path, ledger: Ledger) -> None:
    """The database is what the ledger says, from its first record to its last."""
    image = path / IMAGE_NAME
    _remove(image)
    metadata = new_database(image)
    try:
        for _, signed in ledger.records():
            for batch in decode_body(signed.record.body):
                metadata.apply(batch.changes)
            metadata.commit(signed.record.journal_position)
        head = json.dumps({"number": ledger.head.number, "digest": ledger.head.digest.hex()})
        metadata.apply([PutSetting(HEAD_SETTING, head)])
        metadata.commit(metadata.position())
        metadata.checkpoint()
    finally:
        metadata.close()
    set_database_aside(path)
    durable_files.move_durably(image, path / METADATA_NAME)
    log.warning("made the metadata anew from the ledger")


def _remove(database: Path) -> None:
    """What was broken off has left no file."""
    for suffix in ("-wal", ""):
        with suppress(FileNotFoundError):
            database.with_name(database.name + suffix).unlink()


async def _note(path: Path, unlocking: Unlocking) -> None:
    """The ledger says who went on without the journal."""
    async with open_store(path, unlocking) as store:
        volume = store.filesystem.volume
        who = Actor(os.getuid(), os.getpid(), program_of(os.getpid()))
        volume.note(Commanded(volume.now_ns(), who, COMMAND))
        await volume.durability.flush(durable=True, only_facts=True)
