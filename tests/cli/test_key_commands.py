"""Keys by the command line, on a store that is not mounted: what opens it, and what wraps."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keyring
import pytest
from blake3 import blake3

from s3fs_local.cli.exit_codes import ExitCode
from s3fs_local.cli.main import run
from s3fs_local.cli.options import ask_new_passphrase
from s3fs_local.cli.store_access import ask, ask_by_secret
from s3fs_local.daemon.store_file import read_store_file
from s3fs_local.daemon.unlocking import (
    CREDENTIALS_VARIABLE,
    may_have_a_passphrase,
    put_into_keyring,
)
from s3fs_local.errors import DaemonUnreachable, InvalidArgument
from tests.keyring_backend import FILE_VARIABLE, FileKeyring

Capture = pytest.CaptureFixture[str]
pytestmark = pytest.mark.slow  # a passphrase takes its time


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A new store with a key file."""
    path = tmp_path / "store"
    assert run(["init", str(path)]) == ExitCode.OK
    return path


def said(capsys: Capture, *arguments: str | Path) -> dict[str, object]:
    """What a command prints as JSON."""
    capsys.readouterr()
    assert run([*map(str, arguments), "--json"]) == ExitCode.OK
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def file_with(path: Path, text: str) -> Path:
    """The file holds the text."""
    path.write_text(text)
    return path


def test_a_key_is_listed_added_rotated_and_rewrapped(store: Path, capsys: Capture) -> None:
    """The story, each step durable: every command opens the store anew."""
    assert run(["key", "add", str(store), "tenant"]) == ExitCode.OK
    assert run(["key", "rotate", str(store)]) == ExitCode.OK
    listing = said(capsys, "key", "list", store)
    keys = listing["Keys"]
    assert isinstance(keys, list)
    assert [(key["Name"], len(key["Versions"])) for key in keys] == [("store", 2), ("tenant", 1)]
    assert listing["OpenedBy"] == ["key-file"]
    assert run(["key", "rewrap", str(store), "--forget-old", "--yes"]) == ExitCode.OK
    assert run(["key", "disable", str(store), "tenant"]) == ExitCode.NOT_CONFIRMED
    capsys.readouterr()
    assert run(["key", "disable", str(store), "tenant", "--dry-run"]) == ExitCode.OK
    told = capsys.readouterr().out
    assert "tenant\tring\t1\tenabled" in told
    assert "key tenant would be disabled, with 0 data keys" in told
    assert run(["key", "disable", str(store), "tenant", "--yes"]) == ExitCode.OK
    capsys.readouterr()
    run(["status", str(store)])
    assert "tenant" in capsys.readouterr().out
    assert run(["key", "enable", str(store), "tenant"]) == ExitCode.OK
    run(["key", "list", str(store)])
    assert "store\tring\t2\tenabled\t0\tnew files" in capsys.readouterr().out


def test_the_document_of_aws_is_taken_and_printed(
    store: Path, tmp_path: Path, capsys: Capture
) -> None:
    """`aws s3api put-bucket-encryption --server-side-encryption-configuration file://…`."""
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}
    document = file_with(tmp_path / "d.json", json.dumps({"Rules": [rule]}))
    assert run(["bucket", "encryption", "put", str(store), str(document)]) == ExitCode.OK
    printed = said(capsys, "bucket", "encryption", "get", store)
    assert printed == {
        "ServerSideEncryptionConfiguration": {"Rules": [{**rule, "BucketKeyEnabled": False}]}
    }
    assert run(["bucket", "encryption", "delete", str(store)]) == ExitCode.OK
    assert "AES256" in json.dumps(said(capsys, "bucket", "encryption", "get", store))
    wrong = file_with(tmp_path / "w.json", '{"Rules": []}')
    assert run(["bucket", "encryption", "put", str(store), str(wrong)]) == ExitCode.USAGE
    assert "MalformedXML" in capsys.readouterr().err


def test_a_passphrase_takes_the_place_of_the_key_file(store: Path, tmp_path: Path) -> None:
    """And then of another passphrase; each change asks nothing but what opens the store now."""
    first = file_with(tmp_path / "first", "correct horse\n")
    second = file_with(tmp_path / "second", "battery staple\n")
    change = ["key", "passphrase", str(store), "--new-passphrase-file"]
    assert run([*change, str(first), "--only"]) == ExitCode.OK
    assert not (store / "unlock.key").exists()
    assert run(["stats", str(store)]) == ExitCode.WRONG_KEY
    by_first = ["--passphrase-file", str(first)]
    assert run([*by_first, *change, str(second)]) == ExitCode.OK
    assert run([*by_first, "stats", str(store)]) == ExitCode.WRONG_KEY
    assert run(["--passphrase-file", str(second), "stats", str(store)]) == ExitCode.OK
    for copy in (store, store / "zones" / "zone-1"):
        ring = (copy / "key-ring.json").read_text()
        assert ring.count('"kind"') == 1


def test_a_passphrase_that_nobody_typed_changes_nothing(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a terminal there is no question; at one, it is asked twice."""
    assert run(["key", "passphrase", str(store)]) == ExitCode.USAGE
    assert run(["stats", str(store)]) == ExitCode.OK
    answers = iter(["one", "two", "same", "same"])
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("getpass.getpass", lambda _: next(answers))
    with pytest.raises(InvalidArgument, match="differ"):
        ask_new_passphrase(store)
    assert ask_new_passphrase(store) == "same"


def test_a_recovery_sheet_opens_the_store_as_it_was_printed(
    tmp_path: Path, capsys: Capture
) -> None:
    """The whole sheet, or the letters alone, typed in a hurry."""
    store, sheet = tmp_path / "store", tmp_path / "sheet.txt"
    assert run(["init", str(store), "--recovery-key", str(sheet)]) == ExitCode.OK
    text = sheet.read_text()
    store_id = json.loads((store / "store.json").read_text())["store_id"]
    assert store_id in text
    lines = [line for line in text.splitlines() if str(store) not in line]
    assert max(map(len, lines)) <= 80
    assert sheet.stat().st_mode & 0o777 == 0o600
    (store / "unlock.key").unlink()
    assert run(["stats", str(store)]) == ExitCode.WRONG_KEY
    assert run(["--key-file", str(sheet), "stats", str(store)]) == ExitCode.OK
    letters = [line for line in text.splitlines() if line.startswith("    ") and "s3fs" not in line]
    typed = file_with(tmp_path / "typed", "".join(letters).lower().replace(" ", ""))
    assert run(["--key-file", str(typed), "stats", str(store)]) == ExitCode.OK
    wrong = file_with(tmp_path / "wrong", typed.read_text()[:-1] + "?")
    capsys.readouterr()
    assert run(["--key-file", str(wrong), "stats", str(store)]) == ExitCode.WRONG_KEY
    assert "mistyped" in capsys.readouterr().err


def test_who_gives_nothing_is_told_what_would_open_the_store(
    tmp_path: Path, capsys: Capture
) -> None:
    """Of a store made anew from a zone the key file is lost; nobody had a passphrase to remember.

    It said so, and asked for one at the terminal.
    """
    store, zone, sheet = tmp_path / "store", tmp_path / "zone", tmp_path / "sheet.txt"
    options = ["--zone", str(zone), "--recovery-key", str(sheet)]
    assert run(["init", str(store), *options]) == ExitCode.OK
    shutil.rmtree(store)
    words = "store is opened by a key file or a recovery key, and none was given"
    rebuild = ["fsck", str(store), "--rebuild", "--zone", str(zone)]
    assert run(rebuild) == ExitCode.WRONG_KEY
    assert words in capsys.readouterr().err
    assert run(["--key-file", str(sheet), *rebuild]) == ExitCode.OK
    assert not may_have_a_passphrase(store)
    assert run(["stats", str(store)]) == ExitCode.WRONG_KEY
    assert words in capsys.readouterr().err

    file = file_with(tmp_path / "words", "correct horse\n")
    other = tmp_path / "other"
    assert run(["init", str(other), "--passphrase-file", str(file)]) == ExitCode.OK
    assert may_have_a_passphrase(other)
    assert run(["stats", str(other)]) == ExitCode.WRONG_KEY
    assert "other is opened by a passphrase, and none was given" in capsys.readouterr().err


def test_a_new_recovery_sheet_makes_the_old_one_worthless(
    store: Path, tmp_path: Path, capsys: Capture
) -> None:
    """And is never written over another file."""
    sheets = [tmp_path / "1", tmp_path / "2"]
    for sheet in sheets:
        assert run(["key", "recovery", str(store), str(sheet)]) == ExitCode.OK
    capsys.readouterr()
    assert run(["key", "recovery", str(store), str(sheets[0])]) == ExitCode.USAGE
    assert "name another sheet, or move it away" in capsys.readouterr().err

    assert run(["--key-file", str(sheets[0]), "stats", str(store)]) == ExitCode.WRONG_KEY
    assert run(["--key-file", str(sheets[1]), "stats", str(store)]) == ExitCode.OK


def test_a_credential_of_systemd_opens_the_store(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LoadCredential=key:… or passphrase:…; nothing secret is in the environment itself."""
    folder = tmp_path / "credentials"
    folder.mkdir()
    (store / "unlock.key").rename(folder / "key")
    assert run(["stats", str(store)]) == ExitCode.WRONG_KEY
    monkeypatch.setenv(CREDENTIALS_VARIABLE, str(folder))
    assert run(["stats", str(store)]) == ExitCode.OK
    passphrase = file_with(tmp_path / "p", "correct horse")
    change = ["key", "passphrase", str(store), "--only", "--new-passphrase-file", str(passphrase)]
    assert run(change) == ExitCode.OK
    (folder / "key").unlink()
    passphrase.rename(folder / "passphrase")

    assert run(["stats", str(store)]) == ExitCode.OK


@pytest.fixture
def desktop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A desktop with a keyring."""
    monkeypatch.setenv(FILE_VARIABLE, str(tmp_path / "keyring"))
    before = keyring.get_keyring()
    keyring.set_keyring(FileKeyring())
    yield
    keyring.set_keyring(before)


@pytest.mark.usefixtures("desktop")
def test_the_keyring_of_the_desktop_opens_the_store(
    tmp_path: Path, store: Path, capsys: Capture
) -> None:
    """Made so, or moved there; no key lies in the store then."""
    made = tmp_path / "made"
    assert run(["init", str(made), "--keyring"]) == ExitCode.OK
    assert run(["key", "keyring", str(store)]) == ExitCode.OK
    for path in (made, store):
        assert not (path / "unlock.key").exists()
        assert run(["stats", str(path)]) == ExitCode.OK
    os.unlink(tmp_path / "keyring")  # noqa: PTH108  as a person would
    capsys.readouterr()
    assert run(["stats", str(store)]) == ExitCode.WRONG_KEY
    assert "keyring" in capsys.readouterr().err


@pytest.mark.usefixtures("desktop")
def test_the_keyring_takes_a_new_key_for_the_one_it_has(tmp_path: Path) -> None:
    """It forgets the old one when it is told the new one: the new one opens the store by then."""
    store = tmp_path / "made"
    assert run(["init", str(store), "--keyring"]) == ExitCode.OK
    old = (tmp_path / "keyring").read_text()
    assert run(["key", "keyring", str(store)]) == ExitCode.OK
    assert (tmp_path / "keyring").read_text() != old
    assert run(["stats", str(store)]) == ExitCode.OK
    assert (store / "key-ring.json").read_text().count('"kind"') == 1
    (tmp_path / "keyring").write_text(old)
    assert run(["stats", str(store)]) == ExitCode.WRONG_KEY


@pytest.mark.usefixtures("desktop")
@pytest.mark.parametrize("is_told", [False, True])
@pytest.mark.parametrize("begins_with", ["--keyring", "--test-clock"])
def test_a_move_to_the_keyring_that_ends_half_way_locks_nobody_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begins_with: str, *, is_told: bool
) -> None:
    """Ctrl-C before the keyring has the key, or right after; the next try goes through."""
    store = tmp_path / "made"
    assert run(["init", str(store), begins_with]) == ExitCode.OK

    def end(store_id: str, key_text: str) -> None:
        if is_told:
            put_into_keyring(store_id, key_text)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("s3fs_local.cli.key_commands.put_into_keyring", end)
        run(["key", "keyring", str(store)])
    assert run(["stats", str(store)]) == ExitCode.OK
    assert run(["key", "keyring", str(store)]) == ExitCode.OK
    assert run(["stats", str(store)]) == ExitCode.OK
    assert not (store / "unlock.key").exists()


@pytest.mark.usefixtures("desktop")
def test_a_second_move_to_the_keyring_is_refused_meanwhile(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else each could put away the key of the other."""
    second: list[ExitCode | int] = []

    def meanwhile(store_id: str, key_text: str) -> None:
        second.append(run(["key", "keyring", str(store)]))
        put_into_keyring(store_id, key_text)

    monkeypatch.setattr("s3fs_local.cli.key_commands.put_into_keyring", meanwhile)
    assert run(["key", "keyring", str(store)]) == ExitCode.OK
    assert second == [ExitCode.STORE_IN_USE]
    assert run(["stats", str(store)]) == ExitCode.OK


@pytest.mark.usefixtures("desktop")
def test_a_zone_that_is_added_while_the_key_moves_stays(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`store.json` says both who has the key, and which zones there are."""

    def meanwhile(store_id: str, key_text: str) -> None:
        assert run(["zone", "add", str(store), str(tmp_path / "added")]) == ExitCode.OK
        put_into_keyring(store_id, key_text)

    monkeypatch.setattr("s3fs_local.cli.key_commands.put_into_keyring", meanwhile)
    assert run(["key", "keyring", str(store)]) == ExitCode.OK
    record = read_store_file(store)
    assert [len(record.zones), record.keyring, record.key_file] == [2, True, ""]
    for zone in record.zones:
        assert (store / zone.url / "store.json").read_bytes() == (store / "store.json").read_bytes()


@pytest.mark.parametrize("is_first", [True, False])
def test_a_recovery_sheet_that_opens_the_store_is_not_thrown_away(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_first: bool
) -> None:
    """The daemon is gone before it could say that the sheet does; the earlier one may not."""
    old, new = tmp_path / "old", tmp_path / "new"
    assert run(["key", "recovery", str(store), str(old)]) == ExitCode.OK
    asking: Callable[..., object] = ask if is_first else ask_by_secret

    def ask_and_hear_nothing(*arguments: Any, **options: Any) -> None:  # noqa: ANN401  as `ask`
        asking(*arguments, **options)
        raise DaemonUnreachable("the daemon went away")

    with monkeypatch.context() as patch:
        name = "ask" if is_first else "ask_by_secret"
        patch.setattr(f"s3fs_local.cli.key_commands.{name}", ask_and_hear_nothing)
        assert run(["key", "recovery", str(store), str(new)]) != ExitCode.OK
    opening = [
        run(["--key-file", str(sheet), "stats", str(store)]) == ExitCode.OK
        for sheet in (old, new)
        if sheet.exists()
    ]
    assert any(opening)


def test_a_recovery_sheet_that_opens_nothing_is_not_left_behind(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who gave up, or was killed, would print it; and the command would not write over it."""
    sheet = tmp_path / "sheet"

    def give_up(*_: object, **__: object) -> None:
        assert not sheet.exists()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("s3fs_local.cli.key_commands.ask", give_up)
        assert run(["key", "recovery", str(store), str(sheet)]) != ExitCode.OK
    assert [path.name for path in tmp_path.iterdir() if "sheet" in path.name] == []
    (tmp_path / ".sheet.begun").write_text("as of one that was killed")
    assert run(["key", "recovery", str(store), str(sheet)]) == ExitCode.OK

    assert run(["--key-file", str(sheet), "stats", str(store)]) == ExitCode.OK
    assert [path.name for path in tmp_path.iterdir() if "sheet" in path.name] == ["sheet"]


@pytest.mark.parametrize("place", ["key-ring.json", "zones/zone-1/key-ring.json"])
def test_the_key_ring_of_another_store_destroys_none(tmp_path: Path, place: str) -> None:
    """Somebody mixed two stores up. It is newer, and the same passphrase opens both."""
    passphrase = file_with(tmp_path / "p", "correct horse")
    by_passphrase = ["--passphrase-file", str(passphrase)]
    for name in ("store", "other"):
        assert run(["init", str(tmp_path / name), *by_passphrase]) == ExitCode.OK
    store, other = tmp_path / "store", tmp_path / "other"
    assert run([*by_passphrase, "stats", str(store)]) == ExitCode.OK
    assert run([*by_passphrase, "key", "rotate", str(other)]) == ExitCode.OK
    own = (store / place).read_bytes()
    (store / place).write_bytes((other / "key-ring.json").read_bytes())

    assert run([*by_passphrase, "stats", str(store)]) == ExitCode.OK
    for copy in ("key-ring.json", "zones/zone-1/key-ring.json"):
        assert (store / copy).read_bytes() == own


def test_a_key_ring_that_does_not_open_the_store_takes_the_place_of_none(store: Path) -> None:
    """Forged by somebody who can write to the store: without it, the store opens."""
    ring = store / "key-ring.json"
    own = ring.read_bytes()
    forged = json.loads(own)
    forged["ring"]["generation"] += 1
    compact = json.dumps(forged["ring"], separators=(",", ":")).encode()
    ring.write_text(json.dumps(forged | {"digest": blake3(compact).hexdigest()}))

    assert run(["stats", str(store)]) == ExitCode.STORE_DAMAGED
    assert (store / "zones/zone-1/key-ring.json").read_bytes() == own
    ring.unlink()
    assert run(["stats", str(store)]) == ExitCode.OK
    assert ring.read_bytes() == own


def test_an_earlier_ring_put_back_in_all_places_is_noticed(store: Path, capsys: Capture) -> None:
    """One copy put back is simply replaced by the newer ones."""
    copies = [store / "key-ring.json", store / "zones" / "zone-1" / "key-ring.json"]
    old = copies[0].read_bytes()
    assert run(["key", "rotate", str(store)]) == ExitCode.OK
    new = copies[0].read_bytes()
    copies[0].write_bytes(old)
    assert run(["stats", str(store)]) == ExitCode.OK
    assert copies[0].read_bytes() == new
    for copy in copies:
        copy.write_bytes(old)
    capsys.readouterr()

    assert run(["stats", str(store)]) == ExitCode.STORE_DAMAGED
    assert "earlier" in capsys.readouterr().err
