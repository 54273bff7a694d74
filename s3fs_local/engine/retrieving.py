"""Retrieving archived versions for a while (`rules/retrieval.py` has the rules).

A request is a fact of the version, and from then on its blocks belong where STANDARD is. When its
time has come and they are there, the version is readable until the copy expires. Blocks that expire
go back in the same way.
"""

from collections.abc import Mapping
from typing import Final

import trio
from msgspec import structs

from s3fs_local.engine.classes import Classes
from s3fs_local.engine.pace import AT_ONCE, Pace
from s3fs_local.engine.settling import Settling
from s3fs_local.engine.volume import Volume
from s3fs_local.errors import NoSuchVersion, NotPermitted, WouldWait, ZoneUnavailable
from s3fs_local.metadata.changes import PutVersion
from s3fs_local.rules.inode import Caller
from s3fs_local.rules.retrieval import RetrievalTier, plan_retrieval, retrieved
from s3fs_local.rules.versioning import Version

WAITING_MAX: Final = 10_000
"""So many readers may wait for archives at a time; each takes some KiB of memory."""
LOOK_AGAIN_S: Final = 5.0
WAITING_DAYS: Final = 1
"""How long a copy stays that a waiting reader asked for."""


class Retrieving:
    """Retrieves and expires copies, for one volume."""

    def __init__(self, volume: Volume, classes: Classes, settling: Settling) -> None:
        self._volume = volume
        self._classes = classes
        self._settling = settling
        self._waiting: dict[tuple[int, int], trio.Event] = {}
        self._waiting_count = 0
        self.wanted = trio.Event()  # set when something was asked for; the worker replaces it

    def request(
        self, ino: int, stamp_ns: int, *, days: int, tier: RetrievalTier, caller: Caller
    ) -> Version:
        """The version is being retrieved, or stays for longer (S3's RestoreObject).

        Raises:
            NotPermitted: the caller is neither the owner nor root.
            NotArchived, RetrievalRunning, InvalidArgument: see `plan_retrieval`.
            NoSuchVersion: it is gone.
        """
        if caller.uid not in (0, self._volume.inode(ino).uid):
            raise NotPermitted("only the owner and root may retrieve from an archive")
        return self._request(ino, stamp_ns, days=days, tier=tier)

    def _request(self, ino: int, stamp_ns: int, *, days: int, tier: RetrievalTier) -> Version:
        version = self._version(ino, stamp_ns)
        retrieval = plan_retrieval(
            version.storage_class,
            version.retrieval,
            days=days,
            tier=tier,
            now_ns=self._volume.now_ns(),
            delays_ns=self._delays(),
        )
        version = structs.replace(version, retrieval=retrieval)
        self._classes.put_version(version)
        self.wanted.set()
        return version

    def _version(self, ino: int, stamp_ns: int) -> Version:
        version = self._volume.metadata.version(ino, stamp_ns)
        if version is None:
            raise NoSuchVersion("the version was purged")
        return version

    def _delays(self) -> Mapping[RetrievalTier, int]:
        settings = self._volume.settings
        return {
            RetrievalTier.EXPEDITED: settings.expedited_delay_ns,
            RetrievalTier.STANDARD: settings.standard_delay_ns,
            RetrievalTier.BULK: settings.bulk_delay_ns,
        }

    async def advance_all(self, pace: Pace) -> None:
        """Retrievals whose time has come are done, copies whose days are over are gone.

        Raises as `Settling.settle`. One that waits for a zone keeps no other from its turn.
        """
        failure: ZoneUnavailable | None = None
        for version in self._volume.metadata.retrievals():
            try:
                await self.advance(version.ino, version.stamp_ns, pace)
            except ZoneUnavailable as error:
                failure = error
        if failure is not None:
            raise failure

    async def advance(self, ino: int, stamp_ns: int, pace: Pace = AT_ONCE) -> None:
        """What is due for this version is done. Raises as `Settling.settle`."""
        now_ns = self._volume.now_ns()
        version = self._volume.metadata.version(ino, stamp_ns)
        if version is None or version.retrieval is None:
            return
        retrieval = version.retrieval
        if retrieval.expires_ns:
            if self._volume.expiry_ns() >= retrieval.expires_ns:  # no false date ends it
                self._classes.put_version(structs.replace(version, retrieval=None))
                self._volume.invalidation.inode(ino)
            return
        if now_ns < retrieval.ready_ns:
            return
        is_waited_for = (ino, stamp_ns) in self._waiting
        await self._settling.settle(ino, pace.waited_for() if is_waited_for else pace)
        present = self._volume.metadata.version(ino, stamp_ns)
        if present is not None and present.retrieval == retrieval:
            done = retrieved(retrieval, self._volume.now_ns())
            self._volume.apply([PutVersion(structs.replace(present, retrieval=done))])
            self._volume.invalidation.inode(ino)
            waited_for = self._waiting.pop((ino, stamp_ns), None)
            if waited_for is not None:
                waited_for.set()

    def due_in_ns(self) -> int | None:
        """How long until `advance_all` has something to do, as far as is known; None for ever."""
        now_ns, expiry_ns = self._volume.now_ns(), self._volume.expiry_ns()
        found = [version.retrieval for version in self._volume.metadata.retrievals()]
        waits = [
            each.expires_ns - expiry_ns if each.expires_ns else each.ready_ns - now_ns
            for each in found
            if each is not None
        ]
        return min(waits, default=None)

    def ongoing(self) -> list[Version]:
        """The versions that are being retrieved now."""
        found = self._volume.metadata.retrievals()
        return [v for v in found if v.retrieval is not None and not v.retrieval.expires_ns]

    async def until_readable(self, ino: int, stamp_ns: int, *, may_wait: bool) -> None:
        """The version can be read: it was retrieved for whoever opens it.

        Raises:
            WouldWait: it is asked for, but this reader cannot wait, or too many wait already.
            NoSuchVersion: it was purged meanwhile.
        """
        is_archived = self._asked_for(ino, stamp_ns)
        if not may_wait or self._waiting_count >= WAITING_MAX:
            raise WouldWait("the version is being retrieved")
        self._waiting_count += 1
        try:
            while is_archived:
                done = self._waiting.get((ino, stamp_ns))
                if done is None:
                    await self._wait_for_all(ino, stamp_ns)
                else:
                    await done.wait()
                is_archived = self._asked_for(ino, stamp_ns)
        finally:
            self._waiting_count -= 1

    def _asked_for(self, ino: int, stamp_ns: int) -> bool:
        """Whether the version is archived; then it is being retrieved. Raises NoSuchVersion."""
        version = self._version(ino, stamp_ns)
        if version.is_archived and version.retrieval is None:
            self._request(ino, stamp_ns, days=WAITING_DAYS, tier=RetrievalTier.STANDARD)
        return version.is_archived

    async def _wait_for_all(self, ino: int, stamp_ns: int) -> None:
        """The version is there, or purged; till then one reader looks, and the others sleep."""
        done = self._waiting[ino, stamp_ns] = trio.Event()
        try:
            while not done.is_set() and self._asked_for(ino, stamp_ns):
                with trio.move_on_after(LOOK_AGAIN_S):  # it may be purged, or leave the archive
                    await done.wait()
        finally:  # interrupted, perhaps: then another looks
            if self._waiting.get((ino, stamp_ns)) is done:
                del self._waiting[ino, stamp_ns]
            done.set()
