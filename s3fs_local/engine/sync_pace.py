"""Whether a sync may be waited for in the loop's thread: on a quick disk a thread costs more.

Handing a sync to a thread and its end back takes some 300 us; an fdatasync on a solid disk takes
100 to 200. So whoever has nothing else to do may wait itself, as long as syncs are quick. How long
the first one takes nobody knows, so it is not waited for like this.
"""

from typing import Final

QUICK_NS_MAX: Final = 2_000_000
"""The usual time up to which a sync counts as quick: so long everybody else may have to wait."""
_WEIGHT: Final = 8  # the usual time follows each new one by one part in so many


class SyncPace:
    """What syncs took lately."""

    def __init__(self) -> None:
        self._usual_ns: int | None = None

    def note(self, took_ns: int) -> None:
        """A sync took so long."""
        if self._usual_ns is None:
            self._usual_ns = took_ns
        self._usual_ns += (took_ns - self._usual_ns) // _WEIGHT

    @property
    def is_quick(self) -> bool:
        """Whether the next one will hold nobody up for long, as far as one can tell."""
        return self._usual_ns is not None and self._usual_ns <= QUICK_NS_MAX
