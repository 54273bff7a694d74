"""What all commands have in common: scripts and careful people rely on it."""

import json
from pathlib import Path

import click
import pytest

from s3fs_local.cli.declarations import leaves
from s3fs_local.cli.exit_codes import ExitCode
from s3fs_local.cli.main import program, run

Capture = pytest.CaptureFixture[str]

WITHOUT_JSON = {"cat", "completion"}
"""Their output is the content, or the script, that was asked for (decision 0040)."""


ALL = {
    context.command_path.removeprefix("s3fs-local "): command
    for command, context in leaves(program, click.Context(program, info_name="s3fs-local"))
    if not command.hidden
}
"""Each command that does something, by its words."""


def options(command: click.Command) -> set[str]:
    """As they are typed."""
    return {word for parameter in command.params for word in parameter.opts}


def test_every_command_answers_in_json() -> None:
    """So nobody has to take tables apart."""
    assert len(ALL) > 50
    assert {name for name, one in ALL.items() if "--json" not in options(one)} == WITHOUT_JSON


def test_whatever_asks_can_be_looked_at_first() -> None:
    """`--yes` and `--dry-run` go together: nobody has to say yes to what they have not seen."""
    asking = {name for name, one in ALL.items() if "--yes" in options(one)}

    assert {"purge", "promote", "key disable", "zone remove", "lifecycle run"} <= asking
    assert {name for name in asking if "--dry-run" not in options(ALL[name])} == set()


@pytest.mark.parametrize(
    "kind", ["versioning", "lifecycle", "object-lock", "encryption", "replication"]
)
def test_a_document_that_s3_would_refuse_is_named(
    kind: str, tmp_path: Path, capsys: Capture
) -> None:
    """Which file, by S3's code what is wrong with it, and where to see one that is right."""
    store, file = tmp_path / "store", tmp_path / "document.json"
    assert run(["init", str(store)]) == ExitCode.OK
    file.write_text('{"Nonsense": 1}')
    capsys.readouterr()

    assert run(["bucket", kind, "put", str(store), str(file)]) == ExitCode.USAGE
    said = capsys.readouterr().err
    assert f"{file}: MalformedXML: " in said
    assert "`s3fs-local bucket … get STORE` prints one that is accepted" in said


def test_whatever_goes_wrong_is_told_in_json(tmp_path: Path, capsys: Capture) -> None:
    """A script that asked for JSON needs no second way to read errors."""
    store = str(tmp_path / "store")
    assert run(["init", store]) == ExitCode.OK
    capsys.readouterr()
    for words, code, name, advice in (
        (["key", "disable", store, "store"], ExitCode.NOT_CONFIRMED, "NotConfirmed", "--yes"),
        (["key", "disable", store], ExitCode.USAGE, "MissingParameter", "key disable --help"),
        (["status", store, "--nonsense"], ExitCode.USAGE, "NoSuchOption", "status --help"),
        (["log", f"{store}:/none"], ExitCode.NOT_FOUND, "NoSuchName", "Check the spelling"),
    ):
        assert run([*words, "--json"]) == code
        said = capsys.readouterr()
        assert said.out == ""
        told = json.loads(said.err)["Error"]
        assert told["Code"] == name
        assert advice in told["Advice"]


def test_an_export_that_fails_leaves_no_half_of_one(tmp_path: Path, capsys: Capture) -> None:
    """It would be in the way of the next try, and be taken for a ledger."""
    store, file = tmp_path / "store", tmp_path / "ledger.jsonl"
    assert run(["init", str(store)]) == ExitCode.OK
    (store / "store.json").rename(tmp_path / "store.json")
    assert run(["ledger", "export", str(store), str(file)]) == ExitCode.NOT_A_STORE
    assert not file.exists()
    (tmp_path / "store.json").rename(store / "store.json")
    capsys.readouterr()
    assert run(["ledger", "export", str(store), str(file), "--json"]) == ExitCode.OK
    assert json.loads(capsys.readouterr().out) == {"File": str(file)}
    assert json.loads(file.read_text().splitlines()[-1])


def test_who_may_not_read_a_place_is_not_told_that_the_words_were_wrong() -> None:
    """Whether a store may be read is for the command to say, in the same words everywhere."""
    places = {
        (name, parameter.name)
        for name, command in ALL.items()
        for parameter in command.params
        if parameter.name in {"store", "directory", "path", "paths"}
        and isinstance(parameter.type, click.Path)
        and parameter.type.readable
    }

    assert places == set()


@pytest.mark.parametrize(
    ("words", "code", "name"),
    [
        (["promote", "STORE"], ExitCode.WRONG_KIND, "NotAReplica"),
        (["zone", "remove", "STORE", "/nowhere"], ExitCode.USAGE, "InvalidArgument"),
        (["key", "disable", "STORE", "nobody"], ExitCode.NOT_FOUND, "NoSuchKey"),
        (["key", "rewrap", "STORE", "nobody", "--forget-old"], ExitCode.NOT_FOUND, "NoSuchKey"),
        (["purge", "STORE:/none", "--version", "0"], ExitCode.NOT_FOUND, "NoSuchName"),
    ],
)
def test_what_would_be_refused_asks_nobody(
    words: list[str], code: ExitCode, name: str, tmp_path: Path, capsys: Capture
) -> None:
    """Whoever repeats it with --yes, as they were told to, would be refused then."""
    store = str(tmp_path / "store")
    assert run(["init", store]) == ExitCode.OK
    capsys.readouterr()
    assert run([word.replace("STORE", store) for word in words] + ["--json"]) == code
    assert json.loads(capsys.readouterr().err)["Error"]["Code"] == name


def test_who_is_asked_is_told_what_would_be_done(tmp_path: Path, capsys: Capture) -> None:
    """By the command's own dry run."""
    store = str(tmp_path / "store")
    assert run(["init", store]) == ExitCode.OK
    assert run(["key", "rotate", store, "store"]) == ExitCode.OK
    capsys.readouterr()
    assert run(["key", "disable", store, "store", "--version", "1"]) == ExitCode.NOT_CONFIRMED
    assert "it wraps 0 data keys" in capsys.readouterr().err
    assert run(["key", "rewrap", store, "--forget-old"]) == ExitCode.NOT_CONFIRMED
    assert "(version 1 of store)" in capsys.readouterr().err
