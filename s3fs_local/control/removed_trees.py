"""When a removed tree was last whole.

`rm -r` removes name after name, the directory itself last: just before that it was empty. What
people want back is the tree before the first of these removals. They belong together if one follows
the other closely, and nothing else happened in the tree in between. What happened later, where the
directory was brought back at another place, says nothing about that.
"""

from typing import Final

from msgspec import Struct

from s3fs_local.engine.restoring import is_removal
from s3fs_local.metadata.interface import Metadata
from s3fs_local.rules.instants import SECOND_NS
from s3fs_local.rules.namespace import Entry

PAUSE_NS_MAX: Final = 60 * SECOND_NS
"""A slow disk or a question (`rm -ri`) may come between two removals of one command."""


class _Past(Struct):
    """What happened below a directory until it was removed."""

    until_ns: int
    removals_ns: list[int]
    last_other_ns: int = 0  # when something was made, written or moved

    def end(self, entry: Entry, *, is_removal: bool) -> None:
        """A name was removed, or came to mean something else."""
        if is_removal:
            self.removals_ns.append(entry.to_ns)
        else:
            self.last_other_ns = max(self.last_other_ns, entry.to_ns)


def last_instant_of_tree(metadata: Metadata, directory: int, removed_ns: int) -> int:
    """The last instant when the tree was whole that was empty at `removed_ns`, its last one."""
    past = _Past(removed_ns, [])
    for named in metadata.names_before(directory, removed_ns, 1):
        past.last_other_ns = named.from_ns  # it was made, or moved to where it was removed
    _look_below(metadata, directory, past)
    whole_ns = removed_ns
    for removal_ns in sorted(past.removals_ns, reverse=True):
        if not past.last_other_ns < removal_ns or whole_ns - removal_ns > PAUSE_NS_MAX:
            break
        whole_ns = removal_ns - 1
    return whole_ns


def _look_below(metadata: Metadata, directory: int, past: _Past) -> None:
    waiting = [directory]
    seen = {directory}
    while waiting:
        for entry in metadata.directory_history(waiting.pop()):
            if entry.is_marker or entry.from_ns > past.until_ns:
                continue
            past.last_other_ns = max(past.last_other_ns, entry.from_ns)
            if entry.to_ns <= past.until_ns:
                past.end(entry, is_removal=is_removal(metadata, entry))
            until_ns = min(entry.to_ns, past.until_ns)
            for newest in metadata.versions_before(entry.ino, until_ns + 1, 1):
                past.last_other_ns = max(past.last_other_ns, newest.stamp_ns)
            inode = metadata.inode(entry.ino)
            if inode is not None and inode.is_directory and entry.ino not in seen:
                seen.add(entry.ino)
                waiting.append(entry.ino)
