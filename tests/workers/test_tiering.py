"""The worker of a mounted store: once a day, a little at a time."""

import trio
from trio.testing import MockClock

from s3fs_local.engine.yielding import Yielding
from s3fs_local.workers.tiering import CHECK_SECONDS, Gently, Tiering
from tests.engine.lifecycle_store import DAY, LARGE, SMALL, LifecycleStore
from tests.engine.memory_store import MemoryStore

EXPIRE_3 = {"Expiration": {"Days": 3}}


async def test_a_mounted_store_follows_its_rules_by_itself_once_a_day(
    autojump_clock: MockClock,
) -> None:
    """New rules wait for the next day, so that there is time to look at the plan."""
    del autojump_clock
    store = LifecycleStore()
    store.write("/f", SMALL)
    store.tick(30 * DAY)
    store.put_rules(EXPIRE_3)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Tiering(store.fs).run)
        await trio.sleep(3 * CHECK_SECONDS)
        assert store.runs.last is None
        assert store.exists("/f")
        store.next_midnight()
        await trio.sleep(1.5 * CHECK_SECONDS)
        assert not store.exists("/f")
        first = store.runs.last
        await trio.sleep(5 * CHECK_SECONDS)
        assert store.runs.last is first
        nursery.cancel_scope.cancel()


async def test_what_it_removes_is_free_space(autojump_clock: MockClock) -> None:
    """Nobody has to remember `gc`."""
    del autojump_clock
    store = LifecycleStore()
    store.write("/f", LARGE)
    store.remove("/f")
    store.put_rules({"NoncurrentVersionExpiration": {"NoncurrentDays": 1}})
    store.tick(5 * DAY)
    await store.fs.volume.durability.flush(durable=True)
    held = sum(store.fs.volume.blocks.pack_lengths().values())
    await Tiering(store.fs).run_if_due()
    store.write("/g", b"the pack that is written to stays open")
    await store.fs.volume.durability.flush(durable=True)

    assert store.metadata.usage().blocks == 1
    assert sum(store.fs.volume.blocks.pack_lengths().values()) < held


async def test_a_run_goes_slowly_and_slower_while_the_mount_is_used(
    autojump_clock: MockClock,
) -> None:
    """So many keys a second, by a setting; a program that reads a file does not wait for it."""
    store = MemoryStore(lifecycle_rate="100")
    gently = Gently(store.fs)
    before = trio.current_time()
    await gently.after(50)
    calm = trio.current_time() - before
    store.fs.volume.yielding = Yielding(store.fs.volume.use, lambda: 0)
    store.fs.volume.use.requested_ns = 0
    gently = Gently(store.fs)
    await trio.sleep(1)  # what a step took
    before = trio.current_time()
    await gently.after(50)
    busy = trio.current_time() - before
    del autojump_clock

    assert calm == 0.5
    assert busy > calm
