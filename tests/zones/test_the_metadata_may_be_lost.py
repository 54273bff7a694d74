"""The disk of the metadata database fails while the store is open: all goes on from the zones."""

import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import apsw
import pytest
import trio

from s3fs_local.daemon.rebuilding import rebuild
from s3fs_local.daemon.unlocking import Unlocking
from s3fs_local.errors import MetadataDamaged, StoreFull
from s3fs_local.metadata.sqlite.engine import SqliteMetadata
from s3fs_local.rules.findings import Health
from tests.store_on_disk import OWNER, StoreOnDisk, facts_of, make_store, opened

NAMES = [f"file {number}" for number in range(30)]


def _content(name: str) -> bytes:
    return name.encode() * 5000


def _removed(store: Path) -> None:
    for file in store.glob("metadata.sqlite*"):
        file.unlink()


def _unplugged(store: Path) -> None:
    """Another, empty directory is there, as where a disk was mounted."""
    store.rename(store.with_name("unplugged"))
    store.mkdir()


def _overwritten(store: Path) -> None:
    for file in store.glob("metadata.sqlite*"):
        size = file.stat().st_size
        with file.open("r+b") as open_file:
            open_file.write(b"rubbish." * (size // 8))


FAULTS: dict[str, Callable[[Path], None]] = {
    "removed": _removed,
    "unplugged": _unplugged,
    "overwritten": _overwritten,
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_database_that_is_lost_while_in_use_loses_nothing(
    tmp_path: Path, fault: str
) -> None:
    """Committed, journaled and just applied: all is there, also after the next opening."""
    zones = [tmp_path / "a", tmp_path / "b"]
    make_store(tmp_path / "store", zones)
    async with opened(tmp_path / "store") as disk:
        await _fill(disk, NAMES[:10])
        await disk.fs.volume.durability.settle()
        await _fill(disk, NAMES[10:20])
        await disk.sync()
        disk.fs.unlink(*disk.place(NAMES[3]), OWNER)
        disk.write(NAMES[20], _content(NAMES[20]))
        FAULTS[fault](tmp_path / "store")
        await _fill(disk, NAMES[21:25])
        await disk.fs.volume.durability.settle()
        await _check(disk, NAMES[:25], without=NAMES[3])
        await _fill(disk, NAMES[25:])
        await disk.fs.volume.durability.leave_segment_behind(disk.store.metadata)
        facts = _described(disk)
        assert disk.status().health is not Health.HEALTHY
        home = disk.store.metadata.home
        assert home not in {tmp_path / "store", tmp_path / "unplugged"}
    assert not home.exists(), "it went with the process"
    if fault == "unplugged":
        shutil.rmtree(tmp_path / "store")
        (tmp_path / "unplugged").rename(tmp_path / "store")
    if fault == "overwritten":
        await trio.to_thread.run_sync(lambda: rebuild(tmp_path / "store", Unlocking(), zones=()))
    async with opened(tmp_path / "store") as disk:
        await _check(disk, NAMES, without=NAMES[3])
        assert _described(disk) == facts
        disk.write("after", b"it goes on")


def _described(disk: StoreOnDisk) -> list[str]:
    """All facts but the notes that each opening makes for itself."""
    return [repr(fact) for fact in facts_of(disk) if "'fact." not in repr(fact)]


async def _fill(disk: StoreOnDisk, names: list[str]) -> None:
    for name in names:
        disk.write(name, _content(name))
    await disk.sync()


async def _check(disk: StoreOnDisk, names: list[str], *, without: str) -> None:
    for name in names:
        if name == without:
            assert disk.fs.volume.metadata.lookup(*disk.place(name)) is None
        else:
            assert await disk.read(name) == _content(name)


def fail(metadata: SqliteMetadata, words: str, error: apsw.Error) -> None:
    """From now on statements with these words end so, in the present database."""
    engine: Any = metadata  # a failing disk can be had no other way
    execute = engine._execute  # noqa: SLF001 - see above

    def failing(sql: str, *more: Any) -> Any:  # noqa: ANN401 - as apsw's
        if words in sql:
            raise error
        return execute(sql, *more)

    engine._execute = engine._writer._execute = failing  # noqa: SLF001 - see above


@pytest.fixture
async def disk_store(tmp_path: Path) -> AsyncIterator[StoreOnDisk]:
    """An open store of two zones, with files."""
    make_store(tmp_path / "store", [tmp_path / "a", tmp_path / "b"])
    async with opened(tmp_path / "store") as disk:
        await _fill(disk, NAMES[:5])
        yield disk


@pytest.mark.parametrize("words", ["SELECT", "INSERT", "REPLACE", "COMMIT"])
async def test_an_error_of_the_disk_moves_the_database(
    disk_store: StoreOnDisk, tmp_path: Path, words: str
) -> None:
    """Whoever asked gets the answer, not the error."""
    fail(disk_store.store.metadata, words, apsw.IOError("disk I/O error"))
    disk_store.write("while it fails", b"1")
    await disk_store.fs.volume.durability.settle()

    assert disk_store.store.metadata.home != tmp_path / "store"
    assert await disk_store.read("while it fails") == b"1"
    await _check(disk_store, NAMES[:5], without="")


async def test_a_full_disk_of_the_database_stops_nobody_while_the_zones_have_room(
    disk_store: StoreOnDisk, tmp_path: Path
) -> None:
    """The zones are on other disks."""
    fail(disk_store.store.metadata, "COMMIT", apsw.FullError("database or disk is full"))
    disk_store.write("while it is full", b"1")
    await disk_store.fs.volume.durability.settle()

    assert disk_store.store.metadata.home != tmp_path / "store"
    assert await disk_store.read("while it is full") == b"1"


async def test_a_store_whose_directory_is_full_is_closed_and_opened_again(
    small_disk: Path, tmp_path: Path
) -> None:
    """Not a byte fits there: what is acknowledged is durable in the zones, and that is enough.

    Closing said that the store is full before, because a note of when copies were read had no room;
    opening ended with an internal error where the database was to be made anew.
    """
    store = small_disk / "store"
    make_store(store, [tmp_path / "a", tmp_path / "b"])
    async with opened(store) as disk:
        await _fill(disk, NAMES[:5])
        await disk.fs.volume.durability.settle()
        _fill_up(small_disk)
        await _fill(disk, NAMES[5:])
        await disk.fs.volume.durability.settle()
        disk.store.zoning.care.verified.save()
        disk.write("last", b"1")
        assert disk.store.metadata.home != store
    async with opened(store) as disk:
        await _check(disk, NAMES, without="")
        assert await disk.read("last") == b"1"
        disk.write("while it is full", b"2")
        home = disk.store.metadata.home
        assert home != store
        assert [each.subject for each in disk.status().findings] == ["metadata"]
    assert not home.exists()
    (small_disk / "ballast").unlink()
    async with opened(store) as disk:
        assert disk.store.metadata.home == store
        assert await disk.read("while it is full") == b"2"
        assert disk.status().health is Health.HEALTHY


async def test_where_no_room_is_for_another_database_either_opening_says_so(
    small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a sentence that names the file, and leaving nothing behind; it was an internal error."""
    store = small_disk / "store"
    make_store(store, [tmp_path / "a", tmp_path / "b"])
    (small_disk / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(small_disk / "tmp"))
    (store / "metadata.sqlite").unlink()
    _fill_up(small_disk)
    with pytest.raises(StoreFull, match=r"no space left for .*/metadata\.image"):
        async with opened(store):
            pass
    assert list(store.glob("metadata*")) == []
    assert list((small_disk / "tmp").iterdir()) == []


def _fill_up(disk: Path) -> None:
    """Not one byte is left on it."""
    with (disk / "ballast").open("ab", buffering=0) as ballast, suppress(OSError):
        while True:
            ballast.write(bytes(4096))


async def test_where_the_zones_are_full_too_the_store_is_full(
    disk_store: StoreOnDisk, tmp_path: Path
) -> None:
    """One disk for everything: another place would not help, and room will be made."""
    metadata = disk_store.store.metadata
    disk_store.store.rescue.has_room = lambda: False
    working = metadata._execute  # noqa: SLF001
    fail(metadata, "COMMIT", apsw.FullError("database or disk is full"))
    disk_store.write("while it is full", b"1")
    with pytest.raises(StoreFull):
        await disk_store.fs.volume.durability.settle()
    metadata._execute = working  # noqa: SLF001
    await disk_store.fs.volume.durability.settle()

    assert metadata.home == tmp_path / "store"
    assert await disk_store.read("while it is full") == b"1"


async def test_without_a_copy_in_a_zone_the_error_is_told(disk_store: StoreOnDisk) -> None:
    """Nothing is made up; and the journal has everything for the next mount."""
    metadata = disk_store.store.metadata
    for zone in ("a", "b"):
        shutil.rmtree(disk_store.store.path.with_name(zone) / "checkpoint")
    working = metadata._execute  # noqa: SLF001
    fail(metadata, "COMMIT", apsw.IOError("disk I/O error"))
    disk_store.write("while it fails", b"1")
    with pytest.raises(MetadataDamaged, match="no zone holds a copy"):
        await disk_store.fs.volume.durability.settle()
    metadata._execute = working  # noqa: SLF001
    await disk_store.fs.volume.durability.settle()
    assert await disk_store.read("while it fails") == b"1"
