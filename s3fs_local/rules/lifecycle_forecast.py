"""What lifecycle will do to one key, day after day, if nobody else touches it."""

from collections.abc import Iterator

from msgspec import Struct

from s3fs_local.rules.lifecycle import (
    Circumstances,
    Held,
    Lifecycle,
    Stack,
    Verdict,
    after,
    evaluate,
)
from s3fs_local.rules.namespace import OPEN_NS


class ForecastPass(Struct, frozen=True):
    """What happens in one pass, and what is held back in it for the first time."""

    at_ns: int
    verdicts: tuple[Verdict, ...]
    held: tuple[Held, ...]


def forecast(
    stack: Stack,
    lifecycle: Lifecycle,
    circumstances: Circumstances,
    *,
    first_ns: int,
    until_ns: int,
) -> Iterator[ForecastPass]:
    """The passes from `first_ns` on, up to and including `until_ns`, in which something is due.

    The first pass is at `first_ns` itself, as a run started then; those after it are at midnight.
    """
    calendar = circumstances.calendar
    told: set[tuple[int, str]] = set()
    at_ns = first_ns
    while at_ns <= until_ns:
        found = evaluate(stack, lifecycle, circumstances, at_ns)
        held = tuple(h for h in found.held if _named(h) not in told)
        told.update(map(_named, held))
        if found.verdicts or held:
            yield ForecastPass(at_ns, found.verdicts, held)
        stack = after(stack, found.verdicts, circumstances, at_ns)
        if found.verdicts:
            at_ns = calendar.next_pass_ns(at_ns + 1)
        elif found.next_ns == OPEN_NS:
            return
        else:
            at_ns = calendar.next_pass_ns(found.next_ns)


def _named(held: Held) -> tuple[int, str]:
    return held.verdict.item.stamp_ns, held.verdict.rule_id
