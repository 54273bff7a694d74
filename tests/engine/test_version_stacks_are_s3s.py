"""Versions and delete markers of a name behave as those of a key in S3, in all three states.

A put is a write, however it comes (in place, or a new file renamed over the name); DELETE is an
unlink; DELETE with a version id is a purge.
"""

import os
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from s3fs_local.engine.purging import purge
from s3fs_local.errors import InvalidArgument
from s3fs_local.rules.history import HistoryItem
from s3fs_local.rules.inode import ROOT_INO
from s3fs_local.rules.versioning import Version, VersioningState
from tests.engine.invariants import check_invariants
from tests.engine.memory_store import ALICE, MemoryStore
from tests.s3_version_stacks import (
    StackItem,
    apply_plan,
    plan_delete,
    plan_delete_version,
    plan_put,
)

KEY: Final = "/key"
UNVERSIONED, ENABLED, SUSPENDED = (
    VersioningState.UNVERSIONED,
    VersioningState.ENABLED,
    VersioningState.SUSPENDED,
)


class Bucket:
    """A store with one key, driven in S3's words."""

    def __init__(self, state: VersioningState = UNVERSIONED) -> None:
        self.store = MemoryStore(versioning=f'"{state}"')

    @property
    def state(self) -> VersioningState:
        """Versioning now."""
        return self.store.fs.volume.settings.versioning

    def change(self, state: VersioningState) -> None:
        """PutBucketVersioning."""
        volume = self.store.fs.volume
        volume.settings = structs.replace(volume.settings, versioning=state)

    def put(self, content: str, *, renamed: bool = False) -> None:
        """PutObject; `renamed`: as editors and rsync save."""
        if renamed:
            self.store.write("/temporary", content.encode())
            self.store.rename("/temporary", KEY)
        else:
            self.store.write(KEY, content.encode())

    def delete(self) -> None:
        """DeleteObject."""
        self.store.tick()
        if self.store.exists(KEY):
            self.store.remove(KEY)
        elif self.state is not UNVERSIONED:
            self.store.fs.namespace.add_delete_marker(ROOT_INO, b"key", ALICE)

    def delete_version(self, position: int) -> None:
        """DeleteObject with the version id of the item at that place of the stack."""
        self.store.tick()
        purge(self.store.fs, self.items[position], caller=ALICE, bypass=None)

    @property
    def items(self) -> list[HistoryItem]:
        """ListObjectVersions, newest first."""
        return self.store.fs.histories.of_name(ROOT_INO, b"key").items

    @property
    def stack(self) -> list[str]:
        """The items as `D` or their content; `=null`: of that id, `*`: the latest."""
        return [self._shown(item) for item in self.items]

    def _shown(self, item: HistoryItem) -> str:
        text = "D" if item.version is None else self._content(item.version)
        return text + "=null" * item.is_null + "*" * item.is_latest

    def _content(self, version: Version) -> str:
        layouts = self.store.fs.reading.layouts(version.ino, version.stamp_ns)
        return self.store.fs.reading.read_blocking(layouts, 0, version.size).decode()

    def get(self) -> str | None:
        """GetObject; None: 404."""
        return self.store.read(KEY).decode() if self.store.exists(KEY) else None


@pytest.fixture
def v1() -> Bucket:
    """The key after V1: one null version below two with ids."""
    bucket = Bucket()
    bucket.put("a")
    bucket.change(ENABLED)
    bucket.put("b")
    bucket.put("c")
    return bucket


@pytest.fixture
def v7(v1: Bucket) -> Bucket:
    """The key after V7: versioning was suspended, d and e were put, the key was deleted."""
    v1.change(SUSPENDED)
    v1.put("d")
    v1.put("e")
    v1.delete()
    return v1


def test_v1_a_null_version_stays_below_those_that_come_after(v1: Bucket) -> None:
    """What was stored before versioning was enabled is not lost by enabling it."""
    assert v1.stack == ["c*", "b", "a=null"]


def test_v2_v3_each_delete_adds_a_marker(v1: Bucket) -> None:
    """Also one of a key that is deleted already."""
    v1.delete()
    assert v1.stack == ["D*", "c", "b", "a=null"]
    assert v1.get() is None

    v1.delete()
    assert v1.stack == ["D*", "D", "c", "b", "a=null"]


def test_v4_a_key_is_undeleted_by_removing_its_markers(v1: Bucket) -> None:
    """With one of two markers gone it is still deleted."""
    v1.delete()
    v1.delete()
    v1.delete_version(0)
    assert v1.stack == ["D*", "c", "b", "a=null"]
    assert v1.get() is None

    v1.delete_version(0)
    assert v1.stack == ["c*", "b", "a=null"]
    assert v1.get() == "c"
    check_invariants(v1.store)


def test_v5_v6_a_null_version_takes_the_place_of_the_one_before(v1: Bucket) -> None:
    """Suspended: ids stay, null is overwritten."""
    v1.change(SUSPENDED)
    v1.put("d")
    assert v1.stack == ["d=null*", "c", "b"]

    v1.put("e")
    assert v1.stack == ["e=null*", "c", "b"]


def test_v7_v8_a_null_marker_replaces_the_null_version_and_is_replaced(v7: Bucket) -> None:
    """Suspended: one null item, whatever it is."""
    assert v7.stack == ["D=null*", "c", "b"]

    v7.put("f")
    assert v7.stack == ["f=null*", "c", "b"]
    check_invariants(v7.store)


def test_v9_with_the_null_marker_gone_the_key_has_its_older_version(v7: Bucket) -> None:
    """What the null version held is gone, what lay below it is current."""
    v7.delete_version(0)

    assert v7.stack == ["c*", "b"]
    assert v7.get() == "c"
    check_invariants(v7.store)


def test_an_undeleted_file_outlives_those_who_had_it_open(v1: Bucket) -> None:
    """Its null version was to go with the last close, but it has a name again."""
    v1.change(SUSPENDED)
    v1.put("d")
    handle = v1.store.open(KEY, os.O_RDONLY)
    v1.delete()
    assert v1.store.fs.read_nowait(handle, 0, 9) == b"d"
    v1.delete_version(0)
    v1.store.close(handle)
    assert v1.get() == "d"
    check_invariants(v1.store)

    handle = v1.store.open(KEY, os.O_RDONLY)
    v1.delete()
    v1.store.close(handle)
    assert v1.stack == ["D=null*", "c", "b"]


def test_v10_a_null_marker_stays_below_what_is_put_after_enabling(v7: Bucket) -> None:
    """It is an item of the stack as any other."""
    v7.change(ENABLED)
    v7.put("g")

    assert v7.stack == ["g*", "D=null", "c", "b"]


def test_v11_a_key_that_never_was_can_be_deleted() -> None:
    """S3 answers 204 and has a marker."""
    bucket = Bucket(ENABLED)
    bucket.delete()

    assert bucket.stack == ["D*"]


def test_v12_deleting_the_current_version_adds_no_marker(v1: Bucket) -> None:
    """The one before is current."""
    v1.delete_version(0)

    assert v1.stack == ["b*", "a=null"]
    assert v1.get() == "b"
    check_invariants(v1.store)


def test_v13_v14_a_deleted_key_is_free_and_has_no_etag(v1: Bucket) -> None:
    """If-None-Match succeeds, If-Match finds no object: both are facts about the live name."""
    v1.delete()
    assert not v1.store.exists(KEY)

    v1.put("f")
    assert v1.stack == ["f*", "D", "c", "b", "a=null"]


def test_v15_tags_change_neither_stack_nor_time(v1: Bucket) -> None:
    """They belong to the version."""
    before = [item.stamp_ns for item in v1.items]
    v1.store.tick()
    v1.store.fs.lock_attributes.set_tags(v1.store.stat(KEY).ino, {"case": "7"}, ALICE)

    assert [item.stamp_ns for item in v1.items] == before
    assert v1.items[0].version is not None
    assert v1.items[0].version.tags == {"case": "7"}


def test_an_unversioned_store_keeps_one_version_and_no_trace_of_a_delete() -> None:
    """S3's empty document."""
    bucket = Bucket()
    bucket.put("a")
    bucket.put("b")
    assert bucket.stack == ["b=null*"]

    bucket.delete()
    assert bucket.stack == []
    assert bucket.store.fs.volume.metadata.usage().blocks == 0
    check_invariants(bucket.store)


def test_the_only_content_of_a_live_file_is_not_purged() -> None:
    """A file has no way to be without content; S3's key would be gone."""
    bucket = Bucket(ENABLED)
    bucket.put("a")

    with pytest.raises(InvalidArgument):
        bucket.delete_version(0)


Step = tuple[str, int]
STEPS: Final[st.SearchStrategy[Step]] = st.tuples(
    st.sampled_from(["put", "put", "put renamed", "delete", "delete version", "enable", "suspend"]),
    st.integers(0, 7),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(STEPS, max_size=14))
def test_any_sequence_gives_the_stack_of_the_rules(steps: list[Step]) -> None:
    """`rules/versioning.py` is the published behaviour; names over inodes must come to the same."""
    bucket = Bucket()
    stack: tuple[StackItem, ...] = ()
    for number, (step, position) in enumerate(steps):
        name = f"v{number}"
        if step.startswith("put"):
            bucket.put(name, renamed=step == "put renamed")
            stack = apply_plan(stack, plan_put(bucket.state, stack, name))
        elif step == "delete":
            bucket.delete()
            stack = apply_plan(stack, plan_delete(bucket.state, stack, "D"))
        elif step == "delete version" and stack:
            place = position % len(stack)
            public_id = stack[place].public_id
            if bucket.state is UNVERSIONED and public_id != "null":
                continue
            if _is_only_content(bucket, place):
                continue
            bucket.delete_version(place)
            if stack[place].is_marker and not stack[place].is_null:
                stack = stack[:place] + stack[place + 1 :]  # markers are all called D here
            else:
                plan = plan_delete_version(bucket.state, stack, public_id)
                stack = apply_plan(stack, plan)
        elif step == "enable":
            bucket.change(ENABLED)
        elif step == "suspend" and bucket.state is ENABLED:
            bucket.change(SUSPENDED)
        assert bucket.stack == _expected(stack)
        check_invariants(bucket.store)


def _is_only_content(bucket: Bucket, position: int) -> bool:
    """Whether the item is the one content of the file that the key means now: it is not purged."""
    version = bucket.items[position].version
    if version is None or not bucket.store.exists(KEY):
        return False
    is_live = bucket.store.stat(KEY).ino == version.ino
    return is_live and len(bucket.store.fs.volume.metadata.versions(version.ino)) == 1


def _expected(stack: tuple[StackItem, ...]) -> list[str]:
    shown = [
        ("D" if item.is_marker else item.version_id) + "=null" * item.is_null for item in stack
    ]
    return [shown[0] + "*", *shown[1:]] if shown else []
