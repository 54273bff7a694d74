"""Each zone alone is the whole store: bytes, history, locks, to the last fsync."""

import shutil
from pathlib import Path

import pytest
import trio

from s3fs_local.control.requests import DescribeRetention, ListVersions, SetRetention
from s3fs_local.daemon.rebuilding import rebuild
from s3fs_local.daemon.unlocking import Unlocking
from s3fs_local.errors import NotAStore, Protected, StoreDamaged, TooFewZones, WrongKey
from s3fs_local.metadata.changes import PutSetting
from tests.store_on_disk import (
    OWNER,
    StoreOnDisk,
    facts_of,
    make_store,
    make_store_of_zones,
    opened,
)

CONTENTS = {f"file {number}": bytes([number]) * (number * 70_000 + 1) for number in range(12)}


async def _fill(disk: StoreOnDisk) -> None:
    for name, content in CONTENTS.items():
        disk.write(name, b"an earlier version of " + name.encode())
        disk.write(name, content)
    await disk.ask(SetRetention((b"file 3",), "COMPLIANCE", "30d"))
    disk.fs.unlink(*disk.place("file 5"), OWNER)
    await disk.sync()


async def _described(disk: StoreOnDisk) -> list[object]:
    """All facts but the notes that each opening makes for itself."""
    await disk.fs.volume.durability.settle()
    return [
        fact
        for fact in facts_of(disk)
        if not (isinstance(fact, PutSetting) and fact.name.startswith("fact."))
    ]


@pytest.mark.parametrize("left", [0, 1, 2])
@pytest.mark.parametrize("clean", [True, False], ids=["unmounted", "killed"])
async def test_any_zone_alone_is_the_store(tmp_path: Path, left: int, *, clean: bool) -> None:
    """On a new machine, with the recovery key: everything else is gone."""
    zones = make_store_of_zones(tmp_path, object_lock=True)
    async with opened(tmp_path / "store") as disk:
        await _fill(disk)
        expected = await _described(disk)
        versions = await disk.ask(ListVersions(b""))
        lock = await disk.ask(DescribeRetention(b"file 3"))
        if not clean:
            # A quorum acknowledged; one zone may still be at it.
            await disk.wait_for_zones()
            kept = tmp_path / "as it was"
            shutil.copytree(zones[left], kept)
    if not clean:
        shutil.rmtree(zones[left])
        kept.rename(zones[left])
    shutil.rmtree(tmp_path / "store")
    for number, zone in enumerate(zones):
        if number != left:
            shutil.rmtree(zone)
    key = Unlocking(key_file=tmp_path / "recovery.key")
    new = tmp_path / "new machine"
    found = await _in_thread_rebuild(new, key, (str(zones[left]),))

    assert found == len(CONTENTS) - 1
    async with opened(new, key) as disk:
        assert await _described(disk) == expected
        assert await disk.ask(ListVersions(b"")) == versions
        assert await disk.ask(DescribeRetention(b"file 3")) == lock
        for name, content in CONTENTS.items():
            if name != "file 5":
                assert await disk.read(name) == content
        with pytest.raises(Protected):
            disk.fs.unlink(*disk.place("file 3"), OWNER)
        disk.write("after", b"it goes on")


async def _in_thread_rebuild(path: Path, key: Unlocking, zones: tuple[str, ...]) -> int:
    return (await trio.to_thread.run_sync(lambda: rebuild(path, key, zones=zones))).files


async def test_a_lost_database_is_made_anew_at_the_next_opening(tmp_path: Path) -> None:
    """Nobody has to know a command for it; keys come from a zone as well."""
    make_store(tmp_path / "store", [tmp_path / "a", tmp_path / "b"])
    async with opened(tmp_path / "store") as disk:
        await _fill_a_little(disk)
    for name in ("metadata.sqlite", "key-ring.json", "clock.json", "zones.json"):
        (tmp_path / "store" / name).unlink(missing_ok=True)
    async with opened(tmp_path / "store") as disk:
        assert await disk.read("a") == b"one"


async def test_what_was_written_since_the_last_checkpoint_comes_from_the_journal(
    tmp_path: Path,
) -> None:
    """The copy of the metadata is old; the journal behind it is kept until a newer one is there."""
    make_store(tmp_path / "store", [tmp_path / "a"])
    async with opened(tmp_path / "store") as disk:
        await _fill_a_little(disk)
        disk.fs.volume.durability.may_trim = lambda: False
        for number in range(3):
            disk.write(f"later {number}", b"later")
            await disk.fs.volume.durability.leave_segment_behind(disk.store.metadata)
    (tmp_path / "store" / "metadata.sqlite").unlink()
    async with opened(tmp_path / "store") as disk:
        assert await disk.read("later 2") == b"later"
        assert await disk.read("a") == b"one"


async def test_a_damaged_checkpoint_is_passed_over_for_another_zones(tmp_path: Path) -> None:
    """Each is sealed, so damage is known; with none left it is said, and nothing is made up."""
    zones = [tmp_path / "a", tmp_path / "b"]
    make_store(tmp_path / "store", zones)
    async with opened(tmp_path / "store") as disk:
        await _fill_a_little(disk)
    _flip_in(zones[0] / "checkpoint")
    (tmp_path / "store" / "metadata.sqlite").unlink()
    async with opened(tmp_path / "store") as disk:
        assert await disk.read("a") == b"one"
    _flip_in(zones[0] / "checkpoint")
    _flip_in(zones[1] / "checkpoint")
    (tmp_path / "store" / "metadata.sqlite").unlink()

    with pytest.raises(Exception, match="damaged in every zone"):
        async with opened(tmp_path / "store"):
            pass


async def test_a_zone_that_missed_something_never_passes_for_the_newest(tmp_path: Path) -> None:
    """It went away, the store went on without it, and now it is the only one there."""
    zones = [tmp_path / "a", tmp_path / "b"]
    make_store(tmp_path / "store", zones)
    async with opened(tmp_path / "store") as disk:
        await _fill_a_little(disk)
    zones[1].rename(tmp_path / "unplugged")
    async with opened(tmp_path / "store") as disk:
        disk.write("b", b"acknowledged by the other alone")
        await disk.sync()
    (tmp_path / "unplugged").rename(zones[1])
    zones[0].rename(tmp_path / "unplugged")

    with pytest.raises(TooFewZones, match="may lack"):
        async with opened(tmp_path / "store"):
            pass
    (tmp_path / "unplugged").rename(zones[0])
    async with opened(tmp_path / "store") as disk:
        assert disk.states == ["well", "behind"]
        assert await disk.read("b") == b"acknowledged by the other alone"


def test_a_rebuild_says_what_it_lacks(tmp_path: Path) -> None:
    """No store, no zone, no key: each has its error, and nothing is left half made."""
    with pytest.raises(NotAStore):
        rebuild(tmp_path / "none", Unlocking(), zones=())
    make_store(tmp_path / "store", [tmp_path / "a"])
    shutil.rmtree(tmp_path / "store")
    with pytest.raises(WrongKey):
        rebuild(tmp_path / "new", Unlocking(), zones=(str(tmp_path / "a"),))
    shutil.rmtree(tmp_path / "a" / "checkpoint")
    key = Unlocking(key_file=tmp_path / "recovery.key")
    with pytest.raises(StoreDamaged, match="no zone holds"):
        rebuild(tmp_path / "new", key, zones=(str(tmp_path / "a"),))


async def _fill_a_little(disk: StoreOnDisk) -> None:
    disk.write("a", b"one")
    await disk.sync()


def _flip_in(folder: Path) -> None:
    for file in folder.iterdir():
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
