"""Reading packs that lie as shares, from zones that fail, lie and hang."""

from itertools import count
from threading import Event, Thread

import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from s3fs_local.errors import DataDamaged, ZoneUnavailable
from s3fs_local.objects.failing import FailingObjects
from s3fs_local.objects.memory import MemoryObjects
from s3fs_local.objects.zone import Zone, ZoneState
from s3fs_local.objects.zone_set import ZoneSet
from s3fs_local.packs.coded_packs import CodedPack
from s3fs_local.packs.pack_store import HEADER_BYTES, PackStore
from s3fs_local.packs.shares import HEADER_BYTES as SHARE_HEADER_BYTES
from s3fs_local.packs.shares import encode_shares, kind_of, share_name
from s3fs_local.rules.erasure import Coding
from s3fs_local.system.randomness import SeededRandomness
from tests.objects.hanging import HangingObjects

STORE = bytes(range(16))


class Coded:
    """A pack of some blocks that lies as shares, one in each zone of memory."""

    def __init__(self, coding: Coding, *, size: int = 1000, has_threads: bool = False) -> None:
        self.zones = [FailingObjects(MemoryObjects()) for _ in range(coding.shares)]
        self.hanging = [HangingObjects(zone) for zone in self.zones]
        numbered = [
            Zone(store, zone_id=f"{number:032x}", has_threads=has_threads)
            for number, store in enumerate(self.hanging)
        ]
        self.set = ZoneSet(numbered)
        ids = count(1)
        self.packs = PackStore(self.set, store_id=STORE, allocate_pack=lambda _: next(ids))
        self.block = SeededRandomness(size).bytes(size)
        self.packs.append(self.block, "GLACIER")
        self.packs.sync()
        self.packs.leave_open_packs()
        self.packs.sync()
        image = self.set.read_good("packs/01/0000000000000001.pack", 0, HEADER_BYTES + size)
        kind = kind_of(image, coding)
        shares = encode_shares(image, kind, store_id=STORE, pack_id=1)
        for number, (zone, share) in enumerate(zip(self.zones, shares, strict=True)):
            zone.put(share_name(1, number), share)
        holders = {number: (zone,) for number, zone in enumerate(numbered)}
        self.packs.remove_copies(1, CodedPack(kind, holders))

    def read(self, offset: int, length: int) -> bytes:
        """Of the block; what comes back was compared with the truth, as digests do."""
        expected = self.block[offset : offset + length]
        return self.packs.read(1, HEADER_BYTES + offset, length, lambda data: data == expected)

    def damage(self, number: int, place: int) -> None:
        """One byte of the share is another, the header's included."""
        name = share_name(1, number)
        data = bytearray(self.zones[number].read(name, 0, 1 << 20))
        data[place % len(data)] ^= 0xFF
        self.zones[number].put(name, bytes(data))

    def forge(self, number: int) -> None:
        """The share has other bytes, and says that they are right."""
        name = share_name(1, number)
        data = self.zones[number].read(name, 0, 1 << 20)
        run = bytes(len(data) - SHARE_HEADER_BYTES)
        head = data[:80] + blake3(run).digest()
        self.zones[number].put(name, head + blake3(head).digest() + run)


@given(
    st.sampled_from([Coding(2, 1), Coding(3, 2), Coding(4, 3)]),
    st.data(),
)
@settings(max_examples=60, deadline=None)
def test_any_range_reads_with_as_many_shares_damaged_or_gone_as_may_be(
    coding: Coding, data: st.DataObject
) -> None:
    """Whichever they are, and whether we knew where the shares lie or have just started."""
    coded = Coded(coding)
    if data.draw(st.booleans()):
        coded.packs.coded.forget(1)
    offset = data.draw(st.integers(0, 999))
    length = data.draw(st.integers(1, 1000 - offset))
    bad = data.draw(st.sets(st.integers(0, coding.shares - 1), max_size=coding.parity))
    for number in sorted(bad):
        how = data.draw(st.sampled_from(["gone", "damaged", "forged", "failing"]))
        if how == "gone":
            coded.zones[number].delete(share_name(1, number))
        elif how == "forged":
            coded.forge(number)
        elif how == "damaged":
            coded.damage(number, data.draw(st.integers(0, 10_000)))
        else:
            coded.zones[number].fail("read", ZoneUnavailable("scripted"), for_ever=True)

    assert coded.read(offset, length) == coded.block[offset : offset + length]


def test_with_one_share_more_damaged_the_read_fails() -> None:
    """Never with wrong bytes, nor for want of an answer."""
    coded = Coded(Coding(2, 1))
    for number in (0, 2):
        for place in range(SHARE_HEADER_BYTES, 600):
            coded.damage(number, place)

    with pytest.raises(DataDamaged, match=r"damaged in more zones than may be \(2\+1\)"):
        coded.read(0, 400)


def test_with_one_zone_more_away_it_is_said_that_zones_are_missing() -> None:
    """So that nobody takes it for damage, and the next read after their return succeeds."""
    coded = Coded(Coding(2, 1))
    for zone in coded.set.zones[:2]:
        zone.state, zone.store = ZoneState.BEHIND, None

    with pytest.raises(ZoneUnavailable, match="bring zones back"):
        coded.read(0, 1000)

    for zone, store in zip(coded.set.zones, coded.hanging, strict=True):
        zone.state, zone.store = ZoneState.WELL, store
    assert coded.read(0, 1000) == coded.block


def test_a_zone_that_hangs_keeps_nobody_waiting() -> None:
    """Others give the range before the zone is given up: the patience here is ten minutes."""
    coded = Coded(Coding(2, 1), has_threads=True)
    coded.set.members.timeout_seconds = 600.0
    coded.hanging[0].goes_on.clear()
    done = Event()

    def read() -> None:
        assert coded.read(0, 1000) == coded.block
        done.set()

    Thread(target=read, daemon=True).start()
    try:
        assert done.wait(120)
    finally:
        coded.hanging[0].goes_on.set()


def test_nobody_is_asked_but_the_zone_that_has_the_range() -> None:
    """Also without waiting, from its page cache."""
    coded = Coded(Coding(2, 1))
    for zone in coded.zones:
        zone.calls.clear()

    assert coded.read(0, 100) == coded.block[:100]
    assert coded.packs.read_nowait(1, HEADER_BYTES + 100, 100) == coded.block[100:200]
    assert [zone.calls["read"] + zone.calls["read_nowait"] for zone in coded.zones] == [2, 0, 0]


def test_a_pack_as_shares_is_as_long_as_it_was_and_goes_as_a_whole() -> None:
    """For `gc` it is a pack like any other; and nothing is appended to it."""
    coded = Coded(Coding(2, 1))
    coded.packs.coded.forget(1)

    assert coded.packs.lengths() == {1: HEADER_BYTES + 1000}
    assert not coded.packs.resume(1, "GLACIER")
    coded.packs.remove(1)
    assert coded.packs.lengths() == {}
    assert [list(zone.list("")) for zone in coded.zones] == [[], [], []]


def test_a_pack_with_left_over_shares_is_read_from_its_copies_and_not_continued() -> None:
    """A crash before the copies went: what is appended would be missing in the shares."""
    coded = Coded(Coding(2, 1))
    image = b"".join(
        coded.zones[number].read(share_name(1, number), SHARE_HEADER_BYTES, 1 << 20)
        for number in (0, 1)
    )[: HEADER_BYTES + 1000]
    for zone in coded.zones:
        zone.put("packs/01/0000000000000001.pack", image)
    coded.packs.coded.forget(1)

    assert coded.read(0, 1000) == coded.block
    assert not coded.packs.resume(1, "GLACIER")
