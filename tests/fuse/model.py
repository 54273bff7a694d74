"""Operations as data, and the system calls that they are in a directory, wherever it is.

A step is a kind and four numbers. The numbers pick targets among what exists when the step comes,
so a sequence can be cut anywhere and still means something. `Folder` makes the system calls; the
mount and a directory on a real disk are one each.
"""

import errno
import fcntl
import mmap
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from hypothesis import strategies as st

from tests.fuse.calls import RENAME_EXCHANGE, RENAME_NOREPLACE, renameat2

IS_ROOT: Final = os.geteuid() == 0
OTHER_USER: Final = 1000
PAGE: Final = mmap.PAGESIZE


class Kind(StrEnum):
    """What programs do; each is a method of `Folder`."""

    CREATE = "create"
    MKDIR = "mkdir"
    WRITE = "write"
    PWRITE = "pwrite"
    CLOSE = "close"
    SYMLINK = "symlink"
    LINK = "link"
    UNLINK = "unlink"
    RMDIR = "rmdir"
    RENAME = "rename"
    RENAME_OVER = "rename_over"
    RENAME_NOREPLACE = "rename_noreplace"
    EXCHANGE = "exchange"
    OPEN = "open"
    APPEND = "append"
    READ = "read"
    PREAD = "pread"
    READ_WHOLE = "read_whole"
    SEEK = "seek"
    SPARSE_WRITE = "sparse_write"
    DIRECT_WRITE = "direct_write"
    MAP_WRITE = "map_write"
    MAP_READ = "map_read"
    MAP_PRIVATE = "map_private"
    TRUNCATE = "truncate"
    TRUNCATE_HANDLE = "truncate_handle"
    ALLOCATE = "allocate"
    COPY = "copy"
    COPY_RANGE = "copy_range"
    REPLACE = "replace"
    FSYNC = "fsync"
    DATA_SYNC = "data_sync"
    CLOSE_DUPLICATE = "close_duplicate"
    TMPFILE = "tmpfile"
    CHMOD = "chmod"
    CHMOD_HANDLE = "chmod_handle"
    CHOWN = "chown"
    UTIMES = "utimes"
    UTIMES_HANDLE = "utimes_handle"
    SETXATTR = "setxattr"
    GETXATTR = "getxattr"
    LISTXATTR = "listxattr"
    REMOVEXATTR = "removexattr"
    SET_ACL = "set_acl"
    READLINK = "readlink"
    STAT = "stat"
    LISTDIR = "listdir"
    ACCESS = "access"
    NAME_MAX = "name_max"
    MKFIFO = "mkfifo"
    MKNOD = "mknod"
    MAKE_DEEP = "make_deep"


class Step(NamedTuple):
    """One step of a sequence, before it is known what there is."""

    kind: Kind
    first: int = 0
    second: int = 0
    third: int = 0
    fourth: int = 0
    is_other_user: bool = False  # instead of root, where root runs the model


class Call(NamedTuple):
    """A step when its time has come: what its numbers picked."""

    kind: Kind
    path: str  # by the first number, of what exists; or what nobody would ask for
    other: str  # likewise, by the second
    place: str  # where something may be made: the directory by the second, the name by the third
    handle: int  # by the first, of what is open; -1: nothing is
    other_handle: int  # by the second
    first: int
    second: int
    third: int
    fourth: int
    user: int
    serial: int  # of the step in its sequence

    def __str__(self) -> str:
        """All of it, on one line."""
        numbers = (self.first, self.second, self.third, self.fourth)
        words = [f"{self.serial:3} {self.kind}{' by another user' * bool(self.user)} {numbers}"]
        words.append(f"path={self.path[:40]!r} other={self.other[:40]!r} place={self.place[:40]!r}")
        if self.handle >= 0:
            words.append(f"handle={self.handle} other_handle={self.other_handle}")
        return " ".join(words)


WEIGHTS: Final = {
    Kind.CREATE: 8, Kind.MKDIR: 4, Kind.WRITE: 5, Kind.PWRITE: 3, Kind.CLOSE: 4, Kind.SYMLINK: 2,
    Kind.LINK: 3, Kind.RENAME: 3, Kind.RENAME_OVER: 3, Kind.EXCHANGE: 2, Kind.OPEN: 3,
    Kind.APPEND: 2, Kind.COPY: 2, Kind.REPLACE: 2, Kind.SETXATTR: 6, Kind.RMDIR: 3,
    Kind.GETXATTR: 2, Kind.REMOVEXATTR: 2, Kind.SET_ACL: 2,
}  # fmt: skip
"""Of the others one each."""

SPECIAL: Final = (Kind.MKFIFO, Kind.MKNOD)
"""Half of the sequences leave them out: the reference knows no special files."""


def _sequences(kinds: Iterable[Kind]) -> st.SearchStrategy[list[Step]]:
    numbers = st.integers(0, 31)
    steps = st.builds(
        Step,
        st.sampled_from([kind for kind in kinds for _ in range(WEIGHTS.get(kind, 1))]),
        *[numbers] * 4,
        st.sampled_from([*[False] * 9, IS_ROOT]),
    )
    # The length comes first: so most are long, and still shrink to a few steps.
    lengths = st.integers(0, 100)
    return lengths.flatmap(lambda length: st.lists(steps, min_size=length, max_size=length))


SEQUENCES: Final = _sequences(kind for kind in Kind if kind not in SPECIAL) | _sequences(Kind)

ODD: Final = 29
"""Numbers from here on ask for paths that nobody would."""

NAMES: Final = (*("a", "b", "c", "d", "a", "b", "@e", "\udcff\n", "a", "b", "n" * 255, "n" * 256),)
OFFSETS: Final = (0, 1, 100, 4095, 4096, 5000, 70_000, (1 << 20) - 3, 1 << 20, 7)
SIZES: Final = (1, 10, 700, 4096, 5000, 0)
LENGTHS: Final = (0, 1, 99, 4096, 5001, 70_000, (1 << 20) - 1, (1 << 20) + 4, -1)
MODES: Final = (0o644, 0o600, 0o755, 0o400, 0o777, 0o1777, 0o2775, 0o4755, 0o6711, 0)
UMASKS: Final = (0o022, 0, 0o077, 0o027)
OWNERS: Final = ((0, 0), (OTHER_USER, OTHER_USER), (-1, OTHER_USER), (OTHER_USER, -1), (7, 2000))
TIMES_NS: Final = (0, 1_000_000_001, 10**18, -1_000_000_000, 4_200_000_000 * 10**9, None)
TARGETS: Final = ("a", "b", "./c", "d/a", "missing", "@e", "/proc/nothing", "x" * 300, ".", "a/a")
XATTRS: Final = (
    *("user.one", "user.two", "user.one", "user.two", "trusted.two", "security.two"),
    *("user." + "n" * 240, "user." + "n" * 260),
    *("trusted.one", "security.one", "one", "system.one", "user."),
)
VALUES: Final = (b"1", b"", b"two", bytes(range(256)), b"z" * 400)
"""Together they fit into one block: ext4 has no more room for the attributes of a file."""
CREATIONS: Final = (
    *(os.O_RDWR | os.O_EXCL, os.O_RDWR, os.O_WRONLY | os.O_TRUNC, os.O_RDWR | os.O_APPEND),
    *(os.O_RDONLY, os.O_RDWR | os.O_NOFOLLOW, os.O_WRONLY | os.O_SYNC, os.O_RDONLY | os.O_TRUNC),
)
OPENINGS: Final = (
    *(os.O_RDWR, os.O_RDONLY, os.O_WRONLY, os.O_RDWR | os.O_APPEND, os.O_RDWR | os.O_TRUNC),
    *(os.O_WRONLY | os.O_TRUNC, os.O_RDONLY | os.O_TRUNC, os.O_RDONLY | os.O_DIRECTORY),
    *(os.O_RDONLY | os.O_NOFOLLOW, os.O_RDWR | os.O_SYNC, os.O_WRONLY | os.O_DSYNC | os.O_APPEND),
)
DEVICES: Final = (
    *((stat.S_IFREG, 0), (stat.S_IFREG, 0), (stat.S_IFSOCK, 0), (stat.S_IFREG, 0)),
    *((stat.S_IFCHR, os.makedev(1, 3)), (stat.S_IFBLK, os.makedev(259, 300)), (stat.S_IFDIR, 0)),
)


def _acl(*entries: tuple[int, int, int]) -> bytes:
    """As the kernel takes one: version 2, then tag, permissions and id of each entry."""
    words = [
        (number, length)
        for entry in entries
        for number, length in zip(entry, (2, 2, 4), strict=True)
    ]
    return b"\2\0\0\0" + b"".join([n.to_bytes(length, "little") for n, length in words])


NOBODY: Final = 0xFFFFFFFF
OWNER, USER, GROUP, NAMED_GROUP, MASK, OTHER = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
ACLS: Final = (
    _acl((OWNER, 6, NOBODY), (GROUP, 4, NOBODY), (OTHER, 0, NOBODY)),
    _acl(
        *((OWNER, 7, NOBODY), (USER, 7, OTHER_USER), (GROUP, 5, NOBODY)),
        *((MASK, 6, NOBODY), (OTHER, 1, NOBODY)),
    ),
    _acl(
        *((OWNER, 6, NOBODY), (GROUP, 0, NOBODY), (NAMED_GROUP, 6, OTHER_USER)),
        *((MASK, 4, NOBODY), (OTHER, 0, NOBODY)),
    ),
    _acl((OWNER, 6, NOBODY), (USER, 7, OTHER_USER), (GROUP, 5, NOBODY), (OTHER, 1, NOBODY)),
    b"\2\0\0\0",
    b"nonsense",
)

Item = TypeVar("Item")


def pick(items: Sequence[Item], number: int) -> Item:
    """The item that the number means, whatever the number."""
    return items[number % len(items)]


def call_of(step: Step, serial: int, there: dict[str, int], handles: Sequence[int]) -> Call | None:
    """What the step is where there are these paths, of these modes, and handles.

    None where it needs an open file and there is none.
    """
    if step.kind in ON_HANDLES and not handles:
        return None
    paths = [path for path in there if path != "."]
    if step.fourth % 4 and step.kind in MEANT_FOR:
        meant = MEANT_FOR[step.kind]
        paths = [path for path in paths if stat.S_IFMT(there[path]) == meant] or paths
    odd = _odd_paths(paths[0] if paths else "missing")
    directories = [path for path, mode in there.items() if stat.S_ISDIR(mode)]
    directories += [path for path, mode in there.items() if stat.S_ISLNK(mode)]
    return Call(
        step.kind,
        path=pick(odd if step.first >= ODD else paths or ["."], step.first),
        other=pick(odd if step.second >= ODD else paths or ["."], step.second),
        place=below(pick(directories or ["."], step.second), pick(NAMES, step.third)),
        handle=pick(handles, step.first) if handles else -1,
        other_handle=pick(handles, step.second) if handles else -1,
        first=step.first,
        second=step.second,
        third=step.third,
        fourth=step.fourth,
        user=OTHER_USER if step.is_other_user and IS_ROOT else 0,
        serial=serial,
    )


def _odd_paths(path: str) -> list[str]:
    parts = (".", "missing", f"{path}/below", f"{path}/", f"{path}/.", "n" * 256, "d/" * 2200)
    return list(parts)


def below(directory: str, name: str) -> str:
    """The path of the name, from where the directory's path begins."""
    return name if directory == "." else f"{directory}/{name}"


class Failure(NamedTuple):
    """The call fails."""

    errno: str


class Folder:
    """Makes system calls in a directory, like a program that runs in it."""

    def __init__(self, top: Path, *, is_store: bool) -> None:
        self.top = top
        self.is_store = is_store
        self.handles: dict[int, int] = {}
        self._last_handle = 0
        self._descriptor = os.open(top, os.O_RDONLY | os.O_DIRECTORY)

    @contextmanager
    def inside(self, user: int = 0) -> Iterator[None]:
        """The process is in the directory, as that user; only root can be another."""
        before = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
        umask, groups = os.umask(0), os.getgroups()
        os.fchdir(self._descriptor)
        try:
            if user:
                os.setgroups([])
                os.setegid(user)
                os.seteuid(user)
            yield
        finally:
            if user:
                os.seteuid(0)
                os.setegid(0)
                os.setgroups(groups)
            os.umask(umask)
            os.fchdir(before)
            os.close(before)

    def do(self, call: Call) -> object:
        """Makes the call; what it returns, or how it fails."""
        with self.inside(call.user):
            os.umask(pick(UMASKS, call.fourth))
            try:
                result: object = getattr(self, call.kind)(call)
            except OSError as error:
                return Failure(errno.errorcode[error.errno or 0])
        return result

    def end(self) -> None:
        """Nothing is open any more."""
        for descriptor in [*self.handles.values(), self._descriptor]:
            os.close(descriptor)
        self.handles.clear()

    def _data(self, call: Call) -> bytes:
        return bytes([call.serial % 255 + 1]) * pick(SIZES, call.third)

    def _opened(self, path: str, flags: int, mode: int = 0o666) -> int:
        descriptor = os.open(path, flags | os.O_NONBLOCK, mode)  # or a FIFO would wait for others
        self._last_handle += 1
        self.handles[self._last_handle] = descriptor
        return self._last_handle

    # Files that stay open

    def create(self, call: Call) -> int:
        """Opened, made if need be."""
        flags = pick(CREATIONS, call.fourth) | os.O_CREAT
        return self._opened(call.place, flags, pick(MODES, call.first))

    def open(self, call: Call) -> int:
        """Opened, whatever it is."""
        return self._opened(call.path, pick(OPENINGS, call.second))

    def write(self, call: Call) -> int:
        """Where the descriptor is."""
        return os.write(self.handles[call.handle], self._data(call))

    def pwrite(self, call: Call) -> int:
        """Anywhere; at the end if it appends."""
        return os.pwrite(self.handles[call.handle], self._data(call), pick(OFFSETS, call.second))

    def sparse_write(self, call: Call) -> int:
        """Far beyond the end."""
        offset = (1 << 21) + pick(OFFSETS, call.second)
        return os.pwrite(self.handles[call.handle], self._data(call)[:3], offset)

    def read(self, call: Call) -> bytes:
        """Where the descriptor is."""
        return os.read(self.handles[call.handle], pick(SIZES, call.third))

    def pread(self, call: Call) -> bytes:
        """Anywhere."""
        offset = pick(OFFSETS, call.second)
        return os.pread(self.handles[call.handle], pick(SIZES, call.third), offset)

    def seek(self, call: Call) -> int | None:
        """From the start, from here, from the end; not in listings, where positions are private."""
        descriptor = self.handles[call.handle]
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            return None
        whence = pick((os.SEEK_SET, os.SEEK_CUR, os.SEEK_END), call.third)
        return os.lseek(descriptor, pick((*OFFSETS, -1, -5000), call.second), whence)

    def map_write(self, call: Call) -> int:
        """Through a shared mapping, synced."""
        descriptor = self.handles[call.handle]
        size = _size_to_map(descriptor)
        data = self._data(call)
        if size:
            with mmap.mmap(descriptor, size) as mapped:
                offset = pick(OFFSETS, call.second) % size
                mapped[offset : offset + len(data)] = data[: size - offset]
                mapped.flush()
        return size

    def map_read(self, call: Call) -> bytes:
        """Through a mapping."""
        descriptor = self.handles[call.handle]
        size = _size_to_map(descriptor)
        if not size:
            return b""
        with mmap.mmap(descriptor, size, prot=mmap.PROT_READ) as mapped:
            return mapped[pick(OFFSETS, call.second) % size :]

    def map_private(self, call: Call) -> bytes:
        """What is written to a private mapping stays there."""
        descriptor = self.handles[call.handle]
        size = _size_to_map(descriptor)
        if not size:
            return b""
        with mmap.mmap(descriptor, size, access=mmap.ACCESS_COPY) as mapped:
            mapped[0] = call.serial % 255 + 1
            return mapped[:PAGE]

    def truncate_handle(self, call: Call) -> None:
        """By descriptor."""
        os.ftruncate(self.handles[call.handle], pick(LENGTHS, call.second))

    def allocate(self, call: Call) -> bool:
        """Behind the end, by a descriptor that reads and does not append: the C library can.

        Whether it was such a descriptor.
        """
        descriptor = self.handles[call.handle]
        flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
        if flags & os.O_ACCMODE != os.O_RDWR or flags & os.O_APPEND:
            return False
        offset = os.fstat(descriptor).st_size + pick(OFFSETS, call.second)
        os.posix_fallocate(descriptor, offset, pick(SIZES, call.third))
        return True

    def copy_range(self, call: Call) -> int:
        """Within the kernel."""
        source, target = self.handles[call.handle], self.handles[call.other_handle]
        offset = pick(OFFSETS, call.third)
        return os.copy_file_range(source, target, 5000, offset, pick(OFFSETS, call.fourth))

    def fsync(self, call: Call) -> None:
        """Of the descriptor."""
        os.fsync(self.handles[call.handle])

    def data_sync(self, call: Call) -> None:
        """Of the descriptor."""
        os.fdatasync(self.handles[call.handle])

    def close_duplicate(self, call: Call) -> None:
        """The descriptor stays open."""
        os.close(os.dup(self.handles[call.handle]))

    def close(self, call: Call) -> None:
        """It does not."""
        os.close(self.handles.pop(call.handle))

    def chmod_handle(self, call: Call) -> None:
        """By descriptor."""
        os.fchmod(self.handles[call.handle], pick(MODES, call.second))

    def utimes_handle(self, call: Call) -> None:
        """By descriptor."""
        _set_times(self.handles[call.handle], call, follows=True)

    # Files by their paths

    def append(self, call: Call) -> int:
        """As a log is written."""
        with _open(call.path, os.O_WRONLY | os.O_APPEND) as descriptor:
            return os.write(descriptor, self._data(call))

    def direct_write(self, call: Call) -> int:
        """One page, past the page cache."""
        with _open(call.path, os.O_WRONLY | os.O_DIRECT) as descriptor, mmap.mmap(-1, PAGE) as page:
            page[:] = bytes([call.serial % 255 + 1]) * PAGE
            return os.pwritev(descriptor, [page], call.second * PAGE)

    def read_whole(self, call: Call) -> bytes:
        """As `cat` reads."""
        with _open(call.path, os.O_RDONLY) as descriptor:
            return _read_all(descriptor)

    def copy(self, call: Call) -> int:
        """Through memory; onto itself, too."""
        with _open(call.path, os.O_RDONLY) as source:
            data = _read_all(source)
        with _open(call.place, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as target:
            return os.write(target, data)

    def replace(self, call: Call) -> int:
        """As editors save."""
        new = below(os.path.dirname(call.path) or ".", "new~")
        with _open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as descriptor:
            size = os.write(descriptor, self._data(call))
            os.fsync(descriptor)
        try:
            os.rename(new, call.path)
        finally:
            if os.path.lexists(new):
                os.unlink(new)
        return size

    def truncate(self, call: Call) -> None:
        """By path."""
        os.truncate(call.path, pick(LENGTHS, call.second))

    def tmpfile(self, call: Call) -> Failure:
        """A store has no files without a name and says so, where a disk makes one."""
        os.close(os.open(call.path, os.O_RDWR | os.O_TMPFILE))
        return Failure("made" if self.is_store else errno.errorcode[errno.EOPNOTSUPP])

    # Names

    def mkdir(self, call: Call) -> None:
        """A directory."""
        os.mkdir(call.place, pick(MODES, call.fourth))

    def symlink(self, call: Call) -> None:
        """To something near, to nothing, to itself."""
        os.symlink(pick(TARGETS, call.fourth), call.place)

    def link(self, call: Call) -> None:
        """One more name; of a symlink itself, or of what it means."""
        here = self._descriptor  # without it Python calls link(2), which never follows
        os.link(call.path, call.place, src_dir_fd=here, follow_symlinks=bool(call.fourth % 2))

    def unlink(self, call: Call) -> None:
        """The name goes."""
        os.unlink(call.path)

    def rmdir(self, call: Call) -> None:
        """The directory goes."""
        os.rmdir(call.path)

    def rename(self, call: Call) -> None:
        """To a name that may be free."""
        renameat2(call.path, call.place, 0)

    def rename_over(self, call: Call) -> None:
        """To a name that is not."""
        renameat2(call.path, call.other, 0)

    def rename_noreplace(self, call: Call) -> None:
        """To a free name or not at all."""
        renameat2(call.path, call.place, RENAME_NOREPLACE)

    def exchange(self, call: Call) -> None:
        """Each has the other's name."""
        renameat2(call.path, call.other, RENAME_EXCHANGE)

    def mkfifo(self, call: Call) -> None:
        """A FIFO."""
        os.mkfifo(call.place, pick(MODES, call.fourth))

    def mknod(self, call: Call) -> None:
        """A file, a socket, a device; and a directory, which cannot be made so."""
        kind, device = pick(DEVICES, call.fourth)
        os.mknod(call.place, kind | pick(MODES, call.first), device)

    def make_deep(self, call: Call) -> None:
        """So that paths come to be longer than PATH_MAX."""
        os.makedirs(f"{call.place}/" + "/".join(["deep" * 60] * 3))

    def readlink(self, call: Call) -> str:
        """Where it points."""
        return os.readlink(call.path)

    def stat(self, call: Call) -> tuple[int, ...]:
        """Of what it means, in the end."""
        status = os.stat(call.path)
        return (status.st_mode, status.st_uid, status.st_gid)

    def listdir(self, call: Call) -> list[tuple[str, bool, bool, bool]]:
        """Names and types, as the listing alone tells them."""
        with os.scandir(call.path) as entries:
            return sorted(
                (e.name, e.is_dir(follow_symlinks=False), e.is_symlink(), _is_file(e))
                for e in entries
            )

    def access(self, call: Call) -> bool:
        """What the effective user may."""
        return os.access(call.path, call.second % 8, effective_ids=True)

    def name_max(self, call: Call) -> int:
        """As statvfs(3) tells it."""
        return os.statvfs(call.path).f_namemax

    # Attributes

    def chmod(self, call: Call) -> None:
        """By path."""
        os.chmod(call.path, pick(MODES, call.second))

    def chown(self, call: Call) -> None:
        """Of a symlink itself, or of what it means."""
        owner, group = pick(OWNERS, call.second)
        os.chown(call.path, owner, group, follow_symlinks=bool(call.third % 2))

    def utimes(self, call: Call) -> tuple[int, ...]:
        """By path; what the times are then, where they were not set to now."""
        follows = bool(call.fourth % 2)
        _set_times(call.path, call, follows=follows)
        if None in (pick(TIMES_NS, call.second), pick(TIMES_NS, call.third)):
            return ()
        status = os.stat(call.path, follow_symlinks=follows)
        return (status.st_mtime_ns, status.st_atime_ns)

    def setxattr(self, call: Call) -> None:
        """Whether it is there already or not, or only if."""
        flags = pick((0, 0, os.XATTR_CREATE, os.XATTR_REPLACE), call.fourth)
        follows = bool(call.fourth & 4)
        name, value = pick(XATTRS, call.second), pick(VALUES, call.third)
        os.setxattr(call.path, name, value, flags, follow_symlinks=follows)

    def getxattr(self, call: Call) -> bytes:
        """The value."""
        return os.getxattr(call.path, _attribute_there(call, follows=True))

    def listxattr(self, call: Call) -> list[str]:
        """The names."""
        return sorted(os.listxattr(call.path))

    def removexattr(self, call: Call) -> None:
        """It goes."""
        follows = bool(call.fourth % 2)
        name = _attribute_there(call, follows=follows)
        os.removexattr(call.path, name, follow_symlinks=follows)

    def set_acl(self, call: Call) -> None:
        """Of the file, or the default one of a directory."""
        sort = "default" if call.third % 2 else "access"
        os.setxattr(call.path, f"system.posix_acl_{sort}", pick(ACLS, call.second))


ON_HANDLES: Final = {
    Kind.WRITE, Kind.PWRITE, Kind.SPARSE_WRITE, Kind.READ, Kind.PREAD, Kind.SEEK, Kind.MAP_WRITE,
    Kind.MAP_READ, Kind.MAP_PRIVATE, Kind.TRUNCATE_HANDLE, Kind.ALLOCATE, Kind.COPY_RANGE,
    Kind.FSYNC, Kind.DATA_SYNC, Kind.CLOSE_DUPLICATE, Kind.CLOSE, Kind.CHMOD_HANDLE,
    Kind.UTIMES_HANDLE,
}  # fmt: skip
"""What is done to an open file; everything else goes by paths."""

MEANT_FOR: Final = {
    Kind.RMDIR: stat.S_IFDIR, Kind.LISTDIR: stat.S_IFDIR, Kind.TMPFILE: stat.S_IFDIR,
    Kind.READLINK: stat.S_IFLNK, Kind.APPEND: stat.S_IFREG, Kind.DIRECT_WRITE: stat.S_IFREG,
    Kind.READ_WHOLE: stat.S_IFREG, Kind.COPY: stat.S_IFREG, Kind.TRUNCATE: stat.S_IFREG,
}  # fmt: skip
"""What the path mostly is; at times anything."""


@contextmanager
def _open(path: str, flags: int) -> Iterator[int]:
    descriptor = os.open(path, flags | os.O_NONBLOCK, 0o666)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _read_all(descriptor: int) -> bytes:
    """To the end, or to the end of what one wants of a device."""
    pieces = []
    while piece := os.read(descriptor, 1 << 20):
        pieces.append(piece)
    return b"".join(pieces)


def _size_to_map(descriptor: int) -> int:
    status = os.fstat(descriptor)
    return status.st_size if stat.S_ISREG(status.st_mode) else 0


def _set_times(target: str | int, call: Call, *, follows: bool) -> None:
    mtime, atime = pick(TIMES_NS, call.second), pick(TIMES_NS, call.third)
    if mtime is None or atime is None:
        os.utime(target, follow_symlinks=follows)
    else:
        os.utime(target, ns=(atime, mtime), follow_symlinks=follows)


def _attribute_there(call: Call, *, follows: bool) -> str:
    """One that the file has, or any."""
    names = sorted(os.listxattr(call.path, follow_symlinks=follows))
    return pick([*names, *names, *XATTRS], call.second)


def _is_file(entry: "os.DirEntry[str]") -> bool:
    return entry.is_file(follow_symlinks=False)
