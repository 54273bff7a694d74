"""A page of events: the newest instants of what is added, each with its rows."""

import stat
from heapq import heappop, heappush
from typing import Final
from urllib.parse import quote_from_bytes

from msgspec import Struct

from s3fs_local.control.browsing import KINDS
from s3fs_local.control.results.browsing import EventBelowRow
from s3fs_local.control.results.versions import Owner, printed_key
from s3fs_local.metadata.interface import Metadata
from s3fs_local.rules.history import Event, EventKind
from s3fs_local.rules.instants import format_rfc3339


class Stay(Struct, frozen=True):
    """A directory was at the path during [from_ns, to_ns]."""

    ino: int
    path: bytes
    from_ns: int
    to_ns: int


class Newest:
    """The newest instants of all that is added, each with its rows."""

    def __init__(self, since_ns: int, until_ns: int, limit: int) -> None:
        self.since_ns = since_ns  # nothing that is older will be taken any more
        self.until_ns: Final = until_ns
        self._limit: Final = limit
        self._stopped = False
        self._rows: dict[int, list[EventBelowRow]] = {}
        self._instants: list[int] = []  # a heap

    def takes(self, at_ns: int) -> bool:
        """Whether what happened then belongs to the page."""
        return self.since_ns <= at_ns <= self.until_ns

    @property
    def is_full(self) -> bool:
        """Whether what is added now drives something older out."""
        return len(self._instants) == self._limit

    @property
    def is_more(self) -> bool:
        """Whether there may be something before `since_ns`."""
        return self.is_full or self._stopped

    def add(self, at_ns: int, row: EventBelowRow) -> None:
        """Takes it, where `takes` says so."""
        if at_ns not in self._rows:
            heappush(self._instants, at_ns)
        self._rows.setdefault(at_ns, []).append(row)
        if len(self._instants) > self._limit:
            del self._rows[heappop(self._instants)]
        if self.is_full:
            self.since_ns = max(self.since_ns, self._instants[0])

    def add_event(self, metadata: Metadata, path: bytes, occupant: int, event: Event) -> None:
        """What happened at the path to that inode, if it is to be told."""
        row = _row(metadata, path, occupant, event)
        # That a file was made is told by its first content.
        if row.kind != "file" or row.version_id or event.kind is not EventKind.CREATED:
            self.add(event.time_ns, row)

    def stop_before(self, at_ns: int) -> None:
        """What happened at the instant and earlier was not looked at."""
        self.since_ns = at_ns + 1
        self._stopped = True

    def rows(self) -> list[EventBelowRow]:
        """Newest first; those of one instant by name."""
        return [
            row
            for at_ns in sorted(self._rows, reverse=True)
            for row in sorted(self._rows[at_ns], key=lambda row: row.key)
        ]


def _row(metadata: Metadata, path: bytes, occupant: int, event: Event) -> EventBelowRow:
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
