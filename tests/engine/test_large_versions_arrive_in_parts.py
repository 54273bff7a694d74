"""A version larger than a part: what arrived stays, however often the way breaks."""

import pytest
import trio

from s3fs_local.engine import replication_sending
from s3fs_local.engine.compaction import collect_garbage
from s3fs_local.engine.replica_arrivals import ARRIVING_SETTING, Arrivals
from s3fs_local.engine.replication_messages import Block
from s3fs_local.errors import DestinationUnreachable
from tests.engine.invariants import check_invariants
from tests.engine.replicated import Regions
from tests.replication_rules import rule

MIB = 1 << 20
PART = 2 * MIB
WEEK_SECONDS = 7 * 86_400
CONTENT = b"".join(bytes([number]) * MIB for number in range(9)) + b"the end"


@pytest.fixture
def regions(monkeypatch: pytest.MonkeyPatch) -> Regions:
    """Everything is replicated, in parts that a test can afford."""
    monkeypatch.setattr(replication_sending, "PART_BYTES", PART)
    return Regions(rule())


def carried(regions: Regions) -> int:
    """Bytes that travelled in the last attempt."""
    return sum(len(m.plain) for m in regions.link.carried if isinstance(m, Block))


def break_after(regions: Regions, messages: int) -> int:
    """The way breaks after so many messages; the bytes that travelled."""
    with pytest.raises(DestinationUnreachable):
        regions.tell(breaks_after=messages)
    return carried(regions)


@pytest.mark.parametrize("killed", ["nobody", "source", "destination", "both"])
def test_no_more_than_a_part_is_carried_twice(regions: Regions, killed: str) -> None:
    """On a way that breaks every minute a large file would never arrive otherwise."""
    regions.here.write("big", CONTENT)
    regions.here.flush(durable=True)
    travelled = 0
    for _ in range(4):
        travelled += break_after(regions, 7)
        if killed in {"destination", "both"}:
            regions.there.crash()
        if killed in {"source", "both"}:
            regions.here.crash()
        check_invariants(regions.there)
        assert not regions.there.exists("big")
    regions.tell()
    travelled += carried(regions)

    assert travelled <= len(CONTENT) + 4 * PART
    assert regions.there.read("big") == CONTENT
    check_invariants(regions.there)
    assert regions.there.metadata.setting(ARRIVING_SETTING) is None


def test_each_attempt_gets_further_by_whole_parts(regions: Regions) -> None:
    """Two questions, a part of two blocks, a kept part: the next attempt sends the next blocks."""
    regions.here.write("big", CONTENT)
    sent = []
    for _ in range(2):
        break_after(regions, 2 + 3 + 3 + 1)
        sent.append([m.offset // MIB for m in regions.link.carried if isinstance(m, Block)])
    regions.tell()
    sent.append([m.offset // MIB for m in regions.link.carried if isinstance(m, Block)])

    assert sent == [[0, 1, 2, 3, 4], [4, 5, 6, 7, 8], [8, 9]]


def test_a_version_that_came_in_parts_says_what_it_added(regions: Regions) -> None:
    """Its cost does not depend on how often the way broke."""
    regions.here.write("big", CONTENT)
    break_after(regions, 6)
    regions.tell()
    mine, theirs = (
        store.metadata.versions(store.stat("big").ino)[0].stored_bytes
        for store in (regions.here, regions.there)
    )

    assert theirs == mine


def test_a_new_version_of_a_file_arrives_beside_the_old_one(regions: Regions) -> None:
    """What arrives shows nowhere until it is whole."""
    regions.here.write("big", b"old")
    regions.tell()
    regions.here.write("big", CONTENT)
    break_after(regions, 7)
    assert regions.there.history("big") == [b"old"]
    check_invariants(regions.there)
    regions.there.crash()
    assert regions.there.read("big") == b"old"
    regions.tell()

    assert regions.there.history("big") == [CONTENT, b"old"]
    check_invariants(regions.there)


def test_blocks_that_only_arrived_are_no_garbage(regions: Regions) -> None:
    """A pack whose blocks no version has yet must not be removed under them."""
    regions.here.write("big", CONTENT)

    async def collect() -> None:
        regions.there.fs.volume.blocks.leave_open_packs()
        await collect_garbage(regions.there.fs, dry_run=False, dead_share=0.0)

    regions.tell(on_block=collect)

    assert regions.there.read("big") == CONTENT
    check_invariants(regions.there)


def test_kept_blocks_may_be_moved_by_garbage_collection(regions: Regions) -> None:
    """Between two attempts the destination goes on tidying up."""
    regions.here.write("big", CONTENT)
    break_after(regions, 7)
    regions.there.fs.volume.blocks.leave_open_packs()
    trio.run(lambda: collect_garbage(regions.there.fs, dry_run=False, dead_share=0.0))
    regions.tell()

    assert regions.there.read("big") == CONTENT
    check_invariants(regions.there)


def test_what_its_source_does_not_come_back_for_goes_after_a_week(regions: Regions) -> None:
    """As S3 aborts incomplete uploads; with its key, so that nothing can be read of it."""
    here, there = regions.here, regions.there
    here.write("big", CONTENT)
    break_after(regions, 8)
    regions.delete_rules()
    regions.put_rules(rule())
    here.write("other", b"x")
    regions.tell()
    assert there.metadata.usage().blocks > 1
    here.tick(WEEK_SECONDS + 1)
    here.write("other", b"y")
    regions.tell()

    assert there.metadata.setting(ARRIVING_SETTING) is None
    assert there.metadata.usage().blocks == 2
    assert len(there.metadata.keys(0, 9)) == 1
    check_invariants(there)


def test_a_promoted_store_waits_for_nothing(regions: Regions) -> None:
    """Its source cannot come back."""
    regions.here.write("big", CONTENT)
    break_after(regions, 8)
    assert regions.there.metadata.usage().blocks > 0
    trio.run(Arrivals(regions.there.fs.volume).release_all)

    assert regions.there.metadata.usage().blocks == 0
    check_invariants(regions.there)
