"""Following: what the tasks name is told, destination by destination, as long as the store is open.

Each destination has its turn by itself, so one that hangs holds up nobody else. What is there when
a batch begins goes with it; meanwhile the next gathers. A destination that does not answer is asked
again, ever less often (`rules.replication.backoff_ns`), and what it should get stays PENDING.
"""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final, Protocol

import trio

from s3fs_local.engine.durability import run_in_thread
from s3fs_local.engine.filesystem import FileSystem
from s3fs_local.engine.pace import Pace
from s3fs_local.engine.replica_origins import Origins
from s3fs_local.engine.replication import TASKS_A_STEP, Progress
from s3fs_local.engine.replication_messages import List, Listed, Listing
from s3fs_local.engine.replication_sending import Link, Sender
from s3fs_local.engine.use import Sleeper
from s3fs_local.errors import (
    DestinationRefused,
    DestinationUnreachable,
    S3fsLocalError,
)
from s3fs_local.rules.instants import SECOND_NS
from s3fs_local.rules.remotes import Remote
from s3fs_local.rules.replication import (
    UNDECIDED,
    Reason,
    Task,
    backoff_ns,
    seconds_late,
)

logger = logging.getLogger(__name__)

GATHER_SECONDS: Final = 0.2
"""So long what changes is gathered before a batch begins."""
IDLE_SECONDS: Final = 5.0
"""A destination to which nothing was told for so long is let go."""
LOOK_SECONDS: Final = 1.0
REFUSED_SECONDS: Final = 30.0
LISTING: Final = 512
BATCH: Final = 64
"""Tasks a batch: a kill costs no more than telling these again."""


class Refused(Exception):
    """The destination takes nothing; a reason of S3's where it never will by itself."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Connect(Protocol):
    """Opens the way to a remote; the other side has said Welcome.

    Raises DestinationUnreachable, or `Refused`.
    """

    def __call__(
        self, remote: Remote, *, greets: bool = True, expects: str = ""
    ) -> AbstractAsyncContextManager[Link]:
        """The link, for the time of a block; without a greeting only lists may be asked for.

        `expects` is the id of the store that must be there, if that is known.
        """
        ...


class Following:
    """Tells all destinations of one open store."""

    def __init__(self, filesystem: FileSystem, store_id: bytes, connect: Connect) -> None:
        self._filesystem = filesystem
        self._volume = filesystem.volume
        self._replication = filesystem.replication
        self.origins: Final = Origins(filesystem.volume.metadata, store_id)
        self.is_running = False  # by `run`
        self._connect = connect
        self._changed = trio.Event()
        self._volume.outbox.on_task = self.wake

    def wake(self) -> None:
        """There is something to look at."""
        self._changed.set()
        self._changed = trio.Event()

    async def run(self) -> None:
        """Never returns; cancel it."""
        self.is_running = True
        running: set[str] = set()
        sleeper, turn = Sleeper(self._volume.use), self._volume.yielding.turn()
        async with trio.open_nursery() as nursery:
            while True:
                await self._decide()
                self._watch_thresholds()
                turn.begin()
                while self._replication.abandon():
                    await turn.over()
                for destination in self._replication.destinations:
                    if destination not in running:
                        running.add(destination)
                        nursery.start_soon(self._follow, destination, running)
                await self._rest(sleeper)

    async def _rest(self, sleeper: Sleeper) -> None:
        """Until there may be something to tell."""
        destinations = self._replication.destinations
        if any(self._volume.metadata.tasks(each, 1) for each in destinations):
            await self._wait(LOOK_SECONDS)
        else:
            await sleeper.sleep(LOOK_SECONDS, unless=self._gather)

    async def _gather(self) -> None:
        await self._changed.wait()
        await trio.sleep(GATHER_SECONDS)

    async def _wait(self, seconds: float) -> None:
        with trio.move_on_after(seconds):
            await self._gather()

    def _late_s(self) -> float:
        """How long rules were not asked yet about the first change that waits for it."""
        undecided = self._volume.metadata.tasks(UNDECIDED, 1)
        return seconds_late(undecided, self._volume.now_ns())

    async def _decide(self) -> None:
        if self._volume.read_only_reason:
            return
        turn = self._volume.yielding.turn(self._late_s)
        while self._replication.decide():
            await turn.over()

    async def _follow(self, destination: str, running: set[str]) -> None:
        """Tells one destination, until no rule names it."""
        sleeper = Sleeper(self._volume.use)
        try:
            while destination in self._replication.destinations:
                if not self._volume.metadata.tasks(destination, 1):
                    await sleeper.sleep(LOOK_SECONDS, unless=self._gather)
                    continue
                try:
                    await self._tell(destination, stays=True)
                except S3fsLocalError as error:
                    seconds = self._note_failure(destination, error)
                    await self._pause(seconds)
        finally:
            running.discard(destination)

    async def _pause(self, seconds: float) -> None:
        """Changes do not end it: an outage must not cost an attempt a change."""
        await trio.sleep(seconds)

    def _note_failure(self, destination: str, error: S3fsLocalError) -> float:
        progress = self._progress(destination)
        progress.failures += 1
        progress.message = str(error)
        is_refused = isinstance(error, DestinationRefused)
        progress.state = "refused" if is_refused else "unreachable"
        if progress.failures == 1:
            logger.warning("replication to %s waits: %s", destination, error)
        return REFUSED_SECONDS if is_refused else backoff_ns(progress.failures) / SECOND_NS

    def _progress(self, destination: str) -> Progress:
        return self._replication.progress.setdefault(destination, Progress())

    async def greet(self, remote: Remote) -> str:
        """The remote takes what it would be told; the id of its store.

        Raises:
            DestinationUnreachable, DestinationRefused.
        """
        try:
            async with self._connect(remote) as link:
                return link.store
        except Refused as refused:
            raise DestinationRefused(str(refused)) from refused

    @asynccontextmanager
    async def listing(self, remote: Remote) -> AsyncIterator[AsyncIterator[Listed]]:
        """Every file of the remote, for the time of the block.

        Raises:
            DestinationUnreachable.
        """
        async with self._connect(remote, greets=False) as link:
            yield _listed(link)

    async def check_answers(self, destination: str) -> None:
        """The destination would take now what is pending for it; nothing is told.

        Raises:
            DestinationUnreachable, DestinationRefused.
        """
        remote = self._volume.settings.remotes.get(destination)
        if remote is None:
            return  # then what is pending fails by itself
        try:
            async with self._connect(remote, expects=self._replication.store_of(destination)):
                pass
        except Refused as refused:
            raise DestinationRefused(f"{destination} ({remote.path}): {refused}") from refused

    async def drain(self, told: Callable[[int], object] = lambda _: None) -> None:
        """Everything that is pending was told.

        Raises:
            DestinationUnreachable, DestinationRefused: of a destination; the rest was told.
        """
        await self._decide()
        failure: S3fsLocalError | None = None
        for destination in self._replication.destinations:
            try:
                await self._tell(destination, stays=False, told=told)
            except S3fsLocalError as error:
                self._note_failure(destination, error)
                failure = error
        if failure is not None:
            raise failure

    async def _tell(
        self,
        destination: str,
        *,
        stays: bool,
        told: Callable[[int], object] = lambda _: None,
    ) -> None:
        """What is pending was told, and (`stays`) what came until nothing came for a while."""
        remote = self._volume.settings.remotes.get(destination)
        if remote is None:
            await self._fail_all(destination, Reason.DST_BUCKET_NOT_FOUND)
            return
        if not self._volume.metadata.tasks(destination, 1):
            return
        try:
            expects = self._replication.store_of(destination)
            async with self._connect(remote, expects=expects) as link:
                progress = self._progress(destination)
                progress.state, progress.message, progress.failures = "telling", "", 0
                await self._tell_over(link, destination, progress, stays=stays, told=told)
                progress.state = "idle"
        except Refused as refused:
            if refused.reason:
                await self._fail_all(destination, refused.reason)
            raise DestinationRefused(f"{destination} ({remote.path}): {refused}") from refused

    async def _tell_over(
        self,
        link: Link,
        destination: str,
        progress: Progress,
        *,
        stays: bool,
        told: Callable[[int], object],
    ) -> None:
        sender = Sender(
            self._filesystem,
            self._replication,
            self.origins,
            destination=destination,
            link=link,
            run_blocking=run_in_thread,
            pace=Pace(self._volume.settings.background_rate_bytes if stays else 0),
        )
        while True:
            await self._decide()
            tasks = self._volume.metadata.tasks(destination, BATCH)
            if not tasks:
                if not stays or not await self._more_comes(destination):
                    return
                continue
            sent = await sender.send(tasks)
            self._note_sent(progress, tasks, sent.bytes)
            told(len(tasks))

    async def _more_comes(self, destination: str) -> bool:
        """Whether there is something to tell within a while."""
        with trio.move_on_after(IDLE_SECONDS):
            while not self._volume.metadata.tasks(destination, 1):
                await self._wait(LOOK_SECONDS)
                await self._decide()
        return bool(self._volume.metadata.tasks(destination, 1))

    def _note_sent(self, progress: Progress, tasks: list[Task], size: int) -> None:
        now_ns = self._volume.now_ns()
        progress.operations += len(tasks)
        progress.bytes += size
        progress.last_ns = now_ns
        for task in tasks:
            rule = self._replication.rule(task.rule)
            lag_ns = now_ns - task.since_ns
            if rule is not None and rule.threshold_ns and lag_ns > rule.threshold_ns:
                progress.late += 1
                logger.warning(
                    "s3:Replication:OperationReplicatedAfterThreshold: rule %s, inode %d, %.0f s",
                    *(task.rule, task.ino, lag_ns / SECOND_NS),
                )

    def _watch_thresholds(self) -> None:
        """S3's event for what is later than its rule allows, once for each time it comes to that.

        S3 tells of each object; here a rule is told of, with their number in `status`.
        """
        now_ns = self._volume.now_ns()
        missed = set()
        for row in self._volume.metadata.backlog():
            rule = self._replication.rule(row.rule)
            if row.failed or rule is None or not rule.threshold_ns:
                continue
            if row.lag_ns(now_ns) > rule.threshold_ns:
                missed.add((row.destination, row.rule))
        for destination, rule_id in missed - self._replication.missed:
            logger.warning(
                "s3:Replication:OperationMissedThreshold: rule %s to %s", rule_id, destination
            )
        self._replication.missed = missed

    async def _fail_all(self, destination: str, reason: str) -> None:
        """What is pending for the destination will not be told by itself (S3: FAILED)."""
        turn = self._volume.yielding.turn()
        while tasks := self._volume.metadata.tasks(destination, TASKS_A_STEP):
            for task in tasks:
                self._replication.fail(task, str(reason))
            await turn.over()
        progress = self._progress(destination)
        progress.state, progress.message = "refused", str(reason)


async def _listed(link: Link) -> AsyncIterator[Listed]:
    after = 0
    while True:
        reply = await link.ask(List(after, LISTING))
        if not isinstance(reply, Listing) or not reply.files:
            return
        for one in reply.files:
            yield one
        after = reply.files[-1].ino


def unreachable(path: str, why: object) -> DestinationUnreachable:
    """The error for a destination that cannot be opened now."""
    return DestinationUnreachable(f"the store {path} does not answer: {why}")
