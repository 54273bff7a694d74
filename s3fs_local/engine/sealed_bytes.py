"""The sealed bytes of versions, checked in every zone against the digests that the ledger tells."""

from collections import deque
from enum import Enum
from typing import Final

from s3fs_local.crypto.sealing import digest
from s3fs_local.engine.discrepancies import Discrepancies, Discrepancy, Kind
from s3fs_local.engine.ledger_reading import zones_to_read
from s3fs_local.engine.sealed_shares import Judged, judge
from s3fs_local.engine.told_names import ToldNames
from s3fs_local.engine.volume import Volume
from s3fs_local.errors import StorageError
from s3fs_local.metadata.interface import Metadata
from s3fs_local.objects.interface import ObjectStore
from s3fs_local.packs.pack_store import pack_name
from s3fs_local.rules.extents import Block, blocks_of, decode_layout
from s3fs_local.rules.versioning import Version

READ_BYTES: Final = 8 << 20
"""How much one step reads at least."""
_SEEN_MAX: Final = 1_000_000
"""Blocks remembered so that shared ones are read once; beyond it some are read again."""


class State(Enum):
    """How the bytes of a block are in one zone."""

    WHOLE = "whole"
    DAMAGED = "damaged"
    ABSENT = "absent"  # the zone does not have the pack, as it need not if others do


_STATES: Final = {True: State.WHOLE, False: State.DAMAGED, None: State.ABSENT}


class SealedBytes:
    """Blocks that are to be read, and what came of it."""

    def __init__(
        self, volume: Volume, told: Metadata, names: ToldNames, found: Discrepancies
    ) -> None:
        self._volume = volume
        self._zones = zones_to_read(volume.zones)
        self._told = told
        self._names = names
        self._found = found
        self._placements = {pack_id: placement for pack_id, placement, _ in told.packs()}
        self._waiting: deque[Block] = deque()
        self._seen: set[int] = set()
        self._suspects: list[tuple[Block, list[State]]] = []
        self._damaged: dict[int, list[str]] = {}
        self._judged: dict[int, Judged] = {}  # packs that lie as shares
        self.waiting_bytes = 0
        self.versions = 0
        self.bytes = 0

    def want(self, version: Version) -> None:
        """The blocks of the version are to be read."""
        self.versions += 1
        for _, _, layout in self._told.cells(version.ino, 0, version.stamp_ns):
            for block_id in set(blocks_of(decode_layout(layout))) - self._seen:
                if len(self._seen) < _SEEN_MAX:
                    self._seen.add(block_id)
                self._want_block(block_id, version)

    def _want_block(self, block_id: int, version: Version) -> None:
        block = self._told.block(block_id)
        if block is not None:
            self._waiting.append(block)
            self.waiting_bytes += block.sealed_length
            return
        path = self._names.path(version.ino)
        ident, at_ns = self._names.version_at(version.ino, version.stamp_ns)
        sentence = f"block {block_id} of its content is unknown to the ledger"
        self._found.add(Discrepancy(Kind.FACT, sentence, path=path, version=ident, at_ns=at_ns))

    def read_some(self) -> None:
        """Some of the blocks were read in every zone. Blocks; runs in a thread."""
        budget = READ_BYTES
        while self._waiting and budget > 0:
            block = self._waiting.popleft()
            self.waiting_bytes -= block.sealed_length
            budget -= block.sealed_length
            states = self._states(block)
            self.bytes += block.sealed_length * (len(states) - states.count(State.ABSENT))
            if self._is_suspect(block, states):
                self._suspects.append((block, states))

    def _states(self, block: Block) -> list[State]:
        """How each zone has the block: in a copy of its pack, or in a share of that."""
        states = [_state(zone.store, block) for zone in self._zones]
        if set(states) != {State.ABSENT}:
            return states
        pack_id = block.pack_id
        judged = self._judged.get(pack_id)
        if judged is None:
            stores = [zone.store for zone in self._zones]
            judged = judge(stores, pack_id, self._volume.blocks.store_id)
            if judged is None:
                return states
            self._judged[pack_id] = judged
        try:
            self._volume.blocks.read_sealed(block)
        except StorageError:
            return [State.DAMAGED] * len(states)
        return [_STATES[whole] for whole in judged.whole]

    def _is_suspect(self, block: Block, states: list[State]) -> bool:
        """Whether any copy is damaged, or one is absent where it belongs."""
        if State.DAMAGED in states:
            return True
        if State.ABSENT not in states:
            return False
        judged = self._judged.get(block.pack_id)
        placement = self._placements.get(block.pack_id, "")
        wanted = self._volume.former_placements.copies_due(block.pack_id, placement)
        if judged is not None:
            wanted = judged.shares
        left_out = len(self._volume.zones.zones) - len(states)
        return states.count(State.WHOLE) + left_out < wanted

    def confirm(self) -> None:
        """What looked damaged is, unless the block was moved or removed meanwhile."""
        suspects, self._suspects = self._suspects, []
        for block, seen in suspects:
            states = seen
            now = self._volume.metadata.block(block.block_id)
            if now is None and self._was_removed(block):
                continue
            moved = now is not None and (now.pack_id, now.pack_offset) != (
                block.pack_id,
                block.pack_offset,
            )
            if now is not None and (moved or State.ABSENT in states):  # or it became shares
                states = self._states(now)
                if not self._is_suspect(now, states):
                    continue
            names = [
                zone.name
                for zone, state in zip(self._zones, states, strict=True)
                if state is not State.WHOLE
            ]
            self._damaged[block.block_id] = names

    def _was_removed(self, block: Block) -> bool:
        """Whether the daemon removed the block since: its bytes went with its pack."""
        packs = {pack_id for pack_id, _, _ in self._volume.metadata.packs()}
        return block.pack_id not in packs

    def name_damaged(self) -> None:
        """Every damaged block is told, with the file, version and zones."""
        for block_id, zones in self._damaged.items():
            block = self._told.block(block_id)
            assert block is not None
            everywhere = len(zones) == len(self._zones)
            where = "in every zone" if everywhere else f"in {', '.join(zones)}"
            sentence = (
                f"{block.length} bytes from {block.offset} are damaged or missing {where}"
                f" (pack {block.pack_id:016x} at {block.pack_offset})"
            )
            zone = "" if everywhere else ", ".join(zones)
            self._names.tell_of_block(Kind.BYTES, sentence, block_id, zone)


def _state(zone: ObjectStore, block: Block) -> State:
    try:
        sealed = zone.read(pack_name(block.pack_id), block.pack_offset, block.sealed_length)
    except KeyError:
        return State.ABSENT
    except StorageError:
        return State.DAMAGED
    return State.WHOLE if digest(sealed) == block.digest else State.DAMAGED
