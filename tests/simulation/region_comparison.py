"""Whether another region has what the reference says it must, after all was told."""

from collections.abc import Mapping

from s3fs_local.engine.filesystem import FileSystem
from s3fs_local.engine.replica_origins import Origins
from s3fs_local.rules.inode import Inode
from s3fs_local.rules.versioning import Version
from tests.engine.replicated import HERE, THERE
from tests.simulation.reference.facts import Node
from tests.simulation.reference.region import Told, check_versions
from tests.simulation.reference.whole import Reference
from tests.simulation.words import as_lock


def compare_region(
    reference: Reference, inos: Mapping[int, int], here: FileSystem, there: FileSystem
) -> None:
    """Versions with their ids and bytes, tags and locks, and the attributes of what is here still.

    Not names: see docs/reliability.md, "What is not shown".
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


def _told(there: FileSystem, version: Version) -> Told:
    layouts = there.reading.layouts(version.ino, version.stamp_ns)
    content = there.reading.read_blocking(layouts, 0, version.size)
    return content, version.tags.get("key", ""), as_lock(version.lock)


def _compare_attributes(node: Node, shown: Inode) -> None:
    assert shown.mode & 0o7777 == node.mode
    assert {name.decode(): value for name, value in shown.xattrs.items()} == node.xattrs
