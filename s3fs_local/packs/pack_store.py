"""Sealed blocks in append-only packs, the same bytes in every zone.

Offsets are the same in all zones. A pack is appended to as long as its zones agree on its length;
where an append reached only some of them, the pack is left and the next block begins a new one.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import lru_cache
from struct import Struct as Layout
from threading import Lock
from typing import Final

from s3fs_local.errors import DataDamaged, FormatTooNew, StorageError, ZoneUnavailable
from s3fs_local.objects.interface import Appender, ObjectStore

PACK_BYTES_MAX: Final = 64 << 20
FORMAT: Final = 1
STORE_ID_BYTES: Final = 16

_FOLDER: Final = "packs/"
_MAGIC: Final = b"S3FSPACK"
_HEADER: Final = Layout(">8sII16sQ")  # magic, format, zero, store id, pack id
HEADER_BYTES: Final = _HEADER.size

Bytes = bytes | bytearray | memoryview


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


class _OpenPack:
    """A pack that grows, in all zones."""

    def __init__(self, pack_id: int, appenders: list[Appender]) -> None:
        self.pack_id = pack_id
        self.appenders = appenders
        self.synced_bytes = 0

    @property
    def length(self) -> int:
        # The zone written last: a sync beside an append counts only what has reached every zone.
        return self.appenders[-1].length

    def agrees(self) -> bool:
        return len({appender.length for appender in self.appenders}) == 1

    def append(self, data: Bytes) -> int:
        offset = self.length
        for appender in self.appenders:
            appender.append(data)
        return offset

    def close(self) -> None:
        for appender in self.appenders:
            appender.close()


class PackStore:
    """The packs of one store.

    Threads: `sync`, `read` and `lengths` may run in worker threads, beside each other and beside
    everything else. The other methods may run in any thread, one at a time. A mutex guards the
    lists of packs and is never held during I/O that waits for a device.
    """

    def __init__(
        self,
        zones: Sequence[ObjectStore],
        *,
        store_id: bytes,
        allocate_pack: Callable[[str], int],
        pack_bytes_max: int = PACK_BYTES_MAX,
    ) -> None:
        """Over `zones`, one at least, in order of preference for reads.

        Args:
            zones: every one holds every pack.
            store_id: STORE_ID_BYTES, written into each pack.
            allocate_pack: returns an unused pack id for a placement; called when a pack is begun.
            pack_bytes_max: no block is appended that would make a pack longer, save its first one.
        """
        assert zones
        self._zones = tuple(zones)
        self._store_id = store_id
        self._allocate_pack = allocate_pack
        self._pack_bytes_max = pack_bytes_max
        self._open: dict[str, _OpenPack] = {}
        self._retired: list[_OpenPack] = []  # closed to appends, not yet to syncs
        self._failure: str | None = None
        self._mutex = Lock()  # around _open, _retired and synced_bytes
        self._sync_mutex = Lock()  # one sync at a time

    def append(self, sealed: Bytes, placement: str) -> tuple[int, int]:
        """The bytes lie in the pack at the offset returned, in every zone; durable after `sync`.

        Returns:
            (pack id, offset in the pack).

        Raises:
            StoreFull: no space in a zone; nothing was appended anywhere that a reader could find.
            ZoneUnavailable: a zone failed, now or at an earlier sync.
        """
        self._check_no_failure()
        pack = self._open.get(placement)
        if pack is not None and pack.length + len(sealed) > self._pack_bytes_max:
            self._retire(placement)
            pack = None
        if pack is None:
            pack = self._begin(placement)
        try:
            return pack.pack_id, pack.append(sealed)
        except StorageError:
            if not pack.agrees():
                self._retire(placement)
            raise

    def resume(self, pack_id: int, placement: str) -> bool:
        """Whether the next blocks of the placement go to this existing pack; call after a restart.

        False, and nothing is changed, where the pack is missing or full, or its zones differ in
        length (which unsynced bytes do after a power cut).

        Raises:
            FormatTooNew: a newer release wrote the pack.
        """
        name = pack_name(pack_id)
        try:
            lengths = {zone.length(name) for zone in self._zones}
            headers = {zone.read(name, 0, HEADER_BYTES) for zone in self._zones}
        except KeyError:
            return False
        if len(lengths) > 1 or max(lengths) >= self._pack_bytes_max:
            return False
        if headers != {self._header(pack_id)}:
            _check_format(headers)
            return False
        pack = _OpenPack(pack_id, [zone.append_to(name) for zone in self._zones])
        self._retire(placement)
        with self._mutex:
            self._open[placement] = pack
        return True

    @property
    def needs_sync(self) -> bool:
        """Whether bytes were appended that no `sync` has covered."""
        with self._mutex:
            return any(pack.length > pack.synced_bytes for pack in self._packs())

    def sync(self) -> None:
        """Everything appended before the call survives a power cut. Blocks.

        After a failure it fails for ever, and so do appends.

        Raises:
            ZoneUnavailable: a zone could not promise it, now or earlier.
        """
        with self._sync_mutex:
            self._check_no_failure()
            with self._mutex:
                due = [(pack, pack.length) for pack in self._packs()]
                finished = list(self._retired)
            try:
                for pack, length in due:
                    self._sync_pack(pack, length)
            except StorageError as error:
                self._failure = f"an earlier sync of packs failed: {error}"
                raise
            with self._mutex:
                self._retired = [pack for pack in self._retired if pack not in finished]
            for pack in finished:
                pack.close()

    def sync_existing(self, pack_ids: Iterable[int]) -> None:
        """Packs that an earlier process wrote are durable as they are. Blocks.

        A killed process leaves bytes in the page cache that nobody synced yet.

        Raises:
            ZoneUnavailable: a zone could not promise it.
        """
        for pack_id in pack_ids:
            for zone in self._zones:
                with suppress(KeyError):
                    appender = zone.append_to(pack_name(pack_id))
                    appender.sync()
                    appender.close()

    def read_nowait(self, pack_id: int, offset: int, length: int) -> bytes | None:
        """The bytes, or None where the first zone that could have them would make us wait.

        None also where no zone has them: `read` then says why.
        """
        name = pack_name(pack_id)
        for zone in self._zones:
            try:
                data = zone.read_nowait(name, offset, length)
            except (KeyError, StorageError):
                continue
            if data is None or len(data) == length:
                return data
        return None

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
        name = pack_name(pack_id)
        answers = 0
        for zone in self._zones:
            try:
                data = zone.read(name, offset, length)
            except KeyError:
                answers += 1
                continue
            except StorageError:
                continue
            answers += 1
            if len(data) == length and (verify is None or verify(data)):
                return data
        where = f"{length} bytes at {offset} of pack {pack_id:016x}"
        if answers:
            raise DataDamaged(
                f"{where}: missing or damaged in {answers} of {len(self._zones)} zones"
            )
        raise ZoneUnavailable(f"{where}: none of {len(self._zones)} zones answers")

    def remove(self, pack_id: int) -> None:
        """The pack is gone from every zone, durably; appends that follow begin a new one."""
        for placement, pack in list(self._open.items()):
            if pack.pack_id == pack_id:
                self._retire(placement)
        for zone in self._zones:
            zone.delete(pack_name(pack_id))

    def lengths(self) -> dict[int, int]:
        """Every pack in any zone, with its greatest length in bytes; orphans included."""
        lengths: dict[int, int] = {}
        for zone in self._zones:
            for name in zone.list(_FOLDER):
                pack_id = pack_id_of(name)
                if pack_id is not None:
                    with suppress(KeyError):  # removed while we look
                        lengths[pack_id] = max(lengths.get(pack_id, 0), zone.length(name))
        return lengths

    def close(self) -> None:
        """No pack is open any more; not a sync."""
        with self._sync_mutex, self._mutex:
            for pack in self._packs():
                pack.close()
            self._open.clear()
            self._retired.clear()

    def _begin(self, placement: str) -> _OpenPack:
        while True:
            pack_id = self._allocate_pack(placement)
            try:
                appenders = self._create(pack_id)
            except FileExistsError:
                continue  # left by a crash before its id was recorded; fsck finds it
            pack = _OpenPack(pack_id, appenders)
            with self._mutex:
                self._open[placement] = pack
            return pack

    def _create(self, pack_id: int) -> list[Appender]:
        appenders: list[Appender] = []
        try:
            for zone in self._zones:
                appenders.append(zone.create(pack_name(pack_id)))
                appenders[-1].append(self._header(pack_id))
        except (FileExistsError, StorageError):
            for zone, appender in zip(self._zones, appenders, strict=False):
                appender.close()
                zone.delete(pack_name(pack_id))
            raise
        return appenders

    def _retire(self, placement: str) -> None:
        with self._mutex:
            pack = self._open.pop(placement, None)
            if pack is not None:
                self._retired.append(pack)

    def _sync_pack(self, pack: _OpenPack, length: int) -> None:
        if length == pack.synced_bytes:
            return
        for appender in pack.appenders:
            appender.sync()
        with self._mutex:
            pack.synced_bytes = length

    def _packs(self) -> list[_OpenPack]:
        return [*self._open.values(), *self._retired]

    def _header(self, pack_id: int) -> bytes:
        return _HEADER.pack(_MAGIC, FORMAT, 0, self._store_id, pack_id)

    def _check_no_failure(self) -> None:
        if self._failure is not None:
            raise ZoneUnavailable(self._failure)


def _check_format(headers: set[bytes]) -> None:
    for header in headers:
        if len(header) == HEADER_BYTES:
            magic, version, *_ = _HEADER.unpack(header)
            if magic == _MAGIC and version > FORMAT:
                raise FormatTooNew(f"a pack has format {version}, this release knows {FORMAT}")
