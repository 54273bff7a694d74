"""When each copy of each pack was last read and found whole.

Kept beside the facts, in one small file: to lose it costs a scrub, nothing more.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Final

import msgspec

SAVE_EVERY: Final = 64
"""Checks between two saves."""

_Times = dict[str, dict[int, int]]


class VerifiedCopies:
    """Instants in ns by zone and pack."""

    def __init__(
        self,
        load: Callable[[], bytes] = lambda: b"",
        save: Callable[[bytes], None] = lambda _: None,
    ) -> None:
        """`load` may fail with an OSError, or give anything; `save` may fail with an OSError."""
        self._save = save
        self._unsaved = 0
        self._times: _Times = {}
        with suppress(OSError, msgspec.MsgspecError):
            self._times = msgspec.msgpack.decode(load(), type=_Times)

    def note(self, zone_id: str, pack_id: int, at_ns: int) -> None:
        """The copy was whole then."""
        self._times.setdefault(zone_id, {})[pack_id] = at_ns
        self._unsaved += 1
        if self._unsaved >= SAVE_EVERY:
            self.save()

    def doubt(self, zone_id: str, pack_id: int) -> None:
        """The copy was found damaged, or is gone."""
        self._times.get(zone_id, {}).pop(pack_id, None)

    def at_ns(self, zone_id: str, pack_id: int) -> int | None:
        """When the copy was last found whole; None: never."""
        return self._times.get(zone_id, {}).get(pack_id)

    def keep_only(self, packs: set[int]) -> None:
        """What is said of other packs is forgotten."""
        for times in self._times.values():
            for pack_id in set(times) - packs - {0}:
                del times[pack_id]
        self.save()

    def save(self) -> None:
        """As far as the file can be written."""
        self._unsaved = 0
        with suppress(OSError):
            self._save(msgspec.msgpack.encode(self._times))
