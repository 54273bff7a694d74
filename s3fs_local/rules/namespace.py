"""Names over time: every name has a history of intervals, and the live tree is the open ones."""

from enum import IntEnum
from typing import Final

from msgspec import Struct

OPEN_NS: Final = (1 << 63) - 1
"""`to_ns` of an interval that has not ended."""


class Ending(IntEnum):
    """Why an interval ended."""

    LIVE = 0  # it has not
    MOVED = 1  # renamed away, or unlinked while the inode kept another name
    DELETED = 2  # unlinked; a delete marker follows
    REPLACED = 3  # another inode was renamed over it
    SUPERSEDED = 4  # a delete marker that ended because the name was used again
    EXPIRED = 5  # as DELETED, by a rule of lifecycle
    LAPSED = 6  # by a rule of lifecycle, while the inode kept another name


AWAY: Final = (Ending.MOVED, Ending.LAPSED)
"""Ends after which what was there is elsewhere, without a delete marker."""
BY_RULE: Final = (Ending.EXPIRED, Ending.LAPSED)
"""Ends that lifecycle made; nobody tells another region of them (S3)."""
LEAVING: Final = (*AWAY, Ending.DELETED, Ending.EXPIRED)
"""Ends that somebody made of a name: it was not taken over by another inode."""


class Entry(Struct, frozen=True, gc=False, array_like=True):
    """`name` in `parent` meant `ino` during [from_ns, to_ns); ino 0 is a delete marker."""

    parent: int
    name: bytes
    from_ns: int
    ino: int
    to_ns: int = OPEN_NS
    ending: Ending = Ending.LIVE
    salt: int = 0  # delete markers: the random half of their version id
    is_null: bool = False  # delete markers: S3's `null` marker (versioning suspended)
    uid: int = 0  # who made it
    ended_by: int = 0  # who ended it

    @property
    def is_marker(self) -> bool:
        """Whether it is a delete marker."""
        return self.ino == 0

    @property
    def was_removed(self) -> bool:
        """Whether somebody, or a rule, removed the name."""
        return self.ending in (Ending.DELETED, Ending.EXPIRED)


def path_below(directory: bytes, name: bytes) -> bytes:
    """The path of the name in that directory, from the store's root, which is empty."""
    return b"%b/%b" % (directory, name) if directory else name
