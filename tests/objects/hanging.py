"""A zone that hangs when it is told to: each call waits until it is let go."""

from collections.abc import Iterator
from threading import Event

from s3fs_local.objects.interface import Appender, ObjectStore


class HangingAppender:
    """Grows an object of a `HangingObjects`."""

    def __init__(self, inner: Appender, goes_on: Event) -> None:
        self._inner = inner
        self._goes_on = goes_on

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
        self._goes_on.wait()
        return self._inner.append(data)

    def sync(self) -> None:
        """See `Appender`."""
        self._goes_on.wait()
        self._inner.sync()

    def close(self) -> None:
        """See `Appender`."""
        self._inner.close()


class HangingObjects:
    """An `ObjectStore` over another; while `goes_on` is not set nothing returns."""

    def __init__(self, inner: ObjectStore) -> None:
        self.goes_on = Event()
        self.goes_on.set()
        self._inner = inner

    def put(self, name: str, data: bytes) -> None:
        """See `ObjectStore`."""
        self.goes_on.wait()
        self._inner.put(name, data)

    def create(self, name: str) -> HangingAppender:
        """See `ObjectStore`."""
        self.goes_on.wait()
        return HangingAppender(self._inner.create(name), self.goes_on)

    def append_to(self, name: str) -> HangingAppender:
        """See `ObjectStore`."""
        self.goes_on.wait()
        return HangingAppender(self._inner.append_to(name), self.goes_on)

    def read(self, name: str, offset: int, length: int) -> bytes:
        """See `ObjectStore`."""
        self.goes_on.wait()
        return self._inner.read(name, offset, length)

    def read_nowait(self, name: str, offset: int, length: int) -> bytes | None:
        """See `ObjectStore`; this one never hangs."""
        return self._inner.read_nowait(name, offset, length) if self.goes_on.is_set() else None

    def length(self, name: str) -> int:
        """See `ObjectStore`."""
        self.goes_on.wait()
        return self._inner.length(name)

    def list(self, prefix: str) -> Iterator[str]:
        """See `ObjectStore`."""
        self.goes_on.wait()
        return self._inner.list(prefix)

    def delete(self, name: str) -> None:
        """See `ObjectStore`."""
        self.goes_on.wait()
        self._inner.delete(name)

    def sweep(self) -> int:
        """See `ObjectStore`."""
        self.goes_on.wait()
        return self._inner.sweep()

    def read_anew(self) -> None:
        """See `ObjectStore`."""
        self._inner.read_anew()

    def free_bytes(self) -> tuple[int, int]:
        """See `ObjectStore`."""
        self.goes_on.wait()
        return self._inner.free_bytes()
