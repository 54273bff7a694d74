"""Writing: bytes go into drafts, drafts are sealed into blocks, and a commit makes a version.

Nothing here waits: a commit is one list of changes, applied at once, so no request can see half of
it.
"""

from typing import Final

import msgspec
from blake3 import blake3
from msgspec import Struct

from s3fs_local.engine.classes import Classes, class_in_inode, in_class
from s3fs_local.engine.drafts import Draft
from s3fs_local.engine.locks import Locks
from s3fs_local.engine.reading import CURRENT_NS, LayoutOf, Reading
from s3fs_local.engine.version_removal import remove_older_nulls, remove_version
from s3fs_local.engine.volume import Volume
from s3fs_local.errors import DataDamaged, FileTooLarge, NoSuchVersion, StoreFull
from s3fs_local.metadata.changes import (
    AddBlock,
    Change,
    CloseCell,
    CountBlock,
    KeepAttributes,
    OpenCell,
    PutInode,
    PutKey,
    PutVersion,
    ShareBlocks,
)
from s3fs_local.rules.extents import (
    CELL_BYTES,
    HOLE,
    Block,
    Extent,
    Layout,
    Runs,
    blocks_of,
    clip,
    data_bytes,
    decode_layout,
    encode_layout,
    overlay,
    plan_pieces,
)
from s3fs_local.rules.inode import Inode, kept_attributes, restored
from s3fs_local.rules.limits import FILE_BYTES_MAX
from s3fs_local.rules.namespace import OPEN_NS
from s3fs_local.rules.retention import Operation
from s3fs_local.rules.storage_classes import needs_restore
from s3fs_local.rules.versioning import Origin, Version, VersioningState

FIRST_PLACEMENT: Final = "STANDARD"
"""Where every block is written first: a commit never waits for a compressor or a cold zone."""
PROBE_BYTES: Final = 4096
"""Of a run that may be unchanged, this much is compared first; most changes show up there."""


class _SealedCell(Struct, frozen=True):
    """A cell's future layout, and the blocks that were made for it."""

    layout: Layout
    blocks: list[Block]


class CellChanges:
    """Collects what a commit does to layouts and blocks, and how many bytes of data it adds."""

    def __init__(self, ino: int, stamp_ns: int, new_blocks: dict[int, Block]) -> None:
        self._ino = ino
        self._stamp_ns = stamp_ns
        self._new_blocks = new_blocks
        self.changes: list[Change] = []
        self.data_bytes = 0  # more (or fewer) than before
        self.stored_bytes = 0  # sealed bytes of new blocks

    def lay_out(self, cell: int, old: Layout, new: Layout) -> None:
        """From the stamp on the cell is laid out as `new`."""
        if old == new:
            return
        if old:
            self.changes.append(CloseCell(self._ino, cell, self._stamp_ns))
        if new:
            for number in blocks_of(new):
                block = self._new_blocks.get(number)
                if block is None:
                    self.changes.append(CountBlock(number, 1))
                else:
                    self.changes.append(AddBlock(block))
                    self.stored_bytes += block.sealed_length
            layout = encode_layout(new)
            self.changes.append(OpenCell(self._ino, cell, self._stamp_ns, layout))
        self.data_bytes += data_bytes(new) - data_bytes(old)


class Writing:
    """Owns the drafts of a volume."""

    def __init__(self, volume: Volume, reading: Reading, locks: Locks, classes: Classes) -> None:
        self._volume = volume
        self._classes = classes
        self._reading = reading
        self._locks = locks
        self._unsealed_bytes = 0  # an upper bound of what all drafts hold in memory

    def write(self, inode: Inode, offset: int, data: bytes, *, uid: int) -> None:
        """The draft's bytes from `offset` are `data`.

        Raises:
            FileTooLarge: it would end beyond the largest file.
            StoreFull: nothing was written.
        """
        volume = self._volume
        size = len(data)
        if offset + size > FILE_BYTES_MAX:
            raise FileTooLarge(f"{offset + size} bytes")
        volume.check_writable()
        self._claim_space(size)
        draft = volume.drafts.get(inode.ino) or self._begin(inode, uid)
        self._make_room(draft, offset, size)
        draft.write(offset, data, now_ns=volume.now_ns())
        draft.last_cell = (offset + size - 1) // CELL_BYTES
        self._unsealed_bytes += size

    def _claim_space(self, size: int) -> None:
        try:
            self._volume.space.claim(size, unsealed_bytes=self._unsealed_bytes)
        except StoreFull:
            held = sum([draft.dirty_bytes for draft in self._volume.drafts.values()])
            if held >= self._unsealed_bytes:
                raise
            self._unsealed_bytes = held  # some bytes were written over and over
            self._volume.space.claim(size, unsealed_bytes=held)

    def _make_room(self, draft: Draft, offset: int, size: int) -> None:
        """What fills its cell, or is too much for the memory, is sealed before more is accepted."""
        if offset // CELL_BYTES != draft.last_cell:
            left = draft.dirty.get(draft.last_cell)
            if left is not None and left.is_full:
                self._seal_early(draft, draft.last_cell)
        if self._unsealed_bytes + size > self._volume.settings.draft_memory_bytes:
            self._relieve_memory()

    def resize(self, inode: Inode, size: int, *, uid: int) -> None:
        """The draft has `size` bytes; what was added reads as zeros and takes no space.

        Raises:
            FileTooLarge: beyond the largest file.
        """
        if size > FILE_BYTES_MAX:
            raise FileTooLarge(f"{size} bytes")
        self._volume.check_writable()
        draft = self._volume.drafts.get(inode.ino) or self._begin(inode, uid)
        draft.resize(size, now_ns=self._volume.now_ns())

    def begin_new(self, inode: Inode, *, uid: int) -> None:
        """A file that was just made has a draft, so that its first close makes a version."""
        self._begin(inode, uid).is_altered = True

    def save_first(self, inode: Inode, *, uid: int) -> None:
        """A file without a version has one: what is being written to it, or nothing."""
        draft = self._volume.drafts.get(inode.ino)
        if draft is None:
            draft = self._begin(inode, uid)
            draft.mtime_ns = inode.mtime_ns  # nobody wrote
        draft.is_altered = True
        self.commit(inode.ino, origin=Origin.CLOSE)

    def _begin(self, inode: Inode, uid: int) -> Draft:
        draft = Draft(
            inode.ino,
            draft_id=self._volume.new_draft_id(),
            size=inode.size,
            uid=uid,
            now_ns=self._volume.now_ns(),
        )
        self._volume.use.note()
        # Once the default encryption has changed, new bytes of the file need a new key.
        if inode.key_id and self._volume.new_keys.fits(inode.key_id):
            draft.key_id = inode.key_id
        self._volume.drafts[inode.ino] = draft
        return draft

    def discard(self, ino: int) -> None:
        """The draft is gone and no crash brings it back."""
        draft = self._volume.drafts.get(ino)
        if draft is None:
            return
        self._forget(draft)
        if draft.journaled:
            self._volume.durability.drop_draft(draft.draft_id)

    def _relieve_memory(self) -> None:
        """Drafts hold at most half their budget: the largest are sealed first."""
        drafts = sorted(self._volume.drafts.values(), key=lambda d: d.dirty_bytes, reverse=True)
        total = sum([draft.dirty_bytes for draft in drafts])
        for draft in drafts:
            if total <= self._volume.settings.draft_memory_bytes // 2:
                break
            total -= draft.dirty_bytes
            for cell in list(draft.dirty):
                self._seal_early(draft, cell)
        self._unsealed_bytes = total

    def _seal_early(self, draft: Draft, cell: int) -> None:
        """A cell of a draft that stays open goes into a pack; its key must outlive a crash."""
        if not self._volume.keys.exists(draft.key_id):
            made = self._volume.new_keys.make(draft.ino)
            key_id = made[-1].key_id
            inode = msgspec.structs.replace(self._volume.inode(draft.ino), key_id=key_id)
            self._volume.apply([*made, PutInode(inode)])
            draft.key_id = key_id
        sealed = self._seal(draft, cell, draft.key_id)
        self._unsealed_bytes = max(self._unsealed_bytes - draft.dirty[cell].size_bytes, 0)
        draft.seal(cell, sealed.layout, sealed.blocks)

    def _seal(self, draft: Draft, cell: int, key_id: int) -> _SealedCell:
        """The dirty bytes of the cell are in blocks; the draft is as it was."""
        layout = self._reading.draft_layout(draft, cell)
        runs = draft.dirty[cell].runs()
        try:
            return self._seal_pieces(draft, cell, key_id, layout, plan_pieces(layout, runs))
        except DataDamaged:  # in old bytes that would be sealed anew with the runs beside them
            return self._seal_pieces(draft, cell, key_id, layout, runs)

    def _seal_pieces(
        self, draft: Draft, cell: int, key_id: int, layout: Layout, pieces: Runs
    ) -> _SealedCell:
        base = cell * CELL_BYTES
        blocks = []
        new = layout
        for start, end in pieces:
            plain = draft.dirty[cell].run(start, end) or self._reading.read_blocking(
                lambda _: layout, base + start, end - start, draft
            )
            block = self._volume.blocks.store(
                plain, key_id=key_id, offset=base + start, placement=FIRST_PLACEMENT
            )
            blocks.append(block)
            new = overlay(new, Extent(start, end - start, block.block_id))
        return _SealedCell(new, blocks)

    def commit(self, ino: int, *, origin: Origin, replaces_ns: int = 0) -> Version | None:
        """The draft is the current version; None where there was nothing to commit.

        A draft whose every byte is as it was makes no version: pages of a mapping arrive late and
        whole. `replaces_ns` names an earlier version that this one makes superfluous.

        Raises:
            StoreFull: nothing was committed, the draft is kept.
        """
        volume = self._volume
        draft = volume.drafts.get(ino)
        if draft is None:
            return None
        if not draft.is_altered:
            self.discard(ino)
            return None
        inode = volume.inode(ino)
        if inode.version_ns and self._is_unchanged(draft):
            self._keep_times(inode, draft)
            return None
        version = self._apply_commit(inode, draft, origin=origin)
        self._remove_superseded(ino, version, replaces_ns)
        volume.on_commit(ino)
        return version

    def _apply_commit(self, inode: Inode, draft: Draft, *, origin: Origin) -> Version:
        """Until all of it is applied the draft stays as it was: a full disk loses nothing."""
        volume = self._volume
        changes: list[Change] = []
        key_id = draft.key_id or inode.key_id
        if draft.dirty and not (draft.key_id and volume.keys.exists(draft.key_id)):
            changes += volume.new_keys.make(inode.ino)
            assert isinstance(changes[-1], PutKey)
            key_id = changes[-1].key_id
        sealed = {cell: self._seal(draft, cell, key_id) for cell in sorted(draft.dirty)}
        stamp_ns = volume.stamp()
        new_blocks = {block.block_id: block for cell in sealed.values() for block in cell.blocks}
        cells = CellChanges(inode.ino, stamp_ns, {**draft.blocks, **new_blocks})
        self._change_cells(draft, sealed, cells)
        version = self.new_version(
            inode,
            stamp_ns,
            size=draft.size,
            stored=cells.stored_bytes,
            origin=origin,
            uid=draft.uid,
        )
        needed = self._keys_needed(inode, draft, key_id)
        version = msgspec.structs.replace(version, key_ids=needed)
        committed = msgspec.structs.replace(
            inode,
            size=draft.size,
            allocated=inode.allocated + cells.data_bytes,
            mtime_ns=draft.mtime_ns,
            ctime_ns=max(inode.ctime_ns, draft.ctime_ns),
            key_id=key_id,
            version_ns=stamp_ns,
            lock=version.lock,
            storage_class=class_in_inode(version),
        )
        changes += cells.changes
        if inode.version_ns:
            changes.append(KeepAttributes(kept_attributes(inode, stamp_ns)))
        changes.append(PutVersion(version))
        changes.append(PutInode(committed))
        changes += self._locks.note_commit(committed)
        if committed.storage_class or inode.storage_class:
            changes += [*volume.note_classes(), volume.mark_unsettled(inode.ino)]
        volume.apply(changes, ended_draft=draft.draft_id if draft.journaled else 0)
        self._forget(draft)
        return version

    def _keys_needed(self, inode: Inode, draft: Draft, key_id: int) -> tuple[int, ...]:
        """The data keys of the draft's own bytes, and of what still shows of the version below."""
        own = (key_id,) if draft.dirty or draft.sealed else ()
        if not inode.version_ns or not draft.base_limit:
            return own
        below = self._volume.metadata.version(inode.ino, inode.version_ns)
        older = () if below is None else below.key_ids
        return (*(key for key in older if key not in own), *own)

    def _forget(self, draft: Draft) -> None:
        """The draft is no more."""
        del self._volume.drafts[draft.ino]
        self._unsealed_bytes = max(self._unsealed_bytes - draft.dirty_bytes, 0)
        if not self._volume.drafts:
            self._unsealed_bytes = 0

    def _change_cells(
        self, draft: Draft, sealed: dict[int, _SealedCell], cells: CellChanges
    ) -> None:
        """Sealed cells get their new layout, and what truncation cut off is closed."""
        metadata = self._volume.metadata
        layouts = {**draft.sealed, **{cell: new.layout for cell, new in sealed.items()}}
        for cell, layout in layouts.items():
            is_new = cell * CELL_BYTES >= draft.base_size  # so nothing was laid out there
            found = b"" if is_new else metadata.cell(draft.ino, cell, CURRENT_NS)
            cells.lay_out(cell, decode_layout(found) if found else HOLE, layout)
        if draft.base_limit < draft.base_size:
            edge, within = divmod(draft.base_limit, CELL_BYTES)
            last = (draft.base_size - 1) // CELL_BYTES
            if all(cell in layouts for cell in range(edge, last + 1)):
                return  # as of a small file that was written anew
            for cell, _, found in metadata.cells(draft.ino, edge, CURRENT_NS):
                if cell not in layouts:
                    old = decode_layout(found)
                    cells.lay_out(cell, old, clip(old, within) if cell == edge else HOLE)

    def new_version(
        self, inode: Inode, stamp_ns: int, *, size: int, stored: int, origin: Origin, uid: int
    ) -> Version:
        """The version that a commit at `stamp_ns` makes, with the lock that it inherits."""
        salt = self._volume.salt(stamp_ns)
        version = Version(
            ino=inode.ino,
            stamp_ns=stamp_ns,
            salt=salt,
            size=size,
            is_null=self._volume.settings.versioning is not VersioningState.ENABLED,
            etag=blake3(stamp_ns.to_bytes(8, "big") + salt.to_bytes(8, "big")).digest(16),
            stored_bytes=stored,
            lock=self._locks.pending.lock_of_new_version(inode, stamp_ns, size=size),
            origin=origin,
            uid=uid,
        )
        storage_class = self._classes.of_new_version(inode)
        if storage_class == version.storage_class:
            return version
        return in_class(version, storage_class, now_ns=stamp_ns)

    def restore_version(
        self, ino: int, *, source: int, stamp_ns: int, uid: int, like: Inode | None
    ) -> Version:
        """A new current version shares every block of the version `stamp_ns` of inode `source`."""
        volume = self._volume
        inode = volume.inode(ino)
        old = volume.metadata.version(source, stamp_ns)
        if old is None:
            raise NoSuchVersion("the version was purged")
        now_ns = volume.stamp()
        cells = CellChanges(ino, now_ns, {})
        wanted = {cell: found for cell, _, found in volume.metadata.cells(source, 0, stamp_ns)}
        present = {cell: found for cell, _, found in volume.metadata.cells(ino, 0, CURRENT_NS)}
        for cell in sorted(wanted.keys() | present.keys()):
            cells.lay_out(
                cell,
                decode_layout(present.get(cell, b"")),
                decode_layout(wanted.get(cell, b"")),
            )
        version = self.new_version(
            inode, now_ns, size=old.size, stored=0, origin=Origin.RESTORED, uid=uid
        )
        version = msgspec.structs.replace(
            version, etag=old.etag, tags=old.tags, key_ids=old.key_ids
        )
        if needs_restore(old.storage_class):  # its bytes stay where they are
            version = in_class(version, old.storage_class, now_ns=now_ns)
        committed = msgspec.structs.replace(
            inode,
            size=old.size,
            allocated=inode.allocated + cells.data_bytes,
            mtime_ns=now_ns,
            ctime_ns=now_ns,
            version_ns=now_ns,
            lock=version.lock,
            storage_class=class_in_inode(version),
        )
        if like is not None:
            committed = restored(committed, like, now_ns)
        changes: list[Change] = list(cells.changes)
        if inode.version_ns:
            changes.append(KeepAttributes(kept_attributes(inode, now_ns)))
        changes += [PutVersion(version), PutInode(committed)]
        if source != ino:
            changes.append(ShareBlocks(ino, source))
        if volume.uses_classes or committed.storage_class:
            changes += [*volume.note_classes(), volume.mark_unsettled(ino)]
        volume.apply([*changes, *self._locks.note_commit(committed)])
        self._remove_superseded(ino, version, 0)
        volume.on_commit(ino)
        return version

    def _remove_superseded(self, ino: int, version: Version, replaces_ns: int) -> None:
        """Versions that the new one replaces are gone: S3's null version, a provisional commit."""
        for old in self._volume.metadata.versions(ino) if version.is_null or replaces_ns else ():
            superfluous = old.stamp_ns == replaces_ns or (version.is_null and old.is_null)
            if superfluous and old.stamp_ns != version.stamp_ns:
                self._locks.check_version(Operation.REPLACE_VERSION, old)
                remove_version(self._volume, old)
        for entry in self._volume.metadata.entries_of(ino) if version.is_null else ():
            if entry.to_ns == OPEN_NS:
                remove_older_nulls(self._volume, self._locks, entry.parent, entry.name)

    def _is_unchanged(self, draft: Draft) -> bool:
        """Whether the file reads as its current version; runs that change nothing go."""
        if draft.size != draft.base_size or draft.base_limit != draft.base_size or draft.sealed:
            return False
        layout_of = self._reading.layouts(draft.ino)
        for cell, dirty in list(draft.dirty.items()):
            for start, end in dirty.runs():
                if self._run_is_unchanged(draft, layout_of, cell * CELL_BYTES, start, end):
                    dirty.drop(start)
            if not dirty.size_bytes:
                del draft.dirty[cell]
        return not draft.dirty

    def _run_is_unchanged(
        self, draft: Draft, layout_of: LayoutOf, base: int, start: int, end: int
    ) -> bool:
        dirty = draft.dirty[base // CELL_BYTES]
        probed = min(start + PROBE_BYTES, end)
        for first, stop in ((start, probed), (probed, end)):
            if first == stop:
                break
            try:
                old = self._reading.read_blocking(layout_of, base + first, stop - first)
            except DataDamaged:
                return False  # what replaces damage is a change
            if any(
                # As bytes: a memoryview is compared one byte after the other.
                old[position - first : position - first + len(piece)] != bytes(piece)
                for position, piece in dirty.pieces(first, stop)
            ):
                return False
        return True

    def _keep_times(self, inode: Inode, draft: Draft) -> None:
        """Bytes did not change, but they were written: the times say so."""
        kept = kept_attributes(inode, self._volume.stamp())
        written = msgspec.structs.replace(
            inode, mtime_ns=draft.mtime_ns, ctime_ns=max(inode.ctime_ns, draft.ctime_ns)
        )
        self._volume.apply(
            [KeepAttributes(kept), PutInode(written)],
            ended_draft=draft.draft_id if draft.journaled else 0,
        )
        self._forget(draft)
