"""Hours of mixed work: memory, descriptors and threads of the daemon stay what they were."""

import os
import random
from pathlib import Path
from typing import Final

from tests.campaigns.line import Failed, Figures, Piece
from tests.mounting import MountedStore, processes_marked, s3fs_local

WARM_UP: Final = 300
NAMES: Final = 40
GROWTH_KIB_MAX: Final = 32 << 10
DESCRIPTORS_MORE_MAX: Final = 20


def use_of(mount: MountedStore) -> tuple[int, int]:
    """Resident KiB and open descriptors of the daemon."""
    (process,) = processes_marked(mount.path)
    status = Path(f"/proc/{process}/status").read_text().splitlines()
    resident = next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))
    return resident, len(os.listdir(f"/proc/{process}/fd"))


def step(folder: Path, chance: random.Random) -> None:
    """Something that programs do all day."""
    path = folder / str(chance.randrange(NAMES))
    match chance.randrange(7):
        case 0 | 1:
            path.write_bytes(chance.randbytes(chance.choice((10, 5000, 200_000))))
        case 2:
            with path.open("ab") as file:
                file.write(b"a line of a log\n")
                file.flush()
                os.fsync(file.fileno())
        case 3:
            if path.exists():
                path.replace(folder / str(chance.randrange(NAMES)))
        case 4:
            path.unlink(missing_ok=True)
        case 5:
            sum(len(entry.name) for entry in os.scandir(folder / ".versions"))
        case _:
            if path.exists():
                path.read_bytes()
                os.listdir(folder / ".versions" / path.name)


def run(piece: Piece) -> Figures:
    """So many steps; the use is taken after a warm-up and at the end."""
    chance = random.Random(piece.seed)
    (piece.folder / "mount").mkdir()
    s3fs_local("init", piece.folder / "store")
    mount = MountedStore(piece.folder / "store", piece.folder / "mount")
    try:
        mount.mount()
        for _ in range(WARM_UP):
            step(mount.path, chance)
        resident, descriptors = use_of(mount)
        for _ in range(piece.size):
            step(mount.path, chance)
        resident_after, descriptors_after = use_of(mount)
    finally:
        mount.clean_up()
    growth, more = resident_after - resident, descriptors_after - descriptors
    if growth > GROWTH_KIB_MAX or more > DESCRIPTORS_MORE_MAX:
        raise Failed(f"after {piece.size} steps {growth} KiB and {more} descriptors more")
    return {"most KiB grown": growth, "most descriptors more": more}
