"""Zones in memory that can be told to fail, and a set of them."""

from s3fs_local.objects.failing import FailingObjects
from s3fs_local.objects.memory import MemoryObjects
from s3fs_local.objects.zone import Zone
from s3fs_local.objects.zone_set import ZoneSet


def failing_zones(number: int) -> list[FailingObjects]:
    """The objects of so many zones, empty."""
    return [FailingObjects(MemoryObjects()) for _ in range(number)]


def strict(zones: list[FailingObjects]) -> ZoneSet:
    """A set that goes on with all of its zones only."""
    numbered = [Zone(zone, zone_id=f"{number:032x}") for number, zone in enumerate(zones)]
    return ZoneSet(numbered, wanted_quorum=len(zones))
