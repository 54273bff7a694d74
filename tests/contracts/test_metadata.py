"""What every metadata engine promises, asked of each one."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from s3fs_local.errors import MetadataDamaged
from s3fs_local.metadata.changes import (
    AddBlock,
    Change,
    CloseCell,
    CloseEntry,
    CountBlock,
    KeepAttributes,
    MarkSettled,
    MarkUnsettled,
    MoveBlock,
    OpenCell,
    OpenEntry,
    PlaceBlock,
    PutInode,
    PutKey,
    PutPack,
    PutPendingLock,
    PutReplica,
    PutSetting,
    PutTask,
    PutVersion,
    RemoveBlock,
    RemoveCell,
    RemoveEntry,
    RemoveInode,
    RemoveKey,
    RemovePack,
    RemovePendingLock,
    RemoveSetting,
    RemoveTask,
    RemoveVersion,
    ReopenCell,
    ScheduleKey,
    ShareBlocks,
    UnscheduleKey,
    fact_key,
)
from s3fs_local.metadata.interface import Counters, Metadata, Usage
from s3fs_local.metadata.memory import MemoryMetadata
from s3fs_local.metadata.sqlite import SqliteMetadata
from s3fs_local.rules.extents import Block
from s3fs_local.rules.inode import Inode, KeptAttributes
from s3fs_local.rules.namespace import OPEN_NS, Ending, Entry
from s3fs_local.rules.replication import Backlog, Replica, ReplicaKind, Task
from s3fs_local.rules.retention import DirectoryPolicy, LegalHold, Lock, Retention
from s3fs_local.rules.retrieval import Retrieval, RetrievalTier
from s3fs_local.rules.storage_classes import Tier
from s3fs_local.rules.storage_costs import ClassUsage
from s3fs_local.rules.versioning import Origin, Version

FOREVER: Final = OPEN_NS - 1  # the last instant there is


class Store:
    """One engine that can be closed and opened again."""

    def __init__(self, reopen: Callable[[Metadata | None], Metadata]) -> None:
        self._reopen = reopen
        self.metadata = reopen(None)

    def restart(self) -> None:
        """The engine is closed and opened again."""
        self.metadata = self._reopen(self.metadata)


def memory_store(_: Path) -> Store:
    """The twin, whose `close` is also a restart."""

    def reopen(metadata: Metadata | None) -> Metadata:
        if metadata is None:
            return MemoryMetadata()
        metadata.close()
        return metadata

    return Store(reopen)


def sqlite_store(directory: Path) -> Store:
    """A database in the directory."""
    path = directory / "metadata.db"

    def reopen(metadata: Metadata | None) -> Metadata:
        if metadata is None:
            return SqliteMetadata.create(path)
        metadata.close()
        return SqliteMetadata(path)

    return Store(reopen)


ENGINES: Final = {"memory": memory_store, "sqlite": sqlite_store}


@pytest.fixture(params=ENGINES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Each engine in turn, empty."""
    made = ENGINES[request.param](tmp_path)
    yield made
    made.metadata.close()


@pytest.fixture
def metadata(store: Store) -> Metadata:
    """Each engine in turn, empty, for tests that never restart it."""
    return store.metadata


def file(ino: int, nlink: int = 1, size: int = 0) -> Inode:
    """A regular file."""
    return Inode(ino=ino, mode=0o100644, uid=1000, gid=1000, nlink=nlink, size=size)


def directory(ino: int, nlink: int = 2) -> Inode:
    """A directory."""
    return Inode(ino=ino, mode=0o040755, uid=0, gid=0, nlink=nlink)


def version(ino: int, stamp_ns: int) -> Version:
    """A version with nothing special."""
    return Version(ino=ino, stamp_ns=stamp_ns, salt=7, size=stamp_ns, etag=b"e" * 16)


def block(block_id: int, pack_id: int = 1, pack_offset: int = 0, key_id: int = 1) -> Block:
    """A block of 100 plain and 120 sealed bytes."""
    return Block(
        block_id=block_id,
        key_id=key_id,
        offset=0,
        length=100,
        pack_id=pack_id,
        pack_offset=pack_offset,
        sealed_length=120,
        digest=b"d" * 32,
    )


def close_entry(name: bytes, from_ns: int, to_ns: int, ending: Ending) -> CloseEntry:
    """The end of an interval of a name in directory 1."""
    return CloseEntry(
        parent=1, name=name, from_ns=from_ns, to_ns=to_ns, ending=ending, ended_by=1000
    )


# The life of a name: made, deleted, made again as another file.
LIFE_OF_A_NAME: Final[list[Change]] = [
    PutInode(directory(1)),
    PutInode(file(2)),
    OpenEntry(Entry(1, b"a", 10, 2)),
    close_entry(b"a", 10, 20, Ending.DELETED),
    OpenEntry(Entry(1, b"a", 20, 0, salt=99)),
    close_entry(b"a", 20, 30, Ending.SUPERSEDED),
    PutInode(file(3)),
    OpenEntry(Entry(1, b"a", 30, 3)),
]
FIRST_A: Final = Entry(1, b"a", 10, 2, to_ns=20, ending=Ending.DELETED, ended_by=1000)
MARKER: Final = Entry(1, b"a", 20, 0, to_ns=30, ending=Ending.SUPERSEDED, salt=99, ended_by=1000)
SECOND_A: Final = Entry(1, b"a", 30, 3)


def test_a_new_file_is_found_by_its_name_and_by_its_number(metadata: Metadata) -> None:
    """The story everything else refines: a directory, a file, its content."""
    made = file(2, size=100)
    metadata.apply(
        [
            PutInode(directory(1)),
            PutInode(made),
            OpenEntry(Entry(1, b"report", 10, 2, uid=1000)),
            PutPack(1, "STANDARD"),
            PutKey(1, b"wrapped"),
            AddBlock(block(1)),
            OpenCell(2, 0, 11, b"layout"),
            PutVersion(version(2, 11)),
        ]
    )

    assert metadata.lookup(1, b"report") == made
    assert metadata.inode(2) == made
    assert metadata.cell(2, 0, 11) == b"layout"
    assert metadata.block(1) == block(1)
    assert metadata.key(1) == b"wrapped"
    assert metadata.versions(2) == [version(2, 11)]


def test_an_empty_store_answers_every_question(metadata: Metadata) -> None:
    """Mounting a store for the first time asks before anything was put."""
    assert metadata.position() == 0
    assert metadata.counters() == Counters(0, 0, 0, 0, 0)
    assert metadata.usage() == Usage(0, 0, 0, 0, 0, 0)
    assert answers(metadata, range(3), [0, FOREVER]) == answers(
        MemoryMetadata(), range(3), [0, FOREVER]
    )
    assert metadata.inode(1) is None
    assert metadata.lookup(1, b"a") is None
    assert metadata.children(1, 0, 10) == []
    assert metadata.cell(1, 0, 5) == b""


def test_every_field_of_every_value_comes_back(store: Store) -> None:
    """A column that is forgotten or swapped loses data silently."""
    lock = Lock(
        retention=Retention(mode="COMPLIANCE", until_ns=77),
        holds=(LegalHold(case="c-1", reason="audit", holder=5, placed_ns=6),),
    )
    inode = Inode(
        ino=2,
        mode=0o100600,
        uid=3,
        gid=4,
        rdev=5,
        nlink=6,
        size=7,
        allocated=8,
        atime_ns=9,
        mtime_ns=-10,
        ctime_ns=11,
        btime_ns=12,
        parent=13,
        version_ns=14,
        key_id=15,
        append_only=2,
        lock=lock,
        policy=DirectoryPolicy(mode="GOVERNANCE", period_ns=16, append_only=True),
        protected_until_ns=17,
        target=b"to",
        xattrs={b"user.\xff": b"\x00"},
    )
    entry = Entry(1, b"\xff\x00", 3, 2, 9, Ending.REPLACED, 4, is_null=True, uid=5, ended_by=6)
    committed = Version(
        ino=2,
        stamp_ns=14,
        salt=(1 << 35) - 1,
        size=7,
        is_null=True,
        etag=bytes(range(16)),
        stored_bytes=8,
        storage_class="GLACIER",
        lock=lock,
        tags={"k": "ü"},
        origin=Origin.RESTORED,
        uid=9,
        replication="PENDING",
        key_ids=(3, 1 << 40),
    )
    kept = KeptAttributes(2, 5, 0o100644, 1, 2, -3, {b"user.a": b"b"})
    placed = Block(1, 2, 3, 4, 5, 6, 7, b"\x00" * 32, 8)
    store.metadata.apply(
        [
            PutInode(inode),
            OpenEntry(entry),
            PutVersion(committed),
            KeepAttributes(kept),
            AddBlock(placed),
        ]
    )
    store.metadata.commit(1)
    store.restart()

    assert store.metadata.inode(2) == inode
    assert store.metadata.name_history(1, b"\xff\x00") == [entry]
    assert store.metadata.version(2, 14) == committed
    assert store.metadata.attributes_at(2, 4) == kept
    assert store.metadata.block(1) == placed
    assert isinstance(store.metadata.name_history(1, b"\xff\x00")[0].ending, Ending)
    assert store.metadata.name_history(1, b"\xff\x00")[0].is_null is True


def test_an_empty_lock_is_not_the_same_as_none(store: Store) -> None:
    """A lock that was lifted and one that never was are told apart."""
    inode = Inode(ino=2, mode=0o100644, uid=0, gid=0, lock=Lock(), policy=DirectoryPolicy())
    store.metadata.apply([PutInode(inode)])
    store.metadata.commit(1)
    store.restart()

    assert store.metadata.inode(2) == inode


def test_intervals_of_a_name_begin_inclusive_and_end_exclusive(metadata: Metadata) -> None:
    """At the very stamp of a change the new state holds, so every instant has one answer."""
    metadata.apply(LIFE_OF_A_NAME)

    assert metadata.entry_at(1, b"a", 9) is None
    assert metadata.entry_at(1, b"a", 10) == FIRST_A
    assert metadata.entry_at(1, b"a", 19) == FIRST_A
    assert metadata.entry_at(1, b"a", 20) is None
    assert metadata.entry_at(1, b"a", 29) is None
    assert metadata.entry_at(1, b"a", 30) == SECOND_A
    assert metadata.entry_at(1, b"a", FOREVER) == SECOND_A


def test_the_history_of_a_name_shows_its_delete_markers(metadata: Metadata) -> None:
    """Listing versions shows removals as S3 does."""
    metadata.apply(LIFE_OF_A_NAME)

    assert metadata.name_history(1, b"a") == [FIRST_A, MARKER, SECOND_A]
    assert metadata.name_history(1, b"b") == []


def test_a_deleted_name_has_an_open_marker_and_no_inode(metadata: Metadata) -> None:
    """`entry` finds the marker that the next file of this name must end; `lookup` finds nothing."""
    metadata.apply(LIFE_OF_A_NAME[:5])

    assert metadata.entry(1, b"a") == Entry(1, b"a", 20, 0, salt=99)
    assert metadata.lookup(1, b"a") is None
    assert metadata.children(1, 0, 10) == []
    assert metadata.children_at(1, FOREVER) == []
    assert not metadata.has_children(1)


def test_a_name_that_only_moved_away_has_no_open_interval(metadata: Metadata) -> None:
    """Rename leaves no marker behind."""
    metadata.apply([*LIFE_OF_A_NAME[:3], close_entry(b"a", 10, 20, Ending.MOVED)])

    assert metadata.entry(1, b"a") is None
    assert metadata.lookup(1, b"a") is None
    assert metadata.entry_at(1, b"a", 19) is not None
    assert metadata.entry_at(1, b"a", 20) is None


def test_a_directory_at_an_instant_lists_what_was_live_then_by_name(metadata: Metadata) -> None:
    """This is what `.versions/@T/` shows."""
    metadata.apply([*LIFE_OF_A_NAME, PutInode(file(4)), OpenEntry(Entry(1, b"Z", 25, 4))])
    late = Entry(1, b"Z", 25, 4)

    assert metadata.children_at(1, 9) == []
    assert metadata.children_at(1, 10) == [FIRST_A]
    assert metadata.children_at(1, 20) == []
    assert metadata.children_at(1, 25) == [late]
    assert metadata.children_at(1, FOREVER) == [late, SECOND_A]
    assert metadata.directory_history(1) == [late, FIRST_A, MARKER, SECOND_A]
    assert metadata.children_at(2, FOREVER) == []


def test_the_last_change_of_a_directory_is_told_for_any_instant(metadata: Metadata) -> None:
    """The mtime that a directory had at the time."""
    metadata.apply([PutInode(directory(1)), *LIFE_OF_A_NAME])

    instants = (9, 10, 19, 20, 29, 30, FOREVER)
    assert [metadata.last_change_ns(1, at) for at in instants] == [0, 10, 10, 20, 20, 30, 30]
    assert metadata.last_change_ns(2, FOREVER) == 0


def test_every_name_of_an_inode_is_found_oldest_first(metadata: Metadata) -> None:
    """The history of a file follows it through renames and hard links."""
    metadata.apply(
        [
            PutInode(file(2)),
            OpenEntry(Entry(9, b"later", 30, 2)),
            OpenEntry(Entry(1, b"first", 10, 2)),
            close_entry(b"first", 10, 20, Ending.MOVED),
            OpenEntry(Entry(1, b"second", 20, 2)),
            OpenEntry(Entry(1, b"gone", 15, 0)),
        ]
    )

    names = [entry.name for entry in metadata.entries_of(2)]

    assert names == [b"first", b"second", b"later"]
    assert metadata.entries_of(0) == []


def test_readdir_offsets_stay_true_while_names_come_and_go(metadata: Metadata) -> None:
    """A program that deletes as it lists must see each file exactly once."""
    metadata.apply([PutInode(directory(1)), *(PutInode(file(10 + i)) for i in range(6))])
    metadata.apply([OpenEntry(Entry(1, b"f%d" % (5 - i), 100 + i, 10 + i)) for i in range(6)])

    first = metadata.children(1, 0, 2)
    offset = first[-1][0].from_ns
    metadata.apply(
        [close_entry(entry.name, entry.from_ns, 200, Ending.DELETED) for entry, _ in first]
    )
    metadata.apply([OpenEntry(Entry(1, b"f5", 200, 0)), OpenEntry(Entry(1, b"new", 201, 10))])
    second = metadata.children(1, offset, 3)
    third = metadata.children(1, second[-1][0].from_ns, 3)

    assert [entry.name for entry, _ in first] == [b"f5", b"f4"]
    assert [entry.name for entry, _ in second] == [b"f3", b"f2", b"f1"]
    assert [entry.name for entry, _ in third] == [b"f0", b"new"]
    assert [inode.ino for _, inode in third] == [15, 10]
    assert metadata.has_children(1)


def test_a_live_name_without_its_inode_is_damage(metadata: Metadata) -> None:
    """Answering "no such file" would hide a lost file."""
    metadata.apply([OpenEntry(Entry(1, b"a", 10, 2))])

    with pytest.raises(MetadataDamaged):
        metadata.lookup(1, b"a")
    with pytest.raises(MetadataDamaged):
        metadata.children(1, 0, 10)


def test_a_removed_interval_is_forgotten(metadata: Metadata) -> None:
    """Purge, and stores without versions, leave no history."""
    metadata.apply([*LIFE_OF_A_NAME, RemoveEntry(1, b"a", 20)])

    assert metadata.name_history(1, b"a") == [FIRST_A, SECOND_A]


def test_the_version_at_an_instant_is_the_newest_committed_by_then(metadata: Metadata) -> None:
    """Committed at T means visible at T."""
    metadata.apply(
        [PutVersion(version(2, 10)), PutVersion(version(2, 20)), PutVersion(version(3, 15))]
    )

    assert metadata.version_at(2, 9) is None
    assert metadata.version_at(2, 10) == version(2, 10)
    assert metadata.version_at(2, 19) == version(2, 10)
    assert metadata.version_at(2, 20) == version(2, 20)
    assert metadata.versions(2) == [version(2, 20), version(2, 10)]
    assert metadata.version(2, 15) is None


def test_the_next_version_is_the_oldest_that_is_newer(metadata: Metadata) -> None:
    """A version shows the last attributes it had, so it matters until when it was current."""
    metadata.apply(
        [PutVersion(version(2, 10)), PutVersion(version(2, 20)), PutVersion(version(3, 15))]
    )

    assert metadata.next_version_ns(2, 9) == 10
    assert metadata.next_version_ns(2, 10) == 20
    assert metadata.next_version_ns(2, 20) is None
    assert metadata.next_version_ns(4, 0) is None


def test_a_directory_last_changed_when_an_entry_began_or_ended(metadata: Metadata) -> None:
    """So a directory's past has a modification time, though none was kept."""
    metadata.apply([OpenEntry(Entry(1, b"a", 10, 2)), OpenEntry(Entry(1, b"b", 20, 3))])
    metadata.apply([CloseEntry(1, b"a", 10, 30, Ending.DELETED, 0)])
    metadata.apply([OpenEntry(Entry(5, b"c", 25, 4))])

    found = [metadata.last_change_ns(1, at_ns) for at_ns in (9, 10, 19, 20, 29, 30, OPEN_NS - 1)]
    assert found == [0, 10, 10, 20, 20, 30, 30]
    assert metadata.last_change_ns(6, 99) == 0


def test_a_version_put_again_replaces_its_row_and_can_be_removed(metadata: Metadata) -> None:
    """Tags and locks of a version change in place; purge removes it."""
    metadata.apply([PutVersion(version(2, 10)), PutVersion(version(2, 20))])
    tagged = Version(ino=2, stamp_ns=10, salt=1, size=0, tags={"a": "b"})
    metadata.apply([PutVersion(tagged), RemoveVersion(2, 20)])

    assert metadata.versions(2) == [tagged]


def test_attributes_at_an_instant_are_those_that_ended_next(metadata: Metadata) -> None:
    """Changed at 20 and 30: before 20 the first mode, until 30 the second, then the inode's own."""
    first = KeptAttributes(2, 20, 0o100600, 1, 1, 0)
    second = KeptAttributes(2, 30, 0o100640, 1, 1, 0)
    metadata.apply([PutInode(file(2)), KeepAttributes(second), KeepAttributes(first)])

    assert metadata.attributes_at(2, 19) == first
    assert metadata.attributes_at(2, 20) == second
    assert metadata.attributes_at(2, 29) == second
    assert metadata.attributes_at(2, 30) is None
    assert metadata.attributes_at(3, 0) is None
    assert (metadata.attributes_since(2), metadata.attributes_since(3)) == (30, 0)


def test_removing_an_inode_removes_its_kept_attributes(metadata: Metadata) -> None:
    """Nothing of a purged file stays behind."""
    metadata.apply([PutInode(file(2)), KeepAttributes(KeptAttributes(2, 20, 0, 0, 0, 0))])
    metadata.apply([RemoveInode(2)])

    assert metadata.inode(2) is None
    assert metadata.attributes_at(2, 0) is None


def test_a_cell_at_an_instant_has_the_layout_of_then(metadata: Metadata) -> None:
    """Old versions read old layouts: [from, to), holes in between."""
    metadata.apply([OpenCell(2, 0, 10, b"one"), CloseCell(2, 0, 20), OpenCell(2, 0, 30, b"two")])

    assert metadata.cell(2, 0, 9) == b""
    assert metadata.cell(2, 0, 10) == b"one"
    assert metadata.cell(2, 0, 19) == b"one"
    assert metadata.cell(2, 0, 20) == b""
    assert metadata.cell(2, 0, 30) == b"two"
    assert metadata.cell(2, 0, FOREVER) == b"two"
    assert metadata.cell_rows(2) == [(0, 10, 20, b"one"), (0, 30, OPEN_NS, b"two")]


def test_cells_lists_one_layout_a_cell_from_the_first_asked_for(metadata: Metadata) -> None:
    """Truncation asks for everything beyond the new end; deep histories must not confuse it."""
    changes: list[Change] = []
    for cell in (0, 1, 5):
        for from_ns in (10, 20, 30):
            changes += [CloseCell(2, cell, from_ns), OpenCell(2, cell, from_ns, b"%d" % from_ns)]
    metadata.apply([*changes, CloseCell(2, 1, 40), OpenCell(3, 7, 10, b"other file")])

    assert metadata.cells(2, 0, 9) == []
    assert metadata.cells(2, 0, 25) == [(0, 20, b"20"), (1, 20, b"20"), (5, 20, b"20")]
    assert metadata.cells(2, 1, FOREVER) == [(5, 30, b"30")]
    assert metadata.cells(2, 1, 39) == [(1, 30, b"30"), (5, 30, b"30")]
    assert metadata.cells(2, 1, 40) == [(5, 30, b"30")]
    assert metadata.cells(2, 6, FOREVER) == []


def test_closing_a_cell_without_an_open_layout_does_nothing(metadata: Metadata) -> None:
    """Truncating over a hole needs no look before."""
    metadata.apply([CloseCell(2, 0, 5), OpenCell(2, 0, 10, b"one"), CloseCell(2, 0, 20)])
    metadata.apply([CloseCell(2, 0, 30)])

    assert metadata.cell_rows(2) == [(0, 10, 20, b"one")]


def test_an_older_layout_is_open_again_once_the_newer_is_removed(metadata: Metadata) -> None:
    """Deleting the newest version makes the one before it current."""
    metadata.apply([OpenCell(2, 0, 10, b"one"), CloseCell(2, 0, 20), OpenCell(2, 0, 20, b"two")])
    metadata.apply([RemoveCell(2, 0, 20), ReopenCell(2, 0, 10)])

    assert metadata.cell_rows(2) == [(0, 10, OPEN_NS, b"one")]
    assert metadata.cell(2, 0, FOREVER) == b"one"


def test_packs_report_their_live_bytes_and_blocks_by_offset(metadata: Metadata) -> None:
    """Compaction picks packs by what is dead in them and copies in order."""
    metadata.apply(
        [
            PutPack(1, "STANDARD"),
            PutPack(2, "GLACIER"),
            AddBlock(block(1, pack_offset=500)),
            AddBlock(block(2, pack_offset=100)),
            AddBlock(block(3, pack_offset=900)),
            RemoveBlock(3),
        ]
    )

    assert metadata.packs() == [(1, "STANDARD", 240), (2, "GLACIER", 0)]
    assert metadata.pack_placements() == {1: "STANDARD", 2: "GLACIER"}
    assert metadata.blocks_in_pack(1) == [block(2, pack_offset=100), block(1, pack_offset=500)]
    assert metadata.blocks_in_pack(1, limit=1) == [block(2, pack_offset=100)]
    assert metadata.blocks_in_pack(1, behind=100, limit=1) == [block(1, pack_offset=500)]
    assert metadata.blocks_in_pack(1, behind=500, limit=1) == []

    metadata.apply([MoveBlock(1, pack_id=2, pack_offset=7), RemoveBlock(2), RemovePack(1)])

    assert metadata.packs() == [(2, "GLACIER", 120)]
    assert metadata.blocks_in_pack(2) == [block(1, pack_id=2, pack_offset=7)]
    assert metadata.blocks_in_pack(1) == []


def test_a_block_takes_another_form_and_keeps_its_users(metadata: Metadata) -> None:
    """A class changes where and how bytes lie, never who uses them."""
    metadata.apply([PutPack(1, "STANDARD"), PutPack(2, "GLACIER"), AddBlock(block(1))])
    metadata.apply([CountBlock(1, 2)])
    moved = replace(
        block(1),
        pack_id=2,
        pack_offset=9,
        sealed_length=50,
        digest=b"n",
        codec=17,
        plain_digest=b"o",
    )

    metadata.apply([PlaceBlock(moved)])

    assert metadata.block(1) == replace(moved, refs=3)
    assert (metadata.live_bytes(1), metadata.live_bytes(2)) == (0, 50)
    assert metadata.placement(2) == "GLACIER"
    assert metadata.placement(3) is None
    assert metadata.newest_packs() == {"STANDARD": 1, "GLACIER": 2}
    with pytest.raises(MetadataDamaged):
        metadata.apply([PlaceBlock(replace(moved, block_id=9))])


def test_unsettled_inodes_are_remembered(store: Store) -> None:
    """A pass that a crash cut off is made again."""
    store.metadata.apply([MarkUnsettled(7), MarkUnsettled(5), MarkUnsettled(7), MarkSettled(99)])
    store.metadata.commit(1)
    store.restart()
    assert store.metadata.unsettled(10) == [5, 7]
    assert store.metadata.unsettled(1) == [5]
    assert store.metadata.unsettled(10, after=5) == [7]

    store.metadata.apply([MarkSettled(5)])

    assert store.metadata.unsettled(10) == [7]


def test_inodes_know_with_whom_they_share_blocks(metadata: Metadata) -> None:
    """In both directions, each once."""
    metadata.apply([ShareBlocks(2, 1), ShareBlocks(3, 1), ShareBlocks(2, 1), ShareBlocks(1, 4)])

    assert metadata.sharing(1) == [2, 3, 4]
    assert metadata.sharing(2) == [1]
    assert metadata.sharing(9) == []


def test_versions_are_found_by_tier_and_by_retrieval(metadata: Metadata) -> None:
    """What is due costs what is due."""
    retrieval = Retrieval(RetrievalTier.BULK, 3, 100, 200)
    watched = [
        Version(2, stamp, 0, 5, tier=tier, accessed_ns=accessed)
        for stamp, tier, accessed in (
            (10, Tier.FREQUENT, 30),
            (11, Tier.FREQUENT, 20),
            (12, Tier.INFREQUENT, 10),
        )
    ]
    archived = Version(3, 13, 0, 5, storage_class="GLACIER", retrieval=retrieval)
    metadata.apply([PutVersion(version) for version in [*watched, archived, Version(4, 14, 0, 5)]])

    assert metadata.unread_since("FREQUENT", 31, 9) == [watched[1], watched[0]]
    assert metadata.unread_since("FREQUENT", 30, 9) == [watched[1]]
    assert metadata.unread_since("FREQUENT", 31, 1) == [watched[1]]
    assert metadata.retrievals() == [archived]


def test_locked_versions_are_found_in_steps(metadata: Metadata) -> None:
    """Zones are told to lock what holds their bytes, of however many there are."""
    lock = Lock(Retention("COMPLIANCE", 99))
    locked = [Version(ino, stamp, 0, 5, lock=lock) for ino, stamp in ((2, 10), (2, 11), (3, 9))]
    metadata.apply([PutVersion(version) for version in [*locked, Version(2, 12, 0, 5)]])

    assert metadata.locked_versions((0, 0), 2) == locked[:2]
    assert metadata.locked_versions((2, 11), 2) == locked[2:]


def test_layouts_are_read_in_windows(metadata: Metadata) -> None:
    """A pass over a large file takes small steps."""
    metadata.apply([OpenCell(1, cell, 10, b"x") for cell in (0, 5, 900)])

    assert [row[0] for row in metadata.cell_rows(1, 1, 900)] == [5]
    assert [metadata.next_cell(1, first) for first in (0, 1, 6, 901)] == [0, 5, 900, None]


def test_uses_of_a_block_are_counted(metadata: Metadata) -> None:
    """Versions share blocks; the last user's end frees the bytes."""
    metadata.apply([AddBlock(block(1)), CountBlock(1, 2), CountBlock(1, -1)])
    found = metadata.block(1)

    assert found is not None
    assert found.refs == 2


def test_a_key_is_in_use_while_a_block_is_sealed_with_it(metadata: Metadata) -> None:
    """Destroying a key in use would destroy another version's data."""
    metadata.apply([PutKey(1, b"old"), PutKey(1, b"rewrapped"), AddBlock(block(1, key_id=1))])

    assert metadata.key_in_use(1)
    assert not metadata.key_in_use(2)
    assert metadata.key(1) == b"rewrapped"

    metadata.apply([RemoveBlock(1), RemoveKey(1)])

    assert not metadata.key_in_use(1)
    assert metadata.key(1) is None


def test_keys_are_listed_in_order_and_in_portions(metadata: Metadata) -> None:
    """A rewrap of a million keys goes through them bit by bit."""
    metadata.apply([PutKey(number, b"%d" % number) for number in (7, 2, 9, 4)])

    assert metadata.keys(0, 3) == [(2, b"2"), (4, b"4"), (7, b"7")]
    assert metadata.keys(7, 3) == [(9, b"9")]
    assert metadata.keys(9, 3) == []


def test_settings_can_be_put_and_put_back(metadata: Metadata) -> None:
    """A setting at its default has no row; removing it twice is no mistake."""
    metadata.apply([PutSetting("a", "1"), PutSetting("b", '"x"'), PutSetting("a", "2")])

    assert metadata.setting("a") == "2"
    assert metadata.settings() == {"a": "2", "b": '"x"'}

    metadata.apply([RemoveSetting("a"), RemoveSetting("a")])

    assert metadata.setting("a") is None
    assert metadata.settings() == {"b": '"x"'}


def test_locks_that_are_due_are_found_by_their_date(metadata: Metadata) -> None:
    """However many wait, what is due is one seek away. A new date takes the place of the old."""
    metadata.apply([PutPendingLock(2, 20), PutPendingLock(3, 10), PutPendingLock(4, OPEN_NS)])
    metadata.apply([PutPendingLock(3, 15), PutPendingLock(5, 20)])

    assert metadata.pending_lock(3) == 15
    assert metadata.pending_lock(6) is None
    assert metadata.pending_locks(0, 20, 10) == [(15, 3), (20, 2), (20, 5)]
    assert metadata.pending_locks(16, 20, 1) == [(20, 2)]
    assert metadata.pending_locks(21, OPEN_NS, 10) == [(OPEN_NS, 4)]

    metadata.apply([RemovePendingLock(2), RemovePendingLock(2), RemovePendingLock(3)])

    assert metadata.pending_locks(0, OPEN_NS, 10) == [(20, 5), (OPEN_NS, 4)]


def test_usage_counts_named_inodes_and_all_bytes(metadata: Metadata) -> None:
    """Deleted files keep their versions and bytes but are no longer files in the tree."""
    metadata.apply(
        [
            PutInode(directory(1)),
            PutInode(file(2)),
            PutInode(file(3, nlink=0)),
            PutVersion(version(2, 10)),
            PutVersion(version(3, 11)),
            AddBlock(block(1)),
            AddBlock(block(2)),
        ]
    )

    assert metadata.usage() == Usage(
        inodes=2, files=1, versions=2, blocks=2, plain_bytes=200, sealed_bytes=240
    )


MISTAKES: Final[dict[str, Change]] = {
    "remove an inode": RemoveInode(99),
    "keep the same attributes": KeepAttributes(KeptAttributes(3, 5, 0, 0, 0, 0)),
    "open an interval twice": OpenEntry(SECOND_A),
    "close an interval": close_entry(b"a", 31, 40, Ending.MOVED),
    "close an ended interval": close_entry(b"a", 10, 40, Ending.MOVED),
    "close in another directory": CloseEntry(7, b"a", 30, 40, Ending.MOVED, 0),
    "remove an interval": RemoveEntry(1, b"b", 10),
    "remove a version": RemoveVersion(2, 10),
    "open a layout twice": OpenCell(2, 0, 10, b""),
    "remove a layout": RemoveCell(2, 1, 10),
    "reopen a layout": ReopenCell(2, 0, 11),
    "add a block twice": AddBlock(block(1)),
    "count a block": CountBlock(99, 1),
    "count below nothing": CountBlock(1, -2),
    "remove a block": RemoveBlock(99),
    "move a block": MoveBlock(99, 1, 1),
    "remove a key": RemoveKey(99),
    "remove a pack": RemovePack(99),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=list(MISTAKES))
def test_a_change_that_does_not_fit_fails_and_its_batch_leaves_no_trace(
    store: Store, mistake: Change
) -> None:
    """A bug in the engine or a damaged journal must not half-change the facts."""
    store.metadata.apply(
        [
            *LIFE_OF_A_NAME,
            KeepAttributes(KeptAttributes(3, 5, 0, 0, 0, 0)),
            OpenCell(2, 0, 10, b"one"),
            AddBlock(block(1)),
        ]
    )
    store.metadata.commit(1)
    store.metadata.apply([PutSetting("applied", "1"), CountBlock(1, 1), CountBlock(1, -1)])
    before = answers(store.metadata, range(4), [5, 15, 25, FOREVER])

    with pytest.raises(MetadataDamaged):
        store.metadata.apply(
            [
                PutInode(file(3, size=1234)),
                PutInode(file(50)),
                RemoveInode(2),
                PutSetting("applied", "2"),
                PutVersion(version(3, 1000)),
                PutPack(60, "X"),
                PutKey(60, b""),
                AddBlock(block(60)),
                mistake,
            ]
        )

    assert answers(store.metadata, range(4), [5, 15, 25, FOREVER]) == before
    store.metadata.commit(2)
    store.restart()
    assert answers(store.metadata, range(4), [5, 15, 25, FOREVER]) == {**before, "position": 2}


def test_the_commit_position_comes_back_after_a_restart(store: Store) -> None:
    """Replay starts there."""
    store.metadata.apply([PutInode(file(2))])
    store.metadata.commit(17)

    assert store.metadata.position() == 17
    store.restart()
    assert store.metadata.position() == 17
    assert store.metadata.inode(2) == file(2)


def test_a_commit_without_changes_still_moves_the_position(store: Store) -> None:
    """Journal records that change nothing are passed, too."""
    store.metadata.commit(5)
    store.restart()

    assert store.metadata.position() == 5


def test_what_was_not_committed_is_gone_after_a_restart(store: Store) -> None:
    """The journal replays it; half of it twice would count blocks twice."""
    store.metadata.apply([PutInode(file(2)), AddBlock(block(1))])
    store.metadata.commit(1)
    store.metadata.apply([PutInode(file(2, size=5)), CountBlock(1, 1), PutInode(file(3))])
    store.restart()

    assert store.metadata.inode(2) == file(2)
    assert store.metadata.inode(3) is None
    assert store.metadata.block(1) == block(1)
    assert store.metadata.counters().ino == 2


def test_numbers_are_never_given_out_again(store: Store) -> None:
    """A number that once meant a removed thing must not come to mean another."""
    store.metadata.apply(
        [
            PutInode(file(7)),
            AddBlock(block(8)),
            PutKey(9, b""),
            PutPack(10, ""),
            PutVersion(version(7, 11)),
            RemoveInode(7),
            RemoveBlock(8),
            RemoveKey(9),
            RemovePack(10),
            RemoveVersion(7, 11),
        ]
    )

    assert store.metadata.counters() == Counters(7, 8, 9, 10, 11)
    store.metadata.commit(1)
    store.restart()
    assert store.metadata.counters() == Counters(7, 8, 9, 10, 11)


STAMPED: Final[dict[str, Change]] = {
    "kept attributes": KeepAttributes(KeptAttributes(2, 50, 0, 0, 0, 0)),
    "open entry": OpenEntry(Entry(1, b"b", 50, 2)),
    "ended entry": OpenEntry(Entry(1, b"b", 40, 2, to_ns=50)),
    "close entry": close_entry(b"a", 10, 50, Ending.MOVED),
    "version": PutVersion(version(2, 50)),
    "open cell": OpenCell(2, 1, 50, b""),
    "close cell": CloseCell(2, 0, 50),
}


@pytest.mark.parametrize("change", STAMPED.values(), ids=list(STAMPED))
def test_every_stamp_in_a_change_raises_the_highest(metadata: Metadata, change: Change) -> None:
    """Time in the store must go on after the newest thing in it, whatever the clock says."""
    metadata.apply([PutInode(file(2)), OpenEntry(Entry(1, b"a", 10, 2)), OpenCell(2, 0, 10, b"")])
    assert metadata.counters().stamp_ns == 10

    metadata.apply([change])

    assert metadata.counters().stamp_ns == 50


PARENTS: Final = (1, 2)
NAMES: Final = (b"a", b"b", b"\xff")
CELLS: Final = (0, 1, 300)
NAMED: Final = ("x", "y")


def answers(metadata: Metadata, numbers: range, instants: list[int]) -> dict[str, object]:
    """What the engine says to every question about these numbers and instants."""
    named = [(parent, name) for parent in PARENTS for name in NAMES]
    said: dict[str, object] = {
        "position": metadata.position(),
        "counters": metadata.counters(),
        "usage": metadata.usage(),
        "packs": metadata.packs(),
        "settings": metadata.settings(),
        "pending locks": metadata.pending_locks(0, OPEN_NS, 100),
        "setting": [metadata.setting(name) for name in NAMED],
        "lookup": [metadata.lookup(*at) for at in named],
        "entry": [metadata.entry(*at) for at in named],
        "name_history": [metadata.name_history(*at) for at in named],
        "directory_history": [metadata.directory_history(parent) for parent in PARENTS],
        "has_children": [metadata.has_children(parent) for parent in PARENTS],
    }
    for number in numbers:
        said[f"of {number}"] = [
            metadata.inode(number),
            metadata.entries_of(number),
            metadata.attributes_since(number),
            metadata.versions(number),
            metadata.cell_rows(number),
            metadata.block(number),
            metadata.blocks_in_pack(number),
            metadata.key(number),
            metadata.key_in_use(number),
        ]
    for instant in instants:
        said[f"at {instant}"] = [
            [metadata.entry_at(*at, instant) for at in named],
            [metadata.children_at(parent, instant) for parent in PARENTS],
            [metadata.children(parent, instant, 2) for parent in PARENTS],
            [metadata.version(number, instant) for number in numbers],
            [metadata.version_at(number, instant) for number in numbers],
            [metadata.next_version_ns(number, instant) for number in numbers],
            [metadata.last_change_ns(parent, instant) for parent in PARENTS],
            [metadata.attributes_at(number, instant) for number in numbers],
            [metadata.names_before(number, instant, 2) for number in numbers],
            [metadata.versions_before(number, instant, 2) for number in numbers],
            [metadata.name_before(*at, instant, 2) for at in named],
            metadata.begun_before(instant, 3),
            metadata.left_before(instant, 3),
            metadata.commits_before(instant, 3),
            metadata.count_commits(instant // 2, instant),
            metadata.count_removals(instant // 2, instant),
            [metadata.versions_by_id(instant // 2, instant, salt) for salt in (0, 1)],
            [metadata.cells(number, 1, instant) for number in numbers],
            [metadata.cell(number, cell, instant) for number in numbers for cell in CELLS],
        ]
    return said


class Author:
    """Writes changes that fit, so that any list of numbers is a valid story."""

    def __init__(self) -> None:
        self.now_ns = 0
        self._inos: list[int] = []
        self._open_names: dict[tuple[int, bytes], Entry] = {}
        self._intervals: list[tuple[int, bytes, int]] = []
        self._versions: list[tuple[int, int]] = []
        self._open_cells: dict[tuple[int, int], int] = {}
        self._past_cells: list[tuple[int, int, int]] = []
        self._refs: dict[int, int] = {}
        self._keys: list[int] = []
        self._packs: set[int] = set()
        self._kinds: Final = (
            self._make,
            self._rename_or_delete,
            self._change_attributes,
            self._commit_version,
            self._lay_out,
            self._punch,
            self._forget_interval,
            self._forget_version,
            self._forget_layout,
            self._seal,
            self._share,
            self._free,
            self._move,
            self._set_up,
            self._wait,
            self._tell,
        )

    def write(self, kind: int, choice: int) -> list[Change]:
        """The next thing that happens, at a new instant."""
        self.now_ns += 10
        return self._kinds[kind % len(self._kinds)](choice)

    def _name(self, choice: int) -> tuple[int, bytes]:
        return PARENTS[choice % len(PARENTS)], NAMES[choice // 2 % len(NAMES)]

    def _close(self, at: tuple[int, bytes], ending: Ending) -> list[Change]:
        entry = self._open_names.pop(at, None)
        if entry is None:
            return []
        return [CloseEntry(*at, entry.from_ns, self.now_ns, ending, ended_by=3)]

    def _open(self, at: tuple[int, bytes], ino: int) -> OpenEntry:
        entry = Entry(*at, self.now_ns, ino, salt=0 if ino else 5, uid=4)
        self._open_names[at] = entry
        self._intervals.append((*at, self.now_ns))
        return OpenEntry(entry)

    def _make(self, choice: int) -> list[Change]:
        ino = len(self._inos) + 1
        self._inos.append(ino)
        at = self._name(choice)
        xattrs = {b"user.a": b"b"} if choice % 3 else {}
        inode = Inode(ino, 0o100644, choice, 0, nlink=choice % 2, xattrs=xattrs)
        return [PutInode(inode), *self._close(at, Ending.REPLACED), self._open(at, ino)]

    def _rename_or_delete(self, choice: int) -> list[Change]:
        if not self._open_names:
            return []
        source = list(self._open_names)[choice % len(self._open_names)]
        ino = self._open_names[source].ino
        target = self._name(choice // 3)
        if ino == 0 or source == target:
            return []
        if choice % 2:
            return [*self._close(source, Ending.DELETED), self._open(source, 0)]
        replaced = self._close(target, Ending.REPLACED)
        return [*self._close(source, Ending.MOVED), *replaced, self._open(target, ino)]

    def _change_attributes(self, choice: int) -> list[Change]:
        if not self._inos:
            return []
        ino = self._inos[choice % len(self._inos)]
        kept = KeptAttributes(ino, self.now_ns, choice, 1, 2, -choice)
        return [KeepAttributes(kept), PutInode(Inode(ino, 0o100600, choice, 1, size=self.now_ns))]

    def _commit_version(self, choice: int) -> list[Change]:
        ino = choice % 3 + 1
        self._versions.append((ino, self.now_ns))
        lock = Lock(Retention("COMPLIANCE", choice)) if choice % 2 else None
        return [PutVersion(Version(ino, self.now_ns, choice, choice, lock=lock))]

    def _lay_out(self, choice: int) -> list[Change]:
        at = (choice % 3 + 1, CELLS[choice // 3 % len(CELLS)])
        changes = self._close_cell(at)
        self._open_cells[at] = self.now_ns
        return [*changes, OpenCell(*at, self.now_ns, b"%d" % choice)]

    def _close_cell(self, at: tuple[int, int]) -> list[Change]:
        from_ns = self._open_cells.pop(at, None)
        if from_ns is not None:
            self._past_cells.append((*at, from_ns))
        return [CloseCell(*at, self.now_ns)]

    def _punch(self, choice: int) -> list[Change]:
        return self._close_cell((choice % 3 + 1, CELLS[choice // 3 % len(CELLS)]))

    def _forget_interval(self, choice: int) -> list[Change]:
        if not self._intervals:
            return []
        parent, name, from_ns = self._intervals.pop(choice % len(self._intervals))
        open_entry = self._open_names.get((parent, name))
        if open_entry is not None and open_entry.from_ns == from_ns:
            del self._open_names[parent, name]
        return [RemoveEntry(parent, name, from_ns)]

    def _forget_version(self, choice: int) -> list[Change]:
        if not self._versions:
            return []
        return [RemoveVersion(*self._versions.pop(choice % len(self._versions)))]

    def _forget_layout(self, choice: int) -> list[Change]:
        if not self._past_cells:
            return []
        ino, cell, from_ns = self._past_cells.pop(choice % len(self._past_cells))
        newer = [at[2] for at in self._past_cells if at[:2] == (ino, cell) and at[2] > from_ns]
        if choice % 2 or newer or (ino, cell) in self._open_cells:
            return [RemoveCell(ino, cell, from_ns)]
        self._open_cells[ino, cell] = from_ns
        return [ReopenCell(ino, cell, from_ns)]

    def _seal(self, choice: int) -> list[Change]:
        block_id = len(self._refs) + 1
        self._refs[block_id] = 1
        return [AddBlock(block(block_id, choice % 3, choice, choice % 5))]

    def _share(self, choice: int) -> list[Change]:
        live = [block_id for block_id, refs in self._refs.items() if refs]
        if not live:
            return []
        block_id = live[choice % len(live)]
        self._refs[block_id] += choice + 1
        return [CountBlock(block_id, choice + 1)]

    def _free(self, choice: int) -> list[Change]:
        live = [block_id for block_id, refs in self._refs.items() if refs]
        if not live:
            return []
        block_id = live[choice % len(live)]
        refs, self._refs[block_id] = self._refs[block_id], 0
        return [CountBlock(block_id, -refs), RemoveBlock(block_id)]

    def _move(self, choice: int) -> list[Change]:
        live = [block_id for block_id, refs in self._refs.items() if refs]
        return [MoveBlock(live[choice % len(live)], choice % 4, choice * 7)] if live else []

    def _wait(self, choice: int) -> list[Change]:
        if choice % 3:
            return [PutPendingLock(choice % 5, choice)]
        return [RemovePendingLock(choice % 5)]

    def _tell(self, choice: int) -> list[Change]:
        ino = choice % 5
        if choice % 4 == 0:
            return [RemoveTask("b", ino, choice % 3)]
        if choice % 4 == 1:
            return [PutReplica(Replica(b"s", ReplicaKind(1 + choice % 2), choice, ino))]
        reason = "r" if choice % 7 == 0 else ""
        return [
            PutTask(
                Task(
                    *("ab"[choice % 2], ino, choice % 3, choice, self.now_ns, 1, "", reason),
                    has_names=choice % 2 == 0,
                )
            )
        ]

    def _set_up(self, choice: int) -> list[Change]:
        number = choice % 6
        if number == 0:
            return [PutSetting(NAMED[choice % 2], str(choice))]
        if number == 1:
            return [RemoveSetting(NAMED[choice // 2 % 2])]
        if number == 2:
            self._keys.append(self.now_ns)
            return [PutKey(self.now_ns, b"k")]
        if number == 3:
            return [RemoveKey(self._keys.pop())] if self._keys else []
        if number == 4:
            pack_id = choice // 6 % 4
            self._packs.add(pack_id)
            return [PutPack(pack_id, f"CLASS{choice}")]
        return [RemovePack(self._packs.pop())] if self._packs else []


STEPS: Final = st.lists(
    st.tuples(st.integers(0, 15), st.integers(0, 40), st.sampled_from("aaaaafcr")), max_size=40
)


@settings(max_examples=60, deadline=None)
@given(steps=STEPS)
def test_every_engine_tells_the_same_story(steps: list[tuple[int, int, str]]) -> None:
    """The twin stands in for SQLite in all other tests, so they must never differ.

    Each step is a batch that is applied, or applied with a mistake at its end, or followed by a
    commit, or by a restart right after a commit.
    """
    with tempfile.TemporaryDirectory() as place:
        stores = [make(Path(place)) for make in ENGINES.values()]
        author = Author()
        for number, (kind, choice, what) in enumerate(steps):
            batch = author.write(kind, choice)
            for store in stores:
                if what == "f":
                    with pytest.raises(MetadataDamaged):
                        store.metadata.apply([*batch, RemoveBlock(10_000)])
                store.metadata.apply(batch)
                if what in "cr":
                    store.metadata.commit(number)
                if what == "r":
                    store.restart()
        instants = [*range(0, author.now_ns + 20, 5), FOREVER]
        first, *others = [answers(store.metadata, range(8), instants) for store in stores]
        for store in stores:
            store.metadata.commit(len(steps))
        facts, *others_facts = [list(store.metadata.facts()) for store in stores]
        for store in stores:
            store.metadata.close()

    for other in others:
        assert other == first
    for other_facts in others_facts:
        assert other_facts == facts
    assert [fact_key(fact) for fact in facts] == sorted(map(fact_key, facts))
    anew = MemoryMetadata()
    anew.apply(facts)
    assert list(anew.facts()) == facts


def test_facts_are_those_of_the_moment_they_were_asked_for(metadata: Metadata) -> None:
    """A comparison takes minutes, and the store goes on meanwhile."""
    metadata.apply([PutInode(file(2)), PutSetting("a", "1")])
    metadata.commit(1)
    facts = metadata.facts()
    metadata.apply([PutInode(file(2, size=5)), PutInode(file(3)), PutSetting("a", "2")])
    metadata.commit(2)

    assert list(facts) == [PutInode(file(2)), PutSetting("a", "1")]


def test_the_agenda_gives_what_is_due_the_longest_first(store: Store) -> None:
    """Lifecycle's runs cost what is due; a row says at once when, and what was done."""
    metadata = store.metadata
    rows = [(3, b"b", 50), (3, b"a", 50), (2, b"", 70), (1, b"z", 10), (9, b"\xff", 90)]
    metadata.apply([ScheduleKey(place, name, at_ns, 0) for place, name, at_ns in rows])
    metadata.commit(1)
    store.restart()
    metadata = store.metadata

    assert metadata.agenda(9, 10) == []
    assert metadata.agenda(70, 10) == [(1, b"z"), (3, b"a"), (3, b"b"), (2, b"")]
    assert metadata.agenda(FOREVER, 2) == [(1, b"z"), (3, b"a")]
    assert metadata.agenda_row(2, b"") == (70, 0)
    assert metadata.agenda_row(2, b"z") is None


def test_a_row_of_the_agenda_keeps_when_lifecycle_last_acted(metadata: Metadata) -> None:
    """A change of the file asks for a look, and must not hide that today's action was done."""
    metadata.apply([ScheduleKey(1, b"a", 50, 40)])
    metadata.apply([ScheduleKey(1, b"a", 45, 0)])
    assert metadata.agenda_row(1, b"a") == (45, 40)
    metadata.apply([ScheduleKey(1, b"a", 99, 60), UnscheduleKey(1, b"b")])
    assert metadata.agenda_row(1, b"a") == (99, 60)
    metadata.apply([UnscheduleKey(1, b"a")])

    assert metadata.agenda_row(1, b"a") is None
    assert metadata.agenda(FOREVER, 10) == []


def test_a_failed_batch_leaves_the_agenda_as_it_was(metadata: Metadata) -> None:
    """An action and the row that says it was done are there both, or neither."""
    metadata.apply([ScheduleKey(1, b"a", 50, 40), ScheduleKey(1, b"b", 50, 0)])
    with pytest.raises(MetadataDamaged):
        metadata.apply([ScheduleKey(1, b"a", 60, 60), UnscheduleKey(1, b"b"), RemoveVersion(7, 7)])

    assert metadata.agenda_row(1, b"a") == (50, 40)
    assert metadata.agenda_row(1, b"b") == (50, 0)


def test_what_has_to_be_told_comes_in_the_order_of_the_last_change(store: Store) -> None:
    """A destination gets changes as they were made; what failed waits for somebody to ask."""
    rows = [
        Task("west", 2, 0, since_ns=10, changed_ns=90, size=0, rule="r", has_names=True),
        Task("west", 3, 50, since_ns=50, changed_ns=50, size=7, rule="r"),
        Task("west", 1, 50, since_ns=50, changed_ns=50, size=8, rule="s", if_held=True),
        Task(
            "west", 4, 60, since_ns=20, changed_ns=60, size=9, rule="r", reason="DstBucketNotFound"
        ),
        Task("", 3, 0, since_ns=70, changed_ns=70),
    ]
    store.metadata.apply([PutTask(row) for row in rows])
    store.metadata.commit(1)
    store.restart()
    metadata = store.metadata

    assert metadata.tasks("west", 9) == [rows[2], rows[1], rows[0]]
    assert metadata.tasks("west", 1) == [rows[2]]
    assert metadata.tasks("", 9) == [rows[4]]
    assert metadata.failed_tasks(9) == [rows[3]]
    assert metadata.task("west", 3, 50) == rows[1]
    assert metadata.task("west", 3, 51) is None
    assert metadata.tasks_of(3) == [rows[4], rows[1]]
    assert metadata.backlog() == [
        Backlog("", "", failed=False, operations=1, size=0, since_ns=70),
        Backlog("west", "r", failed=False, operations=2, size=7, since_ns=10),
        Backlog("west", "r", failed=True, operations=1, size=9, since_ns=0),
        Backlog("west", "s", failed=False, operations=1, size=8, since_ns=50),
    ]
    metadata.apply([PutTask(replace(rows[1], changed_ns=99)), RemoveTask("west", 1, 50)])
    metadata.apply([RemoveTask("west", 1, 50)])
    assert [task.changed_ns for task in metadata.tasks("west", 9)] == [90, 99]


def test_a_replica_is_found_both_ways_and_forgotten_with_the_copy(metadata: Metadata) -> None:
    """A block that the destination collected must travel again."""
    ino, block_kind = ReplicaKind.INODE, ReplicaKind.BLOCK
    metadata.apply([PutInode(file(5)), AddBlock(block(5))])
    metadata.apply([PutReplica(Replica(b"s" * 16, kind, 7, 5)) for kind in (ino, block_kind)])

    assert metadata.replica(b"s" * 16, ino, 7) == 5
    assert metadata.replica(b"t" * 16, ino, 7) is None
    assert metadata.origin(block_kind, 5) == (b"s" * 16, 7)
    assert metadata.origin(block_kind, 7) is None
    metadata.apply([RemoveBlock(5)])
    assert metadata.replica(b"s" * 16, block_kind, 7) is None
    assert metadata.replica(b"s" * 16, ino, 7) == 5
    metadata.apply([RemoveInode(5)])
    assert metadata.replica(b"s" * 16, ino, 7) is None


def test_an_interval_is_found_by_its_beginning(metadata: Metadata) -> None:
    """A name may have had a million meanings; one of them costs one look."""
    marker = Entry(1, b"a", 20, 0, to_ns=30, ending=Ending.SUPERSEDED, salt=5)
    metadata.apply(
        [PutInode(file(2)), OpenEntry(Entry(1, b"a", 10, 2, to_ns=20)), OpenEntry(marker)]
    )

    assert metadata.interval(1, b"a", 20) == marker
    assert metadata.interval(1, b"a", 15) is None


def test_the_cells_that_changed_between_two_versions(metadata: Metadata) -> None:
    """What is sent of a large file follows what was written to it."""
    metadata.apply([OpenCell(2, cell, 10, b"x") for cell in range(4)])
    metadata.apply([CloseCell(2, 1, 20), CloseCell(2, 2, 20), OpenCell(2, 2, 20, b"y")])
    metadata.apply([OpenCell(2, 9, 30, b"z"), OpenCell(3, 5, 20, b"other")])

    assert metadata.cells_changed(2, 10, 20) == [1, 2]
    assert metadata.cells_changed(2, 9, 19) == [0, 1, 2, 3]
    assert metadata.cells_changed(2, 20, FOREVER) == [9]


def test_inodes_come_one_after_the_other(metadata: Metadata) -> None:
    """Whoever looks at everything goes on where they were."""
    metadata.apply([PutInode(file(ino, nlink=ino % 2)) for ino in (4, 2, 9)])

    assert [inode.ino for inode in metadata.inodes_after(0, 2)] == [2, 4]
    assert [inode.ino for inode in metadata.inodes_after(4, 2)] == [9]


def test_names_come_one_after_the_other_however_often_they_were_used(metadata: Metadata) -> None:
    """New rules look at every key once; a name with a long history is one key."""
    metadata.apply([PutInode(directory(1)), PutInode(directory(5)), PutInode(file(9))])
    for parent, name, from_ns in [(5, b"a", 1), (1, b"b", 2), (1, b"\xffz", 4), (5, b"\x00", 6)]:
        metadata.apply([OpenEntry(Entry(parent, name, from_ns, 9))])
        metadata.apply([CloseEntry(parent, name, from_ns, from_ns + 10, Ending.MOVED, 0)])
        metadata.apply([OpenEntry(Entry(parent, name, from_ns + 20, 0))])
    everything = [(1, b"b"), (1, b"\xffz"), (5, b"\x00"), (5, b"a")]

    assert metadata.names_after(0, b"", 10) == everything
    assert metadata.names_after(1, b"b", 2) == everything[1:3]
    assert metadata.names_after(5, b"", 10) == everything[2:]
    assert metadata.names_after(5, b"a", 10) == []
    metadata.apply([RemoveEntry(1, b"b", 2), RemoveEntry(1, b"b", 22)])
    assert metadata.names_after(0, b"", 10) == everything[1:]


def test_a_directory_is_looked_through_in_steps(metadata: Metadata) -> None:
    """A page of a million names is shown without reading the others."""
    rows = [
        Entry(1, b"a", 5, 0),
        Entry(1, b"a", 9, 4),
        Entry(1, b"\xff", 2, 7),
        Entry(2, b"b", 3, 8),
    ]
    metadata.apply([OpenEntry(row) for row in rows])

    assert metadata.entries_after(1, b"", 0, 10) == rows[:3]
    assert metadata.entries_after(1, b"a", 5, 1) == rows[1:2]
    assert metadata.entries_after(1, b"a", OPEN_NS, 10) == rows[2:3]


def test_all_versions_are_looked_through_in_steps(metadata: Metadata) -> None:
    """When locks end and when things happened is asked of a store of any size."""
    found = [Version(1, 5, 0, 10), Version(1, 9, 0, 20), Version(3, 2, 0, 30)]
    metadata.apply([PutVersion(version) for version in reversed(found)])

    assert metadata.versions_after(0, 0, 10) == found
    assert metadata.versions_after(1, 5, 1) == found[1:2]
    assert metadata.versions_after(3, 2, 10) == []
    assert metadata.commits_after(1, 5, 10) == [(1, 9, 20), (3, 2, 30)]


def test_what_each_class_holds_is_counted(metadata: Metadata) -> None:
    """What storage costs depends on it; small versions are billed as larger ones in some."""
    sizes = {"STANDARD": [0, 1000, 131_072], "GLACIER": [131_071]}
    stamp_ns = 0
    for name, found in sizes.items():
        for size in found:
            stamp_ns += 1
            metadata.apply([PutVersion(Version(1, stamp_ns, 0, size, storage_class=name))])

    assert metadata.class_usage() == [
        ClassUsage("GLACIER", 1, 131_071, 1, 131_071),
        ClassUsage("STANDARD", 3, 132_072, 2, 1000),
    ]
