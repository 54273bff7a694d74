"""`.versions`: the past as read-only trees, that cost nothing once nobody looks at them."""

import gc
from itertools import groupby

import pytest

from s3fs_local.engine import ways
from s3fs_local.errors import (
    InvalidTime,
    NoSuchName,
    NotADirectory,
    ReadOnlyView,
    StaleInode,
)
from s3fs_local.rules.inode import FIRST_VIRTUAL_INO, ROOT_INO, Inode
from s3fs_local.rules.instants import SECOND_NS
from tests.engine.memory_store import ALICE, ROOT, MemoryStore


def test_a_folder_of_a_name_has_every_version_and_its_log(store: MemoryStore) -> None:
    """Newest first; `latest` and `previous` point at them."""
    for content in (b"one", b"two", b"three"):
        store.write("/f", content)
    names = [name.decode() for name in store.listing("/.versions/f")]

    assert [store.read(f"/.versions/f/{name}") for name in names[:3]] == [b"three", b"two", b"one"]
    assert names[3:] == ["latest", "previous", "log"]
    assert store.fs.readlink(store.stat("/.versions/f/latest").ino).decode() == names[0]
    assert store.fs.readlink(store.stat("/.versions/f/previous").ino).decode() == names[1]
    log = store.read("/.versions/f/log").splitlines()
    assert [line.split()[1] for line in log] == [b"created", b"version", b"version", b"version"]


def test_forms_of_an_instant_show_the_same_tree(store: MemoryStore) -> None:
    """Epoch seconds, RFC 3339, a fraction; nonsense is named as such."""
    store.mkdir("/d")
    store.write("/d/f", b"old")
    at_ns = store.tick()
    store.write("/d/f", b"new")
    for form in (
        f"@{at_ns // SECOND_NS}",
        f"@{at_ns // SECOND_NS}.5",
        "@2027-01-15T08:00:03Z",
        "@1s",
    ):
        assert store.read(f"/.versions/{form}/d/f") == b"old"
        assert store.read(f"/d/.versions/{form}/f") == b"old"
    with pytest.raises(InvalidTime):
        store.stat("/.versions/@yesterday-ish")
    with pytest.raises(NoSuchName):
        store.stat("/.versions/never")


def test_before_its_making_a_directory_shows_what_was_at_its_path(store: MemoryStore) -> None:
    """Removed and made again, it has one history."""
    store.mkdir("/d")
    store.write("/d/f", b"first life")
    first_s = store.tick() // SECOND_NS
    store.tick()
    store.remove("/d/f")
    store.remove("/d")
    gone_s = store.tick() // SECOND_NS
    store.mkdir("/d")
    store.write("/d/f", b"second life")

    assert store.history("/d/f") == [b"second life", b"first life"]
    assert store.read(f"/d/.versions/@{first_s}/f") == b"first life"
    with pytest.raises(NoSuchName):
        store.stat(f"/d/.versions/@{gone_s}")
    past = [name for name in store.listing("/.versions/d") if b"~" in name]
    assert store.listing(f"/.versions/d/{past[0].decode()}") == []  # it was emptied first


def test_a_moved_directory_shows_its_own_past(store: MemoryStore) -> None:
    """Its history goes with it, and stays where it was."""
    store.mkdir("/d")
    store.write("/d/f", b"x")
    at_s = store.tick() // SECOND_NS
    store.rename("/d", "/e")

    assert store.read(f"/e/.versions/@{at_s}/f") == b"x"
    assert store.read(f"/.versions/@{at_s}/d/f") == b"x"
    assert store.listing(f"/.versions/@{at_s}") == [b"d"]


def test_attributes_are_those_of_then_without_write_bits(store: MemoryStore) -> None:
    """Mode, owner, times, extended attributes; of the version, and of the instant."""
    store.write("/f", b"x")
    ino = store.stat("/f").ino
    store.fs.setxattr(ino, b"user.a", b"1", ALICE)
    store.chmod("/f", 0o640)
    before = store.stat("/f")
    at_s = store.tick() // SECOND_NS
    store.chmod("/f", 0o777)
    store.fs.removexattr(ino, b"user.a", ALICE)
    shown = store.stat(f"/.versions/@{at_s}/f")

    assert shown.mode == before.mode & ~0o222
    assert (shown.uid, shown.mtime_ns, shown.size) == (before.uid, before.mtime_ns, 1)
    assert store.fs.getxattr(shown.ino, b"user.a") == b"1"
    assert store.fs.listxattr(shown.ino) == [b"user.a"]
    assert store.fs.getxattr(shown.ino, b"s3.version-id")


def test_an_old_version_tells_of_the_file_whose_past_it_is(store: MemoryStore) -> None:
    """How many versions there are, and where the bytes lie: not of the made-up number it has."""
    store.write("/f", b"a")
    at_s = store.tick() // SECOND_NS
    store.write("/f", b"bc")
    first = next(
        inode.ino
        for name in store.listing("/.versions/f")
        if (inode := store.stat(f"/.versions/f/{name.decode()}")).size == 1
    )
    live = store.stat("/f").ino

    for shown in (first, store.stat(f"/.versions/@{at_s}/f").ino):
        assert store.fs.getxattr(shown, b"s3.versions") == b"2"
        assert store.fs.getxattr(shown, b"s3.replicas") == store.fs.getxattr(live, b"s3.replicas")
    assert b"1 of 1 packs" in store.fs.getxattr(live, b"s3.replicas")


def test_nothing_below_versions_can_be_changed(store: MemoryStore) -> None:
    """By anybody, by any operation."""
    store.mkdir("/d")
    store.write("/d/f", b"x")
    at_s = store.tick() // SECOND_NS
    view = store.stat(f"/.versions/@{at_s}/d")
    file = store.stat(f"/.versions/@{at_s}/d/f")
    fs = store.fs
    attempts = (
        lambda: fs.mknod(view.ino, b"x", 0o100600, 0, ROOT),
        lambda: fs.mkdir(view.ino, b"x", 0o40700, ROOT),
        lambda: fs.symlink(view.ino, b"x", b"y", ROOT),
        lambda: fs.create(view.ino, b"x", 0o100600, 2, ROOT),
        lambda: fs.link(file.ino, ROOT_INO, b"x", ROOT),
        lambda: fs.link(store.stat("/d/f").ino, view.ino, b"x", ROOT),
        lambda: fs.unlink(view.ino, b"f", ROOT),
        lambda: fs.rmdir(view.ino, b"f", ROOT),
        lambda: fs.rename(view.ino, b"f", ROOT_INO, b"x", 0, ROOT),
        lambda: fs.rename(ROOT_INO, b"d", view.ino, b"x", 0, ROOT),
        lambda: fs.setxattr(file.ino, b"user.x", b"", ROOT),
        lambda: fs.removexattr(file.ino, b"user.x", ROOT),
        lambda: fs.open(file.ino, 1, ROOT),
        lambda: fs.open(file.ino, 0o1000, ROOT),
        lambda: fs.unlink(ROOT_INO, b".versions", ROOT),
        lambda: fs.rmdir(ROOT_INO, b".versions", ROOT),
        lambda: fs.rename(ROOT_INO, b".versions", ROOT_INO, b"x", 0, ROOT),
    )
    for attempt in attempts:
        with pytest.raises(ReadOnlyView):
            attempt()


def _look_at_everything(store: MemoryStore, inode: Inode, told: list[int], depth: int = 0) -> None:
    """Lists and looks up, and notes each number that the kernel was told."""
    handle = store.fs.opendir(inode.ino, ALICE)
    entries = list(store.fs.readdir(handle, 0))
    store.fs.releasedir(handle)
    for name, child, _ in entries:
        if child.ino < FIRST_VIRTUAL_INO:
            continue
        told.append(child.ino)
        again = store.fs.lookup(inode.ino, name)
        told.append(again.ino)
        assert again.ino == child.ino
        if child.is_directory and depth < 4:
            _look_at_everything(store, child, told, depth + 1)


def test_what_the_kernel_forgets_is_forgotten_here(store: MemoryStore) -> None:
    """However often it was told of a number, and in whatever order it forgets."""
    store.mkdir("/d")
    for content in (b"one", b"two"):
        store.write("/d/f", content)
    at_s = store.tick() // SECOND_NS
    told: list[int] = []
    for number in range(3):
        versions = store.fs.lookup(ROOT_INO, b".versions")
        told.append(versions.ino)
        moment = store.fs.lookup(versions.ino, b"@%d" % at_s)
        told.append(moment.ino)
        _look_at_everything(store, versions, told)
        _look_at_everything(store, moment, told)
        assert len(store.fs.views) == len(set(told)), f"turn {number}"
    for ino in reversed(told):
        store.fs.forget(ino, 1)

    assert not len(store.fs.views)
    with pytest.raises(StaleInode):
        store.fs.getattr(told[0])


def test_a_listing_that_breaks_off_tells_the_kernel_of_no_more(store: MemoryStore) -> None:
    """The entry that did not fit was not taken."""
    for number in range(5):
        store.write(f"/f{number}", b"x")
    versions = store.fs.lookup(ROOT_INO, b".versions")
    handle = store.fs.opendir(versions.ino, ALICE)
    entries = store.fs.readdir(handle, 0)
    taken = [next(entries)[1].ino for _ in range(3)]
    entries.close()  # type: ignore[attr-defined]
    for ino in taken[:2]:
        store.fs.forget(ino, 1)
    store.fs.forget(versions.ino, 1)

    assert not len(store.fs.views)


def test_a_file_of_a_view_is_no_directory_and_has_no_entries(store: MemoryStore) -> None:
    """ENOTDIR."""
    store.write("/f", b"x")
    file = store.stat(f"/.versions/@{store.tick() // SECOND_NS}/f")
    with pytest.raises(NotADirectory):
        store.fs.lookup(file.ino, b"x")
    with pytest.raises(NotADirectory):
        store.fs.opendir(file.ino, ALICE)


def test_a_list_of_snapshots_has_each_change_and_is_no_name(store: MemoryStore) -> None:
    """For Samba, which must have a list. A file may be called so as well."""
    store.mkdir("/d")
    for content in (b"one", b"two"):
        store.write("/d/f", content)
        store.tick()
    store.remove("/d/f")
    store.write("/d/@snapshots", b"mine")
    store.tick()
    listed = [name.decode() for name in store.listing("/d/.versions/@snapshots")]
    seen = []
    for name in listed:
        inside = store.listing(f"/d/.versions/@snapshots/{name}")
        seen.append(store.read(f"/d/.versions/{name}/f") if b"f" in inside else b"-")

    assert [content for content, _ in groupby(seen)][:3] == [b"-", b"two", b"one"]
    assert sorted(listed, reverse=True) == listed
    assert store.listing("/d/.versions") == [b"@@snapshots", b"f"]
    with pytest.raises(NoSuchName):
        store.stat("/d/.versions/@snapshots/f")
    with pytest.raises(ReadOnlyView):
        store.fs.mkdir(store.stat("/d/.versions/@snapshots").ino, b"x", 0o755, ALICE)


def test_looking_back_everywhere_takes_no_memory_for_each_directory(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crawler goes through a million of them, and nothing changes meanwhile."""
    monkeypatch.setattr(ways, "REMEMBERED_MAX", 8)
    for number in range(30):
        store.mkdir(f"/{number}")
        store.write(f"/{number}/f", b"old")
    second = store.tick() // SECOND_NS
    for number in range(30):
        assert store.read(f"/{number}/.versions/@{second}/f") == b"old"
    gc.collect()
    remembered = [each for each in gc.get_objects() if isinstance(each, ways._Present)]  # noqa: SLF001
    assert 0 < len(remembered) <= 8 + 1
