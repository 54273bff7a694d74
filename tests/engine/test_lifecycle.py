"""What lifecycle rules do to a store: S3's steps, on files as people use them."""

import os

import pytest
import trio
from msgspec import structs

from s3fs_local.engine.lifecycle_keys import Key, KeyStack
from s3fs_local.errors import DataDamaged, MetadataDamaged, NoSuchName, StorageError
from s3fs_local.rules.instants import SECOND_NS
from s3fs_local.rules.retention import LegalHold, Retention
from s3fs_local.rules.versioning import VersioningState
from tests.engine.invariants import check_invariants
from tests.engine.lifecycle_store import DAY, LARGE, SMALL, LifecycleStore
from tests.engine.memory_store import ALICE, ROOT

EXPIRE_3 = {"Expiration": {"Days": 3}}
NONCURRENT_2 = {"NoncurrentVersionExpiration": {"NoncurrentDays": 2}}
MARKERS = {"Expiration": {"ExpiredObjectDeleteMarker": True}}
GLACIER_1 = {"Transitions": [{"Days": 1, "StorageClass": "GLACIER"}]}


def test_a_file_goes_its_whole_way_until_nothing_is_left() -> None:
    """Vector 37: marker, removal for good, removal of the marker; and no trace in the metadata."""
    store = LifecycleStore()
    store.write("/f", LARGE)
    ino = store.stat("/f").ino
    store.put_rules({**EXPIRE_3, **NONCURRENT_2})

    assert store.pass_days(10) == ["4 DeleteMarker f", "7 Expire f", "8 RemoveMarker f"]
    assert store.metadata.usage().blocks == store.metadata.usage().versions == 0
    assert store.metadata.inode(ino) is None
    assert store.metadata.names_after(0, b"", 10) == []
    assert store.agenda() == []
    check_invariants(store)


def test_what_expires_can_be_brought_back_until_it_is_removed_for_good() -> None:
    """A delete marker is as `rm` leaves it: the version below is in the history."""
    store = LifecycleStore()
    store.write("/f", b"precious")
    store.put_rules(EXPIRE_3)
    store.pass_days(4)

    assert not store.exists("/f")
    assert store.history("/f") == [b"precious"]
    check_invariants(store)


def test_a_class_changes_in_place() -> None:
    """Same version id, ETag, times and content (S3): only the class is another."""
    store = LifecycleStore()
    store.write("/f", LARGE)
    store.write("/small", SMALL)
    before = store.metadata.versions(store.stat("/f").ino)
    attributes = store.stat("/f")
    store.put_rules(GLACIER_1)

    assert store.pass_days(5) == ["2 Transition f"]
    after = store.metadata.versions(store.stat("/f").ino)
    assert [v.storage_class for v in after] == ["GLACIER"]
    assert [(v.stamp_ns, v.salt, v.etag, v.uid) for v in after] == [
        (v.stamp_ns, v.salt, v.etag, v.uid) for v in before
    ]
    now = store.stat("/f")
    assert (now.mtime_ns, now.ctime_ns, now.size) == (
        attributes.mtime_ns,
        attributes.ctime_ns,
        attributes.size,
    )
    assert store.metadata.versions(store.stat("/small").ino)[0].storage_class == "STANDARD"


def test_the_newest_noncurrent_versions_are_kept() -> None:
    """Three saves back, whatever their age."""
    store = LifecycleStore()
    for content in (b"1", b"2", b"3", b"4", b"5", b"6"):
        store.write("/f", content)
    store.put_rules(
        {"NoncurrentVersionExpiration": {"NoncurrentDays": 1, "NewerNoncurrentVersions": 3}}
    )

    assert store.pass_days(4) == ["2 Expire f"] * 2
    assert store.history("/f") == [b"6", b"5", b"4", b"3"]
    store.write("/f", b"7")
    assert store.pass_days(3) == ["1 Expire f"]
    assert store.history("/f") == [b"7", b"6", b"5", b"4"]
    check_invariants(store)


def test_files_saved_through_a_temporary_one_count_under_their_own_name() -> None:
    """By rename over it (rsync), and vim's way: `f` to `f~`, a new `f`, and `f~` removed."""
    store = LifecycleStore()
    store.write("/f", b"1")
    store.write("/.f.Xy12Zw", b"2")
    store.rename("/.f.Xy12Zw", "/f")
    store.rename("/f", "/f~")
    store.write("/f", b"3")
    store.remove("/f~")
    store.put_rules({**NONCURRENT_2, "Filter": {"Prefix": "f"}}, MARKERS)

    seen = store.pass_days(5)
    assert sorted(seen) == ["1 RemoveMarker f~", "3 Expire f", "3 Expire f"]
    assert store.history("/f") == [b"3"]
    assert store.metadata.usage().versions == 1
    check_invariants(store)


def test_the_prefix_is_that_of_the_name_a_file_has_now() -> None:
    """A file, and a whole tree, that were moved are judged where they are."""
    store = LifecycleStore()
    store.mkdir("/logs")
    store.mkdir("/tree")
    store.mkdir("/tree/deep")
    for path in ("/tree/deep/a", "/tree/deep/b", "/logs/c", "/logs2"):
        store.write(path, SMALL)
    store.put_rules({**EXPIRE_3, "Filter": {"Prefix": "logs/"}})
    assert store.pass_days(1) == []
    store.rename("/tree", "/logs/tree")
    store.rename("/logs/c", "/c")

    assert sorted(store.pass_days(5)) == [
        "3 DeleteMarker logs/tree/deep/a",
        "3 DeleteMarker logs/tree/deep/b",
    ]
    assert store.exists("/c")
    assert store.exists("/logs2")
    check_invariants(store)


def test_a_tree_may_be_deeper_than_python_recurses() -> None:
    """Moved into a prefix, it is looked through to its last file."""
    store = LifecycleStore()
    directory = 1
    for _ in range(1200):
        store.fs.mkdir(directory, b"d", 0o040755, ALICE)
        directory = store.fs.lookup(directory, b"d").ino
    store.fs.create(directory, b"f", 0o100644, os.O_WRONLY, ALICE)

    keys = list(store.runs.rules.keys_at(1, b""))
    assert len(keys) == 1201
    assert keys[-1] == Key(directory, b"f")


def test_what_is_overdue_when_rules_come_is_done_at_the_next_run() -> None:
    """S3: a configuration applies to existing objects too; new rules look at everything once."""
    store = LifecycleStore()
    for number in range(200):
        store.write(f"/f{number}", SMALL)
    store.tick(30 * DAY)
    store.put_rules({**EXPIRE_3, "Filter": {"Prefix": "f1"}})

    assert store.run().markers_added == 111
    assert store.runs.rules.cursor() is None
    assert store.run().markers_added == 0
    store.put_rules({**EXPIRE_3, "Filter": {"Prefix": "f2"}})
    assert store.run().markers_added == 11


def test_a_run_looks_only_at_what_is_due_or_has_changed() -> None:
    """So its cost does not grow with what there is."""
    store = LifecycleStore()
    for number in range(300):
        store.write(f"/old{number}", SMALL)
    store.put_rules(EXPIRE_3)
    assert store.run().keys == 300
    store.tick(DAY)
    for number in range(7):
        store.write(f"/new{number}", SMALL)

    assert store.run().keys == 7
    assert store.run().keys == 0
    store.tick(3 * DAY)
    run = store.run()
    assert (run.keys, run.markers_added) == (300, 300)
    store.pass_days(2)
    assert store.run().keys == 0


def test_tags_are_looked_at_when_the_day_comes() -> None:
    """S3 judges by the tags that a version has then, not by those it was made with."""
    store = LifecycleStore()
    for path in ("/kept", "/gone"):
        store.write(path, SMALL)
    store.put_rules({**EXPIRE_3, "Filter": {"Tag": {"Key": "k", "Value": "v"}}})
    attributes = store.fs.lock_attributes
    attributes.set_tags(store.stat("/kept").ino, {"k": "v"}, ALICE)
    assert store.pass_days(3) == []
    attributes.set_tags(store.stat("/kept").ino, {}, ALICE)
    attributes.set_tags(store.stat("/gone").ino, {"k": "v"}, ALICE)

    assert store.pass_days(2) == ["1 DeleteMarker gone"]


def test_a_locked_version_is_held_until_its_lock_ends() -> None:
    """Retention by its date, a legal hold until it is lifted; then the rule has its way."""
    store = LifecycleStore(object_lock="true", lock_semantics='"s3"')
    for path in ("/retained", "/held", "/free"):
        store.write(path, SMALL)
    locks = store.fs.locks
    until_ns = store.clock.now_ns() + 10 * DAY * SECOND_NS
    locks.set_retention(
        store.stat("/retained").ino, Retention("COMPLIANCE", until_ns), caller=ALICE
    )
    held = store.stat("/held").ino
    locks.set_legal_hold(held, LegalHold("c", "r", 0, store.clock.now_ns()), caller=ROOT)
    for path in ("/retained", "/held", "/free"):
        store.write(path, b"new")
    store.put_rules(NONCURRENT_2)

    seen = store.pass_days(12)
    assert sorted(seen) == ["11 Expire retained", "3 Expire free", "3 held held", "3 held retained"]
    version = next(v for v in store.metadata.versions(held) if v.lock is not None)
    assert store.history("/held") == [b"new", SMALL]
    assert version.lock is not None


@pytest.mark.parametrize("semantics", ["file", "s3"])
def test_a_locked_file_keeps_its_name_where_locks_freeze_names(semantics: str) -> None:
    """With S3's semantics a marker is put over it, as S3 does (vector 29)."""
    store = LifecycleStore(object_lock="true", lock_semantics=f'"{semantics}"')
    store.write("/f", SMALL)
    until_ns = store.clock.now_ns() + 365 * DAY * SECOND_NS
    store.fs.locks.set_retention(
        store.stat("/f").ino, Retention("COMPLIANCE", until_ns), caller=ALICE
    )
    store.put_rules({**EXPIRE_3, **NONCURRENT_2})

    seen = store.pass_days(8)
    if semantics == "file":
        assert seen == ["4 held f"]
        assert store.read("/f") == SMALL
    else:
        assert seen == ["4 DeleteMarker f", "7 held f"]
        assert store.history("/f") == [SMALL]


def test_a_file_that_is_being_written_waits_for_the_next_day() -> None:
    """What a program has not closed yet would be lost, or come back as a new version."""
    store = LifecycleStore()
    store.write("/f", SMALL)
    store.put_rules(EXPIRE_3)
    handle = store.open("/f")
    store.fs.write(handle, 0, b"!")
    assert store.pass_days(5) == []
    assert store.runs.last is not None
    assert store.runs.last.postponed == 1
    store.close(handle)

    assert store.pass_days(5) == ["4 DeleteMarker f"]


def test_a_file_that_is_open_for_writing_waits_though_nothing_was_written() -> None:
    """A log whose service had nothing to say for long: its next line would have no file."""
    store = LifecycleStore()
    store.write("/log", SMALL)
    store.put_rules(EXPIRE_3)
    handle = store.open("/log", os.O_WRONLY | os.O_APPEND)
    assert store.pass_days(5) == []

    store.tick()
    store.fs.write(handle, len(SMALL), b"at last")
    store.close(handle)

    assert store.read("/log") == SMALL + b"at last"
    assert store.pass_days(4) == ["4 DeleteMarker log"]


def test_what_is_open_keeps_no_other_version_of_its_key() -> None:
    """A service has its log open for good: what it was before goes all the same."""
    store = LifecycleStore()
    store.write("/log", SMALL)
    store.write("/log", LARGE)
    handle = store.open("/log", os.O_WRONLY | os.O_APPEND)
    store.put_rules({**EXPIRE_3, "NoncurrentVersionExpiration": {"NoncurrentDays": 3}})

    assert store.pass_days(5) == ["4 Expire log"]
    assert store.runs.last is not None
    assert store.runs.last.postponed == 1
    store.close(handle)
    assert store.pass_days(1) == ["1 DeleteMarker log"]


def test_an_old_version_that_somebody_reads_waits_for_the_next_day() -> None:
    """A backup of `.versions` takes its time; it would have ended with EBADF halfway."""
    store = LifecycleStore()
    store.write("/f", LARGE)
    store.write("/f", SMALL)
    name = store.listing("/.versions/f")[1].decode()
    shown = store.stat(f"/.versions/f/{name}").ino
    handle = store.fs.open(shown, os.O_RDONLY, ALICE).handle
    other = store.fs.open(shown, os.O_RDONLY, ALICE).handle
    store.put_rules(NONCURRENT_2)
    assert store.pass_days(5) == []
    assert store.fs.read_nowait(handle, 0, 10) == LARGE[:10]
    store.fs.release(handle)
    assert store.pass_days(1) == []
    store.fs.release(other)

    assert store.pass_days(1) == ["1 Expire f"]


def test_an_open_file_without_a_name_keeps_its_bytes() -> None:
    """POSIX: who has it open goes on reading, however long."""
    store = LifecycleStore()
    store.write("/f", LARGE)
    handle = store.open("/f", 0)
    store.remove("/f")
    store.put_rules(NONCURRENT_2)
    assert store.pass_days(5) == []
    assert store.fs.read_nowait(handle, 0, 10) == LARGE[:10]
    store.close(handle)

    assert store.pass_days(1) == ["1 Expire f"]


def test_each_name_of_a_file_expires_by_itself() -> None:
    """S3 has no hard links: a file counts under one name, and then under the next."""
    store = LifecycleStore()
    store.write("/a", SMALL)
    store.link("/a", "/b")
    store.put_rules(EXPIRE_3)

    assert store.pass_days(6) == ["4 DeleteMarker a", "5 DeleteMarker b"]
    check_invariants(store)


def test_a_name_that_goes_frees_nothing_while_the_file_has_another() -> None:
    """Also where its last name takes the content along: no report says that it was removed."""
    store = LifecycleStore(versioning='"Suspended"')
    store.write("/a", LARGE)
    store.link("/a", "/b")
    store.put_rules(EXPIRE_3)

    assert store.pass_days(4) == ["4 DeleteMarker a"]
    assert store.runs.last is not None
    assert not store.runs.last.freed
    assert store.read("/b") == LARGE
    assert store.pass_days(1) == ["1 Expire b"]
    assert store.metadata.usage().blocks == 0


@pytest.mark.parametrize("state", ["", "Suspended"])
def test_without_versions_what_expires_is_gone(state: str) -> None:
    """S3: unversioned, the object is deleted; suspended, a null marker takes its place."""
    store = LifecycleStore(versioning=f'"{state}"')
    store.write("/f", LARGE)
    store.put_rules(EXPIRE_3)

    assert store.pass_days(5) == ["4 Expire f"]
    with pytest.raises(NoSuchName):
        store.stat("/f")
    assert store.metadata.usage().versions == store.metadata.usage().blocks == 0
    items = store.fs.histories.of_name(1, b"f").items
    assert [item.is_null for item in items] == ([True] if state else [])
    check_invariants(store)


def test_directories_links_and_their_markers_are_not_touched() -> None:
    """A tree that was removed can be brought back as long as its files can."""
    store = LifecycleStore()
    store.mkdir("/d")
    store.write("/d/f", SMALL)
    store.fs.symlink(1, b"l", b"d/f", ALICE)
    store.remove("/d/f")
    store.remove("/d")
    store.put_rules(EXPIRE_3, MARKERS)
    store.pass_days(10)

    assert any(entry.is_marker for entry in store.metadata.name_history(1, b"d"))
    assert store.exists("/l")
    assert store.metadata.usage().versions == 1


def test_only_one_thing_happens_to_a_key_on_one_day() -> None:
    """Vector 15: what is due to move and to expire moves today and expires tomorrow."""
    store = LifecycleStore()
    store.write("/f", LARGE)
    store.put_rules({"Transitions": [{"Days": 3, "StorageClass": "GLACIER"}]}, EXPIRE_3)
    store.tick(5 * DAY)
    assert store.run().moved.items == 1
    assert store.run().markers_added == 0
    store.put_rules(EXPIRE_3)
    assert store.run().markers_added == 0

    assert store.pass_days(1) == ["1 DeleteMarker f"]


@pytest.mark.parametrize("error", [DataDamaged, MetadataDamaged])
def test_a_key_that_cannot_be_looked_at_does_not_stop_the_run(
    monkeypatch: pytest.MonkeyPatch, error: type[StorageError]
) -> None:
    """The others are looked at; `status` tells, and the next day tries again."""
    store = LifecycleStore()
    for path in ("/a", "/b", "/c"):
        store.write(path, SMALL)
    store.put_rules(EXPIRE_3)
    store.tick(10 * DAY)
    keys = store.runs.rules.keys
    stack_of = keys.stack_of

    def damaged(key: Key) -> KeyStack:
        if key.name == b"b":
            raise error("a zone lost it")
        return stack_of(key)

    with monkeypatch.context() as patched:
        patched.setattr(keys, "stack_of", damaged)
        run = store.run()
    assert (run.markers_added, run.error_count) == (2, 1)
    findings = store.fs.volume.inspections.findings()
    assert [finding.subject for finding in findings] == ["lifecycle"]
    assert "a zone lost it" in findings[0].sentence

    assert store.pass_days(1) == ["1 DeleteMarker b"]
    assert store.fs.volume.inspections.findings() == []


def test_deleted_rules_do_nothing_more() -> None:
    """And transactions carry no rows for the agenda along."""
    store = LifecycleStore()
    store.put_rules(EXPIRE_3)
    store.runs.rules.delete()
    store.write("/f", SMALL)

    assert store.pass_days(10) == []
    assert store.agenda() == []
    store.crash()
    assert store.runs.rules.in_force is None


def test_a_null_marker_and_an_old_null_version_go_together() -> None:
    """Suspended: the marker destroys the null version below, which is due by itself as well."""
    store = LifecycleStore(versioning='"Suspended"')
    store.write("/f", b"null")
    store.fs.volume.settings = structs.replace(
        store.fs.volume.settings, versioning=VersioningState.ENABLED
    )
    store.write("/f", b"kept")
    store.fs.volume.settings = structs.replace(
        store.fs.volume.settings, versioning=VersioningState.SUSPENDED
    )
    store.put_rules(EXPIRE_3, {"NoncurrentVersionExpiration": {"NoncurrentDays": 3}})

    assert sorted(store.pass_days(4)) == ["4 DeleteMarker f", "4 Expire f"]
    assert store.history("/f") == [b"kept"]
    check_invariants(store)


def test_a_file_of_many_versions_loses_them_in_one_go() -> None:
    """A log that is saved every minute for a year: the cost is its history, once."""
    store = LifecycleStore()
    for number in range(300):
        store.write("/log", b"%d" % number)
    store.put_rules(
        {"NoncurrentVersionExpiration": {"NoncurrentDays": 1, "NewerNoncurrentVersions": 2}}
    )

    assert len(store.pass_days(2)) == 297
    assert store.history("/log") == [b"299", b"298", b"297"]
    check_invariants(store)


def test_what_was_removed_below_a_directory_has_new_keys_once_it_moves() -> None:
    """A rule about the new place is about all that ever lay there, at any depth."""
    store = LifecycleStore()
    store.mkdir("/old")
    store.mkdir("/old/sub")
    store.write("/old/sub/f", SMALL)
    rule = {"NoncurrentVersionExpiration": {"NoncurrentDays": 1}, "Filter": {"Prefix": "new/"}}
    store.put_rules(rule)
    store.remove("/old/sub/f")
    store.remove("/old/sub")
    assert store.pass_days(4) == []

    store.rename("/old", "/new")

    assert store.pass_days(2) == ["1 Expire new/sub/f"]


def test_rules_that_are_put_while_a_run_goes_on_wait_for_the_next_day() -> None:
    """As at any other time: there is time to look at the plan."""
    store = LifecycleStore()
    for number in range(100):
        store.write(f"/f{number}", SMALL)
    store.put_rules({"Expiration": {"Days": 1000}})
    store.tick(5 * DAY)

    class Hasty:
        """Somebody who puts other rules after the first step."""

        async def after(self, keys: int) -> None:
            """See `Rest`."""
            if keys and store.runs.rules.rules.rules[0].rule_id != "mistaken":
                store.put_rules({"ID": "mistaken", **EXPIRE_3})

    trio.run(store.runs.run, Hasty())

    assert all(store.exists(f"/f{number}") for number in range(100))
    assert not store.runs.is_due()
    assert store.runs.rules.cursor() == (0, b"")
    store.next_midnight()
    assert store.run().markers_added == 100
