"""Which names another region has, of what it was told, in whatever order: pure functions.

A source tells of one inode at a time: all intervals of its names, as they are when it is told. So
the region knows a part of the history, and another part a moment later. A name means there what
began last, of what was told; an interval ends where it was told to, and where the next one of its
name begins at the latest. What an end is not told of goes on until then. So the order does not
matter, nor does what is told twice: when all was told, the names are those of the source, but for
removals that no rule wants told, and those by lifecycle on either side.

A directory has one place. It goes on there while something lives in it that no removal was told of.
"""

from collections.abc import Sequence

from msgspec import Struct, structs

from s3fs_local.rules.namespace import BY_RULE, OPEN_NS, Ending, Entry


class Told(Struct, frozen=True):
    """An interval, as a source tells it."""

    entry: Entry
    is_end_told: bool = True  # False: it ended, or not; nothing of that is told
    marker: Entry | None = None  # the delete marker at its end


def is_end_told(
    entry: Entry,
    *,
    is_directory: bool,
    goes_on: bool,
    is_taken_over: bool,
    tells_removals: bool,
) -> bool:
    """Whether a source tells when the interval ended; a live one is told to be live.

    `goes_on`: the inode has a name later, which is told. `is_taken_over`: the name meant another
    inode from that instant on, which ends the interval when it is told itself. Until then, or if no
    rule wants it, the name means there what it meant: it is never missing, and a version that does
    not go leaves the one below it current, as in S3.
    """
    if is_directory and goes_on:
        return True  # it has one place
    match entry.ending:
        case Ending.LIVE:
            return True
        case Ending.MOVED:
            return goes_on or tells_removals
        case Ending.DELETED:
            return tells_removals
        case Ending.REPLACED:
            return tells_removals and not is_taken_over
        case _:
            return False


def placed_ns(entries: Sequence[Entry]) -> int:
    """Since when a directory has the name that it has.

    Negative where it has none: until when it had one. 0: it never had any.
    """
    live = [entry.from_ns for entry in entries if entry.to_ns == OPEN_NS]
    return max(live) if live else -max((entry.to_ns for entry in entries), default=0)


def in_one_place(intervals: Sequence[Told], *, is_held: bool) -> list[Told]:
    """What is told of a directory: a place of which no end is told ends where the next one begins.

    `is_held`: something lives in it, so its last place does not end.
    """
    found: list[Told] = []
    ordered = sorted(intervals, key=lambda told: told.entry.from_ns)
    for told, after in zip(ordered, [*ordered[1:], None], strict=True):
        is_open = not told.is_end_told or told.entry.to_ns == OPEN_NS
        if after is not None:
            moved = _until(_going_on(told.entry), after.entry.from_ns, Ending.MOVED)
            found.append(Told(moved) if is_open else told)
        elif is_held and told.entry.to_ns < OPEN_NS:
            found.append(Told(_going_on(told.entry), is_end_told=False))
        else:
            found.append(told)
    return found


def fitted(told: Told, present: Entry | None, following_ns: int) -> Entry:
    """The interval as the region has it, which has `present` of it.

    The name means something else from `following_ns` on. What the region's own lifecycle ended
    stays so.
    """
    wanted = told.entry
    if not told.is_end_told:
        wanted = _going_on(wanted)
        if present is not None and present.to_ns < wanted.to_ns:
            wanted = _ended_as(wanted, present)
    if present is not None and present.to_ns < wanted.to_ns:
        is_by_rule = present.ending in BY_RULE  # of the region's own lifecycle
        if is_by_rule or present.to_ns == following_ns:
            return _ended_as(wanted, present)
    return _until(wanted, following_ns, Ending.REPLACED)


def is_ended_elsewhere(told: Told, present: Entry, *, is_directory: bool) -> bool:
    """Whether somebody took the name from the inode in the region, where the source did not.

    An interval ends once, so what the source told before ends as it tells now. What the region's
    own lifecycle ended is its own matter. Both may have removed it; who renamed it has it still
    under another name.
    """
    wanted = told.entry
    if not told.is_end_told or present.to_ns == OPEN_NS or present.ending in BY_RULE:
        return False
    if wanted.to_ns == OPEN_NS:
        return True
    is_moved = present.ending is Ending.MOVED and present.to_ns != wanted.to_ns
    return is_moved and not is_directory  # which has one place: the last one is looked at


def cut(entry: Entry, at_ns: int, by: int) -> Entry:
    """The interval, which ends because the name means something else from then on."""
    ended = _until(entry, at_ns, Ending.SUPERSEDED if entry.is_marker else Ending.REPLACED)
    return structs.replace(ended, ended_by=by)


def _until(entry: Entry, limit_ns: int, ending: Ending) -> Entry:
    if entry.to_ns <= limit_ns:
        return entry
    return structs.replace(entry, to_ns=limit_ns, ending=ending)


def _ended_as(entry: Entry, other: Entry) -> Entry:
    ended = (other.to_ns, other.ending, other.ended_by)
    return structs.replace(entry, to_ns=ended[0], ending=ended[1], ended_by=ended[2])


def _going_on(entry: Entry) -> Entry:
    return structs.replace(entry, to_ns=OPEN_NS, ending=Ending.LIVE, ended_by=0)
