"""Where packs and journal segments live: named bytes in one zone.

A name is `/`-separated lower-case ASCII. An object is written once, by `put` (whole) or through an
`Appender` (piece by piece). Implementations pass `tests/contracts/test_objects.py`.
"""

from collections.abc import Iterator
from typing import Protocol, runtime_checkable


class Appender(Protocol):
    """A growing object. Used by one task; `sync` may run in a thread beside `append`."""

    @property
    def length(self) -> int:
        """Bytes appended so far; the next piece starts here."""
        ...

    @property
    def can_grow(self) -> bool:
        """False after a failure that left unknown bytes at the end: begin another object."""
        ...

    def append(self, data: bytes | bytearray | memoryview) -> int:
        """The bytes follow those before them; returns the offset of the first.

        Survives a killed process, not a power cut. On an error the object keeps its former length.

        Raises:
            StoreFull: no space.
            ZoneUnavailable: the zone failed otherwise.
        """
        ...

    def sync(self) -> None:
        """Everything appended before the call survives a power cut. Blocks.

        After a failure it fails for ever: the kernel may have dropped the dirty pages
        (https://lwn.net/Articles/752063/), so a later success would be a lie.
        """
        ...

    def close(self) -> None:
        """Nothing more will be appended; not a sync."""
        ...


@runtime_checkable
class Sealing(Protocol):
    """A zone that can keep everybody from an object, itself included until it takes that back."""

    def seal(self, name: str) -> bool:
        """Whether nobody can change or remove the object but through this zone.

        Removing, replacing or growing it here still works, and ends the seal. False where the zone
        cannot do that, or there is no such object.
        """
        ...


class ObjectStore(Protocol):
    """Named bytes in one zone.

    Raises:
        ZoneUnavailable: from any method, when the zone does not answer or fails.
        StoreFull: from writes.
        KeyError: from `read`, `length` and `append_to`, when there is no such object.
        FileExistsError: from `create`, when there is such an object.
        InvalidArgument: the name is none that `objects.names` allows.
    """

    def put(self, name: str, data: bytes) -> None:
        """The object is there whole and durable, or not at all; an earlier one is replaced."""
        ...

    def create(self, name: str) -> Appender:
        """A new, empty object that grows. Its name is durable after the first `sync`."""
        ...

    def append_to(self, name: str) -> Appender:
        """The existing object, to grow on from its present end."""
        ...

    def read(self, name: str, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset`; fewer only at the end of the object. May block."""
        ...

    def read_nowait(self, name: str, offset: int, length: int) -> bytes | None:
        """As `read`, but None where it would have to wait for a device or a network."""
        ...

    def length(self, name: str) -> int:
        """The bytes the object has now."""
        ...

    def list(self, prefix: str) -> Iterator[str]:
        """The names that begin with `prefix`, ascending."""
        ...

    def delete(self, name: str) -> None:
        """There is no such object, durably (also when there was none)."""
        ...

    def free_bytes(self) -> tuple[int, int]:
        """(bytes free to us, bytes in all) where the zone lives."""
        ...
