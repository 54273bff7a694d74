"""What is copied to another region and what is not: S3's table, row by row."""

from typing import Any

import pytest
from msgspec.structs import replace

from s3fs_local.rules.instants import SECOND_NS
from s3fs_local.rules.replication import (
    Event,
    Rule,
    Status,
    Subject,
    backoff_ns,
    choose,
    combined,
)

RULE = Rule("all", "west", since_ns=100)
NEW = Subject(key=b"docs/a", committed_ns=200)


def chosen(rule: Rule, subject: Subject, event: Event) -> bool:
    """Whether the rule tells its destination."""
    return bool(choose([rule], subject, event))


@pytest.mark.parametrize(
    ("row", "rule", "subject", "event", "is_replicated"),
    [
        ("a new version after the rule exists", {}, {}, Event.NEW_VERSION, True),
        ("metadata, tags, locks of it change", {}, {}, Event.METADATA, True),
        ("they change after it was replicated", {}, {"status": "COMPLETED"}, Event.METADATA, True),
        ("a user's delete marker, by default", {}, {}, Event.DELETE_MARKER, False),
        ("a marker, Enabled", {"delete_markers": True}, {}, Event.DELETE_MARKER, True),
        (
            "a marker, Enabled and tags",
            {"delete_markers": True, "tags": (("a", "1"),)},
            {"tags": {"a": "1"}},
            Event.DELETE_MARKER,
            False,
        ),
        ("DELETE of a version", {"delete_markers": True}, {}, Event.REMOVAL, False),
        ("lifecycle's own actions", {"delete_markers": True}, {}, Event.LIFECYCLE, False),
        ("what existed before", {}, {"committed_ns": 99}, Event.NEW_VERSION, False),
        ("… whose tags change", {}, {"committed_ns": 99}, Event.METADATA, False),
        ("… on demand", {}, {"committed_ns": 99}, Event.ON_DEMAND, True),
        ("a replica of another rule", {}, {"status": "REPLICA"}, Event.NEW_VERSION, False),
        ("… on demand", {}, {"status": "REPLICA"}, Event.ON_DEMAND, True),
        ("what FAILED, on demand", {}, {"status": "FAILED"}, Event.ON_DEMAND, True),
        ("an archived version", {}, {"storage_class": "GLACIER"}, Event.NEW_VERSION, False),
        ("… deep", {}, {"storage_class": "DEEP_ARCHIVE"}, Event.NEW_VERSION, False),
        ("… on demand", {}, {"storage_class": "GLACIER"}, Event.ON_DEMAND, False),
        (
            "… of which a tag or a lock changes, and that was replicated before",
            {},
            {"status": "COMPLETED", "storage_class": "GLACIER"},
            Event.METADATA,
            True,
        ),
        ("… and never was", {}, {"storage_class": "GLACIER"}, Event.METADATA, False),
        ("one that is read at once", {}, {"storage_class": "GLACIER_IR"}, Event.NEW_VERSION, True),
        ("one with a KMS key", {}, {"has_kms_key": True}, Event.NEW_VERSION, False),
        (
            "… with SseKmsEncryptedObjects",
            {"kms_objects": True, "replica_key": "k"},
            {"has_kms_key": True},
            Event.NEW_VERSION,
            True,
        ),
        ("a replica's metadata", {}, {"status": "REPLICA"}, Event.METADATA, False),
        (
            "… with ReplicaModifications",
            {"replica_modifications": True},
            {"status": "REPLICA"},
            Event.METADATA,
            True,
        ),
        ("a replica is renamed, or removed", {}, {"status": "REPLICA"}, Event.NAME, True),
        (
            "… although its class is archived by now",
            {},
            {"status": "COMPLETED", "storage_class": "GLACIER"},
            Event.NAME,
            True,
        ),
        ("what existed before is renamed", {}, {"committed_ns": 99}, Event.NAME, False),
        ("settings of the bucket", {}, {}, Event.SUBRESOURCE, False),
    ],
)
def test_the_table_of_s3(
    row: str, rule: dict[str, Any], subject: dict[str, Any], event: Event, is_replicated: object
) -> None:
    """User Guide, "What is replicated": whoever knows S3 finds what they expect."""
    assert chosen(replace(RULE, **rule), replace(NEW, **subject), event) == is_replicated, row


def test_a_filter_is_a_prefix_and_all_of_its_tags() -> None:
    """One tag that fits is not enough, and a key is compared from its beginning."""
    rule = replace(RULE, prefix=b"docs/", tags=(("a", "1"), ("b", "2")))

    assert chosen(rule, replace(NEW, tags={"a": "1", "b": "2", "c": "3"}), Event.NEW_VERSION)
    assert not chosen(rule, replace(NEW, tags={"a": "1"}), Event.NEW_VERSION)
    assert not chosen(rule, replace(NEW, tags={"a": "1", "b": "3"}), Event.NEW_VERSION)
    assert not chosen(rule, replace(NEW, key=b"old/docs/a"), Event.NEW_VERSION)


def test_the_highest_priority_decides_for_its_destination_alone() -> None:
    """S3: it is not a union. A rule that says no to markers hides one that says yes."""
    yes = replace(RULE, rule_id="yes", priority=1, delete_markers=True)
    no = replace(RULE, rule_id="no", priority=2)
    elsewhere = replace(yes, rule_id="east", destination="east")

    assert [c.rule.rule_id for c in choose([yes, no], NEW, Event.NEW_VERSION)] == ["no"]
    assert [c.rule.rule_id for c in choose([no, yes], NEW, Event.NEW_VERSION)] == ["no"]
    assert choose([yes, no], NEW, Event.DELETE_MARKER) == ()
    found = choose([yes, no, elsewhere], NEW, Event.NEW_VERSION)
    assert [c.destination for c in found] == ["west", "east"]


def test_a_rule_that_does_not_fit_hides_nobody() -> None:
    """The priority counts among the rules that match."""
    wide = replace(RULE, rule_id="wide", priority=1)
    narrow = replace(RULE, rule_id="narrow", priority=2, prefix=b"logs/")

    assert [c.rule.rule_id for c in choose([wide, narrow], NEW, Event.NEW_VERSION)] == ["wide"]


def test_a_new_destination_gets_no_old_version_by_a_change_of_its_tags() -> None:
    """S3: what was replicated before the destination changed is for Batch Replication."""
    old = replace(NEW, committed_ns=50, status=Status.COMPLETED)

    assert [choice.if_held for choice in choose([RULE], old, Event.METADATA)] == [True]
    assert [choice.if_held for choice in choose([RULE], NEW, Event.METADATA)] == [False]


def test_a_lock_on_an_archived_version_asks_for_none_of_its_bytes() -> None:
    """They would have to be retrieved; a hold must be in the other region all the same."""
    archived = replace(NEW, status=Status.COMPLETED, storage_class="DEEP_ARCHIVE")

    assert [choice.if_held for choice in choose([RULE], archived, Event.METADATA)] == [True]


def test_a_version_is_completed_when_all_destinations_have_it() -> None:
    """S3 shows one status: the worst."""
    assert combined(["COMPLETED", "COMPLETED"]) == "COMPLETED"
    assert combined(["COMPLETED", "PENDING"]) == "PENDING"
    assert combined(["PENDING", "FAILED"]) == "FAILED"
    assert combined([]) == ""


def test_an_unreachable_destination_is_asked_ever_less_often_and_at_least_once_a_minute() -> None:
    """An outage of a week costs nothing, and its end is noticed within a minute."""
    waits = [backoff_ns(failures) for failures in range(40)]

    assert waits == sorted(waits)
    assert waits[0] < SECOND_NS
    assert waits[-1] == 60 * SECOND_NS
