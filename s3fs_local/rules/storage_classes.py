"""Storage classes: S3's names, what may become what, and where the bytes of each class lie.

A class is a name for a *placement*: how many copies (or shares, `erasure.py`), in zones of which
kind, compressed how. Blocks lie in packs of one placement each. INTELLIGENT_TIERING has no
placement of its own: its tiers use those of the classes they are like. A block that several
versions share lies where all of them are served: readable as fast as the hottest needs, in as many
copies as the most careful one.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Final

from msgspec import Meta, Struct

from s3fs_local.errors import InvalidArgument
from s3fs_local.rules.erasure import Coding, parse_coding
from s3fs_local.rules.placement import EVERYWHERE, Home, Homes, choose


class StorageClass(StrEnum):
    """S3's classes, in S3's words."""

    STANDARD = "STANDARD"
    INTELLIGENT_TIERING = "INTELLIGENT_TIERING"
    STANDARD_IA = "STANDARD_IA"
    ONEZONE_IA = "ONEZONE_IA"
    GLACIER_IR = "GLACIER_IR"
    GLACIER = "GLACIER"
    DEEP_ARCHIVE = "DEEP_ARCHIVE"


class Tier(StrEnum):
    """The access tiers of INTELLIGENT_TIERING; NONE for versions of every other class.

    S3's two optional archive tiers are not offered: the class is readable at once here.
    """

    NONE = ""
    FREQUENT = "FREQUENT"
    INFREQUENT = "INFREQUENT"
    ARCHIVE_INSTANT = "ARCHIVE_INSTANT"


class ZoneKind(StrEnum):
    """What a zone is for; a zone is hot unless somebody says otherwise."""

    HOT = "hot"
    COLD = "cold"
    ARCHIVE = "archive"


EVERY_ZONE: Final = 0
"""As a number of copies: one in every zone of the first kind that the store has."""
ZSTD_LEVEL_MAX: Final = 19
COPIES_MAX: Final = 16
TIERED_BYTES_MIN: Final = 131_072
"""Smaller versions are not watched and stay FREQUENT (S3: 128 KB)."""
ARCHIVE_CLASSES: Final = frozenset({StorageClass.GLACIER, StorageClass.DEEP_ARCHIVE})
"""Readable only after a restore; every other class is readable at once."""


class Placement(Struct, frozen=True):
    """Where the blocks of a class lie, and in which form."""

    copies: Annotated[int, Meta(ge=0, le=COPIES_MAX)]
    kinds: tuple[ZoneKind, ...]  # of zones, the best first; zones of other kinds only fill up
    zstd_level: Annotated[int, Meta(ge=0, le=ZSTD_LEVEL_MAX)]  # 0 = as it was written
    coding: Coding | None = None  # of packs that no longer grow; until then there are copies

    def disk_factor(self, zones: Sequence[str]) -> float:
        """How many bytes lie in zones of these kinds, all together, for each one."""
        if self.coding is not None and self.coding.shares <= len(zones):
            return self.coding.shares / self.coding.data
        homes = choose([Home(kind) for kind in zones], Homes(self.copies, self.kinds))
        return float(len(homes))


Placements = Mapping[str, Placement]
"""By the name of the class; see `DEFAULT_PLACEMENTS`."""

_HOT, _COLD, _ARCHIVE = ZoneKind.HOT, ZoneKind.COLD, ZoneKind.ARCHIVE

DEFAULT_PLACEMENTS: Final[Placements] = {
    "STANDARD": Placement(EVERY_ZONE, (_HOT,), 0),
    "STANDARD_IA": Placement(3, (_COLD, _HOT), 3),
    "ONEZONE_IA": Placement(1, (_COLD, _HOT), 3),
    "GLACIER_IR": Placement(3, (_COLD, _HOT), 9),
    "GLACIER": Placement(3, (_ARCHIVE, _COLD, _HOT), 12),
    "DEEP_ARCHIVE": Placement(3, (_ARCHIVE, _COLD, _HOT), 15),
}
"""The hottest first. Each class is cheaper than the ones above it."""
_RANK: Final = {name: rank for rank, name in enumerate(DEFAULT_PLACEMENTS)}
_PLACEMENT_OF_TIER: Final = {
    Tier.NONE: "STANDARD",  # not watched yet
    Tier.FREQUENT: "STANDARD",
    Tier.INFREQUENT: "STANDARD_IA",
    Tier.ARCHIVE_INSTANT: "GLACIER_IR",
}

# S3 User Guide, "Transitioning objects using Amazon S3 Lifecycle": the waterfall.
_C = StorageClass
_WATERFALL: Final[dict[StorageClass, frozenset[StorageClass]]] = {
    _C.STANDARD: frozenset(_C) - {_C.STANDARD},
    _C.STANDARD_IA: frozenset(_C) - {_C.STANDARD, _C.STANDARD_IA},
    _C.INTELLIGENT_TIERING: frozenset({_C.ONEZONE_IA, _C.GLACIER_IR, _C.GLACIER, _C.DEEP_ARCHIVE}),
    _C.ONEZONE_IA: ARCHIVE_CLASSES,
    _C.GLACIER_IR: ARCHIVE_CLASSES,
    _C.GLACIER: frozenset({_C.DEEP_ARCHIVE}),
    _C.DEEP_ARCHIVE: frozenset(),
}

_OVERRIDE: Final = re.compile(
    r"(?P<name>[A-Z_]+):(copies=(?P<copies>every|[0-9]{1,2})|shares=(?P<shares>[0-9+]{1,5}))"
    r",zones=(?P<kinds>[a-z+]+),zstd=(?P<level>[0-9]{1,2})"
)


def parse_class(text: str) -> StorageClass:
    """The class of that name, exactly as S3 spells it.

    Raises:
        InvalidArgument: there is no such class (S3: InvalidStorageClass).
    """
    try:
        return StorageClass(text)
    except ValueError:
        known = ", ".join(StorageClass)
        raise InvalidArgument(
            f"InvalidStorageClass: {text[:40]!r} is no storage class; there are: {known}"
        ) from None


def needs_restore(storage_class: str) -> bool:
    """Whether versions of the class are read only after a restore."""
    return storage_class in ARCHIVE_CLASSES


def may_transition(present: str, wanted: str, *, tier: Tier = Tier.NONE) -> bool:
    """Whether S3 Lifecycle moves a version from one class to the other: only down the waterfall.

    Args:
        present: the class that the version has.
        wanted: the class that a rule names.
        tier: where an INTELLIGENT_TIERING version lies now.
    """
    if tier is Tier.ARCHIVE_INSTANT and wanted == StorageClass.ONEZONE_IA:
        return False
    return wanted in _WATERFALL.get(StorageClass(present), frozenset())


def initial_tier(storage_class: str) -> Tier:
    """The tier of a version that gets the class now (S3: FREQUENT, after every write and move)."""
    return Tier.FREQUENT if storage_class == StorageClass.INTELLIGENT_TIERING else Tier.NONE


def placement_of(storage_class: str, *, tier: Tier = Tier.NONE, is_restored: bool = False) -> str:
    """The name of the placement where the version's own blocks belong.

    A restored copy of an archived version is a STANDARD one (S3).
    """
    if is_restored:
        return StorageClass.STANDARD.value
    if storage_class == StorageClass.INTELLIGENT_TIERING:
        return _PLACEMENT_OF_TIER[tier]
    return StorageClass(storage_class).value


def shared_placement(needs: Iterable[str], placements: Placements = DEFAULT_PLACEMENTS) -> str:
    """Where a block lies that versions with these needs share: as cold as serves all of them."""
    named = set(needs)
    hottest = min(_RANK[name] for name in named)
    copies = max(_careful(placements[name].copies) for name in named)
    fitting = [
        name
        for name, rank in _RANK.items()
        if rank <= hottest and _careful(placements[name].copies) >= copies
    ]
    return fitting[-1] if fitting else StorageClass.STANDARD.value


def _careful(copies: int) -> int:
    return 3 if copies == EVERY_ZONE else min(copies, 3)


def parse_placements(text: str) -> dict[str, Placement]:
    """What a person typed to override the defaults; an empty text overrides nothing.

    One class after the other, `;` between them: `GLACIER:copies=2,zones=archive+cold,zstd=12`, or
    `GLACIER:shares=2+1,zones=archive+cold+hot,zstd=12`.

    Raises:
        InvalidArgument: malformed, an unknown class or kind of zone, or a number out of range.
    """
    placements: dict[str, Placement] = {}
    for part in filter(None, text.replace(" ", "").split(";")):
        match = _OVERRIDE.fullmatch(part)
        if match is None or match["name"] not in DEFAULT_PLACEMENTS:
            known = ", ".join(DEFAULT_PLACEMENTS)
            raise InvalidArgument(
                f"{part[:80]!r} is no placement; write GLACIER:copies=2,zones=archive+cold,zstd=12"
                " (copies: a number or every, or shares=2+1; zones: hot, cold, archive), for one of"
                f" {known}"
            )
        coding = _coding(match["name"], match["shares"])
        placements[match["name"]] = Placement(
            copies=(
                _number(match["copies"].replace("every", "0"), COPIES_MAX)
                if coding is None
                else coding.copies_before
            ),
            kinds=tuple(map(_kind, match["kinds"].split("+"))),
            zstd_level=_number(match["level"], ZSTD_LEVEL_MAX),
            coding=coding,
        )
    return placements


def format_placements(placements: Placements) -> str:
    """As `parse_placements` takes it."""
    return ";".join(
        f"{name}:{_how_many(p)},zones={'+'.join(p.kinds)},zstd={p.zstd_level}"
        for name, p in placements.items()
    )


def _how_many(placement: Placement) -> str:
    if placement.coding is not None:
        return f"shares={placement.coding}"
    return f"copies={placement.copies or 'every'}"


def _coding(name: str, text: str | None) -> Coding | None:
    if text is None:
        return None
    if name == StorageClass.STANDARD:
        raise InvalidArgument("STANDARD is where files are written: it has copies, not shares")
    return parse_coding(text)


def check_zones_suffice(placements: Placements, zones: int) -> None:
    """Every class finds a zone for each of its shares.

    Raises:
        InvalidArgument: one does not; says what would do.
    """
    for name, placement in placements.items():
        coding = placement.coding
        if coding is not None and coding.shares > zones:
            raise InvalidArgument(
                f"{name}:shares={coding} needs {coding.shares} zones, one for each share, and there"
                f" are {zones}: add zones, or choose fewer shares or copies"
            )


def with_defaults(overrides: Placements) -> Placements:
    """Every placement: as overridden, else as it comes."""
    return {**DEFAULT_PLACEMENTS, **overrides}


def homes_of(overrides: Placements, placement: str) -> Homes:
    """Where the packs of a placement belong; those of none that is known belong everywhere."""
    wanted = with_defaults(overrides).get(placement)
    return EVERYWHERE if wanted is None else Homes(wanted.copies, wanted.kinds)


def _number(text: str, highest: int) -> int:
    number = int(text)
    if number > highest:
        raise InvalidArgument(f"{number} is too much: at most {highest}")
    return number


def _kind(text: str) -> ZoneKind:
    try:
        return ZoneKind(text)
    except ValueError:
        raise InvalidArgument(f"{text[:40]!r} is no kind of zone: hot, cold, archive") from None
