"""Roads to a locked file that are no system call of a program on its path.

The kernel's own threads (io_uring, a loop device, overlayfs), other views of the same mount (bind
mounts, namespaces, handles as NFS has them), another clock, a mount with other options.
"""

import os
import shlex
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from errno import EOPNOTSUPP, EPERM, errorcode
from functools import partial
from pathlib import Path

import pytest

from tests.fuse.calls import handle_of, open_by_handle
from tests.mounting import MountedStore, run, s3fs_local, unmount_by_force
from tests.scenarios import io_uring
from tests.scenarios.io_uring import Ring
from tests.scenarios.worm_attempts import Target, is_soon, state_of

pytestmark = [
    pytest.mark.mount,
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="takes the rights of root"),
]

FORGED = b"FORGED"


class Locked(Target):
    """A file that was locked while somebody had it open in all ways, and what was begun before."""

    def __init__(self, root: Path, scratch: Path, stack: ExitStack) -> None:
        root.mkdir()
        scratch.mkdir()
        super().__init__(root, scratch)
        self.stack = stack
        self.content = b"line\n" * 2000
        self.file.write_bytes(self.content)
        self.open_handles(stack)
        self.handle = handle_of(self.file)
        self.ring = self._ring()
        self.loop = self._loop()
        s3fs_local("retention", "set", "compliance", "30d", self.file, "--cut-writers")
        self.before = state_of(self.file)

    def _ring(self) -> Ring | None:
        try:
            ring = self.stack.enter_context(io_uring.ring())
        except OSError:
            return None  # the kernel has none, or does not allow it
        ring.register(self.writing)
        return ring

    def _loop(self) -> Path | None:
        made = run("losetup", "--find", "--show", self.file, check=False)
        if made.returncode != 0:
            return None
        device = Path(made.stdout.strip())
        self.stack.callback(run, "losetup", "--detach", device, check=False)
        return device

    def stands(self) -> None:
        """Content, attributes, lock and versions are what they were, for whoever looks."""
        same = is_soon(self.before, partial(state_of, self.file))
        assert same, f"{state_of(self.file)} instead of {self.before}"
        assert self.file.read_bytes() == self.content


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Locked]:
    """One for all: every attempt is refused."""
    base = tmp_path_factory.mktemp("roads")
    path = base / "mount"
    path.mkdir()
    s3fs_local("init", base / "store", "--object-lock")
    mounted = MountedStore(base / "store", path, ("allow_other",))
    with ExitStack() as stack:
        stack.callback(mounted.clean_up)
        mounted.mount()
        within = stack.enter_context(ExitStack())
        yield Locked(path / "root", base / "scratch", within)
        within.close()
        s3fs_local("verify", base / "store")


def path_of(ring: Ring, path: Path) -> int:
    """Where the path is, for the kernel."""
    return ring.address(bytes(path))


def spliced(ring: Ring, target: Locked) -> int:
    """Bytes out of a pipe."""
    reader, writer = os.pipe()
    try:
        os.write(writer, FORGED)
        return ring.call(
            io_uring.SPLICE,
            fd=target.writing,
            address=(1 << 64) - 1,  # the pipe has no place in it
            size=len(FORGED),
            splice_fd=reader,
        )
    finally:
        os.close(reader)
        os.close(writer)


def written(ring: Ring, descriptor: int, off: int = 0, *, registered: bool = False) -> int:
    """Bytes at a place."""
    return ring.call(
        io_uring.WRITE,
        fd=descriptor,
        off=off,
        address=ring.address(FORGED),
        size=len(FORGED),
        registered=registered,
    )


def between(ring: Ring, operation: int, target: Locked) -> int:
    """A call that takes the file and a free name."""
    here = 0xFFFFFF9C  # AT_FDCWD
    return ring.call(
        operation,
        address=path_of(ring, target.file),
        size=here,
        off=path_of(ring, target.free),
    )


def attribute_set(ring: Ring, target: Locked, name: bytes, value: bytes, *, by_path: bool) -> int:
    """An extended attribute; in this call `off` is where its value is."""
    return ring.call(
        io_uring.SETXATTR if by_path else io_uring.FSETXATTR,
        fd=target.writing,
        address=ring.address(name),
        off=ring.address(value),
        size=len(value),
        third=path_of(ring, target.file) if by_path else 0,
    )


BY_IO_URING: dict[str, tuple[Callable[[Ring, Locked], int], int]] = {
    "write": (lambda r, t: written(r, t.writing), EPERM),
    "append": (lambda r, t: written(r, t.appending, (1 << 64) - 1), EPERM),
    "write to a registered file": (lambda r, _: written(r, 0, registered=True), EPERM),
    "splice": (spliced, EPERM),
    "fallocate": (
        lambda r, t: r.call(io_uring.FALLOCATE, fd=t.writing, address=10, size=3),
        EOPNOTSUPP,
    ),
    "ftruncate": (lambda r, t: r.call(io_uring.FTRUNCATE, fd=t.writing), EPERM),
    "openat to truncate": (
        lambda r, t: r.call(
            io_uring.OPENAT, address=path_of(r, t.file), flags=os.O_WRONLY | os.O_TRUNC
        ),
        EPERM,
    ),
    "unlinkat": (lambda r, t: r.call(io_uring.UNLINKAT, address=path_of(r, t.file)), EPERM),
    "renameat": (lambda r, t: between(r, io_uring.RENAMEAT, t), EPERM),
    "linkat": (lambda r, t: between(r, io_uring.LINKAT, t), EPERM),
    "setxattr": (lambda r, t: attribute_set(r, t, b"user.x", b"1", by_path=True), EPERM),
    "fsetxattr": (lambda r, t: attribute_set(r, t, b"user.x", b"1", by_path=False), EPERM),
    "a weaker lock": (
        lambda r, t: attribute_set(r, t, b"s3.object-lock", b"GOVERNANCE 1h", by_path=True),
        EPERM,
    ),
}


@pytest.mark.parametrize("name", BY_IO_URING)
def test_the_kernels_threads_write_to_no_locked_file(locked: Locked, name: str) -> None:
    """Handles and registered files are from before the lock."""
    if locked.ring is None:
        pytest.skip("this kernel has no io_uring, or allows nobody to use it")
    act, expected = BY_IO_URING[name]
    try:
        act(locked.ring, locked)
        outcome = "no error"
    except OSError as error:
        outcome = errorcode[error.errno or 0]
    # A kernel that does not know the operation says EINVAL.
    knows_not = outcome == "EINVAL" and name == "ftruncate"
    assert outcome == errorcode[expected] or knows_not
    locked.stands()


def test_the_ring_works_where_nothing_is_locked(locked: Locked) -> None:
    """Else the refusals above would prove nothing."""
    if locked.ring is None:
        pytest.skip("this kernel has no io_uring, or allows nobody to use it")
    with locked.outside.open("r+b") as file:
        assert written(locked.ring, file.fileno()) == len(FORGED)
    assert locked.outside.read_bytes().startswith(FORGED)


def test_a_loop_device_made_before_the_lock_writes_nothing(locked: Locked) -> None:
    """Its thread has the file open. What is written to the device fails at its sync."""
    if locked.loop is None:
        pytest.skip("no loop device can be made here")
    words = ("dd", "if=/dev/zero", f"of={locked.loop}", "bs=4096", "count=1", "conv=notrunc,fsync")
    result = run(*words, check=False)

    assert result.returncode != 0
    assert run("losetup", "--find", "--show", locked.file, check=False).returncode != 0
    locked.stands()


ATTEMPTS = "echo forged >>b; echo forged >b; rm -f b; mv b c; ln b c; chmod 777 b; : >b"
"""On the file b in the current directory."""
VIEWS = {
    "a bind mount": "mount --bind {parent} {there} && cd {there}",
    "a mount namespace": "mount -t tmpfs none /mnt && cd {parent}",
    "a change of the root": "cd {parent} && exec chroot / sh -c 'cd {parent}; {attempts}'",
}


@pytest.mark.parametrize("name", VIEWS)
def test_no_other_view_of_the_mount_opens_a_lock(locked: Locked, tmp_path: Path, name: str) -> None:
    """In a mount namespace of its own, as root."""
    there = tmp_path / "there"
    there.mkdir()
    attempts = ATTEMPTS.replace(" b", f" {locked.file.name}").replace(">b", f">{locked.file.name}")
    places = {"parent": shlex.quote(str(locked.parent)), "there": shlex.quote(str(there))}
    script = f"{VIEWS[name]}; {{attempts}}".format(**places, attempts=attempts)
    result = run("unshare", "--mount", "--propagation=private", "sh", "-c", script, check=False)

    assert result.stderr.count("Operation not permitted") >= 6, result.stderr
    locked.stands()


def test_the_root_of_a_user_namespace_opens_no_lock(locked: Locked) -> None:
    """It has every capability, there."""
    attempts = ATTEMPTS.replace(" b", f" {locked.file.name}").replace(">b", f">{locked.file.name}")
    words = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", attempts)
    result = run(*words, cwd=locked.parent, check=False)

    assert result.returncode != 0
    assert result.stderr.count("ermi") >= 6, result.stderr  # Operation not permitted, Permission …
    locked.stands()


def test_overlayfs_changes_nothing_below(locked: Locked, tmp_path: Path) -> None:
    """As the lower directory it is only read; as the upper one the kernel does not take it."""
    for name in ("upper", "work", "merged"):
        (tmp_path / name).mkdir()
    (locked.other_folder / "work").mkdir()
    merged = tmp_path / "merged"
    layers = f"lowerdir={locked.parent},upperdir={tmp_path / 'upper'},workdir={tmp_path / 'work'}"
    with ExitStack() as stack:
        stack.callback(unmount_by_force, merged)
        if run("mount", "-t", "overlay", "o", "-o", layers, merged, check=False).returncode:
            pytest.skip("overlayfs cannot be mounted here")
        (merged / locked.file.name).write_bytes(FORGED)
        (merged / locked.file.name).unlink()
    locked.stands()
    layers = f"lowerdir={tmp_path},upperdir={locked.parent},workdir={locked.other_folder / 'work'}"
    with ExitStack() as stack:
        stack.callback(unmount_by_force, merged)
        if not run("mount", "-t", "overlay", "o", "-o", layers, merged, check=False).returncode:
            with suppress(OSError):
                (merged / locked.file.name).write_bytes(FORGED)
            with suppress(OSError):
                (merged / locked.file.name).unlink()
    locked.stands()


def test_a_handle_as_nfs_has_it_opens_no_lock(locked: Locked) -> None:
    """It names the file without its path."""
    mount_point = locked.grandparent
    for flags in (os.O_RDWR, os.O_WRONLY | os.O_TRUNC, os.O_WRONLY | os.O_APPEND):
        with pytest.raises(PermissionError):
            open_by_handle(mount_point, locked.handle, flags)
    reading = open_by_handle(mount_point, locked.handle, os.O_RDONLY)
    try:
        with pytest.raises(PermissionError):
            os.close(os.open(f"/proc/self/fd/{reading}", os.O_RDWR))
        with pytest.raises(PermissionError):
            os.fchmod(reading, 0o777)
    finally:
        os.close(reading)
    locked.stands()


def test_the_kernels_view_of_the_mount_opens_no_lock(locked: Locked) -> None:
    """Its flags, a freeze, and the flags of inodes; whatever comes of them."""
    root = locked.grandparent.parent.parent
    for words in (
        ("mount", "-o", "remount,rw", root),
        ("mount", "-o", "remount,rw,noatime", root),
        ("fsfreeze", "--freeze", root),
        ("chattr", "-ia", locked.file),
        ("fstrim", root),
        ("swapon", locked.file),
    ):
        if shutil.which(words[0]) is not None:
            assert run(*words, check=False).returncode != 0, words
    locked.stands()


@pytest.mark.skipif(shutil.which("faketime") is None, reason="faketime(1) is not installed")
def test_a_program_with_a_false_date_opens_no_lock(locked: Locked) -> None:
    """The date of who asks is no matter."""
    for words in (("rm", "-f"), ("truncate", "-s", "0"), ("touch", "-d", "2000-01-01")):
        result = run("faketime", "-f", "@2099-01-01 00:00:00", *words, locked.file, check=False)
        assert "not permitted" in result.stderr
    locked.stands()


def test_a_kernel_that_accepts_writes_by_itself_is_not_for_locks(tmp_path: Path) -> None:
    """With `writeback_cache` write(2) succeeds, and the refusal comes when nobody asks any more.

    GlusterFS had that: a write is reported as done, and dropped.
    """
    store, plain = tmp_path / "locks", tmp_path / "plain"
    point = tmp_path / "point"
    point.mkdir()
    s3fs_local("init", store, "--object-lock")
    s3fs_local("init", plain)
    refused = MountedStore(store, point, ("writeback_cache",))
    result = refused.mount(check=False)
    assert result.returncode != 0
    assert "writeback_cache is not for a store with Object Lock" in result.stderr
    mounted = MountedStore(plain, point, ("writeback_cache",))
    try:
        mounted.mount()
        result = s3fs_local("config", "set", point, "object-lock", "on", check=False)
        assert result.returncode != 0
        assert "mount it without writeback_cache" in result.stderr
        (point / "file").write_bytes(b"as ever")
        assert s3fs_local("append-only", "set", point / "file", check=False).returncode != 0
    finally:
        mounted.clean_up()
    s3fs_local("config", "set", plain, "object-lock", "on")
