"""Where a store keeps its bytes, and what reading them all found."""

from msgspec import Struct


class ZoneRow(Struct, frozen=True, rename="pascal", omit_defaults=True):
    """One failure domain."""

    url: str
    state: str
    free_bytes: int | None = None
    total_bytes: int | None = None


class ZoneDescription(Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """One zone, in full."""

    url: str
    zone_id: str
    kind: str
    state: str
    reason: str = ""
    missing_bytes: int = 0  # what it has yet to be given, as far as that is known
    free_bytes: int = 0
    total_bytes: int = 0
    bytes: int = 0  # of the objects in it
    share_bytes: int = 0  # of these, in shares of packs


class ZoneListing(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The zones of a store, in the order in which reads prefer them."""

    zones: list[ZoneDescription]
    write_quorum: int  # the least number that must be well


class PieceRow(Struct, frozen=True, kw_only=True, rename="pascal"):
    """Something that was damaged in a zone."""

    zone: str
    name: str
    repaired: bool


class ScrubResult(Struct, frozen=True, kw_only=True, rename="pascal"):
    """What a scrub read, and found."""

    copies: int
    bytes: int
    damaged: list[PieceRow]
    metadata: list[str] = []  # what is wrong in the database, in its own words
