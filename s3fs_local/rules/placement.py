"""Which zones hold an object: as many as its class wants copies, of the kinds that it wants."""

from collections.abc import Sequence

from msgspec import Struct

EVERY: int = 0
"""As a number of copies: one in every zone of the first wanted kind of which a zone is well."""


class Home(Struct, frozen=True):
    """One zone, as far as placement cares."""

    kind: str
    is_well: bool = True


class Homes(Struct, frozen=True):
    """Where the copies of an object belong."""

    copies: int = EVERY
    kinds: tuple[str, ...] = ()  # the best first; none: all kinds alike


EVERYWHERE = Homes()


def choose(
    zones: Sequence[Home], homes: Homes, *, spread: int = 0, rather: int | None = None
) -> list[int]:
    """The indices of the zones that an object begun now belongs to, the best first.

    Zones of kinds that were not asked for only fill up. With fewer copies than zones those that are
    well come first, and between equals the one that it should `rather` be, then `spread` (the
    number of the object) decides.
    """
    if not homes.kinds and homes.copies == EVERY:
        return list(range(len(zones)))
    ranks = {kind: rank for rank, kind in enumerate(homes.kinds)}
    last = len(ranks)
    if homes.copies == EVERY:
        there = [zone for zone in zones if zone.is_well] or zones
        best = min(ranks.get(zone.kind, last) for zone in there)
        return [index for index, zone in enumerate(zones) if ranks.get(zone.kind, last) == best]

    def order(index: int) -> tuple[bool, int, bool, int]:
        zone = zones[index]
        rank = ranks.get(zone.kind, last)
        return not zone.is_well, rank, index != rather, (index - spread) % len(zones)

    return sorted(range(len(zones)), key=order)[: homes.copies]


def lacking(
    zones: Sequence[Home],
    holders: set[int],
    homes: Homes,
    *,
    spread: int,
    rather: int | None = None,
) -> list[int]:
    """The zones that should get a copy, where only `holders` have one.

    A copy in any zone counts, wherever it would be put today: nothing moves for its own sake. Of
    those that should get one, `rather` is the first.
    """
    wanted = choose(zones, homes, spread=spread, rather=rather)
    missing = len(wanted) - len([index for index in holders if zones[index].is_well])
    without = [index for index in wanted if index not in holders]
    return sorted(without, key=lambda index: index != rather)[: max(missing, 0)]
