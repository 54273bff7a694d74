"""Renaming: a name goes elsewhere, over another or in exchange for it, as renameat2(2) has it."""

from typing import Final

import msgspec
from msgspec import Struct

from s3fs_local.engine.delete_markers import supersede_marker
from s3fs_local.engine.locks import Locks
from s3fs_local.engine.names import Names
from s3fs_local.engine.releasing import Releasing
from s3fs_local.engine.version_removal import remove_older_nulls
from s3fs_local.engine.volume import Volume
from s3fs_local.errors import (
    DirectoryNotEmpty,
    InvalidArgument,
    IsADirectory,
    MoveIntoSelf,
    NameTaken,
    NoSuchName,
    NotADirectory,
)
from s3fs_local.metadata.changes import Change, CloseEntry, OpenEntry, PutInode
from s3fs_local.rules.inode import SEALING, Caller, Inode
from s3fs_local.rules.names import printed
from s3fs_local.rules.namespace import Ending, Entry
from s3fs_local.rules.retention import Operation

RENAME_NOREPLACE: Final = 1
RENAME_EXCHANGE: Final = 2


class _Move(Struct, frozen=True):
    """What a rename is about."""

    entry: Entry
    inode: Inode
    directory: Inode  # where it goes
    new_name: bytes
    present: Entry | None  # what the new name means: an entry, an open delete marker, nothing
    replaced: Inode | None

    @property
    def crosses(self) -> bool:
        """Whether it goes to another directory."""
        return self.entry.parent != self.directory.ino


class Renaming:
    """Renames in the tree of one volume."""

    def __init__(self, volume: Volume, names: Names, releasing: Releasing, locks: Locks) -> None:
        self._volume = volume
        self._metadata = volume.metadata
        self._names = names
        self._releasing = releasing
        self._locks = locks

    def rename(
        self,
        parent: int,
        name: bytes,
        new_parent: int,
        new_name: bytes,
        flags: int,
        caller: Caller,
    ) -> None:
        """The inode has the new name instead of the old one; whatever held it stays in the history.

        Raises:
            NoSuchName, NameTaken (NOREPLACE), NameReserved, NameTooLong, MoveIntoSelf,
            IsADirectory, NotADirectory, DirectoryNotEmpty, TooManyLinks.
            InvalidArgument: flags beyond NOREPLACE and EXCHANGE (WHITEOUT is for overlayfs).
            Protected: a lock lies on what moves, on what is replaced, or on something below.
        """
        if flags not in (0, RENAME_NOREPLACE, RENAME_EXCHANGE):
            raise InvalidArgument(f"unknown rename flags {flags}")
        directory = self._names.writable_directory(new_parent)
        self._names.check_new(directory, new_name)
        entry, inode = self._names.live(parent, name)
        present = self._metadata.entry(new_parent, new_name)
        replaced = None
        if present is not None and not present.is_marker:
            if flags & RENAME_NOREPLACE:
                raise NameTaken(printed(new_name))
            replaced = self._volume.inode(present.ino)
            if replaced.ino == inode.ino:
                return  # POSIX: two names of one file, nothing happens
        if inode.is_directory:
            self._check_not_below(inode.ino, new_parent)
        if flags & RENAME_EXCHANGE:
            self._exchange(entry, inode, present, replaced, caller)
            return
        move = _Move(entry, inode, directory, new_name, present, replaced)
        self._check_move(move)
        self._move(move, caller)

    def _check_move(self, move: _Move) -> None:
        inode, replaced = move.inode, move.replaced
        if replaced is not None:
            if replaced.is_directory and not inode.is_directory:
                raise IsADirectory("a file cannot replace a directory")
            if inode.is_directory and not replaced.is_directory:
                raise NotADirectory("a directory cannot replace a file")
            if replaced.is_directory and self._metadata.has_children(replaced.ino):
                raise DirectoryNotEmpty("the directory to be replaced is not empty")
            self._locks.check(Operation.RENAME_OVER, replaced)
        if inode.is_directory:
            self._locks.check(Operation.MOVE_ANCESTOR, inode)
        elif inode.append_only and not move.crosses and replaced is None:
            self._locks.check(Operation.ROTATE, inode)
        else:
            self._locks.check(Operation.RENAME_FROM, inode)

    def _move(self, move: _Move, caller: Caller) -> None:
        entry, inode, directory, replaced = move.entry, move.inode, move.directory, move.replaced
        if replaced is not None:
            replaced = self._releasing.keep_content(replaced)
            directory = self._volume.inode(directory.ino)  # the commit may have marked it
        if inode.append_only:
            inode = self._releasing.keep_rotated(inode, caller)
            directory = self._volume.inode(directory.ino)  # likewise
        stamp_ns = self._volume.stamp()
        changes: list[Change] = []
        gained = int(inode.is_directory and move.crosses)
        if replaced is not None and move.present is not None:
            changes += self._releasing.release_name(
                move.present, replaced, stamp_ns, caller, Ending.REPLACED
            )
            gained -= int(replaced.is_directory)
        else:
            changes += supersede_marker(self._volume, move.present, stamp_ns, caller)
        moved = msgspec.structs.replace(
            inode,
            ctime_ns=stamp_ns,
            parent=directory.ino if inode.is_directory else 0,
            append_only=SEALING if inode.append_only else 0,
        )
        now = Entry(directory.ino, move.new_name, stamp_ns, inode.ino, uid=caller.uid)
        changes += [
            CloseEntry(entry.parent, entry.name, entry.from_ns, stamp_ns, Ending.MOVED, caller.uid),
            PutInode(moved),
            OpenEntry(now),
            *self._names.touch(directory, stamp_ns, links=gained),
        ]
        if move.crosses:
            old_directory = self._volume.inode(entry.parent)
            changes += self._names.touch(old_directory, stamp_ns, links=-int(inode.is_directory))
        if moved.append_only:
            changes += self._locks.pending.changes_of_rotation(moved)
        self._volume.apply(changes)
        if replaced is not None:
            self._releasing.after_release(replaced)
        remove_older_nulls(self._volume, self._locks, directory.ino, move.new_name)
        self._names.note_protection(moved)
        if moved.append_only:
            self._locks.pending.lock_closed_unwritten(moved.ino)

    def _exchange(
        self,
        entry: Entry,
        inode: Inode,
        present: Entry | None,
        other: Inode | None,
        caller: Caller,
    ) -> None:
        if present is None or other is None:
            raise NoSuchName("both names must exist to be exchanged")
        if other.is_directory:
            self._check_not_below(other.ino, entry.parent)
        self._locks.check(Operation.RENAME_EXCHANGE, inode)
        self._locks.check(Operation.RENAME_EXCHANGE, other)
        changes: list[Change] = []
        # Two stamps: from_ns is unique within a directory, and both names may be in one.
        for old, held, now in ((entry, inode, other), (present, other, inode)):
            stamp_ns = self._volume.stamp()
            changes.append(
                CloseEntry(old.parent, old.name, old.from_ns, stamp_ns, Ending.MOVED, caller.uid)
            )
            changes.append(
                OpenEntry(Entry(old.parent, old.name, stamp_ns, now.ino, uid=caller.uid))
            )
            parent = present.parent if held is inode else entry.parent
            changes.append(
                PutInode(
                    msgspec.structs.replace(
                        held, ctime_ns=stamp_ns, parent=parent if held.is_directory else 0
                    )
                )
            )
        links = int(other.is_directory) - int(inode.is_directory)
        directory = self._volume.inode(entry.parent)
        if entry.parent == present.parent:
            changes += self._names.touch(directory, stamp_ns, links=0)
        else:
            changes += self._names.touch(directory, stamp_ns, links=links)
            changes += self._names.touch(self._volume.inode(present.parent), stamp_ns, links=-links)
        self._volume.apply(changes)
        # As they are now: a directory's protection is told to those above its new place.
        self._names.note_protection(self._volume.inode(inode.ino))
        self._names.note_protection(self._volume.inode(other.ino))

    def _check_not_below(self, ino: int, directory: int) -> None:
        """`directory` is neither the inode nor below it."""
        while directory:
            if directory == ino:
                raise MoveIntoSelf("a directory cannot move below itself")
            directory = self._volume.inode(directory).parent
