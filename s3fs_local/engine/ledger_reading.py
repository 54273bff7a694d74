"""The ledger of all zones, read record by record with every doubt about each.

Zones hold the same records. Of those that differ the one counts that follows the record before it;
what is missing or damaged in one zone is read from another, and told.
"""

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from s3fs_local.engine.discrepancies import Discrepancies, Discrepancy, Kind
from s3fs_local.objects.interface import ObjectStore
from s3fs_local.objects.zone import Zone
from s3fs_local.objects.zone_set import ZoneSet
from s3fs_local.packs.ledger import (
    ORIGIN,
    STREAM,
    Ledger,
    LedgerHead,
    SignedRecord,
    decode_record,
)
from s3fs_local.packs.stream_audit import Found, Hole, audit
from s3fs_local.rules.instants import format_rfc3339


class SignedHead(Struct, frozen=True):
    """A head that was exported, with the store's word for it."""

    store_id: bytes
    head: LedgerHead
    at_ns: int
    signature: bytes


class NamedZone(Struct, frozen=True):
    """A zone that is read."""

    name: str
    store: ObjectStore


def zones_to_read(zones: ZoneSet) -> list[NamedZone]:
    """Those that are well; of another it is known that it lacks something."""
    return [
        NamedZone(_name_of(zone, place), zone.store)
        for place, zone in enumerate(zones.zones, start=1)
        if zone.is_well and zone.store is not None
    ]


def zones_left_out(zones: ZoneSet) -> list[str]:
    """The others, by name."""
    return [
        _name_of(zone, place)
        for place, zone in enumerate(zones.zones, start=1)
        if not zone.is_well or zone.store is None
    ]


def _name_of(zone: Zone, place: int) -> str:
    return f"zone {zone.url or place}"


class _ZoneRecords:
    """The records of one zone; `next` is the one to look at, None at the end."""

    def __init__(self, name: str, stream: Iterator[Found | Hole], found: Discrepancies) -> None:
        self.name: Final = name
        self._stream = stream
        self._found = found
        self._last_number = 0
        self._last_ns = 0
        self._missing = 0
        self.next: SignedRecord | None = None
        self.advance()

    def advance(self) -> None:
        """The following record is the next."""
        self.next = None
        for item in self._stream:
            if isinstance(item, Hole):
                self._tell_hole(item)
                continue
            signed = decode_record(item.payload)
            if signed is None or signed.record.number <= self._last_number:
                self._tell(f"segment {item.segment} has a record at {item.offset} out of its order")
                continue
            self.next = signed
            self._last_number, self._last_ns = signed.record.number, signed.record.at_ns
            return

    def lacks(self, number: int, at_ns: int) -> None:
        """Another zone has this record."""
        self._missing += 1
        if self._missing == 1:
            self._tell(f"it lacks record {number}", at_ns)

    def _tell_hole(self, hole: Hole) -> None:
        # A torn end loses nothing that the numbers would not tell.
        if not hole.is_tail:
            where = f"segment {hole.segment}"
            self._tell(
                f"{where} is damaged at {hole.offset}" if hole.offset else f"{where} is lost"
            )

    def _tell(self, sentence: str, at_ns: int = 0) -> None:
        self._found.add(
            Discrepancy(
                Kind.RECORD,
                f"the ledger in {self.name}: {sentence}, after the record of "
                f"{format_rfc3339(self._last_ns)}",
                at_ns=at_ns or self._last_ns,
                zone=self.name,
            )
        )


def read_records(
    ledger: Ledger, until: LedgerHead, signed: SignedHead | None, found: Discrepancies
) -> Iterator[SignedRecord]:
    """The records up to `until`, each once; what is wrong with them is in `found`."""
    zones = [
        _ZoneRecords(
            zone.name,
            audit(zone.store, key=ledger.key, store_id=ledger.store_id, stream=STREAM),
            found,
        )
        for zone in zones_to_read(ledger.zones)
    ]
    number, before, at_ns = 1, ORIGIN, 0
    while number <= until.number:
        candidates = [zone for zone in zones if zone.next and zone.next.record.number == number]
        if not candidates:
            following = min((z.next.record.number for z in zones if z.next), default=number + 1)
            following = min(max(following, number + 1), until.number + 1)
            later = [z.next.record.at_ns for z in zones if z.next]
            _tell_missing(found, (number, following - 1), at_ns, min(later, default=0))
            number, before = following, b""
            continue
        record = _choose(candidates, before, found, ledger)
        for zone in zones:
            if zone not in candidates:
                zone.lacks(number, record.record.at_ns)
        for zone in candidates:
            zone.advance()
        _check_signed_head(signed, record, found)
        yield record
        number, before, at_ns = number + 1, record.digest, record.record.at_ns
    if before and before != until.digest:
        _tell(found, f"record {until.number} is not the one that was written", at_ns)
    for zone in zones:
        if zone.next is not None:
            _tell(
                found, f"{zone.name} has records after the last that was written", at_ns, zone.name
            )
    _check_reached(signed, until, at_ns, found)


def _choose(
    zones: list[_ZoneRecords], before: bytes, found: Discrepancies, ledger: Ledger
) -> SignedRecord:
    records = [zone.next for zone in zones if zone.next is not None]
    following = [signed for signed in records if signed.record.before == before]
    chosen = (following or records)[0]
    number, at_ns = chosen.record.number, chosen.record.at_ns
    if before and not following:
        sentence = f"record {number} does not follow record {number - 1}: one of them was altered"
        _tell(found, sentence, at_ns)
    for zone, signed in zip(zones, records, strict=True):
        if signed.digest != chosen.digest:
            _tell(found, f"{zone.name} has another record {number}", at_ns, zone.name)
    if not ledger.is_signed(LedgerHead(number, chosen.digest), chosen.signature):
        _tell(found, f"record {number} is not signed by this store", at_ns)
    return chosen


def _tell_missing(
    found: Discrepancies, which: tuple[int, int], after_ns: int, before_ns: int
) -> None:
    first, last = which
    what = f"record {first} is" if first == last else f"records {first} to {last} are"
    after = f"after the record of {format_rfc3339(after_ns)}" if after_ns else "at its beginning"
    before = f", before that of {format_rfc3339(before_ns)}" if before_ns else ""
    _tell(found, f"{what} missing in every zone, {after}{before}", after_ns or before_ns)


def _check_signed_head(
    signed: SignedHead | None, record: SignedRecord, found: Discrepancies
) -> None:
    if signed is None or signed.head.number != record.record.number:
        return
    if signed.head.digest != record.digest:
        sentence = (
            f"record {signed.head.number} is not the one that was signed on "
            f"{format_rfc3339(signed.at_ns)}: what happened until then was rewritten"
        )
        found.add(Discrepancy(Kind.HEAD, sentence, at_ns=signed.at_ns))


def _check_reached(
    signed: SignedHead | None, until: LedgerHead, at_ns: int, found: Discrepancies
) -> None:
    if signed is not None and signed.head.number > until.number:
        sentence = (
            f"the ledger ends with record {until.number} of {format_rfc3339(at_ns)}, but record "
            f"{signed.head.number} was signed on {format_rfc3339(signed.at_ns)}: it was cut, or an"
            " older copy of the store was put back"
        )
        found.add(Discrepancy(Kind.HEAD, sentence, at_ns=signed.at_ns))


def check_head_is_ours(ledger: Ledger, signed: SignedHead, found: Discrepancies) -> None:
    """The exported head is of this store and bears its signature."""
    if signed.store_id != ledger.store_id:
        found.add(Discrepancy(Kind.HEAD, "the head given is that of another store"))
    elif not ledger.is_signed(signed.head, signed.signature):
        found.add(
            Discrepancy(
                Kind.HEAD,
                "the head given is not signed by this store: it was altered, or the keys exchanged",
                at_ns=signed.at_ns,
            )
        )


def _tell(found: Discrepancies, sentence: str, at_ns: int, zone: str = "") -> None:
    found.add(Discrepancy(Kind.RECORD, f"the ledger: {sentence}", at_ns=at_ns, zone=zone))
