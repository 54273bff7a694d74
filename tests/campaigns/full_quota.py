"""A quota that the kernel enforces is used up and raised again, over and over.

The store lies in a subvolume of btrfs with a limit (a qgroup). statfs(2) says nothing of it, so
nobody can know beforehand: whatever the store writes may be refused with EDQUOT, its database too.
"""

import errno
import random
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from tests.campaigns.full_disk import Cycles, Files
from tests.campaigns.line import Figures, Piece
from tests.campaigns.loop_disks import lacks_loop_disks, make_image, mounted
from tests.mounting import CommandFailed, MountedStore, s3fs_local
from tests.mounting import run as ran


def lacks_quotas() -> str:
    """What it takes to have a quota that is enforced, and is not here; found out by making one."""
    lacking = lacks_loop_disks("btrfs")
    if lacking:
        return lacking
    with tempfile.TemporaryDirectory(prefix="s3fs-local-quota-") as folder:
        try:
            with subvolume(Path(folder)):
                pass
        except (CommandFailed, FileNotFoundError):
            return "quotas of btrfs"
    return ""


@contextmanager
def subvolume(folder: Path) -> Iterator[Path]:
    """A directory that may have a limit of its own."""
    with mounted(make_image(folder / "image", "btrfs"), "btrfs", folder / "disk") as disk:
        top = disk / "limited"
        ran("btrfs", "subvolume", "create", top)
        ran("btrfs", "quota", "enable", disk)
        ran("btrfs", "quota", "rescan", "-w", disk)
        yield top


@contextmanager
def without_quota(top: Path, room_kib: int) -> Iterator[None]:
    """The subvolume may take no more than it has now and a little."""
    subprocess.run(["sync", "--file-system", top], check=True)
    shown = ran("btrfs", "qgroup", "show", "--raw", "-f", top).stdout.splitlines()
    group, used, *_ = shown[-1].split()
    # Asked by way of the disk: by way of the subvolume, the limit forbids that it is lifted.
    ran("btrfs", "qgroup", "limit", f"{int(used) + (room_kib << 10)}", group, top.parent)
    try:
        yield
    finally:
        ran("btrfs", "qgroup", "limit", "none", group, top.parent)


def run_cycles(piece: Piece) -> Figures:
    """As many times used up, on one store."""
    chance = random.Random(piece.seed)
    (piece.folder / "mount").mkdir()
    with subvolume(piece.folder) as top:
        s3fs_local("init", top / "store")
        files = Files(MountedStore(top / "store", piece.folder / "mount"), chance)

        def short() -> AbstractContextManager[None]:
            return without_quota(top, chance.choice((0, 16, 100, 300, 1000)))

        return Cycles(files, short, errno.EDQUOT).run(piece.size)
