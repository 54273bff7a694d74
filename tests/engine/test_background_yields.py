"""Background work rests while programs use the mount, and comes to its end all the same."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from s3fs_local.control.classing import change_class
from s3fs_local.control.context import Context
from s3fs_local.control.requests import ChangeClass
from s3fs_local.control.results.store import Status
from s3fs_local.engine.compaction import collect_garbage
from s3fs_local.engine.healing import Healing, Streams
from s3fs_local.engine.lifecycle_runs import Turns
from s3fs_local.engine.pace import AT_ONCE
from s3fs_local.engine.purging import purge
from s3fs_local.engine.replica_origins import Origins
from s3fs_local.engine.replica_receiving import Receiver
from s3fs_local.engine.replication_sending import Sender
from s3fs_local.engine.scrubbing import Scrubbing
from s3fs_local.engine.share_care import ShareCare
from s3fs_local.engine.use import Use
from s3fs_local.engine.verification import Verification
from s3fs_local.engine.verified_copies import VerifiedCopies
from s3fs_local.engine.yielding import Turn, Yielding, pieces
from s3fs_local.rules.instants import SECOND_NS
from s3fs_local.rules.storage_classes import StorageClass
from s3fs_local.rules.yielding import (
    LATE_S,
    PIECE_BYTES_IN_USE,
    QUIET_S,
    REST_S_MAX,
    SHARE,
    SHARE_FOR_A_PERSON,
)
from tests.engine.lifecycle_store import LifecycleStore
from tests.engine.memory_store import ALICE, MemoryStore
from tests.engine.replicated import HERE, THERE, LocalLink, Regions
from tests.replication_rules import rule

STEP_S = 0.005
"""What every call that is made in a thread takes, by the loop's clock."""
FILES = 8
CALL_S = 0.01
"""So often a program asks."""


def now_ns() -> int:
    """The loop's clock, so that a test says what time it is."""
    return round(trio.current_time() * SECOND_NS)


class Noting(Yielding):
    """Knows what was taken, and how long was rested."""

    def __init__(self, use: Use) -> None:
        super().__init__(use, now_ns)
        self.use = use
        self.taken_s = self.rested_s = 0.0

    async def rest_after(self, took_s: float, of_share: float = SHARE) -> None:
        """See `Yielding`."""
        self.taken_s += took_s
        began = trio.current_time()
        await super().rest_after(took_s, of_share)
        self.rested_s += trio.current_time() - began


async def slowly(function: Callable[[], Any]) -> Any:  # noqa: ANN401 - passes through
    """Every call takes a while, as in a thread."""
    await trio.sleep(STEP_S)
    return function()


@asynccontextmanager
async def used(use: Use) -> AsyncIterator[None]:
    """A program asks without end."""

    async def ask() -> None:
        while True:
            use.requested_ns = now_ns()
            await trio.sleep(CALL_S)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        await trio.lowlevel.checkpoint()
        yield
        nursery.cancel_scope.cancel()


def virtually(test: Callable[[], Awaitable[None]]) -> None:
    """The test, by a clock that jumps."""
    trio.run(test, clock=MockClock(autojump_threshold=0))


def test_all_tasks_together_take_their_share() -> None:
    """Three that never end leave a program as much as one would, and none of them starves."""

    async def test() -> None:
        yielding = Noting(Use())
        steps = [0, 0, 0]

        async def work(number: int) -> None:
            turn = yielding.turn()
            while True:
                await trio.sleep(STEP_S)
                steps[number] += 1
                await turn.over()

        with trio.move_on_after(50):
            async with used(yielding.use), trio.open_nursery() as nursery:
                for number in range(3):
                    nursery.start_soon(work, number)
        assert sum(steps) * STEP_S / 50 == pytest.approx(SHARE, rel=0.1)
        assert max(steps) - min(steps) <= 3

    virtually(test)


def test_nothing_rests_while_nobody_uses_the_mount() -> None:
    """At night a scrub goes as fast as it did, from soon after the last program stopped."""

    async def test() -> None:
        yielding = Noting(Use())
        turn = yielding.turn()
        async with used(yielding.use):
            await trio.sleep(STEP_S)
            await turn.over()
        assert yielding.rested_s > 0
        resting = yielding.rested_s
        await trio.sleep(1)
        await turn.over()
        began = trio.current_time()
        for _ in range(100):
            await trio.sleep(STEP_S)
            await turn.over()
        assert trio.current_time() - began == pytest.approx(100 * STEP_S)
        assert yielding.rested_s == resting

    virtually(test)


def test_a_rest_ends_when_the_program_does() -> None:
    """Many tasks may have asked for rests far ahead: those count no more."""

    async def test() -> None:
        yielding = Noting(Use())
        done: list[float] = []

        async def step() -> None:
            turn = yielding.turn()
            await trio.sleep(STEP_S)
            await turn.over()
            done.append(trio.current_time())

        async with trio.open_nursery() as nursery:
            yielding.use.requested_ns = now_ns()
            for _ in range(100):
                nursery.start_soon(step)
        assert len(done) == 100
        assert max(done) <= STEP_S + REST_S_MAX + 2 * QUIET_S

    virtually(test)


def test_what_is_late_rests_no_more() -> None:
    """However busy the mount is, another region is not left behind for its sake."""

    async def test() -> None:
        yielding = Noting(Use())
        begun = trio.current_time()
        turn = yielding.turn(lambda: trio.current_time() - begun)
        async with used(yielding.use):
            while trio.current_time() - begun < LATE_S:
                await trio.sleep(STEP_S)
                await turn.over()
            began = trio.current_time()
            for _ in range(100):
                await trio.sleep(STEP_S)
                await turn.over()
        assert trio.current_time() - began == pytest.approx(100 * STEP_S)
        assert yielding.rested_s > LATE_S / 2

    virtually(test)


def test_what_a_person_waits_for_takes_more_and_all_else_what_it_did() -> None:
    """Movers hold each other up, so all of them hurry for one; a scrub beside them does not."""

    async def test() -> None:
        yielding = Noting(Use())
        moved, scrubbed = [0], [0]

        async def work(turn: Turn, steps: list[int]) -> None:
            while True:
                await trio.sleep(STEP_S)
                steps[0] += 1
                await turn.over()

        async def done_in(seconds: float) -> tuple[float, float]:
            before = moved[0], scrubbed[0]
            await trio.sleep(seconds)
            return (
                (moved[0] - before[0]) * STEP_S / seconds,
                (scrubbed[0] - before[1]) * STEP_S / seconds,
            )

        async with used(yielding.use), trio.open_nursery() as nursery:
            nursery.start_soon(work, yielding.turn_of_mover(), moved)
            nursery.start_soon(work, yielding.turn(), scrubbed)
            with yielding.waited_for():
                assert sum(await done_in(LATE_S)) == pytest.approx(SHARE, rel=0.1)
                by_movers, by_scrub = await done_in(50)
                assert by_movers == pytest.approx(SHARE_FOR_A_PERSON, rel=0.1)
                assert by_scrub == pytest.approx(SHARE, rel=0.1)
            assert sum(await done_in(50)) == pytest.approx(SHARE, rel=0.1)
            nursery.cancel_scope.cancel()

    virtually(test)


def test_waiting_for_somebody_else_takes_nothing() -> None:
    """A slow network costs programs nothing, so replication over it is not slowed down."""

    async def test() -> None:
        yielding = Noting(Use())
        turn = yielding.turn()
        with turn.waiting():
            await trio.sleep(3)
        await trio.sleep(STEP_S)
        await turn.over()
        assert yielding.taken_s == pytest.approx(STEP_S)

    virtually(test)


def test_pieces_are_of_bounded_size() -> None:
    """What one step reads is bounded by bytes, but for one item that is larger by itself."""
    assert list(pieces([3, 3, 3, 9, 1, 1], lambda size: size, lambda: 6)) == [
        [3, 3],
        [3],
        [9],
        [1, 1],
    ]
    assert list(pieces([], len, lambda: 6)) == []


# Every kind of work


async def scrub(store: MemoryStore) -> None:
    """Every copy is read."""
    volume = store.fs.volume
    packs = volume.durability.packs
    healing = Healing(volume, packs, VerifiedCopies())
    scrubbing = Scrubbing(
        volume.zones,
        packs,
        healing,
        ShareCare(volume, packs),
        streams=Streams(lambda _, copies: copies[0], lambda _, __: False),
    )
    findings = await scrubbing.run(
        before_ns=volume.now_ns() + SECOND_NS, rate_bytes=1 << 40, with_growing=True
    )
    assert findings.bytes > (FILES - 1) * PIECE_BYTES_IN_USE
    assert not findings.pieces


async def gc(store: MemoryStore) -> None:
    """Half of a pack is dead."""
    for number in range(FILES // 2):
        path = f"/f{number}"
        store.remove(path)
        store.tick()
        item = store.fs.histories.of_name(*store.place(path)).items[-1]
        purge(store.fs, item, caller=ALICE, bypass=None)
    store.fs.volume.blocks.leave_open_packs()
    garbage = await collect_garbage(store.fs, dry_run=False)
    assert garbage.packs


async def moves(store: MemoryStore) -> None:
    """Every file goes to another class."""
    for number in range(FILES):
        inode = store.stat(f"/f{number}")
        store.fs.classes.set_by(inode.ino, inode.version_ns, StorageClass("STANDARD_IA"), ALICE)
    await store.fs.settling.settle_all(AT_ONCE)
    assert not store.metadata.unsettled(1, 0)


async def verify(store: MemoryStore) -> None:
    """Every block is compared with what the ledger says."""

    async def tell_nobody(_: str, __: int, ___: int) -> None:
        pass

    verified = await Verification(store.fs.volume, tell_nobody, reads_all=True).run()
    assert verified.bytes > (FILES - 1) * PIECE_BYTES_IN_USE
    assert not verified.found


@pytest.mark.parametrize("work", [scrub, gc, moves, verify], ids=lambda work: work.__name__)
def test_work_beside_a_program_that_never_stops_comes_to_its_end(
    work: Callable[[MemoryStore], Awaitable[None]],
) -> None:
    """It rests far longer than it works, each kind of it, and yet it is done in a bounded time."""
    store = MemoryStore(run_blocking=slowly)
    for number in range(FILES):
        store.write(f"/f{number}", bytes([number]) * PIECE_BYTES_IN_USE)
    yielding = store.fs.volume.yielding = Noting(store.fs.volume.use)

    async def test() -> None:
        async with used(yielding.use):
            with trio.fail_after(600):
                await work(store)

    virtually(test)
    assert yielding.taken_s > STEP_S
    assert yielding.rested_s > 10 * yielding.taken_s


class Deaf:
    """An outlet: nobody looks."""

    async def progress(self, what: str, *, done: int, total: int = 0) -> None:
        """See `Outlet`."""

    async def data(self, chunk: bytes) -> None:
        """See `Outlet`."""


def no_status() -> Status:
    """Nobody asks for it."""
    raise AssertionError


def test_a_command_that_moves_a_file_is_waited_for() -> None:
    """Whoever typed `class set` does not wait as long as for work that is nobody's."""
    blocks = 32
    content = b"x" * (blocks * PIECE_BYTES_IN_USE)

    def seconds_of(command: Callable[[MemoryStore], Awaitable[Any]]) -> float:
        store = MemoryStore(run_blocking=slowly)
        store.write("/f", content)
        yielding = store.fs.volume.yielding = Noting(store.fs.volume.use)
        took_s = 0.0

        async def test() -> None:
            nonlocal took_s
            began = trio.current_time()
            async with used(yielding.use):
                await command(store)
            took_s = trio.current_time() - began
            assert not store.metadata.unsettled(1, 0)

        virtually(test)
        return took_s

    async def by_command(store: MemoryStore) -> None:
        context = Context(filesystem=store.fs, caller=ALICE, outlet=Deaf(), describe=no_status)
        await change_class(ChangeClass(b"f", "STANDARD_IA"), context)

    async def by_itself(store: MemoryStore) -> None:
        inode = store.stat("/f")
        store.fs.classes.set_by(inode.ino, inode.version_ns, StorageClass("STANDARD_IA"), ALICE)
        await store.fs.settling.settle_all(AT_ONCE)

    late_s = seconds_of(by_command) - LATE_S
    assert 0 < late_s < (seconds_of(by_itself) - LATE_S) / 3


def test_lifecycle_beside_a_program_that_never_stops_comes_to_its_end() -> None:
    """The daily run is made on a busy day, too."""
    store = LifecycleStore()
    store._run_blocking = slowly  # noqa: SLF001
    store.crash()
    for number in range(400):
        store.write(f"/f{number}", b"x")
    store.put_rules({"Expiration": {"Days": 1}})
    store.tick(3 * 86_400)
    yielding = store.fs.volume.yielding = Noting(store.fs.volume.use)

    async def test() -> None:
        async with used(yielding.use):
            with trio.fail_after(600):
                run = await store.fs.lifecycle.run(Turns(store.fs.volume))
        assert run.markers_added == 400

    virtually(test)
    assert yielding.rested_s > 10 * yielding.taken_s > 0


@pytest.mark.parametrize("is_late", [False, True])
def test_replication_beside_a_program_that_never_stops_comes_to_its_end(*, is_late: bool) -> None:
    """It yields while it is not late, and is done soon once it is."""
    regions = Regions()
    regions.here = MemoryStore(run_blocking=slowly)
    regions.put_rules(rule())
    for number in range(3):
        regions.here.write(f"/f{number}", b"x")  # each takes a second
    if is_late:
        regions.here.tick(round(LATE_S))
    receiver = Receiver(regions.there.fs, THERE)
    receiver.begin(HERE)
    yielding = regions.here.fs.volume.yielding = Noting(regions.here.fs.volume.use)

    async def test() -> None:
        sender = Sender(
            regions.here.fs,
            regions.replication,
            Origins(regions.here.metadata, HERE),
            destination="west",
            link=LocalLink(receiver),
            run_blocking=slowly,
        )
        while regions.replication.decide():
            pass
        async with used(yielding.use):
            with trio.fail_after(60):
                while tasks := regions.here.metadata.tasks("west", 64):
                    await sender.send(tasks)

    virtually(test)
    receiver.close()
    assert regions.pending() == 0
    assert regions.there.read("/f2") == b"x"
    assert (yielding.rested_s > 0) is not is_late
