"""Disks of our own: a filesystem in a file, behind a loop device."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import sleep
from typing import Final

from tests.mounting import CommandFailed, run, unmount_by_force

SIZE_MIB: Final = {"ext4": 128, "xfs": 320, "btrfs": 512}
"""The least that mkfs.xfs takes, and what holds a history for the others."""

MAKE: Final = {
    "ext4": ("mkfs.ext4", "-q", "-F", "-E", "nodiscard"),
    "xfs": ("mkfs.xfs", "-q", "-f", "-K"),
    "btrfs": ("mkfs.btrfs", "-q", "-f", "-K"),
}
UNMOUNT_TRIES: Final = 1200
UNMOUNT_PAUSE_S: Final = 0.1
MOUNT_OPTIONS: Final = {"ext4": "nodiscard", "xfs": "nodiscard,nouuid", "btrfs": "nodiscard"}


def lacks_loop_disks(*kinds: str) -> str:
    """What it takes to have disks of these kinds, and is not here; found out by making one."""
    if os.geteuid() != 0:
        return "root"
    for kind in kinds:
        with tempfile.TemporaryDirectory(prefix="s3fs-local-disk-") as folder:
            try:
                with mounted(make_image(Path(folder) / "image", kind), kind, Path(folder) / "disk"):
                    pass
            except (CommandFailed, FileNotFoundError):
                return f"{kind} on a loop device"
    return ""


def make_image(path: Path, kind: str, size_mib: int = 0) -> Path:
    """An empty filesystem in a new sparse file."""
    with path.open("xb") as file:
        file.truncate((size_mib or SIZE_MIB[kind]) << 20)
    run(*MAKE[kind], path)
    return path


@contextmanager
def attached(file: Path) -> Iterator[str]:
    """The loop device of the file."""
    device = run("losetup", "--find", "--show", file).stdout.strip()
    try:
        yield device
    finally:
        subprocess.run(["losetup", "--detach", device], capture_output=True, check=False)


@contextmanager
def mounted(file: Path, kind: str, point: Path) -> Iterator[Path]:
    """The filesystem in the file, at the point, whatever state a power cut left it in."""
    point.mkdir(exist_ok=True)
    with attached(file) as device:
        run("mount", "-o", MOUNT_OPTIONS[kind], device, point)
        try:
            yield point
        finally:
            _unmount(point)


def _unmount(point: Path) -> None:
    """Nothing writes to the disk any more, which a lazy unmount would not promise.

    A process that has just ended may be held for a moment by whoever looks at it in /proc.
    """
    for _ in range(UNMOUNT_TRIES):
        if not subprocess.run(["umount", point], capture_output=True, check=False).returncode:
            return
        sleep(UNMOUNT_PAUSE_S)
    users = ", ".join(users_of(point)) or "nobody who shows it"
    unmount_by_force(point)
    raise AssertionError(f"{point} stays in use by {users}")


def users_of(point: Path) -> Iterator[str]:
    """Processes that have something below it open, or work there."""
    for process in Path("/proc").iterdir():
        if process.name.isdecimal():
            with suppress(OSError):  # it has ended meanwhile
                links = [process / "cwd", process / "root", *(process / "fd").iterdir()]
                if any(Path(os.readlink(link)).is_relative_to(point) for link in links):
                    words = (process / "cmdline").read_bytes().replace(b"\0", b" ")
                    yield f"{process.name} ({words.decode(errors='replace').strip()})"
