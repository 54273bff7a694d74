"""The request handlers: one engine call each, and what it gives back.

A handler is a plain function. Where it must wait it gives a coroutine that does so through the
gate, so that other requests go on meanwhile, and is made only then. Permissions are the kernel's
business (`default_permissions`), hence no `access`.
"""

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Final

from s3fs_local.engine.attributes import AttributeChange
from s3fs_local.engine.filesystem import FileSystem, Space
from s3fs_local.engine.open_files import OpenedFile
from s3fs_local.errors import (
    Archived,
    BadHandle,
    EncryptionError,
    LockError,
    NameTaken,
    NoSuchAttribute,
)
from s3fs_local.fuse.boundary import Eventual, answered, unanswered
from s3fs_local.fuse.reader_gate import ReaderGate
from s3fs_local.fuse.replies import Listing
from s3fs_local.fuse.request_record import operation_of
from s3fs_local.rules.inode import FIRST_VIRTUAL_INO, Caller, Inode
from s3fs_local.rules.names import printed

LOCK_ATTRIBUTE_PREFIX: Final = b"s3."
"""Attributes that are orders, not data. Setting one may wait for writers to go away."""

DOTS: Final = (b".", b"..")
"""The first entries of each listing, with the first offsets; those of the engine come behind."""

TRUSTED_PREFIX: Final = b"trusted."
"""Attributes of which only root hears, as on any disk; getxattr is guarded by the kernel."""


class Operations:
    """The filesystem as the kernel asks for it; `answers.py` decodes and encodes."""

    def __init__(
        self,
        filesystem: FileSystem,
        gate: ReaderGate,
        on_bug: Callable[[Exception], None],
        *,
        enable_acl: bool = False,
        enable_writeback_cache: bool = False,
    ) -> None:
        self._fs = filesystem
        self._gate = gate
        self.on_bug = on_bug
        self.activity = filesystem.activity
        self.operation_of = partial(operation_of, filesystem)
        self.enable_acl = enable_acl
        self.enable_writeback_cache = enable_writeback_cache

    def on_refusal(self, refusal: LockError, arguments: tuple[object, ...]) -> None:
        """A lock refused a request; who asked is among the arguments, or has the handle open."""
        for argument in arguments:
            if isinstance(argument, Caller):
                self._fs.refusals.note(refusal, argument)
                return
        handle = arguments[0]
        assert isinstance(handle, int)
        with suppress(BadHandle):  # closed by the very request
            self._fs.refusals.note(refusal, self._fs.caller_of_handle(handle))

    @answered
    def lookup(self, parent_inode: int, name: bytes, caller: Caller) -> Inode | None:
        """The entry, counted as remembered by the kernel if virtual.

        None: there is none, and the kernel may remember that. In a view it may be there a moment
        later, and nobody would tell the kernel; so a view raises.
        """
        del caller
        return self._fs.find(parent_inode, name)

    @unanswered
    def forget(self, inode_list: Sequence[tuple[int, int]]) -> None:
        """The kernel remembers these no more; real inodes live in the store, so only views care."""
        for ino, count in inode_list:
            if ino >= FIRST_VIRTUAL_INO:
                self._fs.forget(ino, count)

    @answered
    def getattr(self, inode: int, caller: Caller) -> Inode:
        """The attributes."""
        del caller
        return self._fs.getattr(inode)

    @answered
    def setattr(
        self, inode: int, wanted: AttributeChange, fh: int | None, caller: Caller
    ) -> Eventual[Inode]:
        """The attributes after the change."""
        if wanted.mode is not None and self._fs.locks_by_habit(inode, wanted):
            return self._gate.waiting(self._fs.lock_by_habit, inode, wanted, caller)
        return self._fs.setattr(inode, wanted, fh, caller)

    @answered
    def readlink(self, inode: int, caller: Caller) -> bytes:
        """The target."""
        del caller
        return self._fs.readlink(inode)

    @answered
    def mknod(self, parent_inode: int, name: bytes, mode: int, rdev: int, caller: Caller) -> Inode:
        """The new entry."""
        return self._fs.mknod(parent_inode, name, mode, rdev, caller)

    @answered
    def mkdir(self, parent_inode: int, name: bytes, mode: int, caller: Caller) -> Inode:
        """The new entry."""
        return self._fs.mkdir(parent_inode, name, mode, caller)

    @answered
    def symlink(self, parent_inode: int, name: bytes, target: bytes, caller: Caller) -> Inode:
        """The new entry."""
        return self._fs.symlink(parent_inode, name, target, caller)

    @answered
    def link(self, inode: int, new_parent_inode: int, new_name: bytes, caller: Caller) -> Inode:
        """The entry, which shares its inode."""
        return self._fs.link(inode, new_parent_inode, new_name, caller)

    @answered
    def unlink(self, parent_inode: int, name: bytes, caller: Caller) -> None:
        """The name is gone."""
        self._fs.unlink(parent_inode, name, caller)

    @answered
    def rmdir(self, parent_inode: int, name: bytes, caller: Caller) -> None:
        """The directory's name is gone."""
        self._fs.rmdir(parent_inode, name, caller)

    @answered
    def rename(
        self,
        parent_inode_old: int,
        name_old: bytes,
        parent_inode_new: int,
        name_new: bytes,
        flags: int,
        caller: Caller,
    ) -> None:
        """The name has moved; `flags` as in renameat2(2)."""
        self._fs.rename(parent_inode_old, name_old, parent_inode_new, name_new, flags, caller)

    @answered
    def create(
        self, parent_inode: int, name: bytes, mode: int, flags: int, caller: Caller
    ) -> Eventual[tuple[OpenedFile, Inode]]:
        """The handle and the new entry."""
        opened, inode = self._fs.create(parent_inode, name, mode, flags, caller)
        if self._fs.keys_are_simple:
            return opened, inode
        return self._create_with_key(parent_inode, name, opened, inode)

    async def _create_with_key(
        self, parent_inode: int, name: bytes, opened: OpenedFile, inode: Inode
    ) -> tuple[OpenedFile, Inode]:
        """They are kept if the new file can have a key."""
        try:
            while self._fs.lacks_key_for_new(opened.handle):
                await self._gate.waiting(self._fs.obtain_keys)
        except EncryptionError:
            self._fs.take_back(parent_inode, name, opened.handle)
            raise
        return opened, inode

    @answered
    def open(
        self,
        inode: int,
        flags: int,
        takes_set_id_bits: bool,  # noqa: FBT001  as the request has it
        caller: Caller,
    ) -> Eventual[OpenedFile]:
        """The handle. `flags` may hold O_TRUNC, as was agreed with the kernel."""
        if self._fs.lacks_keys(inode, flags):
            return self._open_later(inode, flags, caller, takes_set_id_bits=takes_set_id_bits)
        try:
            return self._fs.open(inode, flags, caller, takes_set_id_bits=takes_set_id_bits)
        except Archived:
            return self._open_later(inode, flags, caller, takes_set_id_bits=takes_set_id_bits)

    async def _open_later(
        self, inode: int, flags: int, caller: Caller, *, takes_set_id_bits: bool
    ) -> OpenedFile:
        """The handle, when a key service has answered, and an archive has given the file back."""
        while self._fs.lacks_keys(inode, flags):
            await self._gate.waiting(self._fs.obtain_keys)
        try:
            return self._fs.open(inode, flags, caller, takes_set_id_bits=takes_set_id_bits)
        except Archived:
            if not self._fs.presentation.waits_for_archives:
                raise
        return await self._gate.waiting_unless_interrupted(
            self._fs.open_archived, inode, flags, caller
        )

    @answered
    def read(self, fh: int, off: int, size: int) -> Eventual[bytes]:
        """The bytes at [off, off + size), fewer only at the end.

        Who is alone waits for a quick disk without a thread.
        """
        data = self._fs.read_nowait(fh, off, size)
        if data is None and self._gate.is_idle:
            data = self._fs.read_in_place(fh, off, size)
        return self._gate.waiting(self._fs.read, fh, off, size) if data is None else data

    @answered
    def write(self, fh: int, off: int, buf: bytes, shed_by: Caller | None) -> int:
        """How many bytes were taken. `shed_by`: who writes, if that takes away set-id bits."""
        return self._fs.write(fh, off, buf, shed_by)

    @answered
    def flush(self, fh: int) -> None:
        """A descriptor was closed; what this raises, close(2) returns."""
        self._fs.flush(fh)

    @answered
    def release(self, fh: int) -> None:
        """The last descriptor and mapping are gone; nobody sees an error."""
        self._fs.release(fh)

    @answered
    def fsync(self, fh: int, datasync: bool) -> Eventual[None]:  # noqa: FBT001  as the request has it
        """What was written is durable. Who is alone waits for a quick disk without a thread."""
        if self._gate.is_idle and self._fs.fsync_nowait(fh):
            return None
        return self._gate.waiting(self._fs.fsync, fh, datasync)

    @answered
    def opendir(self, inode: int, caller: Caller) -> int:
        """The handle."""
        return self._fs.opendir(inode, caller)

    @answered
    def readdir(self, fh: int, start_id: int, listing: Listing) -> None:
        """As many entries after `start_id` as fit.

        The engine is asked for the next entry only after the kernel took (and thereby remembers)
        the one before. It takes `.` and `..` too, which come first, but does not remember them.
        """
        if start_id < len(DOTS):
            dots = zip(DOTS, self._fs.itself_and_parent(fh), strict=True)
            for offset, (name, inode) in enumerate(dots, start=1):
                if offset > start_id:
                    listing.add(name, inode, offset)
            start_id = len(DOTS)
        for name, inode, next_id in self._fs.readdir(fh, start_id - len(DOTS)):
            if not listing.add(name, inode, next_id + len(DOTS)):
                break

    @answered
    def releasedir(self, fh: int) -> None:
        """The handle is gone."""
        self._fs.releasedir(fh)

    @answered
    def fsyncdir(self, fh: int, datasync: bool) -> Eventual[None]:  # noqa: FBT001  as above
        """The directory's entries are durable. Who is alone waits as at `fsync`."""
        if self._gate.is_idle and self._fs.fsyncdir_nowait(fh):
            return None
        return self._gate.waiting(self._fs.fsyncdir, fh, datasync)

    @answered
    def getxattr(self, inode: int, name: bytes, caller: Caller) -> bytes | None:
        """The value, if there is one.

        Before the first write(2) to a file the kernel asks for `security.capability`.
        """
        del caller
        return self._fs.find_xattr(inode, name)

    @answered
    def setxattr(
        self,
        inode: int,
        name: bytes,
        value: bytes,
        flags: int,
        takes_setgid: bool,  # noqa: FBT001  as the request has it
        caller: Caller,
    ) -> Eventual[None]:
        """The attribute has the value; `flags` are those of the system call.

        With `takes_setgid` an access ACL takes S_ISGID away: who sets it is not in the group.
        """
        if flags:
            self._check_there(inode, name, flags)
        if name.startswith(LOCK_ATTRIBUTE_PREFIX):
            return self._gate.waiting(self._fs.set_lock_attribute, inode, name, value, caller)
        self._fs.setxattr(inode, name, value, caller, takes_setgid=takes_setgid)
        return None

    @answered
    def listxattr(self, inode: int, caller: Caller) -> list[bytes]:
        """The names."""
        names = self._fs.listxattr(inode)
        if caller.uid == 0:
            return names
        return [name for name in names if not name.startswith(TRUSTED_PREFIX)]

    @answered
    def removexattr(self, inode: int, name: bytes, caller: Caller) -> None:
        """The attribute is gone."""
        self._fs.removexattr(inode, name, caller)

    @answered
    def statfs(self, caller: Caller) -> Space:
        """How much room there is."""
        del caller
        return self._fs.statfs()

    def _check_there(self, inode: int, name: bytes, flags: int) -> None:
        """Whether the attribute exists is as the flags want it."""
        is_there = self._fs.find_xattr(inode, name) is not None
        if flags & os.XATTR_REPLACE and not is_there:
            raise NoSuchAttribute(printed(name))
        if flags & os.XATTR_CREATE and is_there:
            raise NameTaken(os.fsdecode(name))
