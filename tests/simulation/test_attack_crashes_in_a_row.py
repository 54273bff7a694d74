"""Crash after crash, with garbage collections in between, and facts that came back older.

After a power cut the database may be as it was at any commit since it was last checkpointed, and
of what was not synced in the zone any beginning may be there, or bytes that nobody wrote.
"""

import os
from random import Random  # noqa: TID251 - one seed a life, repeatable on purpose
from typing import Final

import pytest
import trio
from msgspec import structs

from s3fs_local.engine.compaction import collect_garbage
from s3fs_local.engine.pace import AT_ONCE
from s3fs_local.engine.purging import purge
from s3fs_local.errors import S3fsLocalError
from s3fs_local.objects.failing import FailingObjects
from s3fs_local.objects.memory import MemoryObjects
from s3fs_local.rules.storage_classes import DEFAULT_PLACEMENTS
from tests.engine.invariants import check_invariants
from tests.engine.memory_store import ALICE, MemoryStore
from tests.simulation.lagging_metadata import LaggingMetadata

SEEDS: Final = int(os.environ.get("S3FS_LOCAL_EXAMPLES", "150"))
STEPS: Final = 60


class Life:
    """A store that is worked with and keeps crashing, and what it must not lose."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)  # noqa: S311 - repeatable on purpose
        self.zone = FailingObjects(MemoryObjects())
        self.metadata = LaggingMetadata()
        self.store = MemoryStore(zone=self.zone, metadata=self.metadata)
        self.metadata.checkpoint()
        self.reopened()
        self.closed: set[tuple[str, bytes]] = set()
        self.durable: set[tuple[str, bytes]] = set()
        self.handles: dict[str, int] = {}
        self.written: dict[str, bytes] = {}
        self.fsynced: dict[str, bytes] = {}
        self.number = 0
        self.collected = 0
        self.settled = 0

    def reopened(self) -> None:
        """Drafts are sealed early, so that the journal names blocks of theirs."""
        volume = self.store.fs.volume
        volume.settings = structs.replace(volume.settings, draft_memory_bytes=9000)

    def content(self) -> bytes:
        """Bytes that were never written before."""
        self.number += 1
        return self.number.to_bytes(4, "big") * self.random.choice([1, 50, 500, 3000])

    def save(self) -> None:
        """A file is written and closed."""
        path, content = f"/f{self.random.randrange(4)}", self.content()
        self.store.write(path, content)
        self.closed.add((path, content))

    def append(self) -> None:
        """Through a handle that stays open."""
        path, content = f"/o{self.random.randrange(2)}", self.content()
        self.store.tick()
        if path not in self.handles:
            self.handles[path] = self.store.open(path, os.O_CREAT | os.O_RDWR)
            self.written[path] = self.store.read(path)
        self.store.fs.write(self.handles[path], len(self.written[path]), content)
        self.written[path] += content

    def scratch(self) -> None:
        """What was appended last is written again, so blocks that were sealed early are left."""
        for path, handle in self.handles.items():
            content = self.written[path]
            self.store.fs.write(handle, 0, content[: len(content) // 2])

    def fsync(self) -> None:
        """Everything so far is durable."""
        self.store.flush(durable=True)
        self.note_durable()

    def note_durable(self) -> None:
        """From now on a crash must not take it."""
        self.durable |= self.closed
        self.fsynced |= self.written

    def flush(self) -> None:
        """What happens every half second."""
        self.store.flush()

    def close(self) -> None:
        """An open file is closed."""
        for path, handle in list(self.handles.items())[:1]:
            del self.handles[path]
            self.store.close(handle)

    def remove(self) -> None:
        """A name goes; its history stays."""
        path = f"/f{self.random.randrange(4)}"
        if self.store.exists(path):
            self.store.remove(path)

    def purge(self) -> None:
        """Some versions go for good."""
        path = f"/f{self.random.randrange(4)}"
        for _ in range(5):
            items = self.store.fs.histories.of_name(*self.store.place(path)).items
            item = self.random.choice(items) if items else None
            if item is not None and item.version is not None:
                self.purge_item(path, item.version.ino, item.version.stamp_ns)

    def purge_item(self, path: str, ino: int, stamp_ns: int) -> None:
        """Unless it is the only content of a live file."""
        version = self.metadata.version(ino, stamp_ns)
        assert version is not None
        layouts = self.store.fs.reading.layouts(ino, stamp_ns)
        content = self.store.fs.reading.read_blocking(layouts, 0, version.size)
        items = self.store.fs.histories.of_name(*self.store.place(path)).items
        (item,) = [item for item in items if item.version == version]
        try:
            purge(self.store.fs, item, caller=ALICE, bypass=None)
        except S3fsLocalError:
            return
        self.closed.discard((path, content))
        self.durable.discard((path, content))

    def collect(self) -> None:
        """Empty packs go; small ones, so that there are some. Often the process is killed then."""
        packs = self.store.fs.volume.blocks._packs  # noqa: SLF001 - no limit is that small
        for name in [*packs._open]:  # noqa: SLF001
            packs._retire(name)  # noqa: SLF001
        found = trio.run(lambda: collect_garbage(self.store.fs, dry_run=False))
        self.collected += found.packs
        if found.packs:
            self.note_durable()
            if self.random.random() < 0.5:
                self.crash()

    def reclass(self) -> None:
        """A version has another class; often its bytes have followed when the next thing happens.

        Whatever is cut off goes on after the crash; nobody promised when.
        """
        path = f"/f{self.random.randrange(4)}"
        if not self.store.exists(path):
            return
        versions = self.metadata.versions(self.store.stat(path).ino)
        if not versions:
            return
        version = self.random.choice(versions)
        wanted = self.random.choice([*DEFAULT_PLACEMENTS])
        filesystem = self.store.fs
        filesystem.classes.transition(
            version.ino, version.stamp_ns, wanted, present=version.storage_class
        )
        if self.random.random() < 0.8:
            trio.run(filesystem.settling.settle_all, AT_ONCE)
            self.settled += 1

    def settle(self) -> None:
        """The facts catch up."""
        self.store.settle()
        self.note_durable()

    def leave(self) -> None:
        """The journal goes on in a new segment."""
        trio.run(self.store.fs.volume.durability.leave_segment_behind, self.metadata)
        self.note_durable()

    def checkpoint(self) -> None:
        """The database's log is copied into it."""
        self.metadata.checkpoint()

    def crash(self) -> None:
        """Once or several times in a row, and all that was durable is there."""
        for _ in range(self.random.choice([1, 1, 2, 3])):
            if self.random.random() < 0.6:
                self.zone.power_cut(self.kept)
                self.metadata.power_cut(self.random)
            self.store.crash()
            self.reopened()
        self.handles.clear()
        self.check()
        self.closed = set(self.durable)

    def kept(self, _: str, unsynced: bytes) -> bytes:
        """What a disk may show of bytes that were not synced."""
        left = unsynced[: self.random.randrange(len(unsynced) + 1)]
        hole = self.random.randrange(len(left) + 1)
        if self.random.random() < 0.3:
            left = left[:hole] + bytes(len(left) - hole)
        return left

    def check(self) -> None:
        """Every version and every fsynced byte is there."""
        check_invariants(self.store)
        for path, content in self.durable:
            assert content in self.store.history(path), (path, content[:4])
        for path, content in self.fsynced.items():
            found = self.store.read(path)
            assert found.startswith(content), (path, len(found), len(content))
            self.fsynced[path] = found
        self.written = dict(self.fsynced)


OFTEN: Final = (
    *(Life.save, Life.append, Life.flush, Life.fsync),
    *(Life.purge, Life.collect, Life.reclass),
)
SELDOM: Final = (
    Life.close,
    Life.scratch,
    Life.remove,
    Life.settle,
    Life.leave,
    Life.checkpoint,
    Life.crash,
)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_nothing_that_was_durable_is_lost(seed: int) -> None:
    """However often the power fails, and whatever was collected before."""
    life = Life(seed)
    for _ in range(STEPS):
        life.random.choice([*OFTEN, *OFTEN, *SELDOM])(life)
    life.crash()


def test_these_lives_have_what_they_are_about() -> None:
    """Else they would prove nothing."""
    lives = [Life(seed) for seed in range(50)]
    for life in lives:
        for _ in range(STEPS):
            life.random.choice([*OFTEN, *OFTEN, *SELDOM])(life)

    assert sum(life.collected for life in lives) > 20
    assert sum(life.settled for life in lives) > 50
