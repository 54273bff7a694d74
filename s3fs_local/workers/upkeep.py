"""What an open store does by itself: flush, catch up, checkpoint files, leave old segments."""

import logging
from math import inf
from typing import Final

import trio

from s3fs_local.engine.durability import SEGMENT_BYTES_MAX, Checkpointing, Durability, run_in_thread
from s3fs_local.engine.filesystem import FileSystem
from s3fs_local.engine.use import Sleeper
from s3fs_local.errors import (
    DataDamaged,
    EncryptionError,
    StorageError,
    StoreFull,
    StoreReadOnly,
    TooFewZones,
)
from s3fs_local.rules.instants import SECOND_NS
from s3fs_local.rules.ledger_notes import ClockNoted
from s3fs_local.rules.versioning import Origin

logger = logging.getLogger(__name__)

WAL_BYTES_MAX: Final = 64 << 20
"""The metadata engine's log beyond this is folded into its database."""
SETTLE_INTERVAL_NS: Final = 10 * SECOND_NS
"""How far the facts may lag behind the journal while there is little to do."""


class Upkeep:
    """The background task of one open store. Takes small steps; a full disk does not end it."""

    def __init__(self, filesystem: FileSystem, checkpointing: Checkpointing) -> None:
        self._filesystem = filesystem
        self._volume = filesystem.volume
        self._durability: Durability = filesystem.volume.durability
        self._checkpointing = checkpointing
        self._settled_ns = 0  # by the event loop's clock
        self._complained = False
        self._sleeper = Sleeper(filesystem.volume.use)

    async def run(self) -> None:
        """Never returns; cancel it. What was not flushed yet is for `Durability.close`."""
        while True:
            await self._sleep()
            self._watch_clock()
            try:
                self._lock_due()
                if self._durability.is_settled and not self._volume.drafts:
                    continue
                await self._step()
                self._complained = False
            except (StoreFull, StoreReadOnly, TooFewZones) as error:
                self._complain(error)
            except StorageError as error:
                self._volume.read_only_reason = str(error)
                self._complain(error)

    async def _sleep(self) -> None:
        """Until there may be something to flush, or something is due by itself."""
        seconds = self._volume.settings.flush_interval_ns / SECOND_NS
        if self._durability.is_settled:
            await self._sleeper.sleep(seconds, at_most=self._seconds_until_due())
        else:
            await trio.sleep(seconds)

    def _seconds_until_due(self) -> float:
        """How long until a file gets a checkpoint or takes its lock, if nobody does anything."""
        settings = self._volume.settings
        due_ns = []
        if settings.checkpoint_interval_ns:
            began_ns = [draft.since_ns for draft in self._volume.drafts.values()]
            due_ns = [each + settings.checkpoint_interval_ns for each in began_ns]
        locks_ns = self._filesystem.locks.pending.next_ns if settings.object_lock else None
        if locks_ns is not None:
            due_ns.append(locks_ns)
        now_ns = self._volume.now_ns()
        return min([(each - now_ns) / SECOND_NS for each in due_ns], default=inf)

    def _watch_clock(self) -> None:
        """The log and the ledger say when the date comes into doubt, and out of it."""
        clock = self._volume.clock
        if not clock.check():
            return
        finding = (
            "the machine's date was changed: no lock ends until it is right again"
            if clock.in_doubt
            else "the machine's date agrees with the time that passed again"
        )
        logger.warning("%s", finding)
        self._volume.note(ClockNoted(self._volume.now_ns(), finding))

    def _complain(self, error: Exception) -> None:
        if not self._complained:
            logger.error("cannot keep up with what is written: %s", error)
        self._complained = True

    async def _step(self) -> None:
        await self._durability.flush(durable=False)
        self._checkpoint_drafts()
        now_ns = round(trio.current_time() * SECOND_NS)
        if self._durability.commit_is_due or now_ns - self._settled_ns >= SETTLE_INTERVAL_NS:
            await self._durability.settle()
            self._settled_ns = now_ns
        if self._durability.segment_bytes >= SEGMENT_BYTES_MAX:
            await self._durability.leave_segment_behind(self._checkpointing)
        elif self._checkpointing.wal_bytes >= WAL_BYTES_MAX:
            await run_in_thread(self._checkpointing.checkpoint)

    def _lock_due(self) -> None:
        """Files that nobody has written to for long enough take their lock."""
        if self._volume.settings.object_lock and not self._volume.read_only_reason:
            self._filesystem.locks.pending.lock_due()

    def _checkpoint_drafts(self) -> None:
        """A file that stays open and dirty has a version every few minutes.

        One that cannot have it now stays in the journal, and keeps no other from being safe.
        """
        interval_ns = self._volume.settings.checkpoint_interval_ns
        if not interval_ns or self._volume.read_only_reason:
            return
        now_ns = self._volume.now_ns()
        for ino, draft in list(self._volume.drafts.items()):
            if now_ns - draft.since_ns < interval_ns:
                continue
            inode = self._volume.metadata.inode(ino)
            draft.since_ns = now_ns
            try:
                if inode is not None and inode.nlink:
                    self._filesystem.writing.commit(ino, origin=Origin.CHECKPOINT)
            except (StoreFull, DataDamaged, EncryptionError, TooFewZones) as error:
                logger.warning("inode %d gets no checkpoint now: %s", ino, error)
