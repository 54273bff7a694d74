"""What a record of the ledger claims to hold is looked at before memory is given to it."""

import pytest
import zstandard

from s3fs_local.engine.ledger import BODY_BYTES_MAX, decode_body, encode_body
from s3fs_local.errors import JournalDamaged


def test_a_body_that_claims_more_than_any_that_was_written_is_refused_unopened() -> None:
    """A few bytes that unfold to terabytes must not end the daemon that verifies them."""
    compressing = zstandard.ZstdCompressor().compressobj(size=BODY_BYTES_MAX + 1)
    head = compressing.compress(b"x" * (1 << 20)) + compressing.flush(
        zstandard.COMPRESSOBJ_FLUSH_BLOCK
    )

    with pytest.raises(JournalDamaged, match="longer than any"):
        decode_body(head)


def test_a_body_that_does_not_say_how_long_it_is_is_refused() -> None:
    """Those that were written do."""
    without = zstandard.ZstdCompressor(write_content_size=False).compress(b"\x90")

    with pytest.raises(JournalDamaged, match="longer than any"):
        decode_body(without)


def test_what_was_written_is_read() -> None:
    """The bound keeps nobody from a body of ours."""
    assert decode_body(encode_body([])) == []
