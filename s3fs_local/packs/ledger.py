"""The ledger: hash-chained, signed records of everything that happened, in every zone, for ever.

A record holds the digest of the one before it, so whoever knows the digest of one knows that
nothing before it was altered; and each is signed, so each is a head. The stream is kept like the
journal's (sealed, in segments, in all zones), and nothing is ever trimmed. What a record's body
says is not known here.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
from blake3 import blake3
from msgspec import Struct

from s3fs_local.crypto.signing import SIGNATURE_BYTES, Signer, is_signed
from s3fs_local.errors import JournalDamaged
from s3fs_local.objects.interface import ObjectStore
from s3fs_local.objects.object_copy import ObjectCopy
from s3fs_local.objects.zone_set import ZoneSet
from s3fs_local.packs.journal import Journal
from s3fs_local.packs.segment_copies import numbers_of
from s3fs_local.system.randomness import Randomness

STREAM: Final = "ledger"
SEGMENT_BYTES_MAX: Final = 16 << 20  # opening reads the newest whole
FORMAT: Final = 1
ORIGIN: Final = bytes(32)
"""What the first record has for the digest of the one before it."""

_HEAD_CONTEXT: Final = b"s3fs_local ledger head 1"
_SEGMENT_SHIFT: Final = 32


class LedgerRecord(Struct, frozen=True, array_like=True):
    """One record, as it is chained."""

    format: int
    number: int  # from 1, without gaps
    before: bytes  # digest of the record before it
    at_ns: int  # when it was written, by the trusted clock
    journal_position: int  # everything in the journal up to here is in the ledger
    clock: bytes  # the reading of the compliance clock, as the engine encodes it
    body: bytes


class SignedRecord(Struct, frozen=True):
    """A record as read, with its digest (which is its head) and signature."""

    record: LedgerRecord
    digest: bytes
    signature: bytes


class LedgerHead(Struct, frozen=True):
    """How far the ledger goes; number 0: it has no record."""

    number: int = 0
    digest: bytes = ORIGIN


_encode: Final = msgspec.msgpack.Encoder().encode
_decoder: Final = msgspec.msgpack.Decoder(LedgerRecord)


def head_message(store_id: bytes, head: LedgerHead) -> bytes:
    """The bytes that are signed for a head."""
    return _HEAD_CONTEXT + store_id + head.number.to_bytes(8, "big") + head.digest


def decode_record(payload: bytes) -> SignedRecord | None:
    """The record in the payload; None where it is none of ours."""
    signature, encoded = payload[:SIGNATURE_BYTES], payload[SIGNATURE_BYTES:]
    try:
        record = _decoder.decode(encoded)
    except (msgspec.MsgspecError, UnicodeError):
        return None
    return SignedRecord(record, blake3(encoded).digest(), signature)


class Ledger:
    """The ledger of one store.

    Threads: those of its `Journal`. `open` comes first.
    """

    def __init__(
        self,
        zones: ZoneSet | Sequence[ObjectStore],
        *,
        key: bytes,
        signer: Signer,
        store_id: bytes,
        randomness: Randomness,
    ) -> None:
        """Over `zones`, one at least; every one holds every record."""
        self._zones = ZoneSet.of(zones)
        self._key = key
        self._signer = signer
        self._store_id = store_id
        self._randomness = randomness
        self._stream = self._new_stream(self._zones)
        self.head = LedgerHead()

    @property
    def store_id(self) -> bytes:
        """The store that signs."""
        return self._store_id

    @property
    def public_key(self) -> bytes:
        """Checks the signatures."""
        return self._signer.public_key

    @property
    def zones(self) -> ZoneSet:
        """Where the records lie."""
        return self._zones

    @property
    def key(self) -> bytes:
        """Opens the records."""
        return self._key

    def open(self) -> LedgerRecord | None:
        """The last record (None: there is none); appends are possible from then on.

        Raises:
            JournalDamaged: the newest records cannot be read; `continue_from` goes on regardless.
            ZoneUnavailable: no zone answers.
        """
        numbers = sorted(numbers_of(self._zones.list_anywhere(f"{STREAM}/"), STREAM))
        for number in [*numbers[::-1], 0]:
            payloads = [payload for _, payload in self._stream.replay(number << _SEGMENT_SHIFT)]
            if payloads:
                last = decode_record(payloads[-1])
                if last is None:
                    raise JournalDamaged("the last record of the ledger makes no sense")
                self.head = LedgerHead(last.record.number, last.digest)
                return last.record
        return None

    def continue_from(self, head: LedgerHead) -> None:
        """Appends go on behind whatever lies there; the next record follows `head`."""
        self._stream.skip()
        self.head = head

    def append(self, *, at_ns: int, journal_position: int, clock: bytes, body: bytes) -> LedgerHead:
        """One more record, in every zone; durable after `sync`. Raises as `Journal.append`."""
        record = LedgerRecord(
            format=FORMAT,
            number=self.head.number + 1,
            before=self.head.digest,
            at_ns=at_ns,
            journal_position=journal_position,
            clock=clock,
            body=body,
        )
        encoded = _encode(record)
        head = LedgerHead(record.number, blake3(encoded).digest())
        self._stream.append([self.sign(head) + encoded])
        self.head = head
        return head

    def rotate(self) -> None:
        """The next record goes to a new segment. Blocks. Raises as `Journal.rotate`."""
        self._stream.rotate()

    def sync(self) -> None:
        """Every record survives a power cut. Blocks. Raises as `Journal.sync`."""
        self._stream.sync()

    def sign(self, head: LedgerHead) -> bytes:
        """The store's word for the head."""
        return self._signer.sign(head_message(self._store_id, head))

    def is_signed(self, head: LedgerHead, signature: bytes) -> bool:
        """Whether this store gave its word for the head."""
        message = head_message(self._store_id, head)
        return is_signed(message, signature, public_key=self._signer.public_key)

    def records(self, after: int = 0) -> Iterator[tuple[int, SignedRecord]]:
        """The records after a position, each with its own position, in order.

        Positions are those of the stream and only grow: whoever follows the ledger keeps the last
        one. May be used beside appends; what comes later is for the next call.

        Raises:
            JournalDamaged: records are missing or damaged in every zone.
        """
        for position, payload in self._new_stream(self._zones).replay(after):
            signed = decode_record(payload)
            if signed is None:
                raise JournalDamaged("a record of the ledger makes no sense")
            yield position, signed

    def best_copy(self, name: str, copies: Sequence[ObjectCopy]) -> ObjectCopy | None:
        """See `Journal.best_copy`."""
        return self._stream.best_copy(name, copies)

    def is_blank(self, name: str, copies: Sequence[ObjectCopy]) -> bool:
        """See `Journal.is_blank`."""
        return self._stream.is_blank(name, copies)

    def close(self) -> None:
        """No segment is open any more; not a sync."""
        self._stream.close()

    def _new_stream(self, zones: ZoneSet) -> Journal:
        return Journal(
            zones,
            self._key,
            self._store_id,
            randomness=self._randomness,
            segment_bytes_max=SEGMENT_BYTES_MAX,
            stream=STREAM,
        )
