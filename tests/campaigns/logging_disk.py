"""A disk that remembers every write and every flush, in order: one file on a FUSE filesystem.

A loop device on that file sends its requests straight here, for the file is opened past the page
cache. Each is in the log before it is answered. Run as a program: it serves until unmounted.
"""

import errno
import os
import stat
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pyfuse3
import trio

NAME: Final = b"disk"
DISK_INO: Final = 2
HEAD: Final = struct.Struct("<QQ")
FLUSH: Final = (1 << 64) - 1
"""In place of an offset."""


class Request(NamedTuple):
    """What the disk was asked, and where in the log it ends."""

    offset: int  # FLUSH: all that was written before is on the platters
    data: bytes
    end: int


def requests(log: Path) -> Iterator[Request]:
    """All of them, in their order."""
    with log.open("rb") as file:
        while head := file.read(HEAD.size):
            offset, length = HEAD.unpack(head)
            yield Request(offset, file.read(length), file.tell())


class LoggingDisk(pyfuse3.Operations):
    """The filesystem with the one file."""

    def __init__(self, image: Path, log: Path) -> None:
        super().__init__()
        self._image = os.open(image, os.O_RDWR)
        self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def _remember(self, offset: int, data: bytes) -> None:
        os.write(self._log, HEAD.pack(offset, len(data)) + data)

    def _entry(self, ino: int) -> pyfuse3.EntryAttributes:
        entry = pyfuse3.EntryAttributes()
        entry.st_ino = ino
        entry.st_mode = stat.S_IFDIR | 0o755 if ino == pyfuse3.ROOT_INODE else stat.S_IFREG | 0o600
        entry.st_nlink = 1
        entry.st_size = os.fstat(self._image).st_size
        entry.entry_timeout = entry.attr_timeout = 1000
        return entry

    async def lookup(
        self, parent_inode: int, name: bytes, ctx: pyfuse3.RequestContext
    ) -> pyfuse3.EntryAttributes:
        """Only the disk is there."""
        del parent_inode, ctx
        if name != NAME:
            raise pyfuse3.FUSEError(errno.ENOENT)
        return self._entry(DISK_INO)

    async def getattr(self, inode: int, ctx: pyfuse3.RequestContext) -> pyfuse3.EntryAttributes:
        """Its size never changes."""
        del ctx
        return self._entry(inode)

    async def open(self, inode: int, flags: int, ctx: pyfuse3.RequestContext) -> pyfuse3.FileInfo:
        """Past the page cache."""
        del flags, ctx
        return pyfuse3.FileInfo(fh=inode, direct_io=True)

    async def read(self, fh: int, off: int, size: int) -> bytes:
        """What was written last."""
        del fh
        return os.pread(self._image, size, off)

    async def write(self, fh: int, off: int, buf: bytes) -> int:
        """Remembered, then done."""
        del fh
        self._remember(off, buf)
        return os.pwrite(self._image, buf, off)

    async def fsync(self, fh: int, datasync: bool) -> None:  # noqa: FBT001  pyfuse3's signature
        """Remembered; whoever replays the log knows what it means."""
        del fh, datasync
        self._remember(FLUSH, b"")


def main() -> None:
    """Serves IMAGE on FOLDER and logs to LOG."""
    image, log, folder = map(Path, sys.argv[1:])
    pyfuse3.init(LoggingDisk(image, log), str(folder), {"fsname=logging-disk", "allow_other"})
    print("ready", flush=True)  # noqa: T201
    try:
        trio.run(pyfuse3.main)
    finally:
        pyfuse3.close(unmount=False)


if __name__ == "__main__":
    main()
