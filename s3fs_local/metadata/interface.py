"""What any metadata engine promises: facts over time, changed atomically, read at once.

Every method is a plain function: nothing can interleave inside one. The caller is a single thread
(the event loop). Instants are stamps of the trusted clock in nanoseconds, unique in the store;
intervals are half open, [from_ns, to_ns), and open ones end at `OPEN_NS`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Final, Protocol

from msgspec import Struct

from s3fs_local.metadata.changes import Change, Fact
from s3fs_local.rules.extents import Block
from s3fs_local.rules.inode import Inode, KeptAttributes
from s3fs_local.rules.namespace import Entry
from s3fs_local.rules.replication import Backlog, ReplicaKind, Task
from s3fs_local.rules.storage_costs import ClassUsage
from s3fs_local.rules.versioning import Version

CELLS_MAX: Final = 1 << 43
"""Above the number of every cell that a file can have."""


class Counters(Struct, frozen=True):
    """The highest number of each kind ever used; the next one is free."""

    ino: int
    block_id: int
    key_id: int
    pack_id: int
    stamp_ns: int


class Usage(Struct, frozen=True):
    """How much the store holds."""

    inodes: int  # with a live name
    files: int  # of these, regular files
    versions: int
    blocks: int
    plain_bytes: int  # of all blocks
    sealed_bytes: int


class Metadata(Protocol):
    """The facts of one store.

    Raises:
        StoreFull: from `apply` and `commit`, when nothing more fits; the failed batch left no
        trace. MetadataDamaged: from any method, when the engine finds its own data broken.
    """

    def apply(self, changes: Sequence[Change]) -> None:
        """All changes are visible to every later read, or (on an error) none is.

        Not yet durable: see `commit`.
        """
        ...

    def commit(self, position: int) -> None:
        """Everything applied, and the journal position it reaches, survives a killed process.

        After a power cut the engine may come back at an earlier commit, never between two.
        """
        ...

    def position(self) -> int:
        """The journal position of the last commit (0 for a new store)."""
        ...

    def close(self) -> None:
        """Resources are released; what was applied but not committed is gone."""
        ...

    def counters(self) -> Counters:
        """The highest numbers in use, applied changes included."""
        ...

    def usage(self) -> Usage:
        """Totals for `status`; may take time proportional to the store."""
        ...

    def inode(self, ino: int) -> Inode | None:
        """The inode, live or not."""
        ...

    def lookup(self, parent: int, name: bytes) -> Inode | None:
        """The inode that holds the live name."""
        ...

    def entry(self, parent: int, name: bytes) -> Entry | None:
        """The open interval of the name: a live entry or an open delete marker."""
        ...

    def children(self, parent: int, after_ns: int, limit: int) -> list[tuple[Entry, Inode]]:
        """Live entries with `from_ns` > `after_ns`, in order of `from_ns`, at most `limit`.

        `from_ns` is unique within a directory, so it serves as a readdir offset that stays true
        while entries come and go.
        """
        ...

    def has_children(self, parent: int) -> bool:
        """Whether the directory has a live entry."""
        ...

    def entry_at(self, parent: int, name: bytes, at_ns: int) -> Entry | None:
        """The interval of the name that contains `at_ns`; None where it is a marker, or none."""
        ...

    def children_at(self, parent: int, at_ns: int) -> list[Entry]:
        """The entries of the directory at that instant, markers left out, by name."""
        ...

    def name_history(self, parent: int, name: bytes) -> list[Entry]:
        """Every interval of the name, markers included, oldest first."""
        ...

    def name_before(self, parent: int, name: bytes, before_ns: int, limit: int) -> list[Entry]:
        """Intervals of the name that began before the instant, markers included.

        The newest first, at most `limit`.
        """
        ...

    def begun_before(self, until_ns: int, limit: int) -> list[Entry]:
        """Intervals of the store's names that began by `until_ns`, markers included.

        The newest first, at most `limit`.
        """
        ...

    def left_before(self, until_ns: int, limit: int) -> list[Entry]:
        """Intervals that somebody ended by `until_ns`, by removing or renaming the name.

        The last to end first, at most `limit`.
        """
        ...

    def directory_history(self, parent: int) -> list[Entry]:
        """Every interval of every name in the directory, by name, then oldest first."""
        ...

    def entries_after(self, parent: int, name: bytes, from_ns: int, limit: int) -> list[Entry]:
        """Intervals of names in the directory, behind the one that this name began at `from_ns`.

        Markers included; by name, then oldest first, at most `limit`. The way to look through a
        directory of any size in small steps.
        """
        ...

    def entries_of(self, ino: int) -> list[Entry]:
        """Every interval in which any name meant the inode, oldest first."""
        ...

    def names_before(self, ino: int, at_ns: int, limit: int) -> list[Entry]:
        """Intervals in which a name meant the inode and that began by `at_ns`.

        The newest first, at most `limit`.
        """
        ...

    def versions(self, ino: int) -> list[Version]:
        """All versions of the inode, newest first."""
        ...

    def versions_after(self, ino: int, stamp_ns: int, limit: int) -> list[Version]:
        """Versions of the store behind this one: by inode, then oldest first, at most `limit`."""
        ...

    def commits_after(self, ino: int, stamp_ns: int, limit: int) -> list[tuple[int, int, int]]:
        """(inode, stamp, size) of what `versions_after` gives, in a tenth of its time."""
        ...

    def versions_before(self, ino: int, before_ns: int, limit: int) -> list[Version]:
        """Versions of the inode that are older than the instant, newest first, at most `limit`."""
        ...

    def versions_by_id(self, from_ns: int, to_ns: int, salt: int) -> list[Version]:
        """Versions of the store with that salt, committed in [from_ns, to_ns), oldest first."""
        ...

    def commits_before(self, until_ns: int, limit: int) -> list[tuple[int, int]]:
        """(stamp, inode) of the store's versions committed by `until_ns`, newest first."""
        ...

    def count_commits(self, from_ns: int, to_ns: int) -> list[tuple[str, int, int]]:
        """(class, versions, bytes) of those committed in [from_ns, to_ns), by class."""
        ...

    def count_removals(self, from_ns: int, to_ns: int) -> int:
        """How many delete markers were made in [from_ns, to_ns)."""
        ...

    def version(self, ino: int, stamp_ns: int) -> Version | None:
        """That version."""
        ...

    def version_at(self, ino: int, at_ns: int) -> Version | None:
        """The newest version committed at or before `at_ns`."""
        ...

    def next_version_ns(self, ino: int, after_ns: int) -> int | None:
        """The stamp of the oldest version that is newer than `after_ns`."""
        ...

    def last_change_ns(self, parent: int, at_ns: int) -> int:
        """When a name in the directory last began or ceased to mean something by `at_ns`; 0: never.

        Delete markers that lie upon others change nothing.
        """
        ...

    def attributes_at(self, ino: int, at_ns: int) -> KeptAttributes | None:
        """What the attributes were at `at_ns`; None where they are still those of the inode."""
        ...

    def attributes_since(self, ino: int) -> int:
        """When the attributes became what they are; 0 where they never changed."""
        ...

    def cell(self, ino: int, cell: int, at_ns: int) -> bytes:
        """The layout of the cell at that instant; b"" for a hole."""
        ...

    def cells(self, ino: int, first: int, at_ns: int) -> list[tuple[int, int, bytes]]:
        """(cell, from_ns, layout) of the cells >= `first` with a layout at `at_ns`, ascending."""
        ...

    def cell_rows(
        self, ino: int, first: int = 0, limit: int = CELLS_MAX
    ) -> list[tuple[int, int, int, bytes]]:
        """(cell, from_ns, to_ns, layout) of every layout ever, by cell, then oldest first.

        Of the cells in [first, limit).
        """
        ...

    def next_cell(self, ino: int, first: int) -> int | None:
        """The first cell >= `first` that has a layout, or ever had."""
        ...

    def block(self, block_id: int) -> Block | None:
        """That block."""
        ...

    def blocks_in_pack(self, pack_id: int, *, behind: int = -1, limit: int = -1) -> list[Block]:
        """The blocks with bytes in the pack, by offset: every one, or so many `behind` an offset.

        A pack may have many thousands: who is not alone asks for them in pages.
        """
        ...

    def packs(self) -> list[tuple[int, str, int]]:
        """(pack id, placement, live sealed bytes) of every pack."""
        ...

    def pack_placements(self) -> dict[int, str]:
        """The placement of every pack, ascending; costs a look at no block."""
        ...

    def live_bytes(self, pack_id: int) -> int:
        """Sealed bytes of the pack's blocks."""
        ...

    def placement(self, pack_id: int) -> str | None:
        """The placement that the pack was made for."""
        ...

    def newest_packs(self) -> dict[str, int]:
        """The highest pack id of every placement."""
        ...

    def unsettled(self, limit: int, after: int = 0) -> list[int]:
        """Inodes > `after` whose blocks may lie elsewhere than they belong, ascending."""
        ...

    def sharing(self, ino: int) -> list[int]:
        """The inodes of which it uses blocks, and those that use its own, ascending."""
        ...

    def retrievals(self) -> list[Version]:
        """Every version with a retrieval, by inode, then oldest first."""
        ...

    def locked_versions(self, after: tuple[int, int], limit: int) -> list[Version]:
        """Versions with a lock, which may have ended, behind (inode, stamp); in that order."""
        ...

    def unread_since(self, tier: str, before_ns: int, limit: int) -> list[Version]:
        """Versions in the tier whose last read was before `before_ns`, the longest unread first."""
        ...

    def key(self, key_id: int) -> bytes | None:
        """The wrapped data key."""
        ...

    def keys(self, after: int, limit: int) -> list[tuple[int, bytes]]:
        """(key id, wrapped data key) of the keys > `after`, ascending, at most `limit`."""
        ...

    def key_in_use(self, key_id: int) -> bool:
        """Whether any block is sealed with it."""
        ...

    def pending_lock(self, ino: int) -> int | None:
        """When the file takes its directory's lock; None if it waits for none."""
        ...

    def pending_locks(self, from_ns: int, to_ns: int, limit: int) -> list[tuple[int, int]]:
        """(due, inode) of locks due in [from_ns, to_ns], both ends included, ascending."""
        ...

    def setting(self, name: str) -> str | None:
        """The JSON value of a setting."""
        ...

    def settings(self) -> dict[str, str]:
        """All settings that are not at their default."""
        ...

    def agenda(self, until_ns: int, limit: int) -> list[tuple[int, bytes]]:
        """(place, name) of what lifecycle looks at by `until_ns`, the longest due first.

        Those due at the same instant come by place, then by name. At most `limit`.
        """
        ...

    def agenda_row(self, place: int, name: bytes) -> tuple[int, int] | None:
        """(at_ns, acted_ns) of what lifecycle has to look at there; None for nothing."""
        ...

    def names_after(self, parent: int, name: bytes, limit: int) -> list[tuple[int, bytes]]:
        """(directory, name) of every name there ever was, behind this one, at most `limit`.

        By directory, then by name; those whose history was purged whole are left out.
        """
        ...

    def interval(self, parent: int, name: bytes, from_ns: int) -> Entry | None:
        """The interval of the name that began at that instant, a marker's included."""
        ...

    def cells_changed(self, ino: int, after_ns: int, until_ns: int) -> list[int]:
        """The cells whose layout began or ended in (after_ns, until_ns], ascending."""
        ...

    def inodes_after(self, ino: int, limit: int) -> list[Inode]:
        """Inodes > `ino`, live or not, ascending, at most `limit`."""
        ...

    def tasks(self, destination: str, limit: int) -> list[Task]:
        """What is pending for the destination, in the order of the last change, at most `limit`."""
        ...

    def failed_tasks(self, limit: int) -> list[Task]:
        """What failed, by destination, inode and stamp, at most `limit`."""
        ...

    def task(self, destination: str, ino: int, stamp_ns: int) -> Task | None:
        """That task."""
        ...

    def tasks_of(self, ino: int) -> list[Task]:
        """What is to be told of the inode, to any destination, by destination, then by stamp."""
        ...

    def backlog(self) -> list[Backlog]:
        """What is to be told, in sums, by destination, rule and outcome; however much."""
        ...

    def replica(self, source: bytes, kind: ReplicaKind, there: int) -> int | None:
        """The inode or block of this store that is a copy of that one."""
        ...

    def origin(self, kind: ReplicaKind, here: int) -> tuple[bytes, int] | None:
        """The store and the number of which the inode or block is a copy."""
        ...

    def class_usage(self) -> list[ClassUsage]:
        """How much the versions of each storage class hold; takes time for every version."""
        ...

    def facts(self) -> Iterator[Fact]:
        """Changes that make all facts anew in an empty engine, one a row, by kind, then by key.

        The facts as they were when this was called, which must be right after a commit; what is
        applied and committed afterwards does not show. The order is `changes.fact_key`'s.
        """
        ...


ScratchMaker = Callable[[], AbstractContextManager[Metadata]]
"""Makes an empty engine for the time of a block; nothing of it is left afterwards."""
