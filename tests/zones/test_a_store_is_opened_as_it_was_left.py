"""`store.json` may change until the store is one's own."""

import threading
from pathlib import Path
from typing import Any

import pytest

from s3fs_local.cli.exit_codes import ExitCode
from s3fs_local.cli.main import run
from s3fs_local.control.requests import AddZone, Scrub
from s3fs_local.daemon.store_file import read_store_file
from s3fs_local.system.durable_files import OwnerLock
from tests.store_on_disk import make_store_of_zones, opened, wait_until_well


async def test_a_mount_has_the_zone_that_was_added_a_moment_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process had the store until the lock was to be had; what it changed is there."""
    make_store_of_zones(tmp_path, 1)
    store = tmp_path / "store"
    acquire = OwnerLock.acquire
    codes: list[int] = []

    def add_zone() -> None:
        codes.append(run(["zone", "add", str(store), str(tmp_path / "added")]))

    def acquire_late(path: Path, **options: Any) -> OwnerLock:  # noqa: ANN401  as `acquire`
        monkeypatch.undo()
        other = threading.Thread(target=add_zone)
        other.start()
        other.join()
        return acquire(path, **options)

    monkeypatch.setattr(OwnerLock, "acquire", acquire_late)
    async with opened(store) as disk:
        await wait_until_well(disk)
        assert [zone.url for zone in disk.zones.zones] == [
            str(tmp_path / "zone-0"),
            str(tmp_path / "added"),
        ]
    assert codes == [ExitCode.OK]
    assert len(read_store_file(store).zones) == 2


async def test_zones_hear_of_a_change_that_was_told_to_none(tmp_path: Path) -> None:
    """A process is killed as it adds a zone: the store knows, and the zones must hear of it soon.

    One of them may be all that is left; and a scrub would call what they have damaged.
    """
    zones = make_store_of_zones(tmp_path)
    earlier = (zones[0] / "store.json").read_bytes()
    async with opened(tmp_path / "store") as disk:
        await disk.ask(AddZone(str(tmp_path / "another")))
    for zone in zones:
        (zone / "store.json").write_bytes(earlier)
    async with opened(tmp_path / "store") as disk:
        assert not (await disk.ask(Scrub(mends=False)))["Damaged"]

    expected = (tmp_path / "store" / "store.json").read_bytes()
    assert [(zone / "store.json").read_bytes() == expected for zone in zones] == [True] * 3
