"""A zone that is only read: what is written to it lies in memory, over what is there.

So whatever opening a store has to write, to recover from its last end, is written, and the zone is
what it was. Nothing of it survives the process.
"""

from collections.abc import Callable, Iterator

from s3fs_local.objects.interface import ObjectStore
from s3fs_local.objects.names import check_name


class _Above:
    """An object that was written here: the first bytes of the one below, and what follows them."""

    __slots__ = ("rest", "start")

    def __init__(self, start: int, rest: bytes = b"") -> None:
        self.start = start  # so many bytes are those of the object below
        self.rest = bytearray(rest)

    @property
    def length(self) -> int:
        return self.start + len(self.rest)


class OverlayAppender:
    """Grows one object, in memory."""

    def __init__(self, above: _Above) -> None:
        self._above = above

    @property
    def length(self) -> int:
        """See `Appender`."""
        return self._above.length

    @property
    def can_grow(self) -> bool:
        """See `Appender`."""
        return True

    def append(self, data: bytes | bytearray | memoryview) -> int:
        """See `Appender`; survives nothing."""
        offset = self._above.length
        self._above.rest += data
        return offset

    def sync(self) -> None:
        """Nothing here survives anything, which whoever opened the store so knows."""

    def close(self) -> None:
        """See `Appender`."""


class Overlay:
    """An `ObjectStore` over another, which is never written to."""

    def __init__(self, below: ObjectStore) -> None:
        """Shows what is below."""
        self._below = below
        self._above: dict[str, _Above] = {}
        self._gone: set[str] = set()  # of those below

    def put(self, name: str, data: bytes) -> None:
        """See `ObjectStore`."""
        check_name(name)
        self._above[name] = _Above(0, data)

    def create(self, name: str) -> OverlayAppender:
        """See `ObjectStore`."""
        try:
            self.length(name)
        except KeyError:
            above = self._above[name] = _Above(0)
            return OverlayAppender(above)
        raise FileExistsError(name)

    def append_to(self, name: str) -> OverlayAppender:
        """See `ObjectStore`."""
        above = self._above.get(name)
        if above is None:
            above = self._above[name] = _Above(self.length(name))
        return OverlayAppender(above)

    def read(self, name: str, offset: int, length: int) -> bytes:
        """See `ObjectStore`."""
        content = self._read(self._below.read, name, offset, length)
        assert content is not None, "what waits has all"
        return content

    def read_nowait(self, name: str, offset: int, length: int) -> bytes | None:
        """See `ObjectStore`."""
        return self._read(self._below.read_nowait, name, offset, length)

    def _read(
        self, read_below: Callable[[str, int, int], bytes | None], name: str, offset: int, size: int
    ) -> bytes | None:
        above = self._above.get(name)
        if above is None:
            self._check_there(name)
            return read_below(name, offset, size)
        below_bytes = min(size, above.start - offset)
        if below_bytes <= 0:
            return _of_rest(above, offset, size)
        head = read_below(name, offset, below_bytes)
        return None if head is None else head + _of_rest(above, above.start, size - below_bytes)

    def length(self, name: str) -> int:
        """See `ObjectStore`."""
        above = self._above.get(name)
        if above is not None:
            return above.length
        self._check_there(name)
        return self._below.length(name)

    def list(self, prefix: str) -> Iterator[str]:
        """See `ObjectStore`."""
        there = set(self._below.list(prefix)) - self._gone
        return iter(sorted(there | {name for name in self._above if name.startswith(prefix)}))

    def delete(self, name: str) -> None:
        """See `ObjectStore`."""
        check_name(name)
        self._gone.add(name)
        self._above.pop(name, None)

    def sweep(self) -> int:
        """See `ObjectStore`; what is left below stays."""
        return 0

    def read_anew(self) -> None:
        """See `ObjectStore`."""
        self._below.read_anew()

    def free_bytes(self) -> tuple[int, int]:
        """See `ObjectStore`; where the zone lives."""
        return self._below.free_bytes()

    def _check_there(self, name: str) -> None:
        check_name(name)
        if name in self._gone:
            raise KeyError(name)


def _of_rest(above: _Above, offset: int, length: int) -> bytes:
    start = offset - above.start
    return bytes(above.rest[start : start + max(length, 0)])
