"""The virtual extended attributes `s3.*`: S3's words for a file, in getfattr and setfattr.

They are not listed, so no copying program ever carries a lock to another file.
"""

from collections.abc import Callable
from functools import partial
from typing import Final

import msgspec
import trio

from s3fs_local.engine.encryption_kinds import kind_of
from s3fs_local.engine.locks import Locks
from s3fs_local.engine.open_files import OpenFiles
from s3fs_local.engine.replicas import replicas_of
from s3fs_local.engine.retrieving import Retrieving
from s3fs_local.engine.volume import Volume
from s3fs_local.engine.writing import Writing
from s3fs_local.errors import (
    Attempt,
    InvalidArgument,
    InvalidRetention,
    NoSuchAttribute,
    NotPermitted,
    Unsupported,
    WriterActive,
)
from s3fs_local.metadata.changes import PutVersion
from s3fs_local.rules.encryption import Encryption
from s3fs_local.rules.identifiers import version_id
from s3fs_local.rules.inode import Caller, Inode
from s3fs_local.rules.names import printed
from s3fs_local.rules.retention import (
    Bypass,
    LegalHold,
    Operation,
    Retention,
    format_until,
    parse_legal_hold,
    parse_mode,
    parse_object_lock,
    parse_until,
)
from s3fs_local.rules.retrieval import format_retrieval, parse_request
from s3fs_local.rules.tags import decode_tags, encode_tags
from s3fs_local.rules.versioning import NULL_ID, Origin, Version
from s3fs_local.system.processes import program_of

PREFIX: Final = b"s3."
_LOCKS: Final = (b"object-lock", b"append-only")
_ENCRYPTION: Final = b"server-side-encryption"
_NO_CHOICE: Final = (
    "NotImplemented: a file is encrypted as the store's default says when it is written; keys that"
    " customers keep themselves (SSE-C) are not there"
)
_Reader = Callable[[Inode, Version | None], str | None]

WRITER_GRACE_S: Final = 1.0
"""RELEASE of a closed file arrives late, so a lock waits this long for writers to be gone."""
XATTR_CASE: Final = "xattr"
"""The case of a legal hold set by xattr, which has no room for one."""


class LockAttributes:
    """Reads and writes `s3.*` for one volume."""

    def __init__(
        self,
        volume: Volume,
        *,
        locks: Locks,
        writing: Writing,
        open_files: OpenFiles,
        retrieving: Retrieving,
    ) -> None:
        self._volume = volume
        self._locks = locks
        self._writing = writing
        self._open_files = open_files
        self._retrieving = retrieving
        self.replication_status: Callable[[Version], str] = lambda version: version.replication
        self._readers: Final[dict[bytes, _Reader]] = {
            **_READERS,
            b"versions": self._count,
            b"replicas": self._replicas,
            b"replication-status": self._status,
            b"object-lock-legal-hold": self._hold,
            b"lock-reason": lambda inode, _: self._locks.describe(inode) or None,
        }
        for which in (b"", b"-aws-kms-key-id", b"-bucket-key-enabled"):
            self._readers[_ENCRYPTION + which] = partial(self._encryption, which)

    def find(self, inode: Inode, version: Version | None, name: bytes) -> bytes | None:
        """The value of `s3.NAME` for the inode and the version it shows.

        None: there is no such attribute, or this file has no value for it.
        """
        reader = self._readers.get(name.removeprefix(PREFIX))
        value = None if reader is None else reader(inode, version)
        return None if value is None else value.encode()

    def names(self, inode: Inode, version: Version | None) -> list[bytes]:
        """The attributes that have a value for the inode and the version it shows."""
        return [
            PREFIX + name
            for name, read in self._readers.items()
            # No zone is asked for a list of names.
            if (_replicas_are_told if name == b"replicas" else read)(inode, version)
        ]

    async def set(self, ino: int, name: bytes, value: bytes, caller: Caller) -> None:
        """The lock, tag or request that `s3.NAME` stands for is set.

        Raises:
            InvalidRetention, InvalidArgument: the value is malformed, or half of a pair.
            WriterActive: a process still writes to the file after a second.
            NoSuchAttribute: the attribute cannot be written.
            Protected, ObjectLockDisabled, NotPermitted: see `Locks`.
        """
        self._check_may_set(name, ino, caller)
        text = _text(value)
        match name.removeprefix(PREFIX):
            case b"object-lock":
                now_ns = self._volume.now_ns()
                await self.set_retention(ino, parse_object_lock(text, now_ns=now_ns), caller)
            case b"object-lock-mode":
                until_ns = self._present(ino).until_ns
                await self.set_retention(ino, Retention(parse_mode(text), until_ns), caller)
            case b"object-lock-retain-until-date":
                until_ns = parse_until(text, now_ns=self._volume.now_ns())
                await self.set_retention(ino, Retention(self._present(ino).mode, until_ns), caller)
            case b"object-lock-legal-hold":
                await self._set_hold(ino, caller, on=parse_legal_hold(text))
            case b"append-only":
                if text != "1":
                    raise InvalidArgument("s3.append-only takes 1, and is never taken back")
                self.settle_draft(ino)
                self._locks.set_append_only(ino, caller=caller)
            case b"restore-request":
                days, tier = parse_request(text)
                stamp_ns = self._committed(ino).stamp_ns
                self._retrieving.request(ino, stamp_ns, days=days, tier=tier, caller=caller)
            case b"tags":
                self.set_tags(ino, decode_tags(text), caller)
            case other if other.startswith(_ENCRYPTION):
                raise Unsupported(_NO_CHOICE)
            case _:
                raise NoSuchAttribute(printed(name))

    def _check_may_set(self, name: bytes, ino: int, caller: Caller) -> None:
        """Where nobody may lock, no value of a lock is looked at."""
        if name.removeprefix(PREFIX).startswith(_LOCKS):
            self._locks.check_may_lock(self._volume.inode(ino), caller)

    def _count(self, inode: Inode, version: Version | None) -> str | None:
        ino = inode.ino if version is None else version.ino  # of a view: whose past it shows
        return str(len(self._volume.metadata.versions(ino))) if inode.is_file else None

    def _replicas(self, inode: Inode, version: Version | None) -> str | None:
        if version is None or not inode.is_file:
            return None
        return replicas_of(self._volume, version.ino, version.stamp_ns)

    def _status(self, _: Inode, version: Version | None) -> str | None:
        return None if version is None else self.replication_status(version) or None

    def _hold(self, inode: Inode, version: Version | None) -> str | None:
        if version is None or not self._volume.settings.object_lock:
            return None
        return "ON" if inode.lock is not None and inode.lock.holds else "OFF"

    def _encryption(self, which: bytes, inode: Inode, version: Version | None) -> str | None:
        """In the words of S3's headers. What holds no bytes is sealed by nobody's key."""
        if not inode.is_file:
            return None
        key_ids = () if version is None else version.key_ids
        metadata = self._volume.metadata
        wrapped = metadata.key(key_ids[-1]) if key_ids else None
        kind = Encryption() if wrapped is None else kind_of(wrapped, metadata.key)
        values = {
            b"": kind.algorithm.value,
            b"-aws-kms-key-id": kind.key or None,
            b"-bucket-key-enabled": "true" if kind.bucket_key else None,
        }
        return values.get(which)

    def _present(self, ino: int) -> Retention:
        lock = self._volume.inode(ino).lock
        if lock is None or lock.retention is None:
            raise InvalidRetention(
                "S3 wants mode and date together: set s3.object-lock to e.g. 'GOVERNANCE 30d'"
            )
        return lock.retention

    async def set_retention(
        self,
        ino: int,
        wanted: Retention,
        caller: Caller,
        *,
        bypass: Bypass | None = None,
        cut_writers: bool = False,
    ) -> None:
        """The file is retained as wanted, once nobody writes to it. Raises as `set`.

        With `cut_writers` it is locked at once: what was written is committed, and later writes
        through handles that are still open are refused.
        """
        is_cut_already = self._locks.check_retention(ino, wanted, caller=caller, bypass=bypass)
        await self.until_unwritten(ino, cut_writers=cut_writers or is_cut_already)
        self._locks.set_retention(ino, wanted, caller=caller, bypass=bypass)
        self._volume.invalidation.inode(ino)

    async def set_legal_hold(
        self, ino: int, hold: LegalHold, caller: Caller, *, cut_writers: bool = False
    ) -> None:
        """The hold is on, once nobody writes to the file. Raises and cuts as `set_retention`."""
        await self.until_unwritten(ino, cut_writers=cut_writers)
        self._locks.set_legal_hold(ino, hold, caller=caller)
        self._volume.invalidation.inode(ino)

    async def _set_hold(self, ino: int, caller: Caller, *, on: bool) -> None:
        if on:
            hold = LegalHold(XATTR_CASE, "set by xattr", caller.uid, self._volume.now_ns())
            await self.set_legal_hold(ino, hold, caller)
        elif self._locks.is_held(ino):
            self._locks.clear_legal_hold(ino, XATTR_CASE, caller=caller)

    async def until_unwritten(self, ino: int, *, cut_writers: bool) -> None:
        """No handle is open for writing; what was written is committed.

        An append-only file may be locked while it is written: appends go on.

        Raises:
            WriterActive: names the processes.
        """
        if cut_writers:
            # What lies dirty in the kernel was written before the lock: it comes first.
            self._volume.invalidation.inode(ino)
            await self._volume.invalidation.settled()
        elif not self._volume.inode(ino).append_only:
            with trio.move_on_after(WRITER_GRACE_S):
                await self._open_files.until_unwritten(ino)
            pids = self._open_files.writers(ino)
            if pids:
                named = ", ".join(_named_process(pid) for pid in pids)
                refusal = WriterActive(f"the file is open for writing by process {named}")
                refusal.attempt = Attempt(Operation.SET_RETENTION.value, ino)
                raise refusal
        self.settle_draft(ino)

    def settle_draft(self, ino: int) -> None:
        """What was written so far is the current version."""
        self._writing.commit(ino, origin=Origin.CLOSE)

    def set_tags(self, ino: int, tags: dict[str, str], caller: Caller) -> None:
        """The current version has exactly these tags; no new version (S3)."""
        inode = self._volume.inode(ino)
        if caller.uid not in (0, inode.uid):
            raise NotPermitted("only the owner and root may change tags")
        self._locks.check(Operation.SET_TAGS, inode)
        self.settle_draft(ino)
        self._volume.apply([PutVersion(msgspec.structs.replace(self._committed(ino), tags=tags))])

    def _committed(self, ino: int) -> Version:
        version = self._volume.metadata.version(ino, self._volume.inode(ino).version_ns)
        if version is None:
            raise InvalidArgument("only files with a committed version have that")
        return version


def _named_process(pid: int) -> str:
    program = program_of(pid).rpartition("/")[2]
    return f"{pid} ({program})" if program else str(pid)


def _text(value: bytes) -> str:
    try:
        return value.decode("ascii").rstrip("\0")
    except UnicodeDecodeError:
        raise InvalidArgument("the value must be plain ASCII text") from None


def _mode(inode: Inode, _: Version | None) -> str | None:
    retention = inode.lock.retention if inode.lock is not None else None
    return None if retention is None else retention.mode


def _until(inode: Inode, _: Version | None) -> str | None:
    retention = inode.lock.retention if inode.lock is not None else None
    return None if retention is None else format_until(retention.until_ns)


def _both(inode: Inode, version: Version | None) -> str | None:
    mode = _mode(inode, version)
    return None if mode is None else f"{mode} {_until(inode, version)}"


def _replicas_are_told(inode: Inode, version: Version | None) -> str | None:
    return "" if version is None or not inode.is_file else "told"


def _version_id(_: Inode, version: Version | None) -> str | None:
    if version is None:
        return None
    return NULL_ID if version.is_null else version_id(version.stamp_ns, version.salt)


def _append_only(inode: Inode, _: Version | None) -> str | None:
    policy = inode.policy.append_only if inode.policy is not None else False
    return "1" if inode.append_only or policy else None


_READERS: Final[dict[bytes, _Reader]] = {
    b"version-id": _version_id,
    b"etag": lambda _, version: None if version is None else f'"{version.etag.hex()}"',
    b"storage-class": lambda _, version: None if version is None else version.storage_class,
    b"restore": lambda _, version: (
        format_retrieval(version.retrieval) if version and version.retrieval else None
    ),
    b"object-lock": _both,
    b"object-lock-mode": _mode,
    b"object-lock-retain-until-date": _until,
    b"append-only": _append_only,
    b"tags": lambda _, version: encode_tags(version.tags) if version and version.tags else None,
}
