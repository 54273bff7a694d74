"""A zone that fails as scripted, and that can lose power; for tests and simulations.

Faults are those the `ObjectStore` contract allows: a call that raises and changes nothing. A power
cut drops what was not synced: objects created but never synced vanish, others lose the end that no
sync covered, or the part of it that the test chooses. `put` and `delete` are durable on return.
"""

from collections import Counter
from collections.abc import Callable

from msgspec import Struct

from s3fs_local.errors import S3fsLocalError, ZoneUnavailable
from s3fs_local.objects.attended import AttendedAppender, AttendedObjects
from s3fs_local.objects.interface import Appender, ObjectStore


class Fault(Struct, frozen=True):
    """The `nth` call of a method fails.

    `method` names a method of `ObjectStore` or `Appender`; calls of all objects count, from 1.
    """

    method: str
    nth: int
    error: S3fsLocalError
    for_ever: bool = False  # every later call too


class FailingAppender(AttendedAppender):
    """Grows an object of a `FailingObjects`."""

    def __init__(self, store: "FailingObjects", name: str, inner: Appender) -> None:
        """Wraps the appender of the inner store."""
        super().__init__(inner, self._count)
        self._store = store
        self._name = name
        self._powered = store.cuts

    def sync(self) -> None:
        """See `Appender`."""
        length = self.length
        super().sync()
        self._store.note_durable(self._name, length)

    def _count(self, method: str) -> None:
        if self._powered != self._store.cuts:
            raise ZoneUnavailable("the power was cut")
        self._store.count(method)


class FailingObjects(AttendedObjects):
    """An `ObjectStore` over another, which meets the faults it is given."""

    def __init__(self, inner: ObjectStore) -> None:
        """Without faults at first; what `inner` holds already is durable."""
        super().__init__(inner, self.count)
        self.faults: list[Fault] = []
        self.calls: Counter[str] = Counter()
        self.failures = 0  # calls that failed
        self.cuts = 0  # how often the power was cut
        self._durable: dict[str, int | None] = {}  # only objects that grew; None: not even the name

    def fail(
        self, method: str, error: S3fsLocalError, *, nth: int = 1, for_ever: bool = False
    ) -> None:
        """The `nth` call of the method from now on raises, and all later ones if `for_ever`."""
        nth += self.calls[method]
        self.faults.append(Fault(method=method, nth=nth, error=error, for_ever=for_ever))

    def count(self, method: str) -> None:
        """One more call of the method; raises if a fault is due."""
        self.calls[method] += 1
        call = self.calls[method]
        for fault in self.faults:
            if fault.method == method and (
                call == fault.nth or (fault.for_ever and call > fault.nth)
            ):
                self.failures += 1
                raise fault.error

    def note_durable(self, name: str, length: int) -> None:
        """The first `length` bytes of the object survive a power cut."""
        if name in self._durable:
            self._durable[name] = max(length, self._durable[name] or 0)

    def power_cut(self, keep: Callable[[str, bytes], bytes] | None = None) -> None:
        """Only what was durable is left; appenders of before are dead.

        Args:
            keep: given an object's name and the bytes after its durable ones, returns what of them
                the disk shows afterwards; by default nothing.
        """
        self.cuts += 1
        for name, durable in self._durable.items():
            content = self._inner.read(name, 0, self._inner.length(name))
            unsynced = content[durable or 0 :]
            left = b"" if keep is None else keep(name, unsynced)
            if durable is None and not left:
                self._inner.delete(name)
            else:
                self._inner.put(name, content[: durable or 0] + left)
        self._durable.clear()

    def put(self, name: str, data: bytes) -> None:
        """See `ObjectStore`."""
        super().put(name, data)
        self._durable.pop(name, None)

    def create(self, name: str) -> FailingAppender:
        """See `ObjectStore`."""
        self.count("create")
        inner = self._inner.create(name)
        self._durable[name] = None
        return FailingAppender(self, name, inner)

    def append_to(self, name: str) -> FailingAppender:
        """See `ObjectStore`."""
        self.count("append_to")
        inner = self._inner.append_to(name)
        self._durable.setdefault(name, inner.length)
        return FailingAppender(self, name, inner)

    def delete(self, name: str) -> None:
        """See `ObjectStore`."""
        super().delete(name)
        self._durable.pop(name, None)
