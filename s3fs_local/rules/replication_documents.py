"""S3's ReplicationConfiguration: its shape, and the rules that a valid one puts in force.

What makes one invalid is in `replication_validation.py`. The document is kept as it was given, save
that rules without an id get one, so that get after put gives back the same.
"""

import base64
from collections.abc import Callable, Mapping
from typing import Annotated, Final, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field, structs

from s3fs_local.rules.instants import SECOND_NS
from s3fs_local.rules.replication import Rule
from s3fs_local.rules.s3_documents import in_xml

ROOTS: Final = ("ReplicationConfiguration",)
ID_BITS: Final = 288
"""S3 names a rule by 48 characters of base64."""
BUCKET_ARN: Final = "arn:aws:s3:::"
_MINUTE_NS: Final = 60 * SECOND_NS
_NUMBER_MAX: Final = (1 << 31) - 1

_Number = Annotated[int, Meta(ge=-_NUMBER_MAX - 1, le=_NUMBER_MAX)]
_Class = Literal[
    "STANDARD",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "GLACIER_IR",
    "GLACIER",
    "DEEP_ARCHIVE",
]


class _Member(Struct, frozen=True, forbid_unknown_fields=True, rename="pascal", omit_defaults=True):
    """A part of the document; its members have S3's names, and no others are known."""


class SwitchDocument(_Member, frozen=True):
    """Something that is on or off."""

    status: Literal["Enabled", "Disabled"]

    @property
    def is_on(self) -> bool:
        """Whether it is on."""
        return self.status == "Enabled"


class TagDocument(_Member, frozen=True):
    """A tag that an object must have."""

    key: str
    value: str


class AndDocument(_Member, frozen=True):
    """Conditions that hold together."""

    prefix: str | UnsetType = UNSET
    tags: Annotated[list[TagDocument], in_xml("Tag")] | UnsetType = UNSET


class FilterDocument(_Member, frozen=True):
    """One condition, several below `And`, or none: every object."""

    prefix: str | UnsetType = UNSET
    tag: TagDocument | UnsetType = UNSET
    and_: AndDocument | UnsetType = field(name="And", default=UNSET)


class SelectionDocument(_Member, frozen=True):
    """Objects that are left out unless they are asked for."""

    sse_kms_encrypted_objects: SwitchDocument | UnsetType = UNSET
    replica_modifications: SwitchDocument | UnsetType = UNSET


class TimeDocument(_Member, frozen=True):
    """A number of minutes; S3 takes 15."""

    minutes: _Number | UnsetType = UNSET


class ReplicationTimeDocument(_Member, frozen=True):
    """S3 Replication Time Control."""

    status: Literal["Enabled", "Disabled"]
    time: TimeDocument


class MetricsDocument(_Member, frozen=True):
    """Whether lag is measured, and when an event tells of it."""

    status: Literal["Enabled", "Disabled"]
    event_threshold: TimeDocument | UnsetType = UNSET


class OwnerDocument(_Member, frozen=True):
    """Whose replicas are."""

    owner: Literal["Destination"]


class ReplicaKeyDocument(_Member, frozen=True):
    """The key of replicas whose source has a KMS key."""

    replica_kms_key_id: str | UnsetType = field(name="ReplicaKmsKeyID", default=UNSET)


class DestinationDocument(_Member, frozen=True):
    """Where replicas go, and how they are stored there."""

    bucket: str
    account: str | UnsetType = UNSET
    storage_class: _Class | UnsetType = UNSET
    access_control_translation: OwnerDocument | UnsetType = UNSET
    encryption_configuration: ReplicaKeyDocument | UnsetType = UNSET
    replication_time: ReplicationTimeDocument | UnsetType = UNSET
    metrics: MetricsDocument | UnsetType = UNSET

    @property
    def remote(self) -> str:
        """The name of the remote that the ARN stands for."""
        return self.bucket.removeprefix(BUCKET_ARN)


class RuleDocument(_Member, frozen=True):
    """One rule; without `Filter` it is of the first version of the format."""

    status: Literal["Enabled", "Disabled"]
    destination: DestinationDocument
    rule_id: str | UnsetType = field(name="ID", default=UNSET)
    priority: _Number | UnsetType = UNSET
    prefix: str | UnsetType = UNSET
    filter: FilterDocument | UnsetType = UNSET
    source_selection_criteria: SelectionDocument | UnsetType = UNSET
    existing_object_replication: SwitchDocument | UnsetType = UNSET
    delete_marker_replication: SwitchDocument | UnsetType = UNSET

    @property
    def is_first_format(self) -> bool:
        """Whether it is of the first version of the format (V1)."""
        return self.filter is UNSET


class ReplicationDocument(_Member, frozen=True):
    """The document, as get-bucket-replication prints it."""

    role: str
    rules: Annotated[list[RuleDocument], in_xml("Rule")]


def completed(document: ReplicationDocument, new_id: Callable[[], int]) -> ReplicationDocument:
    """The document as S3 keeps it: every rule has an id.

    `new_id` gives numbers of `ID_BITS` random bits.
    """
    rules = [
        rule
        if rule.rule_id
        else structs.replace(
            rule, rule_id=base64.b64encode(new_id().to_bytes(ID_BITS // 8, "big")).decode()
        )
        for rule in document.rules
    ]
    return ReplicationDocument(document.role, rules)


def rules_in_force(document: ReplicationDocument, since_ns: Mapping[str, int]) -> tuple[Rule, ...]:
    """What a valid document asks for; a disabled rule does not exist.

    `since_ns` says of each rule, by its id, from when on it holds.
    """
    return tuple(
        _rule(rule, since_ns.get(rule.rule_id or "", 0))
        for rule in document.rules
        if rule.status == "Enabled"
    )


def prefix_of(rule: RuleDocument) -> str:
    """The keys that the rule is about begin with this."""
    given = rule.filter
    if not isinstance(given, FilterDocument):
        return rule.prefix or ""
    return (given.and_.prefix if given.and_ else given.prefix) or ""


def tags_of(rule: RuleDocument) -> tuple[tuple[str, str], ...]:
    """The tags that an object must have."""
    given = rule.filter
    if not isinstance(given, FilterDocument):
        return ()
    tags = given.and_.tags if given.and_ else [given.tag] if given.tag else []
    return tuple((tag.key, tag.value) for tag in tags or ())


def _rule(rule: RuleDocument, since_ns: int) -> Rule:
    destination = rule.destination
    selection = rule.source_selection_criteria or SelectionDocument()
    encryption = destination.encryption_configuration or ReplicaKeyDocument()
    return Rule(
        rule_id=rule.rule_id or "",
        destination=destination.remote,
        priority=rule.priority or 0,
        prefix=prefix_of(rule).encode(),
        tags=tags_of(rule),
        delete_markers=rule.is_first_format or _is_on(rule.delete_marker_replication),
        replica_modifications=_is_on(selection.replica_modifications),
        kms_objects=_is_on(selection.sse_kms_encrypted_objects),
        replica_key=encryption.replica_kms_key_id or "",
        storage_class=destination.storage_class or "",
        threshold_ns=_threshold_ns(destination),
        since_ns=since_ns,
    )


def _is_on(switch: SwitchDocument | UnsetType) -> bool:
    return isinstance(switch, SwitchDocument) and switch.is_on


def _threshold_ns(destination: DestinationDocument) -> int:
    """Where metrics are on events tell of replicas that are late, with or without time control."""
    metrics = destination.metrics
    if not metrics or metrics.status != "Enabled" or not metrics.event_threshold:
        return 0
    return (metrics.event_threshold.minutes or 0) * _MINUTE_NS
