"""Settings: what may be typed, what is stored, what is shown."""

import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st

from s3fs_local.errors import InvalidArgument, InvalidSetting
from s3fs_local.rules.instants import SECOND_NS
from s3fs_local.rules.object_lock import DefaultRetention
from s3fs_local.rules.retention import Semantics
from s3fs_local.rules.settings import (
    GovernanceBypass,
    Settings,
    decode,
    describe,
    format_size,
    parse_setting,
    parse_size,
)
from s3fs_local.rules.storage_classes import Placement, StorageClass, ZoneKind
from s3fs_local.rules.storage_costs import Prices, format_prices
from s3fs_local.rules.versioning import VersioningState

MIB = 1 << 20


def test_what_is_typed_is_stored_as_json_and_read_back_as_values() -> None:
    """The story: `config set`, metadata, `Settings`."""
    typed = {
        "versioning": "Suspended",
        "object-lock": "on",
        "lock-semantics": "s3",
        "checkpoint-interval": "1m30s",
        "flush-interval": "50ms",
        "draft-memory": "128MiB",
        "snapdirname": ".history",
        "bypass-group": "27",
        "default-retention": "compliance 7y",
        "governance-bypass": "permanently-disabled",
        "default-class": "STANDARD_IA",
        "storage-classes": "GLACIER:copies=2,zones=archive,zstd=9",
        "retrieval-delay-standard": "3h",
    }

    stored = {name: parse_setting(name, text) for name, text in typed.items()}

    assert stored["object-lock"] == "true"
    assert stored["checkpoint-interval"] == "90000000000"
    assert decode(stored) == Settings(
        versioning=VersioningState.SUSPENDED,
        object_lock=True,
        lock_semantics=Semantics.S3,
        checkpoint_interval_ns=90 * SECOND_NS,
        flush_interval_ns=SECOND_NS // 20,
        draft_memory_bytes=128 * MIB,
        snapdirname=".history",
        bypass_group=27,
        default_retention=DefaultRetention("COMPLIANCE", years=7),
        governance_bypass=GovernanceBypass.PERMANENTLY_DISABLED,
        default_class=StorageClass.STANDARD_IA,
        storage_classes={"GLACIER": Placement(2, (ZoneKind.ARCHIVE,), 9)},
        standard_delay_ns=3 * 3600 * SECOND_NS,
    )


def test_a_new_store_keeps_versions_and_locks_nothing() -> None:
    """The defaults are promises of the manual."""
    assert decode({}) == Settings(
        versioning=VersioningState.ENABLED,
        object_lock=False,
        lock_semantics=Semantics.FILE,
        default_retention=None,
        governance_bypass=GovernanceBypass.ENABLED,
        checkpoint_interval_ns=300 * SECOND_NS,
        flush_interval_ns=SECOND_NS // 2,
        draft_memory_bytes=64 * MIB,
        snapdirname=".versions",
        bypass_group=None,
    )


@pytest.mark.parametrize(
    ("name", "text", "json"),
    [
        ("versioning", "", '""'),
        ("object-lock", "true", "true"),
        ("object-lock", "off", "false"),
        ("object-lock", "false", "false"),
        ("checkpoint-interval", "off", "0"),
        ("checkpoint-interval", "0s", "0"),
        ("checkpoint-interval", "1s", "1000000000"),
        ("checkpoint-interval", "1w", "604800000000000"),
        ("flush-interval", "1s", "1000000000"),
        ("draft-memory", "4194304", "4194304"),
        ("draft-memory", "4GiB", "4294967296"),
        ("bypass-group", "none", "null"),
        ("bypass-group", "0", "0"),
        ("snapdirname", "é" * 127, '"' + "é" * 127 + '"'),
    ],
)
def test_bounds_belong_to_the_range(name: str, text: str, json: str) -> None:
    """And the words for nothing and all are understood."""
    assert parse_setting(name, text) == json
    decode({name: json})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("versioning", "enabled"),
        ("versioning", "Disabled"),
        ("object-lock", "1"),
        ("object-lock", ""),
        ("lock-semantics", "FILE"),
        ("checkpoint-interval", "5"),
        ("checkpoint-interval", "999ms"),
        ("checkpoint-interval", "8d"),
        ("flush-interval", "49ms"),
        ("flush-interval", "1.001s"),
        ("flush-interval", "off"),
        ("draft-memory", "4194303"),
        ("draft-memory", "5GiB"),
        ("draft-memory", "64MB"),
        ("draft-memory", "-64MiB"),
        ("draft-memory", "9" * 5000),
        ("snapdirname", ""),
        ("snapdirname", ".."),
        ("snapdirname", "a/b"),
        ("snapdirname", ".s3fs"),
        ("snapdirname", "@snap"),
        ("snapdirname", "é" * 128),
        ("snapdirname", "\udcff"),
        ("bypass-group", "wheel"),
        ("bypass-group", "-1"),
        ("bypass-group", "4294967295"),
        ("bypass-group", "\u0667"),
    ],
)
def test_a_bad_value_is_refused_with_what_is_accepted(name: str, text: str) -> None:
    """The message is the help."""
    with pytest.raises(InvalidSetting, match=rf"^{name} cannot be '.*; accepted: ."):
        parse_setting(name, text)


@pytest.mark.parametrize(
    ("name", "json"),
    [
        ("object-lock", "1"),
        ("object-lock", '"true"'),
        ("flush-interval", "0.5"),
        ("flush-interval", '"0.5s"'),
        ("draft-memory", "null"),
        ("draft-memory", "67108864, "),
        ("versioning", ""),
        ("versioning", "Enabled"),
        ("snapdirname", '"a/b"'),
        ("default-class", '"COLD"'),
        ("storage-classes", '{"SNOW": {"copies": 1, "kinds": ["hot"], "zstd_level": 0}}'),
    ],
)
def test_stored_values_are_read_strictly(name: str, json: str) -> None:
    """A damaged setting stops the mount; a guess might unlock something."""
    with pytest.raises(InvalidSetting, match=f"^{name} cannot be"):
        decode({name: json})


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    """A store of a newer release must not be opened with half of its settings."""
    for name in ("flush", "flush_interval", "flush-interval-ns"):
        with pytest.raises(InvalidSetting, match=f"no setting '{name}'; there are: versioning, .*"):
            parse_setting(name, "1s")
        with pytest.raises(InvalidSetting, match=f"no setting '{name}'"):
            decode({name: "1"})


DEFAULT_ENCRYPTION = (
    '{"ServerSideEncryptionConfiguration":{"Rules":[{"ApplyServerSideEncryptionByDefault":'
    '{"SSEAlgorithm":"AES256"},"BucketKeyEnabled":false}]}}'
)


def test_every_setting_is_described() -> None:
    """`config show` has them all, each with a meaning."""
    chosen = Settings(
        bypass_group=27,
        object_lock=True,
        default_retention=DefaultRetention("GOVERNANCE", days=30),
        governance_bypass=GovernanceBypass.DISABLED,
    )
    lines = {line.name: line for line in describe(chosen)}

    assert list(lines) == list(Settings.__struct_encode_fields__)
    assert all(line.meaning and line.accepts for line in lines.values())
    assert {name: (line.value, line.default) for name, line in lines.items()} == {
        "versioning": ("Enabled", "Enabled"),
        "object-lock": ("on", "off"),
        "lock-semantics": ("file", "file"),
        "default-retention": ("GOVERNANCE 30d", "none"),
        "governance-bypass": ("disabled", "enabled"),
        "immutable-packs": ("on", "on"),
        "checkpoint-interval": ("5m", "5m"),
        "flush-interval": ("0.5s", "0.5s"),
        "draft-memory": ("64MiB", "64MiB"),
        "write-quorum": ("majority", "majority"),
        "zone-timeout": ("10s", "10s"),
        "scrub-interval": ("30d", "30d"),
        "scrub-rate": ("32MiB", "32MiB"),
        "repair-rate": ("64MiB", "64MiB"),
        "snapdirname": (".versions", ".versions"),
        "bypass-group": ("27", "none"),
        "default-class": ("STANDARD", "STANDARD"),
        "storage-classes": ("", ""),
        "infrequent-after": ("30d", "30d"),
        "archive-instant-after": ("90d", "90d"),
        "retrieval-delay-expedited": ("off", "off"),
        "retrieval-delay-standard": ("off", "off"),
        "retrieval-delay-bulk": ("off", "off"),
        "encryption": (DEFAULT_ENCRYPTION, DEFAULT_ENCRYPTION),
        "kms": ("off", "off"),
        "kms-region": ("off", "off"),
        "key-cache": ("5m", "5m"),
        "remotes": ("none", "none"),
        "prices": (format_prices(Prices()), format_prices(Prices())),
        "lifecycle-rate": ("1000", "1000"),
        "background-rate": ("64MiB", "64MiB"),
    }


@profile(max_examples=100)
@given(
    st.builds(
        Settings,
        versioning=st.sampled_from(VersioningState),
        object_lock=st.booleans(),
        lock_semantics=st.sampled_from(Semantics),
        checkpoint_interval_ns=st.just(0) | st.integers(SECOND_NS, 7 * 86400 * SECOND_NS),
        flush_interval_ns=st.integers(SECOND_NS // 20, SECOND_NS),
        draft_memory_bytes=st.integers(4 * MIB, 4096 * MIB),
        snapdirname=st.sampled_from([".versions", ".zfs", "a b"]),
        bypass_group=st.none() | st.integers(0, 0xFFFFFFFE),
        default_retention=st.none()
        | st.builds(DefaultRetention, st.just("GOVERNANCE"), days=st.integers(1, 36_500))
        | st.builds(DefaultRetention, st.just("COMPLIANCE"), years=st.integers(1, 100)),
        governance_bypass=st.sampled_from(GovernanceBypass),
    )
)
def test_what_is_shown_can_be_typed(settings: Settings) -> None:
    """`config show` on one store, `config set` on another: the same store."""
    stored = {line.name: parse_setting(line.name, line.value) for line in describe(settings)}

    assert decode(stored) == settings


def test_sizes_are_powers_of_1024_and_say_so() -> None:
    """MB means two things, so it means nothing here."""
    assert [parse_size(text) for text in ("0", "1KiB", "0.5GiB", "1.5MiB", "2TiB")] == [
        *(0, 1024, 512 * MIB, 1536 * 1024, 2 << 40)
    ]
    assert [format_size(size) for size in (0, 1, 1536, 64 * MIB, 1 << 40)] == [
        *("0", "1", "1536", "64MiB", "1TiB")
    ]
    for text in ("", "MiB", "1 MiB", "1mib", "1MB", "1.MiB", "-1"):
        with pytest.raises(InvalidArgument, match="is no size; accepted: 67108864"):
            parse_size(text)
