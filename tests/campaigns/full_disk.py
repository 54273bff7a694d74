"""The disk below the store fills up, in bytes or in inodes, and is emptied again, over and over.

While it is full, what is there is read and removed, and what does not fit is refused with ENOSPC;
once there is room, writes go on without a restart. Every few times the daemon is killed.
"""

import errno
import hashlib
import os
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Final

from s3fs_local.system.durable_files import write_all
from tests.campaigns.kills import Promised, broken
from tests.campaigns.line import Failed, Figures, Piece
from tests.campaigns.loop_disks import make_image, mounted
from tests.mounting import MountedStore, s3fs_local

DISK_MIB: Final = 64
FILE_BYTES: Final = 150_000
KILL_EVERY: Final = 5


@contextmanager
def without_room(disk: Path, what: str) -> Iterator[None]:
    """Something else has taken all bytes, or all inodes."""
    filler = disk / "filler"
    filler.mkdir()
    number = 0
    with suppress(OSError):
        while what == "inodes":
            (filler / str(number)).touch()
            number += 1
    if what == "bytes":
        for size in (1 << 20, 1 << 16, 1 << 12):
            with suppress(OSError):
                while True:
                    with (filler / f"{size}-{number}").open("wb") as file:
                        number += 1
                        os.posix_fallocate(file.fileno(), 0, size)
    yield
    shutil.rmtree(filler)


class Files:
    """What is on a mount, and was promised to be there."""

    def __init__(self, mount: MountedStore, chance: random.Random) -> None:
        self.mount = mount
        self.chance = chance
        self.promised: Promised = {}

    def save(self, name: str) -> None:
        """A file, fsynced; promised once that has returned."""
        path = self.mount.path / name
        content = self.chance.randbytes(self.chance.randrange(1, FILE_BYTES))
        self.promised.pop(str(path), None)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            write_all(descriptor, content)  # a call may write a part, and the next one be refused
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self.promised[str(path)] = (len(content), hashlib.sha256(content).hexdigest())

    def remove_one(self) -> None:
        """Any of them."""
        path = self.chance.choice([path for path, kept in self.promised.items() if kept])
        os.unlink(path)
        self.promised[path] = None

    def check(self, when: str) -> None:
        """All is as it was promised. Raises Failed."""
        wrong = broken(self.promised)
        if wrong:
            raise Failed(f"{when}:\n" + "\n".join(wrong))


class Cycles:
    """A store that is short of room over and over, and what it promised."""

    def __init__(
        self, files: Files, short: Callable[[], AbstractContextManager[None]], refusal: int
    ) -> None:
        """No room is left while `short` is entered; who writes is refused with that errno."""
        self.files = files
        self.short = short
        self.refusal = refusal
        self.refused = 0

    def cycle(self, number: int) -> None:
        """Full, and not full again. Raises Failed."""
        self.files.save(f"before{number}")
        with self.short():
            for attempt in range(5):
                self._save_or_be_refused(f"full{number}-{attempt}")
            self.files.remove_one()
            self.files.check(f"cycle {number}, while it is full")
        try:
            self.files.save(f"after{number}")
        except OSError as failure:
            raise Failed(f"cycle {number}: there is room again, and still: {failure}") from None
        if number % KILL_EVERY == KILL_EVERY - 1:
            self.files.mount.kill()
            self.files.mount.mount()
            self.files.check(f"cycle {number}, after a kill")

    def _save_or_be_refused(self, name: str) -> None:
        try:
            self.files.save(name)
        except OSError as failure:
            if failure.errno != self.refusal:
                raise Failed(f"{name}: {failure}") from None
            self.refused += 1

    def run(self, times: int) -> Figures:
        """So many. Raises Failed."""
        try:
            self.files.mount.mount()
            for number in range(times):
                self.cycle(number)
        finally:
            self.files.mount.clean_up()
        return {
            "writes refused": self.refused,
            "files acknowledged": len(self.files.promised),
            "lost": 0,
        }


def run(piece: Piece) -> Figures:
    """As many times full, on one store."""
    image = make_image(piece.folder / "image", "ext4", DISK_MIB)
    chance = random.Random(piece.seed)
    (piece.folder / "mount").mkdir()
    with mounted(image, "ext4", piece.folder / "disk") as disk:
        s3fs_local("init", disk / "store")
        files = Files(MountedStore(disk / "store", piece.folder / "mount"), chance)

        def short() -> AbstractContextManager[None]:
            return without_room(disk, chance.choice(("bytes", "bytes", "inodes")))

        return Cycles(files, short, errno.ENOSPC).run(piece.size)
