"""Bringing back what was: files, trees, deleted names. Nothing is copied, nothing is destroyed.

A restored file is a new version that shares every block with the old one; a name that came later is
removed with a delete marker. So each restore can be undone by another.

A restore is a walk that yields one step after another, each done when it is yielded. With `dry_run`
the same walk yields the same steps and does nothing.
"""

import stat
from collections import Counter
from collections.abc import Iterator
from enum import StrEnum
from typing import Final

from msgspec import Struct

from s3fs_local.engine.filesystem import FileSystem
from s3fs_local.engine.namespace import Namespace
from s3fs_local.engine.volume import Volume
from s3fs_local.errors import NoSuchName, NotDeleted, NothingToRestore, Protected
from s3fs_local.metadata.interface import Metadata
from s3fs_local.rules.inode import Caller, Inode
from s3fs_local.rules.names import printed
from s3fs_local.rules.namespace import AWAY, Ending, Entry
from s3fs_local.rules.retention import Operation
from s3fs_local.rules.versioning import VersioningState

_LISTING_LIMIT: Final = 1024


class Action(StrEnum):
    """What a step does to a path."""

    CONTENT = "content"  # an earlier content becomes the current version
    ATTRIBUTES = "attributes"
    MAKE = "make"  # the name is used again
    LINK = "link"  # one more name of a file restored already
    REMOVE = "remove"  # the name came later
    REFUSED = "refused"  # a lock is in the way


class Step(Struct, frozen=True):
    """One step of a restore."""

    action: Action
    path: bytes
    size: int = 0  # bytes of the content that comes back
    reason: str = ""  # of a refusal


class Restoring:
    """One restore. `at_ns` is the instant whose state comes back."""

    def __init__(
        self, filesystem: FileSystem, caller: Caller, *, at_ns: int, dry_run: bool = False
    ) -> None:
        self._filesystem = filesystem
        self._volume: Volume = filesystem.volume
        self._namespace: Namespace = filesystem.namespace
        self._histories = filesystem.histories
        self._caller = caller
        self._at_ns = at_ns
        self._dry_run = dry_run
        self._links: dict[
            int, int
        ] = {}  # inode then → inode that has its content now; 0: a new one
        # In a dry run, what would have come of the steps before:
        self._names: Counter[int] = Counter()  # names that an inode would have gained or lost
        self._touched: set[int] = set()  # directories that would have lost an entry
        self._emptied: set[int] = set()  # what would have been removed, with all below

    def restore(self, parent: int, name: bytes, was: Inode, path: bytes) -> Iterator[Step]:
        """The name means again what `was` (as of `at_ns`) was.

        Raises:
            StoreFull, StoreReadOnly and the like; what was done so far stays done.
        """
        yield from self._entry(parent, name, was, path)

    def restore_root(self, directory: int, was: Inode, path: bytes) -> Iterator[Step]:
        """The directory holds again what it held, in place."""
        yield from self._rest_of_directory(self._volume.inode(directory), was, path)

    def _entry(self, parent: int, name: bytes, was: Inode, path: bytes) -> Iterator[Step]:
        """`parent` is 0 in a dry run, below a directory that is not there yet."""
        try:
            now = self._volume.metadata.lookup(parent, name) if parent else None
            if now is not None and not _same_kind(now, was):
                yield from self._remove(parent, name, now, path)
                now = None
            if was.is_directory:
                yield from self._directory(parent, name, was, now, path)
            elif was.is_file:
                yield from self._file(parent, name, was, now, path)
            else:
                yield from self._special(parent, name, was, now, path)
        except Protected as error:
            yield Step(Action.REFUSED, path, reason=str(error))

    def _directory(
        self, parent: int, name: bytes, was: Inode, now: Inode | None, path: bytes
    ) -> Iterator[Step]:
        if now is None:
            now = self._bring_name_back(parent, name, was)
            yield Step(Action.MAKE, path)
        yield from self._rest_of_directory(now, was, path)

    def _rest_of_directory(self, now: Inode | None, was: Inode, path: bytes) -> Iterator[Step]:
        """What it holds, then its attributes: its mtime changes with its entries."""
        is_touched = now is None or now.ino in self._touched
        holder = 0 if now is None or now.ino in self._emptied else now.ino
        for step in self._content_of_directory(holder, was, path):
            is_touched = is_touched or _changes_entries(step, path)
            yield step
        now = now and self._volume.inode(now.ino)
        yield from self._attributes(now, was, path, is_touched=is_touched)

    def _content_of_directory(self, ino: int, was: Inode, path: bytes) -> Iterator[Step]:
        wanted = dict(self._histories.children_at(was.ino, self._at_ns))
        later = [(name, now) for name, now in self._live_children(ino) if name not in wanted]
        # With its last name a file may lose content that is still to be brought back elsewhere.
        keeps_all = self._volume.settings.versioning is VersioningState.ENABLED
        if keeps_all:
            yield from self._remove_all(ino, later, path)
        for name, child in wanted.items():
            yield from self._entry(ino, name, child, _join(path, name))
        if not keeps_all:
            yield from self._remove_all(ino, later, path)

    def _remove_all(
        self, ino: int, later: list[tuple[bytes, Inode]], path: bytes
    ) -> Iterator[Step]:
        for name, now in later:
            try:
                yield from self._remove(ino, name, now, _join(path, name))
            except Protected as error:
                yield Step(Action.REFUSED, _join(path, name), reason=str(error))

    def _live_children(self, ino: int) -> Iterator[tuple[bytes, Inode]]:
        after_ns = 0
        while ino and (batch := self._volume.metadata.children(ino, after_ns, _LISTING_LIMIT)):
            for entry, inode in batch:
                yield entry.name, inode
            after_ns = batch[-1][0].from_ns

    def _remove(self, parent: int, name: bytes, now: Inode, path: bytes) -> Iterator[Step]:
        if now.is_directory:
            for child_name, child in list(self._live_children(now.ino)):
                yield from self._remove(now.ino, child_name, child, _join(path, child_name))
        if not self._dry_run:
            if now.is_directory:
                self._namespace.rmdir(parent, name, self._caller)
            else:
                self._namespace.unlink(parent, name, self._caller)
            self._volume.invalidation.entry(parent, name)
        else:
            self._filesystem.locks.check(Operation.UNLINK, now)
            self._names[now.ino] -= now.nlink if now.is_directory else 1
            self._touched.add(parent)
            self._emptied.add(now.ino)
        yield Step(Action.REMOVE, path)

    def _file(
        self, parent: int, name: bytes, was: Inode, now: Inode | None, path: bytes
    ) -> Iterator[Step]:
        linked = self._links.get(was.ino)
        if now is not None and now.ino == linked:
            return  # brought back under another name
        if now is not None and (linked is not None or now.ino in self._links.values()):
            # The name means another file, or one that got another content under its other name.
            yield from self._remove(parent, name, now, path)
            now = None
        if linked is not None:
            if linked:
                self._filesystem.locks.check(Operation.LINK, self._volume.inode(linked))
            if not self._dry_run:
                self._namespace.link(linked, parent, name, self._caller)
                self._volume.invalidation.entry(parent, name)
            yield Step(Action.LINK, path)
            return
        if now is None:
            now = self._bring_name_back(parent, name, was)
            yield Step(Action.MAKE, path)
        self._links[was.ino] = 0 if now is None else now.ino
        if now is None:
            yield Step(Action.CONTENT, path, size=was.size)
        elif self._is_written(now) or self._etag_of(now) != self._etag_of(was):
            self._filesystem.locks.check(Operation.RESTORE_OVER, now)
            if not self._dry_run:
                self._filesystem.restore_content(
                    now.ino, was.ino, was.version_ns, caller=self._caller, like=was
                )
            yield Step(Action.CONTENT, path, size=was.size)
        else:
            yield from self._attributes(now, was, path)

    def _etag_of(self, inode: Inode) -> bytes:
        """What tells the content of the version that `inode` shows from every other."""
        version = self._volume.metadata.version(inode.ino, inode.version_ns)
        return b"" if version is None else version.etag

    def _is_written(self, now: Inode) -> bool:
        """Whether the file has content that is not committed yet."""
        draft = self._volume.drafts.get(now.ino)
        return draft is not None and draft.is_altered

    def _special(
        self, parent: int, name: bytes, was: Inode, now: Inode | None, path: bytes
    ) -> Iterator[Step]:
        if now is not None and (now.target != was.target or now.rdev != was.rdev):
            yield from self._remove(parent, name, now, path)
            now = None
        if now is None:
            now = self._bring_name_back(parent, name, was)
            yield Step(Action.MAKE, path)
        yield from self._attributes(now, was, path, is_touched=now is None)

    def _bring_name_back(self, parent: int, name: bytes, was: Inode) -> Inode | None:
        """The name means the old inode if it has no name, else a new one (dry run: None)."""
        present = self._volume.inode(was.ino)
        is_named = present.nlink + self._names[was.ino] > 0
        comes_back = not is_named and not self._filesystem.open_files.is_open(was.ino)
        if self._dry_run:
            self._names[was.ino] += comes_back
            return present if comes_back else None
        if comes_back:
            made = self._namespace.relink(present, parent, name, self._caller)
        else:
            made = self._namespace.make(
                parent, name, was.mode, self._caller, rdev=was.rdev, target=was.target
            )
        self._volume.invalidation.entry(parent, name)
        return made

    def _attributes(
        self, now: Inode | None, was: Inode, path: bytes, *, is_touched: bool = False
    ) -> Iterator[Step]:
        """`now` is None for what a dry run did not make, `is_touched` where its mtime is new."""
        if now is not None:
            if not is_touched and _look_alike(now, was):
                return
            for operation in (Operation.SET_MODE, Operation.SET_OWNER, Operation.SET_XATTR):
                self._filesystem.locks.check(operation, now)
        if now is not None and not self._dry_run:
            self._filesystem.attributes.restore(now.ino, was)
            self._volume.invalidation.inode(now.ino)
        yield Step(Action.ATTRIBUTES, path)


def deleted_state(filesystem: FileSystem, directory: int, name: bytes) -> tuple[Inode, int]:
    """What the name meant when it was deleted, and the last instant it did.

    Raises:
        NotDeleted: it means something now.
        NothingToRestore: it never meant anything that could come back.
    """
    if filesystem.volume.metadata.lookup(directory, name) is not None:
        raise NotDeleted(f"{printed(name)} is not deleted")
    history = filesystem.histories.of_name(directory, name)
    metadata = filesystem.volume.metadata
    for entry in reversed(history.intervals):
        ended = entry.ending is Ending.REPLACED or is_removal(metadata, entry)
        if ended and not entry.is_marker:
            was = filesystem.histories.inode_at(entry.ino, entry.to_ns - 1)
            if was is not None:
                return was, entry.to_ns - 1
    raise NothingToRestore(f"{printed(name)} was never deleted here")


def is_removal(metadata: Metadata, entry: Entry) -> bool:
    """Whether the name was removed, be it one of several that the file had; not renamed away."""
    if entry.ending not in AWAY:
        return entry.was_removed
    last = metadata.names_before(entry.ino, entry.to_ns, 1)
    return not last or last[0].from_ns != entry.to_ns


def state_at(filesystem: FileSystem, directory: int, name: bytes, at_ns: int) -> Inode:
    """What the name meant at the instant.

    Raises:
        NothingToRestore: nothing.
    """
    try:
        holder = filesystem.histories.directory_at(directory, at_ns)
        return filesystem.histories.child_at(holder, name, at_ns)
    except NoSuchName:
        raise NothingToRestore(f"{printed(name)} was not there at that instant") from None


def _same_kind(now: Inode, was: Inode) -> bool:
    return stat.S_IFMT(now.mode) == stat.S_IFMT(was.mode)


def _look_alike(now: Inode, was: Inode) -> bool:
    """Whether all attributes are equal that a restore brings back."""
    return (now.mode, now.uid, now.gid, now.mtime_ns, now.xattrs) == (
        was.mode,
        was.uid,
        was.gid,
        was.mtime_ns,
        was.xattrs,
    )


def _changes_entries(step: Step, directory: bytes) -> bool:
    """Whether the step makes or removes a name in the directory itself."""
    above, _, _ = step.path.rpartition(b"/")
    return above == directory and step.action in (Action.MAKE, Action.LINK, Action.REMOVE)


def _join(path: bytes, name: bytes) -> bytes:
    return path + b"/" + name if path else name
