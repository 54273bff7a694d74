"""Whatever a person gets wrong, the answer names the input, and nothing is harmed."""

import os
from errno import ENOSPC
from pathlib import Path

import pytest

from tests.conftest import MakeMount, MakeStore
from tests.mounting import (
    COMMAND,
    MARK,
    MountedStore,
    is_mounted,
    processes_marked,
    run,
    s3fs_local,
)

pytestmark = [pytest.mark.mount, pytest.mark.slow]

MIB = 1024 * 1024


def complaint(*arguments: str | Path) -> str:
    """What the command says on stderr as it refuses: a sentence, and never a traceback."""
    result = s3fs_local(*arguments, check=False)
    assert result.returncode != 0, f"accepted: {arguments}"
    assert "Traceback" not in result.stderr, result.stderr
    assert result.stderr.strip(), "refused without a word"
    return result.stderr


@pytest.fixture
def point(tmp_path: Path) -> Path:
    """An empty directory to mount on."""
    path = tmp_path / "point"
    path.mkdir()
    return path


def test_a_directory_that_is_no_store(tmp_path: Path, point: Path) -> None:
    """A typing mistake in the first argument must not create anything."""
    folder = tmp_path / "folder"
    folder.mkdir()

    assert str(folder) in complaint("mount", folder, point)
    assert str(tmp_path / "absent") in complaint("mount", tmp_path / "absent", point)
    assert str(folder) in complaint("status", folder)
    assert list(folder.iterdir()) == []
    assert not (tmp_path / "absent").exists()


def test_init_where_something_is(tmp_path: Path, store: Path) -> None:
    """Files that were there first stay as they are."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "mine").write_text("x")

    assert str(folder) in complaint("init", folder)
    assert str(store) in complaint("init", store)
    assert os.listdir(folder) == ["mine"]


def test_a_wrong_passphrase(tmp_path: Path, make_store: MakeStore, point: Path) -> None:
    """Nothing of the content, not even a name, is shown without the right one."""
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    right.write_text("correct horse battery staple\n")
    wrong.write_text("incorrect horse\n")
    store = make_store("--passphrase-file", right)

    said = complaint("mount", store, point, "-o", f"passphrase_file={wrong}")
    assert "passphrase" in said.lower()
    assert not is_mounted(point)
    assert str(tmp_path / "gone") in complaint(
        "mount", store, point, "-o", f"passphrase_file={tmp_path / 'gone'}"
    )


def test_the_right_passphrase_after_a_wrong_one(
    tmp_path: Path, make_store: MakeStore, make_mount: MakeMount, point: Path
) -> None:
    """A failed attempt leaves no trace that would stop the next."""
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    right.write_text("correct horse battery staple\n")
    wrong.write_text("incorrect horse\n")
    store = make_store("--passphrase-file", right)
    complaint("mount", store, point, "-o", f"passphrase_file={wrong}")

    mounted = make_mount(store, f"passphrase_file={right}")
    (mounted.path / "f").write_text("1")

    assert (mounted.path / "f").read_text() == "1"


def test_a_mount_point_that_will_not_do(tmp_path: Path, store: Path, point: Path) -> None:
    """Mounting over files would hide them, so it is refused."""
    (point / "hidden-by-a-mount").write_text("x")
    file = tmp_path / "file"
    file.write_text("x")

    assert str(point) in complaint("mount", store, point)
    assert str(file) in complaint("mount", store, file)
    assert str(tmp_path / "absent") in complaint("mount", store, tmp_path / "absent")
    assert not is_mounted(point)


def test_a_mount_point_in_use(make_mount: MakeMount, make_store: MakeStore) -> None:
    """Two mounts on one directory would hide the first."""
    first = make_mount()
    (first.path / "f").write_text("1")

    assert str(first.path) in complaint("mount", make_store(), first.path)
    assert (first.path / "f").read_text() == "1"


def test_a_second_mount_names_the_holder(mount: MountedStore, point: Path) -> None:
    """Two daemons on one store would destroy it; the message says who to ask."""
    said = complaint("mount", mount.store, point)

    assert str(mount.path) in said or any(word.isdigit() for word in said.split())
    assert not is_mounted(point)
    (mount.path / "f").write_text("still works")


@pytest.mark.parametrize("text", ["", "{", "null", '{"format": 99999}', "\0\0\0\0"])
def test_a_damaged_store_file(store: Path, point: Path, text: str) -> None:
    """The file is named, and it is left as it was for whoever repairs it."""
    (store / "store.json").write_text(text)

    said = complaint("mount", store, point)

    assert "store.json" in said or (text.startswith('{"format"') and "newer" in said)
    assert (store / "store.json").read_text() == text


def test_unknown_options_and_commands(store: Path, point: Path) -> None:
    """An option that is ignored is a promise that is not kept."""
    assert "no_such" in complaint("mount", store, point, "-o", "no_such").replace("-", "_")
    assert "--no-such" in complaint("mount", store, point, "--no-such")
    assert "no-such" in complaint("no-such")
    assert "snapdir" in complaint("mount", store, point, "-o", "snapdir=maybe")
    assert not is_mounted(point)


def test_times_and_periods_that_make_no_sense(mount: MountedStore) -> None:
    """The message lists what is accepted, and nothing is restored."""
    (mount.path / "f").write_text("1")

    for text in ("yesterdayish", "2026-13-01", "", "-5d", "9" * 400 + "d"):
        said = complaint("restore", mount.path / "f", "--at", text)
        assert "RFC 3339" in said or "2026-" in said or "1h" in said, said
    assert mount.contents("f") == ["1"]


def test_versions_that_do_not_exist(mount: MountedStore) -> None:
    """A wrong id restores nothing."""
    (mount.path / "f").write_text("1")

    assert "zzzz" in complaint("restore", mount.path / "f", "--version", "zzzz")
    assert str(mount.path / "absent") in complaint("versions", mount.path / "absent")
    assert str(mount.store.parent) in complaint("versions", mount.store.parent / "elsewhere")
    assert mount.contents("f") == ["1"]


def test_unmounting_what_is_not_mounted(point: Path) -> None:
    """It is an error that names the place."""
    assert str(point) in complaint("umount", point)


def fill(folder: Path) -> None:
    """Writes and fsyncs `big0`, `big1` and so on, a MiB each that cannot be compressed."""
    for number in range(64):
        with (folder / f"big{number}").open("wb") as file:
            file.write(os.urandom(MIB))
            file.flush()
            os.fsync(file.fileno())


def test_a_full_disk_stops_writes_and_nothing_else(small_disk: Path, make_mount: MakeMount) -> None:
    """Reads and deletes go on, nothing is damaged, and space brings writing back by itself."""
    store = small_disk / "store"
    s3fs_local("init", store)
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(16 * MIB))
    mounted = make_mount(store)
    (mounted.path / "kept").write_bytes(b"kept" * 1000)
    with (mounted.path / "kept").open("rb") as kept:
        os.fsync(kept.fileno())

    with pytest.raises(OSError, match="No space left") as full:
        fill(mounted.path)
    assert full.value.errno == ENOSPC

    assert (mounted.path / "kept").read_bytes() == b"kept" * 1000
    (mounted.path / "big0").unlink()
    assert not (mounted.path / "big0").exists()
    assert os.statvfs(mounted.path).f_bavail * os.statvfs(mounted.path).f_frsize < 4 * MIB

    ballast.unlink()
    (mounted.path / "after").write_bytes(b"after")
    mounted.remount()
    assert (mounted.path / "after").read_bytes() == b"after"
    assert (mounted.path / "kept").read_bytes() == b"kept" * 1000
    for number in range(1, 8):
        assert (mounted.path / f"big{number}").stat().st_size == MIB


def test_a_mount_that_fails_leaves_no_process(store: Path, point: Path) -> None:
    """The command returns when it is known whether files can be used, and not before."""
    (store / "store.json").write_text("{")

    result = run(*COMMAND, "mount", store, point, check=False, environment={MARK: str(point)})

    assert result.returncode != 0
    assert not any(processes_marked(point))
    assert not is_mounted(point)
