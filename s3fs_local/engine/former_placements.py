"""Classes that want more copies than their packs have yet: what was wanted before still counts.

A change of `storage-classes` is in force at once, for what is written from then on. The copies that
other packs lack are made by a scrub. Until one has made them all, a pack has as many as it should
if it has as many as were wanted before: nothing is missing that anybody made.
"""

from typing import Final

import msgspec

from s3fs_local.metadata.changes import Change, PutSetting, RemoveSetting
from s3fs_local.metadata.interface import Metadata
from s3fs_local.packs.pack_store import PackStore
from s3fs_local.rules.storage_classes import Placement, homes_of

FORMER_SETTING: Final = "fact.former-placements"
"""What each change of `storage-classes` took the place of, since all copies were there, as JSON."""

Overrides = dict[str, Placement]


class FormerPlacements:
    """Of one open store."""

    def __init__(self, metadata: Metadata, packs: PackStore) -> None:
        self._packs = packs
        stored = metadata.setting(FORMER_SETTING)
        self._former = [] if stored is None else msgspec.json.decode(stored, type=list[Overrides])
        self.changes = len(self._former)
        """How often `storage-classes` was changed, counted from where all copies were there."""

    @property
    def are_made(self) -> bool:
        """Whether every pack has all the copies that its class wants, as far as it is known."""
        return not self._former

    def copies_due(self, pack_id: int, placement: str) -> int:
        """In how many zones the pack is to be found."""
        before = [homes_of(overrides, placement) for overrides in self._former]
        copies = [self._packs.copies_in(pack_id, homes) for homes in before]
        return min([self._packs.copies_wanted(pack_id, placement), *copies])

    def superseded(self, present: Overrides) -> Change:
        """What goes with the change that takes the place of these; call `note_superseded` after."""
        former = self._former if present in self._former else [*self._former, present]
        return PutSetting(FORMER_SETTING, msgspec.json.encode(former).decode())

    def note_superseded(self, present: Overrides, wanted: Overrides) -> None:
        """The wanted ones took the place of these: what is written now lies as they say."""
        if present not in self._former:
            self._former.append(present)
        self.changes += 1
        named = present.keys() | wanted.keys()
        moved = [each for each in named if homes_of(present, each) != homes_of(wanted, each)]
        self._packs.leave_packs_of(moved)

    def made(self) -> Change:
        """What says that every pack has all its copies; call `note_made` after."""
        return RemoveSetting(FORMER_SETTING)

    def note_made(self) -> None:
        """Every pack has all its copies."""
        self._former.clear()
