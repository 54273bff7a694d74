"""Memory that was needed once goes back to the machine."""

import trio
import trio.testing

from s3fs_local.engine.use import Use
from s3fs_local.workers.thrift import Thrift


async def test_freed_memory_goes_back_again_and_again(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Whatever the process has by then: one that grew in the middle of a scrub needs it no more."""
    del autojump_clock
    given = trio.Event()
    thrift = Thrift(Use(), lambda: trio.from_thread.run_sync(given.set))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(thrift.run)
        for _ in range(3):
            await given.wait()
            given = trio.Event()
        nursery.cancel_scope.cancel()
