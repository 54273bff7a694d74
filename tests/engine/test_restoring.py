"""A restore brings back everything as it was, tells exactly what it does, and can be undone."""

from collections.abc import Callable, Iterator
from typing import Final

import pytest
from msgspec import structs

from s3fs_local.engine.attributes import AttributeChange
from s3fs_local.engine.restoring import Action, Restoring, Step, deleted_state, state_at
from s3fs_local.errors import NotDeleted, NothingToRestore, Protected
from s3fs_local.rules.inode import ROOT_INO, Inode
from s3fs_local.rules.instants import SECOND_NS
from s3fs_local.rules.retention import Retention
from s3fs_local.rules.versioning import VersioningState
from tests.engine.invariants import check_invariants
from tests.engine.memory_store import ALICE, MemoryStore

Tree = dict[str, tuple[object, ...]]
Damage = Callable[[MemoryStore], None]


def tree(store: MemoryStore) -> Tree:
    """Everything that can be seen of the live tree, link structure included."""
    return dict(_walk(store, store.stat("/"), "", {}))


def _walk(
    store: MemoryStore, inode: Inode, path: str, first_path: dict[int, str]
) -> Iterator[tuple[str, tuple[object, ...]]]:
    content = store.read_ino(inode.ino) if inode.is_file else inode.target
    same_as = path if inode.is_directory else first_path.setdefault(inode.ino, path)
    yield path, (inode.mode, inode.uid, inode.mtime_ns, inode.xattrs, content, same_as)
    if inode.is_directory:
        for name in sorted(store.listing(path or "/")):
            child = store.fs.lookup(inode.ino, name)
            yield from _walk(store, child, f"{path}/{name.decode()}", first_path)


def restore_root(store: MemoryStore, at_ns: int) -> list[Step]:
    """The whole store, after a dry run that must tell the same and change nothing."""

    def walk(*, dry_run: bool) -> list[Step]:
        was = store.fs.histories.inode_at(ROOT_INO, at_ns)
        assert was is not None
        restoring = Restoring(store.fs, ALICE, at_ns=at_ns, dry_run=dry_run)
        return list(restoring.restore_root(ROOT_INO, was, b""))

    store.tick()
    before, last_ino = tree(store), store.fs.volume.last_ino
    told = walk(dry_run=True)
    assert tree(store) == before
    assert store.fs.volume.last_ino == last_ino
    done = walk(dry_run=False)
    assert told == done
    check_invariants(store)
    return done


@pytest.fixture
def full(store: MemoryStore) -> MemoryStore:
    """A store with one of everything."""
    store.mkdir("/d")
    store.mkdir("/d/sub")
    store.write("/d/file", b"content" * 1000)
    store.link("/d/file", "/d/sub/link")
    store.write("/d/sub/other", b"other")
    store.fs.symlink(*store.place("/d/symlink"), b"file", ALICE)
    store.fs.mknod(*store.place("/d/pipe"), 0o010600, 0, ALICE)
    store.fs.setxattr(store.stat("/d/file").ino, b"user.x", b"1", ALICE)
    store.fs.setxattr(store.stat("/d").ino, b"user.d", b"2", ALICE)
    store.chmod("/d/sub", 0o700)
    change = AttributeChange(mtime_ns=5 * SECOND_NS)
    store.fs.setattr(store.stat("/d/sub").ino, change, None, ALICE)
    return store


def _damage_contents(store: MemoryStore) -> None:
    store.write("/d/file", b"changed")
    store.chmod("/d/file", 0o600)
    store.fs.removexattr(store.stat("/d/file").ino, b"user.x", ALICE)
    store.chmod("/d", 0o711)


def _damage_all_removed(store: MemoryStore) -> None:
    for path in ("/d/sub/link", "/d/sub/other", "/d/sub", "/d/file", "/d/symlink", "/d/pipe", "/d"):
        store.remove(path)


def _damage_moved(store: MemoryStore) -> None:
    store.rename("/d/sub", "/sub")
    store.rename("/d/file", "/sub/new name")
    store.rename("/d", "/sub/d")


def _damage_kinds(store: MemoryStore) -> None:
    store.remove("/d/file")
    store.mkdir("/d/file")
    store.write("/d/file/inside", b"x")
    store.remove("/d/symlink")
    store.fs.symlink(*store.place("/d/symlink"), b"elsewhere", ALICE)
    store.remove("/d/sub/link")
    store.write("/d/sub/link", b"no link any more")
    store.rename("/d/sub/other", "/d/pipe")


def _damage_remade(store: MemoryStore) -> None:
    _damage_all_removed(store)
    store.mkdir("/d")
    store.write("/d/file", b"a new file")
    store.write("/d/sub", b"a file now")


def _damage_exchanged(store: MemoryStore) -> None:
    store.rename("/d/sub", "/d/file", flags=2)
    store.rename("/d/symlink", "/d/pipe", flags=2)


DAMAGES: Final[list[Damage]] = [
    _damage_contents,
    _damage_all_removed,
    _damage_moved,
    _damage_kinds,
    _damage_remade,
    _damage_exchanged,
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_tree_comes_back_whatever_was_done_to_it(full: MemoryStore, damage: Damage) -> None:
    """Contents, links, kinds, attributes, times of directories; and the restore is undone."""
    good, good_ns = tree(full), full.tick()
    full.tick()
    damage(full)
    bad, bad_ns = tree(full), full.tick()
    restore_root(full, good_ns)
    assert tree(full) == good

    restored_ns = full.tick()
    restore_root(full, bad_ns)
    assert tree(full) == bad
    restore_root(full, restored_ns)
    assert tree(full) == good
    assert restore_root(full, good_ns) == []


def test_nothing_is_copied_by_a_restore(full: MemoryStore) -> None:
    """Blocks are shared."""
    good_ns = full.tick()
    full.tick()
    _damage_all_removed(full)
    before = full.metadata.usage().sealed_bytes
    restore_root(full, good_ns)

    assert full.metadata.usage().sealed_bytes == before


def test_one_file_of_a_tree(full: MemoryStore) -> None:
    """The rest stays as it is."""
    at_ns = full.tick()
    full.write("/d/file", b"changed")
    full.write("/d/sub/other", b"changed too")
    directory, name = full.place("/d/file")
    was = state_at(full.fs, directory, name, at_ns)
    walk = Restoring(full.fs, ALICE, at_ns=at_ns)
    steps = list(walk.restore(directory, name, was, b"d/file"))

    assert [step.action for step in steps] == [Action.CONTENT]
    assert full.read("/d/file") == full.read("/d/sub/link") == b"content" * 1000
    assert full.read("/d/sub/other") == b"changed too"
    check_invariants(full)


def test_what_is_being_written_is_kept_as_a_version(full: MemoryStore) -> None:
    """A restore loses nothing, not even what was not closed."""
    at_ns = full.tick()
    full.tick()
    handle = full.open("/d/sub/other")
    full.fs.write(handle, 0, b"OTHER")
    restore_root(full, at_ns)
    full.close(handle)

    assert full.read("/d/sub/other") == b"other"
    assert full.history("/d/sub/other") == [b"other", b"OTHER", b"other"]


def test_an_undelete_takes_what_was_deleted_last(full: MemoryStore) -> None:
    """A name that lives is not undeleted, and one that never was neither."""
    full.remove("/d/sub/other")
    directory, name = full.place("/d/sub/other")
    was, at_ns = deleted_state(full.fs, directory, name)
    list(Restoring(full.fs, ALICE, at_ns=at_ns).restore(directory, name, was, b"other"))
    assert full.read("/d/sub/other") == b"other"

    with pytest.raises(NotDeleted):
        deleted_state(full.fs, directory, name)
    with pytest.raises(NothingToRestore):
        deleted_state(full.fs, directory, b"never")
    with pytest.raises(NothingToRestore):
        state_at(full.fs, directory, b"never", at_ns)
    check_invariants(full)


def test_what_is_locked_stays_and_is_named(store_with_locks: MemoryStore) -> None:
    """The rest of the tree comes back."""
    store = store_with_locks
    store.mkdir("/d")
    store.write("/d/locked", b"old")
    store.write("/d/free", b"old")
    at_ns = store.tick()
    store.write("/d/locked", b"new")
    store.write("/d/free", b"new")
    store.write("/later", b"later")
    for path in ("/d/locked", "/later"):
        retention = Retention("COMPLIANCE", store.clock.now_ns() + 10**15)
        store.fs.locks.set_retention(store.stat(path).ino, retention, caller=ALICE)
    steps = restore_root(store, at_ns)

    refused = {step.path for step in steps if step.action is Action.REFUSED}
    assert refused == {b"d/locked", b"later"}
    assert store.read("/d/free") == b"old"
    assert store.read("/d/locked") == b"new"
    with pytest.raises(Protected):
        store.remove("/later")


def test_a_file_moved_while_versioning_was_suspended_is_not_lost() -> None:
    """Its null version would go with its last name, so the old name comes back first."""
    store = MemoryStore()
    volume = store.fs.volume
    volume.settings = structs.replace(volume.settings, versioning=VersioningState.SUSPENDED)
    store.write("/f", b"only copy")
    at_ns = store.tick()
    store.rename("/f", "/g")
    restore_root(store, at_ns)

    assert store.read("/f") == b"only copy"
    assert not store.exists("/g")


def test_two_files_that_became_one_come_back_as_two(store: MemoryStore) -> None:
    """Hard-linked since: what is brought back under one name must not show under the other."""
    store.write("/a", b"content of a")
    store.write("/b", b"content of b")
    at_ns = store.tick()
    store.tick()
    store.remove("/a")
    store.link("/b", "/a")
    was = store.fs.histories.inode_at(ROOT_INO, at_ns)
    assert was is not None
    list(Restoring(store.fs, ALICE, at_ns=at_ns).restore_root(ROOT_INO, was, b""))

    assert (store.read("/a"), store.read("/b")) == (b"content of a", b"content of b")
