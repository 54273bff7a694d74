"""A daemon whose system calls fail as told, or whose syncs lie: see interposed.c."""

import mmap
import struct
from pathlib import Path
from typing import Final

from tests.mounting import run

KINDS: Final = ("open", "read", "write", "sync", "truncate", "rename", "unlink", "mkdir")
_ORDERS: Final = struct.Struct("=iiiiq")
_COUNTS: Final = struct.Struct(f"={len(KINDS) + 1}q")
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
        _ORDERS.pack_into(self._shared, 0, _NONE, 0, 0, 0, 0)
        _COUNTS.pack_into(self._shared, _ORDERS.size, *[0] * (len(KINDS) + 1))

    def fail(self, kind: str, *, nth: int, error: int, for_ever: bool) -> None:
        """The nth call of the kind from now on fails, and all later ones if `for_ever`."""
        self.let_be()
        _ORDERS.pack_into(self._shared, 0, KINDS.index(kind), error, for_ever, 0, nth)

    def lie(self) -> None:
        """Syncs do nothing and succeed."""
        _ORDERS.pack_into(self._shared, 0, _NONE, 0, 0, 1, 0)

    def calls(self) -> dict[str, int]:
        """How many of each kind since counting began."""
        counts = _COUNTS.unpack_from(self._shared, _ORDERS.size)
        return dict(zip(KINDS, counts[:-1], strict=True))

    def failed(self) -> int:
        """How many were made to fail."""
        return int(_COUNTS.unpack_from(self._shared, _ORDERS.size)[-1])
