"""`zones.json`: who knows that a zone lacks something, and whom to believe."""

import pytest

from s3fs_local.objects.zone_record import (
    BehindZone,
    ZonesRecord,
    encode_record,
    is_everywhere,
    newest_record,
)

OLD = ZonesRecord(epoch=4)
NEW = ZonesRecord(epoch=5, behind=(BehindZone("a" * 32, "it was unplugged", ("journal/1",)),))


def test_the_record_of_the_highest_epoch_counts() -> None:
    """Wherever it lies."""
    assert newest_record([encode_record(OLD), encode_record(NEW)]) == NEW
    assert newest_record([encode_record(NEW), encode_record(OLD)]) == NEW
    assert newest_record([]) == ZonesRecord()


def test_no_bit_that_rotted_makes_an_old_record_the_newest_or_hides_who_is_behind() -> None:
    """One digit of an epoch, or of the id of a zone, and a zone that lacks things would count."""
    for encoded in (encode_record(OLD), encode_record(NEW)):
        for bit in range(8 * (len(encoded) - 1)):
            rotten = bytearray(encoded)
            rotten[bit // 8] ^= 1 << bit % 8
            assert newest_record([bytes(rotten), encode_record(NEW)]) == NEW


@pytest.mark.parametrize(
    ("own", "behind", "other", "expected"),
    [
        (NEW, OLD, NEW, True),  # whoever is behind is not told
        (NEW, NEW, OLD, False),
        (OLD, NEW, NEW, False),
        (NEW, NEW, None, False),
        (None, NEW, NEW, False),
    ],
)
def test_a_record_is_everywhere_if_all_have_it_who_lack_nothing(
    own: ZonesRecord | None, behind: ZonesRecord, other: ZonesRecord | None, *, expected: bool
) -> None:
    """Else it was told in part, by a process that was killed meanwhile."""
    stored = [encode_record(each) if each is not None else b"" for each in (own, behind, other)]
    copies = {NEW.behind[0].zone_id: stored[1], "b" * 32: stored[2]}

    assert is_everywhere(NEW, copies, stored[0]) is expected


def test_a_store_that_no_zone_ever_failed_in_has_no_record_to_complete() -> None:
    """So most mounts write nothing."""
    assert is_everywhere(ZonesRecord(), {"a" * 32: b"", "b" * 32: b""}, b"")
