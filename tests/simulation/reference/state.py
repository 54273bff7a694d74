"""The present, and how it is looked at: paths, handles, drafts, and what was seen at a time."""

from bisect import bisect_right
from functools import reduce

from tests.simulation.reference import archives
from tests.simulation.reference.clock import SECOND, LockClock
from tests.simulation.reference.facts import (
    DIRECTORY,
    FILE,
    ROOT,
    Draft,
    Facts,
    Handle,
    Moment,
    Node,
    Past,
    Version,
)
from tests.simulation.reference.locks import (
    FILE_FROZEN,
    NO_DEMAND,
    NO_LOCK,
    S3,
    Demand,
    Lock,
    is_protected,
    stricter,
)
from tests.simulation.reference.refused import Protected, Refused


class State:
    """What everything else works on. Time is a number of seconds and stands still in a call."""

    def __init__(self, now: int) -> None:
        self.now = now
        self.lock_clock = LockClock(now)
        self.facts = Facts({ROOT: Node(ROOT, DIRECTORY, 0o755, now)})
        self.drafts: dict[int, Draft] = {}
        self.handles: dict[int, Handle] = {}
        self.last_handle = 0
        self.removed: dict[int, set[bytes]] = {}  # what versions of a file held that went for good
        self.pending: set[object] = set()  # versions, by key, that another region was not told yet
        self.untold: set[int] = set()  # files of whose names it has still to hear
        self.purged: set[int] = set()  # open files that lost their last version so
        self.note_moment()

    def nodes(self, *kinds: str) -> list[str]:
        """The live paths of these kinds, in order; the root is not among them."""
        found: list[str] = []
        self._walk(ROOT, "", found)
        return sorted(path for path in found if self.at(path).kind in kinds)

    def directories(self) -> list[str]:
        """Every live directory; the root is the empty string."""
        return ["", *self.nodes(DIRECTORY)]

    def _walk(self, number: int, path: str, found: list[str]) -> None:
        for name, child in self.facts.nodes[number].entries.items():
            found.append(f"{path}/{name}")
            self._walk(child, f"{path}/{name}", found)

    def at(self, path: str) -> Node:
        """What the path means."""
        node = self.facts.nodes[ROOT]
        for name in path.split("/")[1:]:
            if name not in node.entries:
                raise Refused("NoSuchName")
            node = self.facts.nodes[node.entries[name]]
        return node

    def _place(self, path: str) -> tuple[Node, str]:
        above, _, name = path.rpartition("/")
        return self.at(above), name

    def shown(self, node: Node) -> tuple[bytes, int]:
        """Content and mtime as stat and read show them now."""
        draft = self.drafts.get(node.number)
        return (draft.content, draft.mtime) if draft else (node.content, node.mtime)

    def links(self, number: int) -> int:
        """How many names the node has."""
        return sum(
            child == number for node in self.facts.nodes.values() for child in node.entries.values()
        )

    def is_named(self, number: int) -> bool:
        """Whether it has a name."""
        return number == ROOT or self.links(number) > 0

    def is_open(self, number: int) -> bool:
        """Whether a handle is open."""
        return any(handle.node == number for handle in self.handles.values())

    def has_writers(self, number: int) -> bool:
        """Whether a handle is open for writing."""
        return any(h.node == number and h.is_writable for h in self.handles.values())

    def instant(self) -> int:
        """Later than every one before."""
        self.facts.last_instant = max(self.now * SECOND, self.facts.last_instant + 1)
        return self.facts.last_instant

    def note_moment(self) -> None:
        """The present can be looked back at later."""
        facts = self.facts
        moment = {
            node.number: Past(
                node.number,
                node.kind,
                node.mode,
                node.mtime,
                node.target,
                tuple(sorted(node.xattrs.items())),
                tuple(sorted(node.entries.items())),
            )
            for node in facts.nodes.values()
            if self.is_named(node.number)
        }
        if facts.times and facts.times[-1] == self.now:
            facts.moments[-1] = moment
        else:
            facts.times.append(self.now)
            facts.moments.append(moment)

    def moment(self, time: int) -> Moment:
        """What was named at the end of that second."""
        return self.facts.moments[bisect_right(self.facts.times, time) - 1]

    def version_at(self, number: int, time: int) -> Version | None:
        """The newest version of the file by the end of that second that was not purged."""
        node = self.facts.nodes.get(number)
        versions = [] if node is None else node.versions
        return next((v for v in reversed(versions) if v.time <= time), None)

    def children_at(self, moment: Moment, number: int, time: int) -> list[tuple[str, Past]]:
        """What the directory showed then: files that had no content yet are left out."""
        return [
            (name, moment[child])
            for name, child in moment[number].entries
            if moment[child].kind != FILE or self.version_at(child, time) is not None
        ]

    # Archives

    def archived(self) -> list[str]:
        """The live paths of files whose current version is in an archive, retrieved or not."""
        return [
            path
            for path in self.nodes(FILE)
            if (versions := self.at(path).versions)
            and self.facts.class_of(versions[-1]) in archives.CLASSES
        ]

    def _check_readable(self, node: Node) -> None:
        """What a program is going to read or change in part is here."""
        if node.number in self.drafts or not node.versions:
            return
        if self.facts.is_archived(node.versions[-1]):
            raise Refused("Archived")

    def _put_class(self, version: Version, wanted: str) -> None:
        if self.facts.class_of(version) != wanted:
            self.facts.classes[version.key] = wanted
            if wanted not in archives.CLASSES:
                self.facts.retrievals.pop(version.key, None)

    # Locks

    def lock_of(self, node: Node) -> Lock:
        """Of its current version."""
        return self.facts.lock_of(node.versions[-1]) if node.versions else NO_LOCK

    def is_locked(self, node: Node) -> bool:
        """Whether its current version is protected."""
        return is_protected(self.lock_of(node), self.lock_clock.shown)

    def is_frozen(self, node: Node) -> bool:
        """Whether nothing of it may change; of an append-only file, but by appending."""
        if node.append_only:
            return True
        return self.is_locked(node) and self._meaning(node) == FILE_FROZEN

    def is_being_made(self, node: Node) -> bool:
        """Whether its maker may still give it mode, owner and times: it holds nothing yet."""
        is_empty = not node.content and node.number not in self.drafts
        return not self.is_locked(node) and (
            not node.versions or (bool(node.append_only) and is_empty)
        )

    def _check_free(self, node: Node) -> None:
        if self.is_frozen(node):
            raise Protected

    def _check_attributes_free(self, node: Node) -> None:
        if self.is_frozen(node) and not self.is_being_made(node):
            raise Protected

    def _check_may_move(self, node: Node) -> None:
        """No file at or below it is frozen in its place."""
        self._check_free(node)
        for number in node.entries.values():
            self._check_may_move(self.facts.nodes[number])

    def _parents(self, node: Node) -> list[Node]:
        """The directories of all its names, or of the one it had last; the root has none."""
        nodes = self.facts.nodes
        above = [each for each in nodes.values() if node.number in each.entries.values()]
        return above or ([nodes[node.last_parent]] if node.last_parent else [])

    def _said(self, directory: Node) -> str:
        """What it and the directories above say of locks, the strictest of it."""
        said = {directory.semantics, *[self._said(above) for above in self._parents(directory)]}
        return FILE_FROZEN if FILE_FROZEN in said else S3 if S3 in said else ""

    def _asked_in(self, directory: Node) -> Demand:
        """What it and the directories above ask of new files, the strictest of it."""
        return reduce(stricter, map(self._asked_in, self._parents(directory)), directory.demand)

    def _asked_of(self, node: Node) -> Demand:
        """The same, of a file, through all its names."""
        return reduce(stricter, map(self._asked_in, self._parents(node)), NO_DEMAND)

    def _meaning(self, node: Node) -> str:
        """What a lock on the file means; of a directory, on files in it."""
        places = [node] if node.kind == DIRECTORY else self._parents(node)
        said = {self._said(place) for place in places}
        return S3 if said == {S3} else FILE_FROZEN
