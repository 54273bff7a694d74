"""The destination's end of a connection of replication: messages in, answers out.

A frame is four bytes of length (big endian) and a message of `engine/replication_messages.py`.
"""

import logging

import trio

from s3fs_local import errors
from s3fs_local.control.protocol import HEADER_BYTES, body_length
from s3fs_local.engine.filesystem import FileSystem
from s3fs_local.engine.replica_receiving import Receiver
from s3fs_local.engine.replication_inventory import list_files
from s3fs_local.engine.replication_messages import (
    MESSAGE_BYTES_MAX,
    AskBlocks,
    Block,
    Hello,
    Keep,
    List,
    Look,
    Message,
    Refusal,
    Reply,
    Settle,
    TakeFile,
    TakeVersion,
    Welcome,
    decode_message,
    encode,
)
from s3fs_local.rules.inode import ROOT_INO, Caller

log = logging.getLogger(__name__)


async def receive(
    stream: trio.SocketStream, caller: Caller, filesystem: FileSystem, store_id: bytes
) -> None:
    """Takes what a source tells, until it leaves or the store is promoted."""
    if caller.uid not in {0, filesystem.volume.inode(ROOT_INO).uid}:
        return
    conversation = _Conversation(stream, filesystem, store_id)
    try:
        await conversation.run()
    except errors.S3fsLocalError as error:
        # The source sees the end of the connection, and tells everything again.
        log.warning("what a source told could not be taken: %s", error)
    finally:
        conversation.close()


class _Conversation:
    """One connection."""

    def __init__(self, stream: trio.SocketStream, filesystem: FileSystem, store_id: bytes) -> None:
        self._stream = stream
        self._filesystem = filesystem
        self._store_id = store_id
        self._receiver = Receiver(filesystem, store_id)
        self._is_welcome = False
        self._refusal: Refusal | None = None  # why nothing more is taken

    async def run(self) -> None:
        """Until the source leaves."""
        turn = self._filesystem.volume.yielding.turn()
        while True:
            with turn.waiting():
                message = await self._read()
            if message is None:
                return
            if self._is_welcome and not self._filesystem.replica.is_replica:
                return  # promoted meanwhile
            reply = await self._reply(message)
            if reply is not None:
                body = encode(reply)
                await self._stream.send_all(len(body).to_bytes(HEADER_BYTES, "big") + body)
            if isinstance(reply, Refusal):
                return
            await turn.over()

    def close(self) -> None:
        """The source is connected no more."""
        self._receiver.close()
        if self._is_welcome:
            self._filesystem.replica.connections -= 1

    async def _reply(self, message: Message) -> Reply | None:
        """The answer; after something could not be taken why, where the source waits for one."""
        if self._refusal is None:
            try:
                return await self._answer(message)
            except errors.ControlError:
                raise
            except errors.S3fsLocalError as error:
                log.warning("what a source told could not be taken: %s", error)
                self._refusal = Refusal("", str(error))
        is_waited_for = not isinstance(message, Block | TakeFile | TakeVersion)
        return self._refusal if is_waited_for else None

    async def _answer(self, message: Message) -> Reply | None:
        match message:
            case List():
                return list_files(self._filesystem, self._receiver.origins, message)
            case Hello():
                return self._greet(message)
            case _ if not self._is_welcome:
                raise errors.ControlError("a source did not greet")
            case Look():
                return self._receiver.look(message)
            case AskBlocks():
                return self._receiver.missing(message)
            case _:
                return await self._take(message)

    async def _take(self, message: Message) -> Reply | None:
        match message:
            case Settle():
                return await self._receiver.settle()
            case Keep():
                return await self._receiver.keep(message)
            case Block():
                await self._receiver.take_block(message)
            case TakeFile():
                self._receiver.take_file(message)
            case TakeVersion():
                self._receiver.take_version(message)
            case _:
                pass
        return None

    def _greet(self, hello: Hello) -> Reply:
        filesystem = self._filesystem
        has_rules = filesystem.replication.in_force is not None
        reply = filesystem.replica.greet(hello, store_id=self._store_id, has_rules=has_rules)
        if isinstance(reply, Welcome) and not self._is_welcome:
            self._is_welcome = True
            filesystem.replica.connections += 1
            self._receiver.begin(hello.source)
            log.info("a source speaks to this store: %s:%s", hello.host, hello.path)
        return reply

    async def _read(self) -> Message | None:
        header = await self._exactly(HEADER_BYTES)
        if header is None:
            return None
        body = await self._exactly(body_length(header, limit_bytes=MESSAGE_BYTES_MAX))
        return None if body is None else decode_message(body)

    async def _exactly(self, length: int) -> bytes | None:
        received = bytearray()
        while len(received) < length:
            piece = await self._stream.receive_some(min(length - len(received), 1 << 20))
            if not piece:
                return None
            received += piece
        return bytes(received)
