"""Whose zone it is."""

import pytest

from s3fs_local.errors import FormatTooNew, StoreExists, ZoneUnavailable
from s3fs_local.objects.memory import MemoryObjects
from s3fs_local.objects.zone_mark import MARK_NAME, ZoneMark, check_zone, mark_zone

MARK = ZoneMark(store_id="aa" * 16, zone_id="01")


def test_a_marked_zone_is_recognised() -> None:
    """The story: init marks, mount checks."""
    zone = MemoryObjects()
    mark_zone(zone, MARK)

    assert check_zone(zone, store_id=MARK.store_id) == MARK


def test_an_empty_directory_is_no_zone() -> None:
    """An empty mount point must not be filled with a second history."""
    with pytest.raises(ZoneUnavailable, match="not mounted"):
        check_zone(MemoryObjects(), store_id=MARK.store_id)


def test_another_stores_zone_is_refused() -> None:
    """Two disks swapped."""
    zone = MemoryObjects()
    mark_zone(zone, MARK)

    with pytest.raises(ZoneUnavailable, match="belongs to store"):
        check_zone(zone, store_id="bb" * 16)


def test_a_zone_is_marked_once() -> None:
    """It cannot serve two stores."""
    zone = MemoryObjects()
    mark_zone(zone, MARK)
    with pytest.raises(StoreExists):
        mark_zone(zone, MARK)


@pytest.mark.parametrize(
    "text", [b"", b"{}", b"\xff", b'{"store_id":"\xff"}', b'{"store_id":1,"zone_id":"","format":1}']
)
def test_a_damaged_mark_is_no_mark(text: bytes) -> None:
    """Said in one sentence, not in a traceback."""
    zone = MemoryObjects()
    zone.put(MARK_NAME, text)

    with pytest.raises(ZoneUnavailable, match="damaged"):
        check_zone(zone, store_id=MARK.store_id)


def test_a_newer_format_is_refused() -> None:
    """An older release must not write into it."""
    zone = MemoryObjects()
    mark_zone(zone, ZoneMark(store_id=MARK.store_id, zone_id="01", format=2))

    with pytest.raises(FormatTooNew):
        check_zone(zone, store_id=MARK.store_id)
