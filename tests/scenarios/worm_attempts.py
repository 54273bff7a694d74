"""Attempts on a locked file, as data: every system call that could change it, and its errno.

Each is tried on a `Target`: a file, what surrounds it, and handles from before it was locked.
"""

import ctypes
import mmap
import os
from collections.abc import Callable
from contextlib import ExitStack
from errno import (
    EACCES,
    EEXIST,
    EINVAL,
    EISDIR,
    ENODATA,
    ENOTDIR,
    ENOTEMPTY,
    EOPNOTSUPP,
    EPERM,
    EROFS,
)
from hashlib import sha256
from pathlib import Path
from time import monotonic

RENAME_NOREPLACE, RENAME_EXCHANGE = 1, 2
FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, FALLOC_FL_ZERO_RANGE = 1, 2, 16
FICLONE, FS_IOC_SETFLAGS = 0x40049409, 0x40086602
RWF_APPEND = 16
AT_SYMLINK_FOLLOW = 0x400
WATCHED_ATTRIBUTES = (
    *("user.kept", "user.new", "system.posix_acl_access", "s3.version-id", "s3.append-only"),
    *("s3.object-lock-mode", "s3.object-lock-retain-until-date", "s3.object-lock-legal-hold"),
    *("s3.tags", "s3.etag"),
)
ACL = "system.posix_acl_access"
ACL_OF_ALL = bytes.fromhex("02000000 01000700ffffffff 04000700ffffffff 20000700ffffffff")
LINES = b"first line\nsecond line\n"
LIBC = ctypes.CDLL(None, use_errno=True)


def checked(result: int) -> None:
    """Raises what a C function left in errno."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def rename2(source: Path, target: Path, flags: int) -> None:
    """Renames with flags, which Python does not offer."""
    here = -100
    checked(LIBC.renameat2(here, bytes(source), here, bytes(target), flags))


def fallocate(descriptor: int, mode: int) -> None:
    """Allocates or punches the first ten bytes."""
    checked(LIBC.fallocate(descriptor, mode, ctypes.c_long(0), ctypes.c_long(10)))


class Target:
    """One file to attack, its surroundings, and what was opened before it was locked."""

    def __init__(self, root: Path, scratch: Path) -> None:
        self.grandparent = root / "records"
        self.parent = self.grandparent / "logs"
        self.parent.mkdir(parents=True)
        self.file = self.parent / "audit.log"
        self.file.write_bytes(LINES)
        os.setxattr(self.file, "user.kept", b"yes")
        self.free = self.parent / "free-name"
        self.link = root / "link"
        self.link.symlink_to(self.file)
        self.outside = root / "outside"
        self.outside.write_bytes(b"forged\n")
        self.other_folder = root / "other"
        self.other_folder.mkdir()
        self.scratch = scratch / "forged"
        self.scratch.write_bytes(b"forged by copy\n")

    def open_handles(self, stack: ExitStack) -> None:
        """Opens what an attacker may hold from before the lock."""
        self.writing = os.open(self.file, os.O_RDWR)
        stack.callback(os.close, self.writing)
        self.appending = os.open(self.file, os.O_WRONLY | os.O_APPEND)
        stack.callback(os.close, self.appending)
        self.reading = os.open(self.file, os.O_RDONLY)
        stack.callback(os.close, self.reading)
        self.direct = os.open(self.file, os.O_RDWR | os.O_DIRECT)
        stack.callback(os.close, self.direct)
        self.map = mmap.mmap(self.writing, len(LINES))

    def version(self) -> Path:
        """The newest version, as `.versions` shows it."""
        return self.parent / ".versions" / self.file.name / "latest"

    def source(self) -> int:
        """A descriptor of a file on the same mount to copy from; it is closed with the process."""
        return os.open(self.outside, os.O_RDONLY)

    def fresh(self, name: str) -> Path:
        """A new file of the mount to put in the target's place."""
        path = self.other_folder / name
        path.unlink(missing_ok=True)
        path.write_bytes(b"forged\n")
        return path


def with_open(target: Target, flags: int) -> None:
    """Opens the target and closes it."""
    os.close(os.open(target.file, flags))


def splice_into(target: Target) -> None:
    """Moves bytes into an old handle without a write(2)."""
    reader, writer = os.pipe()
    try:
        os.write(writer, b"forged")
        os.splice(reader, target.writing, 6, offset_dst=0)
    finally:
        os.close(reader)
        os.close(writer)


def write_through_old_map(target: Target) -> None:
    """Changes mapped memory; msync may report it, and must when the pages cannot be kept."""
    target.map[0:6] = b"FORGED"
    target.map.flush()
    raise PermissionError(EPERM, "msync said nothing; the content decides")


def reopen_from_path_descriptor(target: Target) -> None:
    """Upgrades a descriptor that is open for nothing."""
    descriptor = os.open(target.file, os.O_PATH)
    try:
        os.close(os.open(f"/dev/fd/{descriptor}", os.O_RDWR | os.O_TRUNC))
    finally:
        os.close(descriptor)


def open_from_folder(target: Target) -> None:
    """Opens it relative to a descriptor of its folder."""
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.close(os.open(target.file.name, os.O_WRONLY | os.O_TRUNC, dir_fd=folder))
    finally:
        os.close(folder)


def unlink_from_folder(target: Target) -> None:
    """Removes it relative to a descriptor of its folder."""
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.unlink(target.file.name, dir_fd=folder)
    finally:
        os.close(folder)


def map_shared_for_writing(target: Target) -> None:
    """Maps what is open for reading only as if it were open for writing."""
    reading = os.open(target.file, os.O_RDONLY)
    try:
        mmap.mmap(reading, 4, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE).close()
    finally:
        os.close(reading)


def link_a_descriptor(target: Target) -> None:
    """Gives an open file another name, by /proc."""
    reading = os.open(target.file, os.O_RDONLY)
    source = f"/proc/self/fd/{reading}".encode()
    name = bytes(target.other_folder / "linked")
    try:
        checked(LIBC.linkat(-100, source, -100, name, AT_SYMLINK_FOLLOW))
    finally:
        os.close(reading)


def append_by_pwritev2(target: Target) -> None:
    """Appends through a descriptor that was not opened for appending."""
    os.pwritev(target.writing, [b"forged"], 0, RWF_APPEND)


def write_directly(target: Target) -> None:
    """Writes past the page cache."""
    buffer = mmap.mmap(-1, 4096)
    buffer[:6] = b"FORGED"
    try:
        os.pwritev(target.direct, [buffer], 0)
    finally:
        buffer.close()


def set_lock(value: bytes) -> Callable[[Target], object]:
    """Sets the attribute of the lock."""
    return lambda target: os.setxattr(target.file, "s3.object-lock", value)


def set_date(value: bytes) -> Callable[[Target], object]:
    """Sets one half of the lock."""
    return lambda target: os.setxattr(target.file, "s3.object-lock-retain-until-date", value)


def set_mode(value: bytes) -> Callable[[Target], object]:
    """Sets the other half."""
    return lambda target: os.setxattr(target.file, "s3.object-lock-mode", value)


def reopen_for_writing(target: Target) -> None:
    """Upgrades a read-only descriptor by /proc."""
    os.close(os.open(f"/proc/self/fd/{target.reading}", os.O_WRONLY | os.O_TRUNC))


Attempt = tuple[str, Callable[[Target], object], int]

# By a path, on a file that is locked in whatever way.
BY_PATH: tuple[Attempt, ...] = (
    ("open O_WRONLY|O_TRUNC", lambda t: with_open(t, os.O_WRONLY | os.O_TRUNC), EPERM),
    ("open O_RDONLY|O_TRUNC", lambda t: with_open(t, os.O_RDONLY | os.O_TRUNC), EPERM),
    ("open O_CREAT|O_TRUNC", lambda t: with_open(t, os.O_RDWR | os.O_CREAT | os.O_TRUNC), EPERM),
    ("open O_CREAT|O_EXCL", lambda t: with_open(t, os.O_CREAT | os.O_EXCL | os.O_RDWR), EEXIST),
    ("reopened from O_PATH", reopen_from_path_descriptor, EPERM),
    ("opened from its folder", open_from_folder, EPERM),
    ("new mapping of a reader", map_shared_for_writing, EACCES),
    ("truncate to its size", lambda t: os.truncate(t.file, len(LINES)), EPERM),
    ("truncate to a petabyte", lambda t: os.truncate(t.file, 1 << 50), EPERM),
    ("truncate to 0", lambda t: os.truncate(t.file, 0), EPERM),
    ("truncate shorter", lambda t: os.truncate(t.file, 5), EPERM),
    ("truncate longer", lambda t: os.truncate(t.file, 500), EPERM),
    ("unlink", lambda t: os.unlink(t.file), EPERM),
    ("rmdir", lambda t: os.rmdir(t.file), ENOTDIR),
    ("rename out of the folder", lambda t: os.rename(t.file, t.other_folder / "a"), EPERM),
    ("rename over another file", lambda t: os.rename(t.file, t.fresh("over")), EPERM),
    ("another file renamed over it", lambda t: os.rename(t.fresh("new"), t.file), EPERM),
    ("EXCHANGE", lambda t: rename2(t.file, t.outside, RENAME_EXCHANGE), EPERM),
    ("EXCHANGE, the other way", lambda t: rename2(t.outside, t.file, RENAME_EXCHANGE), EPERM),
    ("NOREPLACE onto it", lambda t: rename2(t.outside, t.file, RENAME_NOREPLACE), EEXIST),
    ("rename of the parent", lambda t: os.rename(t.parent, t.grandparent / "moved"), EPERM),
    ("parent moved out", lambda t: os.rename(t.parent, t.other_folder / "moved"), EPERM),
    ("grandparent", lambda t: os.rename(t.grandparent, t.other_folder / "moved"), EPERM),
    (
        "EXCHANGE of the parent",
        lambda t: rename2(t.parent, t.other_folder, RENAME_EXCHANGE),
        EPERM,
    ),
    (
        "EXCHANGE of the grandparent",
        lambda t: rename2(t.other_folder, t.grandparent, RENAME_EXCHANGE),
        EPERM,
    ),
    ("EXCHANGE with a folder", lambda t: rename2(t.file, t.other_folder, RENAME_EXCHANGE), EPERM),
    ("folder renamed over it", lambda t: os.rename(t.other_folder, t.file), ENOTDIR),
    ("renamed over a folder", lambda t: os.rename(t.file, t.other_folder), EISDIR),
    ("unlink from its folder", unlink_from_folder, EPERM),
    ("rmdir of the parent", lambda t: os.rmdir(t.parent), ENOTEMPTY),
    ("another folder over the parent", lambda t: os.rename(t.other_folder, t.parent), ENOTEMPTY),
    ("hard link of a descriptor", link_a_descriptor, EPERM),
    ("hard link", lambda t: os.link(t.file, t.other_folder / "link"), EPERM),
    ("link onto it", lambda t: os.link(t.outside, t.file), EEXIST),
    ("symlink onto it", lambda t: os.symlink("x", t.file), EEXIST),
    ("mkdir onto it", lambda t: os.mkdir(t.file), EEXIST),
    ("mknod onto it", lambda t: os.mknod(t.file), EEXIST),
    ("chmod", lambda t: os.chmod(t.file, 0o600), EPERM),
    ("chown", lambda t: os.chown(t.file, 12, 34), EPERM),
    ("utime now", lambda t: os.utime(t.file), EPERM),
    ("utime then", lambda t: os.utime(t.file, ns=(1, 1)), EPERM),
    ("setxattr", lambda t: os.setxattr(t.file, "user.new", b"1"), EPERM),
    ("setxattr over", lambda t: os.setxattr(t.file, "user.kept", b"no"), EPERM),
    ("setxattr CREATE", lambda t: os.setxattr(t.file, "user.new", b"1", os.XATTR_CREATE), EPERM),
    (
        "setxattr REPLACE",
        lambda t: os.setxattr(t.file, "user.kept", b"no", os.XATTR_REPLACE),
        EPERM,
    ),
    ("setxattr an ACL", lambda t: os.setxattr(t.file, ACL, ACL_OF_ALL), EPERM),
    ("chmod setuid", lambda t: os.chmod(t.file, 0o4600), EPERM),
    ("chmod through a link", lambda t: os.chmod(t.link, 0o600), EPERM),
    ("write through a link", lambda t: t.link.write_bytes(b"forged"), EPERM),
    ("utime of atime", lambda t: os.utime(t.file, ns=(1, t.file.stat().st_mtime_ns)), EPERM),
    ("removexattr", lambda t: os.removexattr(t.file, "user.kept"), EPERM),
    ("mode off", lambda t: os.removexattr(t.file, "s3.object-lock-mode"), EPERM),
    ("date off", lambda t: os.removexattr(t.file, "s3.object-lock-retain-until-date"), EPERM),
    ("hold off", lambda t: os.removexattr(t.file, "s3.object-lock-legal-hold"), EPERM),
    ("append-only off", lambda t: os.removexattr(t.file, "s3.append-only"), EPERM),
    *[
        (f"lock set to {name}", set_lock(value), EINVAL)
        for name, value in {
            "none": b"none",
            "0": b"0",
            "lower case": b"compliance 90y",
            "no period": b"COMPLIANCE",
            "zero days": b"COMPLIANCE 0d",
            "negative days": b"COMPLIANCE -1d",
            "fractions": b"COMPLIANCE 1.5d",
            "300 digits": b"COMPLIANCE " + b"9" * 300 + b"d",
            "the year 292277026597": b"COMPLIANCE 292277026597-01-01T00:00:00Z",
            "1970": b"COMPLIANCE 1970-01-01",
            "two spaces": b"COMPLIANCE  90y",
            "a newline": b"COMPLIANCE 90y\n",
            "off": b"OFF",
        }.items()
    ],
    ("append-only set to 0", lambda t: os.setxattr(t.file, "s3.append-only", b"0"), EINVAL),
    (
        "hold set to off",
        lambda t: os.setxattr(t.file, "s3.object-lock-legal-hold", b"off"),
        EINVAL,
    ),
    (
        "mode set to governance",
        lambda t: os.setxattr(t.file, "s3.object-lock-mode", b"governance"),
        EINVAL,
    ),
    ("another version id", lambda t: os.setxattr(t.file, "s3.version-id", b"null"), ENODATA),
    ("tags", lambda t: os.setxattr(t.file, "s3.tags", b"a=b"), EPERM),
    ("lock emptied", lambda t: os.setxattr(t.file, "s3.object-lock", b""), EINVAL),
    ("lock garbled", lambda t: os.setxattr(t.file, "s3.object-lock", b"\xff\xfe"), EINVAL),
    (
        "date in the past",
        lambda t: os.setxattr(t.file, "s3.object-lock-retain-until-date", b"2001-01-01T00:00:00Z"),
        EINVAL,
    ),
    (
        "date overflowing",
        lambda t: os.setxattr(t.file, "s3.object-lock-retain-until-date", b"9" * 300 + b"y"),
        EINVAL,
    ),
)

# What would make a lock of 30 days less of a lock; of the mode that it has.
BY_WEAKER_LOCK: dict[str, tuple[Attempt, ...]] = {
    "GOVERNANCE": (
        ("GOVERNANCE shortened", set_lock(b"GOVERNANCE 1h"), EPERM),
        ("GOVERNANCE shortened and stricter", set_lock(b"COMPLIANCE 1h"), EPERM),
        ("date of GOVERNANCE brought forward", set_date(b"1d"), EPERM),
    ),
    "COMPLIANCE": (
        ("COMPLIANCE shortened", set_lock(b"COMPLIANCE 1h"), EPERM),
        ("lock weakened", set_lock(b"GOVERNANCE 99y"), EPERM),
        ("mode weakened", set_mode(b"GOVERNANCE"), EPERM),
        ("date brought forward", set_date(b"1d"), EPERM),
    ),
}

# Through what was opened before the lock.
BY_OLD_HANDLE: tuple[Attempt, ...] = (
    ("old descriptor reopened by /proc", reopen_for_writing, EPERM),
    ("old pwrite at 0", lambda t: os.pwrite(t.writing, b"FORGED", 0), EPERM),
    ("old pwrite inside", lambda t: os.pwrite(t.writing, b"FORGED", 7), EPERM),
    ("old pwritev", lambda t: os.pwritev(t.writing, [b"FOR", b"GED"], 0), EPERM),
    ("old write over the end", lambda t: os.pwrite(t.writing, b"FORGED", len(LINES) - 2), EPERM),
    ("old ftruncate", lambda t: os.ftruncate(t.writing, 0), EPERM),
    ("old ftruncate of an appender", lambda t: os.ftruncate(t.appending, 3), EPERM),
    ("old ftruncate longer", lambda t: os.ftruncate(t.writing, 500), EPERM),
    ("old fchmod", lambda t: os.fchmod(t.writing, 0o777), EPERM),
    ("old fchown", lambda t: os.fchown(t.writing, 12, 34), EPERM),
    ("old futimens", lambda t: os.utime(t.writing, ns=(1, 1)), EPERM),
    ("old fsetxattr", lambda t: os.setxattr(t.writing, "user.new", b"1"), EPERM),
    ("old fremovexattr", lambda t: os.removexattr(t.reading, "user.kept"), EPERM),
    (
        "old copy_file_range",
        lambda t: os.copy_file_range(t.source(), t.writing, 6, offset_dst=0),
        EPERM,
    ),
    ("old sendfile", lambda t: os.sendfile(t.writing, t.source(), 0, 6), EPERM),
    ("old splice", splice_into, EPERM),
    (
        "old punch",
        lambda t: fallocate(t.writing, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE),
        EOPNOTSUPP,
    ),
    ("old mapping", write_through_old_map, EPERM),
)

# Under `.versions` and `.s3fs` everything is read-only.
BY_VIEW: tuple[Attempt, ...] = (
    ("version opened for writing", lambda t: os.open(t.version(), os.O_WRONLY), EROFS),
    ("version truncated", lambda t: os.truncate(t.version(), 0), EROFS),
    ("version removed", lambda t: os.unlink(t.version()), EROFS),
    ("version renamed", lambda t: os.rename(t.version(), t.other_folder / "v"), EROFS),
    ("file renamed over a version", lambda t: os.rename(t.outside, t.version()), EROFS),
    ("version chmod", lambda t: os.chmod(t.version(), 0o600), EROFS),
    ("version touched", lambda t: os.utime(t.version(), ns=(1, 1)), EROFS),
    ("version setxattr", lambda t: os.setxattr(t.version(), "user.a", b"1"), EROFS),
    (
        "version unlocked",
        lambda t: os.setxattr(t.version(), "s3.object-lock", b"GOVERNANCE 1h"),
        EROFS,
    ),
    ("version linked", lambda t: os.link(t.version(), t.other_folder / "v"), EROFS),
    ("made below .versions", lambda t: os.mkdir(t.parent / ".versions/new"), EROFS),
    ("history removed", lambda t: os.rmdir(t.parent / ".versions" / t.file.name), EROFS),
    ("snapshot removed", lambda t: os.unlink(t.parent / ".versions/@0s" / t.file.name), EROFS),
    (".versions renamed", lambda t: os.rename(t.parent / ".versions", t.free), EROFS),
    ("something made .versions", lambda t: os.mkdir(t.other_folder / ".versions"), EEXIST),
    (
        "something renamed to .versions",
        lambda t: os.rename(t.outside, t.other_folder / ".versions"),
        EISDIR,
    ),
)

BY_OLD_APPENDER: tuple[Attempt, ...] = (
    ("old append", lambda t: os.write(t.appending, b"forged\n"), EPERM),
)

# Appending is the attack on a file that is locked as it stands.
BY_APPENDING: tuple[Attempt, ...] = (
    ("open O_WRONLY", lambda t: with_open(t, os.O_WRONLY), EPERM),
    ("open O_RDWR", lambda t: with_open(t, os.O_RDWR), EPERM),
    ("open O_APPEND", lambda t: with_open(t, os.O_WRONLY | os.O_APPEND), EPERM),
    ("rename inside the folder", lambda t: os.rename(t.file, t.free), EPERM),
)


def state_of(path: Path) -> tuple[object, ...]:
    """All that an attempt might have changed: content by hash, metadata, lock, versions."""
    status = path.lstat()
    versions = path.parent / ".versions" / path.name
    return (
        sha256(path.read_bytes()).hexdigest(),
        *(status.st_ino, status.st_mode, status.st_uid, status.st_gid, status.st_nlink),
        *(status.st_size, status.st_atime_ns, status.st_mtime_ns, status.st_ctime_ns),
        *[attribute(path, name) for name in WATCHED_ATTRIBUTES],
        *sorted(version.name for version in versions.iterdir()),
        sha256((versions / "latest").read_bytes()).hexdigest(),
    )


def attribute(path: Path, name: str) -> bytes | None:
    """Its value, if there is one."""
    try:
        return os.getxattr(path, name)
    except OSError as error:
        if error.errno == ENODATA:
            return None
        raise


def is_soon(expected: object, found: Callable[[], object]) -> bool:
    """Pages of a mapping that were refused are dropped right after the refusal, from a thread."""
    give_up = monotonic() + 5
    while found() != expected:
        if monotonic() > give_up:
            return False
    return True
