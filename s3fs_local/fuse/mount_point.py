"""The directory a mount covers: is it fit, what is mounted there, and how to uncover it.

Nothing here may run on the event loop of the mount it touches: a system call that reaches our own
mount waits for an answer that only the loop can give. Reading the mount table reaches no mount.
"""

import ctypes
import errno
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from msgspec import Struct

from s3fs_local.errors import MountPointUnusable

SUBTYPE: Final = "s3fs_local"
FILESYSTEM_TYPE: Final = f"fuse.{SUBTYPE}"

_AUTOMOUNT: Final = "autofs"
_MOUNT_TABLE: Final = Path("/proc/self/mountinfo")
_CONNECTIONS: Final = Path("/sys/fs/fuse/connections")
_ESCAPE: Final = re.compile(rb"\\([0-7]{3})")
_MNT_FORCE: Final = 1
_MNT_DETACH: Final = 2
_UMOUNT_NOFOLLOW: Final = 8
_DAEMON_IS_GONE: Final = (errno.ENOTCONN, errno.ECONNABORTED)
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


class Mount(Struct, frozen=True):
    """What is mounted at a directory."""

    number: int  # no other mount has it while this one exists
    device: str  # "major:minor", the name of its folder in /sys/class/bdi
    filesystem_type: str
    options: frozenset[str]  # those of its filesystem too, as /proc names them


def mount_at(mount_point: Path) -> Mount | None:
    """The topmost mount exactly at that absolute path."""
    wanted = os.fsencode(mount_point)
    mounts = list(_mounts_in(_MOUNT_TABLE))
    return next((mount for point, mount in reversed(mounts) if point == wanted), None)


def still_mounted(device: str) -> Iterator[str]:
    """Where that filesystem is mounted yet: a path, of another namespace with one of its processes.

    A bind mount keeps a filesystem alive after its first mount is gone; so does another mount
    namespace (a container, `unshare --mount`), which got a copy of all mounts when it was made.
    """
    for process in _one_of_each_mount_namespace():
        with suppress(OSError):  # it ended meanwhile, or is not ours to look at
            name = (process / "comm").read_text().strip()
            whose = "" if process.name == "self" else f" ({name}, process {process.name})"
            for point, mount in _mounts_in(process / "mountinfo"):
                if mount.device == device:
                    yield f"{os.fsdecode(point)}{whose}"


def _one_of_each_mount_namespace() -> Iterator[Path]:
    """Folders of processes, this one's first."""
    seen = set()
    proc = Path("/proc")
    for process in (proc / "self", *proc.iterdir()):
        if process.name == "self" or process.name.isdecimal():
            with suppress(OSError):
                namespace = (process / "ns" / "mnt").readlink()
                if namespace not in seen:
                    seen.add(namespace)
                    yield process


def _mounts_in(table: Path) -> Iterator[tuple[bytes, Mount]]:
    for line in table.read_bytes().splitlines():
        before, _, after = line.partition(b" - ")
        fields, of_filesystem = before.split(b" "), after.split(b" ")
        options = b",".join([fields[5], of_filesystem[2]])
        yield (
            _ESCAPE.sub(lambda match: bytes([int(match[1], 8)]), fields[4]),
            Mount(
                number=int(fields[0]),
                device=fields[2].decode(),
                filesystem_type=of_filesystem[0].decode(),
                options=frozenset(map(os.fsdecode, options.split(b","))),
            ),
        )


def prepare(mount_point: Path, *, nonempty: bool) -> None:
    """The directory can be mounted on; what a killed daemon of ours left there is gone.

    Raises:
        MountPointUnusable: it cannot; the message says what to do.
    """
    while (mount := mount_at(mount_point)) is not None:
        if mount.filesystem_type == _AUTOMOUNT:
            return  # what it waits for is this very mount, and so would we, if we looked into it
        if not _is_dead(mount_point):
            if nonempty:
                break
            raise MountPointUnusable(
                f"{mount_point} is a mount point already ({mount.filesystem_type}): "
                f"unmount it first, or choose another directory"
            )
        if mount.filesystem_type != FILESYSTEM_TYPE or not unmount(mount_point, lazily=True):
            raise MountPointUnusable(
                f"{mount_point} is a dead mount ({mount.filesystem_type}): "
                f"run fusermount3 -u -z {mount_point}"
            )
    _check_directory(mount_point, nonempty=nonempty)


def _is_dead(mount_point: Path) -> bool:
    try:
        os.statvfs(mount_point)  # stat(2) may be answered from what the kernel still remembers
    except OSError as error:
        return error.errno in _DAEMON_IS_GONE
    return False


def _check_directory(mount_point: Path, *, nonempty: bool) -> None:
    try:
        is_empty = next(os.scandir(mount_point), None) is None
    except FileNotFoundError:
        raise MountPointUnusable(
            f"{mount_point} does not exist: make it with mkdir {mount_point}"
        ) from None
    except NotADirectoryError:
        raise MountPointUnusable(f"{mount_point} is not a directory") from None
    except OSError as error:
        raise MountPointUnusable(f"{mount_point} cannot be read: {error.strerror}") from None
    if not is_empty and not nonempty:
        raise MountPointUnusable(
            f"{mount_point} is not empty, and a mount would hide what it holds: "
            f"choose an empty directory, or mount with -o nonempty"
        )
    if os.geteuid() != 0 and not os.access(mount_point, os.W_OK):
        raise MountPointUnusable(f"{mount_point} is not writable, which users need to mount there")


def unmount(mount_point: Path, *, lazily: bool) -> bool:
    """Whether the topmost mount is gone. False: not ours to unmount, or (unless lazily) in use."""
    if os.geteuid() == 0:
        return _umount2(mount_point, _MNT_DETACH if lazily else 0)
    options = ("-u", "-q", "-z") if lazily else ("-u", "-q")
    result = subprocess.run(  # noqa: S603  no shell, and found in the PATH
        ("fusermount3", *options, "--", mount_point),  # noqa: S607  as above
        capture_output=True,
        check=False,
    )
    return result.returncode == 0


def abort_connection(mount_point: Path, mount: Mount) -> None:
    """System calls that wait for an answer from this mount fail now, and so do all later ones."""
    if mount_at(mount_point) != mount:
        return
    if os.geteuid() == 0:
        _umount2(mount_point, _MNT_FORCE)
        return
    minor = mount.device.partition(":")[2]
    with suppress(OSError):  # the control filesystem need not be mounted; users have no other way
        (_CONNECTIONS / minor / "abort").write_text("1")


def write_back(mount_point: Path) -> None:
    """Pages that programs dirtied through mappings have been sent to us."""
    try:
        descriptor = os.open(mount_point, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return  # not readable by us: nothing to be done
    try:
        _LIBC.syncfs(descriptor)
    finally:
        os.close(descriptor)


def _umount2(mount_point: Path, flags: int) -> bool:
    result: int = _LIBC.umount2(os.fsencode(mount_point), flags | _UMOUNT_NOFOLLOW)
    return result == 0
