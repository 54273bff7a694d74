"""What was done to a store and is not durable yet: what would be lost if nothing more were written.

What fsync acknowledged is never part of it. What is: changes of names and attributes, files that
were closed, and what was written to files that are open, since all of it was last made durable. It
is counted by generations (see `durability`): a sync makes all of them durable up to one.

Whoever takes a store away from programs asks: nothing of it is given up but by name.
"""

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from s3fs_local.engine.drafts import Draft
from s3fs_local.metadata.changes import AddBlock, Change, PutInode
from s3fs_local.rules.printing import human_size


class Unsaved(Struct, frozen=True):
    """So much would be lost."""

    inodes: int = 0  # files and directories that something was done to
    size_bytes: int = 0  # of content
    has_more: bool = False  # such as a setting, or an entry for the ledger

    def __bool__(self) -> bool:
        """Whether anything would."""
        return bool(self.inodes or self.size_bytes or self.has_more)

    def __str__(self) -> str:
        """As an operator reads it."""
        if not self.inodes and not self.size_bytes:
            return "entries of the ledger" if self.has_more else "nothing"
        one = self.inodes == 1
        what = "1 file or directory" if one else f"{self.inodes} files and directories"
        return f"changes to {what} ({human_size(self.size_bytes)})"


class UnsavedWork:
    """Notes what was done in each generation, until that is durable."""

    def __init__(self) -> None:
        self._inodes: Final[dict[int, int]] = {}  # the generation that touched each last
        self._bytes: Final[dict[int, int]] = {}  # of new blocks, by generation

    def note(self, changes: Iterable[Change], generation: int) -> None:
        """The changes are of the generation."""
        size_bytes = 0
        for change in changes:
            if isinstance(change, PutInode):
                self._inodes[change.inode.ino] = generation
            elif isinstance(change, AddBlock):
                size_bytes += change.block.length
        if size_bytes:
            self._bytes[generation] = self._bytes.get(generation, 0) + size_bytes

    def note_draft(self, ino: int, generation: int) -> None:
        """The journal was given the draft of the file, as it was then."""
        self._inodes[ino] = generation

    def saved(self, generation: int) -> None:
        """Everything is durable up to the generation."""
        for ino in [ino for ino, last in self._inodes.items() if last <= generation]:
            del self._inodes[ino]
        for each in [each for each in self._bytes if each <= generation]:
            del self._bytes[each]

    def total(self, drafts: Iterable[Draft]) -> Unsaved:
        """All of it, with what the drafts hold that are not durable as they are."""
        open_ones = [each for each in drafts if each.needs_journal or each.ino in self._inodes]
        inodes = self._inodes.keys() | {draft.ino for draft in open_ones}
        size_bytes = sum(self._bytes.values()) + sum(draft.data_bytes for draft in open_ones)
        return Unsaved(len(inodes), size_bytes)
