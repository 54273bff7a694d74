"""S3's LifecycleConfiguration: its shape, and the rules that a valid one puts in force.

What makes one invalid is in `lifecycle_validation.py`. Dates are kept as the AWS command line
prints them; all else stays as it was given, so that get after put gives back the same.
"""

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Literal, TypeVar

from msgspec import UNSET, Meta, Struct, UnsetType, field, structs

from s3fs_local.rules.instants import SECOND_NS
from s3fs_local.rules.lifecycle import (
    Filter,
    Lifecycle,
    Moment,
    NoncurrentExpiration,
    NoncurrentTransition,
    Rule,
    Transition,
)
from s3fs_local.rules.s3_documents import in_xml
from s3fs_local.rules.storage_classes import StorageClass

ROOTS: Final = ("LifecycleConfiguration", "BucketLifecycleConfiguration")
NUMBER_MAX: Final = (1 << 31) - 1
"""S3's numbers of days and versions are 32-bit integers."""
ID_BITS: Final = 288
"""S3 names a rule by 48 characters of base64."""
DEFAULT_MINIMUM: Final = "all_storage_classes_128K"
MINIMUM_BY_CLASS: Final = "varies_by_storage_class"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_Number = Annotated[int, Meta(ge=-NUMBER_MAX - 1, le=NUMBER_MAX)]
_Size = Annotated[int, Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
_Target = Literal[
    "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"
]


class _Member(Struct, frozen=True, forbid_unknown_fields=True, rename="pascal"):
    """A part of the document; its members have S3's names, and no others are known."""


class TagDocument(_Member, frozen=True):
    """A tag that an object must have."""

    key: str
    value: str


class AndDocument(_Member, frozen=True):
    """Conditions that hold together."""

    prefix: str | UnsetType = UNSET
    tags: Annotated[list[TagDocument], in_xml("Tag")] | UnsetType = UNSET
    object_size_greater_than: _Size | UnsetType = UNSET
    object_size_less_than: _Size | UnsetType = UNSET


class FilterDocument(_Member, frozen=True):
    """One condition, several below `And`, or none: every object."""

    prefix: str | UnsetType = UNSET
    tag: TagDocument | UnsetType = UNSET
    object_size_greater_than: _Size | UnsetType = UNSET
    object_size_less_than: _Size | UnsetType = UNSET
    and_: AndDocument | UnsetType = field(name="And", default=UNSET)


class ExpirationDocument(_Member, frozen=True):
    """When current versions expire, or whether lone delete markers go."""

    days: _Number | UnsetType = UNSET
    date: str | UnsetType = UNSET
    expired_object_delete_marker: bool | UnsetType = UNSET


class TransitionDocument(_Member, frozen=True):
    """When current versions move to a class."""

    storage_class: _Target
    days: _Number | UnsetType = UNSET
    date: str | UnsetType = UNSET


class NoncurrentTransitionDocument(_Member, frozen=True):
    """When noncurrent versions move to a class."""

    noncurrent_days: _Number
    storage_class: _Target
    newer_noncurrent_versions: _Number | UnsetType = UNSET


class NoncurrentExpirationDocument(_Member, frozen=True):
    """When noncurrent versions are removed for good."""

    noncurrent_days: _Number
    newer_noncurrent_versions: _Number | UnsetType = UNSET


class AbortDocument(_Member, frozen=True):
    """When unfinished uploads end; a filesystem has none, so this does nothing."""

    days_after_initiation: _Number


class RuleDocument(_Member, frozen=True):
    """One rule; with `Prefix` instead of `Filter` it is of the first version of the format."""

    status: Literal["Enabled", "Disabled"]
    rule_id: str | UnsetType = field(name="ID", default=UNSET)
    filter: FilterDocument | UnsetType = UNSET
    prefix: str | UnsetType = UNSET
    expiration: ExpirationDocument | UnsetType = UNSET
    transitions: Annotated[list[TransitionDocument], in_xml("Transition")] | UnsetType = UNSET
    noncurrent_version_transitions: (
        Annotated[list[NoncurrentTransitionDocument], in_xml("NoncurrentVersionTransition")]
        | UnsetType
    ) = UNSET
    noncurrent_version_expiration: NoncurrentExpirationDocument | UnsetType = UNSET
    abort_incomplete_multipart_upload: AbortDocument | UnsetType = UNSET


class LifecycleDocument(_Member, frozen=True):
    """The document, as get-bucket-lifecycle-configuration prints it."""

    rules: Annotated[list[RuleDocument], in_xml("Rule")]
    transition_default_minimum_object_size: Annotated[str, in_xml(None)] | UnsetType = UNSET


_Dated = TypeVar("_Dated", ExpirationDocument, TransitionDocument)


def parse_date(text: str) -> datetime:
    """The instant of a `Date`, in any form of ISO 8601; without an offset it is UTC.

    Raises:
        ValueError: it is none.
    """
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def completed(document: LifecycleDocument, new_id: Callable[[], int]) -> LifecycleDocument:
    """The document as S3 keeps it: every rule has an id, and the least size is said.

    `new_id` gives numbers of `ID_BITS` random bits.
    """
    rules = [_completed_rule(rule, new_id) for rule in document.rules]
    minimum = document.transition_default_minimum_object_size or DEFAULT_MINIMUM
    return LifecycleDocument(rules, minimum)


def _completed_rule(rule: RuleDocument, new_id: Callable[[], int]) -> RuleDocument:
    rule_id = rule.rule_id or base64.b64encode(new_id().to_bytes(ID_BITS // 8, "big")).decode()
    rule = structs.replace(rule, rule_id=rule_id)
    if rule.expiration:
        rule = structs.replace(rule, expiration=_with_printed_date(rule.expiration))
    if rule.transitions:
        dated = [_with_printed_date(transition) for transition in rule.transitions]
        rule = structs.replace(rule, transitions=dated)
    return rule


def _with_printed_date(document: _Dated) -> _Dated:
    if not document.date:
        return document
    return structs.replace(document, date=parse_date(document.date).isoformat())


def rules_in_force(document: LifecycleDocument) -> Lifecycle:
    """What a valid document asks for; a disabled rule does not exist."""
    return Lifecycle(
        rules=tuple(_rule(rule) for rule in document.rules if rule.status == "Enabled"),
        archives_small=document.transition_default_minimum_object_size == MINIMUM_BY_CLASS,
    )


def _rule(rule: RuleDocument) -> Rule:
    expiration, noncurrent = rule.expiration, rule.noncurrent_version_expiration
    return Rule(
        rule_id=rule.rule_id or "",
        filter=filter_of(rule),
        expiration=_moment(expiration) if expiration and _is_dated(expiration) else None,
        removes_lone_markers=bool(expiration and expiration.expired_object_delete_marker),
        transitions=tuple(
            Transition(StorageClass(found.storage_class), _moment(found))
            for found in rule.transitions or ()
        ),
        noncurrent_transitions=tuple(
            NoncurrentTransition(
                StorageClass(found.storage_class),
                found.noncurrent_days,
                found.newer_noncurrent_versions or 0,
            )
            for found in rule.noncurrent_version_transitions or ()
        ),
        noncurrent_expiration=NoncurrentExpiration(
            noncurrent.noncurrent_days, noncurrent.newer_noncurrent_versions or 0
        )
        if noncurrent
        else None,
    )


def filter_of(rule: RuleDocument) -> Filter:
    """Which objects the rule is about."""
    given = rule.filter
    if not isinstance(given, FilterDocument):
        return Filter((rule.prefix or "").encode())
    conditions = given.and_ or given
    if isinstance(conditions, AndDocument):
        tags = conditions.tags or []
    else:
        tags = [conditions.tag] if conditions.tag else []
    return Filter(
        prefix=(conditions.prefix or "").encode(),
        tags=tuple((tag.key, tag.value) for tag in tags),
        larger_than=_known(conditions.object_size_greater_than),
        smaller_than=_known(conditions.object_size_less_than),
    )


def _is_dated(expiration: ExpirationDocument) -> bool:
    return expiration.days is not UNSET or expiration.date is not UNSET


def _moment(document: ExpirationDocument | TransitionDocument) -> Moment:
    if isinstance(document.date, str):
        since_epoch = parse_date(document.date) - _EPOCH
        return Moment(date_ns=since_epoch // timedelta(seconds=1) * SECOND_NS)
    return Moment(_known(document.days))


def _known(number: int | UnsetType) -> int | None:
    return number if isinstance(number, int) else None
