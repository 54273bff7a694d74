"""Many small lies about the time, one after each mount, must not add up to a large one."""

from s3fs_local.rules.compliance_clock import BOUND_NS, ClockState
from s3fs_local.system.clock import TrustedClock
from tests.pretended_machine import SECOND, START, PretendedMachine


def test_a_date_set_a_little_before_every_mount_gains_an_hour_at_most() -> None:
    """Unmounting and mounting takes a second; a retention of a year must not end in a morning."""
    machine = PretendedMachine()
    floor_ns = 0
    state: ClockState | None = None
    for _ in range(1000):
        machine.pass_time(SECOND)
        machine.wall += BOUND_NS - 60 * SECOND
        clock = TrustedClock(floor_ns=floor_ns, state=state, machine=machine)
        floor_ns = clock.now_ns()
        state = clock.state

    passed_ns = machine.boottime - 500 * SECOND
    assert floor_ns <= START + passed_ns + 2 * BOUND_NS
    assert clock.expiry_ns() <= START + 2 * passed_ns + 2 * BOUND_NS
