"""What is told of a directory by time: everything that happened below it, and nothing twice."""

from typing import Final

import pytest

from s3fs_local import errors
from s3fs_local.control.requests import ListEventsBelow
from s3fs_local.control.results import EventBelowRow, EventsBelow
from s3fs_local.rules.instants import format_rfc3339
from tests.control.test_commands_on_a_store import ask_as
from tests.engine.memory_store import ALICE, MemoryStore

DAY_S: Final = 86_400


@pytest.fixture
def store() -> MemoryStore:
    """A trip of two days, and a letter that is none of its business."""
    made = MemoryStore()
    made.mkdir("trip")
    made.mkdir("trip/photos")
    made.write("trip/plan", b"train")
    made.write("letter", b"Dear Ada")
    made.tick(DAY_S)
    made.write("trip/photos/sea", b"blue")
    made.write("trip/plan", b"boat")
    made.remove("trip/photos/sea")
    made.tick(10)
    return made


def told(
    store: MemoryStore, path: bytes, since: str | None = None, until: str | None = None
) -> list[tuple[str, str]]:
    """(event, path), newest first."""
    request = ListEventsBelow(path, since=since, until=until)
    return [(row.event, row.key) for row in ask_as(EventsBelow, store, request).events]


def test_what_happened_below_a_directory_is_told_newest_first(store: MemoryStore) -> None:
    """Saved, saved again, removed: in directories below it too, and nothing from beside it."""
    assert told(store, b"trip") == [
        ("deleted", "trip/photos/sea"),
        ("version", "trip/plan"),
        ("version", "trip/photos/sea"),
        ("version", "trip/plan"),
        ("created", "trip/photos"),
    ]
    assert ("version", "letter") in told(store, b"")


def test_a_time_bounds_what_is_told(store: MemoryStore) -> None:
    """What somebody did yesterday is a question of its own."""
    first_day = [("version", "trip/plan"), ("created", "trip/photos")]

    assert told(store, b"trip", until="12h") == first_day
    assert len(told(store, b"trip", since="12h")) == 3
    assert told(store, b"trip", since="1s") == []
    with pytest.raises(errors.NoSuchName):
        told(store, b"trip", until="2d")
    with pytest.raises(errors.InvalidArgument):
        told(store, b"trip", since="1s", until="2s")
    with pytest.raises(errors.NotADirectory):
        told(store, b"letter")


def test_a_removed_directory_tells_what_was_in_it(store: MemoryStore) -> None:
    """After `rm -r` the question is what was lost, and when."""
    store.fs.rmdir(store.stat("trip").ino, b"photos", ALICE)

    assert ("deleted", "trip/photos/sea") in told(store, b"trip")
    assert ("version", "trip/photos/sea") in told(store, b"trip")


def test_a_directory_that_moved_takes_nothing_of_its_past_along(store: MemoryStore) -> None:
    """What happened in `trip` did not happen in `travel`; it is still told of `trip`'s parent."""
    store.rename("trip", "travel")
    store.write("travel/plan", b"plane")

    assert told(store, b"travel")[:1] == [("version", "travel/plan")]
    assert ("deleted", "travel/photos/sea") not in told(store, b"travel")
    everything = told(store, b"")
    assert ("deleted", "trip/photos/sea") in everything
    assert ("version", "travel/plan") in everything
    assert ("version", "trip/plan") in everything
    assert len(everything) == len(set(enumerate(everything)))


def test_pages_together_tell_everything_once(store: MemoryStore) -> None:
    """A page ends with the instant from which the next goes on."""
    for number in range(700):
        store.write(f"trip/n{number % 300}", b"x" * number)
    whole = ask_as(EventsBelow, store, ListEventsBelow(b"", limit=1000))
    rows: list[EventBelowRow] = []
    until: str | None = format_rfc3339(store.tick())
    pages = 0
    while until is not None:
        page = ask_as(EventsBelow, store, ListEventsBelow(b"", until=until, limit=90))
        assert len({row.time for row in page.events}) <= 90
        rows += page.events
        until = page.next
        pages += 1

    assert whole.next is None
    assert rows == whole.events
    assert len(rows) == 707
    assert pages == 8
