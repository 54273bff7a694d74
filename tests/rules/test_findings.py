"""What findings add up to."""

import pytest

from s3fs_local.rules.findings import Finding, Health, Severity, health_of, in_order

NOTICE = Finding(Severity.NOTICE, "recovery", "3 files were recovered", "")
WARNING = Finding(Severity.WARNING, "clock", "the date was changed", "Set it right.")
CRITICAL = Finding(Severity.CRITICAL, "zone b", "it is missing", "Bring it back.")


@pytest.mark.parametrize(
    ("findings", "health"),
    [
        ([], Health.HEALTHY),
        ([NOTICE], Health.HEALTHY),
        ([NOTICE, WARNING], Health.DEGRADED),
        ([WARNING, CRITICAL, NOTICE], Health.FAILING),
    ],
)
def test_a_store_is_as_well_as_its_worst_finding(findings: list[Finding], health: Health) -> None:
    """One word for a monitoring system; what is only good to know raises no alarm."""
    assert health_of(findings) is health


def test_the_worst_comes_first_and_equals_keep_their_order() -> None:
    """Who reads one line only must read the one that matters."""
    other = Finding(Severity.CRITICAL, "zone c", "it is missing", "Bring it back.")

    assert in_order([NOTICE, CRITICAL, WARNING, other]) == [CRITICAL, other, WARNING, NOTICE]
