"""The worker that makes a mounted store follow its lifecycle rules, every day, without haste."""

import logging
from typing import Final

import trio

from s3fs_local.engine.compaction import DEAD_SHARE_OF_WORKER, collect_garbage
from s3fs_local.engine.filesystem import FileSystem
from s3fs_local.engine.pace import Pace
from s3fs_local.engine.use import beat_after
from s3fs_local.errors import S3fsLocalError

logger = logging.getLogger(__name__)

CHECK_SECONDS: Final = 30.0
"""How soon after midnight a run begins, at the latest; and a beat."""


class Gently:
    """A `Rest` of so many keys a second, and of longer pauses where programs use the mount."""

    def __init__(self, filesystem: FileSystem) -> None:
        self._filesystem = filesystem
        self._turn = filesystem.volume.yielding.turn()

    async def after(self, keys: int) -> None:
        """See `Rest`."""
        rate = self._filesystem.volume.settings.lifecycle_rate
        with self._turn.waiting():
            await trio.sleep(keys / rate)
        await self._turn.over()


class Tiering:
    """The background task of one mounted store. A full disk does not end it."""

    def __init__(self, filesystem: FileSystem) -> None:
        self._filesystem = filesystem
        self._runs = filesystem.lifecycle

    async def run(self) -> None:
        """Never returns; cancel it. A run that is cut off goes on at the next mount."""
        while True:
            await trio.sleep_until(beat_after(CHECK_SECONDS))
            if not self._filesystem.volume.read_only_reason:
                await self.run_if_due()

    async def run_if_due(self) -> None:
        """The day's run was made, if it had not been, and the space of what went is free."""
        if not self._runs.is_due():
            return
        try:
            run = await self._runs.run(Gently(self._filesystem))
            pace = Pace(self._filesystem.volume.settings.background_rate_bytes)
            try:
                if run.moved.items:
                    await self._filesystem.settling.settle_all(pace)
            finally:  # what could not be moved may lack the room
                if run.freed:
                    await collect_garbage(
                        self._filesystem,
                        dry_run=False,
                        dead_share=DEAD_SHARE_OF_WORKER,
                        removes_orphans=False,
                        pace=pace,
                    )
        except S3fsLocalError as error:
            logger.error("lifecycle goes on when it can: %s", error)  # noqa: TRY400 - expected
        else:
            logger.info(
                "lifecycle looked at %d keys: moved %d, removed %d, markers %d, held %d",
                *(run.keys, run.moved.items, run.expired.items),
                *(run.markers_added, run.held.items),
            )
