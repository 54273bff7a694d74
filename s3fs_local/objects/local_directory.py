"""A zone in a directory of this machine: one file per object."""

import errno
import os
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from stat import S_ISDIR
from threading import Lock
from typing import Final
from weakref import WeakValueDictionary

from s3fs_local.errors import ZoneUnavailable
from s3fs_local.objects.names import check_name, is_name
from s3fs_local.objects.unfinished import UNFINISHED
from s3fs_local.rules.keeping import Keeping
from s3fs_local.system import durable_files
from s3fs_local.system.immutable_files import is_immutable, set_immutable

_OPEN_FILES_MAX: Final = 128  # a fraction of the usual soft limit of 1024 descriptors
_FILE_MODE: Final = 0o600
_DIRECTORY_MODE: Final = 0o700


class _Descriptor:
    """Open for reading as long as anybody refers to it.

    A reader in another thread may still use what the cache just dropped; closed explicitly, the
    number could already belong to another file when that thread gets to read.
    """

    __slots__ = ("number",)

    def __init__(self, path: Path) -> None:
        self.number = -1
        self.number = os.open(path, os.O_RDONLY)

    def __del__(self) -> None:
        if self.number >= 0:
            os.close(self.number)


class _errors_of:  # noqa: N801  used like the functions of contextlib, at an eighth of their cost
    """OSErrors leave the block as the errors of the `ObjectStore` contract."""

    __slots__ = ("_what",)

    def __init__(self, what: object) -> None:
        self._what = what

    def __enter__(self) -> None:
        """Nothing to be done."""

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if not isinstance(error, OSError) or isinstance(error, FileExistsError):
            return
        raise durable_files.storage_error(error, self._what) from error


class DirectoryAppender:
    """Grows one file."""

    def __init__(self, path: Path, descriptor: int) -> None:
        """Goes on at the end of the file behind `descriptor`, which it takes over."""
        self._path = path
        self._descriptor = descriptor
        self._length = os.fstat(descriptor).st_size
        self._name_is_durable = False  # a killed process may have made the file a moment ago
        self._failure: str | None = None
        self._is_torn = False  # an append that failed may have left some of its bytes
        self.is_deleted = False  # by us, so that it may well be gone

    @property
    def length(self) -> int:
        """See `Appender`."""
        return self._length

    @property
    def can_grow(self) -> bool:
        """See `Appender`."""
        return self._failure is None and not self._is_torn

    def append(self, data: bytes | bytearray | memoryview) -> int:
        """See `Appender`."""
        self._check_no_failure()
        offset = self._length
        try:
            if self._is_torn:
                self._cut_back()
            durable_files.write_all(self._descriptor, data)
        except OSError as error:
            self._is_torn = True
            with suppress(OSError):  # a quota may forbid even that; the next append tries again
                self._cut_back()
            raise durable_files.storage_error(error, self._path) from error
        self._length += len(data)
        return offset

    def sync(self) -> None:
        """See `Appender`."""
        self._check_no_failure()
        length = self._length
        try:
            os.fdatasync(self._descriptor)  # includes the length, not the times
            if not self._name_is_durable:
                durable_files.fsync_directory(self._path.parent)
                self._name_is_durable = True
            self._check_still_there(length)
        except OSError as error:
            self._failure = f"{self._path}: an earlier sync failed: {error.strerror}"
            raise ZoneUnavailable(f"{self._path}: sync failed: {error.strerror}") from error

    def _check_still_there(self, length: int) -> None:
        """What was synced is in the zone, and not in a file that somebody removed or cut."""
        status = os.fstat(self._descriptor)
        if not self.is_deleted and not status.st_nlink:
            raise FileNotFoundError(errno.ENOENT, "the file was removed from the zone")
        if status.st_size < length:
            raise OSError(errno.EIO, "the file was cut by somebody else")

    def close(self) -> None:
        """See `Appender`."""
        if self._descriptor >= 0:
            with suppress(OSError):
                if self._is_torn:
                    self._cut_back()
            with suppress(OSError):  # a close that fails still closes
                os.close(self._descriptor)
            self._descriptor = -1

    def __del__(self) -> None:
        """Whoever is left behind by a zone that failed holds no descriptor."""
        self.close()

    def _cut_back(self) -> None:
        """What an append that failed has left is gone. Raises OSError."""
        if os.fstat(self._descriptor).st_size != self._length:
            os.ftruncate(self._descriptor, self._length)
        self._is_torn = False

    def _check_no_failure(self) -> None:
        if self._failure is not None:
            raise ZoneUnavailable(self._failure)


class LocalDirectory:
    """An `ObjectStore` whose objects are the files below one directory.

    Reads may run in threads beside each other and beside writes.
    """

    def __init__(self, root: Path) -> None:
        """For an existing directory; it is never made here, nor made again when it goes away.

        Raises:
            ZoneUnavailable: there is no such directory.
        """
        self._root = root
        self._can_refuse_to_wait = True
        self._readers: OrderedDict[str, _Descriptor] = OrderedDict()
        self._mutex = Lock()  # around self._readers
        self._growing: WeakValueDictionary[str, DirectoryAppender] = WeakValueDictionary()
        self._identity = self._identify_root()

    def put(self, name: str, data: bytes) -> None:
        """See `ObjectStore`."""
        path = self._new_path(name)
        with _errors_of(path), UNFINISHED.writing(path):
            _unseal(path)
            durable_files.replace(path, data, _FILE_MODE)
        self._forget(name)

    def create(self, name: str) -> DirectoryAppender:
        """See `ObjectStore`."""
        path = self._new_path(name)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL
        with _errors_of(path):
            appender = DirectoryAppender(path, os.open(path, flags, _FILE_MODE))
        self._growing[name] = appender
        return appender

    def append_to(self, name: str) -> DirectoryAppender:
        """See `ObjectStore`."""
        check_name(name)
        path = self._root / name
        with _errors_of(path), self._missing_is_key_error(name):
            try:
                descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
            except PermissionError:
                _unseal(path)
                descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
            appender = DirectoryAppender(path, descriptor)
        self._growing[name] = appender
        return appender

    def read(self, name: str, offset: int, length: int) -> bytes:
        """See `ObjectStore`."""
        with _errors_of(name):
            return _pread(self._reader(name).number, offset, length)

    def read_nowait(self, name: str, offset: int, length: int) -> bytes | None:
        """See `ObjectStore`; bytes that are in the page cache."""
        with _errors_of(name):
            number = self._reader(name).number
            if not self._can_refuse_to_wait:
                return _pread(number, offset, length)
            buffer = bytearray(length)
            try:
                done = os.preadv(number, [buffer], offset, os.RWF_NOWAIT)
            except BlockingIOError:
                return None
            except OSError as error:
                if error.errno != errno.EOPNOTSUPP:
                    raise
                self._can_refuse_to_wait = False
                return _pread(number, offset, length)
            if done == length:
                return bytes(buffer)
            if offset + done < os.fstat(number).st_size:
                return None  # the rest is on the disk
            return bytes(buffer[:done])

    def length(self, name: str) -> int:
        """See `ObjectStore`."""
        check_name(name)
        with _errors_of(name), self._missing_is_key_error(name):
            return (self._root / name).stat().st_size

    def list(self, prefix: str) -> Iterator[str]:
        """See `ObjectStore`."""
        with _errors_of(self._root):
            self._check_root()
            names: list[str] = []
            top = self._root / prefix.rpartition("/")[0]
            for folder, _, files in os.walk(top, onerror=_raise_unless_missing):
                place = Path(folder).relative_to(self._root)
                names += (str(place / file) for file in files)
        return iter(sorted(name for name in names if name.startswith(prefix) and is_name(name)))

    def delete(self, name: str) -> None:
        """See `ObjectStore`."""
        check_name(name)
        path = self._root / name
        with _errors_of(path):
            self._check_root()
            growing = self._growing.get(name)
            if growing is not None:
                growing.is_deleted = True
            with suppress(FileNotFoundError, NotADirectoryError):
                _unseal(path)
                path.unlink()
                durable_files.fsync_directory(path.parent)
        self._forget(name)

    def sweep(self) -> int:
        """See `ObjectStore`."""
        with _errors_of(self._root):
            self._check_root()
            return UNFINISHED.remove_left(self._root)

    @property
    def locks_objects(self) -> bool:
        """See `Keeper`."""
        return False

    @property
    def has_classes(self) -> bool:
        """See `Keeper`."""
        return False

    def keep(self, name: str, wanted: Keeping) -> str:
        """See `Keeper`; with the flag on, nobody can change the file but through this zone."""
        check_name(name)
        if not wanted.is_immutable:
            return ""
        with _errors_of(name), self._missing_is_key_error(name):
            can = set_immutable(self._root / name, wanted=True)
        return "" if can else "its disk has no such flag, or the daemon is not root"

    def bring_back(self) -> int:
        """See `Keeper`; nothing is ever hidden in a directory."""
        return 0

    def free_bytes(self) -> tuple[int, int]:
        """See `ObjectStore`."""
        with _errors_of(self._root):
            self._check_root()
            answer = os.statvfs(self._root)
        return answer.f_bavail * answer.f_frsize, answer.f_blocks * answer.f_frsize

    def read_anew(self) -> None:
        """See `ObjectStore`; files that somebody else took away or exchanged are seen to be."""
        with self._mutex:
            self._readers.clear()

    def is_at(self, directory: Path) -> bool:
        """Whether the directory is the one that this was made for, and is still there."""
        try:
            status = directory.stat()
        except OSError:
            return False
        return (status.st_dev, status.st_ino) == self._identity

    def _identify_root(self) -> tuple[int, int]:
        try:
            status = self._root.stat()
        except OSError as error:
            raise ZoneUnavailable(
                f"the zone directory {self._root} cannot be reached ({error.strerror}); "
                "is its disk mounted?"
            ) from error
        if not S_ISDIR(status.st_mode):
            raise ZoneUnavailable(f"the zone {self._root} is not a directory")
        return status.st_dev, status.st_ino

    def _check_root(self) -> None:
        # An unmounted disk leaves its empty mount point behind: a directory, but another one.
        if self._identify_root() != self._identity:
            raise ZoneUnavailable(
                f"the zone directory {self._root} is another one than before; is its disk mounted?"
            )

    def _new_path(self, name: str) -> Path:
        """Where the object belongs; the folders above it are there, durably."""
        check_name(name)
        self._check_root()
        path = self._root / name
        with _errors_of(path):
            missing = [folder for folder in path.parents if not folder.exists()]
            for folder in reversed(missing):
                if folder == self._root:  # went away a moment ago
                    self._check_root()
                folder.mkdir(_DIRECTORY_MODE, exist_ok=True)  # another thread may be as far
                durable_files.fsync_directory(folder.parent)
        return path

    def _reader(self, name: str) -> _Descriptor:
        with self._mutex:
            reader = self._readers.get(name)
            if reader is not None:
                self._readers.move_to_end(name)
                return reader
        check_name(name)
        with self._missing_is_key_error(name):
            reader = _Descriptor(self._root / name)
        with self._mutex:
            self._readers[name] = reader
            if len(self._readers) > _OPEN_FILES_MAX:
                self._readers.popitem(last=False)
        return reader

    def _forget(self, name: str) -> None:
        with self._mutex:
            self._readers.pop(name, None)

    @contextmanager
    def _missing_is_key_error(self, name: str) -> Iterator[None]:
        try:
            yield
        except (FileNotFoundError, NotADirectoryError) as error:
            self._check_root()  # without the root nothing is known about the object
            raise KeyError(name) from error


def _unseal(path: Path) -> None:
    with suppress(FileNotFoundError, NotADirectoryError):
        if is_immutable(path):
            set_immutable(path, wanted=False)


def _pread(number: int, offset: int, length: int) -> bytes:
    data = os.pread(number, length, offset)
    if len(data) == length:
        return data
    pieces = [data]  # a short read is the end, or a signal
    while pieces[-1]:
        done = sum(len(piece) for piece in pieces)
        pieces.append(os.pread(number, length - done, offset + done))
    return b"".join(pieces)


def _raise_unless_missing(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error
