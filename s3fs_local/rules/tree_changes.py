"""What changed between two instants at a name: the rule behind "what happened here since"."""

from enum import StrEnum

from msgspec import Struct


class Change(StrEnum):
    """How what a name means differs from what it meant before."""

    ADDED = "added"
    REMOVED = "removed"
    CONTENT = "content"
    KIND = "kind"  # a file became a directory, or the like
    ATTRIBUTES = "attributes"  # mode, owner, group, extended attributes, target


class State(Struct, frozen=True):
    """What a name meant at one instant."""

    kind: int  # the type bits of st_mode
    etag: bytes  # of the content; a restored content has that of the old one
    attributes: tuple[object, ...]


def change_between(before: State | None, after: State | None) -> Change | None:
    """How the second differs from the first (None: nothing had the name); None: it does not."""
    if before is None or after is None:
        if before is after:
            return None
        return Change.ADDED if before is None else Change.REMOVED
    if before.kind != after.kind:
        return Change.KIND
    if before.etag != after.etag:
        return Change.CONTENT
    return None if before.attributes == after.attributes else Change.ATTRIBUTES
