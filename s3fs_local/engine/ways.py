"""The directories on the way to something: as they are, and as they were.

What lies in the past was reached through other directories than those through which somebody looks
at it now, or through the same with other rights. The kernel asks only the present ones. So what is
shown grants no more than those of then did; it grants as much where they were as open as these.
"""

from typing import Final

from msgspec import Struct

from s3fs_local.engine.volume import Volume
from s3fs_local.metadata.interface import Metadata
from s3fs_local.rules.access import SEARCH, Access, access_of, is_as_open, through, with_access
from s3fs_local.rules.inode import ROOT_INO, Inode
from s3fs_local.rules.namespace import OPEN_NS

_NAMES_MAX: Final = 16
"""Of the names that a file had at an instant, so many are considered, the newest first."""
REMEMBERED_MAX: Final = 4096
"""Of directories through which somebody looked while nothing changed, the ways to so many are
remembered: a store that nobody writes to is walked through at leisure."""


class _Present(Struct):
    """A directory's way as it is now."""

    gates: list[Access]  # itself and those above
    since_ns: int  # nothing on the way has changed since


class Ways:
    """Answers by the rights of today and of then."""

    def __init__(self, volume: Volume) -> None:
        self._volume: Final = volume
        self._present: dict[int, _Present] = {}
        self._generation = -1  # that of `_present`

    @property
    def _metadata(self) -> Metadata:
        return self._volume.metadata

    def as_reached(self, shown: Inode, ino: int, at_ns: int, *, through_directory: int) -> Inode:
        """What `ino` was at the instant, for those who could reach it then.

        Of all who can search the directory through which it is shown. Each of several names it had
        then was a way to it.
        """
        present = self._present_way(through_directory)
        lacking: list[Access] = []
        for parent, then_ns in self._places(ino, at_ns):
            if parent == through_directory and then_ns >= present.since_ns:
                return shown
            gates = self._gates_then(parent, then_ns)
            narrower = [gate for gate in gates if not _is_passed_by_all(gate, present.gates)]
            if not narrower:
                return shown
            lacking = lacking or narrower
        access = access_of(shown)
        for gate in lacking:
            access = through(gate, access)
        return with_access(shown, access)

    def _places(self, ino: int, at_ns: int) -> list[tuple[int, int]]:
        """The directories it was in, each with the instant; what had no name any more: its last."""
        names = self._metadata.names_before(ino, at_ns, _NAMES_MAX)
        places = [(name.parent, at_ns) for name in names if name.to_ns > at_ns]
        return places or [(name.parent, name.to_ns - 1) for name in names[:1]]

    def _gates_then(self, directory: int, at_ns: int) -> list[Access]:
        """The directory and those above it, as they were."""
        gates = []
        while True:
            then = self._metadata.attributes_at(directory, at_ns) or self._volume.inode(directory)
            gates.append(access_of(then))
            names = self._metadata.names_before(directory, at_ns, 1)
            if directory == ROOT_INO or not names:
                return gates
            directory = names[0].parent

    def _present_way(self, directory: int) -> _Present:
        is_old = self._generation != self._volume.durability.generation
        if is_old or len(self._present) >= REMEMBERED_MAX:
            self._generation = self._volume.durability.generation
            self._present = {}
        known = self._present.get(directory)
        if known is None:
            known = self._present[directory] = self._way_of(directory)
        return known

    def _way_of(self, directory: int) -> _Present:
        inode = self._volume.inode(directory)
        since_ns = self._metadata.attributes_since(directory)
        names = [] if directory == ROOT_INO else self._metadata.names_before(directory, OPEN_NS, 1)
        if not names:
            return _Present([access_of(inode)], since_ns)
        above = self._present_way(names[0].parent)
        since_ns = max(since_ns, names[0].from_ns, above.since_ns)
        return _Present([access_of(inode), *above.gates], since_ns)


def _is_passed_by_all(gate: Access, present: list[Access]) -> bool:
    """Whether all who passed the present directories could pass that gate."""
    return any(is_as_open(gate, one, SEARCH) for one in present)
