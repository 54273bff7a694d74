"""A machine whose date root can set, that can be started anew, and whose time is passed in."""

from s3fs_local.rules.compliance_clock import ClockState
from s3fs_local.system.clock import Machine, TrustedClock

SECOND = 10**9
START = 1_800_000_000 * SECOND


class PretendedMachine(Machine):
    """Its clocks, of which root can set one."""

    def __init__(self) -> None:
        self.wall = START
        self.boottime = 500 * SECOND
        self.uptime = 500 * SECOND
        self.boot_id = "boot 1"
        self.host = "here"

    def wall_ns(self) -> int:
        """The date."""
        return self.wall

    def boottime_ns(self) -> int:
        """Time since boot, as the call tells it."""
        return self.boottime

    def uptime_ns(self) -> int:
        """Time since boot, as the file tells it."""
        return self.uptime

    def pass_time(self, by_ns: int) -> None:
        """Time passes, and all clocks show it."""
        self.wall += by_ns
        self.boottime += by_ns
        self.uptime += by_ns

    def reboot(self) -> None:
        """The machine is started anew."""
        self.boot_id += "+"
        self.boottime = self.uptime = 0

    def clock(self, floor_ns: int = 0, state: ClockState | None = None) -> TrustedClock:
        """A clock of a store that is opened on it."""
        return TrustedClock(floor_ns=floor_ns, state=state, machine=self)
