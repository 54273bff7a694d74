"""Names that were received: intervals of the source, fitted into what the names meant here.

An interval is put where its instants say. One of another file that lies over its beginning ends
there; its own end is at the beginning of the next one at the latest. So the order in which files
are told does not matter: each interval is as it is at the source when all were told.
"""

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
from s3fs_local.rules.names import printed
from s3fs_local.rules.namespace import OPEN_NS, Ending, Entry

_LISTING_LIMIT = 1024


class ReplicaNames:
    """Puts intervals into one volume."""

    def __init__(self, volume: Volume, origins: Origins) -> None:
        self._volume = volume
        self._metadata = volume.metadata
        self._origins = origins

    def put(self, wanted: Entry, marker: Entry | None, before: int | None) -> None:
        """The name means the inode as `wanted` says; `marker` is the delete marker at its end.

        `before` is the inode that had the name right before, if the source says so.

        Raises:
            ReplicaDiverged: somebody else uses the name here; nothing was changed.
        """
        following_ns = self._following_ns(wanted)
        bounded = _bounded(wanted, following_ns)
        present = self._metadata.interval(wanted.parent, wanted.name, wanted.from_ns)
        if present is None:
            self._make_room(wanted, before)
            self._open(bounded)
        elif present.ino != wanted.ino:
            raise ReplicaDiverged(f"{printed(wanted.name)} means another file at that instant")
        elif not self._is_as_wanted(present, bounded) and not self._change(present, bounded):
            return
        if marker is not None and bounded.to_ns == marker.from_ns:
            self._put_marker(_bounded(marker, following_ns))
        self._volume.invalidation.entry(wanted.parent, wanted.name)

    @staticmethod
    def _is_as_wanted(present: Entry, wanted: Entry) -> bool:
        return (present.to_ns, present.ending) == (wanted.to_ns, wanted.ending)

    def _following_ns(self, wanted: Entry) -> int:
        """When the next other meaning of the name begins."""
        newest = self._metadata.entry(wanted.parent, wanted.name)
        if newest is not None and newest.from_ns <= wanted.from_ns:
            return OPEN_NS
        later = [
            entry.from_ns
            for entry in self._metadata.name_history(wanted.parent, wanted.name)
            if entry.from_ns > wanted.from_ns
            and not (entry.is_marker and entry.from_ns == wanted.to_ns)
        ]
        return min(later, default=OPEN_NS)

    def _make_room(self, wanted: Entry, before: int | None) -> None:
        """What lies over the beginning ends there."""
        for entry in self._over(wanted):
            is_ours = entry.is_marker or not self._origins.is_own(entry.ino) or entry.ino == before
            if not is_ours:
                raise ReplicaDiverged(f"{printed(wanted.name)} was made here by somebody else")
            ending = Ending.SUPERSEDED if entry.is_marker else Ending.REPLACED
            cut = structs.replace(entry, to_ns=wanted.from_ns, ending=ending, ended_by=wanted.uid)
            if not self._change(entry, cut):
                raise ReplicaDiverged(f"{printed(wanted.name)} is a directory that is not empty")

    def _over(self, wanted: Entry) -> list[Entry]:
        newest = self._metadata.entry(wanted.parent, wanted.name)
        if newest is not None and newest.from_ns < wanted.from_ns:
            return [newest]
        return [
            entry
            for entry in self._metadata.name_history(wanted.parent, wanted.name)
            if entry.from_ns < wanted.from_ns < entry.to_ns
        ]

    def _open(self, entry: Entry) -> None:
        changes: list[Change] = [OpenEntry(entry)]
        if entry.to_ns == OPEN_NS:
            changes += self._named(entry)
        self._volume.apply(changes)
        self._touch(entry.parent, entry.from_ns)

    def _change(self, present: Entry, wanted: Entry) -> bool:
        """The interval ends as wanted; False for the end of a directory that is not empty."""
        changes: list[Change] = []
        if present.to_ns == OPEN_NS and wanted.to_ns < OPEN_NS:
            if not present.is_marker:
                inode = self._volume.inode(present.ino)
                is_leaving = wanted.ending is not Ending.MOVED
                if inode.is_directory and is_leaving and self._metadata.has_children(inode.ino):
                    return False
                changes += self._unnamed(present)
            ended = (wanted.to_ns, wanted.ending, wanted.ended_by)
            changes.append(CloseEntry(present.parent, present.name, present.from_ns, *ended))
        else:
            changes.append(RemoveEntry(present.parent, present.name, present.from_ns))
            changes.append(OpenEntry(wanted))
            if wanted.to_ns == OPEN_NS and present.to_ns < OPEN_NS and not wanted.is_marker:
                changes += self._named(wanted)
        last_ns = wanted.from_ns if wanted.to_ns == OPEN_NS else wanted.to_ns
        self._volume.apply(changes)
        self._touch(present.parent, last_ns)
        return True

    def _put_marker(self, marker: Entry) -> None:
        present = self._metadata.interval(marker.parent, marker.name, marker.from_ns)
        if present is None:
            self._volume.apply([OpenEntry(marker)])
        elif present.is_marker and not self._is_as_wanted(present, marker):
            self._change(present, marker)

    def _named(self, entry: Entry) -> list[Change]:
        """The inode has a name more."""
        inode = self._volume.inode(entry.ino)
        if not inode.is_directory:
            return [PutInode(structs.replace(inode, nlink=inode.nlink + 1))]
        nlink = 2 + self._subdirectories(inode.ino)
        directory = self._volume.inode(entry.parent)
        return [
            PutInode(structs.replace(inode, nlink=nlink, parent=entry.parent)),
            PutInode(structs.replace(directory, nlink=directory.nlink + 1)),
        ]

    def _unnamed(self, entry: Entry) -> list[Change]:
        """The inode has a name less."""
        inode = self._volume.inode(entry.ino)
        if not inode.is_directory:
            return [PutInode(structs.replace(inode, nlink=inode.nlink - 1))]
        directory = self._volume.inode(entry.parent)
        return [
            PutInode(structs.replace(inode, nlink=0)),
            PutInode(structs.replace(directory, nlink=directory.nlink - 1)),
        ]

    def _touch(self, parent: int, stamp_ns: int) -> None:
        """The directory's times follow its names."""
        directory = self._volume.inode(parent)
        mtime_ns = max(directory.mtime_ns, stamp_ns)
        ctime_ns = max(directory.ctime_ns, stamp_ns)
        touched = structs.replace(directory, mtime_ns=mtime_ns, ctime_ns=ctime_ns)
        self._volume.apply([PutInode(touched)])
        self._volume.invalidation.inode(parent)

    def _subdirectories(self, ino: int) -> int:
        after_ns = found = 0
        while children := self._metadata.children(ino, after_ns, _LISTING_LIMIT):
            found += sum(child.is_directory for _, child in children)
            after_ns = children[-1][0].from_ns
        return found


def _bounded(entry: Entry, following_ns: int) -> Entry:
    """The interval, which ends when the next meaning of the name begins."""
    if entry.to_ns <= following_ns:
        return entry
    ending = Ending.SUPERSEDED if entry.is_marker else Ending.REPLACED
    return structs.replace(entry, to_ns=following_ns, ending=ending)
