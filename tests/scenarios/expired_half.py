"""Fills a store, lets half of it expire at random, and measures what `gc` leaves.

python -m tests.scenarios.expired_half [--mib N] [--seed S] [--folder DIR]
"""

import argparse
import os
import random
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from s3fs_local.daemon.creation import StorePlan, create_store
from s3fs_local.engine.compaction import collect_garbage
from s3fs_local.engine.filesystem import FileSystem
from s3fs_local.engine.purging import purge
from s3fs_local.rules.inode import ROOT_INO
from tests.scenarios.killed_moves import OWNER, in_store

EXPIRED_SHARE: Final = 0.5
FILE_BYTES: Final = (4_000, 60_000, 400_000, 3_000_000)


class Report(msgspec.Struct):
    """Bytes, as du counts them in the folder of packs; seconds that gc took."""

    full: int = 0
    expired: int = 0
    collected: int = 0
    live: int = 0
    moved: int = 0


def disk_use(store: Path) -> int:
    """What the packs take."""
    return sum(path.stat().st_size for path in (store / "zones").rglob("*.pack"))


async def fill(filesystem: FileSystem, chance: random.Random, mib: int) -> None:
    """So many MiB of noise in files of all sizes."""
    written = number = 0
    while written < mib << 20:
        content = chance.randbytes(chance.choice(FILE_BYTES))
        name = b"file-%d" % number
        opened, _ = filesystem.create(ROOT_INO, name, 0o100644, os.O_RDWR, OWNER)
        for offset in range(0, len(content), 1 << 20):
            filesystem.write(opened.handle, offset, content[offset : offset + (1 << 20)])
        filesystem.release(opened.handle)
        written += len(content)
        number += 1
        if number % 100 == 0:
            await filesystem.volume.durability.flush(durable=True)


async def expire(filesystem: FileSystem, chance: random.Random) -> None:
    """Every other file, by chance, is gone for good."""
    for entry, _ in filesystem.volume.metadata.children(ROOT_INO, 0, 1 << 30):
        if chance.random() < EXPIRED_SHARE:
            filesystem.unlink(ROOT_INO, entry.name, OWNER)
            for item in list(filesystem.histories.of_name(ROOT_INO, entry.name).items):
                if item.version is not None:
                    purge(filesystem, item, caller=OWNER, bypass=None)


def campaign(folder: Path, *, mib: int, seed: int) -> Report:
    """The report."""
    chance = random.Random(seed)
    store = folder / "store"
    create_store(store, StorePlan(owner=OWNER))
    report = Report()

    async def collect(filesystem: FileSystem) -> None:
        report.moved = (await collect_garbage(filesystem, dry_run=False)).moved_bytes
        report.live = filesystem.volume.metadata.usage().sealed_bytes

    in_store(store, partial(fill, chance=chance, mib=mib))
    report.full = disk_use(store)
    in_store(store, partial(expire, chance=chance))
    report.expired = disk_use(store)
    in_store(store, collect)
    report.collected = disk_use(store)
    return report


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        report = campaign(Path(folder), mib=chosen.mib, seed=chosen.seed)
    sys.stdout.write(
        f"full {report.full}, after half expired {report.expired}, after gc {report.collected}"
        f" bytes of packs for {report.live} live ones ({report.collected / report.live:.3f});"
        f" gc moved {report.moved}\n"
    )


if __name__ == "__main__":
    main()
