"""Nobody learns from the past what was kept from them then."""

import os
from typing import Final

import pytest

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
