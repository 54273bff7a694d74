"""Bytes written are bytes read, in every version; what did not change is not stored again."""

import os
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from s3fs_local.engine.attributes import AttributeChange
from s3fs_local.errors import BadHandle, FileTooLarge, IsADirectory, StoreReadOnly
from s3fs_local.rules.extents import CELL_BYTES as MIB
from s3fs_local.rules.limits import FILE_BYTES_MAX
from s3fs_local.rules.versioning import Origin
from tests.engine.invariants import check_invariants
from tests.engine.memory_store import ALICE, MemoryStore


def _versions(store: MemoryStore, path: str) -> int:
    return len(store.metadata.versions(store.stat(path).ino))


def _sealed_bytes(store: MemoryStore) -> int:
    return store.metadata.usage().sealed_bytes


def _limit_memory(store: MemoryStore, size: int) -> None:
    volume = store.fs.volume
    volume.settings = structs.replace(volume.settings, draft_memory_bytes=size)


def test_a_write_in_the_middle_leaves_the_rest(store: MemoryStore) -> None:
    """Both contents can be read afterwards."""
    store.write("/f", b"0123456789")
    store.patch("/f", 3, b"abc")

    assert store.history("/f") == [b"012abc6789", b"0123456789"]
    check_invariants(store)


def test_many_small_appends_leave_few_blocks(store: MemoryStore) -> None:
    """A log of a thousand lines is not a thousand blocks in its newest version."""
    for number in range(200):
        store.append("/log", b"%04d\n" % number)

    assert store.read("/log") == b"".join(b"%04d\n" % number for number in range(200))
    assert len(store.fs.reading.layouts(store.stat("/log").ino)(0)) <= 12
    assert _versions(store, "/log") == 200
    check_invariants(store)


def test_a_hole_costs_nothing_and_reads_as_zeros(store: MemoryStore) -> None:
    """As large as it may be."""
    handle = store.open("/f", os.O_CREAT | os.O_RDWR)
    store.fs.write(handle, 2**50, b"end")
    store.close(handle)

    assert store.stat("/f").size == 2**50 + 3
    assert store.stat("/f").allocated == 3
    assert store.metadata.usage().plain_bytes == 3
    handle = store.open("/f", os.O_RDONLY)
    assert store.fs.read_nowait(handle, 2**50 - 5, 100) == b"\0\0\0\0\0end"
    assert store.fs.read_nowait(handle, 2**40, 9) == bytes(9)
    check_invariants(store)


def test_the_largest_size_is_accepted_and_one_more_is_not(store: MemoryStore) -> None:
    """And the refusal changes nothing."""
    store.write("/f", b"x")
    store.truncate("/f", FILE_BYTES_MAX)
    store.patch("/f", FILE_BYTES_MAX - 1, b"y")
    with pytest.raises(FileTooLarge):
        store.patch("/f", FILE_BYTES_MAX, b"z")
    with pytest.raises(FileTooLarge):
        store.truncate("/f", FILE_BYTES_MAX + 1)

    assert store.stat("/f").size == FILE_BYTES_MAX
    store.truncate("/f", 1)
    assert store.read("/f") == b"x"
    check_invariants(store)


def test_what_a_truncation_cut_off_never_shows_again(store: MemoryStore) -> None:
    """Shrunk and grown again, in one draft and over several versions, across cells."""
    store.write("/f", b"a" * (MIB + 10))
    store.truncate("/f", MIB + 5)
    store.truncate("/f", MIB + 10)
    assert store.read("/f")[MIB:] == b"a" * 5 + bytes(5)

    handle = store.open("/f")
    for size in (100, 2 * MIB, 50, 60):
        store.fs.setattr(store.stat("/f").ino, AttributeChange(size=size), handle, ALICE)
    assert store.fs.read_nowait(handle, 0, 100) == b"a" * 50 + bytes(10)
    store.close(handle)

    assert store.read("/f") == b"a" * 50 + bytes(10)
    assert store.stat("/f").allocated == 50
    check_invariants(store)


def test_truncation_by_handle_is_part_of_what_the_close_commits(store: MemoryStore) -> None:
    """By path it is a version of its own."""
    store.write("/f", b"0123456789")
    handle = store.open("/f")
    store.fs.setattr(store.stat("/f").ino, AttributeChange(size=4), handle, ALICE)
    store.fs.write(handle, 4, b"x")
    store.close(handle)
    assert _versions(store, "/f") == 2

    store.truncate("/f", 2)
    versions = store.metadata.versions(store.stat("/f").ino)
    assert [version.origin for version in versions[:2]] == [Origin.TRUNCATED, Origin.CLOSE]
    assert store.history("/f") == [b"01", b"0123x", b"0123456789"]


def test_truncation_by_path_beside_a_writer_waits_for_its_close(store: MemoryStore) -> None:
    """There is one draft of a file."""
    store.write("/f", b"0123456789")
    handle = store.open("/f")
    store.truncate("/f", 4)
    assert _versions(store, "/f") == 1
    store.close(handle)

    assert store.history("/f") == [b"0123", b"0123456789"]


def test_directories_have_no_size_to_change(store: MemoryStore) -> None:
    """EISDIR, for opening too."""
    store.mkdir("/d")
    with pytest.raises(IsADirectory):
        store.truncate("/d", 0)
    with pytest.raises(IsADirectory):
        store.fs.open(store.stat("/d").ino, os.O_RDONLY, ALICE)


@pytest.mark.parametrize("start", [MIB - 3, MIB, 2 * MIB - 1])
def test_writes_across_the_edge_of_a_cell(store: MemoryStore, start: int) -> None:
    """The piece sizes of a commit are no concern of the reader."""
    content = bytearray(b"a" * (3 * MIB))
    store.write("/f", bytes(content))
    store.patch("/f", start, b"b" * 10)
    content[start : start + 10] = b"b" * 10

    assert store.read("/f") == content
    assert _sealed_bytes(store) < 5 * MIB  # at worst two cells were sealed again
    check_invariants(store)


def test_a_small_change_of_a_large_file_stores_little(store: MemoryStore) -> None:
    """A byte in each of two cells of eight: no cell is stored again whole."""
    store.write("/f", _numbered_bytes(8 * MIB))
    before = _sealed_bytes(store)
    handle = store.open("/f")
    store.fs.write(handle, 5 * MIB + 77, b"!")
    store.fs.write(handle, 7 * MIB, b"?")
    store.close(handle)

    assert _sealed_bytes(store) - before < 3 * 4096
    content = bytearray(_numbered_bytes(8 * MIB))
    content[5 * MIB + 77] = ord("!")
    content[7 * MIB] = ord("?")
    assert store.read("/f") == content
    check_invariants(store)


def _numbered_bytes(size: int) -> bytes:
    """The same bytes at every call, without a period that a cell could hide."""
    return b"".join(number.to_bytes(8, "big") for number in range(size // 8))


def test_more_than_the_memory_for_drafts_is_sealed_early(store: MemoryStore) -> None:
    """Reads before the close see all of it, and the close commits what was sealed."""
    _limit_memory(store, 2 * MIB)
    content = _numbered_bytes(8 * MIB)
    handle = store.open("/f", os.O_CREAT | os.O_RDWR)
    ino = store.stat("/f").ino
    for start in range(0, len(content), 128 << 10):
        store.fs.write(handle, start, content[start : start + (128 << 10)])
        draft = store.fs.volume.drafts[ino]
        assert draft.dirty_bytes <= 2 * MIB
    assert store.fs.read_current(ino, 0, len(content)) == content
    store.close(handle)

    assert store.read("/f") == content
    assert _versions(store, "/f") == 1
    assert _sealed_bytes(store) < len(content) * 1.01
    check_invariants(store)


def test_scattered_writes_to_many_files_share_the_memory(store: MemoryStore) -> None:
    """The largest drafts are sealed first; none is committed by it."""
    _limit_memory(store, 100_000)
    handles = [store.open(f"/f{number}", os.O_CREAT | os.O_RDWR) for number in range(5)]
    for start in (0, MIB - 10_000, 3 * MIB):
        for number, handle in enumerate(handles):
            store.fs.write(handle, start, bytes([65 + number]) * 20_000)
    drafts = store.fs.volume.drafts.values()
    assert sum(draft.dirty_bytes for draft in drafts) <= 100_000
    assert store.metadata.usage().versions == 0
    for handle in handles:
        store.close(handle)

    for number in range(5):
        content = store.read(f"/f{number}")
        assert content[MIB - 10_000 : MIB + 10_000] == bytes([65 + number]) * 20_000
        assert content[20_000:21_000] == bytes(1000)
    check_invariants(store)


def test_bytes_written_as_they_were_make_no_version(store: MemoryStore) -> None:
    """Pages of a mapping come back whole; only the times tell that they were written."""
    store.write("/f", b"same content")
    before = store.stat("/f")
    store.patch("/f", 5, b"content")

    assert _versions(store, "/f") == 1
    assert store.stat("/f").mtime_ns > before.mtime_ns
    assert not store.fs.volume.drafts
    check_invariants(store)


def test_opening_for_writing_and_closing_makes_no_version(store: MemoryStore) -> None:
    """As `>>` with nothing to add."""
    store.write("/f", b"content")
    store.close(store.open("/f", os.O_WRONLY))

    assert _versions(store, "/f") == 1


def test_a_new_file_has_a_version_even_if_nothing_is_written(store: MemoryStore) -> None:
    """touch(1) makes something that can be looked back at."""
    store.close(store.open("/f", os.O_CREAT | os.O_WRONLY))
    store.fs.mknod(1, b"g", 0o100600, 0, ALICE)

    assert store.history("/f") == store.history("/g") == [b""]


def test_one_version_however_many_duplicates_are_closed(store: MemoryStore) -> None:
    """A shell closes a descriptor once for each command: each close replaces the last's version."""
    handle = store.open("/f", os.O_CREAT | os.O_WRONLY)
    for number in range(5):
        store.fs.write(handle, number * 6000, b"%d" % number * 6000)
        store.fs.flush(handle)
        assert _versions(store, "/f") == 1
        check_invariants(store)  # nothing of the replaced version leaks
    store.fs.release(handle)

    assert store.history("/f") == [b"".join(b"%d" % number * 6000 for number in range(5))]


def test_a_duplicate_never_replaces_what_somebody_else_wrote(store: MemoryStore) -> None:
    """Only its own provisional version, and only while that is current."""
    first = store.open("/f", os.O_CREAT | os.O_RDWR)
    store.fs.write(first, 0, b"one")
    store.fs.flush(first)
    store.append("/f", b" two")
    store.fs.write(first, 0, b"ONE")
    store.close(first)

    assert store.history("/f") == [b"ONE two", b"one two", b"one"]


def test_a_handle_to_read_does_not_write(store: MemoryStore) -> None:
    """EBADF."""
    store.write("/f", b"content")
    handle = store.open("/f", os.O_RDONLY)
    with pytest.raises(BadHandle):
        store.fs.write(handle, 0, b"x")


def test_a_store_that_went_read_only_refuses_at_once(store: MemoryStore) -> None:
    """No handle is left open by the refusal, and reading goes on."""
    store.write("/f", b"content")
    store.fs.volume.read_only_reason = "a disk failed"
    for flags in (os.O_WRONLY, os.O_RDONLY | os.O_TRUNC):
        with pytest.raises(StoreReadOnly):
            store.open("/f", flags)

    assert len(store.fs.open_files) == 0
    assert store.read("/f") == b"content"


EDGES: Final = st.sampled_from(
    [0, 1, 4095, 4096, 5000, MIB - 1, MIB, MIB + 1, 2 * MIB - 7, 2 * MIB]
)
EDITS: Final = st.one_of(
    st.tuples(st.just("write"), EDGES, st.integers(1, 9000)),
    st.tuples(st.just("resize"), EDGES, st.just(0)),
    st.tuples(st.sampled_from(["close", "seal"]), st.just(0), st.just(0)),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(EDITS, max_size=15))
def test_any_edits_give_the_bytes_that_a_plain_buffer_has(
    edits: list[tuple[str, int, int]],
) -> None:
    """In the draft, after each close, and in every version for good."""
    store = MemoryStore()
    content = bytearray()
    committed: list[bytes] = []
    handle = store.open("/f", os.O_CREAT | os.O_RDWR)
    ino = store.stat("/f").ino
    for number, (edit, position, length) in enumerate(edits):
        if edit == "write":
            data = bytes([number + 65]) * length
            store.fs.write(handle, position, data)
            content.extend(bytes(max(position + length - len(content), 0)))
            content[position : position + length] = data
        elif edit == "resize":
            store.fs.setattr(ino, AttributeChange(size=position), handle, ALICE)
            del content[position:]
            content.extend(bytes(position - len(content)))
        elif edit == "seal":
            _limit_memory(store, 1)
            store.fs.write(handle, 0, b"s")
            content[:1] = b"s"
            _limit_memory(store, MIB)
        else:
            store.close(handle)
            committed.append(bytes(content))
            handle = store.open("/f")
        assert store.fs.read_current(ino, 0, len(content) + 1) == bytes(content)
    store.close(handle)
    committed.append(bytes(content))

    kept = [version for number, version in enumerate(committed) if version != committed[number - 1]]
    assert set(store.history("/f")) >= set(kept)
    assert store.read("/f") == content
    check_invariants(store)
