"""The matrix of faults: what happens to a zone, in the middle of which operation, on which class.

One cell is one store of three zones on a real file system. The fault strikes one of them at a call
that the seed chooses, while the operation is at work; then comes a sync. Afterwards

- whatever was acknowledged is read, from what is left, bit by bit;
- so it is from the store as a crash leaves it, without that zone;
- and once the zone is back, all zones are well and alike again.

A class with one copy is the exception that S3 makes, too: what only the zone had that is gone for
good is an error then, never other bytes. Its names, and everything else, are there.
"""

import os
import shutil
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import Any, Final, NamedTuple

import trio

from s3fs_local.control.requests import ChangeClass, ChangeSetting, ListVersions, Purge, RepairZone
from s3fs_local.engine.compaction import collect_garbage
from s3fs_local.engine.pace import AT_ONCE
from s3fs_local.errors import TRANSIENT, Archived, DataDamaged, ZoneUnavailable
from s3fs_local.objects.attended import AttendedObjects
from s3fs_local.objects.interface import ObjectStore
from s3fs_local.objects.zone import Zone, ZoneState
from s3fs_local.system.randomness import SeededRandomness
from tests.store_on_disk import (
    OWNER,
    StoreOnDisk,
    make_store_of_zones,
    opened,
    wait_until_well,
)
from tests.zones.faults import FAULTS, WRAPPED, Victim, after_a_crash

CLASSES: Final = ("STANDARD", "STANDARD_IA", "ONEZONE_IA", "GLACIER")
FOR_GOOD: Final = {"removed", "emptied", "stale bytes", "corrupt bytes"}
"""Faults that take bytes from a zone; after the others it has what it had."""
CALLS_MAX: Final = 6
"""At one of so many calls to the zone the fault strikes."""
BEFORE: Final = {f"file {number}": bytes([number]) * (number * 9000 + 1) for number in range(6)}

Contents = dict[str, bytes]


class Cell(NamedTuple):
    """One place in the matrix, and what the seed chose for it."""

    fault: str
    operation: str
    storage_class: str
    victim: int  # which of the three zones
    call: int  # the fault strikes at this call to it, or after the operation

    @property
    def takes_bytes(self) -> bool:
        """Whether a zone loses for good what only it had: the victim, or the one under repair."""
        repairs_only = self.operation == "repair" and self.storage_class == "ONEZONE_IA"
        return self.fault in FOR_GOOD or repairs_only

    def __str__(self) -> str:
        return f"{self.fault} / {self.operation} / {self.storage_class}"


def cells(seed: int) -> list[Cell]:
    """The whole matrix."""
    chance = SeededRandomness(seed)
    return [
        Cell(*place, chance.bits(16) % 3, 1 + chance.bits(16) % CALLS_MAX)
        for place in product(FAULTS, OPERATIONS, CLASSES)
    ]


def some_cells(seed: int) -> Iterator[Cell]:
    """Each fault with each operation once, each operation with each class, in few cells."""
    whole = {cell[:3]: cell for cell in cells(seed)}
    for (row, fault), (column, operation) in product(enumerate(FAULTS), enumerate(OPERATIONS)):
        yield whole[fault, operation, CLASSES[(row + column + seed) % len(CLASSES)]]


class Stricken(AttendedObjects):
    """A zone that the fault strikes at the nth call after `arm`."""

    def __init__(self, inner: ObjectStore, strike: Callable[[], None]) -> None:
        super().__init__(inner, self._count)
        self._strike = strike
        self._left = 0  # calls until it strikes; 0: not armed, or struck

    def arm(self, call: int) -> None:
        """It strikes at this call, counted from now."""
        self._left = call

    def strike_now(self) -> None:
        """Unless it did."""
        if self._left:
            self._left = 0
            self._strike()

    def _count(self, _method: str) -> None:
        if self._left:
            self._left -= 1
            if not self._left:
                self._strike()


Operation = Callable[[StoreOnDisk, Contents, int], Awaitable[None]]


async def _write(disk: StoreOnDisk, contents: Contents, _: int) -> None:
    """A file is changed in the middle and stays open."""
    handle = disk.fs.open(disk.stat("file 3").ino, os.O_RDWR, OWNER).handle
    disk.fs.write(handle, 1000, b"changed" * 20_000)
    await disk.fs.fsync(handle, datasync=False)
    old = contents["file 3"]
    contents["file 3"] = old[:1000] + b"changed" * 20_000 + old[1000 + 140_000 :]
    disk.fs.release(handle)


async def _fsync(disk: StoreOnDisk, contents: Contents, _: int) -> None:
    """A log grows, and each line is acknowledged."""
    parent, name = disk.place("log")
    handle = disk.fs.create(parent, name, 0o100644, os.O_WRONLY, OWNER)[0].handle
    contents["log"] = b""
    for number in range(5):
        line = b"%d " % number * 100
        disk.fs.write(handle, len(contents["log"]), line)
        await disk.fs.fsync(handle, datasync=True)
        contents["log"] += line
    disk.fs.flush(handle)
    disk.fs.release(handle)


async def _close(disk: StoreOnDisk, contents: Contents, _: int) -> None:
    contents["new"] = b"new" * 50_000
    disk.write("new", contents["new"])


async def _rename(disk: StoreOnDisk, contents: Contents, _: int) -> None:
    disk.fs.rename(*disk.place("file 1"), *disk.place("renamed"), 0, OWNER)
    contents["renamed"] = contents.pop("file 1")


async def _unlink(disk: StoreOnDisk, contents: Contents, _: int) -> None:
    disk.fs.unlink(*disk.place("file 2"), OWNER)
    del contents["file 2"]


async def _read(disk: StoreOnDisk, contents: Contents, _: int) -> None:
    await check(disk, contents, may_be_gone=True)


async def _settle(disk: StoreOnDisk, contents: Contents, _: int) -> None:
    """Files are on their way to other classes; what cannot move stays where it is."""
    for number, name in enumerate(list(contents)):
        with suppress(Archived):  # it is where it stays
            await disk.ask(ChangeClass(name.encode(), CLASSES[number % len(CLASSES)]))
    await disk.fs.settling.settle_all(AT_ONCE)


async def _collect(disk: StoreOnDisk, _contents: Contents, _: int) -> None:
    await collect_garbage(disk.fs, dry_run=False)


async def _scrub(disk: StoreOnDisk, _contents: Contents, _: int) -> None:
    await disk.ask_scrub()


async def _checkpoint(disk: StoreOnDisk, contents: Contents, _: int) -> None:
    await _close(disk, contents, 0)
    await disk.fs.volume.durability.leave_segment_behind(disk.store.metadata)


async def _repair(disk: StoreOnDisk, contents: Contents, victim: int) -> None:
    """Another zone lost everything, and is being filled from the two that are left."""
    other = disk.zones.zones[(victim + 1) % 3]
    place = Path(other.url)
    shutil.rmtree(place)
    await trio.to_thread.run_sync(
        disk.zones.members.suspend, other, "scripted: its disk was replaced"
    )
    await trio.Path(place).mkdir()
    await disk.ask(RepairZone(other.url))
    await _close(disk, contents, 0)


OPERATIONS: Final[dict[str, Operation]] = {
    "write": _write,
    "fsync": _fsync,
    "close": _close,
    "rename": _rename,
    "unlink": _unlink,
    "read": _read,
    "settle": _settle,
    "gc": _collect,
    "scrub": _scrub,
    "checkpoint": _checkpoint,
    "repair": _repair,
}
MAY_FAIL: Final = {"read", "settle", "gc", "scrub", "repair"}
"""What may say that it cannot be done now, as it promises nothing: where a zone that holds the only
copy is gone, or a second zone while another is repaired."""


async def check(disk: StoreOnDisk, contents: Contents, *, may_be_gone: bool) -> None:
    """Every file has its content; with `may_be_gone` an error is as good, but nothing else is."""
    for name, content in contents.items():
        ino = disk.stat(name).ino
        stamp_ns = disk.fs.volume.inode(ino).version_ns
        layouts = disk.fs.reading.layouts(ino, stamp_ns)  # archived or not
        assert disk.stat(name).size == len(content), name
        try:
            found = await trio.to_thread.run_sync(
                disk.fs.reading.read_blocking, layouts, 0, len(content)
            )
        except (DataDamaged, ZoneUnavailable):
            assert may_be_gone, f"{name} cannot be read"
            continue
        assert found == content, f"{name} was read wrong"


async def run_cell(place: Path, cell: Cell) -> None:
    """The cell holds. Raises AssertionError, or whatever else should not have happened."""
    zones = make_store_of_zones(place)
    contents = dict(BEFORE)
    async with opened(place / "store") as disk:
        await _prepare(disk, contents, cell)
    async with opened(place / "store") as disk:
        if cell.fault == "hanging":  # the others answer, and may be slow on a busy machine
            await disk.ask(ChangeSetting("zone-timeout", "1s"))
            disk.zones.members.timeout_seconds = 1.0
        victim = Victim(disk, cell.victim, zones[cell.victim])
        if cell.fault in WRAPPED:
            victim.wrap()
        store: Any = victim.zone.store
        stricken = Stricken(store, lambda: FAULTS[cell.fault](victim))
        victim.zone.store = stricken
        try:
            stricken.arm(cell.call)
            await _operate(disk, contents, cell)
            stricken.strike_now()
            await _sync(disk)
            await _wait_for_others(disk, cell.victim)
            is_only = cell.storage_class == "ONEZONE_IA" or cell.operation in {"settle", "repair"}
            await check(disk, contents, may_be_gone=is_only)
            crash = after_a_crash(place / "store", zones, place / "crash", lost=cell.victim)
        finally:
            victim.failing.faults.clear()
            victim.release()
        victim.zone.store = store
        await _bring_back(disk, cell, zones[cell.victim])
        await disk.ask_scrub()
        await check(disk, contents, may_be_gone=is_only and cell.takes_bytes)
    async with opened(crash) as again:
        assert again.states.count("well") == 2
        await check(again, contents, may_be_gone=is_only)


async def _prepare(disk: StoreOnDisk, contents: Contents, cell: Cell) -> None:
    """Files of the class, where the class wants them, and some garbage."""
    for name, content in contents.items():
        disk.write(name, content)
        # What is in an archive is not opened: the one that is changed is in the class before.
        is_changed = name == "file 3" and cell.storage_class == "GLACIER"
        placed = "GLACIER_IR" if is_changed else cell.storage_class
        await disk.ask(ChangeClass(name.encode(), placed))
    disk.write("garbage", b"garbage" * 30_000)
    disk.fs.unlink(*disk.place("garbage"), OWNER)
    for version in (await disk.ask(ListVersions(b"garbage")))["Versions"]:
        await disk.ask(Purge(b"garbage", version["VersionId"]))
    await disk.fs.settling.settle_all(AT_ONCE)
    await disk.sync_everywhere()


async def _operate(disk: StoreOnDisk, contents: Contents, cell: Cell) -> None:
    async with trio.open_nursery() as nursery:
        if cell.fault == "hanging":  # that somebody must notice
            nursery.start_soon(_look_after, disk)
        try:
            await OPERATIONS[cell.operation](disk, contents, cell.victim)
        except (DataDamaged, ZoneUnavailable, *TRANSIENT):
            if cell.operation not in MAY_FAIL:
                raise
        nursery.cancel_scope.cancel()


async def _look_after(disk: StoreOnDisk) -> None:
    while True:
        await disk.store.zoning.care.notice()
        await trio.sleep(0.2)


async def _sync(disk: StoreOnDisk) -> None:
    """All is acknowledged; with two zones gone or full at once it takes until one is back."""
    with trio.fail_after(60):
        while True:
            try:
                await disk.sync()
            except TRANSIENT:
                await disk.look_after_zones()
                await trio.sleep(0.01)
            else:
                return


async def _wait_for_others(disk: StoreOnDisk, victim: int) -> None:
    """The two other zones are well: one of them may have been under repair.

    If the victim failed before that had begun, the command has said so, and is given again.
    """
    with trio.fail_after(60):
        while any(zone.state is not ZoneState.WELL for zone in _others(disk, victim)):
            await disk.look_after_zones()
            for zone in _others(disk, victim):
                if not await trio.Path(zone.url, "zone.json").exists():
                    with suppress(ZoneUnavailable, *TRANSIENT):
                        await disk.ask(RepairZone(zone.url))
            await trio.sleep(0.01)
    await disk.wait_for_zones()


def _others(disk: StoreOnDisk, victim: int) -> list[Zone]:
    return [zone for number, zone in enumerate(disk.zones.zones) if number != victim]


async def _bring_back(disk: StoreOnDisk, cell: Cell, place: Path) -> None:
    """The zone is there again, by itself or by a command."""
    if cell.fault == "removed":
        await disk.store.zoning.care.notice()
        shutil.rmtree(place, ignore_errors=True)
        await trio.Path(place).mkdir()
        await disk.ask(RepairZone(str(place)))
    await wait_until_well(disk)
