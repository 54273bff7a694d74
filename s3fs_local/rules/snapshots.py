"""Which instants are offered to those who want a list: `.versions/@snapshots`.

Any instant can be looked at, so a list of them has no end. People look for one of two: just after
something changed here, or some regular time ago, since what they miss changed further below.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from s3fs_local.rules.instants import SECOND_NS

CHANGES_MAX: Final = 256
"""The newest ones; Windows shows a list, and asks about each entry of it."""

_MINUTE: Final = 60
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR
_SCHEDULE: Final = (  # every so many seconds, so many times
    (5 * _MINUTE, 12),
    (_HOUR, 24),
    (_DAY, 30),
    (7 * _DAY, 52),
    (30 * _DAY, 120),
)


def offered_seconds(changes_ns: Iterable[int], *, now_ns: int, since_ns: int) -> list[int]:
    """Seconds since 1970 at which to look, the newest first: [`since_ns`, `now_ns`], bounded.

    A change is offered at the end of its second, when the tree shows it.
    """
    first, last = _end_of_second(since_ns), now_ns // SECOND_NS
    changes = {_end_of_second(change_ns) for change_ns in changes_ns}
    newest = sorted((at for at in changes if at <= last), reverse=True)[:CHANGES_MAX]
    offered = {*newest, *_scheduled(last)}
    return sorted((at for at in offered if at >= first), reverse=True)


def _end_of_second(at_ns: int) -> int:
    return -(-at_ns // SECOND_NS)


def _scheduled(last: int) -> Iterator[int]:
    """On whole hours, days and weeks, so that a list looks the same for a while."""
    for step, times in _SCHEDULE:
        newest = last - last % step
        yield from range(newest, newest - step * times, -step)
