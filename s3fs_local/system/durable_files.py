"""Small files that are whole after a power cut, and the lock that says who owns a directory."""

import errno
import fcntl
import json
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Self

from s3fs_local.errors import (
    NotPermitted,
    PathUnusable,
    QuotaExceeded,
    StorageError,
    StoreFull,
    StoreInUse,
    ZoneUnavailable,
)

logger = logging.getLogger(__name__)

NO_SPACE: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


@contextmanager
def no_space_is_store_full(path: object) -> Iterator[None]:
    """ENOSPC and EDQUOT leave the block as `store_full` says; other errors pass unchanged."""
    try:
        yield
    except OSError as error:
        if error.errno in NO_SPACE:
            raise store_full(error.errno, path) from error
        raise


def storage_error(error: OSError, what: object) -> StoreFull | ZoneUnavailable:
    """The error of ours for what a disk refuses to a zone, met by `what`."""
    if error.errno in NO_SPACE:
        return store_full(error.errno, what)
    return ZoneUnavailable(f"{what}: {error.strerror}")


def store_full(number: int | None, what: object) -> StoreFull:
    """The error of ours for one of `NO_SPACE`, met by `what`."""
    if number == errno.EDQUOT:
        return QuotaExceeded(f"no quota left for {what}")
    return StoreFull(f"no space left for {what}")


def write_all(descriptor: int, data: bytes | bytearray | memoryview) -> None:
    """All bytes are written where the descriptor stands, however short the single writes are."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def fsync_directory(path: Path) -> None:
    """The names in the directory survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def temporary_name(name: str) -> str:
    """Under which a file of that name is written by `replace`, until it is whole."""
    return f".{name}.tmp"


def replace(path: Path, data: bytes, mode: int = 0o600) -> None:
    """The file holds exactly `data`, durably; until then it is what it was before.

    Raises:
        StoreFull: no space; the file is what it was.
        OSError: anything else.
    """
    temporary = path.with_name(temporary_name(path.name))
    with no_space_is_store_full(path):
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
            try:
                os.fchmod(descriptor, mode)  # the umask took bits from the mode given to open
                write_all(descriptor, data)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            temporary.replace(path)
        except OSError:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
        fsync_directory(path.parent)


def move_durably(source: Path, target: Path) -> None:
    """The whole file has the other name, in the same directory, and its bytes are durable."""
    descriptor = os.open(source, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    source.replace(target)
    fsync_directory(target.parent)


def read_small(path: Path, limit_bytes: int = 16 << 20) -> bytes:
    """The whole file.

    Raises:
        OSError: it cannot be read; EFBIG where it is larger than `limit_bytes`.
    """
    with path.open("rb") as file:
        data = file.read(limit_bytes + 1)
    if len(data) > limit_bytes:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    return data


class OwnerLock:
    """One process owns what the lock file stands for, until it releases the lock or dies.

    The kernel drops the lock (flock) with the last copy of the descriptor, so nothing stale remains
    after a crash; a forked child that keeps running keeps it. The text inside is for people only.
    """

    def __init__(self, descriptor: int, *, has_text: bool) -> None:
        """Takes over a descriptor that holds the lock; use `acquire`."""
        self._descriptor = descriptor
        self._has_text = has_text

    @classmethod
    def acquire(cls, path: Path, *, mountpoint: str = "", writes: bool = True) -> Self:
        """This process owns the lock; `mountpoint` is what others are told, if it can be written.

        Args:
            path: the file; made where it is missing, if it `writes`.
            mountpoint: for people.
            writes: whether the file may be changed. One that is only read is locked as well; where
                its filesystem locks no such file, anybody can own it.

        Raises:
            StoreInUse: another process owns it; the message names it.
            NotPermitted: this user may not own it.
            StoreFull, PathUnusable: the file cannot be made or locked.
        """
        flags = os.O_RDWR | os.O_CREAT if writes else os.O_RDONLY
        descriptor = _locked(path, flags)
        if not writes:
            return cls(descriptor, has_text=False)
        text = json.dumps(
            {"pid": os.getpid(), "host": socket.gethostname(), "mountpoint": mountpoint}
        )
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, text.encode() + b"\n", 0)
        except OSError as error:  # a full disk must not keep anybody from reading and removing
            logger.warning("%s does not say who owns it: %s", path, error.strerror)
        return cls(descriptor, has_text=True)

    @classmethod
    def refusal(cls, path: Path) -> StoreInUse | None:
        """Why the lock cannot be had now, which names its owner; None where nobody owns it.

        Raises:
            NotPermitted, PathUnusable: as `acquire`.
        """
        if path.parent.is_dir() and not path.exists():
            return None
        try:
            os.close(_locked(path, os.O_RDWR if os.access(path, os.W_OK) else os.O_RDONLY))
        except StoreInUse as in_use:
            return in_use
        return None

    def release(self) -> None:
        """Anybody may acquire the lock."""
        if self._descriptor >= 0:
            # The file stays: were it removed, two processes could lock two files of one name.
            if self._has_text:
                with suppress(OSError):
                    os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def _locked(path: Path, flags: int) -> int:
    """A descriptor of the file, opened so, that holds the lock. Raises as `OwnerLock.acquire`."""
    with _lock_errors(path):
        descriptor = os.open(path, flags, 0o600)
    try:
        with _lock_errors(path):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = _holder_in(descriptor)
        os.close(descriptor)
        raise StoreInUse(f"{path.parent} is in use by {holder}") from error
    except (NotPermitted, StorageError) as error:
        if not flags & os.O_RDWR:  # NFS locks for one alone only what that one can write
            logger.warning("%s", error)
            return descriptor
        os.close(descriptor)
        raise
    return descriptor


@contextmanager
def _lock_errors(path: Path) -> Iterator[None]:
    """What keeps us from locking leaves the block in words; that somebody else did, unchanged."""
    try:
        with no_space_is_store_full(path):
            yield
    except BlockingIOError:
        raise
    except PermissionError as error:
        raise NotPermitted(f"{path} may not be locked by you") from error
    except OSError as error:
        raise PathUnusable(f"{path} cannot be locked: {error.strerror}") from error


def _holder_in(descriptor: int) -> str:
    """Whom the text of the lock names, in words."""
    try:
        holder = json.loads(os.pread(descriptor, 8192, 0))
        pid, host, mountpoint = holder["pid"], holder["host"], holder["mountpoint"]
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
    where = f", mounted on {mountpoint}" if mountpoint else ""
    return f"process {pid} on host {host}{where}"
