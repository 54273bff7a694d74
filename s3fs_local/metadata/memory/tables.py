"""The rows of a metadata engine in memory, and what was there before each change of one.

So a failed batch, and whatever was not committed, can be undone.
"""

from typing import Any, Final

from s3fs_local.errors import MetadataDamaged
from s3fs_local.metadata.interface import Counters
from s3fs_local.rules.extents import Block
from s3fs_local.rules.inode import Inode, KeptAttributes
from s3fs_local.rules.namespace import Entry
from s3fs_local.rules.replication import Replica, Task
from s3fs_local.rules.versioning import Version

_ABSENT: Final = object()

Intervals = dict[int, Entry]  # of one name, by from_ns
Layouts = dict[int, tuple[int, bytes]]  # of one cell: from_ns to (to_ns, extents)


class Tables:
    """All tables of one store. Whoever changes a row does it by `set`, `add` or `remove`."""

    def __init__(self) -> None:
        self._undo: Final[list[tuple[dict[Any, Any], object, object]]] = []
        self.highest: Final = dict.fromkeys(Counters.__struct_fields__, 0)
        self.inodes: Final[dict[int, Inode]] = {}
        self.kept: Final[dict[int, dict[int, KeptAttributes]]] = {}  # by ino, to_ns
        self.entries: Final[dict[int, dict[bytes, Intervals]]] = {}  # by parent, name
        self.versions: Final[dict[int, dict[int, Version]]] = {}  # by ino, stamp_ns
        self.cells: Final[dict[int, dict[int, Layouts]]] = {}  # by ino, cell
        self.blocks: Final[dict[int, Block]] = {}
        self.keys: Final[dict[int, bytes]] = {}
        self.packs: Final[dict[int, str]] = {}
        self.settings: Final[dict[str, str]] = {}
        self.agenda: Final[dict[tuple[int, bytes], tuple[int, int]]] = {}  # at_ns, acted_ns
        self.pending_locks: Final[dict[int, int]] = {}  # inode to due
        self.unsettled: Final[dict[int, bool]] = {}  # by ino
        self.sharing: Final[dict[tuple[int, int], bool]] = {}  # by ino, source
        self.tasks: Final[dict[tuple[str, int, int], Task]] = {}
        self.replicas: Final[dict[tuple[bytes, int, int], Replica]] = {}

    def intervals(self, parent: int, name: bytes) -> Intervals:
        """What the name meant, and means; nothing can be added to it where there is none yet."""
        return self.entries.get(parent, {}).get(name, {})

    def layouts(self, ino: int, cell: int) -> Layouts:
        """The layouts of the cell; as `intervals`."""
        return self.cells.get(ino, {}).get(cell, {})

    def set(self, table: dict[Any, Any], key: object, value: object) -> None:
        """The row is so, whatever it was."""
        self._undo.append((table, key, table.get(key, _ABSENT)))
        table[key] = value

    def add(self, table: dict[Any, Any], key: object, value: object) -> None:
        """The row is there. Raises MetadataDamaged if it was before."""
        if key in table:
            raise MetadataDamaged(f"a change adds a row that is there: {value}")
        self.set(table, key, value)

    def remove(self, table: dict[Any, Any], key: object) -> None:
        """The row is gone. Raises MetadataDamaged if there was none."""
        self._undo.append((table, key, existing(table, key)))
        del table[key]

    def raise_to(self, counter: str, number: int) -> None:
        """The counter is at least at that number."""
        if number > self.highest[counter]:
            self.set(self.highest, counter, number)

    def mark(self) -> int:
        """Where `undo_to` gets back to: the rows as they are now."""
        return len(self._undo)

    def undo_to(self, mark: int) -> None:
        """The rows are as they were at the mark."""
        while len(self._undo) > mark:
            table, key, before = self._undo.pop()
            if before is _ABSENT:
                del table[key]
            else:
                table[key] = before

    def keep(self, mark: int) -> None:
        """What was done before the mark cannot be undone; later marks count from there."""
        del self._undo[:mark]


def existing(table: dict[Any, Any], key: object) -> Any:  # noqa: ANN401 - tables hold any value
    """The row. Raises MetadataDamaged if there is none."""
    try:
        return table[key]
    except KeyError as error:
        raise MetadataDamaged(f"a change addresses a row that is not there: {key}") from error
