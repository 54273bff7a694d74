"""The history of a path: what survives which habit of which program."""

from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3fs_local.errors import AmbiguousVersion, NoSuchVersion
from s3fs_local.rules.history import (
    Event,
    EventKind,
    HistoryItem,
    events_of,
    find_version,
    format_event,
    history_of,
    is_listed,
)
from s3fs_local.rules.identifiers import short_id, version_id
from s3fs_local.rules.namespace import OPEN_NS, Ending, Entry
from s3fs_local.rules.versioning import Origin, Version

ROOT = 1
OLD, NEW, OTHER = 11, 12, 13  # inodes
ALICE, BOB = 1000, 1001

LIVE, MOVED, DELETED = Ending.LIVE, Ending.MOVED, Ending.DELETED
REPLACED, SUPERSEDED = Ending.REPLACED, Ending.SUPERSEDED


def span(ino: int, start: int, end: int = OPEN_NS, ending: Ending = LIVE, name: str = "f") -> Entry:
    """The name meant the inode from `start` on; Alice made the entry, Bob ended it."""
    return Entry(
        parent=ROOT,
        name=name.encode(),
        from_ns=start,
        ino=ino,
        to_ns=end,
        ending=ending,
        uid=ALICE,
        ended_by=0 if ending == LIVE else BOB,
    )


def marker(start: int, end: int = OPEN_NS, *, is_null: bool = False) -> Entry:
    """A delete marker of Bob's."""
    return Entry(
        parent=ROOT,
        name=b"f",
        from_ns=start,
        ino=0,
        to_ns=end,
        ending=LIVE if end == OPEN_NS else SUPERSEDED,
        salt=start,
        is_null=is_null,
        uid=BOB,
    )


def commits(ino: int, *stamps: int, size: int = 5) -> dict[int, list[Version]]:
    """Versions of Alice's, newest first as metadata gives them."""
    return {
        ino: [
            Version(ino=ino, stamp_ns=stamp, salt=stamp, size=size, uid=ALICE)
            for stamp in sorted(stamps, reverse=True)
        ]
    }


def listed(
    intervals: Sequence[Entry],
    versions: Mapping[int, Sequence[Version]],
    *,
    directories: Collection[int] = (),
) -> bool:
    """As `is_listed`, of what is given."""

    def before(ino: int, before_ns: int) -> list[Version]:
        return [version for version in versions.get(ino, ()) if version.stamp_ns < before_ns]

    return is_listed(intervals, before, lambda ino: ino in directories)


def stamps_of(history: Sequence[HistoryItem]) -> list[int]:
    """The history by commit time alone; markers negative."""
    return [-item.stamp_ns if item.is_marker else item.stamp_ns for item in history]


def test_a_file_written_removed_and_written_again_has_one_history() -> None:
    """The story: two files in turn held the name, a delete marker stands between them."""
    intervals = [span(OLD, 10, 20, DELETED), marker(20, 30), span(NEW, 30)]
    versions = commits(OLD, 11, 15) | commits(NEW, 31)

    history = history_of(intervals, versions)

    assert stamps_of(history) == [31, -20, 15, 11]
    assert [item.is_latest for item in history] == [True, False, False, False]
    assert [item.entry.ino for item in history] == [NEW, 0, OLD, OLD]
    assert [item.uid for item in history] == [ALICE, BOB, ALICE, ALICE]
    assert [item.size for item in history] == [5, 0, 5, 5]
    assert history[0].version_id == version_id(31, 31)
    assert history[1].version_id == version_id(20, 20)


def test_a_marker_is_the_latest_of_a_deleted_name() -> None:
    """As S3's IsLatest."""
    history = history_of([span(OLD, 10, 20, DELETED), marker(20)], commits(OLD, 11))

    assert [(item.is_marker, item.is_latest) for item in history] == [(True, True), (False, False)]


def test_history_survives_a_save_through_a_temporary_file() -> None:
    """Both rsync and `sed -i` write a new inode and rename it over the old one."""
    intervals = [span(OLD, 10, 40, REPLACED), span(NEW, 40)]
    versions = commits(OLD, 11, 35) | commits(NEW, 33, 38)

    history = history_of(intervals, versions)

    assert stamps_of(history) == [38, 35, 33, 11]
    assert history[0].is_latest


def test_history_survives_vim() -> None:
    """It renames f to f~, writes a new f, removes f~; f keeps what it was."""
    intervals = [span(OLD, 10, 20, MOVED), span(NEW, 21)]

    assert stamps_of(history_of(intervals, commits(OLD, 11) | commits(NEW, 22))) == [22, 11]


def test_history_survives_rename() -> None:
    """`mv draft report`: report was draft."""
    assert stamps_of(history_of([span(OLD, 30)], commits(OLD, 11, 12, 31))) == [31, 12, 11]


def test_an_old_file_moved_in_is_the_latest() -> None:
    """`mv old f`: what f held until then is the previous version, though it is younger."""
    intervals = [span(OLD, 10, 40, REPLACED), span(NEW, 40)]
    versions = commits(OLD, 20) | commits(NEW, 5, 6)

    history = history_of(intervals, versions)

    assert stamps_of(history) == [6, 20, 5]
    assert history[0].is_latest


def test_what_was_committed_elsewhere_belongs_elsewhere() -> None:
    """After `mv f g`, writes to g are not versions of f."""
    history = history_of([span(OLD, 10, 20, MOVED)], commits(OLD, 11, 20, 25))

    assert stamps_of(history) == [11]
    assert not history[0].is_latest


def test_a_file_that_moved_away_and_back_brings_all_its_versions_once() -> None:
    """Its interval is the last one through which the name began to hold it."""
    away_and_back = [span(OLD, 10, 20, MOVED), span(NEW, 20, 30, MOVED), span(OLD, 30)]
    versions = commits(OLD, 11, 25) | commits(NEW, 22)

    history = history_of(away_and_back, versions)

    assert stamps_of(history) == [25, 22, 11]
    assert [item.entry.from_ns for item in history] == [30, 20, 10]


def test_two_files_that_change_places_and_back_are_current_in_turn() -> None:
    """`mv --exchange` twice: the first content is the latest again, the other one the previous."""
    intervals = [span(OLD, 10, 20, MOVED), span(NEW, 20, 30, MOVED), span(OLD, 30)]

    history = history_of(intervals, commits(OLD, 11) | commits(NEW, 5))

    assert stamps_of(history) == [11, 5]
    assert history[0].is_latest
    assert history[0].since_ns == 30


def test_a_version_made_with_its_name_is_in_the_history() -> None:
    """The interval is closed at its beginning and open at its end."""
    assert stamps_of(history_of([span(OLD, 10, 20, DELETED)], commits(OLD, 10, 20))) == [10]


def test_nothing_is_latest_before_the_first_commit() -> None:
    """The name means something, but not yet a version."""
    intervals = [span(OLD, 10, 20, MOVED), span(NEW, 20)]

    assert not any(item.is_latest for item in history_of(intervals, commits(OLD, 11)))
    assert history_of([], {}) == []


names = st.lists(
    st.tuples(st.integers(0, 3), st.integers(1, 5), st.sampled_from([MOVED, DELETED, REPLACED])),
    max_size=8,
)


@settings(max_examples=200)
@given(names, st.dictionaries(st.integers(1, 3), st.sets(st.integers(0, 50)), max_size=3))
def test_any_history_is_complete_ordered_and_has_one_latest_at_most(
    spans: list[tuple[int, int, Ending]], stamps: dict[int, set[int]]
) -> None:
    """Whatever programs do to a name."""
    intervals, now = [], 1
    for ino, length, ending in spans:
        intervals.append(span(ino, now, now + length, ending) if ino else marker(now, now + length))
        now += length
    if intervals:
        intervals.append(span(1, now))
    versions = {ino: commits(ino, *times)[ino] for ino, times in stamps.items()}

    history = history_of(intervals, versions)

    expected = {
        (i.ino, v.stamp_ns)
        for i in intervals
        for v in versions.get(i.ino, ())
        if v.stamp_ns < i.to_ns
    } | {(0, i.from_ns) for i in intervals if i.is_marker}
    assert sorted(expected) == sorted((item.entry.ino, item.stamp_ns) for item in history)
    assert all(a.since_ns >= b.since_ns for a, b in pairwise(history))
    latest = [item.stamp_ns for item in history if item.is_latest]
    assert latest == ([max(stamps[1])] if intervals and stamps.get(1) else [])


def test_null_versions_are_named_null() -> None:
    """S3's name for what was stored while versioning was not enabled."""
    null = Version(ino=OLD, stamp_ns=11, salt=1, size=5, is_null=True)

    history = history_of([span(OLD, 10, 20, DELETED), marker(20, is_null=True)], {OLD: [null]})

    assert [item.version_id for item in history] == ["null", "null"]
    assert find_version(history, "null") is history[0]


def test_a_version_is_found_by_id_short_id_or_beginning() -> None:
    """What people copy from a listing, or are too lazy to."""
    history = history_of([span(OLD, 10)], commits(OLD, 11, 12))

    assert find_version(history, version_id(11, 11)).stamp_ns == 11
    assert find_version(history, short_id(12)).stamp_ns == 12
    with pytest.raises(NoSuchVersion, match="no version 'zzzz' in"):
        find_version(history, "zzzz")
    with pytest.raises(NoSuchVersion):
        find_version(history, "null")
    with pytest.raises(AmbiguousVersion, match=f"fits 2 versions: {version_id(12, 12)}, "):
        find_version(history, "0000")


def test_an_exact_short_id_wins_over_a_longer_one_that_it_begins() -> None:
    """Otherwise one version could make another impossible to name."""
    stamp_ns = 5 << 30  # its id begins with seven characters that are the other's short id
    short = version_id(stamp_ns, 0)[:7]
    salts = [salt for salt in range(64) if short_id(salt) == short]
    versions = {
        OLD: [
            Version(ino=OLD, stamp_ns=stamp_ns, salt=0x7_FFFF_FFFF, size=1),
            Version(ino=OLD, stamp_ns=11, salt=salts[0], size=1),
        ]
    }

    assert find_version(history_of([span(OLD, 10)], versions), short).stamp_ns == 11


def test_a_live_name_is_listed_from_its_first_commit() -> None:
    """Temporary or not: it is there to be seen."""
    assert not listed([span(OLD, 10)], {})
    assert listed([span(OLD, 10)], commits(OLD, 11))
    assert listed([span(OLD, 10)], commits(OLD, 11, size=0))
    assert listed([span(OLD, 10)], commits(OLD, 5))
    assert listed([span(OLD, 10, name="f~")], commits(OLD, 11))


def test_a_deleted_file_is_listed() -> None:
    """The reason why people look below `.versions` at all."""
    assert listed([span(OLD, 10, 20, DELETED), marker(20)], commits(OLD, 11))


def test_a_deleted_file_that_arrived_by_rename_is_listed() -> None:
    """After `rsync x f; rm f` no other listed name leads to the content."""
    assert listed([span(OLD, 10, 20, DELETED), marker(20)], commits(OLD, 5))


def test_a_replaced_file_stays_listed_after_its_successor_moved_away() -> None:
    """`mv a f; mv b f; mv f c`: what was a is nowhere else."""
    intervals = [span(OLD, 10, 20, REPLACED), span(NEW, 20, 30, MOVED)]

    assert listed(intervals, commits(OLD, 5) | commits(NEW, 6))


def test_a_name_whose_occupants_only_moved_away_is_not_listed() -> None:
    """The temporary name of rsync, git's link and unlink, the old name after `mv`."""
    assert not listed([span(OLD, 10, 20, MOVED)], commits(OLD, 11))
    assert not listed([], {})


def test_vims_leftovers_are_not_listed() -> None:
    """The backup f~ that moved in and was deleted, the swap file, and the empty probe 4913."""
    moved_in = [span(OLD, 20, 30, DELETED, name="f~")]
    swap = [span(OLD, 20, 30, DELETED, name=".f.swp")]
    probe = [span(OLD, 20, 30, DELETED, name="4913")]

    assert not listed(moved_in, commits(OLD, 11))
    assert not listed(swap, commits(OLD, 21))
    assert not listed(probe, commits(OLD, 21, size=0))
    assert listed(probe, commits(OLD, 21))


def test_what_was_purged_is_not_listed() -> None:
    """Nothing is left to bring back; nor does content count that came after the name."""
    assert not listed([span(OLD, 10, 20, DELETED), marker(20)], {})
    assert not listed([span(OLD, 10, 20, DELETED), marker(20)], commits(OLD, 25))


def test_a_deleted_directory_is_listed_and_a_live_one_is_not() -> None:
    """Its tree can be browsed there; a live one has a `.versions` of its own."""
    assert listed([span(OLD, 10, 20, DELETED), marker(20)], {}, directories={OLD})
    assert not listed([span(OLD, 10)], {}, directories={OLD})
    assert not listed([span(OLD, 10, 20, MOVED)], {}, directories={OLD})


def kinds(events: Sequence[Event]) -> list[tuple[int, str]]:
    """Time and word of each line."""
    return [(event.time_ns, event.kind.value) for event in events]


def test_the_log_tells_the_life_of_a_name() -> None:
    """Made, written twice, removed, made again with its first version."""
    intervals = [span(OLD, 10, 20, DELETED), marker(20, 30), span(NEW, 30)]
    versions = commits(OLD, 11, 15) | {
        NEW: [Version(ino=NEW, stamp_ns=30, salt=3, size=0, origin=Origin.CREATED, uid=ALICE)]
    }

    assert events_of(intervals, versions) == [
        Event(10, EventKind.CREATED, ALICE),
        Event(11, EventKind.VERSION, ALICE, version_id(11, 11), 5),
        Event(15, EventKind.VERSION, ALICE, version_id(15, 15), 5),
        Event(20, EventKind.DELETED, BOB, version_id(20, 20)),
        Event(30, EventKind.CREATED, ALICE, version_id(30, 3), 0),
    ]


def test_the_log_names_what_made_each_version() -> None:
    """A recovered version may lack the last words; who reads the log must see it."""
    origins = [Origin.CHECKPOINT, Origin.RECOVERED, Origin.RESTORED, Origin.TRUNCATED]
    versions = {
        OLD: [
            Version(ino=OLD, stamp_ns=20 + origin, salt=0, size=1, origin=origin)
            for origin in origins
        ]
    }

    assert kinds(events_of([span(OLD, 10)], versions)) == [
        (10, "created"),
        (21, "checkpoint"),
        (22, "recovered"),
        (23, "restored"),
        (24, "truncated"),
    ]


def test_the_log_tells_saves_through_a_temporary_file_and_moves() -> None:
    """`rsync x f`, `mv f g`, `mv h f`."""
    intervals = [
        span(OLD, 10, 40, REPLACED),
        span(NEW, 40, 50, MOVED),
        span(OTHER, 60),
    ]
    versions = commits(OLD, 11) | commits(NEW, 38, size=7) | commits(OTHER, 5, 70)

    events = events_of(intervals, versions)

    assert kinds(events) == [
        (5, "version"),
        (10, "created"),
        (11, "version"),
        (38, "version"),
        (40, "replaced"),
        (50, "moved-away"),
        (60, "moved-in"),
        (70, "version"),
    ]
    assert events[4] == Event(40, EventKind.REPLACED, ALICE, version_id(38, 38), 7)
    assert events[5] == Event(50, EventKind.MOVED_AWAY, BOB)
    assert events[6] == Event(60, EventKind.MOVED_IN, ALICE, version_id(5, 5), 5)


def test_the_log_tells_an_undelete() -> None:
    """The same inode comes back under its name without a new version."""
    intervals = [span(OLD, 10, 20, DELETED), marker(20, 30), span(OLD, 30)]

    assert kinds(events_of(intervals, commits(OLD, 11))) == [
        (10, "created"),
        (11, "version"),
        (20, "deleted"),
        (30, "restored"),
    ]


def test_the_log_tells_a_file_that_was_empty_when_it_replaced_another() -> None:
    """There is no version to name."""
    intervals = [span(OLD, 10, 20, REPLACED), span(NEW, 20)]

    assert events_of(intervals, {})[-1] == Event(20, EventKind.REPLACED, ALICE)


def test_a_removal_is_told_also_where_no_marker_was_made() -> None:
    """Stores without versioning make none, and markers can be purged."""
    events = events_of([span(OLD, 10, 20, DELETED)], commits(OLD, 11))

    assert events[-1] == Event(20, EventKind.DELETED, BOB)


def test_a_log_line_has_fixed_columns() -> None:
    """For eyes and for `awk`; time and id can be given to `restore`."""
    full = format_event(Event(11, EventKind.MOVED_AWAY, ALICE, version_id(11, 11), 5))
    bare = format_event(Event(10**9, EventKind.CREATED, 0))

    assert full.split() == [
        "1970-01-01T00:00:00.000000011Z",
        "moved-away",
        version_id(11, 11),
        "5",
        "1000",
    ]
    assert bare.split() == ["1970-01-01T00:00:01Z", "created", "-", "-", "0"]
    assert full.index("moved") == bare.index("created")
    assert full.index("1000") == bare.rindex("0")
