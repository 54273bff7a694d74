"""`status` says at a glance whether a store is well, and if not, why, and what to do.

On stores that are not mounted; what a mount adds is in `test_mounted_store.py` and
`test_seeing.py`.
"""

import json
import os
import subprocess
from pathlib import Path

import pytest
import trio

from s3fs_local.cli.exit_codes import ExitCode
from s3fs_local.cli.main import run
from s3fs_local.control.mount_table import FILESYSTEM_TYPE, Mount
from s3fs_local.daemon.assembly import open_store
from s3fs_local.daemon.release import inspect_release, installed_release
from s3fs_local.daemon.unlocking import Unlocking
from s3fs_local.rules.findings import Severity
from s3fs_local.rules.inode import ROOT_INO, Caller
from tests.store_on_disk import make_store, opened

ME = Caller(uid=os.getuid(), gid=os.getgid())
Capture = pytest.CaptureFixture[str]
CONTENT = bytes(range(256)) * 20
MIB = 1024 * 1024


def made(store: Path, *options: str | Path) -> Path:
    """A new store."""
    assert run(["init", str(store), *map(str, options)]) == ExitCode.OK
    return store


def status(store: Path, capsys: Capture) -> list[tuple[str, str, str]]:
    """(severity, subject, sentence) of each finding; the code and the verdict go with them."""
    capsys.readouterr()
    code = run(["status", str(store), "--json"])
    told = json.loads(capsys.readouterr().out)
    worst = {row["Severity"] for row in told["Findings"]}
    health = "failing" if "critical" in worst else "degraded" if "warning" in worst else "healthy"
    assert told["Health"] == health
    assert code == (ExitCode.OK if health == "healthy" else ExitCode.DEGRADED)
    assert all(row["Advice"] for row in told["Findings"] if row["Severity"] != "notice")
    return [(row["Severity"], row["Subject"], row["Sentence"]) for row in told["Findings"]]


def write(store: Path, content: bytes) -> None:
    """The store holds a file `f` with this content."""

    async def work() -> None:
        async with open_store(store, Unlocking()) as opened:
            handle = opened.filesystem.create(ROOT_INO, b"f", 0o100644, os.O_RDWR, ME)[0].handle
            opened.filesystem.write(handle, 0, content)
            opened.filesystem.flush(handle)
            opened.filesystem.release(handle)

    trio.run(work)


def flip(pack: Path) -> None:
    """Every bit of a byte in the middle of a block in the file is the other one."""
    subprocess.run(["chattr", "-i", pack], check=False, stderr=subprocess.DEVNULL)
    with pack.open("r+b") as file:
        file.seek(-200, os.SEEK_END)
        byte = file.read(1)[0]
        file.seek(-200, os.SEEK_END)
        file.write(bytes([byte ^ 0xFF]))


def test_a_healthy_store_is_said_to_be_so_in_its_first_line(
    tmp_path: Path, capsys: Capture
) -> None:
    """The whole answer for who only wants to know whether to look closer."""
    store = made(tmp_path / "store")
    assert status(store, capsys) == []
    assert run(["status", str(store)]) == ExitCode.OK
    assert capsys.readouterr().out.splitlines()[0] == f"{store} is healthy"


def test_who_names_no_store_means_the_one_they_are_in(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or the only one that is mounted; where that is not clear, they are told what there is."""
    store = made(tmp_path / "store")
    capsys.readouterr()
    monkeypatch.chdir(store)
    assert run(["status"]) == ExitCode.OK
    assert capsys.readouterr().out.startswith(f"{store} is healthy\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("s3fs_local.cli.store_access.read_mounts", list)
    assert run(["status"]) == ExitCode.USAGE
    assert "name the store: none is mounted" in capsys.readouterr().err
    mounts = [
        Mount(b"/m%d" % number, b"/", FILESYSTEM_TYPE, os.fsencode(path))
        for number, path in enumerate((store, tmp_path / "other"))
    ]
    monkeypatch.setattr("s3fs_local.cli.store_access.read_mounts", lambda: mounts)
    assert run(["status"]) == ExitCode.USAGE
    assert f"name the store: {tmp_path / 'other'}, {store}" in capsys.readouterr().err
    del mounts[1]
    assert run(["status"]) == ExitCode.OK


def test_damage_that_a_scrub_found_is_told_until_it_is_mended(
    tmp_path: Path, capsys: Capture
) -> None:
    """Otherwise a store that lost bytes would be called healthy ever after."""
    store = made(tmp_path / "store")
    write(store, CONTENT)
    [pack] = store.glob("zones/zone-1/packs/*/*.pack")
    flip(pack)
    assert run(["scrub", str(store)]) == ExitCode.DEGRADED

    found = status(store, capsys)
    assert found == [
        ("critical", "zone zones/zone-1", "1 piece in it is damaged, and could not be mended")
    ]
    assert run(["verify", str(store), "--all"]) == ExitCode.ALTERED
    assert "f, " in capsys.readouterr().out  # as the advice says: it names the file
    flip(pack)
    assert run(["scrub", str(store)]) == ExitCode.OK
    assert status(store, capsys) == []


def test_scrubs_that_were_missed_are_told_until_one_is_made(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Damage is found by who looks; a store that is seldom mounted has nobody who does."""

    def on(day: str) -> list[tuple[str, str, str]]:
        monkeypatch.setenv("S3FS_LOCAL_TEST_CLOCK", f"{day}T00:00:00Z")
        return status(store, capsys)

    store = made(tmp_path / "store", "--test-clock")
    assert status(store, capsys) == []
    [(severity, subject, sentence)] = on("2097-03-03")
    assert (severity, subject) == ("warning", "scrub")
    assert sentence.startswith("not all copies were read in all of its ")
    assert run(["scrub", str(store)]) == ExitCode.OK
    assert on("2097-05-02") == []
    [(_, _, sentence)] = on("2097-05-03")
    assert sentence == "not all copies were read since 61d; scrub-interval asks for it every 30d"
    assert run(["config", "set", str(store), "scrub-interval", "off"]) == ExitCode.OK

    assert on("2098-12-01") == []


def test_damage_that_another_zone_mends_is_no_finding(tmp_path: Path, capsys: Capture) -> None:
    """What was put right needs nobody."""
    store = made(tmp_path / "store", "--zone", tmp_path / "a", "--zone", tmp_path / "b")
    write(store, CONTENT)
    [pack] = (tmp_path / "a").glob("packs/*/*.pack")
    flip(pack)
    assert run(["scrub", str(store)]) == ExitCode.OK

    assert status(store, capsys) == []


def test_a_missing_zone_is_named_and_so_is_the_end_of_writing(
    tmp_path: Path, capsys: Capture
) -> None:
    """One may be away; with too few of them nothing can be saved."""
    zones = [tmp_path / name for name in ("a", "b", "c")]
    store = made(tmp_path / "store", *(word for zone in zones for word in ("--zone", zone)))
    zones[1].rename(tmp_path / "away")
    [(severity, subject, _)] = status(store, capsys)
    assert (severity, subject) == ("warning", f"zone {zones[1]}")
    (tmp_path / "away").rename(zones[1])

    assert all(severity != "critical" for severity, _, _ in status(store, capsys))


def test_a_disabled_key_is_told_and_one_that_is_needed_is_a_fault(
    tmp_path: Path, capsys: Capture
) -> None:
    """The first may be meant so; with the second no file can be made."""
    store = made(tmp_path / "store")
    run(["key", "add", str(store), "tenant"])
    run(["key", "disable", str(store), "tenant", "--yes"])
    assert [row[:2] for row in status(store, capsys)] == [("notice", "keys")]
    run(["key", "disable", str(store), "store", "--yes"])
    severity, subject, sentence = status(store, capsys)[0]

    assert (severity, subject) == ("critical", "keys")
    assert "no new file can be written" in sentence


def test_a_disk_that_is_nearly_full_is_told_before_it_is_full(
    small_disk: Path, capsys: Capture
) -> None:
    """While there is time to do something about it; and then that it is full."""
    store = made(small_disk / "store")
    (small_disk / "ballast").write_bytes(bytes(30 * MIB))
    [(severity, subject, sentence)] = status(store, capsys)
    assert (severity, subject) == ("warning", "room")
    assert "nearly full" in sentence
    (small_disk / "more").write_bytes(bytes(os.statvfs(small_disk).f_bavail * 4096 - MIB))

    assert ("critical", "room", "the disk is full: writes are refused") in status(store, capsys)


def test_a_full_disk_of_the_stores_directory_is_told_although_the_zones_have_room(
    small_disk: Path, tmp_path: Path, capsys: Capture
) -> None:
    """The database grows there. Where a zone is on the same disk, one finding is enough."""
    store = made(small_disk / "store", "--zone", tmp_path / "a", "--zone", tmp_path / "b")
    assert status(store, capsys) == []
    (small_disk / "ballast").write_bytes(bytes(30 * MIB))
    [(severity, subject, sentence)] = status(store, capsys)
    assert (severity, subject) == ("warning", "room")
    assert sentence.startswith("the disk of the store's directory is nearly full: 1")
    (small_disk / "c").mkdir()
    assert run(["zone", "add", str(store), str(small_disk / "c")]) == ExitCode.OK

    assert all("directory" not in sentence for _, _, sentence in status(store, capsys))


async def test_a_disk_that_vanishes_under_an_open_store_is_as_grave_as_one_that_was_not_there(
    tmp_path: Path,
) -> None:
    """A warning, as long as enough zones are well without it: nothing has stopped working."""
    zones = [tmp_path / name for name in ("a", "b", "c")]
    make_store(tmp_path / "store", zones)
    async with opened(tmp_path / "store") as disk:
        zones[1].rename(tmp_path / "away")
        found = [(each.severity, each.subject) for each in disk.status().findings]
        assert found == [(Severity.WARNING, f"zone {zones[1]}")]
        zones[2].rename(tmp_path / "away too")
        grave = {each.subject for each in disk.status().findings if each.severity == "critical"}
        assert {f"zone {zone}" for zone in zones[1:]} <= grave
        (tmp_path / "away").rename(zones[1])
        (tmp_path / "away too").rename(zones[2])


def test_a_release_that_was_installed_under_a_daemon_is_told(tmp_path: Path) -> None:
    """It goes on with the old one; `scripts/package-test` does it with a real package."""
    (tmp_path / "s3fs_local-9.9.dist-info").mkdir()
    [finding] = inspect_release("9.8", installed_release(tmp_path))
    assert finding.sentence == "it runs with release 9.8; 9.9 is installed now"

    assert list(inspect_release("9.9", installed_release(tmp_path))) == []
    assert list(inspect_release("9.9", "")) == []
