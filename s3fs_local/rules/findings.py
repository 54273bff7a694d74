"""Findings: what there is to say about how a store is, and what they add up to.

Each part of the program looks after its own matters and says what it found in one form, so that
`status`, the metrics and every page show them alike.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from msgspec import Struct


class Severity(StrEnum):
    """How much a finding matters; the worst first."""

    CRITICAL = "critical"  # something does not work, or is not protected as it should be
    WARNING = "warning"  # everything works, but somebody should do something about this
    NOTICE = "notice"  # good to know, and nothing to do


class Finding(Struct, frozen=True):
    """One thing that was found, in words for people."""

    severity: Severity
    subject: str  # what it is about, the same each time: "zone zones/zone-1", "clock"
    sentence: str  # what is so: no capital, no full stop
    advice: str  # what to do about it, a whole sentence; "" where there is nothing to do


class Health(StrEnum):
    """What all findings add up to."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    FAILING = "failing"


VERDICTS: Final = {
    Health.HEALTHY: "is healthy",
    Health.DEGRADED: "works, but needs attention",
    Health.FAILING: "is failing",
}
"""What is said of a store."""


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """The worst first; of one severity in the order in which they were found."""
    severities = list(Severity)
    return sorted(findings, key=lambda finding: severities.index(finding.severity))


def health_of(findings: Iterable[Finding]) -> Health:
    """As bad as the worst finding; notices are no illness."""
    severities = {finding.severity for finding in findings}
    if Severity.CRITICAL in severities:
        return Health.FAILING
    return Health.DEGRADED if Severity.WARNING in severities else Health.HEALTHY
