"""S3's rules for the stack of versions and delete markers that a key has, written apart.

The engine keeps intervals of a name and versions of an inode; what it shows must be such a stack.
A stack is newest first; its first item is the current one (S3's IsLatest). What puts and deletes do
to it depends on the state of the bucket (S3, "How S3 Versioning works"):

                       unversioned            Enabled            Suspended
    put                null replaces null     push               null replaces null, on top
    delete             null is removed        push a marker      null marker replaces null, on top
    delete a version   only `null`            that item goes     that item goes

At most one item is `null`, and nothing but `delete a version` destroys one that is not.
"""

from collections.abc import Sequence

from msgspec import Struct

from s3fs_local.errors import InvalidArgument, NoSuchVersion
from s3fs_local.rules.versioning import NULL_ID, VersioningState


class StackItem(Struct, frozen=True):
    """A version or a delete marker of one key."""

    version_id: str  # ours, unique; see `public_id`
    is_marker: bool = False
    is_null: bool = False

    @property
    def public_id(self) -> str:
        """The version id that S3 would show and accept."""
        return NULL_ID if self.is_null else self.version_id


Stack = Sequence[StackItem]
"""All items of one key, newest first."""


class StackPlan(Struct, frozen=True):
    """What an operation does to a stack: items to destroy, then one to put on top."""

    added: StackItem | None = None
    destroyed: tuple[StackItem, ...] = ()


def current(stack: Stack) -> StackItem | None:
    """The item a plain read meets: the newest, which may be a marker; None for an unknown key."""
    return stack[0] if stack else None


def plan_put(state: VersioningState, stack: Stack, new_id: str) -> StackPlan:
    """A version is committed: what it adds, and which earlier item it destroys."""
    if state is VersioningState.ENABLED:
        return StackPlan(added=StackItem(new_id))
    return StackPlan(added=StackItem(new_id, is_null=True), destroyed=_null_items(stack))


def plan_delete(state: VersioningState, stack: Stack, new_id: str) -> StackPlan:
    """The key is removed, no version named; markers stack, and missing keys get one too (S3)."""
    if state is VersioningState.ENABLED:
        return StackPlan(added=StackItem(new_id, is_marker=True))
    if state is VersioningState.UNVERSIONED:
        return StackPlan(destroyed=_null_items(stack))
    marker = StackItem(new_id, is_marker=True, is_null=True)
    return StackPlan(added=marker, destroyed=_null_items(stack))


def plan_delete_version(state: VersioningState, stack: Stack, version_id: str) -> StackPlan:
    """One version or marker is destroyed for good; no marker is added (S3).

    `version_id` is a public one.

    Raises:
        InvalidArgument: the store is unversioned and the id is not `null`.
        NoSuchVersion: the stack has no such item.
    """
    if state is VersioningState.UNVERSIONED and version_id != NULL_ID:
        raise InvalidArgument(
            f"InvalidArgument: Invalid version id specified: {version_id!r};"
            f" without versioning the only version is {NULL_ID!r}"
        )
    destroyed = tuple(item for item in stack if item.public_id == version_id)
    if not destroyed:
        raise NoSuchVersion(f"NoSuchVersion: no version has the id {version_id!r}")
    return StackPlan(destroyed=destroyed)


def apply_plan(stack: Stack, plan: StackPlan) -> tuple[StackItem, ...]:
    """The stack after the plan; the order of the items that stay is unchanged."""
    kept = tuple(item for item in stack if item not in plan.destroyed)
    return kept if plan.added is None else (plan.added, *kept)


def _null_items(stack: Stack) -> tuple[StackItem, ...]:
    return tuple(item for item in stack if item.is_null)
