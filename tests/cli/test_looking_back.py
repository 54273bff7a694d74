"""versions across names, with differences; restore with a preview. One mount serves all."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mounting import MountedStore, answer_of, instant_now, s3fs_local

pytestmark = [pytest.mark.mount, pytest.mark.slow]


@pytest.fixture(scope="module")
def mounted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MountedStore]:
    """A mounted store."""
    base = tmp_path_factory.mktemp("looking-back")
    (base / "mount").mkdir()
    s3fs_local("init", base / "store")
    mount = MountedStore(base / "store", base / "mount")
    try:
        mount.mount()
        yield mount
    finally:
        mount.clean_up()


@pytest.fixture
def folder(mounted: MountedStore, request: pytest.FixtureRequest) -> Path:
    """A directory of the test's own."""
    path: Path = mounted.path / request.node.name
    path.mkdir()
    return path


def keys(rows: list[dict[str, str]]) -> list[str]:
    """The last part of each row's key."""
    return [row["Key"].rpartition("/")[2] for row in rows]


def test_versions_of_several_names_are_listed_together(folder: Path) -> None:
    """What a shell makes of `versions *.txt`."""
    for name in ("a.txt", "b.txt"):
        for content in ("one", "two"):
            (folder / name).write_text(content)
    listing = answer_of("versions", folder / "a.txt", folder / "b.txt")

    assert keys(listing["Versions"]) == ["a.txt", "a.txt", "b.txt", "b.txt"]


def test_only_what_was_deleted_can_be_listed(folder: Path) -> None:
    """The question after an accident: what is missing here?"""
    for name in ("kept", "gone", "back"):
        (folder / name).write_text(name)
    (folder / "gone").unlink()
    (folder / "back").unlink()
    (folder / "back").write_text("again")
    listing = answer_of("versions", folder, "--deleted")

    assert keys(listing["Versions"]) == ["gone"]
    assert keys(listing["DeleteMarkers"]) == ["gone"]


def test_each_version_is_shown_with_what_it_changed(folder: Path) -> None:
    """Newest first, as one looks for the save that broke it; the first one began with nothing."""
    (folder / "f").write_text("one\n")
    (folder / "f").write_text("one\ntwo\n")
    (folder / "f").unlink()
    shown = s3fs_local("versions", folder / "f", "--diff").stdout
    changed = [
        line
        for line in shown.splitlines()
        if line.startswith(("+", "-")) and not line.startswith(("+++", "---"))
    ]

    assert shown.splitlines()[0].endswith("latest, deleted")
    assert changed == ["+two", "+one"]
    assert "--- nothing" in shown


def test_a_restore_is_previewed_and_changes_nothing(folder: Path) -> None:
    """What would come back, line by line, before it does."""
    (folder / "f").write_text("good\n")
    (folder / "f").write_text("bad\n")
    shown = s3fs_local("restore", folder / "f", "--diff").stdout

    assert "-bad\n+good\n" in shown
    assert "changes to make: 1" in shown
    assert (folder / "f").read_text() == "bad\n"


def test_the_preview_of_a_tree_shows_each_file_of_it(folder: Path) -> None:
    """Changed, deleted and later files each as what would become of them."""
    (folder / "sub").mkdir()
    (folder / "sub" / "changed").write_text("old\n")
    (folder / "sub" / "deleted").write_text("deleted\n")
    (folder / "sub" / "same").write_text("same\n")
    then = instant_now()
    (folder / "sub" / "changed").write_text("new\n")
    (folder / "sub" / "deleted").unlink()
    (folder / "sub" / "later").write_text("later\n")
    preview = s3fs_local("restore", folder / "sub", "--at", then, "--diff").stdout
    assert "-new\n+old\n" in preview
    assert "+deleted\n" in preview
    assert "-later\n" in preview
    assert "same" not in preview
    assert (folder / "sub" / "later").exists()

    other = s3fs_local(
        *("restore", folder / "sub", "--at", then, "--to", folder / "copy", "--diff")
    ).stdout
    assert "+same\n" in other
    assert "+old\n" in other
    assert not (folder / "copy").exists()


def test_what_happened_below_a_directory_is_listed_by_time(folder: Path) -> None:
    """One thing after another, newest first; the rest is asked for by the time that is named."""
    for content in ("one", "two", "three"):
        (folder / "letter").write_text(content)
    (folder / "letter").unlink()
    lines = s3fs_local("timeline", folder, "--limit", "2").stdout.splitlines()
    events = answer_of("timeline", folder)["Events"]
    earlier = lines[-1].partition("--until ")[2]
    before = answer_of("timeline", folder, "--until", earlier)["Events"]

    assert [row["Event"] for row in events] == ["deleted", "version", "version", "version"]
    assert [row.get("Size") for row in events] == [None, 5, 3, 3]
    assert before == events[2:]
    assert "deleted" in lines[-3]
    assert lines[-2].split()[-1].endswith("/letter")
