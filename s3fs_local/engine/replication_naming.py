"""Names as one destination is told of them, with the directories that they need there.

What is told of a batch is read at one instant, so it fits together. A directory goes along if it
has another name there, or is not there: one that a name lies in, one above a directory that moves,
one that had the name before. So nothing comes to lie in itself there, and a directory that loses
its name to another one has its own in the same step. Directories go from the top; those that were
removed come last, from the bottom, since one that is not empty there is not removed.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from msgspec import Struct, structs

from s3fs_local.engine.replica_origins import Origins
from s3fs_local.engine.replication import Replication
from s3fs_local.engine.replication_messages import Answer, Name, Origin, TakeFile
from s3fs_local.engine.replication_outbox import is_untold
from s3fs_local.metadata.interface import Metadata
from s3fs_local.rules.inode import ROOT_INO, Inode, KeptAttributes
from s3fs_local.rules.namespace import OPEN_NS, Ending, Entry, path_below
from s3fs_local.rules.replica_names import is_end_told, placed_ns
from s3fs_local.rules.replication import Event, Subject, choose

_EARLIER: Final = 4
"""So many earlier meanings of a name are looked at for a directory that it may still mean there."""
_FOREIGN: Final = 16
"""Likewise for what another region made: a store that is the source after a failover."""


class Telling(Struct, frozen=True):
    """An inode whose names and attributes are told, and what the destination has of it."""

    inode: Inode
    answer: Answer
    if_held: bool = False


class Naming:
    """What one destination is told of names."""

    def __init__(
        self, metadata: Metadata, replication: Replication, origins: Origins, destination: str
    ) -> None:
        self._metadata = metadata
        self._replication = replication
        self._origins = origins
        self._destination = destination

    def along(
        self, tellings: Sequence[Telling], answers: Mapping[int, Answer]
    ) -> tuple[list[Telling], set[int]]:
        """What must be told with them, by what the destination answered; and what to ask it of."""
        told = {telling.inode.ino for telling in tellings} | {ROOT_INO}
        found: list[Telling] = []
        unasked: set[int] = set()
        waiting = [telling.inode for telling in tellings]
        for inode in waiting:
            for ino, is_needed in self._near(inode):
                if ino in told:
                    continue
                if ino not in answers:
                    unasked.add(ino)
                    continue
                other, answer = self._metadata.inode(ino), answers[ino]
                is_there = other is not None and (answer.is_there or is_needed)
                if other is None or not is_there or not self._differs(other, answer):
                    continue
                told.add(ino)
                found.append(Telling(other, answer))
                waiting.append(other)
        return found, unasked

    def _near(self, inode: Inode) -> Iterator[tuple[int, bool]]:
        """Inodes that are concerned, and whether they must be there."""
        for entry in self._entries(inode):
            yield entry.parent, True
            displaced = self._displaced(entry)
            if displaced:
                yield displaced, False
        if inode.is_directory and inode.nlink:
            for above in self._above(inode):
                yield above, True

    def _above(self, directory: Inode) -> Iterator[int]:
        ino = directory.parent
        while ino not in (0, ROOT_INO):
            yield ino
            above = self._metadata.inode(ino)
            ino = 0 if above is None else above.parent

    def _displaced(self, entry: Entry) -> int:
        """The inode that has another name since this one means something else; 0: none has."""
        place = (entry.parent, entry.name, entry.from_ns)
        for before in self._metadata.name_before(*place, _EARLIER):
            if before.is_marker:
                continue
            inode = self._metadata.inode(before.ino)
            if inode is None or not inode.nlink:
                continue
            is_exchange = (before.to_ns, before.ending) == (entry.from_ns, Ending.MOVED)
            if inode.is_directory or (is_exchange and self._metadata.tasks_of(inode.ino)):
                return inode.ino
        return 0

    def _differs(self, inode: Inode, answer: Answer) -> bool:
        return not inode.is_directory or not answer.is_there or self._is_renamed(inode, answer)

    def _is_renamed(self, directory: Inode, answer: Answer) -> bool:
        """Whether it has another name there, or none, or one that it has no more, or had longer."""
        return answer.named_ns != placed_ns(self._metadata.entries_of(directory.ino))

    def messages(self, tellings: Iterable[Telling]) -> list[TakeFile]:
        """What is told, in order."""
        directories = [telling for telling in tellings if telling.inode.is_directory]
        others = [telling for telling in tellings if not telling.inode.is_directory]
        depths = {each.inode.ino: len(list(self._above(each.inode))) for each in directories}
        directories.sort(key=lambda telling: depths[telling.inode.ino])
        live = [telling for telling in directories if telling.inode.nlink]
        removed = [telling for telling in directories if not telling.inode.nlink]
        made = [
            TakeFile(self._origins.of_inode(telling.inode.ino), telling.inode)
            for telling in directories
            if not telling.answer.is_there and not telling.if_held
        ]
        named = [self._message(telling) for telling in (*live, *others, *reversed(removed))]
        if any(each.answer.is_there and self._is_renamed(each.inode, each.answer) for each in live):
            named[:-1] = [structs.replace(message, with_next=True) for message in named[:-1]]
        return [*made, *named]

    def _message(self, telling: Telling) -> TakeFile:
        inode = telling.inode
        entries = self._entries(inode)
        return TakeFile(
            self._origins.of_inode(inode.ino),
            inode,
            names=tuple(self._name(inode, entry, entries) for entry in entries),
            kept=self._kept(inode.ino, telling.answer.kept_ns),
            if_held=telling.if_held,
        )

    def _kept(self, ino: int, after_ns: int) -> tuple[KeptAttributes, ...]:
        found = []
        while (kept := self._metadata.attributes_at(ino, after_ns)) is not None:
            found.append(kept)
            after_ns = kept.to_ns
        return tuple(found)

    def _entries(self, inode: Inode) -> list[Entry]:
        """The intervals of names that rules let the destination know of."""
        entries = self._metadata.entries_of(inode.ino)
        if inode.is_directory:
            return entries  # what is on the way to a file goes, whatever its own name is
        return [entry for entry in entries if self._is_in_scope(entry)]

    def _is_in_scope(self, entry: Entry) -> bool:
        key = self._replication.path_of(entry.parent, entry.name)
        return any(
            rule.destination == self._destination and key.startswith(rule.prefix)
            for rule in self._replication.rules
        )

    def _name(self, inode: Inode, entry: Entry, entries: list[Entry]) -> Name:
        marker = None
        if entry.was_removed:
            marker = self._metadata.interval(entry.parent, entry.name, entry.to_ns)
            marker = marker if marker is not None and marker.is_marker else None
        is_told = is_end_told(
            entry,
            is_directory=inode.is_directory,
            goes_on=any(other.to_ns > entry.to_ns for other in entries),
            is_taken_over=self._is_taken_over(entry),
            tells_removals=self._tells_removals(inode, entry),
        )
        before = tuple(self._foreign_before(entry))
        return Name(
            self._origins.of_inode(entry.parent),
            entry,
            marker if is_told else None,
            before,
            is_end_told=is_told,
        )

    def _foreign_before(self, entry: Entry) -> Iterator[Origin]:
        """What had the name before, and was not made here: so it may live there still."""
        place = (entry.parent, entry.name, entry.from_ns)
        for before in self._metadata.name_before(*place, _FOREIGN):
            if not before.is_marker and not self._origins.is_own(before.ino):
                yield self._origins.of_inode(before.ino)

    def _is_taken_over(self, entry: Entry) -> bool:
        """Whether the name went to an inode that is told, or will be with its first version."""
        while True:
            after = self._metadata.interval(entry.parent, entry.name, entry.to_ns)
            if after is None or after.is_marker:
                return False
            if after.to_ns == OPEN_NS or not is_untold(self._metadata, after):
                return True
            entry = after

    def _tells_removals(self, inode: Inode, entry: Entry) -> bool:
        version = self._metadata.version(inode.ino, inode.version_ns)
        key = self._replication.path_of(entry.parent, entry.name)
        subject = Subject(
            key=path_below(key, b"") if inode.is_directory else key,
            tags={} if version is None else version.tags,
        )
        choices = choose(self._replication.rules, subject, Event.DELETE_MARKER)
        return any(choice.destination == self._destination for choice in choices)
