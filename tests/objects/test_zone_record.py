"""`zones.json`: who knows that a zone lacks something, and whom to believe."""

from s3fs_local.objects.zone_record import BehindZone, ZonesRecord, encode_record, newest_record

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
