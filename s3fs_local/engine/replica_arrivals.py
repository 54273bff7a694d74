"""Blocks that arrived for a version which is not there yet: they outlive the connection.

A version counts when it is whole, and that of a large file may take longer than a connection lasts,
or a process. So after each part of it the blocks become facts: each is laid out in its file during
an interval before every version, `[block_id, block_id + 1)`, where nothing shows it. The version
finds them as it finds those of earlier versions; then these layouts go. What its source does not
come back for goes after a week, as S3's AbortIncompleteMultipartUpload would have it.
"""

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from s3fs_local.engine.replica_origins import put_replica
from s3fs_local.engine.replication_messages import Origin
from s3fs_local.engine.version_removal import destroy_keys, forget_nameless
from s3fs_local.engine.volume import Volume
from s3fs_local.metadata.changes import (
    AddBlock,
    Change,
    CountBlock,
    PutCell,
    PutSetting,
    RemoveBlock,
    RemoveCell,
    RemoveSetting,
)
from s3fs_local.rules.extents import (
    CELL_BYTES,
    Block,
    Extent,
    blocks_of,
    decode_layout,
    encode_layout,
)
from s3fs_local.rules.instants import SECOND_NS
from s3fs_local.rules.replication import ReplicaKind

ARRIVING_SETTING: Final = "fact.arriving"
"""Files with blocks that arrived, as JSON: by inode, since when (ns)."""
KEPT_NS: Final = 7 * 86_400 * SECOND_NS
CELLS_A_STEP: Final = 4096


class Arrivals:
    """What arrived at one open store."""

    def __init__(self, volume: Volume) -> None:
        self._volume = volume
        self._metadata = volume.metadata
        self._fresh: dict[Origin, tuple[int, Block]] = {}  # of no fact yet: inode and block

    def add(self, origin: Origin, ino: int, block: Block) -> None:
        """The block lies in a pack; until a fact knows it, it ends with the connection."""
        self._fresh[origin] = (ino, block)
        self._volume.arriving[block.block_id] = block

    def fresh(self, origin: Origin) -> Block | None:
        """The block, if no fact knows it yet."""
        found = self._fresh.get(origin)
        return None if found is None else found[1]

    def fresh_blocks(self) -> dict[int, Block]:
        """All that no fact knows yet, by number."""
        return {block.block_id: block for _, block in self._fresh.values()}

    def recorded(self, origins: Iterable[Origin]) -> None:
        """Facts know these now."""
        for origin in origins:
            _, block = self._fresh.pop(origin)
            del self._volume.arriving[block.block_id]

    def forget(self) -> None:
        """What no fact knows yet is dead: the connection ended, or no version came for it."""
        self.recorded(list(self._fresh))

    def keep(self, ino: int, others: list[Change]) -> None:
        """The blocks that arrived for the file are facts, in one transaction with the others."""
        mine = {origin: block for origin, (owner, block) in self._fresh.items() if owner == ino}
        changes = list(others)
        for origin, block in mine.items():
            changes += (
                AddBlock(block),
                put_replica(origin, ReplicaKind.BLOCK, block.block_id),
                _arrived(ino, block),
            )
        since = self._since()
        if mine and str(ino) not in since:
            changes.append(_put({**since, str(ino): self._volume.now_ns()}))
        self._volume.apply(changes)
        self.recorded(list(mine))

    def of(self, ino: int) -> frozenset[int]:
        """The blocks that are kept for the file."""
        if str(ino) not in self._since():
            return frozenset()
        rows = (row for step in self._steps(ino) for row in step)
        return frozenset(block for *_, layout in rows for block in blocks_of(decode_layout(layout)))

    async def release(self, inos: list[int]) -> None:
        """No block is kept for these files; those that a version uses stay because of it."""
        since = self._since()
        turn = self._volume.yielding.turn()
        for ino in inos:
            if str(ino) not in since:
                continue
            for step in self._steps(ino):
                self._release(ino, step)
                await turn.over()
            since = self._since()
            since.pop(str(ino), None)
            self._volume.apply([_put(since)])
            forget_nameless(self._volume, ino)

    async def release_stale(self) -> None:
        """Nothing is kept that its source did not come back for within a week."""
        before_ns = self._volume.now_ns() - KEPT_NS
        await self.release([int(ino) for ino, at_ns in self._since().items() if at_ns < before_ns])

    async def release_all(self) -> None:
        """Nothing is kept: no source will come back."""
        await self.release([int(ino) for ino in self._since()])

    def _since(self) -> dict[str, int]:
        stored = self._metadata.setting(ARRIVING_SETTING)
        return {} if stored is None else msgspec.json.decode(stored, type=dict[str, int])

    def _steps(self, ino: int) -> Iterator[list[tuple[int, int, bytes]]]:
        """(cell, from_ns, layout) of what is kept for the file, some cells at a time."""
        first = 0
        while (cell := self._metadata.next_cell(ino, first)) is not None:
            first = cell + CELLS_A_STEP
            rows = self._metadata.cell_rows(ino, cell, first)
            yield [
                (number, from_ns, layout)
                for number, from_ns, to_ns, layout in rows
                if to_ns == from_ns + 1 and blocks_of(decode_layout(layout)) == {from_ns}
            ]

    def _release(self, ino: int, rows: list[tuple[int, int, bytes]]) -> None:
        changes: list[Change] = []
        keys = set()
        for cell, from_ns, _ in rows:
            changes.append(RemoveCell(ino, cell, from_ns))
            block = self._metadata.block(from_ns)
            if block is not None and block.refs > 1:
                changes.append(CountBlock(from_ns, -1))
                continue
            changes.append(RemoveBlock(from_ns))
            self._volume.blocks.forget(from_ns)
            if block is not None:
                keys.add(block.key_id)
        if changes:
            self._volume.apply(changes)
        inode = self._metadata.inode(ino)
        if inode is not None and inode.version_ns:
            keys.discard(inode.key_id)
        destroy_keys(self._volume, keys)


def _arrived(ino: int, block: Block) -> PutCell:
    cell, start = divmod(block.offset, CELL_BYTES)
    extent = Extent(start, block.length, block.block_id, 0)
    return PutCell(ino, cell, block.block_id, block.block_id + 1, encode_layout((extent,)))


def _put(since: dict[str, int]) -> Change:
    if not since:
        return RemoveSetting(ARRIVING_SETTING)
    return PutSetting(ARRIVING_SETTING, msgspec.json.encode(since).decode())
