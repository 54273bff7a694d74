"""A year of lifecycle on a real store ends as a replay of each object by itself says.

The short form of `scripts/lifecycle-year`.
"""

import os
from pathlib import Path

import pytest

from s3fs_local.daemon.assembly import TEST_CLOCK_VARIABLE
from tests.campaigns.lifecycle_year import START, live_a_year

VERSIONS = 300
SEED = int(os.environ.get("S3FS_LOCAL_TEST_SEED", "4"))


@pytest.mark.slow
async def test_a_year_ends_as_the_replay_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Daily runs by the agenda miss nothing that a look at everything every day would find."""
    monkeypatch.setenv(TEST_CLOCK_VARIABLE, START)
    year = await live_a_year(tmp_path / "store", versions=VERSIONS, seed=SEED)

    assert all(year.actions[action] > 10 for action in ("Expire", "Transition", "DeleteMarker"))
    assert year.looked_at < 10 * VERSIONS
