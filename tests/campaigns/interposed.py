"""A daemon whose system calls fail as told, that dies at one, or whose syncs lie: interposed.c."""

import mmap
import struct
from pathlib import Path
from typing import Final

from tests.mounting import run

KINDS: Final = ("open", "read", "write", "sync", "truncate", "rename", "unlink", "mkdir")
_ORDERS: Final = struct.Struct("=iiiiqq")
_COUNTS: Final = struct.Struct(f"={len(KINDS) + 3}q")
_NONE: Final = -1


class Interposed:
    """The orders for one daemon, shared with it while it runs."""

    def __init__(self, folder: Path, below: Path) -> None:
        library, file = folder / "interposed.so", folder / "orders"
        source = Path(__file__).with_suffix(".c")
        run("gcc", "-O1", "-shared", "-fPIC", "-o", library, source, "-ldl")
        file.write_bytes(bytes(mmap.PAGESIZE))
        with file.open("r+b") as opened:
            self._shared = mmap.mmap(opened.fileno(), mmap.PAGESIZE)
        self.environment = {
            "LD_PRELOAD": str(library),
            "FAULTS_FILE": str(file),
            "FAULTS_BELOW": str(below),
        }
        self.let_be()

    def let_be(self) -> None:
        """Nothing fails any more; counting begins anew."""
        _ORDERS.pack_into(self._shared, 0, _NONE, 0, 0, 0, 0, 0)
        _COUNTS.pack_into(self._shared, _ORDERS.size, *[0] * (len(KINDS) + 3))

    def fail(self, kind: str, *, nth: int, error: int, for_ever: bool) -> None:
        """The nth call of the kind from now on fails, and all later ones if `for_ever`."""
        self.let_be()
        _ORDERS.pack_into(self._shared, 0, KINDS.index(kind), error, for_ever, 0, nth, 0)

    def kill(self, *, nth: int) -> None:
        """Whoever makes the nth call of any kind from now on is killed before it is made."""
        self.let_be()
        _ORDERS.pack_into(self._shared, 0, _NONE, 0, 0, 0, 0, nth)

    def lie(self) -> None:
        """Syncs do nothing and succeed."""
        _ORDERS.pack_into(self._shared, 0, _NONE, 0, 0, 1, 0, 0)

    def calls(self) -> dict[str, int]:
        """How many of each kind since counting began."""
        return dict(zip(KINDS, self._counts(), strict=False))

    def failed(self) -> int:
        """How many were made to fail."""
        return self._counts()[len(KINDS)]

    def all_calls(self) -> int:
        """How many of any kind since counting began."""
        return self._counts()[-2]

    def killed(self) -> int:
        """The process that was killed; 0 where none was."""
        return self._counts()[-1]

    def _counts(self) -> tuple[int, ...]:
        return _COUNTS.unpack_from(self._shared, _ORDERS.size)
