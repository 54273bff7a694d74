"""Anyone may set a file to any size; that costs neither time nor memory."""

import os
import random
import time
from pathlib import Path
from typing import Final

from tests.campaigns.line import Failed, Figures, Piece
from tests.mounting import MountedStore, processes_marked, s3fs_local

FILE_BYTES_MAX: Final = (1 << 63) - 1 - (1 << 20)
SECONDS_MAX: Final = 300
"""Far more than a busy machine takes, far less than a walk over 2⁶³ bytes."""
GROWTH_KIB_MAX: Final = 50 << 10


def resident_kib(mount: MountedStore) -> int:
    """The memory of the daemon."""
    (process,) = processes_marked(mount.path)
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise Failed("the daemon has no memory left")


def abuse(file: Path, size: int, chance: random.Random) -> None:
    """The file is set to the size, read and written here and there, and removed."""
    file.touch()
    os.truncate(file, size)
    with file.open("r+b", buffering=0) as opened:
        for _ in range(3):
            offset = chance.randrange(size)
            os.pread(opened.fileno(), 1 << 20, offset)
            os.pwrite(opened.fileno(), b"x", min(offset, FILE_BYTES_MAX - 1))
        opened.truncate(chance.randrange(size))
    os.truncate(file, size)
    if file.stat().st_size != size:
        raise Failed(f"set to {size} bytes, it has {file.stat().st_size}")
    file.unlink()


def run(piece: Piece) -> Figures:
    """As many files, each of another size up to the largest there is."""
    chance = random.Random(piece.seed)
    (piece.folder / "mount").mkdir()
    s3fs_local("init", piece.folder / "store")
    mount = MountedStore(piece.folder / "store", piece.folder / "mount")
    slowest = 0.0
    try:
        mount.mount()
        abuse(mount.path / "first", 1 << 40, chance)
        before = resident_kib(mount)
        for number in range(piece.size):
            size = min(1 << chance.randrange(1, 64), FILE_BYTES_MAX)
            started = time.monotonic()
            abuse(mount.path / f"file{number}", size, chance)
            slowest = max(slowest, time.monotonic() - started)
            if slowest > SECONDS_MAX:
                raise Failed(f"a file of {size} bytes took {slowest:.1f} s")
        growth = resident_kib(mount) - before
        if growth > GROWTH_KIB_MAX:
            raise Failed(f"{piece.size} files of any size made the daemon grow by {growth} KiB")
    finally:
        mount.clean_up()
    return {"most seconds a file": slowest, "most KiB grown": growth}
