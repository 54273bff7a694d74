"""What the page of `browse` is told: a tree at an instant, what changed, and when."""

import os
from typing import Final
from urllib.parse import unquote_to_bytes

import pytest

from s3fs_local import errors
from s3fs_local.control.browsing import NEIGHBOURS_AMONG_MAX
from s3fs_local.control.requests import (
    DescribeTimeline,
    ListChanges,
    ListDirectory,
    ReadVersion,
    SetRetention,
)
from s3fs_local.control.results.browsing import ChangeListing, DirectoryListing, Timeline
from s3fs_local.rules.instants import format_rfc3339
from tests.control.test_commands_on_a_store import ask, ask_as, ask_for_content
from tests.engine.memory_store import ALICE, MemoryStore

DAY_S: Final = 86_400


@pytest.fixture
def store() -> MemoryStore:
    """A day with a trip, then one in which the plan changed, a photo went and a guide came."""
    made = MemoryStore(object_lock="true")
    made.mkdir("trip")
    made.mkdir("trip/photos")
    made.write("trip/plan.txt", b"train\n")
    made.write("trip/photos/sea.jpg", b"blue")
    made.write("trip/same", b"same")
    made.tick(DAY_S)
    made.write("trip/plan.txt", b"train, then boat\n")
    made.remove("trip/photos/sea.jpg")
    made.write("trip/guide", b"new")
    made.tick(10)
    return made


def listed(store: MemoryStore, path: bytes, at: str | None = None) -> list[tuple[str, int | None]]:
    """Names and sizes."""
    listing = ask_as(DirectoryListing, store, ListDirectory(path, at=at))
    return [(row.name, row.size) for row in listing.names]


def test_a_directory_is_shown_as_it_was(store: MemoryStore) -> None:
    """With the sizes of then."""
    was = [("photos", None), ("plan.txt", 6), ("same", 4)]

    assert listed(store, b"trip", "12h") == was
    assert listed(store, b"trip/photos", "12h") == [("sea.jpg", 4)]
    assert listed(store, b"trip/photos") == []
    assert listed(store, b"trip")[:2] == [("guide", 3), ("photos", None)]
    with pytest.raises(errors.NoSuchName):
        listed(store, b"trip", "30d")
    with pytest.raises(errors.NotADirectory):
        listed(store, b"trip/plan.txt")


def test_a_large_directory_comes_in_pages(store: MemoryStore) -> None:
    """Each says where the next begins; the last says that it is."""
    names = [f"n{number:03}" for number in range(700)]
    store.mkdir("many")
    for name in names:
        store.write(f"many/{name}", b"")
    store.remove("many/n350")
    seen: list[str] = []
    after = b""
    while True:
        page = ask_as(DirectoryListing, store, ListDirectory(b"many", after=after, limit=100))
        seen += [row.name for row in page.names]
        if page.next is None:
            break
        after = unquote_to_bytes(page.next)

    assert seen == [name for name in names if name != "n350"]
    with pytest.raises(errors.InvalidArgument):
        ask(store, ListDirectory(b"many", limit=0))


def test_one_steps_from_change_to_change(store: MemoryStore) -> None:
    """Back and forth through what happened in a directory, each stop showing another state."""
    states = []
    at: str | None = None
    while True:
        request = ListDirectory(b"trip", at=at, with_neighbours=True)
        page = ask_as(DirectoryListing, store, request)
        states.append([(row.name, row.size) for row in page.names])
        if page.earlier is None or not page.names:
            break
        at = page.earlier

    assert states[0] == listed(store, b"trip")
    assert ("plan.txt", 6) in states[3]
    assert states[-1] == []
    back = ask_as(DirectoryListing, store, ListDirectory(b"trip", at=at, with_neighbours=True))
    assert back.later is not None
    assert len(listed(store, b"trip", back.later)) == 1


def test_very_many_names_have_no_neighbours(store: MemoryStore) -> None:
    """Looking for them would take longer than anybody wants to wait."""
    store.mkdir("many")
    for number in range(NEIGHBOURS_AMONG_MAX + 1):
        store.write(f"many/{number}", b"")
    page = ask_as(DirectoryListing, store, ListDirectory(b"many", with_neighbours=True))

    assert not page.neighbours_known
    assert page.earlier is None


def test_locks_and_bytes_of_names_are_told(store: MemoryStore) -> None:
    """A page shows the lock, and its links lead to the very name."""
    ask(store, SetRetention((b"trip/plan.txt",), mode="compliance", until="30d"))
    parent, _ = store.place("trip/x")
    store.close(store.fs.create(parent, b"\xff<b>", 0o100644, os.O_RDWR, ALICE)[0].handle)
    rows = ask_as(DirectoryListing, store, ListDirectory(b"trip")).names

    assert rows[2].object_lock_mode == "COMPLIANCE"
    assert rows[2].object_lock_retain_until_date is not None
    assert (rows[-1].name, rows[-1].encoded_name) == ("\\xff<b>", "%FF%3Cb%3E")


def changes(store: MemoryStore, path: bytes = b"", **more: str) -> list[tuple[str, str]]:
    """Paths and how they differ."""
    request = ListChanges(path, since=more.get("since", "12h"), until=more.get("until"))
    found = ask_as(ChangeListing, store, request)
    assert found.next is None
    return [(row.key, row.change) for row in found.changes]


def test_what_changed_is_told_by_path(store: MemoryStore) -> None:
    """Nothing of what stayed as it was."""
    assert changes(store) == [
        ("trip/guide", "added"),
        ("trip/photos/sea.jpg", "removed"),
        ("trip/plan.txt", "content"),
    ]
    assert changes(store, b"trip/photos") == [("trip/photos/sea.jpg", "removed")]
    assert changes(store, since="1s", until="0s") == []
    assert [key for key, _ in changes(store, since="2d", until="12h")][:2] == [
        "trip",
        "trip/photos",
    ]


def test_a_directory_made_again_is_compared_with_the_old_one(store: MemoryStore) -> None:
    """What was in the old one is missed, although another stands in its place."""
    store.remove("trip/plan.txt")
    store.remove("trip/guide")
    store.remove("trip/same")
    for directory in ("photos",):
        store.fs.rmdir(*store.place(f"trip/{directory}"), ALICE)
    store.fs.rmdir(*store.place("trip"), ALICE)
    store.mkdir("trip")
    store.write("trip/plan.txt", b"stay\n")

    assert changes(store) == [
        ("trip/photos", "removed"),
        ("trip/photos/sea.jpg", "removed"),
        ("trip/plan.txt", "content"),
        ("trip/same", "removed"),
    ]


def test_changes_come_in_pages_that_join(store: MemoryStore) -> None:
    """Whatever the size of a page, all are told, each once, in the same order."""
    whole = [key for key, _ in changes(store, since="2d", until="0s")]
    for limit in (1, 2, 3):
        joined: list[str] = []
        after = b""
        while True:
            request = ListChanges(b"", since="2d", after=after, limit=limit)
            page = ask_as(ChangeListing, store, request)
            joined += [row.key for row in page.changes]
            if page.next is None:
                break
            after = unquote_to_bytes(page.next)
        assert joined == whole


def test_the_timeline_counts_what_was_saved_and_removed(store: MemoryStore) -> None:
    """So that a day on which much went is seen at a glance."""
    timeline = ask_as(Timeline, store, DescribeTimeline(steps=10))
    busy = [step for step in timeline.steps if step.saved or step.removed]

    assert sum(step.saved for step in busy) == 5
    assert [step.removed for step in busy] == [0, 1]
    assert timeline.steps[0].start <= timeline.created
    assert timeline.steps[-1].end > format_rfc3339(store.tick())
    none = ask_as(Timeline, store, DescribeTimeline(since="1s", steps=10))
    assert not any(step.saved for step in none.steps)


def test_a_part_of_a_content_is_read_alone(store: MemoryStore) -> None:
    """A page shows the beginning of a large file without reading the rest."""
    part = ReadVersion(b"trip/plan.txt", offset=2, length=3)

    assert ask_for_content(store, part)[1] == b"ain"
    assert ask_for_content(store, ReadVersion(b"trip/plan.txt", offset=99, length=3))[1] == b""
    assert ask_for_content(store, ReadVersion(b"trip/plan.txt", offset=15))[1] == b"t\n"
