"""A clock that a set date does not move."""

from pathlib import Path

import pytest

from s3fs_local.errors import InvalidArgument
from s3fs_local.rules.compliance_clock import BOUND_NS
from s3fs_local.system import clock as clock_module
from s3fs_local.system.clock import SettableClock, TrustedClock
from tests.pretended_machine import SECOND, START, PretendedMachine

YEAR = 365 * 24 * 3600 * SECOND


def test_an_honest_clock_shows_wall_time() -> None:
    """The story; small steps, as NTP makes them, are followed."""
    machine = PretendedMachine()
    clock = machine.clock()
    machine.pass_time(5 * SECOND)
    machine.wall += 2 * SECOND

    assert clock.now_ns() == START + 7 * SECOND
    assert not clock.in_doubt


@pytest.mark.parametrize("jump_ns", [BOUND_NS + 1, YEAR, 50 * YEAR, -YEAR, -50 * YEAR])
def test_a_date_set_while_mounted_moves_nothing(jump_ns: int) -> None:
    """A lock must not expire because root typed `date -s`."""
    machine = PretendedMachine()
    clock = machine.clock()
    machine.wall += jump_ns
    machine.pass_time(3 * SECOND)

    assert clock.now_ns() == START + 3 * SECOND
    assert clock.in_doubt
    machine.wall -= jump_ns
    assert clock.now_ns() == START + 3 * SECOND
    assert not clock.in_doubt


def test_many_small_steps_do_not_add_up() -> None:
    """Each within the bound, together a year."""
    machine = PretendedMachine()
    clock = machine.clock()
    for _ in range(10_000):
        machine.wall += BOUND_NS // 2
        clock.now_ns()

    assert clock.now_ns() <= START + BOUND_NS
    assert clock.in_doubt


def test_time_never_runs_backwards() -> None:
    """Not even by the step back that NTP may make."""
    machine = PretendedMachine()
    clock = machine.clock()
    machine.pass_time(10 * SECOND)
    latest = clock.now_ns()
    machine.wall -= 5 * SECOND

    assert clock.now_ns() == latest
    assert not clock.in_doubt


def test_a_clock_before_the_last_stamp_goes_on_from_the_stamp() -> None:
    """A dead battery puts the machine back to 1970."""
    machine = PretendedMachine()
    machine.wall = 0
    clock = machine.clock(floor_ns=START)
    assert clock.in_doubt
    machine.pass_time(SECOND)

    assert clock.now_ns() == START + SECOND


def test_a_little_before_the_last_stamp_is_no_alarm() -> None:
    """Stamps run ahead of the clock by a few ns under load."""
    machine = PretendedMachine()
    clock = machine.clock(floor_ns=START + SECOND)

    assert clock.now_ns() == START + SECOND
    assert not clock.in_doubt


def test_a_date_set_between_two_mounts_moves_nothing() -> None:
    """Unmount, set the date, mount again: the state is of the same boot."""
    machine = PretendedMachine()
    state = machine.clock().state
    machine.pass_time(60 * SECOND)
    machine.wall += 10 * YEAR
    clock = machine.clock(state=state)

    assert clock.now_ns() == START + 60 * SECOND
    assert clock.in_doubt


def test_a_state_of_another_boot_says_nothing() -> None:
    """The boot clock began anew."""
    machine = PretendedMachine()
    state = machine.clock().state
    machine.reboot()
    machine.wall += YEAR
    clock = machine.clock(floor_ns=START, state=state)

    assert clock.now_ns() == START + YEAR
    assert not clock.in_doubt


def test_a_settable_clock_stands_still_until_told() -> None:
    """For tests and rehearsals; backwards it refuses, too."""
    clock = SettableClock(START)
    assert clock.now_ns() == clock.now_ns() == START
    clock.advance(5)
    clock.set(START + 7)

    assert clock.now_ns() == START + 7
    with pytest.raises(InvalidArgument):
        clock.set(START)
    with pytest.raises(InvalidArgument):
        clock.advance(-1)


def test_this_machine_has_the_clocks() -> None:
    """Names of system calls and files, right on a real kernel."""
    clock = TrustedClock(floor_ns=0)

    assert clock.now_ns() <= clock.now_ns()
    assert not clock.in_doubt
    assert clock.state.boot_id == clock_module.boot_id()
    assert clock.expiry_ns() <= clock.now_ns()
    assert abs(clock_module.uptime_ns() - clock_module.boottime_ns()) < SECOND
    assert Path("/proc/sys/kernel/random/boot_id").exists()


def test_no_lock_ends_while_the_date_is_in_doubt() -> None:
    """Stamps go on, for work goes on; what ends by time waits until the date is right again."""
    machine = PretendedMachine()
    clock = machine.clock()
    machine.wall += 50 * YEAR
    machine.pass_time(10 * SECOND)
    assert clock.now_ns() == START + 10 * SECOND
    assert clock.expiry_ns() == START
    machine.wall -= 50 * YEAR
    assert clock.check(), "the end of the doubt is told once"

    assert clock.expiry_ns() == START + 10 * SECOND


def test_a_reboot_with_a_false_date_ends_no_lock() -> None:
    """Stamps believe the date, which may be right; the compliance clock waits for measured time."""
    machine = PretendedMachine()
    state = machine.clock().state
    machine.reboot()
    machine.wall += 50 * YEAR
    clock = machine.clock(floor_ns=START, state=state)
    assert clock.was_handed_over
    assert clock.now_ns() == START + 50 * YEAR
    assert clock.expiry_ns() == START
    machine.pass_time(52 * 3600 * SECOND)
    clock.check()

    assert clock.expiry_ns() == START + 53 * 3600 * SECOND
    assert clock.behind_ns > 49 * YEAR


def test_a_false_time_since_boot_is_noticed() -> None:
    """Libfaketime reaches the call, not the file; across a mount, and while it runs."""
    machine = PretendedMachine()
    state = machine.clock().state
    machine.pass_time(SECOND)
    machine.boottime += 50 * YEAR
    machine.wall += 50 * YEAR
    clock = machine.clock(floor_ns=START, state=state)
    assert clock.is_lied_to
    assert clock.expiry_ns() == START
    assert clock.now_ns() == START + SECOND
    machine.boottime -= 50 * YEAR
    machine.wall -= 50 * YEAR
    assert not machine.clock(floor_ns=START, state=clock.state).in_doubt, "an honest mount later"
    faster = PretendedMachine()
    running = faster.clock()
    faster.pass_time(SECOND)
    faster.boottime += 9 * SECOND
    faster.wall += 9 * SECOND
    running.check()

    assert running.is_lied_to


def test_a_lock_shorter_than_a_check_ends_on_time() -> None:
    """Between two checks the cheap count goes on."""
    machine = PretendedMachine()
    clock = machine.clock()
    machine.pass_time(SECOND // 4)

    assert clock.expiry_ns() == START + SECOND // 4
