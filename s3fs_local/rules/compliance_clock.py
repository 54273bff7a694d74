"""The compliance clock: the instant by which protections and expiries end.

Anybody with root can set the date. So this clock counts only time that was *measured*: that the
kernel counted since this boot, which nobody can set. The date serves as its bound, never as its
source:

    date and measured time agree    the clock shows the date
    date set by more than BOUND_NS  in doubt: the clock stands still until they agree again; what
                                    was measured meanwhile counts then
    another boot, another machine,  nobody measured the time between: the clock goes on from where
    a copy that was put back        it was, behind the date, and protections end that much later
    behind the date                 it catches up by 1/CATCH_UP of what is measured: a week a year

So it never runs backwards, and never runs ahead of what was measured by more than that. A store
whose date is wrong for years keeps its locks at least 98 % of their time; see
docs/decisions/0009-only-measured-time-ends-a-lock.md.
"""

from typing import Final

from msgspec import Struct, structs

BOUND_NS: Final = 3_600 * 10**9
"""How far date and measured time may part: NTP steps and leap seconds are far below."""
CATCH_UP: Final = 52
"""Part of the measured time by which a clock that is behind the date goes faster."""
SOURCES_BOUND_NS: Final = 2 * 10**9
"""How far the kernel's two counts of one boot may part; a program may be lied to about one."""


class Reading(Struct, frozen=True):
    """What a machine shows at one moment."""

    boot_id: str
    host: str  # the machine
    boottime_ns: int  # CLOCK_BOOTTIME: counts while the machine sleeps, restarts at boot
    uptime_ns: int  # the same from /proc/uptime, which a preloaded library does not reach
    wall_ns: int  # the date


class ClockState(Struct, frozen=True, array_like=True):
    """The clock as it was at one reading; what the ledger keeps of it."""

    boot_id: str
    host: str
    boottime_ns: int
    uptime_ns: int
    now_ns: int  # the trusted time of stamps
    expiry_ns: int  # what the compliance clock shows
    withheld_ns: int = 0  # measured in doubt, and not counted yet
    wall_ns: int = 0

    @property
    def behind_ns(self) -> int:
        """By how much protections end later than their dates."""
        return max(self.now_ns - self.expiry_ns, 0)


def measured_ns(state: ClockState, reading: Reading) -> int:
    """The time between the two that somebody can vouch for; 0 across boots."""
    if not is_same_boot(state, reading):
        return 0
    return max(0, min(reading.boottime_ns - state.boottime_ns, reading.uptime_ns - state.uptime_ns))


def is_same_boot(state: ClockState, reading: Reading) -> bool:
    """Whether the machine was not started anew between them."""
    went_on = reading.uptime_ns >= state.uptime_ns - SOURCES_BOUND_NS
    return state.boot_id == reading.boot_id and state.host == reading.host and went_on


def sources_part(state: ClockState, reading: Reading) -> bool:
    """Whether the two counts of the kernel tell of different times."""
    boottime = reading.boottime_ns - state.boottime_ns
    uptime = reading.uptime_ns - state.uptime_ns
    return abs(boottime - uptime) > SOURCES_BOUND_NS


def advanced(state: ClockState, reading: Reading, *, now_ns: int, in_doubt: bool) -> ClockState:
    """The clock at the reading.

    Args:
        state: at an earlier reading.
        reading: of now.
        now_ns: the trusted time of stamps, which the clock never passes.
        in_doubt: whether date and measured time part.
    """
    measured = measured_ns(state, reading)
    expiry_ns, withheld_ns = state.expiry_ns, state.withheld_ns + measured
    if not in_doubt:
        behind_ns = max(now_ns - expiry_ns, 0)
        expiry_ns += min(withheld_ns + withheld_ns // CATCH_UP, behind_ns)
        withheld_ns = 0
    return structs.replace(
        state,
        boot_id=reading.boot_id,
        host=reading.host,
        boottime_ns=reading.boottime_ns,
        uptime_ns=reading.uptime_ns,
        now_ns=now_ns,
        expiry_ns=expiry_ns,
        withheld_ns=withheld_ns,
        wall_ns=reading.wall_ns,
    )
