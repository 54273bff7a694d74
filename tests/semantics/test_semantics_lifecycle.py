"""What lifecycle rules promise: see docs/semantics.md."""

import json
from typing import Any

import pytest
import trio

from s3fs_local import errors
from s3fs_local.control.requests import (
    ChangeLifecycle,
    DescribeLifecycle,
    PlanLifecycle,
    RunLifecycle,
)
from s3fs_local.rules.instants import SECOND_NS
from s3fs_local.rules.retention import Retention
from s3fs_local.workers.tiering import Tiering
from tests.control.test_commands_on_a_store import ask
from tests.engine.lifecycle_store import DAY, LARGE, SMALL, LifecycleStore
from tests.engine.memory_store import ALICE, ROOT
from tests.semantics.promises import promise

EXPIRE_3 = {"Expiration": {"Days": 3}}
NONCURRENT_2 = {"NoncurrentVersionExpiration": {"NoncurrentDays": 2}}
IA_30 = {"Transitions": [{"Days": 30, "StorageClass": "STANDARD_IA"}]}


def _document(*rules: dict[str, Any]) -> bytes:
    whole = [{"Status": "Enabled", "Filter": {}, **rule} for rule in rules]
    return json.dumps({"Rules": whole}).encode()


def _lock(store: LifecycleStore, path: str, days: int) -> None:
    until_ns = store.clock.now_ns() + days * DAY * SECOND_NS
    store.fs.locks.set_retention(
        store.stat(path).ino, Retention("COMPLIANCE", until_ns), caller=ALICE
    )


@promise("Rules are given in S3's document, as JSON or XML, and what S3 refuses is refused.")
def test_rules_are_s3s() -> None:
    """A bucket's file works unchanged."""
    store = LifecycleStore()
    xml = b"""<LifecycleConfiguration><Rule><ID>x</ID><Filter/><Status>Enabled</Status>
        <Expiration><Days>3</Days></Expiration></Rule></LifecycleConfiguration>"""
    for document in (_document({**EXPIRE_3, "ID": "x"}), xml):
        ask(store, ChangeLifecycle(document), ROOT)
        assert ask(store, DescribeLifecycle())["Rules"][0]["Expiration"] == {"Days": 3}
    with pytest.raises(errors.InvalidSetting, match=r"^InvalidArgument: 'Days' for Expiration"):
        ask(store, ChangeLifecycle(_document({"Expiration": {"Days": 0}})), ROOT)


@promise("What `bucket lifecycle put` was given, `get` prints.")
def test_get_prints_what_was_put() -> None:
    """So it can be kept in version control."""
    store = LifecycleStore()
    given = {"ID": "a", "Status": "Enabled", "Prefix": "p", **EXPIRE_3}
    ask(store, ChangeLifecycle(json.dumps({"Rules": [given]}).encode()), ROOT)

    assert ask(store, DescribeLifecycle())["Rules"] == [given]


@promise("Without rules nothing ages.")
def test_new_rules_wait_for_the_next_day() -> None:
    """There is time to look at the plan."""
    store = LifecycleStore()
    store.write("/f", SMALL)
    store.tick(100 * DAY)
    trio.run(Tiering(store.fs).run_if_due)
    store.put_rules(EXPIRE_3)
    trio.run(Tiering(store.fs).run_if_due)
    assert store.exists("/f")
    store.next_midnight()
    trio.run(Tiering(store.fs).run_if_due)

    assert not store.exists("/f")


@promise("What is due is due at midnight UTC, so many days after the day of the commit.")
def test_days_are_counted_as_s3_does() -> None:
    """Made at noon: three days later it is noon, and the next midnight is a day on."""
    store = LifecycleStore()
    store.write("/f", SMALL)
    store.put_rules(EXPIRE_3)

    assert store.pass_days(5) == ["4 DeleteMarker f"]


@promise("Expiration puts a delete marker over a file, as `rm` does.")
def test_what_expired_can_be_brought_back() -> None:
    """And without versioning it cannot."""
    for state, history in (("Enabled", [SMALL]), ("", [])):
        store = LifecycleStore(versioning=f'"{state}"')
        store.write("/f", SMALL)
        store.put_rules(EXPIRE_3)
        store.pass_days(4)

        assert not store.exists("/f")
        assert store.history("/f") == history


@promise("Noncurrent versions are removed for good, with their blocks and keys.")
def test_noncurrent_versions_are_removed_for_good() -> None:
    """That is what makes room."""
    store = LifecycleStore()
    store.write("/f", LARGE)
    key_id = store.stat("/f").key_id
    store.remove("/f")
    store.put_rules(NONCURRENT_2)

    assert store.pass_days(4) == ["3 Expire f"]
    assert store.metadata.usage().blocks == 0
    assert store.metadata.key(key_id) is None


@promise(
    "A delete marker with nothing below it goes, if a rule asks for it,"
    " and then nothing of the file is left."
)
def test_a_lone_marker_goes() -> None:
    """Nothing of the file is left, in no table."""
    store = LifecycleStore()
    store.write("/f", SMALL)
    store.remove("/f")
    store.put_rules(NONCURRENT_2, {"Expiration": {"ExpiredObjectDeleteMarker": True}})

    assert store.pass_days(6) == ["3 Expire f", "4 RemoveMarker f"]
    assert store.metadata.names_after(0, b"", 10) == []


@promise("A class changes in place: the version keeps its id, ETag, times, tags and locks.")
def test_a_class_changes_in_place() -> None:
    """Nobody sees a new version."""
    store = LifecycleStore(object_lock="true", lock_semantics='"s3"')
    store.write("/f", LARGE)
    store.fs.lock_attributes.set_tags(store.stat("/f").ino, {"a": "b"}, ALICE)
    _lock(store, "/f", 400)
    before = store.metadata.versions(store.stat("/f").ino)
    store.put_rules(IA_30)
    assert store.pass_days(31) == ["31 Transition f"]
    after = store.metadata.versions(store.stat("/f").ino)

    assert [version.storage_class for version in after] == ["STANDARD_IA"]
    for now, then in zip(after, before, strict=True):
        assert (now.stamp_ns, now.salt, now.etag, now.tags, now.lock) == (
            then.stamp_ns,
            then.salt,
            then.etag,
            then.tags,
            then.lock,
        )


@promise("On one day at most one thing happens to a version.")
def test_one_thing_a_day() -> None:
    """However often somebody says `run`."""
    store = LifecycleStore()
    store.write("/f", LARGE)
    store.put_rules({"Transitions": [{"Days": 1, "StorageClass": "GLACIER"}]}, EXPIRE_3)
    store.tick(10 * DAY)

    assert store.run().moved.items == 1
    assert (store.run().keys, store.run().markers_added) == (0, 0)
    assert store.pass_days(1) == ["1 DeleteMarker f"]


@promise(
    "Where several things are due, removal for good wins, then a change of class,"
    " then a delete marker."
)
@promise("The order of the rules does not matter.")
def test_what_wins() -> None:
    """Removal over a move, a move over a marker."""
    noncurrent: dict[str, Any] = {
        "NoncurrentVersionTransitions": [{"NoncurrentDays": 1, "StorageClass": "GLACIER"}]
    }
    rules = [noncurrent, NONCURRENT_2, EXPIRE_3, IA_30]
    for given in (rules, rules[::-1]):
        store = LifecycleStore()
        store.write("/f", LARGE)
        store.write("/f", LARGE + b"!")
        store.tick(100 * DAY)
        store.put_rules(*given)
        outcome = store.run_told()[1][0]

        assert [verdict.action for verdict in outcome.done] == ["Transition", "Expire"]


@promise("A locked version is never removed by a rule.")
def test_a_locked_version_stays() -> None:
    """Until its lock ends."""
    store = LifecycleStore(object_lock="true", lock_semantics='"s3"')
    store.write("/f", SMALL)
    _lock(store, "/f", 50)
    store.write("/f", b"new")
    store.put_rules(NONCURRENT_2)

    assert store.pass_days(60) == ["3 held f", "51 Expire f"]


@promise("Where locks freeze names, a rule takes no name from a locked file.")
def test_a_locked_file_keeps_its_name() -> None:
    """The setting `lock-semantics` is `file`, the default."""
    store = LifecycleStore(object_lock="true")
    store.write("/f", SMALL)
    _lock(store, "/f", 50)
    store.put_rules(EXPIRE_3)

    assert store.pass_days(60) == ["4 held f", "51 DeleteMarker f"]


@promise("Tags are judged as they are on the day, not as they were when the rule was made.")
def test_tags_are_judged_on_the_day() -> None:
    """So taking the tag away keeps the file."""
    store = LifecycleStore()
    store.write("/f", SMALL)
    ino = store.stat("/f").ino
    store.fs.lock_attributes.set_tags(ino, {"k": "v"}, ALICE)
    store.put_rules({**EXPIRE_3, "Filter": {"Tag": {"Key": "k", "Value": "v"}}})
    store.pass_days(3)
    store.fs.lock_attributes.set_tags(ino, {}, ALICE)
    assert store.pass_days(10) == []
    store.fs.lock_attributes.set_tags(ino, {"k": "v"}, ALICE)

    assert store.pass_days(2) == ["1 DeleteMarker f"]


@promise("A prefix is one of the path that a file has, or had last.")
def test_a_moved_tree_follows_the_rules_of_its_new_place() -> None:
    """A directory is moved into, or out of, a prefix."""
    store = LifecycleStore()
    store.mkdir("/in")
    store.mkdir("/d")
    store.write("/d/f", SMALL)
    store.put_rules({**EXPIRE_3, "Filter": {"Prefix": "in/"}})
    assert store.pass_days(10) == []
    store.rename("/d", "/in/d")

    assert store.pass_days(1) == ["1 DeleteMarker in/d/f"]


@promise("A file saved through a temporary one counts under its own name.")
def test_editors_do_not_matter() -> None:
    """The old content is a noncurrent version of the file's name."""
    store = LifecycleStore()
    store.write("/notes", b"1")
    store.write("/.notes.Xy12Zw", b"2")
    store.rename("/.notes.Xy12Zw", "/notes")
    store.put_rules({**NONCURRENT_2, "Filter": {"Prefix": "notes"}})

    assert store.pass_days(4) == ["3 Expire notes"]
    assert store.history("/notes") == [b"2"]


@promise("Each name of a file with hard links expires by itself.")
def test_links_expire_one_by_one() -> None:
    """The one outside the prefix stays."""
    store = LifecycleStore()
    store.mkdir("/scratch")
    store.write("/scratch/f", SMALL)
    store.link("/scratch/f", "/kept")
    store.put_rules({**EXPIRE_3, "Filter": {"Prefix": "scratch/"}})

    assert store.pass_days(10) == ["4 DeleteMarker scratch/f"]
    assert store.read("/kept") == SMALL


@promise("Directories, links and special files are never touched by a rule.")
def test_only_files_age() -> None:
    """Empty directories stay where they are."""
    store = LifecycleStore()
    store.mkdir("/d")
    store.fs.symlink(1, b"l", b"d", ALICE)
    store.put_rules(EXPIRE_3)

    assert store.pass_days(10) == []
    assert store.exists("/d")
    assert store.exists("/l")


@promise(
    "What a program has open to write, or still reads after its name is gone or as an old version,"
    " waits for the next day."
)
def test_what_is_in_use_waits() -> None:
    """No program loses what it works with."""
    store = LifecycleStore()
    store.write("/written", SMALL)
    store.write("/read", LARGE)
    reader = store.open("/read", 0)
    writer = store.open("/written")
    store.fs.write(writer, 0, b"!")
    store.remove("/read")
    store.put_rules(EXPIRE_3, NONCURRENT_2)
    assert store.pass_days(8) == []
    assert store.fs.read_nowait(reader, 0, 10) == LARGE[:10]
    store.close(reader)
    store.close(writer)

    assert store.pass_days(1) == ["1 Expire read"]
    assert "3 DeleteMarker written" in store.pass_days(3)


@promise("A run that is ended at any moment has lost nothing and done nothing twice.")
def test_a_run_can_be_ended() -> None:
    """See also tests/scenarios/test_lifecycle_survives_kills.py."""
    store = LifecycleStore()
    for number in range(200):
        store.write(f"/{number}", SMALL)
    store.put_rules(EXPIRE_3)
    store.flush()
    store.tick(10 * DAY)

    class Ended(Exception):
        """The process."""

    def end(parent: int, name: bytes) -> None:
        raise Ended(parent, name)

    for number in range(64):
        store.fs.namespace.unlink(1, b"%d" % number, ALICE)
    store.flush()
    store.fs.volume.invalidation.entry = end  # type: ignore[method-assign]
    with pytest.raises(Ended):
        store.run()
    store.crash()
    store.run()

    assert store.metadata.usage().files == 0
    items = store.fs.histories.of_name(1, b"199").items
    assert [item.is_marker for item in items] == [True, False]


@promise("A run does what `lifecycle plan` says of that day.")
def test_the_plan_is_what_is_done() -> None:
    """Row by row."""
    store = LifecycleStore()
    store.write("/f", LARGE)
    ask(store, ChangeLifecycle(_document(IA_30, {"Expiration": {"Days": 40}})), ROOT)
    planned = {day["Date"]: day for day in ask(store, PlanLifecycle(days=60))["Days"]}
    done = {}
    for _ in range(60):
        store.next_midnight()
        for day in ask(store, RunLifecycle(), ROOT)["Days"]:
            done[day["Date"]] = day

    assert done == planned
    assert len(done) == 2
