"""Whether a device may be waited for in the loop's thread: a quick one costs less so.

Handing a call to a thread and its end back takes some 300 us; an fdatasync on a solid disk, or a
read of some KiB, takes 100 to 200. So whoever has nothing else to do may wait itself, as long as
the device is quick. How long the first call takes nobody knows, so it is not waited for like this.
"""

from typing import Final

QUICK_NS_MAX: Final = 2_000_000
"""The usual time up to which a device counts as quick: so long everybody else may have to wait."""
_WEIGHT: Final = 8  # the usual time follows each new one by one part in so many


class DevicePace:
    """What calls of one kind took lately."""

    def __init__(self) -> None:
        self._usual_ns: int | None = None

    def note(self, took_ns: int) -> None:
        """A call took so long."""
        if self._usual_ns is None:
            self._usual_ns = took_ns
        self._usual_ns += (took_ns - self._usual_ns) // _WEIGHT

    @property
    def is_quick(self) -> bool:
        """Whether the next one will hold nobody up for long, as far as one can tell."""
        return self._usual_ns is not None and self._usual_ns <= QUICK_NS_MAX
