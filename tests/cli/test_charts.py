"""Charts from the command line: what somebody would rather look at than read."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree as ET

import pytest
import trio
from msgspec import structs

from s3fs_local.charts.drawing import FORMATS, Look, encoded
from s3fs_local.charts.figures import (
    DOTS_MAX,
    class_history_chart,
    lock_chart,
    plan_chart,
    versions_chart,
)
from s3fs_local.cli.main import run
from s3fs_local.control.results.classes import ClassHistory
from s3fs_local.control.results.locks import LockCalendar
from s3fs_local.control.results.versions import Owner, VersionListing, VersionRow
from tests.store_on_disk import make_store, opened

pytest.importorskip("matplotlib", reason="the extra `charts` is not installed")

Capture = pytest.CaptureFixture[str]
START: Final = {".png": b"\x89PNG", ".svg": b"<?xml"}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A file with two contents, and another."""
    path = tmp_path / "store"
    make_store(path, [tmp_path / "zone"], object_lock=True)
    trio.run(_write, path)
    return path


async def _write(path: Path) -> None:
    async with opened(path) as disk:
        disk.write("letter", b"dear")
        disk.write("letter", b"dear all")
        disk.write("other", b"")


def commands(store: Path) -> dict[str, list[str]]:
    """Every command that draws something of a store, by what it draws."""
    return {
        "classes": ["stats", str(store)],
        "versions": ["versions", f"{store}:/letter"],
        "locks": ["retention", "calendar", str(store)],
    }


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("which", ["classes", "versions", "locks"])
def test_a_chart_is_an_image(store: Path, tmp_path: Path, which: str, ending: str) -> None:
    """Of the kind that its name says."""
    path = tmp_path / f"chart{ending}"

    assert run([*commands(store)[which], "--chart", str(path)]) == 0
    assert path.read_bytes().startswith(START[ending])


def test_a_chart_needs_a_place_and_one_subject(
    store: Path, tmp_path: Path, capsys: Capture
) -> None:
    """What is wrong is said before anything is drawn."""
    for command in commands(store).values():
        assert run([*command, "--chart", "chart.txt"]) != 0
        assert "must end in .png or .svg" in capsys.readouterr().err
        assert run([*command, "--chart", str(tmp_path / "nowhere" / "chart.svg")]) != 0
        assert "cannot be written" in capsys.readouterr().err
    names = [f"{store}:/letter", f"{store}:/other"]
    assert run(["versions", *names, "--chart", str(tmp_path / "chart.svg")]) != 0
    assert "a chart shows one file" in capsys.readouterr().err


def test_what_is_drawn_can_be_read_as_numbers(store: Path, capsys: Capture) -> None:
    """By those who cannot see it, and by programs."""
    assert run(["stats", str(store), "--history"]) == 0
    told = capsys.readouterr()
    assert told.out.splitlines()[-1].endswith("\t12 B")
    assert "--purged-too also counts" in told.err  # what these numbers leave out
    assert run(["stats", str(store), "--history", "--purged-too"]) == 0
    told = capsys.readouterr()
    assert told.out.splitlines()[-1].endswith("\t12 B")
    assert "--purged-too" not in told.err
    assert run(["stats", str(store), "--history", "--json"]) == 0
    assert '"StorageClass": "STANDARD"' in capsys.readouterr().out
    run(["retention", "set", "compliance", "30d", f"{store}:/letter"])
    capsys.readouterr()
    assert run(["retention", "calendar", str(store)]) == 0
    assert "\tCOMPLIANCE\t1\t8 B" in capsys.readouterr().out


def test_a_chart_of_nothing_says_so() -> None:
    """An empty picture would look like a mistake."""
    calendar = LockCalendar(unit="day", dates=[], ends=[], held_versions=0, held_bytes=0)
    look = Look(dark=True, narrow=True)
    figures = [
        class_history_chart(ClassHistory([]), look),
        plan_chart([], look),
        versions_chart(VersionListing([], []), look),
        lock_chart(calendar, look),
    ]

    assert all(figure.axes[0].texts for figure in figures), "there are words in each"
    assert encoded(figures[0], ".svg") == encoded(
        class_history_chart(ClassHistory([]), look), ".svg"
    )


def many_versions(count: int) -> VersionListing:
    """As `versions` tells them."""
    one = VersionRow(
        key="log",
        version_id="",
        is_latest=False,
        last_modified="",
        etag="",
        size=0,
        storage_class="STANDARD",
        owner=Owner("1"),
    )
    start = datetime(2026, 1, 1, tzinfo=UTC)
    return VersionListing(
        [
            structs.replace(
                one,
                version_id=str(number),
                size=number % 977,
                last_modified=(start + timedelta(minutes=number)).isoformat()[:19] + "Z",
            )
            for number in range(count)
        ],
        [],
    )


def test_a_chart_of_a_hundred_thousand_versions_is_a_small_picture() -> None:
    """And says how many of them it shows; nothing stands out that is not there."""
    drawn = versions_chart(many_versions(100_000), Look())
    offsets: Any = drawn.axes[0].collections[0].get_offsets()

    assert 400 < len(offsets) <= DOTS_MAX + 2
    assert len(encoded(drawn, ".svg")) < 1 << 20
    assert (
        drawn.axes[0].get_title(loc="left").endswith("of 100000 versions, the largest and smallest")
    )


TOLD: Final = {
    "classes": "STANDARD 12 B",
    "versions": "2 versions from",
    "locks": "COMPLIANCE: 1 versions, from",
}


@pytest.mark.parametrize("which", TOLD)
def test_a_chart_is_told_in_words(store: Path, tmp_path: Path, which: str) -> None:
    """A screen reader finds a title and a description with the numbers that matter."""
    run(["retention", "set", "compliance", "30d", f"{store}:/letter"])
    path = tmp_path / "chart.svg"
    assert run([*commands(store)[which], "--chart", str(path)]) == 0
    root = ET.fromstring(path.read_bytes())  # noqa: S314  our own
    title, words = (root.find(f"{{http://www.w3.org/2000/svg}}{tag}") for tag in ("title", "desc"))

    assert root.get("role") == "img"
    assert root.get("aria-labelledby") == "title words"
    assert title is not None
    assert title.text
    assert words is not None
    assert TOLD[which] in str(words.text)


@pytest.mark.parametrize("which", ["classes", "locks"])
def test_an_empty_store_has_charts_that_say_so(tmp_path: Path, which: str) -> None:
    """On its first day; a file that is not there is an error of `versions`, chart or not."""
    path, chart = tmp_path / "empty", tmp_path / "chart.svg"
    make_store(path, [tmp_path / "zone"])
    assert run([*commands(path)[which], "--chart", str(chart)]) == 0
    root = ET.fromstring(chart.read_bytes())  # noqa: S314  our own
    words = root.findtext("{http://www.w3.org/2000/svg}desc")
    assert words in {"Nothing is stored.", "No lock has a date at which it ends."}
    assert run([*commands(path)["versions"], "--chart", str(chart)]) != 0
