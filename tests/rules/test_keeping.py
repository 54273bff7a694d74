"""How zones keep packs: locked as the most careful version wants, in a class that can be read."""

import pytest

from s3fs_local.rules.keeping import OFF, Keeping, bucket_class, protected_too
from s3fs_local.rules.namespace import OPEN_NS
from s3fs_local.rules.retention import LegalHold, Lock, Retention

NOW_NS = 100
HOLD = LegalHold("case", "reason", 0, 1)


def _together(*locks: Lock) -> Keeping:
    kept = Keeping(storage_class="STANDARD")
    for lock in locks:
        kept = protected_too(kept, lock, NOW_NS)
    return kept


def test_a_pack_is_locked_as_the_most_careful_of_its_versions_wants() -> None:
    """Until the last date, COMPLIANCE if any is: less would let somebody remove locked bytes."""
    kept = _together(
        Lock(Retention("COMPLIANCE", 200)), Lock(Retention("GOVERNANCE", 300)), Lock(None, (HOLD,))
    )

    assert kept == Keeping("STANDARD", retention=Retention("COMPLIANCE", 300), is_held=True)


def test_what_has_ended_asks_for_nothing() -> None:
    """S3 refuses a date in the past."""
    assert _together(Lock(Retention("COMPLIANCE", NOW_NS))) == Keeping("STANDARD")
    assert not _together(Lock(None)).is_held


def test_a_retention_without_an_end_is_a_hold() -> None:
    """S3 has no such date."""
    kept = _together(Lock(Retention("GOVERNANCE", OPEN_NS)))

    assert kept.retention is None
    assert kept.is_held


@pytest.mark.parametrize(
    ("ours", "present", "choice", "expected"),
    [
        ("STANDARD_IA", "STANDARD", "", "STANDARD_IA"),
        ("ONEZONE_IA", "STANDARD", "", "ONEZONE_IA"),
        ("GLACIER", "STANDARD", "", "GLACIER_IR"),
        ("DEEP_ARCHIVE", "STANDARD", "", "GLACIER_IR"),
        ("STANDARD", "STANDARD_IA", "", "STANDARD_IA"),
        ("STANDARD", "GLACIER", "", "STANDARD"),
        ("DEEP_ARCHIVE", "DEEP_ARCHIVE", "", "GLACIER_IR"),
        ("STANDARD", "COLD", "COLD", "COLD"),
        ("STANDARD", "STANDARD", "COLD", "COLD"),
        ("STANDARD_IA", "STANDARD", OFF, "STANDARD"),
        ("", "STANDARD", "COLD", "STANDARD"),
    ],
)
def test_packs_follow_our_class_and_stay_readable_at_once(
    ours: str, present: str, choice: str, expected: str
) -> None:
    """And are never made warmer, or a rule of the bucket and we would move them to and fro."""
    assert bucket_class(ours, present, choice) == expected
