"""A zone before each of whose calls somebody is asked: for zones that fail, hang or die."""

from collections.abc import Callable, Iterator

from s3fs_local.objects.interface import Appender, ObjectStore

Before = Callable[[str], None]
"""Is given the name of a method of `ObjectStore` or `Appender`; if it raises, nothing is called."""


class AttendedAppender:
    """Grows an object of an `AttendedObjects`."""

    def __init__(self, inner: Appender, before: Before) -> None:
        """Wraps the appender of the inner store."""
        self._inner = inner
        self._before = before

    @property
    def length(self) -> int:
        """See `Appender`."""
        return self._inner.length

    @property
    def can_grow(self) -> bool:
        """See `Appender`."""
        return self._inner.can_grow

    def append(self, data: bytes | bytearray | memoryview) -> int:
        """See `Appender`."""
        self._before("append")
        return self._inner.append(data)

    def sync(self) -> None:
        """See `Appender`."""
        self._before("sync")
        self._inner.sync()

    def close(self) -> None:
        """See `Appender`; nobody is asked."""
        self._inner.close()


class AttendedObjects:
    """An `ObjectStore` over another."""

    def __init__(self, inner: ObjectStore, before: Before) -> None:
        """All calls go to `inner`, each after one of `before`."""
        self._inner = inner
        self._before = before

    def put(self, name: str, data: bytes) -> None:
        """See `ObjectStore`."""
        self._before("put")
        self._inner.put(name, data)

    def create(self, name: str) -> Appender:
        """See `ObjectStore`."""
        self._before("create")
        return AttendedAppender(self._inner.create(name), self._before)

    def append_to(self, name: str) -> Appender:
        """See `ObjectStore`."""
        self._before("append_to")
        return AttendedAppender(self._inner.append_to(name), self._before)

    def read(self, name: str, offset: int, length: int) -> bytes:
        """See `ObjectStore`."""
        self._before("read")
        return self._inner.read(name, offset, length)

    def read_nowait(self, name: str, offset: int, length: int) -> bytes | None:
        """See `ObjectStore`."""
        self._before("read_nowait")
        return self._inner.read_nowait(name, offset, length)

    def length(self, name: str) -> int:
        """See `ObjectStore`."""
        self._before("length")
        return self._inner.length(name)

    def list(self, prefix: str) -> Iterator[str]:
        """See `ObjectStore`."""
        self._before("list")
        return self._inner.list(prefix)

    def delete(self, name: str) -> None:
        """See `ObjectStore`."""
        self._before("delete")
        self._inner.delete(name)

    def sweep(self) -> int:
        """See `ObjectStore`."""
        self._before("sweep")
        return self._inner.sweep()

    def read_anew(self) -> None:
        """See `ObjectStore`."""
        self._before("read_anew")
        self._inner.read_anew()

    def free_bytes(self) -> tuple[int, int]:
        """See `ObjectStore`."""
        self._before("free_bytes")
        return self._inner.free_bytes()
