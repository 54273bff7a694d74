"""A mount that is taken away while too few zones are there is waited with, until some are back."""

import logging
from pathlib import Path

import pytest
import trio

from s3fs_local.daemon import saving
from s3fs_local.errors import TooFewZones
from tests.store_on_disk import make_store_of_zones, opened


class _Told(logging.Handler):
    """Sets an event when something is said."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.event = trio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        """It was said."""
        if "it is tried for" in record.getMessage():
            self.event.set()


async def test_zones_that_come_back_are_given_everything(tmp_path: Path) -> None:
    """They were suspended, so they are looked after as while the mount was there."""
    zones = make_store_of_zones(tmp_path)
    told = _Told()
    saving.log.addHandler(told)

    async def bring_back() -> None:
        await told.event.wait()
        for zone in zones[1:]:
            zone.with_name(f"{zone.name}-away").rename(zone)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(bring_back)
        async with opened(tmp_path / "store") as disk:
            disk.write("f", b"saved late")
            for zone in zones[1:]:
                zone.rename(zone.with_name(f"{zone.name}-away"))
            with pytest.raises(TooFewZones):
                await disk.sync()
            disk.store.parting.is_patient = True
    saving.log.removeHandler(told)

    async with opened(tmp_path / "store") as disk:
        assert await disk.read("f") == b"saved late"


async def test_what_is_done_while_a_store_is_saved_is_saved_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what somebody gave up by name is given up; it was, without a word."""
    make_store_of_zones(tmp_path)
    async with opened(tmp_path / "store") as disk:
        disk.write("before", b"before")
        durability = disk.store.filesystem.volume.durability
        flush = durability.flush

        async def flush_and_go_on(*, durable: bool) -> None:
            monkeypatch.setattr(durability, "flush", flush)
            await flush(durable=durable)
            disk.write("meanwhile", b"meanwhile")

        monkeypatch.setattr(durability, "flush", flush_and_go_on)

    async with opened(tmp_path / "store") as disk:
        assert await disk.read("before") == b"before"
        assert await disk.read("meanwhile") == b"meanwhile"


async def test_a_command_waits_for_nobody(tmp_path: Path) -> None:
    """It says at once how much is lost, and why."""
    zones = make_store_of_zones(tmp_path)

    async def write_and_leave() -> None:
        async with opened(tmp_path / "store") as disk:
            disk.write("f", b"lost")
            for zone in zones[1:]:
                zone.rename(zone.with_name(f"{zone.name}-away"))

    with pytest.raises(TooFewZones, match=r"changes to 2 files.* are lost: .*are needed"):
        await write_and_leave()
