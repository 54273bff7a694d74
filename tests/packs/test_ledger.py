"""The ledger's records: chained, signed, in every zone, and never fewer than before."""

import pytest

from s3fs_local.crypto.signing import Signer
from s3fs_local.errors import JournalDamaged
from s3fs_local.objects.memory import MemoryObjects
from s3fs_local.objects.object_copy import PIECE_BYTES
from s3fs_local.packs.ledger import ORIGIN, STREAM, Ledger, LedgerHead, decode_record
from s3fs_local.packs.segment import HEAD_BYTES
from s3fs_local.packs.segment_copies import segment_name
from s3fs_local.packs.stream_audit import Found, Hole, audit
from s3fs_local.system.randomness import SeededRandomness

STORE_ID = b"store in a test."
KEY = bytes(range(32))
RANDOMNESS = SeededRandomness(1)  # one for all: no two segments may share a salt


def _ledger(*zones: MemoryObjects) -> Ledger:
    ledger = Ledger(
        zones, key=KEY, signer=Signer(bytes(32)), store_id=STORE_ID, randomness=RANDOMNESS
    )
    ledger.open()
    return ledger


def _append(ledger: Ledger, *bodies: bytes) -> LedgerHead:
    for body in bodies:
        ledger.append(at_ns=len(body), journal_position=7, clock=b"", body=body)
    ledger.sync()
    return ledger.head


def _bodies(ledger: Ledger, after: int = 0) -> list[bytes]:
    return [signed.record.body for _, signed in ledger.records(after)]


def test_records_follow_each_other_across_mounts() -> None:
    """The story: two mounts write, a third reads; each record names the one before it."""
    zone = MemoryObjects()
    _append(_ledger(zone), b"one", b"two")
    second = _ledger(zone)
    assert second.head.number == 2
    _append(second, b"three")
    found = [signed for _, signed in _ledger(zone).records()]

    assert [signed.record.body for signed in found] == [b"one", b"two", b"three"]
    assert [signed.record.number for signed in found] == [1, 2, 3]
    befores = [signed.record.before for signed in found]
    assert befores == [ORIGIN, found[0].digest, found[1].digest]


def test_whoever_follows_goes_on_from_a_position() -> None:
    """Replication reads what came since it last looked, and nothing twice."""
    ledger = _ledger(MemoryObjects())
    _append(ledger, b"one", b"two")
    position, _ = list(ledger.records())[-1]
    _append(ledger, b"three")

    assert _bodies(ledger, position) == [b"three"]


def test_a_head_is_signed_by_the_store_alone() -> None:
    """An exported head must prove itself, to whoever has only the public key."""
    ledger = _ledger(MemoryObjects())
    head = _append(ledger, b"one")
    (_, signed), *_ = ledger.records()

    assert ledger.is_signed(head, signed.signature)
    other = Ledger(
        [MemoryObjects()],
        key=KEY,
        signer=Signer(bytes([1]) * 32),
        store_id=STORE_ID,
        randomness=RANDOMNESS,
    )
    assert not other.is_signed(head, signed.signature)
    assert not ledger.is_signed(LedgerHead(2, head.digest), signed.signature)


def test_what_one_zone_lost_another_has() -> None:
    """Each zone holds the whole ledger."""
    zones = MemoryObjects(), MemoryObjects()
    _append(_ledger(*zones), b"one", b"two")
    zones[0].put(segment_name(1, STREAM), zones[0].read(segment_name(1, STREAM), 0, HEAD_BYTES))

    assert _bodies(_ledger(*zones)) == [b"one", b"two"]


def test_a_damaged_end_keeps_nobody_from_writing_on() -> None:
    """A store must stay usable; what is missing is for `verify` to tell, from the numbers."""
    zone = MemoryObjects()
    written = _ledger(zone)
    for body in (b"one", b"two", b"three"):
        head = _append(written, body)
    data = bytearray(zone.read(segment_name(1, STREAM), 0, 1 << 20))
    data[HEAD_BYTES + 20] ^= 1
    zone.put(segment_name(1, STREAM), bytes(data))
    ledger = Ledger(
        [zone], key=KEY, signer=Signer(bytes(32)), store_id=STORE_ID, randomness=RANDOMNESS
    )
    with pytest.raises(JournalDamaged):
        list(ledger.records())
    ledger.continue_from(head)

    assert _append(ledger, b"four").number == 4


def _audited(zone: MemoryObjects) -> list[Found | Hole]:
    return list(audit(zone, key=KEY, store_id=STORE_ID, stream=STREAM))


def test_an_audit_reads_past_damage() -> None:
    """One flipped bit must not hide the records behind it."""
    zone = MemoryObjects()
    _append(_ledger(zone), b"one", b"two", b"three")
    _append(_ledger(zone), b"four")
    whole = _audited(zone)
    second = whole[1]
    assert isinstance(second, Found)
    name = segment_name(1, STREAM)
    data = bytearray(zone.read(name, 0, 1 << 20))
    data[second.offset + 30] ^= 1
    zone.put(name, bytes(data))

    assert _audited(zone) == [whole[0], Hole(1, second.offset), *whole[2:]]


class _CountingObjects(MemoryObjects):
    """Knows how much was read at once."""

    most = 0

    def read(self, name: str, offset: int, length: int) -> bytes:
        """As every zone."""
        data = super().read(name, offset, length)
        self.most = max(self.most, len(data))
        return data


def test_an_audit_holds_a_piece_of_a_segment() -> None:
    """Records over the edge of a piece, longer than one and behind damage are found all the same.

    A verification held all of a segment for each zone: 80 MiB for five.
    """
    zone = _CountingObjects()
    bodies = [bytes([number]) * (PIECE_BYTES * 3 // 8) for number in range(8)]
    bodies.insert(5, b"long" * (PIECE_BYTES // 2))
    _append(_ledger(zone), *bodies)
    longest = max(map(len, bodies)) + 1000

    whole = _audited(zone)

    assert PIECE_BYTES <= zone.most <= longest < zone.length(segment_name(1, STREAM)) / 2
    records = [decode_record(item.payload) for item in whole if isinstance(item, Found)]
    assert [signed.record.body for signed in records if signed] == bodies
    second = whole[1]
    assert isinstance(second, Found)
    name = segment_name(1, STREAM)
    data = bytearray(zone.read(name, 0, zone.length(name)))
    data[second.offset] ^= 1  # its length is not told any more
    zone.put(name, bytes(data))
    assert _audited(zone) == [whole[0], Hole(1, second.offset), *whole[2:]]


def test_processes_that_died_as_they_began_a_segment_have_lost_nothing() -> None:
    """Each leaves one without a whole head. To call one lost is to say that somebody took it."""
    zone = MemoryObjects()
    _append(_ledger(zone), b"one")
    whole = _audited(zone)
    for number, left in ((2, b""), (3, b"S3FS")):
        zone.put(segment_name(number, STREAM), left)

    begun = [Hole(2, 0, is_tail=True), Hole(3, 0, is_tail=True)]
    assert _audited(zone) == [*whole, *begun]
    _append(_ledger(zone), b"two")
    assert [type(item) for item in _audited(zone)] == [Found, Found]


def test_an_audit_tells_a_cut_from_a_torn_end() -> None:
    """A power cut may tear the newest end; a segment that was followed by another was whole."""
    zone = MemoryObjects()
    _append(_ledger(zone), b"one", b"two")
    _append(_ledger(zone), b"three", b"four")
    first, second, third, fourth = _audited(zone)
    assert isinstance(second, Found)
    assert isinstance(fourth, Found)
    old = zone.read(segment_name(1, STREAM), 0, 1 << 20)
    new = zone.read(segment_name(2, STREAM), 0, 1 << 20)
    zone.put(segment_name(2, STREAM), new[:-1])
    assert _audited(zone) == [first, second, third, Hole(2, fourth.offset, is_tail=True)]
    zone.put(segment_name(1, STREAM), old[: second.offset])

    assert _audited(zone)[:2] == [first, Hole(1, second.offset)]
    zone.delete(segment_name(1, STREAM))
    assert _audited(zone)[0] == Hole(1, 0)
