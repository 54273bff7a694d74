"""Bits, fresh or repeatable."""

from s3fs_local.system.randomness import Randomness, SeededRandomness, SystemRandomness


def test_one_seed_gives_one_sequence() -> None:
    """A simulation that failed must fail again."""
    first, second, other = SeededRandomness(1), SeededRandomness(1), SeededRandomness(2)
    drawn = [(source.bytes(16), source.bits(64)) for source in (first, second, other)]

    assert drawn[0] == drawn[1] != drawn[2]
    assert first.bytes(16) != drawn[0][0]


def test_bits_and_bytes_are_as_many_as_asked_for() -> None:
    """Both sources."""
    sources: list[Randomness] = [SystemRandomness(), SeededRandomness(1)]
    for source in sources:
        assert len(source.bytes(33)) == 33
        assert all(0 <= source.bits(3) < 8 for _ in range(100))
        assert source.bytes(16) != source.bytes(16)
