"""Whoever gets hold of a zone learns neither names nor contents nor attributes without the keys."""

import os
import secrets
from pathlib import Path

import pytest

from tests.conftest import MakeMount, MakeStore
from tests.mounting import answer_of, s3fs_local

pytestmark = [pytest.mark.mount, pytest.mark.slow]

SECRETS = {
    what: f"{what}-{secrets.token_hex(8)}"
    for what in ("name", "directory", "content", "appended", "xattr", "target", "tag", "reason")
}
RANDOM = secrets.token_bytes(48)  # compression would leave it as it is


def places_of(words: bytes, folder: Path) -> list[str]:
    """The files below the folder that hold the words, or have them in their names."""
    return [
        str(path)
        for path in folder.rglob("*")
        if words in os.fsencode(path) or (path.is_file() and words in path.read_bytes())
    ]


def work(folder: Path) -> None:
    """A mixed day: files, appends with fsync, renames, removals, attributes, links, tags."""
    home = folder / SECRETS["directory"]
    home.mkdir()
    for number in range(40):
        file = home / f"{SECRETS['name']}-{number}"
        file.write_bytes(SECRETS["content"].encode() * 100 + RANDOM)
        os.setxattr(file, "user.note", SECRETS["xattr"].encode())
        os.setxattr(file, "s3.tags", f"case={SECRETS['tag']}".encode())
        if number % 3 == 0:
            file.rename(home / f"{SECRETS['name']}-moved-{number}")
        elif number % 3 == 1:
            file.unlink()
    (home / "link").symlink_to(SECRETS["target"])
    (home / "large").write_bytes((SECRETS["content"].encode() + RANDOM) * 40_000)
    with (home / "log").open("ab", buffering=0) as log:
        for _ in range(50):
            log.write(SECRETS["appended"].encode() + RANDOM)
            os.fsync(log.fileno())


def test_no_zone_tells_what_is_in_the_store(
    make_store: MakeStore, make_mount: MakeMount, tmp_path: Path
) -> None:
    """Packs, journal, ledger, copies of the metadata, leftovers of a killed daemon: all sealed."""
    zones = [tmp_path / "zone1", tmp_path / "zone2"]
    store = make_store("--object-lock", "--zone", zones[0], "--zone", zones[1])
    mounted = make_mount(store)
    work(mounted.path)
    held = mounted.path / SECRETS["directory"] / "large"
    case = ("--case", "7", "--reason", SECRETS["reason"])
    s3fs_local("legal-hold", "set", held, *case)
    mounted.kill()  # what the daemon had half done lies about
    mounted.remount()
    s3fs_local("key", "rotate", store)
    s3fs_local("key", "rewrap", store)
    s3fs_local("gc", store)
    assert answer_of("status", store)["Health"] in {"healthy", "degraded"}
    mounted.umount()

    assert places_of(SECRETS["name"].encode(), store), "the search finds nothing anywhere"
    for words in (*(text.encode() for text in SECRETS.values()), RANDOM, b"user.note"):
        for zone in zones:
            assert places_of(words, zone) == []


def test_what_is_plain_can_be_read_by_its_owner_only(
    make_store: MakeStore, make_mount: MakeMount
) -> None:
    """The live database and the log hold names: they lie outside of the zones, under 0700."""
    store = make_store()
    mounted = make_mount(store)
    work(mounted.path)
    mounted.umount()

    assert store.stat().st_mode & 0o777 == 0o700
    plain = [Path(path) for path in places_of(SECRETS["name"].encode(), store)]
    assert plain
    assert all(path.name.startswith("metadata.sqlite") for path in plain)
    assert all(path.stat().st_mode & 0o077 == 0 for path in store.iterdir())
    assert places_of(SECRETS["content"].encode(), store) == []
