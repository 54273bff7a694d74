"""Names: whatever they come to mean, counts, times and parents are right, the past is kept."""

import os
from collections.abc import Callable

import pytest

from s3fs_local.errors import (
    DirectoryNotEmpty,
    IsADirectory,
    MoveIntoSelf,
    NameReserved,
    NameTaken,
    NameTooLong,
    NoSuchName,
    NotADirectory,
    ReadOnlyView,
)
from s3fs_local.rules.inode import ROOT_INO
from s3fs_local.rules.namespace import Ending
from tests.engine.invariants import check_invariants
from tests.engine.memory_store import ALICE, MemoryStore

EXCHANGE = 2
NOREPLACE = 1


def test_a_file_renamed_over_another_keeps_both_histories(store: MemoryStore) -> None:
    """As editors and rsync save."""
    store.write("/f", b"old")
    store.write("/.f.tmp", b"new")
    store.rename("/.f.tmp", "/f")

    assert store.read("/f") == b"new"
    assert store.history("/f") == [b"new", b"old"]
    assert store.listing("/.versions") == [b"f"]
    check_invariants(store)


def test_what_is_replaced_while_it_is_written_is_kept_as_written(store: MemoryStore) -> None:
    """Its writer goes on without a name; a later undelete finds what it had by then."""
    store.write("/f", b"first")
    handle = store.open("/f")
    store.fs.write(handle, 0, b"FIRST")
    store.write("/g", b"second")
    store.rename("/g", "/f")
    store.fs.write(handle, 0, b"later")
    assert store.fs.read_nowait(handle, 0, 9) == b"later"
    store.close(handle)

    assert store.history("/f") == [b"second", b"FIRST", b"first"]
    assert not store.fs.volume.drafts
    check_invariants(store)


@pytest.mark.parametrize("kind", ["file", "directory", "symlink"])
def test_an_exchange_swaps_whatever_there_is(store: MemoryStore, kind: str) -> None:
    """Across directories and within one, of any two kinds; link counts and `..` follow."""
    store.mkdir("/one")
    store.mkdir("/two")
    store.mkdir("/one/x")
    store.write("/one/x/inside", b"inside")
    if kind == "file":
        store.write("/two/y", b"y")
    elif kind == "directory":
        store.mkdir("/two/y")
    else:
        store.fs.symlink(*store.place("/two/y"), b"target", ALICE)
    was = (store.stat("/one/x").ino, store.stat("/two/y").ino)
    store.rename("/one/x", "/two/y", flags=EXCHANGE)
    assert (store.stat("/two/y").ino, store.stat("/one/x").ino) == was
    assert store.read("/two/y/inside") == b"inside"
    check_invariants(store)

    store.rename("/two/y", "/two/z")
    store.rename("/one/x", "/two/w")
    store.rename("/two/z", "/two/w", flags=EXCHANGE)
    assert store.read("/two/w/inside") == b"inside"
    check_invariants(store)


def test_an_exchange_needs_both_names_and_no_loops(store: MemoryStore) -> None:
    """A delete marker is no name."""
    store.mkdir("/d")
    store.mkdir("/d/e")
    store.write("/f", b"x")
    store.write("/gone", b"x")
    store.remove("/gone")
    for new in ("/none", "/gone"):
        with pytest.raises(NoSuchName):
            store.rename("/f", new, flags=EXCHANGE)
    for old, new in (("/d", "/d/e"), ("/d/e", "/d")):
        with pytest.raises(MoveIntoSelf):
            store.rename(old, new, flags=EXCHANGE)
    check_invariants(store)


def test_renames_that_make_no_sense_are_refused_and_change_nothing(store: MemoryStore) -> None:
    """Each by its own name."""
    store.mkdir("/d")
    store.mkdir("/d/e")
    store.write("/d/f", b"x")
    store.mkdir("/empty")
    refusals = [
        ("/none", "/x", 0, NoSuchName),
        ("/d", "/d/e/d", 0, MoveIntoSelf),
        ("/d", "/d", NOREPLACE, NameTaken),
        ("/empty", "/d", 0, DirectoryNotEmpty),
        ("/empty", "/d/f", 0, NotADirectory),
        ("/d/f", "/empty", 0, IsADirectory),
        ("/d/f", "/empty", NOREPLACE, NameTaken),
        ("/d/f", "/.versions", 0, NameReserved),
        ("/d/f", "/d/.versions", 0, NameReserved),
        ("/d/f", "/.s3fs", 0, NameReserved),
        ("/.versions", "/x", 0, ReadOnlyView),
        ("/d/f", "/" + "n" * 256, 0, NameTooLong),
    ]
    before = (store.stat("/"), store.stat("/d"), store.stat("/d/f"))
    for old, new, flags, error in refusals:
        with pytest.raises(error):
            store.rename(old, new, flags=flags)
    assert (store.stat("/"), store.stat("/d"), store.stat("/d/f")) == before
    store.rename("/d/f", "/d/.s3fs")  # reserved at the root only
    check_invariants(store)


def test_names_of_255_bytes_of_any_kind_are_names(store: MemoryStore) -> None:
    """Newlines and invalid UTF-8 too."""
    for name in (b"n" * 255, b"\xff\xfe", b"two\nlines", b" ", b"...", b"@now"):
        made = store.fs.mknod(ROOT_INO, name, 0o100600, 0, ALICE)
        assert store.fs.lookup(ROOT_INO, name) == made
    check_invariants(store)


def test_a_name_of_one_file_twice_is_left_alone(store: MemoryStore) -> None:
    """POSIX: rename between two links of a file does nothing."""
    store.write("/f", b"x")
    store.link("/f", "/g")
    before = store.stat("/f")
    store.rename("/f", "/g")

    assert store.stat("/f") == before
    assert store.stat("/g").nlink == 2


def test_hard_links_are_one_file_until_the_last_is_gone(store: MemoryStore) -> None:
    """A name that goes is a move; only the last leaves a delete marker."""
    store.write("/f", b"one")
    store.link("/f", "/g")
    store.write("/g", b"two")
    store.remove("/f")
    assert store.read("/g") == b"two"
    assert store.stat("/g").nlink == 1
    assert store.metadata.entry(ROOT_INO, b"f") is None

    store.remove("/g")
    ended = store.metadata.name_history(ROOT_INO, b"g")[0]
    marker = store.metadata.entry(ROOT_INO, b"g")
    assert ended.ending is Ending.DELETED
    assert marker is not None
    assert marker.is_marker
    assert store.history("/g") == store.history("/f") == [b"two", b"one"]
    check_invariants(store)


def test_directories_cannot_be_linked_and_removed_files_neither(store: MemoryStore) -> None:
    """The latter have no name that a link could be a second of."""
    store.mkdir("/d")
    with pytest.raises(IsADirectory):
        store.link("/d", "/e")
    store.write("/f", b"x")
    ino = store.stat("/f").ino
    store.remove("/f")
    with pytest.raises(NoSuchName):
        store.fs.link(ino, ROOT_INO, b"g", ALICE)


def test_a_removed_directory_takes_nothing_new(store: MemoryStore) -> None:
    """A process that sits in it is told."""
    store.mkdir("/d")
    ino = store.stat("/d").ino
    store.write("/f", b"x")
    store.remove("/d")
    with pytest.raises(NoSuchName):
        store.fs.mknod(ino, b"x", 0o100600, 0, ALICE)
    with pytest.raises(NoSuchName):
        store.fs.rename(ROOT_INO, b"f", ino, b"f", 0, ALICE)
    check_invariants(store)


def test_rmdir_wants_an_empty_directory(store: MemoryStore) -> None:
    """Past names do not count."""
    store.mkdir("/d")
    store.write("/d/f", b"x")
    with pytest.raises(DirectoryNotEmpty):
        store.remove("/d")
    with pytest.raises(IsADirectory):
        store.fs.unlink(ROOT_INO, b"d", ALICE)
    with pytest.raises(NotADirectory):
        store.fs.rmdir(store.stat("/d").ino, b"f", ALICE)
    store.remove("/d/f")
    store.remove("/d")
    check_invariants(store)


def test_a_file_unlinked_while_open_can_still_be_read_and_written(store: MemoryStore) -> None:
    """What it held when its name went is in the history; what came later is not."""
    handle = store.open("/f", os.O_CREAT | os.O_RDWR)
    store.fs.write(handle, 0, b"before")
    store.remove("/f")
    store.fs.write(handle, 6, b" and after")
    assert store.fs.read_nowait(handle, 0, 99) == b"before and after"
    store.close(handle)

    assert store.history("/f") == [b"before"]
    assert not store.fs.volume.drafts
    check_invariants(store)


def test_a_temporary_file_that_never_was_saved_leaves_no_trace(store: MemoryStore) -> None:
    """And what the name meant before is as it was, deleted or not."""
    store.write("/f", b"kept")
    store.remove("/f")
    before = store.metadata.name_history(ROOT_INO, b"f")
    handle = store.open("/f", os.O_CREAT | os.O_RDWR)
    ino = store.stat("/f").ino
    store.remove("/f")
    store.close(handle)

    assert store.metadata.inode(ino) is None
    assert store.metadata.name_history(ROOT_INO, b"f") == before
    check_invariants(store)


def test_names_change_the_times_of_the_directories_they_are_in(store: MemoryStore) -> None:
    """Both of a move; reading and writing a file change none."""
    store.mkdir("/one")
    store.mkdir("/two")
    store.write("/one/f", b"x")
    changes: list[tuple[Callable[[], object], set[str]]] = [
        (lambda: store.write("/one/f", b"y"), set()),
        (lambda: store.rename("/one/f", "/one/g"), {"/one"}),
        (lambda: store.rename("/one/g", "/two/g"), {"/one", "/two"}),
        (lambda: store.link("/two/g", "/one/l"), {"/one"}),
        (lambda: store.remove("/two/g"), {"/two"}),
        (lambda: store.mkdir("/two/d"), {"/two"}),
        (lambda: store.rename("/two/d", "/one/l", flags=EXCHANGE), {"/one", "/two"}),
    ]
    for change, touched in changes:
        before = {path: store.stat(path).mtime_ns for path in ("/", "/one", "/two")}
        change()
        changed = {path for path, mtime in before.items() if store.stat(path).mtime_ns != mtime}
        assert changed == touched


def test_listing_goes_on_where_it_was_while_names_come_and_go(store: MemoryStore) -> None:
    """No name that stays is left out or told twice."""
    for number in range(300):
        store.fs.mknod(ROOT_INO, b"%03d" % number, 0o100600, 0, ALICE)
    handle = store.fs.opendir(ROOT_INO, ALICE)
    seen: list[bytes] = []
    after = 0
    for turn in range(0, 300, 50):
        batch = store.fs.readdir(handle, after)
        for _ in range(40):
            name, _, after = next(batch)
            seen.append(name)
        store.fs.unlink(ROOT_INO, b"%03d" % turn, ALICE)
        store.fs.unlink(ROOT_INO, b"%03d" % (299 - turn), ALICE)
        store.fs.mknod(ROOT_INO, b"new%d" % turn, 0o100600, 0, ALICE)
    seen += [name for name, _, _ in store.fs.readdir(handle, after)]
    store.fs.releasedir(handle)

    stayed = {b"%03d" % n for n in range(300)} - {
        b"%03d" % n for turn in range(0, 300, 50) for n in (turn, 299 - turn)
    }
    assert len(seen) == len(set(seen))
    assert stayed <= set(seen)


def test_directories_and_symlinks_come_back_by_undelete_with_what_they_are(
    store: MemoryStore,
) -> None:
    """Undelete gives a nameless inode a name, once."""
    store.mkdir("/d")
    inode = store.stat("/d")
    store.remove("/d")
    store.tick()
    gone = store.fs.volume.inode(inode.ino)
    store.fs.namespace.relink(gone, ROOT_INO, b"e", ALICE)

    assert store.stat("/e").ino == inode.ino
    assert store.stat("/e").nlink == 2
    assert store.fs.lookup(inode.ino, b"..").ino == ROOT_INO
    with pytest.raises(NameTaken):
        store.fs.namespace.relink(gone, ROOT_INO, b"e", ALICE)
    check_invariants(store)
