"""The request handlers: decode, one engine call, encode.

A handler that only looks things up or changes memory and SQLite is a plain function (`answered`).
What may truly wait is `answered_later` and waits through the gate, so that other requests go on
meanwhile. Permissions are the kernel's business (`default_permissions`), hence no `access`.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final

import pyfuse3

from s3fs_local.engine.activity import Operation
from s3fs_local.engine.filesystem import FileSystem
from s3fs_local.errors import Archived, BadHandle, EncryptionError, LockError, NoSuchName
from s3fs_local.fuse.boundary import answered, answered_later, unanswered
from s3fs_local.fuse.reader_gate import ReaderGate
from s3fs_local.fuse.request_record import operation_of
from s3fs_local.fuse.translation import (
    ABSENT,
    caller_of,
    change_of,
    entry_of,
    file_info_of,
    statvfs_of,
)
from s3fs_local.rules.inode import FIRST_VIRTUAL_INO

LOCK_ATTRIBUTE_PREFIX: Final = b"s3."
"""Attributes that are orders, not data. Setting one may wait for writers to go away."""

DOTS: Final = (b".", b"..")
"""The first entries of each listing, with the first offsets; those of the engine come behind."""

TRUSTED_PREFIX: Final = b"trusted."
"""Attributes of which only root hears, as on any disk; getxattr is guarded by the kernel."""


class Operations(pyfuse3.Operations):
    """The filesystem as pyfuse3 calls it."""

    supports_dot_lookup = True  # lets NFS export us

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
        self.on_started: Callable[[], None] = _nothing
        self.activity = filesystem.activity
        self.enable_acl = enable_acl
        self.enable_writeback_cache = enable_writeback_cache

    def operation_of(self, kind: str, args: tuple[Any, ...]) -> Operation:
        """What the request is about, for the record of operations."""
        return operation_of(self._fs, kind, args)

    def on_refusal(self, refusal: LockError, arguments: tuple[object, ...]) -> None:
        """A lock refused a request; who asked is in its context, or has the handle open."""
        for argument in arguments:
            if isinstance(argument, pyfuse3.RequestContext):
                self._fs.refusals.note(refusal, caller_of(argument))
                return
        handle = arguments[0]
        assert isinstance(handle, int)
        with suppress(BadHandle):  # closed by the very request
            self._fs.refusals.note(refusal, self._fs.caller_of_handle(handle))

    def init(self) -> None:
        """The kernel has said hello; from here on it sends requests."""
        self.on_started()

    @answered
    def lookup(
        self, parent_inode: int, name: bytes, ctx: pyfuse3.RequestContext
    ) -> pyfuse3.EntryAttributes:
        """The entry, counted as remembered by the kernel if virtual."""
        del ctx
        try:
            return entry_of(self._fs.lookup(parent_inode, name))
        except NoSuchName:
            if parent_inode >= FIRST_VIRTUAL_INO:
                raise  # may exist a moment later, and nobody would invalidate
            return ABSENT

    @unanswered
    def forget(self, inode_list: Sequence[tuple[int, int]]) -> None:
        """The kernel remembers these no more; real inodes live in the store, so only views care."""
        for ino, count in inode_list:
            if ino >= FIRST_VIRTUAL_INO:
                self._fs.forget(ino, count)

    @answered
    def getattr(self, inode: int, ctx: pyfuse3.RequestContext) -> pyfuse3.EntryAttributes:
        """The attributes."""
        del ctx
        return entry_of(self._fs.getattr(inode))

    @answered_later
    async def setattr(
        self,
        inode: int,
        attr: pyfuse3.EntryAttributes,
        fields: pyfuse3.SetattrFields,
        fh: int | None,
        ctx: pyfuse3.RequestContext,
    ) -> pyfuse3.EntryAttributes:
        """The attributes after the change."""
        wanted, caller = change_of(attr, fields), caller_of(ctx)
        if wanted.mode is not None and self._fs.locks_by_habit(inode, wanted):
            return entry_of(await self._gate.waiting(self._fs.lock_by_habit, inode, wanted, caller))
        return entry_of(self._fs.setattr(inode, wanted, fh, caller))

    @answered
    def readlink(self, inode: int, ctx: pyfuse3.RequestContext) -> bytes:
        """The target."""
        del ctx
        return self._fs.readlink(inode)

    @answered
    def mknod(
        self, parent_inode: int, name: bytes, mode: int, rdev: int, ctx: pyfuse3.RequestContext
    ) -> pyfuse3.EntryAttributes:
        """The new entry."""
        return entry_of(self._fs.mknod(parent_inode, name, mode, rdev, caller_of(ctx)))

    @answered
    def mkdir(
        self, parent_inode: int, name: bytes, mode: int, ctx: pyfuse3.RequestContext
    ) -> pyfuse3.EntryAttributes:
        """The new entry."""
        return entry_of(self._fs.mkdir(parent_inode, name, mode, caller_of(ctx)))

    @answered
    def symlink(
        self, parent_inode: int, name: bytes, target: bytes, ctx: pyfuse3.RequestContext
    ) -> pyfuse3.EntryAttributes:
        """The new entry."""
        return entry_of(self._fs.symlink(parent_inode, name, target, caller_of(ctx)))

    @answered
    def link(
        self, inode: int, new_parent_inode: int, new_name: bytes, ctx: pyfuse3.RequestContext
    ) -> pyfuse3.EntryAttributes:
        """The entry, which shares its inode."""
        return entry_of(self._fs.link(inode, new_parent_inode, new_name, caller_of(ctx)))

    @answered
    def unlink(self, parent_inode: int, name: bytes, ctx: pyfuse3.RequestContext) -> None:
        """The name is gone."""
        self._fs.unlink(parent_inode, name, caller_of(ctx))

    @answered
    def rmdir(self, parent_inode: int, name: bytes, ctx: pyfuse3.RequestContext) -> None:
        """The directory's name is gone."""
        self._fs.rmdir(parent_inode, name, caller_of(ctx))

    @answered
    def rename(
        self,
        parent_inode_old: int,
        name_old: bytes,
        parent_inode_new: int,
        name_new: bytes,
        flags: int,
        ctx: pyfuse3.RequestContext,
    ) -> None:
        """The name has moved; `flags` as in renameat2(2)."""
        self._fs.rename(
            parent_inode_old, name_old, parent_inode_new, name_new, flags, caller_of(ctx)
        )

    @answered_later
    async def create(
        self, parent_inode: int, name: bytes, mode: int, flags: int, ctx: pyfuse3.RequestContext
    ) -> tuple[pyfuse3.FileInfo, pyfuse3.EntryAttributes]:
        """The handle and the new entry."""
        opened, inode = self._fs.create(parent_inode, name, mode, flags, caller_of(ctx))
        try:
            while self._fs.lacks_key_for_new(opened.handle):
                await self._gate.waiting(self._fs.obtain_keys)
        except EncryptionError:
            self._fs.take_back(parent_inode, name, opened.handle)
            raise
        return file_info_of(opened), entry_of(inode)

    @answered_later
    async def open(self, inode: int, flags: int, ctx: pyfuse3.RequestContext) -> pyfuse3.FileInfo:
        """The handle. `flags` may hold O_TRUNC: libfuse negotiates atomic truncation."""
        while self._fs.lacks_keys(inode, flags):
            await self._gate.waiting(self._fs.obtain_keys)
        try:
            opened = self._fs.open(inode, flags, caller_of(ctx))
        except Archived:
            if not self._fs.presentation.waits_for_archives:
                raise
            caller = caller_of(ctx)
            opened = await self._gate.waiting(self._fs.open_archived, inode, flags, caller)
        return file_info_of(opened)

    @answered_later
    async def read(self, fh: int, off: int, size: int) -> bytes:
        """The bytes at [off, off + size), fewer only at the end.

        Who is alone waits for a quick disk without a thread.
        """
        data = self._fs.read_nowait(fh, off, size)
        if data is None and self._gate.is_idle:
            data = self._fs.read_in_place(fh, off, size)
        if data is None:
            data = await self._gate.waiting(self._fs.read, fh, off, size)
        return data

    @answered
    def write(self, fh: int, off: int, buf: bytes) -> int:
        """How many bytes were taken."""
        return self._fs.write(fh, off, buf)

    @answered
    def flush(self, fh: int) -> None:
        """A descriptor was closed; what this raises, close(2) returns."""
        self._fs.flush(fh)

    @answered
    def release(self, fh: int) -> None:
        """The last descriptor and mapping are gone; nobody sees an error."""
        self._fs.release(fh)

    @answered_later
    async def fsync(self, fh: int, datasync: bool) -> None:  # noqa: FBT001  pyfuse3's signature
        """What was written is durable. Who is alone waits for a quick disk without a thread."""
        if not (self._gate.is_idle and self._fs.fsync_nowait(fh)):
            await self._gate.waiting(self._fs.fsync, fh, datasync)

    @answered
    def opendir(self, inode: int, ctx: pyfuse3.RequestContext) -> int:
        """The handle."""
        return self._fs.opendir(inode, caller_of(ctx))

    @answered
    def readdir(self, fh: int, start_id: int, token: pyfuse3.ReaddirToken) -> None:
        """As many entries after `start_id` as fit.

        The engine is asked for the next entry only after the kernel took (and thereby remembers)
        the one before. It takes `.` and `..` too, which come first, but does not remember them.
        """
        if start_id < len(DOTS):
            dots = zip(DOTS, self._fs.itself_and_parent(fh), strict=True)
            for offset, (name, inode) in enumerate(dots, start=1):
                if offset > start_id:
                    pyfuse3.readdir_reply(token, name, entry_of(inode), offset)
            start_id = len(DOTS)
        for name, inode, next_id in self._fs.readdir(fh, start_id - len(DOTS)):
            if not pyfuse3.readdir_reply(token, name, entry_of(inode), next_id + len(DOTS)):
                break

    @answered
    def releasedir(self, fh: int) -> None:
        """The handle is gone."""
        self._fs.releasedir(fh)

    @answered_later
    async def fsyncdir(self, fh: int, datasync: bool) -> None:  # noqa: FBT001  pyfuse3's signature
        """The directory's entries are durable."""
        await self._gate.waiting(self._fs.fsyncdir, fh, datasync)

    @answered
    def getxattr(self, inode: int, name: bytes, ctx: pyfuse3.RequestContext) -> bytes:
        """The value. The kernel asks for `security.capability` before every write(2)."""
        del ctx
        return self._fs.getxattr(inode, name)

    @answered_later
    async def setxattr(
        self, inode: int, name: bytes, value: bytes, ctx: pyfuse3.RequestContext
    ) -> None:
        """The attribute has the value; pyfuse3 has checked create and replace by `getxattr`."""
        caller = caller_of(ctx)
        if name.startswith(LOCK_ATTRIBUTE_PREFIX):
            await self._gate.waiting(self._fs.set_lock_attribute, inode, name, value, caller)
        else:
            self._fs.setxattr(inode, name, value, caller)

    @answered
    def listxattr(self, inode: int, ctx: pyfuse3.RequestContext) -> list[bytes]:
        """The names."""
        names = self._fs.listxattr(inode)
        if ctx.uid == 0:
            return names
        return [name for name in names if not name.startswith(TRUSTED_PREFIX)]

    @answered
    def removexattr(self, inode: int, name: bytes, ctx: pyfuse3.RequestContext) -> None:
        """The attribute is gone."""
        self._fs.removexattr(inode, name, caller_of(ctx))

    @answered
    def statfs(self, ctx: pyfuse3.RequestContext) -> pyfuse3.StatvfsData:
        """How much room there is."""
        del ctx
        return statvfs_of(self._fs.statfs())


def _nothing() -> None:
    """The default of `on_started`."""
