"""The settings of a store: what there is to set, what is accepted, and what each means.

Stored as JSON by name, only where they differ from the default. What a person types (`5m`, `64MiB`,
`on`) becomes JSON in `parse_setting`; ranges are checked in one place, the types of `Settings`.
Whether a change is allowed in the state the store is in (versioning never becomes unset again,
Object Lock is never switched off) is not asked here.
"""

import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct, field

from s3fs_local.errors import ArgumentError, InvalidArgument, InvalidSetting, NameTooLong
from s3fs_local.rules.encryption import Encryption, parse_encryption, print_encryption
from s3fs_local.rules.instants import SECOND_NS, format_duration, parse_duration
from s3fs_local.rules.names import check_name
from s3fs_local.rules.object_lock import DefaultRetention, check_default
from s3fs_local.rules.quorum import MAJORITY, ZONES_MAX
from s3fs_local.rules.remotes import Remote, format_remotes, parse_remotes
from s3fs_local.rules.retention import Semantics
from s3fs_local.rules.storage_classes import (
    DEFAULT_PLACEMENTS,
    Placement,
    StorageClass,
    format_placements,
    parse_class,
    parse_placements,
)
from s3fs_local.rules.storage_costs import Prices, format_prices, parse_prices
from s3fs_local.rules.versioning import VersioningState

_MIB: Final = 1 << 20
_SIZE_UNITS: Final = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_SIZE: Final = re.compile(
    r"(?P<whole>[0-9]{1,15})(?:\.(?P<fraction>[0-9]{1,6}))?(?P<unit>|KiB|MiB|GiB|TiB)"
)
_DAY_NS: Final = 86400 * SECOND_NS
_TieringInterval = Annotated[int, Meta(ge=SECOND_NS, le=36500 * _DAY_NS)]
_RetrievalDelay = Annotated[int, Meta(ge=0, le=30 * _DAY_NS)]
_KMS: Final = r"^$|^aws$|^https?://[^\s]{1,255}$"
_RESERVED_NAMES: Final = (".s3fs",)
_SWITCH: Final = {"on": True, "true": True, "off": False, "false": False}
_DEFAULT_RETENTION: Final = re.compile(
    r"(?P<mode>GOVERNANCE|COMPLIANCE|governance|compliance) (?P<count>[0-9]{1,5})(?P<unit>[dy])"
)
_GID: Final = re.compile(r"[0-9]{1,10}")


class GovernanceBypass(StrEnum):
    """Whether GOVERNANCE can be overridden at all, in the words of NAS appliances."""

    ENABLED = "enabled"
    DISABLED = "disabled"
    PERMANENTLY_DISABLED = "permanently-disabled"  # nothing leads back


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """All settings of a store. The encoded names are those people type."""

    versioning: VersioningState = VersioningState.ENABLED
    object_lock: bool = False
    lock_semantics: Semantics = Semantics.FILE
    default_retention: DefaultRetention | None = None
    governance_bypass: GovernanceBypass = GovernanceBypass.ENABLED
    immutable_packs: bool = True
    checkpoint_interval_ns: Annotated[int, Meta(ge=0, le=7 * 86400 * SECOND_NS)] = field(
        default=300 * SECOND_NS, name="checkpoint-interval"
    )
    flush_interval_ns: Annotated[int, Meta(ge=SECOND_NS // 20, le=SECOND_NS)] = field(
        default=SECOND_NS // 2, name="flush-interval"
    )
    draft_memory_bytes: Annotated[int, Meta(ge=4 * _MIB, le=4096 * _MIB)] = field(
        default=64 * _MIB, name="draft-memory"
    )
    write_quorum: Annotated[int, Meta(ge=0, le=ZONES_MAX)] = MAJORITY
    zone_timeout_ns: Annotated[int, Meta(ge=SECOND_NS // 10, le=60 * SECOND_NS)] = field(
        default=10 * SECOND_NS, name="zone-timeout"
    )
    scrub_interval_ns: Annotated[int, Meta(ge=0, le=366 * 86400 * SECOND_NS)] = field(
        default=30 * 86400 * SECOND_NS, name="scrub-interval"
    )
    scrub_rate_bytes: Annotated[int, Meta(ge=_MIB // 16, le=1 << 40)] = field(
        default=32 * _MIB, name="scrub-rate"
    )
    repair_rate_bytes: Annotated[int, Meta(ge=_MIB // 16, le=1 << 40)] = field(
        default=64 * _MIB, name="repair-rate"
    )
    snapdirname: str = ".versions"
    bypass_group: Annotated[int, Meta(ge=0, lt=0xFFFFFFFF)] | None = None
    default_class: StorageClass = StorageClass.STANDARD
    storage_classes: dict[str, Placement] = {}
    infrequent_after_ns: _TieringInterval = field(default=30 * _DAY_NS, name="infrequent-after")
    archive_instant_after_ns: _TieringInterval = field(
        default=90 * _DAY_NS, name="archive-instant-after"
    )
    expedited_delay_ns: _RetrievalDelay = field(default=0, name="retrieval-delay-expedited")
    standard_delay_ns: _RetrievalDelay = field(default=0, name="retrieval-delay-standard")
    bulk_delay_ns: _RetrievalDelay = field(default=0, name="retrieval-delay-bulk")
    encryption: Encryption = Encryption()
    kms: Annotated[str, Meta(pattern=_KMS)] = ""
    kms_region: Annotated[str, Meta(pattern="^[a-z0-9-]{0,32}$")] = ""
    key_cache_ns: Annotated[int, Meta(ge=SECOND_NS, le=_DAY_NS)] = field(
        default=300 * SECOND_NS, name="key-cache"
    )
    remotes: dict[str, Remote] = {}
    prices: Prices = Prices()
    lifecycle_rate: Annotated[int, Meta(ge=1, le=1_000_000)] = 1000
    background_rate_bytes: Annotated[int, Meta(ge=_MIB, le=65536 * _MIB)] = field(
        default=64 * _MIB, name="background-rate"
    )

    def __post_init__(self) -> None:
        """Check what a type cannot say; msgspec turns the ValueError into its own."""
        if 0 < self.checkpoint_interval_ns < SECOND_NS:
            raise ValueError("checkpoint-interval below one second")
        if self.storage_classes.keys() - DEFAULT_PLACEMENTS.keys():
            raise ValueError("storage-classes names an unknown class")
        if self.default_retention is not None:
            try:
                check_default(self.default_retention)
            except InvalidSetting as error:
                raise ValueError(str(error)) from error
        if self.snapdirname in _RESERVED_NAMES or self.snapdirname.startswith("@"):
            raise ValueError("snapdirname is taken")
        try:
            check_name(self.snapdirname.encode())
        except (InvalidArgument, NameTooLong, UnicodeEncodeError) as error:
            raise ValueError(str(error)) from error


class SettingLine(Struct, frozen=True):
    """One line of `config show`."""

    name: str
    value: str
    default: str
    accepts: str
    meaning: str


def parse_size(text: str) -> int:
    """A number of bytes: `67108864`, `64MiB`, `0.5GiB`; units are powers of 1024.

    Raises:
        InvalidArgument: it is no size.
    """
    match = _SIZE.fullmatch(text)
    if match is None:
        raise InvalidArgument(f"{text[:64]!r} is no size; accepted: 67108864, 64MiB, 0.5GiB")
    fraction = match["fraction"] or ""
    unit_bytes = _SIZE_UNITS[match["unit"]]
    scale: int = 10 ** len(fraction)
    return int(match["whole"] + fraction) * unit_bytes // scale


def format_size(size_bytes: int) -> str:
    """The size in the largest unit that divides it; `parse_size` gives it back."""
    for unit, unit_bytes in reversed(_SIZE_UNITS.items()):
        if size_bytes and size_bytes % unit_bytes == 0:
            return f"{size_bytes // unit_bytes}{unit}"
    return "0"


class _Setting(Struct, frozen=True):
    """How one setting is typed and shown."""

    parse: Callable[[str], object]  # what was typed to the JSON value; raises ArgumentError
    show: Callable[[Any], str]  # its inverse
    accepts: str
    meaning: str


def parse_setting(name: str, text: str) -> str:
    """The JSON value of what a person typed, for `PutSetting`.

    Raises:
        InvalidSetting: there is no such setting, or it does not take this value.
    """
    setting = _setting(name)
    try:
        value = setting.parse(text)
    except ArgumentError:
        raise _refusal(name, text) from None
    _check(name, value, shown=text)
    return msgspec.json.encode(value).decode()


def decode(stored: Mapping[str, str]) -> Settings:
    """The settings of a store, from the JSON values of those that are not at their default.

    Raises:
        InvalidSetting: a name is unknown or a value not acceptable, so the store is of another
            release or damaged; nothing is guessed.
    """
    values = {}
    for name, text in stored.items():
        _setting(name)
        try:
            value = msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeError):
            raise _refusal(name, text) from None
        _check(name, value, shown=text)
        values[name] = value
    return msgspec.convert(values, Settings)


def describe(settings: Settings) -> list[SettingLine]:
    """Every setting with its value, as `config show` prints it and `parse_setting` takes it."""
    values: dict[str, object] = msgspec.to_builtins(settings)
    defaults: dict[str, object] = msgspec.to_builtins(Settings())
    return [
        SettingLine(
            name=name,
            value=setting.show(values[name]),
            default=setting.show(defaults[name]),
            accepts=setting.accepts,
            meaning=setting.meaning,
        )
        for name, setting in _SETTINGS.items()
    ]


def _setting(name: str) -> _Setting:
    try:
        return _SETTINGS[name]
    except KeyError:
        known = ", ".join(_SETTINGS)
        raise InvalidSetting(f"there is no setting {name[:64]!r}; there are: {known}") from None


def _check(name: str, value: object, *, shown: str) -> None:
    """The value has the type and the range of its setting."""
    try:
        msgspec.convert({name: value}, Settings)
    except msgspec.ValidationError:
        raise _refusal(name, shown) from None


def _refusal(name: str, text: str) -> InvalidSetting:
    return InvalidSetting(f"{name} cannot be {text[:64]!r}; accepted: {_SETTINGS[name].accepts}")


def _parse_switch(text: str) -> bool:
    if text not in _SWITCH:
        raise InvalidArgument(f"{text[:64]!r} is neither on nor off")
    return _SWITCH[text]


def _show_switch(value: bool) -> str:  # noqa: FBT001 - a value to print, not a choice of behaviour
    return "on" if value else "off"


def _parse_interval(text: str) -> int:
    return 0 if text == "off" else parse_duration(text)


def _show_interval(interval_ns: int) -> str:
    return format_duration(interval_ns) if interval_ns else "off"


def _parse_placements(text: str) -> object:
    return msgspec.to_builtins(parse_placements(text))


def _show_placements(value: dict[str, object]) -> str:
    return format_placements(msgspec.convert(value, dict[str, Placement]))


def _parse_prices(text: str) -> object:
    return msgspec.to_builtins(parse_prices(text))


def _show_prices(value: dict[str, object]) -> str:
    return format_prices(msgspec.convert(value, Prices))


def _parse_rate(text: str) -> int:
    if not text.isdecimal() or not text.isascii():
        raise InvalidArgument(f"{text[:64]!r} is no number")
    return int(text[:9])


def _parse_quorum(text: str) -> int:
    if text == "majority":
        return MAJORITY
    if not text.isdecimal() or not 0 < int(text[:4]) <= ZONES_MAX:
        raise InvalidArgument(f"{text[:64]!r} is no number of zones")
    return int(text)


def _show_quorum(quorum: int) -> str:
    return "majority" if quorum == MAJORITY else str(quorum)


def _parse_default_retention(text: str) -> object:
    if text == "none":
        return None
    match = _DEFAULT_RETENTION.fullmatch(text)
    if match is None:
        raise InvalidArgument(f"{text[:64]!r} is no default retention")
    unit = {"d": "Days", "y": "Years"}[match["unit"]]
    default = {"Mode": match["mode"].upper(), unit: int(match["count"])}
    check_default(msgspec.convert(default, DefaultRetention))
    return default


def _show_default_retention(default: dict[str, Any] | None) -> str:
    if default is None:
        return "none"
    count = f"{default['Days']}d" if "Days" in default else f"{default['Years']}y"
    return f"{default['Mode']} {count}"


def _parse_gid(text: str) -> int | None:
    if text == "none":
        return None
    if _GID.fullmatch(text) is None:
        raise InvalidArgument(f"{text[:64]!r} is no group number")
    return int(text)


def _show_gid(gid: int | None) -> str:
    return "none" if gid is None else str(gid)


def _interval(tier: str) -> _Setting:
    return _Setting(
        parse=parse_duration,
        show=format_duration,
        accepts="a duration from 1s to 36500d",
        meaning=f"how long unread until INTELLIGENT_TIERING moves a version to {tier}",
    )


def _delay(tier: str) -> _Setting:
    return _Setting(
        parse=_parse_interval,
        show=_show_interval,
        accepts="a duration up to 30d, or off",
        meaning=f"how long an archived version takes to come back, tier {tier}",
    )


def _parse_encryption(text: str) -> object:
    return msgspec.to_builtins(parse_encryption(text.encode()))


def _show_encryption(value: dict[str, object]) -> str:
    encryption = msgspec.convert(value, Encryption)
    return msgspec.json.encode(print_encryption(encryption)).decode()


def _parse_kms(text: str) -> str:
    return "" if text == "off" else text


def _show_kms(value: str) -> str:
    return value or "off"


def _parse_remotes(text: str) -> object:
    return msgspec.to_builtins(parse_remotes("" if text == "none" else text))


def _show_remotes(value: dict[str, object]) -> str:
    return format_remotes(msgspec.convert(value, dict[str, Remote])) or "none"


_SETTINGS: Final = {
    "versioning": _Setting(
        parse=str,
        show=str,
        accepts='Enabled, Suspended, or "" (before versioning was ever enabled)',
        meaning="whether a commit keeps what was there before, in S3's words",
    ),
    "object-lock": _Setting(
        parse=_parse_switch,
        show=_show_switch,
        accepts="on, off",
        meaning="whether versions can be locked",
    ),
    "lock-semantics": _Setting(
        parse=str,
        show=str,
        accepts="file, s3",
        meaning="what changing a locked file does: file = fail, s3 = make a new version",
    ),
    "default-retention": _Setting(
        parse=_parse_default_retention,
        show=_show_default_retention,
        accepts="GOVERNANCE or COMPLIANCE and a time in days or years (GOVERNANCE 30d), or none",
        meaning="the lock of each new version; see also bucket object-lock",
    ),
    "governance-bypass": _Setting(
        parse=str,
        show=str,
        accepts="enabled, disabled, or permanently-disabled, which is never taken back",
        meaning="whether GOVERNANCE locks can be overridden",
    ),
    "immutable-packs": _Setting(
        parse=_parse_switch,
        show=_show_switch,
        accepts="on, off",
        meaning="whether packs of a store with locks are made immutable (chattr +i) where possible",
    ),
    "checkpoint-interval": _Setting(
        parse=_parse_interval,
        show=_show_interval,
        accepts="a duration from 1s to 7d, or off",
        meaning="how often a file kept open and dirty gets a version",
    ),
    "flush-interval": _Setting(
        parse=parse_duration,
        show=format_duration,
        accepts="a duration from 0.05s to 1s",
        meaning="how much time the end of the daemon may cost a program that does not fsync",
    ),
    "draft-memory": _Setting(
        parse=parse_size,
        show=format_size,
        accepts="a size from 4MiB to 4GiB",
        meaning="memory for what is written and not yet committed",
    ),
    "write-quorum": _Setting(
        parse=_parse_quorum,
        show=_show_quorum,
        accepts=f"a number of zones from 1 to {ZONES_MAX}, or majority",
        meaning="the least number of zones with which writes go on; majority = half, rounded up",
    ),
    "zone-timeout": _Setting(
        parse=parse_duration,
        show=format_duration,
        accepts="a duration from 0.1s to 60s",
        meaning="how long the others wait for a zone before they go on without it",
    ),
    "scrub-interval": _Setting(
        parse=_parse_interval,
        show=_show_interval,
        accepts="a duration up to 366d, or off",
        meaning="how often every copy in every zone is read and checked",
    ),
    "scrub-rate": _Setting(
        parse=parse_size,
        show=format_size,
        accepts="a size from 64KiB to 1TiB",
        meaning="bytes a second that a scrub reads at most",
    ),
    "repair-rate": _Setting(
        parse=parse_size,
        show=format_size,
        accepts="a size from 64KiB to 1TiB",
        meaning="bytes a second that a zone is given at most of what it missed",
    ),
    "snapdirname": _Setting(
        parse=str,
        show=str,
        accepts="a file name other than .s3fs, not starting with @",
        meaning="name of the hidden directory that shows the versions",
    ),
    "bypass-group": _Setting(
        parse=_parse_gid,
        show=_show_gid,
        accepts="a group number, or none",
        meaning="whose members may bypass GOVERNANCE locks, beside root",
    ),
    "default-class": _Setting(
        parse=parse_class,
        show=str,
        accepts=", ".join(StorageClass),
        meaning="storage class of new versions, where no directory above has its own",
    ),
    "storage-classes": _Setting(
        parse=_parse_placements,
        show=_show_placements,
        accepts=(
            "e.g. GLACIER:copies=2,zones=archive+cold,zstd=12; shares=2+1 instead of copies=2 for"
            " erasure coding; more classes behind a `;`"
        ),
        meaning="where the bytes of a class lie, if not where they do by default",
    ),
    "infrequent-after": _interval("INFREQUENT"),
    "archive-instant-after": _interval("ARCHIVE_INSTANT"),
    "retrieval-delay-expedited": _delay("Expedited"),
    "retrieval-delay-standard": _delay("Standard"),
    "retrieval-delay-bulk": _delay("Bulk"),
    "encryption": _Setting(
        parse=_parse_encryption,
        show=_show_encryption,
        accepts="the document of `aws s3api put-bucket-encryption`, as JSON",
        meaning="how what is written from now on is encrypted (see `bucket encryption`)",
    ),
    "kms": _Setting(
        parse=_parse_kms,
        show=_show_kms,
        accepts="off, aws, or the http(s):// address of a service that speaks AWS KMS",
        meaning="who has the keys of aws:kms: off = the store's own ring",
    ),
    "kms-region": _Setting(
        parse=_parse_kms,
        show=_show_kms,
        accepts="a region of AWS, or off: as the environment says",
        meaning="the region of the KMS",
    ),
    "key-cache": _Setting(
        parse=parse_duration,
        show=format_duration,
        accepts="a duration from 1s to 1d",
        meaning="how long a data key is used before the KMS is asked again",
    ),
    "remotes": _Setting(
        parse=_parse_remotes,
        show=_show_remotes,
        accepts="west=/mnt/west/store; more behind a `;`, with ?key-file= or ?passphrase-file=",
        meaning="stores that replication may have as destinations, by the names of its document",
    ),
    "prices": _Setting(
        parse=_parse_prices,
        show=_show_prices,
        accepts="currency=EUR as-of=2026-11 STANDARD=0.021 … (a GB for a month)",
        meaning="what storage costs, for `lifecycle plan`; the rest as S3's list of us-east-1",
    ),
    "lifecycle-rate": _Setting(
        parse=_parse_rate,
        show=str,
        accepts="a number from 1 to 1000000",
        meaning="how many keys a second the daily run of lifecycle looks at",
    ),
    "background-rate": _Setting(
        parse=parse_size,
        show=format_size,
        accepts="a size from 1MiB to 64GiB",
        meaning="bytes a second that may move between classes, and out of packs, by themselves",
    ),
}
