"""What time it is, and whether that may be believed."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final, Protocol

from msgspec import structs

from s3fs_local.errors import InvalidArgument
from s3fs_local.rules.compliance_clock import (
    BOUND_NS,
    SOURCES_BOUND_NS,
    ClockState,
    Reading,
    advanced,
    is_same_boot,
    measured_ns,
    sources_part,
)

CHECK_NS: Final = 10**9
"""How old the compliance clock may be when somebody asks."""


class Clock(Protocol):
    """The one source of instants for stamps, locks and expiries."""

    def now_ns(self) -> int:
        """Nanoseconds since 1970-01-01 UTC; never less than an earlier answer."""
        ...

    def expiry_ns(self) -> int:
        """The instant by which protections and expiries are judged; never after `now_ns`."""
        ...

    def check(self) -> bool:
        """Looks at the machine's clocks; returns whether doubt about them came or went."""
        ...

    @property
    def in_doubt(self) -> bool:
        """Whether nothing ends by time now."""
        ...

    @property
    def state(self) -> ClockState | None:
        """What to hand to the next clock of this store; None where there is nothing to hand on."""
        ...


# No functions of Python: each request asks several times.
wall_ns: Final = partial(time.clock_gettime_ns, time.CLOCK_REALTIME)
"""CLOCK_REALTIME: anybody with root may set it."""

boottime_ns: Final = partial(time.clock_gettime_ns, time.CLOCK_BOOTTIME)
"""CLOCK_BOOTTIME: nobody can set it; counts while the machine sleeps, restarts at boot."""


def uptime_ns() -> int:
    """The same to a hundredth of a second, read from a file: not what libfaketime pretends."""
    seconds, _, hundredths = Path("/proc/uptime").read_text("ascii").split()[0].partition(".")
    return (int(seconds) * 100 + int(hundredths)) * 10**7


def boot_id() -> str:
    """A name for this boot of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def host_id() -> str:
    """A name for this machine; "" where it has none."""
    try:
        return Path("/etc/machine-id").read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


class Machine:
    """The clocks of this machine; tests have others."""

    wall_ns: Callable[[], int]
    """The date."""
    boottime_ns: Callable[[], int]
    """Time since boot: cheap."""
    uptime_ns: Callable[[], int]
    """Time since boot: honest, and a thousand times dearer."""

    def __init__(self) -> None:
        self.boot_id = boot_id()
        self.host = host_id()
        self.wall_ns = wall_ns
        self.boottime_ns = boottime_ns
        self.uptime_ns = uptime_ns


class TrustedClock:
    """Wall time, as long as it agrees with the time that passed since the start.

    Where both part by more than `BOUND_NS` stamps go on by elapsed time alone, and the clock is in
    doubt until they agree again. The start is never moved to a later reading, or many small steps
    would add up to a large one. Wall time after a reboot is believed for stamps if it is not
    before the floor. What ends by time is judged by `expiry_ns`, see `rules/compliance_clock.py`.
    """

    def __init__(
        self, *, floor_ns: int, state: ClockState | None = None, machine: Machine | None = None
    ) -> None:
        """Starts at or after `floor_ns`, the last stamp of the store.

        Args:
            floor_ns: no answer is below it.
            state: the clock when the store was open last. Of this boot it goes on, so that
                unmounting, setting the date and mounting again gains nothing.
            machine: whose clocks are read.
        """
        self._machine = machine or Machine()
        reading = self._read()
        self._is_lied_to = False  # about the cheap count of time since boot
        if state is not None and is_same_boot(state, reading):
            started_ns = state.now_ns + measured_ns(state, reading)
            self._is_lied_to = sources_part(state, reading)
        elif reading.wall_ns >= floor_ns - BOUND_NS:
            started_ns = reading.wall_ns
        else:
            started_ns = floor_ns
        self._started_ns = started_ns
        self._began = reading
        self._last_ns = floor_ns
        self._suspect = False
        known = state or ClockState(
            boot_id=reading.boot_id,
            host=reading.host,
            boottime_ns=reading.boottime_ns,
            uptime_ns=reading.uptime_ns,
            now_ns=started_ns,
            expiry_ns=floor_ns or started_ns,
        )
        self._state = known
        self._last_expiry_ns = known.expiry_ns
        self.was_handed_over: Final = not is_same_boot(known, reading)
        self.check()

    def _read(self) -> Reading:
        machine = self._machine
        return Reading(
            boot_id=machine.boot_id,
            host=machine.host,
            boottime_ns=machine.boottime_ns(),
            uptime_ns=machine.uptime_ns(),
            wall_ns=machine.wall_ns(),
        )

    def now_ns(self) -> int:
        """Nanoseconds since 1970-01-01 UTC; never less than an earlier answer or the floor."""
        now_ns = self._machine.wall_ns()
        expected_ns = self._expected_ns()
        self._suspect = not -BOUND_NS <= now_ns - expected_ns <= BOUND_NS
        if self._suspect:
            now_ns = expected_ns
        self._last_ns = max(self._last_ns, now_ns)
        return self._last_ns

    def _expected_ns(self) -> int:
        if self._is_lied_to:
            return self._started_ns + self._machine.uptime_ns() - self._began.uptime_ns
        return self._started_ns + self._machine.boottime_ns() - self._began.boottime_ns

    def check(self) -> bool:
        """The compliance clock goes on to now; returns whether doubt came or went.

        Whoever keeps a store open calls it every second or so: more seldom costs nothing but that
        a lie about the time since boot is noticed later.
        """
        was_in_doubt = self.in_doubt
        reading = self._read()
        if not self._is_lied_to and sources_part_since(self._began, reading):
            self._is_lied_to = True
        if self._is_lied_to:  # the next clock of the store must not take the lie for the truth
            since_ns = reading.uptime_ns - self._state.uptime_ns
            reading = structs.replace(reading, boottime_ns=self._state.boottime_ns + since_ns)
        now_ns = self.now_ns()
        self._state = advanced(self._state, reading, now_ns=now_ns, in_doubt=self.in_doubt)
        return was_in_doubt != self.in_doubt

    def expiry_ns(self) -> int:
        """The instant by which protections end: `now_ns`, or earlier."""
        elapsed_ns = self._machine.boottime_ns() - self._state.boottime_ns
        if elapsed_ns > CHECK_NS or self._is_lied_to:
            self.check()
            elapsed_ns = 0
        now_ns = self.now_ns()
        shown_ns = self._state.expiry_ns
        if not self.in_doubt:
            shown_ns = min(now_ns, shown_ns + max(elapsed_ns, 0))
        self._last_expiry_ns = max(self._last_expiry_ns, shown_ns)
        return self._last_expiry_ns

    @property
    def suspect(self) -> bool:
        """Whether wall time was not to be believed at the last reading."""
        return self._suspect

    @property
    def in_doubt(self) -> bool:
        """Whether nothing ends by time now."""
        return self._suspect or self._is_lied_to

    @property
    def is_lied_to(self) -> bool:
        """Whether this process is told a false time since boot."""
        return self._is_lied_to

    @property
    def state(self) -> ClockState:
        """What to hand to the next clock of this store."""
        self.check()
        # By elapsed time, not as wall time has it: mounting again must not move the start either.
        return structs.replace(self._state, now_ns=self._expected_ns())

    @property
    def behind_ns(self) -> int:
        """By how much protections end later than their dates, as of the last check."""
        return self._state.behind_ns

    @property
    def ahead_ns(self) -> int:
        """By how much the date is ahead of the trusted time; negative where it is behind."""
        return self._machine.wall_ns() - self._expected_ns()


def sources_part_since(began: Reading, reading: Reading) -> bool:
    """Whether the two counts of time since boot part, over the life of this process."""
    boottime = reading.boottime_ns - began.boottime_ns
    uptime = reading.uptime_ns - began.uptime_ns
    return abs(boottime - uptime) > SOURCES_BOUND_NS


class SettableClock:
    """Stands still until it is told; for tests, and for stores made to rehearse years."""

    in_doubt: Final = False

    def __init__(self, now_ns: int) -> None:
        """Shows `now_ns`."""
        self._now_ns = now_ns

    def now_ns(self) -> int:
        """The instant it was set to."""
        return self._now_ns

    def expiry_ns(self) -> int:
        """The same instant."""
        return self._now_ns

    def check(self) -> bool:
        """Nobody doubts it."""
        return False

    @property
    def state(self) -> ClockState | None:
        """The next one is told anew."""
        return None

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
