"""Many small lies about the time, one after each mount, must not add up to a large one."""

from s3fs_local.system.clock import WALL_BOUND_NS, Anchor, TrustedClock

SECOND = 10**9
START = 1_800_000_000 * SECOND


def test_a_date_set_a_little_before_every_mount_gains_an_hour_at_most() -> None:
    """Unmounting and mounting takes a second; a retention of a year must not end in a morning."""
    wall_ns, boottime_ns, floor_ns = START, 500 * SECOND, 0
    anchor: Anchor | None = None
    for _ in range(1000):
        boottime_ns += SECOND
        wall_ns += WALL_BOUND_NS - 60 * SECOND
        clock = TrustedClock(
            floor_ns=floor_ns,
            anchor=anchor,
            wall=lambda wall=wall_ns: wall,  # type: ignore[misc]
            boottime=lambda boottime=boottime_ns: boottime,  # type: ignore[misc]
            boot=lambda: "one boot",
        )
        floor_ns = clock.now_ns()
        anchor = clock.anchor()

    passed_ns = boottime_ns - 500 * SECOND
    assert floor_ns <= START + passed_ns + 2 * WALL_BOUND_NS
