"""Archived versions: not read before they were retrieved, for some days."""

from dataclasses import dataclass, replace

from tests.simulation.reference.refused import Refused

CLASSES = ("GLACIER", "DEEP_ARCHIVE")
TIERS = ("Expedited", "Standard", "Bulk")
"""The fastest first."""
DAY = 86_400


@dataclass(frozen=True)
class Retrieval:
    """What was asked for, and until when the copy stays; 0: it is not there yet."""

    tier: str
    days: int
    until: int = 0


def midnight_after(now: int, days: int) -> int:
    """So many whole days later, at the next midnight."""
    return now - now % DAY + (days + 1) * DAY


def requested(
    storage_class: str, present: Retrieval | None, tier: str, days: int, now: int
) -> Retrieval:
    """One more request: what is on its way only gets faster, what is there stays for longer."""
    if storage_class not in CLASSES:
        raise Refused("NotArchived")
    if storage_class == "DEEP_ARCHIVE" and tier == "Expedited":
        raise Refused("InvalidArgument")
    if present is None or 0 < present.until <= now:
        return Retrieval(tier, days)
    if present.until:
        return replace(present, days=days, until=midnight_after(now, days))
    if TIERS.index(tier) >= TIERS.index(present.tier) or days != present.days:
        raise Refused("RetrievalRunning")
    return replace(present, tier=tier)
