"""Who is asked when somebody wants to know how the store is."""

from collections.abc import Callable, Iterable
from typing import Final

from s3fs_local.errors import S3fsLocalError
from s3fs_local.rules.findings import Finding, Severity, in_order

Inspector = Callable[[], Iterable[Finding]]
"""Says what it finds in its own part, now and without waiting; nothing where all is well."""


class Inspections:
    """The inspectors of one open store. Each part registers its own when it is put together."""

    def __init__(self) -> None:
        self._inspectors: Final[dict[str, Inspector]] = {}

    def add(self, subject: str, inspector: Inspector) -> None:
        """The inspector is asked from now on, in place of an earlier one of that subject."""
        self._inspectors[subject] = inspector

    def findings(self) -> list[Finding]:
        """What all of them find now, the worst first."""
        found: list[Finding] = []
        for subject, inspector in self._inspectors.items():
            try:
                found += inspector()
            except (S3fsLocalError, OSError) as error:
                # Whoever asks how the store is asks when something is wrong: so they get an answer.
                advice = "See `s3fs-local status` again; STORE/daemon.log may say more."
                found.append(Finding(Severity.CRITICAL, subject, str(error), advice))
        return in_order(found)
