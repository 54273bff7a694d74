"""Whole files, and one owner."""

import errno
import json
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from s3fs_local.errors import (
    PathUnusable,
    QuotaExceeded,
    StoreFull,
    StoreInUse,
)
from s3fs_local.system import durable_files
from s3fs_local.system.durable_files import OwnerLock, read_small, replace


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    """The story; nothing else is left in the folder."""
    path = tmp_path / "file"
    replace(path, b"first")
    replace(path, b"second", mode=0o640)

    assert read_small(path) == b"second"
    assert path.stat().st_mode & 0o777 == 0o640
    assert list(tmp_path.iterdir()) == [path]


def test_bytes_then_name_are_made_durable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rename before the fsync may show an empty file after a power cut."""
    events: list[str] = []
    fsync, rename = os.fsync, Path.replace

    def note_fsync(descriptor: int) -> None:
        events.append(f"fsync {Path(f'/proc/self/fd/{descriptor}').readlink().name}")
        fsync(descriptor)

    def note_rename(source: Path, target: Path) -> Path:
        events.append("rename")
        return rename(source, target)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(Path, "replace", note_rename)
    replace(tmp_path / "file", b"1")

    assert events == ["fsync .file.tmp", "rename", f"fsync {tmp_path.name}"]


@pytest.mark.parametrize(
    ("number", "expected"),
    [(errno.ENOSPC, StoreFull), (errno.EDQUOT, QuotaExceeded), (errno.EIO, OSError)],
)
@pytest.mark.parametrize("call", ["write", "fsync"])
def test_a_failed_replacement_leaves_the_former_file(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
    number: int,
    expected: type[Exception],
) -> None:
    """And no temporary file."""
    path = tmp_path / "file"
    replace(path, b"former")

    def fail(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(expected):
            replace(path, b"new")

    assert path.read_bytes() == b"former"
    assert list(tmp_path.iterdir()) == [path]


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """write(2) may write less than asked."""
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:3]))
    replace(tmp_path / "file", b"0123456789")

    assert (tmp_path / "file").read_bytes() == b"0123456789"


def test_a_file_that_is_not_small_is_not_read(tmp_path: Path) -> None:
    """A damaged or hostile file must not fill the memory."""
    (tmp_path / "file").write_bytes(bytes(11))

    assert read_small(tmp_path / "file", limit_bytes=11) == bytes(11)
    with pytest.raises(OSError, match="too large"):
        read_small(tmp_path / "file", limit_bytes=10)


def test_a_second_owner_is_told_who_the_first_is(tmp_path: Path) -> None:
    """The message must help to find and end it."""
    path = tmp_path / "owner.lock"
    with OwnerLock.acquire(path, mountpoint="/mnt/data"):
        holder = json.loads(path.read_text())
        with pytest.raises(StoreInUse) as caught:
            OwnerLock.acquire(path)

        assert holder["pid"] == os.getpid()
        assert f"process {os.getpid()} on host {holder['host']}" in str(caught.value)
        assert "/mnt/data" in str(caught.value)
    OwnerLock.acquire(path).release()


def test_a_text_of_a_dead_owner_locks_nothing(tmp_path: Path) -> None:
    """The kernel dropped its lock; nobody should have to remove a file by hand."""
    path = tmp_path / "owner.lock"
    path.write_text('{"pid": 1, "host": "x", "mountpoint": "y"}' + " " * 500)
    lock = OwnerLock.acquire(path)

    assert json.loads(path.read_text())["pid"] == os.getpid()
    lock.release()
    lock.release()
    assert path.read_text() == ""


def test_a_holder_whose_text_is_garbage_is_still_reported(tmp_path: Path) -> None:
    """It may be about to write its text."""
    path = tmp_path / "owner.lock"
    with OwnerLock.acquire(path):
        for text in ("", "[]", "\x00\x01", '{"pid": 1}'):
            path.write_text(text)
            with pytest.raises(StoreInUse, match="another process"):
                OwnerLock.acquire(path)


@contextmanager
def no_file_may_grow() -> Iterator[None]:
    """Whoever writes is refused by the kernel, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_takes_no_byte_keeps_nobody_from_owning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A full store must be mounted to make room in it; who owns it is only a hint for people."""
    path = tmp_path / "owner.lock"
    with no_file_may_grow():
        lock = OwnerLock.acquire(path)
    with lock:
        assert path.read_text() == ""
        assert f"{path} does not say who owns it: File too large" in caplog.text
        with pytest.raises(StoreInUse, match="another process"):
            OwnerLock.acquire(path)
    OwnerLock.acquire(path).release()


def test_a_lock_that_cannot_be_made_is_told_in_words(tmp_path: Path) -> None:
    """It was a traceback in the daemon's log."""
    (tmp_path / "directory").mkdir()
    for path, why in (
        (tmp_path / "missing" / "owner.lock", "No such file or directory"),
        (tmp_path / "directory", "Is a directory"),
    ):
        for attempt in (OwnerLock.acquire, OwnerLock.refusal):
            with pytest.raises(PathUnusable, match=f"{path} cannot be locked: {why}"):
                attempt(path)


def test_no_space_is_told_from_other_errors() -> None:
    """Only ENOSPC and EDQUOT mean that making room helps."""
    with pytest.raises(StoreFull), durable_files.no_space_is_store_full("x"):
        raise OSError(errno.ENOSPC, "full")
    with pytest.raises(QuotaExceeded), durable_files.no_space_is_store_full("x"):
        raise OSError(errno.EDQUOT, "full for this user")
    with pytest.raises(PermissionError), durable_files.no_space_is_store_full("x"):
        raise PermissionError(errno.EACCES, "no")


def test_a_lock_that_may_not_be_changed_is_held_as_well(tmp_path: Path) -> None:
    """Of a store that cannot be written: who could write to it by another road is kept out."""
    path = tmp_path / "owner.lock"
    OwnerLock.acquire(path).release()
    before = path.stat()

    with OwnerLock.acquire(path, writes=False):
        for writes in (True, False):
            with pytest.raises(StoreInUse):
                OwnerLock.acquire(path, writes=writes)
        assert OwnerLock.refusal(path) is not None
    assert OwnerLock.refusal(path) is None
    after = path.stat()
    assert (after.st_mtime_ns, after.st_size) == (before.st_mtime_ns, before.st_size)


def test_asking_for_the_owner_leaves_nothing(tmp_path: Path) -> None:
    """It is asked of what may be no store."""
    assert OwnerLock.refusal(tmp_path / "owner.lock") is None
    assert not list(tmp_path.iterdir())
