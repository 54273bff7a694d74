"""Bringing back what was."""

from contextlib import suppress

from tests.simulation.reference import archives
from tests.simulation.reference.facts import (
    DIRECTORY,
    FILE,
    ROOT,
    Moment,
    Node,
    Past,
    Version,
)
from tests.simulation.reference.names import Names
from tests.simulation.reference.refused import Protected, Refused

ARCHIVED = b"(archived)"
"""What a look back shows where it may not read."""


class Restoring(Names):
    """Restores, and what a look back shows."""

    def restore(self, path: str, time: int) -> None:
        """The path means what it meant at the end of that second; "" is the root."""
        moment = self.moment(time)
        restorer = _Restorer(self, moment, time)
        if not path:
            restorer.directory(self.facts.nodes[ROOT], moment[ROOT])
            return
        number = ROOT
        *above, last = path.split("/")[1:]
        for name in above:
            number = self._child_then(moment, number, name, time).number
        directory, name = self._place(path)
        restorer.entry(directory, name, self._child_then(moment, number, last, time))

    def look_back(self, time: int) -> list[tuple[object, ...]]:
        """(path, mtime, kind, mode, target, attributes, content) of all; mtime None: any."""
        found: list[tuple[object, ...]] = []
        self._look_back(self.moment(time), ROOT, "", time, found)
        return sorted(found, key=lambda row: str(row[0]))

    def _look_back(
        self, moment: Moment, number: int, path: str, time: int, found: list[tuple[object, ...]]
    ) -> None:
        past = moment[number]
        version = self.version_at(number, time) if past.kind == FILE else None
        content = b"" if version is None else version.content
        if version is not None and self.facts.is_archived(version):
            content = ARCHIVED
        mtime = past.mtime if self.facts.nodes[number].past_mtimes_are_known else None
        mode = past.mode & 0o555
        if past.kind == DIRECTORY:  # who closes it closes its past
            mode &= self.facts.nodes[number].mode
        found.append((path, mtime, past.kind, mode, past.target, past.xattrs, content))
        if past.kind == DIRECTORY:
            for name, child in self.children_at(moment, number, time):
                self._look_back(moment, child.number, f"{path}/{name}", time, found)

    def _child_then(self, moment: Moment, number: int, name: str, time: int) -> Past:
        if moment[number].kind == DIRECTORY:
            for child_name, child in self.children_at(moment, number, time):
                if child_name == name:
                    return child
        raise Refused("NoSuchName")


class _Restorer:
    """One restore: what came later is removed, what was comes back under its number if free."""

    def __init__(self, reference: Names, moment: Moment, time: int) -> None:
        self.reference = reference
        self.moment = moment
        self.time = time
        self.links: dict[int, int] = {}

    def entry(self, directory: Node, name: str, was: Past) -> None:
        """What a lock forbids stays undone, and the rest is done."""
        with suppress(Protected):
            self._entry(directory, name, was)

    def _entry(self, directory: Node, name: str, was: Past) -> None:
        reference = self.reference
        number = directory.entries.get(name)
        now = None if number is None else reference.facts.nodes[number]
        if now is not None and (now.kind != was.kind or now.target != was.target):
            self.remove(directory, name, now)
            now = None
        if was.kind == FILE:
            self.file(directory, name, was, now)
            return
        if now is None:
            now = self.bring_back(directory, name, was)
        if was.kind == DIRECTORY:
            self.directory(now, was)
        else:
            self.attributes(now, was)

    def directory(self, now: Node, was: Past) -> None:
        reference = self.reference
        wanted = dict(reference.children_at(self.moment, was.number, self.time))
        later = [each for each in now.entries.items() if each[0] not in wanted]
        if reference.facts.is_suspended:  # with its last name a file loses what may come back yet
            self._bring_back_all(now, wanted)
            self._remove_all(now, later)
        else:
            self._remove_all(now, later)
            self._bring_back_all(now, wanted)
        self.attributes(now, was)

    def _bring_back_all(self, directory: Node, wanted: dict[str, Past]) -> None:
        for name, child in wanted.items():
            self.entry(directory, name, child)

    def _remove_all(self, directory: Node, later: list[tuple[str, int]]) -> None:
        for name, number in later:
            with suppress(Protected):
                self.remove(directory, name, self.reference.facts.nodes[number])

    def remove(self, directory: Node, name: str, node: Node) -> None:
        for child_name, number in list(node.entries.items()):
            self.remove(node, child_name, self.reference.facts.nodes[number])
        self.reference._check_free(node)  # noqa: SLF001 - the model's own
        self.reference._remove(directory, name, node)  # noqa: SLF001 - the model's own

    def file(self, directory: Node, name: str, was: Past, now: Node | None) -> None:
        reference = self.reference
        linked = self.links.get(was.number)
        if now is not None and now.number != linked and now.number in self.links.values():
            self.remove(directory, name, now)
            now = None
        if linked is not None and now is not None and now.number != linked:
            self.remove(directory, name, now)
            now = None
        if linked is not None and now is None:
            linked_node = reference.facts.nodes[linked]
            reference._check_free(linked_node)  # noqa: SLF001 - the model's own
            reference._name(directory, name, linked_node)  # noqa: SLF001 - likewise
            return
        if now is None:
            now = self.bring_back(directory, name, was)
        self.links[was.number] = now.number
        version = reference.version_at(was.number, self.time)
        assert version is not None
        is_same = bool(now.versions) and now.versions[-1].origin is version.origin
        if is_same and now.number not in reference.drafts:
            self.attributes(now, was)
            return
        reference._check_attributes_free(now)  # noqa: SLF001 - the model's own
        reference._commit(now)  # noqa: SLF001 - likewise
        restored = Version(
            reference.now, version.content, now.mtime, reference.instant(), version.origin
        )
        reference._add_version(now, restored)  # noqa: SLF001 - likewise
        if version.key in reference.facts.tags:
            reference.facts.tags[restored.key] = reference.facts.tags[version.key]
        if reference.facts.class_of(version) in archives.CLASSES:  # no byte moves
            reference.facts.classes[restored.key] = reference.facts.class_of(version)
        self._put_attributes(now, was)

    def bring_back(self, directory: Node, name: str, was: Past) -> Node:
        reference = self.reference
        node = reference.facts.nodes[was.number]
        if reference.is_named(was.number) or reference.is_open(was.number):
            reference.facts.last_number += 1
            node = Node(reference.facts.last_number, was.kind, was.mode, reference.now, was.target)
            reference.facts.nodes[node.number] = node
        reference._name(directory, name, node)  # noqa: SLF001 - the model's own
        return node

    def attributes(self, now: Node, was: Past) -> None:
        self.reference._check_attributes_free(now)  # noqa: SLF001 - the model's own
        self._put_attributes(now, was)

    def _put_attributes(self, now: Node, was: Past) -> None:
        now.mode, now.mtime, now.xattrs = was.mode, was.mtime, dict(was.xattrs)
        is_known = self.reference.facts.nodes[was.number].past_mtimes_are_known
        now.mtime_is_known = is_known
        now.past_mtimes_are_known = now.past_mtimes_are_known and is_known
