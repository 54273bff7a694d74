"""A file here is a file there: versions and their ids, bytes, names, attributes, tags, locks."""

import pytest

from s3fs_local.engine.attributes import AttributeChange
from s3fs_local.engine.purging import purge
from s3fs_local.engine.replication_messages import Block
from s3fs_local.engine.version_removal import remove_version
from s3fs_local.errors import DestinationUnreachable
from s3fs_local.rules.history import HistoryItem
from s3fs_local.rules.instants import SECOND_NS
from s3fs_local.rules.retention import LegalHold, Retention
from tests.engine.invariants import check_invariants
from tests.engine.memory_store import ALICE, ROOT, MemoryStore
from tests.engine.replicated import Regions
from tests.replication_rules import rule

MIB = 1 << 20


@pytest.fixture
def regions() -> Regions:
    """Everything is replicated."""
    return Regions(rule())


def tree(store: MemoryStore) -> dict[str, object]:
    """Every path with what people see of it, and its history."""
    found: dict[str, object] = {}
    waiting = [""]
    while waiting:
        above = waiting.pop()
        for name in store.listing(above or "/"):
            path = f"{above}/{name.decode()}"
            inode = store.stat(path)
            seen = (inode.mode, inode.uid, inode.gid, inode.nlink, inode.xattrs, inode.target)
            if inode.is_directory:
                waiting.append(path)
                found[path] = seen
                continue
            items = store.fs.histories.of_name(*store.place(path)).items
            ids = [(item.version_id, item.is_latest, item.size) for item in items]
            history = store.history(path)
            found[path] = (*seen, inode.size, inode.mtime_ns, inode.allocated, ids, history)
    return found


def check_same(regions: Regions) -> None:
    """Both regions show the same, and each fits together."""
    assert regions.pending() == 0
    assert tree(regions.there) == tree(regions.here)
    check_invariants(regions.there)
    check_invariants(regions.here)


def test_a_new_file_is_there_with_its_directories(regions: Regions) -> None:
    """The first thing that anybody tries."""
    regions.here.mkdir("a")
    regions.here.mkdir("a/b")
    regions.here.write("a/b/letter", b"hello")
    regions.here.write("a/b/letter", b"hello again")
    regions.tell()

    assert regions.there.read("a/b/letter") == b"hello again"
    assert regions.there.history("a/b/letter") == [b"hello again", b"hello"]
    check_same(regions)


def test_a_version_goes_from_pending_to_completed_and_is_a_replica_there(regions: Regions) -> None:
    """S3's x-amz-replication-status."""
    regions.here.write("a", b"1")
    ino = regions.here.stat("a").ino
    (version,) = regions.here.metadata.versions(ino)
    assert regions.replication.status_of(version) == "PENDING"
    regions.tell()

    (version,) = regions.here.metadata.versions(ino)
    (replica,) = regions.there.metadata.versions(regions.there.stat("a").ino)
    assert (version.replication, replica.replication) == ("COMPLETED", "REPLICA")
    assert (version.stamp_ns, version.salt) == (replica.stamp_ns, replica.salt)


def test_what_was_there_before_the_rule_stays_until_somebody_asks() -> None:
    """S3: Batch Replication."""
    regions = Regions()
    regions.here.write("old", b"1")
    regions.here.tick()
    regions.put_rules(rule())
    regions.here.write("new", b"2")
    regions.tell()
    assert regions.there.listing("/") == [b"new"]

    last = 0
    added = 0
    while True:
        last, versions = regions.replication.request_all(last)
        added += versions
        if not last:
            break
    assert added == 2
    regions.tell()
    check_same(regions)


def test_only_missing_blocks_travel(regions: Regions) -> None:
    """An append to a large file carries what was appended; a restore carries nothing."""
    content = bytes(range(256)) * (3 * MIB // 256)
    regions.here.write("big", content)
    regions.tell()
    regions.here.append("big", b"x" * 5000)
    carried = regions.tell()
    assert sum(len(m.plain) for m in carried if isinstance(m, Block)) == 5000

    ino = regions.here.stat("big").ino
    first = regions.here.metadata.versions(ino)[-1]
    regions.here.tick()
    regions.here.fs.restore_content(ino, ino, first.stamp_ns, caller=ALICE)
    carried = regions.tell()
    assert not [m for m in carried if isinstance(m, Block)]
    assert regions.there.read("big") == content
    check_same(regions)


def test_content_restored_from_another_file_shares_there_too(regions: Regions) -> None:
    """Programs save by renaming a new file over the old one; a restore then crosses inodes."""
    regions.here.write("f", b"one" * 1000)
    regions.here.write("f.tmp", b"two" * 1000)
    old = regions.here.stat("f")
    regions.here.rename("f.tmp", "f")
    regions.tell()
    new = regions.here.stat("f")
    regions.here.tick()
    regions.here.fs.restore_content(new.ino, old.ino, old.version_ns, caller=ALICE)
    carried = regions.tell()

    assert not [m for m in carried if isinstance(m, Block)]
    check_same(regions)


def without_locks_there() -> Regions:
    """The destination was made without Object Lock: it refuses every version that has a lock."""
    regions = Regions(object_lock="true")
    regions.there = MemoryStore()
    regions.there.randomness.bits(77)
    regions.put_rules(rule())
    return regions


def test_a_file_that_shares_with_one_that_is_refused_can_be_read_there() -> None:
    """Its bytes came for the other file, under a key that went when that file was refused."""
    regions = without_locks_there()
    here = regions.here
    content = b"content" * 1000
    here.write("locked", content)
    locked = here.stat("locked")
    retention = Retention("COMPLIANCE", here.tick() + 10**15)
    here.fs.locks.set_retention(locked.ino, retention, caller=ALICE)
    here.write("copy", b"")
    here.tick()
    copy = here.stat("copy").ino
    here.fs.restore_content(copy, locked.ino, locked.version_ns, caller=ALICE)
    regions.tell()
    there = regions.there
    there.flush(durable=True)
    there.crash()

    failed = here.metadata.failed_tasks(9)
    assert {(task.ino, task.reason) for task in failed} == {
        (locked.ino, "DstBucketObjectLockConfigMissing")
    }
    assert there.read("copy") == content
    check_invariants(there)


def test_what_follows_a_version_that_is_refused_has_its_bytes_there() -> None:
    """It was told as what changed since, and laid upon the one before: bytes that nobody wrote."""
    regions = without_locks_there()
    here = regions.here
    here.write("f", b"one" * MIB)
    regions.tell()
    here.patch("f", 0, b"two")
    ino = here.stat("f").ino
    retention = Retention("GOVERNANCE", here.tick() + SECOND_NS)
    here.fs.locks.set_retention(ino, retention, caller=ALICE)
    here.tick(60)
    here.patch("f", 2 * MIB, b"three")
    regions.tell()

    assert regions.there.read("f") == here.read("f")
    statuses = [version.replication for version in here.metadata.versions(ino)]
    assert statuses == ["COMPLETED", "FAILED", "COMPLETED"]
    assert len(regions.there.history("f")) == 2
    check_invariants(regions.there)


def test_what_goes_there_while_its_successor_is_carried_is_not_built_upon(regions: Regions) -> None:
    """The destination's own lifecycle may remove what it said it has."""
    here, there = regions.here, regions.there
    here.write("f", b"one" * MIB)
    regions.tell()
    set_tag = here.fs.lock_attributes.set_tags
    set_tag(here.stat("f").ino, {"a": "b"}, ALICE)
    here.patch("f", 0, b"two")

    async def remove_there() -> None:
        for version in there.metadata.versions(there.stat("f").ino):
            remove_version(there.fs.volume, version)

    regions.tell(on_block=remove_there)

    assert there.read("f") == here.read("f")
    assert len(there.history("f")) == 1
    assert regions.pending() == 0
    check_invariants(there)


def test_a_key_is_not_destroyed_under_what_arrives(regions: Regions) -> None:
    """The last version of the file is removed there, while the next one is carried."""
    here, there = regions.here, regions.there
    here.write("f", b"one")
    regions.tell()
    here.write("f", b"two")
    purge(here.fs, _items(here, "f")[1], caller=ALICE, bypass=None)

    async def remove_there() -> None:
        for version in there.metadata.versions(there.stat("f").ino):
            remove_version(there.fs.volume, version)

    regions.tell(on_block=remove_there)
    there.flush(durable=True)
    there.crash()

    assert there.read("f") == b"two"
    check_invariants(there)


def test_rules_that_change_while_something_is_told_leave_nothing_out(regions: Regions) -> None:
    """What was to be told by a rule that is gone is told by the one that came: it was COMPLETED."""
    here = regions.here
    for name in ("first", "second", "third"):
        here.write(name, name.encode())

    async def exchange_rules() -> None:
        regions.put_rules(rule(ID="came meanwhile"))

    regions.tell(on_block=exchange_rules)
    while regions.pending():
        regions.tell()

    for name in ("first", "second", "third"):
        assert regions.there.read(name) == name.encode()
    check_same(regions)


def test_names_follow(regions: Regions) -> None:
    """Renames of files and directories, links, exchanges, removals, names used again."""
    here = regions.here
    for name in "abc":
        here.mkdir(name)
        here.write(f"{name}/f", name.encode())
    regions.tell()
    here.rename("a/f", "b/g")
    here.link("b/g", "c/h")
    here.rename("b", "c/b")
    here.remove("c/f")
    here.write("c/f", b"again")
    here.rename("a", "z")
    here.rename("c/f", "c/h", 2)
    here.fs.symlink(*here.place("z/link"), b"../c", ALICE)
    here.remove("c/b/f")
    regions.tell()

    check_same(regions)
    assert [item.version is None for item in _items(regions.there, "c/b/f")] == [
        item.version is None for item in _items(here, "c/b/f")
    ]


def _items(store: MemoryStore, path: str) -> list[HistoryItem]:
    return list(store.fs.histories.of_name(*store.place(path)).items)


def test_a_file_saved_through_a_temporary_one_leaves_no_second_name(regions: Regions) -> None:
    """As every editor does; S3 has no rename, and a copy would leave each temporary file there."""
    for number in range(5):
        regions.here.write("doc.tmp", b"%d" % number)
        if number == 3:
            regions.tell()
        regions.here.rename("doc.tmp", "doc")
    regions.tell()

    assert regions.there.listing("/") == [b"doc"]
    check_same(regions)


def test_attributes_tags_and_locks_are_the_same_there() -> None:
    """What a lock protects here it protects there."""
    regions = Regions(rule(), object_lock="true")
    here, there = regions.here, regions.there
    here.write("f", b"1")
    here.write("g", b"2")
    regions.tell()
    ino = here.stat("f").ino
    now_ns = here.tick()
    here.fs.setattr(ino, AttributeChange(mode=0o600, mtime_ns=5), None, ALICE)
    here.fs.setxattr(ino, b"user.a", b"b", ALICE)
    here.fs.lock_attributes.set_tags(ino, {"k": "v"}, ALICE)
    here.fs.locks.set_retention(ino, Retention("COMPLIANCE", now_ns * 2), caller=ALICE)
    hold = LegalHold("case", "reason", 0, now_ns)
    here.fs.locks.set_legal_hold(here.stat("g").ino, hold, caller=ROOT)
    regions.tell()

    mine, theirs = (store.metadata.versions(store.stat("f").ino)[0] for store in (here, there))
    assert (mine.tags, mine.lock) == (theirs.tags, theirs.lock)
    assert there.stat("g").lock == here.stat("g").lock
    assert there.stat("f").xattrs == {b"user.a": b"b"}
    check_same(regions)


def test_a_legal_hold_that_is_lifted_is_lifted_there() -> None:
    """And the ledger there says so: a verification finds nothing wrong."""
    regions = Regions(rule(), object_lock="true")
    here = regions.here
    here.write("f", b"1")
    ino = here.stat("f").ino
    here.fs.locks.set_legal_hold(ino, LegalHold("case", "r", 0, 1), caller=ROOT)
    regions.tell()
    assert regions.there.stat("f").lock == here.stat("f").lock
    here.tick()
    here.fs.locks.clear_legal_hold(ino, "case", caller=ROOT)
    regions.tell()

    check_same(regions)


def test_a_hold_is_lifted_there_although_the_retention_grew_meanwhile() -> None:
    """A longer COMPLIANCE lock is no weaker one: nothing is refused."""
    regions = Regions(rule(), object_lock="true")
    here = regions.here
    here.write("f", b"1")
    ino = here.stat("f").ino
    here.fs.locks.set_legal_hold(ino, LegalHold("case", "r", 0, 1), caller=ROOT)
    now_ns = here.tick()
    here.fs.locks.set_retention(ino, Retention("COMPLIANCE", now_ns + 10**15), caller=ALICE)
    regions.tell()
    here.fs.locks.set_retention(ino, Retention("COMPLIANCE", now_ns + 2 * 10**15), caller=ALICE)
    here.fs.locks.clear_legal_hold(ino, "case", caller=ROOT)
    regions.tell()

    assert regions.there.stat("f").lock == here.stat("f").lock
    assert not here.metadata.failed_tasks(1)
    check_same(regions)


def test_delete_markers_go_only_where_the_rule_says_so() -> None:
    """S3: off by default. The file lives on there, and the next file of the name replaces it."""
    regions = Regions(rule(DeleteMarkerReplication={"Status": "Disabled"}))
    regions.here.mkdir("d")
    regions.here.write("d/f", b"1")
    regions.tell()
    regions.here.remove("d/f")
    regions.here.remove("d")
    regions.tell()
    assert regions.there.read("d/f") == b"1"
    check_invariants(regions.there)

    regions.here.mkdir("e")
    regions.here.write("e/f", b"1")
    regions.tell()
    regions.here.remove("e/f")
    regions.here.write("e/f", b"2")
    regions.tell()
    assert regions.there.history("e/f") == [b"2", b"1"]
    check_invariants(regions.there)


def test_what_is_purged_here_stays_there(regions: Regions) -> None:
    """S3: the removal of a version is never replicated, so no malice reaches both regions."""
    from s3fs_local.engine.purging import purge  # noqa: PLC0415 - only here

    regions.here.write("f", b"1")
    regions.here.write("f", b"2")
    regions.tell()
    old = regions.here.fs.histories.of_name(*regions.here.place("f")).items[1]
    purge(regions.here.fs, old, caller=ALICE, bypass=None)
    regions.here.write("f", b"3")
    regions.tell()

    assert regions.here.history("f") == [b"3", b"2"]
    assert regions.there.history("f") == [b"3", b"2", b"1"]
    check_invariants(regions.there)


def test_a_name_ends_there_although_nothing_of_the_file_is_left(regions: Regions) -> None:
    """Removed and then purged before anybody was told: the removal is told, the purge is not."""
    regions.here.write("a", b"1")
    regions.tell()
    (item,) = regions.here.fs.histories.of_name(*regions.here.place("a")).items
    regions.here.remove("a")
    purge(regions.here.fs, item, caller=ALICE, bypass=None)
    regions.tell()

    assert not regions.there.exists("a")
    assert regions.there.history("a") == [b"1"]
    assert regions.pending() == 0


def test_a_prefix_lets_nothing_else_through() -> None:
    """And a file that is moved out of it is removed there, as S3's copy and delete would."""
    regions = Regions(rule(Filter={"Prefix": "in/"}))
    here, there = regions.here, regions.there
    for name in ("in", "out"):
        here.mkdir(name)
        here.write(f"{name}/f", name.encode())
    regions.tell()
    assert there.listing("/") == [b"in"]
    here.rename("in/f", "out/g")
    here.write("out/h", b"h")
    here.rename("out/h", "in/h")
    regions.tell()

    assert there.listing("/in") == [b"h"]
    assert there.listing("/") == [b"in"]
    check_invariants(there)


def test_an_older_version_is_put_between_the_others(regions: Regions) -> None:
    """What failed, or was there before the rule, comes later, and takes its place in time."""
    regions = Regions()
    here = regions.here
    here.write("f", b"a" * 10 + b"-" * 3 * MIB)
    here.patch("f", MIB, b"b" * 10)
    here.tick()
    regions.put_rules(rule())
    here.patch("f", 2 * MIB, b"c" * 10)
    regions.tell()
    assert len(regions.there.history("f")) == 1
    here.patch("f", 0, b"d" * 10)
    regions.tell()
    regions.replication.request_all(0)
    regions.tell()

    check_same(regions)


def test_an_older_version_ends_where_one_began_that_is_gone() -> None:
    """What the destination's own lifecycle removed may have begun bytes that a later one has."""
    regions = Regions()
    here, there = regions.here, regions.there
    here.write("f", b"a" * 10 + b"-" * 3 * MIB)
    here.patch("f", 0, b"b" * 10)
    here.tick()
    regions.put_rules(rule())
    here.patch("f", 0, b"c" * 10)
    here.patch("f", 2 * MIB, b"d" * 10)
    regions.tell()
    _, began = there.metadata.versions(there.stat("f").ino)
    remove_version(there.fs.volume, began)
    source = here.metadata.versions(here.stat("f").ino)[1]
    remove_version(here.fs.volume, source)
    regions.replication.request_all(0)
    regions.tell()

    check_same(regions)


def test_a_broken_link_loses_nothing_wherever_it_breaks(regions: Regions) -> None:
    """Each message may be the last one; afterwards everything is as if nothing had happened."""
    here = regions.here
    for step in range(40):
        here.write("f", b"%d" % step * 5000)
        here.write("g.tmp", b"%d" % step)
        here.rename("g.tmp", "g")
        with pytest.raises(DestinationUnreachable):
            regions.tell(breaks_after=step % 9)
        if step % 3 == 0:
            regions.there.crash()
        if step % 4 == 0:
            here.flush(durable=True)
            here.crash()
    regions.tell()

    check_same(regions)


def test_nothing_is_told_that_a_killed_source_would_forget(regions: Regions) -> None:
    """A version there that is not here would be one that nobody ever acknowledged."""
    regions.here.write("f", b"1")
    regions.here.write("f", b"2")
    regions.here.chmod("f", 0o600)
    regions.tell()
    regions.here.crash()

    assert regions.here.history("f") == [b"2", b"1"]
    regions.tell()
    check_same(regions)
