"""A clock that a set date does not move."""

from pathlib import Path

import pytest

from s3fs_local.errors import InvalidArgument
from s3fs_local.system import clock as clock_module
from s3fs_local.system.clock import WALL_BOUND_NS, Anchor, SettableClock, TrustedClock

SECOND = 10**9
YEAR = 365 * 24 * 3600 * SECOND
START = 1_800_000_000 * SECOND


class _Machine:
    """Two clocks, of which root can set one."""

    def __init__(self) -> None:
        self.wall_ns = START
        self.boottime_ns = 500 * SECOND
        self.boot_id = "boot 1"

    def pass_time(self, by_ns: int) -> None:
        self.wall_ns += by_ns
        self.boottime_ns += by_ns

    def clock(self, floor_ns: int = 0, anchor: Anchor | None = None) -> TrustedClock:
        return TrustedClock(
            floor_ns=floor_ns,
            anchor=anchor,
            wall=lambda: self.wall_ns,
            boottime=lambda: self.boottime_ns,
            boot=lambda: self.boot_id,
        )


def test_an_honest_clock_shows_wall_time() -> None:
    """The story; small steps, as NTP makes them, are followed."""
    machine = _Machine()
    clock = machine.clock()
    machine.pass_time(5 * SECOND)
    machine.wall_ns += 2 * SECOND

    assert clock.now_ns() == START + 7 * SECOND
    assert not clock.suspect


@pytest.mark.parametrize("jump_ns", [WALL_BOUND_NS + 1, YEAR, 50 * YEAR, -YEAR, -50 * YEAR])
def test_a_date_set_while_mounted_moves_nothing(jump_ns: int) -> None:
    """A lock must not expire because root typed `date -s`."""
    machine = _Machine()
    clock = machine.clock()
    machine.wall_ns += jump_ns
    machine.pass_time(3 * SECOND)

    assert clock.now_ns() == START + 3 * SECOND
    assert clock.suspect
    machine.wall_ns -= jump_ns
    assert clock.now_ns() == START + 3 * SECOND
    assert not clock.suspect


def test_many_small_steps_do_not_add_up() -> None:
    """Each within the bound, together a year."""
    machine = _Machine()
    clock = machine.clock()
    for _ in range(10_000):
        machine.wall_ns += WALL_BOUND_NS // 2
        clock.now_ns()

    assert clock.now_ns() <= START + WALL_BOUND_NS
    assert clock.suspect


def test_time_never_runs_backwards() -> None:
    """Not even by the step back that NTP may make."""
    machine = _Machine()
    clock = machine.clock()
    machine.pass_time(10 * SECOND)
    latest = clock.now_ns()
    machine.wall_ns -= 5 * SECOND

    assert clock.now_ns() == latest
    assert not clock.suspect


def test_a_clock_before_the_last_stamp_goes_on_from_the_stamp() -> None:
    """A dead battery puts the machine back to 1970."""
    machine = _Machine()
    machine.wall_ns = 0
    clock = machine.clock(floor_ns=START)
    assert clock.suspect
    machine.pass_time(SECOND)

    assert clock.now_ns() == START + SECOND


def test_a_little_before_the_last_stamp_is_no_alarm() -> None:
    """Stamps run ahead of the clock by a few ns under load."""
    machine = _Machine()
    clock = machine.clock(floor_ns=START + SECOND)

    assert clock.now_ns() == START + SECOND
    assert not clock.suspect


def test_a_date_set_between_two_mounts_moves_nothing() -> None:
    """Unmount, set the date, mount again: the anchor is of the same boot."""
    machine = _Machine()
    anchor = machine.clock().anchor()
    machine.pass_time(60 * SECOND)
    machine.wall_ns += 10 * YEAR
    clock = machine.clock(anchor=anchor)

    assert clock.now_ns() == START + 60 * SECOND
    assert clock.suspect


def test_an_anchor_of_another_boot_says_nothing() -> None:
    """The boot clock began anew."""
    machine = _Machine()
    anchor = machine.clock().anchor()
    machine.boot_id, machine.boottime_ns = "boot 2", 0
    machine.wall_ns += YEAR
    clock = machine.clock(floor_ns=START, anchor=anchor)

    assert clock.now_ns() == START + YEAR
    assert not clock.suspect


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
    assert not clock.suspect
    assert clock.anchor().boot_id == clock_module.boot_id()
    assert Path("/proc/sys/kernel/random/boot_id").exists()
