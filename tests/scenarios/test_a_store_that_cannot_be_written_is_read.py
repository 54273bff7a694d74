"""A store on a read-only disk: its files and versions come out, and not a byte of it changes."""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.campaigns.loop_disks import lacks_loop_disks, make_image, mounted
from tests.conftest import MakeMount, MakeStore
from tests.mounting import (
    COMMAND,
    MountedStore,
    answer_of,
    run,
    s3fs_local,
    unmount_by_force,
)

pytestmark = [
    pytest.mark.mount,
    pytest.mark.skipif(os.geteuid() != 0, reason="makes disks read-only, which only root can"),
]
LACKS = lacks_loop_disks("ext4")
READ_ONLY_CODE = 20


def bytes_of(store: Path) -> dict[str, tuple[str, int]]:
    """What lies in the directory: digest and time of each file."""
    files = sorted(path for path in store.rglob("*") if path.is_file())
    return {
        str(path.relative_to(store)): (
            hashlib.sha256(path.read_bytes()).hexdigest(),
            path.stat().st_mtime_ns,
        )
        for path in files
    }


def shown(mount: Path, *, but: str = "") -> dict[str, Any]:
    """Everything that the mount shows, the past of each directory included, but of one name."""
    found: dict[str, Any] = {}
    pending = [mount]
    while pending:
        folder = pending.pop()
        for path in (*folder.iterdir(), *(folder / ".versions").glob("*/*")):
            if path.parent.name == but:
                continue
            status = path.lstat()
            content: object = None
            if path.is_symlink():
                content = path.readlink()
            elif path.is_dir():
                pending += [path] if path.parent == folder else []
            else:
                content = path.read_bytes()
            times = (status.st_mtime_ns, status.st_ctime_ns)
            whose = (status.st_mode, status.st_uid, status.st_gid, status.st_nlink)
            attributes = {name: os.getxattr(path, name) for name in os.listxattr(path)}
            found[str(path.relative_to(mount))] = (content, times, whose, status.st_ino, attributes)
    return found


def fill(disk: MountedStore) -> None:
    """Files with a history, links, attributes, a lock, and names that are gone."""
    disk.sh(
        """
        echo one >report.txt; echo two >report.txt; chmod 640 report.txt
        mkdir -p work/deep; seq 200000 >work/deep/numbers; ln work/deep/numbers work/link
        ln -s ../report.txt work/symlink; setfattr -n user.colour -v red report.txt
        echo gone >work/gone; rm work/gone; echo old >work/name; mv work/name work/renamed
        echo kept >kept; setfattr -n s3.object-lock -v 'GOVERNANCE 30d' kept
        """
    )


@contextmanager
def read_only(directory: Path) -> Iterator[None]:
    """Nothing can be written there in the block, by root neither."""
    run("mount", "--bind", directory, directory)
    try:
        run("mount", "-o", "remount,bind,ro", directory)
        yield
    finally:
        unmount_by_force(directory)


@pytest.fixture
def store(make_store: MakeStore) -> Path:
    """A new store in which files can be locked."""
    return make_store("--object-lock")


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go."""
    path = tmp_path / "temporary"
    path.mkdir()
    monkeypatch.setenv("TMPDIR", str(path))
    return path


def looked_at(make_mount: MakeMount, store: Path) -> MountedStore:
    """The store, mounted to be read."""
    return make_mount(store, "ro")


@pytest.mark.skipif(bool(LACKS), reason=f"needs {LACKS}")
def test_a_disk_that_became_read_only_gives_all_it_has(
    tmp_path: Path, make_mount: MakeMount, places: Path
) -> None:
    """The story: after an error the kernel keeps a disk from being written, and people want out."""
    with mounted(make_image(tmp_path / "image", "ext4"), "ext4", tmp_path / "disk") as disk:
        store = disk / "store"
        s3fs_local("init", store, "--object-lock")
        before = make_mount(store)
        fill(before)
        was = shown(before.path)
        before.umount()
        kept = bytes_of(store)
        run("mount", "-o", "remount,ro", disk)

        after = looked_at(make_mount, store)
        assert shown(after.path) == was
        assert after.contents("report.txt") == ["one\n", "two\n"]
        written = after.run("sh", "-c", "echo three >report.txt", check=False)
        assert "Read-only file system" in written.stderr
        after.umount()
        assert bytes_of(store) == kept
        assert not list(places.iterdir())


def begin_unclosed(disk: MountedStore) -> None:
    """A program has a file open, and what it wrote is durable, and more that is not."""
    descriptor = os.open(disk.path / "unclosed", os.O_WRONLY | os.O_CREAT)
    os.write(descriptor, b"promised\n" * 1000)
    os.fsync(descriptor)
    disk.kill()
    with suppress(OSError):  # nobody is there to be told
        os.close(descriptor)


@pytest.mark.parametrize("zones", [1, 3])
def test_what_a_crash_left_is_recovered_beside_the_store(
    tmp_path: Path, make_mount: MakeMount, places: Path, zones: int
) -> None:
    """The journal is replayed and drafts are committed: a writable mount shows the same."""
    folder = tmp_path / "disk"
    folder.mkdir()
    names = [folder / f"zone-{number}" for number in range(zones)]
    store = folder / "store"
    s3fs_local("init", store, "--object-lock", *(f"--zone={name}" for name in names))
    disk = make_mount(store)
    fill(disk)
    begin_unclosed(disk)
    unmount_by_force(disk.path)
    kept = bytes_of(folder)

    with read_only(folder):
        looked = looked_at(make_mount, store)
        seen = shown(looked.path, but="unclosed")
        assert (looked.path / "unclosed").read_bytes() == b"promised\n" * 1000
        assert "recovered" in s3fs_local("log", looked.path / "unclosed").stdout
        looked.umount()
        assert bytes_of(folder) == kept
        assert not list(places.iterdir())
    disk.mount()
    assert shown(disk.path, but="unclosed") == {
        name: row for name, row in seen.items() if not name.startswith(".versions/unclosed/")
    }
    assert (disk.path / "unclosed").read_bytes() == b"promised\n" * 1000


def finding_of(store: Path) -> tuple[Any, list[str]]:
    """The daemon that `status` names, and the subjects of what it found."""
    status = json.loads(s3fs_local("status", store, "--json", check=False).stdout)
    return status.get("DaemonPid"), [row["Subject"] for row in status["Findings"]]


def refused(*words: str | Path) -> None:
    """The command ends with the code of what is read-only, and says so."""
    result = s3fs_local(*words, check=False)
    assert (result.returncode, words) == (READ_ONLY_CODE, words)
    assert "read-only" in result.stderr


def test_commands_read_it_and_none_says_that_it_changed(
    tmp_path: Path, make_mount: MakeMount, store: Path, places: Path
) -> None:
    """Mounted or not; what cannot be done is refused, and never done beside the store alone."""
    disk = make_mount(store)
    fill(disk)
    disk.umount()
    kept = bytes_of(store)

    with read_only(store):
        report = f"{store}:/report.txt"
        assert finding_of(store) == (None, ["writing"])
        oldest = answer_of("versions", report)["Versions"][-1]["VersionId"]
        assert s3fs_local("cat", report, "--version", oldest).stdout == "one\n"
        s3fs_local("verify", store, "--all")
        s3fs_local("fsck", store)
        refused("fsck", store, "--repair")
        refused("config", "set", store, "flush-interval", "1s")
        refused("zone", "add", store, tmp_path / "another")

        looked = looked_at(make_mount, store)
        daemon, subjects = finding_of(store)
        assert daemon is not None
        assert subjects == ["writing"]
        assert (
            answer_of("versions", looked.path / "report.txt")["Versions"][-1]["VersionId"] == oldest
        )
        refused("restore", looked.path / "report.txt", "--version", oldest)
        refused("gc", looked.path)
        looked.umount()
        assert bytes_of(store) == kept
        assert not (tmp_path / "another").exists()
        assert not list(places.iterdir())


def test_a_writable_mount_is_refused_in_words(
    tmp_path: Path, make_mount: MakeMount, store: Path
) -> None:
    """A program that believes it can write is worse than none that starts."""
    point = tmp_path / "point"
    point.mkdir()
    with read_only(store):
        result = s3fs_local("mount", store, point, check=False)
        assert result.returncode == READ_ONLY_CODE
        assert "-o ro" in result.stderr
    make_mount(store)


def test_one_that_is_in_use_is_not_looked_at_by_another_road(
    tmp_path: Path, make_mount: MakeMount, store: Path
) -> None:
    """Its files change while they are read: a read-only bind mount does not make them stand."""
    road = tmp_path / "road"
    road.mkdir()
    make_mount(store)
    run("mount", "--bind", store, road)
    try:
        run("mount", "-o", "remount,bind,ro", road)
        point = tmp_path / "point"
        point.mkdir()
        result = s3fs_local("mount", road, point, "-o", "ro", check=False)
        assert result.returncode != 0
        assert "in use" in result.stderr
    finally:
        unmount_by_force(road)


def test_two_do_not_mount_it(tmp_path: Path, make_mount: MakeMount, store: Path) -> None:
    """Commands ask the one that does, and get one answer."""
    with read_only(store):
        looked = looked_at(make_mount, store)
        point = tmp_path / "point"
        point.mkdir()
        result = s3fs_local("mount", store, point, "-o", "ro", check=False)
        assert "in use" in result.stderr
        looked.umount()


def test_what_a_killed_daemon_left_goes_with_the_next(
    make_mount: MakeMount, store: Path, places: Path
) -> None:
    """The copies name every file of the store."""
    with read_only(store):
        looked = looked_at(make_mount, store)
        (left,) = places.iterdir()
        assert left.stat().st_mode & 0o077 == 0
        looked.kill()
        assert list(places.iterdir()) == [left]
        looked.mount()
        (home,) = places.iterdir()
        assert home != left
        looked.umount()
        assert not list(places.iterdir())


@pytest.mark.parametrize("lost", ["removed", "overwritten"])
def test_a_database_that_is_lost_is_made_anew_beside_it(
    make_mount: MakeMount, store: Path, lost: str
) -> None:
    """What made the disk read-only may have cost the database, and zones have all that it had."""
    disk = make_mount(store)
    fill(disk)
    was = shown(disk.path)
    disk.umount()
    database = store / "metadata.sqlite"
    if lost == "removed":
        database.unlink()
    else:
        database.write_bytes(b"rotten" * 1000)

    with read_only(store):
        looked = looked_at(make_mount, store)
        assert shown(looked.path) == was
        looked.umount()


def test_no_room_for_what_it_needs_is_said(
    tmp_path: Path, make_mount: MakeMount, store: Path, small_disk: Path
) -> None:
    """And where it may be."""
    disk = make_mount(store)
    disk.umount()
    fill_up = f"dd if=/dev/zero of={small_disk}/full bs=64k status=none || true"
    run("sh", "-c", f"dd if=/dev/zero of={small_disk}/room bs=64k count=1; {fill_up}")
    (small_disk / "room").unlink()
    point = tmp_path / "point"
    point.mkdir()
    with read_only(store):
        result = run(
            *(*COMMAND, "mount", store, point, "-o", "ro"),
            check=False,
            environment={"TMPDIR": str(small_disk)},
        )
        assert result.returncode != 0
        assert "TMPDIR" in result.stderr
