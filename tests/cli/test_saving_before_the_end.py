"""How long whoever wants to end a mount waits for an attempt to make everything durable."""

from collections.abc import Callable
from typing import Any

import trio
from trio.testing import MockClock

from s3fs_local.daemon.saving import SAVE_SECONDS_MAX, why_unsaved
from s3fs_local.errors import S3fsLocalError, ZoneUnavailable
from tests.engine.memory_store import MemoryStore


class _HangingDisk:
    """Blocking calls return when it `goes_on`."""

    def __init__(self) -> None:
        self.goes_on = trio.Event()

    async def __call__(self, function: Callable[[], Any]) -> Any:  # noqa: ANN401 - passes through
        await self.goes_on.wait()
        return function()


def test_an_attempt_that_hangs_is_told_of_in_time_and_goes_on() -> None:
    """Nothing is half unmounted: what was begun ends when the disk answers."""
    disk = _HangingDisk()
    store = MemoryStore(run_blocking=disk)
    store.write("/f", b"x")
    durability = store.fs.volume.durability
    seen: list[S3fsLocalError | None] = []

    async def ask() -> None:
        async with trio.open_nursery() as nursery:
            began = trio.current_time()
            seen.append(await why_unsaved(durability, nursery))
            assert trio.current_time() - began == SAVE_SECONDS_MAX
            assert durability.unsaved()
            disk.goes_on.set()
        assert not durability.unsaved()

    trio.run(ask, clock=MockClock(autojump_threshold=0))
    assert isinstance(seen[0], ZoneUnavailable)


def test_nothing_unsaved_is_told_without_asking_a_disk() -> None:
    """One that hangs, or is away, is not needed for that."""
    disk = _HangingDisk()
    disk.goes_on.set()
    store = MemoryStore(run_blocking=disk)
    store.flush(durable=True)
    disk.goes_on = trio.Event()

    async def ask() -> S3fsLocalError | None:
        async with trio.open_nursery() as nursery:
            return await why_unsaved(store.fs.volume.durability, nursery)

    assert trio.run(ask, clock=MockClock(autojump_threshold=0)) is None
