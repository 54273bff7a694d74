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
from s3fs_local.errors import JournalDamaged
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


@pytest.mark.parametrize("payload", [b"", b"\x91", b"\x92\x01\x02", b"\x95\x63\1\2\3\4"])
def test_a_record_that_makes_no_sense_is_damage_in_words(payload: bytes) -> None:
    """It was a traceback of whoever mounted."""
    for reading in (decode, decode_known):
        with pytest.raises(JournalDamaged, match="makes no sense"):
            reading(payload)
