"""Short words for rules, versions and instants: a test of lifecycle reads like its table."""

from msgspec import structs

from s3fs_local.rules.instants import parse_instant
from s3fs_local.rules.lifecycle import (
    Action,
    Circumstances,
    Filter,
    Item,
    Lifecycle,
    Moment,
    NoncurrentExpiration,
    NoncurrentTransition,
    Rule,
    Stack,
    Transition,
    evaluate,
)
from s3fs_local.rules.namespace import OPEN_NS
from s3fs_local.rules.storage_classes import StorageClass
from s3fs_local.rules.versioning import VersioningState

MIB = 1 << 20
UNVERSIONED = VersioningState.UNVERSIONED
ENABLED = VersioningState.ENABLED
SUSPENDED = VersioningState.SUSPENDED
SHORT = {
    "IA": StorageClass.STANDARD_IA,
    "ONEZONE": StorageClass.ONEZONE_IA,
    "INT": StorageClass.INTELLIGENT_TIERING,
    "IR": StorageClass.GLACIER_IR,
    "GLACIER": StorageClass.GLACIER,
    "DEEP": StorageClass.DEEP_ARCHIVE,
}


def at(text: str) -> int:
    """The instant; a month, or a year, is its beginning."""
    return parse_instant(text + "-01-01"[: 10 - len(text)] if len(text) < 10 else text, now_ns=0)


def expire(days: int | None = None, *, date: str = "") -> dict[str, object]:
    """Expiration by age or date."""
    return {"expiration": Moment(days) if days is not None else Moment(None, at(date))}


def move(*steps: tuple[str, int]) -> dict[str, object]:
    """Transitions by age."""
    return {"transitions": tuple(Transition(SHORT[name], Moment(days)) for name, days in steps)}


def nv_move(*steps: tuple[str, int]) -> dict[str, object]:
    """Transitions of noncurrent versions."""
    moves = tuple(NoncurrentTransition(SHORT[name], days) for name, days in steps)
    return {"noncurrent_transitions": moves}


def nv_expire(days: int, keep: int = 0) -> dict[str, object]:
    """Expiration of noncurrent versions."""
    return {"noncurrent_expiration": NoncurrentExpiration(days, keep)}


LONE_MARKERS: dict[str, object] = {"removes_lone_markers": True}


def rule(*parts: dict[str, object], rule_id: str = "r", **conditions: object) -> Rule:
    """A rule of these actions, for the objects that fulfil the conditions of `Filter`."""
    fields = {name: value for part in parts for name, value in part.items()}
    return Rule(rule_id, Filter(**conditions), **fields)  # type: ignore[arg-type]


def rules(*given: Rule, archives_small: bool = False) -> Lifecycle:
    """The rules in force, each with a name of its own."""
    named = (structs.replace(one, rule_id=f"r{n}") for n, one in enumerate(given))
    return Lifecycle(tuple(named), archives_small)


def version(made: str, **fields: object) -> Item:
    """A version of 1 MiB in STANDARD, unless said otherwise."""
    stamp_ns = at(made)
    return Item(stamp_ns, stamp_ns, **{"size": MIB, **fields})  # type: ignore[arg-type]


def null(made: str, **fields: object) -> Item:
    """S3's null version."""
    return version(made, is_null=True, **fields)


def marker(made: str) -> Item:
    """A delete marker."""
    return version(made, is_marker=True, size=0)


def locked(made: str, until: str = "", **fields: object) -> Item:
    """A version that a lock keeps until then, or (a legal hold) without end."""
    return version(made, kept_until_ns=at(until) if until else OPEN_NS, **fields)


def stack(*items: Item, key: bytes = b"f") -> Stack:
    """The items of a key, newest first."""
    return Stack(key, items)


def done(
    lifecycle: Lifecycle, given: Stack, now: str, state: VersioningState = ENABLED
) -> list[tuple[int, Action, str]]:
    """What one pass does: (position in the stack, action, class)."""
    found = evaluate(given, lifecycle, Circumstances(state), at(now))
    return [
        (given.items.index(verdict.item), verdict.action, verdict.storage_class)
        for verdict in found.verdicts
    ]
