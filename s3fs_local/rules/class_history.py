"""How many bytes the versions of each class held over time, worked out from what happened."""

from typing import Final

from s3fs_local.rules.timelines import Span, running

_INO_BITS: Final = 40


class ClassHistory:
    """Told of versions as they came, changed their class, and went; remembers a number for each.

    At the instants of the span it knows what was held; what came before counts from its beginning.
    """

    def __init__(self, span: Span) -> None:
        """Nothing has happened."""
        self._span: Final = span
        self._classes: Final[list[str]] = []
        self._changes: Final[dict[str, list[int]]] = {}
        # One integer each, for there may be millions: size and class of the version with the key.
        self._held: Final[dict[int, int]] = {}

    def put(self, ino: int, stamp_ns: int, *, size: int, storage_class: str, at_ns: int) -> None:
        """The version has this class since then; one that was not there was made at its stamp."""
        key = stamp_ns << _INO_BITS | ino
        before = self._held.get(key)
        value = size << 8 | self._number_of(storage_class)
        if value == before:
            return
        if before is not None:
            self._count(before, -1, at_ns)
        self._count(value, 1, stamp_ns if before is None else at_ns)
        self._held[key] = value

    def remove(self, ino: int, stamp_ns: int, *, at_ns: int) -> None:
        """The version is gone since then (no-op where it never was)."""
        before = self._held.pop(stamp_ns << _INO_BITS | ino, None)
        if before is not None:
            self._count(before, -1, at_ns)

    def totals(self) -> dict[str, list[int]]:
        """By class: bytes held at the end of each step."""
        return {name: running(changes) for name, changes in self._changes.items()}

    def _number_of(self, name: str) -> int:
        if name not in self._classes:
            self._classes.append(name)
            self._changes[name] = [0] * self._span.count
        return self._classes.index(name)

    def _count(self, value: int, sign: int, at_ns: int) -> None:
        step = (at_ns - self._span.from_ns) // self._span.step_ns
        step = min(max(step, 0), self._span.count - 1)
        self._changes[self._classes[value & 0xFF]][step] += sign * (value >> 8)
