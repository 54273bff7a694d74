"""After a crash: the facts catch up with the journal, and unclosed drafts are committed."""

import logging
from collections.abc import Sequence
from contextlib import suppress
from itertools import chain
from typing import Final

from msgspec import Struct

from s3fs_local.crypto.sealing import digest
from s3fs_local.engine.draft_records import (
    FLOOR_SETTING,
    ChangeBatch,
    DraftBegun,
    DraftRecord,
    DraftSealed,
    JournalRecord,
    PacksDurable,
    decode,
    decode_known,
)
from s3fs_local.engine.drafts import Draft
from s3fs_local.engine.ledger import belongs_to_ledger
from s3fs_local.engine.pack_images import good_bytes
from s3fs_local.engine.writing import Writing
from s3fs_local.errors import (
    TRANSIENT,
    DataDamaged,
    EncryptionError,
    JournalDamaged,
    StorageError,
)
from s3fs_local.metadata.changes import AddBlock, ScheduleKey
from s3fs_local.metadata.interface import Metadata
from s3fs_local.packs.journal import Journal
from s3fs_local.packs.pack_store import GoodBytes, PackStore
from s3fs_local.rules.extents import Block, decode_layout
from s3fs_local.rules.versioning import Origin

logger = logging.getLogger(__name__)

UNEVEN_PACKS_MAX: Final = 8
"""So many packs of a placement, more than ever wait for a slow zone, are completed at opening."""


class Replay(Struct):
    """What the journal held beyond the facts."""

    position: int
    changes: int = 0
    batches: list[tuple[int, bytes]] = []  # with their positions, for the ledger
    scheduled: list[ScheduleKey] = []  # since the ledger said last what the clock shows
    drafts: dict[int, list[DraftRecord]] = {}


def read_journal(journal: Journal, metadata: Metadata) -> dict[int, bytes]:
    """All records behind the floor, by their positions; then appends are possible.

    Raises:
        JournalDamaged: records are missing before the end, or the last that the facts have.
    """
    payloads = dict(journal.replay(int(metadata.setting(FLOOR_SETTING) or 0)))
    if journal.lacks(metadata.position()):  # it is synced before the facts commit
        raise JournalDamaged("the journal is missing, or ends before what the database has of it")
    return payloads


def replay_journal(
    journal: Journal, packs: PackStore, metadata: Metadata, *, ledger_position: int = 0
) -> Replay:
    """The facts are as the journal has them; drafts that never ended are returned, not applied.

    Records whose blocks a power cut kept from the disk are cut off, with all that follow: nobody
    was told that they are durable. What the ledger has (up to `ledger_position`) was synced.

    Raises:
        JournalDamaged: as `read_journal`.
    """
    committed = metadata.position()
    floor = int(metadata.setting(FLOOR_SETTING) or 0)
    payloads = read_journal(journal, metadata)
    everybody_has = min(committed, ledger_position)
    records = [
        (position, decode(payload) if position > everybody_has else decode_known(payload))
        for position, payload in payloads.items()
    ]
    known = max(floor, committed, ledger_position)
    records, written_to = _with_all_blocks(journal, packs, records, start=known)
    found = Replay(position=committed)
    untold = [
        (position, record)
        for position, record in records
        if position > ledger_position
        and isinstance(record, ChangeBatch)
        and belongs_to_ledger(record)
    ]
    found.batches = [(position, payloads[position]) for position, _ in untold]
    changes = chain.from_iterable(batch.changes for _, batch in untold)
    found.scheduled = [change for change in changes if isinstance(change, ScheduleKey)]
    for position, record in records:
        found.position = max(found.position, position)
        if isinstance(record, ChangeBatch) and position > committed and record.changes:
            metadata.apply(record.changes)
            found.changes += len(record.changes)
    with suppress(*TRANSIENT):  # the mark of durable packs is not moved; see `Durability`
        placements = {pack_id: metadata.placement(pack_id) or "" for pack_id in written_to}
        packs.sync_existing(placements, _good_bytes(packs, metadata, [r for _, r in records]))
    found.drafts = unended_drafts([record for _, record in records])
    if found.position > committed:
        with suppress(*TRANSIENT):  # then the next mount replays it again
            journal.sync()  # the facts never reach further than the journal, also after a power cut
            metadata.commit(found.position)
    return found


def _with_all_blocks(
    journal: Journal, packs: PackStore, records: list[tuple[int, JournalRecord]], *, start: int
) -> tuple[list[tuple[int, JournalRecord]], set[int]]:
    """The records up to the first whose blocks are not all in the packs, which ends the journal.

    And the packs whose blocks are to be made durable; those of records up to `start` are known to
    be.
    """
    marks = [record.position for _, record in records if isinstance(record, PacksDurable)]
    durable = max([start, *marks])
    end = start
    pack_ids: set[int] = set()
    kept = records
    for index, (position, record) in enumerate(records):
        if position <= durable:
            end = max(end, position)
            continue
        blocks = _blocks_in(record)
        if not all(_is_there(packs, block) for block in blocks):
            logger.warning(
                "%d journal records are dropped: a power cut lost their blocks",
                len(records) - index,
            )
            journal.cut(end)
            kept = records[:index]
            break
        pack_ids.update(block.pack_id for block in blocks)
        end = position
    return kept, pack_ids


def _good_bytes(
    packs: PackStore, metadata: Metadata, records: Sequence[JournalRecord]
) -> GoodBytes:
    """Bytes of packs as the facts say they were sealed, and as these records do."""
    in_drafts = [
        block for each in records if isinstance(each, DraftSealed) for block in each.blocks
    ]

    def good(pack_id: int, start: int, end: int) -> bytes:
        drafted = [block for block in in_drafts if block.pack_id == pack_id]
        blocks = [*metadata.blocks_in_pack(pack_id), *drafted]
        return good_bytes(packs, pack_id, blocks, start, end)

    return good


def even_out_packs(packs: PackStore, metadata: Metadata, found: Replay) -> None:
    """The newest packs have the same bytes in each zone, wherever a killed process stopped.

    Each zone was told of everything in order, so packs older than one that is even are even. What
    lacks more than a crash explains is left to a scrub.
    """
    good = _good_bytes(packs, metadata, list(chain.from_iterable(found.drafts.values())))
    for placement, newest in metadata.newest_packs().items():
        with suppress(StorageError):
            if packs.even_out(newest, placement, good):
                known = metadata.pack_placements()
                of_it = [pack_id for pack_id, place in known.items() if place == placement]
                for pack_id in of_it[-2 : -1 - UNEVEN_PACKS_MAX : -1]:
                    if not packs.even_out(pack_id, placement, good):
                        break


def _blocks_in(record: JournalRecord) -> list[Block]:
    if isinstance(record, ChangeBatch):
        return [change.block for change in record.changes if isinstance(change, AddBlock)]
    return record.blocks if isinstance(record, DraftSealed) else []


def _is_there(packs: PackStore, block: Block) -> bool:
    try:
        packs.read(
            block.pack_id,
            block.pack_offset,
            block.sealed_length,
            verify=lambda sealed: digest(sealed) == block.digest,
        )
    except DataDamaged:
        return False
    return True


def unended_drafts(records: list[JournalRecord]) -> dict[int, list[DraftRecord]]:
    """The records of every draft that was neither committed nor dropped."""
    drafts: dict[int, list[DraftRecord]] = {}
    before: dict[int, list[DraftRecord]] = {}  # drafts begun again, as they were last whole
    for record in records:
        if isinstance(record, ChangeBatch):
            for draft_id in record.ended_drafts:
                drafts.pop(draft_id, None)
        elif isinstance(record, DraftBegun):
            earlier = drafts.get(record.draft_id)
            if earlier is not None and (record.draft_id not in before or _is_whole(earlier)):
                before[record.draft_id] = earlier
            drafts[record.draft_id] = [record]
        elif not isinstance(record, PacksDurable) and record.draft_id in drafts:
            drafts[record.draft_id].append(record)
    for draft_id, whole in before.items():
        repeated = drafts.get(draft_id)
        if repeated is not None and not _is_whole(repeated):
            drafts[draft_id] = whole
    return drafts


def _is_whole(records: list[DraftRecord]) -> bool:
    """Whether all that the first record announces is there."""
    begun = records[0]
    return isinstance(begun, DraftBegun) and len(records) > begun.follows


def rebuild_drafts(found: Replay, metadata: Metadata, drafts: dict[int, Draft]) -> int:
    """The drafts are as the crash left them; returns the highest block number they use."""
    highest = 0
    for draft_id, records in sorted(found.drafts.items()):
        begun = records[0]
        assert isinstance(begun, DraftBegun)
        inode = metadata.inode(begun.ino)
        if inode is None or (len(records) == 1 and inode.version_ns):
            continue
        draft = Draft(
            begun.ino, draft_id=draft_id, size=inode.size, uid=begun.uid, now_ns=inode.mtime_ns
        )
        draft.key_id = inode.key_id
        draft.journaled = draft.is_altered = True
        for record in records[1:]:
            layout = decode_layout(record.layout) if isinstance(record, DraftSealed) else None
            draft.replay(record, layout)
            if isinstance(record, DraftSealed):
                highest = max([highest, *[block.block_id for block in record.blocks]])
        draft.records = []
        drafts[begun.ino] = draft
    return highest


def commit_recovered(writing: Writing, metadata: Metadata, drafts: dict[int, Draft]) -> list[int]:
    """Every rebuilt draft is a version marked `recovered`; returns the inodes.

    What was written to a file after its last name was removed is dropped, as its close would have.
    """
    recovered = []
    for ino in list(drafts):
        inode = metadata.inode(ino)
        if inode is None or not inode.nlink:
            writing.discard(ino)
            continue
        try:
            version = writing.commit(ino, origin=Origin.RECOVERED)
        except TRANSIENT:
            logger.exception("what was written before the crash stays in the journal for now")
            for draft in drafts.values():
                draft.rejournal()
            break
        except EncryptionError:
            logger.exception("what was written to inode %d stays in the journal for now", ino)
            drafts[ino].rejournal()
            continue
        except DataDamaged:
            logger.exception("what was written to inode %d before the crash cannot be read", ino)
            writing.discard(ino)
            continue
        if version is not None:
            recovered.append(ino)
    return recovered
