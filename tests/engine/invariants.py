"""What holds in every store at every moment, whatever was done to it."""

from collections import Counter, defaultdict
from itertools import pairwise

from s3fs_local.packs.pack_store import pack_name
from s3fs_local.rules.extents import Extent, blocks_of, data_bytes, decode_layout
from s3fs_local.rules.inode import ROOT_INO, Inode
from s3fs_local.rules.namespace import OPEN_NS, Entry
from tests.engine.memory_store import MemoryStore
from tests.engine.verified import check_verified


def check_invariants(store: MemoryStore) -> None:
    """Every fact agrees with every other, and every block that is used opens."""
    metadata = store.fs.volume.metadata
    numbers = range(1, store.fs.volume.last_ino + 1)
    inodes = [inode for ino in numbers if (inode := metadata.inode(ino)) is not None]
    _check_blocks(store, inodes)
    _check_packs(store)
    _check_names(store, inodes)
    for inode in inodes:
        _check_versions(store, inode)
        _check_cells(store, inode)
    check_verified(store)


def _check_blocks(store: MemoryStore, inodes: list[Inode]) -> None:
    """Counts are exact, nothing dangles, and what a layout names can be read."""
    metadata, blocks = store.fs.volume.metadata, store.fs.volume.blocks
    uses: Counter[int] = Counter()
    extents: list[Extent] = []
    for inode in inodes:
        for *_, layout in metadata.cell_rows(inode.ino):
            uses.update(blocks_of(decode_layout(layout)))
            extents += decode_layout(layout)
    for block_id, refs in uses.items():
        block = metadata.block(block_id)
        assert block is not None, f"block {block_id} is used but gone"
        assert block.refs == refs, f"{block} is used by {refs} layouts"
        assert metadata.key(block.key_id) is not None, f"the key of {block} is gone"
    assert metadata.usage().blocks == len(uses), "blocks that nothing uses are kept"
    for draft in store.fs.volume.drafts.values():
        extents += [extent for layout in draft.sealed.values() for extent in layout]
    for extent in set(extents):
        content = blocks.read_nowait(extent.block, skip=extent.skip, size=extent.length)
        assert content is not None
        assert len(content) == extent.length, f"{extent} is longer than its block"


def _check_packs(store: MemoryStore) -> None:
    """No block lies outside its pack, no two lie on each other, and the sums are right."""
    metadata = store.fs.volume.metadata
    for pack_id, _, live_bytes in metadata.packs():
        blocks = metadata.blocks_in_pack(pack_id)
        assert live_bytes == sum(block.sealed_length for block in blocks)
        end = 0
        for block in blocks:
            assert block.pack_offset >= end, f"{block} lies on another"
            end = block.pack_offset + block.sealed_length
        if blocks:
            assert end <= store.fs.volume.zones.length(pack_name(pack_id))


def _check_names(store: MemoryStore, inodes: list[Inode]) -> None:
    """Link counts, parents, and the intervals of names."""
    live: defaultdict[int, list[Entry]] = defaultdict(list)
    subdirectories: Counter[int] = Counter()
    by_ino = {inode.ino: inode for inode in inodes}
    for directory in inodes:
        if not directory.is_directory:
            continue
        entries = store.fs.volume.metadata.directory_history(directory.ino)
        starts = [entry.from_ns for entry in entries]
        assert len(set(starts)) == len(starts), "two entries of a directory share an offset"
        for before, after in pairwise(entries):
            assert before.name != after.name or before.to_ns <= after.from_ns, (before, after)
        for entry in entries:
            assert entry.from_ns < entry.to_ns, entry
            if entry.to_ns == OPEN_NS and not entry.is_marker:
                live[entry.ino].append(entry)
                subdirectories[directory.ino] += by_ino[entry.ino].is_directory
    for inode in inodes:
        names = live[inode.ino]
        if not inode.is_directory:
            assert inode.nlink == len(names), (inode, names)
        elif inode.ino == ROOT_INO or names:
            assert inode.nlink == 2 + subdirectories[inode.ino], inode
            assert [entry.parent for entry in names] == ([inode.parent] if inode.parent else [])
        else:
            assert inode.nlink == 0, inode


def _check_versions(store: MemoryStore, inode: Inode) -> None:
    """The inode shows its newest version."""
    versions = store.fs.volume.metadata.versions(inode.ino)
    assert inode.version_ns == (versions[0].stamp_ns if versions else 0), inode
    if versions:
        assert inode.size == versions[0].size, inode
        assert inode.lock == versions[0].lock, inode
    else:
        assert inode.lock is None, f"a lock lies on no version: {inode}"
    assert sum(version.is_null for version in versions) <= 1, "two null versions of one file"


def _check_cells(store: MemoryStore, inode: Inode) -> None:
    """Layouts of a cell follow each other, and `st_blocks` is what they hold."""
    rows = store.fs.volume.metadata.cell_rows(inode.ino)
    for before, after in pairwise(rows):
        assert before[0] != after[0] or before[2] <= after[1], (before, after)
    held = sum(
        data_bytes(decode_layout(layout)) for _, _, to_ns, layout in rows if to_ns == OPEN_NS
    )
    assert inode.allocated == held, inode
