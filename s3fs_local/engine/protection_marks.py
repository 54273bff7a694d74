"""Whether anything below a directory minds that the directory is moved: in constant time.

A directory remembers until when anything below it is protected (`Inode.protected_until_ns`), and
the mark only grows: one that has passed answers "no" at once. One that has not is an upper bound,
for a hold may have been lifted, and files with S3 semantics do not mind. So a *witness* is looked
for, one file below that is protected and minds. It is remembered, and so is that there is none:
the next question costs a look at it and at its way up, however many files there are.
"""

from typing import Final

import msgspec

from s3fs_local.engine.policies import Policies
from s3fs_local.engine.volume import Volume
from s3fs_local.metadata.changes import Change, PutInode
from s3fs_local.rules.inode import Inode
from s3fs_local.rules.retention import Semantics, protected_until_ns

_LISTING_LIMIT: Final = 1024
_REMEMBERED_MAX: Final = 4096
"""Directories of which an answer is remembered; another one costs a search."""


class ProtectionMarks:
    """The marks of one volume's directories."""

    def __init__(self, volume: Volume, policies: Policies) -> None:
        self._volume = volume
        self._policies = policies
        self._witnesses: dict[int, int] = {}  # by directory
        self._unminded: set[int] = set()  # directories below which nothing protected minds

    def note(self, inode: Inode) -> list[Change]:
        """The changes that let every directory above know of the inode's protection.

        For a directory: of what is below it, for it has another name now.
        """
        if inode.is_directory:
            until_ns, minds = inode.protected_until_ns, True
            self._unminded.clear()  # other semantics may hold where it is now
        else:
            until_ns = protected_until_ns(inode.lock, append_only=inode.append_only)
            minds = until_ns > 0 and bool(
                self._until_ns_of(inode, self._policies.semantics(inode), 0)
            )
        if not until_ns:
            return []
        marked: dict[int, Inode] = {}
        for parent in self._policies.parents(inode):
            directory = parent
            while directory:
                if minds:
                    self._unminded.discard(directory)
                above = marked.get(directory) or self._volume.inode(directory)
                if above.protected_until_ns < until_ns:  # those higher up may know less: look on
                    marked[directory] = msgspec.structs.replace(above, protected_until_ns=until_ns)
                directory = above.parent
        return [PutInode(above) for above in marked.values()]

    def forget_unminded(self) -> None:
        """Files that did not mind may do so now: the meaning of their locks has changed."""
        self._unminded.clear()

    def until_ns(self, directory: Inode, now_ns: int) -> int:
        """Until when one file below minds, at least; 0 if none does now."""
        if directory.protected_until_ns <= now_ns or directory.ino in self._unminded:
            return 0
        witness = self._witnesses.get(directory.ino, 0)
        until_ns = self._minds_until_ns(witness, now_ns)
        if until_ns and self._is_below(witness, directory.ino):
            return until_ns
        witness, mark_ns = self._search(directory, now_ns)
        if not witness:
            self._note_unminded(directory, mark_ns)
            return 0
        if len(self._witnesses) >= _REMEMBERED_MAX:
            self._witnesses.clear()
        self._witnesses[directory.ino] = witness
        return self._minds_until_ns(witness, now_ns)

    def witness(self, directory: Inode) -> int:
        """The file below that was found to mind, of a directory whose move was refused; or 0."""
        return self._witnesses.get(directory.ino, 0) if directory.is_directory else 0

    def _note_unminded(self, directory: Inode, mark_ns: int) -> None:
        if len(self._unminded) >= _REMEMBERED_MAX:
            self._unminded.clear()
        self._unminded.add(directory.ino)
        if mark_ns < directory.protected_until_ns and not self._volume.read_only_reason:
            lowered = msgspec.structs.replace(directory, protected_until_ns=mark_ns)
            self._volume.apply([PutInode(lowered)])

    def _minds_until_ns(self, ino: int, now_ns: int) -> int:
        """Until when the file is protected so that its place matters; 0 if it is not."""
        inode = self._volume.metadata.inode(ino) if ino else None
        if inode is None or not inode.nlink:
            return 0
        return self._until_ns_of(inode, self._policies.semantics(inode), now_ns)

    @staticmethod
    def _until_ns_of(inode: Inode, semantics: Semantics, now_ns: int) -> int:
        """Append-only minds in either semantics: elsewhere its rotation would seal nothing."""
        if semantics is Semantics.S3 and not inode.append_only:
            return 0
        until_ns = protected_until_ns(inode.lock, append_only=inode.append_only)
        return until_ns if until_ns > now_ns else 0

    def _is_below(self, ino: int, directory: int) -> bool:
        """Whether a name of the file lies below the directory, at any depth."""
        for parent in self._policies.parents(self._volume.inode(ino)):
            above = parent
            while above:
                if above == directory:
                    return True
                above = self._volume.inode(above).parent
        return False

    def _search(self, directory: Inode, now_ns: int) -> tuple[int, int]:
        """A file below that minds (0: none), and the latest end of any protection that was seen.

        By the marks of the directories below. A stack, for trees are deeper than Python's.
        """
        mark_ns = 0
        waiting = [(directory.ino, self._policies.semantics(directory))]
        while waiting:
            ino, semantics = waiting.pop()
            after_ns = 0
            while children := self._volume.metadata.children(ino, after_ns, _LISTING_LIMIT):
                for _, child in children:
                    if child.is_directory:
                        if child.protected_until_ns > now_ns:
                            below = self._policies.semantics(child) if child.policy else semantics
                            waiting.append((child.ino, below))
                        continue
                    until_ns = protected_until_ns(child.lock, append_only=child.append_only)
                    if until_ns > now_ns:
                        mark_ns = max(mark_ns, until_ns)
                        if self._minds(child, semantics, now_ns):
                            return child.ino, mark_ns
                after_ns = children[-1][0].from_ns
        return 0, mark_ns

    def _minds(self, file: Inode, semantics: Semantics, now_ns: int) -> bool:
        """Whether the file minds, found where `semantics` holds; another name may be elsewhere."""
        if file.nlink > 1:
            return bool(self._minds_until_ns(file.ino, now_ns))
        return bool(self._until_ns_of(file, semantics, now_ns))
