"""The ledger as the engine keeps it: every batch of changes, and notes of who did what.

What Durability hands to the journal is handed here too, as the same bytes. When the facts settle
(see `durability`), all that came since makes one record: compressed, chained to the one before it,
signed, synced. So an operation costs the ledger no I/O, and nothing that was acknowledged is ever
missing: until a record is there the journal holds its batches, and a mount hands them over again.

The metadata engine remembers the last head. A ledger that was cut shorter is so found at the next
mount, and `verification` compares the whole of it with the facts.
"""

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import msgspec
import zstandard
from msgspec import Struct

from s3fs_local.engine.draft_records import FLOOR_SETTING, ChangeBatch
from s3fs_local.errors import JournalDamaged
from s3fs_local.metadata.changes import Change, PutSetting
from s3fs_local.metadata.interface import Metadata
from s3fs_local.packs.ledger import Ledger, LedgerHead, LedgerRecord
from s3fs_local.rules.compliance_clock import ClockState
from s3fs_local.rules.ledger_notes import LedgerDamaged, Note

log = logging.getLogger(__name__)

HEAD_SETTING: Final = "fact.ledger-head"
"""The last record, as the metadata engine knows it. Not in the journal, nor in the ledger."""
OF_THIS_DATABASE: Final = frozenset({FLOOR_SETTING, HEAD_SETTING})
"""Settings that say how far the metadata engine is, and nothing about the data."""
CLOCK_INTERVAL_NS: Final = 3_600 * 10**9
"""How often the clock is in the ledger at least: so much measured time a crash and a boot cost."""
BODY_BYTES_MAX: Final = 1 << 30
"""Of a body as it is before compression. A settle is due long before: see `durability`."""
_LEVEL: Final = 1
"""Of zstd. Others wait meanwhile: level 3 takes twice as long, and saves a twentieth."""
_CLOCK: Final = msgspec.msgpack.Decoder(ClockState)
_BATCHES: Final = msgspec.msgpack.Decoder(list[ChangeBatch])
_ARRAY_32: Final = b"\xdd"
_encode: Final = msgspec.msgpack.Encoder().encode


class LedgerOpening(Struct, frozen=True):
    """What opening the ledger found."""

    last: LedgerRecord | None
    covered: int  # journal position up to which it has everything
    findings: list[str]  # empty where it is as it was left


def encode_body(batches: Sequence[bytes]) -> bytes:
    """The body of a record: encoded `ChangeBatch`es, compressed together."""
    plain = _ARRAY_32 + len(batches).to_bytes(4, "big") + b"".join(batches)
    assert len(plain) <= BODY_BYTES_MAX, "a record that nobody would read"
    return zstandard.ZstdCompressor(level=_LEVEL).compress(plain)


def decode_body(body: bytes) -> list[ChangeBatch]:
    """The batches in a record, in order.

    Raises:
        JournalDamaged: it makes no sense.
    """
    try:
        if not 0 <= zstandard.frame_content_size(body) <= BODY_BYTES_MAX:
            raise JournalDamaged("a record of the ledger is longer than any that was written")
        return _BATCHES.decode(zstandard.ZstdDecompressor().decompress(body))
    except (msgspec.MsgspecError, UnicodeError, zstandard.ZstdError) as error:
        raise JournalDamaged(f"a record of the ledger cannot be read: {error}") from error


def decode_clock(encoded: bytes) -> ClockState | None:
    """The clock at a record; None where it had none that could be kept."""
    try:
        return _CLOCK.decode(encoded) if encoded else None
    except (msgspec.MsgspecError, UnicodeError):
        return None


def belongs_to_ledger(batch: ChangeBatch) -> bool:
    """Whether the batch says anything about the data."""
    return bool(batch.notes) or not all(map(is_of_this_database, batch.changes))


def is_of_this_database(change: Change) -> bool:
    """Whether the change says only how far the metadata engine is."""
    return isinstance(change, PutSetting) and change.name in OF_THIS_DATABASE


def known_head(metadata: Metadata) -> LedgerHead:
    """The head that the metadata engine knows; number 0 if none.

    A value that makes no sense counts as none: the ledger itself is the truth.
    """
    text = metadata.setting(HEAD_SETTING)
    try:
        value = json.loads(text or "{}")
        return LedgerHead(int(value["number"]), bytes.fromhex(value["digest"]))
    except (ValueError, KeyError, TypeError):
        return LedgerHead()


def open_ledger(ledger: Ledger, metadata: Metadata) -> LedgerOpening:
    """The ledger goes on behind its last record, or behind what the facts know of it.

    Raises:
        ZoneUnavailable: no zone answers.
    """
    known = known_head(metadata)
    try:
        last = ledger.open()
    except JournalDamaged as error:
        ledger.continue_from(known)
        finding = f"the end of the ledger cannot be read: {error}"
        return LedgerOpening(None, metadata.position(), [finding])
    found = ledger.head
    if found.number < known.number or (found.number == known.number and found != known):
        ledger.continue_from(known)
        if found.number == known.number or last is None:
            finding = f"record {known.number} of the ledger is not the one that was written"
            return LedgerOpening(last, metadata.position(), [finding])
        finding = f"the ledger ends at record {found.number}, but {known.number} were written"
        return LedgerOpening(last, last.journal_position, [finding])
    if last is None:
        is_new = not metadata.counters().stamp_ns
        finding = "the ledger is missing, although the store was used before"
        return LedgerOpening(None, metadata.position(), [] if is_new else [finding])
    return LedgerOpening(last, last.journal_position, [])


class LedgerKeeper:
    """Collects what happened, and writes it to the ledger when the facts settle."""

    def __init__(self, ledger: Ledger, opening: LedgerOpening) -> None:
        self._ledger: Final = ledger
        self._pending: list[bytes] = []
        self.findings: Final = opening.findings
        self.now_ns: Callable[[], int] = lambda: 0
        self.clock_state: Callable[[], ClockState | None] = lambda: None
        last = opening.last
        self.last_ns = last.at_ns if last is not None else 0
        self.last_clock: Final = None if last is None else decode_clock(last.clock)
        self.covered: Final = opening.covered

    @property
    def is_due(self) -> bool:
        """Whether something happened that the ledger does not have yet, or its clock is old."""
        return bool(self._pending) or self.now_ns() - self.last_ns >= CLOCK_INTERVAL_NS

    @property
    def head(self) -> LedgerHead:
        """The last record written."""
        return self._ledger.head

    @property
    def ledger(self) -> Ledger:
        """What was written."""
        return self._ledger

    def add(self, batch: bytes) -> None:
        """The encoded batch is in the next record."""
        self._pending.append(batch)

    def note_findings(self) -> list[Note]:
        """What is to be said of how the ledger was found."""
        return [LedgerDamaged(self.now_ns(), finding) for finding in self.findings]

    def write(self, journal_position: int) -> list[PutSetting]:
        """What happened since the last record is in the ledger, durably. Blocks.

        The journal holds it all up to the position, durably. Returns what the metadata engine is to
        remember.

        Raises:
            StoreFull: no room in a zone; the next call tries again.
            ZoneUnavailable: a zone failed.
        """
        if not self.is_due:
            self._ledger.sync()
            return []
        state = self.clock_state()
        head = self._ledger.append(
            at_ns=self.now_ns(),
            journal_position=journal_position,
            clock=b"" if state is None else _encode(state),
            body=encode_body(self._pending),
        )
        self._pending.clear()
        self.last_ns = self.now_ns()
        self._ledger.sync()
        value = json.dumps({"number": head.number, "digest": head.digest.hex()})
        return [PutSetting(HEAD_SETTING, value)]


class LedgerEntry(Struct, frozen=True):
    """One record for those who follow the ledger, with the position to go on from."""

    position: int
    number: int
    at_ns: int
    digest: bytes
    batches: list[ChangeBatch]


def entries(ledger: Ledger, after: int = 0) -> Iterator[LedgerEntry]:
    """Everything that happened after the position, in order, as far as it is settled.

    Raises:
        JournalDamaged: records are missing or damaged in every zone.
    """
    for position, signed in ledger.records(after):
        record = signed.record
        yield LedgerEntry(
            position, record.number, record.at_ns, signed.digest, decode_body(record.body)
        )
