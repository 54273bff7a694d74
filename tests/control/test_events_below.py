"""What is told of a directory by time: everything that happened below it, and nothing twice."""

import random  # noqa: TID251  a story to repeat by its seed
from pathlib import Path
from typing import Final

import pytest
import trio
from msgspec import structs

from s3fs_local import errors
from s3fs_local.control.events_below import look_through
from s3fs_local.control.events_by_time import go_back
from s3fs_local.control.newest_events import Newest, Stay
from s3fs_local.control.requests import ListEventsBelow
from s3fs_local.control.results.browsing import EventBelowRow, EventsBelow
from s3fs_local.metadata.changes import Change, OpenEntry, PutInode, PutVersion
from s3fs_local.metadata.sqlite import SqliteMetadata
from s3fs_local.rules.instants import format_rfc3339
from s3fs_local.rules.namespace import OPEN_NS, Entry
from tests.control.test_commands_on_a_store import ask_as
from tests.engine.eventful import live
from tests.engine.memory_store import ALICE, MemoryStore
from tests.metadata.statements import steps

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


def _told_both_ways(store: MemoryStore, path: bytes) -> list[list[EventBelowRow]]:
    """By looking through the directory, and by going back in time."""
    metadata = store.fs.volume.metadata
    inode = store.stat("/" + path.decode()) if path else store.stat("/")
    top = Stay(inode.ino, path, 0, OPEN_NS)
    ways = []
    for find in (look_through, go_back):
        newest = Newest(0, store.tick(), 10_000)
        trio.run(find, metadata, top, newest, 10_000)
        ways.append(newest.rows())
    return ways


@pytest.mark.parametrize("seed", range(20))
def test_going_back_tells_the_same_as_looking_through(seed: int) -> None:
    """Which of the two is taken depends on the size of the directory, and must not show."""
    store = MemoryStore()
    live(store, random.Random(seed))  # noqa: S311  as above
    by_name, by_time = _told_both_ways(store, b"")

    assert by_time == by_name
    assert len(by_time) > 20


def test_going_back_stops_after_so_many_changes(store: MemoryStore) -> None:
    """And the next page goes on there, however much happened elsewhere meanwhile."""
    for number in range(300):
        store.write("letter", b"%d" % number)
    top = Stay(store.stat("trip").ino, b"trip", 0, OPEN_NS)
    rows: list[EventBelowRow] = []
    until_ns, pages = store.tick(), 0
    is_more = True
    while is_more:
        newest = Newest(0, until_ns, 100)
        trio.run(go_back, store.fs.volume.metadata, top, newest, 50)
        rows += newest.rows()
        until_ns, is_more = newest.since_ns - 1, newest.is_more
        pages += 1

    whole = ask_as(EventsBelow, store, ListEventsBelow(b"trip"))
    assert rows == whole.events
    assert pages > 5


def test_a_page_costs_the_same_in_a_store_three_times_as_large(tmp_path: Path) -> None:
    """Steps of SQLite, so that a row that is skipped counts, too. Of the store, and a directory."""
    # More than are kept in memory: what is found there takes no step.
    few, many = (costs_of_a_page(tmp_path, files) for files in (18_000, 54_000))

    assert all(most < least * 1.05 for most, least in zip(many, few, strict=True))


def costs_of_a_page(folder: Path, files: int) -> list[int]:
    """Of a hundred changes, in a store of so many files in one directory."""
    with steps() as counted:
        metadata = SqliteMetadata.create(folder / f"{files}")
    store = MemoryStore(metadata=metadata)  # type: ignore[arg-type]  # one contract
    store.mkdir("d")
    store.write("d/first", b"x")
    directory, file = store.stat("d").ino, store.stat("d/first")
    first = metadata.versions(file.ino)[0]
    changes: list[Change] = []
    for ino in range(1000, 1000 + files):
        at_ns = first.stamp_ns + ino * 1000
        changes += [
            PutInode(structs.replace(file, ino=ino)),
            OpenEntry(Entry(directory, b"f%06d" % ino, at_ns, ino)),
            PutVersion(structs.replace(first, ino=ino, stamp_ns=at_ns + 1)),
        ]
    metadata.apply(changes)
    store.tick(60)
    costs = [
        counted.of(lambda: ask_as(EventsBelow, store, ListEventsBelow(b"", limit=100))),
        counted.of(lambda: ask_as(EventsBelow, store, ListEventsBelow(b"d", limit=100))),
    ]
    metadata.close()
    return costs


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
