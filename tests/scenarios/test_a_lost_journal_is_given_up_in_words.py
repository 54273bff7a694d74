"""A store whose journal somebody deleted: what that costs is said, and nothing goes on unasked."""

import os
import shutil
from pathlib import Path

import pytest

from tests.conftest import MakeMount
from tests.mounting import MountedStore, answer_of, run, s3fs_local, unmount_by_force

pytestmark = pytest.mark.mount

GIVE_UP = "--without-journal"


def lose_journal(store: Path) -> None:
    """As somebody does who looks for room."""
    shutil.rmtree(store / "zones" / "zone-1" / "journal")


def is_refused(store: Path, point: Path) -> None:
    """The store does not open, and the error names what to do."""
    for words in (("mount", store, point), ("status", store)):
        refused = s3fs_local(*words, check=False)
        assert refused.returncode != 0
        assert GIVE_UP in refused.stderr


def bytes_of(store: Path) -> dict[str, bytes]:
    """All files but the text of the lock."""
    files = (path for path in store.rglob("*") if path.is_file() and path.name != "owner.lock")
    return {str(path.relative_to(store)): path.read_bytes() for path in files}


def write_durably(path: Path, text: str) -> None:
    """As a program that wants to know."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    os.write(descriptor, text.encode())
    os.fsync(descriptor)
    os.close(descriptor)


def settle(disk: MountedStore) -> None:
    """The database has everything so far, as within ten seconds in any case."""
    s3fs_local("verify", disk.path)


def is_as_the_ledger_says(store: Path) -> None:
    """What went on is a whole store."""
    assert answer_of("verify", store, "--all")["Intact"]


def test_after_a_clean_end_nothing_is_lost_and_that_is_proved(
    make_mount: MakeMount, store: Path
) -> None:
    """The story: the database had it all, and `closed.json` says that nothing came after."""
    disk = make_mount(store)
    disk.sh("echo one >f; echo two >f; echo gone >g; rm g")
    disk.umount()
    lose_journal(store)
    is_refused(store, disk.path)
    before = bytes_of(store)

    told = answer_of("fsck", store, GIVE_UP, "--dry-run")
    assert told["LosesNothing"]
    assert told["DryRun"]
    assert bytes_of(store) == before
    said = s3fs_local("fsck", store, GIVE_UP, check=False)
    assert said.returncode != 0
    assert "nothing is lost" in said.stderr
    assert bytes_of(store) == before

    s3fs_local("fsck", store, GIVE_UP, "--yes")
    disk.mount()
    assert disk.contents("f") == ["one\n", "two\n"]
    assert disk.names_with_history() == {"f", "g"}
    disk.sh("echo three >f")
    disk.umount()
    disk.mount()
    assert disk.contents("f") == ["one\n", "two\n", "three\n"]
    disk.umount()
    is_as_the_ledger_says(store)
    assert GIVE_UP in s3fs_local("ledger", "export", store).stdout


def test_a_journal_that_is_whole_is_not_given_up(store: Path, make_mount: MakeMount) -> None:
    """Whoever tries the option on a store that does not open for another reason loses nothing."""
    disk = make_mount(store)
    write_durably(disk.path / "f", "one\n")
    disk.kill()
    refused = s3fs_local("fsck", store, GIVE_UP, "--yes", check=False)
    assert refused.returncode != 0
    assert "the journal is whole" in refused.stderr

    disk.remount()
    assert disk.contents("f") == ["one\n"]


def test_after_a_crash_it_says_until_when_all_is_there(make_mount: MakeMount, store: Path) -> None:
    """What was fsynced in the last seconds was in the journal alone, and somebody must know."""
    disk = make_mount(store)
    disk.sh("echo settled >early")
    settle(disk)
    write_durably(disk.path / "late", "promised\n")
    disk.kill()
    unmount_by_force(disk.path)
    lose_journal(store)
    is_refused(store, disk.path)

    told = answer_of("fsck", store, GIVE_UP, "--dry-run")
    assert not told["LosesNothing"]
    said = s3fs_local("fsck", store, GIVE_UP, "--yes").stdout
    assert told["KnownUntil"] in said
    assert "lost for good" in said
    disk.mount()
    assert os.listdir(disk.path) == ["early"]
    disk.sh("echo later >late")
    disk.umount()
    is_as_the_ledger_says(store)


def test_what_the_ledger_has_more_than_the_database_comes_back(
    make_mount: MakeMount, store: Path, tmp_path: Path
) -> None:
    """A power cut, or an old copy, leaves a database that is behind; the ledger is every change."""
    disk = make_mount(store)
    disk.sh("echo one >f")
    disk.umount()
    shutil.copy(store / "metadata.sqlite", tmp_path / "old")
    disk.mount()
    disk.sh("echo two >f; mkdir d; seq 100000 >d/numbers; setfattr -n user.a -v b d; chmod 700 d")
    settle(disk)
    disk.kill()
    unmount_by_force(disk.path)
    for name in ("metadata.sqlite", "metadata.sqlite-wal"):
        (store / name).unlink()
    shutil.copy(tmp_path / "old", store / "metadata.sqlite")
    lose_journal(store)

    told = answer_of("fsck", store, GIVE_UP, "--yes")
    assert told["FromLedger"]
    assert not told["LosesNothing"]
    disk.mount()
    assert disk.contents("f") == ["one\n", "two\n"]
    assert run("sh", "-c", f"seq 100000 | cmp - {disk.path}/d/numbers").returncode == 0
    assert os.getxattr(disk.path / "d", "user.a") == b"b"
    disk.umount()
    is_as_the_ledger_says(store)


def test_an_old_database_is_not_called_the_last(
    make_mount: MakeMount, store: Path, tmp_path: Path
) -> None:
    """`closed.json` speaks of one position, so a copy that was put back proves nothing."""
    disk = make_mount(store)
    disk.umount()
    shutil.copy(store / "closed.json", tmp_path / "closed.json")
    disk.mount()
    assert not (store / "closed.json").exists()
    disk.sh("echo one >f")
    settle(disk)
    disk.kill()
    unmount_by_force(disk.path)
    shutil.copy(tmp_path / "closed.json", store / "closed.json")
    lose_journal(store)

    assert not answer_of("fsck", store, GIVE_UP, "--dry-run")["LosesNothing"]


def test_zones_lose_their_journals_together(make_mount: MakeMount, tmp_path: Path) -> None:
    """One that still has it is enough, and then nothing is given up."""
    store = tmp_path / "zoned"
    zones = [tmp_path / f"zone-{number}" for number in range(2)]
    s3fs_local("init", store, *(f"--zone={zone}" for zone in zones))
    disk = make_mount(store)
    disk.sh("echo one >f")
    disk.umount()
    shutil.rmtree(zones[0] / "journal")
    assert s3fs_local("fsck", store, GIVE_UP, "--yes", check=False).returncode != 0
    shutil.rmtree(zones[1] / "journal")

    assert answer_of("fsck", store, GIVE_UP, "--yes")["LosesNothing"]
    disk.mount()
    assert disk.contents("f") == ["one\n"]
    disk.umount()
    is_as_the_ledger_says(store)
