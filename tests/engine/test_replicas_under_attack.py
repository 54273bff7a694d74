"""A source that lies, or whose clock does, gets nothing at the destination that a lock forbids."""

import pytest

from s3fs_local.engine.purging import purge
from s3fs_local.engine.replica_versions import AHEAD_NS_MAX
from s3fs_local.errors import Protected
from s3fs_local.rules.instants import SECOND_NS
from s3fs_local.rules.retention import Lock, Retention
from tests.engine.invariants import check_invariants
from tests.engine.memory_store import ALICE
from tests.engine.replicated import Regions
from tests.replication_rules import rule

HOUR_NS = 3600 * SECOND_NS


def test_a_removal_at_the_source_leaves_what_is_locked_at_the_destination() -> None:
    """S3: a delete marker hides the object, and the locked version stays below it."""
    regions = Regions(rule(), object_lock="true")
    here, there = regions.here, regions.there
    here.write("f", b"1")
    until_ns = here.tick() + 10**15
    retention = Retention("COMPLIANCE", until_ns)
    here.fs.locks.set_retention(here.stat("f").ino, retention, caller=ALICE)
    regions.tell()
    here.fs.locks._put_lock(here.stat("f"), None)  # noqa: SLF001 - as an intruder would
    here.remove("f")
    regions.tell()

    marker, version = there.fs.histories.of_name(*there.place("f")).items
    assert marker.version is None
    assert version.version is not None
    assert version.version.lock == Lock(retention=retention)
    with pytest.raises(Protected):
        purge(there.fs, version, caller=ALICE, bypass=None)
    assert there.history("f") == [b"1"]


def test_what_a_promoted_store_writes_is_newer_than_what_it_was_told() -> None:
    """Although its clock is behind that of the lost source: the order of versions is kept."""
    regions = Regions(rule())
    regions.here.clock.advance(HOUR_NS // 2)
    regions.here.write("f", b"told")
    regions.tell(same_time=False)
    there = regions.there
    there.write("f", b"own")

    assert there.history("f") == [b"own", b"told"]
    assert there.read("f") == b"own"
    check_invariants(there)


def test_a_source_whose_clock_is_ahead_ends_no_lock_at_the_destination() -> None:
    """Only measured time does; also after the store was opened anew."""
    regions = Regions(rule(), object_lock="true")
    here, there = regions.here, regions.there
    here.write("f", b"1")
    until_ns = here.tick() + HOUR_NS // 4
    here.fs.locks.set_retention(here.stat("f").ino, Retention("COMPLIANCE", until_ns), caller=ALICE)
    regions.tell()
    here.clock.advance(HOUR_NS // 2)
    here.write("g", b"from the future")
    regions.tell(same_time=False)
    for _ in range(2):
        assert there.read("g") == b"from the future"
        with pytest.raises(Protected):
            there.remove("f")
        there.flush(durable=True)
        there.crash()


def test_a_source_whose_clock_is_years_ahead_is_refused_also_with_names() -> None:
    """A directory has no version, but its name has an instant."""
    regions = Regions(rule())
    regions.here.clock.advance(2 * AHEAD_NS_MAX)
    regions.here.mkdir("d")
    regions.here.write("d/f", b"1")
    regions.tell(same_time=False)

    assert regions.there.listing("/") == []
    reasons = {task.reason for task in regions.here.metadata.failed_tasks(9)}
    assert reasons == {"DstPutObjectNotPermitted"}
