"""The command line on stores that are not mounted: what it prints, asks and exits with."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from s3fs_local.cli.exit_codes import ExitCode
from s3fs_local.cli.main import program, run
from s3fs_local.daemon.assembly import open_store
from s3fs_local.daemon.creation import StorePlan, create_store
from s3fs_local.daemon.unlocking import Unlocking
from s3fs_local.rules.inode import ROOT_INO, Caller

ME = Caller(uid=os.getuid(), gid=os.getgid())
Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _umask_as_before() -> Iterator[None]:
    """The program sets a strict umask for itself, which is this process here."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A new store with Object Lock."""
    path = tmp_path / "store"
    os.umask(0o077)
    create_store(path, StorePlan(owner=ME, object_lock=True))
    return path


def write(store: Path, name: bytes, *contents: bytes) -> None:
    """The file had these contents, the last one is the current."""

    async def work() -> None:
        async with open_store(store, Unlocking()) as opened:
            filesystem = opened.filesystem
            for content in contents:
                if filesystem.volume.metadata.lookup(ROOT_INO, name) is None:
                    handle = filesystem.create(ROOT_INO, name, 0o100644, os.O_RDWR, ME)[0].handle
                else:
                    inode = filesystem.lookup(ROOT_INO, name)
                    handle = filesystem.open(inode.ino, os.O_WRONLY | os.O_TRUNC, ME).handle
                filesystem.write(handle, 0, content)
                filesystem.flush(handle)
                filesystem.release(handle)

    trio.run(work)


def test_a_store_is_made_written_looked_at_and_restored(store: Path, capsys: Capture) -> None:
    """The story, without a mount."""
    write(store, b"f", b"one\n", b"two\n")

    assert run(["cat", f"{store}:/f", "--version", "previous"]) == ExitCode.OK
    assert capsys.readouterr().out == "one\n"
    assert run(["restore", f"{store}:/f"]) == ExitCode.OK
    capsys.readouterr()
    assert run(["cat", f"{store}:/f"]) == ExitCode.OK
    assert capsys.readouterr().out == "one\n"
    assert run(["versions", f"{store}:/f", "--json"]) == ExitCode.OK
    assert len(json.loads(capsys.readouterr().out)["Versions"]) == 3


def test_everything_in_a_store_is_its_owners_alone(store: Path) -> None:
    """Directories 0700, files 0600, whatever the umask of the person was."""
    write(store, b"f", b"x")

    for path in [store, *store.rglob("*")]:
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path


def test_init_leaves_no_store_where_it_fails(tmp_path: Path) -> None:
    """Half a store would be taken for a damaged one."""
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "mine").write_text("x")
    good, store = tmp_path / "zone", tmp_path / "store"

    code = run(["init", str(store), "--zone", str(good), "--zone", str(taken)])

    assert code == ExitCode.ALREADY_EXISTS
    assert sorted(tmp_path.iterdir()) == [taken]
    assert [path.name for path in taken.iterdir()] == ["mine"]


def test_init_clears_up_after_an_interruption(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in the middle; the directory was there before and stays, empty."""
    store = tmp_path / "store"
    store.mkdir()

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("s3fs_local.daemon.creation.write_store_file", interrupted)

    assert run(["init", str(store)]) == ExitCode.INTERRUPTED
    assert list(store.iterdir()) == []


@pytest.mark.parametrize("place", ["store", "zone"])
def test_what_a_killed_init_left_is_known_as_that(
    tmp_path: Path, capsys: Capture, place: str
) -> None:
    """Nobody has to guess whether there is anything in it. Of what was used it is not said."""
    store, zone = tmp_path / "store", tmp_path / "zone"
    again = ["init", str(store), "--zone", str(zone)]
    assert run(again) == ExitCode.OK
    (store / "store.json").unlink()  # which comes last
    (store / ".store.json.tmp").touch()
    if place == "zone":
        shutil.rmtree(store)
    said = f"if an init that named it was ended, remove {tmp_path / place}"
    assert run(again) == ExitCode.ALREADY_EXISTS
    assert said in capsys.readouterr().err

    shutil.rmtree(zone)
    shutil.rmtree(store, ignore_errors=True)
    assert run(again) == ExitCode.OK
    assert run(["status", str(store)]) == ExitCode.OK
    (store / "store.json").unlink()
    if place == "zone":
        shutil.rmtree(store)
    capsys.readouterr()
    assert run(again) == ExitCode.ALREADY_EXISTS
    assert "remove" not in capsys.readouterr().err


def test_zones_are_directories_or_file_urls(tmp_path: Path, capsys: Capture) -> None:
    """Each holds the sealed keys too, and answers to `status`."""
    store, one, two = tmp_path / "store", tmp_path / "one", tmp_path / "two"
    code = run(["init", str(store), "--zone", str(one), "--zone", two.as_uri(), "--json"])
    assert code == ExitCode.OK
    assert json.loads(capsys.readouterr().out)["Zones"] == [str(one), str(two)]
    assert (one / "key-ring.json").read_bytes() == (two / "key-ring.json").read_bytes()

    assert run(["status", str(store), "--json"]) == ExitCode.OK
    assert [zone["State"] for zone in json.loads(capsys.readouterr().out)["Zones"]] == ["well"] * 2
    for wrong in ("ftp://host/x", "file://[", "file:///a%00b"):
        assert run(["init", str(tmp_path / "other"), "--zone", wrong]) == ExitCode.USAGE


def test_a_zone_is_named_as_it_is_listed_or_as_it_lies_here(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """Whoever copies from `zone list`, or types the path that they see, means that zone."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert run(["zone", "add", str(store), "two"]) == ExitCode.OK
    capsys.readouterr()
    assert run(["zone", "list", str(store), "--json"]) == ExitCode.OK
    first, second = json.loads(capsys.readouterr().out)["Zones"]
    assert first["Url"] == "zones/zone-1"
    for text in (first["Url"], first["ZoneId"][:8], str(store / first["Url"])):
        assert run(["zone", "repair", str(store), text]) == ExitCode.OK
        assert run(["zone", "remove", str(store), text, "--dry-run"]) == ExitCode.OK
        assert "zones/zone-1 would be removed" in capsys.readouterr().out
    for text in ("two", "./two", "../elsewhere/two", second["Url"]):
        assert run(["zone", "remove", str(store), text, "--dry-run"]) == ExitCode.OK
        assert f"{tmp_path / 'elsewhere/two'} would be removed" in capsys.readouterr().out


def test_a_passphrase_and_a_recovery_key_each_open_a_store(tmp_path: Path, capsys: Capture) -> None:
    """The recovery key is for the day nobody remembers the words."""
    words, wrong = tmp_path / "words", tmp_path / "wrong"
    words.write_text("correct horse\n")
    wrong.write_text("battery staple\n")
    recovery, store = tmp_path / "recovery", tmp_path / "store"
    options = ["--passphrase-file", str(words), "--recovery-key", str(recovery)]
    assert run(["init", str(store), *options]) == ExitCode.OK
    assert not (store / "unlock.key").exists()
    assert recovery.stat().st_mode & 0o777 == 0o600

    assert run(["--passphrase-file", str(words), "stats", str(store)]) == ExitCode.OK
    assert run(["--key-file", str(recovery), "stats", str(store)]) == ExitCode.OK
    capsys.readouterr()
    assert run(["--passphrase-file", str(wrong), "stats", str(store)]) == ExitCode.WRONG_KEY
    assert "passphrase" in capsys.readouterr().err
    assert run(["stats", str(store)]) == ExitCode.WRONG_KEY


def test_a_recovery_key_is_written_over_nothing(tmp_path: Path) -> None:
    """It may be the one of another store."""
    other = tmp_path / "recovery"
    other.write_text("precious")

    assert run(["init", str(tmp_path / "s"), "--recovery-key", str(other)]) == ExitCode.USAGE
    assert other.read_text() == "precious"
    assert not (tmp_path / "s").exists()


def test_purge_asks_and_without_a_terminal_refuses(store: Path, capsys: Capture) -> None:
    """A script must say --yes; a person sees the sentence first."""
    write(store, b"f", b"one", b"two")
    run(["versions", f"{store}:/f", "--json"])
    version = json.loads(capsys.readouterr().out)["Versions"][1]["VersionId"]

    assert run(["purge", f"{store}:/f", "--version", version]) == ExitCode.NOT_CONFIRMED
    said = capsys.readouterr().err
    assert "--yes" in said
    assert version in said
    assert run(["purge", f"{store}:/f", "--version", version, "--yes"]) == ExitCode.OK
    capsys.readouterr()
    run(["versions", f"{store}:/f", "--json"])
    assert len(json.loads(capsys.readouterr().out)["Versions"]) == 1


def test_errors_are_two_lines_and_name_the_input(store: Path, capsys: Capture) -> None:
    """What was wrong, and what to do; with --json one object for programs."""
    path = f"{store}:/absent"
    assert run(["versions", path]) == ExitCode.NOT_FOUND
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2
    assert said[0].startswith("s3fs-local: ")
    assert path in said[0]
    assert said[1].startswith("  ")

    assert run(["versions", path, "--json"]) == ExitCode.NOT_FOUND
    assert json.loads(capsys.readouterr().err)["Error"]["Code"] == "NoSuchName"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["no-such-command"], ExitCode.USAGE),
        (["versions"], ExitCode.USAGE),
        (["versions", "/etc/passwd"], ExitCode.NOT_MOUNTED),
        (["umount", "/"], ExitCode.NOT_MOUNTED),
        (["status", "/etc"], ExitCode.NOT_A_STORE),
        (["mount", "/etc", "/mnt"], ExitCode.NOT_A_STORE),
        (["mount", "/etc", "/mnt", "-o", "alow_other"], ExitCode.USAGE),
        (["init", "/missing/folder/store"], ExitCode.USAGE),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes_have_their_exit_codes(arguments: list[str], code: ExitCode) -> None:
    """Scripts tell them apart."""
    assert run(arguments) == code


def test_a_store_in_use_names_its_holder(store: Path, capsys: Capture) -> None:
    """Two processes in one store would destroy it."""

    async def hold() -> None:
        async with open_store(store, Unlocking(), mount_point="/mnt/held"):
            code = await trio.to_thread.run_sync(run, ["stats", str(store)])
            assert code == ExitCode.STORE_IN_USE

    trio.run(hold)
    said = capsys.readouterr().err
    assert f"process {os.getpid()}" in said
    assert "/mnt/held" in said


def test_a_lost_key_ring_comes_back_from_a_zone(store: Path) -> None:
    """Each zone has a copy; nobody need copy files about."""
    ring = store / "key-ring.json"
    content = ring.read_bytes()
    ring.write_bytes(content[:100])

    assert run(["stats", str(store)]) == ExitCode.OK
    assert ring.read_bytes() == content


def test_a_store_without_any_key_ring_is_damaged_not_open(store: Path, capsys: Capture) -> None:
    """The message says which file."""
    (store / "key-ring.json").unlink()
    (store / "zones" / "zone-1" / "key-ring.json").unlink()

    assert run(["stats", str(store)]) == ExitCode.STORE_DAMAGED
    assert "key-ring.json" in capsys.readouterr().err


def test_a_missing_zone_is_named(store: Path, capsys: Capture) -> None:
    """An empty mount point of a missing disk must not be taken for an empty zone."""
    (store / "zones" / "zone-1").rename(store / "elsewhere")

    assert run(["stats", str(store)]) == ExitCode.STORAGE_FAILED
    assert "zone-1" in capsys.readouterr().err


def test_names_cannot_steer_the_terminal(store: Path, capsys: Capture) -> None:
    """A file's name may hold escape sequences; they are shown, not obeyed."""
    write(store, b"\x1b[31mred\n", b"x")

    run(["versions", f"{store}:/"])

    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\\x1b[31mred\\n" in out


@pytest.mark.parametrize("kind", ["xterm", "dumb"])
def test_a_narrow_terminal_cuts_no_time_and_no_version(
    store: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """They are there to be copied: into `restore --at`, into `cat --version`."""
    write(store, b"f", b"x")
    run(["versions", f"{store}:/f"])
    version, time, *_ = capsys.readouterr().out.split()
    monkeypatch.setenv("COLUMNS", "50")
    monkeypatch.setenv("TERM", kind)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    run(["timeline", f"{store}:/"])
    shown = capsys.readouterr().out.split()

    assert version in shown
    assert time in shown


def test_time_can_be_rehearsed_in_a_test_store_only(
    tmp_path: Path, store: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable must never unlock a real store early."""
    rehearsal = tmp_path / "rehearsal"
    run(["init", str(rehearsal), "--object-lock", "--test-clock"])
    for path in (store, rehearsal):
        write(path, b"f", b"x")
        assert run(["retention", "set", "compliance", "30d", f"{path}:/f"]) == ExitCode.OK
    capsys.readouterr()
    monkeypatch.setenv("S3FS_LOCAL_TEST_CLOCK", "2099-01-01T00:00:00Z")

    def may_remove(path: Path) -> bool:
        run(["why", "unlink", f"{path}:/f", "--json"])
        allowed: bool = json.loads(capsys.readouterr().out)["Allowed"]
        return allowed

    assert may_remove(rehearsal)
    assert not may_remove(store)


def test_a_rehearsed_time_that_is_none_names_its_variable(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stands on no command line, so nobody would know where to look."""
    store = str(tmp_path / "store")
    run(["init", store, "--test-clock"])
    monkeypatch.setenv("S3FS_LOCAL_TEST_CLOCK", "soon")
    capsys.readouterr()
    assert run(["log", f"{store}:/"]) == ExitCode.USAGE
    assert "S3FS_LOCAL_TEST_CLOCK: " in capsys.readouterr().err


def test_no_edit_of_the_last_stamp_ends_a_lock(store: Path, capsys: Capture) -> None:
    """The database says it is 2080 already; the ledger knows how late it was."""
    write(store, b"f", b"x")
    run(["retention", "set", "compliance", "30d", f"{store}:/f"])
    connection = sqlite3.connect(store / "metadata.sqlite")
    with connection:
        connection.execute("UPDATE state SET stamp_ns = 3471292800000000000")
    connection.close()
    capsys.readouterr()
    run(["why", "unlink", f"{store}:/f", "--json"])

    assert not json.loads(capsys.readouterr().out)["Allowed"]
    assert run(["verify", str(store)]) == ExitCode.ALTERED


def test_no_edit_makes_a_store_one_that_rehearses_time(
    store: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One word in store.json, one row in the database: the ledger says how the store was made."""
    write(store, b"f", b"x")
    run(["retention", "set", "compliance", "30d", f"{store}:/f"])
    description = store / "store.json"
    text = description.read_text()
    assert '"test_clock": false' in text
    description.write_text(text.replace('"test_clock": false', '"test_clock": true'))
    connection = sqlite3.connect(store / "metadata.sqlite")
    with connection:
        connection.execute("INSERT INTO setting VALUES ('fact.test-clock', 'true')")
    connection.close()
    monkeypatch.setenv("S3FS_LOCAL_TEST_CLOCK", "2099-01-01T00:00:00Z")
    capsys.readouterr()
    run(["why", "unlink", f"{store}:/f", "--json"])

    assert not json.loads(capsys.readouterr().out)["Allowed"]
    assert run(["verify", str(store)]) == ExitCode.ALTERED


def test_diff_shows_lines_and_compares_by_machine(store: Path, capfd: Capture) -> None:
    """As diff(1), with version ids for names."""
    write(store, b"f", b"one\n", b"two\n")

    assert run(["diff", f"{store}:/f"]) == ExitCode.OK
    assert "-one\n+two\n" in capfd.readouterr().out
    assert run(["diff", f"{store}:/f", "latest", "--json"]) == ExitCode.OK
    assert json.loads(capfd.readouterr().out)["Identical"]


def test_bucket_documents_go_in_and_out(tmp_path: Path, capsys: Capture) -> None:
    """`get` prints what `put` takes."""
    store, document = tmp_path / "store", tmp_path / "versioning.json"
    run(["init", str(store), "--versioning", "Suspended"])
    capsys.readouterr()
    assert run(["bucket", "versioning", "get", str(store)]) == ExitCode.OK
    document.write_text(capsys.readouterr().out)

    assert json.loads(document.read_text()) == {"Status": "Suspended"}
    assert run(["bucket", "versioning", "put", str(store), str(document)]) == ExitCode.OK


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(shell: str, capsys: Capture) -> None:
    """For each of the shells."""
    assert run(["completion", shell]) == ExitCode.OK
    assert "_S3FS_LOCAL_COMPLETE" in capsys.readouterr().out


def test_every_command_explains_itself(capsys: Capture) -> None:
    """--help works everywhere and never loads what a command needs to run."""

    def walk(group: object, *path: str) -> Iterator[tuple[str, ...]]:
        commands = getattr(group, "commands", {})
        yield path
        for name, command in commands.items():
            yield from walk(command, *path, name)

    for path in walk(program):
        assert run([*path, "--help"]) == ExitCode.OK
        assert "Usage: s3fs-local" in capsys.readouterr().out


def test_help_needs_none_of_the_heavy_parts() -> None:
    """A start must be felt as instant: nothing is imported that takes long and is not needed."""
    script = (
        "import sys; from s3fs_local.cli.main import run; run(['--help']);"
        "heavy = {'rich', 'trio', 'apsw', 'cryptography', 'blake3', 'ssl', 'boto3',"
        "'email', 'http.client', 'webbrowser', 'asyncio'} & set(sys.modules);"
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_output_cut_off_by_the_reader_is_no_error(store: Path) -> None:
    """`versions … | head` ends quietly."""
    write(store, b"f", *(b"%d" % number for number in range(20)))
    command = [sys.executable, "-m", "s3fs_local", "versions", f"{store}:/f"]
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)

    assert done.stderr == ""


def test_output_that_cannot_be_written_is_told(store: Path) -> None:
    """A full disk below `> file` is no fault of the program."""
    write(store, b"f", b"content")
    for command in ("versions", "cat", "log"):
        typed = [sys.executable, "-m", "s3fs_local", command, f"{store}:/f"]
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(
                typed, stdout=full, stderr=subprocess.PIPE, text=True, check=False
            )
        assert done.returncode == ExitCode.STORAGE_FAILED
        first, _ = done.stderr.splitlines()
        assert first == "s3fs-local: what was printed could not be written: No space left on device"


def test_streams_that_are_closed_lead_nowhere(store: Path) -> None:
    """As a daemon or a job without any starts us: nothing else gets their numbers."""
    write(store, b"f", b"content")
    program = f"'{sys.executable}' -m s3fs_local"
    for command in (f"versions {store}:/f", f"log {store}:/f --json", f"status {store}"):
        script = f"exec {program} {command} <&- >&-"
        done = subprocess.run(["sh", "-c", script], stderr=subprocess.PIPE, text=True, check=False)
        assert (done.returncode, done.stderr) == (ExitCode.OK, "")
    script = f"{program} purge {store}:/f --version none <&- 2>&-"
    done = subprocess.run(["sh", "-c", script], stdout=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stdout) == (ExitCode.NOT_FOUND, "")
