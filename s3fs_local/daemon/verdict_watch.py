"""Tells the log and systemd what `status` says, when that changes.

A store is forgotten while all is well. Whoever follows the log, or looks at `systemctl status`,
learns from here what `status` would have told them had they asked: also of what comes by itself,
without a request that fails, such as a disk that fills up.
"""

import logging
from collections.abc import Callable
from typing import Final

import trio

from s3fs_local.engine.inspections import Inspections
from s3fs_local.engine.use import beat_after
from s3fs_local.rules.findings import VERDICTS, Finding, Severity, health_of

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 60.0
_LEVELS: Final = {Severity.CRITICAL: logging.CRITICAL, Severity.WARNING: logging.WARNING}


class VerdictWatch:
    """What of one store was told so far."""

    def __init__(self, inspections: Inspections, tell: Callable[[str], None]) -> None:
        """`tell` hears the verdict in words, with the worst that was found, when it changes."""
        self._inspections = inspections
        self._tell = tell
        self._told: set[tuple[Severity, str]] = set()
        self._verdict = ""

    async def run(self) -> None:
        """Never returns; cancel it."""
        while True:
            try:
                self.look()
            except Exception:  # a bug of who looks is no reason to end what is looked at
                log.exception("nobody knows how the store is")
            await trio.sleep_until(beat_after(LOOK_SECONDS))

    def look(self) -> None:
        """What is new since the last look is logged, and so is what is over. No notices.

        Of a finding whose words change only numbers differ, as a rule: it is told once.
        """
        found = [each for each in self._inspections.findings() if each.severity in _LEVELS]
        for each in found:
            if _key(each) not in self._told:
                words = f"{each.subject}: {each.sentence}. {each.advice}"
                log.log(_LEVELS[each.severity], "%s", words.strip())
        present = {_key(each) for each in found}
        for _, subject in sorted(self._told - present):
            if subject not in {each.subject for each in found}:
                log.info("%s: no more is said of it", subject)
        self._told = present
        verdict = VERDICTS[health_of(found)]
        if found:
            verdict += f": {found[0].subject}: {found[0].sentence}"
        if verdict != self._verdict:
            self._verdict = verdict
            self._tell(verdict)


def _key(finding: Finding) -> tuple[Severity, str]:
    return finding.severity, finding.subject
