"""The user's replication file works unchanged, and one that S3 refuses is refused in S3's words."""

import itertools
import json
from typing import Any

import pytest

from s3fs_local.errors import InvalidSetting
from s3fs_local.rules.instants import SECOND_NS
from s3fs_local.rules.replication import Rule
from s3fs_local.rules.replication_documents import ReplicationDocument, rules_in_force
from s3fs_local.rules.replication_validation import read_replication
from s3fs_local.rules.s3_documents import write_json, write_xml

Json = dict[str, Any]

ROLE = "arn:aws:iam::123456789012:role/replication"
WEST = {"Bucket": "arn:aws:s3:::west"}
ON, OFF = {"Status": "Enabled"}, {"Status": "Disabled"}
LATE = {"Status": "Enabled", "EventThreshold": {"Minutes": 15}}
TIME = {"Status": "Enabled", "Time": {"Minutes": 15}}


def rule(**members: object) -> Json:
    """A valid rule of the second format, with some members exchanged; None takes one away."""
    whole = {
        "Status": "Enabled",
        "Priority": 1,
        "Filter": {},
        "DeleteMarkerReplication": OFF,
        "Destination": WEST,
        **members,
    }
    return {name: value for name, value in whole.items() if value is not None}


def first(prefix: str, **members: object) -> Json:
    """A valid rule of the first format."""
    return {"Status": "Enabled", "Prefix": prefix, "Destination": WEST, **members}


def read(*rules: Json) -> ReplicationDocument:
    """The document of these rules."""
    numbers = itertools.count(1)
    data = json.dumps({"Role": ROLE, "Rules": rules}).encode()
    return read_replication(data, new_id=lambda: next(numbers))


FULL = rule(
    ID="everything",
    Priority=7,
    Filter={"And": {"Prefix": "docs/", "Tags": [{"Key": "a", "Value": "1"}]}},
    SourceSelectionCriteria={"SseKmsEncryptedObjects": ON, "ReplicaModifications": ON},
    ExistingObjectReplication=OFF,
    Destination={
        "Bucket": "arn:aws:s3:::west",
        "Account": "123456789012",
        "StorageClass": "STANDARD_IA",
        "AccessControlTranslation": {"Owner": "Destination"},
        "EncryptionConfiguration": {"ReplicaKmsKeyID": "there"},
        "ReplicationTime": TIME,
        "Metrics": LATE,
    },
)


def test_a_document_becomes_the_rules_it_asks_for() -> None:
    """Every member of S3's schema means something, or is refused."""
    document = read(FULL, rule(Priority=2, Status="Disabled"))

    assert rules_in_force(document, {"everything": 5}) == (
        Rule(
            "everything",
            "west",
            priority=7,
            prefix=b"docs/",
            tags=(("a", "1"),),
            replica_modifications=True,
            kms_objects=True,
            replica_key="there",
            storage_class="STANDARD_IA",
            threshold_ns=15 * 60 * SECOND_NS,
            since_ns=5,
        ),
    )


def test_the_first_format_replicates_delete_markers() -> None:
    """S3: V1 always does, V2 where it says so."""
    (old,) = rules_in_force(read(first("a/")), {})
    (new,) = rules_in_force(read(rule(DeleteMarkerReplication=ON)), {})

    assert (old.prefix, old.delete_markers) == (b"a/", True)
    assert (new.prefix, new.delete_markers) == (b"", True)


def test_get_gives_back_what_was_put() -> None:
    """In both forms; rules without an id have one then, as in S3."""
    kept = read(FULL, rule(Priority=2))
    again = read_replication(write_json(kept), new_id=lambda: 9)
    by_xml = read_replication(write_xml(kept, root="ReplicationConfiguration"), new_id=lambda: 9)

    assert again == by_xml == kept
    assert json.loads(write_json(kept))["Rules"][0] == FULL
    assert kept.rules[1].rule_id


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ([], "MalformedXML"),
        ([rule(Priority=n) for n in range(1001)], "InvalidRequest: The number of rules"),
        ([rule(ID="a"), rule(ID="a", Priority=2)], "InvalidArgument: Rule ID must be unique"),
        ([rule(ID="x" * 256)], "InvalidArgument: ID length"),
        ([rule(), rule()], "InvalidRequest: Found duplicate priority 1"),
        ([rule(Priority=None)], "InvalidRequest: Priority must be specified"),
        ([rule(Priority=-1)], "InvalidArgument: Priority"),
        (
            [rule(DeleteMarkerReplication=None)],
            "InvalidRequest: DeleteMarkerReplication must be specified",
        ),
        (
            [rule(Filter={"Tag": {"Key": "a", "Value": "b"}}, DeleteMarkerReplication=ON)],
            "InvalidRequest: Delete marker replication is not supported if any Tag filter",
        ),
        ([rule(Filter=None)], "MalformedXML"),
        ([first("", Priority=1)], "InvalidRequest: Priority cannot"),
        ([first("", DeleteMarkerReplication=ON)], "InvalidRequest: DeleteMarkerReplication cannot"),
        ([rule(Prefix="a")], "MalformedXML"),
        ([rule(Filter={"Prefix": "a", "Tag": {"Key": "a", "Value": "b"}})], "MalformedXML"),
        ([first("a"), rule()], "InvalidRequest: Rules with and without Filter"),
        ([first("a"), first("a/b")], "InvalidRequest: Found overlapping prefixes"),
        (
            [first("a"), first("b", Destination={"Bucket": "arn:aws:s3:::east"})],
            "InvalidRequest: Rules without Filter have one destination",
        ),
        ([rule(Status="enabled")], "MalformedXML"),
        ([rule(Filter={"Prefix": "a" * 1025})], "InvalidRequest: The maximum size of a prefix"),
        ([rule(Filter={"Tag": {"Key": "", "Value": ""}})], "InvalidTag"),
        ([rule(Filter={"Tag": {"Key": "a", "Value": "v" * 257}})], "InvalidTag"),
        (
            [rule(Filter={"And": {"Tags": [{"Key": "a", "Value": "1"}] * 2}})],
            "InvalidRequest: Duplicate Tag Keys",
        ),
        (
            [rule(SourceSelectionCriteria={"SseKmsEncryptedObjects": ON})],
            "InvalidRequest: ReplicaKmsKeyID must be specified",
        ),
        (
            [rule(Destination={**WEST, "EncryptionConfiguration": {"ReplicaKmsKeyID": "k"}})],
            "InvalidRequest: SseKmsEncryptedObjects must be specified",
        ),
        ([rule(ExistingObjectReplication=ON)], "InvalidRequest: ExistingObjectReplication"),
        ([rule(Destination={"Bucket": "west"})], "InvalidArgument: Invalid bucket ARN"),
        ([rule(Destination={"Bucket": "arn:aws:s3:::"})], "InvalidArgument: Invalid bucket ARN"),
        ([rule(Destination={**WEST, "StorageClass": "OUTPOSTS"})], "MalformedXML"),
        (
            [rule(Destination={**WEST, "AccessControlTranslation": {"Owner": "Destination"}})],
            "InvalidRequest: Account must be specified",
        ),
        ([rule(Destination={**WEST, "ReplicationTime": TIME})], "InvalidRequest: ReplicationTime"),
        (
            [rule(Destination={**WEST, "ReplicationTime": TIME, "Metrics": ON})],
            "InvalidRequest: ReplicationTime requires the EventThreshold",
        ),
        (
            [
                rule(
                    Destination={
                        **WEST,
                        "ReplicationTime": {"Status": "Enabled", "Time": {"Minutes": 5}},
                        "Metrics": LATE,
                    }
                )
            ],
            "InvalidRequest: ReplicationTime accepts only 15",
        ),
        (
            [
                rule(
                    Destination={
                        **WEST,
                        "Metrics": {"Status": "Enabled", "EventThreshold": {"Minutes": 1}},
                    }
                )
            ],
            "InvalidRequest: EventThreshold accepts only 15",
        ),
        ([rule(Speed="fast")], "MalformedXML"),
    ],
)
def test_what_s3_refuses_is_refused(rules: list[Json], message: str) -> None:
    """With S3's code first, so that whoever knows S3 knows what to do."""
    with pytest.raises(InvalidSetting, match=message):
        read(*rules)


def test_a_role_is_an_arn() -> None:
    """S3 demands one; it is kept and means nothing here."""
    data = json.dumps({"Role": "me", "Rules": [rule()]}).encode()

    with pytest.raises(InvalidSetting, match="InvalidArgument: Invalid Role"):
        read_replication(data, new_id=lambda: 1)
