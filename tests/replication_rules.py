"""Replication rules as `bucket replication put` takes them."""

import json
from typing import Any

ROLE = "arn:aws:iam::123456789012:role/r"
Json = dict[str, Any]


def rule(**members: object) -> Json:
    """A rule for everything, delete markers included."""
    return {
        "ID": "all",
        "Status": "Enabled",
        "Priority": 1,
        "Filter": {},
        "DeleteMarkerReplication": {"Status": "Enabled"},
        "Destination": {"Bucket": "arn:aws:s3:::west"},
        **members,
    }


def document(*rules: Json) -> bytes:
    """The document of these rules; of one for everything if none is given."""
    return json.dumps({"Role": ROLE, "Rules": rules or [rule()]}).encode()
