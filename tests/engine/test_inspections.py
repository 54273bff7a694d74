"""Each part says what is wrong with it, and all is told together."""

from s3fs_local.engine.inspections import Inspections
from s3fs_local.errors import ZoneUnavailable
from s3fs_local.rules.findings import Finding, Severity

SUSPECT = Finding(Severity.WARNING, "clock", "the date was changed", "Set it right.")


def test_all_parts_are_asked_each_time() -> None:
    """A trouble that is over is told no more."""
    inspections = Inspections()
    troubles = [SUSPECT]
    inspections.add("clock", lambda: troubles)
    inspections.add("room", list)
    assert inspections.findings() == [SUSPECT]
    troubles.clear()

    assert inspections.findings() == []


def test_a_part_that_cannot_look_is_itself_a_finding() -> None:
    """Status is asked for when something is wrong: one broken part must not silence the others."""

    def fails() -> list[Finding]:
        raise ZoneUnavailable("no answer")

    inspections = Inspections()
    inspections.add("clock", lambda: [SUSPECT])
    inspections.add("zone b", fails)
    worst, other = inspections.findings()

    assert (worst.severity, worst.subject) == (Severity.CRITICAL, "zone b")
    assert "no answer" in worst.sentence
    assert other == SUSPECT


def test_a_part_put_together_anew_replaces_its_inspector() -> None:
    """A zone that is taken away and added again is not told twice."""
    inspections = Inspections()
    inspections.add("zone b", lambda: [SUSPECT])
    inspections.add("zone b", list)

    assert inspections.findings() == []
