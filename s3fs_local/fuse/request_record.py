"""What a request of the kernel is about, taken from its arguments for the record of operations.

Runs before every request, so it looks up nothing but handles, and keeps no argument itself: the
data of a write would stay in memory for as long as the record is kept.
"""

from typing import Any, Final

import pyfuse3

from s3fs_local.engine.activity import Operation
from s3fs_local.engine.filesystem import FileSystem
from s3fs_local.errors import BadHandle

_OF_A_FILE: Final = frozenset({"read", "write", "flush", "release", "fsync"})
_OF_A_LISTING: Final = frozenset({"readdir", "releasedir", "fsyncdir"})
_ABOUT_AN_ENTRY: Final = frozenset(
    {"lookup", "mknod", "mkdir", "symlink", "unlink", "rmdir", "rename", "create"}
)


def operation_of(filesystem: FileSystem, kind: str, args: tuple[Any, ...]) -> Operation:
    """The request with these arguments, as it begins."""
    started_ns = filesystem.activity.uptime_ns()
    if kind in _OF_A_FILE:
        return _of_a_file(filesystem, Operation(kind, started_ns), args)
    if kind in _OF_A_LISTING:
        return Operation(kind, started_ns, filesystem.listed_directory(args[0]))
    if not args or not isinstance(args[0], int):
        return Operation(kind, started_ns)  # of no inode: statfs, forget
    operation = Operation(kind, started_ns, args[0])
    if kind in _ABOUT_AN_ENTRY:
        operation.name = args[1]
    context = args[-1]
    if isinstance(context, pyfuse3.RequestContext):
        operation.uid, operation.pid = context.uid, context.pid
    return operation


def _of_a_file(filesystem: FileSystem, operation: Operation, args: tuple[Any, ...]) -> Operation:
    try:
        handle = filesystem.open_files.get(args[0])
    except BadHandle:
        return operation
    operation.ino = handle.ino
    operation.uid, operation.pid = handle.caller.uid, handle.caller.pid
    if operation.kind == "read":
        operation.size = args[2]
    elif operation.kind == "write":
        operation.size = len(args[2])
    return operation
