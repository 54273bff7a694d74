"""Packs of stores with locks, made immutable where the zone can do that.

A pack that grows cannot be; so every pack of such a store is left for good a day after it was
begun, if it is not full before. Only the daemon takes the flag off again: with the object, when it
is removed, replaced or repaired (`objects/local_directory.py`).
"""

from typing import Final

from s3fs_local.engine.volume import Volume
from s3fs_local.rules.instants import SECOND_NS

GROWS_NS_MAX: Final = 86_400 * SECOND_NS
"""How long the pack of a locked version may still be one that grows."""


class ImmutablePacks:
    """Seals what no longer grows, for one volume."""

    def __init__(self, volume: Volume) -> None:
        self._volume = volume
        self._sealed: set[int] = set()
        self._growing_since: dict[int, int] = {}
        self.works = True  # False after a zone could not

    @property
    def is_wanted(self) -> bool:
        """Whether the store has locks, and the setting is on."""
        settings = self._volume.settings
        return settings.object_lock and settings.immutable_packs

    async def seal(self) -> int:
        """Every pack that no longer grows is immutable, in zones that can; returns how many more.

        Raises:
            ZoneUnavailable: no zone answers.
        """
        volume = self._volume
        if not self.is_wanted:
            return 0
        self._leave_old()
        ids = {pack_id for pack_id, _, _ in volume.metadata.packs()}
        self._sealed &= ids
        due = sorted(
            pack_id for pack_id in ids - self._sealed if not volume.blocks.is_growing(pack_id)
        )
        if due:
            self.works = await volume.durability.run_blocking(lambda: volume.blocks.seal_packs(due))
            self._sealed.update(due)
        return len(due)

    def _leave_old(self) -> None:
        """Packs that have grown for a day grow no more."""
        now_ns = self._volume.now_ns()
        growing = self._volume.blocks.growing_packs()
        since = {pack_id: self._growing_since.get(pack_id, now_ns) for pack_id in growing}
        self._growing_since = since
        if any(now_ns - since_ns >= GROWS_NS_MAX for since_ns in since.values()):
            self._volume.blocks.leave_open_packs()
