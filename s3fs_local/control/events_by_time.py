"""What happened below a directory, by going back from change to change of the whole store.

Three indexes are read at once: what was committed, which names were left, which were taken. Each
instant is told as `rules.history.events_of` tells it of a name, from the few facts around it.
"""

from collections.abc import Callable, Iterator
from functools import partial
from heapq import merge
from typing import Final, TypeVar

import trio

from s3fs_local.control.newest_events import Newest, Stay
from s3fs_local.metadata.interface import Metadata
from s3fs_local.rules.history import (
    Event,
    beginning_event,
    ending_event,
    marker_event,
    version_event,
)
from s3fs_local.rules.inode import ROOT_INO
from s3fs_local.rules.namespace import Ending, Entry, path_below

_STEP_ROWS: Final = 256
_NAMES_MAX: Final = 64
"""Of one inode, so many are considered around an instant."""

T = TypeVar("T")
Told = tuple[int, bytes, Event]  # directory, name, what happened to it
Found = tuple[int, Callable[[], Iterator[Told]]]  # the instant, and what to ask about it


async def go_back(metadata: Metadata, top: Stay, newest: Newest, changes_max: int) -> None:
    """The newest events below `top` are added, of those among so many changes of the store."""
    changes = _Changes(metadata)
    paths = _Paths(metadata, top)
    last_ns = 0
    for looked_at, (at_ns, tell) in enumerate(changes.before(newest.until_ns)):
        if at_ns < newest.since_ns:
            return
        if looked_at >= changes_max and at_ns != last_ns:
            newest.stop_before(at_ns)
            return
        if looked_at % _STEP_ROWS == 0:
            await trio.lowlevel.checkpoint()
        last_ns = at_ns
        for parent, name, event in tell():
            directory = paths.of(parent, at_ns)
            if directory is not None:
                occupant = changes.occupant(parent, name, at_ns)
                newest.add_event(metadata, path_below(directory, name), occupant, event)


class _Paths:
    """Where directories were, below one of them."""

    def __init__(self, metadata: Metadata, top: Stay) -> None:
        self._metadata: Final = metadata
        self._top: Final = top
        self._names: dict[int, Entry] = {}  # the last that was asked for

    def of(self, directory: int, at_ns: int) -> bytes | None:
        """The path of the directory at the instant; None where it was not below the top."""
        names = []
        while directory != self._top.ino:
            entry = None if directory == ROOT_INO else self._name_of(directory, at_ns)
            if entry is None:
                return None
            names.append(entry.name)
            directory = entry.parent
        if not self._top.from_ns <= at_ns <= self._top.to_ns:
            return None
        path = self._top.path
        for name in reversed(names):
            path = path_below(path, name)
        return path

    def _name_of(self, directory: int, at_ns: int) -> Entry | None:
        known = self._names.get(directory)
        if known is not None and known.from_ns <= at_ns < known.to_ns:
            return known
        for entry in self._metadata.names_before(directory, at_ns, 1):
            self._names[directory] = entry
            return entry if at_ns <= entry.to_ns else None
        return None


class _Changes:
    """The changes of a store, the newest first."""

    def __init__(self, metadata: Metadata) -> None:
        self._metadata: Final = metadata

    def before(self, until_ns: int) -> Iterator[Found]:
        """Each with its instant, and with what asks what it was. Of one instant: ends first."""
        metadata = self._metadata
        commits: Iterator[Found] = (
            (at_ns, partial(self._committed, ino, at_ns))
            for at_ns, ino in _in_steps(metadata.commits_before, until_ns, lambda row: row[0])
        )
        left: Iterator[Found] = (
            (entry.to_ns, partial(self._left, entry))
            for entry in _in_steps(metadata.left_before, until_ns, lambda row: row.to_ns)
        )
        begun: Iterator[Found] = (
            (entry.from_ns, partial(self._begun, entry))
            for entry in _in_steps(metadata.begun_before, until_ns, lambda row: row.from_ns)
        )
        return merge(commits, left, begun, key=lambda found: found[0], reverse=True)

    def occupant(self, parent: int, name: bytes, at_ns: int) -> int:
        """The inode that the name meant then, or last before it was deleted; 0 for none."""
        intervals = self._metadata.name_before(parent, name, at_ns + 1, _NAMES_MAX)
        return next((entry.ino for entry in intervals if not entry.is_marker), 0)

    def _committed(self, ino: int, at_ns: int) -> Iterator[Told]:
        version = self._metadata.version(ino, at_ns)
        if version is not None:
            for entry in self._metadata.names_before(ino, at_ns, _NAMES_MAX):
                if at_ns < entry.to_ns:
                    yield entry.parent, entry.name, version_event(version)

    def _left(self, entry: Entry) -> Iterator[Told]:
        then = self._metadata.interval(entry.parent, entry.name, entry.to_ns)
        event = ending_event(entry, has_marker=then is not None and then.is_marker)
        if event is not None:
            yield entry.parent, entry.name, event

    def _begun(self, entry: Entry) -> Iterator[Told]:
        if entry.is_marker:
            yield entry.parent, entry.name, marker_event(entry)
            return
        metadata = self._metadata
        before = metadata.name_before(entry.parent, entry.name, entry.from_ns, 1)
        earlier = metadata.names_before(entry.ino, entry.from_ns - 1, _NAMES_MAX)
        event = beginning_event(
            entry,
            metadata.version_at(entry.ino, entry.from_ns),
            took_over=any(
                (one.ending, one.to_ns) == (Ending.REPLACED, entry.from_ns) for one in before
            ),
            was_deleted=any(
                one.was_removed and (one.parent, one.name) == (entry.parent, entry.name)
                for one in earlier
            ),
        )
        if event is not None:
            yield entry.parent, entry.name, event


def _in_steps(
    ask: Callable[[int, int], list[T]], until_ns: int, instant_of: Callable[[T], int]
) -> Iterator[T]:
    """All rows by `until_ns`, newest first. Those of one instant are never torn apart."""
    step = _STEP_ROWS
    while True:
        rows = ask(until_ns, step)
        if len(rows) < step:
            yield from rows
            return
        last_ns = instant_of(rows[-1])
        whole = [row for row in rows if instant_of(row) > last_ns]
        if not whole:  # so many at once: an instant is asked for as a whole
            step *= 4
            continue
        yield from whole
        until_ns, step = last_ns, _STEP_ROWS
