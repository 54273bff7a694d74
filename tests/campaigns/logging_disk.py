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

import trio

from s3fs_local.engine.open_files import OpenedFile
from s3fs_local.fuse.answers import answers_of, greeting
from s3fs_local.fuse.boundary import Refused
from s3fs_local.fuse.connection import Connection
from s3fs_local.fuse.kernel_mount import Mounting, mount_device
from s3fs_local.fuse.protocol import Feature, Opcode
from s3fs_local.fuse.reader_gate import ReaderGate
from s3fs_local.rules.inode import ROOT_INO, Caller, Inode

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


class LoggingDisk:
    """The filesystem with the one file."""

    def __init__(self, image: Path, log: Path) -> None:
        self._image = os.open(image, os.O_RDWR)
        self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def _remember(self, offset: int, data: bytes) -> None:
        os.write(self._log, HEAD.pack(offset, len(data)) + data)

    def _inode(self, ino: int) -> Inode:
        mode = stat.S_IFDIR | 0o755 if ino == ROOT_INO else stat.S_IFREG | 0o600
        return Inode(ino=ino, mode=mode, uid=0, gid=0, size=os.fstat(self._image).st_size)

    def lookup(self, parent: int, name: bytes, caller: Caller) -> Inode:
        """Only the disk is there."""
        del parent, caller
        if name != NAME:
            raise Refused(errno.ENOENT)
        return self._inode(DISK_INO)

    def getattr(self, ino: int, caller: Caller) -> Inode:
        """Its size never changes."""
        del caller
        return self._inode(ino)

    async def open(
        self,
        ino: int,
        flags: int,
        takes_set_id_bits: bool,  # noqa: FBT001  as asked
        caller: Caller,
    ) -> OpenedFile:
        """Past the page cache."""
        del flags, takes_set_id_bits, caller
        return OpenedFile(ino, direct_io=True)

    async def read(self, handle: int, offset: int, size: int) -> bytes:
        """What was written last."""
        del handle
        return os.pread(self._image, size, offset)

    def write(self, handle: int, offset: int, data: bytes, shed_by: Caller | None) -> int:
        """Remembered, then done."""
        del handle, shed_by
        self._remember(offset, data)
        return os.pwrite(self._image, data, offset)

    async def fsync(self, handle: int, datasync: bool) -> None:  # noqa: FBT001  as asked
        """Remembered; whoever replays the log knows what it means."""
        del handle, datasync
        self._remember(FLUSH, b"")


async def serve(disk: LoggingDisk, folder: Path) -> None:
    """Serves until unmounted."""
    connection = Connection(
        mount_device(
            folder, Mounting(mount_point=folder, store=Path("logging-disk"), allow_other=True)
        )
    )
    answers = answers_of(disk)
    answers[Opcode.INIT] = greeting(Feature.ASYNC_READ | Feature.ASYNC_DIO, lambda: None)
    print("ready", flush=True)  # noqa: T201
    try:
        await ReaderGate().serve(connection, answers)
    finally:
        connection.close()


def main() -> None:
    """Serves IMAGE on FOLDER and logs to LOG."""
    image, log, folder = map(Path, sys.argv[1:])
    disk = LoggingDisk(image, log)
    trio.run(serve, disk, folder)


if __name__ == "__main__":
    main()
