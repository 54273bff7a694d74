"""The machine may stop between any two steps in which copies become shares, or shares copies."""

import shutil
from collections.abc import Callable
from pathlib import Path
from threading import Lock

import pytest

from s3fs_local.control.requests import ChangeSetting, CollectGarbage
from s3fs_local.objects.failing import FailingObjects
from tests.store_on_disk import StoreOnDisk, make_store_of_zones, opened, wait_until_well
from tests.zones.faults import after_a_crash
from tests.zones.shares import (
    archive,
    check_contents,
    copies_in,
    keep_in_shares,
    noise,
    shares_in,
)

COPIES = "GLACIER_IR:copies=2,zones=hot,zstd=0"
SHARES = "GLACIER_IR:shares=2+1,zones=hot,zstd=0"


class Witness(FailingObjects):
    """Tells before each step that makes or removes a pack or a share; one step at a time."""

    tell: Callable[[], None]
    mutex: Lock

    def put(self, name: str, data: bytes) -> None:
        """See `ObjectStore`."""
        with self.mutex:
            self._tell(name)
            super().put(name, data)

    def delete(self, name: str) -> None:
        """See `ObjectStore`."""
        with self.mutex:
            self._tell(name)
            super().delete(name)

    def _tell(self, name: str) -> None:
        if name.startswith(("packs/", "shares/")):
            self.tell()


def watch(disk: StoreOnDisk, tell: Callable[[], None]) -> None:
    """Whoever changes packs in a zone of the store is told of."""
    mutex = Lock()
    for zone in disk.zones.zones:
        assert zone.store is not None
        witness = Witness(zone.store)
        witness.tell, witness.mutex = tell, mutex
        zone.store = witness


@pytest.mark.parametrize("wanted", [SHARES, COPIES])
async def test_every_step_leaves_a_store_that_reads_and_goes_on(
    tmp_path: Path, wanted: str
) -> None:
    """A picture of the disk before each step is opened, whole and without one of its zones."""
    zones = make_store_of_zones(tmp_path, 3)
    contents = noise(1)
    pictures: list[Path] = []

    def take_picture() -> None:
        target = tmp_path / f"picture-{len(pictures)}"
        after_a_crash(tmp_path / "store", zones, target / "whole", lost=-1)
        after_a_crash(tmp_path / "store", zones, target / "less", lost=len(pictures) % 3)
        pictures.append(target)

    async with opened(tmp_path / "store") as disk:
        await disk.ask(ChangeSetting("storage-classes", COPIES if wanted == SHARES else SHARES))
        await archive(disk, contents)
        watch(disk, take_picture)
        await disk.ask(ChangeSetting("storage-classes", wanted))
        await disk.ask(CollectGarbage())
        await check_contents(disk, contents)
    assert len(pictures) > 5
    for picture in pictures:
        async with opened(picture / "less" / "store") as disk:
            await check_contents(disk, contents)
        async with opened(picture / "whole" / "store") as disk:
            await check_contents(disk, contents)
            damaged = (await disk.ask_scrub())["Damaged"]
            assert [piece for piece in damaged if piece["Name"] != "store.json"] == []  # it moved
            await disk.ask(ChangeSetting("storage-classes", wanted))
            await disk.ask(CollectGarbage())
            await check_contents(disk, contents)
        here = [picture / "whole" / zone.name for zone in zones]
        shares, copies = [sum(map(len, map(each, here))) for each in (shares_in, copies_in)]
        assert (shares, copies) == ((3, 0) if wanted == SHARES else (0, 2))
        shutil.rmtree(picture)


async def test_zones_that_were_away_while_forms_changed_return_to_the_present_one(
    tmp_path: Path,
) -> None:
    """With shares of another kind, and shares of packs that are gone: all of it is replaced."""
    zones = make_store_of_zones(tmp_path, 5)
    contents = noise(2)
    async with opened(tmp_path / "store") as disk:
        await keep_in_shares(disk, "2+1")
        await archive(disk, contents)
        for away in zones:
            away.rename(tmp_path / "away")
            await disk.store.zoning.care.notice()
            coding = "3+1" if zones.index(away) % 2 else "2+2"
            await keep_in_shares(disk, coding)
            await disk.ask(CollectGarbage())
            assert sum(len(shares_in(zone)) for zone in zones if zone != away) == 4
            (tmp_path / "away").rename(away)
            await wait_until_well(disk)
            await check_contents(disk, contents)
            assert not any(map(copies_in, zones))
        await disk.ask(CollectGarbage())
        assert (await disk.ask_scrub())["Damaged"] == []
