"""From the body of a request to a call of its handler, and from there to the body of the reply.

One method for each opcode. What a class of handlers lacks is answered with ENOSYS, which the kernel
remembers: it does not ask again, and does without.
"""

import errno
import logging
from collections.abc import Callable, Coroutine
from stat import S_IFDIR, S_IMODE
from types import CoroutineType
from typing import Any, Final, TypeVar, TypeVarTuple

from s3fs_local.engine.attributes import AttributeChange
from s3fs_local.fuse import replies
from s3fs_local.fuse.boundary import Eventual, Refused
from s3fs_local.fuse.protocol import (
    BATCH_FORGET_IN,
    CREATE_IN,
    FATTR_ATIME,
    FATTR_FH,
    FATTR_GID,
    FATTR_KILL_SUIDGID,
    FATTR_MODE,
    FATTR_MTIME,
    FATTR_SIZE,
    FATTR_UID,
    FH_IN,
    FORGET_IN,
    FORGET_ONE,
    FSYNC_DATA_ONLY,
    FSYNC_IN,
    GETXATTR_IN,
    IN_HEADER,
    INTERRUPT_IN,
    LINK_IN,
    MAJOR,
    MKDIR_IN,
    MKNOD_IN,
    OPEN_IN,
    OPEN_KILL_SUIDGID,
    READ_IN,
    RENAME2_IN,
    RENAME_IN,
    SETATTR_IN,
    SETXATTR_ACL_KILL_SGID,
    WRITE_IN,
    WRITE_KILL_SUIDGID,
    Feature,
    Opcode,
    agreement,
    is_understood,
    offer_of,
    setxattr_of,
)
from s3fs_local.rules.inode import Caller

log = logging.getLogger(__name__)

BODY: Final = IN_HEADER.size
"""Where the body of a request begins."""

Reply = Eventual[bytes]
Answer = Callable[[int, Caller, memoryview], Reply | int]
"""From (node, caller, whole request) to the body of the reply, at once or after waiting; or to an
errno, where that is an everyday answer and an exception would cost more than finding it out.

Decodes all of the request before it first waits. Raises `Refused`.
"""

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_NS: Final = 1_000_000_000
_DATA: Final = BODY + WRITE_IN.size


def answers_of(handlers: object) -> dict[int, Answer]:
    """How requests are answered by handlers that have a method for each, or for some, by name."""
    answers = Answers(handlers)
    return {
        opcode: getattr(answers, name)
        for opcode, name in _METHODS.items()
        if hasattr(handlers, _HANDLERS.get(name, name))
    }


def greeting(wanted: Feature, on_greeted: Callable[[], None]) -> Answer:
    """How the first request of all is answered. `on_greeted` is called before the reply.

    Raises `Refused` where the kernel is too old: the mount is then of no use.
    """

    def init(_: int, __: Caller, request: memoryview) -> bytes:
        offer = offer_of(request[BODY:])
        if not is_understood(offer):
            log.error("Linux 5.4 or newer is needed; this kernel speaks FUSE %s", offer)
            raise Refused(errno.EPROTO)
        if offer.major == MAJOR:
            on_greeted()
        return agreement(offer, wanted)

    return init


def interrupting(interrupt: Callable[[int], None]) -> Answer:
    """How it is taken that the caller of another request was sent a signal."""

    def note(_: int, __: Caller, request: memoryview) -> bytes:
        interrupt(*INTERRUPT_IN.unpack_from(request, BODY))
        return b""

    return note


class Answers:
    """The methods. Their names are those of the opcodes."""

    def __init__(self, handlers: Any) -> None:  # noqa: ANN401  it has some of the handlers, or all
        self._to = handlers

    def lookup(self, node: int, caller: Caller, request: memoryview) -> bytes:
        """Name."""
        inode = self._to.lookup(node, _name(request, BODY), caller)
        return replies.ABSENT if inode is None else replies.entry(inode)

    def forget(self, node: int, _: Caller, request: memoryview) -> bytes:
        """How often the node was looked up."""
        (count,) = FORGET_IN.unpack_from(request, BODY)
        self._to.forget([(node, count)])
        return b""

    def batch_forget(self, _: int, __: Caller, request: memoryview) -> bytes:
        """Several nodes."""
        first = BODY + BATCH_FORGET_IN.size
        count, _ = BATCH_FORGET_IN.unpack_from(request, BODY)
        forgotten = request[first : first + count * FORGET_ONE.size]
        self._to.forget(list(FORGET_ONE.iter_unpack(forgotten)))
        return b""

    def getattr(self, node: int, caller: Caller, _: memoryview) -> bytes:
        """Nothing that matters: whether through a handle."""
        return replies.attributes(self._to.getattr(node, caller))

    def statx(self, node: int, caller: Caller, _: memoryview) -> bytes:
        """Nothing that matters: the kernel leaves out what was not asked for."""
        return replies.all_attributes(self._to.getattr(node, caller))

    def setattr(self, node: int, caller: Caller, request: memoryview) -> Reply:
        """Which attributes, and all of them."""
        change, handle = _change(request)
        return _when_there(self._to.setattr(node, change, handle, caller), replies.attributes)

    def readlink(self, node: int, caller: Caller, _: memoryview) -> bytes:
        """Nothing."""
        target: bytes = self._to.readlink(node, caller)
        return target

    def mknod(self, node: int, caller: Caller, request: memoryview) -> bytes:
        """Mode, device, umask, name."""
        mode, rdev, umask, _ = MKNOD_IN.unpack_from(request, BODY)
        name = _name(request, BODY + MKNOD_IN.size)
        caller = _masked(caller, umask)
        return replies.entry(self._to.mknod(node, name, mode, rdev, caller))

    def mkdir(self, node: int, caller: Caller, request: memoryview) -> bytes:
        """Mode, umask, name."""
        mode, umask = MKDIR_IN.unpack_from(request, BODY)
        name = _name(request, BODY + MKDIR_IN.size)
        caller = _masked(caller, umask)
        return replies.entry(self._to.mkdir(node, name, S_IFDIR | S_IMODE(mode), caller))

    def symlink(self, node: int, caller: Caller, request: memoryview) -> bytes:
        """Name, target."""
        name, target = _names(request, BODY)
        return replies.entry(self._to.symlink(node, name, target, caller))

    def link(self, node: int, caller: Caller, request: memoryview) -> bytes:
        """Inode, new name."""
        (ino,) = LINK_IN.unpack_from(request, BODY)
        name = _name(request, BODY + LINK_IN.size)
        return replies.entry(self._to.link(ino, node, name, caller))

    def unlink(self, node: int, caller: Caller, request: memoryview) -> bytes:
        """Name."""
        self._to.unlink(node, _name(request, BODY), caller)
        return b""

    def rmdir(self, node: int, caller: Caller, request: memoryview) -> bytes:
        """Name."""
        self._to.rmdir(node, _name(request, BODY), caller)
        return b""

    def rename(self, node: int, caller: Caller, request: memoryview) -> bytes:
        """New parent, both names."""
        (parent,) = RENAME_IN.unpack_from(request, BODY)
        old, new = _names(request, BODY + RENAME_IN.size)
        self._to.rename(node, old, parent, new, 0, caller)
        return b""

    def rename2(self, node: int, caller: Caller, request: memoryview) -> bytes:
        """New parent, flags, both names."""
        parent, flags, _ = RENAME2_IN.unpack_from(request, BODY)
        old, new = _names(request, BODY + RENAME2_IN.size)
        self._to.rename(node, old, parent, new, flags, caller)
        return b""

    def create(self, node: int, caller: Caller, request: memoryview) -> Reply:
        """Flags, mode, umask, name."""
        flags, mode, umask, _ = CREATE_IN.unpack_from(request, BODY)
        name = _name(request, BODY + CREATE_IN.size)
        caller = _masked(caller, umask)
        return _when_there(self._to.create(node, name, mode, flags, caller), replies.created, flags)

    def open(self, node: int, caller: Caller, request: memoryview) -> Reply:
        """Flags of both kinds."""
        flags, how = OPEN_IN.unpack_from(request, BODY)
        takes_bits = bool(how & OPEN_KILL_SUIDGID)
        return _when_there(self._to.open(node, flags, takes_bits, caller), replies.opened, flags)

    def read(self, _: int, __: Caller, request: memoryview) -> Reply:
        """Handle, offset, size."""
        content: Reply = self._to.read(*READ_IN.unpack_from(request, BODY))
        return content

    def write(self, _: int, caller: Caller, request: memoryview) -> bytes:
        """Handle, offset, size, flags; data."""
        handle, offset, size, flags, _, _, _ = WRITE_IN.unpack_from(request, BODY)
        data = request[_DATA : _DATA + size].tobytes()
        shed_by = caller if flags & WRITE_KILL_SUIDGID else None
        return replies.written(self._to.write(handle, offset, data, shed_by))

    def flush(self, _: int, __: Caller, request: memoryview) -> bytes:
        """Handle."""
        self._to.flush(*FH_IN.unpack_from(request, BODY))
        return b""

    def release(self, _: int, __: Caller, request: memoryview) -> bytes:
        """Handle."""
        self._to.release(*FH_IN.unpack_from(request, BODY))
        return b""

    def fsync(self, _: int, __: Caller, request: memoryview) -> Reply:
        """Handle, flags."""
        handle, flags = FSYNC_IN.unpack_from(request, BODY)
        return _when_there(self._to.fsync(handle, bool(flags & FSYNC_DATA_ONLY)), _nothing)

    def opendir(self, node: int, caller: Caller, _: memoryview) -> bytes:
        """Nothing that matters."""
        return replies.opened_directory(self._to.opendir(node, caller))

    def readdirplus(self, _: int, __: Caller, request: memoryview) -> bytes:
        """Handle, where to go on, size."""
        handle, offset, size = READ_IN.unpack_from(request, BODY)
        listing = replies.Listing(size)
        self._to.readdir(handle, offset, listing)
        return listing.body()

    def releasedir(self, _: int, __: Caller, request: memoryview) -> bytes:
        """Handle."""
        self._to.releasedir(*FH_IN.unpack_from(request, BODY))
        return b""

    def fsyncdir(self, _: int, __: Caller, request: memoryview) -> Reply:
        """Handle, flags."""
        handle, flags = FSYNC_IN.unpack_from(request, BODY)
        return _when_there(self._to.fsyncdir(handle, bool(flags & FSYNC_DATA_ONLY)), _nothing)

    def getxattr(self, node: int, caller: Caller, request: memoryview) -> bytes | int:
        """Size of the buffer, name."""
        size_max, _ = GETXATTR_IN.unpack_from(request, BODY)
        name = _name(request, BODY + GETXATTR_IN.size)
        value = self._to.getxattr(node, name, caller)
        return errno.ENODATA if value is None else _sized(value, size_max)

    def setxattr(self, node: int, caller: Caller, request: memoryview) -> Reply:
        """Size, flags; name, value."""
        size, flags, more, rest = setxattr_of(request[BODY:])
        name, _, value = rest.tobytes().partition(b"\0")
        takes_setgid = bool(more & SETXATTR_ACL_KILL_SGID)
        answer = self._to.setxattr(node, name, value[:size], flags, takes_setgid, caller)
        return _when_there(answer, _nothing)

    def listxattr(self, node: int, caller: Caller, request: memoryview) -> bytes:
        """Size of the buffer."""
        size_max, _ = GETXATTR_IN.unpack_from(request, BODY)
        names = self._to.listxattr(node, caller)
        return _sized(b"".join(name + b"\0" for name in names), size_max)

    def removexattr(self, node: int, caller: Caller, request: memoryview) -> bytes:
        """Name."""
        self._to.removexattr(node, _name(request, BODY), caller)
        return b""

    def statfs(self, _: int, caller: Caller, __: memoryview) -> bytes:
        """Nothing."""
        return replies.space(self._to.statfs(caller))


_METHODS: Final[dict[int, str]] = {
    opcode.value: opcode.name.lower() for opcode in Opcode if hasattr(Answers, opcode.name.lower())
}
_HANDLERS: Final = {
    "batch_forget": "forget",
    "readdirplus": "readdir",
    "rename2": "rename",
    "statx": "getattr",
}
"""Opcodes that share a handler with another."""


def _when_there(result: Eventual[T], body_of: Callable[[T, *Ts], bytes], *args: *Ts) -> Reply:
    """The body of the reply: at once, if the handler has its result, and else when it has."""
    if isinstance(result, CoroutineType):
        return _later(result, body_of, *args)
    return body_of(result, *args)  # type: ignore[arg-type]  # what is no coroutine is the result


async def _later(
    result: Coroutine[Any, Any, T], body_of: Callable[[T, *Ts], bytes], *args: *Ts
) -> bytes:
    return body_of(await result, *args)


def _nothing(_: None) -> bytes:
    return b""


def _masked(caller: Caller, umask: int) -> Caller:
    return Caller(caller.uid, caller.gid, caller.pid, umask)


def _name(request: memoryview, start: int) -> bytes:
    return request[start:-1].tobytes()


def _names(request: memoryview, start: int) -> tuple[bytes, bytes]:
    first, _, second = request[start:-1].tobytes().partition(b"\0")
    return first, second


def _sized(value: bytes, size_max: int) -> bytes:
    """The value, or how long it is, for whoever asks with a buffer of no size."""
    if not size_max:
        return replies.attribute_size(len(value))
    if len(value) > size_max:
        raise Refused(errno.ERANGE)
    return value


def _change(request: memoryview) -> tuple[AttributeChange, int | None]:
    """What a SETATTR asks for; not its ctime, since the engine has its own idea of now.

    Where a time shall be that of now, the kernel says so, and which that is.
    """
    (
        valid, _, handle, size, _, atime_s, mtime_s, _, atime_ns, mtime_ns, _, mode, _, uid, gid, _,
    ) = SETATTR_IN.unpack_from(request, BODY)  # fmt: skip
    change = AttributeChange(
        mode=mode if valid & FATTR_MODE else None,
        uid=uid if valid & FATTR_UID else None,
        gid=gid if valid & FATTR_GID else None,
        size=size if valid & FATTR_SIZE else None,
        atime_ns=atime_s * _NS + atime_ns if valid & FATTR_ATIME else None,
        mtime_ns=mtime_s * _NS + mtime_ns if valid & FATTR_MTIME else None,
        takes_set_id_bits=bool(valid & FATTR_KILL_SUIDGID),
    )
    return change, handle if valid & FATTR_FH else None
