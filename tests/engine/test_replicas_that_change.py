"""A replica that takes the place of its source, and what of its changes goes back."""

import pytest

from s3fs_local.engine.attributes import AttributeChange
from s3fs_local.engine.replication_messages import Block
from s3fs_local.rules.replication import UNDECIDED
from s3fs_local.rules.retention import LegalHold
from tests.engine.invariants import check_invariants
from tests.engine.memory_store import ALICE, ROOT, MemoryStore
from tests.engine.replicated import Regions
from tests.engine.test_replicas_follow import check_same
from tests.replication_rules import rule

MODIFICATIONS = {"SourceSelectionCriteria": {"ReplicaModifications": {"Status": "Enabled"}}}


def tags(store: MemoryStore, path: str) -> dict[str, str]:
    """Of the current version."""
    return store.metadata.versions(store.stat(path).ino)[0].tags


def set_tags(store: MemoryStore, path: str, **wanted: str) -> None:
    """The current version has these."""
    store.tick()
    store.fs.lock_attributes.set_tags(store.stat(path).ino, wanted, ALICE)


def two_way(**members: object) -> Regions:
    """Both stores have a rule; the second one is the source now, and has what the first wrote."""
    regions = Regions(rule(**members), object_lock="true")
    regions.here.write("f", b"one")
    set_tags(regions.here, "f", made="here")
    regions.tell()
    regions.exchange()
    regions.here.tick()
    regions.put_rules(rule(ID="back", **members))
    return regions


@pytest.mark.parametrize("goes_back", [True, False])
def test_metadata_of_a_replica_goes_back_only_with_replica_modifications(
    *, goes_back: bool
) -> None:
    """S3: replica modification sync. Tags, holds and modes alike."""
    regions = two_way(**MODIFICATIONS) if goes_back else two_way()
    ino = regions.here.stat("f").ino
    set_tags(regions.here, "f", made="there")
    regions.here.fs.setattr(ino, AttributeChange(mode=0o640), None, ALICE)
    hold = LegalHold("case", "reason", 0, regions.here.tick())
    regions.here.fs.locks.set_legal_hold(ino, hold, caller=ROOT)
    regions.tell()

    assert tags(regions.there, "f") == {"made": "there" if goes_back else "here"}
    assert (regions.there.stat("f").lock is not None) is goes_back
    assert (regions.there.stat("f").mode & 0o777 == 0o640) is goes_back
    assert regions.pending() == 0
    (version,) = regions.there.metadata.versions(regions.there.stat("f").ino)
    assert version.replication == "COMPLETED"


def test_names_of_a_replica_go_back_as_those_of_any_file() -> None:
    """S3: a copy under a new name is a new object, and a delete marker is told by its own rule."""
    regions = two_way()
    regions.here.write("g", b"two")
    regions.tell()
    regions.here.rename("f", "renamed")
    regions.here.link("renamed", "linked")
    regions.tell()
    assert regions.there.listing("/") == [b"g", b"renamed", b"linked"]
    regions.here.remove("linked")
    regions.here.remove("renamed")
    regions.tell()
    assert regions.there.listing("/") == [b"g"]

    without = two_way(DeleteMarkerReplication={"Status": "Disabled"})
    without.here.remove("f")
    without.tell()
    assert without.there.read("f") == b"one"


def test_a_new_version_of_a_replica_goes_back_and_nothing_of_the_old_one_travels() -> None:
    """It is the promoted store's own; what it shares with the source's is there already."""
    regions = two_way()
    content = b"x" * 300_000
    regions.here.write("f", content)
    regions.tell()
    assert regions.there.history("f") == [content, b"one"]
    regions.here.append("f", b"more")
    regions.tell()
    blocks = [message.plain for message in regions.link.carried if isinstance(message, Block)]

    assert blocks == [b"more"]
    check_invariants(regions.there)


def test_changes_of_both_sides_do_not_go_to_and_fro() -> None:
    """Rules in both directions, replica modifications synced in both: each change goes once."""
    regions = two_way(**MODIFICATIONS)
    for step in range(6):
        set_tags(regions.here, "f", step=str(step))
        regions.here.chmod("f", 0o600 + step)
        regions.here.write(f"new{step}", b"%d" % step)
        regions.here.rename(f"new{step}", f"moved{step}")
        regions.tell()
        assert regions.link.carried
        for store in (regions.here, regions.there):
            assert store.metadata.tasks(UNDECIDED, 9) == []
            assert store.metadata.tasks("west", 9) == []
        regions.exchange()
        regions.tell()
        assert regions.link.carried == []

    assert tags(regions.here, "f") == tags(regions.there, "f") == {"step": "5"}
    check_invariants(regions.here)
    check_same(regions)
