"""The user's rules file works unchanged, and one that S3 refuses is refused in S3's words."""

import itertools
import json
from typing import Any

import pytest

from s3fs_local.errors import InvalidSetting
from s3fs_local.rules.lifecycle import (
    Filter,
    Lifecycle,
    Moment,
    NoncurrentExpiration,
    NoncurrentTransition,
    Rule,
    Transition,
)
from s3fs_local.rules.lifecycle_documents import LifecycleDocument
from s3fs_local.rules.lifecycle_validation import read_lifecycle
from s3fs_local.rules.s3_documents import write_json, write_xml
from s3fs_local.rules.storage_classes import StorageClass
from tests.rules.lifecycle_words import at

Json = dict[str, Any]

TRANSITION = {"Days": 30, "StorageClass": "STANDARD_IA"}
WATCHED = "INTELLIGENT_TIERING"
MARKERS = {"ExpiredObjectDeleteMarker": True}
TOO_MANY = [{"Status": "Enabled", "Filter": {}, "Expiration": {"Days": 1}}] * 1001


def _read(document: object, *, minimum: str | None = None) -> tuple[LifecycleDocument, Lifecycle]:
    numbers = itertools.count(1)
    data = document.encode() if isinstance(document, str) else json.dumps(document).encode()
    return read_lifecycle(data, minimum=minimum, new_id=lambda: next(numbers))


def _rule(**members: object) -> Json:
    return {"Status": "Enabled", "Filter": {}, **members}


def _rules(*rules: Json) -> Json:
    return {"Rules": list(rules)}


def _old(prefix: str, **members: object) -> Json:
    return {"Status": "Enabled", "Prefix": prefix, **members}


def test_a_document_becomes_the_rules_it_asks_for() -> None:
    """The example of the user guide with everything in it; a disabled rule does not exist."""
    document = _rules(
        {
            "ID": "logs",
            "Status": "Enabled",
            "Filter": {
                "And": {
                    "Prefix": "logs/é",
                    "Tags": [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": ""}],
                    "ObjectSizeGreaterThan": 500,
                    "ObjectSizeLessThan": 64_000,
                }
            },
            "Transitions": [TRANSITION, {"Days": 90, "StorageClass": "GLACIER"}],
            "Expiration": {"Days": 365},
            "NoncurrentVersionTransitions": [
                {"NoncurrentDays": 30, "StorageClass": "ONEZONE_IA", "NewerNoncurrentVersions": 2}
            ],
            "NoncurrentVersionExpiration": {"NoncurrentDays": 60, "NewerNoncurrentVersions": 3},
        },
        _rule(ID="markers", Expiration={"ExpiredObjectDeleteMarker": True}),
        _rule(ID="dated", Expiration={"Date": "2026-06-01"}),
        _rule(ID="off", Status="Disabled", Expiration={"Days": 1}),
        _rule(ID="uploads", AbortIncompleteMultipartUpload={"DaysAfterInitiation": 7}),
    )
    lifecycle = _read(document, minimum="varies_by_storage_class")[1]

    assert lifecycle == Lifecycle(
        rules=(
            Rule(
                "logs",
                Filter("logs/é".encode(), (("a", "1"), ("b", "")), 500, 64_000),
                expiration=Moment(365),
                transitions=(
                    Transition(StorageClass.STANDARD_IA, Moment(30)),
                    Transition(StorageClass.GLACIER, Moment(90)),
                ),
                noncurrent_transitions=(NoncurrentTransition(StorageClass.ONEZONE_IA, 30, 2),),
                noncurrent_expiration=NoncurrentExpiration(60, 3),
            ),
            Rule("markers", removes_lone_markers=True),
            Rule("dated", expiration=Moment(None, at("2026-06-01"))),
            Rule("uploads"),
        ),
        archives_small=True,
    )


def test_what_was_put_is_what_get_prints() -> None:
    """Only what S3 adds is added: an id, the least size, dates as `aws` prints them."""
    document = _rules(
        _old("a", Expiration={"Date": "2026-01-01T01:00:00+01:00"}),
        _old("b", ID="mine", Transitions=[{"Date": "2026-01-01", "StorageClass": "GLACIER"}]),
    )
    kept, rules = _read(document)

    assert json.loads(write_json(kept)) == {
        "Rules": [
            _old(
                "a",
                ID="A" * 47 + "B",
                Expiration={"Date": "2026-01-01T00:00:00+00:00"},
            ),
            _old(
                "b",
                ID="mine",
                Transitions=[{"Date": "2026-01-01T00:00:00+00:00", "StorageClass": "GLACIER"}],
            ),
        ],
        "TransitionDefaultMinimumObjectSize": "all_storage_classes_128K",
    }
    assert _read(write_json(kept).decode()) == (kept, rules)
    assert _read(write_xml(kept, root="LifecycleConfiguration").decode()) == (kept, rules)


def test_the_xml_of_the_wire_is_taken_too() -> None:
    """`BucketLifecycleConfiguration` is what old tools write."""
    xml = """<BucketLifecycleConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
      <Rule><ID>x</ID><Prefix/><Status>Enabled</Status>
        <Transition><Days>30</Days><StorageClass>STANDARD_IA</StorageClass></Transition>
        <Transition><Days>90</Days><StorageClass>DEEP_ARCHIVE</StorageClass></Transition>
        <NoncurrentVersionTransition><NoncurrentDays>3</NoncurrentDays>
          <StorageClass>GLACIER_IR</StorageClass></NoncurrentVersionTransition>
      </Rule></BucketLifecycleConfiguration>"""
    steps = [TRANSITION, {"Days": 90, "StorageClass": "DEEP_ARCHIVE"}]
    noncurrent = [{"NoncurrentDays": 3, "StorageClass": "GLACIER_IR"}]
    same = _old("", ID="x", Transitions=steps, NoncurrentVersionTransitions=noncurrent)

    assert _read(xml) == _read(_rules(same))


@pytest.mark.parametrize(
    "document",
    [
        _rules(*[_rule(ID=str(n), Expiration={"Days": 1}) for n in range(1000)]),
        _rules(_rule(ID="x" * 255, Expiration={"Days": 2**31 - 1})),
        _rules(_rule(Filter={"ObjectSizeGreaterThan": 0}, Expiration={"Days": 1})),
        _rules(_rule(Filter={"ObjectSizeLessThan": 1}, Expiration={"Days": 1})),
        _rules(_rule(Filter={"Tag": {"Key": "k", "Value": ""}}, Expiration={"Days": 1})),
        _rules(_rule(Expiration={"Date": "1999-01-01"})),
        _rules(_rule(Expiration={"Date": "2026-01-01T00:00:00.000Z"})),
        _rules(_rule(Expiration={"Days": 31}, Transitions=[TRANSITION])),
        _rules(_rule(Transitions=[{"Days": 0, "StorageClass": "GLACIER"}])),
        _rules(_rule(Transitions=[TRANSITION, {"Days": 60, "StorageClass": "GLACIER"}])),
        _rules(_rule(Transitions=[TRANSITION, {"Days": 31, "StorageClass": WATCHED}])),
        _rules(_rule(Expiration={"Days": 5}), _rule(Expiration={"Days": 6})),
        _rules(_old("a", Expiration={"Days": 5}), _old("a", Transitions=[TRANSITION])),
        _rules(_old("a", Expiration={"Days": 5}), _old("b", Expiration={"Days": 5})),
        _rules(
            _rule(NoncurrentVersionExpiration={"NoncurrentDays": 1, "NewerNoncurrentVersions": 500})
        ),
    ],
)  # fmt: skip
def test_what_s3_accepts_is_accepted(document: Json) -> None:
    """The edges of every range; 500 noncurrent versions, which AWS took though it says 100."""
    kept, rules = _read(document)

    assert _read(write_json(kept).decode()) == (kept, rules)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({}, "MalformedXML: "),
        (_rules(), "InvalidRequest: "),
        (_rules(*TOO_MANY), "InvalidRequest: "),
        (_rules({"Status": "Enabled", "Expiration": {"Days": 1}}), "MalformedXML: "),
        (_rules(_rule(Prefix="", Expiration={"Days": 1})), "MalformedXML: "),
        (_rules(_rule(Filter={"Prefix": "a", "ObjectSizeLessThan": 5}, Expiration={"Days": 1})),
         "MalformedXML: "),
        (_rules(_rule(Filter={"Prefix": "a", "And": {"Prefix": "b", "ObjectSizeLessThan": 5}},
                      Expiration={"Days": 1})), "MalformedXML: "),
        (_rules(_rule(Filter={"And": {"Prefix": "a"}}, Expiration={"Days": 1})), "MalformedXML: "),
        (_rules(_rule(Filter={"And": {}}, Expiration={"Days": 1})), "MalformedXML: "),
        (_rules(_rule(Expiration={"Days": 1}), _old("a", Expiration={"Days": 1})),
         "InvalidRequest: Base level prefix cannot be used in Lifecycle V2, "),
        (_rules(_old("a", Expiration={"Days": 1}), _rule(Expiration={"Days": 1})),
         "InvalidRequest: Filter element can only be used in Lifecycle V2."),
        (_rules(_old("a", Expiration={"Days": 1}), _old("ab", Expiration={"Days": 1})),
         "InvalidRequest: Found overlapping prefixes 'a' and 'ab' for same action"),
        (_rules(_rule(Status="enabled", Expiration={"Days": 1})), "MalformedXML: "),
        (_rules(_rule(ID="x" * 256, Expiration={"Days": 1})),
         "InvalidArgument: ID length should not exceed allowed limit of 255"),
        (_rules(_rule(ID="x", Expiration={"Days": 1}), _rule(ID="x", Expiration={"Days": 2})),
         "InvalidArgument: Rule ID must be unique. Found same ID for more than one rule"),
        (_rules(_rule()), "InvalidRequest: At least one action needs to be specified in a rule"),
        (_rules(_rule(Expiration={})), "MalformedXML: "),
        (_rules(_rule(Expiration={"Days": 1, **MARKERS})), "MalformedXML: "),
        (_rules(_rule(Expiration={"Days": 1, "Date": "2026-01-01"})), "MalformedXML: "),
        (_rules(_rule(Expiration={"Days": 0})),
         "InvalidArgument: 'Days' for Expiration action must be a positive integer"),
        (_rules(_rule(Expiration={"Days": 2**31})), "MalformedXML: "),
        (_rules(_rule(NoncurrentVersionExpiration={"NoncurrentDays": 0})),
         "InvalidArgument: 'NoncurrentDays' for NoncurrentVersionExpiration action must"),
        (_rules(_rule(AbortIncompleteMultipartUpload={"DaysAfterInitiation": 0})),
         "InvalidArgument: 'DaysAfterInitiation' for AbortIncompleteMultipartUpload action"),
        (_rules(_rule(Expiration={"Date": "2026-01-01T00:00:01Z"})),
         "InvalidArgument: 'Date' must be at midnight GMT"),
        (_rules(_rule(Expiration={"Date": "2026-01-01T00:00:00+01:00"})),
         "InvalidArgument: 'Date' must be at midnight GMT"),
        (_rules(_rule(Expiration={"Date": "soon"})), "MalformedXML: "),
        (_rules(_rule(Expiration={"Date": ""})), "MalformedXML: "),
        (_rules(_rule(Expiration={"Date": "9999-01-01"})), "InvalidArgument: "),
        (_rules(_rule(Transitions=[{"Days": 29, "StorageClass": "STANDARD_IA"}])),
         ("InvalidArgument: 'Days' in Transition action must be greater than or equal to 30"
         " for storageClass 'STANDARD_IA'")),
        (_rules(_rule(NoncurrentVersionTransitions=[
            {"NoncurrentDays": 29, "StorageClass": "ONEZONE_IA"}])), "InvalidArgument: "),
        (_rules(_rule(Transitions=[{"StorageClass": "GLACIER"}])), "InvalidArgument: "),
        (_rules(_rule(Transitions=[{"Days": 1, "Date": "2026-01-01", "StorageClass": "GLACIER"}])),
         "MalformedXML: "),
        (_rules(_rule(Transitions=[{"Days": -1, "StorageClass": "GLACIER"}])), "InvalidArgument: "),
        (_rules(_rule(Transitions=[{"Days": 30, "StorageClass": "STANDARD"}])), "MalformedXML: "),
        (_rules(_rule(Transitions=[{"Days": 30, "StorageClass": "GLACIER"}],
                      Expiration={"Date": "2026-01-01"})),
         ("InvalidRequest: Found mixed 'Date' and 'Days' based Expiration and Transition actions in"
         " lifecycle rule for filter '(prefix=)'")),
        (_rules(_rule(Transitions=[TRANSITION, {**TRANSITION, "Days": 60}])),
         ("InvalidRequest: 'StorageClass' must be different for 'Transition' actions in same 'Rule'"
         " with filter '(prefix=)'")),
        (_rules(_rule(Transitions=[{"Days": 90, "StorageClass": "GLACIER"},
                                   {"Days": 90, "StorageClass": "DEEP_ARCHIVE"}])),
         "InvalidArgument: 'Days' in the Transition action for StorageClass 'DEEP_ARCHIVE'"),
        (_rules(_rule(Transitions=[TRANSITION, {"Days": 59, "StorageClass": "GLACIER"}])),
         "InvalidArgument: "),
        (_rules(_rule(Transitions=[{"Days": 4, "StorageClass": "GLACIER_IR"},
                                   {"Days": 93, "StorageClass": "DEEP_ARCHIVE"}])),
         "InvalidArgument: "),
        (_rules(_rule(Transitions=[TRANSITION], Expiration={"Days": 30})),
         "InvalidArgument: 'Days' in the Expiration action for filter '(prefix=)' must be greater"),
        (_rules(_rule(NoncurrentVersionTransitions=[
            {"NoncurrentDays": 60, "StorageClass": "GLACIER"}],
            NoncurrentVersionExpiration={"NoncurrentDays": 60})), "InvalidArgument: "),
        (_rules(_rule(Filter={"Tag": {"Key": "k", "Value": "v"}},
                      Expiration={"ExpiredObjectDeleteMarker": True})),
         "InvalidRequest: ExpiredObjectDeleteMarker cannot be specified with Tags."),
        (_rules(_rule(Filter={"Tag": {"Key": "k", "Value": "v"}},
                      AbortIncompleteMultipartUpload={"DaysAfterInitiation": 1})),
         "InvalidRequest: AbortIncompleteMultipartUpload cannot be specified with Tags."),
        (_rules(_rule(Filter={"ObjectSizeLessThan": 1},
                      AbortIncompleteMultipartUpload={"DaysAfterInitiation": 1})),
         "InvalidRequest: AbortIncompleteMultipartUpload cannot be specified with Object Size."),
        (_rules(_old("", NoncurrentVersionExpiration={
            "NoncurrentDays": 1, "NewerNoncurrentVersions": 2})),
         "InvalidRequest: NewerNoncurrentVersions element can only be used in Lifecycle V2."),
        (_rules(_rule(NoncurrentVersionExpiration={"NewerNoncurrentVersions": 2})),
         "MalformedXML: "),
        (_rules(_rule(NoncurrentVersionExpiration={
            "NoncurrentDays": 1, "NewerNoncurrentVersions": 0})), "InvalidArgument: "),
        (_rules(_rule(Filter={"ObjectSizeLessThan": 0}, Expiration={"Days": 1})),
         "InvalidRequest: "),
        (_rules(_rule(Filter={"ObjectSizeGreaterThan": 1_099_511_627_776_001},
                      Expiration={"Days": 1})), "InvalidRequest: "),
        (_rules(_rule(Filter={"And": {"ObjectSizeGreaterThan": 9, "ObjectSizeLessThan": 9}},
                      Expiration={"Days": 1})), "InvalidRequest: "),
        (_rules(_rule(Filter={"And": {"Tags": [{"Key": "k", "Value": "1"},
                                               {"Key": "k", "Value": "2"}]}},
                      Expiration={"Days": 1})),
         "InvalidRequest: Duplicate Tag Keys are not allowed."),
        (_rules(_rule(Filter={"Tag": {"Key": "", "Value": "v"}}, Expiration={"Days": 1})),
         "InvalidTag: "),
        ({**_rules(_rule(Expiration={"Days": 1})), "TransitionDefaultMinimumObjectSize": "128K"},
         "InvalidRequest: Invalid TransitionDefaultMinimumObjectSize found: 128K"),
        (_rules(_rule(Expiration={"Days": 1}, Comment="x")), "MalformedXML: "),
    ],
)  # fmt: skip
def test_what_s3_refuses_is_refused_with_its_code(document: Json, message: str) -> None:
    """A rule that is taken though S3 would not take it does what nobody has thought through."""
    with pytest.raises(InvalidSetting) as refused:
        _read(document)

    assert str(refused.value).startswith(message)
