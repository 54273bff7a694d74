"""4 KiB anywhere in a file, by fio."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.bench.groups.sequential import write_whole
from tests.bench.place import Measured, Place, run
from tests.bench.row import Goal, Group, Row, Unit
from tests.bench.sizes import Sizes

SECONDS_MAX: Final = 10
READ: Final = Row("random-read", "random 4 KiB read", Unit.RATE, (Goal(1.0, "gocryptfs"),))
WRITE: Final = Row("random-write", "random 4 KiB overwrite", Unit.RATE, (Goal(1.2, "gocryptfs"),))


def lacks() -> str:
    """See `Group.lacks`."""
    return "" if shutil.which("fio") else "fio: scripts/setup --peers"


def calls_per_second(name: Path, kind: str, sizes: Sizes) -> float:
    """What fio says; it drops the file's pages before, and syncs after writing."""
    words = run(
        *("fio", "--output-format=json", "--name=random", "--ioengine=psync", "--bs=4k"),
        *(f"--filename={name}", f"--size={sizes.random_mib}m", f"--rw={kind}", "--end_fsync=1"),
        *(f"--io_size={sizes.random_calls * 4}k", f"--runtime={SECONDS_MAX}"),
        *("--randrepeat=1", f"--randseed={sizes.seed}", "--allow_file_create=0"),
    )
    [job] = json.loads(words[words.index("{") :])["jobs"]
    return float(job["write" if kind == "randwrite" else "read"]["iops"])


def steps(place: Place, sizes: Sizes) -> Iterator[Measured]:
    """Read and written in the same file."""
    name = place.path / "random"
    if not name.exists():
        write_whole(name, sizes.random_mib)
    yield READ.told(calls_per_second(name, "randread", sizes))
    yield WRITE.told(calls_per_second(name, "randwrite", sizes))


GROUP: Final = Group(
    "random", (READ, WRITE), steps, lacks=lacks, note="fio: psync, pages dropped before, end_fsync"
)
