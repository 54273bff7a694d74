"""Another region in memory, which a simulated store tells of what happens, and the way there."""

import itertools
from collections.abc import Callable
from functools import partial
from typing import Final

from s3fs_local.engine.filesystem import FileSystem
from s3fs_local.engine.replica_origins import Origins
from s3fs_local.engine.replica_receiving import Receiver
from s3fs_local.engine.replication_messages import Message, Reply
from s3fs_local.engine.replication_sending import Sender
from s3fs_local.errors import DestinationUnreachable
from s3fs_local.rules.replication_validation import read_replication
from tests.engine.memory_store import MemoryStore
from tests.engine.replicated import HERE, THERE, LocalLink
from tests.replication_rules import document, rule
from tests.simulation.background import Background

DESTINATION: Final = "west"
BATCHES: Final = (2, 16, 1)
"""So many tasks a telling sends at a time, in turn: what is told apart is found apart."""


class SimulatedLink(LocalLink):
    """The way, along which others go on between two messages, and at whose end one may die."""

    def __init__(
        self, receiver: Receiver, background: Background, keep_time: Callable[[], None]
    ) -> None:
        super().__init__(receiver)
        self._background = background
        self._keep_time = keep_time
        self.is_over = False

    async def ask(self, message: Message) -> Reply:
        """See `Link`."""
        await self._go()
        return await super().ask(message)

    async def tell(self, message: Message) -> None:
        """See `Link`."""
        await self._go()
        await super().tell(message)

    async def _go(self) -> None:
        await self._background.run_blocking(lambda: None)
        self._keep_time()
        if self.is_over:
            raise DestinationUnreachable("nobody is there any more")


class Region:
    """The destination, and who tells it."""

    def __init__(self, background: Background) -> None:
        self._background = background
        self.store = MemoryStore(object_lock="true")
        self._link: SimulatedLink | None = None
        self._breaks_after: int | None = None
        self._batches = itertools.cycle(BATCHES)

    @staticmethod
    def follow(source: FileSystem) -> None:
        """Whatever happens in the source from now on is told."""
        numbers = itertools.count(1)
        data = document(rule())
        source.replication.put(read_replication(data, new_id=lambda: next(numbers)))

    async def tell(self, source: FileSystem) -> None:
        """All that is pending was told, or the way broke."""
        batch = next(self._batches)
        keep_time = partial(self._keep_time, source)
        keep_time()
        receiver = Receiver(self.store.fs, THERE)
        receiver.begin(HERE)
        link = self._link = SimulatedLink(receiver, self._background, keep_time)
        link.breaks_after, self._breaks_after = self._breaks_after, None
        sender = Sender(
            source,
            source.replication,
            Origins(source.volume.metadata, HERE),
            destination=DESTINATION,
            link=link,
            run_blocking=self._background.run_blocking,
        )
        try:
            while source.replication.decide():
                pass
            while tasks := source.volume.metadata.tasks(DESTINATION, batch):
                await sender.send(tasks)
        except DestinationUnreachable:
            pass
        finally:
            if not link.is_over:
                receiver.close()

    def _keep_time(self, source: FileSystem) -> None:
        """Days that go by in one region go by in the other."""
        clock = self.store.clock
        clock.advance(max(source.volume.now_ns() - clock.now_ns(), 0))

    def break_way(self, after: int) -> None:
        """The way breaks after so many messages."""
        if self._link is None or self._link.is_over:
            self._breaks_after = after
        else:
            self._link.breaks_after = after

    def die(self) -> None:
        """The process there is killed, and the store opened again."""
        if self._link is not None:
            self._link.is_over = True
        self.store.crash()

    def pending(self, source: FileSystem) -> int:
        """How much has still to be told."""
        return len(source.volume.metadata.tasks(DESTINATION, 1 << 20))
