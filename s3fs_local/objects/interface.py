"""Where packs and journal segments live: named bytes in one zone.

A name is `/`-separated lower-case ASCII. An object is written once, by `put` (whole) or through an
`Appender` (piece by piece). Implementations pass `tests/contracts/test_objects.py`.
"""

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

from s3fs_local.rules.keeping import Keeping


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

        Raises:
            StoreFull: no space where that is no such failure: it may be tried again.
            ZoneUnavailable: for good.
        """
        ...

    def close(self) -> None:
        """Nothing more will be appended; not a sync."""
        ...


@runtime_checkable
class Keeper(Protocol):
    """A zone that can keep objects which grow no more in some special way."""

    @property
    def locks_objects(self) -> bool:
        """Whether it takes retentions and holds, which it enforces against everybody."""
        ...

    @property
    def has_classes(self) -> bool:
        """Whether it keeps objects of different classes differently."""
        ...

    def keep(self, name: str, wanted: Keeping) -> str:
        """The object is kept so, as far as the zone can; else why not. Blocks.

        Removing and replacing it through this zone still work. Where others cannot undo them, the
        bytes stay in the zone, out of its own sight, as long as they are locked.

        Raises:
            KeyError, ZoneUnavailable: as `ObjectStore`.
        """
        ...

    def bring_back(self) -> int:
        """What was locked here, and somebody hid or replaced, is as it was; returns how many.

        Names whose objects never change with time; others only where there is nothing.
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

    def sweep(self) -> int:
        """What puts that a killed process never ended have left, out of sight, is gone; how much.

        Those that run in this process are left alone. Blocks.
        """
        ...

    def read_anew(self) -> None:
        """What is read from now on is what its name means now, whatever was open for reading."""
        ...

    def free_bytes(self) -> tuple[int, int]:
        """(bytes free to us, bytes in all) where the zone lives."""
        ...
