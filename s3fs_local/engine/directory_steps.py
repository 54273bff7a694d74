"""Looking through directories of any size in small steps, with a pause for others between them."""

from typing import Final

import trio

from s3fs_local.metadata.interface import Metadata
from s3fs_local.rules.namespace import OPEN_NS, Entry

STEP_ROWS: Final = 256


class NamesAt:
    """The names that a directory had at an instant, in order; markers are left out.

    `looked_at` counts the intervals that were looked at for it, past and present.
    """

    def __init__(self, metadata: Metadata, directory: int, at_ns: int, *, after: bytes) -> None:
        """Of names behind `after`; a directory of number 0 has none."""
        self._metadata: Final = metadata
        self._directory: Final = directory
        self._at_ns: Final = at_ns
        self._position = (after, OPEN_NS)
        self._found: list[Entry] = []
        self._is_done = not directory
        self.looked_at = 0

    async def peek(self) -> Entry | None:
        """The next one, which stays the next; None at the end. A cancellation point now and then.

        It is found as the facts are at the time of the call.
        """
        while not self._found and not self._is_done:
            rows = self._metadata.entries_after(self._directory, *self._position, STEP_ROWS)
            self._is_done = len(rows) < STEP_ROWS
            self.looked_at += len(rows)
            if rows:
                self._position = (rows[-1].name, rows[-1].from_ns)
            self._found = [
                row
                for row in reversed(rows)
                if row.from_ns <= self._at_ns < row.to_ns and not row.is_marker
            ]
            await trio.lowlevel.checkpoint()
        return self._found[-1] if self._found else None

    async def pop(self) -> Entry | None:
        """The next one, which was looked at."""
        entry = await self.peek()
        if entry is not None:
            self._found.pop()
        return entry
