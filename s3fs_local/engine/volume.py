"""What all parts of the engine share: the facts, the bytes, the time, and what is open now."""

from collections.abc import Callable, Sequence
from typing import Final, Protocol

import trio

from s3fs_local.engine.agenda import Agenda
from s3fs_local.engine.blocks import BlockStorage
from s3fs_local.engine.data_keys import DataKeys
from s3fs_local.engine.drafts import Draft
from s3fs_local.engine.durability import Durability
from s3fs_local.engine.former_placements import FormerPlacements
from s3fs_local.engine.inspections import Inspections
from s3fs_local.engine.new_keys import NewKeys
from s3fs_local.engine.replication_outbox import Outbox
from s3fs_local.engine.space import SpaceGuard
from s3fs_local.engine.verified_copies import VerifiedCopies
from s3fs_local.engine.yielding import Yielding
from s3fs_local.errors import NotADirectory, StaleInode, StoreReadOnly
from s3fs_local.metadata.changes import Change, MarkSettled, MarkUnsettled, PutSetting
from s3fs_local.metadata.interface import Counters, Metadata, ScratchMaker
from s3fs_local.objects.zone_set import ZoneSet
from s3fs_local.rules.extents import Block
from s3fs_local.rules.identifiers import RANDOM_BITS, salt_of
from s3fs_local.rules.inode import Inode
from s3fs_local.rules.instants import SECOND_NS
from s3fs_local.rules.ledger_notes import ClockShown, Note
from s3fs_local.rules.retention import Lock
from s3fs_local.rules.settings import Settings
from s3fs_local.system.clock import Clock
from s3fs_local.system.randomness import Randomness

CLASSES_SETTING: Final = "fact.classes"
"""Set once any version, or directory, ever had a class; until then no commit looks for one."""


class Invalidation(Protocol):
    """Tells the kernel that something it may have cached has changed from elsewhere."""

    def inode(self, ino: int) -> None:
        """Attributes and pages of the inode."""
        ...

    def entry(self, parent: int, name: bytes) -> None:
        """What the name means."""
        ...

    async def settled(self) -> None:
        """Everything told so far is done: the kernel has sent what it had dirty, and forgotten."""
        ...


class NothingCached:
    """No kernel to tell: the store is not mounted."""

    def inode(self, ino: int) -> None:
        """Nobody cached it."""

    def entry(self, parent: int, name: bytes) -> None:
        """Nobody cached it."""

    async def settled(self) -> None:
        """Nobody cached anything."""


class Volume:
    """The shared state of one open store. The event loop's thread is the only one that uses it."""

    def __init__(  # noqa: PLR0913 - the parts, each by name
        self,
        *,
        metadata: Metadata,
        zones: ZoneSet,
        blocks: BlockStorage,
        keys: DataKeys,
        new_keys: NewKeys,
        durability: Durability,
        drafts: dict[int, Draft],
        space: SpaceGuard,
        clock: Clock,
        make_scratch: ScratchMaker,
        randomness: Randomness,
        settings: Settings,
        counters: Counters,
    ) -> None:
        self.metadata: Final = metadata
        self.zones: Final = zones
        self.verified = VerifiedCopies()
        self.former_placements: Final = FormerPlacements(metadata, durability.packs)
        self.blocks: Final = blocks
        self.keys: Final = keys
        self.new_keys: Final = new_keys
        self.durability: Final = durability
        self.use: Final = durability.use
        self.yielding = Yielding(durability.use)
        self.drafts: Final = drafts
        self.space: Final = space
        self.clock: Final = clock
        self.make_scratch: Final = make_scratch
        self.randomness: Final = randomness
        self.settings = settings
        self.invalidation: Invalidation = NothingCached()
        self.on_commit: Callable[[int], None] = lambda _: None
        self.is_open: Callable[[int], bool] = lambda _: False  # by any handle
        self.read_only_reason = ""
        self.keeps_nothing = ""  # why what is done to the store goes with the process
        self.moving: Final = trio.Lock()  # held while blocks move, or packs are removed
        self._marks = 0  # how often anything was marked as unsettled
        self._last_marks: dict[int, int] = {}  # of inodes that are not settled yet
        self.uses_classes = metadata.setting(CLASSES_SETTING) is not None
        self.inspections: Final = Inspections()
        self.agenda: Final = Agenda()
        self.outbox: Final = Outbox(metadata)
        self.arriving: Final[dict[int, Block]] = {}  # from a source; no fact knows of them yet
        self.arriving_keys: Final[dict[int, bytes]] = {}  # the same of keys, wrapped, by number
        self._last_ino = counters.ino
        self._last_stamp_ns = counters.stamp_ns
        # Never repeats one of an earlier mount, be its draft still here or only in the journal.
        self._last_draft_id = max([counters.stamp_ns, *[d.draft_id for d in drafts.values()]])

    def apply(self, changes: Sequence[Change], *, ended_draft: int = 0) -> None:
        """All changes are visible, or (on an error) none is.

        Raises:
            StoreFull: no space; nothing was changed.
            StoreReadOnly: after a failed sync, or a bug.
        """
        if self.read_only_reason:
            raise StoreReadOnly(self.read_only_reason)
        if self.agenda.is_kept:
            changes = self.agenda.with_rows(changes, self.expiry_ns())
        if self.outbox.is_kept:
            changes = self.outbox.with_tasks(changes, self.now_ns())
        self.durability.apply(changes, ended_draft=ended_draft)

    def note(self, note: Note) -> None:
        """The ledger will say so; survives a killed process after the next flush."""
        self.durability.note(note)

    def note_if_over(self, lock: Lock | None) -> None:
        """The ledger will say by which instant the retention, if there was one, is over now."""
        retention = None if lock is None else lock.retention
        expiry_ns = self.expiry_ns()
        if retention is not None and retention.until_ns <= expiry_ns:
            self.note(ClockShown(self.now_ns(), expiry_ns))

    def check_writable(self) -> None:
        """The store may be changed.

        Raises:
            StoreReadOnly: it is mounted read-only, or went read-only after a fault.
            TooFewZones: until some come back.
        """
        if self.read_only_reason:
            raise StoreReadOnly(self.read_only_reason)
        self.durability.check_writable()

    def mark_unsettled(self, ino: int) -> Change:
        """The change that says: blocks of the inode may lie elsewhere than they belong."""
        self._marks += 1
        self._last_marks[ino] = self._marks
        return MarkUnsettled(ino)

    def last_mark(self, ino: int) -> int:
        """The number of the last `mark_unsettled` of the inode; 0 for none since it was settled."""
        return self._last_marks.get(ino, 0)

    def note_settled(self, inos: Sequence[int]) -> None:
        """The blocks of these inodes lie where they belong, as of their last marks."""
        for ino in inos:
            self._last_marks.pop(ino, None)
        if inos:
            self.apply([MarkSettled(ino) for ino in inos])

    def note_classes(self) -> list[Change]:
        """The changes that go with the first class other than STANDARD in the store."""
        if self.uses_classes:
            return []
        self.uses_classes = True
        return [PutSetting(CLASSES_SETTING, "true")]

    def stamp(self) -> int:
        """The instant of a new transaction: later than every one before."""
        self._last_stamp_ns = max(self.clock.now_ns(), self._last_stamp_ns + 1)
        return self._last_stamp_ns

    def follow(self, stamp_ns: int) -> None:
        """Another store's instant is part of the history here: what comes is later than it."""
        self._last_stamp_ns = max(self._last_stamp_ns, stamp_ns)

    def now_ns(self) -> int:
        """The present instant for times and locks; not before the last stamp."""
        return max(self.clock.now_ns(), self._last_stamp_ns)

    def expiry_ns(self) -> int:
        """The instant by which locks end and anything expires: never after `now_ns`.

        Stands still while the date is in doubt, and lags behind it by the time nobody measured.
        """
        expiry_ns, clock_ns = self.clock.expiry_ns(), self.clock.now_ns()
        is_ahead = self._last_stamp_ns > clock_ns + SECOND_NS  # of another store's clock
        return expiry_ns if is_ahead or expiry_ns != clock_ns else self.now_ns()

    def salt(self, stamp_ns: int) -> int:
        """The second half of the id of the version that is committed then."""
        return salt_of(stamp_ns, self.randomness.bits(RANDOM_BITS))

    def new_ino(self) -> int:
        """A number no inode ever had."""
        self._last_ino += 1
        return self._last_ino

    @property
    def last_ino(self) -> int:
        """The highest inode number ever used."""
        return self._last_ino

    def new_draft_id(self) -> int:
        """A number no draft ever had."""
        self._last_draft_id += 1
        return self._last_draft_id

    def inode(self, ino: int) -> Inode:
        """The inode's row.

        Raises:
            StaleInode: there is none any more.
        """
        inode = self.metadata.inode(ino)
        if inode is None:
            raise StaleInode(f"inode {ino}")
        return inode

    def uncommitted_block(self, block_id: int) -> Block | None:
        """A block that only a draft knows so far."""
        for draft in self.drafts.values():
            block = draft.blocks.get(block_id)
            if block is not None:
                return block
        return None

    def unrecorded_packs(self) -> set[int]:
        """Packs with blocks that no fact knows of yet: of drafts, and such as are arriving."""
        drafts = self.drafts.values()
        packs = {block.pack_id for draft in drafts for block in draft.blocks.values()}
        return packs | {block.pack_id for block in self.arriving.values()}

    def directory(self, ino: int) -> Inode:
        """The inode's row, a directory that is alive.

        Raises:
            NotADirectory: it is something else.
            StaleInode: it is gone.
        """
        inode = self.inode(ino)
        if not inode.is_directory:
            raise NotADirectory(f"inode {ino}")
        return inode
