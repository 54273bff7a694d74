"""What happened below a directory, newest first: a log of a tree rather than of a name.

Facts lie by name, so a page looks through the whole tree that ever was there, in small steps. It
keeps the newest instants that it met, so a store of any size takes no more memory than a page.
"""

import stat
from collections.abc import AsyncIterator, Iterator
from heapq import heappop, heappush
from itertools import groupby
from typing import Final
from urllib.parse import quote_from_bytes

import trio
from msgspec import Struct

from s3fs_local.control.browsing import KINDS, check_limit, check_order, inode_then, instant_of
from s3fs_local.control.context import Context
from s3fs_local.control.requests import ListEventsBelow
from s3fs_local.control.results import EventBelowRow, EventsBelow, Owner, printed_key
from s3fs_local.engine.directory_steps import STEP_ROWS
from s3fs_local.errors import NotADirectory
from s3fs_local.metadata.interface import Metadata
from s3fs_local.rules.history import Event, EventKind, events_of
from s3fs_local.rules.inode import ROOT_INO
from s3fs_local.rules.instants import format_rfc3339
from s3fs_local.rules.namespace import OPEN_NS, Entry, path_below

_NAMES_BETWEEN_REPORTS: Final = 1000


class _Stay(Struct, frozen=True):
    """A directory was at the path during [from_ns, to_ns]."""

    ino: int
    path: bytes
    from_ns: int
    to_ns: int


class _Newest:
    """The newest instants of all that is added, each with its rows."""

    def __init__(self, since_ns: int, until_ns: int, limit: int) -> None:
        self.since_ns = since_ns  # nothing that is older will be taken any more
        self.until_ns: Final = until_ns
        self._limit: Final = limit
        self._rows: dict[int, list[EventBelowRow]] = {}
        self._instants: list[int] = []  # a heap

    def takes(self, at_ns: int) -> bool:
        return self.since_ns <= at_ns <= self.until_ns

    @property
    def is_full(self) -> bool:
        return len(self._instants) == self._limit

    def add(self, at_ns: int, row: EventBelowRow) -> None:
        """Takes it, where `takes` says so."""
        if at_ns not in self._rows:
            heappush(self._instants, at_ns)
        self._rows.setdefault(at_ns, []).append(row)
        if len(self._instants) > self._limit:
            del self._rows[heappop(self._instants)]
        if self.is_full:
            self.since_ns = max(self.since_ns, self._instants[0])

    def rows(self) -> list[EventBelowRow]:
        """Newest first; those of one instant by name."""
        return [
            row
            for at_ns in sorted(self._rows, reverse=True)
            for row in sorted(self._rows[at_ns], key=lambda row: row.key)
        ]


async def list_events_below(request: ListEventsBelow, context: Context) -> EventsBelow:
    """Raises NotADirectory where the path is none, NoSuchName where it was none at `until`."""
    check_limit(request.limit)
    filesystem = context.filesystem
    metadata = filesystem.volume.metadata
    until_ns = instant_of(request.until, context)
    since_ns = 0 if request.since is None else instant_of(request.since, context)
    check_order(since_ns, until_ns)
    directory = inode_then(filesystem, request.path, until_ns)
    if not directory.is_directory:
        raise NotADirectory(f"{printed_key(request.path)} is no directory; `log` tells of a file")
    newest = _Newest(since_ns, until_ns, request.limit)
    stays = [_stay_of(metadata, directory.ino, request.path, until_ns)]
    looked_at = 0
    while stays:
        stay = stays.pop()
        async for intervals in _names_in(metadata, stay):
            stays += _stays_below(metadata, stay, intervals)
            _add_events(metadata, stay, intervals, newest)
            looked_at += 1
            if looked_at % _NAMES_BETWEEN_REPORTS == 0:
                await context.outlet.progress("names looked at", done=looked_at)
    rows = newest.rows()
    return EventsBelow(
        key=printed_key(request.path),
        until=format_rfc3339(until_ns),
        events=rows,
        next=format_rfc3339(newest.since_ns - 1) if newest.is_full else None,
    )


def _stay_of(metadata: Metadata, ino: int, path: bytes, until_ns: int) -> _Stay:
    """How long it has been at the path, as of `until_ns`."""
    if ino == ROOT_INO:
        return _Stay(ino, path, 0, OPEN_NS)
    name = path.rpartition(b"/")[2]
    for entry in metadata.entries_of(ino):
        if entry.name == name and entry.from_ns <= until_ns < entry.to_ns:
            return _Stay(ino, path, entry.from_ns, entry.to_ns)
    return _Stay(ino, path, 0, OPEN_NS)


async def _names_in(metadata: Metadata, stay: _Stay) -> AsyncIterator[list[Entry]]:
    """The intervals of each name that there was meanwhile, oldest first."""
    position = (b"", 0)
    waiting: list[Entry] = []
    while rows := metadata.entries_after(stay.ino, *position, STEP_ROWS):
        position = (rows[-1].name, rows[-1].from_ns)
        groups = [list(group) for _, group in groupby(waiting + rows, key=lambda row: row.name)]
        waiting = groups.pop()  # it may go on in the next rows
        for group in groups:
            if intervals := _during(group, stay):
                yield intervals
        await trio.lowlevel.checkpoint()
    if intervals := _during(waiting, stay):
        yield intervals


def _during(intervals: list[Entry], stay: _Stay) -> list[Entry]:
    return [
        entry for entry in intervals if entry.from_ns <= stay.to_ns and entry.to_ns > stay.from_ns
    ]


def _stays_below(metadata: Metadata, stay: _Stay, intervals: list[Entry]) -> Iterator[_Stay]:
    for entry in intervals:
        inode = None if entry.is_marker else metadata.inode(entry.ino)
        if inode is not None and inode.is_directory:
            yield _Stay(
                inode.ino,
                path_below(stay.path, entry.name),
                max(stay.from_ns, entry.from_ns),
                min(stay.to_ns, entry.to_ns),
            )


def _add_events(metadata: Metadata, stay: _Stay, intervals: list[Entry], newest: _Newest) -> None:
    if not any(_may_tell(metadata, entry, newest) for entry in intervals):
        return
    versions = {
        entry.ino: metadata.versions(entry.ino) for entry in intervals if not entry.is_marker
    }
    path = path_below(stay.path, intervals[0].name)
    for event in events_of(intervals, versions):
        # What its file was under another name is that name's to tell.
        is_here = stay.from_ns <= event.time_ns <= stay.to_ns and any(
            entry.from_ns <= event.time_ns <= entry.to_ns for entry in intervals
        )
        if is_here and newest.takes(event.time_ns):
            row = _row(metadata, path, intervals, event)
            # That a file was made is told by its first content.
            if row.kind != "file" or row.version_id or event.kind is not EventKind.CREATED:
                newest.add(event.time_ns, row)


def _may_tell(metadata: Metadata, entry: Entry, newest: _Newest) -> bool:
    """Whether something happened to it in time; without looking at each version."""
    if newest.takes(entry.from_ns) or newest.takes(entry.to_ns):
        return True
    if entry.is_marker:
        return False
    since_ns = max(newest.since_ns, entry.from_ns)
    version_ns = metadata.next_version_ns(entry.ino, since_ns - 1)
    return version_ns is not None and version_ns <= min(newest.until_ns, entry.to_ns)


def _row(metadata: Metadata, path: bytes, intervals: list[Entry], event: Event) -> EventBelowRow:
    occupant = next(
        (
            entry.ino
            for entry in reversed(intervals)
            if not entry.is_marker and entry.from_ns <= event.time_ns
        ),
        0,
    )
    inode = metadata.inode(occupant)
    return EventBelowRow(
        time=format_rfc3339(event.time_ns),
        event=event.kind.value,
        key=printed_key(path),
        encoded_key=quote_from_bytes(path),
        kind="other" if inode is None else KINDS.get(stat.S_IFMT(inode.mode), "other"),
        version_id=event.version_id or None,
        size=event.size,
        owner=Owner(str(event.uid)),
    )
