"""The destination of replication: takes what a source tells, and changes nothing else.

Versions keep their ids, times, tags and locks; blocks are sealed anew under keys of this store.
What is taken is told to no further destination (S3: replicas are not replicated again). Locks ask
the policy gate here as everywhere: what is COMPLIANCE at the source stays so here, whatever the
source says later. Nothing that somebody else wrote here is overwritten.
"""

import logging
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final

from msgspec import structs

from s3fs_local.engine.classes import STANDARD
from s3fs_local.engine.filesystem import FileSystem
from s3fs_local.engine.replica_arrivals import Arrivals
from s3fs_local.engine.replica_making import Makings, without_content
from s3fs_local.engine.replica_names import ReplicaNames
from s3fs_local.engine.replica_origins import Origins, put_replica
from s3fs_local.engine.replica_refusals import BaseMissing, noting
from s3fs_local.engine.replica_versions import ReplicaVersions, check_instant
from s3fs_local.engine.replication_messages import (
    HELD,
    Answer,
    AskBlocks,
    Failed,
    Keep,
    Kept,
    Look,
    Looked,
    Missing,
    Origin,
    Question,
    Settled,
    TakeFile,
    TakeVersion,
)
from s3fs_local.engine.replication_messages import Block as BlockMessage
from s3fs_local.errors import (
    ControlError,
)
from s3fs_local.metadata.changes import Change, KeepAttributes, PutInode
from s3fs_local.rules.encryption import Algorithm, Encryption
from s3fs_local.rules.inode import Inode
from s3fs_local.rules.lawfulness import frees_append_only
from s3fs_local.rules.namespace import OPEN_NS
from s3fs_local.rules.replica_names import Told, placed_ns
from s3fs_local.rules.replication import ATTRIBUTES, Reason, ReplicaKind, Status
from s3fs_local.rules.retention import Operation

logger = logging.getLogger(__name__)

_PLACEMENT: Final = str(STANDARD)


class Receiver:
    """Takes what one source tells. One per connection."""

    def __init__(self, filesystem: FileSystem, store_id: bytes) -> None:
        self._filesystem = filesystem
        self._volume = filesystem.volume
        self._metadata = filesystem.volume.metadata
        self.origins: Final = Origins(self._metadata, store_id)
        self._names = ReplicaNames(self._volume, self.origins)
        self.arrivals: Final = Arrivals(self._volume)
        self._makings = Makings(self._volume, self.origins)
        self._versions = ReplicaVersions(filesystem, self.origins, self.arrivals, self._makings)
        self._failures: list[Failed] = []
        self._again: list[tuple[Origin, int]] = []  # versions that must be told anew
        self._together: list[TakeFile] = []  # that wait for the last of them
        self._nameless: dict[Origin, list[TakeVersion]] = {}  # that wait for a name

    def begin(self, source: bytes) -> None:
        """Numbers without an origin are this store's from now on."""
        self._versions.source = source

    def close(self) -> None:
        """The source is gone; what no fact knows yet has to be carried again."""
        self.arrivals.forget()
        self._makings.clear()
        self._together.clear()
        self._nameless.clear()

    def look(self, message: Look) -> Looked:
        """What there is of some files."""
        return Looked(tuple(map(self._answer, message.questions)))

    def _answer(self, question: Question) -> Answer:
        ino = self.origins.inode(question.origin)
        inode = None if ino is None else self._metadata.inode(ino)
        if inode is None:
            return Answer(below=(0,) * len(question.stamps))
        newest = self._metadata.version(inode.ino, inode.version_ns)
        return Answer(
            is_there=True,
            newest_ns=inode.version_ns,
            newest_is_known=newest is None
            or newest.replication in (Status.REPLICA, Status.COMPLETED),
            below=tuple(self._below(inode.ino, stamp_ns) for stamp_ns in question.stamps),
            kept_ns=self._last_kept_ns(inode.ino),
            named_ns=self._named_ns(inode),
        )

    def _named_ns(self, inode: Inode) -> int:
        return placed_ns(self._metadata.entries_of(inode.ino)) if inode.is_directory else 0

    def _below(self, ino: int, stamp_ns: int) -> int:
        found = self._metadata.version_at(ino, stamp_ns)
        if found is None:
            return 0
        return HELD if found.stamp_ns == stamp_ns else found.stamp_ns

    def _last_kept_ns(self, ino: int) -> int:
        last_ns = 0
        while (kept := self._metadata.attributes_at(ino, last_ns)) is not None:
            last_ns = kept.to_ns
        return last_ns

    def missing(self, message: AskBlocks) -> Missing:
        """The blocks that must be carried."""
        return Missing(
            tuple(
                origin
                for origin in message.blocks
                if self.arrivals.fresh(origin) is None and self.origins.block(origin) is None
            )
        )

    async def take_block(self, message: BlockMessage) -> None:
        """The block is sealed and lies in a pack; a version that has it makes it count.

        Raises:
            KeyServiceUnavailable, StoreFull: not now, and nothing that needs it either.
        """
        if self.arrivals.fresh(message.block) is not None:
            return
        with noting(partial(self._refuse_block, message)):
            making = self._makings.of(message.file)
            wanted = Encryption(
                algorithm=Algorithm(message.algorithm),
                key=message.key,
                bucket_key=message.has_bucket_key,
            )
            while not self._makings.has_key_nowait(making, wanted):
                await self._volume.keys.questions.put_in_thread()
            block = self._volume.blocks.store(
                message.plain,
                key_id=making.key_id,
                offset=message.offset,
                placement=_PLACEMENT,
            )
            self.arrivals.add(message.block, making.ino, block)

    async def keep(self, message: Keep) -> Kept:
        """The blocks of these files that were carried so far outlive the connection."""
        with self._volume.outbox.resting():
            for origin, told in message.files:
                self._keep(origin, told)
        await self._volume.durability.flush(durable=True, only_facts=True)
        return Kept()

    def _keep(self, origin: Origin, told: Inode) -> None:
        making = self._makings.known(origin)
        if making is None:
            return
        changes: list[Change] = [*making.new_keys]
        inode = self._metadata.inode(making.ino)
        if inode is None:
            inode = without_content(told, making.ino)
            changes.append(put_replica(origin, ReplicaKind.INODE, making.ino))
        changes.append(PutInode(structs.replace(inode, key_id=making.key_id or inode.key_id)))
        self.arrivals.keep(making.ino, changes)
        self._makings.recorded(making)

    def take_version(self, message: TakeVersion) -> None:
        """The version is there as it is at the source; or its failure is noted.

        That of a file without a name waits for it: whoever promotes the store meanwhile finds no
        file there that nobody can reach, and that `resync` takes for one that is not missing.
        """
        ino = self.origins.inode(message.origin)
        if ino is None or not self._metadata.entries_of(ino):
            self._nameless.setdefault(message.origin, []).append(message)
        else:
            self._take_version(message)

    def _take_version(self, message: TakeVersion) -> None:
        place = (message.origin, message.version.stamp_ns)
        with noting(partial(self._fail, *place)), self._volume.outbox.resting():
            try:
                self._versions.take(message)
            except BaseMissing:
                self._again.append(place)

    def take_file(self, message: TakeFile) -> None:
        """Attributes and names are as at the source; or the failure is noted.

        Those that exchange names are taken together, without a wait: no name is missing meanwhile.
        """
        self._together.append(message)
        if message.with_next:
            return
        together, self._together = self._together, []
        for each in together:
            note = partial(self._fail, each.origin, ATTRIBUTES)
            with noting(note), self._volume.outbox.resting():
                self._take_file(each)

    def _take_file(self, message: TakeFile) -> None:
        volume = self._volume
        ino = self.origins.inode(message.origin)
        if ino is None and message.if_held:
            return
        waiting = self._nameless.pop(message.origin, []) if message.names else []
        for instant_ns in _instants(message):
            check_instant(self._volume, instant_ns)
        making = self._makings.of(message.origin)
        names = self._planned(message, making.ino)
        for version in waiting:
            self._take_version(version)
        inode = self._metadata.inode(making.ino)
        if (inode is None or (inode.is_file and not inode.version_ns)) and self._has_failed(
            message.origin
        ):
            return  # a name would show a file without content
        changes: list[Change] = []
        if inode is None:
            inode = without_content(message.inode, making.ino)
            changes.append(put_replica(message.origin, ReplicaKind.INODE, making.ino))
        for kept in message.kept:
            present = self._metadata.attributes_at(making.ino, kept.to_ns - 1)
            if present is None or present.to_ns != kept.to_ns:
                changes.append(KeepAttributes(structs.replace(kept, ino=making.ino)))
        attributed = _with_attributes(inode, message.inode)
        if frees_append_only(inode, attributed):
            self._filesystem.locks.check(Operation.CLEAR_APPEND_ONLY, inode)
        changes.append(PutInode(attributed))
        volume.apply([*changes, *self._filesystem.locks.note_protection(attributed)])
        volume.invalidation.inode(making.ino)
        if names:
            self._names.put(names)
            volume.apply(self._filesystem.locks.note_protection(volume.inode(making.ino)))

    def _has_failed(self, origin: Origin) -> bool:
        return any(failed.origin == origin for failed in self._failures)

    def _planned(self, message: TakeFile, ino: int) -> Sequence[Told]:
        """What is to become of its names. Raises ReplicaDiverged; then nothing of it is taken."""
        told, before = [], []
        for name in message.names:
            parent = self.origins.inode(name.parent)
            if parent is None:
                raise ControlError("a name came before its directory")
            entry = structs.replace(name.entry, parent=parent, ino=ino)
            marker = name.marker and structs.replace(name.marker, parent=parent, ino=0)
            told.append(Told(entry, is_end_told=name.is_end_told, marker=marker))
            before.append({self.origins.inode(origin) for origin in name.before})
        inode = self._metadata.inode(ino) or without_content(message.inode, ino)
        return self._names.plan(inode, told, before)

    async def settle(self) -> Settled:
        """What was taken is durable. Blocks that no version came for are dead bytes of packs."""
        for versions in self._nameless.values():  # under names that no rule lets through
            for version in versions:
                self._take_version(version)
        self._nameless.clear()
        await self.arrivals.release(self._makings.inos)
        await self.arrivals.release_stale()
        await self._volume.durability.flush(durable=True, only_facts=True)
        failures, self._failures = tuple(self._failures), []
        again, self._again = tuple(self._again), []
        self._makings.clear()
        self.arrivals.forget()
        self._versions.refused_blocks.clear()
        return Settled(failures, again)

    def _refuse_block(self, message: BlockMessage, reason: Reason, why: str) -> None:
        self._versions.refused_blocks[message.block] = Failed(
            message.file, message.stamp_ns, str(reason), why
        )

    def _fail(self, origin: Origin, stamp_ns: int, reason: Reason, message: str) -> None:
        logger.warning("replication: %s: %s", reason, message)
        self._failures.append(Failed(origin, stamp_ns, str(reason), message))


def _instants(message: TakeFile) -> Iterator[int]:
    """When names and attributes began or ended."""
    for name in message.names:
        entries = (name.entry,) if name.marker is None else (name.entry, name.marker)
        for entry in entries:
            yield entry.from_ns if entry.to_ns == OPEN_NS else entry.to_ns
    for kept in message.kept:
        yield kept.to_ns


def _with_attributes(inode: Inode, told: Inode) -> Inode:
    """The inode with the attributes that the source has."""
    return structs.replace(
        inode,
        mode=told.mode,
        uid=told.uid,
        gid=told.gid,
        atime_ns=told.atime_ns,
        mtime_ns=told.mtime_ns,
        ctime_ns=told.ctime_ns,
        xattrs=told.xattrs,
        append_only=told.append_only,
    )
