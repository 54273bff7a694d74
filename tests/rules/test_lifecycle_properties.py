"""Whatever the rules and the stack: what S3 promises of every pass holds."""

import json
from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from s3fs_local.rules.lifecycle import (
    DAY_NS,
    Action,
    Calendar,
    Circumstances,
    Item,
    Lifecycle,
    Stack,
    after,
    evaluate,
)
from s3fs_local.rules.lifecycle_documents import LifecycleDocument, rules_in_force
from s3fs_local.rules.lifecycle_validation import check_lifecycle
from s3fs_local.rules.namespace import OPEN_NS
from s3fs_local.rules.s3_documents import read_document
from s3fs_local.rules.versioning import VersioningState
from tests.rules import lifecycle_replay
from tests.rules.lifecycle_words import ENABLED, SUSPENDED, UNVERSIONED, at, version

HORIZON_DAYS = 40
START_NS = at("2026-01-01")
TARGETS = ("STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR", "GLACIER")
CLASSES = ("STANDARD", *TARGETS, "DEEP_ARCHIVE")
KEYS = ("a", "logs/x", "logs2/x")
TAGS: tuple[dict[str, str], ...] = ({}, {"k": "v"}, {"k": "w", "l": ""})
SIZES = (0, 1, 131_071, 131_072)

_days = st.integers(0, 20)
_filters = st.sampled_from(
    [
        {},
        {"Prefix": "logs"},
        {"Tag": {"Key": "k", "Value": "v"}},
        {"ObjectSizeGreaterThan": 0},
        {"And": {"Prefix": "logs/", "Tags": [{"Key": "l", "Value": ""}]}},
        {"And": {"Prefix": "", "ObjectSizeLessThan": 131_072}},
    ]
)
_expirations = st.one_of(
    st.builds(lambda days: {"Days": days + 1}, _days),
    st.builds(lambda day: {"Date": START_NS + day * DAY_NS}, _days),
    st.just({"ExpiredObjectDeleteMarker": True}),
)
_targets = st.sampled_from((*TARGETS, "DEEP_ARCHIVE"))
_transitions = st.one_of(
    st.builds(lambda days, target: {"Days": days, "StorageClass": target}, _days, _targets),
    st.builds(
        lambda day, target: {"Date": START_NS + day * DAY_NS, "StorageClass": target},
        _days,
        _targets,
    ),
)
_kept = st.one_of(st.none(), st.integers(1, 3))


def _noncurrent(days: int, kept: int | None, target: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {"NoncurrentDays": days + (not target)}
    if kept is not None:
        found["NewerNoncurrentVersions"] = kept
    if target:
        found["StorageClass"] = target
    return found


_rules = st.fixed_dictionaries(
    {"Status": st.sampled_from(["Enabled", "Enabled", "Disabled"]), "Filter": _filters},
    optional={
        "Expiration": _expirations,
        "Transitions": st.lists(_transitions, min_size=1, max_size=2),
        "NoncurrentVersionTransitions": st.lists(
            st.builds(_noncurrent, _days, _kept, _targets), min_size=1, max_size=2
        ),
        "NoncurrentVersionExpiration": st.builds(_noncurrent, _days, _kept),
    },
)
_items = st.builds(
    lambda marker, size, tags, storage_class, locked, replication: {
        "is_marker": marker,
        "size": 0 if marker else size,
        "tags": {} if marker else tags,
        "storage_class": "STANDARD" if marker else storage_class,
        "kept_until_ns": 0 if marker else locked,
        "replication": "" if marker else replication,
    },
    st.sampled_from([False, False, False, True]),
    st.sampled_from(SIZES),
    st.sampled_from(TAGS),
    st.sampled_from(CLASSES),
    st.sampled_from([0, 0, 0, START_NS + 15 * DAY_NS, OPEN_NS]),
    st.sampled_from(["", "", "", "PENDING", "FAILED", "COMPLETED"]),
)


@st.composite
def _stacks(draw: st.DrawFn) -> Stack:
    moments = sorted(draw(st.lists(st.integers(-20, -1), min_size=1, max_size=6)), reverse=True)
    hour_ns = DAY_NS // 24
    items = []
    for place, day in enumerate(moments):
        stamp_ns = START_NS + day * DAY_NS + draw(st.integers(0, 23)) * hour_ns - place
        items.append(Item(stamp_ns, stamp_ns, **draw(_items)))
    items.sort(key=lambda item: item.stamp_ns, reverse=True)
    return Stack(draw(st.sampled_from(KEYS)).encode(), tuple(items))


def _lifecycle(rules: list[dict[str, Any]]) -> Lifecycle:
    """By way of the document, as a person gives it."""
    printed = [_dated({"ID": f"r{place}", **rule}) for place, rule in enumerate(rules)]
    data = json.dumps({"Rules": printed}).encode()
    return rules_in_force(read_document(data, LifecycleDocument, roots=["x"]))


def _dated(value: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, dict):
        return {
            name: f"2026-01-{1 + (found - START_NS) // DAY_NS:02}"
            if name == "Date"
            else _dated(found)
            for name, found in value.items()
        }
    return [_dated(found) for found in value] if isinstance(value, list) else value


def _passes(stack: Stack, lifecycle: Lifecycle, state: VersioningState) -> list[tuple[int, Stack]]:
    """The stack after each day's pass."""
    seen = []
    for day in range(HORIZON_DAYS):
        now_ns = START_NS + day * DAY_NS
        found = evaluate(stack, lifecycle, Circumstances(state), now_ns)
        stack = after(stack, found.verdicts, Circumstances(state), now_ns)
        seen.append((now_ns, stack))
    return seen


@given(st.lists(_rules, max_size=4), _stacks())
def test_every_day_ends_as_the_replay_of_each_object_says(
    rules: list[dict[str, Any]], stack: Stack
) -> None:
    """Two readings of the same text, written apart, agree on every object on every day."""
    things = [
        lifecycle_replay.Thing(
            item.stamp_ns,
            marker=item.is_marker,
            size=item.size,
            tags=item.tags,
            storage_class=item.storage_class,
            locked_until=item.kept_until_ns,
            replication=item.replication,
        )
        for item in stack.items
    ]
    for now_ns, found in _passes(stack, _lifecycle(rules), ENABLED):
        lifecycle_replay.one_day(stack.key.decode(), things, rules, now_ns, "Enabled")

        assert [(item.stamp_ns, item.is_marker, item.storage_class) for item in found.items] == [
            (thing.made, thing.marker, thing.storage_class) for thing in things
        ]


@given(st.lists(_rules, max_size=4), st.sampled_from(SIZES), st.sampled_from(KEYS))
def test_without_versioning_each_object_ends_as_the_replay_says(
    rules: list[dict[str, Any]], size: int, key: str
) -> None:
    """A store without history, and one whose history was suspended with its null version."""
    for state in (UNVERSIONED, SUSPENDED):
        item = version("2025-12-20T10:00:00Z", size=size, is_null=True)
        things = [lifecycle_replay.Thing(item.stamp_ns, size=size, null=True)]
        for now_ns, found in _passes(Stack(key.encode(), (item,)), _lifecycle(rules), state):
            lifecycle_replay.one_day(key, things, rules, now_ns, state.value)

            assert [(i.is_marker, i.is_null, i.storage_class) for i in found.items] == [
                (thing.marker, thing.null, thing.storage_class) for thing in things
            ]


@given(st.lists(_rules, max_size=4), _stacks(), st.integers(0, HORIZON_DAYS), st.randoms())
def test_the_order_of_the_rules_does_not_matter(
    rules: list[dict[str, Any]],
    stack: Stack,
    day: int,
    chance: Any,  # noqa: ANN401
) -> None:
    """A person who sorts the file changes nothing, not even which rule is named."""
    lifecycle = _lifecycle(rules)
    shuffled = list(lifecycle.rules)
    chance.shuffle(shuffled)
    now_ns = START_NS + day * DAY_NS
    mixed = structs.replace(lifecycle, rules=tuple(shuffled))

    assert evaluate(stack, lifecycle, Circumstances(), now_ns) == evaluate(
        stack, mixed, Circumstances(), now_ns
    )


@given(st.lists(_rules, max_size=4), _stacks(), st.integers(0, HORIZON_DAYS))
def test_a_pass_is_a_question_and_acts_on_each_item_once(
    rules: list[dict[str, Any]], stack: Stack, day: int
) -> None:
    """S3: one action a version a day; asking again gives the same answer; markers never move."""
    now_ns = START_NS + day * DAY_NS
    lifecycle = _lifecycle(rules)
    found = evaluate(stack, lifecycle, Circumstances(), now_ns)

    assert found == evaluate(stack, lifecycle, Circumstances(), now_ns)
    assert all(n == 1 for n in Counter(v.item.stamp_ns for v in found.verdicts).values())
    for verdict in found.verdicts:
        if verdict.item.is_marker:
            assert verdict.action in (Action.EXPIRE, Action.REMOVE_MARKER)


@given(st.lists(_rules, max_size=4), _stacks())
def test_a_locked_version_is_never_removed(rules: list[dict[str, Any]], stack: Stack) -> None:
    """Until the lock ends; what would have happened is told as held."""
    locked = {item.stamp_ns: item.kept_until_ns for item in stack.items}
    for now_ns, found in _passes(stack, _lifecycle(rules), ENABLED):
        left = {item.stamp_ns for item in found.items}
        assert all(stamp in left for stamp, until_ns in locked.items() if until_ns > now_ns)


@given(st.lists(_rules, max_size=4), _stacks())
def test_nothing_happens_before_the_next_pass_that_was_announced(
    rules: list[dict[str, Any]], stack: Stack
) -> None:
    """So a schedule of those instants misses nothing, and days without anything cost nothing."""
    lifecycle = _lifecycle(rules)
    expected_ns = 0
    for day in range(HORIZON_DAYS):
        now_ns = START_NS + day * DAY_NS
        found = evaluate(stack, lifecycle, Circumstances(), now_ns)
        if found.verdicts:
            assert expected_ns <= now_ns
            stack = after(stack, found.verdicts, Circumstances(), now_ns)
            expected_ns = 0
        else:
            expected_ns = found.next_ns
            assert expected_ns > now_ns


def test_days_and_rounding_can_be_others() -> None:
    """A rehearsal counts minutes for days, and need not wait for a midnight."""
    lifecycle = _lifecycle([{"Status": "Enabled", "Filter": {}, "Expiration": {"Days": 2}}])
    minute_ns = 60 * 10**9
    item = version("2026-01-01T12:00:30Z")
    for calendar, due_ns in (
        (Calendar(minute_ns), at("2026-01-01T12:03:00Z")),
        (Calendar(minute_ns, rounds_up=False), at("2026-01-01T12:02:30Z")),
    ):
        circumstances = Circumstances(calendar=calendar)
        stack = Stack(b"f", (item,))
        assert evaluate(stack, lifecycle, circumstances, due_ns - 1).next_ns == due_ns
        assert evaluate(stack, lifecycle, circumstances, due_ns).verdicts


def test_the_documents_of_these_tests_are_valid_ones() -> None:
    """What the strategies make is near what people write: these pass S3's checks."""
    data = json.dumps(
        {"Rules": [_dated({"Status": "Enabled", "Filter": {}, "Expiration": {"Date": START_NS}})]}
    )
    check_lifecycle(read_document(data.encode(), LifecycleDocument, roots=["x"]))
