"""What an open store does for its storage classes by itself: small steps, at a bounded rate.

Blocks go to where they belong, retrievals come and expire, what nobody reads grows colder, packs
become shares where their class wants it, and those that are mostly dead are emptied. Each step
looks at what is due by an index and can be cut off at any point; nothing needs to be remembered for
the next one.
"""

import logging
from collections.abc import Awaitable, Callable
from math import inf
from typing import Final

import trio

from s3fs_local.engine.compaction import DEAD_SHARE_OF_WORKER, collect_garbage
from s3fs_local.engine.filesystem import FileSystem
from s3fs_local.engine.pace import Pace
from s3fs_local.engine.use import Sleeper
from s3fs_local.errors import S3fsLocalError, StoreReadOnly
from s3fs_local.rules.instants import SECOND_NS

logger = logging.getLogger(__name__)

LOOK_S: Final = 1.0
READS_S: Final = 10.0
"""How much reading a killed daemon may forget."""
TIERS_S: Final = 60.0
FORMS_S: Final = 60.0
GARBAGE_S: Final = 3600.0
BACK_OFF_S: Final = 60.0
"""After a step that failed: a full disk or a missing zone does not mend itself in a second."""


class Tending:
    """The background task of one open store."""

    def __init__(self, filesystem: FileSystem) -> None:
        self._filesystem = filesystem
        self._volume = filesystem.volume
        self._due_s: dict[str, float] = {}  # by the event loop's clock
        self.failure = ""  # of the last step, for `status`
        self._sleeper = Sleeper(self._volume.use)

    async def run(self) -> None:
        """Never returns; cancel it."""
        while True:
            await self._sleep()
            if self._volume.read_only_reason:
                continue
            try:
                await self.step()
                self.failure = ""
            except StoreReadOnly:
                continue
            except S3fsLocalError as error:
                if str(error) != self.failure:
                    logger.warning("storage classes wait: %s", error)
                self.failure = str(error)
                with trio.move_on_after(BACK_OFF_S):
                    await self._wanted()

    async def _sleep(self) -> None:
        """Until something may be due, or a retrieval was asked for."""
        due_in_ns = self._filesystem.retrieving.due_in_ns()
        at_most = inf if due_in_ns is None else due_in_ns / SECOND_NS
        await self._sleeper.sleep(LOOK_S, at_most=at_most, unless=self._wanted)

    async def _wanted(self) -> None:
        retrieving = self._filesystem.retrieving
        await retrieving.wanted.wait()
        retrieving.wanted = trio.Event()

    async def step(self) -> None:
        """Whatever is due now is done, each by itself: what has to wait keeps nothing else.

        Raises:
            S3fsLocalError: the first of what could not be.
        """
        filesystem = self._filesystem
        pace = Pace(self._volume.settings.background_rate_bytes)
        acts: list[Callable[[], Awaitable[None]]] = [
            lambda: self._every("reads", READS_S, self._apply_reads),
            lambda: self._every("tiers", TIERS_S, self._move_tiers),
            lambda: filesystem.retrieving.advance_all(pace),
            lambda: filesystem.settling.settle_all(pace),
            lambda: self._every("garbage", GARBAGE_S, lambda: self._collect(pace)),  # makes room
            lambda: self._every("forms", FORMS_S, lambda: self._form_packs(pace)),
        ]
        failures: list[S3fsLocalError] = []
        for act in acts:
            try:
                await act()
            except StoreReadOnly:
                raise
            except S3fsLocalError as error:
                failures.append(error)
        if failures:
            raise failures[0]

    async def _every(self, what: str, seconds: float, act: Callable[[], Awaitable[None]]) -> None:
        """It is done, unless it was less than `seconds` ago; the first time after so long."""
        now_s = trio.current_time()
        if now_s >= self._due_s.setdefault(what, now_s + seconds):
            self._due_s[what] = now_s + seconds
            await act()

    async def _apply_reads(self) -> None:
        self._filesystem.classes.apply_reads()

    async def _move_tiers(self) -> None:
        turn = self._volume.yielding.turn()
        while self._filesystem.classes.move_tiers():
            await turn.over()

    async def _form_packs(self, pace: Pace) -> None:
        formed = await self._filesystem.pack_coding.run(pace)
        if formed.coded or formed.restored:
            logger.info(
                "%d packs are shares now, %d are copies again", formed.coded, formed.restored
            )

    async def _collect(self, pace: Pace) -> None:
        # Without orphans: should the facts have come back older, they may be all there is.
        garbage = await collect_garbage(
            self._filesystem,
            dry_run=False,
            dead_share=DEAD_SHARE_OF_WORKER,
            removes_orphans=False,
            pace=pace,
        )
        if garbage.packs:
            logger.info("freed %d bytes in %d packs", garbage.bytes, garbage.packs)
