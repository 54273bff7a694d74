"""Recoding: a block's content is proven, whatever form it takes."""

from itertools import pairwise

import pytest
from msgspec import structs

from s3fs_local.crypto.compressed import FAR_CODEC, NEAR_CODEC, seal_compressed
from s3fs_local.crypto.sealing import digest, seal_block
from s3fs_local.engine.recoding import PLAIN_FORM, Form, Recoded, form_of, recode
from s3fs_local.errors import DataDamaged
from s3fs_local.rules.extents import Block
from s3fs_local.rules.storage_classes import DEFAULT_PLACEMENTS

KEYS = {"one layer": b"k" * 32, "two layers": bytes(range(64))}
TEXT = b"".join(b"%d words and words and words\n" % number for number in range(20_000))
NEAR, FAR = Form(NEAR_CODEC, 3), Form(FAR_CODEC, 9)


def sealed(content: bytes, data_key: bytes) -> tuple[Block, bytes]:
    """A block as a commit seals it."""
    data = bytes(
        seal_block(content, data_key=data_key, key_id=4, offset=11, block_id=1, salt=b"f" * 16)
    )
    return Block(1, 4, 11, len(content), 1, 40, len(data), digest(data)), data


def row_of(block: Block, recoded: Recoded) -> Block:
    """The block's row after the change of form."""
    return structs.replace(
        block,
        sealed_length=len(recoded.sealed),
        digest=recoded.digest,
        codec=recoded.codec,
        plain_digest=recoded.plain_digest,
    )


@pytest.mark.parametrize("data_key", KEYS.values(), ids=KEYS)
def test_a_block_keeps_its_identity_through_every_form(data_key: bytes) -> None:
    """And is sealed again to the very bytes that it first was."""
    block, data = sealed(TEXT, data_key)
    first = block
    salts = iter([bytes([n]) * 16 for n in range(1, 9)])
    forms = [PLAIN_FORM, NEAR, FAR, NEAR, PLAIN_FORM]
    for before, form in pairwise(forms):
        assert block.codec == before.codec
        recoded = recode(block, data, data_key=data_key, form=form, salt=next(salts))
        block, data = row_of(block, recoded), bytes(recoded.sealed)

        assert block.identity == first.identity
        assert digest(data) == block.digest
        assert block.codec == form.codec

    assert (block, digest(data)) == (first, first.digest)


def test_a_form_of_other_content_is_found_out() -> None:
    """Whoever put it there: the identity in the row does not fit."""
    data_key = KEYS["one layer"]
    block, _ = sealed(TEXT, data_key)
    other = bytes(len(TEXT) - 1) + b"!"
    forged = seal_compressed(
        other,
        data_key=data_key,
        key_id=4,
        offset=11,
        block_id=1,
        salt=b"s" * 16,
        first_salt=b"f" * 16,
        codec=NEAR_CODEC,
        level=3,
    )
    assert forged is not None
    block = row_of(block, Recoded(forged, NEAR_CODEC, digest(forged), block.digest))

    for form in (PLAIN_FORM, FAR):
        with pytest.raises(DataDamaged, match="what was sealed first"):
            recode(block, forged, data_key=data_key, form=form, salt=b"t" * 16)


def test_archives_are_compressed_as_a_whole_and_the_rest_in_frames() -> None:
    """What is read at once must stay cheap to read in parts."""
    codecs = {
        name: form_of(name, placement).codec for name, placement in DEFAULT_PLACEMENTS.items()
    }

    assert codecs == {
        "STANDARD": 0,
        "STANDARD_IA": NEAR_CODEC,
        "ONEZONE_IA": NEAR_CODEC,
        "GLACIER_IR": NEAR_CODEC,
        "GLACIER": FAR_CODEC,
        "DEEP_ARCHIVE": FAR_CODEC,
    }
