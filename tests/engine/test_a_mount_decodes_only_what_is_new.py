"""Records that the facts have are gone over for the drafts they end, and for nothing else."""

import pytest

from s3fs_local.engine.draft_records import (
    ChangeBatch,
    DraftBegun,
    DraftResized,
    DraftSealed,
    DraftWritten,
    JournalRecord,
    PacksDurable,
    decode,
    decode_known,
    encode,
)
from s3fs_local.metadata.changes import Change, PutPack, PutSetting
from s3fs_local.rules.ledger_notes import ClockNoted


def test_of_a_known_batch_only_the_ends_of_drafts_are_read() -> None:
    """Objects for 64 MiB of changes that are known already would take a mount after a kill long."""
    changes: list[Change] = [PutPack(1, "STANDARD"), PutSetting("name", "value")]
    batch = ChangeBatch(changes, [3, 5], [ClockNoted(1, "the date")])

    assert decode(encode(batch)) == batch
    assert decode_known(encode(batch)) == ChangeBatch([], [3, 5])


@pytest.mark.parametrize(
    "record",
    [
        DraftBegun(1, 2, 3, 4, 5),
        DraftWritten(1, 2, 3, b"data", 4),
        DraftResized(1, 2, 3, 4),
        DraftSealed(1, 2, 3, b"layout", [], 4),
        PacksDurable(7),
    ],
)
def test_every_other_record_is_read_whole(record: JournalRecord) -> None:
    """A draft may have begun long before the facts settled, and not have ended yet."""
    assert decode_known(encode(record)) == record
