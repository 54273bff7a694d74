"""What happened below a directory, newest first: a log of a tree rather than of a name.

A small directory is looked through: all that ever was there, in small steps. Where there are more
names than a page is worth, or it is the whole store, `events_by_time` goes back from change to
change. Either keeps the newest instants that it met, so it takes no more memory than a page.
"""

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from itertools import groupby
from typing import Final

import trio

from s3fs_local.control.browsing import check_limit, check_order, inode_then, instant_of
from s3fs_local.control.context import Context
from s3fs_local.control.events_by_time import go_back
from s3fs_local.control.newest_events import Newest, Stay
from s3fs_local.control.requests import ListEventsBelow
from s3fs_local.control.results.browsing import EventsBelow
from s3fs_local.control.results.versions import printed_key
from s3fs_local.engine.directory_steps import STEP_ROWS
from s3fs_local.errors import NotADirectory
from s3fs_local.metadata.interface import Metadata
from s3fs_local.rules.history import events_here
from s3fs_local.rules.inode import ROOT_INO
from s3fs_local.rules.instants import format_rfc3339
from s3fs_local.rules.namespace import OPEN_NS, Entry, path_below

NAMES_MAX: Final = 2000
"""A directory with more names below it is not looked through."""
CHANGES_MAX: Final = 20_000
"""Of the store, wherever they were, that one page looks at; whoever wants more goes on."""


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
    newest = Newest(since_ns, until_ns, request.limit)
    top = _stay_of(metadata, directory.ino, request.path, until_ns)
    if top.ino == ROOT_INO or not await look_through(metadata, top, newest, NAMES_MAX):
        newest = Newest(since_ns, until_ns, request.limit)
        await go_back(metadata, top, newest, CHANGES_MAX)
    return EventsBelow(
        key=printed_key(request.path),
        until=format_rfc3339(until_ns),
        events=newest.rows(),
        next=format_rfc3339(newest.since_ns - 1) if newest.is_more else None,
    )


async def look_through(metadata: Metadata, top: Stay, newest: Newest, names_max: int) -> bool:
    """All that happened there is added; False where there are more names than that."""
    stays = [top]
    looked_at = 0
    while stays:
        stay = stays.pop()
        async with aclosing(_names_in(metadata, stay)) as names:
            async for intervals in names:
                looked_at += 1
                if looked_at > names_max:
                    return False
                stays += _stays_below(metadata, stay, intervals)
                _add_events(metadata, stay, intervals, newest)
    return True


def _stay_of(metadata: Metadata, ino: int, path: bytes, until_ns: int) -> Stay:
    """How long it has been at the path, as of `until_ns`."""
    if ino == ROOT_INO:
        return Stay(ino, path, 0, OPEN_NS)
    name = path.rpartition(b"/")[2]
    for entry in metadata.entries_of(ino):
        if entry.name == name and entry.from_ns <= until_ns < entry.to_ns:
            return Stay(ino, path, entry.from_ns, entry.to_ns)
    return Stay(ino, path, 0, OPEN_NS)


async def _names_in(metadata: Metadata, stay: Stay) -> AsyncGenerator[list[Entry]]:
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


def _during(intervals: list[Entry], stay: Stay) -> list[Entry]:
    return [
        entry for entry in intervals if entry.from_ns <= stay.to_ns and entry.to_ns > stay.from_ns
    ]


def _stays_below(metadata: Metadata, stay: Stay, intervals: list[Entry]) -> Iterator[Stay]:
    for entry in intervals:
        inode = None if entry.is_marker else metadata.inode(entry.ino)
        if inode is not None and inode.is_directory:
            yield Stay(
                inode.ino,
                path_below(stay.path, entry.name),
                max(stay.from_ns, entry.from_ns),
                min(stay.to_ns, entry.to_ns),
            )


def _add_events(metadata: Metadata, stay: Stay, intervals: list[Entry], newest: Newest) -> None:
    if not any(_may_tell(metadata, entry, newest) for entry in intervals):
        return
    versions = {
        entry.ino: metadata.versions(entry.ino) for entry in intervals if not entry.is_marker
    }
    path = path_below(stay.path, intervals[0].name)
    for event in events_here(intervals, versions):
        is_here = stay.from_ns <= event.time_ns <= stay.to_ns
        if is_here and newest.takes(event.time_ns):
            newest.add_event(metadata, path, _occupant(intervals, event.time_ns), event)


def _may_tell(metadata: Metadata, entry: Entry, newest: Newest) -> bool:
    """Whether something happened to it in time; without looking at each version."""
    if newest.takes(entry.from_ns) or newest.takes(entry.to_ns):
        return True
    if entry.is_marker:
        return False
    since_ns = max(newest.since_ns, entry.from_ns)
    version_ns = metadata.next_version_ns(entry.ino, since_ns - 1)
    return version_ns is not None and version_ns <= min(newest.until_ns, entry.to_ns)


def _occupant(intervals: list[Entry], at_ns: int) -> int:
    return next(
        (
            entry.ino
            for entry in reversed(intervals)
            if not entry.is_marker and entry.from_ns <= at_ns
        ),
        0,
    )
