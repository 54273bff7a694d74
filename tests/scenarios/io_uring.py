"""System calls made by the kernel's own threads: io_uring(7), one submission at a time.

There is no library for it in Python. The layouts are those of <linux/io_uring.h>, which stay.
"""

import ctypes
import mmap
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_SETUP, _ENTER, _REGISTER = 425, 426, 427  # the same on every architecture
_SQ_RING, _CQ_RING, _SQES = 0, 0x8000000, 0x10000000
_GET_EVENTS, _REGISTER_FILES = 1, 2
_ENTRIES: Final = 4
_PARAMETERS: Final = struct.Struct("=10I 10I 10I")
_SQE: Final = struct.Struct("=BBHiQQIIQHHiQQ")
_CQE: Final = struct.Struct("=QiI")
_U32: Final = struct.Struct("=I")
_LIBC: Final = ctypes.CDLL(None, use_errno=True)

FALLOCATE, OPENAT, WRITE, SPLICE, RENAMEAT, UNLINKAT = 17, 18, 23, 30, 35, 36
LINKAT, FSETXATTR, SETXATTR, FTRUNCATE = 39, 41, 42, 55
_FIXED_FILE: Final = 1


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


class Ring:
    """A pair of queues."""

    def __init__(self, descriptor: int, parameters: bytes) -> None:
        words = _PARAMETERS.unpack(parameters)
        self._descriptor = descriptor
        # Offsets in the ring of submissions: head, tail, mask, entries, flags, dropped, array.
        self._sq, self._cq = words[10:17], words[20:26]
        self._submissions = self._map(_SQ_RING, self._sq[6] + 4 * words[0])
        self._completions = self._map(_CQ_RING, self._cq[5] + _CQE.size * words[1])
        self._entries = self._map(_SQES, _SQE.size * words[0])
        self._kept: list[object] = []  # what the kernel has addresses of

    def _map(self, offset: int, size: int) -> mmap.mmap:
        return mmap.mmap(self._descriptor, size, mmap.MAP_SHARED, offset=offset)

    def close(self) -> None:
        """Nothing of it is left."""
        for part in (self._submissions, self._completions, self._entries):
            part.close()
        os.close(self._descriptor)

    def register(self, descriptor: int) -> None:
        """The ring has the file itself, as number 0, whatever becomes of the descriptor."""
        files = (ctypes.c_int * 1)(descriptor)
        _checked(
            _LIBC.syscall(_REGISTER, self._descriptor, _REGISTER_FILES, ctypes.byref(files), 1)
        )

    def address(self, data: bytes) -> int:
        """Where these bytes are, with a zero behind them."""
        buffer = ctypes.create_string_buffer(data)
        self._kept.append(buffer)
        return ctypes.addressof(buffer)

    def call(  # noqa: PLR0913  the members of the kernel's struct
        self,
        operation: int,
        *,
        fd: int = -100,
        registered: bool = False,
        off: int = 0,
        address: int = 0,
        size: int = 0,
        flags: int = 0,
        splice_fd: int = 0,
        third: int = 0,
    ) -> int:
        """What the operation returned.

        Raises:
            OSError: it was refused.
        """
        entry = _SQE.pack(
            *(operation, _FIXED_FILE if registered else 0, 0, fd, off, address, size, flags),
            *(0, 0, 0, splice_fd, third, 0),
        )
        (tail,) = _U32.unpack_from(self._submissions, self._sq[1])
        (mask,) = _U32.unpack_from(self._submissions, self._sq[2])
        slot = tail & mask
        self._entries[slot * _SQE.size : (slot + 1) * _SQE.size] = entry
        _U32.pack_into(self._submissions, self._sq[6] + 4 * slot, slot)
        _U32.pack_into(self._submissions, self._sq[1], (tail + 1) & 0xFFFFFFFF)
        _checked(_LIBC.syscall(_ENTER, self._descriptor, 1, 1, _GET_EVENTS, None, 0))
        (head,) = _U32.unpack_from(self._completions, self._cq[0])
        (mask,) = _U32.unpack_from(self._completions, self._cq[2])
        _, result, _ = _CQE.unpack_from(self._completions, self._cq[5] + _CQE.size * (head & mask))
        _U32.pack_into(self._completions, self._cq[0], (head + 1) & 0xFFFFFFFF)
        if result < 0:
            raise OSError(-result, os.strerror(-result))
        return int(result)


@contextmanager
def ring() -> Iterator[Ring]:
    """A new ring, for the time of the block.

    Raises:
        OSError: the kernel has none, or does not allow it.
    """
    parameters = ctypes.create_string_buffer(_PARAMETERS.size)
    descriptor = _checked(_LIBC.syscall(_SETUP, _ENTRIES, parameters))
    made = Ring(descriptor, parameters.raw)
    try:
        yield made
    finally:
        made.close()
