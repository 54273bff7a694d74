"""Version ids: what they look like, how they sort, and what text names which."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3fs_local.errors import NoSuchVersion
from s3fs_local.rules.identifiers import (
    RANDOM_BITS,
    is_exactly,
    matches,
    parse_version_id,
    salt_of,
    short_id,
    version_id,
)
from s3fs_local.rules.namespace import OPEN_NS

stamps = st.integers(0, OPEN_NS - 1)
salts = st.integers(0, (1 << 35) - 1)

STAMP_NS = 1_795_359_845_123_456_789
SALT = 0x5_DEAD_BEEF


def test_an_id_is_the_stamp_and_then_the_salt() -> None:
    """The layout is on disks and in scripts, so it never changes."""
    assert version_id(STAMP_NS, SALT) == "1htk68ha9azrnqfavfqf"
    assert short_id(SALT) == "qfavfqf"
    assert version_id(0, 0) == "0" * 20
    assert version_id((1 << 64) - 1, (1 << 35) - 1) == "fzzzzzzzzzzzzzzzzzzz"


@settings(max_examples=100)
@given(stamps, salts)
def test_an_id_gives_back_what_it_was_made_of(stamp_ns: int, salt: int) -> None:
    """Ids need no index to be resolved."""
    assert parse_version_id(version_id(stamp_ns, salt)) == (stamp_ns, salt)


@settings(max_examples=100)
@given(stamps, salts, stamps, salts)
def test_ids_sort_as_time_does(stamp_ns: int, salt: int, other_ns: int, other: int) -> None:
    """`ls` and `sort` show versions in the order of their commits."""
    first, second = (stamp_ns, salt), (other_ns, other)

    assert (version_id(*first) < version_id(*second)) == (first < second)


@settings(max_examples=100)
@given(stamps, st.integers(1, 2_000_000), *[st.integers(0, (1 << RANDOM_BITS) - 1)] * 2)
def test_file_names_sort_as_time_does(stamp_ns: int, later: int, one: int, other: int) -> None:
    """They show milliseconds and the short id: two commits in one are in order by the latter."""
    stamps = (stamp_ns, stamp_ns + later)
    if stamps[1] // 1_000_000 == stamp_ns // 1_000_000:
        first, second = (
            short_id(salt_of(*pair)) for pair in zip(stamps, (one, other), strict=True)
        )
        assert first < second


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "1htk68ha9azrnqfavfq",  # a character short
        "1htk68ha9azrnqfavfqf0",  # one too many
        "1HTK68HA9AZRNQFAVFQF",  # one spelling only
        "1htk68ha9azrnqfavfql",  # not in the alphabet
        "1htk68ha9azrnqfavfq\n",
        "\u0660" * 20,  # digits of another script
        "7zzzzzzzzzzzz0000000",  # OPEN_NS is no stamp
        "zzzzzzzzzzzzz0000000",  # 65 bits
    ],
)
def test_text_that_no_store_gave_out_is_no_version(text: str) -> None:
    """A malformed id is like one that was never there, and never overflows a column."""
    with pytest.raises(NoSuchVersion, match="is no version id"):
        parse_version_id(text)


def test_the_last_stamp_is_one_before_the_open_end() -> None:
    """The bound itself, not one beside it."""
    assert parse_version_id("7zzzzzzzzzzzy0000000") == (OPEN_NS - 1, 0)


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("1htk68ha9azrnqfavfqf", True),
        ("qfavfqf", True),
        ("1htk", True),
        ("qfav", True),
        ("1ht", False),
        ("", False),
        ("vfqf", False),  # an end, not a beginning
        ("qfavfqf0", False),
        ("null", False),
    ],
)
def test_four_characters_of_either_half_name_a_version(text: str, *, fits: bool) -> None:
    """People copy the short id from a file name and type as little as they can."""
    assert matches(text, STAMP_NS, SALT) is fits


def test_a_whole_id_or_short_id_is_exact() -> None:
    """So a short id that also begins another version's id still names its own."""
    assert is_exactly("1htk68ha9azrnqfavfqf", STAMP_NS, SALT)
    assert is_exactly("qfavfqf", STAMP_NS, SALT)
    assert not is_exactly("qfavfq", STAMP_NS, SALT)


def test_numbers_that_do_not_fit_are_bugs() -> None:
    """An id never silently loses bits."""
    for stamp_ns, salt in ((-1, 0), (1 << 64, 0), (0, -1), (0, 1 << 35)):
        with pytest.raises(AssertionError):
            version_id(stamp_ns, salt)
