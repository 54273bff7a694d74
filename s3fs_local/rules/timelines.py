"""Time cut into equal steps, few enough to look at."""

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from s3fs_local.rules.instants import SECOND_NS

STEPS_S: Final = (
    *(1, 5, 15, 60, 300, 900, 3600, 3 * 3600, 12 * 3600, 86_400),
    *(2 * 86_400, 7 * 86_400, 28 * 86_400, 91 * 86_400, 364 * 86_400, 3640 * 86_400),
)


class Span(Struct, frozen=True):
    """Equal steps of time, the first at `from_ns`."""

    from_ns: int
    step_ns: int
    count: int

    @property
    def to_ns(self) -> int:
        """The end of the last step (exclusive)."""
        return self.from_ns + self.step_ns * self.count

    def steps(self) -> list[tuple[int, int]]:
        """The beginning of every step and its end (exclusive)."""
        ends = self.bounds()
        return list(zip([self.from_ns, *ends], ends, strict=False))

    def bounds(self) -> list[int]:
        """The end of every step."""
        return [self.from_ns + self.step_ns * (step + 1) for step in range(self.count)]


def span_of(from_ns: int, to_ns: int, *, steps_max: int) -> Span:
    """The finest round steps that cover both instants, at most `steps_max` of them."""
    length_ns = max(to_ns - from_ns, 0)
    fitting = (step * SECOND_NS for step in STEPS_S)
    for step_ns in fitting:
        first_ns = from_ns - from_ns % step_ns
        count = (to_ns - first_ns) // step_ns + 1
        if count <= steps_max:
            return Span(first_ns, step_ns, count)
    return Span(from_ns, length_ns // steps_max + 1, steps_max)


class Counted(Struct, frozen=True):
    """What happened in one step."""

    saved: int = 0  # versions committed
    removed: int = 0  # names deleted
    saved_bytes: int = 0


def running(values: Iterable[int]) -> list[int]:
    """The sum up to and with each value."""
    sums, total = [], 0
    for value in values:
        total += value
        sums.append(total)
    return sums
