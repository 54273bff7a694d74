"""The tree: making, linking, moving and removing names."""

from dataclasses import replace

from tests.simulation.reference.facts import (
    DIRECTORY,
    FILE,
    RESERVED,
    ROOT,
    SYMLINK,
    Draft,
    Handle,
    Holding,
    Node,
    Version,
)
from tests.simulation.reference.freezing import Freezing
from tests.simulation.reference.locks import SEALED
from tests.simulation.reference.refused import Refused


class Names(Freezing):
    """What the calls do that change names."""

    def _new_name(self, path: str) -> tuple[Node, str]:
        directory, name = self._place(path)
        self._check_new_name(directory, name)
        if name in directory.entries:
            raise Refused("NameTaken")
        return directory, name

    @staticmethod
    def _check_new_name(directory: Node, name: str) -> None:
        if len(name) > 255:
            raise Refused("NameTooLong")
        if name == RESERVED[0] or (name == RESERVED[1] and directory.number == ROOT):
            raise Refused("NameReserved")

    def _make(self, path: str, kind: str, mode: int, target: str = "") -> Node:
        directory, name = self._new_name(path)
        facts = self.facts
        facts.last_number += 1
        node = Node(facts.last_number, kind, mode, self.now, target)
        facts.nodes[node.number] = node
        self._name(directory, name, node)
        return node

    def _name(self, directory: Node, name: str, node: Node) -> None:
        directory.entries[name] = node.number
        directory.mtime = self.now
        node.last_parent, node.last_name = directory.number, name
        self.facts.kept_elsewhere.pop((directory.number, name), None)
        instant = self.instant()
        if self.facts.is_suspended:  # what takes the place of a null marker leaves none behind
            place = (directory.number, name)
            held = self.facts.holdings.get(place, ())
            self.facts.holdings[place] = tuple(h for h in held if h.until or not h.is_null)
        self._end_holding(directory, name, instant)
        if node.kind == FILE:
            self._hold(directory, name, Holding(node.number, instant))

    def _hold(self, directory: Node, name: str, holding: Holding) -> None:
        held = self.facts.holdings.get((directory.number, name), ())
        self.facts.holdings[directory.number, name] = (*held, holding)

    def _end_holding(self, directory: Node, name: str, instant: int) -> None:
        """Whatever the name meant, be it a delete marker, it does no more."""
        key = (directory.number, name)
        held = self.facts.holdings.get(key, ())
        self.facts.holdings[key] = tuple(
            each if each.until else replace(each, until=instant) for each in held
        )

    def _lose(self, directory: Node, name: str) -> int:
        del directory.entries[name]
        directory.mtime = self.now
        instant = self.instant()
        self._end_holding(directory, name, instant)
        return instant

    def mknod(self, path: str, mode: int) -> None:
        """A new, empty file with a version."""
        node = self._make(path, FILE, mode)
        self._add_version(node, Version(self.now, b"", self.now, self.instant()))

    def create(self, path: str, mode: int, *, is_writable: bool = True) -> int:
        """A new file, open; O_CREAT alone makes no writer."""
        node = self._make(path, FILE, mode)
        self.drafts[node.number] = Draft(node.number, b"", self.now)
        return self._add_handle(Handle(node.number, is_writable=is_writable, has_written=True))

    def mkdir(self, path: str, mode: int) -> None:
        """A new directory."""
        self._make(path, DIRECTORY, mode)

    def symlink(self, path: str, target: str) -> None:
        """A new symlink."""
        self._make(path, SYMLINK, 0o777, target)

    def link(self, old: str, new: str) -> None:
        """One more name."""
        node = self.at(old)
        directory, name = self._new_name(new)
        if node.kind == DIRECTORY:
            raise Refused("IsADirectory")
        self._check_free(node)
        self._name(directory, name, node)

    def unlink(self, path: str) -> None:
        """The name is free."""
        directory, name = self._place(path)
        node = self.at(path)
        if node.kind == DIRECTORY:
            raise Refused("IsADirectory")
        self._check_free(node)
        self._remove(directory, name, node)
        self._journal_facts()

    def rmdir(self, path: str) -> None:
        """The empty directory is gone."""
        directory, name = self._place(path)
        node = self.at(path)
        if node.kind != DIRECTORY:
            raise Refused("NotADirectory")
        if node.entries:
            raise Refused("DirectoryNotEmpty")
        self._remove(directory, name, node)

    def _remove(self, directory: Node, name: str, node: Node) -> None:
        """Where a file had its last name there is a delete marker."""
        is_last = self.links(node.number) == 1
        instant = self._release(directory, name, node)
        if is_last and node.kind == FILE:
            self._hold(directory, name, Holding(0, instant, is_null=self.facts.is_suspended))
        self._after_release(node)
        self._drop_older_nulls(directory, name)

    def _after_release(self, node: Node) -> None:
        if node.kind != FILE or self.is_named(node.number):
            return
        if not self.is_open(node.number):
            self._destroy_nulls(node)
        elif self.facts.is_suspended:
            self.facts.closing.add(node.number)

    def _release(self, directory: Node, name: str, node: Node) -> int:
        """A file that loses its last name is committed first, if it holds anything."""
        draft = self.drafts.get(node.number)
        if draft is not None and draft.content and self.links(node.number) == 1:
            self._commit(node)
        instant = self._lose(directory, name)
        if not self.is_named(node.number) and not self.is_open(node.number):
            self.drafts.pop(node.number, None)
        return instant

    def rename(self, old: str, new: str, flags: int) -> None:
        """As renameat2(2): 1 is NOREPLACE, 2 is EXCHANGE."""
        self._rename(old, new, flags)
        self._journal_facts()

    def _rename(self, old: str, new: str, flags: int) -> None:
        directory, new_name = self._place(new)
        self._check_new_name(directory, new_name)
        old_directory, old_name = self._place(old)
        node = self.at(old)
        number = directory.entries.get(new_name)
        if number is not None and flags & 1:
            raise Refused("NameTaken")
        if number == node.number:
            return
        if node.kind == DIRECTORY and f"{new}/".startswith(f"{old}/"):
            raise Refused("MoveIntoSelf")
        if flags & 2:
            self._exchange((old_directory, old_name), (directory, new_name), old, new)
            return
        replaced = None if number is None else self.facts.nodes[number]
        if replaced is not None:
            self._check_replaced(replaced, node)
        if node.append_only and old_directory is directory and replaced is None:
            self._save_first(node)
        else:
            self._check_may_move(node)
        if replaced is not None:
            self._release(directory, new_name, replaced)
        self._lose(old_directory, old_name)
        self._name(directory, new_name, node)
        if replaced is not None:
            self._after_release(replaced)
        self._drop_older_nulls(directory, new_name)
        if node.append_only:
            node.append_only = SEALED
            self._wait_until_closed(node)
            self._lock_if_closed(node)

    def _save_first(self, node: Node) -> None:
        """What locks a rotated log lies on a version: one that was never saved is now."""
        if not node.versions and self._commit(node) is None:
            self._add_version(node, Version(self.now, b"", node.mtime, self.instant()))

    def _check_replaced(self, replaced: Node, node: Node) -> None:
        if replaced.kind == DIRECTORY and node.kind != DIRECTORY:
            raise Refused("IsADirectory")
        if replaced.kind != DIRECTORY and node.kind == DIRECTORY:
            raise Refused("NotADirectory")
        if replaced.entries:
            raise Refused("DirectoryNotEmpty")
        self._check_free(replaced)

    def _exchange(self, one: tuple[Node, str], other: tuple[Node, str], old: str, new: str) -> None:
        (here, name), (there, other_name) = one, other
        if other_name not in there.entries:
            raise Refused("NoSuchName")
        other_node = self.facts.nodes[there.entries[other_name]]
        if other_node.kind == DIRECTORY and f"{old}/".startswith(f"{new}/"):
            raise Refused("MoveIntoSelf")
        node = self.facts.nodes[here.entries[name]]
        self._check_may_move(node)
        self._check_may_move(other_node)
        self._lose(here, name)
        self._lose(there, other_name)
        self._name(here, name, other_node)
        self._name(there, other_name, node)
