"""What was synced is replayed, whatever happened to the rest."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3fs_local.errors import (
    FormatTooNew,
    JournalDamaged,
    S3fsLocalError,
    StoreFull,
    TooFewZones,
    ZoneUnavailable,
)
from s3fs_local.objects.failing import FailingObjects
from s3fs_local.objects.local_directory import LocalDirectory
from s3fs_local.objects.object_copy import ObjectCopy
from s3fs_local.objects.zone_set import ZoneSet
from s3fs_local.packs.journal import Journal
from s3fs_local.packs.segment import HEAD_BYTES, OVERHEAD_BYTES
from s3fs_local.packs.segment_copies import segment_name
from s3fs_local.system.randomness import SeededRandomness
from tests.packs.several_zones import failing_zones, strict

KEY = bytes(range(32))
STORE_ID = bytes(range(16))
ONE, TWO, THREE = b"record one", b"record two!", b"record three"


def _open(
    zones: list[FailingObjects] | ZoneSet, after: int = 0, limit: int = 1 << 20
) -> tuple[Journal, list[bytes]]:
    journal = Journal(zones, KEY, STORE_ID, randomness=SeededRandomness(1), segment_bytes_max=limit)
    return journal, [payload for _, payload in journal.replay(after)]


def _replayed(zones: list[FailingObjects], after: int = 0) -> list[bytes]:
    return _open(zones, after)[1]


def _change(zone: FailingObjects, number: int, change: Callable[[bytes], bytes]) -> None:
    name = segment_name(number)
    zone.put(name, change(zone.read(name, 0, zone.length(name))))


def test_records_are_replayed_in_order_with_their_positions() -> None:
    """The story: three records, a restart, three records."""
    zones = failing_zones(1)
    journal, nothing = _open(zones)
    first = journal.append([ONE])
    third = journal.append([TWO, THREE])
    journal.sync()
    again = list(Journal(zones, KEY, STORE_ID).replay(0))

    assert nothing == []
    assert [payload for _, payload in again] == [ONE, TWO, THREE]
    assert [again[0][0], again[2][0]] == [first, third]
    assert first == 1 << 32 | HEAD_BYTES + OVERHEAD_BYTES + len(ONE)
    assert third == journal.position == journal.durable_position


def test_replay_begins_after_the_position_given() -> None:
    """Metadata has the rest already."""
    zones = failing_zones(1)
    journal, _ = _open(zones)
    first = journal.append([ONE])
    second = journal.append([TWO])
    journal.rotate()
    third = journal.append([THREE])

    assert _replayed(zones, first) == [TWO, THREE]
    assert _replayed(zones, second) == [THREE]
    assert _replayed(zones, third) == []


def test_an_opened_journal_begins_a_new_segment() -> None:
    """So the torn end of the old one never lies between two records."""
    zones = failing_zones(1)
    positions = []
    for payload in (ONE, TWO, THREE):
        journal, _ = _open(zones)
        positions.append(journal.append([payload]))
        journal.close()

    assert [position >> 32 for position in positions] == [1, 2, 3]
    assert _replayed(zones) == [ONE, TWO, THREE]


def test_an_empty_record_and_an_empty_batch_are_possible() -> None:
    """The latter changes nothing."""
    zones = failing_zones(1)
    journal, _ = _open(zones)
    assert journal.append([]) == 0
    position = journal.append([b""])

    assert journal.append([]) == position
    assert _replayed(zones) == [b""]


def test_a_full_segment_is_followed_by_the_next() -> None:
    """Offsets fit 32 bits, and replay holds one segment in memory."""
    zones = failing_zones(1)
    journal, _ = _open(zones, limit=HEAD_BYTES + 2 * (OVERHEAD_BYTES + 100))
    payloads = [b"%0100d" % number for number in range(7)]
    segments = [journal.append([payload]) >> 32 for payload in payloads]

    assert segments == [1, 1, 2, 2, 3, 3, 4]
    assert journal.append([bytes(1000)]) >> 32 == 5
    assert _replayed(zones) == [*payloads, bytes(1000)]


@pytest.mark.parametrize("zone_count", [1, 2])
def test_a_journal_torn_at_any_byte_keeps_every_whole_record(zone_count: int) -> None:
    """An unsynced end is cut anywhere by a power cut; it is no damage."""
    whole = failing_zones(1)
    journal, _ = _open(whole)
    ends = [journal.append([payload]) & 0xFFFFFFFF for payload in (ONE, TWO, THREE)]
    data = whole[0].read(segment_name(1), 0, 1 << 20)
    assert len(data) == ends[-1]
    for length in range(len(data) + 1):
        zones = failing_zones(zone_count)
        zones[-1].put(segment_name(1), data[:length])
        expected = [
            payload for payload, end in zip((ONE, TWO, THREE), ends, strict=True) if end <= length
        ]
        journal, replayed = _open(zones)
        position = journal.append([b"after"])

        assert replayed == expected
        assert position >> 32 == 2
        assert _replayed(zones) == [*expected, b"after"]


def test_a_torn_end_may_be_garbage() -> None:
    """The file grew, its pages did not get written: zeros, or what was there before."""
    zones = failing_zones(1)
    journal, _ = _open(zones)
    journal.append([ONE])
    for garbage in (bytes(500), b"\xff" * 500, SeededRandomness(2).bytes(500)):
        copies = failing_zones(1)
        data = zones[0].read(segment_name(1), 0, 1 << 20)
        copies[0].put(segment_name(1), data + garbage)

        assert _replayed(copies) == [ONE]


def test_a_flipped_bit_in_what_was_synced_is_damage() -> None:
    """Replay would lose what was acknowledged; any bit of the segment, if a later record tells."""
    zones = failing_zones(1)
    journal, _ = _open(zones)
    for payload in (ONE, TWO):
        journal.append([payload])
        journal.sync()
    synced = journal.position & 0xFFFFFFFF
    journal.append([THREE])
    data = zones[0].read(segment_name(1), 0, 1 << 20)
    for bit in range(synced * 8):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        copies = failing_zones(1)
        copies[0].put(segment_name(1), bytes(flipped))
        with pytest.raises((JournalDamaged, FormatTooNew)):
            _replayed(copies)


def test_a_flipped_bit_never_changes_a_record() -> None:
    """At worst the unsynced end is shorter."""
    zones = failing_zones(1)
    journal, _ = _open(zones)
    journal.append([ONE, TWO, THREE])
    data = zones[0].read(segment_name(1), 0, 1 << 20)
    for bit in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        copies = failing_zones(1)
        copies[0].put(segment_name(1), bytes(flipped))
        try:
            replayed = _replayed(copies)
        except (JournalDamaged, FormatTooNew):
            continue

        assert replayed == [ONE, TWO, THREE][: len(replayed)]
        assert len(replayed) < 3


def test_a_hole_in_the_unsynced_end_is_no_damage() -> None:
    """Disks write unsynced pages in any order."""
    zones = failing_zones(1)
    journal, _ = _open(zones)
    journal.append([ONE])
    journal.sync()
    start = journal.position & 0xFFFFFFFF
    journal.append([TWO, THREE])
    _change(zones[0], 1, lambda data: data[:start] + bytes(20) + data[start + 20 :])

    assert _replayed(zones) == [ONE]


def test_damage_before_the_last_segment_is_reported_at_any_byte() -> None:
    """There every record was durable before the next segment began."""
    zones = failing_zones(1)
    journal, _ = _open(zones)
    journal.append([ONE])
    journal.rotate()
    journal.append([TWO])
    former = zones[0].read(segment_name(1), 0, 1 << 20)
    for position in range(len(former)):
        for damaged in (
            former[:position],
            former[:position] + bytes((former[position] ^ 1,)) + former[position + 1 :],
        ):
            zones[0].put(segment_name(1), damaged)
            with pytest.raises((JournalDamaged, FormatTooNew)):
                _replayed(zones)


def test_a_missing_segment_is_damage() -> None:
    """First, middle or last: unless metadata has what it held."""
    for lost in (1, 2, 3):
        zones = failing_zones(1)
        journal, _ = _open(zones)
        positions = []
        for payload in (ONE, TWO, THREE):
            positions.append(journal.append([payload]))
            journal.rotate()
        zones[0].delete(segment_name(lost))
        with pytest.raises(JournalDamaged):
            _replayed(zones)

        assert _replayed(zones, positions[lost - 1]) == [ONE, TWO, THREE][lost:]


def test_a_journal_that_is_gone_altogether_is_damage() -> None:
    """Not a new one."""
    with pytest.raises(JournalDamaged, match="missing"):
        _replayed(failing_zones(1), after=3 << 32 | 100)


def test_a_journal_that_is_given_up_begins_behind_all_there_was() -> None:
    """No position is used twice, and nothing of what was left is replayed, now or later."""
    zones = failing_zones(1)
    journal, _ = _open(zones)
    journal.append([ONE])
    journal.rotate()
    journal.append([TWO])
    journal.sync()
    zones[0].delete(segment_name(1))
    for known in (1 << 32 | 100, 7 << 32 | 100):
        again = Journal(zones, KEY, STORE_ID)
        again.begin_behind(known)
        assert again.position > max(known, journal.position)
        begun = again.position
        again.append([THREE])
        again.sync()

        assert _replayed(zones, begun) == [THREE]
        journal = again


def test_damage_in_what_metadata_has_committed_harms_nobody() -> None:
    """The store still mounts."""
    zones = failing_zones(1)
    journal, _ = _open(zones)
    journal.append([ONE])
    committed = journal.append([TWO])
    journal.append([THREE])
    journal.sync()
    _change(zones[0], 1, lambda data: data[: HEAD_BYTES + 9] + b"X" + data[HEAD_BYTES + 10 :])

    assert _replayed(zones, committed) == [THREE]


def test_metadata_may_be_ahead_of_an_unsynced_journal() -> None:
    """Its file happened to be written before the power went; positions go on above it."""
    zones = failing_zones(1)
    journal, _ = _open(zones)
    journal.append([ONE])
    journal.sync()
    committed = journal.append([TWO])
    zones[0].power_cut()
    journal, replayed = _open(zones, committed)
    assert replayed == []
    position = journal.append([THREE])

    assert position > committed
    assert _replayed(zones, committed) == [THREE]


def test_of_several_zones_the_longest_run_counts() -> None:
    """One zone lost its end, or was damaged."""
    for harm in (
        lambda data: data[: HEAD_BYTES + 5],
        lambda data: data[: HEAD_BYTES + 9] + b"X" + data[HEAD_BYTES + 10 :],
        lambda _: b"",
    ):
        for harmed in (0, 1):
            zones = failing_zones(2)
            journal, _ = _open(zones)
            journal.append([ONE])
            journal.append([TWO])
            journal.sync()
            _change(zones[harmed], 1, harm)

            assert _replayed(zones) == [ONE, TWO]


def test_a_zone_that_does_not_answer_is_passed_over() -> None:
    """While another has the journal; none at all is not an empty journal."""
    zones = failing_zones(2)
    journal, _ = _open(zones)
    journal.append([ONE])
    for method in ("read", "length", "list"):
        zones[0].fail(method, ZoneUnavailable("scripted"), for_ever=True)
    assert _replayed(zones) == [ONE]
    zones[1].fail("list", ZoneUnavailable("scripted"), for_ever=True)

    with pytest.raises(ZoneUnavailable):
        _replayed(zones)


def test_an_append_that_failed_is_never_replayed_once_another_succeeded() -> None:
    """It reached one zone of two; its caller was told that it failed."""
    for nth in (1, 2):
        zones = failing_zones(2)
        journal, _ = _open(strict(zones))
        journal.append([ONE])
        zones[nth - 1].fail("append", StoreFull("scripted"))
        with pytest.raises(StoreFull):
            journal.append([b"failed" * 20])
        position = journal.append([TWO])
        journal.sync()

        assert _replayed(zones) == [ONE, TWO]
        assert position >> 32 == 2, "no offset of a segment is sealed twice"


@pytest.mark.parametrize("method", ["create", "append", "sync"])
def test_a_segment_that_could_not_be_begun_is_tried_again(method: str) -> None:
    """Making room must be enough."""
    zones = failing_zones(2)
    journal, _ = _open(strict(zones))
    zones[1].fail(method, StoreFull("scripted"))
    with pytest.raises(StoreFull):
        journal.append([b"failed"])
    journal.append([ONE])

    assert _replayed(zones) == [ONE]


def test_a_failed_sync_is_never_followed_by_a_good_one() -> None:
    """Nor by a rotation or an append, which would go on as if nothing had happened."""
    zones = failing_zones(1)
    journal, _ = _open(zones)
    journal.append([ONE])
    zones[0].fail("sync", ZoneUnavailable("scripted"))
    with pytest.raises(ZoneUnavailable):
        journal.sync()

    assert journal.durable_position < journal.position
    for attempt in (journal.sync, journal.rotate, lambda: journal.append([TWO])):
        with pytest.raises(ZoneUnavailable, match="earlier"):
            attempt()


@pytest.mark.parametrize("failing", [0, 1])
def test_a_sync_without_its_quorum_promises_nothing(failing: int) -> None:
    """The zone that failed counts no more, until it was told again what it may have lost."""
    zones = failing_zones(2)
    journal, _ = _open(strict(zones))
    journal.append([ONE])
    zones[failing].fail("sync", ZoneUnavailable("scripted"))
    with pytest.raises(TooFewZones):
        journal.sync()

    assert journal.durable_position < journal.position
    for attempt in (journal.sync, journal.rotate, lambda: journal.append([TWO])):
        with pytest.raises(TooFewZones):
            attempt()


def test_a_sync_that_finds_no_room_succeeds_once_there_is_room() -> None:
    """One zone is gone and the next has no room to note that: nobody is told a lie."""
    zones = failing_zones(3)
    journal, _ = _open(zones)
    journal.append([ONE])
    zones[0].fail("sync", ZoneUnavailable("scripted"))
    zones[1].fail("put", StoreFull("scripted"))
    with pytest.raises(StoreFull):
        journal.sync()
    assert journal.durable_position < journal.position

    journal.sync()
    assert journal.durable_position == journal.position
    assert _replayed(zones[1:]) == [ONE]


def test_trimming_keeps_the_segment_of_the_last_position() -> None:
    """Or nothing would show that there ever was a journal."""
    zones = failing_zones(2)
    journal, _ = _open(zones)
    positions = []
    for payload in (ONE, TWO, THREE):
        journal.rotate()
        positions.append(journal.append([payload]))
    journal.trim(2)
    assert _replayed(zones, positions[0]) == [TWO, THREE]
    journal.trim(99)

    for zone in zones:
        assert list(zone.list("")) == [segment_name(3)]
    assert _replayed(zones, positions[2]) == []
    with pytest.raises(JournalDamaged):
        _replayed(zones, positions[0])


def test_a_reopened_journal_is_trimmed_before_anything_is_appended() -> None:
    """A mount that only reads."""
    zones = failing_zones(1)
    journal, _ = _open(zones)
    journal.append([ONE])
    journal.rotate()
    committed = journal.append([TWO])
    journal.sync()
    journal, _ = _open(zones, committed)
    journal.trim(journal.segment)

    assert list(zones[0].list("")) == [segment_name(2)]
    assert _replayed(zones, committed) == []


def test_a_replayed_end_is_durable_before_a_new_segment_names_it() -> None:
    """Killed, mounted again, then the power goes: the second mount must not be refused."""
    zones = failing_zones(1)
    journal, _ = _open(zones)
    journal.append([ONE])
    journal, _ = _open(zones)
    journal.append([TWO])
    journal.sync()
    zones[0].power_cut()

    assert _replayed(zones) == [ONE, TWO]


def test_a_sync_covers_what_was_replayed() -> None:
    """A program fsyncs after the remount; what it wrote before was still in the page cache."""
    zones = failing_zones(2)
    journal, _ = _open(zones)
    journal.append([ONE])
    journal, _ = _open(zones)
    assert journal.durable_position == 0
    journal.sync()
    assert journal.durable_position == journal.position
    for zone in zones:
        zone.power_cut()

    assert _replayed(zones) == [ONE]


def test_a_rotation_makes_durable_what_it_leaves_behind() -> None:
    """Or a power cut would leave a hole before the newest segment."""
    zones = failing_zones(2)
    journal, _ = _open(zones)
    journal.append([ONE])
    journal.rotate()
    journal.append([TWO])
    for zone in zones:
        zone.power_cut()

    assert _replayed(zones) == [ONE]


def test_a_segment_begun_in_one_zone_only_binds_nobody() -> None:
    """A crash between two zones left its head in the first; that zone may be lost later."""
    zones = failing_zones(2)
    journal, _ = _open(zones)
    journal.append([ONE])
    journal.rotate()
    zones[1].delete(segment_name(2))
    journal, _ = _open(zones)
    journal.append([TWO])

    assert _replayed(zones[1:]) == [ONE, TWO]


@pytest.mark.parametrize("left", [None, 0, 1, HEAD_BYTES - 1])
def test_a_segment_begun_in_one_zone_only_is_in_both_soon(left: int | None) -> None:
    """Or a scrub would call it damaged in the other one for ever, where nothing is."""
    zones = failing_zones(2)
    journal, _ = _open(zones)
    journal.append([ONE])
    journal.rotate()
    second = segment_name(2)
    head = zones[0].read(second, 0, 1 << 20)
    if left is None:
        zones[1].delete(second)
    else:
        zones[1].put(second, head[:left])
    journal, _ = _open(zones)
    journal.append([TWO])

    assert zones[1].read(second, 0, 1 << 20) == head
    assert _replayed(zones[1:]) == [ONE, TWO]


def test_a_record_that_one_zone_missed_is_in_both_before_anything_relies_on_it() -> None:
    """A zone flickers, nobody has synced, the process is killed: either zone may be lost later."""
    zones = failing_zones(2)
    journal, _ = _open(zones)
    journal.append([ONE])
    zones[1].fail("append", ZoneUnavailable("it flickers"))
    journal.append([TWO])
    zones[1].faults.clear()
    journal, _ = _open(zones)
    journal.append([THREE])
    journal.sync()

    assert _replayed(zones[:1]) == _replayed(zones[1:]) == [ONE, TWO, THREE]


def test_segments_that_one_zone_missed_are_there_before_anything_relies_on_them() -> None:
    """The zone flickered while a segment was left behind, and has neither its end nor the next."""
    zones = failing_zones(2)
    journal, _ = _open(zones)
    journal.append([ONE])
    end = zones[1].read(segment_name(1), 0, 1 << 20)
    journal.append([TWO])
    journal.rotate()
    journal.append([THREE])
    zones[1].delete(segment_name(2))
    zones[1].put(segment_name(1), end)
    journal, _ = _open(zones, journal.position)
    journal.sync()

    assert _replayed(zones[1:]) == [ONE, TWO, THREE]


def test_another_key_or_store_reads_nothing() -> None:
    """Its records are not ours."""
    zones = failing_zones(1)
    journal, _ = _open(zones)
    journal.append([ONE])
    for stranger in (Journal(zones, bytes(32), STORE_ID), Journal(zones, KEY, bytes(16))):
        with pytest.raises(JournalDamaged):
            list(stranger.replay(0))


@pytest.mark.parametrize("left", [0, 1, HEAD_BYTES - 1])
def test_a_segment_whose_making_was_broken_off_has_nothing_to_lose(left: int) -> None:
    """A scrub called it damaged for ever; one that had records is damaged, however short it is."""
    zones = failing_zones(1)
    journal, _ = _open(zones)
    journal.append([ONE])
    first = segment_name(1)
    journal.close()
    second = segment_name(2)
    zones[0].put(second, zones[0].read(first, 0, left))
    journal, replayed = _open(zones)
    for _ in range(2):
        assert replayed == [ONE]
        assert journal.is_blank(second, [ObjectCopy.of(zones[0].read(second, 0, 99))])
        assert not journal.is_blank(first, [ObjectCopy.of(b"")])
        journal.append([TWO])  # in a third one, which names the first
        journal.rotate()
    assert _replayed(zones) == [ONE, TWO, TWO]


def test_a_segment_moved_under_another_number_is_damage() -> None:
    """Old records would come back as new ones."""
    zones = failing_zones(1)
    journal, _ = _open(zones)
    committed = journal.append([ONE])
    zones[0].put(segment_name(2), zones[0].read(segment_name(1), 0, 1 << 20))

    with pytest.raises(JournalDamaged):
        _replayed(zones, committed)


def test_a_newer_format_is_refused() -> None:
    """Not taken for damage."""
    zones = failing_zones(1)
    journal, _ = _open(zones)
    journal.append([ONE])
    _change(zones[0], 1, lambda data: data[:11] + b"\x02" + data[12:])

    with pytest.raises(FormatTooNew):
        _replayed(zones)


def test_nothing_secret_lies_in_the_file() -> None:
    """Names of files go through the journal."""
    zones = failing_zones(1)
    journal, _ = _open(zones)
    journal.append([b"a secret file name"])

    assert b"secret" not in zones[0].read(segment_name(1), 0, 1 << 20)


def test_a_journal_lives_in_a_real_directory_too(tmp_path: Path) -> None:
    """With real files."""
    for payload in (ONE, TWO):
        journal = Journal([LocalDirectory(tmp_path)], KEY, STORE_ID)
        list(journal.replay(0))
        journal.append([payload])
        journal.sync()
        journal.close()
    journal = Journal([LocalDirectory(tmp_path)], KEY, STORE_ID)

    assert [payload for _, payload in journal.replay(0)] == [ONE, TWO]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 3)),
        st.tuples(st.just("sync"), st.just(0)),
        st.tuples(st.just("rotate"), st.just(0)),
        st.tuples(st.just("cut"), st.sampled_from([0, 1, 20, 60, 100, 400])),
        st.tuples(st.just("kill"), st.just(0)),
        st.tuples(st.just("fail_append"), st.integers(0, 1)),
        st.tuples(st.just("fail_sync"), st.integers(0, 1)),
    ),
    max_size=25,
)


@settings(max_examples=150, deadline=None)
@given(steps=STEPS, seed=st.integers(0, 999))
def test_whatever_happens_synced_records_come_back_in_order(
    steps: list[tuple[str, int]], seed: int
) -> None:
    """Power cuts that keep any torn part, kills, and failing disks, over two zones."""
    history = _History(seed)
    for step, value in steps:
        try:
            history.step(step, value)
        except S3fsLocalError:
            history.restart()
    history.restart()


class _History:
    """A journal, what was appended to it, and how much of that must come back."""

    def __init__(self, seed: int) -> None:
        self.random = SeededRandomness(seed)
        self.zones = failing_zones(2)
        self.appended: list[bytes] = []
        self.synced = 0  # of these, the first so many must survive
        self.count = 0
        self.journal = Journal(self.zones, KEY, STORE_ID, segment_bytes_max=600)
        list(self.journal.replay(0))

    def step(self, step: str, value: int) -> None:
        match step:
            case "append":
                self.append(value)
            case "sync":
                self.journal.sync()
                self.synced = len(self.appended)
            case "rotate":
                self.journal.rotate()
                self.synced = len(self.appended)
            case "cut":
                for zone in self.zones:
                    zone.power_cut(keep=lambda _, unsynced: self.torn(unsynced, value))
                self.restart()
            case "kill":
                self.restart()
            case _:
                method = step.removeprefix("fail_")
                self.zones[value].fail(method, ZoneUnavailable("scripted"))

    def append(self, number: int) -> None:
        payloads = []
        for _ in range(number):
            self.count += 1
            payloads.append(b"%d" % self.count * (1 + self.random.bits(4)))
        # Before the call: a crash may bring back records whose append failed.
        self.appended += payloads
        try:
            self.journal.append(payloads)
        except S3fsLocalError:
            self.restart()

    def torn(self, unsynced: bytes, length: int) -> bytes:
        left = bytearray(unsynced[:length])
        if left and self.random.bits(1):
            hole = self.random.bits(16) % len(left)
            left[hole : hole + 40] = bytes(len(left[hole : hole + 40]))
        return bytes(left)

    def restart(self) -> None:
        for zone in self.zones:
            zone.faults.clear()
        self.journal = Journal(self.zones, KEY, STORE_ID, segment_bytes_max=600)
        replayed = [payload for _, payload in self.journal.replay(0)]

        assert replayed == self.appended[: len(replayed)]
        assert len(replayed) >= self.synced
        self.appended = replayed
