"""Random reads and writes beside a copy in memory, as `scripts/random-io` does them at length."""

import os
from pathlib import Path

import pytest

from tests.mounting import run

pytestmark = [pytest.mark.mount, pytest.mark.slow]

SCRIPT = Path(__file__).parents[2] / "scripts" / "random-io"
SEED = os.environ.get("S3FS_LOCAL_TEST_SEED", "1")


def test_random_operations_leave_the_bytes_they_should(tmp_path: Path) -> None:
    """Every write path, every size of write, and every version on the way."""
    outcome = run(
        *(SCRIPT, "--operations", "3000", "--seed", SEED, "--folder", tmp_path), check=False
    )

    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    assert "3000 operations without a difference" in outcome.stdout
