"""A full disk is told at the write; attributes are stored, limited and kept."""

import os

import pytest
import trio

from s3fs_local.engine.attribute_meanings import ATTRIBUTES
from s3fs_local.engine.attributes import AttributeChange
from s3fs_local.engine.filesystem import Presentation
from s3fs_local.engine.space import LOOK_AGAIN_BYTES, RESERVE_BYTES_MIN, SpaceGuard
from s3fs_local.errors import (
    AttributeTooLarge,
    InvalidArgument,
    NoSuchAttribute,
    Protected,
    StoreFull,
)
from s3fs_local.objects.memory import MemoryObjects
from s3fs_local.rules.instants import SECOND_NS
from tests.engine.invariants import check_invariants
from tests.engine.memory_store import ALICE, MemoryStore

MIB = 1 << 20


class SmallZone(MemoryObjects):
    """A zone of 40 MiB."""

    def free_bytes(self) -> tuple[int, int]:
        """What is left of it."""
        used = sum(self.length(name) for name in self.list(""))
        return max(40 * MIB - used, 0), 40 * MIB


def test_what_was_accepted_can_always_be_committed() -> None:
    """ENOSPC comes from write, when a program still looks; never from close."""
    store = MemoryStore(zone=SmallZone())
    accepted: dict[str, int] = {}
    refused = False
    for number in range(100):
        path = f"/f{number}"
        handle = store.open(path, os.O_CREAT | os.O_WRONLY)
        accepted[path] = 0
        try:
            for _ in range(10):
                store.fs.write(handle, accepted[path], bytes([number]) * 100_000)
                accepted[path] += 100_000
        except StoreFull:
            refused = True
        store.close(handle)
        store.flush()
        if refused:
            break

    assert refused
    assert sum(accepted.values()) > 30 * MIB
    for path, size in accepted.items():
        assert store.stat(path).size == size
    check_invariants(store)


def test_names_can_be_removed_when_the_disk_is_full() -> None:
    """And the same bytes written again are still refused: history keeps them."""
    store = MemoryStore(zone=SmallZone())
    handle = store.open("/f", os.O_CREAT | os.O_WRONLY)
    for offset in range(0, 30 * MIB, MIB):
        store.fs.write(handle, offset, b"x" * MIB)
    with pytest.raises(StoreFull):
        store.fs.write(handle, 30 * MIB, b"x" * (10 * MIB))
    store.close(handle)
    store.remove("/f")
    store.flush(durable=True)

    handle = store.open("/g", os.O_CREAT | os.O_WRONLY)
    with pytest.raises(StoreFull):
        store.fs.write(handle, 0, b"x" * (8 * MIB))
    store.close(handle)
    store.crash()
    assert store.history("/f") == [b"x" * (30 * MIB)]


def test_bytes_written_over_and_over_claim_their_space_once() -> None:
    """A database that writes one page a thousand times fills no disk until it closes."""
    store = MemoryStore(zone=SmallZone())
    handle = store.open("/f", os.O_CREAT | os.O_RDWR)
    for _ in range(100):
        store.fs.write(handle, 0, b"x" * MIB)
    store.close(handle)
    store.fs.write(store.open("/g", os.O_CREAT | os.O_WRONLY), 0, b"y" * (20 * MIB))


def test_extended_attributes_have_the_limits_of_linux(store: MemoryStore) -> None:
    """Name, value, and all of an inode together."""
    store.write("/f", b"x")
    ino = store.stat("/f").ino
    store.fs.setxattr(ino, b"user." + b"n" * 250, b"v" * 65536, ALICE)
    for name, value in ((b"user." + b"n" * 251, b""), (b"user.v", b"v" * 65537)):
        with pytest.raises(AttributeTooLarge):
            store.fs.setxattr(ino, name, value, ALICE)
    for number in range(14):
        store.fs.setxattr(ino, b"user.%d" % number, b"v" * 65536, ALICE)
    with pytest.raises(AttributeTooLarge):
        store.fs.setxattr(ino, b"user.14", b"v" * 65536, ALICE)
    with pytest.raises(NoSuchAttribute):
        store.fs.removexattr(ino, b"user.none", ALICE)


def test_attributes_make_no_version_and_survive_a_crash(store: MemoryStore) -> None:
    """Also those of a file that is being written."""
    handle = store.open("/f", os.O_CREAT | os.O_RDWR)
    store.fs.write(handle, 0, b"x")
    ino = store.stat("/f").ino
    store.fs.setxattr(ino, b"user.a", b"1", ALICE)
    change = AttributeChange(mode=0o600, uid=7, gid=8, mtime_ns=SECOND_NS, atime_ns=2 * SECOND_NS)
    store.fs.setattr(ino, change, handle, ALICE)
    store.close(handle)
    before = store.stat("/f")
    store.flush()
    store.crash()

    assert store.stat("/f") == before
    assert (before.uid, before.gid, before.mtime_ns) == (7, 8, SECOND_NS)
    assert len(store.history("/f")) == 1


def test_lock_attributes_are_not_listed_nor_removed(store: MemoryStore) -> None:
    """So no copying program carries a lock to another file."""
    store.write("/f", b"x")
    ino = store.stat("/f").ino
    assert store.fs.listxattr(ino) == []
    assert store.fs.getxattr(ino, b"s3.storage-class") == b"STANDARD"
    assert len(store.fs.getxattr(ino, b"s3.etag")) == 34
    assert store.fs.getxattr(ino, b"s3.versions") == b"1"
    with pytest.raises(Protected):
        store.fs.removexattr(ino, b"s3.etag", ALICE)
    with pytest.raises(NoSuchAttribute):
        store.fs.getxattr(ino, b"s3.nonsense")


def test_lock_attributes_are_listed_where_they_are_asked_for(store: MemoryStore) -> None:
    """`-o xattr_list`: every one that has a value, and no other."""
    store.write("/f", b"x")
    ino = store.stat("/f").ino
    store.fs.presentation = Presentation(lists_lock_attributes=True)
    listed = store.fs.listxattr(ino)

    assert {b"s3.versions", b"s3.replicas", b"s3.server-side-encryption"} <= set(listed)
    assert b"s3.object-lock-legal-hold" not in listed  # a store without Object Lock
    for name in listed:
        assert store.fs.getxattr(ino, name)
    for name in {f"s3.{word}".encode() for word in ATTRIBUTES} - set(listed):
        assert store.fs.find_xattr(ino, name) is None


def test_attributes_of_old_versions_are_listed_as_those_of_files(store: MemoryStore) -> None:
    """A text that a view makes, such as `log`, is nothing that the store keeps: it has none."""
    store.write("/f", b"x")
    store.fs.presentation = Presentation(lists_lock_attributes=True)
    name = store.listing("/.versions/f")[0].decode()
    ino = store.stat(f"/.versions/f/{name}").ino

    assert store.fs.listxattr(ino) == store.fs.listxattr(store.stat("/f").ino)
    assert store.fs.getxattr(ino, b"s3.storage-class") == b"STANDARD"
    log = store.stat("/.versions/f/log").ino
    assert store.fs.listxattr(log) == []
    for word in ATTRIBUTES:
        assert store.fs.find_xattr(log, f"s3.{word}".encode()) is None


@pytest.mark.parametrize("name", [b"s3.tags", b"s3.restore-request"])
def test_what_only_versions_have_is_not_set_on_a_directory(store: MemoryStore, name: bytes) -> None:
    """ENOENT would say that the directory is not there."""
    store.mkdir("/d")
    with pytest.raises(InvalidArgument):
        trio.run(store.fs.set_lock_attribute, store.stat("/d").ino, name, b"1", ALICE)


def test_tags_belong_to_the_version(store: MemoryStore) -> None:
    """A new version has none, a restored one has those of its source (as a copy in S3)."""
    store.write("/f", b"one")
    ino = store.stat("/f").ino
    trio.run(store.fs.set_lock_attribute, ino, b"s3.tags", b"case=7&kind=log", ALICE)
    assert store.fs.getxattr(ino, b"s3.tags") == b"case=7&kind=log"
    first_ns = store.stat("/f").version_ns
    store.write("/f", b"two")
    with pytest.raises(NoSuchAttribute):
        store.fs.getxattr(ino, b"s3.tags")
    store.fs.restore_content(ino, ino, first_ns, caller=ALICE)
    assert store.fs.getxattr(ino, b"s3.tags") == b"case=7&kind=log"
    with pytest.raises((InvalidArgument, ValueError)):
        trio.run(store.fs.set_lock_attribute, ino, b"s3.tags", b"=", ALICE)


def test_room_that_no_zone_has_told_yet_is_not_taken_for_none() -> None:
    """A bucket far away may take longer for its first answer than anybody waits for."""
    space = (0, 0)
    guard = SpaceGuard(lambda: space)
    guard.claim(1000, unsealed_bytes=0)
    space = (RESERVE_BYTES_MIN, RESERVE_BYTES_MIN)

    with pytest.raises(StoreFull):
        guard.claim(LOOK_AGAIN_BYTES + 1, unsealed_bytes=0)
