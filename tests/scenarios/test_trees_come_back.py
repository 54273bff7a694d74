"""Real trees are changed in every ordinary way, and each earlier state comes back exactly."""

import hashlib
import os
import shutil
import stat
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.mounting import MountedStore, instant_now, s3fs_local

pytestmark = [pytest.mark.mount, pytest.mark.slow, pytest.mark.timeout(240)]

LIBRARY = Path(sysconfig.get_path("stdlib"))
PACKAGES = (
    *(
        "asyncio",
        "collections",
        "concurrent",
        "ctypes",
        "dbm",
        "email",
        "encodings",
        "html",
        "http",
    ),
    *(
        "importlib",
        "json",
        "lib2to3",
        "logging",
        "multiprocessing",
        "sqlite3",
        "tomllib",
        "unittest",
    ),
    *("urllib", "wsgiref", "xml", "zoneinfo"),
)

Snapshot = dict[str, tuple[object, ...]]


def snapshot(tree: Path) -> Snapshot:
    """All that must come back of a tree: kind, mode, owners, mtime, and content or target."""
    found: Snapshot = {}
    for folder, folders, files in os.walk(tree):
        for name in [".", *folders, *files]:
            path = os.path.normpath(os.path.join(folder, name))
            status = os.lstat(path)
            content = None
            if stat.S_ISREG(status.st_mode):
                with open(path, "rb") as file:
                    content = hashlib.file_digest(file, "sha256").hexdigest()
            elif stat.S_ISLNK(status.st_mode):
                content = os.readlink(path)
            found[os.path.relpath(path, tree)] = (
                stat.filemode(status.st_mode),
                status.st_uid,
                status.st_gid,
                status.st_mtime_ns,
                content,
            )
    return found


def differences(*, found: Snapshot, expected: Snapshot) -> list[str]:
    """One line for each path that is not as it should be."""
    return [
        f"{path}: found {found.get(path)}, expected {expected.get(path)}"
        for path in sorted(found.keys() | expected.keys())
        if found.get(path) != expected.get(path)
    ]


def python_files(tree: Path) -> list[Path]:
    """The tree's Python sources in a fixed order."""
    return sorted(path for path in tree.rglob("*.py") if path.is_file())


def edit(tree: Path) -> None:
    """Edits every second file by the shell and by Python; some grow, some shrink."""
    for number, file in enumerate(python_files(tree)[::2]):
        if number % 3 == 0:
            with file.open("a") as opened:
                opened.write("# appended\n")
        elif number % 3 == 1:
            os.truncate(file, file.stat().st_size // 2)
        else:
            file.write_text("# written anew\n")


def delete_half(tree: Path) -> None:
    """Deletes every second file and whole folders."""
    for file in python_files(tree)[1::2]:
        file.unlink()
    shutil.rmtree(tree / "email")
    shutil.rmtree(tree / "xml" / "sax")


def move(tree: Path) -> None:
    """Renames files and folders, over free names and over taken ones."""
    (tree / "json").rename(tree / "jason")
    (tree / "asyncio").rename(tree / "http" / "asyncio")
    files = python_files(tree)
    files[0].replace(files[1])
    files[2].rename(files[2].with_suffix(".moved"))
    (tree / "email").mkdir()
    (tree / "email" / "again").symlink_to("../jason")


def change_attributes(tree: Path) -> None:
    """Changes modes, owners and times of files and folders, contents untouched."""
    for number, file in enumerate(python_files(tree)):
        file.chmod((0o600, 0o755, 0o444)[number % 3])
        if os.geteuid() == 0:
            os.chown(file, 1000 + number % 3, 2000)
        os.utime(file, ns=(10**18, 10**18 + number))
    (tree / "http").chmod(0o700)
    os.utime(tree / "http", ns=(10**18, 123_456_789))


def test_every_earlier_state_of_a_tree_comes_back(mount: MountedStore) -> None:
    """The promise of the whole product, on files that people have: nothing is ever lost."""
    tree = mount.path / "library"
    tree.mkdir()
    for package in filter(lambda name: (LIBRARY / name).exists(), PACKAGES):
        shutil.copytree(
            LIBRARY / package, tree / package, ignore=shutil.ignore_patterns("__pycache__", "test*")
        )
    (tree / "link").symlink_to("json/decoder.py")
    steps: tuple[Callable[[Path], None], ...] = (edit, delete_half, move, change_attributes)
    states = [(instant_now(), snapshot(tree))]
    for step in steps:
        step(tree)
        states.append((instant_now(), snapshot(tree)))

    for number in (2, 0, 4, 1, 3):
        at, expected = states[number]
        seen = snapshot(tree.parent / ".versions" / f"@{at}" / "library")
        s3fs_local("restore", tree, "--at", at)

        assert not differences(found=snapshot(tree), expected=expected), f"state {number}"
        assert {path: row[4] for path, row in seen.items()} == {
            path: row[4] for path, row in expected.items()
        }, f"state {number} under .versions"


def test_the_states_survive_a_remount(mount: MountedStore) -> None:
    """History is a matter of the store, not of the running daemon."""
    tree = mount.path / "json"
    shutil.copytree(LIBRARY / "json", tree, ignore=shutil.ignore_patterns("__pycache__"))
    at, expected = instant_now(), snapshot(tree)
    shutil.rmtree(tree)
    mount.remount()
    assert not tree.exists()

    s3fs_local("restore", tree, "--at", at)

    assert not differences(found=snapshot(tree), expected=expected)


def test_a_git_repository_comes_back_sound_in_every_state(mount: MountedStore) -> None:
    """Git checks its own files by their hashes, so it sees what a snapshot of ours might not."""
    tree = mount.path / "repository"
    shutil.copytree(LIBRARY / "json", tree / "json", ignore=shutil.ignore_patterns("__pycache__"))

    def git(*words: str) -> str:
        identity = ("-c", "user.name=t", "-c", "user.email=t@t", "-c", "init.defaultBranch=main")
        return mount.run("git", "-C", tree, *identity, *words).stdout

    def pack(_: Path) -> None:
        git("gc", "-q")

    git("init", "-q")
    states = []
    steps: tuple[Callable[[Path], object], ...] = (python_files, edit, pack)
    for number, step in enumerate(steps):
        step(tree)
        git("add", "-A")
        git("commit", "-qm", f"state {number}", "--allow-empty")
        states.append((instant_now(), snapshot(tree), git("rev-parse", "HEAD")))
    for file in python_files(tree):
        file.unlink()
    shutil.rmtree(tree / ".git" / "objects")

    for number in (1, 0, 2):
        at, expected, head = states[number]
        s3fs_local("restore", tree, "--at", at)

        assert not differences(found=snapshot(tree), expected=expected), f"state {number}"
        assert git("rev-parse", "HEAD") == head
        assert git("fsck", "--full", "--strict", "--no-dangling") == ""
        assert git("status", "--porcelain") == ""
