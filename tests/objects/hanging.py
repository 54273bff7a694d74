"""A zone that hangs when it is told to: each call waits until it is let go."""

from threading import Event

from s3fs_local.objects.attended import AttendedObjects
from s3fs_local.objects.interface import ObjectStore


class HangingObjects(AttendedObjects):
    """An `ObjectStore` over another; while `goes_on` is not set nothing returns."""

    def __init__(self, inner: ObjectStore) -> None:
        super().__init__(inner, self._wait)
        self.goes_on = Event()
        self.goes_on.set()

    def _wait(self, method: str) -> None:
        if method != "read_anew":
            self.goes_on.wait()

    def read_nowait(self, name: str, offset: int, length: int) -> bytes | None:
        """See `ObjectStore`; this one never hangs."""
        return super().read_nowait(name, offset, length) if self.goes_on.is_set() else None
