"""What three copies cost beside one."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.bench.groups.sequential import MIB, write_whole
from tests.bench.groups.small_files import create_each
from tests.bench.groups.syncing import append_lines
from tests.bench.ours import Ours, ThreeZones
from tests.bench.place import Measured, Place
from tests.bench.row import Group, Row, Unit
from tests.bench.sizes import Sizes

CREATE: Final = Row("zones-create", "create + write 4 KiB", Unit.MICROSECONDS)
APPEND: Final = Row("zones-append", "append 200 bytes + fsync", Unit.MICROSECONDS)
WRITE: Final = Row("zones-write", "sequential write, 1 MiB, + fsync", Unit.MEGABYTES)


def steps(place: Place, sizes: Sizes) -> Iterator[Measured]:
    """Whatever waits for zones."""
    folder = place.path / "zones"
    folder.mkdir()
    names = [f"{folder}/file{number}" for number in range(sizes.files)]
    yield CREATE.timed(place, lambda: create_each(names), len(names))
    yield APPEND.timed(place, lambda: append_lines(folder / "log", sizes.appends), sizes.appends)
    size_bytes = sizes.large_mib * MIB
    yield WRITE.timed(place, lambda: write_whole(folder / "large", sizes.large_mib), size_bytes)
    shutil.rmtree(folder)


def makes(base: Path, _: Sizes) -> list[Place]:
    """See `Group.makes`."""
    return [Ours(base), ThreeZones(base)]


GROUP: Final = Group(
    "zones",
    (CREATE, APPEND, WRITE),
    steps,
    makes,
    subject=ThreeZones.name,
    note="all zones on one disk, so three copies go through it",
)
