"""A zone in memory: for tests, simulations and stores that may vanish."""

from collections.abc import Iterator
from typing import Final

from s3fs_local.objects.names import check_name

_TOTAL_BYTES: Final = 1 << 40


class MemoryAppender:
    """Grows one object in memory."""

    def __init__(self, content: bytearray) -> None:
        """Goes on at the end of `content`."""
        self._content = content

    @property
    def length(self) -> int:
        """See `Appender`."""
        return len(self._content)

    @property
    def can_grow(self) -> bool:
        """See `Appender`."""
        return True

    def append(self, data: bytes | bytearray | memoryview) -> int:
        """See `Appender`."""
        offset = len(self._content)
        self._content += data
        return offset

    def sync(self) -> None:
        """Nothing here survives a power cut; `failing.FailingObjects` plays one."""

    def close(self) -> None:
        """See `Appender`."""


class MemoryObjects:
    """An `ObjectStore` whose objects are byte arrays."""

    def __init__(self) -> None:
        """Holds nothing."""
        self._contents: dict[str, bytearray] = {}

    def put(self, name: str, data: bytes) -> None:
        """See `ObjectStore`."""
        check_name(name)
        self._contents[name] = bytearray(data)

    def create(self, name: str) -> MemoryAppender:
        """See `ObjectStore`."""
        check_name(name)
        if name in self._contents:
            raise FileExistsError(name)
        self._contents[name] = bytearray()
        return MemoryAppender(self._contents[name])

    def append_to(self, name: str) -> MemoryAppender:
        """See `ObjectStore`."""
        check_name(name)
        return MemoryAppender(self._contents[name])

    def read(self, name: str, offset: int, length: int) -> bytes:
        """See `ObjectStore`."""
        check_name(name)
        return bytes(self._contents[name][offset : offset + length])

    def read_nowait(self, name: str, offset: int, length: int) -> bytes | None:
        """See `ObjectStore`; memory never waits."""
        return self.read(name, offset, length)

    def length(self, name: str) -> int:
        """See `ObjectStore`."""
        check_name(name)
        return len(self._contents[name])

    def list(self, prefix: str) -> Iterator[str]:
        """See `ObjectStore`."""
        return iter(sorted(name for name in self._contents if name.startswith(prefix)))

    def delete(self, name: str) -> None:
        """See `ObjectStore`."""
        check_name(name)
        self._contents.pop(name, None)

    def rot(self, name: str, offset: int, mask: int) -> None:
        """The bits of `mask` are others in one byte, as on a disk that decays."""
        self._contents[name][offset] ^= mask

    def sweep(self) -> int:
        """See `ObjectStore`; nothing is ever left."""
        return 0

    def read_anew(self) -> None:
        """See `ObjectStore`; nothing is ever open."""

    def free_bytes(self) -> tuple[int, int]:
        """See `ObjectStore`; a number larger than any test."""
        used = sum(len(content) for content in self._contents.values())
        return _TOTAL_BYTES - used, _TOTAL_BYTES
