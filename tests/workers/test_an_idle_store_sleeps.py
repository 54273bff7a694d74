"""A store that nobody uses lets the machine sleep, and misses nothing that is due by itself."""

import os
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from math import inf

import msgspec
import trio
from trio.testing import MockClock

from s3fs_local.engine.replication_following import Following
from s3fs_local.engine.replication_sending import Link
from s3fs_local.engine.use import BEAT_S, Sleeper, Use
from s3fs_local.rules.instants import SECOND_NS
from s3fs_local.rules.remotes import Remote
from s3fs_local.rules.retrieval import RetrievalTier
from s3fs_local.rules.storage_classes import StorageClass
from s3fs_local.workers.tending import Tending
from s3fs_local.workers.tiering import Tiering
from s3fs_local.workers.upkeep import Upkeep
from tests.engine.memory_store import ALICE, MemoryStore
from tests.engine.test_locks_that_fall_by_themselves import QUIET, directory
from tests.workers.test_upkeep_settles_an_idle_store import NoLog

SETTLED_S = 30
"""After this all that was written is where it stays."""


class WakeUps(trio.abc.Instrument):
    """Counts the instants at which the event loop goes on after it slept."""

    def __init__(self) -> None:
        self.count = 0

    def after_io_wait(self, timeout: float) -> None:
        """It goes on."""
        self.count += timeout > 0


def connect(
    remote: Remote, *, greets: bool = True, expects: str = ""
) -> AbstractAsyncContextManager[Link]:
    """Nobody is told anything here."""
    raise AssertionError((remote, greets, expects))


def live(store: MemoryStore, act: Callable[[], Awaitable[None]], watch: WakeUps) -> None:
    """Everything that a mounted store of one zone does by itself, while `act` runs."""

    async def run() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(Upkeep(store.fs, NoLog(store.metadata)).run)
            nursery.start_soon(Tending(store.fs).run)
            nursery.start_soon(Tiering(store.fs).run)
            nursery.start_soon(Following(store.fs, b"s" * 16, connect).run)
            await act()
            nursery.cancel_scope.cancel()

    trio.run(run, clock=MockClock(autojump_threshold=0), instruments=[watch])


def test_an_idle_store_wakes_once_a_beat(store: MemoryStore) -> None:
    """A laptop with a mounted store sleeps; a server with a hundred of them does too."""
    watch = WakeUps()
    found = 0

    async def act() -> None:
        nonlocal found
        store.write("/f", b"one")
        await trio.sleep(SETTLED_S)
        before = watch.count
        await trio.sleep(60 * BEAT_S)
        found = watch.count - before

    live(store, act, watch)

    assert store.metadata.position() > 0
    assert found <= 62  # the beats, and this test


def test_what_is_written_after_a_rest_is_safe_as_soon_as_any_other(store: MemoryStore) -> None:
    """The promise is half a second, whatever went before."""
    durability = store.fs.volume.durability
    kept = []

    async def act() -> None:
        await trio.sleep(SETTLED_S + 3)
        handle = store.open("/f", os.O_WRONLY | os.O_CREAT)
        store.fs.write(handle, 0, b"not closed")
        await trio.sleep(0.6)
        kept.append(not any(draft.needs_journal for draft in store.fs.volume.drafts.values()))
        await trio.sleep(SETTLED_S)
        kept.append(durability.is_settled)

    live(store, act, WakeUps())

    assert kept == [True, True]


def test_an_open_file_has_its_checkpoint_in_time_though_nobody_does_anything() -> None:
    """A program that wrote and then waits for an hour has its version after five minutes."""
    store = MemoryStore(checkpoint_interval=str(5 * SECOND_NS))
    handle = store.open("/f", os.O_WRONLY | os.O_CREAT)
    store.fs.write(handle, 0, b"one")
    versions = []

    async def act() -> None:
        for _ in range(8):
            await trio.sleep(1)
            store.tick(1)
            versions.append(len(store.metadata.versions(store.stat("/f").ino)))

    live(store, act, WakeUps())

    assert versions[:4] == [0, 0, 0, 0]
    assert versions[6:] == [1, 1]


def test_a_quiet_file_takes_its_lock_when_it_is_due_and_not_a_beat_later(
    store_with_locks: MemoryStore,
) -> None:
    """Until then it can be changed: every second counts."""
    store = directory(store_with_locks, msgspec.structs.replace(QUIET, quiet_ns=33 * SECOND_NS))
    store.write("/d/f", b"one")
    locked = []

    async def act() -> None:
        for _ in range(36):
            await trio.sleep(1)
            store.tick(1)
            locked.append(store.stat("/d/f").lock is not None)

    live(store, act, WakeUps())

    assert not any(locked[:31])
    assert locked[35]


def test_a_retrieval_is_taken_up_at_once_and_ends_in_time(store: MemoryStore) -> None:
    """Whoever asked for it waits."""
    store.write("/f", b"text" * 5000)
    inode = store.stat("/f")
    store.fs.classes.set_by(inode.ino, inode.version_ns, StorageClass.GLACIER, ALICE)
    readable = []

    async def act() -> None:
        await trio.sleep(2 * SETTLED_S + 3)
        store.fs.retrieving.request(
            inode.ino, inode.version_ns, days=1, tier=RetrievalTier.STANDARD, caller=ALICE
        )
        await trio.sleep(0.1)
        readable.append(is_readable(store))

    live(store, act, WakeUps())

    assert readable == [True]


def is_readable(store: MemoryStore) -> bool:
    """Whether the version of /f has a copy that can be read."""
    inode = store.stat("/f")
    version = store.metadata.version(inode.ino, inode.version_ns)
    assert version is not None
    return not version.is_archived or bool(version.retrieval and version.retrieval.expires_ns)


def test_a_sleeper_looks_soon_after_use_and_rests_after_a_look() -> None:
    """The rule itself: light in use, to the beat when not, no later than what is due."""
    use = Use()
    sleeper = Sleeper(use)
    slept: list[float] = []

    async def sleep(at_most: float = inf) -> None:
        before = trio.current_time()
        await sleeper.sleep(1, at_most=at_most)
        slept.append(round(trio.current_time() - before, 6))

    async def run() -> None:
        await sleep()  # nobody knows yet whether it was used
        await sleep()  # to the beat
        await sleep(at_most=4)
        await sleep(at_most=0)  # something is overdue
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sleep)
            await trio.sleep(2)
            use.note()
        use.note()
        await sleep()
        await sleep()

    trio.run(run, clock=MockClock(autojump_threshold=0))

    assert slept == [1, 9, 4, 1, 3, 1, 1]  # the last to the beat at 20 s
