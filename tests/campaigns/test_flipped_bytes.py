"""The short form of `scripts/campaign flipped-bytes`, and that the campaign can fail."""

import random
from pathlib import Path

import pytest

from tests.campaigns import flipped_bytes
from tests.campaigns.line import Failed, Piece

pytestmark = pytest.mark.slow


def test_no_stored_byte_can_be_changed_and_read_as_content(tmp_path: Path) -> None:
    """Bits, pieces, blocks, ends and earlier states; each is an error, or changes nothing."""
    figures = flipped_bytes.run(Piece(seed=20, size=150, folder=tmp_path))

    assert figures["errors at reading"] > 10
    assert figures["errors at opening"] > 5


def test_blocks_that_were_not_bound_to_their_place_would_be_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The attack sees what it looks for: here the seal is taken to fit everywhere."""
    chance = random.Random(7)
    specimen = flipped_bytes.Specimen(chance)

    def blind(frames: bytes, **_: object) -> bytes:
        return bytes(len(frames) - 16 * -(-len(frames) // 32_784))

    monkeypatch.setattr("s3fs_local.engine.blocks.open_frames", blind)

    def attack() -> None:
        for _ in range(50):
            flipped_bytes.attempt(specimen, chance)

    with pytest.raises(Failed, match="reads as something else"):
        attack()
