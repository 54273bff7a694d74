"""The worker for storage classes does what is due, and says what keeps it from it."""

import trio
import trio.testing

from s3fs_local.engine.pace import Pace
from s3fs_local.engine.purging import purge
from s3fs_local.errors import StoreFull
from s3fs_local.rules.retrieval import RetrievalTier
from s3fs_local.rules.storage_classes import StorageClass, Tier
from s3fs_local.workers.tending import Tending
from tests.engine.memory_store import ALICE, MemoryStore
from tests.engine.test_classes_move_bytes import DAY_S, TEXT, current, pack_bytes, placements


def step(store: MemoryStore, *, after_s: float = 4000) -> Tending:
    """A worker takes a step, and another so long after."""
    tending = Tending(store.fs)

    async def run() -> None:
        await tending.step()
        await trio.sleep(after_s)
        await tending.step()

    trio.run(run, clock=trio.testing.MockClock(autojump_threshold=0))
    return tending


def set_class(store: MemoryStore, path: str, wanted: str) -> None:
    """Only the fact."""
    inode = store.stat(path)
    store.fs.classes.set_by(inode.ino, inode.version_ns, StorageClass(wanted), ALICE)


def test_bytes_follow_their_class_and_old_packs_go(store: MemoryStore) -> None:
    """The story of one step: moved, and the space of what was left behind is free."""
    store.write("log", TEXT)
    before = pack_bytes(store)
    set_class(store, "log", "GLACIER_IR")

    step(store)

    assert placements(store, "log") == {"GLACIER_IR"}
    assert pack_bytes(store) < before / 3
    assert store.read("log") == TEXT


def test_a_mount_does_not_begin_with_a_collection(store: MemoryStore) -> None:
    """Who mounts wants to work; what is dead can wait for an hour."""
    store.write("log", TEXT)
    before = pack_bytes(store)
    set_class(store, "log", "GLACIER_IR")

    step(store, after_s=1800)
    assert pack_bytes(store) > before
    step(store, after_s=3600)

    assert pack_bytes(store) < before / 3


def test_retrievals_come_and_expire(store: MemoryStore) -> None:
    """Nobody has to run anything."""
    store.write("log", TEXT)
    set_class(store, "log", "GLACIER")
    inode = store.stat("log")
    store.fs.retrieving.request(
        inode.ino, inode.version_ns, days=1, tier=RetrievalTier.STANDARD, caller=ALICE
    )

    step(store)
    assert store.read("log") == TEXT
    store.tick(3 * DAY_S)
    step(store)

    assert current(store, "log").is_archived
    assert placements(store, "log") == {"GLACIER"}


def test_what_nobody_reads_grows_cold(store: MemoryStore) -> None:
    """And what was read is warm again at the next step."""
    store.write("log", TEXT)
    set_class(store, "log", "INTELLIGENT_TIERING")
    store.tick(31 * DAY_S)
    step(store)
    assert placements(store, "log") == {"STANDARD_IA"}

    store.read("log")
    step(store)

    assert current(store, "log").tier is Tier.FREQUENT
    assert placements(store, "log") == {"STANDARD"}


def test_a_full_disk_is_told_and_does_not_end_the_worker(store: MemoryStore) -> None:
    """It tries again later; the file is readable where it is."""
    store.write("log", TEXT)
    set_class(store, "log", "STANDARD_IA")
    store.fs.volume.space._free_bytes = lambda: (0, 1 << 30)  # noqa: SLF001 - a disk fills up
    tending = Tending(store.fs)

    async def run() -> None:
        with trio.move_on_after(100):
            await tending.run()

    trio.run(run, clock=trio.testing.MockClock(autojump_threshold=0))
    assert "too little space" in tending.failure
    assert store.read("log") == TEXT
    store.fs.volume.space._free_bytes = lambda: (1 << 30, 1 << 30)  # noqa: SLF001

    trio.run(run, clock=trio.testing.MockClock(autojump_threshold=0))

    assert tending.failure == ""
    assert placements(store, "log") == {"STANDARD_IA"}


def test_what_cannot_move_for_want_of_room_keeps_no_garbage(store: MemoryStore) -> None:
    """The room that it lacks is what the collection makes."""
    store.write("log", TEXT)
    old = pack_bytes(store)
    store.write("log", b"new")
    store.fs.volume.blocks.leave_open_packs()
    store.write("other", TEXT)
    purge(
        store.fs,
        store.fs.histories.of_name(*store.place("log")).items[1],
        caller=ALICE,
        bypass=None,
    )
    set_class(store, "other", "STANDARD_IA")
    limit = pack_bytes(store) + 1000
    held_back = store.fs.volume.space.reserve(1 << 30)
    store.fs.volume.space._free_bytes = lambda: (  # noqa: SLF001 - a small disk
        held_back + limit - pack_bytes(store),
        1 << 30,
    )
    tending = Tending(store.fs)

    async def run() -> None:
        with trio.move_on_after(4000):
            await tending.run()

    trio.run(run, clock=trio.testing.MockClock(autojump_threshold=0))

    assert tending.failure == ""
    assert placements(store, "other") == {"STANDARD_IA"}
    assert pack_bytes(store) < limit - old / 2


def test_a_pace_is_kept() -> None:
    """Ten seconds for ten times what a second may move; the clock is a mock."""
    clock = trio.testing.MockClock(autojump_threshold=0)

    async def move() -> float:
        start = trio.current_time()
        pace = Pace(1000)
        for _ in range(10):
            await pace.spend(1000)
        return trio.current_time() - start

    assert round(trio.run(move, clock=clock)) == 10
    assert issubclass(StoreFull, Exception)
