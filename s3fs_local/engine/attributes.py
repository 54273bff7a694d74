"""Attributes: mode, owner, times, size, and extended attributes that are stored.

They change in place and make no version (S3: metadata of a version). What they were before is kept,
so that the tree at any instant shows them as they were.
"""

import stat
from typing import Final

import msgspec
from msgspec import Struct

from s3fs_local.engine.locks import Locks
from s3fs_local.engine.volume import Volume
from s3fs_local.engine.writing import Writing
from s3fs_local.errors import (
    AttributeTooLarge,
    InvalidArgument,
    IsADirectory,
    NoSuchAttribute,
    Protected,
    Unsupported,
)
from s3fs_local.metadata.changes import Change, KeepAttributes, PutInode
from s3fs_local.rules import posix_acl
from s3fs_local.rules.inode import (
    Caller,
    Inode,
    kept_attributes,
    restored,
)
from s3fs_local.rules.limits import (
    TIME_NS_MAX,
    TIME_NS_MIN,
    XATTR_NAME_BYTES_MAX,
    XATTR_NAMES_BYTES_MAX,
    XATTR_TOTAL_BYTES_MAX,
    XATTR_VALUE_BYTES_MAX,
)
from s3fs_local.rules.names import printed
from s3fs_local.rules.retention import Operation

XATTR_NAMESPACES: Final = (b"user.", b"trusted.", b"security.")
"""As on any disk: who mistypes one learns so."""

ACL_XATTRS: Final = (posix_acl.ACCESS_XATTR, posix_acl.DEFAULT_XATTR)


class AttributeChange(Struct, frozen=True):
    """What setattr asks for; None leaves an attribute as it is. Times in ns, size in bytes.

    `takes_set_id_bits`: whoever asks may not leave them, see `engine/privileges.py`.
    """

    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    size: int | None = None
    atime_ns: int | None = None
    mtime_ns: int | None = None
    takes_set_id_bits: bool = False


class Attributes:
    """Reads and changes attributes of one volume's inodes."""

    def __init__(self, volume: Volume, *, locks: Locks, writing: Writing) -> None:
        self._volume = volume
        self._locks = locks
        self._writing = writing

    def get(self, ino: int) -> Inode:
        """The inode as stat(2) shows it: with the size and times of its draft.

        Raises:
            StaleInode: there is none.
        """
        inode = self._volume.inode(ino)
        draft = self._volume.drafts.get(ino)
        if draft is None:
            return inode
        return msgspec.structs.replace(
            inode,
            size=draft.size,
            allocated=min(inode.allocated, draft.base_limit) + draft.data_bytes,
            mtime_ns=draft.mtime_ns,
            ctime_ns=max(inode.ctime_ns, draft.ctime_ns),
        )

    def set(self, ino: int, wanted: AttributeChange, caller: Caller) -> Inode:
        """The attributes are as wanted (size excepted: see `resize`); returns them.

        Raises:
            Protected: the inode is locked.
            StaleInode.
        """
        inode = self._volume.inode(ino)
        try:
            self._check_gate(inode, wanted)
        except Protected:
            if _is_as_wanted(inode, wanted):
                return self.get(ino)  # auditd sets the mode of its log at each start
            raise
        del caller  # the kernel has checked who may (default_permissions)
        wanted = msgspec.structs.replace(
            wanted, atime_ns=_possible(wanted.atime_ns), mtime_ns=_possible(wanted.mtime_ns)
        )
        stamp_ns = self._volume.stamp()
        changed = self._with(inode, wanted, stamp_ns)
        draft = self._volume.drafts.get(ino)
        if draft is not None:
            draft.ctime_ns = stamp_ns
            if wanted.mtime_ns is not None:
                draft.set_mtime(wanted.mtime_ns)
        self._volume.apply([*self._keep(inode, stamp_ns), PutInode(changed)])
        return self.get(ino)

    def restore(self, ino: int, was: Inode) -> None:
        """Mode, owner, times and extended attributes are as they were.

        Raises:
            Protected: the inode is locked.
        """
        inode = self._volume.inode(ino)
        for operation in (Operation.SET_MODE, Operation.SET_OWNER, Operation.SET_XATTR):
            self._locks.check(operation, inode)
        stamp_ns = self._volume.stamp()
        self._volume.apply([*self._keep(inode, stamp_ns), PutInode(restored(inode, was, stamp_ns))])

    def _check_gate(self, inode: Inode, wanted: AttributeChange) -> None:
        if inode.is_file and not inode.version_ns:
            return  # never closed: logrotate sets mode and owner of a log it makes
        if wanted.mode is not None:
            self._locks.check(Operation.SET_MODE, inode)
        if wanted.uid is not None or wanted.gid is not None:
            self._locks.check(Operation.SET_OWNER, inode)
        if wanted.atime_ns is not None or wanted.mtime_ns is not None:
            self._locks.check(Operation.SET_TIMES, inode)

    def _with(self, inode: Inode, wanted: AttributeChange, stamp_ns: int) -> Inode:
        mode, xattrs = inode.mode, inode.xattrs
        if wanted.mode is not None:
            mode = stat.S_IFMT(inode.mode) | stat.S_IMODE(wanted.mode)
            acl = xattrs.get(posix_acl.ACCESS_XATTR)
            if acl is not None:
                limited = posix_acl.serialize(posix_acl.chmod(posix_acl.parse(acl), mode))
                xattrs = {**xattrs, posix_acl.ACCESS_XATTR: limited}
        return msgspec.structs.replace(
            inode,
            mode=mode,
            xattrs=xattrs,
            uid=inode.uid if wanted.uid is None else wanted.uid,
            gid=inode.gid if wanted.gid is None else wanted.gid,
            atime_ns=inode.atime_ns if wanted.atime_ns is None else wanted.atime_ns,
            mtime_ns=inode.mtime_ns if wanted.mtime_ns is None else wanted.mtime_ns,
            ctime_ns=stamp_ns,
        )

    @staticmethod
    def _keep(inode: Inode, stamp_ns: int) -> list[Change]:
        """What the inode was is kept, unless no instant ever showed it."""
        if inode.is_file and not inode.version_ns:
            return []
        return [KeepAttributes(kept_attributes(inode, stamp_ns))]

    def resize(self, ino: int, size: int, caller: Caller) -> None:
        """The file's draft has `size` bytes.

        Raises:
            Protected: the file is locked.
            IsADirectory, InvalidArgument: it has no size to change.
            FileTooLarge.
        """
        inode = self._volume.inode(ino)
        if inode.is_directory:
            raise IsADirectory(f"inode {ino}")
        if not inode.is_file:
            raise InvalidArgument("only regular files are truncated")
        self._locks.check(Operation.TRUNCATE, inode)
        self._writing.resize(inode, size, uid=caller.uid)

    def find_xattr(self, ino: int, name: bytes) -> bytes | None:
        """The value, if there is one. Raises Unsupported, InvalidArgument."""
        _check_namespace(name)
        return self._volume.inode(ino).xattrs.get(name)

    def list_xattrs(self, ino: int) -> list[bytes]:
        """The names of all stored attributes."""
        return list(self._volume.inode(ino).xattrs)

    def set_xattr(self, ino: int, name: bytes, value: bytes, *, takes_setgid: bool = False) -> None:
        """The inode has the attribute; an access ACL also sets the permission bits.

        With `takes_setgid` it takes S_ISGID away, too, as chmod(2) does: whoever set it is neither
        in the owning group nor has CAP_FSETID (posix_acl_update_mode() of the kernel).

        Raises:
            Protected: the inode is locked.
            AttributeTooLarge, InvalidArgument.
            Unsupported: the name is in no namespace that disks have.
        """
        _check_namespace(name)
        is_acl = name in ACL_XATTRS
        inode = self._volume.inode(ino)
        if len(name) > XATTR_NAME_BYTES_MAX or len(value) > XATTR_VALUE_BYTES_MAX:
            raise AttributeTooLarge(f"{printed(name[:64])}: {len(value)} bytes")
        mode, stored = inode.mode, value
        if name == posix_acl.ACCESS_XATTR:
            mode, acl = posix_acl.mode_from_acl(posix_acl.parse(value), inode.mode)
            if takes_setgid:
                mode &= ~stat.S_ISGID
            stored = posix_acl.serialize(acl) if acl else b""
        elif name == posix_acl.DEFAULT_XATTR:
            stored = value if posix_acl.parse(value) else b""
        if inode.xattrs.get(name) == stored and mode == inode.mode:
            return  # ext4 leaves the ctime, too: a second rsync finds nothing to do
        self._locks.check(Operation.SET_XATTR, inode)
        xattrs = {key: kept for key, kept in inode.xattrs.items() if key != name}
        if stored or not is_acl:
            xattrs[name] = stored
        if sum([len(key) + len(kept) for key, kept in xattrs.items()]) > XATTR_TOTAL_BYTES_MAX:
            raise AttributeTooLarge("all attributes together")
        if sum([len(key) + 1 for key in xattrs]) > XATTR_NAMES_BYTES_MAX:
            raise AttributeTooLarge("all names of attributes together")
        self._put_xattrs(inode, xattrs, mode)

    def remove_xattr(self, ino: int, name: bytes) -> None:
        """The inode has no such attribute; no ACL if it had none.

        Raises:
            Protected: the inode is locked.
            NoSuchAttribute, Unsupported, InvalidArgument.
        """
        _check_namespace(name)
        inode = self._volume.inode(ino)
        if name not in inode.xattrs:
            if name in ACL_XATTRS:
                return  # as on any disk: setfacl -b asks whatever there is
            raise NoSuchAttribute(printed(name))
        self._locks.check(Operation.REMOVE_XATTR, inode)
        xattrs = {key: kept for key, kept in inode.xattrs.items() if key != name}
        self._put_xattrs(inode, xattrs, inode.mode)

    def _put_xattrs(self, inode: Inode, xattrs: dict[bytes, bytes], mode: int) -> None:
        stamp_ns = self._volume.stamp()
        changed = msgspec.structs.replace(inode, xattrs=xattrs, mode=mode, ctime_ns=stamp_ns)
        self._volume.apply([*self._keep(inode, stamp_ns), PutInode(changed)])


def _check_namespace(name: bytes) -> None:
    if name not in ACL_XATTRS and not name.startswith(XATTR_NAMESPACES):
        raise Unsupported(f"{printed(name[:64])}: use user.*, trusted.* or security.*")
    if name in XATTR_NAMESPACES:
        raise InvalidArgument(f"{printed(name)} is a namespace and no name")


def _possible(time_ns: int | None) -> int | None:
    """The nearest time that can be kept, as timestamp_truncate() of the kernel has it."""
    return None if time_ns is None else min(max(time_ns, TIME_NS_MIN), TIME_NS_MAX)


def _is_as_wanted(inode: Inode, wanted: AttributeChange) -> bool:
    return (
        wanted.mode in (None, stat.S_IMODE(inode.mode), inode.mode)
        and wanted.uid in (None, inode.uid)
        and wanted.gid in (None, inode.gid)
        and wanted.atime_ns in (None, inode.atime_ns)
        and wanted.mtime_ns in (None, inode.mtime_ns)
    )
