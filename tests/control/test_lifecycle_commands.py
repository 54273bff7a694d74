"""The commands of lifecycle on a store in memory: what is planned is what is done."""

import json
from typing import Any

import pytest

from s3fs_local import errors
from s3fs_local.control.requests import (
    ChangeLifecycle,
    ChangeSetting,
    ChangeTags,
    DescribeLifecycle,
    DescribeTags,
    PlanLifecycle,
    RemoveLifecycle,
    RunLifecycle,
)
from s3fs_local.rules.inode import Caller
from s3fs_local.rules.instants import SECOND_NS
from s3fs_local.rules.retention import Retention
from tests.control.test_commands_on_a_store import ask
from tests.engine.lifecycle_store import DAY, LARGE, SMALL, LifecycleStore
from tests.engine.memory_store import ALICE, ROOT

BOB = Caller(uid=1001, gid=1001)
RULES = {
    "Rules": [
        {
            "ID": "age",
            "Status": "Enabled",
            "Filter": {},
            "Transitions": [{"Days": 30, "StorageClass": "STANDARD_IA"}],
            "Expiration": {"Days": 60},
            "NoncurrentVersionExpiration": {"NoncurrentDays": 30},
        }
    ]
}


def _put(store: LifecycleStore, document: object = RULES) -> None:
    ask(store, ChangeLifecycle(json.dumps(document).encode()), ROOT)


def _days(answer: Any) -> dict[str, list[tuple[str, str, str]]]:  # noqa: ANN401 - JSON
    return {
        day["Date"]: [(row["Action"], row["Path"], row["StorageClass"]) for row in day["Actions"]]
        for day in answer["Days"]
    }


@pytest.fixture
def store() -> LifecycleStore:
    """A large and a small file, and an old version."""
    made = LifecycleStore(object_lock="true", lock_semantics='"s3"')
    made.write("/large", LARGE)
    made.write("/small", b"older")
    made.write("/small", SMALL)
    return made


def test_get_prints_what_was_put(store: LifecycleStore) -> None:
    """As `aws s3api` prints it; without rules the error is S3's."""
    with pytest.raises(errors.NoSuchConfiguration, match=r"^NoSuchLifecycleConfiguration: "):
        ask(store, DescribeLifecycle())
    _put(store)
    printed = ask(store, DescribeLifecycle())

    assert printed == {
        **RULES,
        "TransitionDefaultMinimumObjectSize": "all_storage_classes_128K",
    }
    _put(store, printed)
    assert ask(store, DescribeLifecycle()) == printed
    store.flush()
    store.crash()
    assert ask(store, DescribeLifecycle()) == printed
    ask(store, RemoveLifecycle(), ROOT)
    ask(store, RemoveLifecycle(), ROOT)
    with pytest.raises(errors.NoSuchConfiguration):
        ask(store, DescribeLifecycle())


def test_only_those_who_own_the_store_give_it_rules_or_run_them(store: LifecycleStore) -> None:
    """A rule removes everybody's files."""
    document = json.dumps(RULES).encode()
    for request in (ChangeLifecycle(document), RemoveLifecycle(), RunLifecycle()):
        with pytest.raises(errors.NotPermitted):
            ask(store, request, BOB)


def test_a_refused_document_leaves_the_rules_as_they_were(store: LifecycleStore) -> None:
    """Put is all or nothing."""
    _put(store)
    before = ask(store, DescribeLifecycle())
    with pytest.raises(errors.InvalidSetting, match=r"^InvalidArgument: 'Days'"):
        _put(store, {"Rules": [{**RULES["Rules"][0], "Expiration": {"Days": 0}}]})

    assert ask(store, DescribeLifecycle()) == before


def test_the_plan_tells_each_day_and_the_runs_do_exactly_that(store: LifecycleStore) -> None:
    """The rows are the same, day by day, version ids included."""
    _put(store)
    until_ns = store.clock.now_ns() + 50 * DAY * SECOND_NS
    store.fs.locks.set_retention(
        store.stat("/small").ino, Retention("COMPLIANCE", until_ns), caller=ALICE
    )
    plan = ask(store, PlanLifecycle(days=200))
    planned = {day["Date"]: day for day in plan["Days"]}

    done: dict[str, Any] = {}
    for _ in range(200):
        store.next_midnight()
        for day in ask(store, RunLifecycle(), ROOT)["Days"]:
            done[day["Date"]] = day
    assert [row["Action"] for day in done.values() for row in day["Actions"]] == [
        *("Transition", "Expire", "DeleteMarker", "DeleteMarker", "Expire", "Expire"),
        *("RemoveMarker", "RemoveMarker"),
    ]
    assert _without_new_ids(done) == _without_new_ids(planned)
    assert store.metadata.usage().versions == 0


def _without_new_ids(days: dict[str, Any]) -> dict[str, Any]:
    """Markers that runs make have an id that no plan knows."""
    for day in days.values():
        for row in day["Actions"]:
            if row["Action"] == "RemoveMarker":
                row.pop("VersionId", None)
    return days


def test_what_a_lock_holds_back_is_told_with_its_end(store: LifecycleStore) -> None:
    """Nobody wonders why the disk does not get emptier."""
    until_ns = store.clock.now_ns() + 365 * DAY * SECOND_NS
    store.fs.locks.set_retention(
        store.stat("/small").ino, Retention("COMPLIANCE", until_ns), caller=ALICE
    )
    store.write("/small", b"newer")
    _put(store)
    held = [row for day in ask(store, PlanLifecycle(days=40))["Days"] for row in day["Held"]]

    assert [(row["Action"], row["Path"], row["Bytes"]) for row in held] == [
        ("Expire", "small", len(SMALL))
    ]
    assert held[0]["Until"].startswith("2028-")


def test_a_plan_for_one_day_shows_that_day_only(store: LifecycleStore) -> None:
    """What happens before is taken for done."""
    _put(store)
    midnight_ns = store.clock.now_ns() - store.clock.now_ns() % (DAY * SECOND_NS)
    at = str((midnight_ns + 31 * DAY * SECOND_NS) // SECOND_NS)
    plan = ask(store, PlanLifecycle(at=at))

    assert list(_days(plan).values()) == [
        [("Transition", "large", "STANDARD_IA"), ("Expire", "small", "STANDARD")]
    ]
    with pytest.raises(errors.InvalidTime):
        ask(store, PlanLifecycle(at="2026-01-01"))
    with pytest.raises(errors.InvalidArgument):
        ask(store, PlanLifecycle(days=0))


def test_a_plan_says_what_it_saves(store: LifecycleStore) -> None:
    """At the prices of the settings."""
    _put(store)
    ask(store, ChangeSetting("prices", "currency=EUR STANDARD=1 STANDARD_IA=0.5"), ROOT)
    plan = ask(store, PlanLifecycle(days=40))

    assert plan["Before"]["Classes"] == [
        {"StorageClass": "STANDARD", "Bytes": len(LARGE) + len(SMALL) + 5}
    ]
    assert {row["StorageClass"]: row["Bytes"] for row in plan["After"]["Classes"]} == {
        "STANDARD": len(SMALL),
        "STANDARD_IA": len(LARGE),
    }
    assert plan["Before"]["Currency"] == "EUR"
    assert plan["After"]["MonthlyCost"] < plan["Before"]["MonthlyCost"]
    assert "Curve" not in plan
    curve = ask(store, PlanLifecycle(days=365, with_curve=True))["Curve"]
    assert curve[0]["Classes"] == plan["Before"]["Classes"]
    assert curve[-1]["Classes"] == []
    assert len(curve) == 367


def test_a_plan_changes_nothing_and_a_dry_run_is_the_plan_for_now(store: LifecycleStore) -> None:
    """People look before they leap."""
    store.tick(100 * DAY)
    _put(store)
    plan = ask(store, PlanLifecycle(days=1))
    today = plan["Days"][0]
    assert ask(store, RunLifecycle(dry_run=True), ROOT)["Days"] == [today]
    assert ask(store, PlanLifecycle(days=1)) == plan
    assert store.read("/large") == LARGE

    assert ask(store, RunLifecycle(), ROOT)["Days"] == [today]
    assert ask(store, RunLifecycle(), ROOT)["Days"] == []


def test_tags_are_set_and_read_as_s3_does(store: LifecycleStore) -> None:
    """put-object-tagging replaces all tags; get-object-tagging is what is printed."""
    ask(store, ChangeTags(b"small", {"b": "2", "a": "x y"}), ALICE)
    ask(store, ChangeTags(b"small", {"b": "2", "a": "x=y"}), ALICE)
    printed = ask(store, DescribeTags(b"small"))

    assert printed["TagSet"] == [{"Key": "a", "Value": "x=y"}, {"Key": "b", "Value": "2"}]
    with pytest.raises(errors.InvalidArgument):
        ask(store, ChangeTags(b"small", {str(n): "" for n in range(11)}), ALICE)
    with pytest.raises(errors.NotPermitted):
        ask(store, ChangeTags(b"small", {}), BOB)
    assert ask(store, DescribeTags(b"small")) == printed
    ask(store, ChangeTags(b"small", {}), ALICE)
    assert ask(store, DescribeTags(b"small"))["TagSet"] == []
