"""When S3 refuses a ReplicationConfiguration, with the code and the words that it uses.

What the shape of the document rules out is MalformedXML already when it is read. Words that no
source gives are marked as ours.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Final

from msgspec import UNSET

from s3fs_local.rules.replication_documents import (
    BUCKET_ARN,
    ROOTS,
    DestinationDocument,
    FilterDocument,
    ReplicaKeyDocument,
    ReplicationDocument,
    RuleDocument,
    completed,
    prefix_of,
    tags_of,
)
from s3fs_local.rules.s3_documents import malformed, read_document, refusal
from s3fs_local.rules.tags import KEY_UNITS_MAX, VALUE_UNITS_MAX

RULES_MAX: Final = 1000
ID_LENGTH_MAX: Final = 255
KEY_BYTES_MAX: Final = 1024
MINUTES: Final = 15
"""The only time that S3 takes, for its time control and for the threshold of events."""
_GUIDE: Final = "Please refer to S3 Developer Guide for more information."
_FORMAT: Final = f"must be specified for this version of Cross Region Replication schema. {_GUIDE}"


def read_replication(data: bytes, *, new_id: Callable[[], int]) -> ReplicationDocument:
    """The document as it is kept.

    Raises:
        InvalidDocument: S3 would refuse it; the message begins with S3's code.
    """
    document = read_document(data, ReplicationDocument, roots=ROOTS)
    check_replication(document)
    return completed(document, new_id)


def check_replication(document: ReplicationDocument) -> None:
    """S3 would take the document, as far as it says by itself.

    Raises:
        InvalidDocument: it would not; the message begins with S3's code.
    """
    if not document.rules:
        raise malformed("a replication configuration has at least one rule")
    if len(document.rules) > RULES_MAX:
        raise refusal("InvalidRequest", f"The number of rules must not exceed {RULES_MAX}")
    if not document.role.startswith("arn:"):
        raise refusal(
            "InvalidArgument", "Invalid Role ARN; nothing here assumes a role, but S3 does"
        )
    for rule in document.rules:
        _check_rule(rule)
    _check_together(document.rules)


def _check_together(rules: Sequence[RuleDocument]) -> None:
    ids = Counter(rule.rule_id for rule in rules if rule.rule_id)
    if any(count > 1 for count in ids.values()):
        raise refusal("InvalidArgument", "Rule ID must be unique. Found same ID for several rules")
    first = [rule for rule in rules if rule.is_first_format]
    if first and len(first) < len(rules):
        raise refusal("InvalidRequest", f"Rules with and without Filter cannot be mixed. {_GUIDE}")
    if not first:
        priorities = Counter(rule.priority for rule in rules)
        for priority, count in priorities.items():
            if count > 1:
                raise refusal("InvalidRequest", f"Found duplicate priority {priority} in rules")
        return
    if len({rule.destination.bucket for rule in rules}) > 1:
        raise refusal("InvalidRequest", f"Rules without Filter have one destination. {_GUIDE}")
    for one, other in combinations([prefix_of(rule) for rule in first], 2):
        if one.startswith(other) or other.startswith(one):
            raise refusal(
                "InvalidRequest", f"Found overlapping prefixes {one!r} and {other!r} in rules"
            )


def _check_rule(rule: RuleDocument) -> None:
    if rule.rule_id and len(rule.rule_id) > ID_LENGTH_MAX:
        raise refusal("InvalidArgument", f"ID length should not exceed {ID_LENGTH_MAX} characters")
    if rule.existing_object_replication and rule.existing_object_replication.is_on:
        raise refusal(
            "InvalidRequest",
            "ExistingObjectReplication is no longer supported; use `replication sync`",
        )
    if rule.is_first_format:
        _check_first_format(rule)
    else:
        _check_format(rule)
    if len(prefix_of(rule).encode()) > KEY_BYTES_MAX:
        raise refusal("InvalidRequest", f"The maximum size of a prefix is {KEY_BYTES_MAX}")
    _check_tags(rule)
    _check_encryption(rule)
    _check_destination(rule.destination)


def _check_first_format(rule: RuleDocument) -> None:
    if rule.prefix is UNSET:
        raise malformed("a rule has Filter, or Prefix")
    if rule.priority is not UNSET:
        raise refusal("InvalidRequest", "Priority cannot be used without Filter")
    if rule.delete_marker_replication is not UNSET:
        raise refusal("InvalidRequest", "DeleteMarkerReplication cannot be used without Filter")


def _check_format(rule: RuleDocument) -> None:
    assert isinstance(rule.filter, FilterDocument)
    if rule.prefix is not UNSET:
        raise malformed("a rule has Filter or Prefix, not both")
    given = rule.filter
    if sum(part is not UNSET for part in (given.prefix, given.tag, given.and_)) > 1:
        raise malformed("a Filter has one of Prefix, Tag and And")
    if rule.priority is UNSET:
        raise refusal("InvalidRequest", f"Priority {_FORMAT}")
    if rule.priority < 0:
        raise refusal("InvalidArgument", "Priority must be a positive integer or zero")
    if rule.delete_marker_replication is UNSET:
        raise refusal("InvalidRequest", f"DeleteMarkerReplication {_FORMAT}")
    if rule.delete_marker_replication.is_on and tags_of(rule):
        raise refusal(
            "InvalidRequest",
            f"Delete marker replication is not supported if any Tag filter is specified. {_GUIDE}",
        )


def _check_tags(rule: RuleDocument) -> None:
    tags = tags_of(rule)
    if len({key for key, _ in tags}) < len(tags):
        raise refusal("InvalidRequest", "Duplicate Tag Keys are not allowed.")
    for key, value in tags:
        if not 1 <= _units(key) <= KEY_UNITS_MAX:
            raise refusal("InvalidTag", "The TagKey you have provided is invalid")
        if _units(value) > VALUE_UNITS_MAX:
            raise refusal("InvalidTag", "The TagValue you have provided is invalid")


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _check_encryption(rule: RuleDocument) -> None:
    selection = rule.source_selection_criteria
    chosen = selection.sse_kms_encrypted_objects if selection else UNSET
    encryption = rule.destination.encryption_configuration
    has_key = isinstance(encryption, ReplicaKeyDocument) and bool(encryption.replica_kms_key_id)
    if chosen and chosen.is_on and not has_key:
        raise refusal(
            "InvalidRequest",
            "ReplicaKmsKeyID must be specified if SseKmsEncryptedObjects tag is present.",
        )
    if has_key and not chosen:
        raise refusal(
            "InvalidRequest",
            "SseKmsEncryptedObjects must be specified if EncryptionConfiguration tag is present.",
        )


def _check_destination(destination: DestinationDocument) -> None:
    if not destination.bucket.startswith(BUCKET_ARN) or not destination.remote:
        raise refusal("InvalidArgument", f"Invalid bucket ARN; write {BUCKET_ARN}NAME of a remote")
    if destination.access_control_translation and not destination.account:
        raise refusal(
            "InvalidRequest", "Account must be specified when AccessControlTranslation is used"
        )
    time, metrics = destination.replication_time, destination.metrics
    if time:
        if time.time.minutes != MINUTES:
            raise refusal("InvalidRequest", f"ReplicationTime accepts only {MINUTES} minutes")
        if time.status == "Enabled" and not (metrics and metrics.status == "Enabled"):
            raise refusal("InvalidRequest", "ReplicationTime requires Metrics to be Enabled")
    if metrics and metrics.event_threshold and metrics.event_threshold.minutes != MINUTES:
        raise refusal("InvalidRequest", f"EventThreshold accepts only {MINUTES} minutes")
    if time and time.status == "Enabled" and not (metrics and metrics.event_threshold):
        raise refusal("InvalidRequest", "ReplicationTime requires the EventThreshold of Metrics")
