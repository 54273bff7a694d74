"""Names that were received: intervals of the source, fitted into what the names meant here.

What is to be is said by `rules/replica_names.py`; here the intervals are put, and the inodes that
gained or lost a name by it have as many links as they have names. One inode at a time is told, so
one that another took a name from may have none until it is told itself.
"""

from collections.abc import Collection, Sequence
from typing import Final

from msgspec import structs

from s3fs_local.engine.replica_origins import Origins
from s3fs_local.engine.volume import Volume
from s3fs_local.errors import ReplicaDiverged
from s3fs_local.metadata.changes import (
    Change,
    CloseEntry,
    OpenEntry,
    PutInode,
    RemoveEntry,
)
from s3fs_local.rules.inode import ROOT_INO, Inode
from s3fs_local.rules.names import printed
from s3fs_local.rules.namespace import OPEN_NS, Entry
from s3fs_local.rules.replica_names import (
    Told,
    cut,
    fitted,
    in_one_place,
    is_ended_elsewhere,
)

_LISTING_LIMIT: Final = 1024


class ReplicaNames:
    """Puts intervals into one volume."""

    def __init__(self, volume: Volume, origins: Origins) -> None:
        self._volume = volume
        self._metadata = volume.metadata
        self._origins = origins
        self._renamed: dict[int, None] = {}  # inodes whose links are to be counted

    def plan(
        self, inode: Inode, names: Sequence[Told], before: Sequence[Collection[int | None]]
    ) -> Sequence[Told]:
        """What `put` is to make of what is told of the inode, all at once; nothing is changed.

        `before` are for each name inodes that had it before, of which the source knows.

        Raises:
            ReplicaDiverged: somebody else uses a name here, or took one away.
        """
        for told, previous in zip(names, before, strict=True):
            self._check(inode, told, previous)
        if inode.is_directory and names:
            return self._in_one_place(inode, names)
        return names

    def put(self, names: Sequence[Told]) -> None:
        """Names are as `plan` said just before."""
        for told in names:
            self._put(told)
            self._volume.invalidation.entry(told.entry.parent, told.entry.name)
        for ino in self._renamed:
            self._count_links(ino)
            self._volume.invalidation.inode(ino)
        self._renamed.clear()

    def _check(self, inode: Inode, told: Told, before: Collection[int | None]) -> None:
        wanted = told.entry
        if wanted.to_ns == OPEN_NS and told.is_end_told and not self._is_reached(wanted.parent):
            raise ReplicaDiverged(f"the directory of {printed(wanted.name)} is not there")
        present = self._metadata.interval(wanted.parent, wanted.name, wanted.from_ns)
        if present is not None:
            if present.ino != wanted.ino:
                raise ReplicaDiverged(f"{printed(wanted.name)} means another file at that instant")
            if is_ended_elsewhere(told, present, is_directory=inode.is_directory):
                raise ReplicaDiverged(f"{printed(wanted.name)} was taken from it here since")
            return
        if self._is_live_elsewhere(told):
            raise ReplicaDiverged(f"{printed(wanted.name)} means something else here since")
        for entry in self._over(wanted):
            is_ours = entry.is_marker or not self._origins.is_own(entry.ino)
            if not is_ours and entry.ino not in {*before, wanted.ino}:
                raise ReplicaDiverged(f"{printed(wanted.name)} was made here by somebody else")

    def _is_live_elsewhere(self, told: Told) -> bool:
        """Whether the name means it at the source still, and means something else here since."""
        is_live = told.is_end_told and told.entry.to_ns == OPEN_NS
        return is_live and self._following_ns(told) < OPEN_NS

    def _in_one_place(self, directory: Inode, names: Sequence[Told]) -> list[Told]:
        """Raises ReplicaDiverged: somebody else moved it here, or it would lie in itself."""
        told = {_place(each.entry) for each in names}
        last = max((each.entry for each in names), key=lambda entry: entry.from_ns)
        for entry in self._live(directory.ino):
            if _place(entry) not in told:
                if entry.from_ns > last.from_ns:
                    raise ReplicaDiverged(f"{printed(last.name)} was moved here by somebody else")
                names = [*names, Told(entry)]
        placed = in_one_place(names, is_held=self._metadata.has_children(directory.ino))
        if placed[-1].entry.to_ns == OPEN_NS and self._is_below(last.parent, directory.ino):
            raise ReplicaDiverged(f"{printed(last.name)} would lie in itself")
        return placed

    def _is_reached(self, directory: int) -> bool:
        """Whether it has a name, and all above it: else nobody finds what lies in it."""
        while directory != ROOT_INO:
            inode = self._metadata.inode(directory)
            if inode is None or not inode.nlink:
                return False
            directory = inode.parent
        return True

    def _is_below(self, ino: int, directory: int) -> bool:
        while ino not in (ROOT_INO, directory):
            live = self._live(ino)
            if not live:
                return False
            ino = live[0].parent
        return ino == directory

    def _live(self, ino: int) -> list[Entry]:
        return [entry for entry in self._metadata.entries_of(ino) if entry.to_ns == OPEN_NS]

    def _put(self, told: Told) -> None:
        following_ns = self._following_ns(told)
        present = self._metadata.interval(*_place(told.entry))
        wanted = fitted(told, present, following_ns)
        if present is None:
            for entry in self._over(wanted):
                self._change(entry, cut(entry, wanted.from_ns, wanted.uid))
            self._open(wanted)
        else:
            self._change(present, wanted)
        marker = told.marker
        if marker is not None and wanted.to_ns == marker.from_ns:
            self._put(Told(marker))

    def _following_ns(self, told: Told) -> int:
        """When the next other meaning of the name begins."""
        wanted, marker = told.entry, told.marker
        newest = self._metadata.entry(wanted.parent, wanted.name)
        if newest is not None and newest.from_ns <= wanted.from_ns:
            return OPEN_NS
        later = [
            entry.from_ns
            for entry in self._metadata.name_history(wanted.parent, wanted.name)
            if entry.from_ns > wanted.from_ns
            and not (marker is not None and entry.from_ns == marker.from_ns)
        ]
        return min(later, default=OPEN_NS)

    def _over(self, wanted: Entry) -> list[Entry]:
        """What lies over the beginning."""
        newest = self._metadata.entry(wanted.parent, wanted.name)
        if newest is not None and newest.from_ns < wanted.from_ns:
            return [newest]
        return [
            entry
            for entry in self._metadata.name_history(wanted.parent, wanted.name)
            if entry.from_ns < wanted.from_ns < entry.to_ns
        ]

    def _open(self, entry: Entry) -> None:
        self._volume.apply([OpenEntry(entry), *self._links_above(entry, gained=_is_live(entry))])
        self._note(entry, entry.from_ns)

    def _change(self, present: Entry, wanted: Entry) -> None:
        """The interval ends as wanted."""
        if (present.to_ns, present.ending) == (wanted.to_ns, wanted.ending):
            return
        changes: list[Change]
        if present.to_ns == OPEN_NS:
            ended = (wanted.to_ns, wanted.ending, wanted.ended_by)
            changes = [CloseEntry(*_place(present), *ended)]
        else:
            changes = [RemoveEntry(*_place(present)), OpenEntry(wanted)]
        gained = _is_live(wanted) - _is_live(present)
        self._volume.apply([*changes, *self._links_above(present, gained=gained)])
        self._note(wanted, wanted.from_ns if wanted.to_ns == OPEN_NS else wanted.to_ns)

    def _links_above(self, entry: Entry, *, gained: int) -> list[Change]:
        """A directory that has a name has a link more for each directory in it."""
        if not gained or not self._volume.inode(entry.ino).is_directory:
            return []
        above = self._volume.inode(entry.parent)
        return [PutInode(structs.replace(above, nlink=above.nlink + gained))] if above.nlink else []

    def _note(self, entry: Entry, stamp_ns: int) -> None:
        """Links are to be counted; and the directory's times follow its names."""
        if entry.is_marker:
            return
        self._renamed[entry.ino] = None
        directory = self._volume.inode(entry.parent)
        mtime_ns = max(directory.mtime_ns, stamp_ns)
        ctime_ns = max(directory.ctime_ns, stamp_ns)
        touched = structs.replace(directory, mtime_ns=mtime_ns, ctime_ns=ctime_ns)
        self._volume.apply([PutInode(touched)])
        self._volume.invalidation.inode(directory.ino)

    def _count_links(self, ino: int) -> None:
        """The inode has as many links as its names give it."""
        inode, live = self._volume.inode(ino), self._live(ino)
        if not inode.is_directory:
            counted = structs.replace(inode, nlink=len(live))
        elif not live:
            counted = structs.replace(inode, nlink=0)
        else:
            nlink = inode.nlink or 2 + self._subdirectories(ino)
            counted = structs.replace(inode, nlink=nlink, parent=live[0].parent)
        if counted != inode:
            self._volume.apply([PutInode(counted)])

    def _subdirectories(self, ino: int) -> int:
        after_ns = found = 0
        while children := self._metadata.children(ino, after_ns, _LISTING_LIMIT):
            found += sum(child.is_directory for _, child in children)
            after_ns = children[-1][0].from_ns
        return found


def _place(entry: Entry) -> tuple[int, bytes, int]:
    return entry.parent, entry.name, entry.from_ns


def _is_live(entry: Entry) -> bool:
    return entry.to_ns == OPEN_NS and not entry.is_marker
