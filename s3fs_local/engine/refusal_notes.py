"""Refusals for the ledger: each is in it, those alike as one note with their number.

Who is refused a million times a second must not fill the disk with that. So between two flushes of
the journal there is one note for each kind (who, what, which file), and beyond a bound of kinds
only their number.
"""

from typing import Final

from msgspec import structs

from s3fs_local.engine.durability import Durability
from s3fs_local.engine.refusals import Refusal
from s3fs_local.rules.ledger_notes import Actor, Note, Refused, RefusedMore

KINDS_MAX: Final = 20
"""So many kinds a flush, of which there are two a second: a day of attack is some 35 MB."""


class RefusalNotes:
    """Hears refusals and hands them over, gathered."""

    def __init__(self, durability: Durability) -> None:
        self._durability = durability
        self._kinds: dict[tuple[int, str, str, int], Refused] = {}
        self._more = 0
        self._more_since_ns = 0
        durability.note_sources.append(self.take)

    def hear(self, refusal: Refusal) -> None:
        """It will be in the ledger; survives a killed process after the next flush."""
        if not self._kinds:
            self._durability.expect_notes()
        key = (refusal.uid, refusal.program, refusal.operation, refusal.ino)
        known = self._kinds.get(key)
        if known is not None:
            self._kinds[key] = structs.replace(known, count=known.count + 1)
        elif len(self._kinds) < KINDS_MAX:
            self._kinds[key] = Refused(
                at_ns=refusal.at_ns,
                who=Actor(refusal.uid, refusal.pid, refusal.program),
                operation=refusal.operation,
                ino=refusal.ino,
                rule=refusal.reason,
            )
        else:
            self._more_since_ns = self._more_since_ns or refusal.at_ns
            self._more += 1

    def take(self) -> list[Note]:
        """What was heard since the last call."""
        notes: list[Note] = list(self._kinds.values())
        if self._more:
            notes.append(RefusedMore(self._more_since_ns, self._more))
        self._kinds.clear()
        self._more = self._more_since_ns = 0
        return notes
