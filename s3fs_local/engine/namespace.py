"""Names: making, linking, renaming and removing them. Every earlier meaning of a name is kept.

Each operation checks everything first and then applies one list of changes, so it happens whole or
not at all, and nothing can come between.
"""

import stat
from typing import Final

import msgspec
from msgspec import Struct

from s3fs_local.engine.locks import Locks
from s3fs_local.engine.open_files import OpenFiles
from s3fs_local.engine.version_removal import remove_older_nulls, remove_version
from s3fs_local.engine.volume import Volume
from s3fs_local.engine.writing import Writing
from s3fs_local.errors import (
    DirectoryNotEmpty,
    InvalidArgument,
    IsADirectory,
    MoveIntoSelf,
    NameReserved,
    NameTaken,
    NameTooLong,
    NoSuchName,
    NotADirectory,
    TooManyLinks,
)
from s3fs_local.metadata.changes import (
    Change,
    CloseEntry,
    KeepAttributes,
    OpenEntry,
    PutInode,
    RemoveEntry,
    RemoveInode,
)
from s3fs_local.rules import posix_acl
from s3fs_local.rules.inode import APPENDABLE, ROOT_INO, SEALING, Caller, Inode, kept_attributes
from s3fs_local.rules.limits import LINKS_MAX, TARGET_BYTES_MAX
from s3fs_local.rules.names import check_name, printed
from s3fs_local.rules.namespace import OPEN_NS, Ending, Entry
from s3fs_local.rules.retention import Operation
from s3fs_local.rules.versioning import Origin, VersioningState

RENAME_NOREPLACE: Final = 1
RENAME_EXCHANGE: Final = 2
STATUS_DIRECTORY: Final = b".s3fs"


def reopen_marker(marker: Entry) -> list[Change]:
    """What came after the delete marker is gone, so it lies on top again."""
    reopened = msgspec.structs.replace(marker, to_ns=OPEN_NS, ending=Ending.LIVE, ended_by=0)
    return [RemoveEntry(marker.parent, marker.name, marker.from_ns), OpenEntry(reopened)]


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


class Namespace:
    """The tree of one volume."""

    def __init__(
        self, volume: Volume, *, locks: Locks, writing: Writing, open_files: OpenFiles
    ) -> None:
        self._volume = volume
        self._metadata = volume.metadata
        self._locks = locks
        self._writing = writing
        self._open_files = open_files

    def find(self, parent: int, name: bytes) -> Inode:
        """The inode that holds the live name.

        Raises:
            NoSuchName: no live entry has it.
        """
        inode = self._metadata.lookup(parent, name)
        if inode is None:
            raise NoSuchName(printed(name))
        return inode

    def make(
        self,
        parent: int,
        name: bytes,
        mode: int,
        caller: Caller,
        *,
        rdev: int = 0,
        target: bytes = b"",
    ) -> Inode:
        """A new inode of any kind holds the name.

        Raises:
            NameTaken, NameReserved, NameTooLong, InvalidArgument: the name cannot be had.
            NoSuchName: the directory was removed.
            NotADirectory, TooManyLinks.
        """
        directory = self._writable_directory(parent)
        present = self._free_name(directory, name)
        if len(target) > TARGET_BYTES_MAX:
            raise NameTooLong(f"a link target of {len(target)} bytes")
        is_directory = stat.S_ISDIR(mode)
        if is_directory and directory.nlink >= LINKS_MAX:
            raise TooManyLinks(printed(name))
        stamp_ns = self._volume.stamp()
        inode = self._new_inode(directory, mode, caller, stamp_ns, rdev=rdev, target=target)
        changes = self._supersede(present, stamp_ns, caller)
        changes.append(PutInode(inode))
        changes.append(OpenEntry(Entry(parent, name, stamp_ns, inode.ino, uid=caller.uid)))
        changes += self._touch(directory, stamp_ns, links=int(is_directory))
        self._volume.apply(changes)
        self._note_protection(inode)
        return inode

    def _new_inode(
        self,
        directory: Inode,
        mode: int,
        caller: Caller,
        stamp_ns: int,
        *,
        rdev: int,
        target: bytes,
    ) -> Inode:
        is_directory = stat.S_ISDIR(mode)
        gid = caller.gid
        if directory.mode & stat.S_ISGID:  # as every Linux filesystem: the group is the directory's
            gid = directory.gid
            if is_directory:
                mode |= stat.S_ISGID
        xattrs: dict[bytes, bytes] = {}
        default = directory.xattrs.get(posix_acl.DEFAULT_XATTR)
        if default and not stat.S_ISLNK(mode):
            inherited = posix_acl.inherit(posix_acl.parse(default), mode, is_directory=is_directory)
            mode = inherited.mode
            if inherited.access:
                xattrs[posix_acl.ACCESS_XATTR] = posix_acl.serialize(inherited.access)
            if inherited.default:
                xattrs[posix_acl.DEFAULT_XATTR] = default
        policy = self._locks.policies.at(directory.ino) if stat.S_ISREG(mode) else None
        return Inode(
            ino=self._volume.new_ino(),
            mode=mode,
            uid=caller.uid,
            gid=gid,
            rdev=rdev,
            nlink=2 if is_directory else 1,
            size=len(target),
            atime_ns=stamp_ns,
            mtime_ns=stamp_ns,
            ctime_ns=stamp_ns,
            btime_ns=stamp_ns,
            parent=directory.ino if is_directory else 0,
            append_only=APPENDABLE if policy is not None and policy.append_only else 0,
            target=target,
            xattrs=xattrs,
        )

    def link(self, ino: int, parent: int, name: bytes, caller: Caller) -> Inode:
        """The inode has one more name.

        Raises:
            Protected: it is locked. Otherwise as `make`.
        """
        directory = self._writable_directory(parent)
        present = self._free_name(directory, name)
        inode = self._volume.inode(ino)
        if inode.is_directory:
            raise IsADirectory(printed(name))
        if not inode.nlink:
            raise NoSuchName("the file was removed")
        self._locks.check(Operation.LINK, inode)
        return self._link(inode, directory, name, present, caller)

    def relink(self, inode: Inode, parent: int, name: bytes, caller: Caller) -> Inode:
        """An inode without a name has this one (undelete), also a locked one. Raises as `make`."""
        directory = self._writable_directory(parent)
        return self._link(inode, directory, name, self._free_name(directory, name), caller)

    def _link(
        self, inode: Inode, directory: Inode, name: bytes, present: Entry | None, caller: Caller
    ) -> Inode:
        if inode.nlink >= LINKS_MAX:
            raise TooManyLinks(printed(name))
        stamp_ns = self._volume.stamp()
        links = int(inode.is_directory)
        linked = msgspec.structs.replace(
            inode,
            nlink=inode.nlink + 1 + links,
            ctime_ns=stamp_ns,
            parent=directory.ino if inode.is_directory else 0,
        )
        changes = self._supersede(present, stamp_ns, caller)
        entry = Entry(directory.ino, name, stamp_ns, inode.ino, uid=caller.uid)
        changes += [PutInode(linked), OpenEntry(entry)]
        changes += self._touch(directory, stamp_ns, links=links)
        self._volume.apply(changes)
        self._note_protection(linked)
        return linked

    def unlink(self, parent: int, name: bytes, caller: Caller, *, by_rule: bool = False) -> None:
        """The name is free; what it held stays in the history. `by_rule`: of lifecycle.

        Raises:
            NoSuchName, IsADirectory.
            Protected: the file is locked.
        """
        entry, inode = self._live(parent, name)
        if inode.is_directory:
            raise IsADirectory(printed(name))
        self._locks.check(Operation.UNLINK, inode)
        self._remove(entry, inode, caller, Ending.EXPIRED if by_rule else Ending.DELETED)

    def take_back(self, inode: Inode, parent: int, name: bytes, caller: Caller) -> None:
        """A file that was just made, and never written, has no name any more."""
        entry, _ = self._live(parent, name)
        self._remove(entry, inode, caller, Ending.DELETED)

    def rmdir(self, parent: int, name: bytes, caller: Caller) -> None:
        """The empty directory is gone; what it once held stays in the history.

        Raises:
            NoSuchName, NotADirectory, DirectoryNotEmpty.
        """
        entry, inode = self._live(parent, name)
        if not inode.is_directory:
            raise NotADirectory(printed(name))
        if self._metadata.has_children(inode.ino):
            raise DirectoryNotEmpty(printed(name))
        self._remove(entry, inode, caller, Ending.DELETED)

    def _remove(self, entry: Entry, inode: Inode, caller: Caller, ending: Ending) -> None:
        inode = self._keep_content(inode)
        stamp_ns = self._volume.stamp()
        changes = self._release_name(entry, inode, stamp_ns, caller, ending)
        is_last = inode.is_directory or inode.nlink == 1
        if is_last and self._volume.settings.versioning is not VersioningState.UNVERSIONED:
            changes.append(OpenEntry(self._marker(entry, stamp_ns, caller)))
        directory = self._volume.inode(entry.parent)
        changes += self._touch(directory, stamp_ns, links=-int(inode.is_directory))
        self._volume.apply(changes)
        self._after_release(inode)
        self._remove_older_nulls(entry.parent, entry.name)

    def _remove_older_nulls(self, parent: int, name: bytes) -> None:
        remove_older_nulls(self._volume, self._locks, parent, name)

    def _marker(self, entry: Entry, stamp_ns: int, caller: Caller) -> Entry:
        return Entry(
            entry.parent,
            entry.name,
            stamp_ns,
            0,
            salt=self._volume.salt(),
            is_null=self._volume.settings.versioning is not VersioningState.ENABLED,
            uid=caller.uid,
        )

    def _keep_content(self, inode: Inode) -> Inode:
        """What was written but not closed is committed before the last name goes.

        So an undelete gives the file as it was when it was removed. A file that never held
        anything, or never had a version and is being written without a name, has nothing to keep.
        """
        draft = self._volume.drafts.get(inode.ino)
        if draft is None or inode.nlink != 1 or not draft.is_altered or not draft.size:
            return inode
        if self._volume.settings.versioning is VersioningState.UNVERSIONED:
            return inode
        self._writing.commit(inode.ino, origin=Origin.CLOSE)
        return self._volume.inode(inode.ino)

    def _release_name(
        self, entry: Entry, inode: Inode, stamp_ns: int, caller: Caller, ending: Ending
    ) -> list[Change]:
        """The name means the inode no longer."""
        if inode.is_directory:
            nlink = 0
        else:
            nlink = inode.nlink - 1
            if nlink:
                ending = Ending.MOVED
        released = msgspec.structs.replace(inode, nlink=nlink, ctime_ns=stamp_ns)
        changes: list[Change] = [PutInode(released)]
        if self._volume.settings.versioning is VersioningState.UNVERSIONED:
            changes.append(RemoveEntry(entry.parent, entry.name, entry.from_ns))
        else:
            changes.append(
                CloseEntry(entry.parent, entry.name, entry.from_ns, stamp_ns, ending, caller.uid)
            )
        return changes

    def _after_release(self, inode: Inode) -> None:
        """Versions that S3's state does not keep are gone, at once or at the last close."""
        if inode.is_file and inode.nlink == 1:
            if self._open_files.is_open(inode.ino):
                self._open_files.when_closed(inode.ino, self.destroy_unkept)
            else:
                self.destroy_unkept(inode.ino)

    def destroy_unkept(self, ino: int) -> None:
        """The nameless file's draft is gone, and its null versions if versioning is not Enabled."""
        inode = self._metadata.inode(ino)
        if inode is None or inode.nlink:
            return  # an undelete gave it a name again
        self._writing.discard(ino)
        state = self._volume.settings.versioning
        if state is VersioningState.ENABLED:
            return
        for version in self._metadata.versions(ino):
            if version.is_null or state is VersioningState.UNVERSIONED:
                self._locks.check_version(Operation.REPLACE_VERSION, version)
                remove_version(self._volume, version)

    def forget_never_saved(self, inode: Inode) -> None:
        """A temporary file that was removed before it was ever closed leaves nothing behind."""
        if not inode.is_file or inode.version_ns or self._metadata.versions(inode.ino):
            return
        changes: list[Change] = []
        for entry in self._metadata.entries_of(inode.ino):
            changes.append(RemoveEntry(entry.parent, entry.name, entry.from_ns))
            marker = self._metadata.entry(entry.parent, entry.name)
            if marker is None or not marker.is_marker or marker.is_null:
                continue  # a null marker took the place of one before, so it stays
            if marker.from_ns == entry.to_ns:
                changes.append(RemoveEntry(marker.parent, marker.name, marker.from_ns))
                changes += self._reopened_marker(entry)
        self._volume.apply([*changes, RemoveInode(inode.ino)])

    def _reopened_marker(self, entry: Entry) -> list[Change]:
        """The delete marker that the entry superseded lies on top again."""
        for before in self._metadata.name_history(entry.parent, entry.name):
            if before.is_marker and before.to_ns == entry.from_ns:
                return reopen_marker(before)
        return []

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
        directory = self._writable_directory(new_parent)
        self._check_new_name(directory, new_name)
        entry, inode = self._live(parent, name)
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
            replaced = self._keep_content(replaced)
            directory = self._volume.inode(directory.ino)  # the commit may have marked it
        stamp_ns = self._volume.stamp()
        changes: list[Change] = []
        gained = int(inode.is_directory and move.crosses)
        if replaced is not None and move.present is not None:
            changes += self._release_name(move.present, replaced, stamp_ns, caller, Ending.REPLACED)
            gained -= int(replaced.is_directory)
        else:
            changes += self._supersede(move.present, stamp_ns, caller)
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
            *self._touch(directory, stamp_ns, links=gained),
        ]
        if move.crosses:
            old_directory = self._volume.inode(entry.parent)
            changes += self._touch(old_directory, stamp_ns, links=-int(inode.is_directory))
        if moved.append_only:
            changes += self._locks.pending.changes_of_rotation(moved)
        self._volume.apply(changes)
        if replaced is not None:
            self._after_release(replaced)
        self._remove_older_nulls(directory.ino, move.new_name)
        self._note_protection(moved)
        if moved.append_only:
            self._locks.pending.lock_closed_unwritten(moved.ino)

    def _note_protection(self, named: Inode) -> None:
        """The directories above a new name know of what is protected by it, or below it."""
        if named.lock is not None or named.append_only or named.protected_until_ns:
            self._volume.apply(self._locks.note_protection(named))

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
            changes += self._touch(directory, stamp_ns, links=0)
        else:
            changes += self._touch(directory, stamp_ns, links=links)
            changes += self._touch(self._volume.inode(present.parent), stamp_ns, links=-links)
        self._volume.apply(changes)
        # As they are now: a directory's protection is told to those above its new place.
        self._note_protection(self._volume.inode(inode.ino))
        self._note_protection(self._volume.inode(other.ino))

    def _live(self, parent: int, name: bytes) -> tuple[Entry, Inode]:
        entry = self._metadata.entry(parent, name)
        if entry is None or entry.is_marker:
            raise NoSuchName(printed(name))
        return entry, self._volume.inode(entry.ino)

    def _writable_directory(self, ino: int) -> Inode:
        self._volume.check_writable()
        directory = self._volume.directory(ino)
        if not directory.nlink:
            raise NoSuchName("the directory was removed")
        return directory

    def _free_name(self, directory: Inode, name: bytes) -> Entry | None:
        """The open delete marker of the name, if it has one; the name itself is free."""
        self._check_new_name(directory, name)
        present = self._metadata.entry(directory.ino, name)
        if present is not None and not present.is_marker:
            raise NameTaken(printed(name))
        return present

    def _check_new_name(self, directory: Inode, name: bytes) -> None:
        check_name(name)
        if self.is_reserved(directory.ino, name):
            raise NameReserved(f"{printed(name)} belongs to the filesystem")

    def is_reserved(self, parent: int, name: bytes) -> bool:
        """Whether the name is a door to views."""
        if name == self._volume.settings.snapdirname.encode():
            return True
        return parent == ROOT_INO and name == STATUS_DIRECTORY

    def _supersede(self, marker: Entry | None, stamp_ns: int, caller: Caller) -> list[Change]:
        """The open delete marker ends, for the name is used again.

        S3: while versioning is not Enabled a new null version takes the place of a null marker.
        """
        if marker is None:
            return []
        if marker.is_null and self._volume.settings.versioning is not VersioningState.ENABLED:
            return [RemoveEntry(marker.parent, marker.name, marker.from_ns)]
        return [
            CloseEntry(
                marker.parent,
                marker.name,
                marker.from_ns,
                stamp_ns,
                Ending.SUPERSEDED,
                caller.uid,
            )
        ]

    def _check_not_below(self, ino: int, directory: int) -> None:
        """`directory` is neither the inode nor below it."""
        while directory:
            if directory == ino:
                raise MoveIntoSelf("a directory cannot move below itself")
            directory = self._volume.inode(directory).parent

    def _touch(self, directory: Inode, stamp_ns: int, *, links: int) -> list[Change]:
        """The directory's entries changed.

        Its natural mtime at any instant can be told from its entries; one that was set by hand is
        kept.
        """
        changes: list[Change] = []
        if directory.mtime_ns != directory.ctime_ns:
            changes.append(KeepAttributes(kept_attributes(directory, stamp_ns)))
        touched = msgspec.structs.replace(
            directory, nlink=directory.nlink + links, mtime_ns=stamp_ns, ctime_ns=stamp_ns
        )
        changes.append(PutInode(touched))
        return changes

    def add_delete_marker(self, parent: int, name: bytes, caller: Caller) -> Entry:
        """S3's DELETE of a key that has no current object: one more marker lies on top.

        Raises:
            NameTaken: the name is live; unlink it instead.
            InvalidArgument: the store is unversioned and keeps no markers.
        """
        if self._volume.settings.versioning is VersioningState.UNVERSIONED:
            raise InvalidArgument("an unversioned store keeps no delete markers")
        directory = self._writable_directory(parent)
        present = self._free_name(directory, name)
        stamp_ns = self._volume.stamp()
        marker = self._marker(Entry(parent, name, stamp_ns, 0), stamp_ns, caller)
        self._volume.apply([*self._supersede(present, stamp_ns, caller), OpenEntry(marker)])
        self._remove_older_nulls(parent, name)
        return marker
