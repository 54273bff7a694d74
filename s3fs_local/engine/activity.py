"""What was asked of an open store lately: counts, times, and the last operations.

Kept all the time, for what was asked just before somebody looks is what they want to know. So it is
cheap: one small value an operation, in a ring, and everything else is made when it is read.
"""

from collections import defaultdict, deque
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from s3fs_local.engine.use import Use

LAST_OPERATIONS_MAX: Final = 1000
RUNNING: Final = -1


class Operation(Struct, gc=False):
    """One request and how it went."""

    kind: str
    started_ns: int  # by the clock of the machine's uptime
    ino: int = 0  # what it was about; 0 = unknown
    name: bytes = b""  # the entry of directory `ino` that it was about
    size: int = 0  # bytes that were asked for
    uid: int = -1  # of whoever asked; -1 = unknown
    pid: int = 0
    took_ns: int = RUNNING
    failure: str = ""  # the name of the error that answered it


class Activity:
    """The record of one mount, which uses the store.

    `uptime_ns` gives the clock that operations are timed by.
    """

    def __init__(self, uptime_ns: Callable[[], int], use: Use) -> None:
        self.uptime_ns: Final = uptime_ns
        self._use = use
        self.counts: Final[defaultdict[str, int]] = defaultdict(int)
        self.took_ns: Final[defaultdict[str, int]] = defaultdict(int)  # all together, by kind
        self.bytes_by_kind: Final[defaultdict[str, int]] = defaultdict(int)
        self.failures: Final[defaultdict[str, int]] = defaultdict(int)  # by the name of the error
        self._running: Final[dict[int, Operation]] = {}
        self._last: Final[deque[Operation]] = deque(maxlen=LAST_OPERATIONS_MAX)

    def begin(self, operation: Operation) -> None:
        """The operation is being carried out."""
        self._use.note()
        self._use.requested_ns = operation.started_ns
        self.counts[operation.kind] += 1
        self._running[id(operation)] = operation
        self._last.append(operation)

    def end(self, operation: Operation, *, failure: str = "") -> None:
        """It was answered, with the error of that name."""
        self._use.requested_ns = now_ns = self.uptime_ns()
        operation.took_ns = now_ns - operation.started_ns
        operation.failure = failure
        del self._running[id(operation)]
        self.took_ns[operation.kind] += operation.took_ns
        if failure:
            self.failures[failure] += 1
        elif operation.size:
            self.bytes_by_kind[operation.kind] += operation.size

    def running(self) -> list[Operation]:
        """What was not answered yet, the oldest first."""
        return list(self._running.values())

    def last(self) -> list[Operation]:
        """The last operations, the oldest first; those that still run are among them or older."""
        forgotten = self._running.keys() - {id(operation) for operation in self._last}
        return [self._running[key] for key in forgotten] + list(self._last)
