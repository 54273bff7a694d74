"""Every way the facts can change, as values.

The engine decides, makes a list of these, and hands it to `Metadata.apply` in one go. The same list
goes into the journal, so replay after a crash, a rebuild from a zone and a second metadata engine
all run the one interpreter. A change names absolute values, never deltas that depend on the
reader's luck (`CountBlock` excepted, which replay applies exactly once).
"""

from collections.abc import Callable
from typing import Any, Final

from msgspec import Struct

from s3fs_local.rules.extents import Block
from s3fs_local.rules.inode import Inode, KeptAttributes
from s3fs_local.rules.namespace import Ending, Entry
from s3fs_local.rules.replication import Replica, Task
from s3fs_local.rules.versioning import Version


class PutInode(Struct, frozen=True, gc=False, tag=1, array_like=True):
    """The inode's row is exactly this."""

    inode: Inode


class RemoveInode(Struct, frozen=True, gc=False, tag=2, array_like=True):
    """The inode and its kept attributes are gone."""

    ino: int


class KeepAttributes(Struct, frozen=True, gc=False, tag=3, array_like=True):
    """The inode had these attributes until `kept.to_ns`."""

    kept: KeptAttributes


class OpenEntry(Struct, frozen=True, gc=False, tag=4, array_like=True):
    """A new interval of a name (or a delete marker) begins."""

    entry: Entry


class CloseEntry(Struct, frozen=True, gc=False, tag=5, array_like=True):
    """The interval that began at `from_ns` ends."""

    parent: int
    name: bytes
    from_ns: int
    to_ns: int
    ending: Ending
    ended_by: int


class RemoveEntry(Struct, frozen=True, gc=False, tag=6, array_like=True):
    """The interval is forgotten (purge; unversioned stores)."""

    parent: int
    name: bytes
    from_ns: int


class PutVersion(Struct, frozen=True, gc=False, tag=7, array_like=True):
    """The version's row is exactly this."""

    version: Version


class RemoveVersion(Struct, frozen=True, gc=False, tag=8, array_like=True):
    """The version is gone."""

    ino: int
    stamp_ns: int


class OpenCell(Struct, frozen=True, gc=False, tag=9, array_like=True):
    """From `from_ns` on the cell of the file is laid out like this (see rules.extents)."""

    ino: int
    cell: int
    from_ns: int
    extents: bytes


class CloseCell(Struct, frozen=True, gc=False, tag=10, array_like=True):
    """The open layout of the cell ends (no-op where the cell has none)."""

    ino: int
    cell: int
    to_ns: int


class RemoveCell(Struct, frozen=True, gc=False, tag=11, array_like=True):
    """A past layout is forgotten."""

    ino: int
    cell: int
    from_ns: int


class ReopenCell(Struct, frozen=True, gc=False, tag=12, array_like=True):
    """A past layout is the open one again (its later ones were removed)."""

    ino: int
    cell: int
    from_ns: int


class AddBlock(Struct, frozen=True, gc=False, tag=13, array_like=True):
    """A sealed block lies in a pack."""

    block: Block


class CountBlock(Struct, frozen=True, gc=False, tag=14, array_like=True):
    """`by` more (or fewer) layouts use the block."""

    block_id: int
    by: int


class RemoveBlock(Struct, frozen=True, gc=False, tag=15, array_like=True):
    """No layout uses the block any more; its bytes in the pack are dead."""

    block_id: int


class MoveBlock(Struct, frozen=True, gc=False, tag=16, array_like=True):
    """The sealed bytes now lie elsewhere (compaction)."""

    block_id: int
    pack_id: int
    pack_offset: int


class PlaceBlock(Struct, frozen=True, gc=False, tag=40, array_like=True):
    """The block lies elsewhere in another form: `block`'s place, length, digests and codec hold.

    How many layouts use it stays as it is.
    """

    block: Block


class MarkUnsettled(Struct, frozen=True, gc=False, tag=41, array_like=True):
    """Blocks of the inode may lie elsewhere than the classes of its versions want."""

    ino: int


class MarkSettled(Struct, frozen=True, gc=False, tag=42, array_like=True):
    """Every block of the inode lies where it belongs."""

    ino: int


class ShareBlocks(Struct, frozen=True, gc=False, tag=43, array_like=True):
    """Layouts of the inode use blocks of `source` (or did once)."""

    ino: int
    source: int


class PutKey(Struct, frozen=True, gc=False, tag=17, array_like=True):
    """A wrapped data key exists."""

    key_id: int
    wrapped: bytes


class RemoveKey(Struct, frozen=True, gc=False, tag=18, array_like=True):
    """The data key is destroyed: whatever it sealed cannot be read again."""

    key_id: int


class PutPack(Struct, frozen=True, gc=False, tag=19, array_like=True):
    """A pack exists; `placement` names the storage class it was written for."""

    pack_id: int
    placement: str


class RemovePack(Struct, frozen=True, gc=False, tag=20, array_like=True):
    """The pack is gone from every zone."""

    pack_id: int


class PutSetting(Struct, frozen=True, gc=False, tag=21, array_like=True):
    """A setting has this JSON value."""

    name: str
    value: str


class RemoveSetting(Struct, frozen=True, gc=False, tag=22, array_like=True):
    """The setting is back to its default."""

    name: str


class PutCell(Struct, frozen=True, gc=False, tag=23, array_like=True):
    """The layout's row is exactly this; only facts that are copied whole are told so."""

    ino: int
    cell: int
    from_ns: int
    to_ns: int
    extents: bytes


class ScheduleKey(Struct, frozen=True, gc=False, tag=35, array_like=True):
    """Lifecycle looks at the place from `at_ns` on; `acted_ns` is raised, never lowered.

    A place is a name in a directory, or with an empty name an inode.
    """

    place: int
    name: bytes
    at_ns: int
    acted_ns: int  # when lifecycle last changed something there; 0 = nothing new


class UnscheduleKey(Struct, frozen=True, gc=False, tag=36, array_like=True):
    """Lifecycle has nothing to look at there (no-op where it had nothing)."""

    place: int
    name: bytes


class PutPendingLock(Struct, frozen=True, gc=False, tag=30, array_like=True):
    """The file takes its directory's lock at `due_ns`; `OPEN_NS`: when its last writer is gone."""

    ino: int
    due_ns: int


class RemovePendingLock(Struct, frozen=True, gc=False, tag=31, array_like=True):
    """The file waits for no lock (no-op where it did not)."""

    ino: int


class PutTask(Struct, frozen=True, gc=False, tag=60, array_like=True):
    """This has still to be told to a destination of replication, or failed to be."""

    task: Task


class RemoveTask(Struct, frozen=True, gc=False, tag=61, array_like=True):
    """There is nothing to tell (no-op where there was nothing)."""

    destination: str
    ino: int
    stamp_ns: int


class PutReplica(Struct, frozen=True, gc=False, tag=62, array_like=True):
    """An inode or block is a copy of another store's; forgotten when the copy goes."""

    replica: Replica


Change = (
    PutInode
    | RemoveInode
    | KeepAttributes
    | OpenEntry
    | CloseEntry
    | RemoveEntry
    | PutVersion
    | RemoveVersion
    | OpenCell
    | CloseCell
    | RemoveCell
    | ReopenCell
    | AddBlock
    | CountBlock
    | RemoveBlock
    | MoveBlock
    | PlaceBlock
    | MarkUnsettled
    | MarkSettled
    | ShareBlocks
    | PutKey
    | RemoveKey
    | PutPack
    | RemovePack
    | PutSetting
    | RemoveSetting
    | PutCell
    | ScheduleKey
    | UnscheduleKey
    | PutPendingLock
    | RemovePendingLock
    | PutTask
    | RemoveTask
    | PutReplica
)

Fact = (
    PutInode
    | KeepAttributes
    | OpenEntry
    | PutVersion
    | PutCell
    | AddBlock
    | MarkUnsettled
    | ShareBlocks
    | PutKey
    | PutPack
    | PutSetting
    | ScheduleKey
    | PutPendingLock
    | PutTask
    | PutReplica
)
"""The changes that put one row: what `Metadata.facts` is made of."""

_KEYS: Final[dict[type, Callable[[Any], tuple[Any, ...]]]] = {
    PutInode: lambda fact: (fact.inode.ino,),
    KeepAttributes: lambda fact: (fact.kept.ino, fact.kept.to_ns),
    OpenEntry: lambda fact: (fact.entry.parent, fact.entry.name, fact.entry.from_ns),
    PutVersion: lambda fact: (fact.version.ino, fact.version.stamp_ns),
    PutCell: lambda fact: (fact.ino, fact.cell, fact.from_ns),
    AddBlock: lambda fact: (fact.block.block_id,),
    MarkUnsettled: lambda fact: (fact.ino,),
    ShareBlocks: lambda fact: (fact.ino, fact.source),
    PutKey: lambda fact: (fact.key_id,),
    PutPack: lambda fact: (fact.pack_id,),
    PutSetting: lambda fact: (fact.name,),
    ScheduleKey: lambda fact: (fact.place, fact.name),
    PutPendingLock: lambda fact: (fact.ino,),
    PutTask: lambda fact: (fact.task.destination, fact.task.ino, fact.task.stamp_ns),
    PutReplica: lambda fact: (fact.replica.source, fact.replica.kind, fact.replica.there),
}
_RANKS: Final = {kind: rank for rank, kind in enumerate(_KEYS)}


def fact_key(fact: Fact) -> tuple[Any, ...]:
    """Which row the fact is; sorts as `Metadata.facts` does."""
    kind = type(fact)
    return (_RANKS[kind], *_KEYS[kind](fact))
