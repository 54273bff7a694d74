"""Opening a store: from its parts to a file system that has recovered from its last end."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final

from msgspec import Struct

from s3fs_local.crypto.key_ring import KeyRing
from s3fs_local.engine.blocks import BlockStorage
from s3fs_local.engine.data_keys import DataKeys
from s3fs_local.engine.drafts import Draft
from s3fs_local.engine.durability import Durability, RunBlocking, run_in_thread
from s3fs_local.engine.filesystem import FileSystem
from s3fs_local.engine.key_administration import SaveRing, note_generation
from s3fs_local.engine.key_services import MakeKeyService, ServiceFinder, no_key_service
from s3fs_local.engine.ledger_setup import ClockStart, clock_start, open_keeper, set_up_ledger
from s3fs_local.engine.new_keys import NewKeys
from s3fs_local.engine.recovery import (
    commit_recovered,
    even_out_packs,
    rebuild_drafts,
    replay_journal,
)
from s3fs_local.engine.space import SpaceGuard
from s3fs_local.engine.volume import Volume
from s3fs_local.errors import TRANSIENT
from s3fs_local.metadata.changes import PutInode, PutPack, PutSetting
from s3fs_local.metadata.interface import Counters, Metadata, ScratchMaker
from s3fs_local.objects.interface import ObjectStore
from s3fs_local.objects.zone_set import ZoneSet
from s3fs_local.packs.journal import Journal
from s3fs_local.packs.pack_store import PackStore, pack_id_after
from s3fs_local.rules.inode import ROOT_INO, Caller, Inode
from s3fs_local.rules.instants import SECOND_NS
from s3fs_local.rules.placement import Homes
from s3fs_local.rules.settings import Settings, decode
from s3fs_local.rules.storage_classes import homes_of
from s3fs_local.system.clock import Clock
from s3fs_local.system.randomness import Randomness

FACT_PREFIX: Final = "fact."
"""Settings of this prefix are the engine's own notes, not a person's choices."""
_DIRECTORY_MODE: Final = 0o040755


def _keep_nothing(_: bytes) -> None:
    """For a store whose ring is in memory only."""


class Parts(Struct, frozen=True):
    """What a store is made of. `make_clock` is called only when the last stamp is known."""

    store_id: bytes
    metadata: Metadata
    zones: ZoneSet | list[ObjectStore]
    ring: KeyRing
    randomness: Randomness
    make_clock: Callable[[ClockStart], Clock]
    make_scratch: ScratchMaker
    make_key_service: MakeKeyService = no_key_service
    save_ring: SaveRing = _keep_nothing
    run_blocking: RunBlocking = run_in_thread


class Opened(Struct, frozen=True):
    """An open store, and what opening it found to do."""

    filesystem: FileSystem
    recovered: list[int]  # inodes whose unclosed content was committed
    replayed_changes: int


def make_root(metadata: Metadata, *, owner: Caller, now_ns: int, settings: dict[str, str]) -> None:
    """A new store has an empty root directory of its maker, and these settings (JSON by name)."""
    root = Inode(
        ino=ROOT_INO,
        mode=_DIRECTORY_MODE,
        uid=owner.uid,
        gid=owner.gid,
        nlink=2,
        atime_ns=now_ns,
        mtime_ns=now_ns,
        ctime_ns=now_ns,
        btime_ns=now_ns,
    )
    metadata.apply([PutInode(root), *[PutSetting(*pair) for pair in settings.items()]])
    metadata.commit(0)


_AHEAD: Final = (
    "the ledger has changes that the database and the journal do not have: earlier copies of them"
    " were put back, or they lost what was durable"
)


def settings_of(metadata: Metadata) -> Settings:
    """The store's settings. Raises InvalidSetting if one is damaged."""
    stored = metadata.settings().items()
    return decode({name: value for name, value in stored if not name.startswith(FACT_PREFIX)})


def open_filesystem(parts: Parts) -> Opened:
    """The store as a file system, recovered from a crash. Call `Durability.close` at the end.

    Raises:
        JournalDamaged, MetadataDamaged, InvalidSetting: the store must be repaired first.
        StoreDamaged: the key ring is an earlier one than the facts know.
    """
    metadata = parts.metadata
    zones = ZoneSet.of(parts.zones)
    pack_ids = _PackIds(parts.randomness)
    packs = PackStore(
        zones,
        store_id=parts.store_id,
        allocate_pack=pack_ids.allocate,
        homes_of=partial(_homes_of, metadata),
    )
    journal = Journal(
        zones, parts.ring.subkey("journal"), parts.store_id, randomness=parts.randomness
    )
    keeper = open_keeper(
        zones, parts.ring, metadata, store_id=parts.store_id, randomness=parts.randomness
    )
    found = replay_journal(journal, packs, metadata, ledger_position=keeper.covered)
    if keeper.covered > found.position and journal.lacks(keeper.covered):
        keeper.findings.append(_AHEAD)
    for _, batch in found.batches:
        keeper.add(batch)
    drafts: dict[int, Draft] = {}
    durability = Durability(
        metadata=metadata,
        packs=packs,
        journal=journal,
        drafts=drafts,
        ledger=keeper,
        run_blocking=parts.run_blocking,
    )
    settings = settings_of(metadata)
    zones.members.want_quorum(settings.write_quorum)
    zones.members.timeout_seconds = settings.zone_timeout_ns / SECOND_NS
    with suppress(*TRANSIENT):  # then before anything is acknowledged
        zones.members.complete_record()
    counters = metadata.counters()
    pack_ids.begin(counters.pack_id, durability)
    highest_block = rebuild_drafts(found, metadata, drafts)
    even_out_packs(packs, metadata, found)
    for placement, pack_id in metadata.newest_packs().items():
        packs.resume(pack_id, placement)
    volume = _volume(parts, durability, drafts, counters, highest_block=highest_block)
    filesystem = FileSystem(volume)
    _set_up_keys(filesystem, parts)
    set_up_ledger(keeper, volume, filesystem.refusals)
    recovered = commit_recovered(filesystem.writing, metadata, drafts)
    filesystem.locks.pending.lock_all_closed()
    with suppress(*TRANSIENT):  # then when the clock is there again
        filesystem.lifecycle.rules.look_at_overtaken(found.scheduled)
    with suppress(*TRANSIENT):  # then the next opening does it
        filesystem.releasing.destroy_all_waiting()
    return Opened(filesystem, recovered, found.changes)


class _PackIds:
    """Ids of new packs: each is a fact before anything lies in the pack."""

    def __init__(self, randomness: Randomness) -> None:
        self._randomness = randomness
        self._last = 0
        self._durability: Durability | None = None

    def begin(self, last: int, durability: Durability) -> None:
        """Ids behind the last may be had; not before the journal is replayed."""
        self._last, self._durability = last, durability

    def allocate(self, placement: str) -> int:
        """The id of a new pack of the placement."""
        assert self._durability is not None
        self._last = pack_id_after(self._last, self._randomness)
        self._durability.apply([PutPack(self._last, placement)])
        return self._last


def _homes_of(metadata: Metadata, placement: str) -> Homes:
    present = settings_of(metadata)  # commands change them
    return homes_of(present.storage_classes, placement)


def _volume(
    parts: Parts,
    durability: Durability,
    drafts: dict[int, Draft],
    counters: Counters,
    *,
    highest_block: int,
) -> Volume:
    """What the parts of the file system share."""
    metadata, packs, randomness = parts.metadata, durability.packs, parts.randomness
    keys = DataKeys(metadata=metadata, ring=parts.ring, store_id=parts.store_id)
    new_keys = NewKeys(
        metadata=metadata, keys=keys, randomness=randomness, last_key_id=counters.key_id
    )
    blocks = BlockStorage(
        metadata=metadata,
        packs=packs,
        keys=keys,
        randomness=randomness,
        last_block_id=max(counters.block_id, highest_block),
    )
    volume = Volume(
        metadata=metadata,
        zones=packs.zones,
        blocks=blocks,
        keys=keys,
        new_keys=new_keys,
        durability=durability,
        drafts=drafts,
        space=SpaceGuard(packs.zones.free_bytes),
        clock=parts.make_clock(clock_start(durability.ledger, metadata)),
        make_scratch=parts.make_scratch,
        randomness=randomness,
        settings=settings_of(metadata),
        counters=counters,
    )
    blocks.uncommitted = volume.uncommitted_block
    return volume


def _set_up_keys(filesystem: FileSystem, parts: Parts) -> None:
    """Keys follow the settings, and the ring is the latest there was."""
    volume = filesystem.volume
    volume.keys.find_service = ServiceFinder(volume, parts.make_key_service)
    volume.keys.find_cache_seconds = lambda: volume.settings.key_cache_ns / SECOND_NS
    volume.new_keys.encryption = lambda: volume.settings.encryption
    filesystem.key_administration.save = parts.save_ring
    filesystem.key_administration.run_blocking = parts.run_blocking
    noted = note_generation(volume.metadata, parts.ring)
    if noted:
        volume.apply(noted)
