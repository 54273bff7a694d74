"""What lifecycle does to names is told to no other region: that has rules of its own, as in S3."""

import pytest

from s3fs_local.rules.replication import Reason
from tests.engine.invariants import check_invariants
from tests.engine.lifecycle_store import LifecycleStore
from tests.engine.replicated import Regions
from tests.engine.test_replicas_names import paths
from tests.replication_rules import rule

EXPIRE_3 = {"ID": "old", "Expiration": {"Days": 3}}
FORGET_1 = {"ID": "gone", "NoncurrentVersionExpiration": {"NoncurrentDays": 1}}


def regions_with_lifecycle() -> tuple[Regions, LifecycleStore]:
    """Everything is replicated, removals too; the source, which expires what is three days old."""
    regions = Regions()
    regions.here = here = LifecycleStore()
    regions.put_rules(rule())
    return regions, here


def test_a_name_that_a_rule_ended_goes_on_in_the_other_region() -> None:
    """Of several, too, when something else of the file is told later, with all its names."""
    regions, here = regions_with_lifecycle()
    here.write("/a", b"content")
    here.link("/a", "/b")
    regions.tell()
    here.put_rules(EXPIRE_3)
    assert here.pass_days(4) == ["4 DeleteMarker a"]
    here.chmod("/b", 0o600)
    regions.tell()

    assert paths(here) == ["/b"]
    assert paths(regions.there) == ["/a", "/b"]
    assert regions.there.stat("/a").mode == here.stat("/b").mode
    here.remove("/b")
    regions.tell()
    assert paths(regions.there) == ["/a"]
    assert regions.there.read("/a") == b"content"
    check_invariants(here)
    check_invariants(regions.there)


def test_a_name_that_a_rule_ended_and_somebody_takes_is_told() -> None:
    """It means the new file in both."""
    regions, here = regions_with_lifecycle()
    here.write("/a", b"content")
    here.link("/a", "/b")
    regions.tell()
    here.put_rules(EXPIRE_3)
    here.pass_days(4)
    here.write("/a", b"new")
    here.chmod("/b", 0o600)
    regions.tell()

    assert regions.there.read("/a") == b"new"
    assert regions.there.read("/b") == b"content"
    check_invariants(regions.there)


@pytest.mark.parametrize("names", [1, 2])
def test_a_rule_of_the_other_region_is_no_divergence(names: int) -> None:
    """Both have rules: what one has let go is live in the other, until its own rule comes."""
    regions = Regions()
    regions.there = there = LifecycleStore()
    regions.put_rules(rule())
    regions.here.write("/a", b"content")
    for name in ["/b"][: names - 1]:
        regions.here.link("/a", name)
    regions.tell()
    there.put_rules(EXPIRE_3)
    assert there.pass_days(3) == ["3 DeleteMarker a"]
    regions.here.clock.advance(there.clock.now_ns() - regions.here.clock.now_ns())
    regions.here.chmod("/a", 0o600)
    regions.tell()

    assert regions.pending() == 0
    assert paths(there) == ["/b"][: names - 1]
    check_invariants(there)


def test_the_last_version_waits_until_the_other_region_heard_that_its_file_is_gone() -> None:
    """The way is down meanwhile; with the version nothing would be left to tell of."""
    regions, here = regions_with_lifecycle()
    here.put_rules(FORGET_1)
    here.write("/a", b"first")
    here.write("/a", b"second")
    regions.tell()
    here.remove("/a")
    assert here.pass_days(4) == ["2 Expire a"], "but the version before it need not wait"
    regions.tell()

    assert paths(regions.there) == []
    assert here.pass_days(2) == ["1 Expire a"]
    check_invariants(here)
    check_invariants(regions.there)


def test_a_last_version_does_not_wait_for_what_was_refused_or_for_no_region() -> None:
    """What a region does not take is never told, nor what no rule is for any more."""
    for end in (_refuse, Regions.delete_rules):
        regions, here = regions_with_lifecycle()
        here.put_rules(FORGET_1)
        here.write("/a", b"content")
        regions.tell()
        here.remove("/a")
        assert here.pass_days(3) == []
        end(regions)

        assert here.pass_days(2)[0] == "1 Expire a"


def _refuse(regions: Regions) -> None:
    for task in regions.here.metadata.tasks("west", 9):
        regions.replication.fail(task, Reason.DST_DIVERGED)
