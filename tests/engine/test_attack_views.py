"""Nobody learns from the past what was kept from them then."""

import os
from typing import Final

import pytest

from s3fs_local.engine.attributes import AttributeChange
from s3fs_local.engine.purging import purge
from s3fs_local.errors import NoSuchName, StaleInode
from s3fs_local.rules.inode import Caller
from tests.engine.memory_store import ALICE, MemoryStore

BOB: Final = Caller(uid=1001, gid=1001)


def _private_tree(store: MemoryStore) -> int:
    """Alice had `/shared/d`, closed to others, and one in it; returns a second of then."""
    store.mkdir("/shared")
    store.chmod("/shared", 0o1777)
    store.mkdir("/shared/d")
    store.chmod("/shared/d", 0o700)
    store.mkdir("/shared/d/sub")
    store.write("/shared/d/secret", b"not for bob")
    store.write("/shared/d/sub/secret", b"not for bob")
    then_s = store.tick() // 10**9
    for path in ("/shared/d/sub/secret", "/shared/d/sub", "/shared/d/secret", "/shared/d"):
        store.remove(path)
    store.tick()
    return then_s


def test_making_a_removed_directory_again_does_not_open_what_it_held(store: MemoryStore) -> None:
    """Bob makes one of the name that Alice's private directory had."""
    _private_tree(store)
    store.fs.mkdir(*store.place("/shared/d"), 0o040755, BOB)

    assert store.listing("/shared/d/.versions") == []
    with pytest.raises(NoSuchName):
        store.stat("/shared/d/.versions/secret")


def test_nor_does_making_one_again_below_it(store: MemoryStore) -> None:
    """The directory inside was open to all who could reach it: nobody but Alice."""
    then_s = _private_tree(store)
    store.fs.mkdir(*store.place("/shared/d"), 0o040755, BOB)
    store.fs.mkdir(*store.place("/shared/d/sub"), 0o040755, BOB)

    assert store.listing("/shared/d/sub/.versions") == []
    with pytest.raises(NoSuchName):
        store.stat(f"/shared/d/sub/.versions/@{then_s}")


def test_the_past_itself_is_as_closed_as_it_was(store: MemoryStore) -> None:
    """The kernel asks the directory as it was then."""
    then_s = _private_tree(store)
    store.fs.mkdir(*store.place("/shared/d"), 0o040755, BOB)
    shown = store.stat(f"/shared/d/.versions/@{then_s}")

    assert (shown.uid, shown.mode & 0o777) == (ALICE.uid, 0o500)


def test_who_makes_their_own_directory_again_goes_on_with_its_history(store: MemoryStore) -> None:
    """As programs do that write a whole tree anew."""
    _private_tree(store)
    store.mkdir("/shared/d")
    store.chmod("/shared/d", 0o700)

    assert store.listing("/shared/d/.versions") == [b"secret", b"sub"]


def _modes(store: MemoryStore, path: str) -> list[int]:
    """The permission bits of the versions of a name, newest first."""
    directory, _, name = path.rpartition("/")
    folder = f"{directory}/.versions/{name}"
    names = [name.decode() for name in store.listing(folder) if b"~" in name]
    return [store.stat(f"{folder}/{name}").mode & 0o777 for name in names]


def test_opening_a_private_directory_does_not_open_what_was_saved_in_it(
    store: MemoryStore,
) -> None:
    """What is in it now is meant to be seen; the drafts before were not."""
    store.mkdir("/d")
    store.chmod("/d", 0o700)
    store.write("/d/f", b"a draft")
    store.write("/d/removed", b"another")
    store.remove("/d/removed")
    store.tick()
    store.write("/d/f", b"done")
    store.tick()
    store.chmod("/d", 0o755)

    assert _modes(store, "/d/f") == [0o444, 0o400]
    assert _modes(store, "/d/removed") == [0o400]
    store.write("/d/f", b"done, and public")
    assert _modes(store, "/d/f") == [0o444, 0o444, 0o400]


def test_nor_does_opening_one_above_it(store: MemoryStore) -> None:
    """All directories on the way count, also where a view begins below them."""
    store.mkdir("/home")
    store.chmod("/home", 0o700)
    store.mkdir("/home/d")
    store.write("/home/d/f", b"a draft")
    then_s = store.tick() // 10**9
    store.tick()
    store.write("/home/d/f", b"done")
    store.chmod("/home", 0o755)

    assert _modes(store, "/home/d/f") == [0o444, 0o400]
    assert store.stat(f"/home/d/.versions/@{then_s}").mode & 0o777 == 0o500
    assert store.stat(f"/home/d/.versions/@{store.tick() // 10**9}").mode & 0o777 == 0o555


def test_nor_does_moving_a_file_out_of_one(store: MemoryStore) -> None:
    """`mv ~/draft /shared/report` publishes the report, not its drafts."""
    store.mkdir("/private")
    store.chmod("/private", 0o700)
    store.mkdir("/shared")
    store.write("/private/draft", b"a draft")
    store.write("/private/draft", b"done")
    store.rename("/private/draft", "/shared/report")

    assert _modes(store, "/shared/report") == [0o444, 0o400]


def test_a_second_name_was_a_way_as_good_as_the_first(store: MemoryStore) -> None:
    """Who could read it by one of its names may read what it was then."""
    store.mkdir("/open")
    store.write("/open/f", b"one")
    store.mkdir("/private")
    store.chmod("/private", 0o700)
    store.fs.link(store.stat("/open/f").ino, *store.place("/private/f"), ALICE)
    store.write("/open/f", b"two")

    assert _modes(store, "/open/f") == [0o444, 0o444]


def test_closing_a_directory_closes_what_it_was(store: MemoryStore) -> None:
    """Else everybody could go on reading through yesterday."""
    store.mkdir("/d")
    store.mkdir("/d/e")
    store.write("/d/e/f", b"one")
    then_s = store.tick() // 10**9
    store.tick()
    store.chmod("/d/e", 0o700)

    assert store.stat(f"/.versions/@{then_s}/d").mode & 0o777 == 0o555
    assert store.stat(f"/.versions/@{then_s}/d/e").mode & 0o777 == 0o500
    assert store.stat(f"/d/e/.versions/@{then_s}").mode & 0o777 == 0o500


def test_a_tree_handed_to_another_owner_keeps_its_past_for_them(store: MemoryStore) -> None:
    """Root makes a home, then gives it away: that was narrower at no time than now."""
    store.mkdir("/d")
    store.write("/d/f", b"one")
    then_s = store.tick() // 10**9
    store.tick()
    ino = store.stat("/d").ino
    store.fs.setattr(ino, AttributeChange(mode=0o750, uid=BOB.uid, gid=BOB.gid), None, ALICE)
    shown = store.stat(f"/.versions/@{then_s}/d")

    assert (shown.uid, shown.mode & 0o777) == (BOB.uid, 0o550)
    assert _modes(store, "/d/f") == [0o444]


def test_a_purged_version_is_not_opened_again(store: MemoryStore) -> None:
    """The kernel keeps pages of what it showed, and would go on showing them."""
    store.write("/f", b"to be purged")
    store.write("/f", b"stays")
    old = store.fs.histories.of_name(*store.place("/f")).items[1]
    name = store.listing("/.versions/f")[1].decode()
    ino = store.stat(f"/.versions/f/{name}").ino
    assert store.read_ino(ino) == b"to be purged"
    purge(store.fs, old, caller=ALICE, bypass=None)

    with pytest.raises(StaleInode):
        store.fs.open(ino, os.O_RDONLY, ALICE)


def test_a_view_never_shows_two_contents_under_one_number(store: MemoryStore) -> None:
    """The kernel keeps pages by number; after a purge `@T` shows an older version."""
    store.write("/f", b"older")
    store.write("/f", b"newer")
    at = f"/.versions/@{store.tick() // 10**9}"
    before = store.stat(f"{at}/f")
    newest = store.fs.histories.of_name(*store.place("/f")).items[0]
    store.tick()
    store.write("/f", b"now")
    purge(store.fs, newest, caller=ALICE, bypass=None)

    assert store.read(f"{at}/f") == b"older"
    assert store.stat(f"{at}/f").ino != before.ino
    with pytest.raises(StaleInode):
        store.fs.getattr(before.ino)
