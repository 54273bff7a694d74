"""What charts are drawn of: bytes by class over time, and when locks end."""

from pathlib import Path
from typing import Final

import pytest
from msgspec import structs

from s3fs_local import errors
from s3fs_local.control.over_time import STEPS_MAX
from s3fs_local.control.requests import (
    ChangeClass,
    DescribeClassHistory,
    DescribeTimeline,
    ListLockEnds,
    Purge,
    SetLegalHold,
    SetRetention,
)
from s3fs_local.control.results.classes import ClassHistory
from s3fs_local.control.results.locks import LockCalendar
from s3fs_local.metadata.changes import PutVersion
from s3fs_local.metadata.sqlite import SqliteMetadata
from s3fs_local.rules.identifiers import version_id
from tests.control.test_commands_on_a_store import ask, ask_as
from tests.engine.memory_store import ROOT, MemoryStore
from tests.metadata.statements import given_rows

DAY_S: Final = 86_400


@pytest.fixture
def store() -> MemoryStore:
    """Some days of one file and another."""
    made = MemoryStore(object_lock="true")
    made.write("a", bytes(1000))
    made.tick(DAY_S)
    made.write("a", bytes(500))
    made.write("b", bytes(70))
    made.tick(DAY_S)
    return made


def held(store: MemoryStore, steps: int = 100, **of: bool) -> list[dict[str, int]]:
    """By class, at the end of each step."""
    history = ask_as(ClassHistory, store, DescribeClassHistory(steps=steps, **of))
    return [{one.storage_class: one.bytes for one in point.classes} for point in history.points]


@pytest.mark.parametrize("purged_too", [False, True])
def test_what_is_held_now_is_the_end_of_the_history(
    store: MemoryStore, *, purged_too: bool
) -> None:
    """Of a store that saved, purged and moved between classes."""
    ask(store, ChangeClass(b"b", "STANDARD_IA"))
    store.tick(DAY_S)
    store.write("c", bytes(3))
    request = DescribeClassHistory(purged_too=purged_too)
    listing = ask(store, request)["Points"][-1]["Classes"]
    usage = {one.storage_class: one.bytes for one in store.metadata.class_usage()}

    assert {row["StorageClass"]: row["Bytes"] for row in listing} == usage
    assert usage == {"STANDARD": 1503, "STANDARD_IA": 70}


def test_what_was_purged_is_still_in_the_past(store: MemoryStore) -> None:
    """Which the rows of the database do not know any more: the ledger does, if it is asked."""
    versions = store.metadata.versions(store.stat("/a").ino)
    store.settle()
    oldest = versions[-1]
    ask(store, Purge(b"a", version=version_id(oldest.stamp_ns, oldest.salt)))
    store.settle()
    store.tick(DAY_S)

    assert [day["STANDARD"] for day in held(store, 4, purged_too=True)] == [1000, 1570, 570, 570]
    assert [day["STANDARD"] for day in held(store, 4)] == [0, 570, 570, 570]


def test_a_history_has_a_bound(store: MemoryStore) -> None:
    """As many steps as a picture can show."""
    for steps in (0, STEPS_MAX + 1):
        with pytest.raises(errors.InvalidArgument):
            ask(store, DescribeClassHistory(steps=steps))


def test_the_calendar_counts_versions_whose_lock_ends(store: MemoryStore) -> None:
    """By mode, with holds aside; what has ended does not count."""
    ask(store, SetRetention((b"a",), mode="compliance", until="400d"))
    ask(store, SetRetention((b"b",), mode="governance", until="10d"))
    ask(store, SetLegalHold((b"b",), case="17", reason="court"), ROOT)
    calendar = ask_as(LockCalendar, store, ListLockEnds())

    assert calendar.unit == "month"
    assert len(calendar.dates) == 14
    assert [(row.mode, row.versions, row.bytes) for row in calendar.ends] == [
        ("GOVERNANCE", 1, 70),
        ("COMPLIANCE", 1, 500),
    ]
    assert (calendar.held_versions, calendar.held_bytes) == (1, 70)
    store.tick(20 * DAY_S)
    later = ask_as(LockCalendar, store, ListLockEnds())
    assert [row.mode for row in later.ends] == ["COMPLIANCE"]
    assert later.unit == "day"


def test_a_store_without_locks_has_an_empty_calendar(store: MemoryStore) -> None:
    """Which a chart says, too."""
    calendar = ask_as(LockCalendar, store, ListLockEnds())

    assert (calendar.dates, calendar.ends, calendar.held_versions) == ([], [], 0)


def cost_of_charts(folder: Path, files: int) -> list[int]:
    """Rows that SQLite gave for each chart, in a store of so many versions."""
    with given_rows() as rows:
        metadata = SqliteMetadata.create(folder / f"{files}")
    store = MemoryStore(metadata=metadata)  # type: ignore[arg-type]  # one contract
    store.write("first", b"x")
    first = metadata.versions(store.stat("first").ino)[0]
    metadata.apply(
        [
            PutVersion(structs.replace(first, stamp_ns=first.stamp_ns + number * 1000))
            for number in range(1, files)
        ]
    )
    store.tick(60)
    costs = []
    for question in (DescribeClassHistory(), DescribeTimeline(), ListLockEnds()):
        before = len(rows)
        ask(store, question)
        costs.append(len(rows) - before)
    metadata.close()
    return costs


def test_charts_of_the_whole_store_take_as_many_rows_of_any_store(tmp_path: Path) -> None:
    """Sums are made by an index, step by step; no version is looked at, nor any file."""
    few, many = (cost_of_charts(tmp_path, files) for files in (1000, 10_000))

    assert few == many
    assert max(many) < 500
