"""The disk of one of three zones fills up, and is emptied again, over and over.

Only `status` notices: every write goes on with the two that are left, and is acknowledged. Once
there is room the zone catches up, without a command. Every few times the daemon is killed while a
zone is full. At the end the zone that was full last is all there is: a store made anew from it has
every file.
"""

import json
import random
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from tests.campaigns.full_disk import Files, without_room
from tests.campaigns.line import Failed, Figures, Piece
from tests.campaigns.loop_disks import make_image, mounted
from tests.mounting import COMMAND, MountedStore, run, s3fs_local

ZONES: Final = 3
DISK_MIB: Final = 64
WRITES: Final = 5
KILL_EVERY: Final = 4
SECONDS_MAX: Final = 300.0
"""A store that has not noticed by then never will, however busy the machine."""
LOG_LINES: Final = 40
ATTENTION: Final = 9
"""What `status` exits with where something needs attention."""


class Cycles:
    """A store of three zones, each on a small disk."""

    def __init__(self, files: Files, disks: list[Path]) -> None:
        self.files = files
        self.disks = disks
        self.chance = files.chance
        self.written = 0  # while a zone was full
        self.last = 0  # the zone that was full last
        self.told = 0  # how often status had to tell of it, and did

    def cycle(self, number: int) -> None:
        """One zone is full, and not full again. Raises Failed."""
        self.last = self.chance.randrange(ZONES)
        what = self.chance.choice(("bytes", "bytes", "inodes"))
        self._save(f"before{number}")
        with without_room(self.disks[self.last], what):
            self._write_on(f"full{number}")
            self._wait_until_told(what, f"cycle {number}: status does not tell it")
            if number % KILL_EVERY == KILL_EVERY - 1:
                self.files.mount.kill()
                self.files.mount.mount()
                self.files.check(f"cycle {number}, after a kill")
                self._write_on(f"killed{number}")
                self._wait_until_told(what, f"cycle {number}: no longer told after a kill")
            self.files.check(f"cycle {number}, while it is full")
        self._wait(f"cycle {number}: it does not catch up", self._is_well)
        self._save(f"after{number}")

    def _write_on(self, name: str) -> None:
        for attempt in range(WRITES):
            self._save(f"{name}-{attempt}")
            self.written += 1
        self.files.remove_one()

    def _save(self, name: str) -> None:
        try:
            self.files.save(name)
        except OSError as failure:
            raise Failed(f"{name}: {failure}, though two zones have room") from None

    def _wait_until_told(self, what: str, otherwise: str) -> None:
        if what == "bytes":  # what is only added to needs no inode, and nothing is missed then
            self._wait(otherwise, self._is_told)
            self.told += 1

    def _is_told(self) -> bool:
        """Which zone is behind, and what to do; whoever asks by command gets its exit code."""
        status = self._status()
        subject = f"zone {self.disks[self.last] / 'zone'}"
        told = [each for each in status["Findings"] if each["Subject"] == subject]
        if not status["Zones"][self.last]["State"].startswith("behind"):
            return False
        if not any("Make room on its disk" in each.get("Advice", "") for each in told):
            return False
        return s3fs_local("status", self.files.mount.store, check=False).returncode == ATTENTION

    def _is_well(self) -> bool:
        return all(zone["State"] == "well" for zone in self._status()["Zones"])

    def _status(self) -> Any:  # noqa: ANN401 -- JSON has no narrower type
        mount = self.files.mount
        try:
            return json.loads((mount.path / ".s3fs/status.json").read_bytes())
        except OSError as failure:
            log = (mount.store / "daemon.log").read_text().splitlines()[-LOG_LINES:]
            raise Failed("\n".join([f"status cannot be read: {failure}", *log])) from None

    def _wait(self, otherwise: str, until: Callable[[], bool]) -> None:
        deadline = time.monotonic() + SECONDS_MAX
        while not until():
            if time.monotonic() > deadline:
                raise Failed(f"{otherwise}: {json.dumps(self._status())}")
            time.sleep(0.1)


@contextmanager
def _three_disks(folder: Path) -> Iterator[list[Path]]:
    with ExitStack() as stack:
        yield [
            stack.enter_context(
                mounted(
                    make_image(folder / f"image-{number}", "ext4", DISK_MIB),
                    "ext4",
                    folder / f"disk-{number}",
                )
            )
            for number in range(ZONES)
        ]


def _check_alone(folder: Path, cycles: Cycles) -> None:
    """All files are in the zone that was full last. Raises Failed."""
    former = cycles.files.mount
    former.umount()
    key = {"S3FS_LOCAL_KEY_FILE": str(former.store / "unlock.key")}
    zone = folder / "zone-alone"
    shutil.copytree(cycles.disks[cycles.last] / "zone", zone)
    anew = folder / "store-anew"
    run(*COMMAND, "fsck", anew, "--rebuild", "--zone", zone, environment=key)
    mount = MountedStore(anew, former.path, (f"key-file={key['S3FS_LOCAL_KEY_FILE']}",))
    try:
        mount.mount()
        cycles.files.check("in the zone that was full last, alone")
    finally:
        mount.clean_up()


def run_cycles(piece: Piece) -> Figures:
    """As many times full, on one store."""
    store, point = piece.folder / "store", piece.folder / "mount"
    point.mkdir()
    with _three_disks(piece.folder) as disks:
        words = [word for disk in disks for word in ("--zone", str(disk / "zone"))]
        s3fs_local("init", store, *words)
        mount = MountedStore(store, point)
        cycles = Cycles(Files(mount, random.Random(piece.seed)), disks)
        try:
            mount.mount()
            for number in range(piece.size):
                cycles.cycle(number)
            _check_alone(piece.folder, cycles)
        finally:
            mount.clean_up()
    return {
        "writes while full": cycles.written,
        "told by status": cycles.told,
        "files acknowledged": len(cycles.files.promised),
        "lost": 0,
    }
