"""When facts and bytes become durable: group commit over packs, journal and metadata.

A reply that promises durability comes after the blocks and the journal records that mention them
were both synced. Records may reach the disk before their blocks do: `PacksDurable` tells how far
blocks are known to be durable, and a mount after a power cut checks those that came later (see
`recovery`). The metadata engine holds the same facts as a view that may lag behind the journal; it
commits seldom, and a mount replays what it lacks.

`record` hands the facts to the journal at once, so that they survive a killed process. `flush`
serves everyone who waits with one write and, if asked, one fsync. `settle` lets the metadata engine
catch up, after the ledger has it all.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from time import perf_counter_ns
from typing import Any, Final, Protocol, TypeVar

import trio

from s3fs_local.engine.device_pace import DevicePace
from s3fs_local.engine.draft_records import FLOOR_SETTING, ChangeBatch, PacksDurable, encode
from s3fs_local.engine.drafts import Draft
from s3fs_local.engine.ledger import LedgerKeeper, belongs_to_ledger
from s3fs_local.engine.unsaved import Unsaved, UnsavedWork
from s3fs_local.engine.use import Use
from s3fs_local.errors import TRANSIENT, StorageError, StoreFull, StoreReadOnly
from s3fs_local.metadata.changes import Change, PutSetting
from s3fs_local.metadata.interface import Metadata
from s3fs_local.packs.journal import Journal
from s3fs_local.packs.pack_store import PackStore
from s3fs_local.rules.ledger_notes import Note

logger = logging.getLogger(__name__)

SEGMENT_BYTES_MAX: Final = 64 << 20
"""A journal segment beyond this is left behind as soon as the facts have caught up."""
UNCOMMITTED_MAX: Final = 50_000
"""Changes after which the metadata engine commits: bounds the replay after a crash to about 1 s."""

JOURNALED_AT_ONCE_BYTES: Final = 4 << 20
"""Of drafts' bytes: so much is copied at most, however many files are written to."""

_Seen = TypeVar("_Seen")
RunBlocking = Callable[[Callable[[], Any]], Awaitable[Any]]


async def run_in_thread(function: Callable[[], Any]) -> Any:  # noqa: ANN401 - passes through
    """The result of a blocking function, without blocking the loop."""
    return await trio.to_thread.run_sync(function)


async def wait_in_thread(function: Callable[[], Any]) -> Any:  # noqa: ANN401 - passes through
    """The same, for what only waits and reads: whoever is cancelled does not wait for its end."""
    return await trio.to_thread.run_sync(function, abandon_on_cancel=True)


class Checkpointing(Protocol):
    """A metadata engine whose commits can be made durable by themselves."""

    @property
    def wal_bytes(self) -> int:
        """Length of its log of commits, which a checkpoint lets it begin anew."""
        ...

    def checkpoint(self) -> None:
        """What was committed survives a power cut. Blocks; runs in a thread."""
        ...


class _NotingFailures:
    """A failure of storage in the block ends all promises.

    A full disk is no such failure, nor are too few zones: those that failed are told anew what they
    may have lost before they count again.
    """

    __slots__ = ("_durability",)

    def __init__(self, durability: "Durability") -> None:
        self._durability = durability

    def __enter__(self) -> None:
        """Nothing to be done."""

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, StorageError) and not isinstance(error, TRANSIENT):
            self._durability.failure = error


class Durability:
    """Owns the order in which things reach the disk. One per open store."""

    def __init__(
        self,
        *,
        metadata: Metadata,
        packs: PackStore,
        journal: Journal,
        drafts: dict[int, Draft],
        ledger: LedgerKeeper,
        run_blocking: RunBlocking = run_in_thread,
    ) -> None:
        self._metadata = metadata
        self._packs = packs
        self._journal = journal
        self._drafts = drafts
        self.ledger: Final = ledger
        self.use: Final = Use()
        self.run_blocking: Final = run_blocking
        is_usual = run_blocking is run_in_thread
        self.wait_blocking: Final = wait_in_thread if is_usual else run_blocking
        self._changes: list[Change] = []
        self._ended: list[int] = []
        self._notes: list[Note] = []
        self.note_sources: list[Callable[[], list[Note]]] = []
        self._unwritten: list[bytes] = []  # encoded, but the journal could not take them yet
        self._urgent: dict[int, Draft] = {}  # drafts that someone waits for
        self._mutex = trio.Lock()
        self._uncommitted = 0
        self._position = max(metadata.position(), journal.position)  # a commit may have failed
        self._appended = 0  # generations: bumped by every change or urgent draft
        self._written = 0
        self._synced = 0
        self._unsaved = UnsavedWork()
        self.failure: StorageError | None = None
        # Whether what the facts have may leave the journal; asked in a thread.
        self.may_trim: Callable[[], bool] = lambda: True
        self.unjournaled: Sequence[Change] = ()  # what the facts have of no journal's
        self.fsyncs = 0
        self.pace = DevicePace()

    def apply(self, changes: Sequence[Change], *, ended_draft: int = 0) -> None:
        """All changes are visible, or (on an error) none is; durable after the next flush."""
        self.check_writable()
        self._metadata.apply(changes)
        self._changes.extend(changes)
        if ended_draft:
            self._ended.append(ended_draft)
        self._note_change()
        self._unsaved.note(changes, self._appended)

    def check_writable(self) -> None:
        """Every sync so far succeeded, and enough zones are well.

        Raises:
            StoreReadOnly: a sync failed, in the only zone that was left.
            TooFewZones: until some come back.
        """
        if self.failure is not None:
            raise StoreReadOnly(f"the store is read-only since: {self.failure}")
        self._packs.zones.check_writable()

    @property
    def generation(self) -> int:
        """A number that grows with every change."""
        return self._appended

    def drop_draft(self, draft_id: int) -> None:
        """A crash will not bring the draft back (after the next flush)."""
        self._ended.append(draft_id)
        self._note_change()

    def note(self, note: Note) -> None:
        """The ledger will say so, beside the changes that were applied since the last flush."""
        self._notes.append(note)
        self._note_change()

    def expect_notes(self) -> None:
        """A note source has something, which the next flush takes."""
        self._note_change()

    def _note_change(self) -> None:
        self._appended += 1
        self.use.note()

    @property
    def is_settled(self) -> bool:
        """Whether the journal holds everything, drafts included, and the metadata engine too."""
        return (
            self._written == self._appended
            and not self._unwritten
            and not self._uncommitted
            and not self.ledger.is_due
            and not any(draft.needs_journal for draft in self._drafts.values())
        )

    def unsaved(self) -> Unsaved:
        """What would be lost if nothing more were written; see `unsaved.py`."""
        unsaved = self._unsaved.total(self._drafts.values())
        if unsaved or self._synced == self._appended:
            return unsaved
        return Unsaved(has_more=True)

    async def flush(
        self, *, durable: bool, draft: Draft | None = None, only_facts: bool = False
    ) -> None:
        """What was applied before the call survives a crash; a power cut too if `durable`.

        Every draft is journaled, or only `draft` (and whatever else was due), or none.

        Raises:
            StoreFull: the journal could not grow; everything is kept and tried again.
            TooFewZones: the same.
            StorageError: a sync failed. It is never reported durable afterwards: the store stays
                read-only until it is opened again.
        """
        drafts = self._drafts.values() if draft is None else (draft,)
        for urgent in () if only_facts else drafts:
            if urgent.needs_journal:
                self._urgent[urgent.draft_id] = urgent
                self._appended += 1
        wanted = self._appended
        async with self._mutex:
            if (self._synced if durable else self._written) >= wanted and not self._unwritten:
                return
            generation = self._appended
            self._collect()
            self._append()
            self._written = generation
            if durable or self._packs.owes_sync:
                with trio.CancelScope(shield=True):
                    await self._sync(durable=durable)
            if durable:
                self._note_synced(generation)

    def flush_nowait(self, draft: Draft | None) -> bool:
        """As a durable `flush` of the draft, or of facts alone; False where it would take long.

        For callers that nobody else waits beside. Where a zone may be given up it is left to
        `flush`, which keeps the loop free meanwhile. Raises as `flush`.
        """
        may_wait = self._packs.zones.only is not None and self.pace.is_quick
        if not may_wait or self._mutex.locked() or self._packs.is_syncing:
            return False
        if draft is not None and draft.needs_journal:
            self._urgent[draft.draft_id] = draft
            self._appended += 1
        if self._synced < self._appended or self._unwritten:
            self._sync_in_place()
        return True

    def _sync_in_place(self) -> None:
        """Everything so far is durable, and the drafts that someone waits for. Blocks the loop."""
        generation = self._appended
        self._collect()
        self._append()
        blocks_until, syncs_packs = self._position, self._packs.owes_sync
        with self._noting_failures():
            self._sync_blocking(durable=True)
        if syncs_packs:  # after a power cut the metadata engine may not know of this
            self._unwritten.append(encode(PacksDurable(blocks_until)))
        self._written = generation
        self._note_synced(generation)

    def _note_synced(self, generation: int) -> None:
        self._synced = generation
        self._unsaved.saved(generation)

    def record(self) -> None:
        """What was applied so far survives a killed process: the journal has it, unsynced.

        For the moments at which programs take a change for done without an fsync, such as SQLite's
        removal of its rollback journal. A full disk is left to the next flush to tell, and so are
        too few zones.
        """
        self._collect_facts()
        with suppress(*TRANSIENT):
            self._append()

    def _collect(self) -> None:
        """Everything pending is encoded, facts first: a draft overlays what they say.

        So a journal torn between the two has no draft whose base, or key, it lacks.
        """
        self._collect_facts()
        while self._urgent:
            draft = self._urgent.pop(next(iter(self._urgent)))
            if self._drafts.get(draft.ino) is draft:
                self._collect_draft(draft)

    def _collect_draft(self, draft: Draft) -> None:
        """What the journal lacks of the draft is encoded; long drafts are appended on the way.

        Encoded bytes are copies, and sealing copies them again: those of all drafts together would
        be several times what drafts may hold in memory.
        """
        self._unsaved.note_draft(draft.ino, self._appended)
        records = draft.take_records()
        records.reverse()
        held = sum(map(len, self._unwritten))
        try:
            while records:
                encoded = encode(records.pop())
                self._unwritten.append(encoded)
                held += len(encoded)
                if held >= JOURNALED_AT_ONCE_BYTES:
                    self._append()
                    held = 0
        finally:  # where the journal could not take it, what is left follows at the next attempt
            self._unwritten.extend(map(encode, reversed(records)))

    def _collect_facts(self) -> None:
        for source in self.note_sources:
            self._notes += source()
        if not (self._changes or self._ended or self._notes):
            return
        batch = ChangeBatch(self._changes, self._ended, self._notes)
        encoded = encode(batch)
        self._unwritten.append(encoded)
        if belongs_to_ledger(batch):
            self.ledger.add(encoded)
        self._uncommitted += len(self._changes)
        self._changes, self._ended, self._notes = [], [], []

    def _append(self) -> None:
        """The journal has everything that was encoded, unsynced."""
        if self._unwritten:
            with self._noting_failures():
                self._position = self._journal.append(self._unwritten)
            self._unwritten = []

    async def _sync(self, *, durable: bool) -> None:
        """What was written to packs is durable; the journal if `durable`."""
        blocks_until = self._position
        syncs_packs = self._packs.owes_sync
        with self._noting_failures():
            await self.run_blocking(lambda: self._sync_blocking(durable=durable))
        if syncs_packs:
            self._unwritten.append(encode(PacksDurable(blocks_until)))

    async def sync_packs(self) -> None:
        """Every block that was appended before the call survives a power cut, moved ones too.

        Raises:
            TooFewZones: a zone that had the only copy is gone; what was moved there is not.
            StorageError: a sync failed; the store stays read-only until it is opened again.
        """
        async with self._mutex:
            self._collect_facts()
            self._append()
            blocks_until = self._position
        if not self._packs.needs_sync:
            return
        # Without the mutex: who waits for something that was written does not wait for this, too.
        with trio.CancelScope(shield=True), self._noting_failures():
            await self.run_blocking(partial(self._packs.sync, strict=True))
        self.fsyncs += 1
        self._unwritten.append(encode(PacksDurable(blocks_until)))

    async def release_blocks(self) -> None:
        """No mount will look for the blocks that were named so far: they may go.

        After a power cut a mount checks the blocks of records that came after the last mark; one
        whose pack was removed would end the journal.

        Raises:
            StoreFull, StorageError: as `flush`; then the blocks must stay.
        """
        async with self._mutex:
            self._collect()
            self._append()
            blocks_until = self._position
            with trio.CancelScope(shield=True):
                await self._sync(durable=True)
            self._unwritten.append(encode(PacksDurable(blocks_until)))
        await self.flush(durable=True)

    def _sync_blocking(self, *, durable: bool) -> None:
        began_ns = perf_counter_ns()
        if self._packs.owes_sync:
            self._packs.sync(only_owed=True)
            self.fsyncs += 1
        if durable:
            self._journal.sync()
            self.fsyncs += 1
        self.pace.note(perf_counter_ns() - began_ns)

    def _noting_failures(self) -> "_NotingFailures":
        """After a failed sync nothing is called durable again; see `_NotingFailures`."""
        return _NotingFailures(self)

    @property
    def journal(self) -> Journal:
        """The durable truth."""
        return self._journal

    @property
    def packs(self) -> PackStore:
        """The blocks."""
        return self._packs

    @property
    def segment_bytes(self) -> int:
        """Length of the journal segment in use."""
        return self._journal.segment_bytes

    @property
    def commit_is_due(self) -> bool:
        """Whether the facts lag far enough behind the journal."""
        return (
            self._uncommitted >= UNCOMMITTED_MAX or self._journal.segment_bytes >= SEGMENT_BYTES_MAX
        )

    async def settle(self) -> None:
        """The metadata engine holds everything the journal does; a mount would replay nothing."""
        await self.flush(durable=True)
        async with self._mutex:
            self._commit_facts()

    async def settled(self, look: Callable[[], _Seen]) -> _Seen:
        """What `look` sees right after everything was settled, before anything else happens."""
        await self.flush(durable=True)
        async with self._mutex:
            self._commit_facts()
            return look()

    def _commit_facts(self) -> None:
        """Changes must not come between the journal and the commit, so this blocks the loop.

        The journal is synced first: after a power cut it must reach at least as far as the facts.
        It follows a flush, so next to nothing is left to sync here. The ledger comes before the
        facts, too: what they hold is never missing there.
        """
        self._sync_in_place()
        with self._noting_failures():
            remembered = self.ledger.write(self._position)
        if remembered:
            self.fsyncs += 1
            self._metadata.apply(remembered)
            self.unjournaled = remembered
        self._metadata.commit(self._position)
        self._uncommitted = 0

    async def begin_anew(self, first: Callable[[], None] = lambda: None) -> None:
        """Whatever grows from now on was begun after this call; what grew before is durable.

        `first` is called before that, while nobody waits for anything to be durable.
        """
        async with self._mutex:
            first()
            self._packs.leave_open_packs()
            with self._noting_failures():
                await self.run_blocking(self._packs.sync)
                self._journal.rotate()
                self.ledger.ledger.rotate()
            self._position = self._journal.position

    async def leave_segment_behind(self, checkpointing: Checkpointing) -> None:
        """The journal's past segments are gone, and nothing that they alone held was lost.

        Raises:
            StoreFull: the metadata has no room; nothing is lost, and the segments stay.
        """
        segment = await self._leave_segment()
        await self._forget_segments_before(segment, checkpointing)

    async def _leave_segment(self) -> int:
        """Nothing needs the journal before the segment that is returned but the facts on a disk."""
        await self.flush(durable=True)
        async with self._mutex:
            self._commit_facts()
            self._journal.rotate()
            segment = self._journal.segment
            for draft in self._drafts.values():
                draft.rejournal()
            self._position = floor = self._journal.position
        await self.flush(durable=True)  # drafts are repeated before the floor passes over them
        self.apply([PutSetting(FLOOR_SETTING, str(floor))])
        await self.settle()
        return segment

    async def _forget_segments_before(self, segment: int, checkpointing: Checkpointing) -> None:
        await self.run_blocking(checkpointing.checkpoint)
        if await self.run_blocking(self.may_trim):
            self._journal.trim(segment)

    async def close(self, checkpointing: Checkpointing) -> None:
        """Everything is durable; where there is room, the next open has nothing to replay."""
        segment = await self._leave_segment()
        try:
            await self._forget_segments_before(segment, checkpointing)
        except StoreFull as error:
            logger.warning("the next opening has more to replay: %s", error)
