"""Two regions: one is written to, both daemons are killed, and for a while the way between fails.

At the end the other region has every version with its id, every name and every byte.
"""

import os
import random
import select
import shutil
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import sleep
from typing import Final

import trio

from s3fs_local.control.client import connect
from s3fs_local.daemon.receiving import make_room
from s3fs_local.errors import NotAStore
from tests.campaigns.line import Failed, Figures, Piece
from tests.mounting import MountedStore, s3fs_local
from tests.region_comparison import differences
from tests.regions import type_command
from tests.replication_rules import document

OPERATIONS_A_KILL: Final = 500
OUTAGE_SECONDS: Final = 150.0
"""Of a link in the long form; in the short one it fails as long as some of the work takes."""
OPENED_SECONDS_MAX: Final = 20.0
FILES: Final = 40
SIZES: Final = (0, 1, 200, 4096, 70_000, 1_200_000)


def run(piece: Piece) -> Figures:
    """So many operations on a mounted source."""
    work = _Regions(piece)
    try:
        return work.run()
    finally:
        work.clean_up()


class _Regions:
    def __init__(self, piece: Piece) -> None:
        self.chance = random.Random(piece.seed)
        self.operations = piece.size
        self.east, self.west = piece.folder / "east", piece.folder / "west"
        for region in (self.east, self.west):
            region.mkdir()
            s3fs_local("init", region / "store", "--recovery-key", region / "recovery.key")
        (piece.folder / "mount").mkdir()
        self.mount = MountedStore(self.east / "store", piece.folder / "mount")
        store = self.east / "store"
        type_command("config", "set", store, "remotes", f"west={self.west / 'store'}")
        type_command("bucket", "replication", "put", store, "-", text=document())
        self.kills = {"source": 0, "destination": 0}
        self.outages = 0
        self._kinds: list[Callable[[Path], None]] = [
            *(self.write, self.write, self.append, self.append, self.patch, self.replace),
            *(self.rename, self.link, self.remove, self.chmod, self.tree),
        ]

    def run(self) -> Figures:
        """The work, the damage, and the comparison."""
        self.mount.mount()
        began = time.monotonic()
        kills = max(1, self.operations // OPERATIONS_A_KILL)
        at = sorted(self.chance.sample(range(1, self.operations), 2 * kills))
        outage = range(self.operations // 3, self.operations // 2)
        began_outage = 0.0
        for number in range(self.operations):
            if number == outage.start:
                self.break_link()
                began_outage = time.monotonic()
            if number == outage.stop:
                self.mend_link(began_outage)
            if number in at:
                self.kill(source=at.index(number) % 2 == 0)
            self.chance.choice(self._kinds)(self.path())
        self.mend_link(0)
        worked = time.monotonic() - began
        type_command("umount", "--wait", self.mount.path)
        caught_up = time.monotonic() - began - worked
        make_room(self.west / "store")
        found = trio.run(differences, self.east / "store", self.west / "store")
        if found:
            raise Failed("the regions differ: " + "; ".join(found[:5]))
        return {
            "source killed": self.kills["source"],
            "destination killed": self.kills["destination"],
            "outages": self.outages,
            "seconds of work": worked,
            "seconds until all was told": caught_up,
            "differences": 0,
        }

    def path(self) -> Path:
        """A file, there or not."""
        folder = self.mount.path / f"d{self.chance.randrange(4)}"
        folder.mkdir(exist_ok=True)
        return folder / f"f{self.chance.randrange(FILES)}"

    def data(self) -> bytes:
        """Of any size."""
        return self.chance.randbytes(self.chance.choice(SIZES))

    def write(self, path: Path) -> None:
        """A new content."""
        path.write_bytes(self.data())

    def append(self, path: Path) -> None:
        """More at the end."""
        with path.open("ab") as file:
            file.write(self.data())

    def patch(self, path: Path) -> None:
        """Something in the middle."""
        if path.exists():
            with path.open("r+b") as file:
                file.seek(self.chance.randrange(path.stat().st_size + 1))
                file.write(self.data())

    def replace(self, path: Path) -> None:
        """As an editor saves."""
        temporary = path.with_name(path.name + ".tmp")
        temporary.write_bytes(self.data())
        temporary.rename(path)

    def rename(self, path: Path) -> None:
        """To any other name."""
        if path.exists():
            path.rename(self.path())

    def link(self, path: Path) -> None:
        """One name more."""
        other = self.path()
        if path.exists() and not other.exists():
            other.hardlink_to(path)

    def remove(self, path: Path) -> None:
        """A name less."""
        path.unlink(missing_ok=True)

    def chmod(self, path: Path) -> None:
        """Other attributes."""
        if path.exists():
            path.chmod(self.chance.choice((0o600, 0o644, 0o755)))
            os.setxattr(path, b"user.a", self.chance.randbytes(5))

    def tree(self, path: Path) -> None:
        """A directory is moved, or removed with all that is in it."""
        if self.chance.random() < 0.3:
            shutil.rmtree(path.parent)
        else:
            path.parent.rename(self.mount.path / f"moved-{self.chance.getrandbits(64):x}")

    def kill(self, *, source: bool) -> None:
        """One of the two daemons is gone from one moment to the next."""
        sleep(self.chance.uniform(0, 0.5))
        if source:
            self.kills["source"] += _killed(self.east / "store")
            self.mount.mount()
            return
        deadline = time.monotonic() + OPENED_SECONDS_MAX
        while not _killed(self.west / "store") and time.monotonic() < deadline:
            sleep(0.1)  # nobody has it open: there was nothing to tell, or it is away
        self.kills["destination"] += time.monotonic() < deadline

    def break_link(self) -> None:
        """The disk of the destination is gone."""
        self.outages += 1
        make_room(self.west / "store")
        (self.west / "store").rename(self.west / "away")

    def mend_link(self, began: float) -> None:
        """It is back."""
        if self.operations >= 10 * OPERATIONS_A_KILL and began:
            sleep(max(OUTAGE_SECONDS - (time.monotonic() - began), 0))
        with suppress(FileNotFoundError):
            (self.west / "away").rename(self.west / "store")

    def clean_up(self) -> None:
        """Nothing of it runs any more."""
        self.mount.clean_up()
        make_room(self.west / "store")


def _killed(store: Path) -> int:
    """Whoever has the store open is gone; how many that were."""
    with suppress(NotAStore):
        client = connect(store)
        if client is not None:
            with client:
                process = os.pidfd_open(client.daemon_pid())
            signal.pidfd_send_signal(process, signal.SIGKILL)
            select.select([process], [], [])
            os.close(process)
            return 1
    return 0
