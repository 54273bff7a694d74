"""What a store does by itself reaches the disk even if nothing happens any more."""

import trio
from trio.testing import MockClock

from s3fs_local.metadata.memory import MemoryMetadata
from s3fs_local.rules.instants import SECOND_NS
from s3fs_local.workers.upkeep import SETTLE_INTERVAL_NS, Upkeep
from tests.engine.memory_store import MemoryStore

INTERVAL_S = SETTLE_INTERVAL_NS / SECOND_NS


class NoLog:
    """A metadata engine whose commits are durable at once."""

    def __init__(self, metadata: MemoryMetadata) -> None:
        self.metadata = metadata

    @property
    def wal_bytes(self) -> int:
        """It has no log."""
        return 0

    def checkpoint(self) -> None:
        """Nothing to do."""


def test_the_last_change_before_a_pause_is_synced_too(store: MemoryStore) -> None:
    """Else a power cut an hour later would cost it, if the disk kept it in its cache so long."""

    async def live() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(Upkeep(store.fs, NoLog(store.metadata)).run)
            store.write("/last", b"then nothing more")
            await trio.sleep(INTERVAL_S + 2)
            nursery.cancel_scope.cancel()

    trio.run(live, clock=MockClock(autojump_threshold=0))

    assert store.metadata.position() > 0
