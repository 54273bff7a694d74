"""Two states of a tree side by side, name by name: what `ListChanges` looks at.

A directory is looked through before what comes behind it, so a path is where to go on from. Where a
directory was removed and another made in its place, both are looked at.
"""

from typing import Final

from msgspec import Struct

from s3fs_local.engine.directory_steps import NamesAt
from s3fs_local.metadata.interface import Metadata
from s3fs_local.rules.inode import Inode
from s3fs_local.rules.namespace import path_below


class Instants(Struct, frozen=True):
    """The two that are compared."""

    since_ns: int
    until_ns: int


class Pair(Struct, frozen=True):
    """What a path meant at each of them; None for nothing."""

    path: bytes
    before: Inode | None
    after: Inode | None


class _Level(Struct):
    """A directory that is being looked through."""

    path: bytes
    before: NamesAt
    after: NamesAt


class TreeWalk:
    """Goes through both trees; `looked_at` counts names, so that whoever walks can stop."""

    def __init__(self, metadata: Metadata, instants: Instants) -> None:
        self._metadata: Final = metadata
        self._instants: Final = instants
        self._levels: list[_Level] = []
        self.looked_at = 0

    def enter(self, path: bytes, before: int, after: int, *, behind: bytes = b"") -> None:
        """What is in the directory (0: it was not there), behind a name, comes next."""
        self._levels.append(
            _Level(
                path,
                NamesAt(self._metadata, before, self._instants.since_ns, after=behind),
                NamesAt(self._metadata, after, self._instants.until_ns, after=behind),
            )
        )

    def resume(self, path: bytes, before: int, after: int, *, behind: list[bytes]) -> None:
        """The walk goes on behind a path below the directory, whatever has become of that."""
        for depth, name in enumerate(behind):
            self.enter(path, before, after, behind=name)
            pair = self._pair(path, name, before, after)
            path, before, after = pair.path, _directory(pair.before), _directory(pair.after)
            if not before and not after:
                return
            if depth == len(behind) - 1:
                self.enter(path, before, after)

    def _pair(self, path: bytes, name: bytes, before: int, after: int) -> Pair:
        sides = []
        for directory, at_ns in (
            (before, self._instants.since_ns),
            (after, self._instants.until_ns),
        ):
            entry = self._metadata.entry_at(directory, name, at_ns) if directory else None
            sides.append(None if entry is None else self._metadata.inode(entry.ino))
        return Pair(path_below(path, name), *sides)

    async def next(self) -> Pair | None:
        """The next name at either instant; None at the end. Directories are entered by itself."""
        while self._levels:
            level = self._levels[-1]
            looked_at = level.before.looked_at + level.after.looked_at
            before, after = await level.before.peek(), await level.after.peek()
            self.looked_at += level.before.looked_at + level.after.looked_at - looked_at
            names = [entry.name for entry in (before, after) if entry is not None]
            if not names:
                self._levels.pop()
                continue
            name = min(names)
            sides = []
            for side, entry in ((level.before, before), (level.after, after)):
                is_here = entry is not None and entry.name == name
                sides.append(self._metadata.inode(entry.ino) if entry and is_here else None)
                if is_here:
                    await side.pop()
            pair = Pair(path_below(level.path, name), *sides)
            if _directory(pair.before) or _directory(pair.after):
                self.enter(pair.path, _directory(pair.before), _directory(pair.after))
            return pair
        return None


def _directory(inode: Inode | None) -> int:
    return inode.ino if inode is not None and inode.is_directory else 0
