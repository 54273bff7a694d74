"""Shares give a pack back, any so many of them, and say when they do not."""

from itertools import combinations

import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from s3fs_local.errors import DataDamaged, FormatTooNew, InvalidArgument
from s3fs_local.packs.shares import (
    HEADER_BYTES,
    STEP_BYTES,
    Kind,
    agreeing_with,
    checked_run,
    data_runs,
    encode_shares,
    kind_of,
    run_from,
    share_name,
    share_of,
)
from s3fs_local.rules.erasure import Coding
from s3fs_local.system.randomness import SeededRandomness

STORE = bytes(range(16))
CODINGS = st.sampled_from([Coding(2, 1), Coding(2, 2), Coding(3, 2), Coding(4, 1), Coding(10, 6)])


def shares(image: bytes, coding: Coding) -> tuple[Kind, list[bytes]]:
    """All shares of the pack 7."""
    kind = kind_of(image, coding)
    return kind, encode_shares(image, kind, store_id=STORE, pack_id=7)


def run(share: bytes, number: int) -> bytes:
    """What lies behind the header, checked."""
    return checked_run(share, store_id=STORE, pack_id=7, number=number)[1]


@given(st.binary(min_size=1, max_size=300), CODINGS, st.data())
@settings(max_examples=60, deadline=None)
def test_any_data_shares_give_the_pack_and_every_other_share_back(
    image: bytes, coding: Coding, data: st.DataObject
) -> None:
    """Whichever zones are lost, up to as many as there are computed shares."""
    kind, made = shares(image, coding)
    lost = data.draw(st.sets(st.integers(0, coding.shares - 1), max_size=coding.parity))
    left = {n: run(share, n) for n, share in enumerate(made) if n not in lost}

    first = data_runs(left, coding)
    assert b"".join(first)[: len(image)] == image
    for number in lost:
        assert run_from(first, kind, number) == made[number][HEADER_BYTES:]


@given(st.binary(min_size=1, max_size=300), CODINGS, st.data())
@settings(max_examples=60, deadline=None)
def test_the_same_range_of_others_gives_a_range_back(
    image: bytes, coding: Coding, data: st.DataObject
) -> None:
    """A read while a zone is away costs the range from each of the others, not whole shares."""
    kind, made = shares(image, coding)
    offset = data.draw(st.integers(0, kind.run - 1))
    size = data.draw(st.integers(1, kind.run - offset))
    left = data.draw(st.permutations(range(coding.shares)))[: coding.data]
    ranges = {n: run(made[n], n)[offset : offset + size] for n in left}

    found = data_runs(ranges, coding)

    assert found == [run(made[n], n)[offset : offset + size] for n in range(coding.data)]


def test_a_pack_longer_than_a_step_is_coded_as_one() -> None:
    """The library is called for a part at a time."""
    image = SeededRandomness(5).bytes(2 * STEP_BYTES * 2 + 77)
    kind, made = shares(image, Coding(2, 1))

    for left in combinations(range(3), 2):
        runs = {n: run(made[n], n) for n in left}
        assert b"".join(data_runs(runs, kind.coding))[: len(image)] == image


def test_the_first_shares_are_the_pack_itself() -> None:
    """So a read needs no computing, and a pack can be put together by hand: see docs/format.md."""
    image = bytes(range(100))
    _, made = shares(image, Coding(3, 2))

    assert [len(share) for share in made] == [HEADER_BYTES + 34] * 5
    assert b"".join(share[HEADER_BYTES:] for share in made[:3]) == image + bytes(2)


def test_a_share_is_written_as_the_page_says() -> None:
    """Field by field, as in docs/format.md; and the code is the one named there."""
    image = b"one pack, of which any two shares of three suffice"
    _, made = shares(image, Coding(2, 1))
    share = made[2]

    assert HEADER_BYTES == 144
    assert share[:16] == b"S3FSSHAR" + (1).to_bytes(4) + bytes([2, 1, 2, 0])
    assert share[16:32] == STORE
    assert share[32:48] == (7).to_bytes(8) + len(image).to_bytes(8)
    assert share[48:80] == blake3(image).digest()
    assert share[80:112] == blake3(share[144:]).digest()
    assert share[112:144] == blake3(share[:112]).digest()


@given(st.sampled_from([Coding(2, 1), Coding(3, 2), Coding(4, 3)]), st.binary(min_size=1))
@settings(deadline=None)
def test_the_code_is_the_one_that_the_page_names(coding: Coding, image: bytes) -> None:
    """Whoever has only docs/format.md computes the same: polynomials over GF(2^8), by hand."""
    _, made = shares(image, coding)
    points = [0, *(_power(exponent) for exponent in range(coding.shares - 1))]

    for number in range(coding.shares):
        column = [share[-1] for share in made[: coding.data]]
        assert made[number][-1] == _value_at(points[number], points, column)


def _times(a: int, b: int) -> int:
    product = 0
    while b:
        if b & 1:
            product ^= a
        a = a << 1 ^ (0x11D if a & 0x80 else 0)
        b >>= 1
    return product


def _power(exponent: int) -> int:
    return 1 if not exponent else _times(2, _power(exponent - 1))


def _divided(a: int, b: int) -> int:
    return next(each for each in range(256) if _times(each, b) == a)


def _value_at(x: int, points: list[int], values: list[int]) -> int:
    """Of the polynomial of least degree through the values at the first points (Lagrange)."""
    total = 0
    for index, value in enumerate(values):
        term = value
        for other in range(len(values)):
            if other != index:
                term = _divided(_times(term, x ^ points[other]), points[index] ^ points[other])
        total ^= term
    return total


@given(st.integers(0, 8 * (HEADER_BYTES + 40) - 1))
@settings(deadline=None)
def test_a_flipped_bit_anywhere_in_a_share_is_noticed(bit: int) -> None:
    """In the header, or behind it."""
    _, made = shares(bytes(range(80)), Coding(2, 1))
    share = bytearray(made[1])
    share[bit // 8] ^= 1 << bit % 8

    with pytest.raises(DataDamaged):
        checked_run(bytes(share), store_id=STORE, pack_id=7, number=1)


def test_a_share_of_another_pack_store_or_number_is_none_of_ours() -> None:
    """Whoever copies objects about in a zone cannot make us read the wrong ones."""
    _, made = shares(b"some pack", Coding(2, 1))

    for other in (
        {"store_id": bytes(16), "pack_id": 7, "number": 0},
        {"store_id": STORE, "pack_id": 8, "number": 0},
        {"store_id": STORE, "pack_id": 7, "number": 1},
    ):
        with pytest.raises(DataDamaged, match="another object"):
            checked_run(made[0], **other)  # type: ignore[arg-type]  # of the row above
    with pytest.raises(DataDamaged):
        checked_run(made[0][:-1], store_id=STORE, pack_id=7, number=0)
    with pytest.raises(DataDamaged):
        checked_run(made[0][:20], store_id=STORE, pack_id=7, number=0)


def test_a_share_of_a_later_release_is_told_apart_from_a_damaged_one() -> None:
    """It may not be repaired by an earlier one."""
    _, made = shares(b"some pack", Coding(2, 1))
    head = made[0][:8] + (2).to_bytes(4) + made[0][12:112]
    share = head + blake3(head).digest() + made[0][144:]

    with pytest.raises(FormatTooNew):
        checked_run(share, store_id=STORE, pack_id=7, number=0)


def test_too_few_shares_give_nothing() -> None:
    """Rather than something wrong."""
    kind, made = shares(b"some pack", Coding(3, 2))

    few = {1: run(made[1], 1), 4: run(made[4], 4)}
    with pytest.raises(InvalidArgument):
        data_runs(few, kind.coding)
    assert agreeing_with(4, few, kind) is None


def test_a_share_that_only_says_that_it_is_right_is_left_out() -> None:
    """Somebody who can write to one zone cannot spoil what the others hold."""
    image = b"some pack of the store"
    kind, made = shares(image, Coding(3, 2))
    runs = {number: run(share, number) for number, share in enumerate(made)}
    forged = {**runs, 1: b"somewhat"}

    data = agreeing_with(4, forged, kind)

    assert data is not None
    assert b"".join(data)[: len(image)] == image
    assert agreeing_with(1, forged, kind) is None


def test_names_are_those_of_packs_with_a_number() -> None:
    """Both ways, and nothing else passes for one."""
    assert share_name(0x1F2, 11) == "shares/f2/00000000000001f2.11.share"
    assert share_of("shares/f2/00000000000001f2.11.share") == (0x1F2, 11)
    for name in (
        "packs/f2/00000000000001f2.pack",
        "shares/f3/00000000000001f2.11.share",
        "shares/f2/00000000000001f2.share",
        "shares/f2/00000000000001f2.11.share.12",
    ):
        assert share_of(name) is None
