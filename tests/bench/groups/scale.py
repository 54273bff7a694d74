"""A store with very many files beside one with few: time to mount, to look, and memory."""

import os
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tests.bench.filling import FILES_IN_FOLDER, Filled, file_name, filled, folder_name
from tests.bench.groups.cold import program
from tests.bench.groups.small_files import create_each, stat_each
from tests.bench.place import Measured, Place
from tests.bench.row import Goal, Group, Row, Unit
from tests.bench.sizes import Sizes
from tests.mounting import end_processes, unmount_by_force

FEW: Final = "few files"
MANY: Final = "many files"
LOOKUPS: Final = 400
_GOAL: Final = (Goal(1.3, FEW),)
MOUNT: Final = Row("scale-mount", "mount after umount", Unit.SECONDS, (Goal(1.0),))
KILLED: Final = Row("scale-killed", "mount after kill -9", Unit.SECONDS, (Goal(10.0),))
LOOKUP: Final = Row("scale-lookup", "lookup, not cached", Unit.MICROSECONDS, _GOAL)
CREATE: Final = Row("scale-create", "create + write 4 KiB", Unit.MICROSECONDS, _GOAL)
LIST: Final = Row("scale-list", "listing of .versions, an entry", Unit.MICROSECONDS, _GOAL)
AT_TIME: Final = Row("scale-at", "lookup in @TIME", Unit.MICROSECONDS, _GOAL)
MEMORY: Final = Row("scale-memory", "memory after all were looked at", Unit.MEBIBYTES, (Goal(150),))


def memory_mib(process_id: int, name: str = "VmRSS") -> float:
    """Memory of the process, as the kernel counts it."""
    for line in Path(f"/proc/{process_id}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    raise OSError(f"process {process_id} is gone")


def kill(place: Place) -> None:
    """Its daemon ends without a warning, and the mount is taken out of the tree."""
    end_processes(place.daemons)
    unmount_by_force(place.path)


def steps(place: Place, sizes: Sizes) -> Iterator[Measured]:
    """The first time, every file is looked at too, as `find` does."""
    assert isinstance(place, Filled)
    if place.untouched:
        place.untouched = False
        program("find", str(place.path), "-size", "+99G")
        yield MEMORY.told(memory_mib(place.daemons[0]))
    place.unmount()
    yield MOUNT.told(place.time(place.begin) / 1e9)
    chooser = random.Random(f"{sizes.seed} {os.times().elapsed}")
    folders = max(place.files // FILES_IN_FOLDER, 1)
    names = [
        f"{place.path}/{folder_name(chooser.randrange(folders))}/"
        f"{file_name(chooser.randrange(FILES_IN_FOLDER))}"
        for _ in range(LOOKUPS)
    ]
    for number in range(folders):  # only the files' own names are to be looked up
        os.stat(place.path / folder_name(number))
    yield LOOKUP.timed(place, lambda: stat_each(names), LOOKUPS)
    folder = place.path / folder_name(chooser.randrange(folders))
    made = [f"{folder}/new{number}" for number in range(LOOKUPS)]
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%SZ")
    yield CREATE.timed(place, lambda: create_each(made), LOOKUPS)
    for name in made:
        os.unlink(name)
    folder = place.path / folder_name(chooser.randrange(folders))
    yield LIST.timed(place, lambda: os.listdir(folder / ".versions"), FILES_IN_FOLDER)
    past = folder / ".versions" / f"@{now}"
    names = [str(past / file_name(number)) for number in range(LOOKUPS)]
    yield AT_TIME.timed(place, lambda: stat_each(names), LOOKUPS)
    create_each([f"{folder}/lost{number}" for number in range(LOOKUPS)])
    kill(place)
    yield KILLED.told(place.time(place.begin) / 1e9)
    for number in range(LOOKUPS):
        (folder / f"lost{number}").unlink(missing_ok=True)  # the last half second may be lost


def makes(base: Path, sizes: Sizes) -> list[Place]:
    """See `Group.makes`."""
    return [filled(FEW, sizes.few)(base), filled(MANY, sizes.many)(base)]


GROUP: Final = Group(
    "scale",
    (MOUNT, KILLED, LOOKUP, CREATE, LIST, AT_TIME, MEMORY),
    steps,
    makes,
    subject=MANY,
    note="the files are empty, and were put there as facts through the engine",
)
