"""One thing done in several zones at a time, until enough have done it."""

from threading import Event, Lock

from s3fs_local.objects.zone import Zone
from s3fs_local.rules.quorum import waits_for


class Round:
    """Who has done it, who failed, who is still at it. Told by the lanes, awaited by one caller."""

    def __init__(self, zones: list[Zone], *, needed: int, waits_for_all: bool = False) -> None:
        """`needed` of `zones` must succeed; while two may, it waits for two, or for all."""
        self.needed = needed
        self._waits_for_all = waits_for_all
        self.pending = set(zones)
        self.done: list[Zone] = []
        self.errors: dict[Zone, Exception] = {}
        self._decided = Event()
        self._mutex = Lock()
        self._is_over = False

    def note(self, zone: Zone, error: Exception | None) -> bool:
        """The zone has done it, or failed; False where nobody waits for that any more."""
        with self._mutex:
            if self._is_over or zone not in self.pending:
                return False
            self.pending.discard(zone)
            if error is None:
                self.done.append(zone)
            else:
                self.errors[zone] = error
            target = waits_for(self.needed, len(self.done) + len(self.pending))
            is_enough = len(self.done) >= target and not self._waits_for_all
            if is_enough or not self.pending:
                self._decided.set()
            return True

    def wait(self, seconds: float) -> list[Zone]:
        """Enough have done it, or none is left, or time is up; returns who ran out of time."""
        in_time = self._decided.wait(seconds)
        with self._mutex:
            self._is_over = True
            return [] if in_time else list(self.pending)

    @property
    def is_enough(self) -> bool:
        """Whether as many succeeded as are needed."""
        return len(self.done) >= self.needed
