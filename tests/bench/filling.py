"""Stores with very many files, filled with facts through the engine: a mount would take hours.

The files are empty; each has a directory entry, an inode and a version, as if made and closed. All
of it goes through journal, ledger and database, and the store is closed cleanly at the end.
"""

import os
import stat
from pathlib import Path
from typing import ClassVar, Final

import trio

from s3fs_local.daemon.unlocking import Unlocking
from s3fs_local.engine.filesystem import FileSystem
from s3fs_local.metadata.changes import Change, OpenEntry, PutInode, PutVersion
from s3fs_local.rules.inode import ROOT_INO, Caller, Inode
from s3fs_local.rules.namespace import Entry
from s3fs_local.rules.versioning import Origin, Version
from tests.bench.ours import Ours
from tests.store_on_disk import opened

FILES_IN_FOLDER: Final = 1000
_OWNER: Final = Caller(uid=os.getuid(), gid=os.getgid())


def folder_name(number: int) -> str:
    """The name of the n-th directory."""
    return f"folder{number:04}"


def file_name(number: int) -> str:
    """The name of the n-th file of a directory."""
    return f"file{number:04}"


async def fill(store: Path, files: int) -> None:
    """The store holds so many files more, a thousand in a directory."""
    async with opened(store, Unlocking()) as disk:
        for number in range(max(files // FILES_IN_FOLDER, 1)):
            _fill_folder(disk.fs, folder_name(number), min(files, FILES_IN_FOLDER))
            if disk.fs.volume.durability.commit_is_due:
                await disk.fs.volume.durability.settle()
            else:
                await trio.lowlevel.checkpoint()


def _fill_folder(filesystem: FileSystem, name: str, files: int) -> None:
    volume = filesystem.volume
    folder = filesystem.mkdir(ROOT_INO, name.encode(), stat.S_IFDIR | 0o755, _OWNER)
    changes: list[Change] = []
    for number in range(files):
        stamp_ns = volume.stamp()
        inode = Inode(
            ino=volume.new_ino(),
            mode=stat.S_IFREG | 0o644,
            uid=_OWNER.uid,
            gid=_OWNER.gid,
            atime_ns=stamp_ns,
            mtime_ns=stamp_ns,
            ctime_ns=stamp_ns,
            btime_ns=stamp_ns,
            version_ns=stamp_ns,
        )
        entry = Entry(folder.ino, file_name(number).encode(), stamp_ns, inode.ino, uid=_OWNER.uid)
        version = Version(
            inode.ino, stamp_ns, volume.salt(stamp_ns), 0, origin=Origin.CREATED, uid=_OWNER.uid
        )
        changes += [PutInode(inode), OpenEntry(entry), PutVersion(version)]
    volume.apply(changes)
    volume.durability.record()


class Filled(Ours):
    """A store that holds very many files from the beginning."""

    files: ClassVar[int] = 0

    def __init__(self, base: Path) -> None:
        super().__init__(base)
        self.untouched = True  # no file was ever looked at

    def make(self) -> None:
        """See `Place.make`."""
        super().make()
        trio.run(fill, self.store, self.files)


def filled(name: str, files: int) -> type[Filled]:
    """A kind of place that holds so many files."""
    return type("Filled", (Filled,), {"name": name, "files": files})
