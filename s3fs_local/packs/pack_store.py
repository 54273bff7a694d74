"""Sealed blocks in append-only packs, the same bytes in every zone that holds them.

Offsets are the same in all zones. A pack is appended to as long as enough of its zones agree on its
length; after an append that did not reach enough of them the pack is left, and the next block
begins a new one.

A pack that no longer grows may lie as shares instead (`coded_packs.py`): readers here do not
notice.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache, partial
from struct import Struct as Layout
from threading import Lock
from typing import Final

from s3fs_local.errors import (
    TRANSIENT,
    DataDamaged,
    StorageError,
    TooFewZones,
    ZoneUnavailable,
)
from s3fs_local.objects.interface import Appender, ObjectStore
from s3fs_local.objects.zone import Zone
from s3fs_local.objects.zone_set import ZoneSet
from s3fs_local.packs.coded_packs import CodedPack, CodedPacks
from s3fs_local.packs.shares import share_name
from s3fs_local.rules.placement import EVERYWHERE, Homes
from s3fs_local.system.randomness import Randomness

PACK_BYTES_MAX: Final = 64 << 20
FORMAT: Final = 1
STORE_ID_BYTES: Final = 16
ID_RANDOM_BITS: Final = 32

_FOLDER: Final = "packs/"
_MAGIC: Final = b"S3FSPACK"
_HEADER: Final = Layout(">8sII16sQ")  # magic, format, zero, store id, pack id
HEADER_BYTES: Final = _HEADER.size

Bytes = bytes | bytearray | memoryview
GoodBytes = Callable[[int, int, int], bytes]
"""Bytes [start, end) of a pack, by its id: as they were sealed, wherever some zone has them so."""


@lru_cache(maxsize=4096)
def pack_name(pack_id: int) -> str:
    """The object that holds the pack; folders are named for the last byte, so they fill evenly."""
    text = f"{pack_id:016x}"
    return f"{_FOLDER}{text[-2:]}/{text}.pack"


def pack_id_of(name: str) -> int | None:
    """The pack that the object holds; None for any other object."""
    try:
        pack_id = int(name.rpartition("/")[2].removesuffix(".pack"), 16)
    except ValueError:
        return None
    return pack_id if pack_name(pack_id) == name else None


def pack_id_after(last: int, randomness: Randomness) -> int:
    """The id of a new pack: greater than `last`, and no pack ever had it, in any zone.

    What a crash leaves in a zone before a fact mentions it is known to nobody while that zone is
    away. So ids are counted, for their order, and half of each is chance, for its uniqueness.
    """
    return (pack_count(last) + 1) << ID_RANDOM_BITS | randomness.bits(ID_RANDOM_BITS)


def pack_count(pack_id: int) -> int:
    """How many packs had been begun with this one, about: neighbours differ by one."""
    return pack_id >> ID_RANDOM_BITS or pack_id  # stores of before counted in whole ids


class _OpenPack:
    """A pack that grows."""

    def __init__(self, pack_id: int, appender: Appender, homes: Sequence[Zone]) -> None:
        self.pack_id = pack_id
        self.appender = appender
        self.homes = homes  # as they were when it was opened
        self.synced_bytes = 0
        self.owed_bytes = 0  # up to here facts may rely on it after the next sync
        self.is_resumed = False  # of another process, which may have synced none of it

    @property
    def length(self) -> int:
        return self.appender.length

    @property
    def owes_sync(self) -> bool:
        """Whether facts may rely on bytes that no sync has covered."""
        return self.owed_bytes > self.synced_bytes

    @property
    def is_due(self) -> bool:
        """Whether the next sync covers it, whoever asks for that."""
        return self.owes_sync or (self.is_resumed and not self.synced_bytes)


class PackStore:
    """The packs of one store.

    Threads: `sync`, `read` and `lengths` may run in worker threads, beside each other and beside
    everything else. The other methods may run in any thread, one at a time. A mutex guards the
    lists of packs and is never held during I/O that waits for a device.
    """

    def __init__(
        self,
        zones: ZoneSet | Sequence[ObjectStore],
        *,
        store_id: bytes,
        allocate_pack: Callable[[str], int],
        pack_bytes_max: int = PACK_BYTES_MAX,
        homes_of: Callable[[str], Homes] = lambda _: EVERYWHERE,
    ) -> None:
        """Over `zones`, one at least, in order of preference for reads.

        Args:
            zones: where packs live.
            store_id: STORE_ID_BYTES, written into each pack.
            allocate_pack: returns an id for a pack of the placement that no pack ever had, greater
                than all before; called when a pack is begun.
            pack_bytes_max: no block is appended that would make a pack longer, save its first one.
            homes_of: which zones hold the packs of a placement.
        """
        self.zones: Final = ZoneSet.of(zones)
        self.coded: Final = CodedPacks(self.zones, store_id=store_id)
        self._homes_of = homes_of
        self._store_id = store_id
        self._allocate_pack = allocate_pack
        self._pack_bytes_max = pack_bytes_max
        self._open: dict[str, _OpenPack] = {}
        self._retired: list[_OpenPack] = []  # closed to appends, not yet to syncs
        self._failure: str | None = None
        self.suspects: set[int] = set()  # packs that may be damaged in a zone: somebody is to look
        self.removed: set[int] = set()  # packs that went since this was made
        self.replaced: set[tuple[Zone, int]] = set()  # copies that were put anew, since kept
        self._mutex = Lock()  # around _open, _retired and synced_bytes
        self._sync_mutex = Lock()  # one sync at a time

    def append(self, sealed: Bytes, placement: str, *, moves: bool = False) -> tuple[int, int]:
        """The bytes lie in the pack at the offset returned, in enough zones; durable after `sync`.

        With `moves` they lie elsewhere too, and nothing relies on them before a strict sync.

        Returns:
            (pack id, offset in the pack).

        Raises:
            StoreFull: no space; nothing was appended anywhere that a reader could find.
            TooFewZones: the same, for want of zones that answer.
            ZoneUnavailable: the only zone failed, now or at an earlier sync.
        """
        self._check_no_failure()
        pack = self._pack_for(sealed, placement)
        try:
            offset = self._append_to(pack, sealed, placement)
        except TRANSIENT:
            if self._homes_now(pack.pack_id, placement) == pack.homes:
                raise
            pack = self._begin(placement)  # its zones failed; others take what follows
            offset = self._append_to(pack, sealed, placement)
        if not moves:
            pack.owed_bytes = pack.length
        return pack.pack_id, offset

    def _append_to(self, pack: _OpenPack, sealed: Bytes, placement: str) -> int:
        try:
            return pack.appender.append(sealed)
        except StorageError:
            if not pack.appender.can_grow:
                self._retire(placement)
            raise

    def _pack_for(self, sealed: Bytes, placement: str) -> _OpenPack:
        """The pack to which the bytes go; begun if there is none that takes them."""
        pack = self._open.get(placement)
        if pack is not None and pack.length + len(sealed) > self._pack_bytes_max:
            self._retire(placement)
            pack = None
        return self._begin(placement) if pack is None else pack

    def copies_wanted(self, pack_id: int, placement: str) -> int:
        """In how many zones the pack belongs."""
        return self.copies_in(pack_id, self._homes_of(placement))

    def copies_in(self, pack_id: int, homes: Homes) -> int:
        """In how many zones it would belong if that were where."""
        return len(self.zones.homes_of(homes, spread=pack_count(pack_id)))

    def _homes_now(self, pack_id: int, placement: str) -> Sequence[Zone]:
        return self.zones.homes_of(self._homes_of(placement), spread=pack_count(pack_id))

    def resume(self, pack_id: int, placement: str) -> bool:
        """Whether the next blocks of the placement go to this existing pack; call after a restart.

        False, and nothing is changed, where the pack is missing, full, damaged or a suspect, has
        shares, or its zones differ in length or are not all well; and where a newer release wrote
        it, of which a rotten header cannot be told apart. (That a store is too new for this release
        is said by its own record and those of its zones.)
        """
        name = pack_name(pack_id)
        homes = self._homes_now(pack_id, placement)
        if pack_id in self.suspects:
            return False
        try:
            lengths = self.zones.lengths_of(name)
            headers = set(self.zones.copies(name, 0, HEADER_BYTES).values())
        except StorageError:
            return False
        if len(set(lengths.values())) != 1 or max(lengths.values()) >= self._pack_bytes_max:
            return False
        if headers != {self._header(pack_id)}:
            if self._header(pack_id) in headers:
                self.suspects.add(pack_id)  # the others rotted
            return False
        if set(lengths) != set(homes) or self.coded.find(pack_id) is not None:
            return False
        pack = _OpenPack(pack_id, self.zones.append_to(name), homes)
        pack.is_resumed = True
        self._retire(placement)
        with self._mutex:
            self._open[placement] = pack
        return True

    @property
    def needs_sync(self) -> bool:
        """Whether bytes were appended that no `sync` has covered."""
        with self._mutex:
            return any(pack.length > pack.synced_bytes for pack in self._packs())

    @property
    def owes_sync(self) -> bool:
        """The same, of bytes that did not only move: facts may rely on these."""
        with self._mutex:
            return any(pack.is_due for pack in self._packs())

    @property
    def is_syncing(self) -> bool:
        """Whether a sync runs now, for whose end another one would wait."""
        return self._sync_mutex.locked()

    def sync(self, *, strict: bool = False, only_owed: bool = False) -> None:
        """Everything appended before the call survives a power cut. Blocks.

        With `only_owed`, packs to which bytes were only moved wait for whoever moved them: their
        sync is not for those to wait for who write something.

        A pack of which only moved bytes are due, and whose zones are gone, is left as it is, and
        keeps nobody from going on; unless `strict`, for whoever moved them.

        After a failure of the only zone it fails for ever, and so do appends.

        Raises:
            TooFewZones: not enough zones could promise it; with more of them it may be tried again.
            StoreFull: the same, for want of room.
            ZoneUnavailable: the only zone could not promise it, now or earlier.
        """
        with self._sync_mutex:
            self._check_no_failure()
            with self._mutex:
                asked = [p for p in self._packs() if p.is_due or not only_owed]
                due = [(pack, pack.length) for pack in asked]
                finished = [pack for pack in self._retired if pack in asked]
            try:
                failures = [self._sync_pack(pack, length) for pack, length in due]
            except TRANSIENT:
                raise
            except StorageError as error:
                self._failure = f"an earlier sync of packs failed: {error}"
                raise
            with self._mutex:
                self._retired = [pack for pack in self._retired if pack not in finished]
            for pack in finished:
                pack.appender.close()
        for failure in failures if strict else []:
            if failure is not None:
                raise failure

    def sync_existing(self, placements: Mapping[int, str], good_bytes: GoodBytes) -> None:
        """Packs that an earlier process wrote are durable as they are, where they belong. Blocks.

        A killed process leaves bytes in the page cache that nobody synced yet, and zones that did
        not get the last of them.

        Args:
            placements: of the packs.
            good_bytes: what such a zone is given.

        Raises:
            ZoneUnavailable, TooFewZones, StoreFull: it could not be promised.
        """
        for pack_id, placement in placements.items():
            with suppress(KeyError):
                homes = self._homes_of(placement)
                appender = self.zones.append_to(
                    pack_name(pack_id),
                    homes,
                    spread=pack_count(pack_id),
                    missing=partial(good_bytes, pack_id),
                )
                try:
                    appender.sync()
                finally:
                    appender.close()

    def even_out(self, pack_id: int, placement: str, good_bytes: GoodBytes) -> bool:
        """Whether a zone had less of the pack than another; it is given the rest, durably. Blocks.

        True also where no zone has any of it. What a zone had before is read, and mended, later.
        """
        if self.zones.only is not None:
            return False
        lengths = self.zones.lengths_of(pack_name(pack_id))
        if not lengths:
            return self.coded.find(pack_id) is None
        homes = self._homes_of(placement)
        lacking = self.zones.lacking(homes, set(lengths), spread=pack_count(pack_id))
        if not lacking and len(set(lengths.values())) == 1:
            return False
        self.suspects.add(pack_id)
        self.sync_existing({pack_id: placement}, good_bytes)
        return True

    def read_nowait(self, pack_id: int, offset: int, length: int) -> bytes | None:
        """The bytes, or None where the first zone that could have them would make us wait.

        None also where no zone has them: `read` then says why.
        """
        if self.coded.known(pack_id) is not None:
            return self.coded.read_nowait(pack_id, offset, length)
        try:
            data = self.zones.read_nowait(pack_name(pack_id), offset, length)
        except (KeyError, StorageError):
            return None
        return data if data is None or len(data) == length else None

    def read(
        self,
        pack_id: int,
        offset: int,
        length: int,
        verify: Callable[[bytes], bool] | None = None,
    ) -> bytes:
        """The bytes, from the first zone whose bytes are all there and pass `verify`. May block.

        Raises:
            DataDamaged: the zones that answer do not have the bytes, or have bad ones.
            ZoneUnavailable: no zone answers.
        """
        if self.coded.known(pack_id) is not None:
            with suppress(DataDamaged, ZoneUnavailable):  # it may be copies again
                found = self.coded.read(pack_id, offset, length, verify)
                if found is not None:
                    return found
        try:
            return self._read(pack_id, offset, length, verify)
        except (DataDamaged, ZoneUnavailable) as error:
            where = f"{length} bytes at {offset} of pack {pack_id:016x}"
            raise type(error)(f"{where}: {error}") from error

    def _read(
        self, pack_id: int, offset: int, length: int, verify: Callable[[bytes], bool] | None
    ) -> bytes:
        try:
            return self.zones.read_good(pack_name(pack_id), offset, length, verify)
        except (DataDamaged, ZoneUnavailable):
            found = self.coded.read(pack_id, offset, length, verify)
            if found is None:
                raise
            return found

    def leave(self, pack_id: int) -> None:
        """Nothing more is appended to the pack; what follows begins a new one."""
        for placement, pack in list(self._open.items()):
            if pack.pack_id == pack_id:
                self._retire(placement)

    def remove(self, pack_id: int) -> None:
        """The pack is gone from every zone, durably; appends that follow begin a new one."""
        self.leave(pack_id)
        self.removed.add(pack_id)
        self.zones.delete(pack_name(pack_id))
        self.remove_shares(pack_id)

    def remove_copies(self, pack_id: int, coded: CodedPack) -> None:
        """The pack lies as shares only."""
        self.coded.note(pack_id, coded)
        self.zones.delete(pack_name(pack_id))

    def remove_shares(self, pack_id: int) -> None:
        """The pack has no shares, durably."""
        self.coded.forget(pack_id)
        for name in self.coded.names_in(self.zones.readable, pack_id):
            self.zones.delete(name)

    def has_no_copies(self, pack_id: int) -> bool:
        """Whether the pack was removed, or lies as shares, as far as is known."""
        return pack_id in self.removed or self.coded.known(pack_id) is not None

    def leave_open_packs(self) -> None:
        """The next blocks begin new packs, in the zones that are well then."""
        self.leave_packs_of(list(self._open))

    def leave_packs_of(self, placements: Iterable[str]) -> None:
        """The next blocks of these placements begin new packs, where they belong now."""
        for placement in placements:
            self._retire(placement)

    def is_growing(self, pack_id: int) -> bool:
        """Whether bytes may still be added to the pack, or wait for their sync."""
        with self._mutex:
            return any(pack.pack_id == pack_id for pack in self._packs())

    def growing(self) -> list[int]:
        """The packs to which the next blocks go."""
        with self._mutex:
            return [pack.pack_id for pack in self._open.values()]

    def growing_lengths(self) -> dict[int, tuple[str, int]]:
        """The placement and length of each of them."""
        with self._mutex:
            return {pack.pack_id: (name, pack.length) for name, pack in self._open.items()}

    def object_in(self, zone: Zone, pack_id: int) -> str:
        """What the zone has of the pack, by name: a copy, or a share where those are known."""
        coded = self.coded.known(pack_id)
        for number, holders in {} if coded is None else coded.holders.items():
            if zone in holders:
                return share_name(pack_id, number)
        return pack_name(pack_id)

    def lengths(self) -> dict[int, int]:
        """Every pack in any zone, with its greatest length in bytes; orphans included.

        Of a pack that lies as shares: how long it would be as a copy.
        """
        lengths: dict[int, int] = {}
        for name in self.zones.list(_FOLDER):
            pack_id = pack_id_of(name)
            if pack_id is not None:
                with suppress(KeyError):  # removed while we look
                    lengths[pack_id] = self.zones.length(name)
        for pack_id in self.coded.ids() - lengths.keys():
            coded = self.coded.known(pack_id) or self.coded.find(pack_id)
            if coded is not None:
                self.coded.note(pack_id, coded)
                lengths[pack_id] = coded.kind.length
        return lengths

    def close(self) -> None:
        """No pack is open any more; not a sync."""
        with self._sync_mutex, self._mutex:
            for pack in self._packs():
                pack.appender.close()
            self._open.clear()
            self._retired.clear()

    def _begin(self, placement: str) -> _OpenPack:
        pack_id = self._allocate_pack(placement)
        homes = self._homes_now(pack_id, placement)
        try:
            pack = _OpenPack(pack_id, self._create(pack_id, placement), homes)
        except TRANSIENT:
            if self._homes_now(pack_id, placement) == homes:
                raise
            return self._begin(placement)  # its zones failed; others take it
        with self._mutex:
            self._open[placement] = pack
        return pack

    def _create(self, pack_id: int, placement: str) -> Appender:
        name = pack_name(pack_id)
        appender = self.zones.create(name, self._homes_of(placement), spread=pack_count(pack_id))
        try:
            appender.append(self._header(pack_id))
        except StorageError:
            appender.close()
            with suppress(StorageError):  # fsck finds what cannot be removed
                self.zones.delete(name)
            raise
        return appender

    def _retire(self, placement: str) -> None:
        with self._mutex:
            pack = self._open.pop(placement, None)
            if pack is not None:
                self._retired.append(pack)

    def _sync_pack(self, pack: _OpenPack, length: int) -> TooFewZones | None:
        """What kept a pack from its sync on which nobody relies; it is left then.

        Raises:
            TooFewZones, ZoneUnavailable: somebody does.
        """
        if length == pack.synced_bytes:
            return None
        try:
            pack.appender.sync()
        except TooFewZones as error:
            if pack.owes_sync:
                raise
            self._drop(pack)
            return error
        with self._mutex:
            pack.synced_bytes = length
        return None

    def _drop(self, pack: _OpenPack) -> None:
        """Nothing is appended to it any more, and it waits for no sync."""
        self.leave(pack.pack_id)
        with self._mutex:
            self._retired = [each for each in self._retired if each is not pack]
        pack.appender.close()

    def _packs(self) -> list[_OpenPack]:
        return [*self._open.values(), *self._retired]

    def homes_of(self, placement: str) -> Homes:
        """Where packs of the placement belong."""
        return self._homes_of(placement)

    def header(self, pack_id: int) -> bytes:
        """The first bytes of the pack."""
        return self._header(pack_id)

    def _header(self, pack_id: int) -> bytes:
        return _HEADER.pack(_MAGIC, FORMAT, 0, self._store_id, pack_id)

    def _check_no_failure(self) -> None:
        if self._failure is not None:
            raise ZoneUnavailable(self._failure)
