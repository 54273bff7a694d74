"""A process whose system calls fail as told, that dies at one, or is watched: interposed.c."""

import mmap
import os
import select
import signal
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from time import sleep
from typing import Final, NamedTuple

from tests.mounting import run

KINDS: Final = ("open", "read", "write", "sync", "truncate", "rename", "unlink", "mkdir")
_ORDERS: Final = struct.Struct("=iiiiqq")
_COUNTS: Final = struct.Struct(f"={len(KINDS) + 4}q")
_ASK_BYTES_MAX: Final = 4096
_ANSWERS_AT_THE_END: Final = 1000
_NONE: Final = -1


class Call(NamedTuple):
    """One that is about to be made, and will change something."""

    process: int
    name: str
    path: str


class Interposed:
    """The orders for one daemon, shared with it while it runs."""

    def __init__(self, folder: Path, below: Path) -> None:
        library, file = folder / "interposed.so", folder / "orders"
        source = Path(__file__).with_suffix(".c")
        run("gcc", "-O1", "-shared", "-fPIC", "-o", library, source, "-ldl")
        file.write_bytes(bytes(mmap.PAGESIZE))
        with file.open("r+b") as opened:
            self._shared = mmap.mmap(opened.fileno(), mmap.PAGESIZE)
        self._file = file
        self._ends: list[int] = []
        self.environment = {
            "LD_PRELOAD": str(library),
            "FAULTS_FILE": str(file),
            "FAULTS_BELOW": str(below),
        }
        self.let_be()

    def let_be(self) -> None:
        """Nothing fails any more; counting begins anew."""
        _ORDERS.pack_into(self._shared, 0, _NONE, 0, 0, 0, 0, 0)
        _COUNTS.pack_into(self._shared, _ORDERS.size, *[0] * (len(KINDS) + 4))

    def fail(self, kind: str, *, nth: int, error: int, for_ever: bool) -> None:
        """The nth call of the kind from now on fails, and all later ones if `for_ever`."""
        self.let_be()
        _ORDERS.pack_into(self._shared, 0, KINDS.index(kind), error, for_ever, 0, nth, 0)

    def kill(self, *, nth: int) -> None:
        """Whoever makes the nth call of any kind from now on is killed before it is made."""
        self.let_be()
        _ORDERS.pack_into(self._shared, 0, _NONE, 0, 0, 0, 0, nth)

    def watched(self, until_ends: int) -> Iterator[Call]:
        """Each call that changes something from now on, while whoever makes any stands still.

        It ends when the process of that descriptor does (see `os.pidfd_open`).
        """
        self.let_be()
        pipes = [self._file.with_name(f"{self._file.name}.{name}") for name in ("asks", "answers")]
        for pipe in pipes:
            pipe.unlink(missing_ok=True)
            os.mkfifo(pipe)
        asks, answers = (os.open(pipe, os.O_RDWR) for pipe in pipes)
        known: set[int] = set()
        try:
            self._watch(is_watched=True)
            while asks in select.select([asks, until_ends], [], [])[0]:
                for line in os.read(asks, _ASK_BYTES_MAX).decode().splitlines():
                    process, name, path = line.split(" ", 2)
                    known.add(int(process))
                    with ExitStack() as stack:
                        for each in known:
                            stack.enter_context(standing_still(each))
                        yield Call(int(process), name, path)
                    os.write(answers, b".")
        finally:
            self._watch(is_watched=False)
            os.write(answers, b"." * _ANSWERS_AT_THE_END)  # whoever asked meanwhile goes on
            self._ends.extend((asks, answers))  # open as long as somebody may ask

    def _watch(self, *, is_watched: bool) -> None:
        struct.pack_into("=q", self._shared, _ORDERS.size + 8 * (len(KINDS) + 3), is_watched)

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
        return self._counts()[len(KINDS) + 1]

    def killed(self) -> int:
        """The process that was killed; 0 where none was."""
        return self._counts()[len(KINDS) + 2]

    def _counts(self) -> tuple[int, ...]:
        return _COUNTS.unpack_from(self._shared, _ORDERS.size)

    def close(self) -> None:
        """Nobody is watched any more."""
        for end in self._ends:
            os.close(end)
        self._ends.clear()


@contextmanager
def standing_still(process: int) -> Iterator[None]:
    """No thread of the process does anything in the block."""
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGSTOP)
    while not _stands_still(process):
        sleep(0.0005)  # the kernel tells only a parent when a process has stopped
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGCONT)


def _stands_still(process: int) -> bool:
    try:
        tasks = [task.read_text() for task in Path(f"/proc/{process}/task").glob("*/stat")]
    except OSError:
        return False
    return all(task.rpartition(")")[2].split()[0] in "TZX" for task in tasks)
