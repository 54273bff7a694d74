"""One failure domain as its neighbours see it: where its objects are, and how it is doing."""

from enum import Enum
from typing import Final

from s3fs_local.objects.interface import ObjectStore
from s3fs_local.objects.lanes import READERS, DirectLane, Lane, ThreadLane


class ZoneState(Enum):
    """What may be asked of a zone."""

    WELL = "well"  # has everything that was acknowledged, and counts
    BEHIND = "behind"  # lacks something; nothing is written to it
    RETURNING = "returning"  # gets whatever is new, while it is told what it missed


class Zone:
    """One zone of a set. The set changes its state, under the set's mutex."""

    def __init__(
        self,
        store: ObjectStore | None,
        *,
        zone_id: str = "",
        url: str = "",
        kind: str = "hot",
        reason: str = "",
        has_threads: bool = False,
    ) -> None:
        """Well if there is a `store` and no `reason`; otherwise behind, for that reason.

        `has_threads`: whether its calls may take long, so that nobody else's thread runs them.
        """
        self.zone_id: Final = zone_id
        self.url: Final = url
        self.kind: Final = kind
        self.store = store
        self.state = ZoneState.WELL if store is not None and not reason else ZoneState.BEHIND
        self.reason = reason
        self.is_full = False  # that is the reason
        self.doubtful: tuple[str, ...] = ()
        self.space: tuple[int, int] = (0, 0)  # free and total bytes when last asked
        self.joins = False  # is being added, and was never well: no quorum counts on it
        self.leaves = False  # is being removed: no copy begun now counts on it
        self.missing_bytes = 0  # of a zone that is not well: what it has yet to be given, as known
        self.has_threads = has_threads
        self.is_far = False  # a network lies in between: its calls take long, if alone too
        self.lane: Lane
        self.readers: Lane
        self.errands: Lane  # long work that nobody waits for
        self.renew_lanes()

    @property
    def is_well(self) -> bool:
        """Whether it counts."""
        return self.state is ZoneState.WELL

    @property
    def takes_new(self) -> bool:
        """Whether objects that are begun now are begun in it too."""
        return self.state is not ZoneState.BEHIND

    def renew_lanes(self) -> None:
        """Calls go to new threads: the old ones may hang."""
        if self.has_threads:
            self.lane = ThreadLane(f"zone-{self.zone_id[:8]}")
            self.readers = ThreadLane(f"zone-{self.zone_id[:8]}-read", threads=READERS)
            self.errands = ThreadLane(f"zone-{self.zone_id[:8]}-errand")
        else:
            self.lane = self.readers = self.errands = DirectLane()

    def use_threads(self) -> None:
        """Its calls run in threads of its own from now on. Before anything grows in several zones.

        There is no way back: what grows in it goes by its lane, and would leave it out without.
        """
        if not self.has_threads:
            self.has_threads = True
            self.renew_lanes()

    def stop_writing(self) -> None:
        """Nothing more is written to it; who must may read what it has."""
        self.lane.leave()
        if self.has_threads:
            self.readers.leave()
            self.readers = ThreadLane(f"zone-{self.zone_id[:8]}-read", threads=READERS)

    def leave_lanes(self) -> None:
        """Nothing more is done in it."""
        self.lane.leave()
        self.readers.leave()
        self.errands.leave()

    @property
    def hangs(self) -> bool:
        """Whether a call of ours is still at work in it, which could write late."""
        return isinstance(self.lane, ThreadLane) and self.lane.is_busy

    @property
    def answers_reads(self) -> bool:
        """Whether a read may be tried, although it is not well."""
        return self.store is not None and not self.hangs and not self.readers.busy_seconds
