"""What people get wrong most often: the answer names the input, and what to do instead.

On stores that are not mounted; `tests/scenarios/test_wrong_input_is_named.py` has the mounted ones.
"""

from pathlib import Path
from typing import NamedTuple

import pytest

from s3fs_local.cli.exit_codes import ExitCode
from s3fs_local.cli.main import run
from tests.mounting import run as run_program

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store, a folder with a file in it, and an empty folder."""
    folder = tmp_path_factory.mktemp("mistakes")
    assert run(["init", str(folder / "store"), "--object-lock"]) == ExitCode.OK
    (folder / "full").mkdir()
    (folder / "full" / "mine").write_text("x")
    (folder / "point").mkdir()
    return folder


class Mistake(NamedTuple):
    """What was typed, and what the answer must hold."""

    typed: str
    code: ExitCode
    problem: str
    advice: str


MISTAKES = [
    Mistake("init full", ExitCode.ALREADY_EXISTS, "full is not empty", "new or an empty"),
    Mistake("init store", ExitCode.ALREADY_EXISTS, "store is not empty", "new or an empty"),
    Mistake("init a/b", ExitCode.USAGE, "no directory", "--help"),
    Mistake("init new --zone a/zone", ExitCode.USAGE, "no directory", "--help"),
    Mistake("init /proc/store", ExitCode.STORAGE_FAILED, "/proc/store: No such file", "whether"),
    Mistake("mount stoer point", ExitCode.NOT_A_STORE, "stoer holds no store", "s3fs-local init"),
    Mistake(
        "mount store nowhere",
        ExitCode.MOUNT_FAILED,
        "nowhere does not exist: make it with mkdir",
        "Give an existing",
    ),
    Mistake("mount store full", ExitCode.MOUNT_FAILED, "full is not empty", "empty directory"),
    Mistake(
        "mount store point -o alow_other", ExitCode.USAGE, "did you mean 'allow_other'", "man mount"
    ),
    Mistake(
        "mount store point -o quick", ExitCode.USAGE, "'quick'; there are: acl, allow_", "man mount"
    ),
    Mistake(
        "mount store point -o key_file=no", ExitCode.USAGE, "no key or passphrase file", "man mount"
    ),
    Mistake("mount store point --forground", ExitCode.USAGE, "'--foreground'", "mount --help"),
    Mistake(
        "--key-file full/mine stats store", ExitCode.WRONG_KEY, "mine holds no key", "--key-file"
    ),
    Mistake("--passphrase-file no stats store", ExitCode.USAGE, "file no cannot be read", "--help"),
    Mistake("umount point", ExitCode.NOT_MOUNTED, "no store is mounted at", "findmnt"),
    Mistake("verisons store:/f", ExitCode.USAGE, "'versions'", "s3fs-local --help"),
    Mistake("versions point/f", ExitCode.NOT_MOUNTED, "point/f is not inside", "STORE:/path"),
    Mistake(
        "versions store:/absent", ExitCode.NOT_FOUND, "nothing ever was called absent", "spelling"
    ),
    Mistake("restore store:/ --at yesterdy", ExitCode.USAGE, "'yesterdy' names no instant", "2d"),
    Mistake("undelete store:/absent", ExitCode.NOT_FOUND, "absent' was never deleted", "log PATH"),
    Mistake("config set store draft-memory 5XB", ExitCode.USAGE, "a size from 4MiB", "config show"),
    Mistake(
        "config set store draftmemory 5MiB",
        ExitCode.USAGE,
        "no setting 'draftmemory'",
        "config show",
    ),
    Mistake("lifecycle plan store --days -1", ExitCode.USAGE, "1 to 3660 days, not -1", "--help"),
    Mistake(
        "key disable store nokey --yes",
        ExitCode.NOT_FOUND,
        "no key 'nokey'; there are: store",
        "key list",
    ),
    Mistake("key enable store store --version 7", ExitCode.NOT_FOUND, "no version 7", "key list"),
    Mistake("zone add store a/zone", ExitCode.STORAGE_FAILED, "no directory", "whether it exists"),
    Mistake("lifecycle plan store --days 0", ExitCode.USAGE, "1 to 3660 days, not 0", "--help"),
    Mistake("versions store:/.versions", ExitCode.USAGE, "name the file itself", "--help"),
    Mistake("cat store:/a/.versions/f", ExitCode.NOT_FOUND, "never was a directory a", "spelling"),
    Mistake("restore store:/.versions/f", ExitCode.USAGE, "name the file itself", "--help"),
    Mistake("retention info store:/.versions/f", ExitCode.USAGE, "name the file itself", "--help"),
    Mistake(
        "retention clear store:/f --bypass-governance", ExitCode.USAGE, "needs --reason", "--help"
    ),
    Mistake("key add store store", ExitCode.ALREADY_EXISTS, "is there already", "another name,"),
    Mistake("zone remove store elsewhere --yes", ExitCode.USAGE, "elsewhere is no zone", "--help"),
    Mistake("purge store:/ --version zz --yes", ExitCode.WRONG_KIND, "name a file", "Name a file"),
    Mistake("ledger export store a/out", ExitCode.USAGE, "a/out cannot be written", "--help"),
]


@pytest.mark.parametrize("mistake", MISTAKES, ids=[mistake.typed for mistake in MISTAKES])
def test_a_mistake_is_two_lines(
    mistake: Mistake, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """The first says what was wrong with which input, the second what to do."""
    monkeypatch.chdir(place)
    assert run(mistake.typed.split()) == mistake.code
    said = capsys.readouterr()
    first, second = said.err.splitlines()
    assert first.startswith("s3fs-local: ")
    assert mistake.problem in first
    assert mistake.advice in second
    assert said.out == ""
    assert {path.name for path in place.iterdir()} == {"store", "full", "point"}


@pytest.mark.parametrize(
    "words",
    [
        ["status", ""],
        ["gc", ""],
        ["versions", ""],
        ["cat", "store:/f", "--version", ""],
        ["restore", "store:/f", "--version", ""],
        ["restore", "store:/f", "--to", ""],
        ["purge", "store:/f", "--version", "", "--yes"],
        ["class", "set", "store:/f", "GLACIER", "--version", ""],
        ["diff", "store:/f", ""],
    ],
)
def test_what_is_empty_is_not_taken_for_what_was_not_typed(
    words: list[str], place: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """`--version "$ID"`, where nothing set ID, means no version: not the latest one."""
    monkeypatch.chdir(place)
    assert run(words) == ExitCode.USAGE
    assert "it is empty" in capsys.readouterr().err


def test_nothing_typed_shows_what_can_be(capsys: Capture) -> None:
    """The first thing that people try; each summary is whole."""
    for words, command in (([], "undelete"), (["key"], "rotate")):
        assert run(words) == ExitCode.USAGE
        said = capsys.readouterr().err
        assert f"\n  {command} " in said
        assert "\\n" not in said
        assert "..." not in said.partition("\n")[2]


def test_what_is_not_confirmed_leads_only_to_options_that_there_are(
    place: Path, capsys: Capture
) -> None:
    """Both that are named can be typed."""
    store = str(place / "store")
    for words in (["key", "disable", store, "store"], ["key", "rewrap", store, "--forget-old"]):
        assert run(words) == ExitCode.NOT_CONFIRMED
        assert "--yes; --dry-run shows" in capsys.readouterr().err
        assert run([*words, "--dry-run"]) == ExitCode.OK


def test_a_version_that_is_not_there_is_not_asked_about(place: Path, capsys: Capture) -> None:
    """A question that names it would say that there is one."""
    assert run(["purge", f"{place}/store:/f", "--version", "zz"]) == ExitCode.NOT_FOUND
    assert "destroyed" not in capsys.readouterr().err


@pytest.mark.parametrize("typed", ["undelete ../gone", "versions .", "status", "umount ."])
def test_a_directory_that_was_removed_below_ones_feet_is_a_sentence(
    typed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """Who wants a tree back often stands in it still."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()

    assert run(typed.split()) == ExitCode.STORAGE_FAILED
    assert "the current directory was removed: cd to one" in capsys.readouterr().err


def test_a_database_that_is_rubbish_is_told_with_the_command_that_makes_it_anew(
    tmp_path: Path, capsys: Capture
) -> None:
    """And what is to be typed works as it was told."""
    store = tmp_path / "store"
    assert run(["init", str(store)]) == ExitCode.OK
    (store / "metadata.sqlite").write_bytes(b"rubbish " * 1000)
    assert run(["stats", str(store)]) == ExitCode.STORE_DAMAGED
    assert "`s3fs-local fsck STORE --rebuild` makes it anew" in capsys.readouterr().err
    assert run(["fsck", str(store), "--rebuild"]) == ExitCode.OK

    assert run(["stats", str(store)]) == ExitCode.OK


def test_a_read_only_disk_is_a_sentence(small_disk: Path, capsys: Capture) -> None:
    """Whatever the system refuses: the file and the reason are told, and no traceback."""
    store = small_disk / "store"
    (small_disk / "point").mkdir()
    assert run(["init", str(store)]) == ExitCode.OK
    run_program("mount", "-o", "remount,ro", small_disk)
    for words, reason in (
        (["init", str(small_disk / "new")], "Read-only file system"),
        (
            ["mount", str(store), str(small_disk / "point")],
            "is read-only; mount it with -o ro to read it",
        ),
        (["gc", str(store)], "is read-only"),
        (["fsck", str(store), "--rebuild"], "is read-only"),
    ):
        assert run(words) != ExitCode.OK
        first, second = capsys.readouterr().err.splitlines()
        assert str(small_disk) in first
        assert reason in first
        assert second.startswith("  ")
        assert "zone" not in second
