"""The keys of a store."""

from msgspec import Struct


class KeyVersionRow(Struct, frozen=True, kw_only=True, rename="pascal"):
    """One version of a key."""

    version: int
    state: str
    data_keys: int  # that it wraps


class KeyRow(Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """One key that wraps data keys."""

    name: str
    source: str  # "ring" or "kms"
    wraps_new: bool  # whether it wraps the keys of what is written now
    data_keys: int
    versions: list[KeyVersionRow] = []  # of the ring; a KMS has its own


class KeyListing(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The keys of a store."""

    opened_by: list[str]  # kinds of secrets that open the ring
    generation: int  # of the ring: counted up with each change
    keys: list[KeyRow]


class KeyChange(Struct, frozen=True, kw_only=True, rename="pascal"):
    """A version of a key, as it is now."""

    name: str
    version: int
    state: str


class Rewrapping(Struct, frozen=True, kw_only=True, rename="pascal"):
    """What a rewrap did, or (dry run) would do."""

    rewrapped: int
    already_new: int
    left: int  # because what wraps them is disabled
    destroyed: list[KeyChange]
    dry_run: bool
