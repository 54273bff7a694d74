"""What is open now: handles of files and directories, and who writes to what."""

from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from typing import Final

import trio
from msgspec import Struct

from s3fs_local.errors import BadHandle
from s3fs_local.rules.inode import Caller

MakeContent = Callable[[], Awaitable[bytes]]


class OpenedFile(Struct, frozen=True):
    """What open(2) gives back."""

    handle: int
    keep_cache: bool = True  # the kernel's pages of the file are still true
    direct_io: bool = False  # the kernel must not cache, and not trust st_size


class Handle:
    """One open file description."""

    __slots__ = (
        "at_ns",
        "caller",
        "content",
        "ino",
        "make_content",
        "provisional_ns",
        "writable",
        "wrote",
    )

    def __init__(self, ino: int, *, caller: Caller, writable: bool) -> None:
        self.ino = ino
        self.caller = caller
        self.writable = writable
        self.wrote = False  # since it was opened; such a handle commits when it is closed
        self.provisional_ns = 0  # the version that an earlier close(2) of a duplicate made
        self.at_ns = 0  # views: the version whose layouts are read; 0 = the present ones
        self.content: bytes | None = None  # views: a text
        self.make_content: MakeContent | None = None  # views: of one that nobody has read yet

    @property
    def is_of_view(self) -> bool:
        """Whether it reads something past, or a text."""
        return bool(self.at_ns or self.content is not None or self.make_content)


class OpenFiles:
    """The table of open handles. Numbers are never used twice within a mount."""

    def __init__(self) -> None:
        self._handles: dict[int, Handle] = {}
        self._last = 0
        self._open_counts: defaultdict[int, int] = defaultdict(int)
        self._shown: Counter[tuple[int, int]] = Counter()  # versions, by views
        self._writers: defaultdict[int, list[Handle]] = defaultdict(list)
        self._unwritten: dict[int, trio.Event] = {}
        self._when_closed: dict[int, Callable[[int], None]] = {}

    def add(self, handle: Handle) -> int:
        """The number of a new handle."""
        self._last += 1
        self._handles[self._last] = handle
        self._open_counts[handle.ino] += 1
        if handle.writable:
            self._writers[handle.ino].append(handle)
        if handle.at_ns:
            self._shown[handle.ino, handle.at_ns] += 1
        return self._last

    def get(self, number: int) -> Handle:
        """The open handle.

        Raises:
            BadHandle: it is not open.
        """
        handle = self._handles.get(number)
        if handle is None:
            raise BadHandle(f"handle {number}")
        return handle

    def remove(self, number: int) -> Handle:
        """The handle is closed for good. Raises BadHandle if it is not open."""
        handle = self.get(number)
        del self._handles[number]
        if handle.writable:
            self._writers[handle.ino].remove(handle)
            if not self._writers[handle.ino]:
                del self._writers[handle.ino]
                waited_for = self._unwritten.pop(handle.ino, None)
                if waited_for is not None:
                    waited_for.set()
        if handle.at_ns:
            self._shown[handle.ino, handle.at_ns] -= 1
            if not self._shown[handle.ino, handle.at_ns]:
                del self._shown[handle.ino, handle.at_ns]
        self._open_counts[handle.ino] -= 1
        if not self._open_counts[handle.ino]:
            del self._open_counts[handle.ino]
            then = self._when_closed.pop(handle.ino, None)
            if then is not None:
                then(handle.ino)
        return handle

    def is_open(self, ino: int) -> bool:
        """Whether any handle of the inode is open."""
        return ino in self._open_counts

    def is_shown(self, ino: int, stamp_ns: int) -> bool:
        """Whether that version of the inode is open below `.versions`."""
        return (ino, stamp_ns) in self._shown

    def open_inodes(self) -> list[int]:
        """The inodes that are open."""
        return list(self._open_counts)

    def written(self) -> list[int]:
        """The inodes that are open for writing."""
        return list(self._writers)

    def writers(self, ino: int) -> list[int]:
        """The processes (pids, ascending) that have the inode open for writing."""
        return sorted({handle.caller.pid for handle in self._writers.get(ino, ())})

    def is_written(self, ino: int) -> bool:
        """Whether anybody has the inode open for writing."""
        return ino in self._writers

    async def until_unwritten(self, ino: int) -> None:
        """Waits until no handle is open for writing."""
        while ino in self._writers:
            await self._unwritten.setdefault(ino, trio.Event()).wait()

    def when_closed(self, ino: int, then: Callable[[int], None]) -> None:
        """`then(ino)` runs when the last open handle is closed."""
        self._when_closed[ino] = then

    def __len__(self) -> int:
        return len(self._handles)


O_ACCMODE: Final = 3
