"""Promises of section 14: another region. More is in tests/engine/test_replicas_follow.py."""

import pytest

from s3fs_local.engine.purging import purge
from s3fs_local.engine.replication_messages import PROTOCOL, Block, Hello
from s3fs_local.errors import (
    DestinationUnreachable,
    Protected,
    ReplicaReadOnly,
    SourceAlive,
    VersioningRequired,
)
from s3fs_local.rules.inode import ROOT_INO
from s3fs_local.rules.retention import Retention
from s3fs_local.rules.versioning import VersioningState, check_state_change
from tests.engine.memory_store import ALICE, MemoryStore
from tests.engine.replicated import HERE, THERE, Regions
from tests.replication_rules import rule
from tests.semantics.promises import promise


def versions(store: MemoryStore, path: str) -> list[tuple[object, ...]]:
    """What the promise is about."""
    found = store.metadata.versions(store.stat(path).ino)
    return [(v.stamp_ns, v.salt, v.size, v.tags, v.lock) for v in found]


def a_replica(regions: Regions) -> None:
    """The destination takes changes from its source only."""
    hello = Hello(protocol=PROTOCOL, source=HERE, path="/here", host="h", replica_of="")
    regions.there.fs.replica.greet(hello, store_id=THERE, has_rules=False)


@promise(
    "What a rule wants is at the destination with the same version id, time, attributes, tags and"
    " locks."
)
def test_a_version_is_the_same_there() -> None:
    """Whoever named a version here finds it there."""
    regions = Regions(rule(), object_lock="true")
    here = regions.here
    here.write("f", b"1")
    here.write("f", b"2")
    ino = here.stat("f").ino
    here.fs.lock_attributes.set_tags(ino, {"k": "v"}, ALICE)
    until_ns = here.tick() + 10**12
    here.fs.locks.set_retention(ino, Retention("GOVERNANCE", until_ns), caller=ALICE)
    regions.tell()

    assert versions(regions.there, "f") == versions(here, "f")


@promise("A write never waits for another region.")
def test_a_write_goes_on_while_the_destination_is_away() -> None:
    """Nothing is told before somebody has the time."""
    regions = Regions(rule())
    regions.here.write("f", b"1")
    with pytest.raises(DestinationUnreachable):
        regions.tell(breaks_after=0)
    regions.here.write("f", b"2")

    assert regions.here.read("f") == b"2"
    with pytest.raises(DestinationUnreachable):
        regions.tell(breaks_after=0)
    assert regions.pending() == 2 + 1  # two versions, and the name


@promise("What was told was durable here before.")
def test_a_killed_source_has_what_its_replica_has() -> None:
    """Else the replica would have versions that nobody acknowledged."""
    regions = Regions(rule())
    regions.here.write("f", b"1")
    regions.tell()
    regions.here.crash()

    assert versions(regions.here, "f") == versions(regions.there, "f")


@promise("Whoever is killed, nothing is lost and nothing is there twice.")
def test_kills_of_both_sides_leave_the_same() -> None:
    """At any message."""
    regions = Regions(rule())
    for step in range(9):
        regions.here.write("f", b"%d" % step)
        with pytest.raises(DestinationUnreachable):
            regions.tell(breaks_after=step)
        regions.there.crash()
        regions.here.flush(durable=True)
        regions.here.crash()
    regions.tell()

    assert versions(regions.there, "f") == versions(regions.here, "f")


@promise("Removals go only where the rule says so, and the removal of one version never does.")
def test_removals_are_told_by_rule_and_purges_never() -> None:
    """A thief with the right to purge reaches one region only."""
    for status, stays in (("Enabled", False), ("Disabled", True)):
        regions = Regions(rule(DeleteMarkerReplication={"Status": status}))
        regions.here.write("f", b"1")
        regions.here.write("f", b"2")
        regions.tell()
        old = regions.here.fs.histories.of_name(*regions.here.place("f")).items[1]
        purge(regions.here.fs, old, caller=ALICE, bypass=None)
        regions.here.remove("f")
        regions.tell()
        assert regions.there.exists("f") is stays
        assert regions.there.history("f") == [b"2", b"1"]


@promise("What lifecycle does here stays here.")
def test_an_expiration_is_not_told_also_not_later() -> None:
    """S3: both sides have rules of their own."""
    regions = Regions(rule())
    here = regions.here
    here.write("f", b"1")
    regions.tell()
    ino = here.stat("f").ino
    with here.fs.volume.outbox.resting():
        here.fs.namespace.unlink(*here.place("f"), ALICE, by_rule=True)
    here.fs.lock_attributes.set_tags(ino, {"k": "v"}, ALICE)
    regions.tell()

    assert regions.there.read("f") == b"1"
    assert regions.there.metadata.versions(regions.there.stat("f").ino)[0].tags == {"k": "v"}


@promise("A rename is told as a rename, so no temporary file of an editor stays there.")
def test_an_editors_save_leaves_one_name() -> None:
    """Also without delete markers."""
    regions = Regions(rule(DeleteMarkerReplication={"Status": "Disabled"}))
    regions.here.write("doc.tmp", b"1")
    regions.tell()
    regions.here.rename("doc.tmp", "doc")
    regions.tell()

    assert regions.there.listing("/") == [b"doc"]


@promise(
    "When all was told, names are there as they are at the source, now and at any time before,"
    " whatever was told first."
)
def test_names_are_there_whatever_was_told_first() -> None:
    """An exchange and a move, told one file at a time, with the latest change last."""
    regions = Regions(rule())
    here, there = regions.here, regions.there
    here.write("f", b"1")
    here.mkdir("d")
    here.link("f", "d/g")
    regions.tell()
    at_ns = here.tick()
    here.tick()
    here.rename("f", "d", 2)
    here.rename("f/g", "h")
    here.chmod("f", 0o700)
    regions.batch = 1
    regions.tell()

    assert [sorted(store.listing("/")) for store in (here, there)] == [[b"d", b"f", b"h"]] * 2
    assert there.listing("/f") == []
    for store in (here, there):
        then = {entry.name for entry in store.metadata.children_at(ROOT_INO, at_ns)}
        assert then == {b"f", b"d"}


@promise("Only blocks that the destination lacks travel.")
def test_an_append_carries_what_was_appended() -> None:
    """A log of gigabytes costs its lines."""
    regions = Regions(rule())
    regions.here.write("log", b"x" * 100_000)
    regions.tell()
    regions.here.append("log", b"y" * 5000)
    carried = [message for message in regions.tell() if isinstance(message, Block)]

    assert [message.plain for message in carried] == [b"y" * 5000]


@promise(
    "Of a large version no more than 16 MiB travel twice when the way breaks, whoever is killed."
)
def test_a_large_version_goes_on_where_it_was() -> None:
    """More in tests/engine/test_large_versions_arrive_in_parts.py."""
    regions = Regions(rule())
    content = bytes(40 << 20)
    regions.here.write("big", content)
    regions.here.flush(durable=True)
    sent = 0
    for _ in range(2):
        with pytest.raises(DestinationUnreachable):
            regions.tell(breaks_after=2 + 16 + 1 + 10)
        sent += sum(len(m.plain) for m in regions.link.carried if isinstance(m, Block))
        regions.there.crash()
        regions.here.crash()
    sent += sum(len(m.plain) for m in regions.tell() if isinstance(m, Block))

    assert sent <= len(content) + 2 * (16 << 20)
    assert regions.there.read("big") == content


@promise("A COMPLIANCE lock there holds until its date, whatever the source says.")
def test_a_source_cannot_free_what_the_replica_keeps() -> None:
    """The edit of a row at the source ends no lock in the other building."""
    regions = Regions(rule(), object_lock="true")
    here, there = regions.here, regions.there
    here.write("f", b"1")
    ino = here.stat("f").ino
    until_ns = here.tick() + 10**15
    here.fs.locks.set_retention(ino, Retention("COMPLIANCE", until_ns), caller=ALICE)
    regions.tell()
    locked = there.stat("f").lock
    here.fs.locks._put_lock(here.stat("f"), None)  # noqa: SLF001 - as an intruder would
    regions.tell()

    assert there.stat("f").lock == locked is not None
    (failed,) = here.metadata.failed_tasks(9)
    assert failed.reason == "DstPutObjectNotPermitted"


@promise("A replica takes changes from its source only, until it is promoted. The error is EROFS.")
def test_a_replica_is_read_only() -> None:
    """Two who write to one thing make two things."""
    regions = Regions(rule())
    a_replica(regions)
    regions.here.write("f", b"1")
    regions.tell()
    with pytest.raises(ReplicaReadOnly):
        regions.there.write("f", b"2")
    with pytest.raises(ReplicaReadOnly):
        regions.there.remove("f")
    regions.there.fs.replica.promote(source_is_alive="", force=False)
    regions.there.write("f", b"2")

    assert regions.there.history("f") == [b"2", b"1"]


@promise("A replica is not promoted while its source is known to be alive, unless it is forced.")
def test_promotion_asks_for_the_source() -> None:
    """A finger too quick must not make two stores out of one."""
    regions = Regions(rule())
    a_replica(regions)
    replica = regions.there.fs.replica
    with pytest.raises(SourceAlive):
        replica.promote(source_is_alive="it is mounted", force=False)
    replica.promote(source_is_alive="it is mounted", force=True)

    assert not replica.is_replica


@promise("What was written at the destination by somebody else is never overwritten.")
def test_a_file_of_somebody_else_stays() -> None:
    """It is told, and waits for a person."""
    regions = Regions(rule())
    regions.there.write("f", b"mine")
    regions.here.write("f", b"yours")
    regions.tell()

    assert regions.there.history("f") == [b"mine"]
    assert {task.reason for task in regions.here.metadata.failed_tasks(9)} == {"DstObjectDiverged"}


@promise(
    "A source whose clock is ahead ends no lock there, and a promoted store writes later than what"
    " it was told."
)
def test_a_clock_that_is_ahead_breaks_neither_locks_nor_order() -> None:
    """More in tests/engine/test_replicas_under_attack.py."""
    regions = Regions(rule(), object_lock="true")
    here, there = regions.here, regions.there
    here.write("f", b"1")
    until_ns = here.tick() + 600 * 10**9
    here.fs.locks.set_retention(here.stat("f").ino, Retention("COMPLIANCE", until_ns), caller=ALICE)
    regions.tell()
    here.tick(1200)
    here.write("g", b"told")
    regions.tell(same_time=False)
    with pytest.raises(Protected):
        there.remove("f")
    there.write("g", b"own")

    assert there.history("g") == [b"own", b"told"]


@promise("A store with replication rules keeps versioning Enabled.")
def test_versioning_stays_enabled_beside_rules() -> None:
    """In S3's words."""
    with pytest.raises(VersioningRequired, match="replication configuration"):
        check_state_change(
            VersioningState.ENABLED,
            VersioningState.SUSPENDED,
            object_lock_enabled=False,
            replicates=True,
        )
