"""The paths below `.versions`: what people browse, copy from and script against."""

import os
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from errno import EROFS
from pathlib import Path

import pytest

from tests.mounting import MountedStore, instant_now

pytestmark = [pytest.mark.mount, pytest.mark.slow]

VERSION_NAME = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}Z~[0-9a-zA-Z]+(\.txt)?")


@pytest.fixture
def saved(mount: MountedStore) -> MountedStore:
    """A mount with `d/f.txt`, saved three times."""
    mount.sh("mkdir d; for word in one two three; do echo $word >d/f.txt; done")
    return mount


def instant_of(version: Path) -> datetime:
    """The commit time that a version's name states."""
    return datetime.strptime(version.name.split("~")[0], "%Y-%m-%dT%H-%M-%S.%fZ").replace(
        tzinfo=UTC
    )


def test_a_name_lists_its_versions_and_three_helpers(saved: MountedStore) -> None:
    """One file a version, so every program can open any of them."""
    listing = saved.path / "d/.versions/f.txt"
    names = set(os.listdir(listing))
    versions = saved.versions("d/f.txt")

    assert names == {version.name for version in versions} | {"latest", "previous", "log"}
    assert all(VERSION_NAME.fullmatch(version.name) for version in versions)
    assert [version.read_text() for version in versions] == ["one\n", "two\n", "three\n"]
    assert (listing / "latest").is_symlink()
    assert (listing / "latest").read_text() == "three\n"
    assert (listing / "previous").read_text() == "two\n"
    assert os.readlink(listing / "previous") == versions[1].name


def test_the_log_has_one_line_an_event(saved: MountedStore) -> None:
    """A person reads the story of a file without any command."""
    saved.sh("mv d/f.txt d/g.txt; rm d/g.txt")

    lines = (saved.path / "d/.versions/g.txt/log").read_text().splitlines()

    assert len(lines) >= 4
    assert all(re.match(r"\d{4}-\d\d-\d\dT", line) for line in lines)
    for version in saved.versions("d/g.txt"):
        short = version.stem.split("~")[1]
        assert any(short in line for line in lines)


def test_versions_is_reached_by_name_and_never_walked_into(saved: MountedStore) -> None:
    """`find`, `rm -r`, `rsync` and `tar` must not multiply the tree by its history."""
    assert os.listdir(saved.path) == ["d"]
    assert os.listdir(saved.path / "d") == ["f.txt"]
    assert saved.sh("find . | sort").split() == [".", "./d", "./d/f.txt"]
    assert os.listdir(saved.path / "d/.versions") == ["f.txt"]


def test_snapdir_visible_lists_it(saved: MountedStore) -> None:
    """Who wants to click through a file manager can ask for it."""
    saved.umount()
    saved.options = ("snapdir=visible", "snapdirname=.snapshots")
    saved.mount()

    assert set(os.listdir(saved.path / "d")) == {".snapshots", "f.txt"}
    assert os.listdir(saved.path / "d/.snapshots") == ["f.txt"]


def test_old_versions_keep_their_attributes_without_write_bits(saved: MountedStore) -> None:
    """An old version looks like the file, except that nobody can write it."""
    file = saved.path / "d/f.txt"
    file.chmod(0o640)
    os.utime(file, ns=(10**18, 10**18))
    last = saved.versions("d/f.txt")[-1]
    status = last.stat()

    assert status.st_mode & 0o7777 == 0o440
    assert status.st_mtime_ns == 10**18
    assert status.st_size == 6
    assert (status.st_uid, status.st_gid) == (os.geteuid(), os.getegid())
    inodes = [version.stat().st_ino for version in saved.versions("d/f.txt")]
    assert len({file.stat().st_ino, *inodes}) == 4
    assert inodes == [version.stat().st_ino for version in saved.versions("d/f.txt")]
    committed = instant_of(last).timestamp()
    assert abs(status.st_ctime - committed) < 0.001


CHANGES: tuple[Callable[[Path], object], ...] = (
    lambda folder: (folder / "f.txt/latest").open("w"),
    lambda folder: (folder / "f.txt/latest").open("a"),
    lambda folder: (folder / "f.txt/new").touch(),
    lambda folder: (folder / "new").mkdir(),
    lambda folder: (folder / "f.txt/latest").unlink(),
    lambda folder: (folder / "f.txt").rmdir(),
    lambda folder: (folder / "f.txt/log").unlink(),
    lambda folder: (folder / "f.txt/log").chmod(0o666),
    lambda folder: (folder / f"@{instant_now()}/f.txt").unlink(),
    lambda folder: os.utime(folder / "f.txt/log"),
    lambda folder: os.setxattr(folder / "f.txt", "user.a", b"b"),
    lambda folder: os.rename(folder / "f.txt/log", folder / "f.txt/log2"),
    lambda folder: os.symlink("x", folder / "link"),
    lambda folder: os.truncate(folder / "f.txt/log", 0),
)


def test_everything_below_is_read_only(saved: MountedStore) -> None:
    """The past cannot be edited, by whatever call."""
    for number, change in enumerate(CHANGES):
        with pytest.raises(OSError, match="Read-only file system") as refused:
            change(saved.path / "d/.versions")
        assert refused.value.errno == EROFS, f"change {number}"


def test_the_name_itself_cannot_be_taken(saved: MountedStore) -> None:
    """A real entry called `.versions` would hide the past."""
    with pytest.raises(OSError):  # noqa: PT011 -- EEXIST by the kernel, or our EPERM
        (saved.path / "d/.versions").mkdir()
    with pytest.raises(PermissionError):
        (saved.path / "d").rename(saved.path / ".versions")
    with pytest.raises(OSError):  # noqa: PT011 -- as above
        (saved.path / ".versions").symlink_to("d")
    assert os.listdir(saved.path / "d/.versions") == ["f.txt"]


def time_forms(moment: datetime) -> dict[str, str]:
    """All forms of a moment with whole seconds, by their name in the interface."""
    return {
        "RFC 3339": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "RFC 3339 with a zone": (moment + timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M:%S+02:00"),
        "without colons": moment.strftime("%Y-%m-%dT%H-%M-%SZ"),
        "with a fraction": moment.strftime("%Y-%m-%dT%H-%M-%S.000Z"),
        "Samba": moment.strftime("@GMT-%Y.%m.%d-%H.%M.%S"),
        "epoch": str(int(moment.timestamp())),
    }


def test_a_time_shows_the_whole_subtree_as_it_was(saved: MountedStore) -> None:
    """The forms that people, scripts and Samba use all name the same instant."""
    first = instant_of(saved.versions("d/f.txt")[-1])
    moment = (first + timedelta(seconds=1)).replace(microsecond=0)
    while datetime.now(UTC) <= moment:
        os.sched_yield()
    saved.sh("mkdir d/e; mv d/f.txt d/e/g.txt; echo four >d/e/g.txt; rm d/e/g.txt")

    for form, text in time_forms(moment).items():
        name = text if text.startswith("@GMT") else f"@{text}"
        view = saved.path / ".versions" / name
        assert os.listdir(view) == ["d"], form
        assert os.listdir(view / "d") == ["f.txt"], form
        assert (view / "d/f.txt").read_text() == "three\n", form
        assert (saved.path / "d/.versions" / name / "f.txt").read_text() == "three\n", form


def test_instants_between_two_saves_are_told_apart(mount: MountedStore) -> None:
    """Saves in quick succession are different states."""
    states = []
    for number in range(5):
        (mount.path / "f").write_text(f"{number}\n")
        states.append((instant_now(), f"{number}\n"))

    for at, expected in states:
        assert (mount.path / ".versions" / f"@{at}" / "f").read_text() == expected


def test_durations_and_dates_are_times_too(saved: MountedStore) -> None:
    """Before the first save there was nothing, not even the folder."""
    for text in ("@1h", "@2d", "@3w", "@2001-01-01"):
        assert not (saved.path / ".versions" / text / "d").exists(), text
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).strftime("@%Y-%m-%d")
    assert not os.path.exists(saved.path / ".versions" / "@yesterday")
    assert not os.path.exists(saved.path / ".versions" / "@2026-99-99")
    assert (
        not os.path.exists(saved.path / ".versions" / tomorrow)
        or (saved.path / ".versions" / tomorrow / "d/f.txt").exists()
    )


def test_names_that_begin_with_at_are_escaped(mount: MountedStore) -> None:
    """`@1h` may be a file's name; its history is found under `@@1h`."""
    mount.sh("echo 1 >@1h; echo 2 >@@x; echo 3 >plain")

    assert mount.names_with_history() == {"@@1h", "@@@x", "plain"}
    folder = mount.path / ".versions"
    assert (folder / "@@1h/latest").read_text() == "1\n"
    assert (folder / "@@@x/latest").read_text() == "2\n"


def test_unusual_names_have_a_history(mount: MountedStore) -> None:
    """Names are bytes: newlines, other alphabets, invalid UTF-8 and the longest allowed."""
    names = [
        b"a\nb",
        "日本.txt".encode(),
        b"\xff\xfe",
        b"n" * 255,
        b" ",
        b"-rf",
        b".hidden",
        b"x~y",
    ]
    folder = os.fsencode(mount.path)
    for name in names:
        for text in (b"1", b"2"):
            with open(os.path.join(folder, name), "wb") as file:
                file.write(text)

    assert set(os.listdir(os.path.join(folder, b".versions"))) == set(names)
    for name in names:
        with open(os.path.join(folder, b".versions", name, b"previous"), "rb") as file:
            assert file.read() == b"1"


def test_deleted_names_stay_listed_and_moved_away_names_do_not(mount: MountedStore) -> None:
    """Who looks for a lost file finds it; who renamed one does not see it twice."""
    mount.sh("echo 1 >deleted; rm deleted; echo 2 >old; mv old new; mkdir d; rmdir d")

    assert {"deleted", "new"} <= mount.names_with_history()
    assert "old" not in mount.names_with_history()
    assert mount.contents("deleted") == ["1\n"]


def test_status_of_the_mount_is_a_file_at_its_root(mount: MountedStore) -> None:
    """`.s3fs` is hidden in the same way and tells how the store is."""
    assert os.listdir(mount.path) == []
    assert "status.json" in os.listdir(mount.path / ".s3fs")
    assert (mount.path / ".s3fs/status.json").read_text().startswith("{")
