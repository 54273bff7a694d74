"""What a request of the kernel is about, taken from its arguments for the record of operations.

Runs before every request, so it looks up nothing but handles, and keeps no argument itself: the
data of a write would stay in memory for as long as the record is kept.
"""

from collections.abc import Callable
from typing import Any, Final

from s3fs_local.engine.activity import Operation
from s3fs_local.engine.filesystem import FileSystem
from s3fs_local.errors import BadHandle
from s3fs_local.rules.inode import Caller


def operation_of(filesystem: FileSystem, kind: str, args: tuple[Any, ...]) -> Operation:
    """The request with these arguments, as it begins."""
    now_ns = filesystem.activity.uptime_ns()
    describe = _DESCRIBERS.get(kind)
    return Operation(kind, now_ns) if describe is None else describe(filesystem, kind, now_ns, args)


def _of_an_inode(_: FileSystem, kind: str, now_ns: int, args: tuple[Any, ...]) -> Operation:
    caller: Caller = args[-1]
    return Operation(kind, now_ns, args[0], b"", 0, caller.uid, caller.pid)


def _of_an_entry(_: FileSystem, kind: str, now_ns: int, args: tuple[Any, ...]) -> Operation:
    caller: Caller = args[-1]
    return Operation(kind, now_ns, args[0], args[1], 0, caller.uid, caller.pid)


def _of_a_listing(
    filesystem: FileSystem, kind: str, now_ns: int, args: tuple[Any, ...]
) -> Operation:
    return Operation(kind, now_ns, filesystem.listed_directory(args[0]))


def _of_a_file(
    filesystem: FileSystem, kind: str, now_ns: int, args: tuple[Any, ...], size: int = 0
) -> Operation:
    try:
        handle = filesystem.open_files.get(args[0])
    except BadHandle:
        return Operation(kind, now_ns, size=size)
    caller = handle.caller
    return Operation(kind, now_ns, handle.ino, b"", size, caller.uid, caller.pid)


def _of_a_read(filesystem: FileSystem, kind: str, now_ns: int, args: tuple[Any, ...]) -> Operation:
    return _of_a_file(filesystem, kind, now_ns, args, args[2])


def _of_a_write(filesystem: FileSystem, kind: str, now_ns: int, args: tuple[Any, ...]) -> Operation:
    return _of_a_file(filesystem, kind, now_ns, args, len(args[2]))


_DESCRIBERS: Final[dict[str, Callable[[FileSystem, str, int, tuple[Any, ...]], Operation]]] = {
    **dict.fromkeys(
        ("lookup", "mknod", "mkdir", "symlink", "unlink", "rmdir", "rename", "create"),
        _of_an_entry,
    ),
    **dict.fromkeys(
        ("getattr", "setattr", "readlink", "link", "open", "opendir"),
        _of_an_inode,
    ),
    **dict.fromkeys(("getxattr", "setxattr", "listxattr", "removexattr"), _of_an_inode),
    **dict.fromkeys(("readdir", "releasedir", "fsyncdir"), _of_a_listing),
    **dict.fromkeys(("flush", "release", "fsync"), _of_a_file),
    "read": _of_a_read,
    "write": _of_a_write,
}
