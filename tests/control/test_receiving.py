"""The destination's end of a connection: what it says when it cannot take something now."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from s3fs_local.control.receiving import receive
from s3fs_local.daemon.remotes import SocketLink
from s3fs_local.engine.replica_origins import Origins
from s3fs_local.engine.replication_messages import PROTOCOL, Hello, Welcome
from s3fs_local.engine.replication_sending import Sender
from s3fs_local.errors import DestinationRefused, StoreFull
from s3fs_local.objects.failing import FailingObjects
from s3fs_local.objects.memory import MemoryObjects
from tests.engine.memory_store import ROOT, MemoryStore, at_once
from tests.engine.replicated import HERE, THERE, Regions
from tests.replication_rules import rule

MIB = 1 << 20


@asynccontextmanager
async def sender(regions: Regions) -> AsyncIterator[Sender]:
    """Speaks to the destination over a socket."""
    ours, theirs = trio.socket.socketpair()
    stream, far = trio.SocketStream(ours), trio.SocketStream(theirs)
    async with far, trio.open_nursery() as nursery, stream:
        nursery.start_soon(receive, far, ROOT, regions.there.fs, THERE)
        link = SocketLink(stream, "/there")
        hello = Hello(protocol=PROTOCOL, source=HERE, path="/here", host="h", replica_of="")
        assert isinstance(await link.ask(hello), Welcome)
        yield Sender(
            regions.here.fs,
            regions.replication,
            Origins(regions.here.metadata, HERE),
            destination="west",
            link=link,
            run_blocking=at_once,
        )


async def send(regions: Regions) -> None:
    """One batch, over a connection of its own."""
    regions.replication.decide()
    async with sender(regions) as speaks:
        await speaks.send(regions.here.metadata.tasks("west", 64))


def test_a_full_destination_says_so_and_everything_stays_pending() -> None:
    """For hours, perhaps: then it goes on by itself, and the person knows why it stands still."""
    zone = FailingObjects(MemoryObjects())
    regions = Regions(rule())
    regions.there = MemoryStore(zone)
    regions.here.write("f", b"x" * 3 * MIB)
    for _ in range(5):
        zone.fail("append", StoreFull("no space on the disk"), nth=1)
        with pytest.RaisesGroup(pytest.RaisesExc(DestinationRefused, match="no space on the disk")):
            trio.run(send, regions)
        assert regions.pending() > 0
        assert not regions.here.metadata.failed_tasks(9)
    trio.run(send, regions)

    assert regions.pending() == 0
    assert regions.there.read("f") == b"x" * 3 * MIB
