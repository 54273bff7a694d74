"""Disks of our own below a mounted store: they fill up, go read-only, are unplugged and emptied.

While it happens a program writes, calls fsync and notes what it was promised.
"""

import fcntl
import hashlib
import os
import shutil
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.campaigns.full_disk import without_room
from tests.campaigns.loop_disks import (
    lacks_loop_disks,
    make_image,
)
from tests.mounting import (
    COMMAND,
    MountedStore,
    answer_of,
    is_mounted,
    run,
    s3fs_local,
    unmount_by_force,
)

DISK_MIB = 48
SECONDS_MAX = 180
"""A step that takes longer hangs: this machine may be busy, but not so busy."""
FS_IOC_SHUTDOWN = 0x8004587D
"""_IOR('X', 125, __u32) of linux/fs.h: ext4 and XFS then answer every call with EIO."""
FS_SHUTDOWN_WITHOUT_FLUSH = 2
LACKS = lacks_loop_disks("ext4")
pytestmark = [pytest.mark.mount, pytest.mark.skipif(bool(LACKS), reason=f"needs {LACKS}")]


class Writer:
    """A program that works on the mount all the time, and never meets an error."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.promised: dict[str, str] = {}
        self.failure: OSError | None = None
        self._ends = threading.Event()
        self._turned = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        number = 0
        try:
            while not self._ends.is_set():
                self._save(number)
                self._check(f"{number // 2}")
                self._turned.set()
                number += 1
                self._ends.wait(0.02)
        except OSError as failure:
            self.failure = failure
            self._turned.set()

    def _save(self, number: int) -> None:
        content = hashlib.sha256(b"%d" % number).digest() * (number % 100 + 1)
        with (self.folder / f"{number}").open("wb", buffering=0) as file:
            file.write(content)
            os.fsync(file.fileno())
        self.promised[f"{number}"] = hashlib.sha256(content).hexdigest()
        if number % 7 == 3:
            (self.folder / f"{number}").rename(self.folder / f"{number}-moved")
            self.promised[f"{number}-moved"] = self.promised.pop(f"{number}")

    def _check(self, name: str) -> None:
        wanted = self.promised.get(name)
        if wanted is not None:
            content = (self.folder / name).read_bytes()
            assert hashlib.sha256(content).hexdigest() == wanted, name

    def goes_on(self, times: int = 3) -> None:
        """It has written and read so often again."""
        for _ in range(times):
            self._turned.clear()
            assert self._turned.wait(SECONDS_MAX), "it hangs"
            assert self.failure is None, self.failure

    def end(self) -> None:
        """It works no more, and everything that it was promised is there."""
        self._ends.set()
        self._thread.join(SECONDS_MAX)
        assert not self._thread.is_alive(), "it hangs"
        assert self.failure is None, self.failure
        self.check_all(self.folder)

    def check_all(self, folder: Path) -> None:
        """Everything that it was promised is there."""
        for name, wanted in self.promised.items():
            assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == wanted, name


class Disk:
    """A small ext4 on a loop device, and what can happen to it."""

    def __init__(self, base: Path, name: str) -> None:
        self.image = make_image(base / f"{name}.image", "ext4", DISK_MIB)
        self.point = base / name
        self.point.mkdir()
        self._devices: list[str] = []

    @contextmanager
    def inserted(self) -> Iterator[Path]:
        """Mounted for the time of the block; nothing of it is left, whatever was done."""
        try:
            self.attach()
            self.plug_in()
            yield self.point
        finally:
            while is_mounted(self.point):
                unmount_by_force(self.point)
            for device in self._devices:
                run("losetup", "--detach", device, check=False)

    def attach(self) -> None:
        """It has a device."""
        device = run("losetup", "--find", "--show", self.image).stdout.strip()
        self._devices.append(device)

    def plug_in(self) -> None:
        """It is there."""
        run("mount", "-o", "nodiscard,errors=remount-ro", self._devices[-1], self.point)

    def unplug(self) -> None:
        """Its mount point is an empty directory, whoever uses it."""
        run("umount", "-l", self.point)

    def fail(self) -> None:
        """Nothing more is read from it or written to it: no cache hides it (EIO)."""
        point = os.open(self.point, os.O_RDONLY)
        try:
            fcntl.ioctl(point, FS_IOC_SHUTDOWN, struct.pack("I", FS_SHUTDOWN_WITHOUT_FLUSH))
        finally:
            os.close(point)

    def replace(self) -> None:
        """Another, new one is in its place."""
        self.unplug()
        self.image.unlink()
        make_image(self.image, "ext4", DISK_MIB)
        self.attach()
        self.plug_in()


def _states(store: Path) -> list[str]:
    return [zone["State"] for zone in answer_of("zone", "list", store)["Zones"]]


def _wait(until: Callable[[], Any]) -> None:
    """Looks again and again; the store notices by itself, soon."""
    pause = threading.Event()
    for _ in range(SECONDS_MAX * 5):
        if until():
            return
        pause.wait(0.2)
    raise AssertionError("it never came to it")


@contextmanager
def _mounted(store: Path, point: Path, *options: str) -> Iterator[MountedStore]:
    point.mkdir(exist_ok=True)
    mount = MountedStore(store, point, options)
    try:
        mount.mount()
        yield mount
    finally:
        mount.clean_up()


def test_a_disk_of_a_zone_fills_up_goes_read_only_is_unplugged_and_emptied(tmp_path: Path) -> None:
    """One after the other, on a store in use: nobody notices but `status`, and all heals."""
    with ExitStack() as disks:
        own = [Disk(tmp_path, f"disk-{number}") for number in range(3)]
        zones = [disks.enter_context(disk.inserted()) / "zone" for disk in own]
        arguments = [word for zone in zones for word in ("--zone", str(zone))]
        s3fs_local("init", tmp_path / "store", *arguments)
        with _mounted(tmp_path / "store", tmp_path / "mount") as mount:
            writer = Writer(mount.path)
            writer.goes_on()
            with without_room(own[0].point, "bytes"):
                _wait(lambda: _states(mount.store)[0] != "well")
                writer.goes_on()
            _wait(lambda: _states(mount.store) == ["well"] * 3)

            own[1].unplug()
            _wait(lambda: _states(mount.store)[1] != "well")
            writer.goes_on()
            own[1].plug_in()
            _wait(lambda: _states(mount.store) == ["well"] * 3)

            own[0].fail()
            _wait(lambda: _states(mount.store)[0] != "well")
            writer.goes_on()
            own[0].replace()
            zones[0].mkdir()
            s3fs_local("zone", "repair", mount.store, zones[0])
            assert _states(mount.store) == ["well"] * 3

            _empty(zones[2])
            _wait(lambda: _states(mount.store)[2] != "well" or (zones[2] / "zone.json").exists())
            writer.goes_on()
            _wait(lambda: _states(mount.store) == ["well"] * 3)
            writer.end()
            assert answer_of("scrub", mount.store)["Damaged"] == []
            mount.umount()
        with _mounted(tmp_path / "store", tmp_path / "mount") as mount:
            writer.check_all(mount.path)


def _empty(zone: Path) -> None:
    for entry in zone.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)  # the store writes meanwhile
        else:
            with suppress(FileNotFoundError):
                entry.unlink()


def _unplugged(disk: Disk) -> None:
    disk.unplug()


def _failing(disk: Disk) -> None:
    disk.fail()


def _full(disk: Disk) -> None:
    with suppress(OSError), (disk.point / "filler").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 16))


OWN_FAULTS: dict[str, Callable[[Disk], None]] = {
    "unplugged": _unplugged,
    "failing": _failing,
    "full": _full,
}


@pytest.mark.parametrize("fault", OWN_FAULTS)
def test_the_disk_of_the_metadata_fails_below_a_store_in_use(tmp_path: Path, fault: str) -> None:
    """The store's own directory is on a disk, too; its zones are on others."""
    disk = Disk(tmp_path, "own")
    zones = [tmp_path / f"zone-{number}" for number in range(3)]
    arguments = [word for zone in zones for word in ("--zone", str(zone))]
    with disk.inserted() as point:
        store = point / "store"
        s3fs_local("init", store, *arguments)
        key_file = Path(shutil.copy(store / "unlock.key", tmp_path))
        with _mounted(store, tmp_path / "mount") as mount:
            writer = Writer(mount.path)
            writer.goes_on()
            OWN_FAULTS[fault](disk)
            status = mount.path / ".s3fs/status.json"
            _wait(lambda: "own database is not used" in status.read_text())
            writer.goes_on()
            writer.end()
            run(*COMMAND, "umount", mount.path)
            assert not is_mounted(mount.path)
        if fault == "unplugged":
            disk.plug_in()
        elif fault == "full":
            (point / "filler").unlink()
        else:
            disk.replace()
            rest = [word for zone in zones for word in ("--zone", str(zone))]
            key = {"S3FS_LOCAL_KEY_FILE": str(key_file)}
            run(*COMMAND, "fsck", store, "--rebuild", *rest, environment=key)
        with _mounted(store, tmp_path / "mount", f"key-file={key_file}") as mount:
            writer.check_all(mount.path)
