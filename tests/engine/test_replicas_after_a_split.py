"""Both regions were written to: what one did alone is neither lost nor weakened by the other."""

from collections.abc import Callable

import pytest

from s3fs_local.engine.purging import purge
from s3fs_local.engine.replica_origins import Origins
from s3fs_local.engine.replication_messages import PROTOCOL, Hello, Refusal, Reply
from s3fs_local.errors import DestinationUnreachable
from s3fs_local.rules.replication import Reason
from s3fs_local.rules.retention import LegalHold, Lock, Retention
from tests.engine.invariants import check_invariants
from tests.engine.memory_store import ALICE, ROOT, MemoryStore
from tests.engine.replicated import HERE, THERE, Regions
from tests.engine.test_replicas_names import paths
from tests.replication_rules import rule

OTHER = b"o" * 16


def greet(store: MemoryStore, source: bytes, store_id: bytes, *, replica_of: bytes = b"") -> Reply:
    """What the store answers a source that greets it."""
    hello = Hello(
        protocol=PROTOCOL, source=source, path="/s", host="h", replica_of=replica_of.hex()
    )
    return store.fs.replica.greet(hello, store_id=store_id, has_rules=False)


def split() -> Regions:
    """Both have the same; what `here` does next is told to nobody: `take_over` follows."""
    regions = Regions(rule(), object_lock="true")
    greet(regions.there, HERE, THERE)
    regions.here.write("f", b"1")
    regions.here.mkdir("d")
    regions.here.write("d/x", b"x")
    regions.tell()
    return regions


def take_over(regions: Regions) -> None:
    """The destination is promoted, and the old source becomes its replica."""
    regions.there.fs.replica.promote(source_is_alive="", force=False)
    regions.delete_rules()
    regions.exchange()
    regions.here.tick(60)
    greet(regions.there, THERE, HERE, replica_of=HERE)
    regions.put_rules(rule(ID="back"))


def sync(regions: Regions) -> set[str]:
    """Everything is told, also what is there already; why something failed."""
    regions.replication.request_all(0)
    regions.tell()
    for store in (regions.here, regions.there):
        check_invariants(store)
    return {task.reason for task in regions.here.metadata.failed_tasks(9)}


HOLD = LegalHold("case", "reason", 0, 1)
GOVERNANCE = Retention("GOVERNANCE", 2_000_000_000 * 10**9)


@pytest.mark.parametrize("wanted", [Lock(holds=(HOLD,)), Lock(retention=GOVERNANCE)])
def test_a_lock_that_the_lost_source_told_nobody_of_stays_on_it(wanted: Lock) -> None:
    """The store that took over never had it, so it did not lift it either: that has diverged."""
    regions = split()
    lost = regions.here
    ino = lost.stat("f").ino
    if wanted.retention is not None:
        lost.fs.locks.set_retention(ino, wanted.retention, caller=ALICE)
    else:
        lost.fs.locks.set_legal_hold(ino, HOLD, caller=ROOT)
    take_over(regions)

    assert sync(regions) == {"DstObjectDiverged"}
    assert lost.stat("f").lock == wanted
    assert lost.metadata.versions(ino)[0].lock == wanted


def test_a_lock_of_the_promoted_store_goes_back_and_may_be_lifted() -> None:
    """What is newer than the way back was locked by nobody but the source."""
    regions = split()
    take_over(regions)
    promoted = regions.here
    ino = promoted.stat("f").ino
    promoted.fs.locks.set_legal_hold(ino, HOLD, caller=ROOT)

    assert sync(regions) == set()
    assert regions.there.stat("f").lock == Lock(holds=(HOLD,))
    promoted.write("new", b"2")
    ino = promoted.stat("new").ino
    promoted.fs.locks.set_legal_hold(ino, HOLD, caller=ROOT)
    regions.tell()
    assert regions.there.stat("new").lock == Lock(holds=(HOLD,))
    promoted.tick()
    promoted.fs.locks.clear_legal_hold(ino, "case", caller=ROOT)
    regions.tell()

    assert not promoted.metadata.failed_tasks(9)
    assert regions.there.stat("new").lock is None


def test_append_only_that_the_lost_source_told_nobody_of_is_not_taken_from_it() -> None:
    """It is never taken back; a verification took that for an intruder's work."""
    regions = split()
    lost = regions.here
    lost.fs.locks.set_append_only(lost.stat("f").ino, caller=ALICE)
    take_over(regions)
    regions.here.chmod("f", 0o600)

    assert sync(regions) == {"DstPutObjectNotPermitted"}
    assert lost.stat("f").append_only
    assert lost.stat("f").mode & 0o777 == 0o644


def changed(store: MemoryStore) -> None:
    """It has a new version."""
    store.write("f", b"2")


def renamed(store: MemoryStore) -> None:
    """It has another name."""
    store.rename("f", "mine")


def removed(store: MemoryStore) -> None:
    """It has none."""
    store.remove("f")


@pytest.mark.parametrize("change", [changed, renamed, removed])
def test_a_rename_that_the_lost_source_told_nobody_of_has_diverged(
    change: Callable[[MemoryStore], None],
) -> None:
    """Whatever the other store did with the file: it had two names then, and all seemed well."""
    regions = split()
    lost = regions.here
    lost.rename("f", "renamed")
    take_over(regions)
    change(regions.here)

    assert sync(regions) == {"DstObjectDiverged"}
    assert paths(lost) == ["/d", "/d/x", "/renamed"]
    assert lost.history("renamed")[-1] == b"1"


def test_a_version_that_was_told_and_is_gone_since_is_no_divergence() -> None:
    """Lifecycle of the promoted store removes old versions while the other one is away."""
    regions = split()
    take_over(regions)
    promoted = regions.here
    promoted.write("f", b"2")
    told = promoted.fs.histories.of_name(*promoted.place("f")).items[1]
    purge(promoted.fs, told, caller=ALICE, bypass=None)

    assert sync(regions) == set()
    assert regions.there.history("f") == [b"2", b"1"]


def test_a_version_that_nobody_was_told_of_has_diverged() -> None:
    """Whether there were rules still or not."""
    regions = split()
    lost = regions.here
    lost.write("f", b"mine")
    regions.replication.decide()
    lost.write("d/x", b"mine")
    take_over(regions)
    for path in ("f", "d/x"):
        regions.here.write(path, b"theirs")

    assert sync(regions) == {"DstObjectDiverged"}
    assert [lost.read(path) for path in ("f", "d/x")] == [b"mine", b"mine"]


def test_two_stores_that_took_over_do_not_both_change_the_lost_source() -> None:
    """Each would take names from the other's files: what a replica made counts as its source's."""
    regions = split()
    lost = regions.here
    take_over(regions)
    answer = greet(lost, OTHER, HERE, replica_of=HERE)

    assert answer == Refusal(Reason.DST_NOT_PERMITTED, "it is a replica of another store")
    role = lost.fs.replica.role
    assert role is not None
    assert role.source == THERE.hex()


def test_a_store_that_is_promoted_while_it_is_told_has_no_file_without_a_name() -> None:
    """Nobody could reach it, and `resync` took it for one that neither side lacks."""
    breaks_after = 0
    while True:
        regions = Regions(rule())
        here, there = regions.here, regions.there
        here.write("f", b"1")
        here.write("f", b"2")
        here.mkdir("d")
        here.write("d/x", b"x")
        here.rename("f", "d/f")
        try:
            regions.tell(breaks_after=breaks_after)
        except DestinationUnreachable:
            inodes = there.metadata.inodes_after(0, 99)
            reached = {there.stat(path).ino for path in paths(there)}
            assert {inode.ino for inode in inodes if inode.version_ns} <= reached
            check_invariants(there)
        else:
            break
        breaks_after += 1

    assert breaks_after > 10
    assert paths(there) == ["/d", "/d/f", "/d/x"]
    assert there.history("d/f") == [b"2", b"1"]


def made_on_both(lost: MemoryStore) -> None:
    """A directory has the name that one of the other store gets."""
    lost.mkdir("new")
    lost.write("new/mine", b"mine")


def removed_alone(lost: MemoryStore) -> None:
    """A directory is gone in which the other store makes something."""
    lost.remove("d/x")
    lost.fs.rmdir(*lost.place("d"), ALICE)


@pytest.mark.parametrize("change", [made_on_both, removed_alone])
def test_a_file_in_a_directory_that_diverged_has_diverged(
    change: Callable[[MemoryStore], None],
) -> None:
    """It said COMPLETED, and lay where nobody finds it: a second failover would have lost it."""
    regions = split()
    lost = regions.here
    change(lost)
    before = paths(lost)
    take_over(regions)
    promoted = regions.here
    if change is made_on_both:
        promoted.mkdir("new")
    path = "new/theirs" if change is made_on_both else "d/theirs"
    promoted.write(path, b"theirs")

    assert sync(regions) == {"DstObjectDiverged"}
    (version,) = promoted.metadata.versions(promoted.stat(path).ino)
    assert version.replication == "FAILED"
    assert paths(lost) == before
    origin = Origins(promoted.metadata, THERE).of_inode(version.ino)
    assert Origins(lost.metadata, HERE).inode(origin) is None
