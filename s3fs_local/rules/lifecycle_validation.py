"""When S3 refuses a LifecycleConfiguration, with the code and the words that it uses.

What the shape of the document rules out (unknown members, other words for Status or StorageClass,
missing ones) is MalformedXML already when it is read. Where the sources on S3 contradict each other
the laxer reading is taken: a configuration that S3 holds must be accepted here.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import combinations
from typing import Final

from msgspec import UNSET, UnsetType

from s3fs_local.rules.lifecycle import Filter, Lifecycle
from s3fs_local.rules.lifecycle_documents import (
    DEFAULT_MINIMUM,
    MINIMUM_BY_CLASS,
    ROOTS,
    AndDocument,
    ExpirationDocument,
    FilterDocument,
    LifecycleDocument,
    RuleDocument,
    TransitionDocument,
    completed,
    filter_of,
    parse_date,
    rules_in_force,
)
from s3fs_local.rules.s3_documents import malformed, read_document, refusal
from s3fs_local.rules.storage_classes import StorageClass, may_transition
from s3fs_local.rules.tags import KEY_UNITS_MAX, VALUE_UNITS_MAX

RULES_MAX: Final = 1000
ID_LENGTH_MAX: Final = 255
SIZE_MAX: Final = 1_099_511_627_776_000
INFREQUENT_DAYS_MIN: Final = 30
_LAST_YEAR: Final = 2261  # of instants that this store can tell apart
_INFREQUENT: Final = ("STANDARD_IA", "ONEZONE_IA")
_APART: Final = {
    ("STANDARD_IA", "ONEZONE_IA"): 30,
    ("STANDARD_IA", "GLACIER_IR"): 30,
    ("STANDARD_IA", "GLACIER"): 30,
    ("ONEZONE_IA", "GLACIER"): 30,
    ("GLACIER_IR", "DEEP_ARCHIVE"): 90,
}
"""Days that one rule must leave a version in a class before it moves on (User Guide)."""


def read_lifecycle(
    data: bytes, *, minimum: str | None, new_id: Callable[[], int]
) -> tuple[LifecycleDocument, Lifecycle]:
    """The document as it is kept, and the rules that it puts in force.

    `minimum` is S3's header x-amz-transition-default-minimum-object-size, if it is given.

    Raises:
        InvalidDocument: S3 would refuse it; the message begins with S3's code.
    """
    document = read_document(data, LifecycleDocument, roots=ROOTS)
    given = document.transition_default_minimum_object_size
    wanted = minimum if minimum is not None else (DEFAULT_MINIMUM if given is UNSET else given)
    if wanted not in (DEFAULT_MINIMUM, MINIMUM_BY_CLASS):
        raise refusal(
            "InvalidRequest", f"Invalid TransitionDefaultMinimumObjectSize found: {wanted}"
        )
    check_lifecycle(document)
    kept = completed(LifecycleDocument(document.rules, wanted), new_id)
    return kept, rules_in_force(kept)


def check_lifecycle(document: LifecycleDocument) -> None:
    """S3 would take the document.

    Raises:
        InvalidDocument: it would not; the message begins with S3's code.
    """
    if not 1 <= len(document.rules) <= RULES_MAX:
        raise refusal("InvalidRequest", f"a configuration has 1 to {RULES_MAX} rules")
    for rule in document.rules:
        _check_id(rule)
        _check_filter(rule)
    _check_one_format(document.rules)
    ids = Counter(rule.rule_id for rule in document.rules if rule.rule_id)
    if any(count > 1 for count in ids.values()):
        raise refusal(
            "InvalidArgument", "Rule ID must be unique. Found same ID for more than one rule"
        )
    for rule in document.rules:
        _check_actions(rule)
    _check_overlaps(document.rules)


def _check_id(rule: RuleDocument) -> None:
    if len(rule.rule_id or "") > ID_LENGTH_MAX:
        raise refusal(
            "InvalidArgument", f"ID length should not exceed allowed limit of {ID_LENGTH_MAX}"
        )


def _check_filter(rule: RuleDocument) -> None:
    given = rule.filter
    if not isinstance(given, FilterDocument):
        if rule.prefix is UNSET:
            raise malformed("a rule needs a Filter (or, in the old format, a Prefix)")
        return
    if rule.prefix is not UNSET:
        raise malformed("a rule has either a Filter or a Prefix")
    if _count(given) > 1:
        raise malformed("a Filter holds one condition; several belong below And")
    if isinstance(given.and_, AndDocument):
        if _count(given.and_) + len(given.and_.tags or ()) < 2:
            raise malformed("And holds two conditions at least")
        keys = Counter(tag.key for tag in given.and_.tags or ())
        if any(count > 1 for count in keys.values()):
            raise refusal("InvalidRequest", "Duplicate Tag Keys are not allowed.")
    _check_conditions(filter_of(rule))


def _count(given: FilterDocument | AndDocument) -> int:
    """How many conditions it holds; the tags of And are counted by the caller."""
    members = (getattr(given, name) for name in given.__struct_fields__ if name != "tags")
    return sum(member is not UNSET for member in members)


def _check_conditions(conditions: Filter) -> None:
    for key, value in conditions.tags:
        if not 1 <= len(key) <= KEY_UNITS_MAX or len(value) > VALUE_UNITS_MAX:
            raise refusal(
                "InvalidTag", f"tag {key[:40]!r}: a key has 1 to 128 letters, a value up to 256"
            )
    larger, smaller = conditions.larger_than, conditions.smaller_than
    if larger is not None and not 0 <= larger <= SIZE_MAX:
        raise refusal("InvalidRequest", f"'ObjectSizeGreaterThan' must be from 0 to {SIZE_MAX}")
    if smaller is not None and not 1 <= smaller <= SIZE_MAX:
        raise refusal("InvalidRequest", f"'ObjectSizeLessThan' must be from 1 to {SIZE_MAX}")
    if larger is not None and smaller is not None and smaller <= larger:
        raise refusal(
            "InvalidRequest",
            "'ObjectSizeLessThan' has to be a value greater than 'ObjectSizeGreaterThan'",
        )


def _check_one_format(rules: Sequence[RuleDocument]) -> None:
    """Rules with a Filter and rules with a Prefix do not stand in one configuration."""
    is_old = rules[0].filter is UNSET
    for rule in rules[1:]:
        if is_old and rule.filter is not UNSET:
            raise refusal("InvalidRequest", "Filter element can only be used in Lifecycle V2.")
        if not is_old and rule.filter is UNSET:
            raise refusal(
                "InvalidRequest",
                "Base level prefix cannot be used in Lifecycle V2,"
                " prefixes are only supported in the Filter.",
            )


def _check_overlaps(rules: Sequence[RuleDocument]) -> None:
    """In the old format no two rules do the same kind of thing to one object."""
    for one, other in combinations([rule for rule in rules if rule.filter is UNSET], 2):
        first, second = one.prefix or "", other.prefix or ""
        if not (first.startswith(second) or second.startswith(first)):
            continue
        for kind in _kinds(one):
            if kind in set(_kinds(other)):
                raise refusal(
                    "InvalidRequest",
                    f"Found overlapping prefixes '{first}' and '{second}'"
                    f" for same action type '{kind}'",
                )


def _kinds(rule: RuleDocument) -> Iterator[str]:
    kinds = {
        "Expiration": rule.expiration,
        "Transition": rule.transitions,
        "NoncurrentVersionTransition": rule.noncurrent_version_transitions,
        "NoncurrentVersionExpiration": rule.noncurrent_version_expiration,
        "AbortIncompleteMultipartUpload": rule.abort_incomplete_multipart_upload,
    }
    return (name for name, action in kinds.items() if action)


def _check_actions(rule: RuleDocument) -> None:
    if not any(_kinds(rule)):
        raise refusal("InvalidRequest", "At least one action needs to be specified in a rule")
    for transition in rule.transitions or ():
        _check_transition(transition)
    _check_expiration(rule)
    _check_one_measure(rule)
    is_dated = any(transition.date is not UNSET for transition in rule.transitions or ())
    _check_ladder(rule, "Transition", "Date" if is_dated else "Days", _ladder(rule))
    _check_noncurrent(rule)
    if rule.abort_incomplete_multipart_upload:
        days = rule.abort_incomplete_multipart_upload.days_after_initiation
        _check_positive(days, "DaysAfterInitiation", "AbortIncompleteMultipartUpload action")
        _check_needs_no_object(rule, "AbortIncompleteMultipartUpload")


def _check_positive(number: int | UnsetType, name: str, where: str) -> None:
    if number is not UNSET and number < 1:
        raise refusal("InvalidArgument", f"'{name}' for {where} must be a positive integer")


def _check_needs_no_object(rule: RuleDocument, action: str) -> None:
    """What has neither tags nor a size is not chosen by them."""
    conditions = filter_of(rule)
    if conditions.tags:
        raise refusal("InvalidRequest", f"{action} cannot be specified with Tags.")
    if conditions.has_size:
        raise refusal("InvalidRequest", f"{action} cannot be specified with Object Size.")


def _check_transition(transition: TransitionDocument) -> None:
    if transition.date is not UNSET:
        if transition.days is not UNSET:
            raise malformed("a Transition has either Days or a Date")
        _check_date(transition)
    elif transition.days is UNSET:
        raise refusal("InvalidArgument", "'Days' or 'Date' must be given for Transition action")
    elif transition.days < 0:
        raise refusal("InvalidArgument", "'Days' for Transition action must be nonnegative")
    elif transition.storage_class in _INFREQUENT and transition.days < INFREQUENT_DAYS_MIN:
        raise _too_soon("'Days' in Transition action", transition.storage_class)


def _too_soon(what: str, storage_class: str) -> Exception:
    return refusal(
        "InvalidArgument",
        f"{what} must be greater than or equal to {INFREQUENT_DAYS_MIN}"
        f" for storageClass '{storage_class}'",
    )


def _check_date(document: TransitionDocument | ExpirationDocument) -> None:
    try:
        moment = parse_date(document.date or "")
    except (ValueError, OverflowError):
        raise malformed(f"{document.date!r} is no date of ISO 8601") from None
    if moment.timetz().replace(tzinfo=None) != datetime.min.time():
        raise refusal("InvalidArgument", "'Date' must be at midnight GMT")
    if moment.year > _LAST_YEAR:
        raise refusal("InvalidArgument", f"'Date' must not be after the year {_LAST_YEAR}")


def _check_expiration(rule: RuleDocument) -> None:
    expiration = rule.expiration
    if not isinstance(expiration, ExpirationDocument):
        return
    members = (expiration.days, expiration.date, expiration.expired_object_delete_marker)
    if sum(member is not UNSET for member in members) != 1:
        raise malformed("an Expiration has one of Days, Date and ExpiredObjectDeleteMarker")
    if expiration.date is not UNSET:
        _check_date(expiration)
    _check_positive(expiration.days, "Days", "Expiration action")
    if expiration.expired_object_delete_marker is not UNSET:
        _check_needs_no_object(rule, "ExpiredObjectDeleteMarker")


def _check_one_measure(rule: RuleDocument) -> None:
    """Days and dates do not stand in one rule."""
    actions = [*(rule.transitions or ()), *([rule.expiration] if rule.expiration else [])]
    has_days = any(action.days is not UNSET for action in actions)
    if has_days and any(action.date is not UNSET for action in actions):
        raise refusal(
            "InvalidRequest",
            "Found mixed 'Date' and 'Days' based Expiration and Transition actions"
            f" in lifecycle rule for {_filter_text(rule)}",
        )


def _filter_text(rule: RuleDocument) -> str:
    conditions = filter_of(rule)
    parts = [f"prefix={conditions.prefix.decode()}"]
    parts += [f"tag={key}:{value}" for key, value in conditions.tags]
    return f"filter '({', '.join(parts)})'"


_Ladder = Sequence[tuple[str, int]]  # (class, day) of each step
_FAR_DAYS: Final = 1 << 40


def _ladder(rule: RuleDocument) -> _Ladder:
    return [(step.storage_class, _day(step)) for step in rule.transitions or ()]


def _day(document: TransitionDocument | ExpirationDocument) -> int:
    if isinstance(document.date, str):
        return parse_date(document.date).toordinal()
    return document.days if isinstance(document.days, int) else _FAR_DAYS


def _check_ladder(rule: RuleDocument, action: str, unit: str, ladder: _Ladder) -> None:
    """Each class once, a colder one later than a warmer one and not too soon after it."""
    where = _filter_text(rule)
    classes = Counter(name for name, _ in ladder)
    if any(count > 1 for count in classes.values()):
        raise refusal(
            "InvalidRequest",
            f"'StorageClass' must be different for '{action}' actions in same 'Rule' with {where}",
        )
    for warm, warm_day in ladder:
        for cold, cold_day in ladder:
            if not may_transition(StorageClass(warm), StorageClass(cold)):
                continue
            if cold_day <= warm_day:
                raise refusal(
                    "InvalidArgument",
                    f"'{unit}' in the {action} action for StorageClass '{cold}' for {where} must"
                    f" be greater than '{unit}' in the {action} action for StorageClass '{warm}'",
                )
            apart = _APART.get((warm, cold), 0)
            if cold_day < warm_day + apart:
                raise refusal(
                    "InvalidArgument",
                    f"'{unit}' in the {action} action for StorageClass '{cold}' for {where} must"
                    f" be {apart} days more than for StorageClass '{warm}'",
                )
    if action == "Transition" and isinstance(rule.expiration, ExpirationDocument):
        _check_ends_last(ladder, _day(rule.expiration), f"'{unit}' in the Expiration action", where)


def _check_ends_last(ladder: _Ladder, end: int, what: str, where: str) -> None:
    if any(day >= end for _, day in ladder):
        raise refusal(
            "InvalidArgument",
            f"{what} for {where} must be greater than that in the Transition action",
        )


def _check_noncurrent(rule: RuleDocument) -> None:
    where = "NoncurrentVersionTransition"
    steps = rule.noncurrent_version_transitions or []
    for step in steps:
        _check_kept(rule, step.newer_noncurrent_versions, where)
        if step.noncurrent_days < 0:
            raise refusal("InvalidArgument", f"'NoncurrentDays' for {where} must be nonnegative")
        if step.storage_class in _INFREQUENT and step.noncurrent_days < INFREQUENT_DAYS_MIN:
            raise _too_soon(f"'NoncurrentDays' in {where} action", step.storage_class)
    ladder = [(step.storage_class, step.noncurrent_days) for step in steps]
    _check_ladder(rule, where, "NoncurrentDays", ladder)
    expiration = rule.noncurrent_version_expiration
    if expiration:
        where = "NoncurrentVersionExpiration"
        _check_kept(rule, expiration.newer_noncurrent_versions, where)
        _check_positive(expiration.noncurrent_days, "NoncurrentDays", f"{where} action")
        what = f"'NoncurrentDays' in the {where} action"
        _check_ends_last(ladder, expiration.noncurrent_days, what, _filter_text(rule))


def _check_kept(rule: RuleDocument, kept: int | UnsetType, where: str) -> None:
    if kept is UNSET:
        return
    if rule.filter is UNSET:
        raise refusal(
            "InvalidRequest", "NewerNoncurrentVersions element can only be used in Lifecycle V2."
        )
    _check_positive(kept, "NewerNoncurrentVersions", f"{where} action")
