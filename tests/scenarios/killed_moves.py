"""Kills a process that moves bytes between classes and collects garbage, at random instants.

    python -m tests.scenarios.killed_moves [--kills N] [--seed S] [--folder DIR]

After each kill: every file reads as it was written, every block is whole where its row says, and
nothing is there twice. At the end the store settles, collects its garbage and is measured.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from time import sleep
from typing import Final

import msgspec
import trio

from s3fs_local.daemon.assembly import open_store
from s3fs_local.daemon.creation import StorePlan, create_store
from s3fs_local.daemon.unlocking import Unlocking
from s3fs_local.engine.compaction import collect_garbage
from s3fs_local.engine.filesystem import FileSystem
from s3fs_local.engine.pace import AT_ONCE
from s3fs_local.errors import NotArchived, RetrievalRunning
from s3fs_local.rules.extents import blocks_of, decode_layout
from s3fs_local.rules.inode import ROOT_INO, Caller
from s3fs_local.rules.retrieval import RetrievalTier
from s3fs_local.rules.storage_classes import StorageClass

OWNER: Final = Caller(uid=os.getuid(), gid=os.getgid())
FILES: Final = 12
SLACK: Final = 1.10
"""What gc leaves: at most a tenth above the live bytes."""


class Report(msgspec.Struct):
    """What the campaign found."""

    kills: int
    moved_at_a_kill: int  # kills that found at least one file on its way
    live_bytes: int
    pack_bytes: int


def content_of(number: int) -> bytes:
    """The content of file `number`: text, noise, or both; up to several cells."""
    chance = random.Random(number)
    size = chance.choice((3_000, 200_000, 1_500_000, 3_300_000))
    line = b"%d: the quick brown fox jumps over the lazy dog\n" % number
    text = (line * (size // len(line) + 1))[:size]
    return text if number % 3 else text[: size // 2] + chance.randbytes(size // 2)


def in_store(path: Path, work: Callable[[FileSystem], Awaitable[object]]) -> object:
    """The store is opened, worked with and closed."""

    async def run() -> object:
        async with open_store(path, Unlocking()) as store:
            return await work(store.filesystem)

    return trio.run(run)


async def fill(filesystem: FileSystem) -> None:
    """Every file is written, then half of each is written again, so that versions share blocks."""
    for number in range(FILES):
        name = b"file-%d" % number
        opened, inode = filesystem.create(ROOT_INO, name, 0o100644, os.O_RDWR, OWNER)
        content = content_of(number)
        filesystem.write(opened.handle, 0, content)
        filesystem.release(opened.handle)
        opened = filesystem.open(inode.ino, os.O_RDWR, OWNER)
        filesystem.write(opened.handle, 0, bytes(len(content) // 2))
        filesystem.release(opened.handle)


async def move_for_ever(filesystem: FileSystem, seed: int) -> None:
    """Versions change their class at random; until it is killed."""
    chance = random.Random(seed)
    metadata, classes = filesystem.volume.metadata, filesystem.classes
    while True:
        inode = filesystem.lookup(ROOT_INO, b"file-%d" % chance.randrange(FILES))
        version = chance.choice(metadata.versions(inode.ino))
        wanted = chance.choice(list(StorageClass))
        classes.transition(inode.ino, version.stamp_ns, wanted, present=version.storage_class)
        if chance.random() < 0.3:
            with suppress(NotArchived, RetrievalRunning):
                filesystem.retrieving.request(
                    inode.ino, version.stamp_ns, days=1, tier=RetrievalTier.STANDARD, caller=OWNER
                )
        await filesystem.retrieving.advance_all(AT_ONCE)
        await filesystem.settling.settle_all(AT_ONCE)
        if chance.random() < 0.3:
            await collect_garbage(filesystem, dry_run=False)
        await filesystem.volume.durability.flush(durable=chance.random() < 0.5)


async def check(filesystem: FileSystem) -> int:
    """Everything is as it was written; returns how many files were on their way."""
    metadata, blocks = filesystem.volume.metadata, filesystem.volume.blocks
    used: set[int] = set()
    for number in range(FILES):
        ino = filesystem.lookup(ROOT_INO, b"file-%d" % number).ino
        content = content_of(number)
        newer, older = metadata.versions(ino)
        half = len(content) // 2
        for version, wanted in ((older, content), (newer, bytes(half) + content[half:])):
            layouts = filesystem.reading.layouts(ino, version.stamp_ns)
            found = filesystem.reading.read_blocking(layouts, 0, version.size)
            assert found == wanted, f"file-{number} is not what was written"
        for _, _, _, layout in metadata.cell_rows(ino):
            used |= blocks_of(decode_layout(layout))
    places = set()
    for block_id in used:
        block = metadata.block(block_id)
        assert block is not None, f"block {block_id} is used and not there"
        blocks.read_sealed(block)
        places.add((block.pack_id, block.pack_offset))
    assert len(places) == len(used) == metadata.usage().blocks, "a block is there twice, or lost"
    return len(metadata.unsettled(FILES))


async def finish(filesystem: FileSystem) -> tuple[int, int]:
    """Everything is where it belongs and garbage is gone: (live bytes, bytes of packs)."""
    await filesystem.retrieving.advance_all(AT_ONCE)
    await filesystem.settling.settle_all(AT_ONCE)
    await collect_garbage(filesystem, dry_run=False)
    assert not filesystem.volume.metadata.unsettled(1)
    live = filesystem.volume.metadata.usage().sealed_bytes
    return live, sum(filesystem.volume.blocks.pack_lengths().values())


def campaign(folder: Path, *, kills: int, seed: int) -> Report:
    """The report, or an AssertionError that says what was lost."""
    chance = random.Random(seed)
    store = folder / "store"
    create_store(store, StorePlan(owner=OWNER))
    in_store(store, fill)
    report = Report(0, 0, 0, 0)
    for _ in range(kills):
        command = [sys.executable, "-m", __spec__.name, "--child", str(store)]
        child = subprocess.Popen(
            [*command, "--seed", str(chance.randrange(1 << 30))], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        assert child.stdout.readline() == "open\n"
        sleep(chance.random())
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        report.kills += 1
        report.moved_at_a_kill += bool(in_store(store, check))
    report.live_bytes, report.pack_bytes = in_store(store, finish)  # type: ignore[misc]
    in_store(store, check)
    assert report.pack_bytes <= report.live_bytes * SLACK, report
    return report


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--child", type=Path)
    chosen = parser.parse_args()
    if chosen.child is not None:

        async def work(filesystem: FileSystem) -> None:
            sys.stdout.write("open\n")
            sys.stdout.flush()
            await move_for_ever(filesystem, chosen.seed)

        in_store(chosen.child, work)
        return
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        report = campaign(Path(folder), kills=chosen.kills, seed=chosen.seed)
    sys.stdout.write(
        f"{report.kills} kills, {report.moved_at_a_kill} of them with a file on its way: nothing"
        f" lost, nothing there twice; {report.pack_bytes} bytes of packs for"
        f" {report.live_bytes} live ones ({report.pack_bytes / report.live_bytes:.3f})\n"
    )


if __name__ == "__main__":
    main()
