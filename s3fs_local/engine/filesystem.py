"""The façade: one method a file system operation, for every front.

It asks whether the operation may be done, and hands it to the part that does it. Numbers from
`FIRST_VIRTUAL_INO` on go to the views, which refuse every change. Methods that are not async never
wait; those that are, wait only for devices.
"""

import os
from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from s3fs_local.engine.activity import Activity
from s3fs_local.engine.attributes import AttributeChange, Attributes
from s3fs_local.engine.classes import Classes
from s3fs_local.engine.closing import Closing
from s3fs_local.engine.habit import Habit
from s3fs_local.engine.handle_reading import HandleReading
from s3fs_local.engine.histories import Histories
from s3fs_local.engine.key_access import KeyAccess
from s3fs_local.engine.key_administration import KeyAdministration
from s3fs_local.engine.lifecycle import LifecycleRules
from s3fs_local.engine.lifecycle_runs import LifecycleRuns
from s3fs_local.engine.listings import Listings
from s3fs_local.engine.lock_attributes import PREFIX, LockAttributes
from s3fs_local.engine.locks import Locks
from s3fs_local.engine.names import STATUS_DIRECTORY
from s3fs_local.engine.namespace import Namespace
from s3fs_local.engine.open_files import O_ACCMODE, Handle, OpenedFile, OpenFiles
from s3fs_local.engine.pack_coding import PackCoding
from s3fs_local.engine.pack_keeping import PackKeeping
from s3fs_local.engine.privileges import Privileges, without_set_id_bits
from s3fs_local.engine.reading import Reading
from s3fs_local.engine.refusals import Refusals
from s3fs_local.engine.releasing import Releasing
from s3fs_local.engine.replica_role import ReplicaRole
from s3fs_local.engine.replication import Replication
from s3fs_local.engine.retrieving import Retrieving
from s3fs_local.engine.settling import Settling
from s3fs_local.engine.views import Views
from s3fs_local.engine.volume import Volume
from s3fs_local.engine.writing import Writing
from s3fs_local.errors import (
    Attempt,
    BadHandle,
    InvalidArgument,
    IsADirectory,
    NameTooLong,
    NoSuchAttribute,
    NoSuchName,
    Protected,
    ReadOnlyView,
    StaleInode,
)
from s3fs_local.rules.inode import FIRST_VIRTUAL_INO, ROOT_INO, Caller, Inode
from s3fs_local.rules.limits import NAME_BYTES_MAX
from s3fs_local.rules.names import printed
from s3fs_local.rules.retention import Operation
from s3fs_local.rules.versioning import Origin, Version, VersioningState
from s3fs_local.system.clock import boottime_ns

BLOCK_BYTES: Final = 4096


class Space(Struct, frozen=True):
    """What statfs(2) tells; in blocks of `block_bytes`."""

    block_bytes: int
    blocks: int
    free: int
    available: int
    files: int
    files_free: int
    name_bytes_max: int = NAME_BYTES_MAX


class Presentation(Struct, frozen=True):
    """What of a mount is a matter of taste (mount options)."""

    snapdir_visible: bool = False  # `.versions` is in listings
    lists_lock_attributes: bool = False  # listxattr names `s3.*`
    writeback_cache: bool = False  # the kernel accepts writes before we do: not with Object Lock
    waits_for_archives: bool = False  # open(2) of an archived file retrieves it


class FileSystem:
    """One open store as a file system."""

    def __init__(self, volume: Volume) -> None:
        self.volume: Final = volume
        self.reading: Final = Reading(volume.metadata, volume.blocks)
        self.open_files: Final = OpenFiles()
        volume.is_open = self.open_files.is_open
        self.locks: Final = Locks(volume, self.open_files)
        self.classes: Final = Classes(volume, self.locks)
        self.settling: Final = Settling(volume)
        self.retrieving: Final = Retrieving(volume, self.classes, self.settling)
        self.writing: Final = Writing(volume, self.reading, self.locks, self.classes)
        self.attributes: Final = Attributes(volume, locks=self.locks, writing=self.writing)
        self.privileges: Final = Privileges(volume, self.attributes)
        self.releasing: Final = Releasing(
            volume, locks=self.locks, writing=self.writing, open_files=self.open_files
        )
        self.namespace: Final = Namespace(volume, locks=self.locks, releasing=self.releasing)
        self._contents: Final = HandleReading(volume, self.reading, self.open_files)
        self._closing: Final = Closing(
            volume,
            self.open_files,
            locks=self.locks,
            writing=self.writing,
            releasing=self.releasing,
        )
        self.histories: Final = Histories(volume)
        self.views: Final = Views(volume, Histories(volume, for_everyone=True))
        self._listings: Final = Listings(volume, attributes=self.attributes, views=self.views)
        self.lock_attributes: Final = LockAttributes(
            volume,
            locks=self.locks,
            writing=self.writing,
            open_files=self.open_files,
            retrieving=self.retrieving,
        )
        self.habit: Final = Habit(
            volume,
            locks=self.locks,
            attributes=self.attributes,
            lock_attributes=self.lock_attributes,
        )
        self.refusals: Final = Refusals(volume)
        self.key_access: Final = KeyAccess(volume, self.open_files)
        self.key_administration: Final = KeyAdministration(volume, self.locks, self.key_access)
        self.lifecycle: Final = LifecycleRuns(
            volume,
            LifecycleRules(
                volume,
                locks=self.locks,
                namespace=self.namespace,
                classes=self.classes,
                open_files=self.open_files,
            ),
        )
        self.replica: Final = ReplicaRole(volume)
        self.replication: Final = Replication(volume, self.lifecycle.rules.keys)
        self.lock_attributes.replication_status = self.replication.status_of
        self.lifecycle.decide_replication = self.replication.decide
        self.pack_keeping: Final = PackKeeping(volume)
        self.pack_coding: Final = PackCoding(volume, self.locks)
        self.presentation = Presentation()
        self.activity: Final = Activity(boottime_ns, volume.use)

    # Names

    def lookup(self, parent: int, name: bytes) -> Inode:
        """What the name means. Raises NoSuchName; InvalidTime below `.versions`."""
        inode = self.find(parent, name)
        if inode is None:
            raise NoSuchName(printed(name))
        return inode

    def find(self, parent: int, name: bytes) -> Inode | None:
        """As `lookup`; None: no real directory, which `parent` is, has such an entry."""
        if parent >= FIRST_VIRTUAL_INO:
            return self._remembered(self.views.lookup(parent, name))
        inode = self.volume.metadata.lookup(parent, name)
        if inode is not None:
            if inode.ino in self.volume.drafts:
                return self.attributes.get(inode.ino)
            return inode
        if name in (b".", b".."):
            return self._by_number(parent, name)
        if self.namespace.is_reserved(parent, name):
            return self._remembered(self._door(parent, name))
        if len(name) > NAME_BYTES_MAX:
            raise NameTooLong(f"{len(name)} bytes")
        return None

    def _door(self, parent: int, name: bytes) -> Inode:
        self.volume.directory(parent)
        return self.views.status() if name == STATUS_DIRECTORY else self.views.versions_of(parent)

    def _by_number(self, ino: int, name: bytes) -> Inode:
        """NFS looks `.` of any inode up, and `..`, to learn what a handle means after a restart."""
        inode = self.attributes.get(ino)
        if not inode.nlink:
            raise StaleInode(f"inode {ino} was removed")
        if name == b".":
            return inode
        return self.volume.inode(self.volume.directory(ino).parent or ROOT_INO)

    def _remembered(self, inode: Inode) -> Inode:
        """The kernel is told the number of a view; it says when it forgets it."""
        self.views.remember(inode.ino)
        return inode

    def forget(self, ino: int, count: int) -> None:
        """The kernel forgot a view's number `count` times."""
        self.views.forget(ino, count)

    def mknod(self, parent: int, name: bytes, mode: int, rdev: int, caller: Caller) -> Inode:
        """A file or special file is made; a regular file has its first, empty version."""
        self._check_changeable(parent)
        inode = self.namespace.make(parent, name, mode, caller, rdev=rdev)
        if inode.is_file:
            self.writing.begin_new(inode, uid=caller.uid)
            self.writing.commit(inode.ino, origin=Origin.CREATED)
        return self.volume.inode(inode.ino)

    def mkdir(self, parent: int, name: bytes, mode: int, caller: Caller) -> Inode:
        """A directory is made."""
        self._check_changeable(parent)
        return self.namespace.make(parent, name, mode, caller)

    def symlink(self, parent: int, name: bytes, target: bytes, caller: Caller) -> Inode:
        """A symbolic link is made."""
        self._check_changeable(parent)
        mode = 0o120777
        return self.namespace.make(parent, name, mode, caller, target=target)

    def readlink(self, ino: int) -> bytes:
        """The target of the symbolic link."""
        if ino >= FIRST_VIRTUAL_INO:
            return self.views.readlink(ino)
        inode = self.volume.inode(ino)
        if not inode.is_symlink:
            raise InvalidArgument("not a symbolic link")
        return inode.target

    def link(self, ino: int, parent: int, name: bytes, caller: Caller) -> Inode:
        """The inode has one more name."""
        self._check_changeable(ino)
        self._check_changeable(parent)
        self.namespace.link(ino, parent, name, caller)
        return self.attributes.get(ino)

    def unlink(self, parent: int, name: bytes, caller: Caller) -> None:
        """The name is free; what it held is in the history."""
        self._check_changeable(parent)
        self._check_not_reserved(parent, name)
        self.namespace.unlink(parent, name, caller)
        self.volume.durability.record()

    def rmdir(self, parent: int, name: bytes, caller: Caller) -> None:
        """The empty directory is gone."""
        self._check_changeable(parent)
        self._check_not_reserved(parent, name)
        self.namespace.rmdir(parent, name, caller)

    def rename(
        self, parent: int, name: bytes, new_parent: int, new_name: bytes, flags: int, caller: Caller
    ) -> None:
        """The inode has another name; `flags` as renameat2(2)."""
        self._check_changeable(parent)
        self._check_changeable(new_parent)
        self._check_not_reserved(parent, name)
        self.namespace.rename(parent, name, new_parent, new_name, flags, caller)
        self.volume.durability.record()

    def _check_not_reserved(self, parent: int, name: bytes) -> None:
        if self.namespace.is_reserved(parent, name):
            raise ReadOnlyView(f"{printed(name)} belongs to the filesystem")

    # Attributes

    def getattr(self, ino: int) -> Inode:
        """The attributes as stat(2) shows them."""
        if ino >= FIRST_VIRTUAL_INO:
            return self.views.get(ino)
        return self.attributes.get(ino)

    def setattr(
        self, ino: int, wanted: AttributeChange, handle: int | None, caller: Caller
    ) -> Inode:
        """The attributes are as wanted; truncate(2) by path makes a version, by handle close(2)."""
        self._check_changeable(ino)
        if self.habit.extends(ino, wanted):
            return self.habit.extend(ino, wanted, caller)
        if wanted.size is not None:
            if handle is None:  # else that was asked when it was opened
                self._check_resizable(ino, wanted.size)
            self.attributes.resize(ino, wanted.size, caller)
            if handle is not None:
                self.open_files.get(handle).wrote = True
            elif not self.open_files.is_written(ino):
                self.writing.commit(ino, origin=Origin.TRUNCATED)
        wanted = without_set_id_bits(self.volume.inode(ino), wanted, caller)
        only_size = wanted == AttributeChange(size=wanted.size)
        if wanted.size is None or not only_size:
            return self.attributes.set(ino, wanted, caller)
        return self.attributes.get(ino)

    def locks_by_habit(self, ino: int, wanted: AttributeChange) -> bool:
        """Whether `lock_by_habit` must be called in place of `setattr`."""
        return ino < FIRST_VIRTUAL_INO and wanted.size is None and self.habit.commits(ino, wanted)

    async def lock_by_habit(self, ino: int, wanted: AttributeChange, caller: Caller) -> Inode:
        """As `setattr`; the file is locked, durably. Waits up to a second for writers."""
        inode = await self.habit.commit(ino, wanted, caller)
        await self.volume.durability.flush(durable=True, only_facts=True)
        return inode

    def _check_resizable(self, ino: int, size: int) -> None:
        """What truncate(2) leaves of the file can be read, or is nothing. Raises Archived."""
        inode = self.volume.inode(ino)
        if size and inode.storage_class and ino not in self.volume.drafts:
            self.classes.opened(inode)

    def getxattr(self, ino: int, name: bytes) -> bytes:
        """The value of an extended attribute. Raises NoSuchAttribute."""
        value = self.find_xattr(ino, name)
        if value is None:
            raise NoSuchAttribute(printed(name))
        return value

    def find_xattr(self, ino: int, name: bytes) -> bytes | None:
        """As `getxattr`; None: there is no such attribute."""
        if name.startswith(PREFIX):
            inode = self.getattr(ino)
            version = self._version_shown(inode)
            return (
                None
                if _is_text(inode, version)
                else self.lock_attributes.find(inode, version, name)
            )
        if ino >= FIRST_VIRTUAL_INO:
            return self.views.xattrs_of(ino).get(name)
        return self.attributes.find_xattr(ino, name)

    def _version_shown(self, inode: Inode) -> Version | None:
        if inode.ino >= FIRST_VIRTUAL_INO:
            return self.views.version_shown(inode.ino)
        if not inode.version_ns:
            return None
        return self.volume.metadata.version(inode.ino, inode.version_ns)

    def listxattr(self, ino: int) -> list[bytes]:
        """The names of the stored attributes; `s3.*` are not listed."""
        if ino >= FIRST_VIRTUAL_INO:
            names = list(self.views.xattrs_of(ino))
        else:
            names = self.attributes.list_xattrs(ino)
        if self.presentation.lists_lock_attributes:
            inode = self.getattr(ino)
            version = self._version_shown(inode)
            names += [] if _is_text(inode, version) else self.lock_attributes.names(inode, version)
        return names

    def setxattr(
        self, ino: int, name: bytes, value: bytes, caller: Caller, *, takes_setgid: bool = False
    ) -> None:
        """The stored attribute is set; see `Attributes.set_xattr`."""
        self._check_changeable(ino)
        del caller  # the kernel has checked who may
        self.attributes.set_xattr(ino, name, value, takes_setgid=takes_setgid)

    async def set_lock_attribute(self, ino: int, name: bytes, value: bytes, caller: Caller) -> None:
        """`s3.*` is set, durably; waits up to a second for writers."""
        self._check_changeable(ino)
        await self.lock_attributes.set(ino, name, value, caller)
        await self.volume.durability.flush(durable=True, only_facts=True)

    def removexattr(self, ino: int, name: bytes, caller: Caller) -> None:
        """The stored attribute is gone."""
        self._check_changeable(ino)
        del caller
        if name.startswith(PREFIX):
            refusal = Protected(f"{printed(name)} is not removed; use the commands")
            refusal.attempt = Attempt(Operation.REMOVE_XATTR.value, ino)
            raise refusal
        self.attributes.remove_xattr(ino, name)

    # Files

    def lacks_keys(self, ino: int, flags: int) -> bool:
        """Whether a key service must be asked before `open`: then `obtain_keys`, and this again.

        Raises:
            EncryptionError: a key that the file needs is missing, disabled or refused.
        """
        if self.volume.keys.is_simple:
            return False
        version = None
        if ino >= FIRST_VIRTUAL_INO:
            version = self.views.version_shown(ino)
        else:
            inode = self.volume.inode(ino)
            if inode.is_file and inode.version_ns:
                version = self.volume.metadata.version(ino, inode.version_ns)
        return self.key_access.lacks(ino, version, flags)

    @property
    def keys_are_simple(self) -> bool:
        """Whether no file can lack a key that must be asked for."""
        return self.volume.keys.is_simple

    def lacks_key_for_new(self, handle: int) -> bool:
        """As `lacks_keys`, for a file that was just made."""
        return self.key_access.lacks_for_writing(self.open_files.get(handle).ino)

    async def obtain_keys(self) -> None:
        """What `lacks_keys` lacked is known; other requests are served meanwhile."""
        await self.volume.keys.questions.put_in_thread()

    def take_back(self, parent: int, name: bytes, handle: int) -> None:
        """A file that was just made, and cannot be written after all, leaves nothing behind."""
        opened = self.open_files.get(handle)
        opened.wrote = False
        inode = self.volume.metadata.lookup(parent, name)
        if inode is not None and inode.ino == opened.ino:
            self.namespace.take_back(inode, parent, name, opened.caller)
        self.release(handle)

    def create(
        self, parent: int, name: bytes, mode: int, flags: int, caller: Caller
    ) -> tuple[OpenedFile, Inode]:
        """A new file is made and open; its first close makes its first version."""
        self._check_changeable(parent)
        self.volume.new_keys.check()
        inode = self.namespace.make(parent, name, mode, caller)
        self.writing.begin_new(inode, uid=caller.uid)
        writable = flags & O_ACCMODE != os.O_RDONLY  # O_CREAT alone makes no writer
        handle = Handle(inode.ino, caller=caller, writable=writable)
        handle.wrote = True
        return OpenedFile(self.open_files.add(handle)), inode

    def open(
        self, ino: int, flags: int, caller: Caller, *, takes_set_id_bits: bool = False
    ) -> OpenedFile:
        """The file is open. Raises Protected for a locked file that is to be written.

        `takes_set_id_bits`: a caller that truncates may not leave them.
        """
        writable = flags & O_ACCMODE != os.O_RDONLY
        truncates = bool(flags & os.O_TRUNC)
        if ino >= FIRST_VIRTUAL_INO:
            handle, opened = self.views.open(ino, caller, writable=writable or truncates)
            self.lacks_keys(ino, os.O_RDONLY)
            version = self.views.version_shown(ino)
            if version is not None:
                self.classes.opened_version(version)
            return OpenedFile(self.open_files.add(handle), opened.keep_cache, opened.direct_io)
        inode = self.volume.inode(ino)
        if inode.is_directory:
            raise IsADirectory(f"inode {ino}")
        if writable or truncates:
            self._check_changeable(ino)
        if writable:
            self.volume.check_writable()
            self.locks.check(Operation.OPEN_FOR_WRITE, inode)
        self.lacks_keys(ino, flags)
        if inode.storage_class and not truncates and ino not in self.volume.drafts:
            self.classes.opened(inode)
        if truncates:
            self.locks.check(Operation.OPEN_TRUNCATE, inode)
            self.writing.resize(inode, 0, uid=caller.uid)
            if takes_set_id_bits or caller.uid:
                self.privileges.drop(inode, caller)
        handle = Handle(ino, caller=caller, writable=writable)
        handle.wrote = truncates
        number = self.open_files.add(handle)
        return OpenedFile(number, keep_cache=not truncates)

    async def open_archived(self, ino: int, flags: int, caller: Caller) -> OpenedFile:
        """As `open`, after the file's bytes were retrieved from the archive for this reader.

        Raises:
            WouldWait: O_NONBLOCK is given, or too many wait; the file is being retrieved.
        """
        shown = self._version_shown(self.getattr(ino))
        if shown is not None:
            may_wait = not flags & os.O_NONBLOCK
            await self.retrieving.until_readable(shown.ino, shown.stamp_ns, may_wait=may_wait)
        return self.open(ino, flags, caller)

    def read_nowait(self, handle: int, offset: int, size: int) -> bytes | None:
        """The bytes; None where a device would have to be waited for (then call `read`)."""
        return self._contents.read_nowait(handle, offset, size)

    def read_current(self, ino: int, offset: int, size: int) -> bytes | None:
        """The bytes of the file as it is now, draft included; None as in `read_nowait`."""
        return self._contents.current_nowait(ino, offset, size)

    async def read(self, handle: int, offset: int, size: int) -> bytes:
        """As `read_nowait`, waiting for devices while others are served."""
        return await self._contents.read(handle, offset, size)

    def read_in_place(self, handle: int, offset: int, size: int) -> bytes | None:
        """As `read`, where the device is quick; None where it must be waited for (then `read`)."""
        return self._contents.read_in_place(handle, offset, size)

    def write(self, handle: int, offset: int, data: bytes, shed_by: Caller | None = None) -> int:
        """All of `data` is in the draft; returns its length.

        `shed_by`: who writes, where that takes away what the file gives to those who run it.

        Raises:
            Protected: the file is locked, or append-only and existing bytes would change.
            StoreFull, FileTooLarge, BadHandle.
        """
        opened = self.open_files.get(handle)
        if not opened.writable:
            raise BadHandle("not open for writing")
        self.replica.check_writable()
        inode = self.volume.inode(opened.ino)
        known = 0
        if inode.lock is not None or inode.append_only:
            try:
                known = self._check_write(inode, offset, data)
            except Protected:
                # The kernel may hold what was refused in its pages: no reader shall see it.
                self.volume.invalidation.inode(inode.ino)
                raise
        if known < len(data):
            self.writing.write(inode, offset + known, data[known:], uid=opened.caller.uid)
            opened.wrote = True
            if shed_by is not None:
                self.privileges.drop(inode, shed_by)
        return len(data)

    def _check_write(self, inode: Inode, offset: int, data: bytes) -> int:
        """The gate for a write to a file with a lock: how many leading bytes are there already.

        Pages of a mapping arrive whole, old bytes included. So for an append-only file what matters
        is whether any existing byte would change.
        """
        if not inode.append_only:
            self.locks.check(Operation.WRITE, inode)
            return 0
        size = self.attributes.get(inode.ino).size
        overlap = max(min(size - offset, len(data)), 0)
        if overlap and self._contents.current(inode.ino, offset, overlap) != data[:overlap]:
            self.locks.check(Operation.WRITE, inode)
        self.locks.check(Operation.APPEND, inode)
        return overlap

    def flush(self, handle: int) -> None:
        """close(2) of a descriptor: what was written through this handle is a version."""
        self._closing.flush(handle)

    def release(self, handle: int) -> None:
        """The last descriptor is closed; late pages of a mapping are committed now."""
        self._closing.release(handle)

    def caller_of_handle(self, handle: int) -> Caller:
        """Who opened the file: write(2) does not say who calls it. Raises BadHandle."""
        return self.open_files.get(handle).caller

    def restore_content(
        self, ino: int, source: int, stamp_ns: int, *, caller: Caller, like: Inode | None = None
    ) -> Version:
        """The file's current version has the content of an earlier version of any file.

        Blocks are shared, nothing is copied. `like` gives the attributes to bring back as well.

        Raises:
            Protected: the file is locked.
        """
        keeps_all = self.volume.settings.versioning is VersioningState.ENABLED
        if keeps_all:
            self.lock_attributes.settle_draft(ino)
        self.locks.check(Operation.RESTORE_OVER, self.volume.inode(ino))
        if not keeps_all:  # saved, it would take the place of what comes back
            self.writing.discard(ino)
        version = self.writing.restore_version(
            ino, source=source, stamp_ns=stamp_ns, uid=caller.uid, like=like
        )
        self.volume.invalidation.inode(ino)
        return version

    def fsync_nowait(self, handle: int) -> bool:
        """As `fsync`, where the disk is quick; False where it must be waited for (then `fsync`)."""
        draft = self.volume.drafts.get(self.open_files.get(handle).ino)
        return self.volume.durability.flush_nowait(draft)

    async def fsync(self, handle: int, datasync: bool) -> None:  # noqa: FBT001 - as fsync(2)
        """What was written to the file so far, and everything about names, survives a power cut."""
        del datasync  # one journal record holds both
        opened = self.open_files.get(handle)
        draft = self.volume.drafts.get(opened.ino)
        await self.volume.durability.flush(durable=True, draft=draft, only_facts=draft is None)

    # Directories

    def opendir(self, ino: int, caller: Caller) -> int:
        """A handle to list the directory with."""
        del caller
        return self._listings.open(ino)

    def listed_directory(self, handle: int) -> int:
        """The directory that the handle lists; 0 where it is not open."""
        return self._listings.listed(handle)

    def itself_and_parent(self, handle: int) -> tuple[Inode, Inode]:
        """What `.` and `..` mean in an open directory; a view's parent is not told."""
        return self._listings.itself_and_parent(handle)

    def readdir(self, handle: int, after: int) -> Iterator[tuple[bytes, Inode, int]]:
        """(name, attributes, offset) of the entries behind the offset `after` (0: from the start).

        Offsets of a real directory stay true while entries come and go.
        """
        shows_views = self.presentation.snapdir_visible
        return self._listings.entries(handle, after, shows_views=shows_views)

    def releasedir(self, handle: int) -> None:
        """The handle is closed."""
        self._listings.close(handle)

    def fsyncdir_nowait(self, handle: int) -> bool:
        """As `fsyncdir`, where the disk is quick; False where it must be waited for."""
        del handle
        return self.volume.durability.flush_nowait(None)

    async def fsyncdir(self, handle: int, datasync: bool) -> None:  # noqa: FBT001 - as fsync(2)
        """Every change of names so far survives a power cut."""
        del handle, datasync
        await self.volume.durability.flush(durable=True, only_facts=True)

    def statfs(self) -> Space:
        """Room as the tightest zone has it."""
        free, total = self.volume.space.look()
        reserve = self.volume.space.reserve(total)
        return Space(
            block_bytes=BLOCK_BYTES,
            blocks=total // BLOCK_BYTES,
            free=free // BLOCK_BYTES,
            available=max(free - reserve, 0) // BLOCK_BYTES,
            files=1 << 32,
            files_free=(1 << 32) - min(self.volume.last_ino, 1 << 32),
        )

    def _check_changeable(self, ino: int) -> None:
        """Somebody may change this.

        Raises:
            ReadOnlyView: it is in a view.
            ReplicaReadOnly: the store is a replica.
        """
        if ino >= FIRST_VIRTUAL_INO:
            raise ReadOnlyView("views cannot be changed")
        self.replica.check_writable()


def _is_text(inode: Inode, version: Version | None) -> bool:
    """Whether it is a text that a view makes, such as `log`: nothing that the store keeps."""
    return inode.ino >= FIRST_VIRTUAL_INO and inode.is_file and version is None
