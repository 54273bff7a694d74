"""What differs from the ledger."""

from msgspec import Struct


class DiscrepancyRow(Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """One thing that is not as the ledger says."""

    kind: str  # of engine.discrepancies.Kind
    sentence: str
    key: str | None = None
    version_id: str | None = None
    time: str | None = None
    zone: str | None = None


class LedgerHeadRow(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The end of the ledger, signed: whoever keeps it can prove later what was before it."""

    store_id: str
    record: int
    time: str
    digest: str
    signature: str
    public_key: str


class Verification(Struct, frozen=True, kw_only=True, rename="pascal"):
    """What `verify` looked at and found."""

    intact: bool
    records: int  # of the ledger
    facts: int  # rows of the database
    versions: int  # whose bytes were read
    bytes: int  # of these, in all zones
    zones_left_out: list[str]  # known to lack something, so not read
    discrepancy_count: int
    discrepancies: list[DiscrepancyRow]  # the first thousand
    head: LedgerHeadRow
