"""The campaigns of `scripts/campaign zone-flips`, `zone-loss` and `share-loss`, in short."""

from pathlib import Path

from tests.campaigns import shares
from tests.campaigns.line import Piece
from tests.campaigns.zones import flip_bits, take_zones_away


def test_every_flipped_bit_is_found_and_mended(tmp_path: Path) -> None:
    """In all zones but one, wherever it is."""
    result = flip_bits(tmp_path, seed=1, flips=300, megabytes=1, say=print)

    assert result.pieces > 10


def test_zones_that_go_and_come_back_lose_nothing(tmp_path: Path) -> None:
    """While files are written all the time."""
    result = take_zones_away(tmp_path, seed=1, times=4, say=print)

    assert result.acknowledged > 4


def test_shares_survive_whatever_they_are_made_for(tmp_path: Path) -> None:
    """Zones away, emptied and with flipped bits at once, while the form of packs changes."""
    figures = shares.run(Piece(seed=1, size=3, folder=tmp_path))

    assert figures["zones lost"] + figures["bits flipped"] > 2
