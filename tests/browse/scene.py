"""A store with some weeks of life in it: two people plan a journey and keep their books."""

import os
import struct
import zlib
from pathlib import Path
from typing import Final

from msgspec import Struct

from s3fs_local.control.requests import (
    ChangeClass,
    ChangeLifecycle,
    Protect,
    Restore,
    SetLegalHold,
    SetRetention,
)
from s3fs_local.daemon.assembly import TEST_CLOCK_VARIABLE, open_store
from s3fs_local.daemon.creation import StorePlan, create_store
from s3fs_local.daemon.inspectors import register_inspectors
from s3fs_local.daemon.unlocking import Unlocking
from s3fs_local.rules.instants import SECOND_NS, format_rfc3339
from s3fs_local.system.clock import SettableClock, wall_ns
from tests.store_on_disk import OWNER, StoreOnDisk

RULES: Final = b"""{"Rules": [{"ID": "old-notes", "Status": "Enabled", "Filter": {"Prefix": ""},
    "Transitions": [{"Days": 60, "StorageClass": "STANDARD_IA"}],
    "NoncurrentVersionExpiration": {"NoncurrentDays": 90}}]}"""
PLANS: Final = (
    "Lisbon by train\n\nFri  night train\nSat  market, museum\nSun  beach\n\nTickets: ask Ana\n",
    (
        "Lisbon by train\n\nFri  night train\nSat  market, fado in Alfama\nSun  beach\n"
        "Mon  home\n\nTickets: ask Ana\n"
    ),
    (
        "Porto by boat\n\nFri  ferry\nSat  market, fado in Ribeira\nSun  cellars\nMon  home\n\n"
        "Tickets: booked\n"
    ),
)


class Moments(Struct, frozen=True):
    """When things happened, by the store's clock."""

    before_tidying: str  # somebody deleted too much a second later
    end: str


async def make_scene(store: Path) -> Moments:
    """The store is there, closed; this process and its children open it at the end of its weeks."""
    os.environ[TEST_CLOCK_VARIABLE] = format_rfc3339(wall_ns())
    create_store(store, StorePlan(owner=OWNER, object_lock=True, test_clock=True))
    async with open_store(store, Unlocking()) as opened:
        register_inspectors(opened, mount_point=None)
        clock = opened.filesystem.volume.clock
        assert isinstance(clock, SettableClock)
        moments = await _Scene(StoreOnDisk(opened), clock).play()
    os.environ[TEST_CLOCK_VARIABLE] = moments.end
    return moments


class _Scene:
    def __init__(self, disk: StoreOnDisk, clock: SettableClock) -> None:
        self.disk = disk
        self.clock = clock

    async def play(self) -> Moments:
        """Six weeks, then somebody tidies up, then some days more."""
        for folder in ("books", "journey", "journey/photos", "notes", "archive"):
            self.disk.fs.mkdir(*self.disk.place(folder), 0o40755, OWNER)
        await self.disk.ask(Protect(b"books", mode="compliance", period="7y"))
        for week in range(6):
            self._pass(days=5.6)
            self._a_week(week)
            if week == 3:
                await self.disk.ask(ChangeClass(b"archive/letters.txt", "GLACIER"))
                await self.disk.fs.volume.durability.settle()
        self._pass(days=3)
        before = format_rfc3339(self.clock.now_ns() // SECOND_NS * SECOND_NS)
        self._pass(days=0.01)
        await self._tidy_up()
        self._pass(days=4)
        self.disk.write("journey/packing.txt", b"passports\nmap\nswimsuit\nbooks\n")
        await self.disk.ask(SetLegalHold((b"books/2026-10.csv",), case="17", reason="audit"))
        for week, years in ((2, 1), (3, 2), (4, 2), (5, 4)):
            note = f"notes/week-{week}-1.txt" if week > 2 else "notes/will.txt"
            request = SetRetention((note.encode(),), mode="governance", until=f"{years}y")
            await self.disk.ask(request)
        await self.disk.ask(ChangeLifecycle(RULES))
        await self.disk.sync()
        self._pass(days=2)
        return Moments(before, format_rfc3339(self.clock.now_ns()))

    def _pass(self, *, days: float) -> None:
        self.clock.advance(int(days * 86_400) * SECOND_NS)

    def _a_week(self, week: int) -> None:
        """Some of everything."""
        if week < len(PLANS):
            self.disk.write("journey/plan.txt", PLANS[week].encode())
        for note in range((week * 3) % 5 + 1):
            self._pass(days=0.05)
            text = f"Week {week + 1}, thought {note + 1}: what to bring, whom to ask.\n" * 3
            self.disk.write(f"notes/week-{week + 1}-{note + 1}.txt", text.encode())
        if week in {1, 4}:
            month = "2026-10" if week == 1 else "2026-11"
            days = range(1, 28)
            rows = "".join(f"{month}-{day:02},groceries,{day * 7 % 40 + 3}.20\n" for day in days)
            self.disk.write(f"books/{month}.csv", b"date,what,euro\n" + rows.encode())
        if week == 0:
            self.disk.write("notes/page.html", b"<script>document.title = 'mine'</script>\n")
        if week == 2:
            self.disk.write("notes/will.txt", b"All to the cat.\n")
            self.disk.write("archive/letters.txt", b"Dear Ana,\n" * 2000)
        if week in {1, 3}:
            blue, grey = ((40, 110, 170), (120, 180, 225)), ((70, 80, 95), (150, 155, 165))
            for number, horizon in enumerate((150, 190)):
                colours = blue if week == 1 else grey
                content = seascape(*colours, horizon=horizon)
                self.disk.write(f"journey/photos/sea-{number + 1}.png", content)

    async def _tidy_up(self) -> None:
        """Too well."""
        for name in ("sea-1.png", "sea-2.png"):
            self.disk.fs.unlink(*self.disk.place(f"journey/photos/{name}"), OWNER)
        self.disk.fs.rmdir(*self.disk.place("journey/photos"), OWNER)
        for note in ("week-1-1", "week-2-1", "week-2-2", "week-2-3", "week-2-4"):
            self.disk.fs.unlink(*self.disk.place(f"notes/{note}.txt"), OWNER)
        await self.disk.ask(Restore(b"notes/week-1-1.txt", version="latest"))


def seascape(sea: tuple[int, int, int], sky: tuple[int, int, int], *, horizon: int) -> bytes:
    """A PNG of a sea under a sky with a sun."""
    width, height = 400, 250
    rows = bytearray()
    for y in range(height):
        rows.append(0)
        is_sea = y > horizon
        shade = (horizon - y) // 3 if is_sea else y // 5
        base = bytes(max(0, min(255, part + shade)) for part in (sea if is_sea else sky))
        for x in range(width):
            is_sun = not is_sea and (x - 300) ** 2 + (y - horizon + 70) ** 2 < 900
            rows += b"\xff\xd9\x80" if is_sun else base
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(rows), 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
