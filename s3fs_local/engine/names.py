"""What names mean, which may be had, and what else changes when one is taken or given up."""

from typing import Final

import msgspec

from s3fs_local.engine.locks import Locks
from s3fs_local.engine.volume import Volume
from s3fs_local.errors import NameReserved, NameTaken, NoSuchName
from s3fs_local.metadata.changes import Change, KeepAttributes, PutInode
from s3fs_local.rules.inode import ROOT_INO, Inode, kept_attributes
from s3fs_local.rules.names import check_name, printed
from s3fs_local.rules.namespace import Entry

STATUS_DIRECTORY: Final = b".s3fs"


class Names:
    """The names of one volume, as whoever changes them asks for them."""

    def __init__(self, volume: Volume, locks: Locks) -> None:
        self._volume = volume
        self._metadata = volume.metadata
        self._locks = locks

    def live(self, parent: int, name: bytes) -> tuple[Entry, Inode]:
        """The live entry of the name, and its inode. Raises NoSuchName."""
        entry = self._metadata.entry(parent, name)
        if entry is None or entry.is_marker:
            raise NoSuchName(printed(name))
        return entry, self._volume.inode(entry.ino)

    def writable_directory(self, ino: int) -> Inode:
        """The directory, which is there, in a store that takes changes.

        Raises:
            NoSuchName: it was removed.
            NotADirectory, or why the store takes none.
        """
        self._volume.check_writable()
        directory = self._volume.directory(ino)
        if not directory.nlink:
            raise NoSuchName("the directory was removed")
        return directory

    def free_name(self, directory: Inode, name: bytes) -> Entry | None:
        """The open delete marker of the name, if it has one; the name itself is free.

        Raises:
            NameTaken: it is not free. Otherwise as `check_new`.
        """
        self.check_new(directory, name)
        present = self._metadata.entry(directory.ino, name)
        if present is not None and not present.is_marker:
            raise NameTaken(printed(name))
        return present

    def check_new(self, directory: Inode, name: bytes) -> None:
        """Something may be called that there.

        Raises:
            NameReserved: it is a door to views.
            NameTooLong, InvalidArgument: nothing is called that anywhere.
        """
        check_name(name)
        if self.is_reserved(directory.ino, name):
            raise NameReserved(f"{printed(name)} belongs to the filesystem")

    def is_reserved(self, parent: int, name: bytes) -> bool:
        """Whether the name is a door to views."""
        if name == self._volume.settings.snapdirname.encode():
            return True
        return parent == ROOT_INO and name == STATUS_DIRECTORY

    def touch(self, directory: Inode, stamp_ns: int, *, links: int) -> list[Change]:
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

    def note_protection(self, named: Inode) -> None:
        """The directories above a new name know of what is protected by it, or below it."""
        if named.lock is not None or named.append_only or named.protected_until_ns:
            self._volume.apply(self._locks.note_protection(named))
