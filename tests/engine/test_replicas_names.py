"""Names in another region: whatever was told first, in the end they are those of the source."""

import os

import pytest

from s3fs_local.engine.purging import purge
from s3fs_local.engine.restoring import Restoring, state_at
from s3fs_local.errors import DestinationUnreachable
from tests.engine.invariants import check_invariants
from tests.engine.memory_store import ALICE, MemoryStore
from tests.engine.replicated import Regions
from tests.engine.test_replicas_follow import check_same
from tests.replication_rules import rule

EXCHANGE = 2
NO_MARKERS = {"DeleteMarkerReplication": {"Status": "Disabled"}}


@pytest.fixture
def regions() -> Regions:
    """Everything is replicated."""
    return Regions(rule())


def paths(store: MemoryStore) -> list[str]:
    """All that is live, in order."""
    found, waiting = [], [""]
    while waiting:
        above = waiting.pop()
        for name in store.listing(above or "/"):
            found.append(f"{above}/{name.decode()}")
            if store.stat(found[-1]).is_directory:
                waiting.append(found[-1])
    return sorted(found)


def bring_back(store: MemoryStore, old: str, at_ns: int, new: str) -> None:
    """What was there then is there again under another name."""
    was = state_at(store.fs, *store.place(old), at_ns)
    parent, name = store.place(new)
    list(Restoring(store.fs, ALICE, at_ns=at_ns).restore(parent, name, was, name))


def move_by_restoring(regions: Regions) -> None:
    """`d` with its file was told; it was removed and brought back as `e`, which was not."""
    here = regions.here
    here.mkdir("d")
    here.write("d/f", b"1")
    regions.tell()
    at_ns = here.tick()
    here.tick()
    here.remove("d/f")
    here.remove("d")
    bring_back(here, "d", at_ns, "e")


def test_a_file_and_the_directory_of_its_link_are_exchanged(regions: Regions) -> None:
    """The directory is not empty when the file takes its name: it goes to its own new place."""
    here = regions.here
    here.write("f", b"1")
    here.mkdir("d")
    here.link("f", "d/g")
    regions.tell()
    here.rename("f", "d", EXCHANGE)
    regions.tell()

    assert paths(regions.there) == ["/d", "/f", "/f/g"]
    check_same(regions)


@pytest.mark.parametrize("batch", [1, 64])
def test_a_directory_that_is_brought_back_under_another_name_has_that_one_only(
    regions: Regions, batch: int
) -> None:
    """It was not empty there when its removal was told, so the old name stayed."""
    move_by_restoring(regions)
    regions.batch = batch
    regions.tell()

    assert paths(regions.there) == ["/e", "/e/f"]
    check_same(regions)


def test_a_removed_directory_goes_although_what_was_in_it_is_told_later(regions: Regions) -> None:
    """It is told once more when what had kept it has another place, or none."""
    here = regions.here
    here.mkdir("d")
    here.write("d/f", b"1")
    regions.tell()
    here.rename("d/f", "f")
    here.remove("d")
    here.chmod("f", 0o600)
    regions.batch = 1
    regions.tell()

    assert paths(regions.there) == ["/f"]
    check_same(regions)


@pytest.mark.parametrize("batch", [1, 2, 64])
def test_directories_that_change_places_never_lie_in_each_other(
    regions: Regions, batch: int
) -> None:
    """The one above goes along, however few are told at a time, and wherever the way breaks."""
    here, there = regions.here, regions.there
    here.mkdir("a")
    here.mkdir("a/b")
    here.write("a/b/f", b"1")
    regions.tell()
    here.rename("a/b", "b")
    here.rename("a", "b/a")
    here.chmod("b", 0o700)  # it is told later now
    regions.batch = batch
    for breaks_after in range(12):
        try:
            regions.tell(breaks_after=breaks_after)
        except DestinationUnreachable:
            assert paths(there) in (["/a", "/a/b", "/a/b/f"], ["/b", "/b/a", "/b/f"])
    regions.tell()

    assert paths(there) == ["/b", "/b/a", "/b/f"]
    check_same(regions)


def test_exchanged_directories_are_never_missing(regions: Regions) -> None:
    """Whoever promotes the region after the way broke has all that lives."""
    here, there = regions.here, regions.there
    for name in ("a", "b"):
        here.mkdir(name)
        here.write(f"{name}/{name}", b"1")
    regions.tell()
    before = paths(there)
    here.rename("a", "b", EXCHANGE)
    for breaks_after in range(8):
        try:
            regions.tell(breaks_after=breaks_after)
        except DestinationUnreachable:
            assert paths(there) in (before, ["/a", "/a/b", "/b", "/b/a"])
    regions.tell()
    check_same(regions)


def test_a_name_ends_there_although_the_file_that_had_replaced_it_was_never_saved(
    regions: Regions,
) -> None:
    """Of such a file nothing is told, so nobody else would say that the old one is gone."""
    here = regions.here
    here.write("a", b"1")
    handle = here.open("tmp", os.O_CREAT | os.O_RDWR)
    here.rename("tmp", "a")
    regions.tell()
    assert regions.there.read("a") == b"1"
    here.remove("a")
    here.close(handle)
    regions.tell()

    assert paths(regions.there) == paths(here) == []
    check_invariants(regions.there)


def test_a_directory_made_anew_takes_the_name_where_removals_are_not_told() -> None:
    """What is new must be found; what was left in the old directory is in the past of the name."""
    regions = Regions(rule(**NO_MARKERS))
    here, there = regions.here, regions.there
    here.mkdir("d")
    here.write("d/old", b"1")
    regions.tell()
    at_ns = there.tick()
    here.remove("d/old")
    here.remove("d")
    here.tick()
    here.mkdir("d")
    here.write("d/new", b"2")
    regions.tell()

    assert paths(there) == ["/d", "/d/new"]
    assert not here.metadata.failed_tasks(1)
    bring_back(there, "d", at_ns, "e")
    assert there.read("e/old") == b"1"
    check_invariants(there)


def test_a_directory_has_one_place_where_removals_are_not_told() -> None:
    """A file may have two names, one of them removed at the source; a directory may not."""
    regions = Regions(rule(**NO_MARKERS))
    there = regions.there
    move_by_restoring(regions)
    regions.tell()

    assert paths(there) == ["/e", "/e/f"]
    check_invariants(there)


def test_what_was_removed_stays_so_when_removals_are_told_no_more() -> None:
    """An end that is not told is no end that is taken back."""
    inside = {"Filter": {"Prefix": "in/"}}
    regions = Regions(rule(**inside))
    here, there = regions.here, regions.there
    here.mkdir("in")
    here.write("in/f", b"1")
    here.rename("in/f", "f")
    here.write("in/g", b"1")
    here.remove("in/g")
    regions.tell()
    here.tick()
    regions.put_rules(rule(**inside, **NO_MARKERS))
    here.chmod("f", 0o600)
    regions.replication.request_all(0)
    regions.tell()

    assert paths(there) == ["/in"]
    check_invariants(there)


@pytest.mark.parametrize(
    "members",
    [{"Filter": {"Tag": {"Key": "k", "Value": "v"}}, **NO_MARKERS}, {"Filter": {"Prefix": "d/"}}],
)
def test_a_renamed_directory_is_renamed_there_whatever_rules_choose_by(
    members: dict[str, object],
) -> None:
    """It is no object with a key and tags; but what lies in it has another path."""
    regions = Regions(rule(**members))
    here = regions.here
    here.mkdir("d")
    here.write("d/f", b"1")
    here.fs.lock_attributes.set_tags(here.stat("d/f").ino, {"k": "v"}, ALICE)
    regions.tell()
    here.rename("d", "e")
    regions.tell()

    assert paths(regions.there) == ["/e", "/e/f"]
    check_invariants(regions.there)


def test_a_removal_that_was_purged_before_anybody_was_told_is_never_told(regions: Regions) -> None:
    """S3: what is removed for good is not replicated, be it a version or a delete marker."""
    here = regions.here
    here.write("a", b"0")
    here.remove("a")
    here.tick()
    here.write("a", b"1")
    regions.tell()
    here.remove("a")
    for position in (1, 0):  # the version, then the marker over it
        items = here.fs.histories.of_name(*here.place("a")).items
        purge(here.fs, items[position], caller=ALICE, bypass=None)
    regions.tell()

    assert paths(here) == []
    assert regions.there.read("a") == b"1"
    check_invariants(regions.there)


def test_a_link_that_was_there_before_the_rule_is_renamed_there() -> None:
    """It was told when somebody asked for it, so its names are told from then on."""
    regions = Regions()
    here = regions.here
    here.fs.symlink(*here.place("link"), b"target", ALICE)
    here.tick()
    regions.put_rules(rule())
    regions.replication.request_all(0)
    regions.tell()
    here.rename("link", "other")
    regions.tell()

    assert paths(regions.there) == ["/other"]
    check_same(regions)


def after_a_failover(regions: Regions) -> None:
    """The destination is the source now, and has told what it has."""
    regions.delete_rules()
    regions.exchange()
    regions.here.tick(2)
    regions.put_rules(rule(ID="back"))
    regions.replication.request_all(0)
    regions.tell()


def test_a_name_that_was_given_anew_after_a_failover_is_given_to_the_old_source(
    regions: Regions,
) -> None:
    """Its own file has another name since, which may be told later: nobody else made it."""
    regions.here.write("a", b"1")
    regions.tell()
    after_a_failover(regions)
    here = regions.here
    here.rename("a", "b")
    here.tick()
    here.mkdir("a")
    here.write("a/f", b"2")
    here.chmod("b", 0o600)
    regions.batch = 1
    regions.tell()

    assert not here.metadata.failed_tasks(1)
    check_same(regions)


def test_a_name_that_the_lost_source_removed_and_told_nobody_of_has_diverged(
    regions: Regions,
) -> None:
    """It does not come back behind its owner's back, and nobody is told that all is well."""
    regions.here.write("a", b"1")
    regions.here.write("b", b"1")
    regions.tell()
    regions.here.remove("a")
    after_a_failover(regions)

    assert {task.reason for task in regions.here.metadata.failed_tasks(9)} == {"DstObjectDiverged"}
    assert paths(regions.there) == ["/b"]
    check_invariants(regions.there)
