"""`systemctl stop` in the middle of everything: nothing is lost, and nobody has to wait."""

import random
from pathlib import Path

import pytest

from tests.campaigns.endings import ended
from tests.mounting import MountedStore, s3fs_local

pytestmark = [pytest.mark.mount]


def test_sigterm_ends_a_daemon_at_work_with_everything_durable(tmp_path: Path) -> None:
    """Open files, a mapping and small files that nobody synced, while bytes move: see `endings`.

    It ends with exit code 0 and leaves no mount; every byte is there, and agrees with the ledger.
    The work is done or broken off: the bytes read either way.
    """
    zones = [word for number in range(3) for word in ("--zone", str(tmp_path / f"zone-{number}"))]
    s3fs_local("init", tmp_path / "store", *zones)
    (tmp_path / "mount").mkdir()
    mount = MountedStore(tmp_path / "store", tmp_path / "mount")
    try:
        found = ended(mount, megabytes=6, chance=random.Random(1))
    finally:
        mount.clean_up()
    assert found["files"] > 10
