"""Lifecycle at the command line: from a bucket's rules file to the plan to the run."""

import json
from pathlib import Path
from typing import Any

import pytest

from s3fs_local.charts.drawing import FORMATS
from s3fs_local.cli.exit_codes import ExitCode
from s3fs_local.cli.main import run
from s3fs_local.daemon.assembly import TEST_CLOCK_VARIABLE
from s3fs_local.daemon.creation import StorePlan, create_store
from tests.cli.test_command_line import ME, write

Capture = pytest.CaptureFixture[str]
RULES = {
    "Rules": [
        {
            "ID": "tidy",
            "Status": "Enabled",
            "Filter": {"Prefix": ""},
            "Transitions": [{"Days": 30, "StorageClass": "STANDARD_IA"}],
            "Expiration": {"Days": 60},
        }
    ]
}


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store in which it is 2027, with one file and rules."""
    monkeypatch.setenv(TEST_CLOCK_VARIABLE, "2027-01-01T12:00:00Z")
    path = tmp_path / "store"
    create_store(path, StorePlan(owner=ME, test_clock=True))
    write(path, b"report", b"x" * 200_000)
    (tmp_path / "rules.json").write_text(json.dumps(RULES))
    assert run(["bucket", "lifecycle", "put", str(path), str(tmp_path / "rules.json")]) == 0
    return path


def _json(capture: Capture, *arguments: str) -> Any:  # noqa: ANN401 - JSON
    assert run([*arguments, "--json"]) == 0
    return json.loads(capture.readouterr().out)


def test_a_year_is_rehearsed(store: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put, plan, run: what the plan says of a day is what the run of that day does."""
    plan = _json(capsys, "lifecycle", "plan", str(store), "--days", "365")
    days = {day["Date"]: day["Actions"] for day in plan["Days"]}
    assert {date: [row["Action"] for row in rows] for date, rows in days.items()} == {
        "2027-02-01": ["Transition"],
        "2027-03-03": ["DeleteMarker"],
    }
    for date, rows in days.items():
        monkeypatch.setenv(TEST_CLOCK_VARIABLE, f"{date}T00:00:05Z")
        ran = _json(capsys, "lifecycle", "run", str(store), "--yes")
        assert ran["Days"] == [{"Date": date, "Actions": rows, "Held": []}]
    assert run(["scrub", str(store)]) == 0  # in a year of which nobody mounts it
    capsys.readouterr()
    status = _json(capsys, "status", str(store))

    assert status["Lifecycle"]["Rules"] == 1
    assert status["Lifecycle"]["Ended"].startswith("2027-03-03")


def test_get_prints_the_rules_in_both_forms(store: Path, capsys: Capture, tmp_path: Path) -> None:
    """And each is taken back."""
    for option in ([], ["--xml"]):
        assert run(["bucket", "lifecycle", "get", str(store), *option]) == 0
        printed = capsys.readouterr().out
        (tmp_path / "again").write_text(printed)
        assert run(["bucket", "lifecycle", "put", str(store), str(tmp_path / "again")]) == 0
        assert run(["bucket", "lifecycle", "get", str(store), *option]) == 0
        assert capsys.readouterr().out == printed
    assert run(["bucket", "lifecycle", "delete", str(store)]) == 0
    assert run(["bucket", "lifecycle", "get", str(store)]) == ExitCode.NOT_FOUND
    assert "NoSuchLifecycleConfiguration" in capsys.readouterr().err


def test_people_see_days_rules_and_costs(store: Path, capsys: Capture) -> None:
    """A line for each day and rule, and what it saves."""
    assert run(["lifecycle", "plan", str(store), "--days", "90"]) == 0
    out = capsys.readouterr().out

    assert "2027-02-01\ttidy\tTransition → STANDARD_IA\t1\t195.3 KiB\treport" in out
    assert "cost a month\t0.0000 USD\t0.0000 USD" in out
    assert run(["lifecycle", "plan", str(store), "--days", "3"]) == 0
    assert "nothing is due" in capsys.readouterr().out


def test_a_run_asks_first_and_says_what_it_will_do(
    store: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a terminal and without --yes it does nothing."""
    monkeypatch.setenv(TEST_CLOCK_VARIABLE, "2027-06-01T00:00:00Z")
    assert run(["lifecycle", "run", str(store)]) == ExitCode.NOT_CONFIRMED
    assert "1 moved (195.3 KiB)" in capsys.readouterr().err
    assert run(["lifecycle", "run", str(store), "--dry-run"]) == 0
    assert "Transition" in capsys.readouterr().out
    assert run(["lifecycle", "run", str(store), "--yes"]) == 0
    assert "Transition" in capsys.readouterr().out
    assert run(["lifecycle", "run", str(store), "--yes"]) == 0
    assert "nothing is due" in capsys.readouterr().out


@pytest.mark.parametrize("ending", FORMATS)
def test_a_chart_of_the_coming_year_is_drawn(store: Path, tmp_path: Path, ending: str) -> None:
    """As an image that browsers show."""
    pytest.importorskip("matplotlib", reason="the extra `charts` is not installed")
    path = tmp_path / f"chart{ending}"
    assert run(["lifecycle", "plan", str(store), "--chart", str(path)]) == 0

    assert path.read_bytes().startswith({".png": b"\x89PNG", ".svg": b"<?xml"}[ending])


def test_without_matplotlib_a_chart_says_what_to_install(
    store: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Charts are an extra: a server has no need of them."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)

    assert run(["lifecycle", "plan", str(store), "--chart", "x.png"]) != 0
    assert "pip install 's3fs-local[charts]'" in capsys.readouterr().err


def test_status_tells_people_of_the_last_run(store: Path, capsys: Capture) -> None:
    """Before the first one it says when it comes."""
    run(["status", str(store)])
    assert "lifecycle\t1 rules, which begin on the next day" in capsys.readouterr().out
    assert run(["lifecycle", "run", str(store), "--yes"]) == 0
    run(["status", str(store)])
    assert "lifecycle\t1 rules; last run 2027-01-01T12:00:0" in capsys.readouterr().out


def test_wrong_input_is_named(store: Path, tmp_path: Path, capsys: Capture) -> None:
    """S3's code in the message, and the name of the file."""
    (tmp_path / "bad.json").write_text('{"Rules": [{"Status": "Enabled", "Filter": {}}]}')
    (tmp_path / "bad.xml").write_text("<!DOCTYPE x><LifecycleConfiguration/>")
    for arguments, problem in (
        (["bucket", "lifecycle", "put", str(store), str(tmp_path / "bad.json")], "InvalidRequest"),
        (["bucket", "lifecycle", "put", str(store), str(tmp_path / "bad.xml")], "DTD"),
        (["lifecycle", "plan", str(store), "--at", "2027-05-01", "--days", "3"], "not both"),
        (["lifecycle", "plan", str(store), "--chart", "chart.pdf"], ".svg"),
        (["tag", "set", f"{store}:/report"], "--none"),
        (["tag", "set", f"{store}:/report", "novalue"], "novalue"),
    ):
        assert run(arguments) == ExitCode.USAGE
        assert problem in capsys.readouterr().err


def test_tags_at_the_command_line(store: Path, capsys: Capture) -> None:
    """As get-object-tagging prints them; a value may hold an equals sign."""
    path = f"{store}:/report"
    assert run(["tag", "set", path, "a=1", "b=x=y"]) == 0
    assert run(["tag", "get", path]) == 0
    assert capsys.readouterr().out == "a\t1\nb\tx=y\n"
    assert run(["tag", "set", path, "--none"]) == 0
    assert _json(capsys, "tag", "get", path)["TagSet"] == []
