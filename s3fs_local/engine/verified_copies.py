"""When each copy of each pack was last read and found whole, and which were found damaged since.

Kept beside the facts, in one small file: to lose it costs a scrub, nothing more.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Final

import msgspec
from msgspec import Struct

from s3fs_local.errors import StorageError

SAVE_EVERY: Final = 64
"""Checks between two saves."""

_ByZone = dict[str, dict[int, int]]  # by pack


class _Kept(Struct):
    """The file."""

    verified: _ByZone = {}  # an instant
    damaged: _ByZone = {}  # how many of its pieces are


class VerifiedCopies:
    """Instants in ns, and damage that is not mended yet, by zone and pack."""

    def __init__(
        self,
        load: Callable[[], bytes] = lambda: b"",
        save: Callable[[bytes], None] = lambda _: None,
    ) -> None:
        """`load` may fail with an OSError, or give anything; `save` may fail."""
        self._save = save
        self._unsaved = 0
        self._kept = _Kept()
        with suppress(OSError, msgspec.MsgspecError):
            self._kept = msgspec.msgpack.decode(load(), type=_Kept)

    def note(self, zone_id: str, pack_id: int, at_ns: int) -> None:
        """The copy was whole then."""
        self._kept.verified.setdefault(zone_id, {})[pack_id] = at_ns
        self._kept.damaged.get(zone_id, {}).pop(pack_id, None)
        self._save_now_and_then()

    def doubt(self, zone_id: str, pack_id: int, pieces: int) -> None:
        """So many pieces of the copy are damaged or missing, until it is noted as whole again."""
        self._kept.verified.get(zone_id, {}).pop(pack_id, None)
        self._kept.damaged.setdefault(zone_id, {})[pack_id] = pieces
        self._save_now_and_then()

    def damaged(self, zone_id: str) -> dict[int, int]:
        """How many pieces of which packs are damaged there, as far as somebody looked."""
        return dict(self._kept.damaged.get(zone_id, {}))

    def at_ns(self, zone_id: str, pack_id: int) -> int | None:
        """When the copy was last found whole; None: never."""
        return self._kept.verified.get(zone_id, {}).get(pack_id)

    def keep_only(self, packs: set[int]) -> None:
        """What is said of other packs is forgotten."""
        for by_pack in (*self._kept.verified.values(), *self._kept.damaged.values()):
            for pack_id in set(by_pack) - packs - {0}:
                del by_pack[pack_id]
        self.save()

    def save(self) -> None:
        """As far as the file can be written."""
        self._unsaved = 0
        with suppress(OSError, StorageError):
            self._save(msgspec.msgpack.encode(self._kept))

    def _save_now_and_then(self) -> None:
        self._unsaved += 1
        if self._unsaved >= SAVE_EVERY:
            self.save()
