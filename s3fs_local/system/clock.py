"""What time it is, and whether that may be believed."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from msgspec import Struct

from s3fs_local.errors import InvalidArgument

WALL_BOUND_NS: Final = 3_600 * 10**9  # NTP steps and leap seconds are far below, attacks far above


class Clock(Protocol):
    """The one source of instants for stamps, locks and expiries."""

    def now_ns(self) -> int:
        """Nanoseconds since 1970-01-01 UTC; never less than an earlier answer."""
        ...


class Anchor(Struct, frozen=True):
    """What the clock showed at one moment of one boot; kept by the store between two mounts."""

    boot_id: str
    boottime_ns: int
    now_ns: int


def wall_ns() -> int:
    """CLOCK_REALTIME: anybody with root may set it."""
    return time.clock_gettime_ns(time.CLOCK_REALTIME)


def boottime_ns() -> int:
    """CLOCK_BOOTTIME: nobody can set it; counts while the machine sleeps, restarts at boot."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def boot_id() -> str:
    """A name for this boot of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


class TrustedClock:
    """Wall time, as long as it agrees with the time that passed since the start.

    Where both part by more than `WALL_BOUND_NS` the clock goes on by elapsed time alone and is
    `suspect` until they agree again: nothing expires early because somebody set the date. The start
    is never moved to a later reading, or many small steps would add up to a large one.

    Neither `floor_ns` nor an anchor can tell a wrong date from a long time switched off: wall time
    after a reboot is believed if it is not before the floor.
    """

    def __init__(
        self,
        *,
        floor_ns: int,
        anchor: Anchor | None = None,
        wall: Callable[[], int] = wall_ns,
        boottime: Callable[[], int] = boottime_ns,
        boot: Callable[[], str] = boot_id,
    ) -> None:
        """Starts at or after `floor_ns`, the last stamp of the store.

        Args:
            floor_ns: no answer is below it.
            anchor: an earlier reading; used if it is of this boot, so that unmounting, setting the
                date and mounting again gains nothing.
            wall: reads wall time in ns.
            boottime: reads the time since boot in ns.
            boot: names this boot.
        """
        self._wall = wall
        self._boottime = boottime
        self._boot_id = boot()
        elapsed_ns = boottime()
        if anchor is not None and anchor.boot_id == self._boot_id:
            started_ns = anchor.now_ns + elapsed_ns - anchor.boottime_ns
        elif wall() >= floor_ns - WALL_BOUND_NS:
            started_ns = wall()
        else:
            started_ns = floor_ns
        self._booted_ns = started_ns - elapsed_ns
        self._last_ns = floor_ns
        self._suspect = False
        self.now_ns()

    def now_ns(self) -> int:
        """Nanoseconds since 1970-01-01 UTC; never less than an earlier answer or the floor."""
        expected_ns = self._booted_ns + self._boottime()
        now_ns = self._wall()
        self._suspect = abs(now_ns - expected_ns) > WALL_BOUND_NS
        if self._suspect:
            now_ns = expected_ns
        self._last_ns = max(self._last_ns, now_ns)
        return self._last_ns

    @property
    def suspect(self) -> bool:
        """Whether wall time was not to be believed at the last reading."""
        return self._suspect

    def anchor(self) -> Anchor:
        """What to hand to the next clock of this store.

        By elapsed time, not as wall time has it: mounting again must not move the start either.
        """
        boottime_ns = self._boottime()
        now_ns = self._booted_ns + boottime_ns
        return Anchor(boot_id=self._boot_id, boottime_ns=boottime_ns, now_ns=now_ns)


class SettableClock:
    """Stands still until it is told; for tests, and for stores made to rehearse years."""

    suspect: Final = False

    def __init__(self, now_ns: int) -> None:
        """Shows `now_ns`."""
        self._now_ns = now_ns

    def now_ns(self) -> int:
        """The instant it was set to."""
        return self._now_ns

    def advance(self, by_ns: int) -> None:
        """It is `by_ns` later.

        Raises:
            InvalidArgument: backwards.
        """
        if by_ns < 0:
            message = f"a trusted clock never runs backwards (asked for {by_ns} ns)"
            raise InvalidArgument(message)
        self._now_ns += by_ns

    def set(self, now_ns: int) -> None:
        """It is `now_ns`.

        Raises:
            InvalidArgument: backwards.
        """
        self.advance(now_ns - self._now_ns)
