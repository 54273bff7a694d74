"""Whether another region has what the reference says it must, after all was told."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from s3fs_local.engine.filesystem import FileSystem
from s3fs_local.engine.replica_origins import Origins
from s3fs_local.rules.inode import ROOT_INO, Inode
from s3fs_local.rules.namespace import Ending, Entry
from s3fs_local.rules.versioning import Version
from tests.engine.replicated import HERE, THERE
from tests.simulation.reference.facts import DIRECTORY, FILE, ROOT, SYMLINK, Node
from tests.simulation.reference.region import Told, check_versions
from tests.simulation.reference.whole import Reference
from tests.simulation.words import as_lock


def compare_region(
    reference: Reference, inos: Mapping[int, int], here: FileSystem, there: FileSystem
) -> None:
    """Versions with their ids and bytes, tags and locks; attributes, and all names that ever were.

    Beside that the region has only what was removed for good here.
    """
    origins = Origins(there.volume.metadata, THERE)
    mine = Origins(here.volume.metadata, HERE)
    for number, node in reference.facts.nodes.items():
        if node.versions:
            ino = inos[number]
            found = origins.inode(mine.of_inode(ino))
            assert found is not None, f"file {number} is not there"
            stamps = {version.stamp_ns for version in here.volume.metadata.versions(ino)}
            versions = there.volume.metadata.versions(found)[::-1]
            check_versions(
                reference, node, [(v.stamp_ns in stamps, _told(there, v)) for v in versions]
            )
            if reference.is_named(number):
                _compare_attributes(node, there.volume.inode(found))
    _Trees(reference, inos, mine, there, origins).compare()
    _compare_intervals(Ends(here, mine), Ends(there, origins))


def _told(there: FileSystem, version: Version) -> Told:
    layouts = there.reading.layouts(version.ino, version.stamp_ns)
    content = there.reading.read_blocking(layouts, 0, version.size)
    return content, version.tags.get("key", ""), as_lock(version.lock)


def _compare_attributes(node: Node, shown: Inode) -> None:
    assert shown.mode & 0o7777 == node.mode
    assert {name.decode(): value for name, value in shown.xattrs.items()} == node.xattrs


class _Trees:
    """The live trees: that of the reference, and what the region shows."""

    def __init__(
        self,
        reference: Reference,
        inos: Mapping[int, int],
        mine: Origins,
        there: FileSystem,
        origins: Origins,
    ) -> None:
        self._nodes = reference.facts.nodes
        self._kept_elsewhere = reference.facts.kept_elsewhere
        self._inos = inos
        self._mine = mine
        self._there = there
        self._origins = origins

    def compare(self, number: int = ROOT, shown: int = ROOT_INO) -> None:
        """The same names, here and in all directories below.

        A file is told with its first version: until then its name means there what it did before.
        """
        found = {entry.name.decode(): inode for entry, inode in self._children(shown)}
        expected = {}
        for name, child in self._nodes[number].entries.items():
            node = self._nodes[child]
            if node.kind == FILE and not node.versions:
                found.pop(name, None)
            else:
                expected[name] = self._at(child)
        self._expect_what_lifecycle_ended(number, found, expected)
        assert {name: inode.ino for name, inode in found.items()} == expected
        for name in self._nodes[number].entries.keys() & found.keys():
            inode = found[name]
            node = self._nodes[self._nodes[number].entries[name]]
            if node.kind == DIRECTORY:
                self.compare(node.number, inode.ino)
            elif node.kind == SYMLINK:
                assert inode.target.decode() == node.target

    def _expect_what_lifecycle_ended(
        self, number: int, found: dict[str, Inode], expected: dict[str, int | None]
    ) -> None:
        """Its names are there still (S3 replicates no action of lifecycle).

        Unless none of its versions was told before lifecycle removed it.
        """
        for (directory, name), child in self._kept_elsewhere.items():
            if directory == number and name not in expected:
                node = self._nodes.get(child)
                if node is not None and node.versions:
                    expected[name] = self._at(child)
                else:
                    found.pop(name, None)

    def _at(self, number: int) -> int | None:
        return self._origins.inode(self._mine.of_inode(self._inos[number]))

    def _children(self, ino: int) -> list[tuple[Entry, Inode]]:
        return self._there.volume.metadata.children(ino, 0, 1 << 20)


OF_LIFECYCLE: Final = (Ending.EXPIRED, Ending.LAPSED)
"""How names end that other regions keep."""


class Ends(NamedTuple):
    """A store, and where its inodes come from."""

    fs: FileSystem
    origins: Origins

    def intervals(self, ino: int) -> set[tuple[object, ...]]:
        """When and where the inode had names, as any region says it."""
        return {
            (self.origins.of_inode(e.parent), e.name, e.from_ns, e.to_ns, e.ending, e.uid)
            for e in self.fs.volume.metadata.entries_of(ino)
            if e.ending not in OF_LIFECYCLE and not self._is_taken_over_untold(e)
        }

    def _is_taken_over_untold(self, entry: Entry) -> bool:
        """By a file without a version, which is not told."""
        metadata = self.fs.volume.metadata
        after = metadata.interval(entry.parent, entry.name, entry.to_ns)
        inode = None if after is None else metadata.inode(after.ino)
        return inode is not None and inode.is_file and not inode.version_ns


def _compare_intervals(here: Ends, there: Ends) -> None:
    """What a name meant at any time it means there, too."""
    for inode in here.fs.volume.metadata.inodes_after(ROOT_INO, 1 << 20):
        found = there.origins.inode(here.origins.of_inode(inode.ino))
        if found is not None:
            lacking = here.intervals(inode.ino) - there.intervals(found)
            assert not lacking, f"inode {inode.ino}"
