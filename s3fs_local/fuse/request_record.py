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
    operation = Operation(kind, filesystem.activity.uptime_ns())
    _DESCRIBERS.get(kind, _of_nothing)(filesystem, operation, args)
    return operation


def _of_nothing(_: FileSystem, __: Operation, ___: tuple[Any, ...]) -> None:
    """The request is about no inode."""


def _of_an_inode(_: FileSystem, operation: Operation, args: tuple[Any, ...]) -> None:
    operation.ino = args[0]
    caller: Caller = args[-1]
    operation.uid, operation.pid = caller.uid, caller.pid


def _of_an_entry(filesystem: FileSystem, operation: Operation, args: tuple[Any, ...]) -> None:
    operation.name = args[1]
    _of_an_inode(filesystem, operation, args)


def _of_a_listing(filesystem: FileSystem, operation: Operation, args: tuple[Any, ...]) -> None:
    operation.ino = filesystem.listed_directory(args[0])


def _of_a_file(filesystem: FileSystem, operation: Operation, args: tuple[Any, ...]) -> None:
    try:
        handle = filesystem.open_files.get(args[0])
    except BadHandle:
        return
    operation.ino = handle.ino
    operation.uid, operation.pid = handle.caller.uid, handle.caller.pid


def _of_a_read(filesystem: FileSystem, operation: Operation, args: tuple[Any, ...]) -> None:
    operation.size = args[2]
    _of_a_file(filesystem, operation, args)


def _of_a_write(filesystem: FileSystem, operation: Operation, args: tuple[Any, ...]) -> None:
    operation.size = len(args[2])
    _of_a_file(filesystem, operation, args)


_DESCRIBERS: Final[dict[str, Callable[[FileSystem, Operation, tuple[Any, ...]], None]]] = {
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
