"""The history of a path, worked out from the intervals of its name and the versions of its inodes.

A name means one inode after another; an inode has one content after another. The history of a name
is everything it ever held *and* everything those files were before under other names. So it
survives

- rename: after `mv draft report`, the history of `report` has every version of `draft`;
- rsync, `sed -i`, GNOME and all who write a temporary file and rename it over the old one: the name
  means a new inode, and the versions of the old one stay in the name's history;
- vim, which renames `f` to `f~`, writes a new `f` and removes `f~`;
- git, which writes `tmp_obj_x`, links it to its final name and unlinks the first.

What was committed after an inode moved away belongs to its other name.

Which names a listing shows is a second question (`is_listed`). The temporary names of those
programs left nothing behind that is not in the history of a name people know. But hidden never
means lost: who asks for an unlisted name gets its history all the same.

Intervals come oldest first, as `Metadata.name_history` gives them; versions in any order.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from heapq import heappop, heappush
from itertools import count, islice
from typing import Final

from msgspec import Struct, structs

from s3fs_local.errors import AmbiguousVersion, NoSuchVersion
from s3fs_local.rules import identifiers
from s3fs_local.rules.instants import format_rfc3339
from s3fs_local.rules.names import is_transient
from s3fs_local.rules.namespace import AWAY, OPEN_NS, Ending, Entry
from s3fs_local.rules.versioning import NULL_ID, Origin, Version


class HistoryItem(Struct, frozen=True):
    """One version in the history of a name, or (without a version) one delete marker."""

    entry: Entry  # the marker, or the interval through which the name came to the version
    version: Version | None
    since_ns: int  # when the name last began to hold it; never held: when it was committed
    is_latest: bool = False  # S3's IsLatest: what the name is now

    @property
    def is_marker(self) -> bool:
        """Whether it is a delete marker."""
        return self.version is None

    @property
    def stamp_ns(self) -> int:
        """When it was committed."""
        return self.entry.from_ns if self.version is None else self.version.stamp_ns

    @property
    def salt(self) -> int:
        """The random half of its id."""
        return self.entry.salt if self.version is None else self.version.salt

    @property
    def stamp_and_salt(self) -> tuple[int, int]:
        """Both halves of its id."""
        return self.stamp_ns, self.salt

    @property
    def is_null(self) -> bool:
        """Whether S3 names it `null`."""
        return self.entry.is_null if self.version is None else self.version.is_null

    @property
    def version_id(self) -> str:
        """Its S3 version id."""
        if self.is_null:
            return NULL_ID
        return identifiers.version_id(self.stamp_ns, self.salt)

    @property
    def size(self) -> int:
        """Bytes of content; 0 for a marker."""
        return 0 if self.version is None else self.version.size

    @property
    def uid(self) -> int:
        """Who made it."""
        return self.entry.uid if self.version is None else self.version.uid


VersionsBefore = Callable[[int, int], Iterable[Version]]
"""The versions of an inode committed before an instant, newest first."""


def history_of(
    intervals: Sequence[Entry], versions_of: Mapping[int, Sequence[Version]]
) -> list[HistoryItem]:
    """Versions and delete markers of a name, newest first, none twice; see `items_of`."""

    def versions_before(ino: int, before_ns: int) -> list[Version]:
        found = [version for version in versions_of.get(ino, ()) if version.stamp_ns < before_ns]
        return sorted(found, key=lambda version: version.stamp_ns, reverse=True)

    by_end = sorted(intervals, key=lambda interval: interval.to_ns, reverse=True)
    return list(items_of(by_end, versions_before))


def items_of(intervals: Iterable[Entry], versions_before: VersionsBefore) -> Iterator[HistoryItem]:
    """Versions and delete markers of a name, newest first, none twice.

    "Newest" is what the name held last. An old file moved in at noon comes before what was there
    until noon, however long ago it was written: `mv old f` makes old's content the latest, and the
    content it replaced the previous one. Versions that this name never held itself (made under
    another name, and no longer current there when the file came here) stand at the time they were
    committed.

    The first item is the latest if the name still means something with a history, or is deleted;
    after the last file moved away nothing is.

    No more is taken than is asked for: a log has a version for each time it was closed.

    Args:
        intervals: those of the name by their ends, the last one first.
        versions_before: asked for the inode and the end of each interval.
    """
    upcoming = iter(intervals)
    following = next(upcoming, None)
    begun: list[tuple[tuple[int, int, int], int, HistoryItem, Iterator[HistoryItem]]] = []
    told: set[tuple[int, int]] = set()
    number = count()

    def next_of(items: Iterator[HistoryItem]) -> None:
        item = next(items, None)
        if item is not None:
            place = -item.since_ns, -item.stamp_ns, item.entry.ino
            heappush(begun, (place, next(number), item, items))

    while begun or following is not None:
        # What an interval adds, the name held before the interval ended.
        while following is not None and (not begun or following.to_ns > begun[0][2].since_ns):
            next_of(_items_through(following, versions_before))
            following = next(upcoming, None)
        if not begun:
            break
        place, _, item, items = heappop(begun)
        next_of(items)
        while begun and begun[0][0] == place:  # the name came to it through the earliest of them
            _, _, item, items = heappop(begun)
            next_of(items)
        key = (item.entry.ino, item.stamp_ns)
        if key not in told:
            is_latest = not told and item.entry.to_ns == OPEN_NS
            told.add(key)
            yield structs.replace(item, is_latest=True) if is_latest else item


def find_version(history: Iterable[HistoryItem], text: str) -> HistoryItem:
    """The one item that `text` names: `null`, a whole id, a short id, or the beginning of either.

    After `null` and a whole id no further item is looked at.

    Raises:
        NoSuchVersion: none fits.
        AmbiguousVersion: several fit and none fits exactly.
    """
    whole = identifiers.parse_whole_id(text)
    if text == NULL_ID:
        fitting = list(islice((item for item in history if item.is_null), 1))
    elif whole is not None:
        fitting = list(islice((item for item in history if item.stamp_and_salt == whole), 1))
    else:
        fitting = [item for item in history if identifiers.matches(text, *item.stamp_and_salt)]
        exact = [item for item in fitting if identifiers.is_exactly(text, item.stamp_ns, item.salt)]
        fitting = exact or fitting
    if not fitting:
        raise NoSuchVersion(f"no version {text[:64]!r} in this history")
    if len(fitting) > 1:
        ids = ", ".join(item.version_id for item in fitting)
        raise AmbiguousVersion(f"{text!r} fits {len(fitting)} versions: {ids}")
    return fitting[0]


def _items_through(interval: Entry, versions_before: VersionsBefore) -> Iterator[HistoryItem]:
    """What one interval adds to the history of its name, newest first."""
    if interval.is_marker:
        yield HistoryItem(entry=interval, version=None, since_ns=interval.from_ns)
        return
    has_arrived = False
    for version in versions_before(interval.ino, interval.to_ns):
        since_ns = version.stamp_ns
        if since_ns <= interval.from_ns and not has_arrived:
            has_arrived, since_ns = True, interval.from_ns
        yield HistoryItem(entry=interval, version=version, since_ns=since_ns)


def _versions_before_end(
    interval: Entry, versions_of: Mapping[int, Sequence[Version]]
) -> list[Version]:
    """The versions of the inode committed before the name stopped meaning it, whatever its name."""
    versions = versions_of.get(interval.ino, ())
    return [version for version in versions if version.stamp_ns < interval.to_ns]


def _arrived(interval: Entry, versions: Sequence[Version]) -> Version | None:
    """The content the inode had already when the name began to mean it."""
    earlier = [version for version in versions if version.stamp_ns <= interval.from_ns]
    return max(earlier, key=lambda version: version.stamp_ns, default=None)


def is_listed(
    intervals: Iterable[Entry],
    versions_before: VersionsBefore,
    is_directory: Callable[[int], bool],
) -> bool:
    """Whether `.versions/` lists the name: somebody may look for what one of its occupants was.

    No more is taken of the intervals, in any order, than is needed: newest first is quickest.
    `versions_before` gives the versions of an inode before an instant. An occupant counts

    - while it is live, as soon as it has a committed version (a live directory has its own
      `.versions`);
    - never, once it moved away: rsync's `.f.Xy12Zw`, git's `tmp_obj_x`, and `a` after `mv a b`;
    - deleted or replaced, if the name is no program's temporary one (vim's `f~` and `.f.swp`) and
      there is something to bring back: a directory's tree, or a version that is not empty (vim's
      probe 4913 and editors' lock files are). Content committed under an earlier name counts: after
      `rsync x f; rm f` and `mv a b; rm b`, `f` and `b` are the only listed ways to it.
    """
    return any(_is_worth_listing(interval, versions_before, is_directory) for interval in intervals)


def _is_worth_listing(
    interval: Entry,
    versions_before: VersionsBefore,
    is_directory: Callable[[int], bool],
) -> bool:
    if interval.is_marker or interval.ending in AWAY:
        return False
    versions = versions_before(interval.ino, interval.to_ns)
    if interval.ending == Ending.LIVE:
        return any(True for _ in versions)
    if is_transient(interval.name):
        return False
    return is_directory(interval.ino) or any(version.size for version in versions)


class EventKind(StrEnum):
    """What happened to a name, in the words of the `log` file."""

    CREATED = "created"
    MOVED_IN = "moved-in"  # renamed or linked to this free name, content and all
    REPLACED = "replaced"  # another file was renamed over the one that was here
    VERSION = "version"  # committed by close
    CHECKPOINT = "checkpoint"
    RECOVERED = "recovered"
    RESTORED = "restored"
    TRUNCATED = "truncated"
    MOVED_AWAY = "moved-away"
    DELETED = "deleted"


_KIND_OF_ORIGIN: Final = {
    Origin.CLOSE: EventKind.VERSION,
    Origin.CHECKPOINT: EventKind.CHECKPOINT,
    Origin.RECOVERED: EventKind.RECOVERED,
    Origin.RESTORED: EventKind.RESTORED,
    Origin.TRUNCATED: EventKind.TRUNCATED,
    Origin.CREATED: EventKind.CREATED,
}


class Event(Struct, frozen=True):
    """One line of the `log` file."""

    time_ns: int
    kind: EventKind
    uid: int  # who did it
    version_id: str = ""  # the version or marker made, or moved here; "" = none
    size: int | None = None  # its bytes; None = no version


def events_of(
    intervals: Sequence[Entry], versions_of: Mapping[int, Sequence[Version]]
) -> list[Event]:
    """All that happened to the name and to the files it meant, oldest first.

    Every item of the history has one line, so a file saved through a temporary one has two:
    `version` when it was written, `replaced` when it came here, both with the same version id.
    """
    events = [_event_of_item(item) for item in history_of(intervals, versions_of)]
    markers = {interval.from_ns for interval in intervals if interval.is_marker}
    for position, interval in enumerate(intervals):
        if not interval.is_marker:
            events += _beginning(interval, intervals[:position], versions_of)
            events += _end(interval, markers)
    return sorted(events, key=lambda event: event.time_ns)


def events_here(
    intervals: Sequence[Entry], versions_of: Mapping[int, Sequence[Version]]
) -> list[Event]:
    """As `events_of`, without what its files were while another name was theirs; oldest first."""
    events = []
    markers = {interval.from_ns for interval in intervals if interval.is_marker}
    for position, interval in enumerate(intervals):
        if interval.is_marker:
            events.append(marker_event(interval))
            continue
        events += _beginning(interval, intervals[:position], versions_of)
        events += [
            version_event(version)
            for version in versions_of.get(interval.ino, ())
            if interval.from_ns <= version.stamp_ns < interval.to_ns
        ]
        events += _end(interval, markers)
    return sorted(events, key=lambda event: event.time_ns)


def _event_of_item(item: HistoryItem) -> Event:
    return marker_event(item.entry) if item.version is None else version_event(item.version)


def version_event(version: Version) -> Event:
    """That the version was committed."""
    kind = _KIND_OF_ORIGIN[version.origin]
    return Event(version.stamp_ns, kind, version.uid, _id_of(version), version.size)


def marker_event(marker: Entry) -> Event:
    """That the name was deleted."""
    item = HistoryItem(entry=marker, version=None, since_ns=marker.from_ns)
    return Event(marker.from_ns, EventKind.DELETED, marker.uid, item.version_id)


def _id_of(version: Version) -> str:
    return NULL_ID if version.is_null else identifiers.version_id(version.stamp_ns, version.salt)


def _beginning(
    interval: Entry, earlier: Sequence[Entry], versions_of: Mapping[int, Sequence[Version]]
) -> list[Event]:
    arrived = _arrived(interval, _versions_before_end(interval, versions_of))
    endings = {(entry.ending, entry.to_ns) for entry in earlier}
    event = beginning_event(
        interval,
        arrived,
        took_over=(Ending.REPLACED, interval.from_ns) in endings,
        was_deleted=any(entry.ino == interval.ino and entry.was_removed for entry in earlier),
    )
    return [] if event is None else [event]


def beginning_event(
    interval: Entry, arrived: Version | None, *, took_over: bool, was_deleted: bool
) -> Event | None:
    """How the name came to mean the inode; None where a version of that instant tells it.

    `arrived` is the content the inode had already. It took the name over from another inode, or had
    had it before and was removed.
    """
    if arrived is not None and arrived.stamp_ns == interval.from_ns:
        return None
    if took_over:
        kind = EventKind.REPLACED
    elif was_deleted:  # only an undelete brings an inode back from there
        kind = EventKind.RESTORED
    elif arrived is not None:
        kind = EventKind.MOVED_IN
    else:
        kind = EventKind.CREATED
    if arrived is None:
        return Event(interval.from_ns, kind, interval.uid)
    return Event(interval.from_ns, kind, interval.uid, _id_of(arrived), arrived.size)


def _end(interval: Entry, markers: Collection[int]) -> list[Event]:
    event = ending_event(interval, has_marker=interval.to_ns in markers)
    return [] if event is None else [event]


def ending_event(interval: Entry, *, has_marker: bool) -> Event | None:
    """How the name stopped meaning the inode; None where a marker or a successor tells it."""
    if interval.ending in AWAY:
        return Event(interval.to_ns, EventKind.MOVED_AWAY, interval.ended_by)
    if interval.was_removed and not has_marker:
        return Event(interval.to_ns, EventKind.DELETED, interval.ended_by)
    return None


def format_event(event: Event) -> str:
    """The event as a line without its newline: time, event, version id, size, uid; `-` for none."""
    size = "-" if event.size is None else str(event.size)
    return (
        f"{format_rfc3339(event.time_ns):<30}  {event.kind:<10}  {event.version_id or '-':<20}  "
        f"{size:>15}  {event.uid}"
    )
