"""The reference of version stacks: S3's published behaviour, and what no sequence may break.

The engine is held against it by `test_version_stacks_are_s3s.py`.
"""

from collections.abc import Callable
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3fs_local import errors
from s3fs_local.rules.versioning import VersioningState, check_state_change
from tests.s3_version_stacks import (
    StackItem,
    StackPlan,
    apply_plan,
    current,
    plan_delete,
    plan_delete_version,
    plan_put,
)

UNVERSIONED: Final = VersioningState.UNVERSIONED
ENABLED: Final = VersioningState.ENABLED
SUSPENDED: Final = VersioningState.SUSPENDED


class Key:
    """One key of a store, driven in the words of S3's documents.

    Ids are numbered as they are shown: what becomes `null` uses up no number.
    """

    def __init__(self) -> None:
        self.state = UNVERSIONED
        self.stack: tuple[StackItem, ...] = ()
        self._made = 0
        self._named = 0

    def enable(self) -> None:
        """PutBucketVersioning Enabled."""
        self._change_state(ENABLED)

    def suspend(self) -> None:
        """PutBucketVersioning Suspended."""
        self._change_state(SUSPENDED)

    def put(self) -> StackPlan:
        """PutObject."""
        return self._run(plan_put(self.state, self.stack, self._new_id()))

    def delete(self) -> StackPlan:
        """DeleteObject without a version id."""
        return self._run(plan_delete(self.state, self.stack, self._new_id()))

    def delete_version(self, version_id: str) -> StackPlan:
        """DeleteObject with a version id."""
        return self._run(plan_delete_version(self.state, self.stack, version_id))

    def shown(self) -> str:
        """The stack in the notation of the vectors, newest first: `D=id3, id2, null`."""
        return ", ".join(f"{'D=' * item.is_marker}{item.public_id}" for item in self.stack)

    def _new_id(self) -> str:
        self._made += 1
        if self.state is not ENABLED:
            return f"internal{self._made}"
        self._named += 1
        return f"id{self._named}"

    def _change_state(self, new: VersioningState) -> None:
        check_state_change(self.state, new, object_lock_enabled=False)
        self.state = new

    def _run(self, plan: StackPlan) -> StackPlan:
        self.stack = apply_plan(self.stack, plan)
        return plan


def run(steps: str) -> Key:
    """The key after the steps, each a method of `Key`, an id after a colon."""
    key = Key()
    for step in steps.split():
        name, _, version_id = step.partition(":")
        method: Callable[..., object] = getattr(key, name)
        method(*([version_id] if version_id else []))
    return key


V1: Final = "put enable put put"
V2: Final = f"{V1} delete"
V3: Final = f"{V2} delete"
V5: Final = f"{V1} suspend put"
V6: Final = f"{V5} put"
V7: Final = f"{V6} delete"

VECTORS: Final = {
    "V1: put, enable, put, put": (V1, "id2, id1, null"),
    "V2: then DELETE key": (V2, "D=id3, id2, id1, null"),
    "V3: then DELETE key again": (V3, "D=id4, D=id3, id2, id1, null"),
    "V4: then DELETE both markers": (
        f"{V3} delete_version:id4 delete_version:id3",
        "id2, id1, null",
    ),
    "V5: V1, suspend, put": (V5, "null, id2, id1"),
    "V6: V5, put": (V6, "null, id2, id1"),
    "V7: V6, DELETE key": (V7, "D=null, id2, id1"),
    "V8: V7, put": (f"{V7} put", "null, id2, id1"),
    "V9: V7, DELETE versionId=null": (f"{V7} delete_version:null", "id2, id1"),
    "V10: V7, enable, put": (f"{V7} enable put", "id3, D=null, id2, id1"),
    "V11: enabled, never written, DELETE key": ("enable delete", "D=id1"),
    "V12: V1, DELETE versionId=id2": (f"{V1} delete_version:id2", "id1, null"),
    "V13: V2, put with If-None-Match: *": (f"{V2} put", "id4, D=id3, id2, id1, null"),
    "unversioned put replaces": ("put put", "null"),
    "unversioned DELETE destroys": ("put delete", ""),
    "unversioned DELETE of a missing key does nothing": ("delete", ""),
    "unversioned DELETE versionId=null": ("put delete_version:null", ""),
    "suspended from the start": ("suspend put delete", "D=null"),
    "null below others is replaced on top": (f"{V1} suspend delete", "D=null, id2, id1"),
}


@pytest.mark.parametrize(("steps", "stack"), VECTORS.values(), ids=VECTORS.keys())
def test_stack_is_what_s3_would_show(steps: str, stack: str) -> None:
    """The whole table: each row is a published behaviour that somebody's script relies on."""
    assert run(steps).shown() == stack


def test_suspended_put_destroys_exactly_the_null_version() -> None:
    """V5: the engine asks the gate about what a plan destroys, so the plan must name it."""
    key = run(f"{V1} suspend")
    oldest = key.stack[-1]

    assert key.put().destroyed == (oldest,)
    assert oldest.public_id == "null"


def test_enabled_put_and_delete_destroy_nothing() -> None:
    """Versioning promises that no commit and no removal loses anything."""
    key = run(f"{V7} enable")

    assert key.put().destroyed == ()
    assert key.delete().destroyed == ()


def test_deleting_a_version_adds_no_marker() -> None:
    """V12: a purge is not a removal of the name."""
    assert run(V1).delete_version("id2").added is None


def test_current_is_the_newest_item_marker_or_not() -> None:
    """A plain read of V2 meets the marker (404 with x-amz-delete-marker), not the version below."""
    removed = current(run(V2).stack)
    purged = current(run(f"{V1} delete_version:id2").stack)

    assert current(()) is None
    assert removed is not None
    assert removed.is_marker
    assert purged is not None
    assert purged.public_id == "id1"


@pytest.mark.parametrize("steps", ["put", "suspend put", "enable put"])
def test_unknown_version_cannot_be_deleted(steps: str) -> None:
    """An id that names nothing must be an error, not a silent success on the wrong version."""
    key = run(steps)

    with pytest.raises((errors.NoSuchVersion, errors.InvalidArgument)):
        key.delete_version("id9")


def test_unversioned_store_knows_only_the_null_version() -> None:
    """S3 answers InvalidArgument there, and NoSuchVersion where ids exist."""
    with pytest.raises(errors.InvalidArgument, match="Invalid version id specified"):
        run("put").delete_version("id1")
    with pytest.raises(errors.NoSuchVersion, match="NoSuchVersion"):
        run("").delete_version("null")
    with pytest.raises(errors.NoSuchVersion, match="NoSuchVersion"):
        run("enable put").delete_version("null")


def test_null_version_is_not_addressed_by_its_internal_id() -> None:
    """Two ids for one version would make it possible to purge what a listing does not show."""
    key = run("suspend put")

    with pytest.raises(errors.NoSuchVersion):
        key.delete_version(key.stack[0].version_id)


STEPS: Final = st.lists(
    st.sampled_from(["put", "delete", "enable", "suspend", "delete_version"]), max_size=30
)


def play(steps: list[str]) -> Key:
    """The key after random steps, each checked for what no single step may break."""
    key = Key()
    for step in steps:
        before = key.stack
        if step == "delete_version":
            if before:
                key.delete_version(before[len(before) // 2].public_id)
        else:
            getattr(key, step)()
            lost = [item for item in before if item not in key.stack]
            assert all(item.is_null for item in lost)
            kept = [item for item in before if item in key.stack]
            assert list(key.stack[len(key.stack) - len(kept) :]) == kept
    return key


@given(STEPS)
@settings(max_examples=200)
def test_puts_and_deletes_lose_no_version_but_null(steps: list[str]) -> None:
    """However states and operations alternate, a version with its own id survives in place."""
    play(steps)


@given(STEPS)
@settings(max_examples=200)
def test_at_most_one_item_is_null_and_public_ids_are_unique(steps: list[str]) -> None:
    """Otherwise an id would name two versions, and a purge would take both."""
    stack = play(steps).stack
    public_ids = [item.public_id for item in stack]

    assert len(set(public_ids)) == len(public_ids)
    assert sum(item.is_null for item in stack) <= 1


@given(STEPS)
@settings(max_examples=200)
def test_put_is_current_afterwards_and_delete_hides_it(steps: list[str]) -> None:
    """Exactly one item is current: what was done last."""
    key = play(steps)

    put = key.put()
    assert current(key.stack) is put.added
    removal = key.delete()
    assert current(key.stack) is removal.added
