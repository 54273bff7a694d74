"""After a remount, with nothing in any cache: looking at a tree that was written before."""

import os
import subprocess
from collections.abc import Iterator
from typing import Final

from tests.bench.groups.small_files import PAGE, create_each, read_each
from tests.bench.place import Measured, Place
from tests.bench.row import Goal, Group, Row, Unit
from tests.bench.sizes import Sizes

FOLDERS: Final = 10
LIST: Final = Row("cold-ls", "cold: ls -l, an entry", Unit.MICROSECONDS, (Goal(1.0, "gocryptfs"),))
READ: Final = Row(
    "cold-read", "cold: open + read 4 KiB", Unit.MICROSECONDS, (Goal(0.8, "gocryptfs"),)
)
FIND: Final = Row("cold-find", "cold: find -size", Unit.SECONDS, (Goal(1.0, "gocryptfs"),))
GREP: Final = Row("cold-grep", "cold: grep -r", Unit.SECONDS, (Goal(0.8, "gocryptfs"),))


def program(*words: str) -> None:
    """It was run to its end, its output unread; grep may find nothing."""
    subprocess.run(words, stdout=subprocess.DEVNULL, check=False)


def steps(place: Place, sizes: Sizes) -> Iterator[Measured]:
    """Every step after a remount of its own."""
    folder = place.path / "cold"
    folders = [folder / f"folder{number}" for number in range(FOLDERS)]
    each = sizes.cold_files // FOLDERS
    names = [f"{within}/file{number:04}" for within in folders for number in range(each)]
    if not folder.exists():
        for within in folders:
            within.mkdir(parents=True)
        create_each(names)
    where = str(folder)
    place.forget()
    yield LIST.timed(place, lambda: program("ls", "-lR", where), len(names))
    place.forget()
    yield READ.timed(place, lambda: read_each(names), len(names))
    place.forget()
    yield FIND.timed(place, lambda: program("find", where, "-size", "+99G"), 1)
    place.forget()
    needle = os.fsdecode(PAGE[:8].hex().encode())
    yield GREP.timed(place, lambda: program("grep", "-r", needle, where), 1)


GROUP: Final = Group(
    "cold",
    (LIST, READ, FIND, GREP),
    steps,
    note="remounted, and /proc/sys/vm/drop_caches written, before each",
)
