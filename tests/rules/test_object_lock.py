"""S3's ObjectLockConfiguration: what is read, what is refused with which code, what is printed."""

import json

import pytest
from msgspec import json as msgspec_json

from s3fs_local.errors import InvalidSetting
from s3fs_local.rules.object_lock import (
    DefaultRetention,
    default_retention,
    object_lock_document,
    read_object_lock,
)
from s3fs_local.rules.retention import Retention

DAY_NS = 86_400 * 1_000_000_000


def document(**default: object) -> bytes:
    """The document with a default retention of these members."""
    rule = {"DefaultRetention": default}
    return json.dumps({"ObjectLockEnabled": "Enabled", "Rule": rule}).encode()


def test_a_default_of_days_or_years_is_read_and_printed_again() -> None:
    """What `aws s3api put-object-lock-configuration` takes; `get` gives it back."""
    days = read_object_lock(document(Mode="GOVERNANCE", Days=1))
    years = read_object_lock(document(Mode="COMPLIANCE", Years=7))

    assert days == DefaultRetention("GOVERNANCE", days=1)
    assert years == DefaultRetention("COMPLIANCE", years=7)
    for default in (days, years, None):
        printed = msgspec_json.encode(object_lock_document(default))
        assert read_object_lock(printed) == default
        assert read_object_lock(b'{"ObjectLockConfiguration": %b}' % printed) == default
    assert msgspec_json.encode(object_lock_document(days)) == (
        b'{"ObjectLockEnabled":"Enabled","Rule":{"DefaultRetention":{"Mode":"GOVERNANCE","Days":1}}}'
    )


def test_without_a_rule_there_is_no_default() -> None:
    """So the default is cleared, and Object Lock stays on."""
    assert read_object_lock(b'{"ObjectLockEnabled": "Enabled"}') is None


def test_the_xml_of_the_wire_is_read_too() -> None:
    """With or without S3's namespace."""
    inner = (
        "<ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention>"
        "<Mode>COMPLIANCE</Mode><Days>36500</Days></DefaultRetention></Rule>"
    )
    for attribute in ("", ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'):
        xml = f"<ObjectLockConfiguration{attribute}>{inner}</ObjectLockConfiguration>"
        assert read_object_lock(xml.encode()) == DefaultRetention("COMPLIANCE", days=36_500)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (b"", "MalformedXML"),
        (b"{}", "MalformedXML"),
        (b'{"ObjectLockEnabled": "Disabled"}', "MalformedXML"),
        (b'{"ObjectLockEnabled": "enabled"}', "MalformedXML"),
        (b'{"ObjectLockEnabled": "Enabled", "Rule": {}}', "MalformedXML"),
        (b'{"ObjectLockEnabled": "Enabled", "More": 1}', "MalformedXML"),
        (document(), "MalformedXML"),
        (document(Mode="GOVERNANCE"), "MalformedXML"),
        (document(Days=1), "MalformedXML"),
        (document(Mode="governance", Days=1), "MalformedXML"),
        (document(Mode="NONE", Days=1), "MalformedXML"),
        (document(Mode="GOVERNANCE", Days=1, Years=1), "MalformedXML"),
        (document(Mode="GOVERNANCE", Days=1, DefaultEventHold={}), "MalformedXML"),
        (document(Mode="GOVERNANCE", Days="1"), "MalformedXML"),
        (document(Mode="GOVERNANCE", Days=1.5), "MalformedXML"),
        (
            document(Mode="GOVERNANCE", Days=0),
            "InvalidArgument: Default retention period must be a positive integer value.",
        ),
        (document(Mode="GOVERNANCE", Years=-1), "InvalidArgument: Default retention period must"),
        (
            document(Mode="COMPLIANCE", Days=36_501),
            "InvalidArgument: Default retention period too large.",
        ),
        (document(Mode="COMPLIANCE", Years=101), "InvalidArgument: Default retention period too"),
        (document(Mode="COMPLIANCE", Days=10**30), "InvalidArgument: Default retention period too"),
    ],
)
def test_what_s3_refuses_is_refused_with_its_code(given: bytes, code: str) -> None:
    """An empty or odd field never switches the lock off, and no date overflows."""
    with pytest.raises(InvalidSetting) as refused:
        read_object_lock(given)

    assert str(refused.value).startswith(code)


def test_the_default_lasts_exactly_one_period_from_the_commit() -> None:
    """S3's L1: not rounded to midnight; a year has 365 days."""
    days = DefaultRetention("GOVERNANCE", days=1)
    years = DefaultRetention("COMPLIANCE", years=2)

    assert default_retention(days, stamp_ns=5) == Retention("GOVERNANCE", 5 + DAY_NS)
    assert default_retention(years, stamp_ns=5) == Retention("COMPLIANCE", 5 + 730 * DAY_NS)
    assert default_retention(None, stamp_ns=5) is None
