"""The reference of the simulations follows what a directory does; it knows versions besides.

Where something comes to be that it has no idea of (a FIFO, say), it is lost and says no more.
"""

import os
import stat
from collections.abc import Callable
from typing import Final, NamedTuple

from tests.fuse.model import (
    CREATIONS,
    DEVICES,
    LENGTHS,
    OPENINGS,
    TARGETS,
    Call,
    Failure,
    Folder,
    Kind,
    pick,
)
from tests.simulation.reference.facts import DIRECTORY, FILE, SYMLINK
from tests.simulation.reference.refused import Refused
from tests.simulation.reference.whole import Reference

CHANGES_NOTHING: Final = {
    Kind.READ, Kind.PREAD, Kind.READ_WHOLE, Kind.SEEK, Kind.READLINK, Kind.STAT, Kind.LISTDIR,
    Kind.ACCESS, Kind.NAME_MAX, Kind.GETXATTR, Kind.LISTXATTR, Kind.TMPFILE, Kind.FSYNC,
    Kind.DATA_SYNC, Kind.CHMOD, Kind.CHMOD_HANDLE, Kind.CHOWN, Kind.UTIMES, Kind.UTIMES_HANDLE,
    Kind.SETXATTR, Kind.REMOVEXATTR, Kind.SET_ACL,
}  # fmt: skip
"""As far as names and bytes go."""

MAPPINGS: Final = {Kind.MAP_WRITE, Kind.MAP_READ, Kind.MAP_PRIVATE}
"""Python maps a duplicate of the descriptor and closes it, even where it may not map."""


class ReferenceRefuses(AssertionError):
    """The directory did what the reference does not."""


class Places(NamedTuple):
    """Where the paths of a call led before it was made, as the reference writes paths."""

    path: str
    path_followed: str  # symlinks resolved to the end
    other: str
    place: str
    place_followed: str


class Follower:
    """Does in the reference what succeeded in the directory."""

    def __init__(self, directory: Folder) -> None:
        self.reference = Reference(0)
        self.is_lost = False
        self._directory = directory
        self._handles: dict[int, int] = {}
        self._holders: dict[str | tuple[int, str], set[tuple[int, int]]] = {}

    def follow(self, call: Call, act: Callable[[], object]) -> object:
        """What the call comes to in the directory; it is done in the reference, too."""
        if self.is_lost or call.kind in CHANGES_NOTHING:
            return act()
        places = self._places(call)
        outcome = act()
        self.reference.now += 1
        try:
            if not isinstance(outcome, Failure):
                self.is_lost = not self._repeat(call, places, outcome)
            elif call.kind is Kind.MAKE_DEEP:
                self._make_deep(places.place_followed, whole=False)
            if call.kind in MAPPINGS and outcome and call.handle in self._handles:
                self.reference.close_duplicate(self._handles[call.handle])
        except Refused as refused:
            raise ReferenceRefuses(f"{refused}: {call}") from None
        self._note_holders()
        return outcome

    def histories(self) -> dict[str, tuple[list[bytes], bool]]:
        """What each file has held, oldest first, and whether its path meant nothing else.

        Nor may its directory have had another file of that name, under another path.
        """
        found = {}
        for path in self.reference.nodes(FILE):
            versions = [version.content for version in self.reference.at(path).versions]
            is_alone = all(len(self._holders[key]) == 1 for key in (path, self._entry(path)))
            found[path[1:]] = (versions, is_alone)
        return found

    def _entry(self, path: str) -> tuple[int, str]:
        above, _, name = path.rpartition("/")
        return self.reference.at(above).number, name

    def shown(self) -> dict[str, tuple[str, int, object]]:
        """By path the kind, the links (of a directory 0) and the content or target."""
        found: dict[str, tuple[str, int, object]] = {}
        for path in self.reference.nodes(FILE, DIRECTORY, SYMLINK):
            node = self.reference.at(path)
            links = 0 if node.kind == DIRECTORY else self.reference.links(node.number)
            content: object = None
            if node.kind == FILE:
                content = self.reference.shown(node)[0]
            elif node.kind == SYMLINK:
                content = node.target
            found[path[1:]] = (node.kind, links, content)
        return found

    def _note_holders(self) -> None:
        for path in self.reference.nodes(FILE, DIRECTORY, SYMLINK):
            entry = self._entry(path)
            holder = (entry[0], self.reference.at(path).number)
            self._holders.setdefault(path, set()).add(holder)
            self._holders.setdefault(entry, set()).add(holder)

    def _places(self, call: Call) -> Places:
        with self._directory.inside():
            return Places(
                path=self._named(call.path),
                path_followed=self._real(call.path),
                other=self._named(call.other),
                place=self._named(call.place),
                place_followed=self._real(call.place),
            )

    def _real(self, path: str) -> str:
        top = os.path.realpath(self._directory.top)
        return os.path.realpath(path).removeprefix(top)

    def _named(self, path: str) -> str:
        above, _, name = path.rstrip("/").rpartition("/")
        return f"{self._real(above or '.')}/{name}"

    def _repeat(self, call: Call, places: Places, outcome: object) -> bool:  # noqa: C901, PLR0912 - one line for each kind
        """Whether the reference knows what the call did."""
        reference = self.reference
        match call.kind:
            case Kind.CREATE:
                flags = pick(CREATIONS, call.fourth)
                self._open(outcome, places.place_followed, flags)
            case Kind.OPEN:
                self._open(outcome, places.path_followed, pick(OPENINGS, call.second))
            case Kind.MKDIR:
                reference.mkdir(places.place, 0)
            case Kind.MAKE_DEEP:
                self._make_deep(places.place_followed)
            case Kind.SYMLINK:
                reference.symlink(places.place, pick(TARGETS, call.fourth))
            case Kind.LINK:
                old = places.path_followed if call.fourth % 2 else places.path
                reference.link(old, places.place)
            case Kind.UNLINK:
                reference.unlink(places.path)
            case Kind.RMDIR:
                reference.rmdir(places.path)
            case Kind.RENAME | Kind.RENAME_NOREPLACE:
                reference.rename(places.path, places.place, 0)
            case Kind.RENAME_OVER:
                reference.rename(places.path, places.other, 0)
            case Kind.EXCHANGE:
                reference.rename(places.path, places.other, 2)
            case Kind.MKNOD if pick(DEVICES, call.fourth)[0] == stat.S_IFREG:
                reference.mknod(places.place, 0)
            case Kind.TRUNCATE:
                reference.truncate(places.path_followed, pick(LENGTHS, call.second))
            case Kind.APPEND | Kind.DIRECT_WRITE:
                self._rewrite(places.path_followed, 0, is_changed=bool(outcome))
            case Kind.COPY:
                self._rewrite(places.place_followed, os.O_TRUNC, is_changed=bool(outcome))
            case Kind.REPLACE:
                self._replace(places.path, is_changed=bool(outcome))
            case _:
                return self._repeat_on_handle(call, outcome)
        return True

    def _repeat_on_handle(self, call: Call, outcome: object) -> bool:
        handle = self._handles.get(call.handle)
        reference = self.reference
        match call.kind:
            case Kind.COPY_RANGE:
                handle = self._handles.get(call.other_handle)
                self._take_content(handle, call.other_handle, is_changed=bool(outcome))
            case Kind.MKFIFO | Kind.MKNOD:
                return False
            case _ if handle is None or call.kind in (Kind.MAP_READ, Kind.MAP_PRIVATE):
                pass  # a directory, or only looked at
            case Kind.CLOSE:
                reference.close(self._handles.pop(call.handle))
            case Kind.CLOSE_DUPLICATE:
                reference.close_duplicate(handle)
            case Kind.TRUNCATE_HANDLE:
                reference.truncate_handle(handle, pick(LENGTHS, call.second))
            case Kind.MAP_WRITE:
                self._take_content(handle, call.handle, is_changed=bool(outcome))
                return self._is_only_writer(handle)  # or the pages may go through another
            case Kind.ALLOCATE if outcome:
                self._take_content(handle, call.handle, is_changed=True)
                return self._is_only_writer(handle)  # or it matters whether the C library wrote
            case _:
                self._take_content(handle, call.handle, is_changed=bool(outcome))
        return True

    def _is_only_writer(self, handle: int) -> bool:
        handles = self.reference.handles
        number = handles[handle].node
        return sum(h.is_writable and h.node == number for h in handles.values()) <= 1

    def _take_content(self, handle: int | None, descriptor: int, *, is_changed: bool) -> None:
        """The file has been written through the handle: it is as the directory has it."""
        if handle is None or not is_changed or not self.reference.handles[handle].is_writable:
            return
        with open(f"/proc/self/fd/{self._directory.handles[descriptor]}", "rb") as file:
            self.reference.write(handle, 0, file.read())

    def _open(self, outcome: object, path: str, flags: int) -> None:
        reference = self.reference
        assert isinstance(outcome, int)
        if path in ["", *reference.nodes(DIRECTORY)]:
            return
        is_writable = flags & os.O_ACCMODE != os.O_RDONLY
        if path not in reference.nodes(FILE):
            self._handles[outcome] = reference.create(path, 0, is_writable=is_writable)
        else:
            self._handles[outcome] = reference.open(
                path, writable=is_writable, truncate=bool(flags & os.O_TRUNC)
            )

    def _rewrite(self, path: str, flags: int, *, is_changed: bool) -> None:
        """Opened by path, made if need be, written as the directory has it, closed."""
        reference = self.reference
        if path in reference.nodes(FILE):
            handle = reference.open(path, writable=True, truncate=bool(flags & os.O_TRUNC))
        else:
            handle = reference.create(path, 0)
        if is_changed:
            with self._directory.inside(), open(path[1:], "rb") as file:
                reference.write(handle, 0, file.read())
        reference.close(handle)

    def _replace(self, path: str, *, is_changed: bool) -> None:
        """As editors save."""
        reference = self.reference
        new = f"{path.rpartition('/')[0]}/new~"
        handle = reference.create(new, 0)
        if is_changed:
            with self._directory.inside(), open(path[1:], "rb") as file:
                reference.write(handle, 0, file.read())
        reference.close(handle)
        reference.rename(new, path, 0)

    def _make_deep(self, path: str, *, whole: bool = True) -> None:
        """All of it, or what was made before something was in the way."""
        there = {"", *self.reference.nodes(DIRECTORY)}
        for name in ["", *["deep" * 60] * 3]:
            path = f"{path}/{name}" if name else path
            if path not in there:
                with self._directory.inside():
                    if not (whole or os.path.isdir(path[1:])):
                        return
                self.reference.mkdir(path, 0)
