"""The destination of replication: takes what a source tells, and changes nothing else.

Versions keep their ids, times, tags and locks; blocks are sealed anew under keys of this store.
What is taken is told to no further destination (S3: replicas are not replicated again). Locks ask
the policy gate here as everywhere: what is COMPLIANCE at the source stays so here, whatever the
source says later. Nothing that somebody else wrote here is overwritten.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

from msgspec import Struct, structs

from s3fs_local.crypto.wrapped_keys import ino_of
from s3fs_local.engine.classes import STANDARD, class_in_inode, in_class
from s3fs_local.engine.filesystem import FileSystem
from s3fs_local.engine.replica_arrivals import Arrivals
from s3fs_local.engine.replica_layouts import Place, plan_layouts
from s3fs_local.engine.replica_names import ReplicaNames
from s3fs_local.engine.replica_origins import Origins, put_replica
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
    Name,
    Origin,
    Question,
    Settled,
    TakeFile,
    TakeVersion,
)
from s3fs_local.engine.replication_messages import Block as BlockMessage
from s3fs_local.errors import (
    ControlError,
    EncryptionError,
    KeyMissing,
    KeyServiceUnavailable,
    LockError,
    ReplicaDiverged,
)
from s3fs_local.metadata.changes import Change, KeepAttributes, PutInode, PutVersion, ShareBlocks
from s3fs_local.rules.encryption import Algorithm, Encryption
from s3fs_local.rules.extents import CELL_BYTES, Block, Extent, Layout, decode_layout
from s3fs_local.rules.inode import Inode
from s3fs_local.rules.instants import SECOND_NS
from s3fs_local.rules.lawfulness import is_weaker
from s3fs_local.rules.ledger_notes import Actor, LockLifted
from s3fs_local.rules.namespace import OPEN_NS
from s3fs_local.rules.replication import ATTRIBUTES, Reason, ReplicaKind, Status
from s3fs_local.rules.retention import Bypass, Operation
from s3fs_local.rules.versioning import Version, VersioningState

logger = logging.getLogger(__name__)

AHEAD_NS_MAX: Final = 3600 * SECOND_NS
"""Versions that are further ahead of this clock are not taken: their stamps would end locks."""
_PLACEMENT: Final = str(STANDARD)


class _Making(Struct):
    """A file that is being received: its number, and its key."""

    ino: int
    key_id: int = 0
    changes: list[Change] = []  # for its key


class Receiver:
    """Takes what one source tells. One per connection."""

    def __init__(self, filesystem: FileSystem, store_id: bytes) -> None:
        self._filesystem = filesystem
        self._volume = filesystem.volume
        self._metadata = filesystem.volume.metadata
        self.origins: Final = Origins(self._metadata, store_id)
        self._names = ReplicaNames(self._volume, self.origins)
        self._source = b""
        self._making: dict[Origin, _Making] = {}
        self.arrivals: Final = Arrivals(self._volume)
        self._failures: list[Failed] = []
        self._refused: dict[Origin, Failed] = {}  # blocks that could not be taken, and why

    def begin(self, source: bytes) -> None:
        """Numbers without an origin are this store's from now on."""
        self._source = source

    def close(self) -> None:
        """The source is gone; what no fact knows yet has to be carried again."""
        self.arrivals.forget()

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
            newest_is_replica=newest is None or newest.replication == Status.REPLICA,
            below=tuple(self._below(inode.ino, stamp_ns) for stamp_ns in question.stamps),
            kept_ns=self._last_kept_ns(inode.ino),
        )

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
        with _noting(partial(self._refuse_block, message)):
            making = self._make(message.file)
            wanted = Encryption(
                algorithm=Algorithm(message.algorithm),
                key=message.key,
                bucket_key=message.has_bucket_key,
            )
            while not self._has_key_nowait(making, wanted):
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
        making = self._making.get(origin)
        if making is None:
            return
        changes = [*making.changes]
        inode = self._metadata.inode(making.ino)
        if inode is None:
            inode = _without_content(told, making.ino)
            changes.append(put_replica(origin, ReplicaKind.INODE, making.ino))
        changes.append(PutInode(structs.replace(inode, key_id=making.key_id or inode.key_id)))
        self.arrivals.keep(making.ino, changes)
        making.changes = []

    def _make(self, origin: Origin) -> _Making:
        making = self._making.get(origin)
        if making is None:
            ino = self.origins.inode(origin)
            making = _Making(self._volume.new_ino() if ino is None else ino)
            self._making[origin] = making
        return making

    def _has_key_nowait(self, making: _Making, wanted: Encryption) -> bool:
        """Whether the file has an open key of the kind that its new bytes have at the source.

        False where a key service must be asked first.
        """
        new_keys, keys = self._volume.new_keys, self._volume.keys
        with new_keys.following(wanted):
            if making.key_id and self._metadata.key(making.key_id) is None:
                if keys.opened(making.key_id) is not None:
                    return True
                making.key_id = 0  # too old to go on with, and nobody can be asked for it
            if not making.key_id:
                inode = self._metadata.inode(making.ino)
                if inode is not None and inode.key_id and new_keys.fits(inode.key_id):
                    making.key_id = inode.key_id
                elif not new_keys.can_make_nowait(making.ino):
                    return False
                else:
                    making.changes += (made := new_keys.make(making.ino))
                    making.key_id = made[-1].key_id
                    return True
        return keys.open_nowait(making.key_id) is not None

    def take_version(self, message: TakeVersion) -> None:
        """The version is there as it is at the source; or its failure is noted."""
        with (
            _noting(partial(self._fail, message.origin, message.version.stamp_ns)),
            self._volume.outbox.resting(),
        ):
            self._take_version(message)

    def _take_version(self, message: TakeVersion) -> None:
        ino = self.origins.inode(message.origin)
        held = None if ino is None else self._metadata.version(ino, message.version.stamp_ns)
        if held is not None:
            self._update(held, message.version)
            return
        if message.if_held:
            return
        self._check(message.version)
        self._insert(message)

    def _check(self, version: Version) -> None:
        volume = self._volume
        if volume.settings.versioning is not VersioningState.ENABLED:
            raise _Refused(
                Reason.DST_BUCKET_UNVERSIONED, "Destination bucket must have versioning enabled."
            )
        if version.lock is not None and not volume.settings.object_lock:
            raise _Refused(
                Reason.DST_OBJECT_LOCK_MISSING, "the destination was made without Object Lock"
            )
        self._check_instant(version.stamp_ns)

    def _check_instant(self, instant_ns: int) -> None:
        if instant_ns > self._volume.clock.now_ns() + AHEAD_NS_MAX:
            raise _Refused(
                Reason.DST_NOT_PERMITTED, "the source's clock is over an hour ahead of this one"
            )
        self._volume.follow(instant_ns)

    def _update(self, held: Version, told: Version) -> None:
        """Tags and lock are as at the source; all else of a version never changes."""
        volume = self._volume
        if (held.tags, held.lock) == (told.tags, told.lock):
            return
        self._check_lock(held, told)
        updated = structs.replace(held, tags=told.tags, lock=told.lock)
        changes: list[Change] = [PutVersion(updated)]
        inode = volume.inode(held.ino)
        if inode.version_ns == held.stamp_ns:
            locked = structs.replace(inode, lock=told.lock)
            changes += [PutInode(locked), *self._filesystem.locks.note_protection(locked)]
        volume.apply(changes)
        volume.invalidation.inode(held.ino)

    def _check_lock(self, held: Version, told: Version) -> None:
        """A lock may become weaker only where the gate would let somebody do so here.

        Raises:
            Protected: it would not; COMPLIANCE before its date.
        """
        volume = self._volume
        if not is_weaker(held.lock, told.lock, volume.expiry_ns()):
            return
        source = Bypass(entitled=True, reason="as at the source", who=Actor(0))
        retention = None if held.lock is None else held.lock.retention
        if retention is not None and (told.lock is None or told.lock.retention != retention):
            self._filesystem.locks.check_version(Operation.CLEAR_RETENTION, held, bypass=source)
        self._filesystem.locks.check_version(Operation.CLEAR_LEGAL_HOLD, held)
        volume.note(LockLifted(volume.now_ns(), held.ino, held.stamp_ns))

    def _insert(self, message: TakeVersion) -> None:
        volume, metadata = self._volume, self._metadata
        making = self._make(message.origin)
        inode = metadata.inode(making.ino)
        changes: list[Change] = [*making.changes]
        if inode is None:
            inode = _without_content(message.inode, making.ino)
            changes.append(put_replica(message.origin, ReplicaKind.INODE, making.ino))
        place = Place(making.ino, message.version.stamp_ns, self._next_ns(inode, message.version))
        layouts, carried = self._translated(message)
        laid = plan_layouts(
            metadata,
            place,
            layouts,
            {block.block_id: block for block in carried.values()},
            is_whole=message.is_whole,
            arrived=self.arrivals.of(making.ino),
        )
        version = self._version(message, making, layouts, laid.stored_bytes)
        changes += laid.changes
        changes += [
            put_replica(origin, ReplicaKind.BLOCK, block.block_id)
            for origin, block in carried.items()
        ]
        changes += self._shared(making.ino, version)
        changes.append(PutVersion(version))
        changes += self._inode_with(inode, version, place, laid.data_bytes, making.key_id)
        if version.storage_class != STANDARD or volume.uses_classes:
            changes += [*volume.note_classes(), volume.mark_unsettled(making.ino)]
        volume.apply(changes)
        self.arrivals.recorded(carried)
        making.changes = []
        volume.invalidation.inode(making.ino)
        volume.on_commit(making.ino)

    def _next_ns(self, inode: Inode, version: Version) -> int:
        if inode.version_ns < version.stamp_ns:
            return OPEN_NS
        later = [
            other.stamp_ns
            for other in self._metadata.versions(inode.ino)
            if other.stamp_ns > version.stamp_ns
        ]
        return min(later, default=OPEN_NS)

    def _translated(self, message: TakeVersion) -> tuple[dict[int, Layout], dict[Origin, Block]]:
        """The layouts with this store's numbers; and of these the blocks that are new here."""
        carried: dict[Origin, Block] = {}
        numbers: dict[int, int] = {}

        def number_of(there: int) -> int:
            here = numbers.get(there)
            if here is None:
                origin = message.blocks.get(there) or Origin(self._source, there)
                block = self.arrivals.fresh(origin)
                found = self.origins.block(origin)
                if found is not None:
                    here = found
                elif block is not None:
                    carried[origin] = block
                    here = block.block_id
                else:
                    raise self._not_carried(origin)
                numbers[there] = here
            return here

        layouts = {
            cell: tuple(
                Extent(extent.start, extent.length, number_of(extent.block), extent.skip)
                for extent in decode_layout(encoded)
            )
            for cell, encoded in message.cells
        }
        assert all(extent.end <= CELL_BYTES for layout in layouts.values() for extent in layout)
        return layouts, carried

    def _not_carried(self, origin: Origin) -> Exception:
        refused = self._refused.get(origin)
        if refused is None:
            return ControlError(f"block {origin.number} of the source was not carried")
        return _Refused(Reason(refused.reason), refused.message)

    def _version(
        self,
        message: TakeVersion,
        making: _Making,
        layouts: dict[int, Layout],
        stored_bytes: int,
    ) -> Version:
        told = message.version
        own = self._keys_of(layouts)
        if not message.is_whole:
            below = self._metadata.version_at(making.ino, told.stamp_ns)
            older = () if below is None else below.key_ids
            own = (*(key for key in older if key not in own), *own)
        version = structs.replace(
            told,
            ino=making.ino,
            stored_bytes=stored_bytes,
            replication=str(Status.REPLICA),
            key_ids=own,
        )
        wanted = message.storage_class or told.storage_class
        return in_class(version, wanted, now_ns=self._volume.now_ns())

    def _keys_of(self, layouts: dict[int, Layout]) -> tuple[int, ...]:
        carried = self.arrivals.fresh_blocks()
        found: dict[int, None] = {}
        for layout in layouts.values():
            for extent in layout:
                block = carried.get(extent.block) or self._volume.blocks.block(extent.block)
                found[block.key_id] = None
        return tuple(sorted(found))

    def _shared(self, ino: int, version: Version) -> list[Change]:
        """What is sealed by keys of other files is shared with those."""
        wrapped = [self._metadata.key(key_id) for key_id in version.key_ids]
        owners = {ino_of(key) for key in wrapped if key is not None}
        return [ShareBlocks(ino, owner) for owner in sorted(owners - {ino, 0})]

    def _inode_with(
        self, inode: Inode, version: Version, place: Place, data_bytes: int, key_id: int
    ) -> list[Change]:
        if not place.is_newest:
            if self._metadata.inode(inode.ino) is None:
                return [PutInode(inode)]
            return []
        current = structs.replace(
            inode,
            size=version.size,
            allocated=inode.allocated + data_bytes,
            version_ns=version.stamp_ns,
            lock=version.lock,
            storage_class=class_in_inode(version),
            key_id=key_id or inode.key_id,
        )
        return [PutInode(current), *self._filesystem.locks.note_protection(current)]

    def take_file(self, message: TakeFile) -> None:
        """Attributes and names are as at the source; or the failure is noted."""
        note = partial(self._fail, message.origin, ATTRIBUTES)
        with _noting(note), self._volume.outbox.resting():
            self._take_file(message)

    def _take_file(self, message: TakeFile) -> None:
        volume = self._volume
        ino = self.origins.inode(message.origin)
        if ino is None and message.if_held:
            return
        for instant_ns in _instants(message):
            self._check_instant(instant_ns)
        making = self._make(message.origin)
        inode = self._metadata.inode(making.ino)
        if (inode is None or (inode.is_file and not inode.version_ns)) and self._has_failed(
            message.origin
        ):
            return  # a name would show a file without content
        changes: list[Change] = []
        if inode is None:
            inode = _without_content(message.inode, making.ino)
            changes.append(put_replica(message.origin, ReplicaKind.INODE, making.ino))
        for kept in message.kept:
            present = self._metadata.attributes_at(making.ino, kept.to_ns - 1)
            if present is None or present.to_ns != kept.to_ns:
                changes.append(KeepAttributes(structs.replace(kept, ino=making.ino)))
        attributed = _with_attributes(inode, message.inode)
        changes.append(PutInode(attributed))
        volume.apply([*changes, *self._filesystem.locks.note_protection(attributed)])
        volume.invalidation.inode(making.ino)
        for name in message.names:
            self._take_name(name, making.ino)
        if message.names:
            volume.apply(self._filesystem.locks.note_protection(volume.inode(making.ino)))

    def _has_failed(self, origin: Origin) -> bool:
        return any(failed.origin == origin for failed in self._failures)

    def _take_name(self, name: Name, ino: int) -> None:
        parent = self.origins.inode(name.parent)
        if parent is None:
            raise ControlError("a name came before its directory")
        before = None if name.before is None else self.origins.inode(name.before)
        entry = structs.replace(name.entry, parent=parent, ino=ino)
        marker = name.marker and structs.replace(name.marker, parent=parent, ino=0)
        self._names.put(entry, marker, before)

    async def settle(self) -> Settled:
        """What was taken is durable. Blocks that no version came for are dead bytes of packs."""
        await self.arrivals.release([making.ino for making in self._making.values()])
        await self.arrivals.release_stale()
        await self._volume.durability.flush(durable=True, only_facts=True)
        failures, self._failures = tuple(self._failures), []
        self._making.clear()
        self.arrivals.forget()
        self._refused.clear()
        return Settled(failures)

    def _refuse_block(self, message: BlockMessage, reason: Reason, why: str) -> None:
        self._refused[message.block] = Failed(message.file, message.stamp_ns, str(reason), why)

    def _fail(self, origin: Origin, stamp_ns: int, reason: Reason, message: str) -> None:
        logger.warning("replication: %s: %s", reason, message)
        self._failures.append(Failed(origin, stamp_ns, str(reason), message))


class _Refused(Exception):
    """The destination cannot take the version, for this reason of S3's."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@contextmanager
def _noting(note: Callable[[Reason, str], None]) -> Iterator[None]:
    """What cannot be taken is noted, and the rest goes on."""
    try:
        yield
    except _Refused as refused:
        note(refused.reason, str(refused))
    except LockError as error:
        note(Reason.DST_NOT_PERMITTED, str(error))
    except KeyServiceUnavailable:
        raise
    except KeyMissing as error:
        note(Reason.DST_KMS_KEY_NOT_FOUND, str(error))
    except EncryptionError as error:
        note(Reason.DST_KMS_KEY_INVALID, str(error))
    except ReplicaDiverged as error:
        note(Reason.DST_DIVERGED, str(error))


def _instants(message: TakeFile) -> Iterator[int]:
    """When names and attributes began or ended."""
    for name in message.names:
        entries = (name.entry,) if name.marker is None else (name.entry, name.marker)
        for entry in entries:
            yield entry.from_ns if entry.to_ns == OPEN_NS else entry.to_ns
    for kept in message.kept:
        yield kept.to_ns


def _without_content(told: Inode, ino: int) -> Inode:
    """A new inode of the same kind, without names and content."""
    bare = Inode(ino=ino, mode=told.mode, uid=told.uid, gid=told.gid, nlink=0, rdev=told.rdev)
    size = len(told.target) if told.is_symlink else 0
    return structs.replace(bare, target=told.target, size=size, btime_ns=told.btime_ns)


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
