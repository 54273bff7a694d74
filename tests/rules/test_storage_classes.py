"""Storage classes: the waterfall, where bytes lie, and what overrides it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3fs_local.errors import InvalidArgument
from s3fs_local.rules.storage_classes import (
    DEFAULT_PLACEMENTS,
    Placement,
    StorageClass,
    Tier,
    ZoneKind,
    format_placements,
    initial_tier,
    may_transition,
    needs_restore,
    parse_class,
    parse_placements,
    placement_of,
    shared_placement,
    with_defaults,
)

# S3 User Guide, "Supported lifecycle transitions", row by row.
WATERFALL = {
    "STANDARD": "STANDARD_IA INTELLIGENT_TIERING ONEZONE_IA GLACIER_IR GLACIER DEEP_ARCHIVE",
    "STANDARD_IA": "INTELLIGENT_TIERING ONEZONE_IA GLACIER_IR GLACIER DEEP_ARCHIVE",
    "INTELLIGENT_TIERING": "ONEZONE_IA GLACIER_IR GLACIER DEEP_ARCHIVE",
    "ONEZONE_IA": "GLACIER DEEP_ARCHIVE",
    "GLACIER_IR": "GLACIER DEEP_ARCHIVE",
    "GLACIER": "DEEP_ARCHIVE",
    "DEEP_ARCHIVE": "",
}


@pytest.mark.parametrize("present", StorageClass)
def test_lifecycle_moves_versions_down_the_waterfall_only(present: StorageClass) -> None:
    """S3's table; a rule that names another move does nothing."""
    allowed = {wanted for wanted in StorageClass if may_transition(present, wanted)}

    assert allowed == set(WATERFALL[present].split())


def test_a_version_deep_in_intelligent_tiering_does_not_go_to_one_zone() -> None:
    """S3's table has a row for each tier."""
    tier = Tier.ARCHIVE_INSTANT

    assert not may_transition("INTELLIGENT_TIERING", "ONEZONE_IA", tier=tier)
    assert may_transition("INTELLIGENT_TIERING", "GLACIER_IR", tier=tier)
    assert may_transition("INTELLIGENT_TIERING", "ONEZONE_IA", tier=Tier.INFREQUENT)


def test_only_the_two_archives_need_a_restore() -> None:
    """GLACIER_IR is instant, whatever its name suggests."""
    assert {name for name in StorageClass if needs_restore(name)} == {"GLACIER", "DEEP_ARCHIVE"}


def test_the_tiers_of_intelligent_tiering_really_lie_elsewhere() -> None:
    """A tier that is only a label saves nothing."""
    tiers = (Tier.FREQUENT, Tier.INFREQUENT, Tier.ARCHIVE_INSTANT)

    placements = [placement_of("INTELLIGENT_TIERING", tier=tier) for tier in tiers]

    assert placements == ["STANDARD", "STANDARD_IA", "GLACIER_IR"]
    assert len({DEFAULT_PLACEMENTS[name] for name in placements}) == 3
    assert initial_tier("INTELLIGENT_TIERING") is Tier.FREQUENT
    assert initial_tier("GLACIER") is Tier.NONE


def test_a_restored_copy_is_a_standard_one() -> None:
    """S3: the object stays in its class, the copy is in STANDARD."""
    assert placement_of("DEEP_ARCHIVE") == "DEEP_ARCHIVE"
    assert placement_of("DEEP_ARCHIVE", is_restored=True) == "STANDARD"


@pytest.mark.parametrize(
    ("needs", "place"),
    [
        ("GLACIER", "GLACIER"),
        ("GLACIER DEEP_ARCHIVE", "GLACIER"),
        ("STANDARD DEEP_ARCHIVE", "STANDARD"),
        ("ONEZONE_IA", "ONEZONE_IA"),
        ("ONEZONE_IA GLACIER", "STANDARD_IA"),
        ("ONEZONE_IA GLACIER_IR", "STANDARD_IA"),
        ("STANDARD_IA GLACIER_IR", "STANDARD_IA"),
    ],
)
def test_a_shared_block_serves_the_hottest_and_the_most_careful(needs: str, place: str) -> None:
    """An archived version's bytes never fall to one copy because a cheaper version shares them."""
    assert shared_placement(needs.split()) == place


@given(st.sets(st.sampled_from(list(DEFAULT_PLACEMENTS)), min_size=1))
def test_sharing_never_makes_a_version_colder_or_less_safe(needs: set[str]) -> None:
    """Whoever shares it: the block is where each version alone would be served as well."""
    order = list(DEFAULT_PLACEMENTS)

    found = shared_placement(needs)

    assert all(order.index(found) <= order.index(name) for name in needs)
    if needs != {"ONEZONE_IA"}:
        assert DEFAULT_PLACEMENTS[found].copies != 1


def test_where_every_class_has_one_copy_the_hottest_decides() -> None:
    """A store on one disk may say so."""
    single = {name: Placement(1, (ZoneKind.HOT,), 0) for name in DEFAULT_PLACEMENTS}

    assert shared_placement({"GLACIER_IR", "GLACIER"}, single) == "GLACIER_IR"
    careful_archive = {**single, "GLACIER": Placement(3, (ZoneKind.HOT,), 0)}
    assert shared_placement({"GLACIER_IR", "GLACIER"}, careful_archive) == "STANDARD"


def test_a_class_can_be_placed_otherwise() -> None:
    """The story of `config set storage-classes`."""
    text = "GLACIER:copies=2,zones=archive+cold,zstd=12; ONEZONE_IA:copies=every,zones=hot,zstd=0"

    overrides = parse_placements(text)

    assert overrides["GLACIER"] == Placement(2, (ZoneKind.ARCHIVE, ZoneKind.COLD), 12)
    assert overrides["ONEZONE_IA"] == Placement(0, (ZoneKind.HOT,), 0)
    assert parse_placements(format_placements(overrides)) == overrides
    assert with_defaults(overrides)["STANDARD"] == DEFAULT_PLACEMENTS["STANDARD"]
    assert with_defaults(overrides)["GLACIER"] == overrides["GLACIER"]
    assert parse_placements("") == {}


@pytest.mark.parametrize(
    "text",
    [
        "GLACIER",
        "SNOW:copies=1,zones=hot,zstd=1",
        "INTELLIGENT_TIERING:copies=1,zones=hot,zstd=1",
        "GLACIER:copies=17,zones=hot,zstd=1",
        "GLACIER:copies=1,zones=warm,zstd=1",
        "GLACIER:copies=1,zones=hot,zstd=20",
        "GLACIER:copies=-1,zones=hot,zstd=2",
    ],
)
def test_a_malformed_placement_is_refused(text: str) -> None:
    """Nothing is guessed about where bytes go."""
    with pytest.raises(InvalidArgument):
        parse_placements(text)


def test_an_unknown_class_is_named_with_the_known_ones() -> None:
    """S3's code, and what to type instead."""
    assert parse_class("GLACIER_IR") is StorageClass.GLACIER_IR
    with pytest.raises(InvalidArgument, match=r"InvalidStorageClass.*STANDARD_IA"):
        parse_class("standard_ia")
