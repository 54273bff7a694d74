"""A process that is killed while it puts an object leaves a hidden file in a zone: not for good."""

from pathlib import Path

import pytest
import trio

from s3fs_local.control.requests import CollectGarbage
from tests.store_on_disk import make_store_of_zones, opened


def leave_in(zones: list[Path]) -> list[Path]:
    """One in each zone, as `tests/objects/test_local_directory.py` shows."""
    left = [zone / "metadata" / ".000001.tmp" for zone in zones]
    for path in left:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(bytes(1000))
    return left


@pytest.mark.parametrize("number", [1, 3])
async def test_the_next_mount_removes_it(tmp_path: Path, number: int) -> None:
    """Each kill may leave one, with a name of its own; nobody looks for them."""
    left = leave_in(make_store_of_zones(tmp_path, number))
    async with opened(tmp_path / "store") as disk, trio.open_nursery() as nursery:
        nursery.start_soon(disk.keeper().run)
        with trio.fail_after(60):
            while any(path.exists() for path in left):  # noqa: ASYNC110  a thread removes it
                await trio.sleep(0.01)
        nursery.cancel_scope.cancel()


async def test_so_does_gc(tmp_path: Path) -> None:
    """Of a zone that was away when the store was mounted, say."""
    zones = make_store_of_zones(tmp_path)
    async with opened(tmp_path / "store") as disk:
        left = leave_in(zones)
        await disk.ask(CollectGarbage(dry_run=True))
        assert all(path.exists() for path in left)
        await disk.ask(CollectGarbage())
        assert not any(path.exists() for path in left)
