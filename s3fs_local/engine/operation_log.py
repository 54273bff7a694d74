"""The last operations as lines for people: `.s3fs/oplog`."""

from collections.abc import Iterator
from typing import Final

from s3fs_local.engine.activity import RUNNING, Operation
from s3fs_local.engine.filesystem import FileSystem
from s3fs_local.metadata.interface import Metadata
from s3fs_local.rules.inode import FIRST_VIRTUAL_INO, ROOT_INO
from s3fs_local.rules.instants import format_rfc3339
from s3fs_local.rules.names import printed
from s3fs_local.rules.namespace import OPEN_NS

_DEPTH_MAX: Final = 128
_NS_PER_MS: Final = 1_000_000


def operation_log(filesystem: FileSystem) -> Iterator[str]:
    """One line an operation, the oldest first: time, kind, path, bytes, ms, who, error.

    Bytes are 0 where there were none; ms is `running` where there is no answer yet.
    """
    activity = filesystem.activity
    # What is timed by uptime is told in the store's time: both go on alike.
    ahead_ns = filesystem.volume.now_ns() - activity.uptime_ns()
    paths = Paths(filesystem.volume.metadata)
    for operation in activity.last():
        took = (
            "running" if operation.took_ns == RUNNING else f"{operation.took_ns / _NS_PER_MS:.3f}"
        )
        who = f"uid={operation.uid} pid={operation.pid}" if operation.pid else "-"
        yield (
            f"{format_rfc3339(operation.started_ns + ahead_ns):<30}  {operation.kind:<11}  "
            f"{paths.of(operation)}  {operation.size}  {took}  {who}  "
            f"{operation.failure or 'ok'}"
        )


class Paths:
    """Where inodes are now, or were last. Good for one look: it remembers what it found."""

    def __init__(self, metadata: Metadata) -> None:
        self._metadata = metadata
        self._known: dict[int, bytes] = {ROOT_INO: b""}

    def of(self, operation: Operation) -> str:
        """The path that the operation was about, in quotes; `-` where none is known."""
        if not operation.ino:
            return "-"
        name = b"/" + operation.name if operation.name else b""
        if operation.ino >= FIRST_VIRTUAL_INO:
            return printed(b"(a view)" + name)
        return printed(self._of_inode(operation.ino, _DEPTH_MAX) + name or b"/")

    def _of_inode(self, ino: int, depth: int) -> bytes:
        path = self._known.get(ino)
        if path is None:
            entries = self._metadata.entries_of(ino)
            if not entries or not depth:
                return b"(inode %d)" % ino  # of a file that is gone with all its names
            entry = next((one for one in entries if one.to_ns == OPEN_NS), entries[-1])
            path = self._known[ino] = self._of_inode(entry.parent, depth - 1) + b"/" + entry.name
        return path
