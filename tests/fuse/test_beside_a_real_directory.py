"""The mount, a directory on a real disk and a model in memory go through the same histories.

S3FS_LOCAL_MOUNT_EXAMPLES=10000 makes the long run; a failing history shrinks to what matters.
"""

import errno
import mmap
import os
import stat
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from time import clock_gettime_ns
from typing import Final, NamedTuple, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuse.calls import renameat2
from tests.mounting import MountedStore
from tests.simulation.operations import BY_ITSELF, Call, Kind, Operation, System, call_of
from tests.simulation.reference.facts import FILE
from tests.simulation.reference.refused import Refused
from tests.simulation.reference.whole import Reference

pytestmark = [
    pytest.mark.mount,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(os.geteuid() != 0, reason="modes would keep the test itself out"),
]

EXAMPLES: Final = int(os.environ.get("S3FS_LOCAL_MOUNT_EXAMPLES", "20"))


class More(StrEnum):
    """What programs do to a mount, beside the kinds that an engine knows."""

    MAP_WRITE = "map write"
    APPEND_WRITE = "append write"
    DIRECT_WRITE = "direct write"
    ALLOCATE = "allocate"
    COPY_RANGE = "copy range"
    REPLACE = "replace"
    CHOWN = "chown"
    DATA_SYNC = "data sync"


NOT_FOR_PROGRAMS: Final = BY_ITSELF | {
    Kind.FLUSH, Kind.SETTLE, Kind.LEAVE_SEGMENT, Kind.CHECKPOINT, Kind.PURGE, Kind.RESTORE,
    Kind.RESTORE_ROOT, Kind.LOOK_BACK, Kind.CRASH, Kind.POWER_CUT, Kind.SET_CLASS, Kind.SET_TAGS,
    Kind.RETRIEVE, Kind.PUT_LIFECYCLE, Kind.RETAIN, Kind.CLEAR_RETENTION, Kind.HOLD, Kind.LIFT_HOLD,
    Kind.APPEND_ONLY, Kind.PROTECT, Kind.TOUCH, Kind.SET_DATE, Kind.SET_VERSIONING,
}  # fmt: skip
KINDS: Final = [*(kind for kind in Kind if kind not in NOT_FOR_PROGRAMS), *More]
PAGE: Final = mmap.PAGESIZE
CLOCK_REALTIME_COARSE: Final = 5


class Step(NamedTuple):
    """One operation of either sort."""

    kind: Kind | More
    first: int
    second: int
    third: int


NUMBERS: Final = st.integers(0, 11)
STEPS: Final = st.builds(Step, st.sampled_from(KINDS), NUMBERS, NUMBERS, NUMBERS)
HISTORIES: Final = st.lists(st.lists(STEPS, max_size=15), max_size=10).map(
    lambda parts: [step for part in parts for step in part]
)


class Folder:
    """A directory, driven by system calls; see `tests.simulation.operations.System`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.handles: dict[int, int] = {}
        self.last_handle = 0

    def at(self, path: str) -> Path:
        """Where it is for the kernel."""
        return Path(f"{self.path}{path}")

    def _add_handle(self, descriptor: int) -> int:
        self.last_handle += 1
        self.handles[self.last_handle] = descriptor
        return self.last_handle

    def create(self, path: str, mode: int) -> int:
        """A new file, open."""
        return self._add_handle(os.open(self.at(path), os.O_CREAT | os.O_EXCL | os.O_RDWR, mode))

    def mknod(self, path: str, mode: int) -> None:
        """A new file."""
        os.mknod(self.at(path), stat.S_IFREG | mode)

    def mkdir(self, path: str, mode: int) -> None:
        """A new directory."""
        os.mkdir(self.at(path), mode)

    def symlink(self, path: str, target: str) -> None:
        """A new symlink."""
        os.symlink(target, self.at(path))

    def link(self, old: str, new: str) -> None:
        """One more name."""
        os.link(self.at(old), self.at(new), follow_symlinks=False)

    def unlink(self, path: str) -> None:
        """The name is free."""
        os.unlink(self.at(path))

    def rmdir(self, path: str) -> None:
        """The directory is gone."""
        os.rmdir(self.at(path))

    def rename(self, old: str, new: str, flags: int) -> None:
        """As renameat2(2)."""
        renameat2(self.at(old), self.at(new), flags)

    def open(self, path: str, *, writable: bool, truncate: bool) -> int:
        """A file, open."""
        flags = (os.O_RDWR if writable else os.O_RDONLY) | (os.O_TRUNC if truncate else 0)
        return self._add_handle(os.open(self.at(path), flags))

    def write(self, handle: int, offset: int, data: bytes) -> None:
        """All of it is written."""
        assert os.pwrite(self.handles[handle], data, offset) == len(data)

    def read(self, handle: int, offset: int, size: int) -> bytes:
        """The bytes."""
        return os.pread(self.handles[handle], size, offset)

    def truncate_handle(self, handle: int, size: int) -> None:
        """By descriptor."""
        os.ftruncate(self.handles[handle], size)

    def truncate(self, path: str, size: int) -> None:
        """By path."""
        os.truncate(self.at(path), size)

    def close_duplicate(self, handle: int) -> None:
        """The descriptor stays open."""
        os.close(os.dup(self.handles[handle]))

    def close(self, handle: int) -> None:
        """It does not."""
        os.close(self.handles.pop(handle))

    def chmod(self, path: str, mode: int) -> None:
        """The mode is set."""
        os.chmod(self.at(path), mode)

    def utimes(self, path: str, mtime: int) -> None:
        """The times are set."""
        os.utime(self.at(path), (mtime, mtime))

    def setxattr(self, path: str, name: str, value: bytes) -> None:
        """The attribute is set."""
        os.setxattr(self.at(path), name, value)

    def removexattr(self, path: str, name: str) -> None:
        """The attribute is gone."""
        os.removexattr(self.at(path), name)

    def fsync(self, handle: int) -> None:
        """It is durable."""
        os.fsync(self.handles[handle])

    def more(self, step: Step, file: str, other: str) -> object:
        """One of `More`, to files that exist."""
        path, size = self.at(file), 1 + step.third * 700
        data = bytes([step.second + 1]) * size
        match step.kind:
            case More.MAP_WRITE:
                _map_write(path, data)
            case More.APPEND_WRITE:
                with path.open("ab", buffering=0) as opened:
                    opened.write(data)
            case More.DIRECT_WRITE:
                _direct_write(path, step.second, step.second + 1)
            case More.ALLOCATE:
                with path.open("r+b") as opened:
                    os.posix_fallocate(opened.fileno(), step.second * 500, size)
            case More.COPY_RANGE:
                with self.at(other).open("rb") as source, path.open("r+b") as target:
                    return os.copy_file_range(source.fileno(), target.fileno(), size, step.second)
            case More.REPLACE:
                new = self.at(file + "~")
                new.write_bytes(data)
                new.replace(path)
            case More.CHOWN:
                os.chown(path, step.first, step.second)
            case _:
                with path.open("r+b", buffering=0) as opened:
                    opened.write(data)
                    os.fdatasync(opened.fileno())
        return None

    def end(self) -> None:
        """Nothing is open any more."""
        for descriptor in self.handles.values():
            os.close(descriptor)
        self.handles.clear()


def _map_write(path: Path, data: bytes) -> None:
    size = path.stat().st_size
    if size:
        with path.open("r+b") as opened, mmap.mmap(opened.fileno(), 0) as mapped:
            offset = size // 2
            mapped[offset : offset + len(data)] = data[: size - offset]


def _direct_write(path: Path, page: int, fill: int) -> None:
    buffer = mmap.mmap(-1, PAGE)
    buffer[:] = bytes([fill]) * PAGE
    descriptor = os.open(path, os.O_WRONLY | os.O_DIRECT)
    os.pwritev(descriptor, [buffer], page * PAGE)
    os.close(descriptor)


def described(top: Path) -> dict[str, tuple[object, ...]]:
    """All that a program can see below, times and numbers left out."""
    found: dict[str, tuple[object, ...]] = {}
    first: dict[int, str] = {}
    for path in [top, *sorted(top.rglob("*"))]:
        status = path.lstat()
        name = str(path.relative_to(top))
        content: object = None
        if stat.S_ISREG(status.st_mode):
            content = path.read_bytes()
        elif stat.S_ISLNK(status.st_mode):
            content = os.readlink(path)
        found[name] = (
            stat.filemode(status.st_mode),
            status.st_nlink,
            (status.st_uid, status.st_gid),
            status.st_size if stat.S_ISREG(status.st_mode) else None,
            first.setdefault(status.st_ino, name),
            {key: os.getxattr(path, key, follow_symlinks=False) for key in _xattrs(path)},
            content,
        )
    return found


def _xattrs(path: Path) -> list[str]:
    return sorted(os.listxattr(path, follow_symlinks=False))


Times = dict[str, tuple[int, int]]


def times_below(top: Path) -> Times:
    """The mtime and ctime of everything."""
    found = [(path, path.lstat()) for path in [top, *top.rglob("*")]]
    return {str(p.relative_to(top)): (s.st_mtime_ns, s.st_ctime_ns) for p, s in found}


def changed(before: Times, after: Times) -> dict[str, tuple[bool, bool]]:
    """Of what was there before: whether its mtime and its ctime are others now."""
    return {
        name: (before[name][0] != after[name][0], before[name][1] != after[name][1])
        for name in before.keys() & after.keys()
    }


def _outcome(act: Callable[[], object]) -> object:
    try:
        return act()
    except OSError as error:
        return errno.errorcode[error.errno or 0]


class Three:
    """The mount, the disk and the model side by side."""

    def __init__(self, mounted: Path, real: Path) -> None:
        self.mounted = Folder(mounted)
        self.real = Folder(real)
        self.reference = Reference(0)
        self.times: tuple[Times, Times] = ({}, {})

    def step(self, step: Step) -> None:
        """All do it, to the same effect."""
        self.reference.now += 1
        if isinstance(step.kind, More):
            self._more(step)
        else:
            call = call_of(Operation(step.kind, *step[1:]), self.reference)
            if call is None or self._kernel_would_refuse(step):
                return
            self._call(call)
        self.mounted.last_handle = self.real.last_handle = self.reference.last_handle
        self.compare()
        self.compare_times(step)

    def compare(self) -> None:
        """A program cannot tell them apart."""
        assert described(self.mounted.path) == described(self.real.path)
        for path in self.reference.nodes(FILE):
            content, _ = self.reference.shown(self.reference.at(path))
            assert self.mounted.at(path).read_bytes() == content

    def compare_times(self, step: Step) -> None:
        """The same ones move; save where the C library has nothing to write for an allocation."""
        times = times_below(self.mounted.path), times_below(self.real.path)
        if step.kind is not More.ALLOCATE:
            assert changed(self.times[0], times[0]) == changed(self.times[1], times[1])
        self.times = times
        now_ns = clock_gettime_ns(CLOCK_REALTIME_COARSE)
        while clock_gettime_ns(CLOCK_REALTIME_COARSE) == now_ns:
            pass  # the disk takes its times from this clock, so a step must not share a tick

    def _kernel_would_refuse(self, step: Step) -> bool:
        """What the model leaves to the kernel: ftruncate(2) of a descriptor that is only read."""
        if step.kind is not Kind.TRUNCATE_HANDLE:
            return False
        handles = sorted(self.reference.handles)
        return not self.reference.handles[handles[step.first % len(handles)]].is_writable

    def _call(self, call: Call) -> None:
        refusal = ""
        try:
            call(self.reference)
        except Refused as refused:
            refusal = str(refused)
        if refusal == "NameReserved":
            return  # the disk keeps no such name
        expected = _outcome(lambda: call(cast(System, self.real)))
        assert _outcome(lambda: call(cast(System, self.mounted))) == expected
        assert isinstance(expected, str) == bool(refusal), (expected, refusal)

    def _more(self, step: Step) -> None:
        files = self.reference.nodes(FILE)
        if not files:
            return
        file, other = files[step.first % len(files)], files[step.second % len(files)]
        expected = _outcome(lambda: self.real.more(step, file, other))
        assert _outcome(lambda: self.mounted.more(step, file, other)) == expected
        content = self.real.at(file).read_bytes()
        if step.kind is More.REPLACE:
            handle = self.reference.create(f"{file}~", 0o644)
            self.reference.rename(f"{file}~", file, 0)
        else:
            handle = self.reference.open(file, writable=True, truncate=True)
        self.reference.write(handle, 0, content)
        self.reference.close(handle)

    def end(self) -> None:
        """Nothing is open any more."""
        self.mounted.end()
        self.real.end()


class Pairs:
    """New directories for each history: on the mount and on the disk beside it."""

    def __init__(self, mounted: Path, real: Path) -> None:
        self._tops = (mounted, real)
        self.all: list[tuple[Path, Path]] = []

    def make(self) -> tuple[Path, Path]:
        """The next pair."""
        mounted, real = (top / str(len(self.all)) for top in self._tops)
        mounted.mkdir()
        real.mkdir()
        self.all.append((mounted, real))
        return mounted, real


@pytest.fixture
def pairs(mount: MountedStore, tmp_path: Path) -> Iterator[Pairs]:
    """Places to make directories, without a umask."""
    (tmp_path / "disk").mkdir()
    umask = os.umask(0)
    yield Pairs(mount.path, tmp_path / "disk")
    os.umask(umask)


def test_no_history_tells_the_mount_from_a_disk(mount: MountedStore, pairs: Pairs) -> None:
    """Errors, attributes, listings, bytes, which times move; and all of it after a remount."""

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(HISTORIES)
    def histories_agree(history: list[Step]) -> None:
        three = Three(*pairs.make())
        try:
            for step in history:
                three.step(step)
        finally:
            three.end()
        three.compare()

    histories_agree()
    mount.remount()
    for mounted, real in pairs.all:
        assert described(mounted) == described(real)
