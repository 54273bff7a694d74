"""The lines of `.s3fs/oplog`: paths as people know them, whatever became of the file."""

import pytest

from s3fs_local.engine.activity import Operation
from s3fs_local.engine.operation_log import operation_log
from s3fs_local.rules.inode import FIRST_VIRTUAL_INO, ROOT_INO
from tests.engine.memory_store import MemoryStore


@pytest.fixture
def store() -> MemoryStore:
    """A new store in memory."""
    return MemoryStore()


def logged(store: MemoryStore, operation: Operation) -> str:
    """The line about the operation, answered at once."""
    store.fs.activity.begin(operation)
    store.fs.activity.end(operation)
    return list(operation_log(store.fs))[-1]


def about(store: MemoryStore, ino: int, name: bytes = b"") -> str:
    """The path in the line about an operation on the inode."""
    operation = Operation("getattr", store.fs.activity.uptime_ns(), ino=ino, name=name)
    return logged(store, operation).split("  ")[2:][-5].strip()


def test_a_file_is_named_by_its_path_also_after_it_is_gone(store: MemoryStore) -> None:
    """Inode numbers mean nothing to people."""
    store.mkdir("/d")
    store.write("/d/f", b"x")
    ino = store.stat("/d/f").ino
    before = about(store, ino)
    store.remove("/d/f")

    assert before == about(store, ino) == "'/d/f'"
    assert about(store, store.stat("/d").ino, b"new") == "'/d/new'"
    assert about(store, ROOT_INO) == "'/'"
    assert about(store, ROOT_INO, b"f") == "'/f'"


def test_what_has_no_path_is_said_to_have_none(store: MemoryStore) -> None:
    """A view, a request of no inode, an inode that nobody knows."""
    assert about(store, FIRST_VIRTUAL_INO + 5) == "'(a view)'"
    assert about(store, 0) == "-"
    assert about(store, 4711) == "'(inode 4711)'"


def test_a_name_cannot_forge_a_line(store: MemoryStore) -> None:
    """Whoever may name a file must not be able to write the log."""
    store.write("/a\nb", b"x")
    line = logged(store, Operation("unlink", 0, ino=ROOT_INO, name=b"a\nb\x1b[2J"))

    assert "\n" not in line
    assert "\x1b" not in line
    assert r"'/a\nb\x1b[2J'" in line
