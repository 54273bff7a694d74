"""What a directory does that memory cannot: go away, fill up, fail to sync."""

import errno
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from s3fs_local.errors import QuotaExceeded, StoreFull, ZoneUnavailable
from s3fs_local.objects.local_directory import LocalDirectory
from s3fs_local.objects.unfinished import UNFINISHED


def test_a_missing_root_is_reported_and_never_made(tmp_path: Path) -> None:
    """An unmounted disk must not be mistaken for an empty zone."""
    root = tmp_path / "zone"
    with pytest.raises(ZoneUnavailable, match="is its disk mounted"):
        LocalDirectory(root)

    assert not root.exists()


def test_a_root_that_goes_away_is_not_made_again(tmp_path: Path) -> None:
    """Writes after an unmount would land on the wrong disk."""
    root = tmp_path / "zone"
    root.mkdir()
    store = LocalDirectory(root)
    root.rmdir()

    with pytest.raises(ZoneUnavailable):
        store.put("a/b", b"1")
    with pytest.raises(ZoneUnavailable):
        store.read("a/b", 0, 1)
    with pytest.raises(ZoneUnavailable):
        list(store.list(""))
    assert not root.exists()


def test_another_directory_in_its_place_is_not_the_zone(tmp_path: Path) -> None:
    """That is what a mount point looks like after its disk is unmounted."""
    root = tmp_path / "zone"
    root.mkdir()
    store = LocalDirectory(root)
    root.rename(tmp_path / "elsewhere")
    root.mkdir()

    with pytest.raises(ZoneUnavailable, match="another one"):
        store.create("a")
    with pytest.raises(ZoneUnavailable, match="another one"):
        store.delete("a")
    assert list(root.iterdir()) == []


PUT_AND_BE_KILLED = """
import resource, signal, sys
from pathlib import Path
from s3fs_local.objects.local_directory import LocalDirectory
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
LocalDirectory(Path(sys.argv[1])).put(sys.argv[2], bytes(2000))
"""
"""The kernel kills who writes beyond the limit, in the middle of its put."""


def killed_in_a_put(root: Path, name: str) -> Path:
    """The file that such a put leaves."""
    command = (sys.executable, "-c", PUT_AND_BE_KILLED, root, name)
    assert subprocess.run(command, check=False).returncode == -signal.SIGXFSZ
    (left,) = (path for path in root.rglob(".*") if path.is_file())
    return left


def test_what_a_killed_put_has_left_is_swept_away(tmp_path: Path) -> None:
    """Each object has a name of its own, so they would be there for good, and ever more."""
    left = killed_in_a_put(tmp_path, "metadata/000001")
    store = LocalDirectory(tmp_path)
    store.put("metadata/000002", b"whole")
    assert left.stat().st_size == 1000

    assert store.sweep() == 1
    assert store.sweep() == 0
    assert not left.exists()
    assert list(store.list("")) == ["metadata/000002"]


def test_a_put_that_runs_is_not_swept_away(tmp_path: Path) -> None:
    """It would fail, and its zone be suspended, in the middle of a checkpoint."""
    store = LocalDirectory(tmp_path)
    (tmp_path / ".running.tmp").touch()
    (tmp_path / ".bash_history").touch()  # none of ours

    with UNFINISHED.writing(tmp_path / "running"):
        assert store.sweep() == 0
    assert store.sweep() == 1
    assert [path.name for path in tmp_path.iterdir()] == [".bash_history"]


def test_a_folder_that_another_thread_made_meanwhile_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A zone that is repaired gets old packs from one thread, and new ones from another.

    The repair ended with an internal error, because the folder `packs` was there already.
    """
    zone = LocalDirectory(tmp_path)
    exists = Path.exists

    def look_and_be_overtaken(path: Path) -> bool:
        found = exists(path)
        if path == tmp_path / "packs":
            path.mkdir(exist_ok=True)
        return found

    monkeypatch.setattr(Path, "exists", look_and_be_overtaken)
    zone.put("packs/aa/1", b"x")

    assert zone.read("packs/aa/1", 0, 9) == b"x"


def test_a_failed_sync_fails_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel forgets dirty pages it could not write; the next fsync would succeed falsely."""
    store = LocalDirectory(tmp_path)
    appender = store.create("a")
    appender.append(b"1")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", _raise(errno.EIO))
        with pytest.raises(ZoneUnavailable):
            appender.sync()

    with pytest.raises(ZoneUnavailable, match="earlier"):
        appender.sync()
    with pytest.raises(ZoneUnavailable, match="earlier"):
        appender.append(b"2")
    appender.close()


def test_an_append_that_does_not_fit_leaves_the_former_length(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first half was written when the disk ran full."""
    store = LocalDirectory(tmp_path)
    appender = store.create("a")
    appender.append(b"kept")
    write = os.write
    written: list[int] = []

    def write_half_then_fail(descriptor: int, data: memoryview) -> int:
        if written:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written.append(write(descriptor, data[:2]))
        return written[0]

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write_half_then_fail)
        with pytest.raises(StoreFull):
            appender.append(b"lost")

    assert store.length("a") == appender.length == 4
    assert appender.append(b"next") == 4
    assert store.read("a", 0, 99) == b"keptnext"
    appender.close()


def test_an_append_that_cannot_be_undone_holds_up_only_what_would_follow_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a used up quota btrfs cuts no file: the store was read-only for good, with room again.

    What is whole is synced and others may go on; the next piece waits until its offset is right.
    """
    store = LocalDirectory(tmp_path)
    appender = store.create("a")
    appender.append(b"kept")
    write = os.write

    def write_half_then_fail(descriptor: int, data: memoryview) -> int:
        if store.length("a") > 4:
            raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))
        return write(descriptor, data[:2])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write_half_then_fail)
        patch.setattr(os, "ftruncate", _raise(errno.EDQUOT))
        for _ in range(2):
            with pytest.raises(QuotaExceeded):
                appender.append(b"lost")
            assert not appender.can_grow
            assert (store.length("a"), appender.length) == (6, 4)
            appender.sync()

    assert appender.append(b"next") == 4
    assert appender.can_grow
    assert store.read("a", 0, 99) == b"keptnext"
    appender.close()


def test_what_an_append_left_is_gone_once_nobody_appends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pack that is left for another one ends where its last block does."""
    store = LocalDirectory(tmp_path)
    appender = store.create("a")
    appender.append(b"kept")
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", _write_some_and_fail)
        patch.setattr(os, "ftruncate", _raise(errno.EDQUOT))
        with pytest.raises(QuotaExceeded):
            appender.append(b"lost")
    assert store.length("a") == 6
    appender.close()
    assert store.length("a") == 4


def _write_some_and_fail(descriptor: int, data: memoryview) -> int:
    """As far as a caller can tell: the kernel may have taken more than it says."""
    os.pwrite(descriptor, data[:2], 0)  # of O_APPEND, so at the end
    raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))


def test_where_a_filesystem_cannot_refuse_to_wait_reads_are_plain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RWF_NOWAIT is not everywhere; one EOPNOTSUPP tells."""
    store = LocalDirectory(tmp_path)
    store.put("a", b"12345")
    calls = []

    def refuse(*arguments: object) -> int:
        calls.append(arguments)
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    monkeypatch.setattr(os, "preadv", refuse)

    assert store.read_nowait("a", 1, 3) == b"234"
    assert store.read_nowait("a", 1, 9) == b"2345"
    assert len(calls) == 1


@pytest.mark.parametrize("in_cache", [0, 3])
def test_bytes_not_in_the_page_cache_are_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_cache: int
) -> None:
    """None, also where the first part is there: a short answer would mean the end of the object."""
    store = LocalDirectory(tmp_path)
    store.put("a", b"12345")

    def answer(number: int, buffers: Sequence[bytearray], offset: int, _flags: int) -> int:
        if not in_cache:
            raise BlockingIOError
        buffers[0][:in_cache] = os.pread(number, in_cache, offset)
        return in_cache

    monkeypatch.setattr(os, "preadv", answer)

    assert store.read_nowait("a", 0, 5) is None


def test_many_objects_are_read_with_few_descriptors(tmp_path: Path) -> None:
    """A store has thousands of packs, a process about a thousand descriptors."""
    store = LocalDirectory(tmp_path)
    for number in range(300):
        store.put(f"{number}", b"%d" % number)
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - counts descriptors
    contents = [store.read(f"{number}", 0, 9) for number in range(300)]
    held = len(os.listdir("/proc/self/fd")) - before  # noqa: PTH208 - as above

    assert contents == [b"%d" % number for number in range(300)]
    assert held <= 128 < resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    store.read_anew()
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208 - as above


def test_files_are_for_the_owner_only_and_leftovers_are_not_listed(tmp_path: Path) -> None:
    """A put that was cut off by a crash leaves a hidden temporary file."""
    store = LocalDirectory(tmp_path)
    store.put("folder/a", b"1")
    (tmp_path / "folder" / ".b.tmp").write_bytes(b"half")

    assert (tmp_path / "folder" / "a").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o700
    assert list(store.list("")) == ["folder/a"]


def _raise(number: int) -> Callable[..., int]:
    def call(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    return call
