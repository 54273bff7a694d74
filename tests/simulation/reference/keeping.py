"""What a crash keeps, and what a power cut: as of the last flush, and the last sync."""

import copy

from tests.simulation.reference.facts import Draft, Kept
from tests.simulation.reference.state import State


class Keeping(State):
    """Journaled is what a killed daemon loses nothing of; durable what a power cut does not."""

    def __init__(self, now: int) -> None:
        super().__init__(now)
        self.journaled: Kept = (self.facts.copy(), {})
        self.durable: Kept = self.journaled
        self._originals: dict[int, Draft] = {}  # the drafts that `journaled` has copies of

    def note_sealed(self, numbers: set[int]) -> None:
        """Of these drafts some bytes left the memory early."""
        for number in numbers & self.drafts.keys():
            self.drafts[number].is_sealed = True

    def _journal(self, drafts: dict[int, Draft]) -> None:
        self.journaled = (self.facts.copy(), drafts)

    def flush(self) -> None:
        """A killed daemon loses nothing of before."""
        self._journal({number: copy.copy(draft) for number, draft in self.drafts.items()})
        self._originals = dict(self.drafts)

    def settle(self) -> None:
        """Nor does a power cut."""
        self.flush()
        self.durable = self.journaled

    def leave_segment(self) -> None:
        """The journal's past is dropped; nothing else changes."""
        self.settle()

    def _journal_facts(self) -> None:
        """A killed daemon loses no fact; of drafts it keeps what it kept before."""
        self._journal(self._journaled_drafts())

    def _journaled_drafts(self) -> dict[int, Draft]:
        return {
            number: draft
            for number, draft in self.journaled[1].items()
            if number in self.drafts and self._originals.get(number) is self.drafts[number]
        }

    def note_journaled(self, numbers: set[int]) -> None:
        """The store did it by itself: facts are journaled, and these drafts as they are."""
        kept = self._journaled_drafts()
        for number in numbers & self.drafts.keys():
            kept[number] = copy.copy(self.drafts[number])
            self._originals[number] = self.drafts[number]
        self._journal(kept)

    def note_durable(self) -> None:
        """The store did it by itself: what is journaled survives a power cut."""
        self.durable = self.journaled

    def fsync(self, handle: int) -> None:
        """Everything about names, and this file's content, is durable."""
        kept = self._journaled_drafts()
        number = self.handles[handle].node
        if number in self.drafts:
            kept[number] = copy.copy(self.drafts[number])
            self._originals[number] = self.drafts[number]
        self._journal(kept)
        self.durable = self.journaled
