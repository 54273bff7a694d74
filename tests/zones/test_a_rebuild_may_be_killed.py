"""`fsck --rebuild` may be killed anywhere and begun again: what the next one needs is there."""

from pathlib import Path

import pytest
import trio

from s3fs_local.daemon.rebuilding import rebuild
from s3fs_local.daemon.unlocking import Unlocking
from tests.store_on_disk import StoreOnDisk, facts_of, make_store, opened

NAMES = [f"file {number}" for number in range(10)]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """One with two zones."""
    make_store(tmp_path / "store", [tmp_path / "a", tmp_path / "b"])
    return tmp_path / "store"


async def _fill(disk: StoreOnDisk) -> None:
    for name in NAMES:
        disk.write(name, name.encode() * 1000)
    await disk.fs.volume.durability.settle()


def _facts(disk: StoreOnDisk) -> list[str]:
    return [repr(fact) for fact in facts_of(disk) if "'fact." not in repr(fact)]


async def test_the_log_of_a_database_that_is_gone_is_not_taken_for_the_new_ones(
    store: Path,
) -> None:
    """Killed between setting aside the two, or one was removed by hand: SQLite would replay it."""
    async with opened(store) as disk:
        await _fill(disk)
        log = (store / "metadata.sqlite-wal").read_bytes()
        disk.write(NAMES[0], b"new")
        await disk.fs.volume.durability.leave_segment_behind(disk.store.metadata)
        facts = _facts(disk)
    (store / "metadata.sqlite").unlink()
    (store / "metadata.sqlite-wal").write_bytes(log)
    async with opened(store) as disk:
        assert disk.store.metadata.integrity_check() == []
        assert _facts(disk) == facts
        assert await disk.read(NAMES[0]) == b"new"


async def test_a_rebuild_that_is_begun_again_keeps_the_database_that_was_there_first(
    store: Path,
) -> None:
    """Whoever wants to look at it would find the work of the first attempt in its place."""
    async with opened(store) as disk:
        await _fill(disk)
    (store / "metadata.sqlite").write_bytes(b"damaged")
    for _ in range(2):
        await trio.to_thread.run_sync(lambda: rebuild(store, Unlocking(), zones=()))
    assert (store / "metadata.sqlite.set-aside").read_bytes() == b"damaged"
    async with opened(store) as disk:
        assert await disk.read(NAMES[0]) == NAMES[0].encode() * 1000


async def test_after_a_rebuild_elsewhere_the_zones_are_as_they_should_be(
    tmp_path: Path, store: Path
) -> None:
    """The store has a new record, which zones did not have: fsck called them damaged."""
    async with opened(store) as disk:
        await _fill(disk)
    key = Unlocking(key_file=tmp_path / "recovery.key")
    new, urls = tmp_path / "new machine", (str(tmp_path / "a"), str(tmp_path / "b"))
    await trio.to_thread.run_sync(lambda: rebuild(new, key, zones=urls))
    async with opened(new, key) as disk:
        assert (await disk.ask_scrub())["Damaged"] == []
