"""Lifecycle rules that histories put in force: S3's documents."""

from typing import Any, Final


def _rule(conditions: dict[str, Any], **actions: object) -> dict[str, Any]:
    return {"Status": "Enabled", "Filter": conditions, **actions}


ANY_SIZE: Final = {"ObjectSizeGreaterThan": 0}
DOCUMENTS: Final[tuple[tuple[dict[str, Any], ...], ...]] = (
    (
        _rule({}, Expiration={"Days": 1}, NoncurrentVersionExpiration={"NoncurrentDays": 3}),
        {**_rule({}, NoncurrentVersionExpiration={"NoncurrentDays": 1}), "Status": "Disabled"},
    ),
    (
        _rule(
            {},
            NoncurrentVersionExpiration={"NoncurrentDays": 1, "NewerNoncurrentVersions": 1},
        ),
        _rule({}, Expiration={"ExpiredObjectDeleteMarker": True}),
    ),
    (
        _rule(
            ANY_SIZE,
            Transitions=[
                {"Days": 0, "StorageClass": "GLACIER_IR"},
                {"Days": 95, "StorageClass": "DEEP_ARCHIVE"},
            ],
            Expiration={"Days": 200},
        ),
        _rule({"Prefix": ""}, Transitions=[{"Days": 30, "StorageClass": "STANDARD_IA"}]),
    ),
    (
        _rule({"Tag": {"Key": "key", "Value": "a"}}, Expiration={"Days": 2}),
        _rule(
            {"And": {"Tags": [{"Key": "key", "Value": "b"}], "ObjectSizeGreaterThan": 50}},
            Transitions=[{"Days": 1, "StorageClass": "GLACIER"}],
        ),
        _rule(
            ANY_SIZE,
            NoncurrentVersionTransitions=[
                {"NoncurrentDays": 0, "StorageClass": "GLACIER", "NewerNoncurrentVersions": 1}
            ],
        ),
    ),
    (
        _rule(
            {"Prefix": "a"},
            NoncurrentVersionTransitions=[{"NoncurrentDays": 1, "StorageClass": "GLACIER"}],
            Transitions=[{"Days": 1, "StorageClass": "INTELLIGENT_TIERING"}],
            NoncurrentVersionExpiration={"NoncurrentDays": 30},
        ),
        _rule({"Prefix": "b/"}, Expiration={"Days": 1}),
    ),
    (
        _rule(
            {"ObjectSizeLessThan": 100},
            Expiration={"Days": 1},
            NoncurrentVersionExpiration={"NoncurrentDays": 1},
        ),
    ),
    (),
)
