"""How long background work rests: little of the time is its own, and yet it comes to its end."""

from s3fs_local.rules.yielding import (
    LATE_S,
    PIECE_BYTES,
    PIECE_BYTES_IN_USE,
    QUIET_S,
    REST_S_MAX,
    SHARE,
    SHARE_FOR_A_PERSON,
    STEP_S,
    WHOLE,
    is_in_use,
    piece_bytes,
    rest_s,
    share,
)

LONGEST_S = SHARE * REST_S_MAX / (1 - SHARE)
"""A step that takes longer than this rests less than its share asks for."""


def test_steps_take_their_share_and_no_more() -> None:
    """A program meets a step in as many of its calls as steps take of the time."""
    steps = [STEP_S + (LONGEST_S - STEP_S) * number / 1000 for number in range(1000)]
    rests = sum(rest_s(step) for step in steps)
    assert abs(sum(steps) / (sum(steps) + rests) - SHARE) < 1e-9


def test_a_hundredth_of_the_calls_is_all_that_most_steps_cost() -> None:
    """The share is small enough for the 99th percentile, of which the goal speaks."""
    assert SHARE <= 2 / 100


def test_no_step_waits_longer_than_the_floor() -> None:
    """A scrub of a mount that is in use day and night ends: its steps come at a known rate."""
    assert rest_s(LONGEST_S) <= REST_S_MAX + 1e-9
    assert rest_s(10.0) == rest_s(3600.0) == REST_S_MAX


def test_short_steps_are_put_together() -> None:
    """A rest of some microseconds costs two trips through the scheduler and helps nobody."""
    assert rest_s(STEP_S * 0.99) == 0
    assert rest_s(STEP_S) > 0


def test_a_mount_is_in_use_until_nobody_asked_for_a_while() -> None:
    """A copy of many files asks all the time; after its end the work goes on at full speed."""
    assert is_in_use(0.0)
    assert is_in_use(QUIET_S * 0.99)
    assert not is_in_use(QUIET_S)


def test_what_somebody_waits_for_yields_only_for_a_while() -> None:
    """Another region stays at most so far behind for courtesy's sake."""
    assert share(0.0, WHOLE) == SHARE
    assert share(LATE_S * 0.99, WHOLE) == SHARE
    assert share(LATE_S, WHOLE) == WHOLE
    assert share(LATE_S, SHARE_FOR_A_PERSON) == SHARE_FOR_A_PERSON


def test_what_a_person_waits_for_leaves_most_of_the_time_to_programs() -> None:
    """Ten times as much as work that nobody waits for, and a fraction of what there is."""
    assert SHARE * 10 <= SHARE_FOR_A_PERSON <= WHOLE / 2
    assert rest_s(STEP_S, SHARE_FOR_A_PERSON) == STEP_S * (1 / SHARE_FOR_A_PERSON - 1)
    assert rest_s(10.0, SHARE_FOR_A_PERSON) == REST_S_MAX
    assert rest_s(STEP_S * 0.99, SHARE_FOR_A_PERSON) == 0


def test_steps_beside_programs_read_less() -> None:
    """A thread that computes takes turns with the loop, so a short one disturbs less."""
    assert piece_bytes(in_use=True) == PIECE_BYTES_IN_USE < PIECE_BYTES == piece_bytes(in_use=False)
