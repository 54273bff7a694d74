"""The source of replication: tells one destination what its tasks name, as it is at that moment.

One batch at a time: ask what the destination has of the files, carry the blocks that it lacks,
then the versions in the order of their commits, attributes and names; at the end it says what it
has durably. Before a fact is told it is durable here: a source that is killed, or loses its power,
may not come back with less than it told. A directory is told before what is in it. Nothing counts
before the end, and telling something twice changes nothing, so a batch may end anywhere.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Final, Protocol, TypeVar

from msgspec import Struct, structs

from s3fs_local.engine.durability import RunBlocking
from s3fs_local.engine.encryption_kinds import kind_of
from s3fs_local.engine.filesystem import FileSystem
from s3fs_local.engine.pace import AT_ONCE, Pace
from s3fs_local.engine.replica_origins import Origins
from s3fs_local.engine.replication import Replication
from s3fs_local.engine.replication_messages import (
    HELD,
    Answer,
    AskBlocks,
    Block,
    Keep,
    Kept,
    Look,
    Looked,
    Message,
    Missing,
    Origin,
    Question,
    Refusal,
    Reply,
    Settle,
    Settled,
    TakeVersion,
)
from s3fs_local.engine.replication_naming import Naming
from s3fs_local.engine.replication_naming import Telling as NameTelling
from s3fs_local.errors import (
    ControlError,
    DataDamaged,
    DestinationRefused,
    EncryptionError,
    KeyServiceUnavailable,
    MetadataDamaged,
)
from s3fs_local.rules.encryption import Algorithm, Encryption
from s3fs_local.rules.extents import blocks_of, decode_layout
from s3fs_local.rules.inode import Inode
from s3fs_local.rules.replication import (
    ATTRIBUTES,
    Reason,
    Rule,
    Task,
    seconds_late,
)
from s3fs_local.rules.versioning import Version

BLOCKS_A_QUESTION: Final = 8192
PART_BYTES: Final = 16 << 20
"""So much of what is carried is carried again at most, when the way breaks."""
_Wanted = TypeVar("_Wanted", Looked, Missing, Kept, Settled)


class Link(Protocol):
    """The way to a destination that has said `Welcome`.

    Raises DestinationUnreachable from either.
    """

    store: str  # the destination's id, hexadecimal; "" = nobody greeted

    async def ask(self, message: Message) -> Reply:
        """The destination's answer."""
        ...

    async def tell(self, message: Message) -> None:
        """The destination will get it."""
        ...


class _Telling(Struct):
    """What is told of one inode in this batch."""

    inode: Inode
    origin: Origin
    versions: list[Task]  # oldest first
    attributes: Task | None = None
    answer: Answer = Answer()
    failed: str = ""  # why nothing of it can be told
    is_outdated: bool = False  # a version was purged, or its rule, meanwhile: told anew


class _Carried(Struct):
    """A version that is to be carried."""

    version: Version
    rule: Rule
    message: TakeVersion


class Sent(Struct, frozen=True):
    """What a batch did."""

    operations: int
    bytes: int  # of blocks, plain


class Sender:
    """Tells one destination."""

    def __init__(  # noqa: PLR0913 - the parts, each by name
        self,
        filesystem: FileSystem,
        replication: Replication,
        origins: Origins,
        *,
        destination: str,
        link: Link,
        run_blocking: RunBlocking,
        pace: Pace = AT_ONCE,
    ) -> None:
        self._filesystem = filesystem
        self._volume = filesystem.volume
        self._metadata = filesystem.volume.metadata
        self._replication = replication
        self._origins = origins
        self._destination = destination
        self._link = link
        self._run_blocking = run_blocking
        self._pace = pace
        self._naming = Naming(self._metadata, replication, origins, destination)
        self._answers: dict[int, Answer] = {}  # what the destination has of directories
        self._bytes = 0
        self._part_bytes = 0  # of these, since a part was kept
        self._part_files: dict[Origin, Inode] = {}
        self._facts: list[Message] = []  # to be told when they are durable here
        self._tasks: Sequence[Task] = ()  # of the batch
        self._turn = self._volume.yielding.turn(self._late_s)

    async def send(self, tasks: Sequence[Task]) -> Sent:
        """The tasks are done or failed, those that changed meanwhile aside.

        Raises:
            DestinationUnreachable, DestinationRefused: nothing of the batch counts.
            KeyServiceUnavailable: the same; that of this store does not answer.
        """
        self._bytes = self._part_bytes = 0
        self._part_files.clear()
        self._facts.clear()
        self._tasks = tasks
        self._turn.begin()
        tellings = self._tellings(tasks)
        await self._look(tellings)
        for telling in tellings:
            if not telling.failed:
                await self._tell(telling)
        await self._tell_names(tellings)
        await self._volume.durability.flush(durable=True, only_facts=True)
        for fact in self._facts:
            await self._say(fact)
        settled = await self._ask(Settle(), Settled)
        failures = {(f.origin, f.stamp_ns): f.reason for f in settled.failures}
        for telling in tellings:
            if not telling.is_outdated:
                self._note(telling, failures, settled.again)
            await self._turn.over()
        with self._turn.waiting():
            await self._pace.spend(self._part_bytes)
        return Sent(len(tasks), self._bytes)

    def _tellings(self, tasks: Sequence[Task]) -> list[_Telling]:
        found: dict[int, _Telling] = {}
        for task in tasks:
            inode = self._metadata.inode(task.ino)
            gone = inode is None or (
                task.stamp_ns != ATTRIBUTES
                and self._metadata.version(task.ino, task.stamp_ns) is None
            )
            if gone:
                self._replication.drop(task)
                continue
            if self._replication.rule(task.rule) is None:
                self._replication.reconsider(task)
                continue
            assert inode is not None
            telling = found.get(task.ino)
            if telling is None:
                telling = _Telling(inode, self._origins.of_inode(task.ino), [])
                found[task.ino] = telling
            if task.stamp_ns == ATTRIBUTES:
                telling.attributes = task
            else:
                telling.versions.append(task)
        for telling in found.values():
            telling.versions.sort(key=lambda task: task.stamp_ns)
        return list(found.values())

    async def _look(self, tellings: list[_Telling]) -> None:
        questions = tuple(
            Question(telling.origin, tuple(task.stamp_ns for task in telling.versions))
            for telling in tellings
        )
        looked = await self._ask(Look(questions), Looked)
        for telling, answer in zip(tellings, looked.answers, strict=True):
            telling.answer = answer
            is_known = answer.newest_is_known or self._metadata.version(
                telling.inode.ino, answer.newest_ns
            )
            if not is_known:
                telling.failed = Reason.DST_DIVERGED

    async def _ask(self, message: Message, kind: type[_Wanted]) -> _Wanted:
        await self._turn.over()
        with self._turn.waiting():
            reply = await self._link.ask(message)
        if isinstance(reply, Refusal):
            raise DestinationRefused(f"{self._destination}: {reply.message}")
        if not isinstance(reply, kind):
            raise ControlError(f"the destination answers {type(reply).__name__}")
        return reply

    async def _say(self, message: Message) -> None:
        await self._turn.over()
        with self._turn.waiting():
            await self._link.tell(message)

    def _late_s(self) -> float:
        return seconds_late(self._tasks, self._volume.now_ns())

    # Names

    async def _tell_names(self, tellings: list[_Telling]) -> None:
        """Names and attributes, as they are when all is known that they need there."""
        while True:
            subjects = list(self._subjects(tellings))
            along, unasked = self._naming.along(subjects, self._answers)
            if not unasked:
                break
            directories = [d for ino in sorted(unasked) if (d := self._metadata.inode(ino))]
            questions = tuple(Question(self._origins.of_inode(d.ino)) for d in directories)
            looked = await self._ask(Look(questions), Looked)
            self._answers |= dict.fromkeys(unasked, Answer())
            self._answers |= {
                d.ino: answer for d, answer in zip(directories, looked.answers, strict=True)
            }
        self._facts += self._naming.messages([*subjects, *along])
        for telling in (*subjects, *along):
            self._answers.pop(telling.inode.ino, None)

    def _subjects(self, tellings: list[_Telling]) -> Iterator[NameTelling]:
        for telling in tellings:
            inode = self._metadata.inode(telling.inode.ino)
            if inode is None or telling.failed or telling.is_outdated:
                continue
            tasks = (*telling.versions, *filter(None, (telling.attributes,)))
            if_held = all(task.if_held for task in tasks)
            if not if_held or telling.answer.is_there:
                yield NameTelling(inode, telling.answer, if_held=if_held)

    # Files

    async def _tell(self, telling: _Telling) -> None:
        try:
            await self._tell_versions(telling)
        except KeyServiceUnavailable:
            raise
        except (EncryptionError, DataDamaged, MetadataDamaged) as error:
            if not self._has_every_version(telling):  # block, key or bytes went with a purge
                telling.is_outdated = True
            elif isinstance(error, MetadataDamaged):
                raise
            elif isinstance(error, EncryptionError):
                telling.failed = Reason.SRC_KMS_KEY_INVALID
            else:
                telling.failed = Reason.SRC_DAMAGED

    def _has_every_version(self, telling: _Telling) -> bool:
        tasks = telling.versions
        return all(self._metadata.version(task.ino, task.stamp_ns) for task in tasks)

    async def _tell_versions(self, telling: _Telling) -> None:
        carried = list(self._carried(telling))
        missing = await self._missing(carried)
        for one in carried:
            for _, encoded in one.message.cells:
                for block_id in blocks_of(decode_layout(encoded)):
                    origin = one.message.blocks[block_id]
                    if origin in missing:
                        missing.discard(origin)
                        await self._carry(telling.origin, one, block_id)
                        await self._end_part(telling)
            self._facts.append(one.message)

    async def _end_part(self, telling: _Telling) -> None:
        """What was carried is kept there whenever it is a part, and the rest waits its turn."""
        self._part_files[telling.origin] = telling.inode
        if self._part_bytes < PART_BYTES:
            return
        await self._ask(Keep(tuple(self._part_files.items())), Kept)
        size, self._part_bytes = self._part_bytes, 0
        self._part_files.clear()
        with self._turn.waiting():
            await self._pace.spend(size)

    def _carried(self, telling: _Telling) -> Iterator[_Carried]:
        """The versions, each as it differs from what the destination has then."""
        newest_ns = telling.answer.newest_ns
        for task, below in zip(telling.versions, telling.answer.below, strict=True):
            version = self._metadata.version(task.ino, task.stamp_ns)
            rule = self._replication.rule(task.rule)
            if version is None or rule is None:
                telling.is_outdated = True
                continue
            base_ns = 0
            if task.stamp_ns > newest_ns and self._metadata.version(task.ino, newest_ns):
                base_ns = newest_ns
            cells = () if below == HELD else self._cells(version, base_ns)
            numbers = {
                number: self._origins.of_block(number)
                for _, encoded in cells
                for number in blocks_of(decode_layout(encoded))
            }
            message = TakeVersion(
                telling.origin,
                version,
                telling.inode,
                storage_class=rule.storage_class,
                if_held=task.if_held or below == HELD,  # it has no cells then
                base_ns=base_ns,
                cells=cells,
                blocks=numbers,
            )
            if not (task.if_held and below != HELD):
                newest_ns = max(newest_ns, task.stamp_ns)
                yield _Carried(version, rule, message)

    def _cells(self, version: Version, base_ns: int) -> tuple[tuple[int, bytes], ...]:
        ino, stamp_ns = version.ino, version.stamp_ns
        if not base_ns:
            found = self._metadata.cells(ino, 0, stamp_ns)
            return tuple((cell, encoded) for cell, _, encoded in found)
        changed = self._metadata.cells_changed(ino, base_ns, stamp_ns)
        return tuple((cell, self._metadata.cell(ino, cell, stamp_ns)) for cell in changed)

    async def _missing(self, carried: list[_Carried]) -> set[Origin]:
        origins = list(dict.fromkeys(o for one in carried for o in one.message.blocks.values()))
        missing: set[Origin] = set()
        for first in range(0, len(origins), BLOCKS_A_QUESTION):
            asked = tuple(origins[first : first + BLOCKS_A_QUESTION])
            missing.update((await self._ask(AskBlocks(asked), Missing)).blocks)
        return missing

    async def _carry(self, file: Origin, one: _Carried, block_id: int) -> None:
        blocks = self._volume.blocks
        block = blocks.block(block_id)
        while (plain := blocks.read_nowait(block_id, skip=0, size=block.length)) is None:
            await self._filesystem.reading.wait(self._run_blocking)
        self._bytes += len(plain)
        self._part_bytes += len(plain)
        kind = self._kind(one)
        await self._say(
            Block(
                file,
                one.version.stamp_ns,
                one.message.blocks[block_id],
                block.offset,
                plain,
                str(kind.algorithm),
                kind.key,
                kind.bucket_key,
            )
        )

    def _kind(self, one: _Carried) -> Encryption:
        """As at the source; a KMS key gives way to the one that the rule names."""
        wrapped = self._metadata.key(one.version.key_ids[-1]) if one.version.key_ids else None
        kind = Encryption() if wrapped is None else kind_of(wrapped, self._metadata.key)
        if kind.algorithm is Algorithm.AES256:
            return Encryption()
        return structs.replace(kind, key=one.rule.replica_key)

    # Outcome

    def _note(
        self,
        telling: _Telling,
        failures: dict[tuple[Origin, int], str],
        again: Collection[tuple[Origin, int]],
    ) -> None:
        of_names = failures.get((telling.origin, ATTRIBUTES), "")
        if telling.attributes is not None:
            self._note_one(telling.attributes, telling.failed or of_names)
        for task in telling.versions:
            if (telling.origin, task.stamp_ns) in again:
                continue
            own = failures.get((telling.origin, task.stamp_ns), "")
            self._note_one(task, telling.failed or own or of_names)

    def _note_one(self, task: Task, reason: str) -> None:
        if reason:
            self._replication.fail(task, str(reason))
        else:
            self._replication.complete(task)
