"""What another region must have, once it was told everything."""

from tests.simulation.reference.facts import Node, Version
from tests.simulation.reference.locks import Lock
from tests.simulation.reference.whole import Reference

Told = tuple[bytes, str, Lock]
"""Content, tag and lock of a version."""


def told(reference: Reference, version: Version) -> Told:
    """What goes along with a version."""
    facts = reference.facts
    return version.content, facts.tags.get(version.key, ""), facts.lock_of(version)


def check_versions(reference: Reference, node: Node, there: list[tuple[bool, Told]]) -> None:
    """The region has every version, in order, and beside them only what was removed for good here.

    `there` tells of each version whether the source has it still, oldest first.
    """
    assert [each for is_here, each in there if is_here] == [
        told(reference, version) for version in node.versions
    ]
    removed = reference.removed.get(node.number, set())
    assert all(is_here or content in removed for is_here, (content, _, _) in there)
