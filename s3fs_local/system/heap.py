"""How memory is looked after in a process that lives long and handles megabytes all the time."""

import ctypes
import gc
from contextlib import suppress
from typing import Final

KEPT_BYTES: Final = 256 << 20
LARGE_BYTES: Final = 8 << 20
"""What is larger (whole segments of a log, which a scrub or a verification reads) is mapped by
itself, and given back when it is freed."""

YOUNG_OBJECTS_MAX: Final = 10_000
"""New containers until the collector looks at them; by default 700, some ten requests."""

_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8

_SETTINGS: Final = (
    (_M_TRIM_THRESHOLD, KEPT_BYTES),
    (_M_MMAP_THRESHOLD, LARGE_BYTES),
    (_M_ARENA_MAX, 1),
)


def prepare_heap() -> bool:
    """All threads share one heap, and KEPT_BYTES of what it freed stay with the process.

    False where the libc cannot do that.

    By default glibc hands the top of the heap back at each free of a large buffer and faults every
    page in again at the next: opening a sealed 1 MiB block took 1,150 us so, and 180 us with this.
    And each thread gets a heap of its own, whose freed pieces no other thread can use: after 32,000
    steps of a soak these were 29 MiB of 117. Nearly all that allocates holds Python's own mutex.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # musl has no mallopt
        return False
    return all(mallopt(setting, value) == 1 for setting, value in _SETTINGS)


def give_back_freed_memory() -> None:
    """The machine has back what `prepare_heap` kept, in 1 to 2 ms for each 100 MiB.

    Nothing happens where the libc cannot do that.
    """
    with suppress(OSError, AttributeError):  # musl has no malloc_trim
        ctypes.CDLL(None).malloc_trim(0)


def spare_what_stays() -> None:
    """The collector of cycles leaves alone what there is now, and looks at the rest less often.

    Modules, classes and code are some 46,000 objects, which it otherwise goes through for nothing:
    each time some request has to wait for 20 ms. What a request makes has no cycles but for an
    error's traceback, so little is left to it.
    """
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS_MAX)
