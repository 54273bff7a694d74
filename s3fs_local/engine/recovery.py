"""After a crash: the facts catch up with the journal, and unclosed drafts are committed."""

import logging

from msgspec import Struct

from s3fs_local.engine.draft_records import (
    ChangeBatch,
    DraftBegun,
    DraftRecord,
    DraftSealed,
    decode,
)
from s3fs_local.engine.drafts import Draft
from s3fs_local.engine.durability import FLOOR_SETTING
from s3fs_local.engine.writing import Writing
from s3fs_local.errors import DataDamaged, StoreFull
from s3fs_local.metadata.interface import Metadata
from s3fs_local.packs.journal import Journal
from s3fs_local.rules.extents import decode_layout
from s3fs_local.rules.versioning import Origin

logger = logging.getLogger(__name__)


class Replay(Struct):
    """What the journal held beyond the facts."""

    position: int
    changes: int = 0
    drafts: dict[int, list[DraftRecord]] = {}


def replay_journal(journal: Journal, metadata: Metadata) -> Replay:
    """The facts are as the journal has them; drafts that never ended are returned, not applied.

    Raises:
        JournalDamaged: records are missing before the end.
    """
    committed = metadata.position()
    found = Replay(position=committed)
    floor = int(metadata.setting(FLOOR_SETTING) or 0)
    before: dict[int, list[DraftRecord]] = {}  # drafts begun again, as they were
    for position, payload in journal.replay(floor):
        record = decode(payload)
        found.position = max(found.position, position)
        if isinstance(record, ChangeBatch):
            for draft_id in record.ended_drafts:
                found.drafts.pop(draft_id, None)
            if position > committed and record.changes:
                metadata.apply(record.changes)
                found.changes += len(record.changes)
        elif isinstance(record, DraftBegun):
            if record.draft_id in found.drafts:
                before[record.draft_id] = found.drafts[record.draft_id]
            found.drafts[record.draft_id] = [record]
        elif record.draft_id in found.drafts:
            found.drafts[record.draft_id].append(record)
    for draft_id, records in before.items():
        repeated = found.drafts.get(draft_id)
        if repeated is not None and not _is_whole(repeated):
            found.drafts[draft_id] = records
    metadata.commit(found.position)
    return found


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
        except StoreFull:
            logger.exception("what was written before the crash stays in the journal for now")
            for draft in drafts.values():
                draft.rejournal()
            break
        except DataDamaged:
            logger.exception("what was written to inode %d before the crash cannot be read", ino)
            writing.discard(ino)
            continue
        if version is not None:
            recovered.append(ino)
    return recovered
