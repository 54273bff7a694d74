"""Versions as a source tells of them, put between those that are here.

A version that is here keeps its content; its tags and its lock follow the source, as far as the
policy gate lets them.
"""

from typing import Final

from msgspec import structs

from s3fs_local.crypto.wrapped_keys import ino_of
from s3fs_local.engine.classes import STANDARD, class_in_inode, in_class
from s3fs_local.engine.filesystem import FileSystem
from s3fs_local.engine.replica_arrivals import Arrivals
from s3fs_local.engine.replica_layouts import Place, plan_layouts
from s3fs_local.engine.replica_making import Making, Makings, without_content
from s3fs_local.engine.replica_origins import Origins, put_replica
from s3fs_local.engine.replica_refusals import BaseMissing, Refused
from s3fs_local.engine.replication_messages import Failed, Origin, TakeVersion
from s3fs_local.engine.volume import Volume
from s3fs_local.errors import ControlError, ReplicaDiverged
from s3fs_local.metadata.changes import Change, PutInode, PutVersion, ShareBlocks
from s3fs_local.rules.extents import CELL_BYTES, Block, Extent, Layout, decode_layout
from s3fs_local.rules.inode import Inode
from s3fs_local.rules.instants import SECOND_NS
from s3fs_local.rules.lawfulness import is_weaker
from s3fs_local.rules.ledger_notes import Actor, LockLifted
from s3fs_local.rules.namespace import OPEN_NS
from s3fs_local.rules.replication import Reason, ReplicaKind, Status
from s3fs_local.rules.retention import Bypass, Lock, Operation
from s3fs_local.rules.versioning import Version, VersioningState

AHEAD_NS_MAX: Final = 3600 * SECOND_NS
"""Versions that are further ahead of this clock are not taken: their stamps would end locks."""


class ReplicaVersions:
    """Takes versions from one source."""

    def __init__(
        self, filesystem: FileSystem, origins: Origins, arrivals: Arrivals, makings: Makings
    ) -> None:
        self._filesystem = filesystem
        self._volume = filesystem.volume
        self._metadata = filesystem.volume.metadata
        self._origins = origins
        self._arrivals = arrivals
        self._makings = makings
        self.source = b""  # whose numbers are those without an origin
        self.refused_blocks: dict[Origin, Failed] = {}  # that could not be taken, and why

    def take(self, message: TakeVersion) -> None:
        """The version is there as it is at the source. Raises what `noting` notes."""
        ino = self._origins.inode(message.origin)
        held = None if ino is None else self._metadata.version(ino, message.version.stamp_ns)
        if held is not None:
            self._update(held, message.version)
            return
        if message.if_held:
            return
        self._check(message.version)
        self._check_base(ino, message)
        self._insert(message)

    def _check(self, version: Version) -> None:
        volume = self._volume
        if volume.settings.versioning is not VersioningState.ENABLED:
            raise Refused(
                Reason.DST_BUCKET_UNVERSIONED, "Destination bucket must have versioning enabled."
            )
        if version.lock is not None and not volume.settings.object_lock:
            raise Refused(
                Reason.DST_OBJECT_LOCK_MISSING, "the destination was made without Object Lock"
            )
        check_instant(self._volume, version.stamp_ns)

    def _check_base(self, ino: int | None, message: TakeVersion) -> None:
        """What is not told of the version is here: that of the one below.

        Raises:
            BaseMissing: that one was refused just before, or is gone since its source asked.
        """
        if not message.base_ns:
            return
        below = None if ino is None else self._metadata.version_at(ino, message.version.stamp_ns)
        if below is None or below.stamp_ns != message.base_ns:
            raise BaseMissing

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
            ReplicaDiverged: it may have been placed here, and the source never heard of it.
            Protected: it would not; COMPLIANCE before its date.
        """
        volume = self._volume
        at_ns = volume.expiry_ns()
        if not is_weaker(held.lock, told.lock, at_ns):
            return
        if self._filesystem.replica.may_have_locked(held):
            raise ReplicaDiverged("a lock that was placed here is not weakened by its source")
        source = Bypass(entitled=True, reason="as at the source", who=Actor(0))
        if is_weaker(_without_holds(held.lock), _without_holds(told.lock), at_ns):
            self._filesystem.locks.check_version(Operation.CLEAR_RETENTION, held, bypass=source)
        self._filesystem.locks.check_version(Operation.CLEAR_LEGAL_HOLD, held)
        volume.note(LockLifted(volume.now_ns(), held.ino, held.stamp_ns))

    def _insert(self, message: TakeVersion) -> None:
        volume, metadata = self._volume, self._metadata
        making = self._makings.of(message.origin)
        inode = metadata.inode(making.ino)
        changes: list[Change] = [*making.new_keys]
        if inode is None:
            inode = without_content(message.inode, making.ino)
            changes.append(put_replica(message.origin, ReplicaKind.INODE, making.ino))
        place = Place(making.ino, message.version.stamp_ns, self._next_ns(inode, message.version))
        layouts, carried = self._translated(message)
        sealers = self._makings.of_keys({block.key_id for block in carried.values()})
        others = [each for each in sealers if each is not making]
        for other in others:
            changes += other.new_keys
        laid = plan_layouts(
            metadata,
            place,
            layouts,
            {block.block_id: block for block in carried.values()},
            is_whole=not message.base_ns,
            arrived=self._arrivals.of(making.ino),
        )
        version = self._version(message, making, layouts, laid.stored_bytes)
        changes += laid.changes
        changes += [
            put_replica(origin, ReplicaKind.BLOCK, block.block_id)
            for origin, block in carried.items()
        ]
        changes += self._shared(making.ino, version, others)
        changes.append(PutVersion(version))
        changes += self._inode_with(inode, version, place, laid.data_bytes, making.key_id)
        if version.storage_class != STANDARD or volume.uses_classes:
            changes += [*volume.note_classes(), volume.mark_unsettled(making.ino)]
        volume.apply(changes)
        self._arrivals.recorded(carried)
        for each in (making, *others):
            self._makings.recorded(each)
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
                origin = message.blocks.get(there) or Origin(self.source, there)
                block = self._arrivals.fresh(origin)
                found = self._origins.block(origin)
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
        refused = self.refused_blocks.get(origin)
        if refused is None:
            return ControlError(f"block {origin.number} of the source was not carried")
        return Refused(Reason(refused.reason), refused.message)

    def _version(
        self,
        message: TakeVersion,
        making: Making,
        layouts: dict[int, Layout],
        stored_bytes: int,
    ) -> Version:
        told = message.version
        own = self._keys_of(layouts)
        if message.base_ns:
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
        carried = self._arrivals.fresh_blocks()
        found: dict[int, None] = {}
        for layout in layouts.values():
            for extent in layout:
                block = carried.get(extent.block) or self._volume.blocks.block(extent.block)
                found[block.key_id] = None
        return tuple(sorted(found))

    def _shared(self, ino: int, version: Version, others: list[Making]) -> list[Change]:
        """What is sealed by keys of other files is shared with those.

        Also with `others`, of which no fact tells yet: their blocks came first with this version.
        """
        wrapped = [self._metadata.key(key_id) for key_id in version.key_ids]
        owners = {ino_of(key) for key in wrapped if key is not None}
        owners.update(other.ino for other in others)
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


def _without_holds(lock: Lock | None) -> Lock:
    return Lock() if lock is None else Lock(lock.retention)


def check_instant(volume: Volume, instant_ns: int) -> None:
    """The clock follows to that instant, unless it is too far ahead of it. Raises Refused."""
    if instant_ns > volume.clock.now_ns() + AHEAD_NS_MAX:
        raise Refused(
            Reason.DST_NOT_PERMITTED, "the source's clock is over an hour ahead of this one"
        )
    volume.follow(instant_ns)
