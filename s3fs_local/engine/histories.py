"""Looking back: the history of a name, and the tree as it was at any instant.

A directory that was removed and made again has a new inode; its path has one history. So a question
about a name is asked of every directory that ever was at that path.
"""

from collections.abc import Iterable, Iterator
from heapq import merge
from itertools import groupby, islice, starmap
from typing import Final

import trio
from msgspec import Struct, structs

from s3fs_local.engine.volume import Volume
from s3fs_local.engine.yielding import gathered
from s3fs_local.errors import NoSuchName
from s3fs_local.rules.access import LIST_AND_SEARCH, access_of, is_as_open
from s3fs_local.rules.history import Event, HistoryItem, events_of, history_of, is_listed, items_of
from s3fs_local.rules.inode import ROOT_INO, Inode
from s3fs_local.rules.names import VersionName, printed
from s3fs_local.rules.namespace import OPEN_NS, Ending, Entry
from s3fs_local.rules.versioning import Version

_STEP_ROWS_MAX: Final = 1024
_STEP_NAMES: Final = 16
"""Rows at a time of which only the names are wanted: one name may have thousands."""


class NameHistory(Struct, frozen=True):
    """All that a name in a directory ever was."""

    name: bytes
    intervals: list[Entry]  # oldest first
    versions: dict[int, list[Version]]  # by inode, newest first
    items: list[HistoryItem]  # newest first


class Tenure(Struct, frozen=True):
    """A directory inode was at the path until `to_ns` (open end)."""

    ino: int
    to_ns: int


class Histories:
    """Answers questions about the past of one volume."""

    def __init__(self, volume: Volume, *, for_everyone: bool = False) -> None:
        """For those who may see the whole store, or for everyone who uses a mount of it.

        To everyone an earlier directory at a path is shown through the present one only if whoever
        may look into that could look into the earlier one: else making a directory again would
        open what somebody else kept closed.
        """
        self._volume = volume
        self._for_everyone = for_everyone
        self._metadata = volume.metadata

    def of_name(self, directory: int, name: bytes) -> NameHistory:
        """The history of the name, whatever directories its path led through."""
        intervals: list[Entry] = []
        for tenure in self._tenures(directory):
            found = self._metadata.name_history(tenure.ino, name)
            intervals += _within_all(found, tenure.to_ns)
        intervals.sort(key=lambda entry: entry.from_ns)
        versions = self._versions_of(intervals)
        return NameHistory(name, intervals, versions, history_of(intervals, versions))

    def listed_names(self, directory: int) -> Iterator[bytes]:
        """The names in the directory that have a history worth showing, in order.

        Each is looked up when it is asked for, and what it was only as far as is needed: a name may
        have meant thousands of files in turn.
        """
        tenures = self._tenures(directory)
        for name, _ in groupby(merge(*(self._names_in(tenure.ino) for tenure in tenures))):
            intervals = self._intervals_before(tenures, name)
            if is_listed(intervals, self._versions_before, self._is_directory):
                yield name

    def _names_in(self, directory: int) -> Iterator[bytes]:
        """Every name that ever meant something there, in order; in steps."""
        last = b""
        while found := self._metadata.entries_after(directory, last, OPEN_NS, _STEP_NAMES):
            yield from (name for name, _ in groupby(entry.name for entry in found))
            last = found[-1].name

    def has_history(self, directory: int, name: bytes) -> bool:
        """Whether the name ever meant anything here."""
        return next(self.intervals(directory, name), None) is not None

    def items(self, directory: int, name: bytes) -> Iterator[HistoryItem]:
        """Its versions and delete markers, newest first; looked up when they are asked for."""
        return items_of(self.intervals(directory, name), self._versions_before)

    async def events(self, directory: int, name: bytes) -> list[Event]:
        """All that happened to the name, oldest first; others are served meanwhile."""
        intervals = (await gathered(self.intervals(directory, name)))[::-1]
        files = {interval.ino for interval in intervals if not interval.is_marker}
        versions = {ino: await gathered(self._versions_before(ino, OPEN_NS)) for ino in files}
        return await trio.to_thread.run_sync(events_of, intervals, versions)

    def few_events(self, directory: int, name: bytes, limit: int) -> list[Event] | None:
        """The same at once; None where they are made of more than `limit` rows."""
        intervals = list(islice(self.intervals(directory, name), limit + 1))[::-1]
        rows = len(intervals)
        versions = {}
        for ino in {interval.ino for interval in intervals if not interval.is_marker}:
            versions[ino] = list(islice(self._versions_before(ino, OPEN_NS), limit + 1))
            rows += len(versions[ino])
            if rows > limit:
                return None
        return events_of(intervals, versions) if rows <= limit else None

    def intervals(self, directory: int, name: bytes) -> Iterator[Entry]:
        """What the name meant, by when it ended, the last one first; looked up likewise."""
        return self._intervals_before(self._tenures(directory), name)

    def version_named(self, directory: int, name: bytes, wanted: VersionName) -> Version | None:
        """The version in the name's history that was committed then, with that salt."""
        for version in self._metadata.versions_by_id(wanted.from_ns, wanted.to_ns, wanted.salt):
            intervals = self._intervals_of(directory, name, version.ino)
            if any(version.stamp_ns < interval.to_ns for interval in intervals):
                return version
        return None

    def occupants_named(self, directory: int, name: bytes, wanted: VersionName) -> list[Entry]:
        """Intervals that ended then, in which the name meant the inode of that number."""
        intervals = self._intervals_of(directory, name, wanted.salt)
        return [one for one in intervals if wanted.from_ns <= one.to_ns < wanted.to_ns]

    def _intervals_of(self, directory: int, name: bytes, ino: int) -> list[Entry]:
        """The intervals in which the name meant that inode, oldest first."""
        until = {tenure.ino: tenure.to_ns for tenure in self._tenures(directory)}
        return [
            _within(entry, until[entry.parent])
            for entry in self._metadata.entries_of(ino)
            if entry.name == name and entry.from_ns < until.get(entry.parent, 0)
        ]

    def _intervals_before(self, tenures: Iterable[Tenure], name: bytes) -> Iterator[Entry]:
        """The intervals of the name in these directories, the last to end first, in steps."""
        streams = [self._intervals_in(tenure, name) for tenure in tenures]
        return merge(*streams, key=lambda entry: entry.to_ns, reverse=True)

    def _intervals_in(self, tenure: Tenure, name: bytes) -> Iterator[Entry]:
        before_ns = OPEN_NS
        for step in _growing():
            found = self._metadata.name_before(tenure.ino, name, before_ns, step)
            yield from _within_all(found, tenure.to_ns)
            if len(found) < step:
                return
            before_ns = found[-1].from_ns

    def changes_in(self, directory: int) -> set[int]:
        """Every instant at which a name in the directory, or the content of one, changed."""
        changes_ns: set[int] = set()
        for tenure in self._tenures(directory):
            entries = self._metadata.directory_history(tenure.ino)
            ends = [(entry.from_ns, entry.to_ns) for entry in entries]
            changes_ns.update(at for pair in ends for at in pair if at <= tenure.to_ns)
            for versions in self._versions_of(entries).values():
                changes_ns.update(version.stamp_ns for version in versions)
        changes_ns.discard(OPEN_NS)
        return changes_ns

    def _versions_of(self, intervals: Iterable[Entry]) -> dict[int, list[Version]]:
        inodes = {entry.ino for entry in intervals if not entry.is_marker}
        return {ino: self._metadata.versions(ino) for ino in inodes}

    def _versions_before(self, ino: int, before_ns: int) -> Iterator[Version]:
        """The versions of the inode committed before the instant, newest first, in steps."""
        for step in _growing():
            found = self._metadata.versions_before(ino, before_ns, step)
            yield from found
            if len(found) < step:
                return
            before_ns = found[-1].stamp_ns

    def _is_directory(self, ino: int) -> bool:
        inode = self._metadata.inode(ino)
        return inode is not None and inode.is_directory

    def _tenures(self, directory: int) -> list[Tenure]:
        """Every directory that was at this one's path until it was removed, and this one.

        Each once: one that was removed there, brought back and removed again was there till then.
        """
        inode = self._volume.inode(directory)
        until_ns = {directory: OPEN_NS}
        place = self._place_of(inode)
        if place is None:
            return [Tenure(directory, OPEN_NS)]
        for above in self._tenures(place.parent):
            for entry in self._metadata.name_history(above.ino, place.name):
                if entry.is_marker or entry.ino == directory:
                    continue
                if not (entry.was_removed or entry.ending is Ending.REPLACED):
                    continue
                earlier = self._metadata.inode(entry.ino)
                if earlier is None or not earlier.is_directory:
                    continue
                if not self._for_everyone or _is_as_open(earlier, inode):
                    ended_ns = min(entry.to_ns, above.to_ns)
                    until_ns[earlier.ino] = max(ended_ns, until_ns.get(earlier.ino, 0))
        return list(starmap(Tenure, until_ns.items()))

    def _place_of(self, directory: Inode) -> Entry | None:
        """Where the directory is, or was last; None for the root."""
        if directory.ino == ROOT_INO:
            return None
        entries = self._metadata.entries_of(directory.ino)
        return entries[-1] if entries else None

    def directory_at(self, directory: int, at_ns: int) -> int:
        """The directory that was at this one's path at that instant.

        Raises:
            NoSuchName: there was none.
        """
        inode = self._volume.inode(directory)
        if inode.btime_ns <= at_ns:
            return directory
        place = self._place_of(inode)
        if place is None:
            raise NoSuchName("the store did not exist then")
        parent = self.directory_at(place.parent, at_ns)
        if self._for_everyone and parent != place.parent:
            above = self.inode_at(parent, at_ns)
            if above is None or not _is_as_open(above, self._volume.inode(place.parent)):
                raise NoSuchName("look from the directory above")
        entry = self._metadata.entry_at(parent, place.name, at_ns)
        earlier = None if entry is None else self._metadata.inode(entry.ino)
        if earlier is None or not earlier.is_directory:
            raise NoSuchName("the directory did not exist then")
        return earlier.ino

    def inode_at(self, ino: int, at_ns: int) -> Inode | None:
        """The inode with its attributes and size of then; None for a file without a version then.

        Its `version_ns` is that of the version it had.
        """
        inode = self._volume.inode(ino)
        version = None
        if inode.is_file:
            version = self._metadata.version_at(ino, at_ns)
            if version is None:
                return None
        kept = self._metadata.attributes_at(ino, at_ns)
        source = inode if kept is None else kept
        mtime_ns = source.mtime_ns
        # No entry has changed at a time that still lies ahead: such an mtime was set by hand.
        if inode.is_directory and at_ns < mtime_ns <= self._volume.now_ns():
            mtime_ns = max(inode.btime_ns, self._metadata.last_change_ns(ino, at_ns))
        shown = structs.replace(
            inode,
            mode=source.mode,
            uid=source.uid,
            gid=source.gid,
            xattrs=source.xattrs,
            mtime_ns=mtime_ns,
        )
        if version is None:
            return shown
        return structs.replace(
            shown, size=version.size, version_ns=version.stamp_ns, ctime_ns=version.stamp_ns
        )

    def children_at(self, directory: int, at_ns: int) -> list[tuple[bytes, Inode]]:
        """What the directory held then, by name."""
        shown = []
        for entry in self._metadata.children_at(directory, at_ns):
            inode = self.inode_at(entry.ino, at_ns)
            if inode is not None:
                shown.append((entry.name, inode))
        return shown

    def child_at(self, directory: int, name: bytes, at_ns: int) -> Inode:
        """What the name meant then.

        Raises:
            NoSuchName: nothing.
        """
        entry = self._metadata.entry_at(directory, name, at_ns)
        inode = None if entry is None else self.inode_at(entry.ino, at_ns)
        if inode is None:
            raise NoSuchName(printed(name))
        return inode

    def version_as_file(self, version: Version) -> Inode:
        """The inode as it was while the version was current, in its last state."""
        after = self._metadata.next_version_ns(version.ino, version.stamp_ns) or OPEN_NS
        shown = self.inode_at(version.ino, after - 1)
        assert shown is not None
        return structs.replace(
            shown,
            size=version.size,
            version_ns=version.stamp_ns,
            ctime_ns=version.stamp_ns,
            lock=version.lock,
        )


def _growing() -> Iterator[int]:
    """How much to ask for at a time: little at first, for most who ask need no more."""
    step = 4
    while True:
        yield step
        step = min(step * 4, _STEP_ROWS_MAX)


def _is_as_open(earlier: Inode, present: Inode) -> bool:
    """Whether all who may list and search the present directory could do so with the earlier."""
    return is_as_open(access_of(earlier), access_of(present), LIST_AND_SEARCH)


def _within_all(entries: Iterable[Entry], to_ns: int) -> Iterator[Entry]:
    """The intervals as far as their directory was at the path; it may have gone on elsewhere."""
    return (_within(entry, to_ns) for entry in entries if entry.from_ns < to_ns)


def _within(entry: Entry, to_ns: int) -> Entry:
    """The interval as far as its directory was at the path."""
    if entry.to_ns <= to_ns:
        return entry
    ending = Ending.SUPERSEDED if entry.is_marker else Ending.DELETED
    return structs.replace(entry, to_ns=to_ns, ending=ending)
