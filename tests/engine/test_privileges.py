"""What a program gives to whoever runs it falls with a change of its bytes or owner."""

import os

import pytest

from s3fs_local.engine.attributes import AttributeChange
from s3fs_local.engine.privileges import FILE_CAPABILITIES
from s3fs_local.rules.inode import Caller
from tests.engine.memory_store import ALICE, MemoryStore

ROOT = Caller(uid=0, gid=0)
STRANGER = Caller(uid=1002, gid=1002)


def program(store: MemoryStore, mode: int) -> int:
    """The number of a file `/program` with this mode."""
    store.write("/program", b"code")
    store.chmod("/program", mode)
    return store.stat("/program").ino


def mode_of(store: MemoryStore) -> str:
    """Such as 755."""
    return f"{store.stat('/program').mode & 0o7777:o}"


@pytest.mark.parametrize(
    ("mode", "wanted", "caller", "left"),
    [
        (0o6755, AttributeChange(), STRANGER, "755"),
        (0o6755, AttributeChange(), ROOT, "6755"),
        (0o6755, AttributeChange(size=1, takes_set_id_bits=True), STRANGER, "755"),
        (0o6755, AttributeChange(size=1), ROOT, "6755"),
        (0o6755, AttributeChange(uid=7, takes_set_id_bits=True), ROOT, "755"),
        (0o2644, AttributeChange(uid=7, takes_set_id_bits=True), ROOT, "2644"),
        (0o2644, AttributeChange(size=1, takes_set_id_bits=True), STRANGER, "644"),
        (0o2644, AttributeChange(size=1, takes_set_id_bits=True), ALICE, "2644"),
        (0o6755, AttributeChange(mode=0o6711), STRANGER, "6711"),
        (0o6755, AttributeChange(mtime_ns=1), STRANGER, "6755"),
    ],
)
def test_the_bits_go_where_the_kernel_says_so(
    mode: int, wanted: AttributeChange, caller: Caller, left: str
) -> None:
    """A SETATTR that asks for nothing is how it tells that a write will come."""
    store = MemoryStore()
    ino = program(store, mode)
    store.fs.setattr(ino, wanted, None, caller)

    assert mode_of(store) == left


def test_a_directory_keeps_its_bit_whoever_owns_it() -> None:
    """There it says to whom new files belong."""
    store = MemoryStore()
    store.mkdir("/shared")
    store.chmod("/shared", 0o2775)
    wanted = AttributeChange(uid=7, takes_set_id_bits=True)
    store.fs.setattr(store.stat("/shared").ino, wanted, None, STRANGER)

    assert store.stat("/shared").mode & 0o7777 == 0o2775


@pytest.mark.parametrize(("shed_by", "left"), [(STRANGER, "755"), (None, "6755")])
def test_rights_that_came_while_a_file_was_written_fall_at_the_next_write(
    shed_by: Caller | None, left: str
) -> None:
    """The kernel may not know of them: commands and replication do not go through the mount."""
    store = MemoryStore()
    ino = program(store, 0o755)
    handle = store.open("/program", os.O_WRONLY)
    store.fs.write(handle, 0, b"mine", STRANGER)
    store.fs.setxattr(ino, FILE_CAPABILITIES, b"\1", ALICE)
    store.fs.setattr(ino, AttributeChange(mode=0o6755), None, ALICE)
    store.fs.write(handle, 4, b"mine, too", shed_by)

    assert mode_of(store) == left
    assert store.fs.listxattr(ino) == ([] if shed_by else [FILE_CAPABILITIES])


def test_a_locked_program_keeps_what_it_gives(store_with_locks: MemoryStore) -> None:
    """Its mode is locked with it; nothing but an append got so far."""
    store = store_with_locks
    ino = program(store, 0o4755)
    store.fs.locks.set_append_only(ino, caller=ALICE)
    handle = store.open("/program", os.O_WRONLY | os.O_APPEND)
    store.fs.write(handle, 4, b"more", STRANGER)

    assert mode_of(store) == "4755"
