"""Several programs at once must not be slower together than one alone."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Final

from tests.bench.groups.requests import makes
from tests.bench.place import Measured, PeerFailed, Place
from tests.bench.row import Goal, Group, Row, Unit
from tests.bench.sizes import Sizes

PROCESSES: Final = 8
LONGER: Final = 6
"""Times as many files as in other groups: a rate of a seventh of a second is mostly chance."""
CREATORS: Final = Row(
    "parallel-create",
    "total rate of 8 creators / rate of one",
    Unit.TIMES,
    (Goal(1.0, at_least=True),),
)
READERS: Final = Row(
    "parallel-read",
    "total rate of 8 readers / rate of one",
    Unit.TIMES,
    (Goal(1.0, at_least=True),),
)
PROGRAM: Final = """
import os, sys
kind, names = sys.argv[1], sys.argv[2:]
page = os.urandom(4096)
sys.stdout.write("ready"), sys.stdout.flush()
sys.stdin.read(1)
for name in names:
    if kind == "create":
        file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        os.write(file, page)
    else:
        file = os.open(name, os.O_RDONLY)
        os.read(file, 4096)
    os.close(file)
sys.stdout.write("done!"), sys.stdout.flush()
"""
READY: Final = b"ready"
DONE: Final = b"done!"


def together(place: Place, kind: str, names: list[list[str]]) -> float:
    """Files a second, of all programs; each has names of its own, and all begin at once.

    Until the last is done with its files: the end of an interpreter takes longer than fifty files.
    """
    programs = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, kind, *own],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for own in names
    ]

    def all_say(word: bytes) -> bool:
        return all(
            program.stdout and program.stdout.read(len(word)) == word for program in programs
        )

    if not all_say(READY):
        raise PeerFailed("a program did not begin")

    def run_all() -> None:
        for program in programs:
            assert program.stdin is not None
            program.stdin.write(b"!")
            program.stdin.flush()
        if not all_say(DONE):
            raise PeerFailed(f"a program that had to {kind} files failed")

    took_ns = place.time(run_all)
    for program in programs:
        program.communicate()
    return sum(map(len, names)) * 1e9 / took_ns


def steps(place: Place, sizes: Sizes) -> Iterator[Measured]:
    """One alone, then eight with as many files together; cold for reading."""
    folder = place.path / "parallel"
    folder.mkdir()
    alone = [f"{folder}/alone{number}" for number in range(LONGER * sizes.files)]
    each = LONGER * sizes.files // PROCESSES
    shared = [[f"{folder}/{one}-{number}" for number in range(each)] for one in range(PROCESSES)]
    one = together(place, "create", [alone])
    yield CREATORS.told(together(place, "create", shared) / one)
    place.forget()
    one = together(place, "read", [alone])
    yield READERS.told(together(place, "read", shared) / one)
    shutil.rmtree(folder)


GROUP: Final = Group("parallel", (CREATORS, READERS), steps, makes)
