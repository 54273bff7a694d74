"""With s3 semantics a file may be changed by every means; the version that was locked stands."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from s3fs_local.cli.exit_codes import ExitCode
from tests.mounting import MountedStore, run, s3fs_local
from tests.scenarios.mounted_attacker import attack_mount
from tests.scenarios.test_worm_battery import ended

pytestmark = [pytest.mark.mount, pytest.mark.slow]

RECORD = b"backup of monday\n"

CHANGES: dict[str, Callable[[Path], object]] = {
    "overwritten": lambda file: file.write_bytes(b"backup of tuesday\n"),
    "appended": lambda file: run("sh", "-c", f"echo more >> {file}"),
    "emptied": lambda file: os.truncate(file, 0),
    "removed": os.unlink,
    "renamed": lambda file: os.rename(file, file.with_name("elsewhere")),
    "replaced": lambda file: run("sh", "-c", f"echo new > {file}.new; mv {file}.new {file}"),
    "edited in place": lambda file: run("sed", "-i", "s/monday/tuesday/", file),
    "shredded": lambda file: run("shred", "-u", file),
    "given another mode": lambda file: os.chmod(file, 0o600),
    "removed with its folder": lambda file: run("rm", "-r", file.parent),
    "moved with its folder": lambda file: os.rename(file.parent, f"{file.parent} moved"),
}


@pytest.fixture(scope="module")
def backups(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MountedStore]:
    """A mounted store whose directory `backups` has s3 semantics."""
    base = tmp_path_factory.mktemp("backups")
    store, path = base / "store", base / "mount"
    path.mkdir()
    s3fs_local("init", store, "--object-lock")
    mounted = MountedStore(store, path)
    with ExitStack() as stack:
        stack.callback(mounted.clean_up)
        mounted.mount()
        folder = path / "backups"
        folder.mkdir()
        words = ("--mode", "compliance", "--for", "30d", "--semantics", "s3")
        s3fs_local("protect", folder, *words)
        yield mounted


@pytest.mark.parametrize("name", CHANGES)
def test_a_locked_version_outlives_its_file(backups: MountedStore, name: str) -> None:
    """Bit for bit, and it cannot be purged."""
    folder = backups.path / "backups" / name
    folder.mkdir()
    file = folder / "dump"
    file.write_bytes(RECORD)
    version = os.getxattr(file, "s3.version-id").decode()
    CHANGES[name](file)

    where = file if folder.exists() or name.startswith("removed") else Path(f"{folder} moved/dump")
    contents = [] if name == "removed with its folder" else backups.contents(where)
    assert name == "removed with its folder" or RECORD.decode() in contents
    assert ended("purge", where, "--version", version, "--yes") == ExitCode.PROTECTED
    assert ended("cat", where, "--version", version) == ExitCode.OK


def test_a_random_attacker_breaks_no_lock_on_a_mount(tmp_path: Path) -> None:
    """In short; `scripts/attack --mount` runs it at length."""
    for folder in (tmp_path, *list(tmp_path.parents)[:-2]):
        folder.chmod(folder.stat().st_mode | 0o011)  # the owner comes by here
    base = tmp_path / "attack"
    base.mkdir()
    tried, refused = attack_mount(200, 1, base)

    assert sum(tried.values()) == 200
    assert sum(refused.values()) > 100
