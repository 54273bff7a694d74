"""The system call that mounts: by itself as root, through fusermount3 for everybody else."""

import array
import ctypes
import errno
import os
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from s3fs_local.errors import MountFailed, MountInUse
from s3fs_local.fuse.mount_point import FILESYSTEM_TYPE, SUBTYPE, mount_at

DEVICE: Final = Path("/dev/fuse")

_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_HELPER: Final = "fusermount3"
_HELPERS_SOCKET: Final = "_FUSE_COMMFD"  # the variable that tells it where to send the descriptor

# <sys/mount.h>: which bit each option sets (True) or clears.
_FLAGS: Final = {
    "ro": (1, True),
    "rw": (1, False),
    "nosuid": (2, True),
    "suid": (2, False),
    "nodev": (4, True),
    "dev": (4, False),
    "noexec": (8, True),
    "exec": (8, False),
    "sync": (16, True),
    "dirsync": (128, True),
    "noatime": (1024, True),
    "atime": (1024, False),
}
_REMOUNT: Final = 32
_UNLESS_TOLD: Final = ("nosuid", "nodev")


class Mounting(Struct, frozen=True):
    """What is mounted where, and how."""

    mount_point: Path
    store: Path  # shown as the device
    allow_other: bool = False
    read_only: bool = False
    nonempty: bool = False
    kernel_flags: tuple[str, ...] = ()  # such as noexec; root mounts nosuid and nodev unless told


def mount_device(mount_point: Path, mounting: Mounting) -> int:
    """The descriptor behind a new mount at the absolute path, which is a directory.

    Raises:
        MountFailed: nothing was mounted; the message says why.
    """
    if os.geteuid() == 0:
        try:
            return _mount(mount_point, mounting)
        except PermissionError:
            pass  # root of a container: its helper may be allowed to
        except OSError as error:
            raise MountFailed(f"{mount_point} could not be mounted: {_why(error)}") from None
    return _mount_by_helper(mount_point, mounting)


def _why(error: OSError) -> str:
    if error.filename == str(DEVICE) and error.errno in (errno.ENOENT, errno.ENXIO, errno.ENODEV):
        return f"{DEVICE} is not there: load the module with `modprobe fuse`"
    if error.errno == errno.ENODEV:
        return "the kernel has no FUSE: load the module with `modprobe fuse`"
    return str(error.strerror)


def _mount(mount_point: Path, mounting: Mounting) -> int:
    flags = 0
    for name in (*_UNLESS_TOLD, *_options(mounting)):
        if name not in _FLAGS:
            raise MountFailed(f"{mount_point} could not be mounted: unknown option {name}")
        bit, is_set = _FLAGS[name]
        flags = flags | bit if is_set else flags & ~bit
    descriptor = os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC)
    try:
        words = [
            f"fd={descriptor}",
            f"rootmode={mount_point.stat().st_mode:o}",
            f"user_id={os.getuid()}",
            f"group_id={os.getgid()}",
            *_fuse_options(mounting),
        ]
        _call_mount(mounting.store, mount_point, flags, ",".join(words))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def remount(mount_point: Path, *, read_only: bool | None, flags: Sequence[str]) -> None:
    """The kernel heeds these options of the mount from now on, and the others as before.

    Raises:
        MountInUse: a file is open for writing, so it cannot become read-only.
        MountFailed: only root may, or the kernel does not otherwise.
    """
    mount = mount_at(mount_point)
    there = frozenset[str]() if mount is None else mount.options
    present = there & {name for name, (_, is_set) in _FLAGS.items() if is_set}
    wanted = [*present, *flags, *([] if read_only is None else ["ro" if read_only else "rw"])]
    bits = _REMOUNT
    for name in wanted:
        bit, is_set = _FLAGS[name]
        bits = bits | bit if is_set else bits & ~bit
    try:
        _call_mount(Path("none"), mount_point, bits, "")
    except OSError as error:
        if error.errno == errno.EBUSY:
            raise MountInUse(
                f"{mount_point} cannot become read-only: a file is open for writing; "
                f"`fuser -vm {mount_point}` names who uses it"
            ) from None
        raise MountFailed(f"{mount_point} could not be remounted: {error.strerror}") from None


def _call_mount(source: Path, target: Path, flags: int, data: str) -> None:
    names = os.fsencode(source.absolute()), os.fsencode(target), FILESYSTEM_TYPE.encode()
    if _LIBC.mount(*names, ctypes.c_ulong(flags), data.encode()):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _mount_by_helper(mount_point: Path, mounting: Mounting) -> int:
    source = os.fsencode(mounting.store.absolute())
    escaped = source.replace(b"\\", b"\\\\").replace(b",", b"\\,")
    words = (f"subtype={SUBTYPE}", *_fuse_options(mounting), *_options(mounting))
    options = b",".join([b"fsname=" + escaped, *(word.encode() for word in words)])
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with ours:
        with its:
            try:
                result = subprocess.run(  # noqa: S603  no shell
                    (_HELPER, "-o", options, "--", mount_point),
                    env={**os.environ, _HELPERS_SOCKET: str(its.fileno())},
                    pass_fds=[its.fileno()],
                    stderr=subprocess.PIPE,
                    check=False,
                )
            except FileNotFoundError:
                raise MountFailed(
                    f"{mount_point} could not be mounted: {_HELPER} is missing; install fuse3"
                ) from None
        if result.returncode == 0 and (descriptor := _received(ours)) is not None:
            return descriptor
    said = "; ".join(result.stderr.decode(errors="replace").split("\n")).strip("; ")
    raise MountFailed(f"{mount_point} could not be mounted: {said or 'no reason was given'}")


def _received(sock: socket.socket) -> int | None:
    """The descriptor that was sent, if any."""
    numbers = array.array("i")
    _, ancillary, _, _ = sock.recvmsg(
        1, socket.CMSG_SPACE(numbers.itemsize), socket.MSG_CMSG_CLOEXEC
    )
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            numbers.frombytes(data[: numbers.itemsize])
            return numbers[0]
    return None


def _options(mounting: Mounting) -> tuple[str, ...]:
    """Those of any mount."""
    return (*mounting.kernel_flags, "ro") if mounting.read_only else mounting.kernel_flags


def _fuse_options(mounting: Mounting) -> tuple[str, ...]:
    """Those of FUSE."""
    return (
        ("default_permissions", "allow_other") if mounting.allow_other else ("default_permissions",)
    )
