"""Two stores in memory, one told of the other's changes; the way between them can fail anywhere."""

import itertools
from collections.abc import Awaitable, Callable

import trio

from s3fs_local.engine.replica_origins import Origins
from s3fs_local.engine.replica_receiving import Receiver
from s3fs_local.engine.replication import Replication
from s3fs_local.engine.replication_messages import (
    AskBlocks,
    Block,
    Keep,
    Look,
    Message,
    Reply,
    Settle,
    TakeFile,
    TakeVersion,
    decode_message,
    decode_reply,
    encode,
)
from s3fs_local.engine.replication_sending import Sender
from s3fs_local.errors import DestinationUnreachable
from s3fs_local.rules.replication_validation import read_replication
from tests.engine.memory_store import MemoryStore, at_once
from tests.replication_rules import Json, document

HERE, THERE = b"h" * 16, b"t" * 16


class LocalLink:
    """Hands messages over as bytes; breaks after so many, if it is told to."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self.store = ""
        self.breaks_after: int | None = None
        self.on_block: Callable[[], Awaitable[None]] | None = None  # after each that was taken
        self.carried: list[Message] = []

    def _count(self, message: Message) -> Message:
        if self.breaks_after is not None:
            if not self.breaks_after:
                raise DestinationUnreachable("the link broke")
            self.breaks_after -= 1
        self.carried.append(message)
        return decode_message(encode(message))

    async def ask(self, message: Message) -> Reply:
        """As over a socket."""
        return decode_reply(encode(await self._answer(self._count(message))))

    async def _answer(self, message: Message) -> Reply:
        match message:
            case Look():
                return self._receiver.look(message)
            case AskBlocks():
                return self._receiver.missing(message)
            case Keep():
                return await self._receiver.keep(message)
            case Settle():
                return await self._receiver.settle()
            case _:
                raise AssertionError(message)

    async def tell(self, message: Message) -> None:
        """As over a socket."""
        match self._count(message):
            case Block() as block:
                await self._receiver.take_block(block)
                if self.on_block is not None:
                    await self.on_block()
            case TakeFile() as file:
                self._receiver.take_file(file)
            case TakeVersion() as version:
                self._receiver.take_version(version)
            case other:
                raise AssertionError(other)


class Regions:
    """A source `here` and a destination `there`."""

    def __init__(self, *rules: Json, **settings: str) -> None:
        self.here = MemoryStore(
            None, None, make_zones=None, run_blocking=None, make_clock=None, **settings
        )
        self.there = MemoryStore(
            None, None, make_zones=None, run_blocking=None, make_clock=None, **settings
        )
        self.there.randomness.bits(77)
        self.ids = (HERE, THERE)
        self.batch = 64  # tasks
        self.link: LocalLink
        if rules:
            self.put_rules(*rules)

    @property
    def replication(self) -> Replication:
        """Of the source."""
        return self.here.fs.replication

    def put_rules(self, *rules: Json) -> None:
        """The rules are in force."""
        numbers = itertools.count(1)
        data = document(*rules)
        self.replication.put(read_replication(data, new_id=lambda: next(numbers)))

    def delete_rules(self) -> None:
        """No rule is in force."""
        self.replication.delete()
        while self.replication.abandon():
            pass

    def exchange(self) -> None:
        """The destination is the source from now on, by rules of its own, and the other way."""
        self.here, self.there = self.there, self.here
        self.ids = (self.ids[1], self.ids[0])

    def tell(
        self,
        *,
        breaks_after: int | None = None,
        on_block: Callable[[], Awaitable[None]] | None = None,
        same_time: bool = True,
    ) -> list[Message]:
        """Everything that is pending is told; what was carried.

        `same_time` is False where the destination's clock goes by itself.
        """
        receiver = Receiver(self.there.fs, self.ids[1])
        receiver.begin(self.ids[0])
        if same_time:
            self.there.clock.advance(max(self.here.clock.now_ns() - self.there.clock.now_ns(), 0))
        self.link = LocalLink(receiver)
        self.link.breaks_after = breaks_after
        self.link.on_block = on_block
        try:
            trio.run(self._tell)
        finally:
            receiver.close()
        return self.link.carried

    async def _tell(self) -> None:
        sender = Sender(
            self.here.fs,
            self.replication,
            Origins(self.here.metadata, self.ids[0]),
            destination="west",
            link=self.link,
            run_blocking=at_once,
        )
        while self.replication.decide():
            pass
        while tasks := self.here.metadata.tasks("west", self.batch):
            await sender.send(tasks)

    def pending(self) -> int:
        """How much has still to be told."""
        return len(self.here.metadata.tasks("west", 1 << 20))
