"""Which names another region has of what it was told: the order does not matter."""

from collections.abc import Iterable
from itertools import permutations

import pytest
from msgspec import structs

from s3fs_local.rules.namespace import OPEN_NS, Ending, Entry
from s3fs_local.rules.replica_names import (
    Told,
    cut,
    fitted,
    in_one_place,
    is_end_told,
    placed_ns,
)

A, B, C = 2, 3, 4


def held(ino: int, from_ns: int, to_ns: int = OPEN_NS, ending: Ending = Ending.LIVE) -> Entry:
    """The name meant the inode for that long."""
    return Entry(1, b"n", from_ns, ino, to_ns, ending)


def put(timeline: dict[int, Entry], told: Told) -> None:
    """As a region does: by when intervals of one name began."""
    start_ns = told.entry.from_ns
    present = timeline.get(start_ns)
    later = min((ns for ns in timeline if ns > start_ns), default=OPEN_NS)
    wanted = fitted(told, present, later)
    for ns, entry in list(timeline.items()):
        if ns < start_ns < entry.to_ns:
            timeline[ns] = cut(entry, start_ns, by=0)
    timeline[start_ns] = wanted


def after(told: Iterable[Told]) -> list[Entry]:
    """What the name meant there in the end."""
    timeline: dict[int, Entry] = {}
    for each in told:
        put(timeline, each)
    return [entry for _, entry in sorted(timeline.items())]


def test_in_whatever_order_a_name_is_told_it_is_as_at_the_source() -> None:
    """Moved away, taken again, replaced: each end is that of the source."""
    history = [
        held(A, 10, 20, Ending.MOVED),
        held(B, 30, 40, Ending.REPLACED),
        held(A, 40, 50, Ending.DELETED),
        held(C, 60),
    ]
    told = [Told(each, is_end_told=each.ending is not Ending.REPLACED) for each in history]
    for order in permutations([*told, told[1]]):  # and one of them twice
        assert after(order) == history


def test_what_is_not_told_to_have_ended_goes_on_until_the_name_means_something_else() -> None:
    """A removal that no rule wants told."""
    removed = Told(held(A, 10, 20, Ending.DELETED), is_end_told=False)
    assert after([removed]) == [held(A, 10)]
    for order in permutations([removed, Told(held(B, 30))]):
        assert after(order) == [held(A, 10, 30, Ending.REPLACED), held(B, 30)]


def test_an_end_stands_when_it_is_told_no_more() -> None:
    """Rules may change; nothing comes back by it."""
    removed = held(A, 10, 20, Ending.DELETED)
    assert after([Told(removed), Told(removed, is_end_told=False)]) == [removed]


def test_what_is_live_at_the_source_is_live_again() -> None:
    """A store that takes back what its replica went on with."""
    moved = held(A, 10, 20, Ending.MOVED)
    assert after([Told(moved), Told(held(A, 10))]) == [held(A, 10)]


def at(from_ns: int, to_ns: int = OPEN_NS, ending: Ending = Ending.LIVE) -> Told:
    """A place of a directory."""
    return Told(Entry(1, b"%d" % from_ns, from_ns, A, to_ns, ending))


def test_a_directory_leaves_a_place_of_which_no_end_is_told_for_the_next() -> None:
    """It has one place; one that an exchange ended a moment later ends then."""
    ended = at(20, 31, Ending.MOVED)
    untold = structs.replace(at(10, 15, Ending.DELETED), is_end_told=False)
    placed = in_one_place([at(30), ended, untold], is_held=True)
    assert placed == [at(10, 20, Ending.MOVED), ended, at(30)]


def test_a_directory_that_something_lives_in_stays_in_its_last_place() -> None:
    """Its removal was told, that of what is in it was not, or not yet."""
    removed = at(30, 40, Ending.DELETED)
    (placed,) = in_one_place([removed], is_held=True)
    assert (placed.entry, placed.is_end_told) == (at(30).entry, False)
    assert in_one_place([removed], is_held=False) == [removed]


@pytest.mark.parametrize(
    ("ending", "goes_on", "is_taken_over", "tells_removals", "told"),
    [
        (Ending.LIVE, False, False, False, True),
        (Ending.MOVED, True, False, False, True),
        (Ending.MOVED, False, False, False, False),
        (Ending.MOVED, False, False, True, True),
        (Ending.DELETED, True, False, False, False),
        (Ending.DELETED, False, False, True, True),
        (Ending.REPLACED, False, True, True, False),
        (Ending.REPLACED, False, False, True, True),
        (Ending.REPLACED, False, False, False, False),
        (Ending.EXPIRED, True, False, True, False),
        (Ending.LAPSED, True, False, True, False),
    ],
)
def test_which_ends_of_a_files_name_are_told(
    ending: Ending, *, goes_on: bool, is_taken_over: bool, tells_removals: bool, told: bool
) -> None:
    """Moves always; removals by rule; what lifecycle does never."""
    to_ns = OPEN_NS if ending is Ending.LIVE else 20
    entry = held(A, 10, to_ns, ending)
    reasons = {
        "goes_on": goes_on,
        "is_taken_over": is_taken_over,
        "tells_removals": tells_removals,
    }
    assert is_end_told(entry, is_directory=False, **reasons) is told
    assert is_end_told(entry, is_directory=True, **reasons) is (told or goes_on)


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ((), 0),
        ((held(A, 10),), 10),
        ((held(A, 10, 20, Ending.MOVED), held(A, 20)), 20),
        ((held(A, 10, 20, Ending.DELETED),), -20),
        ((held(A, 10, 20, Ending.MOVED), held(A, 20, 30, Ending.REPLACED)), -30),
    ],
)
def test_a_directory_is_placed_since_it_has_its_name_or_until_it_had_one(
    entries: tuple[Entry, ...], expected: int
) -> None:
    """So two regions notice that they disagree on when a directory went, and not only on that."""
    assert placed_ns(entries) == expected
