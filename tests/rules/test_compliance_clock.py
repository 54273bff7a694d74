"""Only measured time ends a lock: every way to play with clocks, by values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from s3fs_local.rules.compliance_clock import (
    BOUND_NS,
    CATCH_UP,
    SOURCES_BOUND_NS,
    ClockState,
    Reading,
    advanced,
    is_same_boot,
    measured_ns,
    sources_part,
)

SECOND = 10**9
HOUR = 3600 * SECOND
DAY = 24 * HOUR
YEAR = 365 * DAY
START = 1_800_000_000 * SECOND

BEGAN = ClockState(
    boot_id="boot 1",
    host="here",
    boottime_ns=500 * SECOND,
    uptime_ns=500 * SECOND,
    now_ns=START,
    expiry_ns=START,
)


def reading(after_ns: int = 0, **others: object) -> Reading:
    """What an honest machine shows so much later."""
    honest = Reading(
        boot_id="boot 1",
        host="here",
        boottime_ns=BEGAN.boottime_ns + after_ns,
        uptime_ns=BEGAN.uptime_ns + after_ns,
        wall_ns=START + after_ns,
    )
    return structs.replace(honest, **others)


def at(
    state: ClockState, shown: Reading, *, now_ns: int | None = None, in_doubt: bool = False
) -> ClockState:
    """The clock at the reading; the date is believed unless `now_ns` says otherwise."""
    return advanced(
        state, shown, now_ns=shown.wall_ns if now_ns is None else now_ns, in_doubt=in_doubt
    )


def test_an_honest_clock_shows_the_date() -> None:
    """The story."""
    state = at(BEGAN, reading(5 * DAY))

    assert state.expiry_ns == START + 5 * DAY
    assert state.behind_ns == 0


def test_doubt_stops_the_clock_and_its_end_counts_what_was_measured() -> None:
    """Frozen while somebody plays with the date, and nothing lost by it afterwards."""
    doubted = at(BEGAN, reading(DAY), now_ns=START + DAY, in_doubt=True)
    still = at(doubted, reading(3 * DAY), now_ns=START + 3 * DAY, in_doubt=True)
    assert doubted.expiry_ns == still.expiry_ns == START
    ended = at(still, reading(3 * DAY + HOUR))

    assert ended.expiry_ns == START + 3 * DAY + HOUR


@pytest.mark.parametrize("jump_ns", [-50 * YEAR, -1, 1, SECOND, BOUND_NS, YEAR, 50 * YEAR])
@pytest.mark.parametrize(
    "elsewhere",
    [{"boot_id": "boot 2"}, {"host": "there"}, {"boottime_ns": 1, "uptime_ns": 1}],
    ids=["another boot", "another machine", "an earlier state of a virtual machine"],
)
def test_time_that_nobody_measured_does_not_count(
    jump_ns: int, elsewhere: dict[str, object]
) -> None:
    """A reboot with a wrong date, a copied store, a store from another host: no lock ends by it."""
    shown = reading(0, wall_ns=START + jump_ns, **elsewhere)
    state = at(BEGAN, shown, now_ns=max(START, START + jump_ns))

    assert state.expiry_ns == START
    assert measured_ns(BEGAN, shown) == 0
    assert not is_same_boot(BEGAN, shown)


def test_a_clock_that_is_behind_catches_up_by_a_week_a_year() -> None:
    """A weekend switched off is caught up in four months; fifty false years never are."""
    rebooted = at(BEGAN, reading(0, boot_id="boot 2", wall_ns=START + 2 * DAY))
    assert rebooted.behind_ns == 2 * DAY
    later = at(rebooted, reading(104 * DAY, boot_id="boot 2", wall_ns=START + 106 * DAY))
    assert later.behind_ns == 0
    fooled = at(BEGAN, reading(0, boot_id="boot 2", wall_ns=START + 50 * YEAR))
    year = at(fooled, reading(YEAR, boot_id="boot 2", wall_ns=START + 51 * YEAR))

    assert year.expiry_ns == START + YEAR + YEAR // CATCH_UP


def test_the_smaller_of_two_counts_is_believed() -> None:
    """A preloaded library pretends fifty years since boot; the file in /proc knows better."""
    lied = reading(HOUR, boottime_ns=BEGAN.boottime_ns + 50 * YEAR)

    assert sources_part(BEGAN, lied)
    assert not sources_part(BEGAN, reading(50 * YEAR))
    assert measured_ns(BEGAN, lied) == HOUR
    assert measured_ns(BEGAN, reading(HOUR, boottime_ns=0)) == 0


STEPS = st.lists(
    st.tuples(
        st.integers(min_value=0, max_value=400 * DAY),  # time that truly passes
        st.integers(min_value=-60 * YEAR, max_value=60 * YEAR),  # what the date is off by
        st.booleans(),  # a reboot
        st.booleans(),  # in doubt
    ),
    max_size=30,
)


@given(steps=STEPS)
def test_whatever_is_done_the_clock_neither_goes_back_nor_runs_ahead(
    steps: list[tuple[int, int, bool, bool]],
) -> None:
    """The two promises that everything else follows from."""
    state, passed_ns, boot, now_ns = BEGAN, 0, 1, START
    began_ns = 0  # of the boot
    for span_ns, off_ns, reboots, in_doubt in steps:
        passed_ns += span_ns
        if reboots:
            boot, began_ns = boot + 1, passed_ns
        since_boot = BEGAN.boottime_ns + passed_ns if boot == 1 else passed_ns - began_ns
        shown = Reading(f"boot {boot}", "here", since_boot, since_boot, START + passed_ns + off_ns)
        now_ns = max(now_ns, shown.wall_ns)
        before = state
        state = at(state, shown, now_ns=now_ns, in_doubt=in_doubt)

        assert before.expiry_ns <= state.expiry_ns <= now_ns
        assert state.expiry_ns <= START + passed_ns + passed_ns // CATCH_UP
        assert state.behind_ns == now_ns - state.expiry_ns


def test_the_bounds_are_what_the_manual_says() -> None:
    """An hour, two seconds, a week a year: docs/immutability.md."""
    assert (BOUND_NS, SOURCES_BOUND_NS, CATCH_UP) == (HOUR, 2 * SECOND, 52)
