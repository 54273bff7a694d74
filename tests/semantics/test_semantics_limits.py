"""docs/semantics.md, 7: limits."""

import pytest

from s3fs_local.errors import (
    AttributeTooLarge,
    FileTooLarge,
    InvalidArgument,
    InvalidRetention,
    NameTooLong,
)
from s3fs_local.rules.retention import MAX_PERIOD_NS, parse_until
from s3fs_local.rules.tags import decode_tags
from tests.engine.memory_store import ALICE, START_NS, MemoryStore
from tests.semantics.promises import promise


@promise("A name has at most 255 bytes, the target of a symbolic link 4095.")
def test_the_longest_names(store: MemoryStore) -> None:
    """Those of every Linux disk, so a tree copied here fits."""
    parent, name = store.place("/" + "n" * 255)
    store.fs.symlink(parent, name, b"t" * 4095, ALICE)

    with pytest.raises(NameTooLong):
        store.write("/" + "n" * 256, b"")
    with pytest.raises(NameTooLong):
        store.fs.symlink(parent, b"link", b"t" * 4096, ALICE)


@promise("A file ends before 2⁶³ - 2²⁰ bytes.")
def test_the_largest_file(store: MemoryStore) -> None:
    """The last cell of 1 MiB still has an offset."""
    store.write("/f", b"one")
    store.truncate("/f", 2**63 - 2**20 - 1)

    with pytest.raises(FileTooLarge):
        store.truncate("/f", 2**63 - 2**20)


@promise("An extended attribute has at most 64 KiB, and all of one file together at most 1 MiB.")
def test_the_largest_attributes(store: MemoryStore) -> None:
    """The kernel's own limit for one; the sum travels with every change of the file."""
    store.write("/f", b"one")
    ino = store.stat("/f").ino
    for number in range(15):
        store.fs.setxattr(ino, b"user.%d" % number, bytes(65536), ALICE)

    with pytest.raises(AttributeTooLarge):
        store.fs.setxattr(ino, b"user.long", bytes(65537), ALICE)
    with pytest.raises(AttributeTooLarge):
        store.fs.setxattr(ino, b"user.last", bytes(65536), ALICE)


@promise("The names of all extended attributes of a file have at most 64 KiB together.")
def test_the_most_attribute_names(store: MemoryStore) -> None:
    """More could be set, but never listed again."""
    store.write("/f", b"one")
    ino = store.stat("/f").ino
    names = [b"user." + str(number).zfill(250).encode() for number in range(257)]
    for name in names[:-1]:
        store.fs.setxattr(ino, name, b"", ALICE)
    with pytest.raises(AttributeTooLarge):
        store.fs.setxattr(ino, names[-1], b"", ALICE)


@promise("A file has at most ten tags.")
def test_the_most_tags() -> None:
    """S3's limit."""
    assert len(decode_tags("&".join(f"k{number}=v" for number in range(10)))) == 10
    with pytest.raises(InvalidArgument):
        decode_tags("&".join(f"k{number}=v" for number in range(11)))


@promise("A retention lasts at most 100 years.")
def test_the_longest_retention() -> None:
    """S3's limit, of years of 365 days."""
    assert parse_until("100y", now_ns=START_NS) == START_NS + MAX_PERIOD_NS
    with pytest.raises(InvalidRetention):
        parse_until("36501d", now_ns=START_NS)


@promise("What an operation costs follows what was written, never the size of the file.")
def test_an_empty_petabyte_costs_nothing(store: MemoryStore) -> None:
    """A walk over its cells would take the machine down."""
    store.write("/f", b"one")
    store.truncate("/f", 1 << 62)
    store.patch("/f", 1 << 61, b"two")
    store.truncate("/f", 3)
    store.truncate("/f", 1 << 62)
    rows = len(store.fs.volume.metadata.cell_rows(store.stat("/f").ino))
    store.remove("/f")

    assert rows <= 4
