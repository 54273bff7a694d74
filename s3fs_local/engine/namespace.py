"""Names: making, linking, renaming and removing them. Every earlier meaning of a name is kept.

Each operation checks everything first and then applies one list of changes, so it happens whole or
not at all, and nothing can come between.
"""

import stat

import msgspec

from s3fs_local.engine.delete_markers import new_marker, supersede_marker
from s3fs_local.engine.locks import Locks
from s3fs_local.engine.names import Names
from s3fs_local.engine.releasing import Releasing
from s3fs_local.engine.renaming import Renaming
from s3fs_local.engine.version_removal import remove_older_nulls
from s3fs_local.engine.volume import Volume
from s3fs_local.errors import (
    DirectoryNotEmpty,
    InvalidArgument,
    IsADirectory,
    NameTooLong,
    NoSuchName,
    NotADirectory,
    TooManyLinks,
)
from s3fs_local.metadata.changes import OpenEntry, PutInode
from s3fs_local.rules.inheritance import first_attributes
from s3fs_local.rules.inode import APPENDABLE, Caller, Inode
from s3fs_local.rules.limits import LINKS_MAX, TARGET_BYTES_MAX
from s3fs_local.rules.names import printed
from s3fs_local.rules.namespace import Ending, Entry
from s3fs_local.rules.retention import Operation
from s3fs_local.rules.versioning import VersioningState


class Namespace:
    """The tree of one volume."""

    def __init__(self, volume: Volume, *, locks: Locks, releasing: Releasing) -> None:
        self._volume = volume
        self._metadata = volume.metadata
        self._locks = locks
        self._releasing = releasing
        self._names = Names(volume, locks)
        self._renaming = Renaming(volume, self._names, releasing, locks)

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
        directory = self._names.writable_directory(parent)
        present = self._names.free_name(directory, name)
        if len(target) > TARGET_BYTES_MAX:
            raise NameTooLong(f"a link target of {len(target)} bytes")
        is_directory = stat.S_ISDIR(mode)
        if is_directory and directory.nlink >= LINKS_MAX:
            raise TooManyLinks(printed(name))
        stamp_ns = self._volume.stamp()
        inode = self._new_inode(directory, mode, caller, stamp_ns, rdev=rdev, target=target)
        changes = supersede_marker(self._volume, present, stamp_ns, caller)
        changes.append(PutInode(inode))
        changes.append(OpenEntry(Entry(parent, name, stamp_ns, inode.ino, uid=caller.uid)))
        changes += self._names.touch(directory, stamp_ns, links=int(is_directory))
        self._volume.apply(changes)
        self._names.note_protection(inode)
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
        first = first_attributes(directory, mode, caller)
        is_directory = stat.S_ISDIR(mode)
        policy = self._locks.policies.at(directory.ino) if stat.S_ISREG(mode) else None
        return Inode(
            ino=self._volume.new_ino(),
            mode=first.mode,
            uid=caller.uid,
            gid=first.gid,
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
            xattrs=first.xattrs,
        )

    def link(self, ino: int, parent: int, name: bytes, caller: Caller) -> Inode:
        """The inode has one more name.

        Raises:
            Protected: it is locked. Otherwise as `make`.
        """
        directory = self._names.writable_directory(parent)
        present = self._names.free_name(directory, name)
        inode = self._volume.inode(ino)
        if inode.is_directory:
            raise IsADirectory(printed(name))
        if not inode.nlink:
            raise NoSuchName("the file was removed")
        self._locks.check(Operation.LINK, inode)
        return self._link(inode, directory, name, present, caller)

    def relink(self, inode: Inode, parent: int, name: bytes, caller: Caller) -> Inode:
        """An inode without a name has this one (undelete), also a locked one. Raises as `make`."""
        directory = self._names.writable_directory(parent)
        return self._link(inode, directory, name, self._names.free_name(directory, name), caller)

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
        changes = supersede_marker(self._volume, present, stamp_ns, caller)
        entry = Entry(directory.ino, name, stamp_ns, inode.ino, uid=caller.uid)
        changes += [PutInode(linked), OpenEntry(entry)]
        changes += self._names.touch(directory, stamp_ns, links=links)
        self._volume.apply(changes)
        self._names.note_protection(linked)
        return linked

    def unlink(self, parent: int, name: bytes, caller: Caller, *, by_rule: bool = False) -> None:
        """The name is free; what it held stays in the history. `by_rule`: of lifecycle.

        Raises:
            NoSuchName, IsADirectory.
            Protected: the file is locked.
        """
        entry, inode = self._names.live(parent, name)
        if inode.is_directory:
            raise IsADirectory(printed(name))
        self._locks.check(Operation.UNLINK, inode)
        self._remove(entry, inode, caller, Ending.EXPIRED if by_rule else Ending.DELETED)

    def take_back(self, inode: Inode, parent: int, name: bytes, caller: Caller) -> None:
        """A file that was just made, and never written, has no name any more."""
        entry, _ = self._names.live(parent, name)
        self._remove(entry, inode, caller, Ending.DELETED)

    def rmdir(self, parent: int, name: bytes, caller: Caller) -> None:
        """The empty directory is gone; what it once held stays in the history.

        Raises:
            NoSuchName, NotADirectory, DirectoryNotEmpty.
        """
        entry, inode = self._names.live(parent, name)
        if not inode.is_directory:
            raise NotADirectory(printed(name))
        if self._metadata.has_children(inode.ino):
            raise DirectoryNotEmpty(printed(name))
        self._remove(entry, inode, caller, Ending.DELETED)

    def _remove(self, entry: Entry, inode: Inode, caller: Caller, ending: Ending) -> None:
        inode = self._releasing.keep_content(inode)
        stamp_ns = self._volume.stamp()
        changes = self._releasing.release_name(entry, inode, stamp_ns, caller, ending)
        is_last = inode.is_directory or inode.nlink == 1
        if is_last and self._volume.settings.versioning is not VersioningState.UNVERSIONED:
            place = (entry.parent, entry.name)
            marker = new_marker(self._volume, *place, stamp_ns, caller, of_file=inode.is_file)
            changes.append(OpenEntry(marker))
        directory = self._volume.inode(entry.parent)
        changes += self._names.touch(directory, stamp_ns, links=-int(inode.is_directory))
        self._volume.apply(changes)
        self._releasing.after_release(inode)
        remove_older_nulls(self._volume, self._locks, entry.parent, entry.name)

    def is_reserved(self, parent: int, name: bytes) -> bool:
        """Whether the name is a door to views."""
        return self._names.is_reserved(parent, name)

    def rename(
        self,
        parent: int,
        name: bytes,
        new_parent: int,
        new_name: bytes,
        flags: int,
        caller: Caller,
    ) -> None:
        """See `Renaming`."""
        self._renaming.rename(parent, name, new_parent, new_name, flags, caller)

    def add_delete_marker(self, parent: int, name: bytes, caller: Caller) -> Entry:
        """S3's DELETE of a key that has no current object: one more marker lies on top.

        Raises:
            NameTaken: the name is live; unlink it instead.
            InvalidArgument: the store is unversioned and keeps no markers.
        """
        if self._volume.settings.versioning is VersioningState.UNVERSIONED:
            raise InvalidArgument("an unversioned store keeps no delete markers")
        directory = self._names.writable_directory(parent)
        present = self._names.free_name(directory, name)
        stamp_ns = self._volume.stamp()
        marker = new_marker(self._volume, parent, name, stamp_ns, caller)
        self._volume.apply(
            [*supersede_marker(self._volume, present, stamp_ns, caller), OpenEntry(marker)]
        )
        remove_older_nulls(self._volume, self._locks, parent, name)
        return marker
